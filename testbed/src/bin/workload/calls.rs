//! System calls made many times: what one of them costs, as many as go, or so many a second.
//!
//! These programs are built without optimization, so the loops are plain and the calls go to the C library, which is
//! optimized: what is measured is the kernel.

use std::ffi::{CStr, CString, OsStr, OsString};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with};
use rustix::process::{WaitOptions, wait};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::Outcome;
use crate::load::Program;
use crate::run::fork;

/// How often a second the paced load wakes up.
const TICKS: u64 = 100;
/// Opens between two looks at the clock.
const BETWEEN_LOOKS: u64 = 1000;

/// Measures each of the wanted kinds and prints a line for it: its name and the mean nanoseconds of one.
pub(crate) fn measure(wanted: &[OsString]) -> Outcome {
    for wanted in wanted {
        let mut parts = wanted.as_bytes().splitn(3, |byte| *byte == b':');
        let name = str::from_utf8(parts.next().unwrap_or_default())?;
        let count: u64 = str::from_utf8(parts.next().ok_or("a kind needs a count")?)?.parse()?;
        let path = parts.next().unwrap_or_default();
        let kind = Kind::new(name, path)?;
        // What is done once, and what the processor learns, is not of interest.
        kind.repeat(count / 50 + 1)?;
        let start = Instant::now();
        kind.repeat(count)?;
        let taken = start.elapsed();
        println!("{name} {:.2}", taken.as_secs_f64() * 1e9 / count.max(1) as f64);
    }
    Ok(())
}

/// Opens a file for writing and closes it, as fast as `processes` processes can, each on a processor of its own as
/// far as there are any; prints how often.
pub(crate) fn flood(path: &OsStr, seconds: u64, processes: u64) -> Outcome {
    let file = CString::new(path.as_bytes())?;
    let allowed = sched_getaffinity(None)?;
    let processors: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu)).collect();
    let processes = processes.clamp(1, 256);
    let (mut results, mut result) = io::pipe()?;
    let deadline = Instant::now() + Duration::from_secs(seconds);
    for processor in processors.iter().cycle().take(usize::try_from(processes)?) {
        if fork()? != 0 {
            continue;
        }
        let mut own = CpuSet::new();
        own.set(*processor);
        sched_setaffinity(None, &own)?;
        let mut made: u64 = 0;
        while Instant::now() < deadline {
            open_and_close(&file, libc::O_WRONLY, BETWEEN_LOOKS)?;
            made += BETWEEN_LOOKS;
        }
        result.write_all(&made.to_ne_bytes())?;
        return Ok(());
    }
    drop(result);
    let mut counts = Vec::new();
    results.read_to_end(&mut counts)?;
    while wait(WaitOptions::empty()).is_ok() {}
    let (counts, _) = counts.as_chunks::<8>();
    if counts.len() as u64 != processes {
        return Err("a process of the flood failed".into());
    }
    let made: u64 = counts.iter().copied().map(u64::from_ne_bytes).sum();
    println!("{made}");
    Ok(())
}

/// What is to be done each second.
pub(crate) struct Rates {
    pub(crate) opens: u64,
    pub(crate) connects: u64,
    pub(crate) execs: u64,
}

/// Opens `path` for writing, connects and runs `program` at even rates; prints how often each was done.
pub(crate) fn pace(path: &OsStr, program: &OsStr, rates: &Rates, seconds: u64) -> Outcome {
    let kinds = [
        (Kind::new("open-write", path.as_bytes())?, rates.opens),
        (Kind::new("connect", b"")?, rates.connects),
        (Kind::new("exec", program.as_bytes())?, rates.execs),
    ];
    let mut done = [0; 3];
    let start = Instant::now();
    for tick in 1..=seconds.saturating_mul(TICKS) {
        let due = start + Duration::from_secs(1) * u32::try_from(tick)? / TICKS as u32;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        for ((kind, rate), done) in kinds.iter().zip(&mut done) {
            let until_now = rate * tick / TICKS;
            kind.repeat(until_now - *done)?;
            *done = until_now;
        }
    }
    let [opens, connects, execs] = done;
    println!("{opens} {connects} {execs}");
    Ok(())
}

/// What can be done many times.
enum Kind {
    /// Runs a program and waits for its end.
    Exec(Program),
    /// Opens a file with these flags, and closes it.
    Open(CString, i32),
    /// Makes a socket, connects it to a port of this machine that refuses, and closes it.
    Connect(SocketAddrV4),
    /// The smallest system call.
    Getpid,
    /// Reads a byte from a device that always has one.
    Read,
}

impl Kind {
    fn new(name: &str, path: &[u8]) -> Result<Self, Box<dyn std::error::Error>> {
        Ok(match name {
            "exec" => Self::Exec(Program::new(&OsString::from_vec(path.to_vec()), &[])?),
            "open-read" => Self::Open(CString::new(path)?, libc::O_RDONLY),
            "open-write" => Self::Open(CString::new(path)?, libc::O_WRONLY),
            "connect" => Self::Connect(refusing_port()?),
            "getpid" => Self::Getpid,
            "read" => Self::Read,
            _ => return Err(format!("{name:?} cannot be measured").into()),
        })
    }

    fn repeat(&self, count: u64) -> io::Result<()> {
        match self {
            Self::Exec(program) => (0..count).try_for_each(|_| program.run()),
            Self::Open(path, flags) => open_and_close(path, *flags, count),
            Self::Connect(address) => (0..count).try_for_each(|_| connect_in_vain(*address)),
            Self::Getpid => {
                let mut left = count;
                while left > 0 {
                    // SAFETY: the call takes nothing and cannot fail.
                    unsafe { libc::syscall(libc::SYS_getpid) };
                    left -= 1;
                }
                Ok(())
            }
            Self::Read => read_bytes(count),
        }
    }
}

/// A port that nobody listens on: one that was free a moment ago.
fn refusing_port() -> io::Result<SocketAddrV4> {
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
    Ok(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))
}

fn connect_in_vain(address: SocketAddrV4) -> io::Result<()> {
    let socket = socket_with(
        AddressFamily::INET,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    match connect(&socket, &address) {
        Err(Errno::CONNREFUSED) => Ok(()),
        Ok(()) => Err(io::Error::other("somebody listens on a port that was free")),
        Err(error) => Err(error.into()),
    }
}

fn open_and_close(path: &CStr, flags: i32, count: u64) -> io::Result<()> {
    let mut left = count;
    while left > 0 {
        // SAFETY: the path ends with NUL, and the descriptor is closed once, by whoever opened it.
        let closed = unsafe { libc::close(libc::open(path.as_ptr(), flags)) };
        if closed != 0 {
            return Err(io::Error::last_os_error());
        }
        left -= 1;
    }
    Ok(())
}

fn read_bytes(count: u64) -> io::Result<()> {
    use std::os::fd::AsRawFd;

    let zeros = std::fs::File::open("/dev/zero")?;
    let mut byte = 0_u8;
    let mut left = count;
    while left > 0 {
        // SAFETY: one byte is written, to one byte that is there.
        if unsafe { libc::read(zeros.as_raw_fd(), (&raw mut byte).cast(), 1) } != 1 {
            return Err(io::Error::last_os_error());
        }
        left -= 1;
    }
    Ok(())
}
