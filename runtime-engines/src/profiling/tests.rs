use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use runtime_core::event::network::{NetworkOperation, Protocol};
use runtime_core::profile::{Phase, Reason};
use runtime_core::{BootTime, CgroupId, RuleRef, Severity, Timestamp};

use super::*;
use crate::testing::{
    ExecBuilder, mk_connect_event, mk_container, mk_dns_event, mk_socket_event, with_process_of,
};
use runtime_core::profile::{
    Cidr, Destination, ImageSet, Input, NetworkEntry, Now, ProcessEntry, ProfileKey, Settings, UserEntries,
};
use runtime_core::{Activity, Container, ContainerId, Loss, Response};

const APP: &str = "/usr/bin/app";

/// One pod group, and the time.
struct World {
    engine: ProfilingEngine,
    key: ProfileKey,
    seconds: u64,
}

fn images(tag: u8) -> ImageSet {
    ImageSet::new([("app", format!("web:{tag}"))])
}

fn settings() -> Settings {
    Settings {
        learning_period: Duration::from_secs(100),
        startup_window: Duration::from_secs(10),
        ..Settings::default()
    }
}

impl World {
    /// A group that is learned, with the container `c1`.
    fn learning() -> Self {
        Self::with_settings(settings())
    }

    fn with_settings(settings: Settings) -> Self {
        let world = Self {
            engine: ProfilingEngine::new(Profiles::new(settings)),
            key: ProfileKey::of(&mk_container("c1")),
            seconds: 1000,
        };
        world.profiles().bind(&mk_container("c1"), &world.key, images(1));
        world.apply(&Input::Discovered);
        world
    }

    /// The same after a startup and these execs and connects, judged from now on.
    fn learned(events: &[Event]) -> Self {
        let mut world = Self::learning();
        world.see(&startup());
        for event in events {
            assert_eq!(world.see(event), [""; 0], "while learning");
        }
        world.finish();
        assert_eq!(world.phase(), Phase::Completed { empty: false });
        world
    }

    fn profiles(&self) -> MutexGuard<'_, Profiles> {
        self.engine.profiles()
    }

    fn now(&self) -> Now {
        Now {
            wall: Timestamp::from_unix_nanos(self.seconds * 1_000_000_000),
            boot: BootTime::from_nanos(self.seconds * 1_000_000_000),
        }
    }

    fn apply(&self, input: &Input) {
        self.profiles().apply(&self.key, input, self.now());
    }

    fn pass(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.seconds += 1;
            let now = self.now();
            self.profiles().tick(now);
        }
    }

    fn finish(&mut self) {
        self.pass(110);
    }

    fn phase(&self) -> Phase {
        self.profiles().get(&self.key).unwrap().state.phase
    }

    /// What is found in the event.
    fn findings(&mut self, event: &Event, others: Vec<Finding>) -> Vec<Finding> {
        let count = others.len();
        let mut findings = others;
        let event = Event {
            time: self.now().wall,
            boot_time: self.now().boot,
            ..event.clone()
        };
        self.engine.judge(&event, &mut findings);
        findings.split_off(count)
    }

    /// The ids of the rules that the event breaks.
    fn see(&mut self, event: &Event) -> Vec<String> {
        let findings = self.findings(event, Vec::new());
        findings
            .into_iter()
            .map(|finding| finding.rule.id.clone())
            .collect()
    }

    fn title(&mut self, event: &Event) -> String {
        let findings = self.findings(event, Vec::new());
        assert_eq!(findings.len(), 1);
        findings[0].rule.title.clone()
    }

    /// What was learned, as text.
    fn entries(&self) -> BTreeSet<String> {
        let profiles = self.profiles();
        let profile = profiles.get(&self.key).unwrap();
        let mut texts = BTreeSet::new();
        for (name, entries) in &profile.containers {
            texts.extend(entries.processes.keys().map(|entry| {
                format!(
                    "{name}: {} < {}",
                    entry.identity,
                    runtime_core::profile::parent_text(&entry.parent)
                )
            }));
            texts.extend(
                entries
                    .network
                    .keys()
                    .map(|entry| format!("{name}: {} > {}", entry.process_path, entry.destination)),
            );
        }
        texts
    }
}

fn startup() -> Event {
    let mut event = ExecBuilder::new(APP).ancestors(&[]).build();
    if let Activity::Exec(exec) = &mut event.activity {
        exec.startup = true;
    }
    event
}

fn exec(path: &str, parent: &str) -> Event {
    ExecBuilder::new(path).ancestors(&[parent]).build()
}

fn by_runtime(path: &str, args: &[&str]) -> Event {
    ExecBuilder::new(path).args(args).ancestors(&[]).build()
}

/// A connect by the process of this file.
fn connect(path: &str, remote: &str, domains: &[&str]) -> Event {
    with_process_of(mk_connect_event(remote, domains), &exec(path, APP))
}

fn in_container(id: &str, name: &str, event: Event) -> Event {
    Event {
        container: Some(Arc::new(Container {
            name: Some(name.into()),
            ..mk_container(id)
        })),
        ..event
    }
}

fn mk_finding(response: Response) -> Finding {
    Finding {
        output: None,
        engine: EngineKind::Signatures,
        rule: Arc::new(RuleRef {
            id: "miner".into(),
            name: "miner".into(),
            title: "A miner".into(),
            tags: Vec::new(),
        }),
        severity: Severity::Critical,
        response,
    }
}

#[test]
fn what_was_learned_is_silent_and_all_else_is_told_once() {
    let sleep = exec("/bin/sleep", APP);
    let known = connect(APP, "192.0.2.1:443", &["api.example"]);
    let plain = connect(APP, "192.0.2.9:5432", &[]);
    let mut world = World::learned(&[sleep.clone(), known.clone(), plain.clone()]);
    for event in [&startup(), &sleep, &known, &plain] {
        assert_eq!(world.see(event), [""; 0]);
    }
    // The name counts, and not the address or the port that it stands for.
    assert_eq!(
        world.see(&connect(APP, "198.51.100.7:8443", &["api.example"])),
        [""; 0]
    );

    for (what, event, rule) in [
        ("a new process", exec("/bin/nc", APP), UNEXPECTED_PROCESS),
        (
            "under another parent",
            exec("/bin/sleep", "/bin/sh"),
            UNEXPECTED_PROCESS,
        ),
        (
            "by the runtime",
            by_runtime("/bin/sleep", &["sleep"]),
            UNEXPECTED_PROCESS,
        ),
        (
            "by another name",
            ExecBuilder::new("/bin/sleep")
                .args(&["id"])
                .ancestors(&[APP])
                .build(),
            UNEXPECTED_PROCESS,
        ),
        (
            "a new domain",
            connect(APP, "192.0.2.1:443", &["evil.example"]),
            UNEXPECTED_NETWORK,
        ),
        (
            "by another process",
            connect("/bin/sleep", "192.0.2.1:443", &["api.example"]),
            UNEXPECTED_NETWORK,
        ),
        (
            "another port",
            connect(APP, "192.0.2.9:22", &[]),
            UNEXPECTED_NETWORK,
        ),
        (
            "another address",
            connect(APP, "192.0.2.8:5432", &[]),
            UNEXPECTED_NETWORK,
        ),
    ] {
        assert_eq!(world.see(&event), [rule], "{what}");
    }
}

#[test]
fn the_name_that_was_asked_for_last_counts() {
    let mut world = World::learned(&[connect(APP, "192.0.2.1:443", &["one.example", "two.example"])]);
    assert_eq!(
        world.see(&connect(APP, "192.0.2.1:443", &["one.example"])),
        [""; 0]
    );
    assert_eq!(
        world.see(&connect(APP, "192.0.2.1:443", &["two.example", "one.example"])),
        [UNEXPECTED_NETWORK]
    );
}

#[test]
fn applets_that_were_not_learned_are_told() {
    let busybox = |invoked: &str, args: &[&str]| {
        ExecBuilder::new("/bin/busybox")
            .invoked_as(invoked)
            .args(args)
            .ancestors(&["/bin/busybox"])
            .build()
    };
    let mut world = World::learned(&[busybox("/bin/ls", &["ls", "-l"])]);
    assert_eq!(world.see(&busybox("/bin/ls", &["ls", "/tmp"])), [""; 0]);
    assert_eq!(world.see(&busybox("/bin/wget", &["wget"])), [UNEXPECTED_PROCESS]);
    assert_eq!(world.see(&busybox("/bin/ls", &["wget"])), [UNEXPECTED_PROCESS]);
    assert_eq!(
        world.see(&busybox("/bin/busybox", &["busybox", "wget"])),
        [UNEXPECTED_PROCESS]
    );
}

#[test]
fn an_alert_says_what_was_expected() {
    let mut world = World::learned(&[
        exec("/bin/sleep", APP),
        exec("/bin/ls", "/bin/sh"),
        connect(APP, "192.0.2.1:443", &["api.example"]),
        connect("/bin/sleep", "192.0.2.2:443", &["ntp.example"]),
    ]);
    assert_eq!(
        world.title(&exec("/bin/sleep", "/bin/sh")),
        "Process /bin/sleep was started by /bin/sh in container app, which is not in its profile; \
         it is expected under /usr/bin/app; that parent is expected to start /bin/ls"
    );
    assert_eq!(
        world.title(&connect("/bin/sleep", "192.0.2.1:443", &["api.example"])),
        "Process /bin/sleep reached api.example port 443 from container app, which is not in its profile; \
         it is expected to reach ntp.example port 443; expected from /usr/bin/app"
    );
    let near = world.profiles().expected(&exec("/bin/sleep", "/bin/sh"));
    assert_eq!(near.parents, [APP.into()]);
    let long = format!("/{}", "x".repeat(4000));
    assert!(world.title(&exec(&long, &long)).len() < 600);
}

#[test]
fn only_a_completed_profile_asks_for_a_response() {
    let mut world = World::learned(&[]);
    let response = |world: &mut World| world.findings(&exec("/bin/nc", APP), Vec::new())[0].response;
    assert_eq!(response(&mut world), Response::Kill);

    let mut world = World::learning();
    world.see(&exec("/bin/ls", APP));
    world.finish();
    assert_eq!(world.phase(), Phase::Partial(Reason::StartupNotObserved));
    assert_eq!(response(&mut world), Response::Alert);
}

#[test]
fn a_startup_of_a_partial_profile_is_learned_with_what_follows_it() {
    let mut world = World::learning();
    world.see(&exec("/bin/ls", APP));
    world.finish();
    assert_eq!(world.see(&startup()), [""; 0]);
    assert_eq!(world.phase(), Phase::InProgress { percent: 0 });
    assert_eq!(world.see(&exec("/bin/migrate", APP)), [""; 0]);
    world.pass(20);
    assert_eq!(world.phase(), Phase::Completed { empty: false });
    for event in [startup(), exec("/bin/migrate", APP), exec("/bin/ls", APP)] {
        assert_eq!(world.see(&event), [""; 0]);
    }
}

#[test]
fn containers_of_a_pod_are_apart() {
    let mut world = World::learning();
    world.profiles().bind(
        &Container {
            name: Some("proxy".into()),
            ..mk_container("c2")
        },
        &ProfileKey::of(&mk_container("c1")),
        images(1),
    );
    world.see(&startup());
    let only_app = exec("/bin/only-app", APP);
    world.see(&only_app);
    world.see(&in_container("c2", "proxy", exec("/bin/only-proxy", APP)));
    world.finish();
    assert_eq!(world.see(&only_app), [""; 0]);
    assert_eq!(
        world.see(&in_container("c2", "proxy", only_app)),
        [UNEXPECTED_PROCESS]
    );
    assert_eq!(world.see(&exec("/bin/only-proxy", APP)), [UNEXPECTED_PROCESS]);
}

#[test]
fn two_hundred_random_directories_are_one_entry() {
    let run = |number: u32| {
        exec(
            &format!("/tmp/build-{:08x}/cc", number.wrapping_mul(2_654_435_761)),
            "/usr/bin/make",
        )
    };
    let mut world = World::learning();
    world.see(&startup());
    for number in 0..200 {
        world.see(&run(number));
    }
    let expected = [
        "app: /tmp/build-*/cc < /usr/bin/make",
        "app: /usr/bin/app < (runtime)",
    ];
    assert_eq!(world.entries(), expected.map(str::to_owned).into());
    world.finish();
    assert_eq!(world.see(&run(12345)), [""; 0]);
    assert_eq!(
        world.see(&exec("/tmp/build-4f2a/sh", "/usr/bin/make")),
        [UNEXPECTED_PROCESS]
    );
}

#[test]
fn a_probe_is_allowed_by_its_whole_line_and_teaches_nothing() {
    let mut world = World::learning();
    let line = ["sh", "-c", "test -f /ready"];
    let command = line.iter().map(|&part| part.into()).collect();
    let key = world.key.clone();
    world
        .profiles()
        .set_commands(&key, "app", vec![command, vec!["health.sh".into(), "-q".into()]]);
    let probe = by_runtime("/bin/sh", &line);
    let script = ExecBuilder::new("/bin/sh")
        .script("/usr/local/bin/health.sh")
        .args(&["/bin/sh", "/usr/local/bin/health.sh", "-q"])
        .ancestors(&[])
        .build();
    world.see(&startup());
    world.see(&probe);
    world.see(&script);
    assert_eq!(
        world.entries(),
        ["app: /usr/bin/app < (runtime)".to_owned()].into()
    );
    world.finish();
    assert_eq!(world.see(&probe), [""; 0]);
    assert_eq!(world.see(&script), [""; 0]);

    let truncated = {
        let mut event = probe.clone();
        Arc::make_mut(&mut event.process).args_truncated = true;
        event
    };
    let from_inside = ExecBuilder::new("/bin/sh").args(&line).ancestors(&[APP]).build();
    for event in [
        by_runtime("/bin/sh", &["sh"]),
        by_runtime("/bin/sh", &["sh", "-c", "test -f /ready; id"]),
        by_runtime("/bin/sh", &["sh", "-c", "test -f /ready", "x"]),
        truncated,
        from_inside,
        ExecBuilder::new("/bin/sh")
            .script("/usr/local/bin/health.sh")
            .args(&["/bin/sh", "/usr/local/bin/health.sh", "-q", "-x"])
            .ancestors(&[])
            .build(),
    ] {
        assert_eq!(
            world.see(&event),
            [UNEXPECTED_PROCESS],
            "{:?}",
            event.process.args
        );
    }
}

#[test]
fn what_others_flag_is_never_learned() {
    let mut world = World::learning();
    world.see(&startup());
    let miner = exec("/tmp/miner", APP);
    world.findings(&miner, vec![mk_finding(Response::Kill)]);
    // The same process again, and what it does and starts.
    world.see(&with_process_of(
        mk_connect_event("192.0.2.66:3333", &["pool.example"]),
        &miner,
    ));
    world.finish();
    assert_eq!(
        world.entries(),
        ["app: /usr/bin/app < (runtime)".to_owned()].into()
    );

    // What is merely suspicious is not learned either, and taints nobody else.
    let mut world = World::learning();
    let suspicious = startup();
    world.findings(&suspicious, vec![mk_finding(Response::Alert)]);
    world.see(&exec("/bin/ls", APP));
    assert_eq!(world.entries(), ["app: /bin/ls < /usr/bin/app".to_owned()].into());
}

#[test]
fn what_is_found_out_late_is_unlearned() {
    let mut world = World::learning();
    world.see(&startup());
    let dropper = exec("/opt/dropper", APP);
    world.see(&dropper);
    world.see(&with_process_of(
        mk_connect_event("192.0.2.66:80", &["evil.example"]),
        &dropper,
    ));
    assert_eq!(world.entries().len(), 3);
    world.profiles().unlearn(&dropper);
    assert_eq!(
        world.entries(),
        ["app: /usr/bin/app < (runtime)".to_owned()].into()
    );
    world.see(&dropper);
    world.finish();
    assert_eq!(world.see(&dropper), [UNEXPECTED_PROCESS]);
    assert_eq!(
        world.see(&with_process_of(
            mk_connect_event("192.0.2.66:80", &["evil.example"]),
            &dropper
        )),
        [UNEXPECTED_NETWORK]
    );
}

#[test]
fn questions_are_no_destinations() {
    let question = |path: &str, server: &str| {
        let event = mk_socket_event(NetworkOperation::Send, Protocol::Udp, None, Some(server));
        with_process_of(event, &exec(path, APP))
    };
    let mut world = World::learned(&[question(APP, "10.96.0.10:53"), mk_dns_event("nobody.example")]);
    assert!(
        world.entries().contains("app: * > 10.96.0.10 port 53"),
        "{:?}",
        world.entries()
    );
    assert_eq!(world.see(&mk_dns_event("other.example")), [""; 0]);
    assert_eq!(world.see(&question("/bin/other", "10.96.0.10:53")), [""; 0]);
    // A server that nobody asked before may be the other end of a tunnel.
    assert_eq!(world.see(&question(APP, "203.0.113.5:53")), [UNEXPECTED_NETWORK]);
}

#[test]
fn ports_by_chance_on_the_loopback_address_are_one() {
    let mut world = World::learned(&[
        connect(APP, "127.0.0.1:45001", &[]),
        connect(APP, "127.0.0.1:45002", &[]),
    ]);
    assert_eq!(world.entries().len(), 2);
    assert_eq!(world.see(&connect(APP, "127.0.0.1:51234", &[])), [""; 0]);
    assert_eq!(
        world.see(&connect(APP, "127.0.0.1:2375", &[])),
        [UNEXPECTED_NETWORK]
    );
}

fn mk_entry(event: &Event) -> ProcessEntry {
    ProcessEntry {
        identity: event.process.identity.clone(),
        parent: event.process.parent.exe.clone(),
    }
}

#[test]
fn users_allow_and_remove() {
    let (learned, added) = (exec("/bin/ls", APP), exec("/usr/bin/debug-7", APP));
    let mut world = World::learned(std::slice::from_ref(&learned));
    assert_eq!(world.see(&added), [UNEXPECTED_PROCESS]);

    let mut rules = UserEntries::default();
    let pattern = exec("/usr/bin/debug*", "*");
    let time = world.now().wall;
    rules.allow_process("a?p", mk_entry(&pattern), time);
    rules.allow_network(
        "*",
        NetworkEntry {
            destination: Destination::Address {
                network: "10.0.0.0/8".parse::<Cidr>().unwrap(),
                port: None,
            },
            process_path: "*".into(),
        },
        time,
    );
    rules.remove_process("app", mk_entry(&learned));
    let key = world.key.clone();
    world.profiles().set_rules(&key, rules);
    assert_eq!(world.see(&added), [""; 0]);
    assert_eq!(world.see(&connect("/bin/any", "10.1.2.3:99", &[])), [""; 0]);
    assert_eq!(world.see(&learned), [UNEXPECTED_PROCESS]);

    // What is removed stays removed when the group is learned anew, and though it runs.
    world.apply(&Input::Reset);
    world.see(&startup());
    assert_eq!(world.see(&learned), [""; 0]);
    assert_eq!(
        world.entries(),
        ["app: /usr/bin/app < (runtime)".to_owned()].into()
    );
    world.finish();
    assert_eq!(world.see(&learned), [UNEXPECTED_PROCESS]);
    world.profiles().set_rules(&key, UserEntries::default());
    assert_eq!(world.see(&added), [UNEXPECTED_PROCESS]);
}

#[test]
fn too_much_to_learn_makes_the_profile_partial() {
    let mut world = World::with_settings(Settings {
        max_entries: 10,
        ..settings()
    });
    world.see(&startup());
    for number in 0..50 {
        world.see(&exec(&format!("/opt/job{number}"), APP));
    }
    assert_eq!(world.entries().len(), 10);
    world.finish();
    assert_eq!(world.phase(), Phase::Partial(Reason::EntriesLimit));
}

#[test]
fn lost_events_of_the_group_count() {
    let mut world = World::learning();
    world.see(&startup());
    let lose = |world: &World, container: &str, class| {
        let loss = Loss {
            cgroup: CgroupId(42),
            container: Some(Arc::new(mk_container(container))),
            class,
            count: 1000,
        };
        world.profiles().lose(&loss, world.now());
    };
    lose(&world, "c1", EventClass::File);
    lose(&world, "elsewhere", EventClass::Exec);
    world.finish();
    assert_eq!(world.phase(), Phase::Completed { empty: false });

    let mut world = World::learning();
    world.see(&startup());
    lose(&world, "c1", EventClass::Exec);
    world.finish();
    assert_eq!(world.phase(), Phase::InProgress { percent: 95 });
}

#[test]
fn a_roll_out_judges_old_pods_by_what_they_learned() {
    let old = exec("/bin/old", APP);
    let mut world = World::learned(std::slice::from_ref(&old));
    let key = world.key.clone();
    world.profiles().bind(&mk_container("c2"), &key, images(2));
    let new = in_container("c2", "app", exec("/bin/new", APP));
    assert_eq!(world.see(&new), [""; 0], "nothing is known of that image set yet");
    let now = world.now();
    world.profiles().change_image_set(&key, images(2), true, now);
    assert!(world.profiles().has_old_containers(&key));
    world.see(&in_container("c2", "app", startup()));
    world.see(&new);

    assert_eq!(world.see(&old), [""; 0]);
    assert_eq!(
        world.see(&exec("/bin/new", APP)),
        [UNEXPECTED_PROCESS],
        "the old pod is judged by the old profile"
    );
    world.finish();
    assert_eq!(world.phase(), Phase::Completed { empty: false });
    assert_eq!(world.see(&new), [""; 0]);
    assert_eq!(
        world.see(&in_container("c2", "app", old.clone())),
        [UNEXPECTED_PROCESS]
    );

    world.profiles().unbind(&ContainerId::new("c1"));
    assert!(!world.profiles().has_old_containers(&key));
    world.apply(&Input::RollOut { old_pods: false });
    assert_eq!(world.profiles().get(&key).unwrap().retired, []);
}

#[test]
fn a_profile_that_was_kept_goes_on() {
    let mut world = World::learning();
    world.see(&startup());
    world.see(&exec("/bin/ls", APP));
    world.pass(50);
    let kept = world.profiles().get(&world.key).unwrap().clone();
    assert_eq!(world.profiles().take_changed(), [world.key.clone()]);
    assert_eq!(world.profiles().take_changed(), []);

    let mut again = World {
        engine: ProfilingEngine::new(Profiles::new(settings())),
        ..world
    };
    again.profiles().insert(kept);
    let now = again.now();
    again.profiles().restart(false, now);
    again.profiles().bind(&mk_container("c1"), &again.key, images(1));
    assert_eq!(again.phase(), Phase::InProgress { percent: 50 });
    again.see(&exec("/bin/cat", APP));
    again.pass(60);
    assert_eq!(again.phase(), Phase::Completed { empty: false });
    assert_eq!(again.see(&exec("/bin/ls", APP)), [""; 0]);
    assert_eq!(again.see(&exec("/bin/cat", APP)), [""; 0]);
    assert_eq!(again.see(&exec("/bin/nc", APP)), [UNEXPECTED_PROCESS]);
}

#[test]
fn a_group_that_is_removed_leaves_nothing_behind() {
    let mut world = World::learned(&[
        exec("/bin/ls", APP),
        connect(APP, "192.0.2.1:443", &["api.example"]),
    ]);
    let key = world.key.clone();
    assert!(world.profiles().remove(&key).is_some());
    assert_eq!(world.profiles().texts(), 0);
    assert_eq!(world.see(&exec("/bin/nc", APP)), [""; 0]);
}

#[test]
fn a_container_whose_name_becomes_known_goes_by_it() {
    let mut world = World::learning();
    let renamed = in_container("c1", "web", exec("/bin/ls", APP));
    world.see(&startup());
    for _ in 0..3 {
        world.see(&renamed);
    }
    assert_eq!(
        world.entries(),
        ["app: /usr/bin/app < (runtime)", "web: /bin/ls < /usr/bin/app"]
            .map(str::to_owned)
            .into()
    );
    let key = world.key.clone();
    world.profiles().remove(&key);
    assert_eq!(world.profiles().texts(), 0);
}

#[test]
fn strangers_and_sandboxes_are_left_alone() {
    let mut world = World::learned(&[]);
    assert_eq!(
        world.see(&in_container("stranger", "app", exec("/bin/nc", APP))),
        [""; 0]
    );
    let host = Event {
        container: None,
        ..exec("/bin/nc", APP)
    };
    assert_eq!(world.see(&host), [""; 0]);
}

proptest! {
    /// Whatever is seen while learning is silent afterwards, and what was never seen is told.
    #[test]
    fn judging_agrees_with_learning(
        learned in prop::collection::vec((0u8..12, 0u8..4, any::<bool>()), 0..20),
        judged in prop::collection::vec((0u8..12, 0u8..4, any::<bool>()), 0..40),
    ) {
        let event = |&(what, who, network): &(u8, u8, bool)| {
            let path = format!("/opt/p{who}");
            if network {
                let names: &[&str] = match what % 3 {
                    0 => &[],
                    1 => &["one.example"],
                    _ => &["two.example"],
                };
                connect(&path, "192.0.2.1:443", names)
            } else {
                exec(&format!("/tmp/dir-{what}/q{}", what % 2), &path)
            }
        };
        let mut world = World::learned(&learned.iter().map(event).collect::<Vec<_>>());
        // What makes an entry of an event.
        let entry = |&(what, who, network): &(u8, u8, bool)| (what % if network { 3 } else { 2 }, who, network);
        let seen: BTreeSet<_> = learned.iter().map(entry).collect();
        for one in &judged {
            // Without a name all are one address, which then also is expected under any name.
            let expected = seen.contains(&entry(one)) || (one.2 && seen.contains(&(0, one.1, true)));
            prop_assert_eq!(world.see(&event(one)).is_empty(), expected);
        }
    }
}
