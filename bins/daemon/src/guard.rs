//! The hot path: one item of the sensor after the other, judged and answered.

use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use runtime_core::folding::{Folder, SeriesKey};
use runtime_core::ports::KillOutcome;
use runtime_core::{
    Action, Alert, BootTime, ContainerId, Event, Finding, Loss, Responder, Response, SensorItem, Verdict,
};

use crate::counters::Counters;
use crate::delivery::Outbox;

/// Whoever says what an event means; one whole set of rules and policies.
pub(crate) trait Judge: Send {
    /// The verdict on an event; `None` when there is nothing to say.
    fn judge(&mut self, event: &Event) -> Option<Verdict>;

    /// Drops what it keeps of a container that is gone.
    fn forget(&mut self, container: &ContainerId);
}

/// Reads the kernel's boot-time clock.
pub(crate) type Clock = Box<dyn Fn() -> BootTime + Send>;

/// What the guard needs beside judge and responder.
pub(crate) struct Surroundings {
    /// The node's name for alerts.
    pub(crate) node: String,
    /// The clock.
    pub(crate) clock: Clock,
    /// Where alerts go.
    pub(crate) outbox: Outbox,
    /// Where losses are told of.
    pub(crate) losses: SyncSender<Loss>,
    /// What is counted.
    pub(crate) counters: Arc<Counters>,
}

/// Judges events, kills, and hands alerts on.
pub(crate) struct Guard<J, R> {
    judge: J,
    responder: R,
    folder: Folder,
    around: Surroundings,
}

impl<J: Judge, R: Responder> Guard<J, R> {
    pub(crate) fn new(judge: J, responder: R, around: Surroundings) -> Self {
        Self {
            judge,
            responder,
            folder: Folder::default(),
            around,
        }
    }

    /// Puts another set of rules and policies in force, from the next event on.
    pub(crate) fn replace_judge(&mut self, judge: J) {
        self.judge = judge;
    }

    /// Takes one item.
    pub(crate) fn handle(&mut self, item: SensorItem) {
        match item {
            SensorItem::Event(event) => self.event(&event),
            SensorItem::Lost(loss) => {
                self.around.counters.events_lost.add(loss.count);
                if self.around.losses.try_send(loss).is_err() {
                    self.around.counters.losses_untold.add(1);
                }
            }
            SensorItem::ContainerStarted(_) => {}
            SensorItem::ContainerStopped(container) => self.judge.forget(&container.id),
        }
    }

    /// Sends on what has become due by the passing of time.
    pub(crate) fn tick(&mut self) {
        let now = (self.around.clock)();
        for alert in self.folder.due(now) {
            self.around.outbox.push(alert);
        }
    }

    /// Sends on all that is left to say.
    pub(crate) fn finish(mut self) {
        for alert in self.folder.finish() {
            self.around.outbox.push(alert);
        }
    }

    fn event(&mut self, event: &Event) {
        self.around.counters.events.add(1);
        let Some(verdict) = self.judge.judge(event) else {
            return;
        };
        // First the response, then the words.
        let taken = match verdict.response() {
            Response::Alert => None,
            Response::Deny | Response::Kill => Some(self.kill(event)),
        };
        let now = (self.around.clock)();
        for finding in verdict.findings() {
            self.around.counters.findings.add(1);
            let (action, detail) = told(finding, taken.as_ref());
            let key = SeriesKey::new(event, finding, action);
            let alert = Alert::new(event, finding, &self.around.node, (action, detail));
            if let Some(alert) = self.folder.offer(alert, key, now) {
                self.around.outbox.push(alert);
            }
        }
    }

    fn kill(&mut self, event: &Event) -> (Action, String) {
        let Some(container) = &event.container else {
            self.around.counters.kills_failed.add(1);
            return (
                Action::Failed,
                "not killed: the process is in no container".into(),
            );
        };
        match self.responder.kill(container) {
            KillOutcome::Killed(report) => {
                let since = (self.around.clock)()
                    .as_nanos()
                    .saturating_sub(event.boot_time.as_nanos());
                self.around.counters.kills.add(1);
                let gone = Duration::from_nanos(since);
                // What passed between the first signal and now is the dying.
                let dying = report
                    .took
                    .saturating_sub(report.signalled.unwrap_or(report.took));
                let detail = format!(
                    "container killed {} after the event, gone after {}",
                    millis(gone.saturating_sub(dying)),
                    millis(gone)
                );
                (Action::Killed, detail)
            }
            KillOutcome::Protected(by) => {
                self.around.counters.kills_failed.add(1);
                (
                    Action::Failed,
                    format!("not killed: the container is protected: {by}"),
                )
            }
            KillOutcome::Failed(why) => {
                self.around.counters.kills_failed.add(1);
                (Action::Failed, format!("the kill failed: {why}"))
            }
        }
    }
}

/// What the alert of one finding tells of the one response to its event.
fn told(finding: &Finding, taken: Option<&(Action, String)>) -> (Action, Option<String>) {
    match (finding.response, taken) {
        (Response::Alert, _) | (_, None) => (Action::Alerted, None),
        (Response::Deny, Some((action, detail))) => (*action, Some(format!("denied by killing: {detail}"))),
        (Response::Kill, Some((action, detail))) => (*action, Some(detail.clone())),
    }
}

fn millis(duration: Duration) -> String {
    format!("{:.3} ms", duration.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests;
