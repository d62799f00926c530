//! The stages that enter the container.

use std::convert::Infallible;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use rustix::process::{Pid, PidfdFlags, pidfd_open};
use testbed::spec::{ExecSpec, InitSpec, PidSpec, ProcessSpec};
use testbed::{cgroup, sys};

use crate::{Failure, mounts, naming, one_line, read_spec};

/// The second half of `init`.
pub(crate) const INIT_IN_CGROUP: &str = "init-in-cgroup";
/// The second half of `enter`.
pub(crate) const ENTER_IN_CGROUP: &str = "enter-in-cgroup";

/// `init`: joins the cgroups and executes this program again.
pub(crate) fn init(path: &Path) -> Result<ExitCode, Failure> {
    let spec: InitSpec = read_spec(path)?;
    again_in(&spec.cgroups, INIT_IN_CGROUP, path)
}

/// `init`, second half: makes the namespaces; the sibling process moves into them and waits for the start.
pub(crate) fn init_in_cgroup(path: &Path) -> Result<ExitCode, Failure> {
    let spec: InitSpec = read_spec(path)?;
    let output = open_output(&spec.process)?;
    let mut flags = libc::CLONE_NEWNS | libc::CLONE_NEWUTS | libc::CLONE_NEWIPC;
    match spec.pid {
        PidSpec::Private => flags |= libc::CLONE_NEWPID,
        PidSpec::Inherited => {}
        PidSpec::Of(pid) => {
            let name = format!("/proc/{pid}/ns/pid");
            let namespace = File::open(&name).map_err(naming(&name))?;
            sys::setns(&namespace, libc::CLONE_NEWPID).map_err(naming("join the PID namespace"))?;
        }
    }
    sys::unshare(flags).map_err(naming("make the namespaces"))?;
    if let Some(pid) = sys::fork_sibling().map_err(naming("fork the main process"))? {
        return report_pid(pid);
    }
    mounts::enter(&spec.rootfs, &spec.binds)?;
    rustix::system::sethostname(spec.hostname.as_bytes()).map_err(naming("set the host name"))?;
    report("ready")?;
    // The end of the pipe without a byte means that the container is not wanted any more.
    std::io::stdin()
        .read_exact(&mut [0])
        .map_err(naming("wait for the start"))?;
    execute(&spec.process, output)
}

/// `enter`: joins the cgroups and executes this program again.
pub(crate) fn enter(path: &Path) -> Result<ExitCode, Failure> {
    let spec: ExecSpec = read_spec(path)?;
    again_in(&spec.cgroups, ENTER_IN_CGROUP, path)
}

/// `enter`, second half: joins the namespaces; the sibling process becomes the program.
pub(crate) fn enter_in_cgroup(path: &Path) -> Result<ExitCode, Failure> {
    let spec: ExecSpec = read_spec(path)?;
    let output = open_output(&spec.process)?;
    let flags = libc::CLONE_NEWNS | libc::CLONE_NEWUTS | libc::CLONE_NEWIPC | libc::CLONE_NEWPID;
    let main = Pid::from_raw(spec.pid as i32).ok_or("the container has no process")?;
    let main = pidfd_open(main, PidfdFlags::empty()).map_err(naming("open the container's process"))?;
    sys::setns(&main, flags).map_err(naming("join the namespaces"))?;
    if let Some(pid) = sys::fork_sibling().map_err(naming("fork the new process"))? {
        return report_pid(pid);
    }
    execute(&spec.process, output)
}

fn again_in(cgroups: &[PathBuf], stage: &str, spec: &Path) -> Result<ExitCode, Failure> {
    cgroup::join(cgroups)?;
    Err(naming("execute the runtime again")(
        Command::new("/proc/self/exe").arg(stage).arg(spec).exec(),
    ))
}

/// Opened by its path on the host, before that is out of reach.
fn open_output(process: &ProcessSpec) -> Result<File, Failure> {
    let ProcessSpec { output, .. } = process;
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(output)
        .map_err(naming(output.display()))
}

/// Becomes the program. A failure is reported through a copy of the report pipe that an exec closes.
fn execute(process: &ProcessSpec, output: File) -> ! {
    let ProcessSpec {
        path,
        argv,
        env,
        cwd,
        user,
        output: _,
    } = process;
    let attempt = || -> Result<Infallible, (Option<File>, Failure)> {
        let pipe = std::io::stdout()
            .as_fd()
            .try_clone_to_owned()
            .map_err(|error| (None, error.into()))?;
        let failed = |error: Failure| (Some(File::from(pipe)), error);
        let Some((name, arguments)) = argv.split_first() else {
            return Err(failed("no arguments".into()));
        };
        if !Path::new(path).is_absolute() {
            return Err(failed(format!("{} is not absolute", path.display()).into()));
        }
        let errors = match output.try_clone() {
            Ok(errors) => errors,
            Err(error) => return Err(failed(error.into())),
        };
        let error = Command::new(path)
            .arg0(name)
            .args(arguments)
            .env_clear()
            .envs(env.iter().map(|(name, value)| (name, value)))
            .current_dir(cwd)
            .uid(user.0)
            .gid(user.1)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .exec();
        Err(failed(naming(path.display())(error)))
    };
    let Err((pipe, error)) = attempt();
    let line = format!("error {}\n", one_line(&*error));
    // Nobody is left to tell when this fails as well.
    let _ = match pipe {
        Some(mut pipe) => pipe.write_all(line.as_bytes()),
        None => std::io::stdout().write_all(line.as_bytes()),
    };
    std::process::exit(127)
}

fn report_pid(pid: u32) -> Result<ExitCode, Failure> {
    report(&format!("pid {pid}"))?;
    Ok(ExitCode::SUCCESS)
}

/// One line, in one write: two processes share the pipe.
fn report(line: &str) -> Result<(), Failure> {
    let mut pipe = std::io::stdout().lock();
    pipe.write_all(format!("{line}\n").as_bytes())
        .and_then(|()| pipe.flush())
        .map_err(naming("report"))
}
