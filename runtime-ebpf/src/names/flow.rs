//! Who talks to whom, and how much of what was said is at hand.

use std::net::{IpAddr, SocketAddr, SocketAddrV6};

/// What a DNS message went over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// A datagram is a message.
    Udp,
    /// Messages follow each other, each after its length in two bytes.
    Tcp,
}

/// The two ends of a conversation between a container and a server, in one spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Flow {
    client: SocketAddr,
    server: SocketAddr,
    transport: Transport,
}

impl Flow {
    /// From the container's end and the server's.
    ///
    /// IPv4 addresses that are mapped into IPv6 are made plain. A client whose address the kernel had not chosen yet,
    /// as with a datagram socket that is neither bound nor connected, has the unspecified one, which stands for any.
    pub fn new(client: SocketAddr, server: SocketAddr, transport: Transport) -> Self {
        Self {
            client: canonical(client),
            server: canonical(server),
            transport,
        }
    }

    /// The container's end.
    pub fn client(&self) -> SocketAddr {
        self.client
    }

    /// The other end.
    pub fn server(&self) -> SocketAddr {
        self.server
    }

    /// What it goes over.
    pub fn transport(&self) -> Transport {
        self.transport
    }

    /// True where both may be the client's end of the same socket.
    pub(super) fn same_client(&self, other: &Self) -> bool {
        let (ours, theirs) = (self.client.ip(), other.client.ip());
        self.client.port() == other.client.port()
            && (ours.is_unspecified() || theirs.is_unspecified() || ours == theirs)
    }
}

/// The one spelling of an endpoint: plain IPv4 where it is that, a scope only where it tells addresses apart.
fn canonical(endpoint: SocketAddr) -> SocketAddr {
    match (endpoint.ip().to_canonical(), endpoint) {
        (IpAddr::V6(ip), SocketAddr::V6(endpoint)) => {
            let scope = if ip.is_unicast_link_local() {
                endpoint.scope_id()
            } else {
                0
            };
            SocketAddrV6::new(ip, endpoint.port(), 0, scope).into()
        }
        (ip, endpoint) => SocketAddr::new(ip, endpoint.port()),
    }
}

/// A message's bytes, or as many of its first ones as the sensor copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Payload<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) cut: bool,
}

impl<'a> Payload<'a> {
    /// All of a message.
    pub fn whole(bytes: &'a [u8]) -> Self {
        Self { bytes, cut: false }
    }

    /// Only a message's beginning: what it says before the cut is taken as it is.
    pub fn cut(bytes: &'a [u8]) -> Self {
        Self { bytes, cut: true }
    }
}

impl<'a> From<&'a [u8]> for Payload<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::whole(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(client: &str, server: &str) -> Flow {
        Flow::new(client.parse().unwrap(), server.parse().unwrap(), Transport::Udp)
    }

    #[test]
    fn one_conversation_has_one_spelling() {
        assert_eq!(
            flow("[::ffff:10.1.1.1]:7", "[::ffff:10.96.0.10]:53"),
            flow("10.1.1.1:7", "10.96.0.10:53")
        );
        assert_eq!(
            flow("[::1]:7", "[2001:db8::1%3]:53"),
            flow("[::1]:7", "[2001:db8::1]:53")
        );
        assert_ne!(
            flow("[::1]:7", "[fe80::1%3]:53"),
            flow("[::1]:7", "[fe80::1%4]:53")
        );
    }

    #[test]
    fn a_client_without_an_address_may_be_any_but_keeps_its_port() {
        let known = flow("10.1.1.1:7", "10.96.0.10:53");
        assert!(known.same_client(&flow("0.0.0.0:7", "10.96.0.10:53")));
        assert!(known.same_client(&flow("[::]:7", "10.96.0.10:53")));
        assert!(!known.same_client(&flow("0.0.0.0:8", "10.96.0.10:53")));
        assert!(!known.same_client(&flow("10.1.1.2:7", "10.96.0.10:53")));
    }
}
