//! A container that exists.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::builder::{Builder, random_hex, write_json};
use crate::cgroup::{self, CgroupDir, Kind};
use crate::error::Error;
use crate::programs::programs;
use crate::spec::{ExecSpec, ProcessSpec, RuncSpec};

/// How long making, starting and removing may take; generous, for virtual machines without acceleration.
const LIMIT: Duration = Duration::from_secs(30);

/// A container. When it is dropped, its processes are killed, and cgroups and files removed.
#[derive(Debug)]
pub struct Container {
    parts: Parts,
    shim: Child,
    control: Option<ChildStdin>,
    reports: Reports,
    pid: u32,
    pidfd: OwnedFd,
    exited: Option<ExitStatus>,
}

/// What the builder knows of a container.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) relative: PathBuf,
    pub(crate) cgroups: Vec<CgroupDir>,
    pub(crate) rootfs: PathBuf,
    pub(crate) upper: Option<PathBuf>,
    pub(crate) folder: PathBuf,
    pub(crate) process: ProcessSpec,
    pub(crate) runc: Option<RuncSpec>,
}

impl Container {
    /// Starts to describe a container.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Starts the shim with its specification and waits until the container is made.
    pub(crate) fn spawn(spec: &Path, parts: Parts) -> Result<Self, Error> {
        let mut shim = Command::new(&programs()?.runtime)
            .arg("shim")
            .arg(spec)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(Error::process("start the shim"))?;
        let control = shim.stdin.take();
        let mut reports = Reports::new(shim.stdout.take());
        let made = (|| {
            let pid = match reports.next("making the container", LIMIT)? {
                Report::Created(pid) => pid,
                other => return Err(other.unexpected()),
            };
            let fd = Pid::from_raw(pid as i32)
                .ok_or(rustix::io::Errno::SRCH)
                .and_then(|pid| pidfd_open(pid, PidfdFlags::empty()))
                .map_err(|error| Error::process("open the main process")(error.into()))?;
            Ok((pid, fd))
        })();
        match made {
            Ok((pid, pidfd)) => Ok(Self {
                parts,
                shim,
                control,
                reports,
                pid,
                pidfd,
                exited: None,
            }),
            Err(error) => {
                // At the end of its control pipe the shim removes what there is, and ends.
                drop(control);
                wait_for(&mut shim, LIMIT)?;
                Err(error)
            }
        }
    }

    /// Lets the main process exec the entrypoint, and returns once it has.
    pub fn start(&mut self) -> Result<(), Error> {
        self.command(b's')?;
        match self.reports.next("starting the container", LIMIT)? {
            Report::Started => Ok(()),
            other => Err(other.unexpected()),
        }
    }

    /// The container's id.
    pub fn id(&self) -> &str {
        &self.parts.id
    }

    /// The container's name.
    pub fn name(&self) -> &str {
        &self.parts.name
    }

    /// The main process's id on the host.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The cgroup's path, below each hierarchy's mount point; starts with `/`.
    pub fn cgroup_path(&self) -> PathBuf {
        Path::new("/").join(&self.parts.relative)
    }

    /// The container's cgroups, one a hierarchy.
    pub fn cgroups(&self) -> &[CgroupDir] {
        &self.parts.cgroups
    }

    /// The container's cgroup in the v2 hierarchy, where there is one.
    pub fn unified_cgroup(&self) -> Option<&CgroupDir> {
        self.parts
            .cgroups
            .iter()
            .find(|cgroup| cgroup.hierarchy.kind == Kind::Unified)
    }

    /// The container's cgroup of a v1 controller, where that is mounted.
    pub fn v1_cgroup(&self, controller: &str) -> Option<&CgroupDir> {
        self.parts
            .cgroups
            .iter()
            .find(|cgroup| match &cgroup.hierarchy.kind {
                Kind::Unified => false,
                Kind::V1(controllers) => controllers.iter().any(|name| name == controller),
            })
    }

    /// The image's folder on the host; with an overlay, its lower layer.
    pub fn image(&self) -> &Path {
        &self.parts.rootfs
    }

    /// The overlay's writable layer on the host.
    pub fn upper(&self) -> Option<&Path> {
        self.parts.upper.as_deref()
    }

    /// The OCI bundle's folder, which holds `config.json` with [`crate::Runtime::Runc`].
    pub fn bundle(&self) -> &Path {
        &self.parts.folder
    }

    /// The folder that runc was given as `--root`; `None` with [`crate::Runtime::Own`].
    pub fn runc_root(&self) -> Option<&Path> {
        self.parts.runc.as_ref().map(|runc| runc.root.as_path())
    }

    /// What the entrypoint wrote so far to its standard output and error.
    pub fn log(&self) -> String {
        std::fs::read(&self.parts.process.output)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// The processes in the container's cgroup, by their ids on the host; sorted.
    pub fn processes(&self) -> Vec<u32> {
        let mut all: Vec<u32> = self
            .parts
            .cgroups
            .iter()
            .flat_map(|cgroup| cgroup::processes(&cgroup.path).unwrap_or_default())
            .collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// True until the main process has ended.
    pub fn is_alive(&self) -> bool {
        matches!(readable(&self.pidfd, Duration::ZERO), Ok(false))
    }

    /// Waits for the main process's end, and returns how it ended. The rest of the container is left as it is.
    pub fn wait(&mut self, limit: Duration) -> Result<ExitStatus, Error> {
        if let Some(status) = self.exited {
            return Ok(status);
        }
        match self.reports.next("the container's end", limit)? {
            Report::Exited(status) => {
                self.exited = Some(status);
                Ok(status)
            }
            other => Err(other.unexpected()),
        }
    }

    /// Runs one more program in the container, as `runc exec` does.
    pub fn exec<I: IntoIterator<Item: AsRef<OsStr>>>(&self, argv: I) -> Result<Exec, Error> {
        let argv: Vec<OsString> = argv.into_iter().map(|arg| arg.as_ref().to_owned()).collect();
        let unique = random_hex(8)?;
        let file = |kind: &str| self.parts.folder.join(format!("exec-{unique}.{kind}"));
        let (pid_file, output) = (file("pid"), file("out"));
        let log = File::create(&output).map_err(Error::file("make", &output))?;
        let mut command = match &self.parts.runc {
            None => {
                let process = ProcessSpec {
                    path: argv.first().cloned().unwrap_or_default(),
                    argv,
                    output: output.clone(),
                    ..self.parts.process.clone()
                };
                let cgroups = self
                    .parts
                    .cgroups
                    .iter()
                    .map(|cgroup| cgroup.path.clone())
                    .collect();
                let spec = file("json");
                write_json(
                    &spec,
                    &ExecSpec {
                        cgroups,
                        pid: self.pid,
                        pid_file: pid_file.clone(),
                        process,
                    },
                )?;
                let mut command = Command::new(&programs()?.runtime);
                command.arg("exec").arg(spec);
                command
            }
            Some(RuncSpec { root, bundle: _, id }) => {
                let mut command = Command::new("runc");
                command
                    .arg("--root")
                    .arg(root)
                    .args(["exec", "--pid-file"])
                    .arg(&pid_file)
                    .arg(id)
                    .args(argv);
                command
            }
        };
        let error = log.try_clone().map_err(Error::file("open", &output))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(error)
            .spawn()
            .map_err(Error::process("start the runtime's exec"))?;
        Ok(Exec {
            child,
            pid_file,
            output,
        })
    }

    /// Kills everything in the container's cgroup, and returns once nothing is left in it.
    pub fn stop(&mut self) -> Result<(), Error> {
        if self.control.is_none() {
            return Ok(());
        }
        self.command(b'k')?;
        loop {
            match self.reports.next("stopping the container", LIMIT)? {
                Report::Exited(status) => self.exited = Some(status),
                Report::Killed => return Ok(()),
                other @ (Report::Created(_) | Report::Started | Report::Failed(_)) => {
                    return Err(other.unexpected());
                }
            }
        }
    }

    /// What dropping does, with its outcome.
    pub fn remove(mut self) -> Result<(), Error> {
        self.tear_down()
    }

    /// Ends the shim's control pipe; the shim then kills, removes and ends.
    fn tear_down(&mut self) -> Result<(), Error> {
        if self.control.take().is_none() {
            return Ok(());
        }
        let status = wait_for(&mut self.shim, LIMIT)?;
        if status.success() {
            return Ok(());
        }
        let mut message = format!("the shim ended with {status}");
        // Whatever it still had to say before its end is the reason.
        while let Ok(report) = self.reports.next("the shim's last words", Duration::from_secs(1)) {
            if let Report::Failed(reason) = report {
                message = reason;
            }
        }
        Err(Error::Runtime { message })
    }

    fn command(&mut self, command: u8) -> Result<(), Error> {
        self.control
            .as_mut()
            .ok_or_else(|| io::Error::from(io::ErrorKind::BrokenPipe))
            .and_then(|control| control.write_all(&[command]))
            .map_err(Error::process("tell the shim"))
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if let Err(error) = self.tear_down() {
            // A drop cannot fail, and a test should not pass over this in silence.
            eprintln!("container {} was not removed: {error}", self.parts.id);
        }
    }
}

/// A program that was started in a container after its entrypoint.
#[derive(Debug)]
pub struct Exec {
    child: Child,
    pid_file: PathBuf,
    output: PathBuf,
}

/// What a program in a container did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote to standard output and error.
    pub text: String,
}

impl Exec {
    /// Its id on the host; waits until the runtime has made the process.
    pub fn pid(&self) -> Result<u32, Error> {
        let deadline = Instant::now() + LIMIT;
        loop {
            // An empty file is one that the runtime is still writing.
            match std::fs::read_to_string(&self.pid_file)
                .ok()
                .and_then(|text| text.trim().parse().ok())
            {
                Some(pid) => return Ok(pid),
                None if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(1)),
                None => {
                    return Err(Error::Timeout {
                        what: "the new process",
                        limit: LIMIT,
                    });
                }
            }
        }
    }

    /// Waits for its end.
    pub fn wait(mut self, limit: Duration) -> Result<Output, Error> {
        let status = wait_for(&mut self.child, limit)?;
        let bytes = std::fs::read(&self.output).map_err(Error::file("read", &self.output))?;
        Ok(Output {
            status,
            text: String::from_utf8_lossy(&bytes).into_owned(),
        })
    }
}

impl Drop for Exec {
    fn drop(&mut self) {
        // Where it was not waited for: the program itself is the container's and ends with it.
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// What the shim says, a line each.
enum Report {
    Created(u32),
    Started,
    Exited(ExitStatus),
    Killed,
    Failed(String),
}

impl Report {
    fn parse(line: &str) -> Self {
        let (kind, value) = line.split_once(' ').unwrap_or((line, ""));
        match (kind, value.parse::<i32>()) {
            ("created", Ok(pid)) => Self::Created(pid as u32),
            ("exited", Ok(raw)) => Self::Exited(ExitStatus::from_raw(raw)),
            ("started", _) => Self::Started,
            ("killed", _) => Self::Killed,
            ("error", _) => Self::Failed(value.to_owned()),
            _ => Self::Failed(line.to_owned()),
        }
    }

    fn unexpected(self) -> Error {
        let message = match self {
            Self::Failed(message) => message,
            Self::Exited(status) => format!("the main process ended early, {status}"),
            Self::Created(_) | Self::Started | Self::Killed => "it answers out of turn".to_owned(),
        };
        Error::Runtime { message }
    }
}

/// The shim's reports, read with a time limit.
#[derive(Debug)]
struct Reports {
    pipe: Option<ChildStdout>,
    buffer: Vec<u8>,
}

impl Reports {
    fn new(pipe: Option<ChildStdout>) -> Self {
        Self {
            pipe,
            buffer: Vec::new(),
        }
    }

    fn next(&mut self, what: &'static str, limit: Duration) -> Result<Report, Error> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Ok(Report::parse(String::from_utf8_lossy(&line).trim_end()));
            }
            let pipe = self.pipe.as_mut().ok_or(Error::Runtime {
                message: "the shim has no pipe".to_owned(),
            })?;
            let left = deadline.saturating_duration_since(Instant::now());
            if !readable(pipe, left).map_err(Error::process("wait for the shim"))? {
                return Err(Error::Timeout { what, limit });
            }
            let mut chunk = [0; 4096];
            let length = pipe
                .read(&mut chunk)
                .map_err(Error::process("read from the shim"))?;
            if length == 0 {
                return Err(Error::Runtime {
                    message: format!("the shim ended during {what}"),
                });
            }
            self.buffer.extend_from_slice(&chunk[..length]);
        }
    }
}

/// Waits for a child of ours, through a pidfd: no polling, whose sleeps would show in measurements.
fn wait_for(child: &mut Child, limit: Duration) -> Result<ExitStatus, Error> {
    let done = |child: &mut Child| child.try_wait().map_err(Error::process("wait for the runtime"));
    if let Some(status) = done(child)? {
        return Ok(status);
    }
    let pid = Pid::from_child(child);
    let pidfd = pidfd_open(pid, PidfdFlags::empty())
        .map_err(|error| Error::process("open the runtime's process")(error.into()))?;
    readable(&pidfd, limit).map_err(Error::process("wait for the runtime"))?;
    done(child)?.ok_or(Error::Timeout {
        what: "the runtime's end",
        limit,
    })
}

/// True when `fd` becomes readable within the limit.
fn readable(fd: &impl AsFd, limit: Duration) -> io::Result<bool> {
    let deadline = Instant::now() + limit;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec {
            tv_sec: left.as_secs() as i64,
            tv_nsec: i64::from(left.subsec_nanos()),
        };
        match poll(&mut [PollFd::new(fd, PollFlags::IN)], Some(&timeout)) {
            Ok(count) => return Ok(count > 0),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
