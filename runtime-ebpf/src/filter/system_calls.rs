//! Calls that concern the system, privileges and other processes.

use runtime_core::{EventClass, Syscall};

use super::calls::call_flags::{EXECUTABLE, MANY, MOVES, POINTER, STANDARD};
use super::calls::{CallSpec, Handler};

/// `enum system_operation` in `bpf/filters.h`.
enum Operation {
    Plain = 0,
    Texts = 1,
    File = 2,
    Namespaces = 3,
    Memory = 4,
    Duplicate = 5,
    Process = 6,
    Signal = 7,
}

const fn system(syscall: Syscall, operation: Operation, numbers: [i16; 3]) -> CallSpec {
    CallSpec::new(syscall, EventClass::System, Handler::System, numbers).second(operation as u8)
}

const fn plain(syscall: Syscall, numbers: [i16; 3]) -> CallSpec {
    system(syscall, Operation::Plain, numbers)
}

/// The target's number is the first argument, the signal's this one.
const fn signal(syscall: Syscall, argument: u8, numbers: [i16; 3]) -> CallSpec {
    system(syscall, Operation::Signal, numbers).dir(1).first(argument)
}

const fn duplicate(syscall: Syscall, numbers: [i16; 3]) -> CallSpec {
    system(syscall, Operation::Duplicate, numbers).flags(STANDARD)
}

/// All of them. Where i386 has two numbers for a call, the older one takes ids of 16 bits, or files of 32.
pub(super) const CALLS: &[CallSpec] = &[
    system(Syscall::mount, Operation::Texts, [165, 21, 40])
        .path(1)
        .new_path(2)
        .first(3)
        .flags(MOVES),
    system(Syscall::move_mount, Operation::Texts, [429, 429, 429])
        .path(2)
        .new_dir(3)
        .new_path(4)
        .flags(MOVES),
    system(Syscall::umount2, Operation::Texts, [166, 52, 39])
        .new_path(1)
        .flags(MOVES),
    system(Syscall::pivot_root, Operation::Texts, [155, 217, 41])
        .new_path(1)
        .first(2)
        .flags(MOVES),
    system(Syscall::ptrace, Operation::Process, [101, 26, 117]).dir(2),
    system(Syscall::process_vm_writev, Operation::Process, [311, 348, 271]).dir(1),
    plain(Syscall::setns, [308, 346, 268]),
    system(Syscall::unshare, Operation::Namespaces, [272, 310, 97]).first(1),
    system(Syscall::clone, Operation::Namespaces, [56, 120, 220])
        .first(1)
        .flags(MANY),
    system(Syscall::clone3, Operation::Namespaces, [435, 435, 435])
        .first(1)
        .flags(MANY | POINTER),
    plain(Syscall::setuid, [105, 23, 146]),
    plain(Syscall::setuid, [-1, 213, -1]),
    plain(Syscall::setgid, [106, 46, 144]),
    plain(Syscall::setgid, [-1, 214, -1]),
    plain(Syscall::setreuid, [113, 70, 145]),
    plain(Syscall::setreuid, [-1, 203, -1]),
    plain(Syscall::setregid, [114, 71, 143]),
    plain(Syscall::setregid, [-1, 204, -1]),
    plain(Syscall::setresuid, [117, 164, 147]),
    plain(Syscall::setresuid, [-1, 208, -1]),
    plain(Syscall::setresgid, [119, 170, 149]),
    plain(Syscall::setresgid, [-1, 210, -1]),
    plain(Syscall::setfsuid, [122, 138, 151]),
    plain(Syscall::setfsuid, [-1, 215, -1]),
    plain(Syscall::setfsgid, [123, 139, 152]),
    plain(Syscall::setfsgid, [-1, 216, -1]),
    plain(Syscall::capset, [126, 185, 91]),
    plain(Syscall::init_module, [175, 128, 105]),
    system(Syscall::finit_module, Operation::File, [313, 350, 273]).dir(1),
    system(Syscall::delete_module, Operation::Texts, [176, 129, 106]).path(1),
    plain(Syscall::bpf, [321, 357, 280]),
    plain(Syscall::keyctl, [250, 288, 219]),
    plain(Syscall::userfaultfd, [323, 374, 282]),
    plain(Syscall::io_uring_setup, [425, 425, 425]),
    system(Syscall::memfd_create, Operation::Texts, [319, 356, 279]).path(1),
    system(Syscall::mmap, Operation::Memory, [9, 192, 222])
        .dir(5)
        .flags(EXECUTABLE),
    system(Syscall::mprotect, Operation::Memory, [10, 125, 226]).flags(EXECUTABLE),
    system(Syscall::pkey_mprotect, Operation::Memory, [329, 380, 288]).flags(EXECUTABLE),
    duplicate(Syscall::dup, [32, 41, 23]),
    duplicate(Syscall::dup2, [33, 63, -1]),
    duplicate(Syscall::dup3, [292, 330, 24]),
    duplicate(Syscall::fcntl, [72, 55, 25]).first(2),
    duplicate(Syscall::fcntl, [-1, 221, -1]).first(2),
    signal(Syscall::kill, 2, [62, 37, 129]),
    signal(Syscall::tkill, 2, [200, 238, 130]),
    signal(Syscall::tgkill, 3, [234, 270, 131]),
    signal(Syscall::rt_sigqueueinfo, 2, [129, 178, 138]),
    signal(Syscall::rt_tgsigqueueinfo, 3, [297, 335, 240]),
    signal(Syscall::pidfd_send_signal, 2, [424, 424, 424]).flags(POINTER),
    plain(Syscall::setsid, [112, 66, 157]),
];
