//! A profile: what was learned of a pod group, what users say of it, and how far it has come.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::entry::{Destination, EntryMeta, NetworkEntry, NodeName, ProcessEntry, Source};
use super::key::{ImageSet, ProfileKey};
use super::merge::{MergeError, Observations};
use super::status::{Effect, Input, NodeProgress, Now, Settings, State, advance};
use crate::raw::RawString;
use crate::time::Timestamp;

/// The profile of one pod group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Whose it is.
    pub key: ProfileKey,
    /// The version that is learned, or was.
    pub image_set: ImageSet,
    /// How far it has come. [`apply`](Self::apply) is what changes it.
    pub state: State,
    /// What was learned, by the container's name: init, side-car and ephemeral containers are each apart.
    pub containers: BTreeMap<String, Entries>,
    /// What users say, which stays whatever is learned.
    pub user: UserEntries,
    /// Former versions that pods of a roll-out are still judged by, the latest last.
    pub retired: Vec<Retired>,
}

/// Entries of one container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entries {
    /// Processes.
    pub processes: BTreeMap<ProcessEntry, EntryMeta>,
    /// What they reach.
    pub network: BTreeMap<NetworkEntry, EntryMeta>,
}

impl Entries {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.processes.len() + self.network.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.processes.is_empty() && self.network.is_empty()
    }
}

/// What users say of a group. The containers' names may have wildcards as well: `*` is every container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserEntries {
    /// What is allowed.
    pub allowed: BTreeMap<String, Entries>,
    /// What is not, even where it was learned or is allowed.
    pub removed: BTreeMap<String, Removed>,
}

/// Entries of one container that a user removed. They stay removed however often they run again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removed {
    /// Processes.
    pub processes: BTreeSet<ProcessEntry>,
    /// What they reach.
    pub network: BTreeSet<NetworkEntry>,
}

/// What was learned of a former image set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retired {
    /// Which one.
    pub image_set: ImageSet,
    /// How far it had come.
    pub state: State,
    /// What was learned.
    pub containers: BTreeMap<String, Entries>,
}

/// How many former versions are kept: with more roll-outs under way at one time, the oldest pods are not judged.
const MAX_RETIRED: usize = 4;

/// The arguments of a command that the pod's own spec has the runtime execute in a container: an exec probe or a
/// lifecycle hook.
pub type Command = Vec<RawString>;

impl Profile {
    /// Of a group that nothing is known of yet.
    pub fn new(key: ProfileKey, image_set: ImageSet) -> Self {
        Self {
            key,
            image_set,
            state: State::default(),
            containers: BTreeMap::new(),
            user: UserEntries::default(),
            retired: Vec::new(),
        }
    }

    /// Takes in what happened, and does what follows from it for the entries. For another image set it is
    /// [`change_image_set`](Self::change_image_set).
    pub fn apply(&mut self, input: &Input, now: Now, settings: &Settings) -> Vec<Effect> {
        let (state, effects) = advance(&self.state, input, now, settings);
        let before = std::mem::replace(&mut self.state, state);
        for effect in &effects {
            match effect {
                Effect::RetireLearned => {
                    self.retired.push(Retired {
                        image_set: self.image_set.clone(),
                        state: before.clone(),
                        containers: std::mem::take(&mut self.containers),
                    });
                    if self.retired.len() > MAX_RETIRED {
                        self.retired.remove(0);
                    }
                }
                Effect::ClearLearned => self.containers.clear(),
                Effect::DropRetired => self.retired.clear(),
                Effect::PeriodStarted | Effect::PeriodExtended | Effect::Concluded => {}
            }
        }
        effects
    }

    /// The group has this image set now. Learning begins anew where it is another one, and the pods of the former one
    /// are judged by what was learned of them for as long as there are any.
    pub fn change_image_set(
        &mut self,
        image_set: ImageSet,
        old_pods: bool,
        now: Now,
        settings: &Settings,
    ) -> Vec<Effect> {
        if image_set == self.image_set {
            return Vec::new();
        }
        let effects = self.apply(&Input::ImageSetChanged { old_pods }, now, settings);
        // A version that comes back is learned anew.
        self.retired.retain(|retired| retired.image_set != image_set);
        self.image_set = image_set;
        effects
    }

    /// How many entries were learned.
    pub fn learned(&self) -> usize {
        self.containers.values().map(Entries::len).sum()
    }

    /// What this node has to tell of what it learned.
    pub fn observations(&self, node: &NodeName, progress: NodeProgress) -> Observations {
        let mut containers = self.containers.clone();
        for entries in containers.values_mut() {
            let metas = entries.processes.values_mut().chain(entries.network.values_mut());
            metas.for_each(|meta| meta.nodes = vec![node.clone()]);
        }
        Observations {
            containers,
            nodes: [(node.clone(), progress)].into(),
            overflowed: self.state.limit_reached,
            ..Observations::new(self.key.clone(), self.image_set.clone(), self.state.generation)
        }
    }

    /// Takes in what nodes learned. While the profile is learned, entries are added up to the bound and the nodes'
    /// progress counts; afterwards the progress alone is noted, since entries that come later were not learned. An
    /// error changes nothing.
    pub fn take_observations(
        &mut self,
        observations: &Observations,
        now: Now,
        settings: &Settings,
    ) -> Result<Vec<Effect>, MergeError> {
        let mut merged = Observations::new(self.key.clone(), self.image_set.clone(), self.state.generation);
        merged.check(observations)?;
        let mut effects = Vec::new();
        if self.state.phase.learns() {
            merged.containers = std::mem::take(&mut self.containers);
            let outcome = merged.merge(observations, settings.max_entries);
            self.containers = merged.containers;
            outcome?;
            if merged.overflowed || !self.containers.is_empty() {
                let limit_reached = merged.overflowed;
                effects.extend(self.apply(&Input::Learned { limit_reached }, now, settings));
            }
        }
        for (node, progress) in &observations.nodes {
            let input = Input::Report {
                node: node.clone(),
                progress: *progress,
            };
            effects.extend(self.apply(&input, now, settings));
        }
        Ok(effects)
    }
}

impl UserEntries {
    /// Whether users say nothing.
    pub fn is_empty(&self) -> bool {
        self.allowed.is_empty() && self.removed.is_empty()
    }

    /// Allows a process in the containers of this name.
    pub fn allow_process(&mut self, container: &str, entry: ProcessEntry, time: Timestamp) {
        let entries = self.allowed.entry(container.to_owned()).or_default();
        entries.processes.insert(entry, user_meta(time));
    }

    /// Allows to reach something from the containers of this name.
    pub fn allow_network(&mut self, container: &str, entry: NetworkEntry, time: Timestamp) {
        let entries = self.allowed.entry(container.to_owned()).or_default();
        entries.network.insert(entry, user_meta(time));
    }

    /// Removes a process from the containers of this name.
    pub fn remove_process(&mut self, container: &str, entry: ProcessEntry) {
        self.removed
            .entry(container.to_owned())
            .or_default()
            .processes
            .insert(entry);
    }

    /// Removes a destination from the containers of this name.
    pub fn remove_network(&mut self, container: &str, entry: NetworkEntry) {
        self.removed
            .entry(container.to_owned())
            .or_default()
            .network
            .insert(entry);
    }
}

fn user_meta(time: Timestamp) -> EntryMeta {
    EntryMeta {
        source: Source::User,
        ..EntryMeta::learned(time)
    }
}

/// Ports that clients, and servers of tests, get from the kernel by chance.
const EPHEMERAL: u16 = 32_768;

impl Destination {
    /// As it is learned where no name is known for the address. On the loopback address, ports from 32768 on are one:
    /// there both ends of a connection may have one by chance.
    pub fn learned_address(address: IpAddr, port: u16) -> Self {
        let address = address.to_canonical();
        Self::Address {
            network: super::entry::Cidr::single(address),
            port: (!address.is_loopback() || port < EPHEMERAL).then_some(port),
        }
    }
}

#[cfg(test)]
mod tests;
