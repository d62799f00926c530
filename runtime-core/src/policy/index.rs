//! Many entries, of which an event is compared with few.
//!
//! Each entry is filed under one text that an event must have for it to match: a whole text, the beginning of one or
//! its ending, whichever of the entry's own the fewest others share. A finding is looked up under what its event has,
//! so ten thousand entries cost as much as the few that fit by that text.

use std::collections::HashMap;

use super::entry::{Attribute, Entry};
use crate::event::Event;
use crate::finding::RuleRef;
use crate::glob::Glob;

/// The entries of one policy, for one engine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Index {
    entries: Vec<Entry>,
    filed: HashMap<(Kind, Form), Drawer>,
    /// Entries that no text tells apart.
    rest: Vec<u32>,
}

/// Entries that are filed under texts of one kind and form.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Drawer {
    by_text: HashMap<Box<[u8]>, Vec<u32>>,
    /// How long the texts are, sorted.
    lengths: Vec<usize>,
}

/// Where a text comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Signature,
    Of(Attribute),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Form {
    Whole,
    Beginning,
    Ending,
}

impl Form {
    const ALL: [Self; 3] = [Self::Whole, Self::Beginning, Self::Ending];
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    kind: Kind,
    form: Form,
    text: Box<[u8]>,
}

impl Key {
    /// The text that whatever a pattern matches must have; `None` when there is none.
    fn of(kind: Kind, glob: &Glob) -> Option<Self> {
        let (beginning, ending) = glob.fixed_ends();
        let (form, text) = match glob.literal() {
            Some(text) => (Form::Whole, text),
            None if beginning.len() >= ending.len() => (Form::Beginning, beginning),
            None => (Form::Ending, ending),
        };
        (form == Form::Whole || !text.is_empty()).then(|| Self {
            kind,
            form,
            text: text.into(),
        })
    }
}

impl Index {
    pub(super) fn new(entries: Vec<Entry>) -> Self {
        let keys: Vec<Vec<Key>> = entries.iter().map(keys_of).collect();
        let mut shared: HashMap<&Key, usize> = HashMap::new();
        for key in keys.iter().flatten() {
            *shared.entry(key).or_default() += 1;
        }
        let chosen: Vec<Option<Key>> = keys
            .iter()
            .map(|keys| keys.iter().min_by_key(|key| shared[key]).cloned())
            .collect();
        let mut index = Self {
            entries,
            ..Self::default()
        };
        for (place, key) in (0..).zip(chosen) {
            let Some(Key { kind, form, text }) = key else {
                index.rest.push(place);
                continue;
            };
            let Drawer { by_text, lengths } = index.filed.entry((kind, form)).or_default();
            if let Err(at) = lengths.binary_search(&text.len()) {
                lengths.insert(at, text.len());
            }
            by_text.entry(text).or_default().push(place);
        }
        index
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// An entry that fits a finding in an event.
    pub(super) fn find(&self, rule: &RuleRef, event: &Event) -> Option<&Entry> {
        let fits = |&place: &u32| {
            let entry = &self.entries[place as usize];
            entry.matches(rule, event).then_some(entry)
        };
        if let Some(found) = self.rest.iter().find_map(fits) {
            return Some(found);
        }
        let mut found = None;
        let mut look_up = |kind: Kind, text: &[u8]| {
            found = self.filed_under(kind, text).find_map(fits);
            found.is_some()
        };
        let by_signature = look_up(Kind::Signature, rule.id.as_bytes())
            || (rule.name != rule.id && look_up(Kind::Signature, rule.name.as_bytes()));
        let _ = by_signature
            || Attribute::ALL
                .iter()
                .filter(|attribute| self.has(Kind::Of(**attribute)))
                .any(|attribute| attribute.any_of(event, &mut |text| look_up(Kind::Of(*attribute), text)));
        found
    }

    fn has(&self, kind: Kind) -> bool {
        Form::ALL
            .iter()
            .any(|&form| self.filed.contains_key(&(kind, form)))
    }

    /// The entries that are filed under a text, or a part of it.
    fn filed_under(&self, kind: Kind, text: &[u8]) -> impl Iterator<Item = &u32> {
        let drawers = Form::ALL
            .iter()
            .filter_map(move |&form| Some((form, self.filed.get(&(kind, form))?)));
        drawers
            .flat_map(move |(form, drawer)| {
                let lengths = drawer.lengths.iter().filter(move |&&length| match form {
                    Form::Whole => length == text.len(),
                    Form::Beginning | Form::Ending => length <= text.len(),
                });
                lengths.filter_map(move |&length| {
                    drawer.by_text.get(match form {
                        Form::Whole | Form::Beginning => &text[..length],
                        Form::Ending => &text[text.len() - length..],
                    })
                })
            })
            .flatten()
    }
}

/// All that an entry can be filed under.
fn keys_of(entry: &Entry) -> Vec<Key> {
    let texts = entry
        .texts()
        .iter()
        .map(|(attribute, glob)| (Kind::Of(*attribute), glob));
    let signature = entry.signature().map(|glob| (Kind::Signature, glob));
    texts
        .chain(signature)
        .filter_map(|(kind, glob)| Key::of(kind, glob))
        .collect()
}
