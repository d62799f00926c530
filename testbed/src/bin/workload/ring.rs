//! One operation of `io_uring`, as exactly as a test asks for it: no library that would make another one of it.

use std::ffi::c_void;
use std::io;
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};

/// `struct io_uring_sqe`, as far as tests need it: see `include/uapi/linux/io_uring.h` of the kernel.
#[repr(C)]
#[derive(Default)]
struct Entry {
    opcode: u8,
    flags: u8,
    priority: u16,
    descriptor: i32,
    offset: u64,
    address: u64,
    length: u32,
    operation_flags: u32,
    user_data: u64,
    buffer: u16,
    personality: u16,
    file_index: u32,
    rest: [u64; 2],
}

const ENTRIES: u32 = 8;
/// `struct io_uring_params` in words of 32 bits, and where in it the offsets within the mappings are.
const PARAMS: usize = 30;
const SQ_OFFSETS: usize = 10;
const CQ_OFFSETS: usize = 20;
/// Where a ring's parts are mapped from.
const SQ_RING: i64 = 0;
const CQ_RING: i64 = 0x800_0000;
const ENTRY_ARRAY: i64 = 0x1000_0000;
const GETEVENTS: u32 = 1;
const SKIP_SUCCESS: u8 = 1 << 6;

/// Submits one operation and waits for its end; gives its result, or the negative number of the error that kept it
/// from being submitted. The values are: opcode, descriptor, offset, address, length, flags of the operation, flags
/// of the entry, file index.
pub(crate) fn operate(values: [i64; 8]) -> i64 {
    match try_operate(values) {
        Ok(result) => result.into(),
        Err(error) => -i64::from(error.raw_os_error().unwrap_or(1)),
    }
}

fn try_operate(values: [i64; 8]) -> io::Result<i32> {
    let [
        opcode,
        descriptor,
        offset,
        address,
        length,
        operation_flags,
        flags,
        file_index,
    ] = values;
    let entry = Entry {
        opcode: opcode as u8,
        flags: flags as u8,
        descriptor: descriptor as i32,
        offset: offset as u64,
        address: address as u64,
        length: length as u32,
        operation_flags: operation_flags as u32,
        file_index: file_index as u32,
        ..Entry::default()
    };
    let mut params = [0_u32; PARAMS];
    // SAFETY: the kernel fills in the parameters, which are as long as it wants them.
    let ring = check(unsafe { libc::syscall(libc::SYS_io_uring_setup, ENTRIES, params.as_mut_ptr()) })?;
    let submissions = map(ring, SQ_RING, 4096)?;
    let completions = map(ring, CQ_RING, 4096)?;
    let entries = map(ring, ENTRY_ARRAY, ENTRIES as usize * size_of::<Entry>())?;
    let word = |base: *mut c_void, offset: u32| base.wrapping_byte_add(offset as usize).cast::<u32>();
    // SAFETY: the offsets are the kernel's, and lie in its mappings; the ring is used by this thread alone, and the
    // heads and tails that the kernel looks at are written with the order that it asks for.
    unsafe {
        let tail = word(submissions, params[SQ_OFFSETS + 1]);
        let mask = *word(submissions, params[SQ_OFFSETS + 2]);
        let slot = *tail & mask;
        ptr::write(entries.cast::<Entry>().add(slot as usize), entry);
        *word(submissions, params[SQ_OFFSETS + 6]).add(slot as usize) = slot;
        AtomicU32::from_ptr(tail).store(tail.read().wrapping_add(1), Ordering::Release);
        let waits = u32::from(flags as u8 & SKIP_SUCCESS == 0);
        let enter = libc::SYS_io_uring_enter;
        check(libc::syscall(
            enter,
            ring,
            1_u32,
            waits,
            GETEVENTS,
            ptr::null::<u8>(),
            0_usize,
        ))?;
        let head = word(completions, params[CQ_OFFSETS]);
        let ended = AtomicU32::from_ptr(word(completions, params[CQ_OFFSETS + 1])).load(Ordering::Acquire);
        if ended == head.read() {
            return Ok(0);
        }
        // struct io_uring_cqe: eight bytes of the caller's, then the result.
        Ok(*word(completions, params[CQ_OFFSETS + 5]).add(2).cast::<i32>())
    }
}

fn map(ring: i64, offset: i64, length: usize) -> io::Result<*mut c_void> {
    let (protection, flags) = (
        libc::PROT_READ | libc::PROT_WRITE,
        libc::MAP_SHARED | libc::MAP_POPULATE,
    );
    // SAFETY: a new mapping of the ring, which nothing else refers to.
    let place = unsafe { libc::mmap(ptr::null_mut(), length, protection, flags, ring as i32, offset) };
    if place == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    Ok(place)
}

fn check(result: libc::c_long) -> io::Result<i64> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(result)
}
