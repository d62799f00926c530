//! One pod group: its profile, and what is needed to learn it and to judge by it.

use std::collections::HashMap;
use std::sync::Arc;

use runtime_core::event::network::NetworkActivity;
use runtime_core::process::ParentExe;
use runtime_core::profile::collapse::collapse;
use runtime_core::profile::{
    ANY, Command, Destination, Effect, Entries, EntryMeta, ImageSet, Input, NetworkEntry, Now, Phase,
    ProcessEntry, Profile, Settings, UserEntries,
};
use runtime_core::{EngineKind, Event, Finding, ProcessIdentity, RawString, Response, RuleRef, Severity};

use super::commands::is_command;
use super::index::{Index, NetworkSymbols, Target, find_path, find_process};
use super::interner::{Interner, Symbol};
use super::near::{Expected, network_title, process_title};
use super::users::{Reached, Users};
use super::{UNEXPECTED_NETWORK, UNEXPECTED_PROCESS};

/// The port that questions for names go to.
const DNS: u16 = 53;

/// Which version of the group's profile is for a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    /// The one that is, or was, learned last.
    Present,
    /// One that is kept for a roll-out's old pods, by its place.
    Retired(usize),
    /// None: the container is of an image set that nothing is known of.
    None,
}

/// Where something happens.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'b> {
    pub(super) container: &'b str,
    pub(super) symbol: Symbol,
    pub(super) version: Version,
}

#[derive(Debug)]
pub(super) struct Group {
    pub(super) profile: Profile,
    pub(super) settings: Settings,
    /// What policies say, beside what is in the profile itself.
    pub(super) rules: UserEntries,
    /// True when the profile is another one since somebody asked.
    pub(super) changed: bool,
    pub(super) commands: HashMap<String, Vec<Command>>,
    present: Index,
    retired: Vec<Index>,
    users: Users,
    /// How many entries the profile has.
    learned: usize,
}

/// What the group shares with all others while it looks at an event.
#[derive(Debug)]
pub(super) struct Shared<'p> {
    pub(super) interner: &'p mut Interner,
    pub(super) scratch: &'p mut Vec<u8>,
    pub(super) may_learn: bool,
}

impl Group {
    pub(super) fn new(profile: Profile, settings: Settings, interner: &mut Interner) -> Self {
        let mut group = Self {
            profile,
            settings,
            rules: UserEntries::default(),
            changed: true,
            commands: HashMap::new(),
            present: Index::default(),
            retired: Vec::new(),
            users: Users::default(),
            learned: 0,
        };
        group.index_all(interner);
        group.index_users();
        group
    }

    /// Which version is for a container of this image set.
    pub(super) fn version_of(&self, image_set: &ImageSet) -> Version {
        if *image_set == self.profile.image_set {
            return Version::Present;
        }
        let retired = self
            .profile
            .retired
            .iter()
            .rposition(|retired| retired.image_set == *image_set);
        retired.map_or(Version::None, Version::Retired)
    }

    /// Takes in what happened.
    pub(super) fn apply(&mut self, input: &Input, now: Now, interner: &mut Interner) -> Vec<Effect> {
        let phase = self.profile.state.phase;
        let effects = self.profile.apply(input, now, &self.settings);
        self.changed |= !effects.is_empty()
            || phase != self.profile.state.phase
            || !matches!(input, Input::TimePassed | Input::Discovered | Input::Enabled);
        self.follow(&effects, interner);
        effects
    }

    /// Makes the indexes agree with the profile after these effects.
    pub(super) fn follow(&mut self, effects: &[Effect], interner: &mut Interner) {
        let concerns = |effect: &Effect| {
            matches!(
                effect,
                Effect::RetireLearned | Effect::ClearLearned | Effect::DropRetired
            )
        };
        if effects.iter().any(concerns) {
            self.index_all(interner);
        }
    }

    /// Indexes all entries anew.
    pub(super) fn index_all(&mut self, interner: &mut Interner) {
        let present = Index::of(&mut self.profile.containers, interner);
        let retired = self.profile.retired.iter_mut();
        let retired = retired
            .map(|retired| Index::of(&mut retired.containers, interner))
            .collect();
        std::mem::replace(&mut self.present, present).release(interner);
        for index in std::mem::replace(&mut self.retired, retired) {
            index.release(interner);
        }
        self.learned = self.profile.learned();
    }

    pub(super) fn index_users(&mut self) {
        self.users = Users::new([&self.profile.user, &self.rules]);
    }

    /// Gives back what it has of others, as it has to be done before it is dropped.
    pub(super) fn release(self, interner: &mut Interner) {
        self.present.release(interner);
        self.retired.into_iter().for_each(|index| index.release(interner));
    }

    fn phase_at(&self, place: Place<'_>) -> Option<Phase> {
        match place.version {
            Version::Present => Some(self.profile.state.phase),
            Version::Retired(number) => Some(self.profile.retired.get(number)?.state.phase),
            Version::None => None,
        }
    }

    fn index_at(&self, place: Place<'_>) -> Option<&Index> {
        match place.version {
            Version::Present => Some(&self.present),
            Version::Retired(number) => self.retired.get(number),
            Version::None => None,
        }
    }

    /// Learns or judges an exec.
    pub(super) fn exec(
        &mut self,
        event: &Event,
        place: Place<'_>,
        shared: &mut Shared<'_>,
        findings: &mut Vec<Finding>,
    ) {
        let Some(phase) = self
            .phase_at(place)
            .filter(|phase| phase.learns() || phase.judges())
        else {
            return;
        };
        let process = &*event.process;
        let (identity, parent) = (&process.identity, &process.parent.exe);
        let removed = self.users.remove_process(place.container, identity, parent);
        let symbols = find_process(place.symbol, identity, parent, shared.interner, shared.scratch);
        let known = symbols.is_some_and(|symbols| {
            self.index_at(place)
                .is_some_and(|index| index.has_process(symbols))
        });
        if known && !removed {
            return;
        }
        let commands = self.commands.get(place.container);
        if !removed && commands.is_some_and(|commands| is_command(process, commands)) {
            return;
        }
        if phase.judges() {
            if removed || !self.users.allow_process(place.container, identity, parent) {
                findings.push(self.process_finding(&learned_process(identity, parent), place, phase));
            }
        } else if place.version == Version::Present
            && !removed
            && shared.may_learn
            && self.has_room(event, shared.interner)
        {
            let entry = self.present.add_process(
                place.container,
                &learned_process(identity, parent),
                shared.interner,
            );
            let entries = entries_of(&mut self.profile, place.container);
            entries.processes.insert(entry, EntryMeta::learned(event.time));
            self.note_learned(event, shared.interner);
        }
    }

    /// Learns or judges something that is reached.
    pub(super) fn reach(
        &mut self,
        event: &Event,
        network: &NetworkActivity,
        place: Place<'_>,
        shared: &mut Shared<'_>,
        findings: &mut Vec<Finding>,
    ) {
        let Some(phase) = self
            .phase_at(place)
            .filter(|phase| phase.learns() || phase.judges())
        else {
            return;
        };
        let Some(remote) = network
            .remote
            .as_ref()
            .and_then(runtime_core::Endpoint::socket_addr)
        else {
            return;
        };
        let is_question = remote.port() == DNS;
        let reached = Reached {
            domain: network.domains.first().filter(|_| !is_question),
            remote,
            process_path: &event.process.exe,
        };
        let removed = self.users.remove_network(place.container, reached);
        let known = self
            .index_at(place)
            .is_some_and(|index| is_known(index, place.symbol, reached, shared));
        if known && !removed {
            return;
        }
        if phase.judges() {
            if removed || !self.users.allow_network(place.container, reached) {
                findings.push(self.network_finding(
                    &learned_network(reached),
                    &event.process.exe,
                    place,
                    phase,
                ));
            }
        } else if place.version == Version::Present
            && !removed
            && shared.may_learn
            && self.has_room(event, shared.interner)
        {
            let entry = self
                .present
                .add_network(place.container, &learned_network(reached), shared.interner);
            let entries = entries_of(&mut self.profile, place.container);
            entries.network.insert(entry, EntryMeta::learned(event.time));
            self.note_learned(event, shared.interner);
        }
    }

    /// Takes what an event did out of what was learned.
    pub(super) fn unlearn(&mut self, event: &Event, place: Place<'_>, shared: &mut Shared<'_>) {
        let process = &*event.process;
        let (identity, parent) = (&process.identity, &process.parent.exe);
        let Some(entries) = self.profile.containers.get_mut(place.container) else {
            return;
        };
        if entries
            .processes
            .remove(&learned_process(identity, parent))
            .is_none()
        {
            return;
        }
        if let Some(symbols) = find_process(place.symbol, identity, parent, shared.interner, shared.scratch) {
            self.present.remove_process(symbols, shared.interner);
        }
        // What the program reached goes with it, unless the same file is expected in another way.
        let path = learned_path(&identity.path);
        if !entries.processes.keys().any(|entry| entry.identity.path == path) {
            let gone: Vec<NetworkEntry> = entries
                .network
                .keys()
                .filter(|entry| entry.process_path == path)
                .cloned()
                .collect();
            for entry in gone {
                entries.network.remove(&entry);
                if let Some(symbols) = network_symbols(place.symbol, &entry, shared.interner) {
                    self.present.remove_network(symbols, shared.interner);
                }
            }
        }
        self.learned = self.profile.learned();
        self.changed = true;
    }

    /// Whether there is room for one entry more; notes in the profile that there is not.
    fn has_room(&mut self, event: &Event, interner: &mut Interner) -> bool {
        if self.learned < self.settings.max_entries {
            return true;
        }
        if !self.profile.state.limit_reached {
            self.apply(&Input::Learned { limit_reached: true }, now_of(event), interner);
        }
        false
    }

    fn note_learned(&mut self, event: &Event, interner: &mut Interner) {
        self.learned += 1;
        self.changed = true;
        if self.profile.state.empty {
            self.apply(&Input::Learned { limit_reached: false }, now_of(event), interner);
        }
    }

    fn entries_at(&self, place: Place<'_>) -> Option<&Entries> {
        let containers = match place.version {
            Version::Present => &self.profile.containers,
            Version::Retired(number) => &self.profile.retired.get(number)?.containers,
            Version::None => return None,
        };
        containers.get(place.container)
    }

    /// What the profile has near this event.
    pub(super) fn expected(&self, event: &Event, place: Place<'_>) -> Expected {
        let Some(entries) = self.entries_at(place) else {
            return Expected::default();
        };
        let process = &*event.process;
        match &event.activity {
            runtime_core::Activity::Network(network) => {
                let Some(remote) = network
                    .remote
                    .as_ref()
                    .and_then(runtime_core::Endpoint::socket_addr)
                else {
                    return Expected::default();
                };
                let entry = learned_network(Reached {
                    domain: network.domains.first().filter(|_| remote.port() != DNS),
                    remote,
                    process_path: &process.exe,
                });
                Expected::near_network(entries, &entry)
            }
            _ => Expected::near_process(entries, &learned_process(&process.identity, &process.parent.exe)),
        }
    }

    fn process_finding(&self, entry: &ProcessEntry, place: Place<'_>, phase: Phase) -> Finding {
        let expected = self
            .entries_at(place)
            .map(|entries| Expected::near_process(entries, entry))
            .unwrap_or_default();
        finding(
            UNEXPECTED_PROCESS,
            process_title(entry, place.container, &expected),
            phase,
        )
    }

    fn network_finding(
        &self,
        entry: &NetworkEntry,
        path: &RawString,
        place: Place<'_>,
        phase: Phase,
    ) -> Finding {
        let expected = self
            .entries_at(place)
            .map(|entries| Expected::near_network(entries, entry))
            .unwrap_or_default();
        let told = NetworkEntry {
            process_path: path.clone(),
            ..entry.clone()
        };
        finding(
            UNEXPECTED_NETWORK,
            network_title(&told, place.container, &expected),
            phase,
        )
    }
}

fn finding(rule: &str, title: String, phase: Phase) -> Finding {
    Finding {
        output: None,
        engine: EngineKind::Profiling,
        rule: Arc::new(RuleRef {
            id: rule.to_owned(),
            name: rule.to_owned(),
            title,
            tags: Vec::new(),
        }),
        severity: Severity::Medium,
        response: if phase.may_prevent() {
            Response::Kill
        } else {
            Response::Alert
        },
    }
}

/// The moment of an event.
pub(super) fn now_of(event: &Event) -> Now {
    Now {
        wall: event.time,
        boot: event.boot_time,
    }
}

fn entries_of<'p>(profile: &'p mut Profile, container: &str) -> &'p mut Entries {
    if !profile.containers.contains_key(container) {
        profile
            .containers
            .insert(container.to_owned(), Entries::default());
    }
    profile
        .containers
        .get_mut(container)
        .expect("it was put there if it was missing")
}

/// Whether something is reached that was learned, by its name or, where it was learned without one, by its address.
fn is_known(index: &Index, container: Symbol, reached: Reached<'_>, shared: &mut Shared<'_>) -> bool {
    let Reached {
        domain,
        remote,
        process_path,
    } = reached;
    let process = if remote.port() == DNS {
        shared.interner.find(ANY.as_bytes())
    } else {
        find_path(process_path, shared.interner, shared.scratch)
    };
    let Some(process) = process else { return false };
    let has = |target| {
        index.has_network(NetworkSymbols {
            container,
            process,
            target,
        })
    };
    let name = domain.and_then(|name| shared.interner.find(name.as_str().as_bytes()));
    if name.is_some_and(|name| has(Target::Domain(name))) {
        return true;
    }
    match Destination::learned_address(remote.ip(), remote.port()) {
        Destination::Address { network, port } => network
            .address()
            .is_some_and(|address| has(Target::Address(address, port))),
        Destination::Domain { .. } => false,
    }
}

fn learned_path(path: &RawString) -> RawString {
    match collapse(path) {
        std::borrow::Cow::Borrowed(_) => path.clone(),
        std::borrow::Cow::Owned(text) => text.into(),
    }
}

/// The entry that is learned of a process.
fn learned_process(identity: &ProcessIdentity, parent: &ParentExe) -> ProcessEntry {
    let ProcessIdentity {
        path,
        invoked_as,
        argv0,
        applet,
        script,
    } = identity;
    ProcessEntry {
        identity: ProcessIdentity {
            path: learned_path(path),
            invoked_as: invoked_as.as_ref().map(learned_path),
            argv0: argv0.clone(),
            applet: applet.clone(),
            script: script.as_ref().map(learned_path),
        },
        parent: match parent {
            ParentExe::Path(path) => ParentExe::Path(learned_path(path)),
            other => other.clone(),
        },
    }
}

/// The entry that is learned of something that is reached.
fn learned_network(reached: Reached<'_>) -> NetworkEntry {
    let Reached {
        domain,
        remote,
        process_path,
    } = reached;
    NetworkEntry {
        destination: match domain {
            Some(name) => Destination::Domain {
                name: name.as_str().into(),
                // Resolvers connect to no port at all, to find out which address they would use.
                port: Some(remote.port()).filter(|&port| port != 0),
            },
            None => Destination::learned_address(remote.ip(), remote.port()),
        },
        process_path: if remote.port() == DNS {
            ANY.into()
        } else {
            learned_path(process_path)
        },
    }
}

/// The numbers of an entry that was learned.
fn network_symbols(container: Symbol, entry: &NetworkEntry, interner: &Interner) -> Option<NetworkSymbols> {
    Some(NetworkSymbols {
        container,
        process: interner.find(&entry.process_path)?,
        target: match &entry.destination {
            Destination::Domain { name, .. } => Target::Domain(interner.find(name)?),
            Destination::Address { network, port } => Target::Address(network.address()?, *port),
        },
    })
}
