//! Programs that xtask starts, each with a time limit; and where the project's folders are.

use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::Outcome;
use crate::privilege::{self, Privilege};

/// The status of a program that `timeout` had to end.
const TIMED_OUT: i32 = 124;

/// The workspace's root folder.
pub(crate) fn root() -> PathBuf {
    // Cargo says it at run time; the one at build time serves a binary that is started by hand.
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    manifest.parent().map(Path::to_path_buf).unwrap_or(manifest)
}

/// Cargo's target folder.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |path| root().join(path))
}

/// The cargo that started this program.
pub(crate) fn cargo() -> Limited {
    // Not the one toolchain's cargo that the environment names: `cargo +nightly` must stay possible.
    Limited::new("cargo")
}

/// True when `program` is on the PATH.
pub(crate) fn is_installed(program: &str) -> bool {
    let usual = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(usual)
        .any(|folder| folder.join(program).is_file())
}

/// A program with a time limit. It, and what it starts, ends with xtask.
pub(crate) struct Limited {
    program: std::ffi::OsString,
    command: Vec<std::ffi::OsString>,
    folder: PathBuf,
    env: Vec<(String, std::ffi::OsString)>,
    removed: Vec<&'static str>,
    limit: Duration,
    through_sudo: bool,
}

impl Limited {
    /// A program that may run for ten minutes, in the workspace's root.
    pub(crate) fn new(program: impl AsRef<OsStr>) -> Self {
        let program = program.as_ref().to_owned();
        let (command, env, removed) = (Vec::new(), Vec::new(), Vec::new());
        Self {
            program,
            command,
            folder: root(),
            env,
            removed,
            limit: Duration::from_mins(10),
            through_sudo: false,
        }
    }

    /// The same as root; an error where this user cannot become that.
    pub(crate) fn as_root(program: impl AsRef<OsStr>) -> Outcome<Self> {
        let through_sudo = match Privilege::find() {
            Privilege::Root => false,
            Privilege::Sudo => true,
            Privilege::None(why) => return Err(format!("{} {why}", program.as_ref().display()).into()),
        };
        Ok(Self {
            through_sudo,
            ..Self::new(program)
        })
    }

    pub(crate) fn args<I: IntoIterator<Item: AsRef<OsStr>>>(mut self, args: I) -> Self {
        self.command
            .extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.to_owned(), value.as_ref().to_owned()));
        self
    }

    pub(crate) fn env_remove(mut self, name: &'static str) -> Self {
        self.removed.push(name);
        self
    }

    pub(crate) fn folder(mut self, folder: impl AsRef<Path>) -> Self {
        folder.as_ref().clone_into(&mut self.folder);
        self
    }

    pub(crate) fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Runs it with this terminal; an error where it fails or takes too long.
    pub(crate) fn run(self) -> Outcome {
        let status = self.prepare().status().map_err(|error| self.named(&error))?;
        end_if_interrupted(status);
        match status.code() {
            Some(TIMED_OUT) => Err(self.too_long()),
            code => judge(&self.to_string(), code),
        }
    }

    /// Runs it and returns what it wrote to standard output; its errors go to this terminal.
    pub(crate) fn read(self) -> Outcome<String> {
        let mut text = String::new();
        let add = |line: &str| {
            text.push_str(line);
            text.push('\n');
        };
        let shown = self.to_string();
        let code = self.stream(add)?;
        judge(&shown, code)?;
        Ok(text)
    }

    /// Runs it, hands each line that it writes to `line` and returns its exit status.
    pub(crate) fn stream(self, mut line: impl FnMut(&str)) -> Outcome<Option<i32>> {
        let mut child = self
            .prepare()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| self.named(&error))?;
        let mut pipe = child.stdout.take().ok_or("the program has no pipe")?;
        let (mut chunk, mut pending) = (vec![0; 65536], Vec::new());
        loop {
            let length = pipe.read(&mut chunk)?;
            pending.extend_from_slice(&chunk[..length]);
            while let Some(end) = pending.iter().position(|byte| *byte == b'\n') {
                let whole: Vec<u8> = pending.drain(..=end).collect();
                line(String::from_utf8_lossy(&whole).trim_end());
            }
            if length == 0 {
                break;
            }
        }
        if !pending.is_empty() {
            line(String::from_utf8_lossy(&pending).trim_end());
        }
        let status = child.wait()?;
        end_if_interrupted(status);
        let status = status.code();
        if status == Some(TIMED_OUT) {
            return Err(self.too_long());
        }
        Ok(status)
    }

    /// `setpriv` ends `timeout` with xtask, and `timeout` ends the program with all that it started.
    fn prepare(&self) -> Command {
        let env = self
            .env
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_os_str()));
        let mut command = if self.through_sudo {
            let mut command = privilege::sudo(env);
            command.arg("setpriv");
            command
        } else {
            let mut command = Command::new("setpriv");
            command.envs(env);
            command
        };
        command.args(["--pdeathsig", "TERM", "timeout", "--kill-after", "10"]);
        if self.through_sudo {
            // Otherwise `timeout` goes into the background, where a CTRL-C does not reach it; and when it comes to
            // xtask only, the signal of `setpriv` is for the end of sudo, which a CTRL-C does not end.
            command.arg("--foreground");
        }
        command
            .arg(self.limit.as_secs().to_string())
            .arg(&self.program)
            .args(&self.command)
            .current_dir(&self.folder)
            // It describes xtask, and a program of ours would take it for its own.
            .env_remove("CARGO_MANIFEST_DIR");
        for name in &self.removed {
            command.env_remove(name);
        }
        command
    }

    fn too_long(&self) -> Box<dyn std::error::Error + Send + Sync> {
        format!("{self} took longer than {:?}", self.limit).into()
    }

    fn named(&self, error: &std::io::Error) -> String {
        format!("{self} cannot be started: {error}")
    }
}

/// A CTRL-C is meant for xtask too, and does not reach it where sudo gives the program a terminal of its own.
fn end_if_interrupted(status: ExitStatus) {
    const SIGINT: i32 = 2;
    if status.signal() == Some(SIGINT) {
        eprintln!("xtask: interrupted");
        std::process::exit(128 + SIGINT);
    }
}

fn judge(shown: &str, code: Option<i32>) -> Outcome {
    match code {
        Some(0) => Ok(()),
        Some(code) => Err(format!("{shown} ended with status {code}").into()),
        None => Err(format!("{shown} was ended by a signal").into()),
    }
}

impl std::fmt::Display for Limited {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}", self.program.display())?;
        for arg in self.command.iter().take(6) {
            write!(f, " {}", arg.display())?;
        }
        f.write_str(if self.command.len() > 6 { " …`" } else { "`" })
    }
}
