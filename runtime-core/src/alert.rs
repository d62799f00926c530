//! Alerts: what leaves the node, in the published shape.
//!
//! Serialised with serde an [`Alert`] is one JSON object as `schema/alert.schema.json` describes it. Keys may
//! be added in later versions; none is renamed or taken away. What is not known is `null`.

use serde::{Deserialize, Serialize};
use uuid::{NoContext, Uuid};

use crate::container::{Container, PodGroup, PodRef};
use crate::event::{Activity, Event, Origin};
use crate::finding::{EngineKind, Finding, Severity};
use crate::id::{ContainerId, Pid, Sha256Digest};
use crate::process::{Ancestor, Process, ProcessIdentity};
use crate::raw::RawString;
use crate::time::Timestamp;

/// The JSON Schema (draft 2020-12) that every alert satisfies.
pub const ALERT_SCHEMA: &str = include_str!("../schema/alert.schema.json");

/// One alert: one finding about one event, with what was done about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Alert {
    /// A UUIDv7: unique, and ordered by time.
    pub id: Uuid,
    /// When the event happened.
    pub time: Timestamp,
    /// The engine that found it.
    pub engine: EngineKind,
    /// The rule's id.
    pub rule: String,
    /// What happened, for a person.
    pub title: String,
    /// How bad it is.
    pub severity: Severity,
    /// The rule's tags.
    pub tags: Vec<String>,
    /// What was done.
    pub action: Action,
    /// Details of what was done, or why it was not.
    pub action_detail: Option<String>,
    /// The node's name.
    pub node: String,
    /// The pod group.
    pub pod_group: Option<PodGroup>,
    /// The pod.
    pub pod: Option<PodRef>,
    /// The container.
    pub container: Option<AlertContainer>,
    /// Who did it.
    pub process: AlertProcess,
    /// What was done by the process.
    pub activity: AlertActivity,
    /// How many times it happened, this one included.
    pub count: u64,
    /// The first alert of a series that this one closes.
    pub repeat_of: Option<Uuid>,
}

/// What was done about a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Nothing but this alert.
    Alerted,
    /// The container was killed.
    Killed,
    /// The action was refused before it took place.
    Denied,
    /// A response was asked for and could not be carried out.
    Failed,
}

/// The container part of an alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AlertContainer {
    /// The runtime's id.
    pub id: ContainerId,
    /// The container's name.
    pub name: Option<String>,
    /// The image reference.
    pub image: Option<String>,
}

/// The process part of an alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AlertProcess {
    /// Process id on the host.
    pub pid: Pid,
    /// The executable's path in the container.
    pub path: RawString,
    /// The name it was invoked by, where that is another one.
    pub invoked_as: Option<RawString>,
    /// The script that the kernel started it for.
    pub script: Option<RawString>,
    /// The arguments, the zeroth among them.
    pub args: Vec<RawString>,
    /// True when not all arguments are in `args`.
    pub args_truncated: bool,
    /// The working directory.
    pub cwd: Option<RawString>,
    /// Real user id on the host.
    pub uid: u32,
    /// When the process started.
    pub start_time: Timestamp,
    /// The path of the process that forked it, `(runtime)` for one outside the container.
    pub parent_path: Option<RawString>,
    /// Its ancestors in the container, nearest first.
    pub ancestors: Vec<Ancestor>,
}

impl From<&Process> for AlertProcess {
    fn from(process: &Process) -> Self {
        let ProcessIdentity {
            path,
            invoked_as,
            argv0,
            applet: _,
            script,
        } = &process.identity;
        Self {
            pid: process.pid,
            path: path.clone(),
            invoked_as: argv0.clone().or_else(|| invoked_as.clone()),
            script: script.clone(),
            args: process.args.clone(),
            args_truncated: process.args_truncated,
            cwd: (!process.cwd.is_empty()).then(|| process.cwd.clone()),
            uid: process.credentials.uid,
            start_time: process.start_time,
            parent_path: process.parent.exe.to_text(),
            ancestors: process.ancestors.clone(),
        }
    }
}

/// What the process did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum AlertActivity {
    /// It executed a file.
    Exec {
        /// The file's path in the container.
        path: RawString,
        /// The content's digest, where it was computed.
        sha256: Option<Sha256Digest>,
        /// The file's size in bytes.
        size: Option<u64>,
        /// Where the content comes from.
        origin: Option<Origin>,
    },
    /// Something that has no shape of its own.
    Other {
        /// What was done.
        op: String,
        /// To what.
        target: Option<RawString>,
    },
}

impl From<&Activity> for AlertActivity {
    fn from(activity: &Activity) -> Self {
        match activity {
            Activity::Exec(exec) => Self::Exec {
                path: exec.path.clone(),
                sha256: exec.sha256,
                size: Some(exec.size),
                origin: exec.origin,
            },
            Activity::Fork => Self::Other {
                op: "fork".into(),
                target: None,
            },
            Activity::Exit(_) => Self::Other {
                op: "exit".into(),
                target: None,
            },
        }
    }
}

impl Alert {
    /// The alert that tells of `finding` in `event` on the node `node`, and of the action taken.
    pub fn new(event: &Event, finding: &Finding, node: &str, taken: (Action, Option<String>)) -> Self {
        let container = event.container.as_deref();
        let (action, action_detail) = taken;
        Self {
            id: time_ordered_id(event.time),
            time: event.time,
            engine: finding.engine,
            rule: finding.rule.id.clone(),
            title: finding.rule.title.clone(),
            severity: finding.severity,
            tags: finding.rule.tags.clone(),
            action,
            action_detail,
            node: node.to_owned(),
            pod_group: container.and_then(|c| c.pod_group.clone()),
            pod: container.and_then(|c| c.pod.clone()),
            container: container.map(AlertContainer::from),
            process: AlertProcess::from(event.process.as_ref()),
            activity: AlertActivity::from(&event.activity),
            count: 1,
            repeat_of: None,
        }
    }

    /// The line that closes a series of repeats of this alert: `count` of them after this first one, the
    /// last at `time`.
    #[must_use]
    pub fn closing(&self, count: u64, time: Timestamp) -> Self {
        Self {
            id: time_ordered_id(time),
            time,
            count,
            repeat_of: Some(self.id),
            ..self.clone()
        }
    }
}

impl From<&Container> for AlertContainer {
    fn from(container: &Container) -> Self {
        Self {
            id: container.id.clone(),
            name: container.name.clone(),
            image: container.image.clone(),
        }
    }
}

fn time_ordered_id(time: Timestamp) -> Uuid {
    let nanos = time.as_unix_nanos();
    let stamp = uuid::Timestamp::from_unix(NoContext, nanos / 1_000_000_000, (nanos % 1_000_000_000) as u32);
    Uuid::new_v7(stamp)
}
