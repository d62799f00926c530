//! What several nodes saw of one group, as one.

use std::collections::BTreeMap;

use super::entry::{EntryMeta, NodeName};
use super::key::{ImageSet, ProfileKey};
use super::model::Entries;
use super::status::NodeProgress;

/// What one node, or several, saw of a group while it was learned.
///
/// [`merge`](Self::merge) is commutative, associative and idempotent, under one bound: reports may come in any order,
/// twice, and by way of others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observations {
    /// Of which group.
    pub key: ProfileKey,
    /// In which version.
    pub image_set: ImageSet,
    /// Since learning began for which time: see [`State::generation`](super::State::generation).
    pub generation: u64,
    /// What was seen, by the container's name.
    pub containers: BTreeMap<String, Entries>,
    /// How far each node has come.
    pub nodes: BTreeMap<NodeName, NodeProgress>,
    /// Whether there was no room for something, here or on a node.
    pub overflowed: bool,
}

/// Why observations are not of one profile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MergeError {
    /// They are of different groups.
    #[error("the observations are of {found}, not of {expected}")]
    Group {
        /// Whose profile it is.
        expected: Box<ProfileKey>,
        /// Whose observations.
        found: Box<ProfileKey>,
    },
    /// They are of different image sets.
    #[error("the observations are of the images {found}, and {expected} are learned")]
    ImageSet {
        /// What is learned.
        expected: Box<ImageSet>,
        /// What was observed.
        found: Box<ImageSet>,
    },
    /// Learning began anew between them.
    #[error("the observations are of the learning number {found}, and it is number {expected}")]
    Generation {
        /// What is learned.
        expected: u64,
        /// What was observed.
        found: u64,
    },
}

impl Observations {
    /// Of this version, with nothing in it.
    pub fn new(key: ProfileKey, image_set: ImageSet, generation: u64) -> Self {
        Self {
            key,
            image_set,
            generation,
            containers: BTreeMap::new(),
            nodes: BTreeMap::new(),
            overflowed: false,
        }
    }

    /// Takes in others of the same version, and keeps at most `max_entries` entries: those that sort first, by
    /// container, processes before destinations. By their order and not by their time, because only then it does not
    /// matter which reports were merged first. An error changes nothing.
    pub fn merge(&mut self, other: &Self, max_entries: usize) -> Result<(), MergeError> {
        self.check(other)?;
        let Self {
            key: _,
            image_set: _,
            generation: _,
            containers,
            nodes,
            overflowed,
        } = other;
        for (name, observed) in containers {
            let ours = self.containers.entry(name.clone()).or_default();
            merge_entries(&mut ours.processes, &observed.processes);
            merge_entries(&mut ours.network, &observed.network);
        }
        for (node, progress) in nodes {
            self.nodes.entry(node.clone()).or_default().merge(progress);
        }
        self.overflowed |= overflowed;
        self.bound(max_entries);
        Ok(())
    }

    /// How many entries there are.
    pub fn entries(&self) -> usize {
        self.containers.values().map(Entries::len).sum()
    }

    fn bound(&mut self, max_entries: usize) {
        let mut room = max_entries;
        for observed in self.containers.values_mut() {
            self.overflowed |= observed.len() > room;
            truncate(&mut observed.processes, &mut room);
            truncate(&mut observed.network, &mut room);
        }
        self.containers.retain(|_, observed| !observed.is_empty());
    }

    pub(super) fn check(&self, other: &Self) -> Result<(), MergeError> {
        if self.key != other.key {
            return Err(MergeError::Group {
                expected: Box::new(self.key.clone()),
                found: Box::new(other.key.clone()),
            });
        }
        if self.image_set != other.image_set {
            return Err(MergeError::ImageSet {
                expected: Box::new(self.image_set.clone()),
                found: Box::new(other.image_set.clone()),
            });
        }
        if self.generation != other.generation {
            return Err(MergeError::Generation {
                expected: self.generation,
                found: other.generation,
            });
        }
        Ok(())
    }
}

fn merge_entries<E: Ord + Clone>(ours: &mut BTreeMap<E, EntryMeta>, theirs: &BTreeMap<E, EntryMeta>) {
    for (entry, meta) in theirs {
        match ours.get_mut(entry) {
            Some(known) => known.merge(meta),
            None => {
                ours.insert(entry.clone(), meta.clone());
            }
        }
    }
}

/// Keeps as many entries as there is room for, and takes their number from it.
fn truncate<E: Ord + Clone>(entries: &mut BTreeMap<E, EntryMeta>, room: &mut usize) {
    if let Some(first_out) = entries.keys().nth(*room).cloned() {
        entries.split_off(&first_out);
    }
    *room -= entries.len();
}

#[cfg(test)]
mod tests;
