//! What processes do on the network.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use super::dns::DomainName;
use crate::raw::RawString;

/// Something that was done with a socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NetworkActivity {
    /// What was done.
    pub operation: NetworkOperation,
    /// The kind of socket.
    pub protocol: Protocol,
    /// The socket's own address, where it has one.
    pub local: Option<Endpoint>,
    /// The other side, where there is one.
    pub remote: Option<Endpoint>,
    /// The names that this container got the remote address for, the last one first.
    pub domains: Vec<DomainName>,
    /// The socket's descriptor, where the call had one.
    pub descriptor: Option<i32>,
}

/// Operations on sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum NetworkOperation {
    /// A socket was made.
    Socket,
    /// It was connected.
    Connect,
    /// It got an address of its own.
    Bind,
    /// It takes connections.
    Listen,
    /// A connection was taken.
    Accept,
    /// Something was sent to an address without a connection.
    Send,
}

impl NetworkOperation {
    /// One word for it, as alerts have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Socket => "socket",
            Self::Connect => "connect",
            Self::Bind => "bind",
            Self::Listen => "listen",
            Self::Accept => "accept",
            Self::Send => "send",
        }
    }
}

/// What a socket speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP or `ICMPv6`.
    Icmp,
    /// A raw IP socket.
    Raw,
    /// A packet socket (`AF_PACKET`): everything on the wire.
    Packet,
    /// A Unix socket.
    Unix,
    /// Anything else.
    Other {
        /// The address family (`AF_…`), as numbered on Linux.
        family: u16,
        /// The socket's type (`SOCK_…`), without flags.
        kind: u16,
    },
}

impl Protocol {
    /// From the three numbers of `socket(2)`; flags in the type are no matter.
    pub fn from_numbers(family: u16, kind: u16, protocol: u16) -> Self {
        const INET: [u16; 2] = [2, 10];
        let kind = kind & 0xf;
        match (family, kind, protocol) {
            (1, _, _) => Self::Unix,
            (17, _, _) => Self::Packet,
            (family, 1, 0 | 6) if INET.contains(&family) => Self::Tcp,
            (family, 2, 0 | 17) if INET.contains(&family) => Self::Udp,
            (2, 2, 1) | (10, 2, 58) => Self::Icmp,
            (family, 3, _) if INET.contains(&family) => Self::Raw,
            (family, kind, _) => Self::Other { family, kind },
        }
    }

    /// One word for it, as alerts have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Icmp => "icmp",
            Self::Raw => "raw",
            Self::Packet => "packet",
            Self::Unix => "unix",
            Self::Other { .. } => "other",
        }
    }
}

/// One side of a socket.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Endpoint {
    /// An IP address and a port. An IPv4 address that is mapped into IPv6 is an IPv4 address here.
    Ip(SocketAddr),
    /// The path of a Unix socket; one that begins with a NUL byte is an abstract name.
    Unix(#[serde(with = "crate::raw::exact")] RawString),
}

impl Endpoint {
    /// From an address and a port; mapped IPv4 addresses are made plain.
    pub fn ip(address: IpAddr, port: u16) -> Self {
        Self::Ip(SocketAddr::new(address.to_canonical(), port))
    }

    /// The IP address and port, if it has one.
    pub fn socket_addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Ip(address) => Some(*address),
            Self::Unix(_) => None,
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Unix(path) => path.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_sockets() {
        assert_eq!(
            Protocol::from_numbers(2, 1 | 0o2_000_000u32 as u16, 0),
            Protocol::Tcp
        );
        assert_eq!(Protocol::from_numbers(10, 2, 17), Protocol::Udp);
        assert_eq!(Protocol::from_numbers(2, 3, 1), Protocol::Raw);
        assert_eq!(Protocol::from_numbers(17, 3, 0x300), Protocol::Packet);
        assert_eq!(
            Protocol::from_numbers(16, 3, 9),
            Protocol::Other { family: 16, kind: 3 }
        );
    }

    #[test]
    fn a_mapped_address_is_the_address() {
        let endpoint = Endpoint::ip("::ffff:192.0.2.1".parse().unwrap(), 80);
        assert_eq!(endpoint.to_string(), "192.0.2.1:80");
    }
}
