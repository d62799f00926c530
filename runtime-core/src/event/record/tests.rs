use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::alert::tests::mk_event;
use crate::container::{Container, ContainerRole, ContainerStart, PodGroup, PodGroupKind, PodRef};
use crate::event::network::{Endpoint, NetworkOperation, Protocol};
use crate::event::{
    Activity, Call, DnsActivity, DnsAnswer, DomainName, Exec, Exit, FileActivity, FileOperation, MemoryWay,
    NamespaceWay, NetworkActivity, Open, Origin, OtherProcess, Outcome, Syscall, SystemActivity, Trust,
};
use crate::id::{CgroupId, ContainerId, FileId, PodUid, Sha256Digest};
use crate::process::{Credentials, Namespaces, Parent, ParentExe, Process};
use crate::time::{BootTime, Timestamp};

/// Any bytes, and often such as an escape is made of.
fn raw() -> impl Strategy<Value = RawString> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..12).prop_map(RawString::from),
        prop::collection::vec(select(b"\\x0f/\n\xff".to_vec()), 0..12).prop_map(RawString::from),
        "[a-z/]{0,12}".prop_map(RawString::from),
    ]
}

fn maybe_raw() -> impl Strategy<Value = Option<RawString>> {
    prop::option::of(raw())
}

fn text() -> impl Strategy<Value = Option<String>> {
    prop::option::of(".{0,8}")
}

fn domain() -> impl Strategy<Value = DomainName> {
    prop::collection::vec(prop::collection::vec(any::<u8>(), 1..8), 1..4).prop_map(|labels| {
        let name = DomainName::from_labels(labels.iter().map(Vec::as_slice));
        name.expect("the labels are short")
    })
}

fn endpoint() -> impl Strategy<Value = Endpoint> {
    prop_oneof![
        any::<([u8; 4], u16)>().prop_map(|(address, port)| Endpoint::ip(address.into(), port)),
        any::<([u8; 16], u16)>().prop_map(|(address, port)| Endpoint::ip(address.into(), port)),
        raw().prop_map(Endpoint::Unix),
    ]
}

fn file_id() -> impl Strategy<Value = FileId> {
    any::<(u32, u64)>().prop_map(|(device, inode)| FileId { device, inode })
}

fn exec() -> impl Strategy<Value = Activity> {
    let origin = prop::option::of(select(vec![Origin::Image, Origin::Dropped, Origin::Memory]));
    let rest = any::<(u64, bool, bool, Option<[u8; 32]>)>();
    (raw(), file_id(), origin, rest).prop_map(|(path, file, origin, (size, deleted, startup, digest))| {
        Activity::Exec(Exec {
            path,
            file,
            size,
            origin,
            deleted,
            sha256: digest.map(Sha256Digest),
            startup,
        })
    })
}

fn file() -> impl Strategy<Value = Activity> {
    let operation = any::<(u32, u32, bool, Option<u32>)>().prop_flat_map(|(flags, mode, created, id)| {
        select(vec![
            FileOperation::Open(Open { flags, mode, created }),
            FileOperation::Truncate,
            FileOperation::Rename,
            FileOperation::Link,
            FileOperation::Symlink,
            FileOperation::Unlink,
            FileOperation::Rmdir,
            FileOperation::Mkdir { mode },
            FileOperation::Mknod { mode },
            FileOperation::Chmod { mode },
            FileOperation::Chown {
                uid: id,
                gid: Some(flags),
            },
        ])
    });
    (
        operation,
        raw(),
        maybe_raw(),
        maybe_raw(),
        prop::option::of(file_id()),
    )
        .prop_map(|(operation, path, new_path, argument, file)| {
            Activity::File(FileActivity {
                operation,
                path,
                new_path,
                argument,
                file,
            })
        })
}

fn network() -> impl Strategy<Value = Activity> {
    use NetworkOperation as Op;
    let operation = select(vec![
        Op::Socket,
        Op::Connect,
        Op::Bind,
        Op::Listen,
        Op::Accept,
        Op::Send,
    ]);
    let protocol = prop_oneof![
        select(vec![
            Protocol::Tcp,
            Protocol::Udp,
            Protocol::Icmp,
            Protocol::Raw,
            Protocol::Packet,
            Protocol::Unix
        ]),
        any::<(u16, u16)>().prop_map(|(family, kind)| Protocol::Other { family, kind }),
    ];
    let side = || prop::option::of(endpoint());
    let domains = prop::collection::vec(domain(), 0..3);
    (operation, protocol, side(), side(), domains, any::<Option<i32>>()).prop_map(
        |(operation, protocol, local, remote, domains, descriptor)| {
            Activity::Network(NetworkActivity {
                operation,
                protocol,
                local,
                remote,
                domains,
                descriptor,
            })
        },
    )
}

fn dns() -> impl Strategy<Value = Activity> {
    let answer = (
        any::<u16>(),
        prop::collection::vec(domain(), 0..3),
        any::<Vec<[u8; 4]>>(),
    )
        .prop_map(|(code, aliases, addresses)| DnsAnswer {
            code,
            aliases,
            addresses: addresses.into_iter().map(Into::into).collect(),
        });
    (
        domain(),
        any::<([u8; 4], u16, u16, bool)>(),
        prop::option::of(answer),
    )
        .prop_map(|(name, (server, port, record_type, tcp), answer)| {
            Activity::Dns(DnsActivity {
                name,
                record_type,
                server: (server, port).into(),
                tcp,
                answer,
            })
        })
}

fn system() -> impl Strategy<Value = Activity> {
    let remote = prop::option::of(endpoint());
    let numbers = any::<(u64, u64, u32, u32, Option<u32>)>();
    ((raw(), raw(), raw(), maybe_raw()), numbers, remote).prop_flat_map(|((a, b, c, d), numbers, remote)| {
        use SystemActivity as Did;
        let (long, other, short, less, id) = numbers;
        let target = || OtherProcess {
            pid: Pid(short),
            exe: d.clone(),
            container: id.map(|id| ContainerId::new(format!("{id:x}"))),
        };
        select(vec![
            Did::Mount {
                source: a.clone(),
                target: b.clone(),
                fs_type: c.clone(),
                flags: long,
            },
            Did::Unmount {
                target: a.clone(),
                flags: long,
            },
            Did::PivotRoot {
                new_root: a.clone(),
                put_old: b.clone(),
            },
            Did::Ptrace {
                request: long,
                target: target(),
            },
            Did::WriteMemory {
                way: MemoryWay::ProcessVm,
                target: target(),
            },
            Did::WriteMemory {
                way: MemoryWay::ProcFile,
                target: target(),
            },
            Did::Signal {
                signal: short,
                target: target(),
            },
            Did::Namespaces {
                way: NamespaceWay::Enter,
                kinds: long,
            },
            Did::Namespaces {
                way: NamespaceWay::Unshare,
                kinds: long,
            },
            Did::Namespaces {
                way: NamespaceWay::Clone,
                kinds: long,
            },
            Did::SetIds {
                uid: (short, less),
                euid: (less, short),
            },
            Did::SetCapabilities {
                effective: (long, other),
            },
            Did::LoadModule { path: a.clone() },
            Did::UnloadModule { name: a.clone() },
            Did::Bpf { command: long },
            Did::Keyctl { command: long },
            Did::Userfaultfd { flags: long },
            Did::IoUringSetup { entries: long },
            Did::Memfd {
                name: a.clone(),
                flags: long,
            },
            Did::ExecutableMemory {
                protection: long,
                file: d.clone(),
            },
            Did::SocketToStandardStream {
                stream: short,
                remote: remote.clone(),
            },
            Did::Setsid,
        ])
        .prop_map(Activity::System)
    })
}

fn activity() -> impl Strategy<Value = Activity> {
    prop_oneof![
        exec(),
        Just(Activity::Fork),
        any::<(u8, u8)>().prop_map(|(code, signal)| Activity::Exit(Exit { code, signal })),
        file(),
        network(),
        dns(),
        system(),
    ]
}

fn container() -> impl Strategy<Value = Container> {
    let role = select(vec![ContainerRole::Workload, ContainerRole::Sandbox]);
    let labels = prop::collection::btree_map(".{0,4}", ".{0,4}", 0..3);
    let pod = prop::option::of((".{0,4}", ".{0,4}", ".{0,4}"));
    (
        ("[0-9a-f]{0,64}", any::<u64>()),
        (text(), text()),
        (pod.clone(), pod),
        role,
        any::<bool>(),
        labels,
    )
        .prop_map(
            |((id, cgroup), (name, image), (pod, group), role, preexisting, labels)| Container {
                id: ContainerId::new(id),
                cgroup: CgroupId(cgroup),
                name,
                image,
                pod: pod.map(|(namespace, name, uid)| PodRef {
                    namespace,
                    name,
                    uid: PodUid::new(uid),
                }),
                pod_group: group.map(|(kind, namespace, name)| PodGroup {
                    kind: PodGroupKind::new(kind),
                    namespace,
                    name,
                }),
                role,
                preexisting,
                started: preexisting.then_some(ContainerStart {
                    time: BootTime::from_nanos(cgroup),
                    pid: Pid(7),
                }),
                labels,
            },
        )
}

fn process() -> impl Strategy<Value = Process> {
    let identity = (raw(), maybe_raw(), maybe_raw(), maybe_raw(), maybe_raw()).prop_map(
        |(path, invoked_as, argv0, applet, script)| ProcessIdentity {
            path,
            invoked_as,
            argv0,
            applet,
            script,
        },
    );
    let exe = prop_oneof![
        raw().prop_map(ParentExe::Path),
        Just(ParentExe::Runtime),
        Just(ParentExe::Unknown)
    ];
    let ancestor = (any::<u32>(), raw()).prop_map(|(pid, path)| Ancestor {
        pid: Pid(pid),
        path,
        origin: (pid % 2 == 0).then_some(Origin::Image),
    });
    let names = (raw(), raw(), raw(), identity, exe);
    let lists = (
        prop::collection::vec(raw(), 0..4),
        prop::collection::vec(ancestor, 0..3),
    );
    let times = any::<(u64, u64, u64, u64)>();
    let ids = any::<([u32; 6], u32, u32, bool, bool)>();
    (names, lists, times, ids, file_id()).prop_map(
        |((exe, cwd, comm, identity, parent), (args, ancestors), times, ids, file)| {
            let (start, parent_start, wall, caps) = times;
            let ([pid, inner, uid, gid, euid, parent_pid], args_count, namespace, args_truncated, inferred) =
                ids;
            Process {
                origin: args_truncated.then_some(Origin::Dropped),
                pid: Pid(pid),
                container_pid: Pid(inner),
                start_boot: BootTime::from_nanos(start),
                start_time: Timestamp::from_unix_nanos(wall),
                exe,
                file,
                identity,
                args,
                args_truncated,
                args_count,
                cwd,
                comm,
                credentials: Credentials {
                    uid,
                    gid,
                    euid,
                    effective_caps: caps,
                    permitted_caps: !caps,
                },
                cgroup: CgroupId(start ^ wall),
                namespaces: Namespaces {
                    pid: namespace,
                    mount: !namespace,
                },
                parent: Parent {
                    pid: Pid(parent_pid),
                    start_boot: BootTime::from_nanos(parent_start),
                    exe: parent,
                    inferred,
                },
                ancestors,
            }
        },
    )
}

fn event() -> impl Strategy<Value = Event> {
    let call = (select(Syscall::ALL), any::<Option<i64>>(), any::<bool>()).prop_map(
        |(syscall, result, io_uring)| Call {
            syscall,
            result,
            io_uring,
        },
    );
    let told = (
        select(vec![Outcome::Attempted, Outcome::Done]),
        select(vec![Trust::Kernel, Trust::Argument]),
    );
    let container = prop::option::of(container());
    (
        any::<(u64, u64)>(),
        told,
        prop::option::of(call),
        container,
        process(),
        activity(),
    )
        .prop_map(
            |((time, boot), (outcome, trust), call, container, process, activity)| Event {
                time: Timestamp::from_unix_nanos(time),
                boot_time: BootTime::from_nanos(boot),
                outcome,
                trust,
                call,
                container: container.map(Arc::new),
                process: Arc::new(process),
                activity,
            },
        )
}

proptest! {
    #[test]
    fn what_is_recorded_is_what_is_read(event in event()) {
        let line = serde_json::to_string(&Record::new(&event)).unwrap();
        prop_assert!(!line.contains('\n'));
        let read: Record<'_> = serde_json::from_str(&line).unwrap();
        prop_assert_eq!(read.into_event(), event);
    }
}

#[test]
fn another_version_is_refused() {
    let event = mk_event("/bin/x");
    let line = serde_json::to_string(&Record::new(&event)).unwrap();
    assert!(
        line.starts_with(r#"{"version":1,"event":{"time":"2026-11-18T11:06:40.123456789Z","#),
        "{line}"
    );
    let other = line.replacen(":1,", ":2,", 1);
    let error = serde_json::from_str::<Record<'_>>(&other).unwrap_err();
    assert!(error.to_string().contains("version 2 of recordings"), "{error}");
    assert!(serde_json::from_str::<Record<'_>>("{}").is_err());
}
