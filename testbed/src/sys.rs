//! The few system calls that the standard library and rustix do not offer in a safe form.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;

/// Moves this process into new namespaces; `flags` are `CLONE_NEW*`.
///
/// Only for a process with one thread, as the stages of `testbed-runtime` are.
pub fn unshare(flags: i32) -> io::Result<()> {
    // SAFETY: the call takes a plain integer. Flags that would split the file table are not among CLONE_NEW*.
    check(unsafe { libc::unshare(flags) }).map(drop)
}

/// Joins the namespaces `flags` of the process that a pidfd stands for, or the one that a file of
/// `/proc/PID/ns` stands for. Kernel 5.8 for a pidfd.
pub fn setns(target: &impl AsRawFd, flags: i32) -> io::Result<()> {
    // SAFETY: both arguments are plain integers, and the descriptor is borrowed for the call.
    check(unsafe { libc::setns(target.as_raw_fd(), flags) }).map(drop)
}

/// Forks as container runtimes do: the new process's parent is this one's parent, so that whoever started
/// the runtime is left holding the container. Returns the new id, and `None` in the new process.
///
/// Only for a process with one thread: the new one continues with a copy of its memory.
pub fn fork_sibling() -> io::Result<Option<u32>> {
    let flags = libc::CLONE_PARENT | libc::SIGCHLD;
    // SAFETY: without CLONE_VM and with a null stack this is fork(2): the child runs on its own copy of this
    // stack. The callers have one thread, so no lock can be held by a thread that the child lacks.
    let pid = unsafe { libc::syscall(libc::SYS_clone, libc::c_long::from(flags), 0, 0, 0, 0) };
    match pid {
        ..0 => Err(io::Error::last_os_error()),
        0 => Ok(None),
        pid => Ok(Some(pid as u32)),
    }
}

/// Blocks SIGCHLD and returns a descriptor that becomes readable when a child ended.
pub fn child_signals() -> io::Result<OwnedFd> {
    let mask = sigchld();
    // SAFETY: `mask` is an initialised signal set that outlives both calls, and the returned descriptor is
    // fresh and owned by nobody else.
    unsafe {
        check(libc::sigprocmask(
            libc::SIG_BLOCK,
            &raw const mask,
            std::ptr::null_mut(),
        ))?;
        let fd = check(libc::signalfd(
            -1,
            &raw const mask,
            libc::SFD_CLOEXEC | libc::SFD_NONBLOCK,
        ))?;
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

/// Undoes the blocking of [`child_signals`]; async-signal-safe.
pub fn unblock_child_signals() -> io::Result<()> {
    let mask = sigchld();
    // SAFETY: `mask` is an initialised signal set that outlives the call.
    check(unsafe { libc::sigprocmask(libc::SIG_UNBLOCK, &raw const mask, std::ptr::null_mut()) }).map(drop)
}

/// Sets the extended attribute `name` on a file or folder, to a single `1`.
pub fn mark(path: &Path, name: &str) -> io::Result<()> {
    Ok(rustix::fs::setxattr(
        path,
        name,
        b"1",
        rustix::fs::XattrFlags::empty(),
    )?)
}

/// True when the extended attribute `name` stands on a file or folder.
pub fn is_marked(path: &Path, name: &str) -> bool {
    let mut value = [0_u8; 8];
    rustix::fs::getxattr(path, name, &mut value[..]).is_ok()
}

fn sigchld() -> libc::sigset_t {
    let mut mask = std::mem::MaybeUninit::uninit();
    // SAFETY: sigemptyset initialises the set before sigaddset reads it.
    unsafe {
        libc::sigemptyset(mask.as_mut_ptr());
        libc::sigaddset(mask.as_mut_ptr(), libc::SIGCHLD);
        mask.assume_init()
    }
}

fn check(result: i32) -> io::Result<i32> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}
