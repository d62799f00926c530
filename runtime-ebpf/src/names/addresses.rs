//! Addresses and the names that a container got for them.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::IpAddr;

use runtime_core::DomainName;

use super::table::NameLimits;

/// What an address costs in memory beside its names, about.
const ADDRESS_COST: usize = 160;
/// What a name costs beside its text, about.
const NAME_COST: usize = 48;

/// A bounded map from addresses to names. The address that was neither learned nor asked for longest makes room.
#[derive(Debug)]
pub(super) struct Addresses {
    entries: HashMap<IpAddr, Entry>,
    by_use: BTreeMap<u64, IpAddr>,
    uses: u64,
    bytes: usize,
    limits: NameLimits,
}

#[derive(Debug)]
struct Entry {
    /// The one that was learned last comes first.
    names: VecDeque<DomainName>,
    used: u64,
}

impl Addresses {
    pub(super) fn new(limits: NameLimits) -> Self {
        Self {
            entries: HashMap::new(),
            by_use: BTreeMap::new(),
            uses: 0,
            bytes: 0,
            limits,
        }
    }

    /// Puts a name first among those of an address, and returns how many names made room.
    pub(super) fn learn(&mut self, address: IpAddr, name: &DomainName) -> u64 {
        let mut evicted = 0;
        let entry = self.entries.entry(address).or_insert_with(|| {
            self.bytes += ADDRESS_COST;
            Entry {
                names: VecDeque::new(),
                used: u64::MAX,
            }
        });
        if let Some(at) = entry.names.iter().position(|known| known == name) {
            entry.names.remove(at);
            self.bytes -= cost(name);
        }
        entry.names.push_front(name.clone());
        self.bytes += cost(name);
        while entry.names.len() > self.limits.names_of_address
            && let Some(oldest) = entry.names.pop_back()
        {
            self.bytes -= cost(&oldest);
            evicted += 1;
        }
        self.touch(address);
        while (self.entries.len() > self.limits.addresses || self.bytes > self.limits.bytes)
            && let Some((_, oldest)) = self.by_use.pop_first()
        {
            evicted += self.remove(oldest);
        }
        evicted
    }

    /// The names of an address, which is in use by that.
    pub(super) fn names_of(&mut self, address: IpAddr) -> impl Iterator<Item = &DomainName> {
        self.touch(address);
        self.entries
            .get(&address)
            .into_iter()
            .flat_map(|entry| &entry.names)
    }

    fn touch(&mut self, address: IpAddr) {
        if let Some(entry) = self.entries.get_mut(&address) {
            self.by_use.remove(&entry.used);
            self.uses += 1;
            entry.used = self.uses;
            self.by_use.insert(entry.used, address);
        }
    }

    /// Takes an address out that is not in `by_use` any more.
    fn remove(&mut self, address: IpAddr) -> u64 {
        let Some(entry) = self.entries.remove(&address) else {
            return 0;
        };
        self.bytes -= ADDRESS_COST + entry.names.iter().map(cost).sum::<usize>();
        entry.names.len() as u64
    }

    /// Checks every bound and that the parts agree.
    #[cfg(test)]
    pub(super) fn assert_bounds(&self) {
        assert!(self.entries.len() <= self.limits.addresses);
        assert!(self.bytes <= self.limits.bytes);
        assert_eq!(self.by_use.len(), self.entries.len());
        let mut bytes = 0;
        for (address, entry) in &self.entries {
            assert!(entry.names.len() <= self.limits.names_of_address);
            assert_eq!(self.by_use.get(&entry.used), Some(address));
            bytes += ADDRESS_COST + entry.names.iter().map(cost).sum::<usize>();
        }
        assert_eq!(self.bytes, bytes);
    }
}

fn cost(name: &DomainName) -> usize {
    NAME_COST + name.as_str().len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    fn name(number: u16) -> DomainName {
        format!("n{number}.example").parse().unwrap()
    }

    fn names(addresses: &mut Addresses, last: u8) -> Vec<String> {
        addresses
            .names_of(address(last))
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn the_last_name_comes_first_and_the_oldest_goes() {
        let mut addresses = Addresses::new(NameLimits {
            names_of_address: 2,
            ..NameLimits::default()
        });
        assert_eq!(addresses.learn(address(1), &name(1)), 0);
        assert_eq!(addresses.learn(address(1), &name(2)), 0);
        assert_eq!(addresses.learn(address(1), &name(1)), 0, "it is known");
        assert_eq!(names(&mut addresses, 1), ["n1.example", "n2.example"]);
        assert_eq!(addresses.learn(address(1), &name(3)), 1);
        assert_eq!(names(&mut addresses, 1), ["n3.example", "n1.example"]);
    }

    #[test]
    fn the_address_that_is_not_used_makes_room() {
        let mut addresses = Addresses::new(NameLimits {
            addresses: 2,
            ..NameLimits::default()
        });
        addresses.learn(address(1), &name(1));
        addresses.learn(address(2), &name(2));
        assert_eq!(names(&mut addresses, 1), ["n1.example"]);
        assert_eq!(addresses.learn(address(3), &name(3)), 1);
        assert_eq!(names(&mut addresses, 1), ["n1.example"], "it was in use");
        assert_eq!(names(&mut addresses, 2), [""; 0]);
        assert_eq!(names(&mut addresses, 3), ["n3.example"]);
    }

    #[test]
    fn limits_of_nothing_hold_nothing() {
        for limits in [
            NameLimits {
                addresses: 0,
                ..NameLimits::default()
            },
            NameLimits {
                names_of_address: 0,
                ..NameLimits::default()
            },
            NameLimits {
                bytes: 0,
                ..NameLimits::default()
            },
        ] {
            let mut addresses = Addresses::new(limits);
            assert_eq!(addresses.learn(address(1), &name(1)), 1);
            assert_eq!(names(&mut addresses, 1), [""; 0]);
            addresses.assert_bounds();
        }
    }

    proptest! {
        #[test]
        fn bounds_hold_in_any_order(
            limits in (0..6usize, 0..4usize, 0..2000usize),
            steps in prop::collection::vec((0..10u8, 0..8u16, any::<bool>()), 0..200),
        ) {
            let (number, names_of_address, bytes) = limits;
            let limits = NameLimits { addresses: number, names_of_address, bytes, ..NameLimits::default() };
            let mut addresses = Addresses::new(limits);
            let (mut learned, mut evicted) = (0, 0);
            for (last, number, learn) in steps {
                if learn {
                    let known = names(&mut addresses, last).contains(&name(number).to_string());
                    learned += u64::from(!known);
                    evicted += addresses.learn(address(last), &name(number));
                } else {
                    names(&mut addresses, last);
                }
                addresses.assert_bounds();
            }
            let held: usize = addresses.entries.values().map(|entry| entry.names.len()).sum();
            prop_assert_eq!(learned, evicted + held as u64, "whatever is not held was counted");
        }
    }
}
