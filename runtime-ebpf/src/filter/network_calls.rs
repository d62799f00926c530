//! Calls that concern sockets.

use runtime_core::{EventClass, Syscall};

use super::calls::call_flags::{MANY, POINTER};
use super::calls::{CallSpec, Handler};

/// `enum socket_operation` in `bpf/filters.h`.
enum Operation {
    Make = 1,
    Connect = 2,
    Bind = 3,
    Listen = 4,
    Accept = 5,
    Send = 6,
}

const fn socket(syscall: Syscall, operation: Operation, numbers: [i16; 3]) -> CallSpec {
    CallSpec::new(syscall, EventClass::Network, Handler::Socket, numbers).second(operation as u8)
}

/// All of them.
pub(super) const CALLS: &[CallSpec] = &[
    socket(Syscall::socket, Operation::Make, [41, 359, 198]).ring(45),
    socket(Syscall::connect, Operation::Connect, [42, 362, 203])
        .ring(16)
        .dir(1)
        .path(2)
        .first(3),
    socket(Syscall::bind, Operation::Bind, [49, 361, 200])
        .ring(56)
        .dir(1)
        .path(2)
        .first(3),
    socket(Syscall::listen, Operation::Listen, [50, 363, 201])
        .ring(57)
        .dir(1),
    socket(Syscall::accept, Operation::Accept, [43, -1, 202]).dir(1),
    socket(Syscall::accept4, Operation::Accept, [288, 364, 242])
        .ring(13)
        .dir(1),
    socket(Syscall::sendto, Operation::Send, [44, 369, 206])
        .ring(26)
        .ring(47)
        .dir(1)
        .path(5)
        .first(6),
    socket(Syscall::sendmsg, Operation::Send, [46, 370, 211])
        .ring(9)
        .ring(48)
        .dir(1)
        .path(2)
        .flags(POINTER),
    socket(Syscall::sendmmsg, Operation::Send, [307, 345, 269])
        .dir(1)
        .path(2)
        .flags(POINTER | MANY),
];

/// `socketcall(2)` of i386, which makes any of them: its number, and the numbers of the calls in it.
pub(super) const SOCKETCALL: u32 = 102;
const MULTIPLEXED: [(u32, Syscall); 9] = [
    (1, Syscall::socket),
    (2, Syscall::bind),
    (3, Syscall::connect),
    (4, Syscall::listen),
    (5, Syscall::accept),
    (11, Syscall::sendto),
    (16, Syscall::sendmsg),
    (18, Syscall::accept4),
    (20, Syscall::sendmmsg),
];

/// The call that a number of `socketcall(2)` stands for.
pub(super) fn multiplexed(number: u32) -> Option<Syscall> {
    let mut calls = MULTIPLEXED.iter();
    calls.find(|(own, _)| *own == number).map(|(_, syscall)| *syscall)
}
