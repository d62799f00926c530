use std::sync::Arc;
use std::sync::mpsc::channel;

use runtime_core::Response;
use runtime_core::ports::KillReport;

use super::*;
use crate::counters::Counters;
use crate::delivery::{Queued, queue};
use crate::testing::{FakeDying, mk_event, mk_finding};

struct Bench {
    begun: Option<Sender<Begun>>,
    ended: Receiver<Ended>,
    alerts: Receiver<Queued>,
    counters: Arc<Counters>,
    running: thread::JoinHandle<()>,
}

/// The thread that sees kills through, at the time of two milliseconds.
fn mk_bench() -> Bench {
    let counters = Arc::new(Counters::default());
    let (outbox, alerts) = queue(64, &counters);
    let clock = Arc::new(|| BootTime::from_nanos(2_000_000));
    let teller = Teller::new("node-1".into(), clock, outbox, Arc::clone(&counters));
    let (begun, begun_receiver) = channel();
    let (ended_sender, ended) = channel();
    let running = thread::spawn(move || see_through(&begun_receiver, &ended_sender, &teller));
    Bench {
        begun: Some(begun),
        ended,
        alerts,
        counters,
        running,
    }
}

impl Bench {
    /// Begins a kill; it ends as soon as the test says how.
    fn begin(&self, id: &str) -> FakeDying {
        let dying = FakeDying::default();
        let event = mk_event(id, "/miner");
        let begun = Begun {
            cgroup: event.container.as_ref().unwrap().cgroup,
            kill: Box::new(dying.clone()),
            event: Box::new(event),
            verdict: Verdict::merge(vec![mk_finding("miner", Response::Kill)]).unwrap(),
        };
        self.begun.as_ref().unwrap().send(begun).unwrap();
        dying
    }

    /// The next alert: of which container, what was done, and the details.
    fn alert(&self) -> (String, Action, String) {
        let alert = self.alerts.recv_timeout(Duration::from_secs(10)).unwrap().alert;
        let container = alert.container.unwrap().id.to_string();
        (container, alert.action, alert.action_detail.unwrap())
    }
}

fn end(dying: &FakeDying, outcome: KillOutcome) {
    *dying.outcome.lock().unwrap() = Some(outcome);
}

fn killed() -> KillOutcome {
    KillOutcome::Killed(KillReport {
        processes: Some(1),
        signalled: Some(Duration::from_micros(100)),
        took: Duration::from_micros(500),
    })
}

#[test]
fn a_kill_is_told_when_it_has_ended_and_as_it_ended() {
    let bench = mk_bench();
    let dying = bench.begin("c1");
    thread::sleep(Duration::from_millis(20));
    assert!(bench.alerts.try_recv().is_err(), "not before it is true");
    assert_eq!(bench.counters.kills.sum(), 0);
    end(&dying, killed());
    let detail = "container killed 0.600 ms after the event, gone after 1.000 ms";
    assert_eq!(bench.alert(), ("c1".into(), Action::Killed, detail.into()));
    assert_eq!(bench.counters.kills.sum(), 1);
    let gone = Some(BootTime::from_nanos(2_000_000));
    assert_eq!(bench.ended.recv().unwrap().gone, gone);
}

#[test]
fn a_container_that_does_not_die_keeps_no_other_one_waiting() {
    let bench = mk_bench();
    let stubborn = bench.begin("stubborn");
    for id in ["c1", "c2", "c3"] {
        end(&bench.begin(id), killed());
        assert_eq!(bench.alert().0, id);
    }
    end(&stubborn, KillOutcome::Failed("process 7 is left".into()));
    let detail = "the kill failed: process 7 is left";
    assert_eq!(bench.alert(), ("stubborn".into(), Action::Failed, detail.into()));
    let last = bench.ended.try_iter().last().unwrap();
    assert_eq!(last.gone, None);
    assert_eq!(
        (bench.counters.kills.sum(), bench.counters.kills_failed.sum()),
        (3, 1)
    );
}

#[test]
fn at_the_end_what_is_under_way_is_finished() {
    let mut bench = mk_bench();
    let dying = bench.begin("c1");
    bench.begun = None;
    thread::sleep(Duration::from_millis(20));
    assert!(!bench.running.is_finished(), "it goes on without anything new");
    end(&dying, killed());
    assert_eq!(bench.alert().1, Action::Killed);
    bench.running.join().unwrap();
}

#[test]
fn waiting_costs_no_more_looks_than_were_asked_for() {
    let bench = mk_bench();
    let dying = bench.begin("c1");
    thread::sleep(Duration::from_millis(100));
    // One each millisecond was asked for; a machine that is busy gives fewer.
    let steps = *dying.steps.lock().unwrap();
    assert!((1..=110).contains(&steps), "{steps}");
}
