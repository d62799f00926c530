//! Tests of IP addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Addresses that begin with the same bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Network {
    address: IpAddr,
    bits: u32,
}

impl Network {
    /// From an address, with or without the number of bits behind a `/`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let all = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => all,
            Some(bits) if bits.bytes().all(|digit| digit.is_ascii_digit()) => bits.parse().ok()?,
            Some(_) => return None,
        };
        (bits <= all).then_some(Self { address, bits })
    }

    /// The lowest and the highest of its addresses.
    fn ends(self) -> (IpAddr, IpAddr) {
        match self.address {
            IpAddr::V4(address) => {
                let rest = u32::MAX.checked_shr(self.bits).unwrap_or(0);
                let first = u32::from(address) & !rest;
                (Ipv4Addr::from(first).into(), Ipv4Addr::from(first | rest).into())
            }
            IpAddr::V6(address) => {
                let rest = u128::MAX.checked_shr(self.bits).unwrap_or(0);
                let first = u128::from(address) & !rest;
                (Ipv6Addr::from(first).into(), Ipv6Addr::from(first | rest).into())
            }
        }
    }
}

/// The addresses of any number of networks, quick to look up: lists of bad addresses are long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Networks(
    /// From one address to another, in their order; no two have an address in common.
    Box<[(IpAddr, IpAddr)]>,
);

impl Networks {
    pub(super) fn new(networks: impl IntoIterator<Item = Network>) -> Self {
        let mut ranges: Vec<_> = networks.into_iter().map(Network::ends).collect();
        ranges.sort_unstable();
        // Of two networks with an address in common one is in the other, and the larger one stands first or begins
        // with the same address.
        ranges.dedup_by(|later, earlier| {
            let inside = later.0 <= earlier.1;
            if inside {
                earlier.1 = earlier.1.max(later.1);
            }
            inside
        });
        Self(ranges.into())
    }

    pub(super) fn contains(&self, address: IpAddr) -> bool {
        let behind = self.0.partition_point(|(first, _)| *first <= address);
        behind > 0 && address <= self.0[behind - 1].1
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn holds(network: &str, address: &str) -> bool {
        Networks::new(Network::parse(network)).contains(address.parse().unwrap())
    }

    proptest! {
        #[test]
        fn many_networks_are_as_good_as_one_by_one(
            networks in prop::collection::vec((any::<bool>(), any::<u16>(), 0u32..=32), 0..20),
            looked_for: u16,
        ) {
            // All of them and what is looked for differ in a few bits at both ends.
            let address = |v6: bool, bits: u16| -> IpAddr {
                let (high, low) = (u32::from(bits & 0xf0f0) << 16, u32::from(bits & 0x0f0f));
                if v6 { Ipv6Addr::from(u128::from(high | low) << 64).into() } else { Ipv4Addr::from(high | low).into() }
            };
            let networks: Vec<Network> = networks
                .into_iter()
                .map(|(v6, bits, length)| Network { address: address(v6, bits), bits: length + 32 * u32::from(v6) })
                .collect();
            let all = Networks::new(networks.iter().copied());
            for v6 in [false, true] {
                let address = address(v6, looked_for);
                let alone = networks.iter().any(|network| Networks::new([*network]).contains(address));
                prop_assert_eq!(all.contains(address), alone);
            }
        }
    }

    #[test]
    fn networks_hold_their_addresses() {
        assert!(holds("10.0.0.0/8", "10.255.0.1") && !holds("10.0.0.0/8", "11.0.0.0"));
        assert!(holds("10.1.2.3/8", "10.0.0.0"));
        assert!(holds("0.0.0.0/0", "255.1.2.3") && !holds("0.0.0.0/0", "::1"));
        assert!(holds("192.0.2.1", "192.0.2.1") && !holds("192.0.2.1", "192.0.2.2"));
        assert!(holds("2001:db8::/32", "2001:db8:1::1") && holds("::/0", "::1"));
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in [
            "",
            "10.0.0.0/33",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "::/129",
            "example.com",
            "10.0.0",
        ] {
            assert_eq!(Network::parse(text), None, "{text}");
        }
    }
}
