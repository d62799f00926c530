//! Rules by what a text has somewhere inside.
//!
//! Of each part four bytes in a row stand for it, chosen so that few parts share them. A text is gone through once: at
//! most of its places one look into a small table of bits says that no part can be there.

use super::super::hash::{FastMap, FastSet};
use super::key::add;

/// The shortest part that can be looked for.
pub(super) const SHORTEST: usize = 4;

/// Of how many places of a part one is chosen.
const PLACES: usize = 64;

/// How many bits there are for each part: one in so many other bytes is taken for a part at first.
const BITS: usize = 32;

/// Parts, and the rules that ask for them.
#[derive(Debug, Default)]
pub(super) struct Parts {
    added: FastMap<Box<[u8]>, Vec<usize>>,
    /// A bit for each hash of four bytes that stand for a part; a power of two of words, or none.
    bits: Box<[u64]>,
    /// The parts, by the bytes that stand for them.
    by_bytes: FastMap<u32, Vec<Part>>,
}

#[derive(Debug)]
struct Part {
    text: Box<[u8]>,
    /// Where in it the bytes are that stand for it.
    at: usize,
    rules: Vec<usize>,
}

impl Parts {
    /// Adds a rule that asks for a part, which is not too short.
    pub(super) fn add(&mut self, text: &[u8], rule: usize) {
        let rules = self.added.entry(text.into()).or_default();
        if rules.last() != Some(&rule) {
            rules.push(rule);
        }
    }

    /// Makes it ready when all is added.
    pub(super) fn finish(&mut self) {
        let mut added: Vec<_> = std::mem::take(&mut self.added).into_iter().collect();
        if added.is_empty() {
            return;
        }
        // The same table for the same rules.
        added.sort();
        let words = (added.len() * BITS / 64).next_power_of_two();
        self.bits = vec![0; words].into();
        // How many parts have these bytes somewhere: the fewer, the better they tell one from the others.
        let mut shared: FastMap<u32, usize> = FastMap::default();
        for (text, _) in &added {
            let distinct: FastSet<u32> = bytes_of(text).take(PLACES).map(|(_, bytes)| bytes).collect();
            for bytes in distinct {
                *shared.entry(bytes).or_default() += 1;
            }
        }
        for (text, rules) in added {
            let places = bytes_of(&text).take(PLACES);
            let Some((at, bytes)) = places.min_by_key(|(_, bytes)| shared[bytes]) else {
                continue;
            };
            let bit = self.bit(bytes);
            self.bits[bit / 64] |= 1 << (bit % 64);
            self.by_bytes
                .entry(bytes)
                .or_default()
                .push(Part { text, at, rules });
        }
    }

    /// Marks the rules that ask for a part of this text.
    pub(super) fn mark(&self, text: &[u8], marks: &mut [u64]) {
        if self.bits.is_empty() {
            return;
        }
        for (place, bytes) in bytes_of(text) {
            let bit = self.bit(bytes);
            if self.bits[bit / 64] & 1 << (bit % 64) == 0 {
                continue;
            }
            for part in self.by_bytes.get(&bytes).into_iter().flatten() {
                let start = place.checked_sub(part.at);
                if start.is_some_and(|start| text[start..].starts_with(&part.text)) {
                    add(&part.rules, marks);
                }
            }
        }
    }

    fn bit(&self, bytes: u32) -> usize {
        let hash = (bytes ^ bytes >> 15).wrapping_mul(0x9e37_79b1);
        (hash ^ hash >> 16) as usize & (self.bits.len() * 64 - 1)
    }
}

/// All four bytes in a row, and where they are.
fn bytes_of(text: &[u8]) -> impl Iterator<Item = (usize, u32)> {
    let windows = text.windows(SHORTEST).enumerate();
    windows.map(|(at, window)| {
        (
            at,
            u32::from_le_bytes([window[0], window[1], window[2], window[3]]),
        )
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mk_text(length: std::ops::Range<usize>) -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(prop::sample::select(b"ab-".to_vec()), length)
    }

    proptest! {
        #[test]
        fn exactly_the_parts_that_are_there_are_found(
            parts in prop::collection::vec(mk_text(4..9), 1..100),
            text in mk_text(0..40),
        ) {
            let mut all = Parts::default();
            for (rule, part) in parts.iter().enumerate() {
                all.add(part, rule);
            }
            all.finish();
            let mut marks = [0; 2];
            all.mark(&text, &mut marks);
            for (rule, part) in parts.iter().enumerate() {
                let marked = marks[rule / 64] & 1 << (rule % 64) != 0;
                let is_there = text.windows(part.len()).any(|window| window == part);
                prop_assert_eq!(marked, is_there, "{:?}", part);
            }
        }
    }
}
