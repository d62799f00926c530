//! What engines need a sensor to deliver: whatever nobody asks for needs not leave the kernel.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::{EventClass, Syscall};

/// Events that somebody has a use for.
///
/// It may be more than is needed, and is never less. What several engines need is [joined](Self::join).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// The classes of events. [`EventClass::Cgroup`] is never in here: what containers are found by is always
    /// needed, and execs, forks and exits are always seen by the sensor itself.
    pub classes: BTreeSet<EventClass>,
    /// For each class the system calls that its events are made by. Exits and DNS have no calls.
    pub syscalls: BTreeMap<EventClass, BTreeSet<Syscall>>,
    /// Whether sockets of the common families (IP and Unix) are needed when they are made, where `socket` is among the
    /// calls; those of other families then are in any case.
    pub common_sockets: bool,
    /// The files whose opens are needed where they neither are for writing nor create the file.
    pub reads: Paths,
    /// The files whose opens are needed where they are for writing or create the file.
    pub writes: Paths,
    /// The files of which all else that is done to them is needed.
    pub changes: Paths,
}

/// Files, by their paths.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Paths {
    /// All files; the rest says nothing then.
    pub all: bool,
    /// These.
    pub exact: BTreeSet<Vec<u8>>,
    /// Those whose path begins with one of these bytes; a prefix need not end at a slash.
    pub prefixes: BTreeSet<Vec<u8>>,
    /// Those whose path ends with one of these bytes.
    pub suffixes: BTreeSet<Vec<u8>>,
    /// Those whose path has one of these bytes anywhere. Whoever cannot look for them has to take all files.
    pub parts: BTreeSet<Vec<u8>>,
}

impl Needs {
    /// Every event that a sensor can make.
    pub fn everything() -> Self {
        let classes = EventClass::ALL
            .into_iter()
            .filter(|class| *class != EventClass::Cgroup);
        let calls = || Syscall::ALL.iter().copied().collect::<BTreeSet<_>>();
        Self {
            classes: classes.clone().collect(),
            syscalls: classes.map(|class| (class, calls())).collect(),
            common_sockets: true,
            reads: Paths::everything(),
            writes: Paths::everything(),
            changes: Paths::everything(),
        }
    }

    /// Adds what another one needs.
    pub fn join(&mut self, other: Self) {
        let Self {
            classes,
            syscalls,
            common_sockets,
            reads,
            writes,
            changes,
        } = other;
        self.classes.extend(classes);
        for (class, calls) in syscalls {
            self.syscalls.entry(class).or_default().extend(calls);
        }
        self.common_sockets |= common_sockets;
        self.reads.join(reads);
        self.writes.join(writes);
        self.changes.join(changes);
    }

    /// Whether events of a class are needed that this system call makes.
    pub fn has_call(&self, class: EventClass, syscall: Syscall) -> bool {
        self.classes.contains(&class)
            && self
                .syscalls
                .get(&class)
                .is_some_and(|calls| calls.contains(&syscall))
    }
}

impl Paths {
    /// All files.
    pub fn everything() -> Self {
        Self {
            all: true,
            ..Self::default()
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        let Self {
            all,
            exact,
            prefixes,
            suffixes,
            parts,
        } = self;
        !all && exact.is_empty() && prefixes.is_empty() && suffixes.is_empty() && parts.is_empty()
    }

    /// Whether the path is among them.
    pub fn covers(&self, path: &[u8]) -> bool {
        self.all
            || self.exact.contains(path)
            || self.prefixes.iter().any(|prefix| path.starts_with(prefix))
            || self.suffixes.iter().any(|suffix| path.ends_with(suffix))
            || self
                .parts
                .iter()
                .any(|part| path.windows(part.len().max(1)).any(|window| window == part) || part.is_empty())
    }

    /// Adds what is in another one.
    pub fn join(&mut self, other: Self) {
        if self.all || other.all {
            *self = Self::everything();
            return;
        }
        self.exact.extend(other.exact);
        self.prefixes.extend(other.prefixes);
        self.suffixes.extend(other.suffixes);
        self.parts.extend(other.parts);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mk_paths() -> impl Strategy<Value = Paths> {
        let texts = || {
            prop::collection::btree_set(
                prop::collection::vec(prop::sample::select(b"/ab".to_vec()), 0..4),
                0..3,
            )
        };
        (prop::bool::weighted(0.1), texts(), texts(), texts(), texts()).prop_map(
            |(all, exact, prefixes, suffixes, parts)| Paths {
                all,
                exact,
                prefixes,
                suffixes,
                parts,
            },
        )
    }

    proptest! {
        #[test]
        fn joined_paths_cover_what_either_covers(
            one in mk_paths(),
            other in mk_paths(),
            path in prop::collection::vec(prop::sample::select(b"/ab".to_vec()), 0..6),
        ) {
            let mut joined = one.clone();
            joined.join(other.clone());
            prop_assert_eq!(joined.covers(&path), one.covers(&path) || other.covers(&path));
        }
    }

    #[test]
    fn everything_has_every_call_of_every_class() {
        let needs = Needs::everything();
        assert!(needs.has_call(EventClass::File, Syscall::openat));
        assert!(needs.has_call(EventClass::System, Syscall::ptrace));
        assert!(!needs.classes.contains(&EventClass::Cgroup));
        assert!(!Needs::default().has_call(EventClass::File, Syscall::openat));
    }
}
