//! The hot path: one item of the sensor after the other, judged and answered.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender};
use std::time::Duration;

use runtime_core::ports::{Kill, KillOutcome, KillUnderWay};
use runtime_core::{
    Action, BootTime, CgroupId, ContainerId, Event, Loss, Needs, Responder, Response, SensorItem, Verdict,
};

use crate::counters::{Counters, SAMPLING};
use crate::kills::{Begun, Ended, being_killed, killed_before, taken};
use crate::teller::{Taken, Teller};

/// How long it is remembered that a container was killed. What it did before may come out of the sensor
/// later, but not by so much.
const MEMORY: Duration = Duration::from_mins(1);

/// Whoever says what an event means; one whole set of rules and policies.
pub(crate) trait Judge: Send {
    /// The verdict on an event; `None` when there is nothing to say.
    fn judge(&mut self, event: &Event) -> Option<Verdict>;

    /// The events that it may have something to say of.
    fn needs(&self) -> Needs;

    /// Drops what it keeps of a container that is gone.
    fn forget(&mut self, container: &ContainerId);
}

/// What the guard needs beside judge and responder.
pub(crate) struct Surroundings {
    /// Whoever tells of what was found.
    pub(crate) teller: Arc<Teller>,
    /// Where kills are seen through.
    pub(crate) begun: Sender<Begun>,
    /// How they ended.
    pub(crate) ended: Receiver<Ended>,
    /// Where losses are told of.
    pub(crate) losses: SyncSender<Loss>,
    /// What is counted.
    pub(crate) counters: Arc<Counters>,
}

/// Judges events, begins kills, and hands both on to be told of.
pub(crate) struct Guard<J, R> {
    judge: J,
    responder: R,
    /// Containers that are being killed or were a moment ago.
    kills: HashMap<CgroupId, Fate>,
    /// How many events there were.
    judged: u64,
    around: Surroundings,
}

/// What became of a container.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Dying,
    Gone(BootTime),
}

impl<J: Judge, R: Responder> Guard<J, R> {
    pub(crate) fn new(judge: J, responder: R, around: Surroundings) -> Self {
        Self {
            judge,
            responder,
            kills: HashMap::new(),
            judged: 0,
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
            SensorItem::Event(event) => self.event(event),
            SensorItem::Lost(loss) => {
                self.around.counters.events_lost.add(loss.class, loss.count);
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
        self.around.teller.tick();
    }

    fn event(&mut self, event: Event) {
        self.around.counters.events.add(event.activity.class(), 1);
        self.judged += 1;
        let timed = self.judged.is_multiple_of(SAMPLING);
        if timed {
            self.around.counters.handed.observe(self.age(&event));
        }
        let verdict = self.judge.judge(&event);
        if timed {
            self.around.counters.judged.observe(self.age(&event));
        }
        let Some(verdict) = verdict else {
            return;
        };
        // First the response, then the words.
        let taken = match verdict.response() {
            Response::Alert => None,
            Response::Deny | Response::Kill => match self.kill(&event) {
                Answer::Taken(taken) => Some(taken),
                Answer::Begun(cgroup, kill) => {
                    let begun = Begun {
                        cgroup,
                        kill,
                        event: Box::new(event),
                        verdict,
                    };
                    return self.hand_on(begun);
                }
            },
        };
        self.around.teller.tell(&event, &verdict, taken.as_ref());
    }

    /// How long ago an event happened.
    fn age(&self, event: &Event) -> Duration {
        let now = self.around.teller.now().as_nanos();
        Duration::from_nanos(now.saturating_sub(event.boot_time.as_nanos()))
    }

    /// Begins to kill the container of an event, unless that is being done or was.
    fn kill(&mut self, event: &Event) -> Answer {
        let Some(container) = &event.container else {
            self.around.counters.kills_failed.add(1);
            let detail = "not killed: the process is in no container".into();
            return Answer::Taken((Action::Failed, detail));
        };
        self.learn_of_ends();
        match self.kills.get(&container.cgroup) {
            Some(Fate::Dying) => return Answer::Taken(being_killed()),
            Some(Fate::Gone(at)) if event.boot_time <= *at => {
                return Answer::Taken(killed_before(event, *at));
            }
            _ => {}
        }
        match self.responder.kill(container) {
            Kill::Begun(kill) => Answer::Begun(container.cgroup, kill),
            Kill::Over(outcome) => {
                let teller = &self.around.teller;
                let now = teller.now();
                if matches!(outcome, KillOutcome::Killed(_)) {
                    self.kills.insert(container.cgroup, Fate::Gone(now));
                }
                Answer::Taken(taken(outcome, event, now, teller))
            }
        }
    }

    /// Leaves a kill to the thread that sees it through and tells of it.
    fn hand_on(&mut self, begun: Begun) {
        let cgroup = begun.cgroup;
        match self.around.begun.send(begun) {
            Ok(()) => {
                self.kills.insert(cgroup, Fate::Dying);
            }
            Err(unsent) => {
                // The daemon is about to end: its main thread has seen that the other one did.
                self.around.counters.kills_failed.add(1);
                let Begun { event, verdict, .. } = unsent.0;
                let detail = "the kill failed: it was begun, and nobody sees it through".into();
                self.around
                    .teller
                    .tell(&event, &verdict, Some(&(Action::Failed, detail)));
            }
        }
    }

    /// Takes note of how kills ended. One that failed is begun again at the next event that asks for it.
    fn learn_of_ends(&mut self) {
        let mut news = false;
        for Ended { cgroup, gone } in self.around.ended.try_iter() {
            news = true;
            match gone {
                Some(at) => self.kills.insert(cgroup, Fate::Gone(at)),
                None => self.kills.remove(&cgroup),
            };
        }
        if news {
            let now = self.around.teller.now().as_nanos();
            self.kills.retain(|_, fate| match fate {
                Fate::Dying => true,
                Fate::Gone(at) => now.saturating_sub(at.as_nanos()) < MEMORY.as_nanos() as u64,
            });
        }
    }
}

/// What came of asking for a kill.
enum Answer {
    /// All that can be said of it.
    Taken(Taken),
    /// It goes on.
    Begun(CgroupId, Box<dyn KillUnderWay>),
}

#[cfg(test)]
mod tests;
