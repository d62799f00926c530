//! Coming first: a kill, and the start of a daemon that was killed, must not wait for their turn on a busy node.

use std::io;

use tracing::info;

/// The lowest of the real-time priorities: before everything ordinary, after everything else of that kind.
const REAL_TIME: i32 = 1;
/// The highest of the ordinary ones.
const NICE: i32 = -20;

/// Lets this thread come before all others. Threads that it starts do not.
///
/// A nice value is not enough: it counts only within the thread's own cgroup, and a workload's cgroup has a share
/// of its own (sched(7)). The kernel keeps a part of each second for others whatever real-time threads do.
pub(crate) fn raise() {
    let Err(error) = schedule(libc::SCHED_RR | libc::SCHED_RESET_ON_FORK, REAL_TIME) else {
        return;
    };
    // Some kernels give a cgroup no time of this kind. On Linux a nice value is the calling thread's
    // (setpriority(2)).
    let nice = rustix::process::setpriority_process(None, NICE);
    info!(
        %error,
        nice = nice.is_ok(),
        "a thread gets no real-time priority (CAP_SYS_NICE), so kills may be late on a busy machine"
    );
}

/// Takes that back.
pub(crate) fn lower() {
    // What could not be raised need not be lowered, and lowering needs no privilege.
    let _ = schedule(libc::SCHED_OTHER, 0);
    let _ = rustix::process::setpriority_process(None, 0);
}

fn schedule(policy: i32, priority: i32) -> io::Result<()> {
    // SAFETY: all of it is numbers, for which zero is a value.
    #[expect(
        unsafe_code,
        reason = "the structure has private padding with some C libraries"
    )]
    let mut parameters: libc::sched_param = unsafe { std::mem::zeroed() };
    parameters.sched_priority = priority;
    // The system call itself, because musl's function of this name refuses.
    // SAFETY: the kernel reads one structure, which outlives the call; 0 is the calling thread.
    #[expect(unsafe_code, reason = "there is no safe name for it")]
    let result = unsafe {
        libc::syscall(
            libc::SYS_sched_setscheduler,
            0,
            policy,
            std::ptr::from_ref(&parameters),
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The policy of the calling thread, by field 41 of its stat (proc(5)).
    fn policy() -> i32 {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        let after_name = &stat[stat.rfind(')').unwrap()..];
        after_name.split(' ').nth(39).unwrap().parse().unwrap()
    }

    #[test]
    fn it_is_for_one_thread_and_can_be_taken_back() {
        let before = policy();
        raise();
        let raised = policy();
        let child = std::thread::spawn(policy).join().unwrap();
        lower();
        // Without the privilege it changes nothing, and must say so and go on.
        let may = rustix::process::geteuid().is_root();
        assert!(!may || raised == libc::SCHED_RR, "{raised}");
        assert_eq!((child, policy()), (before, before));
    }
}
