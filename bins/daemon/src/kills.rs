//! Seeing kills through, away from the sensor's thread, and telling how each ended.
//!
//! ```text
//! thread "sensor":  Responder::kill ─► Begun ───────────────────────┐
//! thread "kills":   KillUnderWay::step, each in its turn ◄──────────┘ ─► Teller
//!                     └─► Ended ─► thread "sensor"
//! ```

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use runtime_core::ports::{KillOutcome, KillStep, KillUnderWay};
use runtime_core::{Action, BootTime, CgroupId, Event, Verdict};

use crate::teller::{Taken, Teller};

/// A kill whose first signals are sent, with the event that it answers and that nobody was told of yet.
///
/// There is at most one for each container, which bounds how many wait.
#[derive(Debug)]
pub(crate) struct Begun {
    pub(crate) cgroup: CgroupId,
    pub(crate) kill: Box<dyn KillUnderWay>,
    pub(crate) event: Box<Event>,
    pub(crate) verdict: Verdict,
}

/// A kill that has come to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) cgroup: CgroupId,
    /// Since when nothing of the container is left; `None` when something is.
    pub(crate) gone: Option<BootTime>,
}

/// Sees kills through until nobody begins any more and the last one has ended.
pub(crate) fn see_through(begun: &Receiver<Begun>, ended: &Sender<Ended>, teller: &Teller) {
    let mut under_way: Vec<(Instant, Begun)> = Vec::new();
    while let Some(arrived) = wait(begun, &under_way) {
        let now = Instant::now();
        under_way.extend(arrived.into_iter().map(|each| (now, each)));
        under_way.extend(begun.try_iter().map(|each| (now, each)));
        under_way.retain_mut(|(due, each)| {
            if *due > now {
                return true;
            }
            match each.kill.step() {
                KillStep::Again(pause) => {
                    *due = Instant::now() + pause;
                    true
                }
                KillStep::Over(outcome) => {
                    over(outcome, each, ended, teller);
                    false
                }
            }
        });
    }
}

/// Waits for the next thing to do, and gives the kills that begin; `None` at the end.
fn wait(begun: &Receiver<Begun>, under_way: &[(Instant, Begun)]) -> Option<Vec<Begun>> {
    let Some(due) = under_way.iter().map(|(due, _)| *due).min() else {
        return begun.recv().ok().map(|arrived| vec![arrived]);
    };
    let left = due.saturating_duration_since(Instant::now());
    match begun.recv_timeout(left) {
        Ok(arrived) => Some(vec![arrived]),
        Err(RecvTimeoutError::Timeout) => Some(Vec::new()),
        Err(RecvTimeoutError::Disconnected) => {
            thread::sleep(left);
            Some(Vec::new())
        }
    }
}

fn over(outcome: KillOutcome, begun: &Begun, ended: &Sender<Ended>, teller: &Teller) {
    let now = teller.now();
    let gone = matches!(outcome, KillOutcome::Killed(_)).then_some(now);
    let cgroup = begun.cgroup;
    // Only a sensor's thread that has ended does not take it, and then nobody asks any more.
    let _ = ended.send(Ended { cgroup, gone });
    let taken = taken(outcome, &begun.event, now, teller);
    teller.tell(&begun.event, &begun.verdict, Some(&taken));
}

/// Counts a kill that has come to its end at `now`, and puts it into words.
pub(crate) fn taken(outcome: KillOutcome, event: &Event, now: BootTime, teller: &Teller) -> Taken {
    let counters = teller.counters();
    match outcome {
        KillOutcome::Killed(report) => {
            counters.kills.add(1);
            let gone = since(event, now);
            // What passed between the first signal and now is the dying.
            let dying = report
                .took
                .saturating_sub(report.signalled.unwrap_or(report.took));
            let signalled = gone.saturating_sub(dying);
            counters.signalled.observe(signalled);
            counters.gone.observe(gone);
            let detail = format!(
                "container killed {} after the event, gone after {}",
                millis(signalled),
                millis(gone)
            );
            (Action::Killed, detail)
        }
        KillOutcome::Protected(by) => {
            counters.kills_failed.add(1);
            (
                Action::Failed,
                format!("not killed: the container is protected: {by}"),
            )
        }
        KillOutcome::Failed(why) => {
            counters.kills_failed.add(1);
            (Action::Failed, format!("the kill failed: {why}"))
        }
    }
}

/// The words for an event of a container that was killed for another one, and was gone at `gone`.
pub(crate) fn killed_before(event: &Event, gone: BootTime) -> Taken {
    let detail = format!(
        "container killed for an earlier event, gone {} after this one",
        millis(since(event, gone))
    );
    (Action::Killed, detail)
}

/// The words for an event of a container that is dying.
pub(crate) fn being_killed() -> Taken {
    (
        Action::Alerted,
        "the container is being killed for an earlier event".into(),
    )
}

fn since(event: &Event, now: BootTime) -> Duration {
    Duration::from_nanos(now.as_nanos().saturating_sub(event.boot_time.as_nanos()))
}

fn millis(duration: Duration) -> String {
    format!("{:.3} ms", duration.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests;
