//! The daemon's threads, from the start to a clean end.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use runtime_core::policy::Problem;
use runtime_core::{AlertSink, Loss, PolicySource, Responder, SensorItem};
use tracing::{error, info, warn};

use crate::counters::Counters;
use crate::delivery::{self, QUEUE};
use crate::error::{Error, chain};
use crate::guard::{Guard, Judge, Surroundings};
use crate::health::Complaints;
use crate::kills;
use crate::memory;
use crate::metrics::{Source, Vitals};
use crate::policies::{Compiler, Loaded, Policies};
use crate::priority;
use crate::record::{self, Recorder};
use crate::report::Reporter;
use crate::teller::{Clock, Teller};

/// How long the sensor's thread waits for events; it looks for new policies, and for the end, in between.
const POLL: Duration = Duration::from_millis(100);
/// How often the main thread looks around.
const TICK: Duration = Duration::from_millis(100);
/// How often it asks whether policies have changed.
const RELOAD: Duration = Duration::from_millis(500);
/// How often it reports losses.
const REPORT: Duration = Duration::from_secs(1);
/// How often the sensor is asked how it is doing.
const STATS: Duration = Duration::from_secs(1);
/// How long kills that are under way may take at the end: longer than their own deadline, at which they end.
const KILLS: Duration = Duration::from_secs(3);
/// How long alerts may take to get out at the end.
const FAREWELL: Duration = Duration::from_secs(2);
/// After so many errors in a row the sensor is given up: a daemon that sees nothing must not look alive.
const MAX_SENSOR_ERRORS: u32 = 20;
/// How many reports of losses wait for the main thread.
const LOSSES: usize = 256;
/// Enough for what the threads do; what is not touched takes no memory.
const STACK: usize = 1 << 20;

/// What a daemon is made of.
pub(crate) struct Parts<E, R, A, S, C: Compiler> {
    pub(crate) source: E,
    pub(crate) responder: R,
    pub(crate) sink: A,
    pub(crate) judge: C::Judge,
    pub(crate) policies: Policies<S, C>,
    /// What was refused of the policies that the judge stands for.
    pub(crate) problems: Vec<Problem>,
    pub(crate) node: String,
    pub(crate) clock: Clock,
    pub(crate) counters: Arc<Counters>,
    pub(crate) vitals: Arc<Vitals>,
    /// Where events are recorded, if anybody asked for it.
    pub(crate) recording: Option<File>,
}

/// Runs until `stop` is set or the sensor fails for good.
pub(crate) fn run<E, R, A, S, C>(parts: Parts<E, R, A, S, C>, stop: &Arc<AtomicBool>) -> Result<(), Error>
where
    E: Source + Send + 'static,
    R: Responder + Send + 'static,
    A: AlertSink + Send + 'static,
    S: PolicySource,
    C: Compiler,
    C::Judge: 'static,
{
    let Parts {
        mut source,
        responder,
        mut sink,
        judge,
        mut policies,
        problems,
        node,
        clock,
        counters,
        vitals,
        recording,
    } = parts;
    let (outbox, queue) = delivery::queue(QUEUE, &counters);
    let (loss_sender, losses) = sync_channel(LOSSES);
    let (judge_sender, judges) = channel();
    let (begun_sender, begun) = channel();
    let (ended_sender, ended) = channel();
    let teller = Arc::new(Teller::new(node, clock, outbox, Arc::clone(&counters)));
    let around = Surroundings {
        teller: Arc::clone(&teller),
        begun: begun_sender,
        ended,
        losses: loss_sender,
        counters: Arc::clone(&counters),
    };

    let delivering = {
        let counters = Arc::clone(&counters);
        spawn("alerts", move || delivery::deliver(&queue, &mut sink, &counters))?
    };
    let mut recorder = None;
    let recording = recording.map(|file| {
        let counters = Arc::clone(&counters);
        let (near, queue) = record::queue(record::QUEUE, &counters);
        recorder = Some(near);
        spawn("record", move || record::write(&queue, file, &counters))
    });
    let recording = recording.transpose()?;
    let killing = {
        let teller = Arc::clone(&teller);
        spawn("kills", move || {
            // What is left of a container is killed as soon as what was first: not when a busy machine has time.
            priority::raise();
            kills::see_through(&begun, &ended_sender, &teller);
        })?
    };
    let watching = {
        let stop = Arc::clone(stop);
        let counters = Arc::clone(&counters);
        let vitals = Arc::clone(&vitals);
        let guard = Guard::new(judge, responder, around);
        spawn("sensor", move || {
            watch(
                &mut source,
                guard,
                recorder.as_ref(),
                &judges,
                &stop,
                &counters,
                &vitals,
            )
        })?
    };

    let goes_on = || !stop.load(Ordering::Relaxed) && !watching.is_finished() && !killing.is_finished();
    let supervisor = Supervisor {
        policies: &mut policies,
        judges: &judge_sender,
        losses: &losses,
        counters: &counters,
        vitals: &vitals,
        teller: &teller,
        reporter: Reporter::default(),
        complaints: Complaints::default(),
    };
    supervisor.run(&problems, goes_on);
    // Where one of the threads has ended on its own, the others have not been told.
    stop.store(true, Ordering::Relaxed);
    vitals.end();
    let watched = watching.join().unwrap_or(Err(Error::Panicked { name: "sensor" }));
    let killed = join_within(KILLS, killing, "kills").unwrap_or_else(|| {
        warn!("kills left unfinished at the end");
        Ok(())
    });
    if let Some(recording) = recording
        && join_within(FAREWELL, recording, "record").is_none()
    {
        warn!("events left unrecorded at the end");
    }
    teller.finish();
    let delivered = join_within(FAREWELL, delivering, "alerts").unwrap_or_else(|| {
        warn!(
            count = counters.undelivered(),
            "alerts left undelivered at the end"
        );
        Ok(())
    });
    info!(
        events = counters.events.sum(),
        events_lost = counters.events_lost.sum(),
        findings = counters.findings.sum(),
        kills = counters.kills.sum(),
        kills_failed = counters.kills_failed.sum(),
        alerts = counters.alerts_delivered.sum(),
        alerts_lost = counters.alerts_lost.sum(),
        "stopped"
    );
    watched.and(killed).and(delivered)
}

/// Logs what a load refused.
pub(crate) fn log_loaded<J>(loaded: &Loaded<J>) {
    for problem in &loaded.problems {
        error!("policy problem: {problem}");
    }
    info!(
        policies = loaded.policies,
        rule_files = loaded.rule_sources,
        problems = loaded.problems.len(),
        "policies loaded"
    );
}

fn spawn<T: Send + 'static>(
    name: &'static str,
    body: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, Error> {
    thread::Builder::new()
        .name(name.into())
        .stack_size(STACK)
        .spawn(body)
        .map_err(|source| Error::Thread { name, source })
}

/// The sensor's thread.
fn watch<E: Source, J: Judge, R: Responder>(
    source: &mut E,
    mut guard: Guard<J, R>,
    recorder: Option<&Recorder>,
    judges: &Receiver<J>,
    stop: &AtomicBool,
    counters: &Counters,
    vitals: &Vitals,
) -> Result<(), Error> {
    priority::raise();
    let mut failed: u32 = 0;
    let mut next_stats = Instant::now();
    loop {
        if stop.load(Ordering::Relaxed) {
            return Ok(());
        }
        if let Some(judge) = judges.try_iter().last() {
            // First what the new rules need to see, then the rules.
            if let Err(error) = source.set_needs(&judge.needs()) {
                counters.sensor_errors.add(1);
                error!(
                    "the sensor cannot deliver all that the new rules need: {}",
                    chain(&*error)
                );
            }
            guard.replace_judge(judge);
        }
        let mut handle = |item: SensorItem| {
            if let Some(recorder) = recorder {
                recorder.take(&item);
            }
            guard.handle(item);
        };
        match source.poll(POLL, &mut handle) {
            Ok(_) => failed = 0,
            Err(source) => {
                failed += 1;
                counters.sensor_errors.add(1);
                if failed >= MAX_SENSOR_ERRORS {
                    return Err(Error::SensorFailed {
                        attempts: failed,
                        source,
                    });
                }
                thread::sleep(POLL / 4);
            }
        }
        guard.tick();
        let now = Instant::now();
        vitals.beat(now);
        if now >= next_stats {
            next_stats = now + STATS;
            // Counts that cannot be read now can be the next time.
            if let Ok(stats) = source.stats() {
                vitals.set_stats(stats);
            }
        }
    }
}

/// The main thread's part: it looks after policies, and after what is to be said of the daemon itself.
struct Supervisor<'a, S, C: Compiler> {
    policies: &'a mut Policies<S, C>,
    judges: &'a Sender<C::Judge>,
    losses: &'a Receiver<Loss>,
    counters: &'a Counters,
    vitals: &'a Vitals,
    teller: &'a Teller,
    reporter: Reporter,
    complaints: Complaints,
}

impl<S: PolicySource, C: Compiler> Supervisor<'_, S, C> {
    /// Goes on until the end is asked for or a thread has ended on its own. `problems` are those of the policies that
    /// are in force from the start on.
    fn run(mut self, problems: &[Problem], goes_on: impl Fn() -> bool) {
        self.complaints.loaded(problems, self.teller);
        let (mut last_reload, mut last_report) = (Instant::now(), Instant::now());
        while goes_on() {
            thread::sleep(TICK);
            if last_reload.elapsed() >= RELOAD {
                last_reload = Instant::now();
                self.reload();
            }
            self.take_in_losses();
            if last_report.elapsed() >= REPORT {
                last_report = Instant::now();
                self.reporter.report(self.counters, &self.vitals.stats());
                self.complaints.tick(last_report, self.teller);
            }
        }
        self.take_in_losses();
        self.reporter.report(self.counters, &self.vitals.stats());
        self.complaints.finish(self.teller);
    }

    fn take_in_losses(&mut self) {
        for loss in self.losses.try_iter() {
            self.reporter.lost(&loss);
            self.complaints.lost(&loss);
        }
    }

    fn reload(&mut self) {
        if !self.policies.changed() {
            return;
        }
        match self.policies.load() {
            Ok(loaded) => {
                log_loaded(&loaded);
                self.complaints.loaded(&loaded.problems, self.teller);
                // Only a sensor's thread that has ended does not take it, and then we end as well.
                drop(self.judges.send(loaded.judge));
                memory::give_back();
            }
            Err(error) => {
                let reason = format!("{}; what was in force stays in force", chain(&*error));
                error!("policy problem: {reason}");
                self.complaints.not_loaded(&reason, self.teller);
            }
        }
    }
}

/// Waits for a thread, but not for ever: a reader may have stopped, a kernel may not answer. `None` when it is not
/// over by then.
fn join_within(limit: Duration, thread: JoinHandle<()>, name: &'static str) -> Option<Result<(), Error>> {
    let end = Instant::now() + limit;
    while !thread.is_finished() {
        if Instant::now() >= end {
            return None;
        }
        thread::sleep(Duration::from_millis(5));
    }
    Some(thread.join().map_err(|_| Error::Panicked { name }))
}

#[cfg(test)]
mod tests;
