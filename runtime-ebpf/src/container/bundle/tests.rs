//! Bundles of every runtime, in a temporary directory that stands for the host's root.

use std::fs;

use tempfile::TempDir;

use super::*;

const ID: &str = "7be7ca56452ce0f69575654683e3b8cdc61d8898d06caf92fbf5ffffcd856bd7";
const CONFIG: &str = r#"{"ociVersion":"1.0.2","process":{"args":["x"]},
    "annotations":{"io.kubernetes.cri.image-name":"app:1","io.kubernetes.cri.container-name":"app"}}"#;

fn host(files: &[(&str, &str)]) -> (TempDir, BundleFinder) {
    let dir = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = dir.path().join(path.replace("ID", ID));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text.replace("ID", ID)).unwrap();
    }
    let finder = BundleFinder::new(Root::open(dir.path()).unwrap());
    (dir, finder)
}

#[test]
fn the_bundle_is_found_wherever_the_runtime_keeps_it() {
    for path in [
        "run/containerd/io.containerd.runtime.v2.task/k8s.io/ID/config.json",
        "run/containerd/io.containerd.runtime.v2.task/team-7/ID/config.json",
        "run/k3s/containerd/io.containerd.runtime.v2.task/k8s.io/ID/config.json",
        "run/containerd/io.containerd.runtime.v1.linux/moby/ID/config.json",
        "run/containers/storage/overlay-containers/ID/userdata/config.json",
        "var/lib/containers/storage/overlay-containers/ID/userdata/config.json",
        "var/lib/containers/storage/vfs-containers/ID/userdata/config.json",
    ] {
        let (_dir, finder) = host(&[(path, CONFIG)]);
        for runtime in [RuntimeHint::CriO, RuntimeHint::Unknown] {
            let found = finder.by_state(ID, runtime).unwrap_or_else(|| panic!("{path}"));
            assert_eq!(found.metadata.name.as_deref(), Some("app"), "{path}");
        }
        assert_eq!(finder.by_state(&ID.replace('7', "8"), RuntimeHint::Unknown), None);
    }
}

#[test]
fn the_states_of_runc_and_crun_lead_to_the_bundle() {
    for (path, state) in [
        (
            "run/runc/ID/state.json",
            r#"{"config":{"labels":["a=b","bundle=/b"]}}"#,
        ),
        (
            "run/containerd/runc/k8s.io/ID/state.json",
            r#"{"config":{"labels":["bundle=/b"]}}"#,
        ),
        (
            "run/docker/runtime-runc/moby/ID/state.json",
            r#"{"config":{"labels":["bundle=/b"]}}"#,
        ),
        ("run/crun/ID/status", r#"{"pid":1,"bundle":"/b"}"#),
    ] {
        let (_dir, finder) = host(&[(path, state), ("b/config.json", CONFIG)]);
        let found = finder
            .by_state(ID, RuntimeHint::Unknown)
            .unwrap_or_else(|| panic!("{path}"));
        assert_eq!(found.metadata.image.as_deref(), Some("app:1"), "{path}");
    }
}

#[test]
fn dockers_and_podmans_records_complete_the_bundle() {
    let (_dir, finder) = host(&[
        (
            "run/containerd/io.containerd.runtime.v2.task/moby/ID/config.json",
            "{}",
        ),
        (
            "var/lib/docker/containers/ID/config.v2.json",
            r#"{"Name":"/web","Config":{"Image":"nginx:1"}}"#,
        ),
    ]);
    let found = finder.by_state(ID, RuntimeHint::Docker).unwrap().metadata;
    assert_eq!(
        (found.name.as_deref(), found.image.as_deref()),
        (Some("web"), Some("nginx:1"))
    );

    let (_dir, finder) = host(&[
        (
            "var/lib/containers/storage/overlay-containers/ID/userdata/config.json",
            r#"{"annotations":{}}"#,
        ),
        (
            "var/lib/containers/storage/overlay-containers/containers.json",
            r#"[{"id":"ID","metadata":"{\"image-name\":\"alpine:3\",\"name\":\"box\"}"}]"#,
        ),
    ]);
    let found = finder.by_state(ID, RuntimeHint::Podman).unwrap().metadata;
    assert_eq!(
        (found.name.as_deref(), found.image.as_deref()),
        (Some("box"), Some("alpine:3"))
    );
}

#[test]
fn what_is_no_bundle_is_passed_over() {
    let bundle = "run/containerd/io.containerd.runtime.v2.task/k8s.io/ID/config.json";
    for text in ["", "not json", r#"{"annotations":[1]}"#] {
        let (_dir, finder) = host(&[(bundle, text)]);
        assert_eq!(finder.by_state(ID, RuntimeHint::Unknown), None, "{text}");
    }
    // Nesting must not exhaust the stack.
    let deep = format!(r#"{{"a":{}1{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    let (_dir, finder) = host(&[(bundle, &deep)]);
    assert!(finder.by_state(ID, RuntimeHint::Unknown).is_some());
    let (dir, finder) = host(&[("secret/config.json", CONFIG)]);
    fs::create_dir_all(dir.path().join("run/runc")).unwrap();
    for id in ["..", "../../secret", "", "a/b"] {
        assert_eq!(finder.by_state(id, RuntimeHint::Unknown), None, "{id}");
    }
}

#[test]
fn a_bundle_belongs_to_the_cgroup_that_it_names() {
    let of = |claimed: &str, path: &str| {
        let bundle = Bundle {
            cgroups: vec![claimed.to_owned()],
            ..Bundle::default()
        };
        bundle.is_of(path.as_bytes(), b"/sys/fs/cgroup/memory")
    };
    // runc's directories, the cgroupfs driver's paths, the systemd driver's triples.
    assert!(of("/sys/fs/cgroup/memory/a/web", "/a/web"));
    assert!(of("/default/web", "/default/web"));
    assert!(of("/default/web", "/outer/default/web"));
    assert!(of("system.slice:runc:web", "/system.slice/runc-web.scope"));
    assert!(of("relative/web", "/outer/relative/web"));
    for (claimed, path) in [
        ("/sys/fs/cgroup/pids/a/web", "/a/web"),
        ("/b/web", "/a/web"),
        ("/", "/a/web"),
        ("", "/a/web"),
        ("eb", "/a/web"),
        ("system.slice:runc:web", "/web"),
    ] {
        assert!(!of(claimed, path), "{claimed} {path}");
    }
}

#[test]
fn options_are_read_in_every_spelling() {
    let parse = |line: &str| {
        let arguments: Vec<Vec<u8>> = line.split(' ').map(|word| word.as_bytes().to_vec()).collect();
        RuntimeCommand::parse(&arguments)
    };
    let text = |value: &str| Some(value.as_bytes().to_vec());
    assert_eq!(
        parse("/usr/bin/containerd-shim-runc-v2 -namespace k8s.io -id abc -address /run/x"),
        Some(RuntimeCommand {
            shim: true,
            id: text("abc"),
            ..RuntimeCommand::default()
        })
    );
    assert_eq!(
        parse("conmon --api-version 1 -c abc -u abc -r /usr/bin/crun -b /b/userdata"),
        Some(RuntimeCommand {
            bundle: text("/b/userdata"),
            id: text("abc"),
            ..RuntimeCommand::default()
        })
    );
    assert_eq!(
        parse("runc --root /state --log=x create --bundle=/b web"),
        Some(RuntimeCommand {
            bundle: text("/b"),
            root: text("/state"),
            id: text("web"),
            ..RuntimeCommand::default()
        })
    );
    assert_eq!(parse("/usr/bin/runcible --root /x"), None);
    assert_eq!(parse("sh -c runc"), None);
}
