//! The tables of all containers.

use std::collections::HashMap;

use runtime_core::ContainerId;

use super::resolvers::Resolvers;
use super::table::{NameCounters, NameLimits, NameTable};

/// Each container's names, from its start to its end.
///
/// ```
/// use runtime_core::ContainerId;
/// use runtime_ebpf::names::{ContainerNames, NameLimits, Resolvers};
///
/// let mut names = ContainerNames::new(NameLimits::default());
/// let id = ContainerId::new("c0ffee");
/// assert!(names.begin(id.clone(), Resolvers::parse(b"nameserver 10.96.0.10")));
/// assert!(names.table(&id).is_some());
/// names.end(&id);
/// assert!(names.table(&id).is_none());
/// ```
#[derive(Debug)]
pub struct ContainerNames {
    tables: HashMap<ContainerId, NameTable>,
    ended: NameCounters,
    limits: NameLimits,
}

impl ContainerNames {
    /// Without any container; the limits are each container's.
    pub fn new(limits: NameLimits) -> Self {
        Self {
            tables: HashMap::new(),
            ended: NameCounters::default(),
            limits,
        }
    }

    /// A container starts with this configuration.
    ///
    /// False where it is known already: then the first configuration stays, because a later one may be the
    /// container's own work.
    pub fn begin(&mut self, id: ContainerId, resolvers: Resolvers) -> bool {
        let mut is_new = false;
        self.tables.entry(id).or_insert_with(|| {
            is_new = true;
            NameTable::new(resolvers, self.limits)
        });
        is_new
    }

    /// A container's table, from its start to its end.
    pub fn table(&mut self, id: &ContainerId) -> Option<&mut NameTable> {
        self.tables.get_mut(id)
    }

    /// A container ended: its names go, its counts stay.
    pub fn end(&mut self, id: &ContainerId) {
        if let Some(table) = self.tables.remove(id) {
            self.ended += *table.counters();
        }
    }

    /// How many containers there are.
    pub fn len(&self) -> usize {
        self.tables.len()
    }

    /// True where there is no container.
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    /// The counts of all containers, those that ended included.
    pub fn counters(&self) -> NameCounters {
        let mut sum = self.ended;
        for table in self.tables.values() {
            sum += *table.counters();
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use runtime_core::BootTime;

    use super::super::flow::{Flow, Transport};
    use super::super::testing::Mk;
    use super::*;

    fn id(text: &str) -> ContainerId {
        ContainerId::new(text)
    }

    fn flow(server: &str) -> Flow {
        Flow::new(
            "10.1.1.1:40000".parse().unwrap(),
            server.parse().unwrap(),
            Transport::Udp,
        )
    }

    fn resolve(table: &mut NameTable, server: &str) -> usize {
        let asker = runtime_core::ProcessKey {
            pid: runtime_core::Pid(7),
            start: BootTime::from_nanos(1),
        };
        let now = BootTime::from_nanos(5);
        let question = Mk::query(1, "a.example", 1).done();
        let answer = Mk::answer(1, "a.example", 1)
            .address("a.example", "192.0.2.1")
            .done();
        table.question(now, asker, flow(server), &question[..]).unwrap();
        let _ = table.answer(now, flow(server), &answer[..]);
        table.names_of("192.0.2.1".parse().unwrap()).count()
    }

    #[test]
    fn names_are_the_containers_own_and_end_with_it() {
        let mut names = ContainerNames::new(NameLimits::default());
        let config = || Resolvers::parse(b"nameserver 10.96.0.10");
        assert!(names.begin(id("a"), config()));
        assert!(names.begin(id("b"), config()));
        assert_eq!(resolve(names.table(&id("a")).unwrap(), "10.96.0.10:53"), 1);
        let address = "192.0.2.1".parse().unwrap();
        assert_eq!(names.table(&id("b")).unwrap().names_of(address).count(), 0);
        names.end(&id("a"));
        assert!(names.table(&id("a")).is_none());
        assert_eq!(
            (names.len(), names.counters().learned),
            (1, 1),
            "counts outlive their container"
        );
        assert!(
            names.begin(id("a"), config()),
            "an id that comes back is a new container"
        );
        assert_eq!(names.table(&id("a")).unwrap().names_of(address).count(), 0);
    }

    #[test]
    fn the_first_configuration_stays() {
        let mut names = ContainerNames::new(NameLimits::default());
        assert!(names.begin(id("a"), Resolvers::parse(b"nameserver 10.96.0.10")));
        assert!(!names.begin(id("a"), Resolvers::parse(b"nameserver 127.0.0.1")));
        assert_eq!(resolve(names.table(&id("a")).unwrap(), "127.0.0.1:53"), 0);
    }
}
