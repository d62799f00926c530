//! What `io_uring` does is told of as the system calls that do the same.

use runtime_core::Needs;

use super::scene::{CWD, Scene, check};

/// Operations, by `include/uapi/linux/io_uring.h` of the kernel.
const OPENAT: u8 = 18;
const OPENAT2: u8 = 28;
const CONNECT: u8 = 16;
const SENDMSG: u8 = 9;
const RENAMEAT: u8 = 35;
const UNLINKAT: u8 = 36;
const MKDIRAT: u8 = 37;
const SYMLINKAT: u8 = 38;
const LINKAT: u8 = 39;
/// Flags of an entry.
const ASYNC: u8 = 1 << 4;
const SKIP_SUCCESS: u8 = 1 << 6;

/// Whether the kernel says which request is over: by the name of a type that came with it.
fn ends_are_seen() -> bool {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .map(str::parse::<u32>);
    matches!((numbers.next(), numbers.next()), (Some(Ok(major)), Some(Ok(_))) if major >= 6)
}

#[test]
fn opens_through_a_ring_are_told_by_their_file() {
    let mut scene = Scene::new(Needs::everything());
    // The path is that of the file where the end is seen: behind a symbolic link too.
    let (link, data) = if ends_are_seen() {
        (
            "openat done kernel read /etc/shadow",
            "openat done kernel write /work/data",
        )
    } else {
        (
            "openat attempted argument read /work/link",
            "openat attempted argument write /work/data",
        )
    };
    for flags in [0, ASYNC] {
        check(
            &mut scene,
            &calls!["ring", OPENAT, CWD, 0, "s:/work/link", 0, 0, flags],
            &["io_uring_setup done kernel io_uring_setup", link],
        );
    }
    check(
        &mut scene,
        &calls!["ring", OPENAT, CWD, 0, "s:/work/data", 0o644, 0x41],
        &["io_uring_setup done kernel io_uring_setup", data],
    );
    let data = data.replace("openat", "openat2");
    check(
        &mut scene,
        &calls!["ring", OPENAT2, CWD, "how:1:0", "s:/work/data", 24],
        &["io_uring_setup done kernel io_uring_setup", &data],
    );
}

/// Without a completion, or into a table of its own: nothing says what came of it, so the attempt is told.
#[test]
fn opens_whose_end_is_hidden_are_told_when_they_are_submitted() {
    let mut scene = Scene::new(Needs::everything());
    // Older kernels refuse the flag and do nothing.
    if ends_are_seen() {
        check(
            &mut scene,
            &calls!["ring", OPENAT, CWD, 0, "s:/etc/shadow", 0, 0, SKIP_SUCCESS],
            &[
                "io_uring_setup done kernel io_uring_setup",
                "openat attempted argument read /etc/shadow",
            ],
        );
    }
    check(
        &mut scene,
        &calls!["ring", OPENAT, CWD, 0, "s:/etc/shadow", 0, 0, 0, 1],
        &[
            "io_uring_setup done kernel io_uring_setup",
            "openat attempted argument read /etc/shadow",
        ],
    );
}

#[test]
fn names_are_changed_through_a_ring() {
    let mut scene = Scene::new(Needs::everything());
    let mut one = |calls: &[String], expected| {
        check(
            &mut scene,
            calls,
            &["io_uring_setup done kernel io_uring_setup", expected],
        );
    };
    one(
        &calls!["ring", RENAMEAT, CWD, "s:/work/moved", "s:/work/data", CWD],
        "renameat2 attempted argument rename /work/data -> /work/moved",
    );
    one(
        &calls!["ring", UNLINKAT, CWD, 0, "s:/work/moved"],
        "unlinkat attempted argument unlink /work/moved",
    );
    // The others came with Linux 5.15.
    if !ends_are_seen() {
        return;
    }
    one(
        &calls!["ring", MKDIRAT, CWD, 0, "s:/work/dir", 0o755],
        "mkdirat attempted argument mkdir /work/dir",
    );
    one(
        &calls!["ring", SYMLINKAT, CWD, "s:/work/soft", "s:../etc/x"],
        "symlinkat attempted argument symlink ../etc/x -> /work/soft",
    );
    one(
        &calls!["ring", LINKAT, CWD, "s:/work/hard", "s:/etc/plain", CWD],
        "linkat attempted argument link /etc/plain -> /work/hard",
    );
}

/// A file that was moved through a ring is looked at anew.
#[test]
fn a_file_renamed_through_a_ring_is_seen_under_its_new_name() {
    let mut needs = Needs::everything();
    needs.reads = runtime_core::needs::Paths::default();
    needs.writes = runtime_core::needs::Paths::default();
    needs.changes = runtime_core::needs::Paths::default();
    needs.reads.prefixes.insert(b"/etc/".to_vec());
    needs.classes = [runtime_core::EventClass::File].into();
    let mut scene = Scene::new(needs);
    for flags in [0, ASYNC] {
        check(
            &mut scene,
            &calls![
                libc::SYS_openat, CWD, "s:/work/data", 0;
                "ring", RENAMEAT, CWD, "s:/etc/data", "s:/work/data", CWD, 0, flags;
                libc::SYS_openat, CWD, "s:/etc/data", 0;
                libc::SYS_rename, "s:/etc/data", "s:/work/data"
            ],
            &["openat done kernel read /etc/data"],
        );
    }
}

#[test]
fn sockets_are_used_through_a_ring() {
    let mut scene = Scene::new(Needs::everything());
    check(
        &mut scene,
        &calls![libc::SYS_socket, 2, 1, 0; "ring", CONNECT, "=0", 16, "in:127.0.0.1:9"],
        &[
            "socket done kernel socket tcp",
            "io_uring_setup done kernel io_uring_setup",
            "connect attempted argument connect tcp 127.0.0.1:9",
        ],
    );
    check(
        &mut scene,
        &calls![libc::SYS_socket, 2, 2, 0; "ring", SENDMSG, "=0", 0, "msg:in:127.0.0.1:9", 1],
        &[
            "socket done kernel socket udp",
            "io_uring_setup done kernel io_uring_setup",
            "sendmsg attempted argument send udp 127.0.0.1:9",
        ],
    );
}
