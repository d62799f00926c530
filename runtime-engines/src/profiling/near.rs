//! What a profile has near something unexpected, for whoever reads the alert.

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};

use runtime_core::process::ParentExe;
use runtime_core::profile::{ANY, Destination, Entries, NetworkEntry, ProcessEntry, parent_text};
use runtime_core::{ProcessIdentity, RawString};

/// How much of each kind is told.
const MAX: usize = 3;
/// How many bytes of a text are told.
const MAX_TEXT: usize = 120;

/// What was expected near something that was not; the first few of each, sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expected {
    /// The parents that the same process may have.
    pub parents: Vec<RawString>,
    /// What else the same file may run as.
    pub identities: Vec<ProcessIdentity>,
    /// What else that parent may start.
    pub siblings: Vec<ProcessIdentity>,
    /// What that process may reach.
    pub destinations: Vec<Destination>,
    /// The processes that may reach that destination.
    pub processes: Vec<RawString>,
}

impl Expected {
    /// Near a process.
    pub(super) fn near_process(entries: &Entries, entry: &ProcessEntry) -> Self {
        let known = || entries.processes.keys();
        let same_file = known().filter(|known| known.identity.path == entry.identity.path);
        Self {
            parents: first(
                same_file
                    .clone()
                    .filter(|known| known.identity == entry.identity)
                    .map(|known| parent_text(&known.parent)),
            ),
            identities: first(
                same_file
                    .filter(|known| known.identity != entry.identity)
                    .map(|known| known.identity.clone()),
            ),
            siblings: first(
                known()
                    .filter(|known| {
                        known.parent == entry.parent && known.identity.path != entry.identity.path
                    })
                    .map(|known| known.identity.clone()),
            ),
            ..Self::default()
        }
    }

    /// Near a destination.
    pub(super) fn near_network(entries: &Entries, entry: &NetworkEntry) -> Self {
        let known = || entries.network.keys();
        let destinations = known()
            .filter(|known| {
                known.process_path == entry.process_path && *known.process_path != *ANY.as_bytes()
            })
            .map(|known| known.destination.clone());
        let processes = known()
            .filter(|known| is_same(&known.destination, &entry.destination))
            .map(|known| known.process_path.clone());
        Self {
            destinations: first(destinations),
            processes: first(processes),
            ..Self::default()
        }
    }
}

fn is_same(one: &Destination, other: &Destination) -> bool {
    match (one, other) {
        // The port of a name is for the record.
        (Destination::Domain { name, .. }, Destination::Domain { name: other, .. }) => name == other,
        _ => one == other,
    }
}

fn first<T: Ord>(items: impl Iterator<Item = T>) -> Vec<T> {
    // The entries are sorted by something else, and may have one item more than once.
    let all: BTreeSet<T> = items.collect();
    all.into_iter().take(MAX).collect()
}

/// The line that says what happened and what would have been expected.
pub(super) fn process_title(entry: &ProcessEntry, container: &str, expected: &Expected) -> String {
    let mut title = match &entry.parent {
        ParentExe::Path(parent) => format!(
            "Process {} was started by {} in container {container}, which is not in its profile",
            short(&entry.identity),
            short(parent)
        ),
        ParentExe::Runtime => format!(
            "Process {} was started from outside in container {container}, which is not in its profile",
            short(&entry.identity)
        ),
        ParentExe::Unknown => format!(
            "Process {} was started by an unknown parent in container {container}, which is not in its profile",
            short(&entry.identity)
        ),
    };
    let Expected {
        parents,
        identities,
        siblings,
        ..
    } = expected;
    list(&mut title, "it is expected under", parents);
    list(&mut title, "the same file is expected as", identities);
    list(&mut title, "that parent is expected to start", siblings);
    title
}

/// The line that says what happened and what would have been expected.
pub(super) fn network_title(entry: &NetworkEntry, container: &str, expected: &Expected) -> String {
    let mut title = format!(
        "Process {} reached {} from container {container}, which is not in its profile",
        short(&entry.process_path),
        short(&entry.destination)
    );
    let Expected {
        destinations,
        processes,
        ..
    } = expected;
    list(&mut title, "it is expected to reach", destinations);
    list(&mut title, "expected from", processes);
    title
}

fn list(title: &mut String, words: &str, items: &[impl fmt::Display]) {
    for (place, item) in items.iter().enumerate() {
        let before = if place == 0 { words } else { "" };
        let mark = if place == 0 { "; " } else { "," };
        // Writing to a string cannot fail.
        let _ = write!(title, "{mark}{before} {}", short(item));
    }
}

/// The text, cut where it is long: a path may have thousands of bytes.
fn short(item: &(impl fmt::Display + ?Sized)) -> String {
    let mut text = item.to_string();
    if let Some((end, _)) = text.char_indices().nth(MAX_TEXT) {
        text.truncate(end);
        text.push('…');
    }
    text
}
