//! The daemon's own program on this machine's kernel, against real containers: what it says, whom it kills
//! and whom it spares. Needs root. Figures are printed: `--nocapture` shows them.

mod support;

use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use support::bpf::{self, BpfObject};
use support::{LIMIT, Turn, mk_policies, wait_until};
use testbed::{Builder, Container, PidNamespace};

const MINER: &str = "/usr/local/bin/xmrig";
const MINER_RULE: &str = "crypto-miner-execution";
const POOL: [&str; 3] = ["miner", "-o", "stratum+tcp://pool.example:3333"];
/// Long enough for an alert that must not come to come, were it on its way.
const QUIET: Duration = Duration::from_millis(500);

/// A container that can run a stand-in for a miner, and that sleeps.
fn with_miner() -> Builder {
    Container::builder().workload_as(MINER)
}

fn start_miner(container: &Container) -> testbed::Exec {
    container.exec(["/bin/workload", "mine", MINER]).unwrap()
}

/// True for an alert of a rule in a container.
fn of<'a>(container: &'a Container, rule: &'a str) -> impl Fn(&Value) -> bool + 'a {
    move |alert| alert["container"]["id"] == container.id() && alert["rule"] == rule
}

fn policy(mode: &str) -> String {
    format!(
        "apiVersion: podwarden.dev/v1alpha1\nkind: RuntimePolicy\nmetadata: {{name: all}}\nspec:\n  engines:\n    \
         signatures: {{mode: {mode}}}\n"
    )
}

fn rule(name: &str, condition: &str) -> String {
    format!(
        "- rule: {name}\n  desc: A rule of a test.\n  condition: evt.type in (execve, execveat) and {condition}\n  \
         output: It happened\n  priority: NOTICE\n"
    )
}

/// Waits until nothing of a container is left.
fn wait_until_dead(container: &mut Container) {
    container.wait(LIMIT).unwrap();
    // Old kernels list a process until it was waited for.
    wait_until("the end of all of it", || container.processes().is_empty());
}

#[test]
fn a_miner_is_told_of_and_its_container_is_killed() {
    let turn = Turn::take();
    let mut daemon = turn.daemon();
    let mut container = with_miner().name("web").run().unwrap();
    let _intruder = start_miner(&container);
    let alert = daemon.alert("the miner", of(&container, MINER_RULE));

    assert_eq!(alert["action"], "killed", "{alert:#}");
    println!("{}", alert["actionDetail"]);
    assert_eq!(alert["node"], "test-node");
    assert_eq!(alert["engine"], "signatures");
    let process = &alert["process"];
    assert_eq!(process["path"], MINER);
    assert_eq!(process["parentPath"], "/bin/workload");
    let [name, option, pool] = POOL;
    assert_eq!(
        process["args"],
        serde_json::json!([MINER, name, option, pool]),
        "the whole command line"
    );
    assert_eq!(process["argsTruncated"], false);
    assert_eq!(process["cwd"], "/");
    assert_eq!(process["uid"], 0);
    assert_eq!(alert["activity"]["path"], MINER);
    wait_until_dead(&mut container);

    assert!(
        daemon.alert_within(QUIET, |_| true).is_none(),
        "one alert and no more"
    );
    let (status, _, alerts) = daemon.stop();
    assert!(status.success(), "{status}");
    assert_eq!(alerts.len(), 1, "one alert and no more: {alerts:#?}");
}

#[test]
fn an_alert_has_the_pid_on_the_host_and_no_parent_from_outside() {
    let turn = Turn::take();
    let mut daemon = turn.daemon();
    let mut container = with_miner().run().unwrap();
    let [name, option, pool] = POOL;
    let miner = container.exec([MINER, name, option, pool]).unwrap();
    let alert = daemon.alert("the miner", of(&container, MINER_RULE));
    assert_eq!(alert["action"], "killed", "{alert:#}");
    assert_eq!(alert["process"]["pid"], miner.pid().unwrap());
    assert_eq!(
        alert["process"]["parentPath"], "(runtime)",
        "what is outside of the container is named, not shown"
    );
    wait_until_dead(&mut container);
}

#[test]
fn the_self_test_alerts_and_harms_nothing() {
    const TEST: &str = "/usr/local/bin/podwarden-test-signature";
    let turn = Turn::take();
    let mut daemon = turn.daemon();
    let container = Container::builder().tiny_as(TEST).run().unwrap();
    let output = container.exec([TEST]).unwrap().wait(LIMIT).unwrap();
    assert!(output.status.success(), "{output:?}");
    let alert = daemon.alert("the self-test", of(&container, "test-signature"));
    assert_eq!(alert["action"], "alerted");
    assert_eq!(alert["actionDetail"], Value::Null);
    assert_eq!(alert["process"]["path"], TEST);
    std::thread::sleep(QUIET);
    assert!(container.is_alive());
}

#[test]
fn in_a_shared_pid_namespace_the_app_dies_whole_and_the_sandbox_lives() {
    let turn = Turn::take();
    let mut daemon = turn.daemon();
    let sandbox = Container::builder()
        .name("sandbox")
        .entrypoint(["/bin/workload", "pause"])
        .run()
        .unwrap();
    let neighbour = Container::builder()
        .name("sidecar")
        .share_pid_with(&sandbox)
        .run()
        .unwrap();
    let mut app = with_miner()
        .name("app")
        .share_pid_with(&sandbox)
        .entrypoint(["/bin/workload", "fork-bomb", "8"])
        .run()
        .unwrap();
    wait_until("the app's children", || app.processes().len() == 9);
    // No child of the app's main process: an orphan is the sandbox's.
    let _orphan = app
        .exec(["/bin/workload", "double-fork", "/bin/workload", "sleep", "600"])
        .unwrap();
    let _intruder = start_miner(&app);
    let alert = daemon.alert("the miner", of(&app, MINER_RULE));
    assert_eq!(alert["action"], "killed", "{alert:#}");
    wait_until_dead(&mut app);
    std::thread::sleep(QUIET);
    assert!(sandbox.is_alive(), "the sandbox lives");
    assert!(neighbour.is_alive(), "the pod's other container lives");
}

#[test]
fn in_the_hosts_pid_namespace_the_container_dies_whole_and_the_host_lives() {
    let turn = Turn::take();
    let mut daemon = turn.daemon();
    let mut bystander = Command::new(&testbed::programs().unwrap().workload)
        .args(["sleep", "600"])
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let mut container = with_miner()
        .pid_namespace(PidNamespace::Host)
        .entrypoint(["/bin/workload", "fork-bomb", "8"])
        .run()
        .unwrap();
    wait_until("the container's children", || container.processes().len() == 9);
    // Its parent is then a process of the host, which must not hide it.
    let _orphan = container
        .exec(["/bin/workload", "double-fork", "/bin/workload", "sleep", "600"])
        .unwrap();
    let _intruder = start_miner(&container);
    let alert = daemon.alert("the miner", of(&container, MINER_RULE));
    assert_eq!(alert["action"], "killed", "{alert:#}");
    wait_until_dead(&mut container);
    let bystander_lives = matches!(bystander.try_wait(), Ok(None));
    bystander.kill().unwrap();
    bystander.wait().unwrap();
    assert!(bystander_lives, "a process of the host lives");
    assert!(daemon.is_alive());
}

#[test]
fn the_container_that_the_daemon_is_in_is_never_killed() {
    let turn = Turn::take();
    let container = with_miner().name("podwarden").run().unwrap();
    let doors: Vec<_> = container
        .cgroups()
        .iter()
        .map(|cgroup| {
            let door = cgroup.path.join("cgroup.procs");
            OpenOptions::new().write(true).open(door).unwrap()
        })
        .collect();
    let mut daemon = turn.start(None, |command| {
        let join = move || {
            doors
                .iter()
                .try_for_each(|door| Ok(rustix::io::write(door, b"0").map(drop)?))
        };
        // SAFETY: the closure only makes system calls on descriptors that are open, and allocates nothing.
        unsafe { command.pre_exec(join) };
    });
    assert!(
        container.processes().contains(&daemon.pid()),
        "the daemon is in it"
    );
    let _intruder = start_miner(&container);
    let alert = daemon.alert("the miner", of(&container, MINER_RULE));
    assert_eq!(alert["action"], "failed", "{alert:#}");
    let detail = alert["actionDetail"].as_str().unwrap();
    assert!(detail.contains("protected"), "{detail}");
    std::thread::sleep(QUIET);
    assert!(daemon.is_alive());
    assert!(container.is_alive());

    // Its neighbour is a container like any other.
    let mut neighbour = with_miner().run().unwrap();
    let _intruder = start_miner(&neighbour);
    let alert = daemon.alert("the neighbour's miner", of(&neighbour, MINER_RULE));
    assert_eq!(alert["action"], "killed", "{alert:#}");
    wait_until_dead(&mut neighbour);
}

#[test]
fn killed_in_a_storm_it_leaves_nothing_and_detects_again_within_two_seconds() {
    let turn = Turn::take();
    let bpffs = Path::new("/sys/fs/bpf");
    let pinned = bpf::pinned(bpffs);
    let stormy = Container::builder().name("stormy").run().unwrap();
    let mut victim = with_miner().name("victim").run().unwrap();
    let mut first = turn.daemon();
    println!("ready {:?} after the start", first.ready);
    // More than can be done before this test ends; it goes with the container.
    let _storm = stormy
        .exec(["/bin/workload", "storm", "/bin/tiny", "100000000", "4"])
        .unwrap();
    wait_until("the storm", || stormy.processes().len() > 4);
    std::thread::sleep(QUIET);
    let held = bpf::held_by(first.pid());
    assert!(
        held.iter()
            .any(|object| matches!(object, BpfObject::Program(_)) && object.exists()),
        "a daemon has programs in the kernel: {held:?}"
    );
    first.kill();

    let mut second = turn.daemon();
    let _intruder = start_miner(&victim);
    let alert = second.alert("the miner", of(&victim, MINER_RULE));
    let detected = second.spawned.elapsed();
    println!(
        "in the storm: ready {:?} after the restart, a miner killed {detected:?} after it",
        second.ready
    );
    assert_eq!(alert["action"], "killed", "{alert:#}");
    assert!(stormy.processes().len() > 4, "the storm went on all the time");
    let allowed = if is_emulated() {
        LIMIT
    } else {
        Duration::from_secs(2)
    };
    assert!(detected < allowed, "{detected:?}");
    wait_until_dead(&mut victim);

    // The kernel frees what nobody holds a little later.
    wait_until("the end of what the killed daemon had in the kernel", || {
        !held.iter().any(|object| object.exists())
    });
    assert_eq!(bpf::pinned(bpffs), pinned, "nothing is pinned");
    let held = bpf::held_by(second.pid());
    let (status, _, _) = second.stop();
    assert!(status.success(), "{status}");
    wait_until("the end of what the stopped daemon had in the kernel", || {
        !held.iter().any(|object| object.exists())
    });
}

/// True in a virtual machine without acceleration, where nothing can be said of times.
fn is_emulated() -> bool {
    std::fs::read_to_string("/proc/cpuinfo").is_ok_and(|text| text.contains("QEMU TCG"))
}

#[test]
fn a_policy_decides_whether_a_miner_is_killed_and_can_be_changed_in_place() {
    let turn = Turn::take();
    let policies = mk_policies(&[("all.yaml", &policy("detect"))]);
    let mut daemon = turn.daemon_with(policies.path());
    let mut container = with_miner().run().unwrap();
    let _intruder = start_miner(&container);
    let alert = daemon.alert("the miner", of(&container, MINER_RULE));
    assert_eq!(alert["action"], "alerted", "{alert:#}");
    std::thread::sleep(QUIET);
    assert!(container.is_alive(), "detect does not kill");

    std::fs::write(policies.path().join("all.yaml"), policy("prevent")).unwrap();
    let changed = Instant::now();
    let killed = |alert: &Value| of(&container, MINER_RULE)(alert) && alert["action"] == "killed";
    loop {
        let _intruder = start_miner(&container);
        if daemon.alert_within(Duration::from_millis(100), killed).is_some() {
            break;
        }
        assert!(changed.elapsed() < LIMIT, "the new policy never took effect");
    }
    println!("the new policy took effect within {:?}", changed.elapsed());
    wait_until_dead(&mut container);
}

/// An exclusion makes a killing signature silent for what it matches, and a rule makes an alert kill.
#[test]
fn exclusions_are_silent_and_deny_rules_kill() {
    let turn = Turn::take();
    let spared = format!(
        "{}  rules: [{{engine: signatures, signature: test-signature, action: deny}}]\n  exclusions: [{{engine: \
         signatures, signature: {MINER_RULE}, process: {{path: {MINER}, args: \"*//pool.example:*\"}}}}]\n",
        policy("prevent")
    );
    let policies = mk_policies(&[("all.yaml", &spared)]);
    let mut daemon = turn.daemon_with(policies.path());
    let mut container = with_miner()
        .workload_as("/bin/podwarden-test-signature")
        .run()
        .unwrap();
    let _spared = start_miner(&container);
    // What comes after it is judged after it.
    let _denied = container
        .exec(["/bin/podwarden-test-signature", "sleep", "9"])
        .unwrap();
    let alert = daemon.alert("what the rule denies", of(&container, "test-signature"));
    assert_eq!(alert["action"], "killed", "{alert:#}");
    wait_until_dead(&mut container);
    let miner = daemon.alert_within(QUIET, of(&container, MINER_RULE));
    assert!(miner.is_none(), "{miner:#?}");
}

#[test]
fn what_is_malformed_is_named_and_what_is_right_still_loads() {
    let turn = Turn::take();
    let broken = rule("Broken", "no.such.field = 1");
    let good = rule("Special program", "proc.name = special");
    let manifest = policy("sometimes");
    let policies = mk_policies(&[("a.yaml", &manifest), ("b.yaml", &broken), ("c.yaml", &good)]);
    let mut daemon = turn.daemon_with(policies.path());
    // Whoever watches alerts need not read the log.
    let told = daemon.alert("the refused rule", |alert| {
        let target = alert["activity"]["target"].as_str();
        alert["rule"] == "policy-problem" && target.is_some_and(|target| target.contains("no.such.field"))
    });
    assert_eq!(told["tags"], serde_json::json!(["health"]), "{told:#}");
    assert_eq!(told["process"]["pid"], daemon.pid());
    let at = policies.path().display();
    let log = daemon.log().to_owned();
    let refused = log
        .lines()
        .find(|line| line.contains("a.yaml"))
        .unwrap_or_default();
    assert!(
        refused.contains(&format!("{at}/a.yaml:6: spec.engines.signatures.mode: "))
            && refused.contains("`sometimes`"),
        "the file, the line, the field and what is wrong:\n{log}"
    );
    let refused = log
        .lines()
        .find(|line| line.contains("b.yaml"))
        .unwrap_or_default();
    assert!(
        refused.contains(&format!("{at}/b.yaml:3: ")) && refused.contains("no.such.field"),
        "the file, the line, the field and what is wrong:\n{log}"
    );
    assert!(!log.contains("c.yaml"), "{log}");

    let container = Container::builder().tiny_as("/bin/special").run().unwrap();
    let output = container.exec(["/bin/special"]).unwrap().wait(LIMIT).unwrap();
    assert!(output.status.success(), "{output:?}");
    let alert = daemon.alert("the good rule", |alert| {
        alert["container"]["id"] == container.id() && alert["process"]["path"] == "/bin/special"
    });
    assert_eq!(alert["action"], "alerted", "{alert:#}");
    assert!(container.is_alive());
}

#[test]
fn hostile_names_stay_on_one_harmless_line() {
    let turn = Turn::take();
    let policies = mk_policies(&[(
        "rules.yaml",
        &rule("Hostile program", "proc.exepath startswith /bin/evil"),
    )]);
    let mut daemon = turn.daemon_with(policies.path());
    let hostile = OsStr::from_bytes(b"/bin/evil\n{\"rule\":1}\x1b]0;x\x07\xff\xfe\xe2\x80\xae");
    let argument = OsStr::from_bytes(b"\x1b[31m\r\n\x80");
    let container = Container::builder().tiny_as(hostile).run().unwrap();
    let output = container.exec([hostile, argument]).unwrap().wait(LIMIT).unwrap();
    assert!(output.status.success(), "{output:?}");
    // The daemon's handle checks that the line holds no control character and satisfies the schema.
    let alert = daemon.alert("the hostile program", |alert| {
        alert["container"]["id"] == container.id()
    });
    let path = r#"/bin/evil\x0a{"rule":1}\x1b]0;x\x07\xff\xfe\xe2\x80\xae"#;
    assert_eq!(alert["process"]["path"], path);
    assert_eq!(alert["activity"]["path"], path);
    assert_eq!(alert["process"]["args"][1], r"\x1b[31m\x0d\x0a\x80");
    let (_, _, alerts) = daemon.stop();
    assert_eq!(alerts.len(), 1, "{alerts:#?}");
}

#[test]
fn an_absolute_link_in_a_container_never_leads_to_the_hosts_file() {
    let turn = Turn::take();
    // The same path on the host and in the container, with contents of different size.
    // Not in /tmp: that is a file system of the container's own.
    std::fs::create_dir_all("/var/tmp").unwrap();
    let folder = tempfile::tempdir_in("/var/tmp").unwrap();
    let program = folder.path().join("program");
    let secret = folder.path().join("secret");
    let tiny = testbed::tiny();
    std::fs::write(&program, [&tiny[..], &[0; 1000]].concat()).unwrap();
    std::fs::write(&secret, b"of the host alone").unwrap();
    let policies = mk_policies(&[(
        "rules.yaml",
        &rule(
            "Linked",
            "(proc.name in (link, script) or basename(proc.invoked_as) in (link, script))",
        ),
    )]);
    let mut daemon = turn.daemon_with(policies.path());
    let container = Container::builder()
        .tiny_as(&program)
        .symlink("/bin/link", &program)
        .symlink("/bin/outside", &secret)
        .file("/bin/script", *b"#!/bin/link\n", 0o755)
        .run()
        .unwrap();

    let watch = rustix::fs::inotify::init(
        rustix::fs::inotify::CreateFlags::NONBLOCK | rustix::fs::inotify::CreateFlags::CLOEXEC,
    )
    .unwrap();
    for file in [&program, &secret] {
        let events = rustix::fs::inotify::WatchFlags::OPEN | rustix::fs::inotify::WatchFlags::ACCESS;
        rustix::fs::inotify::add_watch(&watch, file, events).unwrap();
    }
    let was_opened = || rustix::io::read(&watch, &mut [0_u8; 4096]).is_ok();

    let outside = container.exec(["/bin/outside"]).unwrap().wait(LIMIT).unwrap();
    assert!(
        !outside.status.success(),
        "there is no such file in the container"
    );
    for name in ["/bin/link", "/bin/script"] {
        let output = container.exec([name]).unwrap().wait(LIMIT).unwrap();
        assert!(output.status.success(), "{output:?}");
        let alert = daemon.alert(name, |alert| alert["container"]["id"] == container.id());
        assert_eq!(
            alert["process"]["path"],
            program.to_str().unwrap(),
            "the path in the container: {alert:#}"
        );
        assert_eq!(
            alert["activity"]["size"],
            tiny.len(),
            "the container's file and not the host's"
        );
    }
    std::thread::sleep(QUIET);
    assert!(!was_opened(), "nothing of the host was looked into");
    drop(std::fs::read(&secret).unwrap());
    assert!(was_opened(), "it would have been noticed");
}

#[test]
fn sigterm_ends_it_cleanly_and_its_output_is_alerts_alone() {
    let turn = Turn::take();
    let mut daemon = turn.daemon();
    let mut container = with_miner()
        .tiny_as("/bin/podwarden-test-signature")
        .run()
        .unwrap();
    for _ in 0..5 {
        let run = container.exec(["/bin/podwarden-test-signature"]).unwrap();
        assert!(run.wait(LIMIT).unwrap().status.success());
    }
    let _intruder = start_miner(&container);
    daemon.alert("the miner", of(&container, MINER_RULE));
    wait_until_dead(&mut container);
    // Reading on, the handle checks every line.
    let (status, took, alerts) = daemon.stop();
    assert_eq!(status.code(), Some(0));
    println!("ended {took:?} after SIGTERM");
    assert!(took < Duration::from_secs(5), "{took:?}");
    let count: u64 = alerts
        .iter()
        .filter(|alert| of(&container, "test-signature")(alert))
        .filter_map(|alert| alert["count"].as_u64())
        .sum();
    assert_eq!(count, 5, "the repeats are told at the end: {alerts:#?}");
}

#[test]
fn no_bpf_file_system_is_needed() {
    let turn = Turn::take();
    let mut daemon = turn.start(None, |command| {
        let hide = || -> io::Result<()> {
            testbed::sys::unshare(libc::CLONE_NEWNS)?;
            let private =
                rustix::mount::MountPropagationFlags::PRIVATE | rustix::mount::MountPropagationFlags::REC;
            rustix::mount::mount_change(c"/", private)?;
            // Where none is mounted there is none to take away.
            let _ = rustix::mount::unmount(c"/sys/fs/bpf", rustix::mount::UnmountFlags::DETACH);
            Ok(())
        };
        // SAFETY: the closure only makes system calls with constant arguments, and allocates nothing.
        unsafe { command.pre_exec(hide) };
    });
    let mounts = std::fs::read_to_string(format!("/proc/{}/mountinfo", daemon.pid())).unwrap();
    assert!(!mounts.contains(" - bpf "), "{mounts}");
    let mut container = with_miner().run().unwrap();
    let _intruder = start_miner(&container);
    let alert = daemon.alert("the miner", of(&container, MINER_RULE));
    assert_eq!(alert["action"], "killed", "{alert:#}");
    wait_until_dead(&mut container);
}

/// A GET request to an address on loopback.
fn get(address: &str, path: &str) -> String {
    ask(address, &format!("GET {path} HTTP/1.1\r\n\r\n"))
}

/// The answer to a request to an address on loopback.
fn ask(address: &str, request: &str) -> String {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn metrics_tell_of_what_containers_do_and_of_the_daemon() {
    let turn = Turn::take();
    let mut daemon = turn.daemon();
    let log = daemon.log().to_owned();
    let address = log.split("metrics address=").nth(1).unwrap();
    let address = address.split_whitespace().next().unwrap().to_owned();
    let container = Container::builder().run().unwrap();
    let output = container.exec(["/bin/tiny"]).unwrap().wait(LIMIT).unwrap();
    assert!(output.status.success());
    wait_until("the sensor's first round", || {
        get(&address, "/readyz").contains(" 200 ")
    });
    assert!(get(&address, "/healthz").contains(" 200 "));
    let value = |name: &str| {
        let metrics = get(&address, "/metrics");
        let line = metrics.lines().find(|line| line.starts_with(name));
        let line = line.unwrap_or_else(|| panic!("{name} in {metrics}"));
        line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()
    };
    wait_until("the execs to be counted", || {
        value(r#"podwarden_events_total{class="exec"}"#) >= 2
    });
    wait_until("the sensor's own counts", || {
        value(r#"podwarden_events_made_total{class="exec"}"#) >= 2
    });
    assert_eq!(value("podwarden_hook_tier"), 3);
    assert_eq!(value("podwarden_hooks_info"), 1);
    assert_eq!(value("podwarden_build_info"), 1);
    assert!(value("process_resident_memory_bytes") > 1 << 20);
    assert_eq!(value("podwarden_decode_errors_total"), 0);
    assert!(get(&address, "/other").contains(" 404 "));
    assert!(ask(&address, "POST /metrics HTTP/1.1\r\n\r\n").contains(" 405 "));
    assert!(ask(&address, "nonsense\r\n\r\n").contains(" 400 "));
}

#[test]
fn rules_see_files_sockets_and_privileges() {
    let policies = mk_policies(&[(
        "rules.yaml",
        "- rule: secrets are read\n  desc: A rule of a test.\n  condition: >\n    evt.type in (open, openat, openat2) \
         and fd.name = /etc/shadow\n  output: It happened\n  priority: WARNING\n\
         - rule: something is dropped\n  desc: A rule of a test.\n  condition: evt.type in (open, openat, openat2, creat) \
         and evt.is_open_write = true\n    and fd.name startswith /usr/bin/\n  output: It happened\n  priority: WARNING\n\
         - rule: a bad port\n  desc: A rule of a test.\n  condition: evt.type = connect and fd.sport = 3333\n  \
         output: It happened\n  priority: CRITICAL\n  response: kill\n",
    )]);
    let turn = Turn::take();
    let mut daemon = turn.daemon_with(policies.path());
    let mut container = Container::builder()
        .file("/etc/shadow", "secret", 0o600)
        .file("/usr/bin/there", "", 0o755)
        .run()
        .unwrap();
    let does = |container: &Container, calls: &[&str]| {
        let mut argv = vec!["/bin/workload", "syscalls"];
        argv.extend(calls);
        container.exec(&argv).unwrap()
    };
    let openat = libc::SYS_openat.to_string();
    let output = does(&container, &[&openat, "-100", "s:/usr/../etc/shadow", "0"]).wait(LIMIT);
    assert!(output.unwrap().status.success());
    let alert = daemon.alert("the read", of(&container, "secrets are read"));
    assert_eq!(alert["activity"]["kind"], "file", "{alert:#}");
    assert_eq!(alert["activity"]["path"], "/etc/shadow");
    assert_eq!(alert["action"], "alerted");
    does(&container, &[&openat, "-100", "s:/usr/bin/new", "65", "493"])
        .wait(LIMIT)
        .unwrap();
    let alert = daemon.alert("the drop", of(&container, "something is dropped"));
    assert_eq!(alert["activity"]["path"], "/usr/bin/new");
    let (socket, connect) = (libc::SYS_socket.to_string(), libc::SYS_connect.to_string());
    let _connecting = does(
        &container,
        &[
            &socket,
            "2",
            "2",
            "0",
            ",",
            &connect,
            "=0",
            "in:127.0.0.1:3333",
            "len",
        ],
    );
    let alert = daemon.alert("the connect", of(&container, "a bad port"));
    assert_eq!(alert["activity"]["kind"], "network", "{alert:#}");
    assert_eq!(alert["activity"]["port"], 3333);
    assert_eq!(alert["action"], "killed", "{alert:#}");
    wait_until_dead(&mut container);
}
