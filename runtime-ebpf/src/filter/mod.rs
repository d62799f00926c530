//! What is needed, as the kernel's side understands it: which system calls, and which files.
//!
//! [`Filter::of`] is pure: needs in, tables out. The loader writes them; see `bpf/filters.h` for what they mean.

pub(crate) mod calls;
mod network_calls;
mod paths;
mod system_calls;

use std::collections::HashMap;

use runtime_core::{EventClass, Needs, Syscall};

use self::calls::{CallSpec, Handler, call_flags};
pub use self::paths::NeedsTooLarge;
pub(crate) use self::paths::{PathKey, PathSets, Sets};

/// How many numbers of system calls each half of the table has.
pub(crate) const CALLS: u16 = 512;

/// How many operations of `io_uring` there is room for: the kernel has about sixty.
pub(crate) const RING_OPERATIONS: usize = 64;
/// In the place of an operation that no system call is told of for.
const NO_CALL: u32 = 0xffff;

/// Tables for the kernel.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    /// Entries of the table of calls, by their place in it.
    pub(crate) calls: HashMap<u32, [u8; 8]>,
    /// Which sets hold all files, and which hold any.
    pub(crate) all: Sets,
    pub(crate) any: Sets,
    pub(crate) prefixes: HashMap<PathKey, PathSets>,
    pub(crate) suffixes: HashMap<PathKey, PathSets>,
    /// Paths of single files, which are watched by device and inode as well.
    pub(crate) files: Vec<(Vec<u8>, Sets)>,
    /// Why the tables of paths are empty and all files are taken instead.
    pub(crate) too_large: Option<NeedsTooLarge>,
    /// Whether DNS messages, or the names that come from them, are needed.
    pub(crate) packets: bool,
}

/// Whether the kernel's tables have room for what is needed. Pure: it can be asked before a sensor is given the needs.
pub fn check_needs(needs: &Needs) -> Result<(), NeedsTooLarge> {
    Filter::of(needs).too_large.map_or(Ok(()), Err)
}

impl Filter {
    /// The tables for these needs.
    pub(crate) fn of(needs: &Needs) -> Self {
        // Memory is written through files as well: `/proc/PID/mem`.
        let memory = needs.has_call(EventClass::System, Syscall::process_vm_writev);
        let mut files = needs.clone();
        if memory && !files.writes.all {
            files.writes.prefixes.insert(b"/proc/".to_vec());
        }
        let mut filter = paths::filter_paths(&files);
        let uncommon = if needs.common_sockets {
            0
        } else {
            call_flags::UNCOMMON
        };
        for spec in calls::all() {
            // The sensor itself looks watched files up with this one.
            let marks = !filter.files.is_empty() && spec.syscall == Syscall::openat2;
            let memory = memory && spec.handler == Handler::Open;
            let needed = marks || memory || needs.has_call(spec.class, spec.syscall);
            if needed {
                let mut entry = spec.entry();
                if spec.syscall == Syscall::socket {
                    entry[1] |= uncommon;
                }
                filter.add(spec, entry);
            } else if spec.flags & call_flags::MOVES != 0 {
                // Nobody asked for it, but cached answers depend on it.
                filter.add(spec, [0, call_flags::MOVES, 0, 0, 0, 0, 0, 0]);
            }
        }
        let sockets = |&syscall: &Syscall| needs.has_call(EventClass::Network, syscall);
        if cfg!(target_arch = "x86_64") && Syscall::ALL.iter().any(sockets) {
            let flags = call_flags::MULTIPLEX | uncommon;
            let entry = [Handler::Socket as u8, flags, 0, 0, 0, 0, 0, 0];
            let place = u32::from(CALLS) + network_calls::SOCKETCALL;
            filter.calls.insert(place, entry);
        }
        filter.mark_shared_numbers();
        filter.packets = [EventClass::Dns, EventClass::Network]
            .iter()
            .any(|class| needs.classes.contains(class));
        filter
    }

    /// The handlers of the calls that are wanted.
    pub(crate) fn handlers(&self) -> Vec<Handler> {
        let used = |handler: &Handler| self.calls.values().any(|entry| entry[0] == *handler as u8);
        Handler::ALL.into_iter().filter(used).collect()
    }

    /// The sets that some file is in by the end of its path.
    pub(crate) fn sets_with_suffixes(&self) -> Sets {
        paths::sets_of_any(&self.suffixes)
    }

    fn add(&mut self, spec: &CallSpec, entry: [u8; 8]) {
        if let Some(number) = spec.native() {
            self.calls.insert(u32::from(number), entry);
        }
        if let Some(number) = spec.i386.filter(|_| cfg!(target_arch = "x86_64")) {
            self.calls.insert(u32::from(number + CALLS), entry);
        }
    }

    /// The kernel looks at the 64-bit half first: there it is said where the 32-bit half has something.
    fn mark_shared_numbers(&mut self) {
        let compat: Vec<u32> = self
            .calls
            .keys()
            .copied()
            .filter(|&place| place >= u32::from(CALLS))
            .collect();
        for place in compat {
            self.calls.entry(place - u32::from(CALLS)).or_default()[1] |= call_flags::ALSO_32;
        }
    }
}

/// The numbers of the system calls that operations of `io_uring` stand for, each in the operation's place.
pub(crate) fn ring_calls() -> [u32; RING_OPERATIONS] {
    let mut numbers = [NO_CALL; RING_OPERATIONS];
    for spec in calls::all() {
        for operation in spec.ring.into_iter().filter(|&operation| operation != 0) {
            if let Some(number) = spec.native() {
                numbers[usize::from(operation)] = number.into();
            }
        }
    }
    numbers
}

/// The system call at a place in the table.
pub(crate) fn call_at(place: u32) -> Option<Syscall> {
    use std::sync::LazyLock;
    static BY_PLACE: LazyLock<Vec<Option<Syscall>>> = LazyLock::new(|| {
        let mut table = vec![None; usize::from(2 * CALLS)];
        for spec in calls::all() {
            if let Some(number) = spec.native() {
                table[usize::from(number)] = Some(spec.syscall);
            }
            if let Some(number) = spec.i386.filter(|_| cfg!(target_arch = "x86_64")) {
                table[usize::from(number + CALLS)] = Some(spec.syscall);
            }
        }
        table
    });
    match place.checked_sub(2 * u32::from(CALLS)) {
        Some(number) => network_calls::multiplexed(number),
        None => *BY_PLACE.get(usize::try_from(place).ok()?)?,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_asked_for_is_in_the_table() {
        let mut needs = Needs::default();
        assert!(Filter::of(&needs).calls.values().all(|entry| entry[0] == 0));
        needs.classes.insert(EventClass::File);
        needs.syscalls.insert(EventClass::File, [Syscall::openat].into());
        let calls = Filter::of(&needs).calls;
        let asked: Vec<u32> = calls
            .iter()
            .filter(|(_, entry)| entry[0] != 0)
            .map(|(&place, _)| place)
            .collect();
        for &place in &asked {
            assert_eq!(call_at(place), Some(Syscall::openat));
        }
        // The 32-bit number shares its place with another call, which is not asked for.
        #[cfg(target_arch = "x86_64")]
        assert_eq!(calls[&295][..2], [0, call_flags::ALSO_32]);
        assert!(!asked.is_empty());
    }

    #[test]
    fn renames_are_heard_of_for_the_sake_of_cached_paths() {
        let calls = Filter::of(&Needs::default()).calls;
        let place = (0..u32::from(CALLS))
            .find(|&place| call_at(place) == Some(Syscall::renameat2))
            .unwrap();
        assert_eq!(calls[&place][..2], [0, call_flags::MOVES]);
    }
}
