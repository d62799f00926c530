//! The state that learning is in.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::clock::{Now, Window};
use crate::profile::entry::NodeName;
use crate::time::Timestamp;

/// How learning goes about; a policy may change the first two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How long a group is learned.
    pub learning_period: Duration,
    /// How long it is learned when a startup is seen that the period had none of.
    pub startup_window: Duration,
    /// How often nodes report. Two of these are waited for those that say nothing, and a daemon that was away for
    /// longer than one has missed part of the period.
    pub report_interval: Duration,
    /// How long a period that is over waits for what is late: a sensor tells of losses within a second.
    pub settling: Duration,
    /// How many events may be lost in a period, on all nodes together. With more it is never completed.
    pub lost_events: u64,
    /// How many entries may be learned for one profile, processes and destinations of all its containers together.
    pub max_entries: usize,
}

impl Default for Settings {
    /// 24 hours, 10 minutes for a start, a report every 5 minutes, 1.5 s for what is late, 10 lost events, 5,000
    /// entries.
    fn default() -> Self {
        Self {
            learning_period: Duration::from_hours(24),
            startup_window: Duration::from_mins(10),
            report_interval: Duration::from_mins(5),
            settling: Duration::from_millis(1500),
            lost_events: 10,
            max_entries: 5000,
        }
    }
}

/// What a profile is good for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// It is learned.
    InProgress {
        /// How much of the period is over, in steps of five; it never goes back within one period.
        percent: u8,
    },
    /// The period is over, and what nodes have not reported yet is waited for. Learning goes on.
    Finalizing {
        /// Since when.
        since: Timestamp,
    },
    /// It is judged by, and never acted upon.
    Partial(Reason),
    /// It is judged by, and may be acted upon.
    Completed {
        /// True when nothing at all was learned, so that everything is unexpected.
        empty: bool,
    },
    /// Profiling is off for the group, or no pod of it was found yet.
    Disabled,
}

impl Phase {
    /// The word for it, as in manifests.
    pub fn name(self) -> &'static str {
        match self {
            Self::InProgress { .. } => "InProgress",
            Self::Finalizing { .. } => "Finalizing",
            Self::Partial(_) => "Partial",
            Self::Completed { .. } => "Completed",
            Self::Disabled => "Disabled",
        }
    }

    /// Whether what processes do is learned.
    pub fn learns(self) -> bool {
        matches!(self, Self::InProgress { .. } | Self::Finalizing { .. })
    }

    /// Whether what is not in the profile is told of.
    pub fn judges(self) -> bool {
        matches!(self, Self::Partial(_) | Self::Completed { .. })
    }

    /// Whether what is not in the profile may be acted upon, where a user asks for that.
    pub fn may_prevent(self) -> bool {
        matches!(self, Self::Completed { .. })
    }

    /// How much of learning is done, in percent; `None` where there is no such thing.
    pub fn percent(self) -> Option<u8> {
        match self {
            Self::InProgress { percent } => Some(percent),
            Self::Finalizing { .. } | Self::Completed { .. } => Some(100),
            Self::Partial(_) | Self::Disabled => None,
        }
    }
}

/// Why a profile is partial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Reason {
    /// No container was seen to start while it was learned.
    StartupNotObserved,
    /// More events were lost than may be, in the period and when it was done again.
    EventsLost,
    /// There was more to learn than a profile has room for.
    EntriesLimit,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::StartupNotObserved, Self::EventsLost, Self::EntriesLimit];

    /// The word for it, as in manifests.
    pub fn name(self) -> &'static str {
        match self {
            Self::StartupNotObserved => "StartupNotObserved",
            Self::EventsLost => "EventsLost",
            Self::EntriesLimit => "EntriesLimit",
        }
    }

    /// What would complete the profile, as a sentence.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::StartupNotObserved => {
                "Start a container of the group anew: a short learning window follows."
            }
            Self::EventsLost => {
                "Reset the profile when the node has less load, or roll out another image: learning begins again."
            }
            Self::EntriesLimit => {
                "Reset the profile when the workload does fewer different things, or exclude what it does at random."
            }
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that is no reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no reason of a partial profile (StartupNotObserved, EventsLost, EntriesLimit)")]
pub struct InvalidReason(String);

impl FromStr for Reason {
    type Err = InvalidReason;

    fn from_str(text: &str) -> Result<Self, InvalidReason> {
        let found = Self::ALL.into_iter().find(|reason| reason.name() == text);
        found.ok_or_else(|| InvalidReason(text.to_owned()))
    }
}

/// How far a node has come, as it says itself. All of it only grows, so that reports may come twice or in any order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeProgress {
    /// Up to when everything that it learned is in its reports.
    pub until: Timestamp,
    /// Whether it saw a container start.
    pub startup_seen: bool,
    /// How many events of the group it has lost since learning began.
    pub lost: u64,
}

impl NodeProgress {
    /// Takes in another report of the same node.
    pub fn merge(&mut self, other: &Self) {
        self.until = self.until.max(other.until);
        self.startup_seen |= other.startup_seen;
        self.lost = self.lost.max(other.lost);
    }
}

/// What is known of another node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeState {
    /// What it said.
    pub progress: NodeProgress,
    /// How many of its lost events were before the period that counts.
    pub forgiven: u64,
    /// Whether nothing more is to be expected of it.
    pub silent: bool,
}

/// All that [`advance`](super::advance) goes by.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, in any combination"
)]
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct State {
    /// What the profile is good for.
    pub phase: Phase,
    /// Whether a policy switches profiling on.
    pub enabled: bool,
    /// Whether a pod of the group was found.
    pub discovered: bool,
    /// How many times learning began from nothing. What nodes report is for one of these.
    pub generation: u64,
    /// The period of learning, the latest one.
    pub window: Option<Window>,
    /// Whether a container was seen to start since learning began.
    pub startup_seen: bool,
    /// Whether nothing was learned since learning began.
    pub empty: bool,
    /// Whether there was no room for something.
    pub limit_reached: bool,
    /// How many events this node lost in the period.
    pub lost: u64,
    /// Whether the period was made longer because events were lost.
    pub extended: bool,
    /// Other nodes.
    pub nodes: BTreeMap<NodeName, NodeState>,
    /// Whether pods of a former image set still run.
    pub old_pods: bool,
    /// When the state was last changed.
    pub seen: Option<Now>,
}

impl Default for State {
    /// Of a group of which nothing is known yet, where profiling is on.
    fn default() -> Self {
        Self {
            phase: Phase::Disabled,
            enabled: true,
            discovered: false,
            generation: 0,
            window: None,
            startup_seen: false,
            empty: true,
            limit_reached: false,
            lost: 0,
            extended: false,
            nodes: BTreeMap::new(),
            old_pods: false,
            seen: None,
        }
    }
}

impl State {
    /// Events lost in the period, on all nodes.
    pub fn lost_in_period(&self) -> u64 {
        let nodes = self.nodes.values();
        nodes.fold(self.lost, |sum, node| {
            sum.saturating_add(node.progress.lost.saturating_sub(node.forgiven))
        })
    }

    /// The nodes that have not reported past the end of the period, those that are silent left out.
    pub fn awaited_nodes(&self) -> impl Iterator<Item = &NodeName> {
        self.unheard_nodes()
            .filter(|(_, node)| !node.silent)
            .map(|(name, _)| name)
    }

    /// The nodes that have not reported past the end of the period, silent or not: what they saw may be missing.
    pub fn missing_nodes(&self) -> impl Iterator<Item = &NodeName> {
        self.unheard_nodes().map(|(name, _)| name)
    }

    fn unheard_nodes(&self) -> impl Iterator<Item = (&NodeName, &NodeState)> {
        let end = self.window.map(|window| window.end).unwrap_or_default();
        self.nodes
            .iter()
            .filter(move |(_, node)| node.progress.until < end)
    }

    pub(super) fn report(&mut self, node: &NodeName, progress: &NodeProgress) {
        let known = self.nodes.entry(node.clone()).or_default();
        known.progress.merge(progress);
        known.silent = false;
    }

    pub(super) fn silence(&mut self, node: &NodeName) {
        if let Some(known) = self.nodes.get_mut(node) {
            known.silent = true;
        }
    }

    pub(super) fn has_seen_startup_on(&self, node: &NodeName) -> bool {
        self.nodes
            .get(node)
            .is_some_and(|node| node.progress.startup_seen)
    }

    pub(super) fn forgive_lost(&mut self) {
        for node in self.nodes.values_mut() {
            node.forgiven = node.progress.lost;
        }
    }
}
