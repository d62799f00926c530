//! The rules for one kind of events, and which of them an event can concern.
//!
//! Most conditions name a program, a path, an image, a port or a part of a command line: a rule that asks for one of a
//! few is looked at only for events that have one of those. So the cost of an event hardly grows with the number of
//! rules.

mod key;
mod parts;

use runtime_core::Event;

use super::anchor::{Finder, Shape};
use super::tree::{Node, Scratch};
use key::Key;

/// The fields that rules are looked up by. Each has how much less one of its values says than a path does: what
/// many events have in common is a poor key, and some keys cost more to look at.
const KEYS: [(&str, usize); 20] = [
    ("proc.name", 1),
    ("proc.pname", 1),
    ("proc.exepath", 1),
    ("fd.name", 1),
    ("fd.directory", 1),
    ("fd.filename", 1),
    ("fs.path.name", 1),
    ("fs.path.source", 1),
    ("fs.path.target", 1),
    ("fd.sip.name", 1),
    ("dns.name", 1),
    ("proc.pexepath", 2),
    ("proc.aname", 4),
    ("proc.cmdline", 2),
    ("proc.args", 2),
    ("proc.arg", 4),
    ("fd.sport", 8),
    ("fd.rport", 8),
    ("container.image.repository", 8),
    ("k8s.ns.name", 16),
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
        let shapes = [Shape::Whole, Shape::Beginning, Shape::Ending, Shape::Part];
        let mut finder = Finder::new(&KEYS, &shapes);
        for at in 0..bucket.rules.len() {
            match finder.of(&bucket.rules[at].1) {
                Some(anchors) if anchors.iter().all(Key::can_hold) => {
                    for anchor in anchors {
                        bucket.key(anchor.field).add(&anchor, at);
                    }
                }
                _ => bucket.always[at / 64] |= 1 << (at % 64),
            }
        }
        for key in &mut bucket.keys {
            key.finish();
        }
        bucket
    }

    fn key(&mut self, field: &'static str) -> &mut Key {
        let found = self.keys.iter().position(|key| key.field == field);
        let at = found.unwrap_or_else(|| {
            self.keys.push(Key::new(field));
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
            key.mark(event, scratch.texts(), &mut marks);
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

#[cfg(test)]
mod tests {
    use super::super::field;
    use super::*;

    #[test]
    fn what_rules_are_looked_up_by_are_fields() {
        for (name, _) in KEYS {
            assert!(field::find(name).is_some(), "{name}");
        }
    }
}
