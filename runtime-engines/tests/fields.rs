//! What fields hold in events of every class.

use runtime_core::event::dns::DnsAnswer;
use runtime_core::event::network::{Endpoint, NetworkOperation, Protocol};
use runtime_core::event::system::{MemoryWay, NamespaceWay, OtherProcess};
use runtime_core::event::{FileOperation, Open};
use runtime_core::policy::RuleSource;
use runtime_core::{Activity, Event, Pid, Process, Syscall, SystemActivity};
use runtime_engines::signatures::FIELDS;
use runtime_engines::testing::{
    ExecBuilder, mk_connect_event, mk_container, mk_dns_event, mk_exec_event, mk_exit_event, mk_file_event,
    mk_open_event, mk_socket_event, mk_system_event, with_call,
};
use runtime_engines::{Engine, RuleSet, SignatureEngine};

#[track_caller]
fn holds(condition: &str, event: &Event) -> bool {
    let source = RuleSource {
        origin: "t".into(),
        text: format!("- rule: r\n  condition: '{}'\n", condition.replace('\'', "''")),
        first_line: 1,
    };
    let (rules, problems) = RuleSet::compile(&[source]);
    assert_eq!(problems, [], "{condition}");
    let mut found = Vec::new();
    SignatureEngine::new(rules).judge(event, &mut found);
    !found.is_empty()
}

#[track_caller]
fn assert_all(event: &Event, conditions: &[&str]) {
    for condition in conditions {
        assert!(holds(condition, event), "{condition}");
    }
}

#[test]
fn opens() {
    let mut event = mk_open_event("/var/lib/app/data.db", 0o1101);
    let Activity::File(file) = &mut event.activity else {
        panic!()
    };
    file.argument = Some("../app/data.db".into());
    assert_all(
        &event,
        &[
            "evt.type = openat and syscall.type = openat and evt.category = file and evt.source = syscall",
            "fd.num = 3 and fd.type = file and fd.typechar = f and fd.name = /var/lib/app/data.db",
            "fd.directory = /var/lib/app and fd.filename = data.db and fd.nameraw = ../app/data.db",
            "fs.path.name = /var/lib/app/data.db and fs.path.nameraw = ../app/data.db",
            "not fs.path.source exists and not fs.path.target exists and not fd.sip exists",
            "evt.is_open_write = true and evt.is_open_read = false and evt.is_open_create = false",
            "evt.is_open_exec = false and evt.res = SUCCESS and evt.rawres = 3 and evt.failed = false",
            "evt.arg.name = ../app/data.db and evt.arg[2] = ../app/data.db and not evt.arg.path exists",
            "evt.arg.flags = 'O_TRUNC|O_CREAT|O_WRONLY' and evt.rawarg.flags = 577 and evt.arg.mode = '0644'",
            "evt.arg.fd = '<f>/var/lib/app/data.db' and evt.rawarg.fd = 3 and evt.arg[0] startswith '<f>'",
            "evt.args contains 'name=../app/data.db flags=O_TRUNC' and evt.info startswith 'fd=<f>'",
            "fd.ino = 11 and fd.dev = 7 and fd.dev.major = 0 and fd.dev.minor = 7 and evt.rawarg.ino = 11",
        ],
    );
    let failed = with_call(event, Syscall::openat2, -13);
    assert_all(
        &failed,
        &[
            "evt.type = openat2 and fd.num = -1 and evt.rawres = -13 and evt.res = EACCES and evt.failed = true",
            "evt.arg.fd = EACCES and fd.name exists and evt.count.error = 1",
        ],
    );
    assert_all(
        &mk_open_event("/tmp", 0o200_000),
        &["fd.typechar = d and fd.type = directory"],
    );
    assert_all(
        &mk_open_event("/x", 0),
        &["fd.directory = / and fd.filename = x and evt.arg.flags = O_RDONLY"],
    );
    assert_all(
        &mk_open_event("/x", 0o10_000_000),
        &["evt.is_open_read = false and evt.is_open_write = false and evt.is_open_read exists"],
    );
    // Nothing says how it ended.
    let open = FileOperation::Open(Open::default());
    assert_all(
        &mk_file_event(open, "/x", None),
        &["evt.type = openat and not fd.num exists and not evt.res exists and not evt.failed exists"],
    );
}

#[test]
fn other_operations_on_files() {
    let renamed = with_call(
        mk_file_event(FileOperation::Rename, "/a/b", Some("/c")),
        Syscall::renameat2,
        0,
    );
    assert_all(
        &renamed,
        &[
            "evt.arg.oldpath = /a/b and evt.arg.newpath = /c and evt.arg.res = 0 and evt.rawarg.res = 0",
            "fs.path.source = /a/b and fs.path.target = /c and not fs.path.name exists",
            "not fd.name exists and not fd.num exists and not evt.is_open_read exists and not evt.arg.flags exists",
        ],
    );
    let linked = mk_file_event(FileOperation::Symlink, "/etc/shadow", Some("/tmp/s"));
    assert_all(
        &linked,
        &[
            "evt.type = symlink and evt.arg.target = /etc/shadow and evt.arg.linkpath = /tmp/s",
            "fs.path.source = /tmp/s and fs.path.target = /etc/shadow",
        ],
    );
    let hard = mk_file_event(FileOperation::Link, "/etc/shadow", Some("/tmp/s"));
    assert_all(
        &hard,
        &["evt.type = link and evt.arg.oldpath = /etc/shadow and evt.arg.newpath = /tmp/s"],
    );
    let removed = mk_file_event(FileOperation::Unlink, "/a", None);
    assert_all(
        &removed,
        &["evt.type = unlink and evt.arg.path = /a and fs.path.name = /a and not evt.arg.name exists"],
    );
    assert_all(
        &with_call(removed, Syscall::unlinkat, 0),
        &["evt.arg.name = /a and not evt.arg.path exists"],
    );
    let mode = FileOperation::Chmod { mode: 0o4711 };
    assert_all(
        &with_call(mk_file_event(mode, "/a", None), Syscall::fchmod, 0),
        &[
            "fd.name = /a and fd.filename = a and evt.arg.fd = '<f>/a' and not evt.arg.filename exists",
            "evt.arg.mode = 'S_IXOTH|S_IXGRP|S_IXUSR|S_IWUSR|S_IRUSR|S_ISUID' and evt.rawarg.mode = 2505",
        ],
    );
    let owner = FileOperation::Chown {
        uid: Some(0),
        gid: None,
    };
    assert_all(
        &mk_file_event(owner, "/a", None),
        &["evt.type = chown and evt.arg.path = /a and evt.arg.uid = root and evt.rawarg.gid = -1"],
    );
    let device = FileOperation::Mknod { mode: 0o60_600 };
    assert_all(
        &mk_file_event(device, "/dev/x", None),
        &["evt.arg.mode = 'S_IWUSR|S_IRUSR|S_IFBLK' and fs.path.name = /dev/x"],
    );
    assert_all(
        &mk_file_event(FileOperation::Mkdir { mode: 0o755 }, "/d", None),
        &["evt.type in (mkdir, mkdirat) and evt.arg.path = /d and evt.arg.mode = '0755'"],
    );
}

#[test]
fn sockets() {
    let event = mk_connect_event("198.51.100.7:443", &["www.example.com", "example.com"]);
    assert_all(
        &event,
        &[
            "fd.name = '10.0.0.9:40000->198.51.100.7:443' and fd.type = ipv4 and fd.typechar = 4 and fd.num = 5",
            "fd.sip = 198.51.100.7 and fd.rip = 198.51.100.7 and fd.cip = 10.0.0.9 and fd.lip = 10.0.0.9",
            "fd.sport = 443 and fd.rport = 443 and fd.cport = 40000 and fd.lport = 40000",
            "fd.ip = 10.0.0.9 and fd.ip = 198.51.100.7 and fd.port = 443 and fd.port in (1, 40000)",
            "fd.net = 198.51.100.0/24 and fd.snet in (192.0.2.0/24, 198.51.100.0/24) and fd.cnet = 10.0.0.0/8",
            "not fd.ip != 10.0.0.9 and not fd.port != 443 and fd.ip != 10.0.0.1 and fd.net != 127.0.0.0/8",
            "fd.sip.name = example.com and fd.sip.name in (x, www.example.com) and fd.rip.name startswith www",
            "not fd.sip.name != example.com and fd.sip.name != other.example and not fd.cip.name exists",
            "fd.l4proto = tcp and fd.sockfamily = ip and fd.is_server = false and fd.connected = true",
            "evt.arg.tuple = '10.0.0.9:40000->198.51.100.7:443' and evt.arg.addr = 198.51.100.7:443",
            "not fd.directory exists and not fs.path.name exists and evt.category = net",
        ],
    );
    let local = Some("10.0.0.9:80");
    let accepted = mk_socket_event(
        NetworkOperation::Accept,
        Protocol::Tcp,
        local,
        Some("192.0.2.1:5000"),
    );
    assert_all(
        &accepted,
        &[
            "evt.type in (accept, accept4) and fd.is_server = true and fd.sip = 10.0.0.9 and fd.cip = 192.0.2.1",
            "fd.sport = 80 and fd.cport = 5000 and fd.lport = 80 and fd.rport = 5000",
            "fd.name = '192.0.2.1:5000->10.0.0.9:80' and not fd.cip.name exists",
        ],
    );
    let listening = mk_socket_event(NetworkOperation::Listen, Protocol::Tcp, Some("0.0.0.0:22"), None);
    assert_all(
        &listening,
        &["fd.name = 0.0.0.0:22 and fd.sport = 22 and fd.ip = 0.0.0.0 and not fd.cip exists"],
    );
    let six = mk_connect_event("[2001:db8::1]:53", &[]);
    assert_all(
        &six,
        &["fd.typechar = 6 and fd.type = ipv6 and fd.snet = 2001:db8::/32 and fd.sip = 2001:db8::1"],
    );
    let packets = mk_socket_event(NetworkOperation::Socket, Protocol::Packet, None, None);
    assert_all(
        &packets,
        &[
            "evt.type = socket and evt.arg.domain = AF_PACKET and evt.rawarg.domain = 17 and not fd.name exists",
        ],
    );
    let netlink = Protocol::Other { family: 16, kind: 3 };
    let netlink = mk_socket_event(NetworkOperation::Socket, netlink, None, None);
    assert_all(
        &netlink,
        &["evt.arg.domain = AF_NETLINK and evt.arg.type = 3 and fd.typechar = n"],
    );
    let mut unix = mk_socket_event(NetworkOperation::Connect, Protocol::Unix, None, None);
    let Activity::Network(network) = &mut unix.activity else {
        panic!()
    };
    network.remote = Some(Endpoint::Unix("/run/docker.sock".into()));
    assert_all(
        &unix,
        &["fd.name = /run/docker.sock and fd.type = unix and fd.sockfamily = unix and not fd.ip exists"],
    );
}

#[test]
fn names_of_hosts() {
    let mut event = mk_dns_event("Pool.Example.COM");
    assert_all(
        &event,
        &[
            "evt.type = dns and not syscall.type exists and dns.name = pool.example.com and dns.type = 1",
            "dns.server = 10.96.0.10 and dns.server.port = 53 and dns.l4proto = udp and dns.is_answer = false",
            "not dns.rcode exists and not dns.alias exists and not fd.name exists",
        ],
    );
    let Activity::Dns(dns) = &mut event.activity else {
        panic!()
    };
    dns.answer = Some(DnsAnswer {
        code: 3,
        aliases: vec!["a.example".parse().unwrap()],
        addresses: Vec::new(),
    });
    assert_all(
        &event,
        &["dns.is_answer = true and dns.rcode = 3 and dns.alias = a.example"],
    );
}

#[test]
fn the_system() {
    let target = OtherProcess {
        pid: Pid(77),
        exe: None,
        container: None,
    };
    let ptrace = mk_system_event(SystemActivity::Ptrace {
        request: 16,
        target: target.clone(),
    });
    assert_all(
        &ptrace,
        &[
            "evt.type = ptrace and evt.arg.request = PTRACE_ATTACH and evt.rawarg.request = 16 and evt.arg.pid = 77",
        ],
    );
    let memory = mk_system_event(SystemActivity::WriteMemory {
        way: MemoryWay::ProcessVm,
        target: target.clone(),
    });
    assert_all(&memory, &["evt.type = process_vm_writev and evt.rawarg.pid = 77"]);
    let signal = mk_system_event(SystemActivity::Signal { signal: 9, target });
    assert_all(
        &signal,
        &["evt.type = kill and evt.arg.sig = SIGKILL and evt.rawarg.sig = 9"],
    );
    let mount = mk_system_event(SystemActivity::Mount {
        source: "/dev/sda1".into(),
        target: "/mnt".into(),
        fs_type: "ext4".into(),
        flags: 0x1001,
    });
    assert_all(
        &mount,
        &[
            "evt.arg.dev = /dev/sda1 and evt.arg.dir = /mnt and evt.arg.type = ext4 and evt.arg.flags = 'RDONLY|BIND'",
            "fs.path.source = /dev/sda1 and fs.path.target = /mnt",
        ],
    );
    let unmount = mk_system_event(SystemActivity::Unmount {
        target: "/mnt".into(),
        flags: 2,
    });
    assert_all(
        &unmount,
        &["evt.arg.name = /mnt and fs.path.name = /mnt and evt.arg.flags = DETACH"],
    );
    let namespaces = mk_system_event(SystemActivity::Namespaces {
        way: NamespaceWay::Unshare,
        kinds: 0x1002_0000,
    });
    assert_all(
        &namespaces,
        &["evt.type = unshare and evt.arg.flags = 'CLONE_NEWNS|CLONE_NEWUSER'"],
    );
    let entered = mk_system_event(SystemActivity::Namespaces {
        way: NamespaceWay::Enter,
        kinds: 0,
    });
    assert_all(&entered, &["evt.type = setns and evt.arg.nstype = 0"]);
    let ids = mk_system_event(SystemActivity::SetIds {
        uid: (33, 33),
        euid: (33, 5),
    });
    assert_all(
        &ids,
        &["evt.type = setuid and evt.arg.uid = 5 and evt.rawarg.uid = 5"],
    );
    let memfd = mk_system_event(SystemActivity::Memfd {
        name: "hidden".into(),
        flags: 1,
    });
    assert_all(
        &memfd,
        &["evt.type = memfd_create and evt.arg.name = hidden and evt.arg.flags = MFD_CLOEXEC"],
    );
    let stream = mk_system_event(SystemActivity::SocketToStandardStream {
        stream: 1,
        remote: Some(Endpoint::Ip("192.0.2.1:4444".parse().unwrap())),
    });
    assert_all(
        &with_call(stream, Syscall::dup2, 1),
        &[
            "evt.type = dup2 and evt.rawres = 1 and fd.num = 1 and fd.typechar = 4 and fd.name = 192.0.2.1:4444",
            "fd.rip = 192.0.2.1 and fd.rport = 4444 and not fd.sip exists",
        ],
    );
    let rest = [
        (
            SystemActivity::PivotRoot {
                new_root: "/n".into(),
                put_old: "/o".into(),
            },
            "pivot_root",
        ),
        (
            SystemActivity::LoadModule { path: "/m.ko".into() },
            "finit_module",
        ),
        (SystemActivity::UnloadModule { name: "m".into() }, "delete_module"),
        (SystemActivity::Bpf { command: 5 }, "bpf"),
        (SystemActivity::Keyctl { command: 1 }, "keyctl"),
        (SystemActivity::Userfaultfd { flags: 0 }, "userfaultfd"),
        (SystemActivity::IoUringSetup { entries: 8 }, "io_uring_setup"),
        (SystemActivity::SetCapabilities { effective: (0, 1) }, "capset"),
        (
            SystemActivity::ExecutableMemory {
                protection: 7,
                file: None,
            },
            "mmap",
        ),
        (SystemActivity::Setsid, "setsid"),
    ];
    for (activity, name) in rest {
        assert_all(
            &mk_system_event(activity),
            &[&format!("evt.type = {name} and evt.category = system")],
        );
    }
}

#[test]
fn processes() {
    let event = ExecBuilder::new("/bin/app")
        .args(&["app", "one", "two"])
        .cwd("")
        .build();
    let mut process = Process::clone(&event.process);
    process.credentials.effective_caps = 1 << 21 | 1 << 1;
    process.credentials.permitted_caps = 1 << 21;
    process.credentials.euid = 5;
    let event = Event {
        process: process.into(),
        ..event
    };
    assert_all(
        &event,
        &[
            "proc.args[0] = one and proc.args[1] = two and not proc.args[2] exists and proc.args = 'one two'",
            "proc.exeline = 'app one two' and proc.cmdlenargs = 6 and proc.cmdnargs = 2 and not proc.cwd exists",
            "proc.duration = 1000000 and proc.ppid.duration = 4001000000 and proc.pid.ts = 1795000000000000000",
            "proc.exe_ino = 99 and proc.is_exe_lower_layer = true and proc.is_exe_upper_layer = false",
            "proc.is_startup = false and proc.is_exe_deleted = false and thread.name = app",
            "thread.cap_effective = 'CAP_DAC_OVERRIDE CAP_SYS_ADMIN' and thread.cap_permitted = CAP_SYS_ADMIN",
            "user.uid = 0 and user.name = root and user.euid = 5 and group.gid = 0 and group.name = root",
            "evt.rawres = 0 and evt.res = SUCCESS and evt.arg.exe = app and evt.arg.args = 'one two'",
            "evt.arg.pid = 4242 and evt.arg.ptid = 100 and evt.rawarg.uid = 0 and evt.arg.comm = app",
            "evt.time.iso8601 startswith 2026-11-18T and evt.datetime endswith Z and evt.time.s = '11:06:40'",
            "evt.time = '11:06:40.001000000' and evt.rawtime.s = 1795000000 and evt.rawtime.ns = 1000000",
            "evt.count = 1 and evt.num = 1 and evt.dir = <",
        ],
    );
    let user = ExecBuilder::new("/bin/app").uid(33).build();
    assert_all(
        &user,
        &["user.uid = 33 and not user.name exists and not user.name != root"],
    );
    assert_all(
        &mk_exit_event("/bin/app"),
        &["not evt.res exists and not evt.args exists"],
    );
}

#[test]
fn containers() {
    let mut container = mk_container("c1");
    container.labels.insert("tier".into(), "front".into());
    container.labels.insert("app".into(), "web".into());
    let event = ExecBuilder::new("/bin/app").container(Some(container)).build();
    assert_all(
        &event,
        &[
            "container.image.digest = 'sha256:00' and container.image.tag = '1.2'",
            "container.label[tier] = front and not container.label[other] exists and k8s.pod.label[app] = web",
            "container.labels = 'app:web, tier:front' and k8s.pod.labels contains tier:front",
            "k8s.group.kind = Deployment and k8s.group.name = web and k8s.deployment.name = web",
            "k8s.pod.id = val(k8s.pod.uid) and container.mount.dest[/proc*] in ('<NA>', 'N/A')",
        ],
    );
    let host = ExecBuilder::new("/bin/app").container(None).build();
    assert_all(
        &host,
        &["not container.labels exists and not k8s.ns.name exists and not k8s.pod.label[app] exists"],
    );
}

/// A field that is not supplied loads, is never there, and says why.
#[test]
fn what_is_not_known_is_missing() {
    let events = [
        mk_exec_event("/bin/app", &["app"]),
        mk_open_event("/x", 0),
        mk_connect_event("192.0.2.1:1", &[]),
        mk_dns_event("example.com"),
        mk_system_event(SystemActivity::Setsid),
    ];
    let mut count = 0;
    for field in FIELDS.iter().filter(|field| !field.is_supplied()) {
        use runtime_engines::signatures::Argument;
        assert!(field.meaning.starts_with("Not known: "), "{}", field.name);
        let name = match field.argument {
            Argument::Key => format!("{}[x]", field.name),
            _ => field.name.to_owned(),
        };
        for event in &events {
            assert!(holds(&format!("not {name} exists"), event), "{name}");
        }
        count += 1;
    }
    assert!(count > 50);
}
