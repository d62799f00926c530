//! Sets of files as tries of prefixes and suffixes.

use std::collections::{BTreeMap, HashMap};

use runtime_core::Needs;
use runtime_core::needs::Paths;

use super::Filter;

/// Sets of files, one bit each: `enum file_set` in `bpf/filters.h`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sets(pub(crate) u8);

impl Sets {
    const READS: Self = Self(1 << 0);
    const WRITES: Self = Self(1 << 1);
    const CHANGES: Self = Self(1 << 2);

    fn add(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// So much of a path counts: `FILTER_PATH` and `SUFFIX_LENGTH` in `bpf/`.
const PREFIX_LENGTH: usize = 128;
const SUFFIX_LENGTH: usize = 64;
/// More entries than this do not fit the kernel's tries: then the set is all files.
const MAX_PREFIXES: usize = 4096;
const MAX_SUFFIXES: usize = 1024;

/// More paths are needed than the kernel's tables hold. A sensor that is given such needs takes the events of all
/// files, which costs every open on the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "{beginnings} paths and beginnings of paths, and {endings} endings, are looked for, and the kernel's tables hold \
     {MAX_PREFIXES} and {MAX_SUFFIXES}"
)]
pub struct NeedsTooLarge {
    /// How many different paths and beginnings there are.
    pub beginnings: usize,
    /// How many different endings.
    pub endings: usize,
}

/// `struct path_key`: the length in bits, and the text, filled up with zeros.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct PathKey(pub(crate) [u8; 4 + PREFIX_LENGTH]);

impl PathKey {
    fn new(text: &[u8]) -> Self {
        let mut key = [0; 4 + PREFIX_LENGTH];
        key[..4].copy_from_slice(&(8 * text.len() as u32).to_ne_bytes());
        key[4..4 + text.len()].copy_from_slice(text);
        Self(key)
    }

    pub(crate) fn bits(&self) -> u32 {
        let [a, b, c, d, ..] = self.0;
        u32::from_ne_bytes([a, b, c, d])
    }

    pub(crate) fn text(&self) -> [u8; PREFIX_LENGTH] {
        *self.0.last_chunk().expect("the key is longer than its text")
    }
}

/// `struct path_sets`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct PathSets {
    prefix: Sets,
    exact: Sets,
    length: u16,
}

impl PathSets {
    pub(crate) fn bytes(self) -> [u8; 8] {
        let length = self.length.to_ne_bytes();
        [self.prefix.0, self.exact.0, length[0], length[1], 0, 0, 0, 0]
    }
}

/// The sets that any entry of a trie puts files into.
pub(super) fn sets_of_any(trie: &HashMap<PathKey, PathSets>) -> Sets {
    let mut sets = Sets::default();
    for entry in trie.values() {
        sets.add(entry.prefix);
        sets.add(entry.exact);
    }
    sets
}

/// The texts of one trie with what each says by itself.
type Entries = BTreeMap<Vec<u8>, PathSets>;

/// The part of a filter that concerns files.
pub(super) fn filter_paths(needs: &Needs) -> Filter {
    let mut filter = Filter::default();
    let (mut prefixes, mut suffixes) = (Entries::new(), Entries::new());
    let mut files: BTreeMap<Vec<u8>, Sets> = BTreeMap::new();
    let sets = [
        (Sets::READS, &needs.reads),
        (Sets::WRITES, &needs.writes),
        (Sets::CHANGES, &needs.changes),
    ];
    for (set, paths) in sets {
        if paths.is_empty() {
            continue;
        }
        filter.any.add(set);
        if paths.all || !paths.parts.is_empty() {
            filter.all.add(set);
            continue;
        }
        add_paths(paths, set, &mut prefixes, &mut suffixes);
        for path in &paths.exact {
            files.entry(path.clone()).or_default().add(set);
        }
    }
    if prefixes.len() > MAX_PREFIXES || suffixes.len() > MAX_SUFFIXES {
        filter.all = filter.any;
        filter.too_large = Some(NeedsTooLarge {
            beginnings: prefixes.len(),
            endings: suffixes.len(),
        });
        return filter;
    }
    filter.prefixes = inherited(&prefixes);
    filter.suffixes = inherited(&suffixes);
    filter.files = files.into_iter().collect();
    filter
}

fn add_paths(paths: &Paths, set: Sets, prefixes: &mut Entries, suffixes: &mut Entries) {
    for text in &paths.exact {
        match text.get(..PREFIX_LENGTH) {
            // The kernel compares no more than this: all that begin so are in the set.
            Some(cut) => prefixes.entry(cut.to_vec()).or_default().prefix.add(set),
            None => prefixes.entry(text.clone()).or_default().exact.add(set),
        }
    }
    for text in &paths.prefixes {
        let text = &text[..text.len().min(PREFIX_LENGTH)];
        prefixes.entry(text.to_vec()).or_default().prefix.add(set);
    }
    for text in &paths.suffixes {
        let reversed = text.iter().rev().take(SUFFIX_LENGTH).copied();
        suffixes.entry(reversed.collect()).or_default().prefix.add(set);
    }
}

/// The kernel finds the longest entry only, so each has to say what the shorter ones would.
fn inherited(entries: &Entries) -> HashMap<PathKey, PathSets> {
    entries
        .iter()
        .map(|(text, own)| {
            let mut sets = PathSets {
                length: text.len() as u16,
                ..*own
            };
            for length in 0..text.len() {
                if let Some(shorter) = entries.get(&text[..length]) {
                    sets.prefix.add(shorter.prefix);
                }
            }
            (PathKey::new(text), sets)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What the kernel's side does with the tries.
    fn sets_of(filter: &Filter, path: &[u8]) -> u8 {
        let longest = |trie: &HashMap<PathKey, PathSets>, text: &[u8]| {
            (0..=text.len().min(PREFIX_LENGTH))
                .rev()
                .find_map(|length| trie.get(&PathKey::new(&text[..length])).copied())
        };
        let mut sets = filter.all.0;
        if let Some(found) = longest(&filter.prefixes, path) {
            sets |= found.prefix.0;
            if usize::from(found.length) == path.len() {
                sets |= found.exact.0;
            }
        }
        let reversed: Vec<u8> = path.iter().rev().take(SUFFIX_LENGTH).copied().collect();
        if let Some(found) = longest(&filter.suffixes, &reversed) {
            sets |= found.prefix.0;
        }
        sets
    }

    fn mk_paths() -> impl Strategy<Value = Paths> {
        let text = || prop::collection::vec(prop::sample::select(b"/ab".to_vec()), 1..5);
        let long = || prop_oneof![9 => text(), 1 => prop::collection::vec(Just(b'a'), 60..140)];
        let texts = move || prop::collection::btree_set(long(), 0..4);
        (texts(), texts(), texts()).prop_map(|(exact, prefixes, suffixes)| Paths {
            exact,
            prefixes,
            suffixes,
            ..Paths::default()
        })
    }

    proptest! {
        /// Never less than is needed, and for paths of a common length no more.
        #[test]
        fn the_tries_say_what_the_needs_say(
            reads in mk_paths(),
            writes in mk_paths(),
            path in prop_oneof![
                9 => prop::collection::vec(prop::sample::select(b"/ab".to_vec()), 1..7),
                1 => prop::collection::vec(Just(b'a'), 60..150),
            ],
        ) {
            let needs = Needs { reads, writes, ..Needs::default() };
            let sets = sets_of(&Filter::of(&needs), &path);
            for (set, paths) in [(Sets::READS, &needs.reads), (Sets::WRITES, &needs.writes)] {
                let covered = paths.covers(&path);
                let delivered = sets & set.0 != 0;
                prop_assert!(delivered || !covered);
                prop_assert!(covered || !delivered || path.len() >= SUFFIX_LENGTH);
            }
        }
    }

    #[test]
    fn parts_make_it_all_files() {
        let mut needs = Needs::default();
        needs.writes.parts.insert(b"secret".to_vec());
        let filter = Filter::of(&needs);
        assert_eq!((filter.all, filter.any), (Sets::WRITES, Sets::WRITES));
    }

    #[test]
    fn too_many_entries_make_it_all_files() {
        let mut needs = Needs::default();
        needs.reads.exact = (0..5000).map(|i| format!("/{i}").into_bytes()).collect();
        let filter = Filter::of(&needs);
        assert_eq!((filter.all, filter.prefixes.len()), (Sets::READS, 0));
        let error = super::super::check_needs(&needs).unwrap_err();
        assert!(
            error.to_string().starts_with("5000 paths and beginnings"),
            "{error}"
        );
        needs.reads.exact.retain(|path| path.len() < 5);
        assert_eq!(super::super::check_needs(&needs), Ok(()));
    }

    #[test]
    fn endings_that_are_asked_for_in_one_set_say_nothing_of_another() {
        let mut needs = Needs::default();
        needs.writes.suffixes.insert(b"/release_agent".to_vec());
        needs.reads.exact.insert(b"/etc/shadow".to_vec());
        assert_eq!(Filter::of(&needs).sets_with_suffixes(), Sets::WRITES);
    }
}
