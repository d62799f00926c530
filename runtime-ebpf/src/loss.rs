//! Sequence numbers: which records were made and never came.

use runtime_core::EventClass;

use crate::wire::{Body, INCOMING, Record};

/// One number for each class.
pub(crate) type ByClass = [u64; EventClass::ALL.len()];

/// Follows the sequence numbers of each CPU and class.
#[derive(Debug, Default)]
pub(crate) struct Sequences {
    /// The next number of each class, for each CPU.
    next: Vec<ByClass>,
}

impl Sequences {
    /// Takes a record in and returns how many of its class are missing before it on its CPU.
    ///
    /// The first record of a CPU and class is number 0, so that losses at the very start count as well.
    pub(crate) fn gap_before(&mut self, record: &Record<'_>) -> u64 {
        // Those that come in are counted as if by CPUs of their own.
        let incoming = record.header.cpu & INCOMING != 0;
        let cpu = 2 * usize::from(record.header.cpu & !INCOMING) + usize::from(incoming);
        if cpu >= self.next.len() {
            self.next.resize(cpu + 1, ByClass::default());
        }
        let next = &mut self.next[cpu][class_of(&record.body) as usize];
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
        Body::CgroupMade(_) | Body::CgroupRemoved(_) => EventClass::Cgroup,
        Body::File(_) => EventClass::File,
        Body::Network(_) => EventClass::Network,
        Body::System(_) => EventClass::System,
        Body::Packet(_) => EventClass::Dns,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{CgroupRecord, ExitRecord, Header};

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
            body: Body::CgroupMade(CgroupRecord { path: b"" }),
            ..mk_exit(0, 0)
        };
        assert_eq!(sequences.gap_before(&made), 0);
    }
}
