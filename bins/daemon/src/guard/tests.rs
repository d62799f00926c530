use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel, sync_channel};

use runtime_core::EventClass;

use super::*;
use crate::delivery::{Queued, queue};
use crate::testing::{ByPath, FakeDying, FakeKiller, exec, mk_event};

const SECOND: u64 = 1_000_000_000;
const MILLISECOND: u64 = 1_000_000;

struct Bench {
    guard: Guard<ByPath, FakeKiller>,
    killed: Arc<Mutex<Vec<String>>>,
    alerts: Receiver<Queued>,
    losses: Receiver<Loss>,
    begun: Receiver<Begun>,
    ended: Sender<Ended>,
    now: Arc<Mutex<u64>>,
    counters: Arc<Counters>,
}

/// A guard at the time of two milliseconds, one after every event of the tests.
fn mk_bench(rules: &[(&str, Response)], outcome: Option<KillOutcome>) -> Bench {
    let mut responder = FakeKiller::new();
    if let Some(outcome) = outcome {
        responder.outcome = outcome;
    }
    mk_bench_with(rules, responder)
}

fn mk_bench_with(rules: &[(&str, Response)], responder: FakeKiller) -> Bench {
    let counters = Arc::new(Counters::default());
    let (outbox, alerts) = queue(64, &counters);
    let (loss_sender, losses) = sync_channel(1);
    let (begun_sender, begun) = channel();
    let (ended, ended_receiver) = channel();
    let now = Arc::new(Mutex::new(2_000_000));
    let clock = Arc::clone(&now);
    let clock = Arc::new(move || BootTime::from_nanos(*clock.lock().unwrap()));
    let around = Surroundings {
        teller: Arc::new(Teller::new("node-1".into(), clock, outbox, Arc::clone(&counters))),
        begun: begun_sender,
        ended: ended_receiver,
        losses: loss_sender,
        counters: Arc::clone(&counters),
    };
    let killed = Arc::clone(&responder.killed);
    Bench {
        guard: Guard::new(ByPath::new(rules), responder, around),
        killed,
        alerts,
        losses,
        begun,
        ended,
        now,
        counters,
    }
}

impl Bench {
    /// Rule, action, detail and count of every alert since the last call.
    fn alerts(&self) -> Vec<(String, Action, Option<String>, u64)> {
        let told =
            |Queued { alert, .. }: Queued| (alert.rule, alert.action, alert.action_detail, alert.count);
        self.alerts.try_iter().map(told).collect()
    }

    fn killed(&self) -> Vec<String> {
        self.killed.lock().unwrap().clone()
    }

    /// Sets the clock.
    fn at(&self, nanos: u64) {
        *self.now.lock().unwrap() = nanos;
    }
}

fn exec_at(id: &str, path: &str, nanos: u64) -> SensorItem {
    let mut event = mk_event(id, path);
    event.boot_time = BootTime::from_nanos(nanos);
    SensorItem::Event(event)
}

fn told(
    rule: &str,
    action: Action,
    detail: Option<&str>,
    count: u64,
) -> (String, Action, Option<String>, u64) {
    (rule.into(), action, detail.map(Into::into), count)
}

#[test]
fn what_is_malicious_is_killed_once_and_every_finding_told() {
    let rules = [
        ("miner", Response::Kill),
        ("crypto", Response::Deny),
        ("tmp", Response::Alert),
    ];
    let mut bench = mk_bench(&rules, None);
    bench.guard.handle(exec("c1", "/tmp/cryptominer"));
    assert_eq!(bench.killed(), ["c1"]);
    let detail = "container killed 1.000 ms after the event, gone after 1.000 ms";
    assert_eq!(
        bench.alerts(),
        [
            told("miner", Action::Killed, Some(detail), 1),
            told(
                "crypto",
                Action::Killed,
                Some(&format!("denied by killing: {detail}")),
                1
            ),
            told("tmp", Action::Alerted, None, 1),
        ]
    );
}

#[test]
fn what_is_merely_suspicious_is_told_and_left_alive() {
    let mut bench = mk_bench(&[("tool", Response::Alert)], None);
    bench.guard.handle(exec("c1", "/bin/tool"));
    bench.guard.handle(exec("c1", "/bin/true"));
    assert_eq!(bench.killed(), [""; 0]);
    assert_eq!(bench.alerts(), [told("tool", Action::Alerted, None, 1)]);
    assert_eq!(bench.counters.events.sum(), 2);
}

#[test]
fn one_event_in_so_many_is_timed_before_and_after_the_judge() {
    let mut bench = mk_bench(&[], None);
    bench.at(1_500_000);
    for _ in 0..2 * SAMPLING {
        bench.guard.handle(exec_at("c1", "/bin/true", 1_000_000));
    }
    for histogram in [&bench.counters.handed, &bench.counters.judged] {
        assert_eq!(histogram.counts().sum::<u64>(), 2);
        assert_eq!(histogram.total(), Duration::from_millis(1));
    }
}

#[test]
fn a_kill_that_did_not_take_place_says_why() {
    let outcomes = [
        (
            KillOutcome::Protected("it holds the daemon".into()),
            "not killed: the container is protected: it holds the daemon",
        ),
        (
            KillOutcome::Failed("process 7 is left".into()),
            "the kill failed: process 7 is left",
        ),
    ];
    for (outcome, detail) in outcomes {
        let mut bench = mk_bench(&[("miner", Response::Kill)], Some(outcome));
        bench.guard.handle(exec("c1", "/miner"));
        assert_eq!(bench.alerts(), [told("miner", Action::Failed, Some(detail), 1)]);
        assert_eq!(
            (bench.counters.kills.sum(), bench.counters.kills_failed.sum()),
            (0, 1)
        );
    }
}

#[test]
fn outside_of_containers_nothing_is_killed() {
    let mut bench = mk_bench(&[("miner", Response::Kill)], None);
    let mut event = mk_event("c1", "/miner");
    event.container = None;
    bench.guard.handle(SensorItem::Event(event));
    assert_eq!(bench.killed(), [""; 0]);
    let detail = "not killed: the process is in no container";
    assert_eq!(bench.alerts(), [told("miner", Action::Failed, Some(detail), 1)]);
}

#[test]
fn repeats_are_folded_and_every_one_is_answered() {
    let mut bench = mk_bench(&[("miner", Response::Kill)], None);
    // Each after the end of what was killed before: somebody has started it again.
    for time in [1, 3, 5, 7] {
        bench.at(time * MILLISECOND);
        bench
            .guard
            .handle(exec_at("c1", "/miner", (time - 1) * MILLISECOND));
    }
    bench.guard.handle(exec("c2", "/miner"));
    assert_eq!(bench.killed(), ["c1", "c1", "c1", "c1", "c2"]);
    assert_eq!(bench.alerts().len(), 2, "one for each container");

    bench.at(61 * SECOND);
    bench.guard.tick();
    let closing: Vec<_> = bench
        .alerts
        .try_iter()
        .map(|Queued { alert, .. }| (alert.count, alert.repeat_of.is_some()))
        .collect();
    assert_eq!(closing, [(3, true)]);
}

/// A guard whose responder's containers take their time.
fn mk_slow_bench() -> Bench {
    let responder = FakeKiller {
        dying: Some(FakeDying::default()),
        ..FakeKiller::new()
    };
    mk_bench_with(&[("miner", Response::Kill)], responder)
}

#[test]
fn a_kill_is_begun_once_and_what_happens_meanwhile_is_told_at_once() {
    let mut bench = mk_slow_bench();
    bench.guard.handle(exec("c1", "/miner"));
    assert_eq!(bench.alerts(), [], "nobody knows yet whether it dies");
    for _ in 0..3 {
        bench.guard.handle(exec("c1", "/other/miner"));
    }
    assert_eq!(bench.killed(), ["c1"]);
    let detail = "the container is being killed for an earlier event";
    assert_eq!(
        bench.alerts(),
        [told("miner", Action::Alerted, Some(detail), 1)],
        "and repeats are folded"
    );
    bench.guard.handle(exec("c2", "/miner"));
    assert_eq!(
        bench.killed(),
        ["c1", "c2"],
        "another container is killed at once"
    );
    let begun: Vec<CgroupId> = bench.begun.try_iter().map(|begun| begun.cgroup).collect();
    let cgroup_of = |id| crate::testing::mk_container(id).cgroup;
    assert_eq!(begun, [cgroup_of("c1"), cgroup_of("c2")]);
}

#[test]
fn after_a_kill_only_what_came_later_is_killed_again() {
    let mut bench = mk_slow_bench();
    bench.guard.handle(exec("c1", "/miner"));
    let cgroup = bench.begun.try_recv().unwrap().cgroup;
    let gone = Some(BootTime::from_nanos(3 * MILLISECOND));
    bench.ended.send(Ended { cgroup, gone }).unwrap();

    // It was made before the end, and came out of the sensor after it.
    bench.guard.handle(exec("c1", "/miner"));
    assert_eq!(bench.killed(), ["c1"]);
    let detail = "container killed for an earlier event, gone 2.000 ms after this one";
    assert_eq!(bench.alerts(), [told("miner", Action::Killed, Some(detail), 1)]);

    bench.guard.handle(exec_at("c1", "/miner", 4 * MILLISECOND));
    assert_eq!(bench.killed(), ["c1", "c1"], "the same cgroup was filled again");
}

#[test]
fn what_did_not_die_is_killed_again() {
    let mut bench = mk_slow_bench();
    bench.guard.handle(exec("c1", "/miner"));
    let cgroup = bench.begun.try_recv().unwrap().cgroup;
    bench.ended.send(Ended { cgroup, gone: None }).unwrap();
    bench.guard.handle(exec("c1", "/miner"));
    assert_eq!(bench.killed(), ["c1", "c1"]);
    assert_eq!(bench.begun.try_iter().count(), 1);
}

#[test]
fn a_kill_that_nobody_sees_through_is_told_as_failed() {
    let mut bench = mk_slow_bench();
    let (_, nobody) = channel();
    bench.begun = nobody;
    bench.guard.handle(exec("c1", "/miner"));
    let detail = "the kill failed: it was begun, and nobody sees it through";
    assert_eq!(bench.alerts(), [told("miner", Action::Failed, Some(detail), 1)]);
}

#[test]
fn at_the_end_no_repeat_stays_untold() {
    let mut bench = mk_bench(&[("miner", Response::Alert)], None);
    for _ in 0..3 {
        bench.guard.handle(exec("c1", "/miner"));
    }
    bench.guard.around.teller.finish();
    let Bench { alerts, .. } = bench;
    assert_eq!(alerts.try_iter().map(|queued| queued.alert.count).sum::<u64>(), 3);
}

#[test]
fn another_judge_is_in_force_from_the_next_event_on() {
    let mut bench = mk_bench(&[], None);
    bench.guard.handle(exec("c1", "/miner"));
    bench
        .guard
        .replace_judge(ByPath::new(&[("miner", Response::Kill)]));
    bench.guard.handle(exec("c1", "/miner"));
    assert_eq!(bench.killed(), ["c1"]);
}

#[test]
fn losses_are_counted_even_when_there_is_nobody_to_tell() {
    let mut bench = mk_bench(&[], None);
    for count in [3, 4] {
        let loss = Loss {
            cgroup: CgroupId(9),
            container: None,
            class: EventClass::Exec,
            count,
        };
        bench.guard.handle(SensorItem::Lost(loss));
    }
    assert_eq!(bench.losses.try_iter().count(), 1);
    assert_eq!(
        (
            bench.counters.events_lost.sum(),
            bench.counters.losses_untold.sum()
        ),
        (7, 1)
    );
}
