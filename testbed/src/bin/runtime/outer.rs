//! The side of the stages that stays outside of the container.

use std::io::{BufRead, BufReader};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, ExitStatus, Stdio};

use rustix::process::{Pid, WaitOptions, waitpid};
use testbed::spec::ExecSpec;
use testbed::sys;

use crate::{Failure, naming, read_spec};

/// An inner stage at work, and later the process that came of it.
pub(crate) struct Stage {
    child: Child,
    reports: BufReader<ChildStdout>,
    gate: Option<ChildStdin>,
    /// The process that came of it, when it is known.
    pub(crate) pid: Option<u32>,
}

impl Stage {
    /// Starts an inner stage of this program.
    pub(crate) fn start(command: &str, spec: &Path) -> Result<Self, Failure> {
        let mut child = outside("/proc/self/exe")
            .arg(command)
            .arg(spec)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(naming("start the inner stage"))?;
        let reports = BufReader::new(child.stdout.take().ok_or("the inner stage has no pipe")?);
        let gate = child.stdin.take();
        Ok(Self {
            child,
            reports,
            gate,
            pid: None,
        })
    }

    /// Reads reports until the process is known and ready for its start.
    pub(crate) fn until_ready(&mut self) -> Result<u32, Failure> {
        let mut ready = false;
        while !ready || self.pid.is_none() {
            let line = self.line()?.ok_or("the inner stage ended early")?;
            match line.split_once(' ').unwrap_or((&line, "")) {
                ("pid", pid) => self.pid = Some(pid.parse().map_err(naming("the inner stage's report"))?),
                ("ready", _) => ready = true,
                (_, reason) => return Err(reason.into()),
            }
        }
        self.child.wait().map_err(naming("wait for the inner stage"))?;
        self.pid.ok_or_else(|| "no process".into())
    }

    /// Lets the process exec, and returns when it has: the exec closes its end of the report pipe.
    pub(crate) fn release(&mut self) -> Result<(), Failure> {
        use std::io::Write;
        let mut gate = self.gate.take().ok_or("it was started before")?;
        gate.write_all(b"s").map_err(naming("open the gate"))?;
        self.until_executed()
    }

    fn until_executed(&mut self) -> Result<(), Failure> {
        while let Some(line) = self.line()? {
            match line.split_once(' ').unwrap_or((&line, "")) {
                ("pid", pid) => self.pid = Some(pid.parse().map_err(naming("the inner stage's report"))?),
                (_, reason) => return Err(reason.into()),
            }
        }
        Ok(())
    }

    fn line(&mut self) -> Result<Option<String>, Failure> {
        let mut line = String::new();
        let length = self
            .reports
            .read_line(&mut line)
            .map_err(naming("read the inner stage's report"))?;
        Ok((length > 0).then(|| line.trim_end().to_owned()))
    }
}

/// A command that starts with no signal blocked, whatever this process blocks.
pub(crate) fn outside(program: &str) -> Command {
    let mut command = Command::new(program);
    // SAFETY: the closure makes one system call, allocates nothing and takes no lock.
    unsafe { command.pre_exec(sys::unblock_child_signals) };
    command
}

/// `exec`: runs a program in a container, waits for it and ends as it did.
pub(crate) fn exec(path: &Path) -> Result<ExitCode, Failure> {
    let spec: ExecSpec = read_spec(path)?;
    let mut stage = Stage::start("enter", path)?;
    // The id is told before the exec is over, as by runc: a short-lived program is still worth naming.
    let outcome = stage.until_executed();
    if let Some(pid) = stage.pid {
        std::fs::write(&spec.pid_file, pid.to_string()).map_err(naming(spec.pid_file.display()))?;
    }
    stage.child.wait().map_err(naming("wait for the inner stage"))?;
    outcome?;
    let pid = stage
        .pid
        .and_then(|pid| Pid::from_raw(pid as i32))
        .ok_or("the inner stage gave no process")?;
    let (_, status) = waitpid(Some(pid), WaitOptions::empty())
        .map_err(naming("wait for the program"))?
        .ok_or("the program cannot be waited for")?;
    let status = ExitStatus::from_raw(status.as_raw());
    // A shell's and runc's convention for a program that a signal ended.
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal))
        .unwrap_or(1);
    Ok(ExitCode::from(code as u8))
}
