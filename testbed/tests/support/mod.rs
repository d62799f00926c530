//! The daemon's program as the tests run it: started, read line by line, and ended.

pub(crate) mod bpf;

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// For anything that must happen; generous, for virtual machines without acceleration.
pub(crate) const LIMIT: Duration = Duration::from_mins(1);

const NAME: &str = "podwarden-daemon";

/// A second daemon on this machine would kill what a test wants to see spared by the first.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// The right to run daemons; a test that starts several after each other keeps it in between.
pub(crate) struct Turn {
    _lock: MutexGuard<'static, ()>,
}

impl Turn {
    pub(crate) fn take() -> Self {
        // A test that failed says nothing about the next one.
        let lock = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        Self { _lock: lock }
    }

    /// A daemon with the built-in rules and the default policy.
    pub(crate) fn daemon(&self) -> Daemon<'_> {
        self.start(None, |_| {})
    }

    /// A daemon with the files of a policy directory.
    pub(crate) fn daemon_with(&self, policies: &Path) -> Daemon<'_> {
        self.start(Some(policies), |_| {})
    }

    /// A daemon whose command was changed before it was started; returns once it watches.
    pub(crate) fn start(&self, policies: Option<&Path>, change: impl FnOnce(&mut Command)) -> Daemon<'_> {
        let state = tempfile::tempdir().unwrap();
        let mut command = Command::new(program());
        // Nothing of this process's own environment may configure the daemon.
        for (name, _) in std::env::vars_os() {
            if name.as_encoded_bytes().starts_with(b"PODWARDEN_") || name == "RUST_LOG" {
                command.env_remove(name);
            }
        }
        command
            .args(["--standalone", "--node-name", "test-node", "--alerts", "json"])
            // Several daemons run at once.
            .args(["--metrics-address", "127.0.0.1:0"])
            .arg("--state-dir")
            .arg(state.path())
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(folder) = policies {
            command.arg("--policy-dir").arg(folder);
        }
        change(&mut command);
        let spawned = Instant::now();
        let mut child = command.spawn().unwrap();
        let (output, output_reader) = lines(child.stdout.take());
        let (log, log_reader) = lines(child.stderr.take());
        let mut daemon = Daemon {
            child,
            output,
            log,
            readers: vec![output_reader, log_reader],
            said: String::new(),
            alerts: Vec::new(),
            spawned,
            ready: Duration::ZERO,
            _state: state,
            _turn: self,
        };
        daemon.wait_for_log("watching");
        daemon.ready = spawned.elapsed();
        daemon
    }
}

/// A running daemon; a test that fails kills it.
pub(crate) struct Daemon<'a> {
    child: Child,
    output: Receiver<Vec<u8>>,
    log: Receiver<Vec<u8>>,
    readers: Vec<JoinHandle<()>>,
    said: String,
    alerts: Vec<Value>,
    /// When it was started.
    pub(crate) spawned: Instant,
    /// How long it took from there until it said that it watches.
    pub(crate) ready: Duration,
    _state: tempfile::TempDir,
    /// As long as this one may run, no other test starts one.
    _turn: &'a Turn,
}

impl Daemon<'_> {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// All that it has logged so far.
    pub(crate) fn log(&mut self) -> &str {
        while let Ok(line) = self.log.try_recv() {
            self.note(&line);
        }
        &self.said
    }

    /// Waits until it logs a text that it has not logged before this call.
    pub(crate) fn wait_for_log(&mut self, text: &str) {
        let deadline = Instant::now() + LIMIT;
        loop {
            match self
                .log
                .recv_timeout(deadline.saturating_duration_since(Instant::now()))
            {
                Ok(line) => {
                    self.note(&line);
                    if String::from_utf8_lossy(&line).contains(text) {
                        return;
                    }
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("the daemon never said {text:?}; it said:\n{}", self.said)
                }
            }
        }
    }

    /// The next alert that is wanted, waiting for it. Every line is checked on the way.
    pub(crate) fn alert(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        self.alert_within(LIMIT, wanted).unwrap_or_else(|| {
            panic!(
                "no alert of {what}; alerts: {:#?}\nlog:\n{}",
                self.alerts.clone(),
                self.log()
            )
        })
    }

    /// The next alert that is wanted, when there is one in time.
    pub(crate) fn alert_within(&mut self, limit: Duration, wanted: impl Fn(&Value) -> bool) -> Option<Value> {
        let deadline = Instant::now() + limit;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.output.recv_timeout(left).ok()?;
            let alert = check_line(&line);
            self.alerts.push(alert.clone());
            if wanted(&alert) {
                return Some(alert);
            }
        }
    }

    /// SIGKILL, with nothing to clean up after itself.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM. Gives how it ended, after how long, and every alert that it ever wrote.
    pub(crate) fn stop(mut self) -> (ExitStatus, Duration, Vec<Value>) {
        let begin = Instant::now();
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        let status = wait(&mut self.child, LIMIT);
        let took = begin.elapsed();
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        while let Ok(line) = self.output.try_recv() {
            self.alerts.push(check_line(&line));
        }
        (status, took, std::mem::take(&mut self.alerts))
    }

    fn note(&mut self, line: &[u8]) {
        self.said.push_str(&String::from_utf8_lossy(line));
    }
}

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        if self.is_alive() {
            self.kill();
        }
    }
}

/// One line of standard output: an alert as the published schema says, and nothing that harms a terminal.
fn check_line(line: &[u8]) -> Value {
    static SCHEMA: OnceLock<jsonschema::Validator> = OnceLock::new();
    let schema = SCHEMA.get_or_init(|| {
        let schema = serde_json::from_str(runtime_core::alert::ALERT_SCHEMA).unwrap();
        jsonschema::options()
            .should_validate_formats(true)
            .build(&schema)
            .unwrap()
    });
    let text = String::from_utf8_lossy(line);
    let Some((b'\n', body)) = line.split_last() else {
        panic!("half a line on standard output: {text:?}");
    };
    assert!(
        !body.iter().any(u8::is_ascii_control),
        "a control character on standard output: {text:?}"
    );
    let alert: Value = serde_json::from_slice(body)
        .unwrap_or_else(|error| panic!("no JSON on standard output: {error}: {text:?}"));
    let errors: Vec<String> = schema
        .iter_errors(&alert)
        .map(|error| error.to_string())
        .collect();
    assert!(errors.is_empty(), "{errors:#?} in {alert:#}");
    alert
}

/// A policy directory with these files.
pub(crate) fn mk_policies(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

/// Waits, for at most the usual limit, until something holds.
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !holds() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The daemon's program: named by the environment, beside the test, or built here once.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        if let Some(named) = std::env::var_os("PODWARDEN_DAEMON") {
            return named.into();
        }
        let here = std::env::current_exe().unwrap();
        // Where the testbed's own programs are, as in a virtual machine, or beside this test.
        let programs = std::env::var_os("TESTBED_PROGRAMS").map(PathBuf::from);
        let beside = programs
            .iter()
            .map(PathBuf::as_path)
            .chain(here.ancestors().skip(1).take(2))
            .map(|folder| folder.join(NAME))
            .find(|path| path.is_file());
        // Where cargo is at hand, whatever lies there is brought up to date first: it may be an old one.
        build()
            .or(beside)
            .expect("there is neither a daemon nor cargo to build it with")
    })
}

/// Builds the daemon, as it is released: a test asks how soon it is ready in a storm. `None` where there is no
/// cargo or nothing to build from, as in a virtual machine.
fn build() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent()?;
    if !root.join("Cargo.toml").is_file() {
        return None;
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsStr::new("cargo").to_owned());
    let mut child = Command::new(cargo)
        .args(["build", "--quiet", "--release", "--package", NAME, "--bin", NAME])
        .current_dir(root)
        .stdin(Stdio::null())
        .spawn()
        .ok()?;
    let status = wait(&mut child, Duration::from_mins(10));
    assert!(status.success(), "the daemon does not build: {status}");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    Some(target.join("release").join(NAME))
}

fn wait(child: &mut Child, limit: Duration) -> ExitStatus {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if Instant::now() >= deadline {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("process {} did not end within {limit:?}", child.id());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Reads lines on a thread of its own, so that a full pipe never stops the daemon.
fn lines(pipe: Option<impl Read + Send + 'static>) -> (Receiver<Vec<u8>>, JoinHandle<()>) {
    let (sender, receiver) = channel();
    let mut pipe = BufReader::new(pipe.unwrap());
    let reader = std::thread::spawn(move || {
        let mut line = Vec::new();
        while pipe.read_until(b'\n', &mut line).is_ok_and(|length| length > 0)
            && sender.send(std::mem::take(&mut line)).is_ok()
        {}
    });
    (receiver, reader)
}
