//! The daemon as the demo and the benchmarks run it: a release build, standalone, its alerts read here.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use serde_json::Value;
use testbed::programs::FOLDER_VARIABLE;

use crate::Outcome;
use crate::command::{cargo, target};
use crate::privilege::{self, Privilege};

/// How long the daemon may take to be ready.
const READY: Duration = Duration::from_secs(20);

/// What need not be built.
#[derive(clap::Args)]
pub(crate) struct Given {
    /// Run this daemon, and do not build one
    #[arg(long, value_name = "PATH", global = true)]
    daemon: Option<PathBuf>,
}

/// Builds what is run, and returns the daemon, in a process that is root.
pub(crate) fn prepare(given: &Given) -> Outcome<PathBuf> {
    prepare_program("--daemon", given.daemon.as_deref(), build)
}

/// Builds what is run, unless it is `given`, and returns it, in a process that is root.
///
/// Cargo never runs as root for another user, who could not build any more among files of root's. So whoever is not
/// root builds here, and then this program starts again through sudo and is given what was built, by `option`.
pub(crate) fn prepare_program(
    option: &str,
    given: Option<&Path>,
    build: impl FnOnce(&Path) -> Outcome<PathBuf>,
) -> Outcome<PathBuf> {
    // Whether it can be root at all is asked first: building takes minutes.
    let privilege = Privilege::find();
    if let Privilege::None(why) = privilege {
        return Err(format!(
            "this loads BPF programs and makes containers, which {why}; run it again as root, or as a user who may use sudo"
        )
        .into());
    }
    let program = match given {
        Some(program) => program.to_owned(),
        None => build(&target())?,
    };
    let programs = testbed::programs().map_err(|error| error.to_string())?;
    if privilege == Privilege::Root {
        return Ok(program);
    }
    let folder = programs
        .workload
        .parent()
        .ok_or("the programs lie in no folder")?;
    let mut again = privilege::sudo([(FOLDER_VARIABLE, folder.as_os_str())]);
    again
        .arg(std::env::current_exe()?)
        .args(std::env::args_os().skip(1));
    if given.is_none() {
        again.arg(option).arg(program);
    }
    // In the place of this process, so that the terminal, its signals and the exit status are the command's own.
    Err(format!("sudo cannot be started: {}", again.exec()).into())
}

fn build(target: &Path) -> Outcome<PathBuf> {
    println!("Building the daemon and the programs of the containers …");
    cargo()
        .args(["build", "--quiet", "--release", "-p", "podwarden-daemon"])
        .limit(Duration::from_mins(30))
        .run()?;
    Ok(target.join("release/podwarden-daemon"))
}

/// A running daemon; it is ended when this is dropped.
pub(crate) struct Daemon {
    child: Child,
    alerts: Receiver<Value>,
    log: Receiver<String>,
    state: PathBuf,
}

impl Daemon {
    /// Starts it with its built-in rules only, and waits until it watches.
    pub(crate) fn start(program: &Path) -> Outcome<Self> {
        Self::start_with(program, None)
    }

    /// Starts it with policies and rules, and waits until it watches.
    pub(crate) fn start_with(program: &Path, policies: Option<&Path>) -> Outcome<Self> {
        let state = std::env::temp_dir().join(format!("podwarden-xtask-{}", std::process::id()));
        // It ends with this process, however that ends.
        let mut child = Command::new("setpriv")
            .args(["--pdeathsig", "TERM"])
            .arg(program)
            .args([
                "--standalone",
                "--metrics-address",
                "off",
                "--node-name",
                "this-machine",
                "--alerts",
                "json",
                "--log-level",
                "info",
            ])
            .arg("--state-dir")
            .arg(&state)
            .args(
                policies
                    .into_iter()
                    .flat_map(|path| [OsStr::new("--policy-dir"), path.as_os_str()]),
            )
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("setpriv cannot be started: {error}"))?;
        let alerts = lines(child.stdout.take(), |line| serde_json::from_str(&line).ok());
        let log = lines(child.stderr.take(), Some);
        let daemon = Self {
            child,
            alerts,
            log,
            state,
        };
        let deadline = Instant::now() + READY;
        let mut said = String::new();
        loop {
            match daemon
                .log
                .recv_timeout(deadline.saturating_duration_since(Instant::now()))
            {
                Ok(line) if line.contains("watching") => return Ok(daemon),
                Ok(line) => said.extend(["  ", &line, "\n"]),
                Err(RecvTimeoutError::Timeout) => {
                    return Err(format!("the daemon is not ready after {READY:?}:\n{said}").into());
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(format!("the daemon does not start:\n{said}").into());
                }
            }
        }
    }

    /// The next alert, when there is one in time.
    pub(crate) fn alert(&self, limit: Duration) -> Option<Value> {
        self.alerts.recv_timeout(limit).ok()
    }

    /// The next alert about a container.
    pub(crate) fn alert_of(&self, container: &str, limit: Duration) -> Outcome<Value> {
        let deadline = Instant::now() + limit;
        while let Some(alert) = self.alert(deadline.saturating_duration_since(Instant::now())) {
            if alert["container"]["id"] == container {
                return Ok(alert);
            }
        }
        let log: Vec<String> = self.log.try_iter().collect();
        Err(format!(
            "no alert of {container} within {limit:?}; the daemon says:\n{}",
            log.join("\n")
        )
        .into())
    }

    /// An error where there has been an alert about a container in which nothing is to be found.
    pub(crate) fn is_silent_about(&self, container: &str) -> Outcome {
        match self
            .alerts
            .try_iter()
            .find(|alert| alert["container"]["id"] == container)
        {
            None => Ok(()),
            Some(alert) => Err(format!("a rule holds for what is measured, and alerts cost: {alert}").into()),
        }
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to end and waits until it has.
    pub(crate) fn stop(mut self) -> Outcome {
        end(&mut self.child)?;
        Ok(())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if end(&mut self.child).is_err() {
            drop(self.child.kill());
            drop(self.child.wait());
        }
        drop(std::fs::remove_dir_all(&self.state));
    }
}

/// SIGTERM, and the end within five seconds.
fn end(child: &mut Child) -> Outcome {
    if child.try_wait()?.is_some() {
        return Ok(());
    }
    Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status()?;
    let deadline = Instant::now() + Duration::from_secs(5);
    while child.try_wait()?.is_none() {
        if Instant::now() > deadline {
            return Err("the daemon does not end at SIGTERM".into());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// Reads lines on a thread of its own, so that a full pipe never stops the daemon.
fn lines<T: Send + 'static>(
    from: Option<impl std::io::Read + Send + 'static>,
    read: impl Fn(String) -> Option<T> + Send + 'static,
) -> Receiver<T> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in from
            .into_iter()
            .flat_map(|pipe| BufReader::new(pipe).lines())
            .map_while(Result::ok)
        {
            if let Some(item) = read(line)
                && sender.send(item).is_err()
            {
                break;
            }
        }
    });
    receiver
}
