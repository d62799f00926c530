//! The containers themselves. Needs root; runs on this machine and in the virtual machines.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use testbed::{Builder, Container, Error, PidNamespace, Runtime};

const LIMIT: Duration = Duration::from_secs(20);

fn mk_container() -> Builder {
    Container::builder()
}

/// The runtimes that this machine has; a virtual machine has only our own.
fn runtimes() -> Vec<Runtime> {
    let mut all = vec![Runtime::Own];
    if Runtime::runc_is_installed() {
        all.push(Runtime::Runc);
    }
    all
}

fn exec(container: &Container, argv: &[&str]) -> String {
    let output = container.exec(argv).unwrap().wait(LIMIT).unwrap();
    assert!(
        output.status.success(),
        "{argv:?} ended with {}: {}",
        output.status,
        output.text
    );
    output.text
}

fn namespace(pid: u32, kind: &str) -> PathBuf {
    std::fs::read_link(format!("/proc/{pid}/ns/{kind}")).unwrap()
}

/// True for a process that runs; a zombie has ended.
fn runs(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        stat.rsplit_once(") ")
            .is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
    })
}

/// Waits until `done`, within bounds.
fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !done() {
        assert!(Instant::now() < deadline, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn the_entrypoint_runs_with_its_arguments_and_its_end_is_reported() {
    for runtime in runtimes() {
        let mut container = mk_container()
            .runtime(runtime)
            .entrypoint(["/bin/workload", "print", "one", "two three"])
            .run()
            .unwrap();
        let status = container.wait(LIMIT).unwrap();
        assert!(status.success(), "{runtime:?}");
        assert_eq!(container.log(), "one\ntwo three\n", "{runtime:?}");
        eventually("its end", || !container.is_alive());
        container.remove().unwrap();
    }
}

#[test]
fn nothing_runs_between_create_and_start() {
    for runtime in runtimes() {
        let mut container = mk_container().runtime(runtime).create().unwrap();
        let executable = format!("/proc/{}/exe", container.pid());
        let before = std::fs::read_link(&executable).unwrap();
        assert_ne!(before, Path::new("/bin/workload"), "{runtime:?}");
        assert!(
            container.processes().contains(&container.pid()),
            "{runtime:?}: not in its cgroup yet"
        );
        container.start().unwrap();
        eventually("the entrypoint's exec", || {
            std::fs::read_link(&executable).is_ok_and(|path| path == Path::new("/bin/workload"))
        });
        container.remove().unwrap();
    }
}

#[test]
fn it_is_isolated_from_the_host() {
    for runtime in runtimes() {
        let container = mk_container().runtime(runtime).name("box").run().unwrap();
        let pid = container.pid();
        for kind in ["mnt", "pid", "uts", "ipc"] {
            assert_ne!(
                namespace(pid, kind),
                namespace(std::process::id(), kind),
                "{runtime:?} {kind}"
            );
        }
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        assert!(
            status.contains(&format!("NSpid:\t{pid}\t1\n")),
            "{runtime:?}: {status}"
        );
        // Its root is the image: the host's own files are not under it, and the old root is not mounted.
        let root = PathBuf::from(format!("/proc/{pid}/root"));
        let (inside, image) = (
            std::fs::metadata(root.join("bin/workload")),
            container.image().join("bin/workload"),
        );
        assert_eq!(
            inside.unwrap().ino(),
            std::fs::metadata(image).unwrap().ino(),
            "{runtime:?}"
        );
        let mounts = std::fs::read_to_string(format!("/proc/{pid}/mounts")).unwrap();
        assert!(!mounts.contains("podwarden-test"), "{runtime:?}: {mounts}");
        for path in ["dev/null", "dev/shm", "proc/self", "tmp"] {
            assert!(
                root.join(path).symlink_metadata().is_ok(),
                "{runtime:?}: no /{path}"
            );
        }
        container.remove().unwrap();
    }
}

#[test]
fn it_is_in_its_cgroup_in_every_hierarchy() {
    let path = format!("/kubepods/besteffort/pod{0}/{0}", std::process::id());
    for runtime in runtimes() {
        let container = mk_container().runtime(runtime).cgroup(&path).run().unwrap();
        assert_eq!(container.cgroup_path(), Path::new(&path));
        assert!(!container.cgroups().is_empty());
        for cgroup in container.cgroups() {
            let members = std::fs::read_to_string(cgroup.path.join("cgroup.procs")).unwrap();
            assert_eq!(
                members.trim(),
                container.pid().to_string(),
                "{runtime:?} {cgroup:?}"
            );
            assert!(cgroup.path.ends_with(&path[1..]), "{runtime:?} {cgroup:?}");
            assert_eq!(
                cgroup.id().unwrap(),
                std::fs::metadata(&cgroup.path).unwrap().ino()
            );
        }
        let joined = std::fs::read_to_string(format!("/proc/{}/cgroup", container.pid())).unwrap();
        let count = joined.lines().filter(|line| line.ends_with(&path)).count();
        assert_eq!(count, container.cgroups().len(), "{runtime:?}: {joined}");
        let cgroups: Vec<_> = container.cgroups().to_vec();
        container.remove().unwrap();
        for cgroup in cgroups {
            assert!(
                !cgroup.path.parent().unwrap().exists(),
                "{runtime:?}: {cgroup:?} is left"
            );
        }
    }
}

#[test]
fn the_runtime_that_execs_the_entrypoint_has_its_parent_outside() {
    let container = mk_container().run().unwrap();
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", container.pid())).unwrap();
    let parent: u32 = stat
        .rsplit_once(") ")
        .unwrap()
        .1
        .split(' ')
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    assert!(!container.processes().contains(&parent));
    let executable = std::fs::read_link(format!("/proc/{parent}/exe")).unwrap();
    assert_eq!(executable.file_name().unwrap(), "testbed-runtime");
}

#[test]
fn dropping_it_kills_all_and_leaves_nothing() {
    for runtime in runtimes() {
        for pid_namespace in [PidNamespace::Private, PidNamespace::Host] {
            let container = mk_container()
                .runtime(runtime)
                .pid_namespace(pid_namespace)
                .entrypoint(["/bin/workload", "fork-bomb", "20"])
                .run()
                .unwrap();
            eventually("twenty children", || container.processes().len() == 21);
            let (pids, cgroups) = (container.processes(), container.cgroups().to_vec());
            let bundle = container.bundle().to_owned();
            drop(container);
            for pid in pids {
                assert!(!runs(pid), "{runtime:?} {pid_namespace:?}: {pid} still runs");
            }
            for cgroup in cgroups {
                assert!(
                    !cgroup.path.exists(),
                    "{runtime:?} {pid_namespace:?}: {cgroup:?} is left"
                );
                assert!(
                    !cgroup.path.parent().unwrap().exists(),
                    "its parent is left: {cgroup:?}"
                );
            }
            assert!(!bundle.exists());
            let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
            assert!(!mounts.contains(bundle.to_str().unwrap()));
        }
    }
}

#[test]
fn a_cgroup_that_was_there_before_stays() {
    let hierarchies = testbed::cgroup::hierarchies().unwrap();
    let mount = &hierarchies
        .iter()
        .find(|hierarchy| hierarchy.is_joined())
        .unwrap()
        .mount;
    let name = format!("podwarden-test-kept-{}", std::process::id());
    let kept = mount.join(&name);
    std::fs::create_dir(&kept).unwrap();
    let container = mk_container().cgroup(Path::new(&name).join("a/b")).run().unwrap();
    let neighbour = mk_container().cgroup(Path::new(&name).join("a/c")).run().unwrap();
    container.remove().unwrap();
    assert!(neighbour.is_alive());
    assert!(kept.join("a/c").exists() && !kept.join("a/b").exists());
    neighbour.remove().unwrap();
    assert!(kept.exists() && !kept.join("a").exists());
    std::fs::remove_dir(&kept).unwrap();
}

#[test]
fn stop_ends_the_processes_and_the_end_by_a_signal_is_told() {
    use std::os::unix::process::ExitStatusExt;
    for runtime in runtimes() {
        let mut container = mk_container().runtime(runtime).run().unwrap();
        assert!(container.is_alive());
        assert!(
            matches!(
                container.wait(Duration::from_millis(50)),
                Err(Error::Timeout { .. })
            ),
            "{runtime:?}"
        );
        container.stop().unwrap();
        assert!(!container.is_alive());
        assert_eq!(container.processes(), [0_u32; 0]);
        assert_eq!(container.wait(LIMIT).unwrap().signal(), Some(9), "{runtime:?}");
    }
}

#[test]
fn exec_runs_in_the_container_from_a_parent_outside() {
    for runtime in runtimes() {
        let container = mk_container().runtime(runtime).run().unwrap();
        assert_eq!(
            exec(&container, &["/bin/workload", "print", "hello"]),
            "hello\n",
            "{runtime:?}"
        );
        let second = container.exec(["/bin/workload", "sleep", "30"]).unwrap();
        let pid = second.pid().unwrap();
        eventually("its exec", || {
            std::fs::read_link(format!("/proc/{pid}/exe"))
                .is_ok_and(|path| path == Path::new("/bin/workload"))
        });
        for kind in ["mnt", "pid", "uts", "ipc"] {
            assert_eq!(
                namespace(pid, kind),
                namespace(container.pid(), kind),
                "{runtime:?} {kind}"
            );
        }
        assert!(container.processes().contains(&pid), "{runtime:?}");
        container.remove().unwrap();
        assert!(!runs(pid), "{runtime:?}");
    }
}

#[test]
fn a_failed_exec_says_so() {
    let container = mk_container().run().unwrap();
    let output = container
        .exec(["/bin/no-such-program"])
        .unwrap()
        .wait(LIMIT)
        .unwrap();
    assert!(!output.status.success());
    assert!(output.text.contains("/bin/no-such-program"), "{}", output.text);
    let killed = container
        .exec(["/bin/workload", "exec-as", "x", "/bin/nothing"])
        .unwrap()
        .wait(LIMIT)
        .unwrap();
    assert_eq!(killed.status.code(), Some(1));
}

#[test]
fn a_missing_entrypoint_is_an_error_and_leaves_nothing() {
    let mut container = mk_container()
        .entrypoint(["/bin/no-such-program"])
        .create()
        .unwrap();
    let (bundle, cgroups) = (container.bundle().to_owned(), container.cgroups().to_vec());
    let error = container.start().unwrap_err().to_string();
    assert!(error.contains("no-such-program"), "{error}");
    drop(container);
    assert!(!bundle.exists());
    assert!(cgroups.iter().all(|cgroup| !cgroup.path.exists()));
}

#[test]
fn a_container_that_cannot_be_made_leaves_nothing() {
    let name = format!("podwarden-test-refused-{}", std::process::id());
    let missing = "/no-such-folder";
    let refused = mk_container()
        .cgroup(Path::new(&name).join("x"))
        .bind(missing, "/data")
        .create();
    let error = refused.map(|container| container.pid()).unwrap_err().to_string();
    assert!(error.contains(missing), "{error}");
    for hierarchy in testbed::cgroup::hierarchies().unwrap() {
        assert!(!hierarchy.mount.join(&name).exists(), "{hierarchy:?}");
    }
}

#[test]
fn an_overlay_takes_the_writes_and_spares_the_image() {
    for runtime in runtimes() {
        let container = mk_container()
            .runtime(runtime)
            .overlay()
            .file("/etc/given", "image", 0o644)
            .run()
            .unwrap();
        let root = PathBuf::from(format!("/proc/{}/root", container.pid()));
        exec(
            &container,
            &["/bin/workload", "copy", "/bin/tiny", "/bin/dropped"],
        );
        std::fs::write(root.join("etc/given"), "changed").unwrap();
        let upper = container.upper().unwrap();
        assert!(upper.join("bin/dropped").is_file(), "{runtime:?}");
        assert_eq!(
            std::fs::read_to_string(upper.join("etc/given")).unwrap(),
            "changed"
        );
        assert!(!container.image().join("bin/dropped").exists(), "{runtime:?}");
        assert_eq!(
            std::fs::read_to_string(container.image().join("etc/given")).unwrap(),
            "image"
        );
        let mounts = std::fs::read_to_string(format!("/proc/{}/mounts", container.pid())).unwrap();
        assert!(
            mounts.lines().any(|line| line.starts_with("overlay / overlay ")),
            "{runtime:?}: {mounts}"
        );
        exec(&container, &["/bin/dropped"]);
        container.remove().unwrap();
    }
}

#[test]
fn a_pid_namespace_can_be_the_sandboxes_or_the_hosts() {
    for runtime in runtimes() {
        let sandbox = mk_container()
            .runtime(runtime)
            .entrypoint(["/bin/workload", "pause"])
            .run()
            .unwrap();
        let member = mk_container()
            .runtime(runtime)
            .share_pid_with(&sandbox)
            .run()
            .unwrap();
        assert_eq!(
            namespace(member.pid(), "pid"),
            namespace(sandbox.pid(), "pid"),
            "{runtime:?}"
        );
        assert_ne!(
            namespace(member.pid(), "mnt"),
            namespace(sandbox.pid(), "mnt"),
            "{runtime:?}"
        );
        member.remove().unwrap();
        assert!(sandbox.is_alive(), "{runtime:?}");

        let on_host = mk_container()
            .runtime(runtime)
            .pid_namespace(PidNamespace::Host)
            .run()
            .unwrap();
        assert_eq!(
            namespace(on_host.pid(), "pid"),
            namespace(std::process::id(), "pid"),
            "{runtime:?}"
        );
    }
}

#[test]
fn killing_the_test_itself_leaves_nothing() {
    if let Some(file) = std::env::var_os("TESTBED_KILLED_CHILD") {
        let container = mk_container().run().unwrap();
        let cgroup = container.cgroups()[0].path.clone();
        let line = format!(
            "{}\n{}\n{}",
            container.pid(),
            cgroup.display(),
            container.bundle().display()
        );
        std::fs::write(file, line).unwrap();
        std::thread::sleep(LIMIT);
        return;
    }
    let file = std::env::temp_dir().join(format!("testbed-killed-{}", std::process::id()));
    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "killing_the_test_itself_leaves_nothing"])
        .env("TESTBED_KILLED_CHILD", &file)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = Vec::new();
    eventually("the child's container", || {
        lines = std::fs::read_to_string(&file)
            .unwrap_or_default()
            .lines()
            .map(str::to_owned)
            .collect();
        lines.len() == 3
    });
    child.kill().unwrap();
    child.wait().unwrap();
    std::fs::remove_file(&file).unwrap();
    let pid = lines[0].parse().unwrap();
    eventually("the container's end", || !runs(pid));
    eventually("the cgroup's end", || !Path::new(&lines[1]).exists());
    eventually("the folder's end", || !Path::new(&lines[2]).exists());
}
