//! The processes of containers that were there before the sensor, from `/proc`.
//!
//! What is read here is for context only: the line of ancestors, and what a process was when it exits. The
//! kernel programs look up for themselves what they need of a process that they have not seen before.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use runtime_core::process::{
    Ancestor, Credentials, InvokedName, Namespaces, Parent, ParentExe, Process, ProcessIdentity,
};
use runtime_core::{BootTime, CgroupId, FileId, Pid, RawString};

use crate::processes::ClockPair;

/// Nanoseconds in a clock tick of `/proc/PID/stat`: 100 a second on every architecture (`USER_HZ`).
pub(crate) const TICK: u64 = 10_000_000;

/// Reads one process; `None` when it is gone, or a kernel thread.
///
/// `container` are the processes of the same container: a parent that is none of them is the runtime's.
pub(crate) fn read_process(
    proc_root: &Path,
    pid: u32,
    cgroup: CgroupId,
    container: &[u32],
    clock: &ClockPair,
) -> Option<Process> {
    let dir = proc_root.join(pid.to_string());
    let exe = read_exe(&dir)?;
    let (parent_pid, start) = parse_stat(&std::fs::read(dir.join("stat")).ok()?)?;
    let status = Status::parse(&std::fs::read(dir.join("status")).ok()?);
    let args = std::fs::read(dir.join("cmdline")).unwrap_or_default();
    let args = crate::processes::split_args(&args[..args.len().min(4096)]);
    let file = rustix::fs::stat(dir.join("exe")).ok()?;
    let start_boot = BootTime::from_nanos(start * TICK);
    let namespace = |name: &str| rustix::fs::stat(dir.join("ns").join(name)).map_or(0, |s| s.st_ino as u32);
    let parent = parent_of(proc_root, parent_pid, container);
    let ancestors = match &parent.exe {
        ParentExe::Path(path) => vec![Ancestor {
            pid: parent.pid,
            path: path.clone(),
            origin: None,
        }],
        ParentExe::Runtime | ParentExe::Unknown => Vec::new(),
    };
    Some(Process {
        pid: Pid(pid),
        container_pid: Pid(status.innermost_pid.unwrap_or(pid)),
        start_boot,
        start_time: clock.wall_time(start_boot.as_nanos()),
        identity: ProcessIdentity::resolve(&exe, InvokedName::Descriptor, &args, b"/"),
        exe,
        file: FileId {
            device: rustix::fs::major(file.st_dev) << 20 | rustix::fs::minor(file.st_dev),
            inode: file.st_ino,
        },
        origin: None,
        args_count: args.len() as u32,
        args,
        args_truncated: false,
        cwd: std::fs::read_link(dir.join("cwd"))
            .map(raw_path)
            .unwrap_or_default(),
        comm: status.name,
        credentials: status.credentials,
        cgroup,
        namespaces: Namespaces {
            pid: namespace("pid"),
            mount: namespace("mnt"),
        },
        parent,
        ancestors,
    })
}

fn parent_of(proc_root: &Path, pid: u32, container: &[u32]) -> Parent {
    let dir = proc_root.join(pid.to_string());
    let exe = match read_exe(&dir) {
        _ if !container.contains(&pid) => ParentExe::Runtime,
        Some(path) => ParentExe::Path(path),
        None => ParentExe::Unknown,
    };
    let start = std::fs::read(dir.join("stat"))
        .ok()
        .and_then(|stat| parse_stat(&stat));
    let start_boot = BootTime::from_nanos(start.map_or(0, |(_, ticks)| ticks * TICK));
    Parent {
        pid: Pid(pid),
        start_boot,
        exe,
        inferred: true,
    }
}

fn read_exe(dir: &Path) -> Option<RawString> {
    std::fs::read_link(dir.join("exe")).ok().map(raw_path)
}

fn raw_path(path: PathBuf) -> RawString {
    OsString::from(path).into_vec().into()
}

/// The parent's id and the start in ticks since boot, from `/proc/PID/stat` (`proc_pid_stat(5)`).
fn parse_stat(stat: &[u8]) -> Option<(u32, u64)> {
    // The name, the second field, may hold spaces and parentheses: what counts is behind its last one.
    let after_name = stat.iter().rposition(|&byte| byte == b')')? + 1;
    let text = std::str::from_utf8(&stat[after_name..]).ok()?;
    let mut fields = text.split_ascii_whitespace();
    let parent = fields.nth(1)?.parse().ok()?;
    let ticks = fields.nth(17)?.parse().ok()?;
    Some((parent, ticks))
}

/// What is of use in `/proc/PID/status` (`proc_pid_status(5)`).
#[derive(Debug, Default, PartialEq, Eq)]
struct Status {
    name: RawString,
    innermost_pid: Option<u32>,
    credentials: Credentials,
}

impl Status {
    fn parse(text: &[u8]) -> Self {
        let mut status = Self::default();
        for line in text.split(|&byte| byte == b'\n') {
            let Some(colon) = line.iter().position(|&byte| byte == b':') else {
                continue;
            };
            let (key, value) = (&line[..colon], line[colon + 1..].trim_ascii());
            let Ok(text) = std::str::from_utf8(value) else {
                continue;
            };
            let mut numbers = text.split_ascii_whitespace();
            let mut next = || numbers.next().and_then(|number| number.parse().ok()).unwrap_or(0);
            let credentials = &mut status.credentials;
            match key {
                b"Name" => status.name = value.into(),
                b"NStgid" => {
                    let innermost = text.split_ascii_whitespace().last();
                    status.innermost_pid = innermost.and_then(|number| number.parse().ok());
                }
                b"Uid" => (credentials.uid, credentials.euid) = (next(), next()),
                b"Gid" => credentials.gid = next(),
                b"CapEff" => credentials.effective_caps = u64::from_str_radix(text, 16).unwrap_or(0),
                b"CapPrm" => credentials.permitted_caps = u64::from_str_radix(text, 16).unwrap_or(0),
                _ => {}
            }
        }
        status
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_name_does_not_shift_the_fields() {
        let mut stat = b"7 (a) R 99 (b) S 42 ".to_vec();
        stat.extend(b"0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 12345 0 0");
        assert_eq!(parse_stat(&stat), Some((42, 12345)));
        assert_eq!(parse_stat(b""), None);
        assert_eq!(parse_stat(b"1 (x"), None);
    }

    #[test]
    fn status_of_a_process_in_a_container() {
        let text =
            b"Name:\tsh\nNStgid:\t4242\t7\nUid:\t100\t101\t102\t103\nGid:\t5\t6\nCapEff:\t00000000a80425fb\n";
        let status = Status::parse(text);
        assert_eq!(
            (status.name.to_string(), status.innermost_pid),
            ("sh".to_owned(), Some(7))
        );
        let credentials = status.credentials;
        assert_eq!(
            (credentials.uid, credentials.euid, credentials.gid),
            (100, 101, 5)
        );
        assert_eq!(credentials.effective_caps, 0xa804_25fb);
    }

    #[test]
    fn this_process_is_read_as_it_is() {
        let clock = ClockPair {
            boot: BootTime::from_nanos(0),
            wall: runtime_core::Timestamp::from_unix_nanos(0),
        };
        let own = std::process::id();
        let process = read_process(Path::new("/proc"), own, CgroupId(1), &[own], &clock).unwrap();
        assert_eq!(process.exe, raw_path(std::env::current_exe().unwrap()));
        assert_eq!(
            process.parent.exe,
            ParentExe::Runtime,
            "its parent is not in the container"
        );
    }
}
