//! Workloads that wait, compute, or run a program many times.

use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, Instant};

use rustix::process::{WaitOptions, wait};

use crate::Outcome;
use crate::run::{fork, reap_one};

/// No test wants more processes than this at once.
const FORK_BOMB_LIMIT: u64 = 2000;

/// Sleeps.
pub(crate) fn sleep(seconds: u64) {
    std::thread::sleep(Duration::from_secs(seconds));
}

/// Sleeps until it is killed, and takes the orphans that fall to PID 1.
pub(crate) fn pause() -> ! {
    loop {
        while let Ok(Some(_)) = wait(WaitOptions::NOHANG) {}
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Computes.
pub(crate) fn burn(seconds: u64) {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    let mut number: u64 = 1;
    while Instant::now() < deadline {
        for _round in 0..1_000_000 {
            number = std::hint::black_box(number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
        }
    }
}

/// Forks one child that ends without an exec.
pub(crate) fn fork_only() -> Outcome {
    if fork()? == 0 {
        return Ok(());
    }
    reap_one()
}

/// Forks children that all sleep at once.
pub(crate) fn fork_bomb(count: u64) -> Outcome {
    for _child in 0..count.min(FORK_BOMB_LIMIT) {
        if fork()? == 0 {
            break;
        }
    }
    // Parent and children alike.
    sleep(600);
    Ok(())
}

/// Runs a program many times, one after the other, and prints the mean time of one run.
pub(crate) fn spawn(path: &OsStr, count: u64, args: &[OsString]) -> Outcome {
    let program = Program::new(path, args)?;
    let start = Instant::now();
    for _run in 0..count {
        program.run()?;
    }
    println!("{}", start.elapsed().as_nanos() / u128::from(count.max(1)));
    Ok(())
}

/// Runs a program `count` times in all, as fast as `processes` processes can, and prints how often it ran.
pub(crate) fn storm(path: &OsStr, count: u64, processes: u64) -> Outcome {
    let program = Program::new(path, &[])?;
    let processes = processes.clamp(1, 256);
    for process in 0..processes {
        if fork()? == 0 {
            let share = count / processes + u64::from(process < count % processes);
            for _run in 0..share {
                program.run()?;
            }
            return Ok(());
        }
    }
    for _process in 0..processes {
        let (_, status) = wait(WaitOptions::empty())?.ok_or("a child cannot be waited for")?;
        if status.exit_status() != Some(0) {
            return Err("a process of the storm failed".into());
        }
    }
    println!("{count}");
    Ok(())
}

/// A program that is ready to be run again and again: nothing is allocated between runs.
pub(crate) struct Program {
    path: CString,
    args: Vec<CString>,
}

impl Program {
    pub(crate) fn new(path: &OsStr, args: &[OsString]) -> Result<Self, std::ffi::NulError> {
        let path = CString::new(path.as_bytes())?;
        let args = std::iter::once(Ok(path.clone()))
            .chain(args.iter().map(|arg| CString::new(arg.as_bytes())))
            .collect::<Result<_, _>>()?;
        Ok(Self { path, args })
    }

    /// Starts it with `posix_spawn`, which the C library makes from a vfork and an exec, and waits for it.
    pub(crate) fn run(&self) -> io::Result<()> {
        let arguments: Vec<_> = self
            .args
            .iter()
            .map(|arg| arg.as_ptr().cast_mut())
            .chain([std::ptr::null_mut()])
            .collect();
        let environment = [c"PATH=/bin".as_ptr().cast_mut(), std::ptr::null_mut()];
        let mut pid = 0;
        // SAFETY: all strings are NUL-terminated, the arrays end with a null pointer, all outlive the call, and
        // posix_spawn does not write through them. The attributes may be null.
        let code = unsafe {
            libc::posix_spawn(
                &raw mut pid,
                self.path.as_ptr(),
                std::ptr::null(),
                std::ptr::null(),
                arguments.as_ptr(),
                environment.as_ptr(),
            )
        };
        if code != 0 {
            return Err(io::Error::from_raw_os_error(code));
        }
        let pid = rustix::process::Pid::from_raw(pid);
        rustix::process::waitpid(pid, WaitOptions::empty())?;
        Ok(())
    }
}
