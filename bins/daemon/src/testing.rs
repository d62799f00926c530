//! In-memory stand-ins for everything outside.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use runtime_core::event::{Exec, Outcome, Trust};
use runtime_core::ports::{Kill, KillOutcome, KillReport, KillStep, KillUnderWay, PortError};
use runtime_core::process::{
    Credentials, InvokedName, Namespaces, Parent, ParentExe, Process, ProcessIdentity,
};
use runtime_core::{
    Activity, Alert, AlertSink, BootTime, CgroupId, Container, ContainerId, EngineKind, Event, FileId,
    Finding, Needs, Pid, RawString, Responder, Response, RuleRef, SensorItem, Severity, Timestamp, Verdict,
};

use crate::guard::Judge;

pub(crate) fn mk_container(id: &str) -> Arc<Container> {
    // A cgroup of its own for each, as the kernel gives it.
    let cgroup = id.bytes().fold(9, |sum, byte| sum * 31 + u64::from(byte));
    Arc::new(Container::unknown(ContainerId::new(id), CgroupId(cgroup)))
}

/// The exec of `path` in the container `id`, one millisecond after the machine started.
pub(crate) fn mk_event(id: &str, path: &str) -> Event {
    let file = FileId { device: 1, inode: 2 };
    let args = vec![RawString::from(path)];
    let process = Process {
        origin: None,
        pid: Pid(42),
        container_pid: Pid(7),
        start_boot: BootTime::from_nanos(5),
        start_time: Timestamp::default(),
        exe: path.into(),
        file,
        identity: ProcessIdentity::resolve(&path.into(), InvokedName::Descriptor, &args, b"/"),
        args,
        args_truncated: false,
        args_count: 1,
        cwd: "/".into(),
        comm: "x".into(),
        credentials: Credentials::default(),
        cgroup: CgroupId(9),
        namespaces: Namespaces::default(),
        parent: Parent {
            pid: Pid(41),
            start_boot: BootTime::from_nanos(1),
            exe: ParentExe::Runtime,
            inferred: false,
        },
        ancestors: Vec::new(),
    };
    Event {
        time: Timestamp::from_unix_nanos(1_795_000_000_000_000_000),
        boot_time: BootTime::from_nanos(1_000_000),
        outcome: Outcome::Done,
        trust: Trust::Kernel,
        call: None,
        container: Some(mk_container(id)),
        process: Arc::new(process),
        activity: Activity::Exec(Exec {
            path: path.into(),
            file,
            size: 3,
            origin: None,
            deleted: false,
            sha256: None,
            startup: false,
        }),
    }
}

pub(crate) fn exec(id: &str, path: &str) -> SensorItem {
    SensorItem::Event(mk_event(id, path))
}

pub(crate) fn mk_finding(rule: &str, response: Response) -> Finding {
    let rule = RuleRef {
        id: rule.into(),
        name: rule.into(),
        title: rule.into(),
        tags: Vec::new(),
    };
    Finding {
        engine: EngineKind::Signatures,
        rule: Arc::new(rule),
        severity: Severity::High,
        response,
        output: None,
    }
}

/// Finds in an exec every rule whose name the path contains.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ByPath(pub(crate) Vec<(String, Response)>);

impl ByPath {
    pub(crate) fn new(rules: &[(&str, Response)]) -> Self {
        Self(
            rules
                .iter()
                .map(|(rule, response)| ((*rule).to_owned(), *response))
                .collect(),
        )
    }
}

impl Judge for ByPath {
    fn judge(&mut self, event: &Event) -> Option<Verdict> {
        let path = event.process.exe.to_string();
        let found = self.0.iter().filter(|(rule, _)| path.contains(rule.as_str()));
        Verdict::merge(
            found
                .map(|(rule, response)| mk_finding(rule, *response))
                .collect(),
        )
    }

    fn needs(&self) -> Needs {
        Needs::everything()
    }

    fn forget(&mut self, _: &ContainerId) {}
}

/// Writes down whom it was asked to kill.
#[derive(Debug, Clone)]
pub(crate) struct FakeKiller {
    pub(crate) killed: Arc<Mutex<Vec<String>>>,
    pub(crate) outcome: KillOutcome,
    /// Where containers do not die at once.
    pub(crate) dying: Option<FakeDying>,
}

impl FakeKiller {
    pub(crate) fn new() -> Self {
        let report = KillReport {
            processes: Some(2),
            signalled: None,
            took: Duration::from_micros(400),
        };
        Self {
            killed: Arc::default(),
            outcome: KillOutcome::Killed(report),
            dying: None,
        }
    }
}

impl Responder for FakeKiller {
    fn kill(&mut self, container: &Container) -> Kill {
        self.killed.lock().unwrap().push(container.id.to_string());
        match &self.dying {
            Some(dying) => Kill::Begun(Box::new(dying.clone())),
            None => Kill::Over(self.outcome.clone()),
        }
    }
}

/// Containers that die when the test says so.
#[derive(Debug, Clone, Default)]
pub(crate) struct FakeDying {
    /// How each of them ends, as soon as that is known.
    pub(crate) outcome: Arc<Mutex<Option<KillOutcome>>>,
    /// How often it was looked at.
    pub(crate) steps: Arc<Mutex<u32>>,
}

impl KillUnderWay for FakeDying {
    fn step(&mut self) -> KillStep {
        *self.steps.lock().unwrap() += 1;
        match &*self.outcome.lock().unwrap() {
            Some(outcome) => KillStep::Over(outcome.clone()),
            None => KillStep::Again(Duration::from_millis(1)),
        }
    }
}

/// Keeps what it is given.
#[derive(Debug, Clone, Default)]
pub(crate) struct FakeSink(pub(crate) Arc<Mutex<Vec<Alert>>>);

impl AlertSink for FakeSink {
    fn deliver(&mut self, alert: &Alert) -> Result<(), PortError> {
        self.0.lock().unwrap().push(alert.clone());
        Ok(())
    }
}
