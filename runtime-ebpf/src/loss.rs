//! Sequence numbers: which records were made and never came.

use std::collections::HashMap;

use runtime_core::EventClass;

use crate::wire::{Body, Record};

/// Follows the sequence numbers of each CPU and class.
#[derive(Debug, Default)]
pub(crate) struct Sequences {
    next: HashMap<(u16, EventClass), u64>,
}

impl Sequences {
    /// Takes a record in and returns how many of its class are missing before it on its CPU.
    ///
    /// The first record of a CPU and class is number 0, so that losses at the very start count as well.
    pub(crate) fn gap_before(&mut self, record: &Record<'_>) -> u64 {
        let next = self
            .next
            .entry((record.header.cpu, class_of(&record.body)))
            .or_default();
        let gap = record.header.sequence.saturating_sub(*next);
        *next = (*next).max(record.header.sequence.saturating_add(1));
        gap
    }
}

/// The class that a record's sequence number belongs to.
pub(crate) fn class_of(body: &Body<'_>) -> EventClass {
    match body {
        Body::Exec(_) => EventClass::Exec,
        Body::Fork(_) => EventClass::Fork,
        Body::Exit(_) => EventClass::Exit,
        Body::CgroupMade { .. } | Body::CgroupRemoved { .. } => EventClass::Cgroup,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{ExitRecord, Header};

    fn mk_exit(cpu: u16, sequence: u64) -> Record<'static> {
        Record {
            header: Header {
                cpu,
                sequence,
                time: 0,
                cgroup: 0,
            },
            body: Body::Exit(ExitRecord::default()),
        }
    }

    #[test]
    fn gaps_are_counted_for_each_cpu_apart() {
        let mut sequences = Sequences::default();
        let mut gap = |cpu, sequence| sequences.gap_before(&mk_exit(cpu, sequence));
        assert_eq!(gap(0, 0), 0);
        assert_eq!(gap(1, 2), 2, "losses before the first record count");
        assert_eq!(gap(0, 1), 0);
        assert_eq!(gap(0, 5), 3);
        assert_eq!(gap(0, 6), 0);
    }

    #[test]
    fn classes_do_not_mix() {
        let mut sequences = Sequences::default();
        sequences.gap_before(&mk_exit(0, 0));
        let made = Record {
            body: Body::CgroupMade { path: b"" },
            ..mk_exit(0, 0)
        };
        assert_eq!(sequences.gap_before(&made), 0);
    }
}
