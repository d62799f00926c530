//! What the daemon takes of memory.

use std::fmt;

use super::descriptors::{descriptors, field};

/// Resident memory, and that of the kernel's side.
pub(crate) struct Memory {
    /// `VmRSS`, in KiB.
    pub(crate) resident: u64,
    /// Of that, what belongs to no file and is shared with nobody (`RssAnon`), in KiB.
    anonymous: u64,
    /// `memlock` of all maps and programs that the daemon holds, in KiB: rings and maps are not in the first.
    maps: u64,
}

impl Memory {
    /// Reads what `/proc` says of a process.
    pub(crate) fn of(pid: u32) -> Self {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let number = |text: &str, name: &str| field(text, name).unwrap_or("0").parse::<u64>().unwrap_or(0);
        let maps: u64 = descriptors(pid).map(|info| number(&info, "memlock:")).sum();
        Self {
            resident: number(&status, "VmRSS:"),
            anonymous: number(&status, "RssAnon:"),
            maps: maps / 1024,
        }
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |kib: u64| kib as f64 / 1024.0;
        let (resident, anonymous, maps) = (mib(self.resident), mib(self.anonymous), mib(self.maps));
        write!(
            f,
            "resident {resident:.1} MiB (anonymous {anonymous:.1}), maps and rings in the kernel {maps:.1} MiB"
        )
    }
}
