//! The sensor on this machine's kernel: what it says of processes in real containers. Needs root.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use runtime_core::event::Origin;
use runtime_core::process::ParentExe;
use runtime_core::{Activity, Container as Seen, Event, EventClass, Exec, Loss, RawString, SensorItem};
use runtime_ebpf::{Attachment, Sensor, SensorOptions};
use testbed::{Builder, Container, Runtime};

const LIMIT: Duration = Duration::from_secs(30);

/// A sensor, and all that it has said so far.
struct Watch {
    sensor: Sensor,
    events: Vec<Event>,
    started: Vec<Arc<Seen>>,
    stopped: Vec<Arc<Seen>>,
    lost: Vec<Loss>,
}

impl Watch {
    fn start() -> Self {
        Self::with(&SensorOptions::default())
    }

    fn with(options: &SensorOptions) -> Self {
        let sensor = Sensor::start(options).expect("the sensor needs root and a kernel with BTF");
        let (events, lost) = (Vec::new(), Vec::new());
        Self {
            sensor,
            events,
            started: Vec::new(),
            stopped: Vec::new(),
            lost,
        }
    }

    fn poll(&mut self) {
        let Self {
            sensor,
            events,
            started,
            stopped,
            lost,
        } = self;
        sensor
            .poll(Duration::from_millis(20), &mut |item| match item {
                SensorItem::Event(event) => events.push(event),
                SensorItem::ContainerStarted(container) => started.push(container),
                SensorItem::ContainerStopped(container) => stopped.push(container),
                SensorItem::Lost(loss) => lost.push(loss),
            })
            .unwrap();
    }

    fn poll_until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + LIMIT;
        while !done(self) {
            assert!(
                Instant::now() < deadline,
                "waited in vain for {what}; seen: {:#?}",
                self.paths()
            );
            self.poll();
        }
    }

    fn execs<'a>(&'a self, container: &Container) -> impl Iterator<Item = (&'a Event, &'a Exec)> {
        let id = container.id().to_owned();
        self.events.iter().filter_map(move |event| match &event.activity {
            Activity::Exec(exec) if event.container.as_ref()?.id.as_str() == id => Some((event, exec)),
            _ => None,
        })
    }

    /// The first exec in the container of which `wanted` is true, waiting for it.
    fn exec(
        &mut self,
        container: &Container,
        what: &str,
        wanted: impl Fn(&Event, &Exec) -> bool,
    ) -> (Event, Exec) {
        self.poll_until(what, |watch| {
            watch.execs(container).any(|(event, exec)| wanted(event, exec))
        });
        let (event, exec) = self
            .execs(container)
            .find(|(event, exec)| wanted(event, exec))
            .unwrap();
        (event.clone(), exec.clone())
    }

    fn paths(&self) -> Vec<String> {
        self.events
            .iter()
            .map(|event| format!("{} {:?}", event.process.exe, event.process.args))
            .collect()
    }
}

/// Runs a program in a container to its end.
fn run(container: &Container, argv: &[&str]) {
    let output = container.exec(argv).unwrap().wait(LIMIT).unwrap();
    assert!(output.status.success(), "{argv:?}: {}", output.text);
}

fn path(text: &str) -> ParentExe {
    ParentExe::Path(text.into())
}

/// The last argument of a program that was given just one.
fn last_of_two(event: &Event) -> Option<&str> {
    match event.process.args.as_slice() {
        [_, last] => std::str::from_utf8(last).ok(),
        _ => None,
    }
}

fn args(event: &Event) -> Vec<String> {
    event.process.args.iter().map(ToString::to_string).collect()
}

#[test]
fn an_entrypoint_is_seen_with_its_container() {
    let mut watch = Watch::start();
    let container = Container::builder()
        .entrypoint(["/bin/workload", "sleep", "60"])
        .run()
        .unwrap();
    let (event, exec) = watch.exec(&container, "the entrypoint", |_, _| true);
    assert!(exec.startup);
    assert_eq!(exec.path, RawString::from("/bin/workload"));
    assert_eq!(args(&event), ["/bin/workload", "sleep", "60"]);
    assert_eq!(event.process.pid.0, container.pid());
    assert_eq!(event.process.container_pid.0, 1);
    assert_eq!(event.process.parent.exe, ParentExe::Runtime);
    assert_eq!(event.process.cwd, RawString::from("/"));
    assert!(event.process.ancestors.is_empty());
    assert_eq!(
        watch.execs(&container).count(),
        1,
        "the runtime's own execs are not shown"
    );
    let seen = watch
        .started
        .iter()
        .find(|seen| seen.id.as_str() == container.id())
        .unwrap();
    assert!(!seen.preexisting);
    assert_eq!(event.container.as_ref().unwrap().cgroup, seen.cgroup);
}

#[test]
fn what_is_true_of_the_process_is_in_the_event() {
    let mut watch = Watch::start();
    let container = Container::builder().cwd("/tmp").user(1000, 1001).run().unwrap();
    let (event, exec) = watch.exec(&container, "the entrypoint", |_, _| true);
    let process = &event.process;
    assert_eq!(process.cwd, RawString::from("/tmp"));
    let credentials = process.credentials;
    assert_eq!(
        (credentials.uid, credentials.gid, credentials.euid),
        (1000, 1001, 1000)
    );
    assert_eq!(
        credentials.effective_caps, 0,
        "another user than root has no effective capabilities"
    );
    let namespace = |name: &str| {
        let link = std::fs::read_link(format!("/proc/{}/ns/{name}", container.pid())).unwrap();
        link.to_string_lossy().to_string()
    };
    assert_eq!(namespace("pid"), format!("pid:[{}]", process.namespaces.pid));
    assert_eq!(namespace("mnt"), format!("mnt:[{}]", process.namespaces.mount));
    let file = std::fs::metadata(format!("/proc/{}/root/bin/workload", container.pid())).unwrap();
    assert_eq!(exec.file.inode, std::os::unix::fs::MetadataExt::ino(&file));
    assert_eq!(exec.size, file.len());
    let age = event.time.since(process.start_time);
    assert!(age < Duration::from_mins(1), "{age:?}");
}

#[test]
fn a_container_gone_is_told() {
    let mut watch = Watch::start();
    let container = Container::builder().run().unwrap();
    watch.exec(&container, "the entrypoint", |_, _| true);
    let id = container.id().to_owned();
    container.remove().unwrap();
    watch.poll_until("the end", |watch| {
        watch.stopped.iter().any(|seen| seen.id.as_str() == id)
    });
}

#[test]
fn the_parent_is_who_forked_whatever_happened_since() {
    let mut watch = Watch::start();
    let container = Container::builder().run().unwrap();
    for way in ["double-fork", "fork-exit", "clone-parent"] {
        run(&container, &["/bin/workload", way, "/bin/tiny", way]);
        let (event, _) = watch.exec(&container, way, |event, _| {
            args(event) == ["/bin/tiny".to_owned(), way.to_owned()]
        });
        assert_eq!(event.process.parent.exe, path("/bin/workload"), "{way}");
        assert!(!event.process.parent.inferred, "{way}");
        let first = &event.process.ancestors[0];
        assert_eq!(
            (first.pid, &first.path),
            (event.process.parent.pid, &"/bin/workload".into()),
            "{way}"
        );
    }
}

#[test]
fn a_program_run_by_the_runtime_later_has_the_runtime_for_a_parent() {
    let mut watch = Watch::start();
    let container = Container::builder().run().unwrap();
    run(&container, &["/bin/workload", "print", "later"]);
    let (event, exec) = watch.exec(&container, "the later one", |event, _| {
        args(event).contains(&"later".to_owned())
    });
    assert_eq!(event.process.parent.exe, ParentExe::Runtime);
    assert!(!exec.startup);
}

/// `runc exec` enters the namespaces first and the cgroup second, `runc run` the other way round.
#[test]
fn with_runc_parents_in_the_container_are_no_runtime() {
    assert!(
        Runtime::runc_is_installed(),
        "`cargo xtask setup` installs runc, and virtual machines get it"
    );
    let mut watch = Watch::start();
    let container = Container::builder()
        .runtime(Runtime::Runc)
        .entrypoint(["/bin/workload", "spawn", "/bin/workload", "1", "sleep", "60"])
        .run()
        .unwrap();
    let (entrypoint, exec) = watch.exec(&container, "the entrypoint", |_, _| true);
    assert!(exec.startup);
    assert_eq!(entrypoint.process.parent.exe, ParentExe::Runtime);
    let (child, _) = watch.exec(&container, "its child", |event, _| args(event)[1] == "sleep");
    assert_eq!(child.process.parent.exe, path("/bin/workload"));
    run(&container, &["/bin/workload", "spawn", "/bin/tiny", "1"]);
    let (later, _) = watch.exec(&container, "runc exec", |event, _| {
        args(event).get(2).is_some_and(|a| a == "/bin/tiny")
    });
    assert_eq!(later.process.parent.exe, ParentExe::Runtime);
    let (child, _) = watch.exec(&container, "its child", |_, exec| *exec.path == *b"/bin/tiny");
    assert_eq!(child.process.parent.exe, path("/bin/workload"));
    assert_eq!(
        watch.execs(&container).count(),
        4,
        "runc's own execs are not shown: {:?}",
        watch.paths()
    );
}

/// crun under systemd puts the processes one cgroup below the container's own.
#[test]
fn processes_one_cgroup_below_are_the_containers_own() {
    let mut watch = Watch::start();
    let id = "c0ffee00".repeat(8);
    let container = Container::builder()
        .id(&id)
        .cgroup(format!("machine.slice/libpod-{id}.scope/container"))
        .entrypoint([
            "/bin/workload",
            "spawn",
            "/bin/workload",
            "1",
            "spawn",
            "/bin/tiny",
            "1",
        ])
        .run()
        .unwrap();
    let (child, _) = watch.exec(&container, "the child", |event, exec| {
        *exec.path == *b"/bin/workload" && args(event).len() == 4
    });
    assert_eq!(child.process.parent.exe, path("/bin/workload"));
    let (grandchild, _) = watch.exec(&container, "the grandchild", |_, exec| {
        *exec.path == *b"/bin/tiny"
    });
    assert_eq!(grandchild.process.parent.exe, path("/bin/workload"));
    assert_eq!(watch.execs(&container).count(), 3, "{:?}", watch.paths());
}

/// A container that may write its cgroups (systemd in a container does) must not hide in one that it makes.
#[test]
fn a_move_within_the_container_hides_nothing() {
    let mut watch = Watch::start();
    let container = Container::builder().run().unwrap();
    watch.exec(&container, "the entrypoint", |_, _| true);
    let runs = 600;
    let spawner = container
        .exec([
            "/bin/workload",
            "spawn",
            "/bin/workload",
            &runs.to_string(),
            "print",
            "x",
        ])
        .unwrap();
    let printed = |watch: &Watch| {
        watch
            .execs(&container)
            .filter(|(event, _)| args(event) == ["/bin/workload", "print", "x"])
            .count()
    };
    watch.poll_until("the first runs", |watch| printed(watch) > 20);
    let mut below = Vec::new();
    for cgroup in container.cgroups() {
        let folder = cgroup.path.join("below");
        std::fs::create_dir(&folder).unwrap();
        let pid = spawner.pid().unwrap().to_string();
        // A v2 folder that hands controllers down takes no processes; the hierarchy that counts does.
        std::fs::write(folder.join("cgroup.procs"), pid).unwrap();
        below.push(folder);
    }
    assert!(spawner.wait(Duration::from_mins(2)).unwrap().status.success());
    watch.poll_until("every run", |watch| printed(watch) >= runs);
    for (event, _) in watch
        .execs(&container)
        .filter(|(event, _)| args(event) == ["/bin/workload", "print", "x"])
    {
        assert_eq!(event.process.parent.exe, path("/bin/workload"));
    }
    for folder in below {
        std::fs::remove_dir(folder).unwrap();
    }
}

/// A privileged container can move a process to a cgroup of the host, which nobody watches.
#[test]
fn a_process_moved_out_of_its_container_stays_the_containers() {
    move_out_of_container(Path::to_owned);
}

/// One that it has made a moment ago is not even known to be the host's.
#[test]
fn a_process_moved_to_a_new_cgroup_stays_its_containers() {
    move_out_of_container(|root| {
        let folder = root.join(format!("elsewhere-{}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        folder
    });
}

fn move_out_of_container(to: impl Fn(&Path) -> PathBuf) {
    let mut watch = Watch::start();
    let container = Container::builder().run().unwrap();
    watch.exec(&container, "the entrypoint", |_, _| true);
    let runs = 600;
    let count = runs.to_string();
    let spawner = container
        .exec(["/bin/workload", "spawn", "/bin/workload", &count, "print", "out"])
        .unwrap();
    let is_print = |event: &Event| args(event) == ["/bin/workload", "print", "out"];
    let printed = |watch: &Watch| {
        watch
            .execs(&container)
            .filter(|(event, _)| is_print(event))
            .count()
    };
    watch.poll_until("the first runs", |watch| printed(watch) > 20);
    let pid = spawner.pid().unwrap().to_string();
    let mut made = Vec::new();
    for cgroup in container.cgroups() {
        let folder = to(&cgroup.hierarchy.mount);
        std::fs::write(folder.join("cgroup.procs"), &pid).unwrap();
        if folder != cgroup.hierarchy.mount {
            made.push(folder);
        }
    }
    assert!(printed(&watch) < runs, "the move came before the end");
    assert!(spawner.wait(Duration::from_mins(2)).unwrap().status.success());
    for folder in made {
        std::fs::remove_dir(folder).unwrap();
    }
    watch.poll_until("every run", |watch| printed(watch) >= runs);
    for (event, _) in watch.execs(&container).filter(|(event, _)| is_print(event)) {
        assert_eq!(event.process.parent.exe, path("/bin/workload"));
    }
}

/// The programs are there twice, and few kernels need the second way.
#[test]
fn raw_tracepoints_tell_the_same() {
    let options = SensorOptions {
        attachment: Some(Attachment::Raw),
        ..SensorOptions::default()
    };
    let mut watch = Watch::with(&options);
    let container = Container::builder().run().unwrap();
    let (entrypoint, exec) = watch.exec(&container, "the entrypoint", |_, _| true);
    assert_eq!(entrypoint.process.parent.exe, ParentExe::Runtime);
    assert!(exec.startup);
    run(&container, &["/bin/workload", "double-fork", "/bin/tiny", "raw"]);
    let (event, exec) = watch.exec(&container, "an orphan", |event, _| {
        args(event) == ["/bin/tiny", "raw"]
    });
    assert_eq!(exec.path, RawString::from("/bin/tiny"));
    assert_eq!(event.process.parent.exe, path("/bin/workload"));
    assert!(!event.process.parent.inferred);
    assert_eq!(event.process.cwd, RawString::from("/"));
}

/// What there is no room for is watched, not missed.
#[test]
fn more_cgroups_than_the_map_takes_hide_nothing() {
    let before = Container::builder().run().unwrap();
    let options = SensorOptions {
        max_cgroups: 1,
        ..SensorOptions::default()
    };
    let mut watch = Watch::with(&options);
    run(&before, &["/bin/tiny", "before"]);
    let (event, _) = watch.exec(&before, "an exec", |event, _| {
        args(event) == ["/bin/tiny", "before"]
    });
    assert_eq!(event.process.parent.exe, ParentExe::Runtime);
    let after = Container::builder().run().unwrap();
    watch.exec(&after, "another container's entrypoint", |_, exec| exec.startup);
}

/// Without a look at the container's own root, a volume that one has changed the root to would be it.
#[test]
fn a_chroot_changes_neither_path_nor_origin() {
    let mut watch = Watch::start();
    let container = Container::builder().overlay().run().unwrap();
    run(&container, &["/bin/workload", "copy", "/bin/tiny", "/tmp/tiny"]);
    run(&container, &["/bin/busybox", "chroot", "/tmp", "/tiny", "jailed"]);
    let (_, exec) = watch.exec(&container, "the program in the chroot", |event, _| {
        args(event) == ["/tiny", "jailed"]
    });
    assert_eq!(exec.path, RawString::from("/tmp/tiny"));
    assert_eq!(exec.origin, Some(Origin::Dropped));
}

#[test]
fn names_and_files_are_told_apart() {
    let mut watch = Watch::start();
    let container = Container::builder()
        .symlink("/bin/alias", "/bin/tiny")
        .file("/run.sh", "#!/bin/workload print\n", 0o755)
        .run()
        .unwrap();
    run(
        &container,
        &["/bin/workload", "exec-as", "disguise", "/bin/tiny", "x"],
    );
    let (event, _) = watch.exec(&container, "exec -a", |event, _| args(event) == ["disguise", "x"]);
    assert_eq!(event.process.identity.path, RawString::from("/bin/tiny"));
    assert_eq!(event.process.identity.argv0, Some("disguise".into()));

    run(&container, &["/bin/alias", "linked"]);
    let (event, _) = watch.exec(&container, "a link", |event, _| {
        args(event) == ["/bin/alias", "linked"]
    });
    assert_eq!(event.process.identity.path, RawString::from("/bin/tiny"));
    assert_eq!(event.process.identity.invoked_as, Some("/bin/alias".into()));

    run(&container, &["/run.sh", "scripted"]);
    let (event, _) = watch.exec(&container, "a script", |event, _| {
        event.process.identity.script.is_some()
    });
    assert_eq!(event.process.identity.script, Some("/run.sh".into()));
    assert_eq!(event.process.identity.path, RawString::from("/bin/workload"));
    assert_eq!(args(&event), ["/bin/workload", "print", "/run.sh", "scripted"]);
}

#[test]
fn files_without_a_name_are_what_they_are() {
    let mut watch = Watch::start();
    let container = Container::builder().run().unwrap();
    run(&container, &["/bin/workload", "memfd", "/bin/tiny", "in-memory"]);
    let (event, exec) = watch.exec(&container, "a memfd", |event, _| {
        last_of_two(event) == Some("in-memory")
    });
    assert_eq!(exec.origin, Some(Origin::Memory));
    assert_eq!(exec.path, RawString::from("/memfd:copy"));
    assert_eq!(
        event.process.parent.exe,
        ParentExe::Runtime,
        "the same process as before"
    );

    run(&container, &["/bin/workload", "deleted", "/bin/tiny", "unlinked"]);
    let (_, exec) = watch.exec(&container, "a deleted file", |event, _| {
        last_of_two(event) == Some("unlinked")
    });
    assert!(exec.deleted);
    assert!(exec.path.starts_with(b"/tmp/deleted-"), "{}", exec.path);
    assert_eq!(exec.origin, Some(Origin::Dropped), "/tmp is a volume of its own");

    run(
        &container,
        &["/bin/workload", "execveat", "/bin/tiny", "by-descriptor"],
    );
    let (event, exec) = watch.exec(&container, "execveat", |event, _| {
        last_of_two(event) == Some("by-descriptor")
    });
    assert_eq!(exec.path, RawString::from("/bin/tiny"));
    assert_eq!(event.process.identity.invoked_as, None);
}

#[test]
fn an_exec_from_another_thread_is_the_process() {
    let mut watch = Watch::start();
    let container = Container::builder().run().unwrap();
    let started = container
        .exec(["/bin/workload", "threads-exec", "/bin/workload", "print", "t"])
        .unwrap();
    let pid = started.pid().unwrap();
    assert!(started.wait(LIMIT).unwrap().status.success());
    let (event, _) = watch.exec(&container, "the exec", |event, _| {
        args(event).last().unwrap() == "t"
    });
    assert_eq!(event.process.pid.0, pid);
    assert_eq!(event.process.parent.exe, ParentExe::Runtime);
}

#[test]
fn arguments_past_the_limit_are_cut_and_counted() {
    let mut watch = Watch::start();
    let container = Container::builder().run().unwrap();
    run(
        &container,
        &["/bin/workload", "many-args", "2000", "50", "/bin/tiny"],
    );
    let (event, _) = watch.exec(&container, "many arguments", |_, exec| {
        *exec.path == *b"/bin/tiny"
    });
    let process = &event.process;
    assert!(process.args_truncated);
    assert_eq!(process.args_count, 2001);
    let bytes: usize = process.args.iter().map(|arg| arg.len() + 1).sum();
    assert!((4096..4200).contains(&bytes), "{bytes}");
    assert_eq!(process.args[2].to_string(), format!("{:0>50}", 1));
}

#[test]
fn long_paths_are_whole_also_as_parents() {
    let mut watch = Watch::start();
    let folder = format!(
        "/tmp/{}",
        ["a".repeat(200), "b".repeat(200), "c".repeat(200)].join("/")
    );
    let program = format!("{folder}/workload");
    let container = Container::builder()
        .workload_as(program.trim_start_matches("/tmp"))
        .run()
        .unwrap();
    let program = program.trim_start_matches("/tmp").to_owned();
    run(&container, &[&program, "spawn", "/bin/tiny", "2"]);
    let (event, _) = watch.exec(&container, "the child", |_, exec| *exec.path == *b"/bin/tiny");
    assert_eq!(event.process.parent.exe, path(&program));
}

#[test]
fn hostile_names_are_bytes_and_print_safely() {
    let mut watch = Watch::start();
    let name = std::ffi::OsStr::new("/bin/evil\n\x1b[2J");
    let mut bytes = std::os::unix::ffi::OsStrExt::as_bytes(name).to_vec();
    bytes.push(0xff);
    let name = <std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(&bytes);
    let container = Container::builder().tiny_as(name).run().unwrap();
    assert!(
        container
            .exec([name])
            .unwrap()
            .wait(LIMIT)
            .unwrap()
            .status
            .success()
    );
    let (event, exec) = watch.exec(&container, "the name", |_, exec| {
        exec.path.starts_with(b"/bin/evil")
    });
    assert_eq!(exec.path.as_bytes(), bytes);
    assert_eq!(event.process.exe.to_string(), r"/bin/evil\x0a\x1b[2J\xff");
}

#[test]
fn overlay_tells_image_files_from_dropped_ones() {
    let mut watch = Watch::start();
    let container = match Container::builder().overlay().run() {
        Ok(container) => container,
        Err(error) => panic!("this kernel has no overlay: {error}"),
    };
    run(&container, &["/bin/tiny", "from-image"]);
    let (_, exec) = watch.exec(&container, "an image file", |event, _| {
        args(event).last().unwrap() == "from-image"
    });
    assert_eq!(exec.origin, Some(Origin::Image));
    run(
        &container,
        &["/bin/workload", "copy", "/bin/tiny", "/bin/dropped"],
    );
    run(&container, &["/bin/dropped"]);
    let (_, exec) = watch.exec(&container, "a dropped file", |_, exec| {
        *exec.path == *b"/bin/dropped"
    });
    assert_eq!(exec.origin, Some(Origin::Dropped));
}

#[test]
fn containers_from_before_are_found_and_marked() {
    let container = Container::builder().run().unwrap();
    let mut watch = Watch::start();
    let seen = watch
        .sensor
        .containers()
        .find(|seen| seen.id.as_str() == container.id())
        .cloned();
    assert!(seen.expect("found at the start").preexisting);
    run(&container, &["/bin/workload", "spawn", "/bin/tiny", "1"]);
    let (event, exec) = watch.exec(&container, "the child", |_, exec| *exec.path == *b"/bin/tiny");
    assert_eq!(event.process.parent.exe, path("/bin/workload"));
    assert!(!exec.startup);
}

#[test]
fn processes_with_one_number_are_never_mixed() {
    // 300 numbers in a PID namespace of its own are of no help: the host's numbers count. So many short
    // processes that the kernel comes round, or at least many that come and go under load.
    let mut watch = Watch::start();
    let container = Container::builder().run().unwrap();
    run(&container, &["/bin/workload", "storm", "/bin/tiny", "3000", "8"]);
    watch.poll_until("all", |watch| {
        watch
            .execs(&container)
            .filter(|(_, e)| *e.path == *b"/bin/tiny")
            .count()
            >= 3000
    });
    for (event, exec) in watch.execs(&container) {
        if *exec.path == *b"/bin/tiny" {
            assert_eq!(event.process.parent.exe, path("/bin/workload"));
            assert!(event.process.start_boot >= event.process.parent.start_boot);
            assert!(event.boot_time >= event.process.start_boot);
        }
    }
}

fn counts(of: &[(EventClass, u64)]) -> BTreeMap<EventClass, u64> {
    of.iter().copied().collect()
}

/// Polls until nothing comes any more.
fn settle(watch: &mut Watch) {
    let mut before = usize::MAX;
    let deadline = Instant::now() + LIMIT;
    while before != watch.events.len() && Instant::now() < deadline {
        before = watch.events.len();
        for _ in 0..20 {
            watch.poll();
        }
    }
}

fn storm(watch: &mut Watch, builder: impl Fn() -> Builder, polling: bool) -> u64 {
    let containers: Vec<Container> = (0..4).map(|_| builder().run().unwrap()).collect();
    let storms: Vec<_> = containers
        .iter()
        .map(|container| {
            container
                .exec(["/bin/workload", "storm", "/bin/tiny", "5000", "2"])
                .unwrap()
        })
        .collect();
    let finished = std::thread::spawn(move || {
        for storm in storms {
            assert!(storm.wait(Duration::from_mins(5)).unwrap().status.success());
        }
        drop(containers);
    });
    let deadline = Instant::now() + Duration::from_mins(5);
    while !finished.is_finished() {
        assert!(Instant::now() < deadline, "the storm does not end");
        if polling {
            watch.poll();
        } else {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    finished.join().unwrap();
    settle(watch);
    watch
        .events
        .iter()
        .filter(|event| *event.process.exe == *b"/bin/tiny")
        .count() as u64
}

#[test]
fn a_storm_of_20000_execs_is_delivered_or_counted() {
    let mut watch = Watch::start();
    let seen = storm(&mut watch, Container::builder, true);
    let stats = watch.sensor.stats().unwrap();
    let (made, delivered, lost) = (counts(&stats.made), counts(&stats.delivered), counts(&stats.lost));
    for &class in made.keys() {
        assert_eq!(
            made[&class],
            delivered[&class] + lost[&class],
            "{class}: {stats:?}"
        );
    }
    let lost_execs = lost[&EventClass::Exec];
    println!(
        "made {}, delivered {seen} of /bin/tiny, lost {lost_execs}",
        made[&EventClass::Exec]
    );
    assert!(
        seen <= 20_000 && seen + lost_execs >= 20_000,
        "{seen} seen and {lost_execs} lost"
    );
    assert_eq!(
        lost_execs,
        counts(&stats.gaps)[&EventClass::Exec],
        "both ways to count agree"
    );
}

#[test]
fn what_a_small_ring_loses_is_told_to_the_last_one() {
    let options = SensorOptions {
        ring_bytes: 64 << 10,
        ..SensorOptions::default()
    };
    let mut watch = Watch::with(&options);
    storm(&mut watch, Container::builder, false);
    let deadline = Instant::now() + Duration::from_secs(5);
    let told = |watch: &Watch, class| {
        watch
            .lost
            .iter()
            .filter(|loss| loss.class == class)
            .map(|loss| loss.count)
            .sum::<u64>()
    };
    let stats = watch.sensor.stats().unwrap();
    let lost = counts(&stats.lost);
    assert!(
        lost[&EventClass::Exec] > 1000,
        "the ring was too small for all: {stats:?}"
    );
    while Instant::now() < deadline && told(&watch, EventClass::Exec) < lost[&EventClass::Exec] {
        watch.poll();
    }
    let (made, delivered) = (counts(&stats.made), counts(&stats.delivered));
    for &class in made.keys() {
        assert_eq!(
            made[&class],
            delivered[&class] + lost[&class],
            "{class}: {stats:?}"
        );
        assert_eq!(told(&watch, class), lost[&class], "{class} as items");
    }
}

#[test]
fn a_sensor_sleeps_and_is_woken_at_once() {
    let mut watch = Watch::start();
    let container = Container::builder().run().unwrap();
    watch.exec(&container, "the entrypoint", |_, _| true);
    let mut fastest = Duration::MAX;
    for round in 0..10 {
        // Long enough for the reader to have gone to sleep.
        let quiet = Instant::now() + Duration::from_millis(150);
        while Instant::now() < quiet {
            watch.poll();
        }
        let mark = format!("wake-{round}");
        let runner = container.exec(["/bin/workload", "print", &mark]).unwrap();
        let mut seen = None;
        let deadline = Instant::now() + LIMIT;
        while seen.is_none() && Instant::now() < deadline {
            // One long wait: without a wake-up it would last a second.
            watch
                .sensor
                .poll(Duration::from_secs(1), &mut |item| {
                    if let SensorItem::Event(event) = item
                        && args(&event).contains(&mark)
                    {
                        seen = Some(std::time::SystemTime::now());
                        fastest = fastest.min(
                            runtime_core::Timestamp::from(std::time::SystemTime::now()).since(event.time),
                        );
                    }
                })
                .unwrap();
        }
        assert!(seen.is_some(), "{mark}");
        runner.wait(LIMIT).unwrap();
    }
    println!("fastest from exec to us: {fastest:?}");
    assert!(
        fastest < Duration::from_millis(500),
        "woken by the exec, not by the time-out: {fastest:?}"
    );
}
