//! The rules for one kind of events, and which of them an event can concern.
//!
//! Most conditions begin with the name of a program or a path: a rule that asks for one of a few is looked at
//! only for events that have one of those. So the cost of an event hardly grows with the number of rules.

use runtime_core::Event;

use super::anchor::{Finder, Shape};
use super::field::{self, FIELDS, FieldType, Getter, Given, Value};
use super::hash::FastMap;
use super::text::NAME_LIMIT;
use super::tree::{Node, Scratch};

/// The fields that rules are looked up by.
const KEYS: [&str; 7] = [
    "proc.name",
    "proc.pname",
    "proc.exepath",
    "fd.name",
    "fd.directory",
    "fd.filename",
    "fs.path.name",
];

/// Below this number of rules all of them are looked at.
const FEW: usize = 4;

/// The rules for one kind of events.
#[derive(Debug, Default)]
pub(super) struct Bucket {
    /// The number of each rule, and its condition.
    pub(super) rules: Vec<(usize, Node)>,
    /// A bit for each rule that is always looked at.
    always: Vec<u64>,
    keys: Vec<Key>,
}

/// What is looked up by one field.
#[derive(Debug)]
struct Key {
    /// The field's place in the table.
    place: usize,
    get: Getter,
    /// Whether a longer name than the kernel keeps is also looked up as the kernel would cut it.
    cut: bool,
    whole: FastMap<Box<[u8]>, Vec<usize>>,
    /// In their order.
    beginnings: Vec<Beginning>,
}

#[derive(Debug)]
struct Beginning {
    text: Box<[u8]>,
    rules: Vec<usize>,
    /// The place of the longest other beginning that this one begins with.
    shorter: Option<usize>,
}

impl Bucket {
    pub(super) fn new(rules: Vec<(usize, Node)>) -> Self {
        let mut bucket = Self {
            always: vec![0; rules.len().div_ceil(64)],
            rules,
            keys: Vec::new(),
        };
        if bucket.rules.len() <= FEW {
            return bucket;
        }
        let mut finder = Finder::new(&KEYS, &[Shape::Whole, Shape::Beginning]);
        for at in 0..bucket.rules.len() {
            match finder.of(&bucket.rules[at].1) {
                Some(anchors) => {
                    for anchor in anchors {
                        bucket.key(anchor.field).add(anchor.shape, anchor.text, at);
                    }
                }
                None => bucket.always[at / 64] |= 1 << (at % 64),
            }
        }
        for key in &mut bucket.keys {
            key.link();
        }
        bucket
    }

    fn key(&mut self, field: &'static str) -> &mut Key {
        let place = field::find(field).map_or(0, |(place, _)| place);
        let found = self.keys.iter().position(|key| key.place == place);
        let at = found.unwrap_or_else(|| {
            self.keys.push(Key::new(place));
            self.keys.len() - 1
        });
        &mut self.keys[at]
    }

    /// Calls `found` with the number of each rule that holds for the event, in their order.
    pub(super) fn judge(
        &self,
        event: &Event,
        scratch: &mut Scratch,
        mut found: impl FnMut(usize, &mut Scratch),
    ) {
        if self.rules.len() <= FEW {
            for (number, node) in &self.rules {
                if node.holds(event, scratch) {
                    found(*number, scratch);
                }
            }
            return;
        }
        let mut marks = std::mem::take(&mut scratch.marks);
        marks.clear();
        marks.extend_from_slice(&self.always);
        for key in &self.keys {
            if let Value::Text(text) = (key.get)(event, &mut scratch.buffers, &Given::None) {
                key.mark(text, &mut marks);
            }
        }
        for (word, &bits) in marks.iter().enumerate() {
            let mut bits = bits;
            while bits != 0 {
                let (number, node) = &self.rules[word * 64 + bits.trailing_zeros() as usize];
                if node.holds(event, scratch) {
                    found(*number, scratch);
                }
                bits &= bits - 1;
            }
        }
        scratch.marks = marks;
    }
}

impl Key {
    fn new(place: usize) -> Self {
        let field = &FIELDS[place];
        Self {
            place,
            get: field.get,
            cut: field.kind == FieldType::Name,
            whole: FastMap::default(),
            beginnings: Vec::new(),
        }
    }

    fn add(&mut self, shape: Shape, text: Box<[u8]>, rule: usize) {
        if shape == Shape::Whole {
            let rules = self.whole.entry(text).or_default();
            if rules.last() != Some(&rule) {
                rules.push(rule);
            }
            return;
        }
        self.beginnings.push(Beginning {
            text,
            rules: vec![rule],
            shorter: None,
        });
    }

    /// Sorts the beginnings, each once, and finds for each the one that it begins with.
    fn link(&mut self) {
        self.beginnings.sort_by(|a, b| a.text.cmp(&b.text));
        self.beginnings.dedup_by(|later, earlier| {
            let same = later.text == earlier.text;
            if same {
                earlier.rules.append(&mut later.rules);
            }
            same
        });
        // In this order what a text begins with stands before it, and all between begin with the same.
        let mut open: Vec<usize> = Vec::new();
        for at in 0..self.beginnings.len() {
            while let Some(&last) = open.last()
                && !self.beginnings[at].text.starts_with(&self.beginnings[last].text)
            {
                open.pop();
            }
            self.beginnings[at].shorter = open.last().copied();
            open.push(at);
        }
    }

    fn mark(&self, text: &[u8], marks: &mut [u64]) {
        let mut add = |rules: &[usize]| {
            for rule in rules {
                marks[rule / 64] |= 1 << (rule % 64);
            }
        };
        if let Some(rules) = self.whole.get(text) {
            add(rules);
        }
        if self.cut
            && text.len() > NAME_LIMIT
            && let Some(rules) = self.whole.get(&text[..NAME_LIMIT])
        {
            add(rules);
        }
        let behind = self
            .beginnings
            .partition_point(|beginning| *beginning.text <= *text);
        let mut next = behind.checked_sub(1);
        while let Some(at) = next {
            let beginning = &self.beginnings[at];
            if text.starts_with(&beginning.text) {
                add(&beginning.rules);
            }
            next = beginning.shorter;
        }
    }
}
