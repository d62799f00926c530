//! The words: alerts, folded and handed on to delivery. Any thread may tell something, and none waits for long.

use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use runtime_core::alert::{AlertProcess, Health};
use runtime_core::folding::{Folder, SeriesKey};
use runtime_core::{Action, Alert, BootTime, Event, Finding, Pid, RawString, Response, Verdict};

use crate::counters::Counters;
use crate::delivery::Outbox;

/// Reads the kernel's boot-time clock.
pub(crate) type Clock = Arc<dyn Fn() -> BootTime + Send + Sync>;

/// What was done about an event, and the details.
pub(crate) type Taken = (Action, String);

/// Makes alerts of verdicts.
pub(crate) struct Teller {
    /// The node's name.
    node: String,
    /// This process, for what there is to say of it.
    own: AlertProcess,
    clock: Clock,
    counters: Arc<Counters>,
    /// `None` from the end on. It is locked for as long as a map takes, never while anybody waits.
    open: Mutex<Option<Open>>,
}

struct Open {
    folder: Folder,
    outbox: Outbox,
}

impl Teller {
    pub(crate) fn new(node: String, clock: Clock, outbox: Outbox, counters: Arc<Counters>) -> Self {
        let open = Open {
            folder: Folder::default(),
            outbox,
        };
        Self {
            node,
            own: own_process(),
            clock,
            counters,
            open: Mutex::new(Some(open)),
        }
    }

    /// The time.
    pub(crate) fn now(&self) -> BootTime {
        (self.clock)()
    }

    /// What is counted.
    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Tells of every finding of a verdict, and of the one response to its event.
    pub(crate) fn tell(&self, event: &Event, verdict: &Verdict, taken: Option<&Taken>) {
        let now = self.now();
        for finding in verdict.findings() {
            self.counters.findings.add(1);
            let (action, detail) = told(finding, taken);
            let key = SeriesKey::new(event, finding, action);
            let alert = Alert::new(event, finding, &self.node, (action, detail));
            match &mut *self.open() {
                Some(Open { folder, outbox }) => {
                    if let Some(alert) = folder.offer(alert, key, now) {
                        outbox.push(alert);
                    }
                }
                None => self.counters.alerts_lost.add(1),
            }
        }
    }

    /// Tells of something that is wrong with the protection itself.
    pub(crate) fn tell_health(&self, health: Health<'_>) {
        let alert = Alert::health(health, SystemTime::now().into(), &self.node, self.own.clone());
        match &mut *self.open() {
            Some(Open { outbox, .. }) => outbox.push(alert),
            None => self.counters.alerts_lost.add(1),
        }
    }

    /// Sends on what has become due by the passing of time.
    pub(crate) fn tick(&self) {
        if let Some(Open { folder, outbox }) = &mut *self.open() {
            for alert in folder.due(self.now()) {
                outbox.push(alert);
            }
        }
    }

    /// Sends on all that is left to say. What anybody tells from now on is lost, and counted.
    pub(crate) fn finish(&self) {
        if let Some(Open { mut folder, outbox }) = self.open().take() {
            for alert in folder.finish() {
                outbox.push(alert);
            }
        }
    }

    fn open(&self) -> MutexGuard<'_, Option<Open>> {
        // A thread that panicked has at worst not told what it was about to.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// This process as alerts tell of it. What cannot be found out of it is left empty.
fn own_process() -> AlertProcess {
    let raw = |path: PathBuf| RawString::from(path.into_os_string().into_vec().as_slice());
    AlertProcess {
        pid: Pid(std::process::id()),
        path: std::env::current_exe().map(raw).unwrap_or_default(),
        invoked_as: None,
        script: None,
        args: std::env::args_os().map(|arg| raw(arg.into())).collect(),
        args_truncated: false,
        cwd: std::env::current_dir().ok().map(raw),
        uid: rustix::process::getuid().as_raw(),
        start_time: SystemTime::now().into(),
        parent_path: None,
        ancestors: Vec::new(),
    }
}

/// What the alert of one finding tells of the one response to its event.
fn told(finding: &Finding, taken: Option<&Taken>) -> (Action, Option<String>) {
    match (finding.response, taken) {
        (Response::Alert, _) | (_, None) => (Action::Alerted, None),
        (Response::Deny, Some((action, detail))) => (*action, Some(format!("denied by killing: {detail}"))),
        (Response::Kill, Some((action, detail))) => (*action, Some(detail.clone())),
    }
}
