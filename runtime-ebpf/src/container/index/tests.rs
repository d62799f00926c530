//! The index on a cgroup tree, a proc file system and a host of plain files.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};

use runtime_core::PodUid;
use tempfile::TempDir;

use super::*;

const ID: &str = "7be7ca56452ce0f69575654683e3b8cdc61d8898d06caf92fbf5ffffcd856bd7";
const SANDBOX: &str = "134b58ab2e0cfd7432a9db818b1b4ec52fdc747333f0ba2c9342860dc2ea7c50";
const UID: &str = "aaaa2b4a-f398-41c0-928b-049e1cc4ec40";
const SLICE: &str = "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-podaaaa2b4a_f398_41c0_928b_049e1cc4ec40.slice";

struct Machine {
    dir: TempDir,
    next_pid: u32,
}

impl Machine {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let machine = Self { dir, next_pid: 100 };
        fs::create_dir_all(machine.path("sys/fs/cgroup")).unwrap();
        machine.write("sys/fs/cgroup/cgroup.procs", "1\n");
        machine.write(
            "proc/1/mountinfo",
            "30 1 0:9 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
        );
        machine.namespaces(1, "host");
        machine
    }

    fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path.trim_start_matches('/'))
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn namespaces(&self, pid: u32, owner: &str) {
        for name in ["pid", "mnt"] {
            self.write(&format!("namespaces/{owner}/{name}"), "");
            let ns = self.path(&format!("proc/{pid}/ns"));
            fs::create_dir_all(&ns).unwrap();
            symlink(self.path(&format!("namespaces/{owner}/{name}")), ns.join(name)).unwrap();
        }
    }

    fn cgroup(&self, path: &str) -> CgroupId {
        let dir = self.path(&format!("sys/fs/cgroup{path}"));
        fs::create_dir_all(&dir).unwrap();
        if !dir.join("cgroup.procs").exists() {
            fs::write(dir.join("cgroup.procs"), "").unwrap();
        }
        CgroupId(fs::metadata(dir).unwrap().ino())
    }

    /// A process in a cgroup, with the arguments of the one that started it.
    fn process(&mut self, cgroup: &str, namespaces: &str, starter: &[&str]) -> Pid {
        let pid = self.next_pid;
        self.next_pid += 2;
        let parent = pid + 1;
        for (pid, ppid, arguments) in [(pid, parent, &["program"][..]), (parent, 1, starter)] {
            let fields = "0 ".repeat(17);
            self.write(
                &format!("proc/{pid}/stat"),
                &format!("{pid} (x) S {ppid} {fields}{pid} 0"),
            );
            self.write(&format!("proc/{pid}/cmdline"), &(arguments.join("\0") + "\0"));
        }
        self.write(&format!("proc/{pid}/cgroup"), &format!("0::{cgroup}\n"));
        self.namespaces(pid, namespaces);
        symlink(self.dir.path(), self.path(&format!("proc/{parent}/root"))).unwrap();
        self.cgroup(cgroup);
        self.write(
            &format!("sys/fs/cgroup{cgroup}/cgroup.procs"),
            &format!("{pid}\n"),
        );
        Pid(pid)
    }

    fn containerd(&self, id: &str, annotations: &str) {
        self.write(
            &format!("run/containerd/io.containerd.runtime.v2.task/k8s.io/{id}/config.json"),
            &format!(r#"{{"ociVersion":"1.0.2","annotations":{{{annotations}}}}}"#),
        );
    }

    fn discover(&self) -> ContainerIndex {
        ContainerIndex::discover(&ContainerOptions {
            host_root: self.dir.path().to_owned(),
            proc_root: self.path("proc"),
        })
        .unwrap()
    }
}

fn hint(pid: Pid) -> ExecHint {
    ExecHint {
        pid,
        time: BootTime::from_nanos(1),
        own_pid_namespace: false,
        own_mount_namespace: false,
    }
}

/// A container of which nothing is known but its start.
fn mk_started(cgroup: CgroupId, pid: Pid) -> Container {
    Container {
        started: Some(ContainerStart {
            time: BootTime::from_nanos(1),
            pid,
        }),
        ..Container::unknown(ContainerId::new(ID), cgroup)
    }
}

fn in_own_namespaces(pid: Pid) -> ExecHint {
    ExecHint {
        pid,
        time: BootTime::from_nanos(1),
        own_pid_namespace: true,
        own_mount_namespace: true,
    }
}

fn started(resolution: Resolution) -> Arc<Container> {
    match resolution {
        Resolution::Started(container) => container,
        other => panic!("{other:?}"),
    }
}

const WORKLOAD: &str = r#""io.kubernetes.cri.container-type":"container","io.kubernetes.cri.container-name":"app",
    "io.kubernetes.cri.image-name":"app:1","io.kubernetes.cri.sandbox-name":"web",
    "io.kubernetes.cri.sandbox-namespace":"shop""#;

#[test]
fn a_pods_container_is_known_from_its_start_to_its_end() {
    let mut machine = Machine::new();
    let mut index = machine.discover();
    let path = format!("{SLICE}/cri-containerd-{ID}.scope");
    let pid = machine.process(&path, "own", &["containerd-shim-runc-v2"]);
    machine.containerd(ID, WORKLOAD);
    let (own, below) = (
        machine.cgroup(&path),
        machine.cgroup(&format!("{path}/init.scope")),
    );

    index.cgroup_made(own, path.as_bytes());
    index.cgroup_made(below, format!("{path}/init.scope").as_bytes());
    assert_eq!(index.lookup(own), Lookup::Unresolved);

    // The first exec may be anywhere in the container.
    let container = started(index.resolve(below, hint(pid)));
    assert_eq!(
        (container.cgroup, container.id.as_str(), container.preexisting),
        (own, ID, false)
    );
    assert_eq!(container.pod.as_ref().unwrap().uid, PodUid::new(UID));
    assert_eq!(container.pod_group.as_ref().unwrap().to_string(), "Pod/shop/web");
    assert_eq!(
        index.resolve(own, hint(pid)),
        Resolution::Known(container.clone())
    );
    assert_eq!(index.lookup(below), Lookup::Container(&container));

    assert_eq!(index.cgroup_removed(below), None);
    assert_eq!(index.cgroup_removed(own), Some(container));
    assert_eq!(index.lookup(own), Lookup::Unresolved);
    assert_eq!(index.containers().count(), 0);
}

#[test]
fn what_is_there_at_the_start_is_found_and_told_from_the_host() {
    let mut machine = Machine::new();
    let sandbox_path = format!("{SLICE}/crio-{SANDBOX}.scope");
    let path = format!("{SLICE}/crio-{ID}.scope");
    machine.process(&format!("{sandbox_path}/container"), "pod", &[]);
    machine.process(&format!("{path}/container"), "own", &[]);
    let pod =
        r#""io.kubernetes.pod.name":"web","io.kubernetes.pod.namespace":"shop","io.kubernetes.pod.uid":"u""#;
    for (id, rest) in [
        (
            SANDBOX,
            r#""io.kubernetes.cri-o.ContainerType":"sandbox","io.kubernetes.cri-o.Labels":"{\"app\":\"web\"}""#,
        ),
        (
            ID,
            r#""io.kubernetes.cri-o.ContainerType":"container","io.kubernetes.container.name":"app""#,
        ),
    ] {
        machine.write(
            &format!("var/lib/containers/storage/overlay-containers/{id}/userdata/config.json"),
            &format!(r#"{{"annotations":{{{pod},{rest}}}}}"#),
        );
    }
    machine.process("/system.slice/ssh.service", "host", &[]);
    machine.process("/made-by-hand", "another", &[]);
    let empty = machine.cgroup("/empty");
    let host = machine.cgroup("/system.slice/ssh.service");

    let index = machine.discover();
    let mut found: Vec<_> = index
        .containers()
        .map(|container| {
            assert!(container.preexisting);
            let labels: Vec<_> = container.labels.values().map(String::as_str).collect();
            (container.id.as_str(), container.role, labels)
        })
        .collect();
    found.sort_unstable_by_key(|&(id, ..)| id);
    assert_eq!(
        found,
        [
            (SANDBOX, ContainerRole::Sandbox, vec!["web"]),
            (ID, ContainerRole::Workload, vec!["web"]),
            ("made-by-hand", ContainerRole::Workload, vec![]),
        ]
    );
    let host_cgroups: HashSet<_> = index.host_cgroups().collect();
    assert!(host_cgroups.contains(&host));
    // A container may yet start in it.
    assert_eq!(index.lookup(empty), Lookup::Unresolved);
    assert!(!host_cgroups.contains(&empty));
}

#[test]
fn a_container_without_a_bundle_is_still_a_container() {
    let mut machine = Machine::new();
    let mut index = machine.discover();
    let path = format!("/docker/{ID}");
    let pid = machine.process(&path, "own", &[]);
    let id = machine.cgroup(&path);
    index.cgroup_made(id, path.as_bytes());
    assert_eq!(*started(index.resolve(id, hint(pid))), mk_started(id, pid));
}

#[test]
fn a_container_of_unknown_making_is_told_by_its_namespaces() {
    let mut machine = Machine::new();
    let mut index = machine.discover();
    let pid = machine.process("/a/box", "own", &[]);
    let other = machine.process("/b/box", "own", &[]);
    let (a, b) = (machine.cgroup("/a/box"), machine.cgroup("/b/box"));
    index.cgroup_made(a, b"/a/box");
    index.cgroup_made(b, b"/b/box");
    let below = machine.cgroup("/a/box/below");
    index.cgroup_made(below, b"/a/box/below");

    let container = started(index.resolve(a, in_own_namespaces(pid)));
    assert_eq!((container.id.as_str(), &container.name), ("box", &None));
    assert_eq!(index.lookup(below), Lookup::Container(&container));
    let other = started(index.resolve(b, in_own_namespaces(other)));
    assert_eq!(other.id.as_str(), format!("cgroup-{}", b.0));

    let pid = machine.process("/c", "host", &[]);
    let c = machine.cgroup("/c");
    index.cgroup_made(c, b"/c");
    let half = ExecHint {
        own_mount_namespace: true,
        ..hint(pid)
    };
    assert_eq!(index.resolve(c, half), Resolution::Host);
    assert_eq!(index.lookup(c), Lookup::Host);
}

#[test]
fn a_runtime_at_work_does_not_make_its_container_the_hosts() {
    let mut machine = Machine::new();
    let mut index = machine.discover();
    let pid = machine.process("/web", "host", &["/usr/sbin/runc", "run", "web"]);
    let id = machine.cgroup("/web");
    index.cgroup_made(id, b"/web");
    assert_eq!(index.resolve(id, hint(pid)), Resolution::Undecided);
    // Nor when it is at work as we start.
    assert_eq!(machine.discover().lookup(id), Lookup::Unresolved);

    machine.write(
        "run/runc/web/state.json",
        r#"{"config":{"labels":["bundle=/srv/web"]},"cgroup_paths":{"":"/sys/fs/cgroup/web"}}"#,
    );
    machine.write(
        "srv/web/config.json",
        r#"{"annotations":{"io.kubernetes.cri.image-name":"web:1"}}"#,
    );
    let container = started(index.resolve(id, hint(pid)));
    assert_eq!(
        (
            container.id.as_str(),
            container.name.as_deref(),
            container.image.as_deref()
        ),
        ("web", Some("web"), Some("web:1"))
    );
}

#[test]
fn the_state_of_another_container_of_that_name_is_not_taken() {
    let mut machine = Machine::new();
    machine.write(
        "run/crun/web/status",
        r#"{"bundle":"/srv/web","cgroup-path":"/elsewhere/web"}"#,
    );
    machine.write("srv/web/config.json", "{}");
    let pid = machine.process("/web", "host", &[]);
    let id = machine.cgroup("/web");
    let mut index = machine.discover();
    assert_eq!(index.resolve(id, hint(pid)), Resolution::Host);
}

#[test]
fn cgroups_of_whose_making_nothing_was_heard_are_found_once() {
    let mut machine = Machine::new();
    let mut index = machine.discover();
    let path = format!("/docker/{ID}");
    let below = format!("{path}/below");
    let pid = machine.process(&below, "own", &[]);
    let (own, below) = (machine.cgroup(&path), machine.cgroup(&below));
    let container = started(index.resolve(below, hint(pid)));
    assert_eq!(container.cgroup, own);
    assert_eq!(index.resolve(own, hint(pid)), Resolution::Known(container));

    // From within a cgroup namespace the kernel's path leads nowhere, so that the tree has to be walked.
    let pid = machine.process("/x/alone", "own", &[]);
    machine.write(&format!("proc/{}/cgroup", pid.0), "0::/../../alone\n");
    let alone = machine.cgroup("/x/alone");
    assert_eq!(
        started(index.resolve(alone, in_own_namespaces(pid))).cgroup,
        alone
    );
    assert_eq!(
        index.resolve(CgroupId(u64::MAX), hint(Pid(1))),
        Resolution::Undecided
    );
}

#[test]
fn what_went_unheard_of_goes_at_the_next_walk() {
    let mut machine = Machine::new();
    let path = format!("/docker/{ID}");
    machine.process(&path, "own", &[]);
    let id = machine.cgroup(&path);
    let mut index = machine.discover();
    assert_eq!(index.containers().count(), 1);
    fs::remove_dir_all(machine.path(&format!("sys/fs/cgroup{path}"))).unwrap();
    let removed = index.resync();
    assert_eq!(removed.iter().map(|gone| gone.cgroup).collect::<Vec<_>>(), [id]);
    assert_eq!(index.containers().count(), 0);
}

#[test]
fn a_container_cannot_take_another_ones_id() {
    let mut machine = Machine::new();
    let outer = format!("/docker/{SANDBOX}");
    machine.process(&outer, "outer", &[]);
    machine.process(&format!("/docker/{ID}"), "own", &[]);
    let mut index = machine.discover();
    let spoof = format!("{outer}/docker/{ID}");
    let pid = machine.process(&spoof, "outer", &[]);
    let id = machine.cgroup(&spoof);
    index.cgroup_made(id, spoof.as_bytes());
    match index.resolve(id, hint(pid)) {
        Resolution::Known(container) => assert_eq!(container.id.as_str(), SANDBOX),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_container_in_a_container_takes_no_metadata_from_the_hosts_runtimes() {
    let mut machine = Machine::new();
    let outer = format!("/docker/{SANDBOX}");
    machine.process(&outer, "outer", &[]);
    let mut index = machine.discover();
    machine.containerd(ID, WORKLOAD);
    let inner = format!("{outer}/kubelet/kubepods/pod{UID}/{ID}");
    let pid = machine.process(&inner, "inner", &[]);
    let id = machine.cgroup(&inner);
    index.cgroup_made(id, inner.as_bytes());
    let container = started(index.resolve(id, hint(pid)));
    assert_eq!(*container, mk_started(id, pid));
}

#[test]
fn a_runtime_with_a_root_of_its_own_is_found_by_the_process_that_started_it() {
    for (starter, bundle) in [
        (
            &[
                "/usr/bin/runc",
                "--root",
                "/state",
                "run",
                "--bundle",
                "/b",
                "web",
            ][..],
            "b/config.json",
        ),
        (
            &["crun", "--root=/state", "create", "-b", "/b", "web"][..],
            "b/config.json",
        ),
        (
            &[
                "/usr/bin/conmon",
                "-s",
                "-c",
                "web",
                "-n",
                "pod",
                "-b",
                "/b/userdata",
            ][..],
            "b/userdata/config.json",
        ),
    ] {
        let mut machine = Machine::new();
        machine.write(
            bundle,
            r#"{"annotations":{"io.kubernetes.cri.image-name":"web:1"}}"#,
        );
        let pid = machine.process("/web", "own", starter);
        let id = machine.cgroup("/web");
        let mut index = ContainerIndex::discover(&ContainerOptions {
            host_root: machine.dir.path().to_owned(),
            proc_root: machine.path("proc"),
        })
        .unwrap();
        // Found at the start already.
        match index.resolve(id, in_own_namespaces(pid)) {
            Resolution::Known(container) => assert_eq!(
                (container.image.as_deref(), container.preexisting),
                (Some("web:1"), true),
                "{starter:?}"
            ),
            other => panic!("{starter:?}: {other:?}"),
        }
    }
}

#[test]
fn errors_say_what_is_missing() {
    let machine = Machine::new();
    let discover = |host_root: PathBuf, proc_root: PathBuf| {
        ContainerIndex::discover(&ContainerOptions { host_root, proc_root })
            .unwrap_err()
            .to_string()
    };
    let missing = machine.path("missing");
    assert!(
        discover(missing.clone(), machine.path("proc")).contains("cannot open the host's root directory")
    );
    assert!(discover(machine.path("sys"), missing).contains("cannot read the mounts"));
    assert!(discover(machine.path("sys"), machine.path("proc")).contains("cannot open the cgroup hierarchy"));
    machine.write("proc/1/mountinfo", "");
    machine.write("proc/self/mountinfo", "");
    assert!(discover(machine.path(""), machine.path("proc")).contains("no cgroup v2 tree"));
}
