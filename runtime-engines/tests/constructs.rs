//! A file with every construct of the language loads, and its rules mean what they say.

use std::collections::BTreeSet;

use runtime_core::event::network::{NetworkOperation, Protocol};
use runtime_core::event::system::OtherProcess;
use runtime_core::event::{FileOperation, Open};
use runtime_core::policy::RuleSource;
use runtime_core::{Activity, Event, Pid, Process, Syscall, SystemActivity};
use runtime_engines::testing::{
    ExecBuilder, mk_connect_event, mk_exec_event, mk_file_event, mk_open_event, mk_socket_event,
    mk_system_event, with_call, with_process_of,
};
use runtime_engines::{Engine, RuleSet, SignatureEngine};

fn mk_rules() -> RuleSet {
    let source = RuleSource {
        origin: "constructs.yaml".into(),
        text: include_str!("rules/constructs.yaml").into(),
        first_line: 1,
    };
    let (rules, problems) = RuleSet::compile(&[source]);
    assert_eq!(problems, []);
    rules
}

fn found(event: &Event) -> Vec<String> {
    let rules = mk_rules();
    assert!(rules.rules().len() > 10);
    let covered = runtime_engines::signatures::covers(&rules.needs(), event);
    let mut findings = Vec::new();
    SignatureEngine::new(rules).judge(event, &mut findings);
    assert!(
        findings.is_empty() || covered,
        "an event that a rule holds for is needed"
    );
    findings.iter().map(|finding| finding.rule.name.clone()).collect()
}

#[track_caller]
fn assert_found(expected: &[&str], event: &Event) {
    assert_eq!(found(event), expected, "{event:?}");
}

fn written(path: &str, argument: &str, event: Event) -> Event {
    let Activity::File(mut file) = event.activity else {
        panic!()
    };
    file.path = path.into();
    file.argument = Some(argument.into());
    Event {
        activity: Activity::File(file),
        ..event
    }
}

#[test]
fn the_file_loads_whole() {
    let rules = mk_rules();
    let by_name = |name: &str| rules.rules().iter().find(|rule| rule.reference.name == name);
    assert!(by_name("For newer engines").is_none());
    let unknown = by_name("Unknown things").unwrap();
    assert!(!unknown.enabled && !unknown.can_hold);
    let expected = [
        "container.privileged",
        "evt.buffer",
        "proc.aexe",
        "proc.env",
        "proc.is_vpgid_leader",
        "proc.tty",
    ];
    assert_eq!(
        unknown.unsupplied.iter().copied().collect::<BTreeSet<_>>(),
        BTreeSet::from(expected)
    );
    for rule in rules.rules() {
        assert_eq!(
            rule.can_hold,
            rule.reference.name != "Unknown things",
            "{}",
            rule.reference.name
        );
    }
}

#[test]
fn files_that_are_opened() {
    assert_found(&["Secret read"], &mk_open_event("/etc/shadow", 0));
    assert_found(&["Secret read"], &mk_open_event("/etc/pam.d/sshd", 0o2_000_000));
    assert_found(&["Secret read"], &mk_open_event("/home/a/.ssh/id_rsa", 2));
    assert_found(&[], &mk_open_event("/etc/shadow-", 0));
    assert_found(&[], &mk_open_event("/etc/shadow", 0o200_000));
    let server = mk_exec_event("/usr/sbin/nginx", &["nginx"]);
    assert_found(&[], &with_process_of(mk_open_event("/etc/shadow", 0), &server));
    let by_sshd = ExecBuilder::new("/bin/app")
        .ancestors(&["/bin/sh", "/usr/sbin/sshd"])
        .build();
    assert_found(&[], &with_process_of(mk_open_event("/etc/shadow", 0), &by_sshd));
    assert_found(
        &[],
        &with_call(mk_open_event("/etc/shadow", 0), Syscall::openat, -13),
    );

    let missing = written(
        "/etc/nothing",
        "../../etc/nothing",
        with_call(mk_open_event("x", 0), Syscall::openat2, -2),
    );
    assert_found(&["Read failed"], &missing);
    assert_found(&["Written below etc"], &mk_open_event("/etc/passwd", 0o1001));
    assert_found(&[], &mk_open_event("/etc/passwd", 0o1));
    assert_found(&[], &mk_open_event("/etc/cron.d/x", 0o1001));
    assert_found(&[], &mk_open_event("/etc/app1/x", 0o1001));
    assert_found(
        &["Written below etc"],
        &mk_open_event("/etc/cron.daily/x", 0o1001),
    );
    let made = FileOperation::Open(Open {
        flags: 0o101,
        mode: 0o755,
        created: true,
    });
    assert_found(
        &["Executable made"],
        &with_call(mk_file_event(made, "/tmp/x", None), Syscall::creat, 4),
    );
}

#[test]
fn files_that_are_changed() {
    let chmod = |mode, result| {
        let event = mk_file_event(FileOperation::Chmod { mode }, "/tmp/x", None);
        with_call(event, Syscall::fchmodat, result)
    };
    assert_found(&["Right given"], &chmod(0o744, 0));
    assert_found(&["Right given"], &chmod(0o4600, 0));
    assert_found(&[], &chmod(0o644, 0));
    assert_found(&[], &chmod(0o744, -1));
    let moved = |to| mk_file_event(FileOperation::Rename, "/usr/bin/ls", Some(to));
    assert_found(&["Moved"], &with_call(moved("/tmp/.ls"), Syscall::renameat2, 0));
    assert_found(&["Moved"], &moved("/tmp/.ls"));
    assert_found(&[], &moved("/tmp/ls"));
    let linked = |operation| mk_file_event(operation, "/etc/shadow", Some("/tmp/s"));
    assert_found(&["Linked"], &linked(FileOperation::Symlink));
    assert_found(
        &["Linked"],
        &with_call(linked(FileOperation::Link), Syscall::linkat, 0),
    );
    assert_found(&[], &linked(FileOperation::Rename));
}

#[test]
fn programs_that_are_started() {
    let shell = |args: &[&str]| {
        ExecBuilder::new("/bin/sh")
            .args(args)
            .ancestors(&["/usr/sbin/nginx"])
            .build()
    };
    assert_found(
        &["Shell by a server", "With exceptions"],
        &shell(&["sh", "-c", "id"]),
    );
    assert_found(&["With exceptions"], &shell(&["sh", "-c", "ls"]));
    assert_found(&["With exceptions"], &shell(&["sh"]));
    assert_found(
        &["Strange argument", "With exceptions"],
        &mk_exec_event("/bin/sh", &["sh", "a\\"]),
    );
    assert_found(&["With exceptions"], &mk_exec_event("/bin/7z", &["7z", "x"]));
    assert_found(
        &["With exceptions"],
        &mk_exec_event("/bin/quoted name", &["x", "x"]),
    );
    assert_found(&[], &mk_exec_event("/bin/cat", &["cat"]));
}

#[test]
fn exceptions_hold_rules_back() {
    let by = |parent: &str, args: &[&str]| {
        ExecBuilder::new("/bin/sh")
            .args(args)
            .ancestors(&[parent])
            .build()
    };
    assert_found(
        &["Shell by a server"],
        &by("/usr/sbin/httpd", &["sh", "-c", "ok"]),
    );
    assert_found(&[], &by("/usr/sbin/cron", &["sh", "/etc/cron.daily/x"]));
    assert_found(
        &["With exceptions"],
        &by("/usr/sbin/crond", &["sh", "/etc/cron.daily/x"]),
    );
    assert_found(
        &[],
        &ExecBuilder::new("/bin/sh").args(&["sh", "x"]).uid(7).build(),
    );
    for path in ["/opt/tool", "/opt/other tool", "/nix/x/bash", "/trusted/sh"] {
        assert_found(&[], &ExecBuilder::new(path).invoked_as("/bin/bash").build());
    }
    assert_found(
        &["With exceptions"],
        &ExecBuilder::new("/nixos/x").invoked_as("/bin/bash").build(),
    );
}

#[test]
fn connections() {
    assert_found(
        &["Connection outwards"],
        &mk_connect_event("198.51.100.7:8080", &[]),
    );
    assert_found(&[], &mk_connect_event("198.51.100.7:80", &[]));
    assert_found(
        &[],
        &mk_connect_event("198.51.100.7:8080", &["www.example", "example.com"]),
    );
    assert_found(
        &["Connection outwards"],
        &mk_connect_event("198.51.100.7:8080", &["example.org"]),
    );
    assert_found(&[], &mk_connect_event("192.168.3.4:8080", &[]));
    assert_found(&[], &mk_connect_event("127.0.0.1:8080", &[]));
    let connect = mk_connect_event("198.51.100.7:8080", &[]);
    assert_found(
        &["Connection outwards"],
        &with_call(connect.clone(), Syscall::connect, -115),
    );
    assert_found(&[], &with_call(connect, Syscall::connect, -111));
    let sent = |protocol| {
        let local = Some("10.0.0.1:999");
        let event = mk_socket_event(NetworkOperation::Send, protocol, local, Some("198.51.100.7:53"));
        with_call(event, Syscall::sendmsg, 20)
    };
    assert_found(&["Connection outwards"], &sent(Protocol::Udp));
    assert_found(&[], &sent(Protocol::Tcp));
    let packets = mk_socket_event(NetworkOperation::Socket, Protocol::Packet, None, None);
    assert_found(&["Raw packets"], &packets);
    assert_found(
        &[],
        &mk_socket_event(NetworkOperation::Socket, Protocol::Raw, None, None),
    );
}

#[test]
fn the_system() {
    let ptrace = |request| {
        let target = OtherProcess {
            pid: Pid(7),
            exe: None,
            container: None,
        };
        mk_system_event(SystemActivity::Ptrace { request, target })
    };
    assert_found(&["Traced"], &ptrace(16));
    assert_found(&["Traced"], &ptrace(0x4206));
    assert_found(&[], &ptrace(0));
    let remote = Some(runtime_core::Endpoint::Ip("198.51.100.7:1".parse().unwrap()));
    let stream = mk_system_event(SystemActivity::SocketToStandardStream { stream: 1, remote });
    assert_found(
        &["Stream to the network"],
        &with_call(stream.clone(), Syscall::dup3, 1),
    );
    assert_found(&[], &with_call(stream, Syscall::dup2, -9));
    let loaded = |command| mk_system_event(SystemActivity::Bpf { command });
    assert_found(&["Program loaded into the kernel"], &loaded(5));
    assert_found(&[], &loaded(0));
    let module = mk_system_event(SystemActivity::LoadModule {
        path: "/tmp/m.ko".into(),
    });
    let mut process = Process::clone(&module.process);
    process.credentials.effective_caps = 1 << 16;
    let able = Event {
        process: process.into(),
        ..module.clone()
    };
    assert_found(&["Program loaded into the kernel"], &able);
    assert_found(&[], &module);
    let set = mk_system_event(SystemActivity::SetIds {
        uid: (33, 0),
        euid: (33, 0),
    });
    let user = ExecBuilder::new("/bin/app").uid(33).build();
    assert_found(&["Root again"], &with_process_of(set.clone(), &user));
    assert_found(&[], &set);
}
