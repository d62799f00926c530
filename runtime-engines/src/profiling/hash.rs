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

/// Multiplies to 128 bits and folds, sixteen bytes at a time.
#[derive(Debug, Clone, Copy)]
pub(super) struct KeyedHasher {
    state: u64,
    key: u64,
}

impl KeyedHasher {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

    fn add(&mut self, low: u64, high: u64) {
        let product = u128::from(low ^ self.state) * u128::from(high ^ self.key);
        self.state = (product as u64) ^ ((product >> 64) as u64) ^ Self::FACTOR;
    }
}

impl KeyedHasher {
    /// Small numbers (lengths, ports, variants) need no multiplication of their own that waits for the one before it.
    fn mix(&mut self, number: u64) {
        self.state = self.state.rotate_left(29) ^ number.wrapping_mul(Self::FACTOR);
    }
}

impl Hasher for KeyedHasher {
    fn finish(&self) -> u64 {
        let product = u128::from(self.state ^ self.key) * u128::from(Self::FACTOR);
        (product as u64) ^ ((product >> 64) as u64)
    }

    fn write(&mut self, bytes: &[u8]) {
        let (blocks, rest) = bytes.as_chunks::<16>();
        for block in blocks {
            self.write_u128(u128::from_le_bytes(*block));
        }
        if !rest.is_empty() {
            let mut last = [0; 16];
            last[..rest.len()].copy_from_slice(rest);
            self.write_u128(u128::from_le_bytes(last) ^ ((rest.len() as u128) << 120));
        }
    }

    fn write_u128(&mut self, number: u128) {
        self.add(number as u64, (number >> 64) as u64);
    }

    fn write_u8(&mut self, number: u8) {
        self.mix(number.into());
    }

    fn write_u16(&mut self, number: u16) {
        self.mix(number.into());
    }

    fn write_u32(&mut self, number: u32) {
        self.mix(number.into());
    }

    fn write_u64(&mut self, number: u64) {
        self.mix(number);
    }

    fn write_usize(&mut self, number: usize) {
        self.mix(number as u64);
    }

    fn write_isize(&mut self, number: isize) {
        self.mix(number as u64);
    }
}

/// A map by ids that the runtime makes.
pub(super) type IdMap<K, V> = HashMap<K, V, KeyedById>;

/// Makes hashers for ids of containers. Runtimes make them by chance, so a part of them is as good as all.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct KeyedById(Keyed);

impl BuildHasher for KeyedById {
    type Hasher = IdHasher;

    fn build_hasher(&self) -> IdHasher {
        IdHasher(self.0.build_hasher())
    }
}

/// Takes the last sixteen bytes of a text.
#[derive(Debug, Clone, Copy)]
pub(super) struct IdHasher(KeyedHasher);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0.finish()
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0
            .write(bytes.last_chunk::<16>().map_or(bytes, <[u8; 16]>::as_slice));
    }

    /// The mark at the end of a text, which says nothing where there is one text.
    fn write_u8(&mut self, _number: u8) {}
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
        // The table picks a place by the lowest bits.
        let places: HashSet<u64> = hashes.iter().map(|hash| hash % 1024).collect();
        assert_eq!(places.len(), 1024);
    }
}
