//! The process that holds a container: reports what becomes of it, and cleans up after it.
//!
//! Commands arrive as bytes on standard input: `s` starts the container, `k` kills what is in its cgroups, the
//! end of file removes everything. Reports leave as lines on standard output.

use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitCode, ExitStatus, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{WaitOptions, getpid, set_child_subreaper, setsid, wait};
use testbed::spec::{Create, RuncSpec, ShimSpec};
use testbed::{cgroup, sys};

use crate::outer::{Stage, outside};
use crate::{Failure, mounts, naming, one_line, read_spec};

const KILL_LIMIT: Duration = Duration::from_secs(10);

/// `shim`: makes the container, obeys, and removes it.
pub(crate) fn run(path: &Path) -> Result<ExitCode, Failure> {
    let spec: ShimSpec = read_spec(path)?;
    // An interrupt at the terminal ends the test, and this process must live on to clean up after it.
    // It fails only for a session's leader, who is safe from that already.
    let _ = setsid();
    let held = hold(&spec);
    let removed = remove(&spec);
    if let Err(error) = held.and(removed) {
        report(&format!("error {}", one_line(&*error)));
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// Makes the container and obeys until the end of the control pipe.
fn hold(spec: &ShimSpec) -> Result<(), Failure> {
    set_child_subreaper(Some(getpid())).map_err(naming("become the subreaper"))?;
    let signals = sys::child_signals().map_err(naming("watch the children"))?;
    if let Some(overlay) = &spec.overlay {
        mounts::overlay(overlay)?;
    }
    let mut main = Main::create(spec)?;
    report(&format!("created {}", main.pid()));
    let control = std::io::stdin();
    loop {
        let mut ready = [
            PollFd::new(&control, PollFlags::IN),
            PollFd::new(&signals, PollFlags::IN),
        ];
        match poll(&mut ready, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(naming("wait for commands")(error)),
        }
        let [commanded, signalled] = ready.map(|fd| !fd.revents().is_empty());
        if signalled {
            let mut drained = [0; 128];
            while rustix::io::read(&signals, &mut drained).is_ok_and(|length| length > 0) {}
            reap(main.pid());
        }
        if commanded {
            let mut command = [0];
            // Not through the standard library's buffer, which would keep a second command from the poll above.
            if rustix::io::read(&control, &mut command).map_err(naming("read commands"))? == 0 {
                return Ok(());
            }
            match command {
                [b's'] => match main.start() {
                    Ok(()) => report("started"),
                    Err(error) => report(&format!("error {}", one_line(&*error))),
                },
                [b'k'] => {
                    cgroup::kill(&spec.cgroups, KILL_LIMIT)?;
                    reap(main.pid());
                    report("killed");
                }
                _ => {}
            }
        }
    }
}

/// Takes the ended children; orphans of the container are among them where it has no PID 1 of its own.
fn reap(main: u32) {
    while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
        if pid.as_raw_nonzero().get() as u32 == main {
            report(&format!(
                "exited {}",
                ExitStatus::from_raw(status.as_raw()).into_raw()
            ));
        }
    }
}

/// Removes all there is of the container. Each step is tried, whatever came of those before.
fn remove(spec: &ShimSpec) -> Result<(), Failure> {
    let killed = cgroup::kill(&spec.cgroups, KILL_LIMIT);
    while let Ok(Some(_)) = wait(WaitOptions::NOHANG) {}
    let deleted = match &spec.create {
        Create::Own(_) => Ok(()),
        Create::Runc(runc) => runc_command(runc, &["delete", "--force"], &[]),
    };
    let cgroups = cgroup::remove(&spec.cgroups, KILL_LIMIT);
    // The overlay is a mount in this process's own namespace; it must be off before its layers can go.
    if let Some(overlay) = &spec.overlay {
        let _ = rustix::mount::unmount(&overlay.merged, rustix::mount::UnmountFlags::DETACH);
    }
    let folder = std::fs::remove_dir_all(&spec.folder).map_err(naming(spec.folder.display()));
    killed?;
    deleted?;
    cgroups?;
    folder
}

/// The main process, before and after its start.
enum Main {
    Own(Stage, u32),
    Runc(RuncSpec, u32),
}

impl Main {
    fn create(spec: &ShimSpec) -> Result<Self, Failure> {
        match &spec.create {
            Create::Own(init) => {
                let mut stage = Stage::start("init", init)?;
                let pid = stage.until_ready()?;
                Ok(Self::Own(stage, pid))
            }
            Create::Runc(runc) => {
                let file = runc.bundle.join("main.pid");
                let bundle = [
                    Path::new("--bundle"),
                    &runc.bundle,
                    Path::new("--pid-file"),
                    &file,
                ];
                runc_command(runc, &["create"], &bundle)?;
                let pid = std::fs::read_to_string(&file).map_err(naming(file.display()))?;
                Ok(Self::Runc(
                    runc.clone(),
                    pid.trim().parse().map_err(naming(file.display()))?,
                ))
            }
        }
    }

    fn pid(&self) -> u32 {
        match self {
            Self::Own(_, pid) | Self::Runc(_, pid) => *pid,
        }
    }

    fn start(&mut self) -> Result<(), Failure> {
        match self {
            Self::Own(stage, _) => stage.release(),
            Self::Runc(runc, _) => runc_command(runc, &["start"], &[]),
        }
    }
}

/// Runs runc; the container inherits its output, which is the container's log.
fn runc_command(runc: &RuncSpec, words: &[&str], options: &[&Path]) -> Result<(), Failure> {
    let RuncSpec { root, bundle, id } = runc;
    let log = bundle.join("log");
    let open = || {
        std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log)
            .map_err(naming(log.display()))
    };
    let reasons = bundle.join("runc.log");
    let status = outside("runc")
        .arg("--root")
        .arg(root)
        .arg("--log")
        .arg(&reasons)
        .args(words)
        .args(options)
        .arg(id)
        .stdin(Stdio::null())
        .stdout(open()?)
        .stderr(open()?)
        .status()
        .map_err(naming("start runc"))?;
    if status.success() {
        return Ok(());
    }
    let reason = std::fs::read_to_string(&reasons).unwrap_or_default();
    Err(format!("runc {} ended with {status}: {}", words.join(" "), reason.trim()).into())
}

/// One line; a reader that has gone away is no reason to stop cleaning up.
fn report(line: &str) {
    let mut pipe = std::io::stdout().lock();
    let _ = pipe
        .write_all(format!("{line}\n").as_bytes())
        .and_then(|()| pipe.flush());
}
