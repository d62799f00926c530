//! Files: opens, names, modes and owners.

use runtime_core::event::FileOperation;
use runtime_core::{Activity, Needs};

use super::scene::{CWD, Scene, check, number, told, words};

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

/// Another thread changes the path while the kernel reads it: what is told is what was opened.
#[test]
fn a_path_that_changes_while_it_is_read_hides_nothing() {
    let mut scene = Scene::new(Needs::everything());
    let made = scene.told(&words(&calls![
        libc::SYS_openat, CWD, "s:/work/a", 0x41, 0o644;
        libc::SYS_openat, CWD, "s:/work/b", 0x41, 0o644
    ]));
    assert_eq!(made.len(), 2);
    let (events, output) = scene.runs_and_prints(&["/bin/workload", "race", "/work/a", "/work/b", "3000"]);
    let counts: Vec<usize> = output
        .split_whitespace()
        .map(|count| count.parse().unwrap())
        .collect();
    assert_eq!(counts.iter().sum::<usize>(), 3000);
    for (path, count) in ["/work/a", "/work/b"].into_iter().zip(counts) {
        let line = format!("openat done kernel read {path}");
        assert_eq!(
            events.iter().filter(|event| told(event) == line).count(),
            count,
            "{path}"
        );
        assert!(count > 0, "nothing was changed in time");
    }
}
