//! All profiles of a node, and the containers that they are for.

use std::collections::BTreeMap;
use std::sync::Arc;

use runtime_core::container::ContainerRole;
use runtime_core::event::NetworkOperation;
use runtime_core::profile::{
    Command, Effect, ImageSet, Input, MergeError, Now, Observations, Profile, ProfileKey, Settings,
    UserEntries,
};
use runtime_core::{
    Activity, Container, ContainerId, EngineKind, Event, EventClass, Finding, Loss, Response,
};

use super::flagged::Flagged;
use super::group::{Group, Place, Shared, Version, now_of};
use super::hash::IdMap;
use super::interner::{Interner, Symbol};
use super::near::Expected;
use super::recent::{Bound, Recent};

/// The profiles of a node.
///
/// Whoever drives it says which containers there are ([`bind`](Self::bind)), what happens to their groups
/// ([`apply`](Self::apply), [`change_image_set`](Self::change_image_set)), what policies say of them
/// ([`set_settings`](Self::set_settings), [`set_rules`](Self::set_rules)), which events were lost
/// ([`lose`](Self::lose)), and, every second or so, what time it is ([`tick`](Self::tick)). What has changed since it was
/// last asked is in [`take_changed`](Self::take_changed), to be written.
#[derive(Debug)]
pub struct Profiles {
    /// Of groups that nobody set others for.
    settings: Settings,
    groups: Vec<Option<Group>>,
    places: BTreeMap<ProfileKey, usize>,
    bindings: IdMap<ContainerId, Binding>,
    recent: Recent,
    interner: Interner,
    flagged: Flagged,
    scratch: Vec<u8>,
}

/// A container that runs.
#[derive(Debug)]
struct Binding {
    group: usize,
    name: String,
    symbol: Symbol,
    image_set: ImageSet,
    version: Version,
}

impl Binding {
    fn place(&self) -> Place<'_> {
        Place {
            container: &self.name,
            symbol: self.symbol,
            version: self.version,
        }
    }
}

/// What happened to a profile.
pub type Change = (ProfileKey, Vec<Effect>);

impl Profiles {
    /// None yet; groups are learned with these settings unless others are set for them.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            groups: Vec::new(),
            places: BTreeMap::new(),
            bindings: IdMap::default(),
            recent: Recent::new(),
            interner: Interner::new(),
            flagged: Flagged::default(),
            scratch: Vec::new(),
        }
    }

    /// Takes in a profile, as it was kept, in the place of the group's former one. Settings, rules, commands and
    /// containers of the group stay.
    pub fn insert(&mut self, profile: Profile) {
        let key = profile.key.clone();
        let place = self.group_place(&key, &ImageSet::default());
        if let Some(group) = &mut self.groups[place] {
            group.profile = profile;
            group.changed = true;
            group.index_all(&mut self.interner);
            group.index_users();
        }
        self.bind_anew(place);
    }

    /// Forgets a group, its profile and its containers. Returns the profile.
    pub fn remove(&mut self, key: &ProfileKey) -> Option<Profile> {
        let place = self.places.remove(key)?;
        let group = self.groups[place].take()?;
        self.recent.clear();
        let profile = group.profile.clone();
        group.release(&mut self.interner);
        let interner = &mut self.interner;
        self.bindings.retain(|_, binding| {
            let stays = binding.group != place;
            if !stays {
                interner.release(binding.symbol);
            }
            stays
        });
        Some(profile)
    }

    /// The group's profile.
    pub fn get(&self, key: &ProfileKey) -> Option<&Profile> {
        let place = *self.places.get(key)?;
        self.groups[place].as_ref().map(|group| &group.profile)
    }

    /// All profiles, sorted by group.
    pub fn iter(&self) -> impl Iterator<Item = &Profile> {
        let groups = self
            .places
            .values()
            .filter_map(|&place| self.groups[place].as_ref());
        groups.map(|group| &group.profile)
    }

    /// The profiles that have changed since this was last asked.
    pub fn take_changed(&mut self) -> Vec<ProfileKey> {
        let changed = self.groups.iter_mut().flatten().filter_map(|group| {
            let changed = std::mem::take(&mut group.changed);
            changed.then(|| group.profile.key.clone())
        });
        changed.collect()
    }

    /// The container runs, as a part of this group's pods with this image set: its events are learned, or judged, from
    /// now on. It goes by its name, or by its id where it has none. A group of which there is no profile gets one that
    /// waits for [`Input::Discovered`], of this image set.
    ///
    /// A container of another image set than the profile's changes nothing of the profile: whether the group has a
    /// newer version is the caller's to say, with [`change_image_set`](Self::change_image_set). Sandboxes are left out.
    pub fn bind(&mut self, container: &Container, key: &ProfileKey, image_set: ImageSet) {
        if container.role == ContainerRole::Sandbox {
            return;
        }
        self.unbind(&container.id);
        let group = self.group_place(key, &image_set);
        let name = name_of(container).to_owned();
        let version = self.groups[group]
            .as_ref()
            .map_or(Version::None, |group| group.version_of(&image_set));
        let binding = Binding {
            group,
            symbol: self.interner.acquire(name.as_bytes()),
            name,
            image_set,
            version,
        };
        self.bindings.insert(container.id.clone(), binding);
    }

    /// The container is gone.
    pub fn unbind(&mut self, container: &ContainerId) {
        if let Some(binding) = self.bindings.remove(container) {
            self.recent.clear();
            self.interner.release(binding.symbol);
        }
    }

    /// Whether containers run that are judged by a former version of the group's profile: old pods of a roll-out.
    pub fn has_old_containers(&self, key: &ProfileKey) -> bool {
        let place = self.places.get(key);
        let mut bindings = self.bindings.values();
        place.is_some_and(|&place| {
            bindings.any(|binding| binding.group == place && binding.version != Version::Present)
        })
    }

    /// Something happened to a group. Of one that there is no profile of there is nothing to change.
    pub fn apply(&mut self, key: &ProfileKey, input: &Input, now: Now) -> Vec<Effect> {
        let Some(&place) = self.places.get(key) else {
            return Vec::new();
        };
        let Some(group) = &mut self.groups[place] else {
            return Vec::new();
        };
        let effects = group.apply(input, now, &mut self.interner);
        self.follow(place, &effects);
        effects
    }

    /// The group has this image set from now on, and its containers of that set are learned.
    pub fn change_image_set(
        &mut self,
        key: &ProfileKey,
        image_set: ImageSet,
        old_pods: bool,
        now: Now,
    ) -> Vec<Effect> {
        let place = self.group_place(key, &image_set);
        let Some(group) = &mut self.groups[place] else {
            return Vec::new();
        };
        let effects = group
            .profile
            .change_image_set(image_set, old_pods, now, &group.settings);
        group.changed |= !effects.is_empty();
        group.follow(&effects, &mut self.interner);
        // Without any effect as well: a profile that is not learned has another version now, too.
        self.bind_anew(place);
        effects
    }

    /// The group's image set is known more fully now, which is no other version: what is learned stays. Containers
    /// that were bound with the former set are of this one.
    pub fn complete_image_set(&mut self, key: &ProfileKey, image_set: &ImageSet) {
        let place = self.group_place(key, image_set);
        let Some(group) = &mut self.groups[place] else {
            return;
        };
        let former = std::mem::replace(&mut group.profile.image_set, image_set.clone());
        group.changed |= former != *image_set;
        for binding in self.bindings.values_mut() {
            if binding.group == place && binding.image_set == former {
                binding.image_set = image_set.clone();
            }
        }
        self.bind_anew(place);
    }

    /// Takes in what nodes report of the group.
    pub fn take_observations(
        &mut self,
        observations: &Observations,
        now: Now,
    ) -> Result<Vec<Effect>, MergeError> {
        let Some(&place) = self.places.get(&observations.key) else {
            return Ok(Vec::new());
        };
        let Some(group) = &mut self.groups[place] else {
            return Ok(Vec::new());
        };
        let effects = group
            .profile
            .take_observations(observations, now, &group.settings)?;
        group.changed = true;
        group.index_all(&mut self.interner);
        self.follow(place, &effects);
        Ok(effects)
    }

    /// Time passes, for all groups. Returns those that something came of.
    pub fn tick(&mut self, now: Now) -> Vec<Change> {
        self.apply_all(&Input::TimePassed, now)
    }

    /// The daemon started, and all profiles are those that it kept.
    pub fn restart(&mut self, rebooted: bool, now: Now) -> Vec<Change> {
        self.apply_all(&Input::Restarted { rebooted }, now)
    }

    /// Events were lost. Only those count that could have been learned or say who a process is.
    pub fn lose(&mut self, loss: &Loss, now: Now) -> Vec<Effect> {
        let counts = matches!(
            loss.class,
            EventClass::Exec | EventClass::Fork | EventClass::Network | EventClass::Dns
        );
        let binding = loss
            .container
            .as_ref()
            .filter(|_| counts)
            .and_then(|container| self.bindings.get(&container.id));
        let Some(place) = binding.map(|binding| binding.group) else {
            return Vec::new();
        };
        let Some(group) = &mut self.groups[place] else {
            return Vec::new();
        };
        let effects = group.apply(&Input::Lost(loss.count), now, &mut self.interner);
        self.follow(place, &effects);
        effects
    }

    /// How the group is learned from now on. A period that has begun keeps its length.
    pub fn set_settings(&mut self, key: &ProfileKey, settings: Settings) {
        let group = self
            .places
            .get(key)
            .and_then(|&place| self.groups[place].as_mut());
        if let Some(group) = group {
            group.settings = settings;
        }
    }

    /// What policies allow and deny for the group, in the place of what they did. It is beside what the profile itself
    /// has of users, and no part of it.
    pub fn set_rules(&mut self, key: &ProfileKey, rules: UserEntries) {
        let group = self
            .places
            .get(key)
            .and_then(|&place| self.groups[place].as_mut());
        if let Some(group) = group {
            group.rules = rules;
            group.index_users();
        }
    }

    /// Changes what the profile itself has of users.
    pub fn edit_user_entries(&mut self, key: &ProfileKey, edit: impl FnOnce(&mut UserEntries)) {
        let group = self
            .places
            .get(key)
            .and_then(|&place| self.groups[place].as_mut());
        if let Some(group) = group {
            edit(&mut group.profile.user);
            group.changed = true;
            group.index_users();
        }
    }

    /// The exec probes and lifecycle hooks of one container in the pod's spec, in the place of those before: each with
    /// all its arguments, the zeroth among them.
    pub fn set_commands(&mut self, key: &ProfileKey, container: &str, commands: Vec<Command>) {
        let group = self
            .places
            .get(key)
            .and_then(|&place| self.groups[place].as_mut());
        if let Some(group) = group {
            group.commands.insert(container.to_owned(), commands);
        }
    }

    /// Learns from an event, or judges it. What other engines found in it has to be in `findings`: of that nothing is
    /// learned, and where it asks for more than an alert, nothing of what its process does later, or who is started by
    /// it.
    pub fn judge(&mut self, event: &Event, findings: &mut Vec<Finding>) {
        let Some(container) = &event.container else { return };
        let Some(Bound {
            group,
            symbol,
            version,
        }) = self.bound(container)
        else {
            return;
        };
        let place = Place {
            container: name_of(container),
            symbol,
            version,
        };
        let Some(group) = &mut self.groups[group] else {
            return;
        };
        if !findings.is_empty() {
            let by_others = |finding: &&Finding| finding.engine != EngineKind::Profiling;
            if findings
                .iter()
                .filter(by_others)
                .any(|finding| finding.response > Response::Alert)
            {
                self.flagged.add(event.process.key());
            }
        }
        let exec = match &event.activity {
            Activity::Exec(exec) => Some(exec),
            Activity::Network(network)
                if matches!(
                    network.operation,
                    NetworkOperation::Connect | NetworkOperation::Send
                ) =>
            {
                None
            }
            _ => return,
        };
        // A start can make a profile be learned again, this very event included.
        if exec.is_some_and(|exec| exec.startup) && version == Version::Present {
            group.apply(&Input::StartupSeen, now_of(event), &mut self.interner);
        }
        let learns = group.profile.state.phase.learns();
        let mut shared = Shared {
            may_learn: learns && findings.is_empty() && !self.flagged.concerns(&event.process),
            interner: &mut self.interner,
            scratch: &mut self.scratch,
        };
        match &event.activity {
            Activity::Network(network) => group.reach(event, network, place, &mut shared, findings),
            _ => group.exec(event, place, &mut shared, findings),
        }
    }

    /// Takes the process of an event out of what was learned of it, and what it reached: somebody found out late that
    /// its file is malicious. Nothing of what it does later is learned either.
    pub fn unlearn(&mut self, event: &Event) {
        self.flagged.add(event.process.key());
        let Some(binding) = event
            .container
            .as_ref()
            .and_then(|container| self.bindings.get(&container.id))
        else {
            return;
        };
        if let Some(group) = &mut self.groups[binding.group] {
            let mut shared = Shared {
                may_learn: false,
                interner: &mut self.interner,
                scratch: &mut self.scratch,
            };
            group.unlearn(event, binding.place(), &mut shared);
        }
    }

    /// What the profile has near this event.
    pub fn expected(&self, event: &Event) -> Expected {
        let binding = event
            .container
            .as_ref()
            .and_then(|container| self.bindings.get(&container.id));
        let found = binding.and_then(|binding| Some((self.groups[binding.group].as_ref()?, binding.place())));
        found
            .map(|(group, place)| group.expected(event, place))
            .unwrap_or_default()
    }

    /// How many texts are kept.
    #[cfg(test)]
    pub(super) fn texts(&self) -> usize {
        self.interner.len()
    }

    /// What the container of an event is bound to.
    fn bound(&mut self, container: &Arc<Container>) -> Option<Bound> {
        if let Some(bound) = self.recent.find(container) {
            return Some(bound);
        }
        let binding = self.bindings.get_mut(&container.id)?;
        if binding.name != name_of(container) {
            // More became known of it since.
            name_of(container).clone_into(&mut binding.name);
            let former = binding.symbol;
            binding.symbol = self.interner.acquire(binding.name.as_bytes());
            self.interner.release(former);
        }
        let bound = Bound {
            group: binding.group,
            symbol: binding.symbol,
            version: binding.version,
        };
        self.recent.keep(container, bound);
        Some(bound)
    }

    fn apply_all(&mut self, input: &Input, now: Now) -> Vec<Change> {
        let mut changes = Vec::new();
        for place in 0..self.groups.len() {
            let Some(group) = &mut self.groups[place] else {
                continue;
            };
            let effects = group.apply(input, now, &mut self.interner);
            if effects.is_empty() {
                continue;
            }
            changes.push((group.profile.key.clone(), effects.clone()));
            self.follow(place, &effects);
        }
        changes
    }

    /// After these effects on a group.
    fn follow(&mut self, place: usize, effects: &[Effect]) {
        if !effects.is_empty() {
            self.bind_anew(place);
        }
    }

    /// Finds out anew which version the group's containers are of.
    fn bind_anew(&mut self, place: usize) {
        let Some(group) = &self.groups[place] else { return };
        self.recent.clear();
        for binding in self
            .bindings
            .values_mut()
            .filter(|binding| binding.group == place)
        {
            binding.version = group.version_of(&binding.image_set);
        }
    }

    /// The group's place; where there is none it gets one.
    fn group_place(&mut self, key: &ProfileKey, image_set: &ImageSet) -> usize {
        if let Some(&place) = self.places.get(key) {
            return place;
        }
        let profile = Profile::new(key.clone(), image_set.clone());
        let group = Group::new(profile, self.settings.clone(), &mut self.interner);
        let free = self.groups.iter().position(Option::is_none);
        let place = free.unwrap_or(self.groups.len());
        if free.is_none() {
            self.groups.push(None);
        }
        self.groups[place] = Some(group);
        self.places.insert(key.clone(), place);
        place
    }
}

/// The name that a container's entries are kept under.
fn name_of(container: &Container) -> &str {
    container.name.as_deref().unwrap_or(container.id.as_str())
}
