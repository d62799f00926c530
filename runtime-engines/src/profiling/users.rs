//! What users say, ready to match.

use std::net::SocketAddr;

use runtime_core::process::ParentExe;
use runtime_core::profile::{NetworkPattern, ProcessPattern, TextPattern, UserEntries};
use runtime_core::{DomainName, ProcessIdentity, RawString};

/// The entries of users for one group.
#[derive(Debug, Default)]
pub(super) struct Users {
    allowed: Patterns,
    removed: Patterns,
}

#[derive(Debug, Default)]
struct Patterns {
    processes: Vec<(TextPattern, ProcessPattern)>,
    network: Vec<(TextPattern, NetworkPattern)>,
}

impl Users {
    /// All of these.
    pub(super) fn new<'e>(entries: impl IntoIterator<Item = &'e UserEntries>) -> Self {
        let mut users = Self::default();
        for UserEntries { allowed, removed } in entries {
            for (container, entries) in allowed {
                let name = TextPattern::new(&RawString::from(container.as_str()));
                let processes = entries.processes.keys();
                let network = entries.network.keys();
                let with = &mut users.allowed;
                with.processes
                    .extend(processes.map(|entry| (name.clone(), ProcessPattern::new(entry))));
                with.network
                    .extend(network.map(|entry| (name.clone(), NetworkPattern::new(entry))));
            }
            for (container, entries) in removed {
                let name = TextPattern::new(&RawString::from(container.as_str()));
                let processes = entries.processes.iter();
                let network = entries.network.iter();
                let with = &mut users.removed;
                with.processes
                    .extend(processes.map(|entry| (name.clone(), ProcessPattern::new(entry))));
                with.network
                    .extend(network.map(|entry| (name.clone(), NetworkPattern::new(entry))));
            }
        }
        users
    }

    pub(super) fn allow_process(
        &self,
        container: &str,
        identity: &ProcessIdentity,
        parent: &ParentExe,
    ) -> bool {
        self.allowed.have_process(container, identity, parent)
    }

    pub(super) fn remove_process(
        &self,
        container: &str,
        identity: &ProcessIdentity,
        parent: &ParentExe,
    ) -> bool {
        self.removed.have_process(container, identity, parent)
    }

    pub(super) fn allow_network(&self, container: &str, reached: Reached<'_>) -> bool {
        self.allowed.have_network(container, reached)
    }

    pub(super) fn remove_network(&self, container: &str, reached: Reached<'_>) -> bool {
        self.removed.have_network(container, reached)
    }
}

/// Something that a process reaches.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reached<'e> {
    pub(super) domain: Option<&'e DomainName>,
    pub(super) remote: SocketAddr,
    pub(super) process_path: &'e RawString,
}

impl Patterns {
    fn have_process(&self, container: &str, identity: &ProcessIdentity, parent: &ParentExe) -> bool {
        self.processes
            .iter()
            .any(|(name, pattern)| pattern.matches(identity, parent) && name.matches(container.as_bytes()))
    }

    fn have_network(&self, container: &str, reached: Reached<'_>) -> bool {
        let Reached {
            domain,
            remote,
            process_path,
        } = reached;
        self.network.iter().any(|(name, pattern)| {
            pattern.matches(domain, remote, process_path) && name.matches(container.as_bytes())
        })
    }
}
