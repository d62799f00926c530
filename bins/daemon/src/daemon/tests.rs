use std::collections::VecDeque;
use std::io;
use std::sync::Mutex;

use runtime_core::policy::{PolicySet, PolicySnapshot, Problem, RuleSource};
use runtime_core::ports::{KillOutcome, PortError};
use runtime_core::{Action, BootTime, EventSource, Needs, Response, SensorItem};

use super::*;
use crate::metrics::SourceStats;
use crate::testing::{ByPath, FakeDying, FakeKiller, FakeSink, exec};

/// What the sensor gives at each poll, fed by the test.
#[derive(Clone, Default)]
struct Feed(Arc<Mutex<VecDeque<Polled>>>);

type Polled = Result<Vec<SensorItem>, &'static str>;

impl Feed {
    fn push(&self, items: Vec<SensorItem>) {
        self.0.lock().unwrap().push_back(Ok(items));
    }
}

impl EventSource for Feed {
    fn poll(&mut self, _: Duration, each: &mut dyn FnMut(SensorItem)) -> Result<usize, PortError> {
        let next = self.0.lock().unwrap().pop_front();
        match next {
            Some(Ok(items)) => {
                let count = items.len();
                items.into_iter().for_each(each);
                Ok(count)
            }
            Some(Err(error)) => Err(error.into()),
            None => {
                thread::sleep(Duration::from_millis(1));
                Ok(0)
            }
        }
    }

    fn set_needs(&mut self, _: &Needs) -> Result<(), PortError> {
        Ok(())
    }
}

impl Source for Feed {
    fn stats(&self) -> Result<SourceStats, PortError> {
        Ok(SourceStats::default())
    }
}

/// One rule that kills, by its name; changes when the test says so.
#[derive(Clone, Default)]
struct Rule(Arc<Mutex<Option<Result<&'static str, &'static str>>>>);

impl PolicySource for Rule {
    fn load(&mut self) -> Result<PolicySnapshot, PortError> {
        let text = self.0.lock().unwrap().take().unwrap_or(Ok(""))?;
        let rules = vec![RuleSource {
            origin: "rules".into(),
            text: text.into(),
            first_line: 1,
        }];
        Ok(PolicySnapshot {
            rules,
            ..PolicySnapshot::default()
        })
    }

    fn changed(&mut self) -> bool {
        self.0.lock().unwrap().is_some()
    }
}

struct OneRule;

impl Compiler for OneRule {
    type Rules = String;
    type Judge = ByPath;

    fn compile(&self, sources: &[RuleSource]) -> (String, Vec<Problem>) {
        (sources[0].text.clone(), Vec::new())
    }

    fn check(&self, _: &String) -> Result<(), PortError> {
        Ok(())
    }

    fn assemble(&self, rule: String, _: PolicySet) -> ByPath {
        ByPath::new(&[(&rule, Response::Kill)])
    }
}

struct Bench {
    feed: Feed,
    rule: Rule,
    killer: FakeKiller,
    sink: FakeSink,
    counters: Arc<Counters>,
    stop: Arc<AtomicBool>,
    running: JoinHandle<Result<(), Error>>,
}

/// A daemon that kills what is called `miner`.
fn start(feed: Feed, sink: impl AlertSink + Send + 'static, kept: FakeSink) -> Bench {
    start_with(FakeKiller::new(), feed, sink, kept, None)
}

fn start_with(
    killer: FakeKiller,
    feed: Feed,
    sink: impl AlertSink + Send + 'static,
    kept: FakeSink,
    recording: Option<File>,
) -> Bench {
    let rule = Rule::default();
    let counters = Arc::new(Counters::default());
    let stop = Arc::new(AtomicBool::new(false));
    let parts = Parts {
        source: feed.clone(),
        responder: killer.clone(),
        sink,
        judge: ByPath::new(&[("miner", Response::Kill)]),
        policies: Policies::new(Some(rule.clone()), OneRule),
        problems: Vec::new(),
        node: "node-1".into(),
        clock: Arc::new(|| BootTime::from_nanos(2_000_000)),
        counters: Arc::clone(&counters),
        vitals: Arc::new(Vitals::new(Instant::now())),
        recording,
    };
    let running = {
        let stop = Arc::clone(&stop);
        thread::spawn(move || run(parts, &stop))
    };
    Bench {
        feed,
        rule,
        killer,
        sink: kept,
        counters,
        stop,
        running,
    }
}

fn mk_bench() -> Bench {
    let sink = FakeSink::default();
    start(Feed::default(), sink.clone(), sink)
}

impl Bench {
    fn stop(self) -> Result<(), Error> {
        self.stop.store(true, Ordering::Relaxed);
        self.running.join().unwrap()
    }

    fn killed(&self) -> Vec<String> {
        self.killer.killed.lock().unwrap().clone()
    }
}

/// Waits until `what` holds, ten seconds at most.
fn wait_for(what: impl Fn() -> bool) {
    for _ in 0..2000 {
        if what() {
            return;
        }
        thread::sleep(Duration::from_millis(5));
    }
    panic!("this did not come about in time");
}

#[test]
fn events_go_in_and_kills_and_alerts_come_out() {
    let bench = mk_bench();
    bench.feed.push(vec![
        exec("c1", "/bin/true"),
        exec("c1", "/miner"),
        exec("c2", "/miner"),
    ]);
    wait_for(|| bench.sink.0.lock().unwrap().len() == 2);
    assert_eq!(bench.killed(), ["c1", "c2"]);
    bench.stop().unwrap();
}

#[test]
fn every_event_that_is_judged_is_recorded() {
    use runtime_core::event::record::Record;
    let file = tempfile::NamedTempFile::new().unwrap();
    let sink = FakeSink::default();
    let recording = Some(file.reopen().unwrap());
    let bench = start_with(FakeKiller::new(), Feed::default(), sink.clone(), sink, recording);
    bench
        .feed
        .push(vec![exec("c1", "/bin/true"), exec("c2", "/miner")]);
    wait_for(|| bench.sink.0.lock().unwrap().len() == 1);
    bench.stop().unwrap();
    let paths: Vec<String> = std::fs::read_to_string(file.path())
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str::<Record<'_>>(line).unwrap().into_event())
        .map(|event| event.process.exe.to_string())
        .collect();
    assert_eq!(paths, ["/bin/true", "/miner"]);
}

#[test]
fn an_end_that_is_asked_for_is_clean_and_tells_what_is_left() {
    let bench = mk_bench();
    bench.feed.push(vec![
        exec("c1", "/miner"),
        exec("c1", "/miner"),
        exec("c1", "/miner"),
    ]);
    wait_for(|| bench.counters.events.sum() == 3);
    let alerts = Arc::clone(&bench.sink.0);
    bench.stop().unwrap();
    let counts: Vec<u64> = alerts.lock().unwrap().iter().map(|alert| alert.count).collect();
    assert_eq!(counts, [1, 2]);
}

#[test]
fn new_rules_come_into_force_and_bad_ones_do_not() {
    let bench = mk_bench();
    *bench.rule.0.lock().unwrap() = Some(Err("unreadable"));
    wait_for(|| bench.rule.0.lock().unwrap().is_none());
    bench.feed.push(vec![exec("c1", "/miner")]);
    wait_for(|| bench.killed() == ["c1"]);

    *bench.rule.0.lock().unwrap() = Some(Ok("scanner"));
    // The rules are taken between two polls, some time after they were loaded.
    wait_for(|| {
        bench.feed.push(vec![exec("c2", "/scanner")]);
        bench.killed().contains(&"c2".to_owned())
    });
    let before = bench.killed().len();
    bench
        .feed
        .push(vec![exec("c3", "/miner"), exec("c4", "/scanner")]);
    wait_for(|| bench.killed().contains(&"c4".to_owned()));
    assert!(
        !bench.killed()[before..].contains(&"c3".to_owned()),
        "the old rule is gone"
    );
    bench.stop().unwrap();
}

#[test]
fn a_sensor_that_fails_now_and_then_is_asked_again() {
    let bench = mk_bench();
    bench
        .feed
        .0
        .lock()
        .unwrap()
        .extend([Err("hiccup"), Err("hiccup")]);
    bench.feed.push(vec![exec("c1", "/miner")]);
    wait_for(|| bench.killed() == ["c1"]);
    assert_eq!(bench.counters.sensor_errors.sum(), 2);
    bench.stop().unwrap();
}

#[test]
fn a_sensor_that_only_fails_ends_the_daemon() {
    let feed = Feed::default();
    feed.0
        .lock()
        .unwrap()
        .extend(std::iter::repeat_n(Err("gone"), 100));
    let sink = FakeSink::default();
    let bench = start(feed, sink.clone(), sink);
    let error = bench.running.join().unwrap().unwrap_err();
    assert_eq!(chain(&error), "the sensor failed 20 times in a row: gone");
}

/// A reader that takes nothing.
struct Stuck;

impl AlertSink for Stuck {
    fn deliver(&mut self, _: &runtime_core::Alert) -> Result<(), PortError> {
        thread::sleep(Duration::from_mins(1));
        Err(io::Error::from(io::ErrorKind::TimedOut).into())
    }
}

#[test]
fn a_reader_that_takes_nothing_stops_neither_kills_nor_the_end() {
    let bench = start(Feed::default(), Stuck, FakeSink::default());
    let many = QUEUE * 2;
    let events = (0..many).map(|n| exec(&format!("c{n}"), "/miner")).collect();
    bench.feed.push(events);
    wait_for(|| bench.killed().len() == many);
    wait_for(|| bench.counters.alerts_queued.sum() == many as u64);
    // One is with the reader, so the queue had room for one more.
    let lost = bench.counters.alerts_lost.sum() as usize;
    assert!((many - QUEUE - 1..=many - QUEUE).contains(&lost), "{lost}");
    let start = Instant::now();
    bench.stop().unwrap();
    assert!(start.elapsed() < Duration::from_secs(10));
}

/// A daemon whose containers die when the test says so.
fn mk_slow_bench() -> (Bench, FakeDying) {
    let (sink, dying) = (FakeSink::default(), FakeDying::default());
    let killer = FakeKiller {
        dying: Some(dying.clone()),
        ..FakeKiller::new()
    };
    (
        start_with(killer, Feed::default(), sink.clone(), sink, None),
        dying,
    )
}

#[test]
fn a_container_that_cannot_die_does_not_hold_the_sensor_up() {
    let (bench, dying) = mk_slow_bench();
    // All that its processes still do, and what others do meanwhile.
    let mut items: Vec<SensorItem> = (0..1000).map(|_| exec("undying", "/miner")).collect();
    items.push(exec("c2", "/miner"));
    items.push(exec("c3", "/bin/true"));
    bench.feed.push(items);
    wait_for(|| bench.counters.events.sum() == 1002);
    assert_eq!(bench.killed(), ["undying", "c2"], "one kill each");
    wait_for(|| bench.sink.0.lock().unwrap().len() == 1);
    assert_eq!(
        bench.sink.0.lock().unwrap()[0].action,
        Action::Alerted,
        "what it does while it is being killed is told; that it was killed is not true yet"
    );
    *dying.outcome.lock().unwrap() = Some(KillOutcome::Failed("process 7 is left".into()));
    wait_for(|| bench.sink.0.lock().unwrap().len() == 3);
    let failed = bench.counters.kills_failed.sum();
    assert_eq!(failed, 2);
    bench.stop().unwrap();
}

#[test]
fn at_the_end_kills_under_way_are_finished_and_told() {
    let (bench, dying) = mk_slow_bench();
    bench.feed.push(vec![exec("c1", "/miner")]);
    wait_for(|| bench.killed() == ["c1"]);
    let alerts = Arc::clone(&bench.sink.0);
    let ending = thread::spawn(move || bench.stop());
    thread::sleep(Duration::from_millis(300));
    assert!(!ending.is_finished(), "it waits for the kill");
    let outcome = FakeKiller::new().outcome;
    *dying.outcome.lock().unwrap() = Some(outcome);
    ending.join().unwrap().unwrap();
    let alerts = alerts.lock().unwrap();
    let actions: Vec<Action> = alerts.iter().map(|alert| alert.action).collect();
    assert_eq!(actions, [Action::Killed]);
}

#[test]
fn a_kill_that_never_ends_does_not_stop_the_end() {
    let (bench, _dying) = mk_slow_bench();
    bench.feed.push(vec![exec("c1", "/miner")]);
    wait_for(|| bench.killed() == ["c1"]);
    let start = Instant::now();
    bench.stop().unwrap();
    assert!(start.elapsed() < Duration::from_secs(10));
}
