//! What a process keeps of BPF in the kernel, and whether the kernel still has it.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};

/// A program, map or link, by the kernel's number for it; such numbers are not given out again soon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum BpfObject {
    Program(u32),
    Map(u32),
    Link(u32),
}

impl BpfObject {
    /// False once the kernel has freed it.
    pub(crate) fn exists(self) -> bool {
        // BPF_PROG_GET_FD_BY_ID, BPF_MAP_GET_FD_BY_ID, BPF_LINK_GET_FD_BY_ID in the kernel's uapi/linux/bpf.h.
        let (command, id) = match self {
            Self::Program(id) => (13, id),
            Self::Map(id) => (14, id),
            Self::Link(id) => (30, id),
        };
        match open_by_id(command, id) {
            Ok(_) => true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => panic!("{self:?}: {error}"),
        }
    }
}

/// The programs, maps and links that a process has descriptors of, or that links of its hold.
pub(crate) fn held_by(pid: u32) -> BTreeSet<BpfObject> {
    let mut held = BTreeSet::new();
    for entry in std::fs::read_dir(format!("/proc/{pid}/fdinfo"))
        .unwrap()
        .flatten()
    {
        // A descriptor may be closed between the two lines.
        for line in std::fs::read_to_string(entry.path()).unwrap_or_default().lines() {
            let Some((key, value)) = line.split_once(':') else {
                continue;
            };
            let Ok(id) = value.trim().parse() else {
                continue;
            };
            match key {
                "prog_id" => held.insert(BpfObject::Program(id)),
                "map_id" => held.insert(BpfObject::Map(id)),
                "link_id" => held.insert(BpfObject::Link(id)),
                _ => false,
            };
        }
    }
    held
}

/// What is pinned in a BPF file system, at any depth; nothing where there is none.
pub(crate) fn pinned(folder: &Path) -> BTreeSet<PathBuf> {
    let mut all = BTreeSet::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            all.append(&mut pinned(&entry.path()));
        }
        all.insert(entry.path());
    }
    all
}

fn open_by_id(command: libc::c_long, id: u32) -> io::Result<OwnedFd> {
    // The id, where to start, and flags; the kernel wants zeros behind what a command knows.
    let attributes = [id, 0, 0, 0];
    // SAFETY: the kernel reads as many bytes as it is told, and writes none for these commands.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            attributes.as_ptr(),
            std::mem::size_of_val(&attributes),
        )
    };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}
