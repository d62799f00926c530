//! How far a profile has come: the one function through which its status changes.
//!
//! ```text
//!               discovered, enabled
//!   Disabled ─────────────────────────► InProgress ──period over──► Finalizing
//!      ▲                                 ▲   ▲  ▲                     │  │  │
//!      │ disabled (from everywhere)      │   │  └─ lost too much ─────┘  │  │ startup seen, nothing lost
//!                     image set changed, │   │     (once: longer)         │  ▼
//!                     reset (from all)   │   └── startup seen ── Partial ◄┘ Completed
//! ```
//!
//! [`advance`] is a table over states and inputs in which no cell is left out, which the compiler checks. It reads no clock: [`Now`] is an
//! argument, and has two clocks in it, so that a wall clock that is set shortens or lengthens no learning.

mod clock;
mod state;

#[cfg(test)]
mod exploration;
#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::time::Timestamp;

pub use clock::{Now, Window};
pub use state::{NodeProgress, NodeState, Phase, Reason, Settings, State};

use super::entry::NodeName;

/// Something that happened to a pod group, or to who watches it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Input {
    /// A pod of the group was found.
    Discovered,
    /// A container's entrypoint was seen to start, in the version that is learned.
    StartupSeen,
    /// Time passed. It has to be said often: at least every few seconds while a period is running out.
    TimePassed,
    /// Something was learned.
    Learned {
        /// True when there was no room for all of it.
        limit_reached: bool,
    },
    /// The group has another image set.
    ImageSetChanged {
        /// Whether pods of the former one still run.
        old_pods: bool,
    },
    /// How a roll-out is going.
    RollOut {
        /// Whether pods of a former image set still run.
        old_pods: bool,
    },
    /// Profiling was switched off for the group.
    Disabled,
    /// Profiling was switched on for the group.
    Enabled,
    /// A user wants learning to begin again.
    Reset,
    /// The daemon started, with this state from its disk.
    Restarted {
        /// Whether the machine did as well, so that the clock since its start is another one.
        rebooted: bool,
    },
    /// So many events of the group were lost on this node.
    Lost(u64),
    /// What another node says, for the version that is learned.
    Report {
        /// Which one.
        node: NodeName,
        /// How far it has come.
        progress: NodeProgress,
    },
    /// A node says nothing any more, or has no pod of the group any more.
    NodeSilent(NodeName),
}

/// What has to be done, beside keeping the new state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// What was learned is kept aside with the state it had, to judge the pods of its image set.
    RetireLearned,
    /// What was learned is dropped; what a user made stays.
    ClearLearned,
    /// What was kept aside is dropped: no pod of a former image set runs any more.
    DropRetired,
    /// A period of learning begins.
    PeriodStarted,
    /// The period is longer, because events were lost in it.
    PeriodExtended,
    /// Learning is over: the profile is judged by from now on.
    Concluded,
}

/// The state after `input` at the time `now`, and what has to be done.
///
/// It is total and deterministic. The same input twice at the same time is as good as once, but for
/// [`Input::Lost`] (which counts), [`Input::ImageSetChanged`] and [`Input::Reset`] (which begin anew).
pub fn advance(state: &State, input: &Input, now: Now, settings: &Settings) -> (State, Vec<Effect>) {
    let mut step = Step {
        state: state.clone(),
        effects: Vec::new(),
        now,
        settings,
    };
    step.follow_clock(input);
    // What is late is counted before the period ends; all else happens after it.
    if !matches!(
        input,
        Input::Lost(_) | Input::Learned { .. } | Input::Report { .. }
    ) {
        step.pass_time();
    }
    step.take(input);
    step.pass_time();
    (step.state, step.effects)
}

struct Step<'s> {
    state: State,
    effects: Vec<Effect>,
    now: Now,
    settings: &'s Settings,
}

impl Step<'_> {
    /// The table: a part for each state, an arm for each input, none left out. Time has been seen to before.
    fn take(&mut self, input: &Input) {
        match self.state.phase {
            Phase::Disabled => self.take_disabled(input),
            Phase::InProgress { .. } | Phase::Finalizing { .. } => self.take_learning(input),
            Phase::Partial(reason) => self.take_partial(reason, input),
            Phase::Completed { .. } => self.take_completed(input),
        }
    }

    fn take_disabled(&mut self, input: &Input) {
        match input {
            Input::Discovered | Input::ImageSetChanged { .. } => {
                self.state.discovered = true;
                self.begin_if_due();
            }
            Input::Enabled => {
                self.state.enabled = true;
                self.begin_if_due();
            }
            Input::Disabled => self.state.enabled = false,
            Input::StartupSeen
            | Input::TimePassed
            | Input::Learned { .. }
            | Input::RollOut { .. }
            | Input::Reset
            | Input::Restarted { .. }
            | Input::Lost(_)
            | Input::Report { .. }
            | Input::NodeSilent(_) => {}
        }
    }

    fn take_learning(&mut self, input: &Input) {
        match input {
            Input::StartupSeen => self.state.startup_seen = true,
            Input::Learned { limit_reached } => {
                self.state.empty = false;
                self.state.limit_reached |= limit_reached;
            }
            Input::Lost(count) => self.state.lost = self.state.lost.saturating_add(*count),
            Input::Report { node, progress } => {
                self.state.report(node, progress);
                self.state.startup_seen |= progress.startup_seen;
            }
            Input::NodeSilent(node) => self.state.silence(node),
            Input::ImageSetChanged { old_pods } => {
                // What was learned of the former version is not complete, so nobody can be judged by it.
                self.roll_out(*old_pods);
                self.begin();
            }
            Input::RollOut { old_pods } => self.roll_out(*old_pods),
            Input::Disabled => self.disable(),
            Input::Reset => self.begin(),
            Input::Discovered | Input::TimePassed | Input::Enabled | Input::Restarted { .. } => {}
        }
    }

    fn take_partial(&mut self, reason: Reason, input: &Input) {
        match input {
            Input::StartupSeen => self.startup_after(reason),
            Input::Report { node, progress } => {
                let news = progress.startup_seen && !self.state.has_seen_startup_on(node);
                self.state.report(node, progress);
                if news {
                    self.startup_after(reason);
                }
            }
            Input::NodeSilent(node) => self.state.silence(node),
            Input::ImageSetChanged { old_pods } => self.retire(*old_pods),
            Input::RollOut { old_pods } => self.roll_out(*old_pods),
            Input::Disabled => self.disable(),
            Input::Reset => self.begin(),
            // What is lost or learned elsewhere now changes nothing of what was learned.
            Input::Learned { .. }
            | Input::Lost(_)
            | Input::Discovered
            | Input::TimePassed
            | Input::Enabled
            | Input::Restarted { .. } => {}
        }
    }

    fn take_completed(&mut self, input: &Input) {
        match input {
            Input::Report { node, progress } => self.state.report(node, progress),
            Input::NodeSilent(node) => self.state.silence(node),
            Input::ImageSetChanged { old_pods } => self.retire(*old_pods),
            Input::RollOut { old_pods } => self.roll_out(*old_pods),
            Input::Disabled => self.disable(),
            Input::Reset => self.begin(),
            Input::StartupSeen
            | Input::Learned { .. }
            | Input::Lost(_)
            | Input::Discovered
            | Input::TimePassed
            | Input::Enabled
            | Input::Restarted { .. } => {}
        }
    }

    fn begin_if_due(&mut self) {
        if self.state.enabled && self.state.discovered {
            self.begin();
        }
    }

    /// Begins to learn from nothing.
    fn begin(&mut self) {
        self.effects.push(Effect::ClearLearned);
        let state = &mut self.state;
        state.generation += 1;
        state.empty = true;
        state.limit_reached = false;
        state.startup_seen = false;
        state.nodes.clear();
        self.start_period(self.settings.learning_period);
    }

    /// The profile that was judged by goes on judging the pods of its version, and the new one is learned.
    fn retire(&mut self, old_pods: bool) {
        self.roll_out(old_pods);
        if old_pods {
            self.state.old_pods = true;
            self.effects.push(Effect::RetireLearned);
        }
        self.begin();
    }

    /// Pods of the former image set are gone, or are not.
    fn roll_out(&mut self, old_pods: bool) {
        if self.state.old_pods && !old_pods {
            self.effects.push(Effect::DropRetired);
        }
        self.state.old_pods &= old_pods;
    }

    fn start_period(&mut self, length: Duration) {
        self.state.lost = 0;
        self.state.extended = false;
        self.state.forgive_lost();
        self.state.window = Some(Window::new(self.now.wall, length));
        self.state.phase = Phase::InProgress { percent: 0 };
        self.effects.push(Effect::PeriodStarted);
    }

    /// A startup after a period that had seen none: a short period for what happens at a start. What was learned
    /// stays.
    fn startup_after(&mut self, reason: Reason) {
        match reason {
            Reason::StartupNotObserved => {
                self.state.startup_seen = true;
                self.start_period(self.settings.startup_window);
            }
            // A start makes up neither for what was lost nor for what there was no room for; and whoever can make
            // events be lost must not be able to stop the alerts by restarting a container.
            Reason::EventsLost | Reason::EntriesLimit => {}
        }
    }

    fn disable(&mut self) {
        self.roll_out(false);
        self.effects.push(Effect::ClearLearned);
        self.state = State {
            phase: Phase::Disabled,
            enabled: false,
            discovered: true,
            generation: self.state.generation,
            seen: self.state.seen,
            ..State::default()
        };
    }

    /// What is due by now.
    fn pass_time(&mut self) {
        let Some(window) = self.state.window else { return };
        if let Phase::InProgress { percent } = self.state.phase {
            if self.now.wall < window.end {
                let percent = percent.max(window.percent(self.now.wall));
                self.state.phase = Phase::InProgress { percent };
                return;
            }
            self.state.phase = Phase::Finalizing { since: self.now.wall };
        }
        if let Phase::Finalizing { since } = self.state.phase {
            let waited = self.now.wall.since(since);
            let awaits = self.state.awaited_nodes().next().is_some();
            let patience = 2 * self.settings.report_interval;
            if waited >= self.settings.settling && (!awaits || waited >= patience) {
                self.conclude(window);
            }
        }
    }

    fn conclude(&mut self, window: Window) {
        let state = &mut self.state;
        if !state.limit_reached && state.lost_in_period() > self.settings.lost_events && !state.extended {
            state.extended = true;
            state.lost = 0;
            state.forgive_lost();
            state.window = Some(window.extended_from(self.now.wall));
            state.phase = Phase::InProgress {
                percent: Window::MAX_PERCENT,
            };
            self.effects.push(Effect::PeriodExtended);
            return;
        }
        state.phase = if state.limit_reached {
            Phase::Partial(Reason::EntriesLimit)
        } else if state.lost_in_period() > self.settings.lost_events {
            Phase::Partial(Reason::EventsLost)
        } else if !state.startup_seen {
            Phase::Partial(Reason::StartupNotObserved)
        } else {
            Phase::Completed { empty: state.empty }
        };
        self.effects.push(Effect::Concluded);
    }

    /// Moves the period by what the wall clock was set, and by the time that nobody watched.
    fn follow_clock(&mut self, input: &Input) {
        let Self {
            state, now, settings, ..
        } = self;
        let restarted = match input {
            Input::Restarted { rebooted } => Some(*rebooted),
            _ => None,
        };
        if let Some(seen) = state.seen {
            let shift = clock::shift(seen, *now, restarted, settings.report_interval);
            let moved = |time: Timestamp| clock::moved(time, shift);
            if let Some(window) = &mut state.window {
                window.start = moved(window.start);
                window.end = moved(window.end);
            }
            if let Phase::Finalizing { since } = &mut state.phase {
                *since = moved(*since);
            }
        }
        state.seen = Some(*now);
    }
}
