//! Real containers are found, with their metadata, as they start and when they were there before. Needs root,
//! runc, and a static busybox.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use runtime_core::container::ContainerStart;
use runtime_core::{BootTime, CgroupId, Container, Pid};
use runtime_ebpf::container::{ContainerIndex, ExecHint, Lookup, Resolution};
use tempfile::TempDir;

use support::{TestCgroup, TestProcess, eventually, index, index_v2, unique, within};

const POD_UID: &str = "aaaa2b4a-f398-41c0-928b-049e1cc4ec40";

/// A container of runc's, deleted at the end.
struct RuncContainer {
    id: String,
    root: Option<PathBuf>,
    bundle: TempDir,
    runc: Option<Child>,
}

impl RuncContainer {
    /// Starts one that says so and sleeps; in the foreground when it has a state root of its own, as the
    /// runtime's process alone leads to that.
    fn start(id: &str, cgroups_path: &str, own_root: bool) -> Self {
        support::need_root();
        let bundle = tempfile::tempdir().unwrap();
        let bin = bundle.path().join("rootfs/bin");
        fs::create_dir_all(&bin).unwrap();
        let busybox = ["/usr/bin/busybox", "/bin/busybox"]
            .into_iter()
            .find(|path| Path::new(path).exists())
            .expect("this test needs a static busybox");
        fs::copy(busybox, bin.join("busybox")).unwrap();
        let config = serde_json::json!({
            "ociVersion": "1.0.2",
            "process": {
                "user": {"uid": 0, "gid": 0},
                "args": ["/bin/busybox", "sh", "-c", "busybox sleep 300"],
                "env": ["PATH=/bin"],
                "cwd": "/",
            },
            "root": {"path": "rootfs"},
            "annotations": {
                "io.kubernetes.cri.container-type": "container",
                "io.kubernetes.cri.container-name": "app",
                "io.kubernetes.cri.image-name": "registry.example/app:1",
                "io.kubernetes.cri.sandbox-name": "web-0",
                "io.kubernetes.cri.sandbox-namespace": "shop",
                "io.kubernetes.cri.sandbox-uid": POD_UID,
            },
            "linux": {
                "cgroupsPath": cgroups_path,
                "namespaces": [{"type": "pid"}, {"type": "mount"}, {"type": "ipc"}, {"type": "uts"}],
            },
            "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
        });
        fs::write(bundle.path().join("config.json"), config.to_string()).unwrap();
        let mut container = Self {
            id: id.to_owned(),
            root: own_root.then(|| bundle.path().join("state")),
            bundle,
            runc: None,
        };
        let mut run = container.command(if own_root { &["run"] } else { &["run", "--detach"] });
        let mut child = run.spawn().expect("this test needs runc");
        if own_root {
            container.runc = Some(child);
        } else {
            assert!(child.wait().unwrap().success(), "runc failed");
        }
        container
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("runc");
        if let Some(root) = &self.root {
            command.arg("--root").arg(root);
        }
        command.args(arguments);
        if arguments[0] == "run" {
            command.arg("--bundle").arg(self.bundle.path());
        }
        command
            .arg(&self.id)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    /// The container's first process, from runc's own account.
    fn pid(&self) -> Option<u32> {
        let output = self.command(&["state"]).stdout(Stdio::piped()).output().ok()?;
        let state: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
        (state["status"] == "running").then_some(())?;
        u32::try_from(state["pid"].as_u64()?).ok()
    }
}

impl Drop for RuncContainer {
    fn drop(&mut self) {
        let _ = self.command(&["delete", "--force"]).status();
        if let Some(mut runc) = self.runc.take() {
            let _ = runc.kill();
            let _ = runc.wait();
        }
    }
}

/// The path and the id of a process's cgroup in the index's hierarchy, as the kernel's event would give them.
fn cgroup_of(index: &ContainerIndex, pid: u32) -> (String, CgroupId) {
    use std::os::unix::fs::MetadataExt;
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let controller = index.hierarchy().controller().name();
    let path = text.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?);
        controllers
            .split(',')
            .any(|name| name == controller)
            .then(|| path.to_owned())
    });
    let path = path.unwrap();
    let dir = index.hierarchy().mount_point().join(&path[1..]);
    (path, CgroupId(fs::metadata(dir).unwrap().ino()))
}

fn is_complete(container: &Container) {
    assert_eq!(container.name.as_deref(), Some("app"));
    assert_eq!(container.image.as_deref(), Some("registry.example/app:1"));
    let pod = container.pod.as_ref().unwrap();
    assert_eq!(
        (pod.namespace.as_str(), pod.name.as_str(), pod.uid.as_str()),
        ("shop", "web-0", POD_UID)
    );
    assert_eq!(
        container.pod_group.as_ref().unwrap().to_string(),
        "Pod/shop/web-0"
    );
}

fn hint(pid: u32) -> ExecHint {
    ExecHint {
        time: runtime_core::BootTime::from_nanos(1),
        pid: Pid(pid),
        own_pid_namespace: true,
        own_mount_namespace: true,
    }
}

fn running(container: &RuncContainer) -> u32 {
    let mut pid = None;
    eventually("the container runs", || {
        pid = container.pid();
        pid.is_some()
    });
    pid.unwrap()
}

#[test]
fn a_new_runc_container_is_known_by_the_runtimes_state() {
    let mut index = index();
    let id = unique("state");
    let container = RuncContainer::start(&id, &format!("/{id}"), false);
    let pid = running(&container);
    let (path, cgroup) = cgroup_of(&index, pid);
    index.cgroup_made(cgroup, path.as_bytes());
    assert_eq!(index.lookup(cgroup), Lookup::Unresolved);
    let started = Instant::now();
    let resolution = index.resolve(cgroup, hint(pid));
    println!("resolved by state in {:?}", started.elapsed());
    let Resolution::Started(found) = resolution else {
        panic!("{resolution:?}");
    };
    assert_eq!((found.id.as_str(), found.preexisting), (id.as_str(), false));
    is_complete(&found);
    assert_eq!(index.lookup(cgroup), Lookup::Container(&found));
}

#[test]
fn a_runc_with_a_state_root_of_its_own_is_found_by_its_process() {
    let mut index = index();
    let id = unique("root");
    let container = RuncContainer::start(&id, &format!("/{id}"), true);
    let pid = running(&container);
    let (path, cgroup) = cgroup_of(&index, pid);
    index.cgroup_made(cgroup, path.as_bytes());
    let started = Instant::now();
    let resolution = index.resolve(cgroup, hint(pid));
    println!("resolved by process in {:?}", started.elapsed());
    let Resolution::Started(found) = resolution else {
        panic!("{resolution:?}");
    };
    assert_eq!(found.id.as_str(), id);
    is_complete(&found);
}

#[test]
fn a_container_from_before_is_found_and_marked_so() {
    let id = format!("{:064x}", std::process::id());
    let pods = TestCgroup::new("kubepods");
    let container = RuncContainer::start(
        &id,
        &format!("{}/besteffort/pod{POD_UID}/{id}", pods.path()),
        false,
    );
    let pid = running(&container);
    let started = Instant::now();
    let index = index();
    println!("everything found in {:?}", started.elapsed());
    let (_, cgroup) = cgroup_of(&index, pid);
    let Lookup::Container(found) = index.lookup(cgroup) else {
        panic!("{:?}", index.lookup(cgroup));
    };
    assert_eq!((found.id.as_str(), found.preexisting), (id.as_str(), true));
    is_complete(found);
    let own = cgroup_of(&index, std::process::id()).1;
    assert_eq!(index.lookup(own), Lookup::Host);
    assert!(index.host_cgroups().any(|host| host == own));
}

#[test]
fn the_end_of_a_container_is_heard_of() {
    let id = unique("end");
    let container = RuncContainer::start(&id, &format!("/{id}"), false);
    let pid = running(&container);
    let mut index = index();
    let (_, cgroup) = cgroup_of(&index, pid);
    drop(container);
    assert!(within(Duration::from_secs(5), || !Path::new(&format!(
        "/proc/{pid}"
    ))
    .exists()));
    // Its event was lost.
    let removed = index.resync();
    assert!(removed.iter().any(|container| container.cgroup == cgroup));
    assert_eq!(index.lookup(cgroup), Lookup::Unresolved);
}

fn namespaces_tell(mut index: ContainerIndex) {
    let cgroup = TestCgroup::new("namespaces");
    let own = cgroup.start("echo ready; exec sleep 300", &["--pid", "--mount", "--fork"]);
    let first: Vec<u32> = cgroup
        .pids()
        .into_iter()
        .filter(|pid| *pid != own.pid())
        .collect();
    // No event told of the cgroup.
    let Resolution::Started(found) = index.resolve(cgroup.id(&index), hint(first[0])) else {
        panic!("not a container");
    };
    let expected = Container {
        started: Some(ContainerStart {
            time: BootTime::from_nanos(1),
            pid: Pid(first[0]),
        }),
        ..cgroup.container(&index)
    };
    assert_eq!(*found, expected);

    let cgroup = TestCgroup::new("host");
    let process = cgroup.start("echo ready; exec sleep 300", &[]);
    let host = ExecHint {
        own_pid_namespace: false,
        own_mount_namespace: false,
        ..hint(process.pid())
    };
    assert_eq!(index.resolve(cgroup.id(&index), host), Resolution::Host);
}

#[test]
fn a_container_of_unknown_making_is_told_by_its_namespaces() {
    namespaces_tell(index());
}

#[test]
fn the_v2_tree_works_the_same() {
    let Some((index, _proc)) = index_v2() else {
        panic!("this test needs a cgroup v2 tree, as every kernel it runs on has one mounted");
    };
    namespaces_tell(index);
}

#[test]
fn a_container_of_unknown_making_from_before_is_found() {
    let cgroup = TestCgroup::new("before");
    let unshare = Command::new("unshare")
        .args(["--pid", "--mount", "--fork", "sleep", "300"])
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let unshare = TestProcess::new(unshare);
    // Only the process in the new namespaces goes into the cgroup, as a runtime does it.
    let children = format!("/proc/{0}/task/{0}/children", unshare.pid());
    let mut child = String::new();
    eventually("it forks", || {
        child = fs::read_to_string(&children)
            .unwrap_or_default()
            .trim()
            .to_owned();
        !child.is_empty()
    });
    let index = {
        let controller = index().hierarchy().controller().name();
        fs::write(cgroup.dir(controller).join("cgroup.procs"), &child).unwrap();
        index()
    };
    let Lookup::Container(found) = index.lookup(cgroup.id(&index)) else {
        panic!("not a container");
    };
    assert!(found.preexisting);
    assert_eq!(found.id, cgroup.container(&index).id);
}
