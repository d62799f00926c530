//! Builders of events and containers for tests. Behind the feature `testing`, which is not a default one.

use std::collections::BTreeMap;
use std::sync::Arc;

use runtime_core::event::network::{Endpoint, NetworkOperation, Protocol};
use runtime_core::event::{Exit, FileOperation, Open, Origin};
use runtime_core::process::{Ancestor, Credentials, InvokedName, Namespaces, ParentExe};
use runtime_core::{
    Activity, BootTime, Call, CgroupId, Container, ContainerId, DnsActivity, Event, Exec, FileActivity,
    FileId, NetworkActivity, Outcome, Parent, Pid, PodGroup, PodGroupKind, PodRef, PodUid, Process,
    ProcessIdentity, RawString, Syscall, SystemActivity, Timestamp, Trust,
};

/// A workload container `app` of the pod `web-0` of the Deployment `web` in the namespace `shop`.
pub fn mk_container(id: &str) -> Container {
    Container {
        name: Some("app".into()),
        image: Some("registry.example:5000/shop/web:1.2@sha256:00".into()),
        pod: Some(PodRef {
            namespace: "shop".into(),
            name: "web-0".into(),
            uid: PodUid::new("7e0e2c1e-0000-4000-8000-000000000001"),
        }),
        pod_group: Some(PodGroup {
            kind: PodGroupKind::new("Deployment"),
            namespace: "shop".into(),
            name: "web".into(),
        }),
        labels: BTreeMap::new(),
        ..Container::unknown(ContainerId::new(id), CgroupId(42))
    }
}

/// The exec of the file `path`, by that name, with these arguments (the zeroth among them), unmodified from
/// the image, in a container as [`mk_container`] makes it.
pub fn mk_exec_event(path: &str, args: &[&str]) -> Event {
    ExecBuilder::new(path).args(args).build()
}

/// A fork by a process that runs the file `path`.
pub fn mk_fork_event(path: &str) -> Event {
    Event {
        activity: Activity::Fork,
        ..mk_exec_event(path, &[path])
    }
}

/// The exit, with code 0, of a process that runs the file `path`.
pub fn mk_exit_event(path: &str) -> Event {
    Event {
        activity: Activity::Exit(Exit { code: 0, signal: 0 }),
        ..mk_exec_event(path, &[path])
    }
}

/// The open of the file `path` with these flags, by `openat`, which returned the descriptor 3.
pub fn mk_open_event(path: impl Into<RawString>, flags: u32) -> Event {
    let open = Open {
        flags,
        mode: 0o644,
        created: false,
    };
    with_call(
        mk_file_event(FileOperation::Open(open), path, None),
        Syscall::openat,
        3,
    )
}

/// Something that was done to the file `path`, and where it has another path that one; no call is known of it.
pub fn mk_file_event(operation: FileOperation, path: impl Into<RawString>, new_path: Option<&str>) -> Event {
    mk_event(Activity::File(FileActivity {
        operation,
        path: path.into(),
        new_path: new_path.map(RawString::from),
        argument: None,
        file: Some(FileId { device: 7, inode: 11 }),
    }))
}

/// A connection over TCP to `remote`, as in `192.0.2.1:443`, that stands for these names.
pub fn mk_connect_event(remote: &str, domains: &[&str]) -> Event {
    let mut event = mk_socket_event(
        NetworkOperation::Connect,
        Protocol::Tcp,
        Some("10.0.0.9:40000"),
        Some(remote),
    );
    if let Activity::Network(network) = &mut event.activity {
        network.domains = domains
            .iter()
            .map(|name| name.parse().expect("a domain name"))
            .collect();
    }
    with_call(event, Syscall::connect, 0)
}

/// Something that was done with a socket between these addresses; no call is known of it.
pub fn mk_socket_event(
    operation: NetworkOperation,
    protocol: Protocol,
    local: Option<&str>,
    remote: Option<&str>,
) -> Event {
    let endpoint = |text: &str| Endpoint::Ip(text.parse().expect("an address with a port"));
    mk_event(Activity::Network(NetworkActivity {
        operation,
        protocol,
        local: local.map(endpoint),
        remote: remote.map(endpoint),
        domains: Vec::new(),
        descriptor: Some(5),
    }))
}

/// The question for a name.
pub fn mk_dns_event(name: &str) -> Event {
    mk_event(Activity::Dns(DnsActivity {
        name: name.parse().expect("a domain name"),
        record_type: 1,
        server: "10.96.0.10:53".parse().expect("an address with a port"),
        tcp: false,
        answer: None,
    }))
}

/// Something that concerns the system; no call is known of it.
pub fn mk_system_event(activity: SystemActivity) -> Event {
    mk_event(Activity::System(activity))
}

/// What the process `/usr/bin/app` did.
pub fn mk_event(activity: Activity) -> Event {
    Event {
        activity,
        ..mk_exec_event("/usr/bin/app", &["app", "--serve"])
    }
}

/// The same, made by this call with this result.
#[must_use]
pub fn with_call(event: Event, syscall: Syscall, result: i64) -> Event {
    let call = Call {
        syscall,
        result: Some(result),
        io_uring: false,
    };
    Event {
        call: Some(call),
        ..event
    }
}

/// The same, done by the process, and in the container, of another event.
#[must_use]
pub fn with_process_of(event: Event, other: &Event) -> Event {
    Event {
        process: Arc::clone(&other.process),
        container: other.container.clone(),
        ..event
    }
}

/// Builds exec events part by part; what is not said is ordinary.
#[derive(Debug, Clone)]
pub struct ExecBuilder {
    path: RawString,
    invoked_as: RawString,
    script: Option<RawString>,
    args: Option<Vec<RawString>>,
    cwd: RawString,
    uid: u32,
    origin: Option<Origin>,
    parent: ParentExe,
    ancestors: Vec<Ancestor>,
    container: Option<Container>,
}

impl ExecBuilder {
    /// The exec of the file `path`, by its own name, by `/bin/sh` as root, with no more than `argv[0]`.
    pub fn new(path: impl Into<RawString>) -> Self {
        let path = path.into();
        let shell = RawString::from("/bin/sh");
        Self {
            invoked_as: path.clone(),
            path,
            script: None,
            args: None,
            cwd: "/".into(),
            uid: 0,
            origin: Some(Origin::Image),
            parent: ParentExe::Path(shell.clone()),
            ancestors: vec![Ancestor {
                pid: Pid(100),
                origin: Some(Origin::Image),
                path: shell,
            }],
            container: Some(mk_container("c1")),
        }
    }

    /// Invoked by this name, as through a link.
    #[must_use]
    pub fn invoked_as(mut self, name: impl Into<RawString>) -> Self {
        self.invoked_as = name.into();
        self
    }

    /// Started as the interpreter of this script.
    #[must_use]
    pub fn script(mut self, script: impl Into<RawString>) -> Self {
        self.script = Some(script.into());
        self
    }

    /// With these arguments, the zeroth among them.
    #[must_use]
    pub fn args(self, args: &[&str]) -> Self {
        self.raw_args(args.iter().map(|&arg| arg.into()).collect())
    }

    /// With these arguments, the zeroth among them.
    #[must_use]
    pub fn raw_args(mut self, args: Vec<RawString>) -> Self {
        self.args = Some(args);
        self
    }

    /// In this directory.
    #[must_use]
    pub fn cwd(mut self, cwd: impl Into<RawString>) -> Self {
        self.cwd = cwd.into();
        self
    }

    /// As this user.
    #[must_use]
    pub fn uid(mut self, uid: u32) -> Self {
        self.uid = uid;
        self
    }

    /// The file being from there.
    #[must_use]
    pub fn origin(mut self, origin: Option<Origin>) -> Self {
        self.origin = origin;
        self
    }

    /// By processes with these executables, the parent first; by the container runtime when there is none.
    #[must_use]
    pub fn ancestors(mut self, paths: &[&str]) -> Self {
        self.parent = paths
            .first()
            .map_or(ParentExe::Runtime, |&path| ParentExe::Path(path.into()));
        self.ancestors = (100u32..)
            .zip(paths)
            .map(|(pid, &path)| Ancestor {
                pid: Pid(pid),
                path: path.into(),
                origin: Some(Origin::Image),
            })
            .collect();
        self
    }

    /// In this container, or on the host.
    #[must_use]
    pub fn container(mut self, container: Option<Container>) -> Self {
        self.container = container;
        self
    }

    /// The event.
    pub fn build(self) -> Event {
        let Self {
            path,
            invoked_as,
            script,
            args,
            cwd,
            uid,
            origin,
            parent,
            ancestors,
            container,
        } = self;
        let args = args.unwrap_or_else(|| vec![invoked_as.clone()]);
        let invoked = match &script {
            Some(script) => InvokedName::Script {
                script,
                interpreter: &invoked_as,
            },
            None => InvokedName::Executable(&invoked_as),
        };
        let identity = ProcessIdentity::resolve(&path, invoked, &args, &cwd);
        let name = script.as_ref().unwrap_or(&invoked_as).base_name();
        let file = FileId { device: 7, inode: 99 };
        let cgroup = container
            .as_ref()
            .map_or(CgroupId(1), |container| container.cgroup);
        let process = Process {
            origin,
            pid: Pid(4242),
            container_pid: Pid(17),
            start_boot: BootTime::from_nanos(5_000_000_000),
            start_time: Timestamp::from_unix_nanos(1_795_000_000_000_000_000),
            exe: path.clone(),
            file,
            identity,
            args_truncated: false,
            args_count: args.len() as u32,
            args,
            cwd,
            comm: name[..name.len().min(15)].into(),
            credentials: Credentials {
                uid,
                euid: uid,
                ..Credentials::default()
            },
            cgroup,
            namespaces: Namespaces::default(),
            parent: Parent {
                pid: Pid(100),
                start_boot: BootTime::from_nanos(1_000_000_000),
                exe: parent,
                inferred: false,
            },
            ancestors,
        };
        Event {
            time: Timestamp::from_unix_nanos(1_795_000_000_001_000_000),
            boot_time: BootTime::from_nanos(5_001_000_000),
            outcome: Outcome::Done,
            trust: Trust::Kernel,
            call: None,
            container: container.map(Arc::new),
            process: Arc::new(process),
            activity: Activity::Exec(Exec {
                path,
                file,
                size: 1024,
                origin,
                deleted: false,
                sha256: None,
                startup: false,
            }),
        }
    }
}
