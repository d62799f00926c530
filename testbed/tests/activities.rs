//! What the sensor says of system calls: exactly what was done, and no more than the kernel vouches for. Needs root.

use std::time::{Duration, Instant};

use runtime_core::event::FileOperation;
use runtime_core::needs::Paths;
use runtime_core::{Activity, Event, EventClass, Needs, Outcome, SensorItem, Syscall, SystemActivity, Trust};
use runtime_ebpf::{Sensor, SensorOptions};
use testbed::Container;

const LIMIT: Duration = Duration::from_secs(30);
const CWD: &str = "-100";

/// A sensor that is asked for something, and a container.
struct Scene {
    sensor: Sensor,
    container: Container,
    events: Vec<Event>,
}

impl Scene {
    fn new(needs: Needs) -> Self {
        let options = SensorOptions {
            needs,
            lifecycle: true,
            ..SensorOptions::default()
        };
        let sensor = Sensor::start(&options).expect("the sensor needs root and a kernel with BTF");
        let container = Container::builder()
            .file("/etc/shadow", "secret", 0o600)
            .file("/etc/plain", "plain", 0o644)
            .file("/work/data", "data", 0o644)
            .symlink("/work/link", "/etc/shadow")
            .run()
            .unwrap();
        let mut scene = Self {
            sensor,
            container,
            events: Vec::new(),
        };
        // Watched files are looked up when the container is heard of.
        let deadline = Instant::now() + LIMIT;
        while scene.events.is_empty() {
            assert!(Instant::now() < deadline, "the container is never heard of");
            scene.poll();
        }
        scene
    }

    fn poll(&mut self) {
        let events = &mut self.events;
        self.sensor
            .poll(Duration::from_millis(20), &mut |item| match item {
                SensorItem::Event(event) => events.push(event),
                SensorItem::Lost(loss) => panic!("{loss:?}"),
                SensorItem::ContainerStarted(_) | SensorItem::ContainerStopped(_) => {}
            })
            .unwrap();
    }

    /// Makes system calls in the container, and gives what was told of that process.
    fn does(&mut self, calls: &[&str]) -> Vec<Event> {
        let mut argv = vec!["/bin/workload", "syscalls"];
        argv.extend(calls);
        self.runs(&argv)
    }

    fn runs(&mut self, argv: &[&str]) -> Vec<Event> {
        self.events.clear();
        let output = self.container.exec(argv).unwrap().wait(LIMIT).unwrap();
        assert!(output.status.success(), "{argv:?}: {}", output.text);
        println!(
            "{argv:?}: {}",
            output.text.split_whitespace().collect::<Vec<_>>().join(" ")
        );
        let deadline = Instant::now() + LIMIT;
        loop {
            let own = self.events.iter().find(|event| {
                // What is too long for the sensor is cut.
                let seen = &event.process.args;
                let same = seen
                    .iter()
                    .zip(argv)
                    .all(|(seen, asked)| asked.as_bytes().starts_with(seen));
                matches!(event.activity, Activity::Exec(_))
                    && same
                    && (seen.len() == argv.len() || event.process.args_truncated)
            });
            let pid = own.map(|event| event.process.pid);
            let over = self
                .events
                .iter()
                .any(|event| Some(event.process.pid) == pid && matches!(event.activity, Activity::Exit(_)));
            if let (Some(pid), true) = (pid, over) {
                // A record that another processor is writing may hold up those behind it for a moment.
                self.poll();
                let own = self.events.iter().filter(|event| event.process.pid == pid);
                let id = self.container.id();
                let own: Vec<Event> = own
                    .filter(|event| {
                        !matches!(
                            event.activity,
                            Activity::Exec(_) | Activity::Exit(_) | Activity::Fork
                        )
                    })
                    // The language's own start-up looks for the end of its stack.
                    .filter(|event| !told(event).ends_with("/maps"))
                    .cloned()
                    .collect();
                for event in &own {
                    assert_eq!(
                        event.container.as_ref().map(|container| container.id.as_str()),
                        Some(id)
                    );
                    assert_eq!(*event.process.exe, *b"/bin/workload");
                    assert!(!event.process.args.is_empty(), "the process is known");
                }
                return own;
            }
            assert!(
                Instant::now() < deadline,
                "{argv:?} is not over: {:#?}",
                self.events
            );
            self.poll();
        }
    }

    /// The same in words: see [`told`].
    fn told(&mut self, calls: &[&str]) -> Vec<String> {
        self.does(calls).iter().map(told).collect()
    }
}

/// An event in a line: the call, whether it was done, who says so, and what it was.
fn told(event: &Event) -> String {
    let call = event.call.map_or(String::new(), |call| call.syscall.to_string());
    let outcome = match event.outcome {
        Outcome::Done => "done",
        Outcome::Attempted => "attempted",
    };
    let trust = match event.trust {
        Trust::Kernel => "kernel",
        Trust::Argument => "argument",
    };
    let what = match &event.activity {
        Activity::File(file) => {
            let name = file.operation.name();
            let new = file
                .new_path
                .as_ref()
                .map_or(String::new(), |new| format!(" -> {new}"));
            format!("{name} {}{new}", file.path)
        }
        Activity::Network(network) => {
            let remote = network
                .remote
                .as_ref()
                .map_or(String::new(), |remote| format!(" {remote}"));
            format!("{} {}{remote}", network.operation.name(), network.protocol.name())
        }
        Activity::System(system) => match system {
            SystemActivity::Ptrace { target, .. }
            | SystemActivity::WriteMemory { target, .. }
            | SystemActivity::Signal { target, .. } => format!(
                "{} {}",
                system.name(),
                target
                    .exe
                    .as_ref()
                    .map_or("unknown".to_owned(), ToString::to_string)
            ),
            system => match system.target() {
                Some(target) => format!("{} {target}", system.name()),
                None => system.name().to_owned(),
            },
        },
        other => format!("{other:?}"),
    };
    format!("{call} {outcome} {trust} {what}")
}

fn number(call: libc::c_long) -> String {
    call.to_string()
}

/// `calls!["NUMBER", args…; …]` joined with commas.
macro_rules! calls {
    ($($($word:expr),+);+ $(;)?) => {{
        let mut words: Vec<String> = Vec::new();
        $(
            if !words.is_empty() {
                words.push(",".to_owned());
            }
            $(words.push($word.to_string());)+
        )+
        words
    }};
}

fn check(scene: &mut Scene, calls: &[String], expected: &[&str]) {
    let calls: Vec<&str> = calls.iter().map(String::as_str).collect();
    assert_eq!(scene.told(&calls), expected, "{calls:?}");
}

#[test]
fn opens_are_told_by_the_file_that_was_opened() {
    use libc::{SYS_close, SYS_creat, SYS_open, SYS_openat, SYS_openat2};
    let mut scene = Scene::new(Needs::everything());
    check(
        &mut scene,
        &calls![SYS_openat, CWD, "s:/etc/plain", 0],
        &["openat done kernel read /etc/plain"],
    );
    check(
        &mut scene,
        &calls![SYS_open, "s:/work/data", 1],
        &["open done kernel write /work/data"],
    );
    check(
        &mut scene,
        &calls![SYS_openat, CWD, "s:/work/new", 0x41, 0o644],
        &["openat done kernel create /work/new"],
    );
    check(
        &mut scene,
        &calls![SYS_openat, CWD, "s:/work/new", 0x41, 0o644],
        &["openat done kernel write /work/new"],
    );
    check(
        &mut scene,
        &calls![SYS_creat, "s:/work/other", 0o600],
        &["creat done kernel create /work/other"],
    );
    check(
        &mut scene,
        &calls![SYS_openat2, CWD, "s:/etc/plain", "how:2:0", 24],
        &["openat2 done kernel write /etc/plain"],
    );
    // Through a symbolic link, relative to a directory's descriptor, and with dots.
    check(
        &mut scene,
        &calls![SYS_openat, CWD, "s:/work/link", 0],
        &["openat done kernel read /etc/shadow"],
    );
    check(
        &mut scene,
        &calls![SYS_openat, CWD, "s:/work", 0x10000; SYS_openat, "=0", "s:../work/./data", 0; SYS_close, "=1"],
        &[
            "openat done kernel read /work",
            "openat done kernel read /work/data",
        ],
    );
    // What fails has nothing but its argument.
    check(
        &mut scene,
        &calls![SYS_openat, CWD, "s:/no/../such", 0],
        &["openat attempted argument read /such"],
    );
    check(
        &mut scene,
        &calls![SYS_openat, CWD, "1", 0],
        &["openat attempted argument read /"],
    );
}

#[test]
fn the_32_bit_entry_hides_nothing() {
    let mut scene = Scene::new(Needs::everything());
    check(
        &mut scene,
        &calls!["int80", 5, "s:/etc/shadow", 0],
        &["open done kernel read /etc/shadow"],
    );
    check(
        &mut scene,
        &calls!["int80", 295, CWD, "s:/work/data", 2],
        &["openat done kernel write /work/data"],
    );
    check(
        &mut scene,
        &calls!["int80", 39, "s:/work/made", 0o755],
        &["mkdir done argument mkdir /work/made"],
    );
}

#[test]
fn names_are_changed_as_the_caller_says() {
    use libc::{
        SYS_link, SYS_linkat, SYS_mkdir, SYS_mkdirat, SYS_mknodat, SYS_openat, SYS_rename, SYS_renameat2,
        SYS_rmdir, SYS_symlink, SYS_symlinkat, SYS_unlink, SYS_unlinkat,
    };
    let mut scene = Scene::new(Needs::everything());
    let mut one = |calls: &[String], expected| check(&mut scene, calls, &[expected]);
    one(
        &calls![SYS_rename, "s:/work/data", "s:/work/moved"],
        "rename done argument rename /work/data -> /work/moved",
    );
    one(
        &calls![SYS_renameat2, CWD, "s:/work/moved", CWD, "s:/etc/plain", 2],
        "renameat2 done argument rename /work/moved -> /etc/plain",
    );
    one(
        &calls![SYS_link, "s:/etc/plain", "s:/work/hard"],
        "link done argument link /etc/plain -> /work/hard",
    );
    one(
        &calls![SYS_linkat, CWD, "s:/etc/plain", CWD, "s:/work/hard", 0],
        "linkat attempted argument link /etc/plain -> /work/hard",
    );
    one(
        &calls![SYS_symlink, "s:../etc/x", "s:/work/soft"],
        "symlink done argument symlink ../etc/x -> /work/soft",
    );
    one(
        &calls![SYS_unlink, "s:/work/hard"],
        "unlink done argument unlink /work/hard",
    );
    one(
        &calls![SYS_unlinkat, CWD, "s:/work/soft", 0],
        "unlinkat done argument unlink /work/soft",
    );
    one(
        &calls![SYS_mkdir, "s:/work/dir", 0o755],
        "mkdir done argument mkdir /work/dir",
    );
    one(
        &calls![SYS_rmdir, "s:/work/dir"],
        "rmdir done argument rmdir /work/dir",
    );
    one(
        &calls![SYS_mkdirat, CWD, "s:work/dir", 0o755],
        "mkdirat done argument mkdir /work/dir",
    );
    one(
        &calls![SYS_unlinkat, CWD, "s:/work/dir", 0x200],
        "unlinkat done argument rmdir /work/dir",
    );
    one(
        &calls![SYS_mknodat, CWD, "s:/work/pipe", 0o010_644, 0],
        "mknodat done argument mknod /work/pipe",
    );
    check(
        &mut scene,
        &calls![SYS_openat, CWD, "s:/work", 0x10000; SYS_symlinkat, "s:/x", "=0", "s:soft"],
        &[
            "openat done kernel read /work",
            "symlinkat done argument symlink /x -> /work/soft",
        ],
    );
}

#[test]
fn modes_and_owners_are_told_with_their_values() {
    use libc::{
        SYS_chmod, SYS_chown, SYS_fchmod, SYS_fchmodat, SYS_fchownat, SYS_ftruncate, SYS_lchown, SYS_openat,
        SYS_truncate,
    };
    let mut scene = Scene::new(Needs::everything());
    let events = scene.does(&[&number(SYS_chmod), "s:/work/data", "0o4755"]);
    let [event] = &events[..] else {
        panic!("{events:?}")
    };
    assert!(
        matches!(&event.activity, Activity::File(file) if file.operation == FileOperation::Chmod { mode: 0o4755 }),
        "{event:?}"
    );
    let events = scene.does(&[&number(SYS_chown), "s:/work/data", "1000", "-1"]);
    let [event] = &events[..] else {
        panic!("{events:?}")
    };
    assert!(
        matches!(&event.activity, Activity::File(file)
            if file.operation == FileOperation::Chown { uid: Some(1000), gid: None }),
        "{event:?}"
    );
    let mut one = |calls: &[String], expected| check(&mut scene, calls, &[expected]);
    one(
        &calls![SYS_fchmodat, CWD, "s:/work/data", 0o644],
        "fchmodat done argument chmod /work/data",
    );
    one(
        &calls![SYS_lchown, "s:/work/link", 1, 1],
        "lchown done argument chown /work/link",
    );
    one(
        &calls![SYS_fchownat, CWD, "s:/work/none", 1, 1, 0],
        "fchownat attempted argument chown /work/none",
    );
    one(
        &calls![SYS_truncate, "s:/work/data", 1],
        "truncate done argument truncate /work/data",
    );
    check(
        &mut scene,
        &calls![SYS_openat, CWD, "s:/work/data", 2; SYS_fchmod, "=0", 0o600; SYS_ftruncate, "=0", 0],
        &[
            "openat done kernel write /work/data",
            "fchmod done kernel chmod /work/data",
            "ftruncate done kernel truncate /work/data",
        ],
    );
}

#[test]
fn sockets_are_told_with_both_sides() {
    use libc::{SYS_accept4, SYS_bind, SYS_connect, SYS_listen, SYS_nanosleep, SYS_socket};
    let mut scene = Scene::new(Needs::everything());
    // The containers share the host's network.
    let free = std::net::TcpListener::bind("[::1]:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let abstract_name = format!("testbed-{}", std::process::id());
    for (family, shown) in [
        (2, format!("127.0.0.1:{free}")),
        (10, format!("[::1]:{free}")),
        (1, "/work/socket".to_owned()),
        (1, format!("\\x00{abstract_name}")),
    ] {
        let address = match family {
            1 => format!("un:{}", shown.replace("\\x00", "@")),
            _ => format!("in:{shown}"),
        };
        // An accept must not wait for ever for a connection that failed.
        let patient = 1 | libc::SOCK_NONBLOCK;
        let protocol = if family == 1 { "unix" } else { "tcp" };
        let events = scene.does(
            &calls![
                SYS_socket, family, patient, 0; SYS_bind, "=0", address, "len"; SYS_listen, "=0", 1;
                SYS_socket, family, 1, 0; SYS_connect, "=3", address, "len";
                // On a slow machine the listener hears of the connection a moment later.
                SYS_nanosleep, "x:000000000000000080f0fa0200000000", 0; SYS_accept4, "=0", 0, 0, 0
            ]
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>(),
        );
        let told: Vec<String> = events.iter().map(told).collect();
        let expected = [
            format!("socket done kernel socket {protocol}"),
            format!("bind done kernel bind {protocol}"),
            format!("listen done kernel listen {protocol}"),
            format!("socket done kernel socket {protocol}"),
            format!("connect done kernel connect {protocol} {shown}"),
        ];
        assert_eq!(told[..5], expected);
        let networks: Vec<_> = events
            .iter()
            .map(|event| match &event.activity {
                Activity::Network(network) => network,
                other => panic!("{other:?}"),
            })
            .collect();
        let local = |index: usize| networks[index].local.as_ref().map(ToString::to_string);
        assert_eq!(
            [local(1), local(2), local(5)],
            [(); 3].map(|()| Some(shown.clone()))
        );
        assert!(
            told[5].starts_with(&format!("accept4 done kernel accept {protocol}")),
            "{}",
            told[5]
        );
        assert_eq!(
            networks[5].remote.is_some(),
            family != 1,
            "who connects by a path has none"
        );
        assert_eq!(
            networks[4].local, networks[5].remote,
            "the two ends of one connection"
        );
    }
}

#[test]
fn connects_that_fail_and_messages_have_their_argument() {
    use libc::{SYS_connect, SYS_sendmmsg, SYS_sendmsg, SYS_sendto, SYS_socket};
    let mut scene = Scene::new(Needs::everything());
    check(
        &mut scene,
        &calls![SYS_socket, 2, 1, 0; SYS_connect, "=0", "in:127.0.0.1:9", "len"],
        &[
            "socket done kernel socket tcp",
            "connect attempted argument connect tcp 127.0.0.1:9",
        ],
    );
    check(
        &mut scene,
        &calls![
            SYS_socket, 2, 2, 0; SYS_sendto, "=0", "s:x", 1, 0, "in:127.0.0.1:9", "len";
            SYS_sendmsg, "=0", "msg:in:127.0.0.2:9", 0; SYS_sendmmsg, "=0", "msg:in:127.0.0.3:9", 1, 0;
            SYS_connect, "=0", "in:127.0.0.4:9", "len"; SYS_sendto, "=0", "s:x", 1, 0, 0, 0
        ],
        &[
            "socket done kernel socket udp",
            "sendto done argument send udp 127.0.0.1:9",
            "sendmsg done argument send udp 127.0.0.2:9",
            "sendmmsg done argument send udp 127.0.0.3:9",
            "connect done kernel connect udp 127.0.0.4:9",
        ],
    );
    // The same by i386's socketcall, whose arguments lie in memory: socket(AF_INET, SOCK_RAW, ICMP).
    check(
        &mut scene,
        &calls!["int80", 102, 1, "x:020000000300000001000000"],
        &["socket done kernel socket raw"],
    );
    check(
        &mut scene,
        &calls![SYS_socket, 17, 3, 0],
        &["socket done kernel socket packet"],
    );
}

#[test]
fn what_is_done_to_the_system_is_told() {
    use libc::{
        SYS_bpf, SYS_capset, SYS_delete_module, SYS_dup2, SYS_finit_module, SYS_io_uring_setup, SYS_keyctl,
        SYS_memfd_create, SYS_mmap, SYS_mount, SYS_mprotect, SYS_openat, SYS_setresuid, SYS_setsid,
        SYS_setuid, SYS_socket, SYS_umount2, SYS_unshare, SYS_userfaultfd,
    };
    let mut scene = Scene::new(Needs::everything());
    let mut one = |calls: &[String], expected: &[&str]| check(&mut scene, calls, expected);
    one(
        &calls![SYS_unshare, 0x20000; SYS_mount, "s:none", "s:/work", "s:tmpfs", 0, 0; SYS_umount2, "s:/work", 0],
        &[
            "unshare done kernel namespaces",
            "mount done argument mount /work",
            "umount2 done argument umount /work",
        ],
    );
    one(&calls![SYS_unshare, 0x400], &[]);
    one(
        &calls![SYS_setuid, 1000; SYS_setuid, 0],
        &["setuid done kernel set_ids", "setuid attempted kernel set_ids"],
    );
    one(
        &calls![SYS_setresuid, 1, 0, 1],
        &["setresuid done kernel set_ids"],
    );
    one(
        &calls![SYS_capset, "x:2205082000000000", "zeros"],
        &["capset done kernel set_capabilities"],
    );
    one(
        &calls![SYS_openat, CWD, "s:/etc/plain", 0; SYS_finit_module, "=0", "s:", 0],
        &[
            "openat done kernel read /etc/plain",
            "finit_module attempted kernel load_module /etc/plain",
        ],
    );
    one(
        &calls![SYS_delete_module, "s:no-such-module", 0],
        &["delete_module attempted argument unload_module no-such-module"],
    );
    one(&calls![SYS_bpf, 5, "zeros", 48], &["bpf attempted kernel bpf"]);
    one(&calls![SYS_keyctl, 0, -3, 0], &["keyctl done kernel keyctl"]);
    one(&calls![SYS_setsid], &["setsid done kernel setsid"]);
    one(
        &calls![SYS_memfd_create, "s:hidden", 1],
        &["memfd_create done argument memfd_create hidden"],
    );
    one(
        &calls![SYS_mmap, 0, 4096, 7, 0x22, -1, 0; SYS_mprotect, "=0", 4096, 1; SYS_mprotect, "=0", 4096, 7],
        &[
            "mmap done kernel executable_memory",
            "mprotect done kernel executable_memory",
        ],
    );
    one(
        &calls![SYS_socket, 2, 1, 0; SYS_dup2, "=0", 0],
        &[
            "socket done kernel socket tcp",
            "dup2 done kernel socket_to_standard_stream",
        ],
    );
    // These two depend on the kernel's configuration; they are told of in any case.
    let mut only = |call: libc::c_long, arguments: [&str; 2], expected: &str| {
        let told = scene.told(&[&number(call), arguments[0], arguments[1]]);
        assert!(told.len() == 1 && told[0].ends_with(expected), "{told:?}");
    };
    only(SYS_io_uring_setup, ["1", "zeros"], "kernel io_uring_setup");
    only(SYS_userfaultfd, ["0", "0"], "kernel userfaultfd");
}

#[test]
fn other_processes_are_told_by_what_they_run() {
    use libc::{SYS_kill, SYS_process_vm_writev, SYS_ptrace};
    let mut scene = Scene::new(Needs::everything());
    let mut one = |calls: &[String], expected: &[&str]| check(&mut scene, calls, expected);
    one(
        &calls!["child"; SYS_ptrace, 16, "=0", 0, 0],
        &["ptrace done kernel ptrace /bin/workload"],
    );
    one(
        &calls!["child"; SYS_process_vm_writev, "=0", 0, 0, 0, 0, 0],
        &["process_vm_writev done kernel write_memory /bin/workload"],
    );
    // Its memory as a file; in a container without a PID namespace of its own the numbers are the host's.
    let events = scene.does(&[
        "child",
        ",",
        &number(libc::SYS_openat),
        CWD,
        "s:/proc/self/mem",
        "1",
    ]);
    let told: Vec<String> = events.iter().map(told).collect();
    assert!(
        told.len() == 1 && told[0].starts_with("openat done kernel write /proc/"),
        "its own memory is nobody's business: {told:?}"
    );
    let mut one = |calls: &[String], expected: &[&str]| check(&mut scene, calls, expected);
    // Signals within the container are nobody's business.
    one(&calls!["child"; SYS_kill, "=0", 9], &[]);
}

#[test]
fn ids_are_told_before_and_after() {
    let mut scene = Scene::new(Needs::everything());
    let events = scene.does(&[&number(libc::SYS_setuid), "1000"]);
    let [event] = &events[..] else {
        panic!("{events:?}")
    };
    let expected = SystemActivity::SetIds {
        uid: (0, 1000),
        euid: (0, 1000),
    };
    assert_eq!(event.activity, Activity::System(expected));
    assert_eq!(event.process.credentials.uid, 1000, "the process is as it is now");
}

fn needs(change: impl FnOnce(&mut Needs)) -> Needs {
    let mut needs = Needs::everything();
    needs.reads = Paths::default();
    needs.writes = Paths::default();
    needs.changes = Paths::default();
    change(&mut needs);
    needs
}

#[test]
fn only_watched_files_are_told_of() {
    use libc::{SYS_chmod, SYS_openat};
    let watched = needs(|needs| {
        needs.reads.exact.insert(b"/etc/shadow".to_vec());
        needs.writes.prefixes.insert(b"/etc/".to_vec());
        needs.changes.suffixes.insert(b"/data".to_vec());
    });
    let mut scene = Scene::new(watched);
    let open = |path: &str, flags: i32| calls![SYS_openat, CWD, format!("s:{path}"), flags];
    check(
        &mut scene,
        &open("/etc/shadow", 0),
        &["openat done kernel read /etc/shadow"],
    );
    check(
        &mut scene,
        &open("/work/link", 0),
        &["openat done kernel read /etc/shadow"],
    );
    check(&mut scene, &open("/etc/plain", 0), &[]);
    check(
        &mut scene,
        &open("/etc/plain", 1),
        &["openat done kernel write /etc/plain"],
    );
    check(&mut scene, &open("/work/data", 1), &[]);
    check(
        &mut scene,
        &calls![SYS_chmod, "s:/work/data", 0o600],
        &["chmod done argument chmod /work/data"],
    );
    check(
        &mut scene,
        &calls![SYS_chmod, "s:/etc/plain", 0o600],
        &["chmod done argument chmod /etc/plain"],
    );
}

#[test]
fn a_watched_file_is_seen_by_any_other_name() {
    use libc::{SYS_link, SYS_mount, SYS_openat, SYS_rename, SYS_unshare};
    let watched = needs(|needs| {
        needs.reads.exact.insert(b"/etc/shadow".to_vec());
        needs.syscalls.insert(EventClass::System, [].into());
    });
    let mut scene = Scene::new(watched);
    let linked = scene.does(&[
        &number(SYS_link),
        "s:/etc/shadow",
        "s:/work/harmless",
        ",",
        &number(SYS_openat),
        CWD,
        "s:/work/harmless",
        "0",
    ]);
    let [event] = &linked[..] else {
        panic!("{linked:?}")
    };
    assert_eq!(told(event), "openat done kernel read /etc/shadow");
    assert!(
        matches!(&event.activity, Activity::File(file) if file.argument.as_deref() == Some(b"/work/harmless")),
        "{event:?}"
    );
    check(
        &mut scene,
        &calls![
            SYS_unshare, 0x20000; SYS_mount, "s:/etc", "s:/work", "s:", 4096, 0;
            SYS_openat, CWD, "s:/work/shadow", 0
        ],
        &["openat done kernel read /etc/shadow"],
    );
    // The directory that a known file lies in gets a watched name: what was known is forgotten.
    check(
        &mut scene,
        &calls![
            SYS_openat, CWD, "s:/work/data", 0; SYS_rename, "s:/etc", "s:/old"; SYS_rename, "s:/work", "s:/etc";
            SYS_rename, "s:/etc/data", "s:/etc/shadow"; SYS_openat, CWD, "s:/etc/shadow", 0
        ],
        &["openat done kernel read /etc/shadow"],
    );
}

#[test]
fn needs_change_while_it_runs() {
    use libc::SYS_openat;
    let mut scene = Scene::new(Needs::default());
    let open = calls![SYS_openat, CWD, "s:/etc/plain", 1];
    check(&mut scene, &open, &[]);
    let plain = needs(|needs| {
        needs.writes.exact.insert(b"/etc/plain".to_vec());
    });
    scene.sensor.set_needs(&plain).unwrap();
    check(&mut scene, &open, &["openat done kernel write /etc/plain"]);
    let other = needs(|needs| {
        needs.writes.exact.insert(b"/etc/other".to_vec());
    });
    scene.sensor.set_needs(&other).unwrap();
    check(&mut scene, &open, &[]);
    scene.sensor.set_needs(&Needs::default()).unwrap();
    check(&mut scene, &open, &[]);
}

#[test]
fn hostile_paths_are_told_as_far_as_they_go_and_marked() {
    use libc::{SYS_chdir, SYS_mkdir, SYS_openat, SYS_rmdir};
    let watched = needs(|needs| {
        needs.writes = Paths::everything();
        needs.syscalls.insert(EventClass::File, [Syscall::openat].into());
    });
    let mut scene = Scene::new(watched);
    // Longer than any path may be: what comes of it is the head.
    let long = format!("s:/{}", "x/".repeat(3000));
    let told = scene.told(&[&number(SYS_openat), CWD, &long, "1"]);
    let [told] = &told[..] else { panic!("{told:?}") };
    assert!(
        told.starts_with("openat attempted argument write (truncated)/x/x/"),
        "{told:.100}"
    );
    // Deeper than the kernel's side walks: what comes of it is the end.
    let mut calls = Vec::new();
    for _ in 0..150 {
        calls.extend(calls![SYS_mkdir, "s:d", 0o755; SYS_chdir, "s:d"]);
        calls.push(",".to_owned());
    }
    calls.extend(calls![SYS_openat, CWD, "s:deep", 0x41, 0o644]);
    let calls: Vec<&str> = calls.iter().map(String::as_str).collect();
    let told = scene.told(&calls);
    let [told] = &told[..] else { panic!("{told:?}") };
    assert!(
        told.starts_with("openat done kernel create (truncated)/d/d/") && told.ends_with("/d/deep"),
        "{told:.100}"
    );
    // From a directory that is gone.
    check(
        &mut scene,
        &calls![
            SYS_mkdir, "s:/work/gone", 0o755; SYS_chdir, "s:/work/gone"; SYS_rmdir, "s:/work/gone";
            SYS_openat, CWD, "s:x", 0x41, 0o644
        ],
        &["openat attempted argument write /work/gone/x"],
    );
}
