//! Hashing of what is learned: quick for short texts, and with a key that whoever makes the names does not know.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, Hasher, RandomState};

/// A map with quick hashing.
pub(super) type KeyedMap<K, V> = HashMap<K, V, Keyed>;

/// A set with quick hashing.
pub(super) type KeyedSet<K> = HashSet<K, Keyed>;

/// Makes hashers with one key, another one in each process.
#[derive(Debug, Clone, Copy)]
pub(super) struct Keyed(u64);

impl Default for Keyed {
    fn default() -> Self {
        Self(RandomState::new().hash_one(0u8) | 1)
    }
}

impl BuildHasher for Keyed {
    type Hasher = KeyedHasher;

    fn build_hasher(&self) -> KeyedHasher {
        KeyedHasher {
            state: self.0,
            key: self.0,
        }
    }
}

/// Multiplies to 128 bits and folds, eight bytes at a time.
#[derive(Debug, Clone, Copy)]
pub(super) struct KeyedHasher {
    state: u64,
    key: u64,
}

impl KeyedHasher {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

    fn add(&mut self, word: u64) {
        let product = u128::from(self.state ^ word) * u128::from(self.key ^ Self::FACTOR);
        self.state = (product as u64) ^ ((product >> 64) as u64);
    }
}

impl Hasher for KeyedHasher {
    fn finish(&self) -> u64 {
        let product = u128::from(self.state ^ self.key) * u128::from(Self::FACTOR);
        (product as u64) ^ ((product >> 64) as u64)
    }

    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.add(u64::from_le_bytes(*word));
        }
        if !rest.is_empty() {
            let mut last = [0; 8];
            last[..rest.len()].copy_from_slice(rest);
            self.add(u64::from_le_bytes(last) ^ ((rest.len() as u64) << 56));
        }
    }

    fn write_u8(&mut self, number: u8) {
        self.add(number.into());
    }

    fn write_u16(&mut self, number: u16) {
        self.add(number.into());
    }

    fn write_u32(&mut self, number: u32) {
        self.add(number.into());
    }

    fn write_u64(&mut self, number: u64) {
        self.add(number);
    }

    fn write_usize(&mut self, number: usize) {
        self.add(number as u64);
    }

    fn write_isize(&mut self, number: isize) {
        self.add(number as u64);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_that_differ_in_little_differ_in_the_hash() {
        let keyed = Keyed::default();
        let hashes: HashSet<u64> = (0..100_000u32)
            .map(|number| keyed.hash_one(format!("/usr/bin/program-{number}").as_bytes()))
            .collect();
        assert!(hashes.len() > 99_990, "{}", hashes.len());
    }
}
