//! The table of system calls that events are made of: their numbers, and where their arguments are.
//!
//! Numbers are those of the kernel's tables: `arch/x86/entry/syscalls/syscall_64.tbl` and `syscall_32.tbl`, and
//! `include/uapi/asm-generic/unistd.h` for arm64.

use runtime_core::{EventClass, Syscall};

use super::{network_calls, system_calls};

/// `enum handler` in `bpf/filters.h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Handler {
    Open = 1,
    Paths = 2,
    Descriptor = 3,
    Socket = 4,
    System = 5,
}

impl Handler {
    /// All of them.
    pub(crate) const ALL: [Self; 5] = [
        Self::Open,
        Self::Paths,
        Self::Descriptor,
        Self::Socket,
        Self::System,
    ];

    /// The name of its program, without what says how it is attached.
    pub(crate) fn program(self) -> &'static str {
        match self {
            Self::Open => "handle_open",
            Self::Paths => "handle_paths",
            Self::Descriptor => "handle_descriptor",
            Self::Socket => "handle_socket",
            Self::System => "handle_system",
        }
    }

    /// The name of its program for what `io_uring` does; `None` where that does nothing of the kind.
    pub(crate) fn ring_program(self) -> Option<&'static str> {
        match self {
            Self::Open => Some("ring_handle_open"),
            Self::Paths => Some("ring_handle_paths"),
            Self::Descriptor => Some("ring_handle_descriptor"),
            Self::Socket => Some("ring_handle_socket"),
            Self::System => None,
        }
    }
}

/// `enum call_flags` in `bpf/filters.h`.
pub(crate) mod call_flags {
    /// The same number is of interest in the 32-bit table; the table's writer sets it.
    pub(crate) const ALSO_32: u8 = 1 << 0;
    /// Paths may lead elsewhere after it, whoever does it.
    pub(crate) const MOVES: u8 = 1 << 1;
    /// Only when the third argument is `PROT_WRITE` and `PROT_EXEC` at once.
    pub(crate) const EXECUTABLE: u8 = 1 << 2;
    /// An argument points at a structure: see the C side.
    pub(crate) const POINTER: u8 = 1 << 3;
    /// The call is the first argument, its arguments are where the second points at.
    pub(crate) const MULTIPLEX: u8 = 1 << 4;
    /// An argument points at an array of messages; or the call returns twice.
    pub(crate) const MANY: u8 = 1 << 5;
    /// Only when the result is the descriptor of a standard stream.
    pub(crate) const STANDARD: u8 = 1 << 6;
    /// A socket that is made: only of other families than IP and Unix. It depends on the needs.
    pub(crate) const UNCOMMON: u8 = 1 << 7;
}

/// A system call and how its event is made: `struct call` in `bpf/filters.h`. Arguments are numbered from 1; 0 where
/// there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CallSpec {
    pub(crate) syscall: Syscall,
    pub(crate) class: EventClass,
    pub(crate) x86_64: Option<u16>,
    pub(crate) i386: Option<u16>,
    pub(crate) arm64: Option<u16>,
    pub(crate) handler: Handler,
    pub(crate) flags: u8,
    pub(crate) dir: u8,
    pub(crate) path: u8,
    pub(crate) new_dir: u8,
    pub(crate) new_path: u8,
    pub(crate) first: u8,
    pub(crate) second: u8,
    /// The operations of `io_uring` that do the same, numbered as in `include/uapi/linux/io_uring.h` of the kernel;
    /// 0 where there is none.
    pub(crate) ring: [u8; 2],
}

impl CallSpec {
    /// A call with its numbers on x86-64, i386 and arm64; -1 where there is none.
    pub(crate) const fn new(
        syscall: Syscall,
        class: EventClass,
        handler: Handler,
        numbers: [i16; 3],
    ) -> Self {
        const fn number(number: i16) -> Option<u16> {
            if number < 0 { None } else { Some(number as u16) }
        }
        Self {
            syscall,
            class,
            x86_64: number(numbers[0]),
            i386: number(numbers[1]),
            arm64: number(numbers[2]),
            handler,
            flags: 0,
            dir: 0,
            path: 0,
            new_dir: 0,
            new_path: 0,
            first: 0,
            second: 0,
            ring: [0; 2],
        }
    }

    /// The operation of `io_uring` that does the same.
    pub(crate) const fn ring(mut self, operation: u8) -> Self {
        let place = if self.ring[0] == 0 { 0 } else { 1 };
        self.ring[place] = operation;
        self
    }

    /// The number in this machine's own table.
    pub(crate) fn native(&self) -> Option<u16> {
        if cfg!(target_arch = "aarch64") {
            self.arm64
        } else {
            self.x86_64
        }
    }

    pub(crate) const fn flags(mut self, flags: u8) -> Self {
        self.flags |= flags;
        self
    }

    /// The descriptor: of the directory that the path counts from, or of the file or socket itself.
    pub(crate) const fn dir(mut self, argument: u8) -> Self {
        self.dir = argument;
        self
    }

    /// The path, or the address of a socket.
    pub(crate) const fn path(mut self, argument: u8) -> Self {
        self.path = argument;
        self
    }

    pub(crate) const fn new_dir(mut self, argument: u8) -> Self {
        self.new_dir = argument;
        self
    }

    pub(crate) const fn new_path(mut self, argument: u8) -> Self {
        self.new_path = argument;
        self
    }

    /// Flags of open, mode, owner, length of an address.
    pub(crate) const fn first(mut self, argument: u8) -> Self {
        self.first = argument;
        self
    }

    /// Mode of open, group.
    pub(crate) const fn second(mut self, argument: u8) -> Self {
        self.second = argument;
        self
    }

    /// The entry as the kernel's side reads it.
    pub(super) fn entry(&self) -> [u8; 8] {
        [
            self.handler as u8,
            self.flags,
            self.dir,
            self.path,
            self.new_dir,
            self.new_path,
            self.first,
            self.second,
        ]
    }
}

const fn open(syscall: Syscall, numbers: [i16; 3]) -> CallSpec {
    CallSpec::new(syscall, EventClass::File, Handler::Open, numbers)
}

const fn paths(syscall: Syscall, numbers: [i16; 3]) -> CallSpec {
    CallSpec::new(syscall, EventClass::File, Handler::Paths, numbers)
}

const fn by_descriptor(syscall: Syscall, numbers: [i16; 3]) -> CallSpec {
    CallSpec::new(syscall, EventClass::File, Handler::Descriptor, numbers).dir(1)
}

use call_flags::{MOVES, POINTER};

/// Calls on files.
const FILES: &[CallSpec] = &[
    open(Syscall::open, [2, 5, -1]).path(1).first(2).second(3),
    open(Syscall::creat, [85, 8, -1]).path(1).second(2),
    open(Syscall::openat, [257, 295, 56])
        .dir(1)
        .path(2)
        .first(3)
        .second(4)
        .ring(18),
    open(Syscall::openat2, [437, 437, 437])
        .dir(1)
        .path(2)
        .first(3)
        .ring(28)
        .flags(POINTER),
    open(Syscall::open_by_handle_at, [304, 342, 265]).dir(1).first(3),
    paths(Syscall::truncate, [76, 92, 45]).path(1),
    paths(Syscall::truncate, [-1, 193, -1]).path(1),
    by_descriptor(Syscall::ftruncate, [77, 93, 46]).ring(55),
    by_descriptor(Syscall::ftruncate, [-1, 194, -1]),
    paths(Syscall::rename, [82, 38, -1])
        .path(1)
        .new_path(2)
        .flags(MOVES),
    paths(Syscall::renameat, [264, 302, 38])
        .dir(1)
        .path(2)
        .new_dir(3)
        .new_path(4)
        .flags(MOVES),
    paths(Syscall::renameat2, [316, 353, 276])
        .ring(35)
        .dir(1)
        .path(2)
        .new_dir(3)
        .new_path(4)
        .flags(MOVES),
    paths(Syscall::link, [86, 9, -1]).path(1).new_path(2),
    paths(Syscall::linkat, [265, 303, 37])
        .ring(39)
        .dir(1)
        .path(2)
        .new_dir(3)
        .new_path(4),
    // What a symbolic link holds is a text, which counts from nowhere: its directory is of no matter.
    paths(Syscall::symlink, [88, 83, -1]).path(1).new_path(2),
    paths(Syscall::symlinkat, [266, 304, 36])
        .ring(38)
        .path(1)
        .new_dir(2)
        .new_path(3),
    paths(Syscall::unlink, [87, 10, -1]).path(1),
    paths(Syscall::unlinkat, [263, 301, 35])
        .dir(1)
        .path(2)
        .first(3)
        .ring(36),
    paths(Syscall::rmdir, [84, 40, -1]).path(1),
    paths(Syscall::mkdir, [83, 39, -1]).path(1).first(2),
    paths(Syscall::mkdirat, [258, 296, 34])
        .dir(1)
        .path(2)
        .first(3)
        .ring(37),
    paths(Syscall::mknod, [133, 14, -1]).path(1).first(2),
    paths(Syscall::mknodat, [259, 297, 33]).dir(1).path(2).first(3),
    paths(Syscall::chmod, [90, 15, -1]).path(1).first(2),
    paths(Syscall::fchmodat, [268, 306, 53]).dir(1).path(2).first(3),
    paths(Syscall::fchmodat2, [452, 452, 452]).dir(1).path(2).first(3),
    by_descriptor(Syscall::fchmod, [91, 94, 52]).first(2),
    paths(Syscall::chown, [92, 182, -1]).path(1).first(2).second(3),
    paths(Syscall::chown, [-1, 212, -1]).path(1).first(2).second(3),
    paths(Syscall::lchown, [94, 16, -1]).path(1).first(2).second(3),
    paths(Syscall::lchown, [-1, 198, -1]).path(1).first(2).second(3),
    paths(Syscall::fchownat, [260, 298, 54])
        .dir(1)
        .path(2)
        .first(3)
        .second(4),
    by_descriptor(Syscall::fchown, [93, 95, 55]).first(2).second(3),
    by_descriptor(Syscall::fchown, [-1, 207, -1]).first(2).second(3),
];

/// All of them.
pub(crate) fn all() -> impl Iterator<Item = &'static CallSpec> {
    FILES
        .iter()
        .chain(network_calls::CALLS)
        .chain(system_calls::CALLS)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_number_stands_for_two_calls() {
        let numbers: [fn(&CallSpec) -> Option<u16>; 3] = [|c| c.x86_64, |c| c.i386, |c| c.arm64];
        for number in numbers {
            let mut seen = HashSet::new();
            for call in all() {
                if let Some(number) = number(call) {
                    assert!(number < super::super::CALLS, "{call:?}");
                    assert!(seen.insert(number), "{call:?}");
                }
            }
        }
    }

    #[test]
    fn numbers_are_the_running_kernels() {
        // What the C library was built with, on whatever machine this runs.
        let check = |syscall, number: libc::c_long| {
            let call = all().find(|call| call.syscall == syscall).unwrap();
            let own = if cfg!(target_arch = "x86_64") {
                call.x86_64
            } else {
                call.arm64
            };
            assert_eq!(own.map(libc::c_long::from), Some(number), "{syscall}");
        };
        check(Syscall::openat, libc::SYS_openat);
        check(Syscall::renameat2, libc::SYS_renameat2);
        check(Syscall::linkat, libc::SYS_linkat);
        check(Syscall::fchownat, libc::SYS_fchownat);
        check(Syscall::mknodat, libc::SYS_mknodat);
        check(Syscall::ftruncate, libc::SYS_ftruncate);
    }
}
