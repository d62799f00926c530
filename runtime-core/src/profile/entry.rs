//! The entries of a profile: which process, and which process reaches what.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::process::{ParentExe, ProcessIdentity, RUNTIME};
use crate::raw::RawString;
use crate::time::Timestamp;

/// Where an entry comes from; of two sources of one entry the greater one counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Source {
    /// It was learned.
    Runtime,
    /// A user made it. In its texts `*` and `?` are wildcards.
    User,
}

/// A node's name.
pub type NodeName = Arc<str>;

/// A process that belongs to a container: what it is, and who started it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcessEntry {
    /// What it is; learned paths in it are [collapsed](super::collapse).
    pub identity: ProcessIdentity,
    /// The executable that its parent had.
    pub parent: ParentExe,
}

/// Something that a process of a container reaches.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NetworkEntry {
    /// What.
    pub destination: Destination,
    /// The executable's path, [collapsed](super::collapse) where it was learned; [`ANY`] for every process.
    pub process_path: RawString,
}

/// What stands for every process in a network entry. No path equals it, since paths begin with a slash.
pub const ANY: &str = "*";

/// What a process reaches.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Destination {
    /// A host by the name that the container got its address for.
    Domain {
        /// The name.
        name: RawString,
        /// In a learned entry the port that was seen first, for the record alone: the name allows every port. In an
        /// entry of a user it limits the entry, and `None` is every port.
        port: Option<u16>,
    },
    /// An address that no name was known for.
    Address {
        /// The address, or in an entry of a user a range.
        network: Cidr,
        /// The port; `None` is every port.
        port: Option<u16>,
    },
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = match self {
            Self::Domain { name, port } => {
                name.fmt(f)?;
                port
            }
            Self::Address { network, port } => {
                network.fmt(f)?;
                port
            }
        };
        match port {
            Some(port) => write!(f, " port {port}"),
            None => Ok(()),
        }
    }
}

/// What is known of an entry beside what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryMeta {
    /// Where it comes from.
    pub source: Source,
    /// When it was first seen, or made.
    pub first_seen: Timestamp,
    /// The nodes that saw it, sorted, at most [`MAX_ENTRY_NODES`]; empty where one node keeps its own profiles.
    pub nodes: Vec<NodeName>,
}

/// How many nodes an entry remembers: those whose names sort first.
pub const MAX_ENTRY_NODES: usize = 16;

impl EntryMeta {
    /// Learned at this time.
    pub fn learned(first_seen: Timestamp) -> Self {
        Self {
            source: Source::Runtime,
            first_seen,
            nodes: Vec::new(),
        }
    }

    /// Takes in what somebody else knows of the same entry: the greater source, the earlier time, all nodes.
    pub fn merge(&mut self, other: &Self) {
        self.source = self.source.max(other.source);
        self.first_seen = self.first_seen.min(other.first_seen);
        if other.nodes != self.nodes {
            self.nodes.extend(other.nodes.iter().cloned());
            self.nodes.sort();
            self.nodes.dedup();
            self.nodes.truncate(MAX_ENTRY_NODES);
        }
    }
}

/// The text that stands for a parent that is not known.
const UNKNOWN: &str = "(unknown)";

/// A parent's text in a profile: its path, `(runtime)` or `(unknown)`.
pub fn parent_text(parent: &ParentExe) -> RawString {
    parent.to_text().unwrap_or_else(|| UNKNOWN.into())
}

/// The parent that a text in a profile names.
pub fn parent_from_text(text: RawString) -> ParentExe {
    match &*text {
        text if text == RUNTIME.as_bytes() => ParentExe::Runtime,
        text if text == UNKNOWN.as_bytes() => ParentExe::Unknown,
        _ => ParentExe::Path(text),
    }
}

/// A range of addresses, as in `10.0.0.0/8`; an address alone is a range of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cidr {
    first: IpAddr,
    prefix: u8,
}

/// A text that is no range of addresses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no address or range of addresses, as in 192.0.2.1 or 192.0.2.0/24")]
pub struct InvalidCidr(String);

impl Cidr {
    /// One address. An IPv4 address that is mapped into IPv6 is an IPv4 address here.
    pub fn single(address: IpAddr) -> Self {
        let first = address.to_canonical();
        Self {
            first,
            prefix: width(first),
        }
    }

    /// The address, where it is only one.
    pub fn address(&self) -> Option<IpAddr> {
        (self.prefix == width(self.first)).then_some(self.first)
    }

    /// Whether the address is in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        width(address) == width(self.first) && cut(address, self.prefix) == self.first
    }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// The address with all bits behind the prefix cleared.
fn cut(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V4((address.to_bits() & mask).into())
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V6((address.to_bits() & mask).into())
        }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address() {
            Some(address) => address.fmt(f),
            None => write!(f, "{}/{}", self.first, self.prefix),
        }
    }
}

impl FromStr for Cidr {
    type Err = InvalidCidr;

    /// Bits behind the prefix may be set, and are cleared.
    fn from_str(text: &str) -> Result<Self, InvalidCidr> {
        let invalid = || InvalidCidr(text.to_owned());
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| invalid())?;
        let Some(prefix) = prefix else {
            return Ok(Self::single(address));
        };
        let prefix: u8 = prefix.parse().map_err(|_| invalid())?;
        if prefix > width(address) {
            return Err(invalid());
        }
        // A range of mapped addresses is one of IPv4, as a single one is.
        let (address, prefix) = match (address.to_canonical(), prefix.checked_sub(96)) {
            (IpAddr::V4(mapped), Some(prefix)) if address.is_ipv6() => (IpAddr::V4(mapped), prefix),
            _ => (address, prefix),
        };
        Ok(Self {
            first: cut(address, prefix),
            prefix,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cidr(text: &str) -> Cidr {
        text.parse().unwrap()
    }

    #[test]
    fn ranges_hold_what_their_prefix_says() {
        assert!(cidr("10.0.0.0/8").contains("10.255.0.1".parse().unwrap()));
        assert!(!cidr("10.0.0.0/8").contains("11.0.0.1".parse().unwrap()));
        assert!(cidr("0.0.0.0/0").contains("11.0.0.1".parse().unwrap()));
        assert!(!cidr("0.0.0.0/0").contains("2001:db8::1".parse().unwrap()));
        assert!(cidr("::/0").contains("2001:db8::1".parse().unwrap()));
        assert!(cidr("10.0.0.0/8").contains("::ffff:10.0.0.1".parse().unwrap()));
        assert!(cidr("::ffff:10.0.0.0/104").contains("10.9.9.9".parse().unwrap()));
        assert!(!cidr("::ffff:10.0.0.0/104").contains("11.9.9.9".parse().unwrap()));
        assert!(cidr("fd00::/8").contains("fdff::1".parse().unwrap()));
        assert!(!cidr("fd00::/8").contains("fe80::1".parse().unwrap()));
        assert_eq!(cidr("10.1.2.3/8").to_string(), "10.0.0.0/8");
        assert_eq!(cidr("192.0.2.1/32").to_string(), "192.0.2.1");
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for text in [
            "",
            "10.0.0.0/33",
            "10.0.0/8",
            "::/129",
            "10.0.0.0/",
            "/8",
            "10.0.0.0/-1",
        ] {
            assert_eq!(text.parse::<Cidr>(), Err(InvalidCidr(text.into())));
        }
    }
}
