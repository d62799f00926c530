//! The servers that a container's start-up configuration names.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// At most this many servers of one configuration are taken. The C libraries use the first three.
pub const MAX_SERVERS: usize = 16;
/// No configuration is longer; what comes after is left out.
const MAX_TEXT: usize = 64 * 1024;
/// Where servers listen: resolv.conf(5) has no way to say another port.
const PORT: u16 = 53;

/// The servers whose answers a container's names are learned from.
///
/// This has to be what the container started with. It can write to its own `resolv.conf` later, and name itself there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resolvers {
    servers: Vec<Server>,
    ignored: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Server {
    address: IpAddr,
    /// The interface's number; `None` where it was given by name, or not at all, and any will do.
    scope: Option<u32>,
}

impl Resolvers {
    /// Reads the text of a `resolv.conf`; what is not understood is left out and counted.
    ///
    /// Where no server is named there is none: the C libraries then ask the machine itself, but on its own loopback
    /// a container is its own resolver. Loopback addresses that are named count like any other, as with
    /// Docker's 127.0.0.11 or a host's 127.0.0.53. Neither groups nor the unspecified address are servers.
    ///
    /// ```
    /// use runtime_ebpf::names::Resolvers;
    ///
    /// let resolvers = Resolvers::parse(b"nameserver 127.0.0.11\noptions ndots:0\n");
    /// assert!(resolvers.contains("127.0.0.11:53".parse()?));
    /// assert!(!resolvers.contains("127.0.0.11:5353".parse()?));
    /// assert!(!resolvers.contains("127.0.0.1:53".parse()?));
    /// # Ok::<(), std::net::AddrParseError>(())
    /// ```
    pub fn parse(text: &[u8]) -> Self {
        let mut resolvers = Self::default();
        if text.len() > MAX_TEXT {
            resolvers.ignored += 1;
        }
        let text = &text[..text.len().min(MAX_TEXT)];
        for line in text.split(|&byte| byte == b'\n') {
            let mut words = line
                .split(u8::is_ascii_whitespace)
                .filter(|word| !word.is_empty());
            if words.next() == Some(b"nameserver") {
                resolvers.add(words.next().and_then(Server::parse));
            }
        }
        resolvers
    }

    /// True where this is one of the servers, at port 53.
    pub fn contains(&self, endpoint: SocketAddr) -> bool {
        endpoint.port() == PORT
            && self.servers.iter().any(|server| {
                server.address == endpoint.ip().to_canonical()
                    && match (server.scope, endpoint) {
                        (Some(scope), SocketAddr::V6(endpoint)) => scope == endpoint.scope_id(),
                        _ => true,
                    }
            })
    }

    /// The servers' addresses, in their order.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.servers.iter().map(|server| server.address)
    }

    /// How many lines named a server that could not be understood or had no room.
    pub fn ignored(&self) -> u64 {
        self.ignored
    }

    fn add(&mut self, server: Option<Server>) {
        match server {
            Some(server) if self.servers.contains(&server) => {}
            Some(server) if self.servers.len() < MAX_SERVERS => self.servers.push(server),
            _ => self.ignored += 1,
        }
    }
}

impl FromIterator<IpAddr> for Resolvers {
    /// From addresses that are known in another way.
    fn from_iter<T: IntoIterator<Item = IpAddr>>(addresses: T) -> Self {
        let mut resolvers = Self::default();
        for address in addresses {
            resolvers.add(Server::new(address, None));
        }
        resolvers
    }
}

impl Server {
    fn new(address: IpAddr, scope: Option<u32>) -> Option<Self> {
        let address = address.to_canonical();
        let is_host = !address.is_unspecified()
            && !address.is_multicast()
            && address != IpAddr::V4(Ipv4Addr::BROADCAST);
        is_host.then_some(Self { address, scope })
    }

    fn parse(word: &[u8]) -> Option<Self> {
        let word = std::str::from_utf8(word).ok()?;
        let Some((address, scope)) = word.split_once('%') else {
            return Self::new(word.parse().ok()?, None);
        };
        let IpAddr::V6(address) = address.parse().ok()? else {
            return None;
        };
        // Interfaces have names of at most 15 bytes, with anything but blanks and slashes.
        let is_interface = (1..16).contains(&scope.len()) && !scope.contains('/');
        if !address.is_unicast_link_local() || !is_interface {
            return None;
        }
        Self::new(address.into(), scope.parse().ok())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn accepted(text: &str) -> Vec<String> {
        Resolvers::parse(text.as_bytes())
            .addresses()
            .map(|address| address.to_string())
            .collect()
    }

    #[test]
    fn servers_are_found_among_the_rest() {
        let text = "# nameserver 192.0.2.1\n; nameserver 192.0.2.2\nsearch nameserver 192.0.2.3\r\n\
            nameserver\t10.96.0.10 and more\r\n  nameserver   2001:db8::53\nnameserver ::ffff:10.0.0.1\n\
            nameserver 10.96.0.10\nnameservers 192.0.2.4\nnameserver127.0.0.1\nNAMESERVER 127.0.0.1\noptions ndots:5";
        assert_eq!(accepted(text), ["10.96.0.10", "2001:db8::53", "10.0.0.1"]);
        assert_eq!(Resolvers::parse(text.as_bytes()).ignored(), 0);
    }

    #[test]
    fn what_is_no_server_is_left_out_and_counted() {
        let bad = [
            "",
            "x",
            "10.0.0",
            "127.1",
            "0x7f.0.0.1",
            "10.0.0.1:53",
            "10.0.0.1%eth0",
            "[::1]",
            "2001:db8::1%eth0",
            "fe80::1%",
            "fe80::1%a/b",
            "fe80::1%0123456789abcdef",
            "0.0.0.0",
            "::",
            "224.0.0.251",
            "ff02::fb",
            "255.255.255.255",
            "10.0.0.1\0",
        ];
        for word in bad {
            let resolvers = Resolvers::parse(format!("nameserver {word}\n").as_bytes());
            assert_eq!(
                (resolvers.addresses().count(), resolvers.ignored()),
                (0, 1),
                "{word:?}"
            );
        }
        assert_eq!(Resolvers::parse(b"nameserver \xff\xfe").ignored(), 1);
    }

    #[test]
    fn without_a_configuration_there_is_no_server() {
        for text in ["", "search example.com\n"] {
            let resolvers = Resolvers::parse(text.as_bytes());
            assert!(!resolvers.contains("127.0.0.1:53".parse().unwrap()));
            assert!(!resolvers.contains("[::1]:53".parse().unwrap()));
        }
    }

    #[test]
    fn a_scope_is_compared_where_it_is_a_number() {
        let numbered = Resolvers::parse(b"nameserver fe80::1%3");
        assert!(numbered.contains("[fe80::1%3]:53".parse().unwrap()));
        assert!(!numbered.contains("[fe80::1%4]:53".parse().unwrap()));
        let named = Resolvers::parse(b"nameserver fe80::1%eth0");
        assert!(named.contains("[fe80::1%4]:53".parse().unwrap()));
        assert!(!named.contains("[fe80::2%4]:53".parse().unwrap()));
    }

    #[test]
    fn hostile_texts_are_bounded() {
        let many: Vec<_> = (0..200).map(|last| format!("nameserver 10.0.0.{last}")).collect();
        let resolvers = Resolvers::parse(many.join("\n").as_bytes());
        assert_eq!(resolvers.addresses().count(), MAX_SERVERS);
        assert_eq!(resolvers.ignored(), 200 - MAX_SERVERS as u64);
        let late = format!("{}\nnameserver 10.0.0.1\n", "#".repeat(MAX_TEXT));
        assert_eq!(accepted(&late), [""; 0]);
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text: Vec<u8>, prefix: bool) {
            let text = if prefix { [b"nameserver ".as_slice(), &text].concat() } else { text };
            prop_assert!(Resolvers::parse(&text).addresses().count() <= MAX_SERVERS);
        }
    }
}
