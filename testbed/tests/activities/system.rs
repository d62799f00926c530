//! The system, other processes, and what a process may do.

use runtime_core::{Activity, ContainerId, Needs, SystemActivity};
use testbed::{Container, PidNamespace};

use super::scene::{CWD, Scene, check, number, told, words};

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

#[test]
fn signals_that_leave_the_container_are_told_with_whom_they_reach() {
    let other = Container::builder().run().unwrap();
    let builder = Container::builder().pid_namespace(PidNamespace::Host);
    let mut scene = Scene::with(Needs::everything(), builder);
    // SIGCONT to what is not stopped changes nothing.
    let events = scene.does(&[&number(libc::SYS_kill), &other.pid().to_string(), "18"]);
    let [event] = &events[..] else {
        panic!("{events:?}")
    };
    let Activity::System(SystemActivity::Signal { signal, target }) = &event.activity else {
        panic!("{event:?}")
    };
    assert_eq!(*signal, 18);
    assert_eq!(target.pid.0, other.pid());
    assert_eq!(
        target.container.as_ref().map(ContainerId::as_str),
        Some(other.id())
    );
    assert_eq!(
        target.exe.as_ref().map(ToString::to_string).as_deref(),
        Some("/bin/workload")
    );
    // The host's processes are others too.
    let events = scene.does(&[&number(libc::SYS_kill), &std::process::id().to_string(), "18"]);
    let [event] = &events[..] else {
        panic!("{events:?}")
    };
    let Activity::System(SystemActivity::Signal { target, .. }) = &event.activity else {
        panic!("{event:?}")
    };
    assert_eq!((target.pid.0, &target.container), (std::process::id(), &None));
}

#[test]
fn namespaces_that_are_entered_are_told() {
    let mut scene = Scene::new(Needs::everything());
    let told = scene.told(&words(
        &calls![libc::SYS_openat, CWD, "s:/proc/self/ns/uts", 0; libc::SYS_setns, "=0", 0],
    ));
    assert_eq!(
        told.last().map(String::as_str),
        Some("setns done kernel namespaces"),
        "{told:?}"
    );
}
