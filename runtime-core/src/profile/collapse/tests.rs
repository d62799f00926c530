use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn collapsed(path: &str) -> String {
    String::from_utf8(collapse(path.as_bytes()).into_owned()).unwrap()
}

#[test]
fn parts_that_change_become_stars() {
    for (path, text) in [
        ("/tmp/build-4f2a91/cc", "/tmp/build-*/cc"),
        ("/tmp/build-17/bin/cc", "/tmp/build-*/bin/cc"),
        ("/tmp/tmp.Xw3kQz91Lm/run.sh", "/tmp/tmp*/run.sh"),
        ("/tmp/tmpab_cd12x/run.sh", "/tmp/tmp*/run.sh"),
        ("/tmp/go-build3141592653/b001/exe/main", "/tmp/go-*/b001/exe/main"),
        ("/tmp/build-4f2a91/bin/4f2a91cc0d", "/tmp/build-*/bin/4f2a91cc0d"),
        ("/var/tmp/qwhfjske/x", "/var/tmp/*/x"),
        ("/dev/shm/a1/x", "/dev/shm/*/x"),
        ("/work/7e0e2c1e-0000-4000-8000-000000000001/step", "/work/*/step"),
        ("/builds/job-1234567/step", "/builds/job-*/step"),
        ("/home/ci/4f2a91cc0d/step", "/home/ci/*/step"),
        ("/opt/Ab3dEf6hIj9lMn2p/step", "/opt/*/step"),
        ("/data/step-4f2a91cc0d.sh", "/data/step-*.sh"),
        ("/proc/4711/exe", "/proc/*/exe"),
    ] {
        assert_eq!(collapsed(path), text);
    }
}

#[test]
fn chosen_names_stay() {
    for path in [
        "/usr/bin/python3.11",
        "/usr/local/bin/4f2a91cc0d",
        "/usr/lib/jvm/java-17-openjdk-amd64/bin/java",
        "/lib64/ld-linux-x86-64.so.2",
        "/bin/4f2a91cc0d/x",
        "/nix/store/0d9h1kq3v8l2m5xw7yz4pabc1234567f-bash-5.2/bin/bash",
        "/opt/app-1.2.3/bin/server",
        "/host/usr/bin/4f2a91cc0d",
        "/mnt/root/sbin/1234567",
        "/tmp/job/x",
        "/tmp/cc",
        "/tmp/tmpab12cd34",
        "/tmp",
        "/",
        "",
        "relative/4f2a91cc0d",
        "(truncated)/tmp/build-4f2a91/cc",
        "/tmp/../bin/build-4f2a91/sh",
        "/tmp//build-4f2a91/x",
    ] {
        assert_eq!(collapsed(path), path);
        assert!(!collapse_into(path.as_bytes(), &mut Vec::new()));
    }
}

/// Names such as `mktemp -d`, Python's `tempfile`, shells' `$RANDOM` and counters make.
fn any_random_name() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("build-"),
        Just("tmp."),
        Just("tmp"),
        Just("pip-install-"),
        Just("ci_")
    ]
    .prop_flat_map(|prefix| {
        prop_oneof![
            "[0-9a-f]{4,12}",
            "[A-Za-z0-9]{10}",
            "[a-z0-9_]{8}",
            "[1-9][0-9]{0,4}"
        ]
        .prop_map(move |random| format!("{prefix}{random}"))
    })
}

proptest! {
    // Each case is two hundred names.
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn directories_with_random_names_are_one(names in prop::collection::vec(any_random_name(), 200)) {
        let mut by_prefix = std::collections::BTreeMap::<String, BTreeSet<String>>::new();
        for name in names {
            let prefix: String = name.chars().take(3).collect();
            by_prefix.entry(prefix).or_default().insert(collapsed(&format!("/tmp/{name}/x")));
        }
        for texts in by_prefix.values() {
            prop_assert_eq!(texts.len(), 1, "{:?}", texts);
        }
    }
}

proptest! {
    #[test]
    fn collapsing_twice_changes_nothing(path in "(/(tmp|var|proc|home|[-_.*a-zA-F0-9]{0,20})){1,6}") {
        let once = collapsed(&path);
        prop_assert_eq!(collapsed(&once), once);
    }

    #[test]
    fn directories_of_the_system_are_never_widened(
        directory in prop::sample::select(vec!["/bin", "/usr/bin", "/sbin", "/usr/sbin", "/usr/local/bin", "/lib", "/lib64", "/usr/lib", "/usr/lib32", "/usr/libexec"]),
        rest in "(/[-_.a-fA-F0-9]{1,20}){1,4}",
    ) {
        let path = format!("{directory}{rest}");
        prop_assert_eq!(collapsed(&path), path);
    }

    #[test]
    fn nothing_outside_is_taken_for_a_directory_of_the_system(path in "(/[-_.*a-zA-Z0-9]{1,20}){1,5}") {
        prop_assert_eq!(is_protected(collapsed(&path).as_bytes()), is_protected(path.as_bytes()));
    }

    #[test]
    fn the_parts_and_their_number_stay(path in prop::collection::vec(any::<u8>(), 0..60)) {
        let slashes = |text: &[u8]| text.split(|&byte| byte == b'/').count();
        let text = collapse(&path);
        prop_assert_eq!(slashes(&text), slashes(&path));
        let mut written = Vec::new();
        prop_assert_eq!(collapse_into(&path, &mut written), *text != *path);
    }
}
