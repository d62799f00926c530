//! The entries of a profile by the numbers of their texts, to look up what an event does.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;

use runtime_core::process::{ParentExe, RUNTIME};
use runtime_core::profile::collapse::collapse_into;
use runtime_core::profile::{Destination, Entries, NetworkEntry, ProcessEntry, parent_text};
use runtime_core::{ProcessIdentity, RawString};

use super::hash::KeyedSet;
use super::interner::{Interner, Symbol};

/// A process entry of one container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ProcessSymbols {
    container: Symbol,
    path: Symbol,
    invoked_as: Symbol,
    argv0: Symbol,
    applet: Symbol,
    script: Symbol,
    parent: Symbol,
}

impl Hash for ProcessSymbols {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self {
            container,
            path,
            invoked_as,
            argv0,
            applet,
            script,
            parent,
        } = *self;
        state.write_u128(packed([container, path, parent, script]));
        state.write_u128(packed([invoked_as, argv0, applet, Symbol::NONE]));
    }
}

/// Four numbers at once: a hasher takes as long for one.
fn packed(symbols: [Symbol; 4]) -> u128 {
    symbols
        .into_iter()
        .fold(0, |all, symbol| all << 32 | u128::from(symbol.number()))
}

/// A network entry of one container. The port of a name is no part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NetworkSymbols {
    pub(super) container: Symbol,
    pub(super) process: Symbol,
    pub(super) target: Target,
}

impl Hash for NetworkSymbols {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self {
            container,
            process,
            target,
        } = *self;
        match target {
            Target::Domain(name) => state.write_u128(packed([container, process, name, Symbol::NONE])),
            Target::Address(address, port) => {
                state.write_u128(packed([container, process, Symbol::NONE, Symbol::NONE]));
                (address, port).hash(state);
            }
        }
    }
}

/// What is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    Domain(Symbol),
    /// With `None` for every port.
    Address(IpAddr, Option<u16>),
}

/// The entries of one version of a profile.
#[derive(Debug, Default)]
pub(super) struct Index {
    processes: KeyedSet<ProcessSymbols>,
    network: KeyedSet<NetworkSymbols>,
}

impl Index {
    /// Takes in all entries, and makes their texts share the interner's memory.
    pub(super) fn of(containers: &mut BTreeMap<String, Entries>, interner: &mut Interner) -> Self {
        let mut index = Self::default();
        for (name, entries) in containers {
            let Entries { processes, network } = std::mem::take(entries);
            for (entry, meta) in processes {
                entries
                    .processes
                    .insert(index.add_process(name, &entry, interner), meta);
            }
            for (entry, meta) in network {
                entries
                    .network
                    .insert(index.add_network(name, &entry, interner), meta);
            }
        }
        index
    }

    /// Adds an entry; returns it with texts that share the interner's memory.
    pub(super) fn add_process(
        &mut self,
        container: &str,
        entry: &ProcessEntry,
        interner: &mut Interner,
    ) -> ProcessEntry {
        let ProcessEntry { identity, parent } = entry;
        let ProcessIdentity {
            path,
            invoked_as,
            argv0,
            applet,
            script,
        } = identity;
        let parent_symbol = interner.acquire(&parent_text(parent));
        let mut optional = |text: &Option<RawString>| {
            let symbol = text.as_ref().map(|text| interner.acquire(text));
            (
                symbol.unwrap_or(Symbol::NONE),
                symbol.map(|symbol| interner.text(symbol)),
            )
        };
        let (invoked_symbol, invoked_as) = optional(invoked_as);
        let (argv0_symbol, argv0) = optional(argv0);
        let (applet_symbol, applet) = optional(applet);
        let (script_symbol, script) = optional(script);
        let symbols = ProcessSymbols {
            container: interner.acquire(container.as_bytes()),
            path: interner.acquire(path),
            invoked_as: invoked_symbol,
            argv0: argv0_symbol,
            applet: applet_symbol,
            script: script_symbol,
            parent: parent_symbol,
        };
        let identity = ProcessIdentity {
            path: interner.text(symbols.path),
            invoked_as,
            argv0,
            applet,
            script,
        };
        let parent = match parent {
            ParentExe::Path(_) => ParentExe::Path(interner.text(parent_symbol)),
            other => other.clone(),
        };
        if !self.processes.insert(symbols) {
            release_process(symbols, interner);
        }
        ProcessEntry { identity, parent }
    }

    /// Adds an entry; returns it with texts that share the interner's memory.
    pub(super) fn add_network(
        &mut self,
        container: &str,
        entry: &NetworkEntry,
        interner: &mut Interner,
    ) -> NetworkEntry {
        let NetworkEntry {
            destination,
            process_path,
        } = entry;
        let process = interner.acquire(process_path);
        let (target, destination) = match destination {
            Destination::Domain { name, port } => {
                let symbol = interner.acquire(name);
                let name = interner.text(symbol);
                (Target::Domain(symbol), Destination::Domain { name, port: *port })
            }
            Destination::Address { network, port } => {
                let Some(address) = network.address() else {
                    // A range is no learned entry, and is not looked up.
                    let process_path = interner.text(process);
                    interner.release(process);
                    return NetworkEntry {
                        destination: destination.clone(),
                        process_path,
                    };
                };
                (Target::Address(address, *port), destination.clone())
            }
        };
        let symbols = NetworkSymbols {
            container: interner.acquire(container.as_bytes()),
            process,
            target,
        };
        let process_path = interner.text(process);
        if !self.network.insert(symbols) {
            release_network(symbols, interner);
        }
        NetworkEntry {
            destination,
            process_path,
        }
    }

    /// Takes an entry out.
    pub(super) fn remove_process(&mut self, symbols: ProcessSymbols, interner: &mut Interner) {
        if self.processes.remove(&symbols) {
            release_process(symbols, interner);
        }
    }

    /// Takes an entry out.
    pub(super) fn remove_network(&mut self, symbols: NetworkSymbols, interner: &mut Interner) {
        if self.network.remove(&symbols) {
            release_network(symbols, interner);
        }
    }

    pub(super) fn has_process(&self, symbols: ProcessSymbols) -> bool {
        self.processes.contains(&symbols)
    }

    pub(super) fn has_network(&self, symbols: NetworkSymbols) -> bool {
        self.network.contains(&symbols)
    }

    /// Gives all its numbers back, as it has to be done before it is dropped.
    pub(super) fn release(self, interner: &mut Interner) {
        let Self { processes, network } = self;
        for symbols in processes {
            release_process(symbols, interner);
        }
        for symbols in network {
            release_network(symbols, interner);
        }
    }
}

fn release_process(symbols: ProcessSymbols, interner: &mut Interner) {
    let ProcessSymbols {
        container,
        path,
        invoked_as,
        argv0,
        applet,
        script,
        parent,
    } = symbols;
    for symbol in [container, path, invoked_as, argv0, applet, script, parent] {
        interner.release(symbol);
    }
}

fn release_network(symbols: NetworkSymbols, interner: &mut Interner) {
    let NetworkSymbols {
        container,
        process,
        target,
    } = symbols;
    interner.release(container);
    interner.release(process);
    if let Target::Domain(name) = target {
        interner.release(name);
    }
}

/// The numbers of what an event does; `None` where some text of it is in no profile at all.
pub(super) fn find_process(
    container: Symbol,
    identity: &ProcessIdentity,
    parent: &ParentExe,
    interner: &Interner,
    scratch: &mut Vec<u8>,
) -> Option<ProcessSymbols> {
    let ProcessIdentity {
        path,
        invoked_as,
        argv0,
        applet,
        script,
    } = identity;
    let plain = |text: &Option<RawString>| match text {
        Some(text) => interner.find(text),
        None => Some(Symbol::NONE),
    };
    let mut path_of = |text: &Option<RawString>| match text {
        Some(text) => find_path(text, interner, scratch),
        None => Some(Symbol::NONE),
    };
    let invoked_as = path_of(invoked_as)?;
    let script = path_of(script)?;
    Some(ProcessSymbols {
        container,
        path: find_path(path, interner, scratch)?,
        invoked_as,
        argv0: plain(argv0)?,
        applet: plain(applet)?,
        script,
        parent: match parent {
            ParentExe::Path(path) => find_path(path, interner, scratch)?,
            ParentExe::Runtime => interner.find(RUNTIME.as_bytes())?,
            ParentExe::Unknown => interner.find(&parent_text(parent))?,
        },
    })
}

/// The number of a path as it is learned.
pub(super) fn find_path(path: &[u8], interner: &Interner, scratch: &mut Vec<u8>) -> Option<Symbol> {
    if collapse_into(path, scratch) {
        interner.find(scratch)
    } else {
        interner.find(path)
    }
}
