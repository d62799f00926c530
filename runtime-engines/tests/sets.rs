//! Many rules are judged as each would be alone, and say what they need of a sensor.

use proptest::prelude::*;
use runtime_core::Needs;
use runtime_core::event::network::{NetworkOperation, Protocol};
use runtime_core::event::{FileOperation, Open};
use runtime_core::policy::RuleSource;
use runtime_core::{Activity, Event, EventClass, Syscall, SystemActivity};
use runtime_engines::signatures::covers;
use runtime_engines::testing::{
    ExecBuilder, mk_connect_event, mk_dns_event, mk_exec_event, mk_exit_event, mk_file_event, mk_fork_event,
    mk_open_event, mk_socket_event, mk_system_event, with_call, with_process_of,
};
use runtime_engines::{Engine, RuleSet, SignatureEngine};

fn compile(conditions: &[String]) -> RuleSet {
    let rules = conditions.iter().enumerate().map(|(at, condition)| {
        let condition = condition.replace('\'', "''");
        format!("- rule: r{at}\n  condition: '{condition}'\n")
    });
    let source = RuleSource {
        origin: "t".into(),
        text: rules.collect(),
        first_line: 1,
    };
    let (rules, problems) = RuleSet::compile(&[source]);
    assert_eq!(problems, []);
    rules
}

fn judge(engine: &mut SignatureEngine, event: &Event) -> Vec<String> {
    let mut found = Vec::new();
    engine.judge(event, &mut found);
    found.iter().map(|finding| finding.rule.id.clone()).collect()
}

const NAMES: &[&str] = &["a", "ab", "b", "docker-entrypoint.sh", "docker-entrypoi", "sh"];
const PATHS: &[&str] = &[
    "/",
    "/a",
    "/a/b",
    "/ab",
    "/a/b/c",
    "/etc/passwd",
    "/etc",
    "/etc/x/passwd",
    "b",
    "/x.sh",
];
const PARTS: &[&str] = &[
    "/a",
    "/a/b",
    "/etc/",
    "/etc/passwd",
    "/",
    "",
    "b",
    ".sh",
    "/etc",
    "passwd",
];

fn one(texts: &'static [&'static str]) -> impl Strategy<Value = &'static str> + Clone {
    prop::sample::select(texts)
}

/// Tests over what the events below have.
fn any_check() -> impl Strategy<Value = String> {
    let path_field = one(&[
        "fd.name",
        "fs.path.name",
        "fd.directory",
        "evt.arg.name",
        "fs.path.target",
        "evt.arg[1]",
    ]);
    let path_operator = one(&[
        "=",
        "!=",
        "startswith",
        "endswith",
        "contains",
        "icontains",
        "glob",
    ]);
    let path_list = one(&[
        "in",
        "pmatch",
        "startswith anyof",
        "endswith anyof",
        "contains allof",
    ]);
    prop_oneof![
        (path_field.clone(), path_operator, one(PARTS)).prop_map(|(f, o, v)| format!("{f} {o} \"{v}\"")),
        (path_field, path_list, prop::collection::vec(one(PATHS), 0..4))
            .prop_map(|(f, o, v)| format!("{f} {o} ({})", v.join(", "))),
        (
            one(&["fd.filename", "proc.name", "proc.pname"]),
            one(&["=", "startswith", "endswith"]),
            one(NAMES)
        )
            .prop_map(|(f, o, v)| format!("{f} {o} {v}")),
        (
            one(&["proc.name", "fd.filename", "basename(fd.name)"]),
            prop::collection::vec(one(NAMES), 0..9)
        )
            .prop_map(|(f, v)| format!("{f} in ({})", v.join(", "))),
        prop::sample::select(Syscall::ALL).prop_map(|call| format!("evt.type = {call}")),
        one(&[
            "evt.type in (open, openat, openat2)",
            "evt.type in (execve, execveat)",
            "evt.type = procexit",
            "evt.type = dns",
            "evt.type = read",
            "evt.type != openat",
            "evt.is_open_read = true",
            "evt.is_open_write = true",
            "evt.is_open_write = false",
            "evt.is_open_exec = true",
            "evt.is_open_create = true",
            "evt.category = file",
            "evt.num > 0",
            "evt.num = 0",
            "evt.rawres >= 0",
            "evt.dir = <",
            "fd.num exists",
            "fd.snet in (192.0.2.0/24)",
            "fd.ip != 192.0.2.1",
            "fd.sip.name = example.com",
            "dns.name endswith .com",
            "fd.sip.name in (example.org, example.com)",
            "fd.sip.name contains ample.c",
            "fd.sport = 80",
            "fd.rport in (80, 999)",
            "fd.sport in (1, 40000)",
            "proc.aname = a",
            "proc.aname startswith dock",
            "proc.aname in (docker-entrypoi, b)",
            "proc.pexepath endswith /a",
            "proc.cmdline contains docker",
            "proc.args contains none",
            "proc.arg = a",
            "container.image.repository endswith /web",
            "container.image.repository contains 5000/shop/web",
            "k8s.ns.name = shop",
            "k8s.ns.name in (a, b)",
            "fs.path.source startswith /etc",
            "proc.tty = 0",
            "container.mount.dest[/x] = N/A",
            "proc.name = val(fd.filename)",
            "concat(proc.name, fd.filename) startswith a",
            "user.uid = 0",
            "evt.arg.flags contains O_CREAT",
            "evt.arg.request = PTRACE_ATTACH",
        ])
        .prop_map(str::to_owned),
    ]
}

fn any_condition() -> impl Strategy<Value = String> {
    any_check().prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(|parts| format!("({})", parts.join(" and "))),
            prop::collection::vec(inner.clone(), 2..4).prop_map(|parts| format!("({})", parts.join(" or "))),
            inner.prop_map(|inner| format!("not {inner}")),
        ]
    })
}

fn any_file_event() -> impl Strategy<Value = Event> {
    let open = (
        one(PATHS),
        prop::sample::select(vec![0, 1, 2, 0o100, 0o101, 0o1001, 0o10_000_000]),
        any::<bool>(),
    )
        .prop_map(|(path, flags, created)| {
            let open = Open {
                flags,
                mode: 0o755,
                created,
            };
            let event = mk_file_event(FileOperation::Open(open), path, None);
            if created {
                event
            } else {
                with_process_of(mk_open_event(path, flags), &event)
            }
        });
    let operation = prop::sample::select(vec![
        FileOperation::Rename,
        FileOperation::Unlink,
        FileOperation::Link,
        FileOperation::Symlink,
        FileOperation::Truncate,
        FileOperation::Chmod { mode: 0o755 },
        FileOperation::Mkdir { mode: 0o755 },
    ]);
    let other = (operation, one(PATHS), prop::option::of(one(PATHS)))
        .prop_map(|(operation, path, to)| mk_file_event(operation, path, to));
    prop_oneof![open, other]
}

/// Events of every class, made by whatever calls, by whichever programs.
fn any_event() -> impl Strategy<Value = Event> {
    let other = prop::sample::select(vec![
        mk_exec_event("/bin/a", &["a"]),
        mk_fork_event("/bin/a"),
        mk_exit_event("/bin/a"),
        mk_connect_event("192.0.2.1:80", &["example.com"]),
        mk_connect_event("198.51.100.1:80", &[]),
        mk_socket_event(
            NetworkOperation::Accept,
            Protocol::Tcp,
            Some("192.0.2.1:80"),
            Some("192.0.2.2:999"),
        ),
        mk_dns_event("example.com"),
        mk_dns_event("example.org"),
        mk_system_event(SystemActivity::Setsid),
        mk_system_event(SystemActivity::Unmount {
            target: "/a/b".into(),
            flags: 0,
        }),
        mk_system_event(SystemActivity::Mount {
            source: "/dev/x".into(),
            target: "/etc".into(),
            fs_type: "ext4".into(),
            flags: 0,
        }),
        mk_system_event(SystemActivity::SocketToStandardStream {
            stream: 1,
            remote: None,
        }),
    ]);
    let call = prop::option::of((prop::sample::select(Syscall::ALL), -2i64..5));
    let program = (one(NAMES), one(NAMES)).prop_map(|(name, parent)| {
        let parent = format!("/bin/{parent}");
        ExecBuilder::new(format!("/bin/{name}"))
            .ancestors(&[&parent])
            .build()
    });
    (prop_oneof![3 => any_file_event(), 2 => other], call, program).prop_map(|(event, call, program)| {
        let event = with_process_of(event, &program);
        match call {
            Some((call, result)) => with_call(event, call, result),
            None => event,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn many_rules_are_judged_as_each_alone(
        conditions in prop::collection::vec(any_condition(), 1..12),
        events in prop::collection::vec(any_event(), 1..12),
    ) {
        let mut together = SignatureEngine::new(compile(&conditions));
        let mut alone: Vec<SignatureEngine> = conditions
            .iter()
            .map(|condition| SignatureEngine::new(compile(std::slice::from_ref(condition))))
            .collect();
        for event in &events {
            let mut expected = Vec::new();
            for (at, engine) in alone.iter_mut().enumerate() {
                if !judge(engine, event).is_empty() {
                    expected.push(format!("r{at}"));
                }
            }
            prop_assert_eq!(judge(&mut together, event), expected, "{:?}", event.activity);
        }
    }

    /// A type that is put together is only known when there is an event.
    #[test]
    fn what_is_decided_when_rules_are_loaded_is_what_events_say(
        conditions in prop::collection::vec(any_condition(), 1..4),
        events in prop::collection::vec(any_event(), 1..30),
    ) {
        let late: Vec<String> = conditions
            .iter()
            .map(|condition| condition.replace("evt.type ", "concat(evt.type, \"\") "))
            .collect();
        let mut early = SignatureEngine::new(compile(&conditions));
        let mut late = SignatureEngine::new(compile(&late));
        for event in &events {
            prop_assert_eq!(judge(&mut early, event), judge(&mut late, event), "{:?}", event);
        }
    }

    #[test]
    fn what_rules_hold_for_is_within_their_needs(
        conditions in prop::collection::vec(any_condition(), 1..4),
        events in prop::collection::vec(any_event(), 1..30),
    ) {
        let rules = compile(&conditions);
        let needs = rules.needs();
        let mut engine = SignatureEngine::new(rules);
        for event in &events {
            let found = judge(&mut engine, event);
            prop_assert!(found.is_empty() || covers(&needs, event), "{:?} {:?} {:?}", found, needs, event.activity);
        }
    }
}

fn needs(condition: &str) -> Needs {
    compile(&[condition.to_owned()]).needs()
}

fn texts(paths: &std::collections::BTreeSet<Vec<u8>>) -> Vec<&str> {
    paths
        .iter()
        .map(|path| std::str::from_utf8(path).unwrap())
        .collect()
}

#[test]
fn needs_are_no_more_than_is_asked_for() {
    let none = needs("proc.tty = 0");
    assert_eq!(none, Needs::default());
    assert_eq!(needs("evt.num = 0"), none);
    let execs = needs("evt.type in (execve, execveat) and proc.name = nc");
    assert_eq!(
        execs.classes.iter().copied().collect::<Vec<_>>(),
        [EventClass::Exec]
    );
    assert!(execs.reads.is_empty() && execs.writes.is_empty() && execs.changes.is_empty());

    let reads = needs(
        "evt.type in (open, openat) and evt.is_open_read = true and evt.is_open_write = false
         and (fd.name in (/etc/shadow, /etc/passwd) or fd.directory = /etc/pam.d or fd.name startswith /root/.ssh
              or fd.name endswith .pem or fd.filename = id_rsa or fd.name pmatch (/srv) or fd.name contains secret)
         and not fd.name contains ignored",
    );
    assert_eq!(
        reads.syscalls[&EventClass::File]
            .iter()
            .copied()
            .collect::<Vec<_>>(),
        [Syscall::open, Syscall::openat]
    );
    assert!(!reads.reads.all && !reads.writes.all && reads.changes.is_empty());
    assert_eq!(
        texts(&reads.reads.exact),
        ["/etc/passwd", "/etc/shadow", "id_rsa"]
    );
    assert_eq!(
        texts(&reads.reads.prefixes),
        ["/etc/pam.d/", "/root/.ssh", "/srv"]
    );
    assert_eq!(texts(&reads.reads.suffixes), [".pem", "/id_rsa"]);
    assert_eq!(texts(&reads.reads.parts), ["secret"]);

    let writes = needs("evt.is_open_write = true and fd.name startswith /etc/");
    assert!(writes.reads.is_empty() && writes.changes.is_empty());
    assert_eq!(texts(&writes.writes.prefixes), ["/etc/"]);

    let changes = needs("evt.type in (unlink, unlinkat) and fs.path.name = /var/log/wtmp");
    assert!(changes.reads.is_empty() && changes.writes.is_empty());
    assert_eq!(texts(&changes.changes.exact), ["/var/log/wtmp"]);

    let anything = needs("proc.name = nc");
    assert_eq!(anything.classes.len(), 7);
    assert!(anything.reads.all && anything.writes.all && anything.changes.all);
}

#[test]
fn rules_that_are_switched_off_need_nothing() {
    let source = RuleSource {
        origin: "t".into(),
        text: "- {rule: r, condition: proc.name = a, enabled: false}".into(),
        first_line: 1,
    };
    let (rules, _) = RuleSet::compile(&[source]);
    assert_eq!(rules.needs(), Needs::default());
    assert!(rules.rules()[0].can_hold);
}

/// A rule for `openat` is a rule for what `io_uring` does in its place.
#[test]
fn calls_through_io_uring_are_calls() {
    let mut event = mk_open_event("/etc/shadow", 0);
    if let Some(call) = &mut event.call {
        call.io_uring = true;
    }
    assert!(matches!(event.activity, Activity::File(_)));
    let mut engine = SignatureEngine::new(compile(&[
        "evt.type = openat and fd.name = /etc/shadow".to_owned()
    ]));
    assert_eq!(judge(&mut engine, &event), ["r0"]);
}

#[test]
fn sockets_are_asked_for_by_their_families() {
    let common = |condition: &str| needs(condition).common_sockets;
    assert!(!common("evt.type = socket and evt.arg.domain = AF_PACKET"));
    assert!(!common(
        "evt.type in (socket, connect) and evt.arg.domain in (AF_PACKET, AF_ALG) and proc.name = a"
    ));
    assert!(!common("evt.type = socket and evt.arg.domain contains AF_PACKET"));
    assert!(common("evt.type = socket and evt.arg.domain contains INET"));
    assert!(common("evt.type = socket"));
    assert!(common("evt.type = socket and evt.arg.domain != AF_PACKET"));
    assert!(common(
        "evt.type = socket and evt.arg.domain in (AF_PACKET, AF_INET6)"
    ));
    assert!(common(
        "evt.type = socket and (evt.arg.domain = AF_PACKET or proc.name = a)"
    ));
    assert!(!common("evt.type = connect"));
}
