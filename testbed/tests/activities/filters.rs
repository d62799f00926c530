//! Only what is needed is told of.

use runtime_core::needs::Paths;
use runtime_core::{Activity, EventClass, Needs, Syscall};

use super::scene::{CWD, Scene, check, number, told};

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
fn what_is_not_there_is_told_of_only_where_it_may_be_watched() {
    use libc::SYS_openat;
    let watched = needs(|needs| {
        needs.reads.exact.insert(b"/etc/secret".to_vec());
        needs.writes.suffixes.insert(b"/release_agent".to_vec());
    });
    let mut scene = Scene::new(watched);
    let open = |path: &str, flags: i32| calls![SYS_openat, CWD, format!("s:{path}"), flags];
    check(&mut scene, &open("/usr/lib/none.so", 0), &[]);
    check(&mut scene, &open("/no/release_agent", 0), &[]);
    check(
        &mut scene,
        &open("/etc/secret", 0),
        &["openat attempted argument read /etc/secret"],
    );
    check(
        &mut scene,
        &open("/no/release_agent", 1),
        &["openat attempted argument write /no/release_agent"],
    );
}

#[test]
fn sockets_of_common_families_are_told_of_when_somebody_asks() {
    use libc::SYS_socket;
    let uncommon = needs(|needs| needs.common_sockets = false);
    let mut scene = Scene::new(uncommon.clone());
    let sockets = calls![
        SYS_socket, 1, 1, 0; SYS_socket, 2, 1, 0; SYS_socket, 10, 2, 0; SYS_socket, 17, 3, 0;
        "int80", 102, 1, "x:020000000100000000000000"; "int80", 102, 1, "x:110000000300000000000000"
    ];
    let packet = "socket done kernel socket packet";
    check(&mut scene, &sockets, &[packet, packet]);
    scene
        .sensor
        .set_needs(&Needs {
            common_sockets: true,
            ..uncommon
        })
        .unwrap();
    let unix = "socket done kernel socket unix";
    let tcp = "socket done kernel socket tcp";
    let udp = "socket done kernel socket udp";
    check(&mut scene, &sockets, &[unix, tcp, udp, packet, tcp, packet]);
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
