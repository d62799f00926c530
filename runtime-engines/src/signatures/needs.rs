//! What rules need a sensor to deliver.

use std::collections::{BTreeMap, BTreeSet};

use runtime_core::{Activity, Event, EventClass, Syscall};

use super::anchor::{Anchor, Finder, Shape};
use super::field::Kind;
use super::tree::Node;

/// The events that a set of rules can hold for: whatever is not in here needs not leave the kernel.
///
/// It may be more than is needed, and is never less: an event that a rule holds for is [covered](Self::covers).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// The classes of events. Rules are not made for [`EventClass::Cgroup`]: what containers are found by is
    /// always needed, and never in here.
    pub classes: BTreeSet<EventClass>,
    /// For each class the system calls that its events are made by. An event that no call is known of counts as
    /// made by the usual one for what it did: see the field `evt.type`. Exits and DNS have no calls.
    pub syscalls: BTreeMap<EventClass, BTreeSet<Syscall>>,
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

impl Paths {
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
                .any(|part| memchr::memmem::find(path, part).is_some())
    }

    fn add_all(&mut self) {
        *self = Self {
            all: true,
            ..Self::default()
        };
    }

    fn add(&mut self, anchor: Anchor) {
        if self.all {
            return;
        }
        let Anchor { field, shape, text } = anchor;
        let mut text = text.into_vec();
        match (field, shape) {
            ("fd.filename", Shape::Whole) => {
                // A path without any slash is its own name.
                self.exact.insert(text.clone());
                text.insert(0, b'/');
                self.suffixes.insert(text);
            }
            // The ending of a directory is somewhere in the path.
            ("fd.directory", Shape::Ending) | (_, Shape::Part) | ("fd.filename", Shape::Beginning) => {
                self.parts.insert(text);
            }
            (_, Shape::Ending) => {
                self.suffixes.insert(text);
            }
            ("fd.directory", Shape::Whole) => {
                if text.is_empty() {
                    // What has no slash has no directory.
                    return self.add_all();
                }
                if text != b"/" {
                    text.push(b'/');
                }
                self.prefixes.insert(text);
            }
            (_, Shape::Whole) => {
                self.exact.insert(text);
            }
            (_, Shape::Beginning) => {
                self.prefixes.insert(text);
            }
        }
    }
}

/// The fields that a file's path can be told from.
const FIELDS: [&str; 4] = ["fd.name", "fs.path.name", "fd.directory", "fd.filename"];

impl Needs {
    /// Adds what conditions for events of one kind need.
    pub(super) fn add<'n>(&mut self, kind: &Kind, nodes: impl Iterator<Item = &'n Node>) {
        let paths = match kind.access {
            Some(access) if access.writes || access.creates => &mut self.writes,
            Some(_) => &mut self.reads,
            None => &mut self.changes,
        };
        let shapes = [Shape::Whole, Shape::Beginning, Shape::Ending, Shape::Part];
        let mut finder = Finder::new(&FIELDS, &shapes);
        for node in nodes {
            if matches!(node, Node::Const(false)) {
                continue;
            }
            self.classes.insert(kind.class);
            if let Some(call) = kind.call {
                self.syscalls.entry(kind.class).or_default().insert(call);
            }
            if kind.class != EventClass::File || paths.all {
                continue;
            }
            match finder.of(node) {
                Some(anchors) => anchors.into_iter().for_each(|anchor| paths.add(anchor)),
                None => paths.add_all(),
            }
        }
    }

    /// Whether the event is among them.
    pub fn covers(&self, event: &Event) -> bool {
        let kind = Kind::of(event);
        let by_call = kind.call.is_none_or(|call| {
            let calls = self.syscalls.get(&kind.class);
            calls.is_some_and(|calls| calls.contains(&call))
        });
        let by_path = match &event.activity {
            Activity::File(file) => {
                let paths = match kind.access {
                    Some(access) if access.writes || access.creates => &self.writes,
                    Some(_) => &self.reads,
                    None => &self.changes,
                };
                paths.covers(&file.path)
            }
            _ => true,
        };
        self.classes.contains(&kind.class) && by_call && by_path
    }
}
