//! Alerts: what leaves the node, in the published shape.
//!
//! Serialised with serde an [`Alert`] is one JSON object as `schema/alert.schema.json` describes it. Keys may
//! be added in later versions; none is renamed or taken away. What is not known is `null`.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use uuid::{NoContext, Uuid};

use crate::container::{Container, PodGroup, PodGroupKind, PodRef};
use crate::event::{Activity, DomainName, Endpoint, Event, Origin};
use crate::finding::{EngineKind, Finding, Severity};
use crate::id::{ContainerId, Pid, PodUid, Sha256Digest};
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
    /// What the rule's author would have said of this event, with its values.
    pub output: Option<String>,
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
    /// How many occurrences this alert tells of: 1, or on a closing line the repeats after the first one.
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

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Alerted => "alerted",
            Self::Killed => "killed",
            Self::Denied => "denied",
            Self::Failed => "failed",
        })
    }
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
    /// It did something to a file.
    #[serde(rename_all = "camelCase")]
    File {
        /// What.
        op: String,
        /// The file's path in the container.
        path: RawString,
        /// The other path of a rename or a link.
        new_path: Option<RawString>,
    },
    /// It did something with a socket.
    Network {
        /// What.
        op: String,
        /// The kind of socket.
        protocol: String,
        /// The other side's address, or the socket's own where there is no other side; of a Unix socket the path.
        address: Option<String>,
        /// The port.
        port: Option<u16>,
        /// The name that the address was looked up by.
        domain: Option<DomainName>,
    },
    /// It looked a name up.
    Dns {
        /// The name.
        name: DomainName,
        /// What was answered; `None` before that.
        addresses: Option<Vec<IpAddr>>,
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
            Activity::File(file) => Self::File {
                op: file.operation.name().into(),
                path: file.path.clone(),
                new_path: file.new_path.clone(),
            },
            Activity::Network(network) => {
                let side = network.remote.as_ref().or(network.local.as_ref());
                let address = side.map(|side| match side {
                    Endpoint::Ip(address) => address.ip().to_string(),
                    Endpoint::Unix(path) => path.to_string(),
                });
                Self::Network {
                    op: network.operation.name().into(),
                    protocol: network.protocol.name().into(),
                    address,
                    port: side.and_then(Endpoint::socket_addr).map(|address| address.port()),
                    domain: network.domains.first().cloned(),
                }
            }
            Activity::Dns(dns) => Self::Dns {
                name: dns.name.clone(),
                addresses: dns.answer.as_ref().map(|answer| answer.addresses.clone()),
            },
            Activity::System(system) => Self::Other {
                op: system.name().into(),
                target: system.target(),
            },
        }
    }
}

/// Something that is wrong with the protection itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Health<'a> {
    /// The engine that it concerns.
    pub engine: EngineKind,
    /// What kind of thing, in a stable word: it stands for the rule's id.
    pub rule: &'a str,
    /// What is wrong, for a person.
    pub title: &'a str,
    /// How bad it is.
    pub severity: Severity,
    /// What exactly, and where.
    pub subject: &'a str,
}

/// The tag of alerts about the protection itself.
pub const HEALTH_TAG: &str = "health";

impl Alert {
    /// The alert that tells, at `time`, of something that is wrong with the protection itself. The process in it is the
    /// one that protects; it is in no container as far as alerts are concerned.
    pub fn health(health: Health<'_>, time: Timestamp, node: &str, process: AlertProcess) -> Self {
        let Health {
            engine,
            rule,
            title,
            severity,
            subject,
        } = health;
        Self {
            id: time_ordered_id(time),
            time,
            engine,
            rule: printable(rule),
            title: printable(title),
            output: None,
            severity,
            tags: vec![HEALTH_TAG.to_owned()],
            action: Action::Alerted,
            action_detail: None,
            node: printable(node),
            pod_group: None,
            pod: None,
            container: None,
            process,
            activity: AlertActivity::Other {
                op: printable(rule),
                target: Some(subject.into()),
            },
            count: 1,
            repeat_of: None,
        }
    }

    /// The alert that tells of `finding` in `event` on the node `node`, and of the action taken.
    pub fn new(event: &Event, finding: &Finding, node: &str, taken: (Action, Option<String>)) -> Self {
        let container = event.container.as_deref();
        let (action, action_detail) = taken;
        Self {
            id: time_ordered_id(event.time),
            time: event.time,
            engine: finding.engine,
            rule: printable(&finding.rule.id),
            title: printable(&finding.rule.title),
            output: finding.output.as_deref().map(printable),
            severity: finding.severity,
            tags: finding.rule.tags.iter().map(|tag| printable(tag)).collect(),
            action,
            action_detail: action_detail.as_deref().map(printable),
            node: printable(node),
            pod_group: container.and_then(|c| c.pod_group.as_ref()).map(printable_group),
            pod: container.and_then(|c| c.pod.as_ref()).map(printable_pod),
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
            id: ContainerId::new(printable(container.id.as_str())),
            name: container.name.as_deref().map(printable),
            image: container.image.as_deref().map(printable),
        }
    }
}

/// Names come from whoever made the container or wrote the rule; none of them may reach a terminal as more
/// than text.
fn printable(text: &str) -> String {
    RawString::from(text).to_string()
}

fn printable_pod(pod: &PodRef) -> PodRef {
    let PodRef { namespace, name, uid } = pod;
    PodRef {
        namespace: printable(namespace),
        name: printable(name),
        uid: PodUid::new(printable(uid.as_str())),
    }
}

fn printable_group(group: &PodGroup) -> PodGroup {
    let PodGroup {
        kind,
        namespace,
        name,
    } = group;
    PodGroup {
        kind: PodGroupKind::new(printable(kind.as_str())),
        namespace: printable(namespace),
        name: printable(name),
    }
}

fn time_ordered_id(time: Timestamp) -> Uuid {
    let nanos = time.as_unix_nanos();
    let stamp = uuid::Timestamp::from_unix(NoContext, nanos / 1_000_000_000, (nanos % 1_000_000_000) as u32);
    Uuid::new_v7(stamp)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;
    use crate::event::{Exec, Exit, Outcome, Trust};
    use crate::finding::{Response, RuleRef};
    use crate::id::{CgroupId, FileId};
    use crate::process::{Credentials, InvokedName, Namespaces, Parent, ParentExe};
    use crate::time::BootTime;

    /// The exec of `path` in a container of which only the id is known.
    pub(crate) fn mk_event(path: &str) -> Event {
        let file = FileId { device: 1, inode: 2 };
        let args = vec![RawString::from(path)];
        let invoked = InvokedName::Executable(path.as_bytes());
        let process = Process {
            origin: None,
            pid: Pid(4242),
            container_pid: Pid(7),
            start_boot: BootTime::from_nanos(5),
            start_time: Timestamp::from_unix_nanos(1_795_000_000_000_000_005),
            exe: path.into(),
            file,
            identity: ProcessIdentity::resolve(&path.into(), invoked, &args, b"/"),
            args,
            args_truncated: false,
            args_count: 1,
            cwd: RawString::default(),
            comm: "miner".into(),
            credentials: Credentials::default(),
            cgroup: CgroupId(9),
            namespaces: Namespaces::default(),
            parent: Parent {
                pid: Pid(4000),
                start_boot: BootTime::from_nanos(1),
                exe: ParentExe::Unknown,
                inferred: true,
            },
            ancestors: Vec::new(),
        };
        Event {
            time: Timestamp::from_unix_nanos(1_795_000_000_123_456_789),
            boot_time: BootTime::from_nanos(10),
            outcome: Outcome::Done,
            trust: Trust::Kernel,
            call: None,
            container: Some(Arc::new(Container::unknown(
                ContainerId::new("c0ffee"),
                CgroupId(9),
            ))),
            process: Arc::new(process),
            activity: Activity::Exec(Exec {
                path: path.into(),
                file,
                size: 1024,
                origin: None,
                deleted: false,
                sha256: None,
                startup: false,
            }),
        }
    }

    pub(crate) fn mk_finding() -> Finding {
        let rule = RuleRef {
            id: "crypto-miner-execution".into(),
            name: "Crypto miner execution".into(),
            title: "A crypto miner was executed".into(),
            tags: vec!["T1496".into()],
        };
        Finding {
            engine: EngineKind::Signatures,
            rule: Arc::new(rule),
            severity: Severity::Critical,
            response: Response::Kill,
            output: None,
        }
    }

    /// An event of which everything is known, with hostile bytes wherever a container may put some.
    fn mk_full_event() -> Event {
        let mut event = mk_event("/opt/xm\u{1b}[2Jrig");
        let process = Arc::make_mut(&mut event.process);
        process.args = vec!["sh".into(), RawString::from(&b"\xff\n"[..])];
        process.args_truncated = true;
        process.cwd = "/tmp".into();
        process.identity.script = Some("/run.sh".into());
        process.parent.exe = ParentExe::Path("/bin/sh".into());
        process.ancestors = vec![Ancestor {
            origin: None,
            pid: Pid(4000),
            path: "/bin/sh".into(),
        }];
        let container = Arc::make_mut(event.container.as_mut().unwrap());
        container.name = Some("app\n\u{202e}".into());
        container.image = Some("registry.example/app:1".into());
        container.pod = Some(PodRef {
            namespace: "shop".into(),
            name: "web-0".into(),
            uid: PodUid::new("8a5d"),
        });
        container.pod_group = Some(PodGroup {
            kind: PodGroupKind::new("Deployment"),
            namespace: "shop".into(),
            name: "web".into(),
        });
        if let Activity::Exec(exec) = &mut event.activity {
            exec.sha256 = Some(Sha256Digest([0xab; 32]));
            exec.origin = Some(Origin::Dropped);
        }
        event
    }

    fn mk_alerts() -> Vec<Alert> {
        let finding = mk_finding();
        let full = Alert::new(
            &mk_full_event(),
            &finding,
            "node-1",
            (Action::Killed, Some("done".into())),
        );
        let bare = Alert::new(&mk_event("/bin/x"), &finding, "node-1", (Action::Alerted, None));
        let closing = bare.closing(41, Timestamp::from_unix_nanos(1_795_000_060_000_000_000));
        let mut exit = mk_event("/bin/x");
        exit.container = None;
        exit.activity = Activity::Exit(Exit { code: 0, signal: 9 });
        let exit = Alert::new(&exit, &finding, "node-1", (Action::Failed, None));
        vec![full, bare, closing, exit]
    }

    fn schema() -> Value {
        serde_json::from_str(ALERT_SCHEMA).unwrap()
    }

    /// The schema with every object closed, so that a key which it does not list is an error.
    fn close(schema: &mut Value) {
        if let Value::Object(map) = schema {
            if map.contains_key("properties") {
                map.insert("additionalProperties".into(), json!(false));
            }
            map.values_mut().for_each(close);
        } else if let Value::Array(list) = schema {
            list.iter_mut().for_each(close);
        }
    }

    #[test]
    fn alerts_satisfy_the_schema_and_have_no_key_that_it_does_not_list() {
        let mut closed = schema();
        close(&mut closed);
        let options = jsonschema::options().should_validate_formats(true);
        let validator = options.build(&closed).unwrap();
        for alert in mk_alerts() {
            let value = serde_json::to_value(&alert).unwrap();
            let errors: Vec<_> = validator
                .iter_errors(&value)
                .map(|error| error.to_string())
                .collect();
            assert!(errors.is_empty(), "{errors:#?} in {value:#}");
        }
    }

    #[test]
    fn the_schema_refuses_what_breaks_the_contract() {
        let validator = jsonschema::validator_for(&schema()).unwrap();
        let good = serde_json::to_value(&mk_alerts()[0]).unwrap();
        assert!(validator.is_valid(&good));
        let breaks: [(&str, Value); 8] = [
            ("/time", json!("2026-11-18T11:06:40Z")),
            ("/id", json!("not-an-id")),
            ("/severity", json!("warning")),
            ("/action", json!("blocked")),
            ("/count", json!(0)),
            ("/process/pid", json!("1")),
            ("/activity/kind", json!("execve")),
            ("/activity/origin", json!("unknown")),
        ];
        for (at, value) in breaks {
            let mut bad = good.clone();
            *bad.pointer_mut(at).unwrap() = value;
            assert!(!validator.is_valid(&bad), "{at}");
        }
        for key in good.as_object().unwrap().keys() {
            let mut bad = good.clone();
            bad.as_object_mut().unwrap().remove(key);
            assert!(!validator.is_valid(&bad), "without {key}");
        }
        let mut more = good.clone();
        more["cluster"] = json!("a key of a later version");
        assert!(validator.is_valid(&more));
    }

    #[test]
    fn the_schema_knows_the_activities_that_are_yet_to_come() {
        let validator = jsonschema::validator_for(&schema()).unwrap();
        let activities = [
            json!({"kind": "file", "op": "rename", "path": "/a", "newPath": "/b"}),
            json!({"kind": "network", "op": "connect", "protocol": "tcp", "address": "192.0.2.1", "port": 443,
                "domain": null}),
            json!({"kind": "dns", "name": "example.com", "addresses": ["192.0.2.1"]}),
        ];
        for activity in activities {
            let mut alert = serde_json::to_value(&mk_alerts()[0]).unwrap();
            alert["activity"] = activity;
            assert!(validator.is_valid(&alert), "{alert:#}");
        }
    }

    #[test]
    fn hostile_names_are_plain_text_in_an_alert() {
        let value = serde_json::to_value(&mk_alerts()[0]).unwrap();
        assert_eq!(value["container"]["name"], r"app\x0a\xe2\x80\xae");
        assert_eq!(value["process"]["path"], r"/opt/xm\x1b[2Jrig");
        assert_eq!(value["process"]["args"], json!(["sh", r"\xff\x0a"]));
    }

    #[test]
    fn what_is_not_known_is_null() {
        let value = serde_json::to_value(&mk_alerts()[1]).unwrap();
        for at in [
            "/pod",
            "/podGroup",
            "/container/name",
            "/process/cwd",
            "/process/parentPath",
            "/repeatOf",
        ] {
            assert_eq!(value.pointer(at), Some(&Value::Null), "{at}");
        }
    }
}
