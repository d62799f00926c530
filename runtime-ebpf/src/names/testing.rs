//! DNS messages for tests, written by hand: with another hand than the library's that reads them.

use std::net::IpAddr;

/// A message in the making.
#[derive(Clone)]
pub(crate) struct Mk(Vec<u8>);

impl Mk {
    /// Only a header: id, flags, and the four counts.
    pub(crate) fn bare(id: u16, flags: u16, counts: [u16; 4]) -> Self {
        let mut bytes = Vec::new();
        for number in [id, flags].into_iter().chain(counts) {
            bytes.extend(number.to_be_bytes());
        }
        Self(bytes)
    }

    /// A question of class `IN`.
    pub(crate) fn query(id: u16, name: &str, record_type: u16) -> Self {
        let mut mk = Self::bare(id, 0x0100, [1, 0, 0, 0]);
        mk.0.extend(wire_name(name));
        mk.0.extend(record_type.to_be_bytes());
        mk.0.extend([0, 1]);
        mk
    }

    /// An answer to it, without records.
    pub(crate) fn answer(id: u16, name: &str, record_type: u16) -> Self {
        let mut mk = Self::query(id, name, record_type);
        mk.0[2..4].copy_from_slice(&[0x81, 0x80]);
        mk
    }

    pub(crate) fn code(mut self, code: u8) -> Self {
        self.0[3] |= code;
        self
    }

    pub(crate) fn flag(mut self, byte: usize, bits: u8) -> Self {
        self.0[byte] ^= bits;
        self
    }

    /// Bytes that are one record of the answer section.
    pub(crate) fn raw(mut self, bytes: &[u8]) -> Self {
        let count = u16::from_be_bytes([self.0[6], self.0[7]]) + 1;
        self.0[6..8].copy_from_slice(&count.to_be_bytes());
        self.raw_uncounted(bytes)
    }

    pub(crate) fn raw_uncounted(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }

    pub(crate) fn record(self, owner: &str, record_type: u16, data: &[u8]) -> Self {
        let mut bytes = wire_name(owner);
        bytes.extend(record_type.to_be_bytes());
        bytes.extend([0, 1, 0, 0, 0, 60]);
        bytes.extend((data.len() as u16).to_be_bytes());
        bytes.extend(data);
        self.raw(&bytes)
    }

    pub(crate) fn alias(self, owner: &str, target: &str) -> Self {
        self.record(owner, 5, &wire_name(target))
    }

    pub(crate) fn address(self, owner: &str, address: &str) -> Self {
        match address.parse().unwrap() {
            IpAddr::V4(address) => self.record(owner, 1, &address.octets()),
            IpAddr::V6(address) => self.record(owner, 28, &address.octets()),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn done(self) -> Vec<u8> {
        self.0
    }
}

/// A name as messages have it; labels are separated by dots.
pub(crate) fn wire_name(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        bytes.push(label.len() as u8);
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes
}
