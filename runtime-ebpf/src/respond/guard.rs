//! What must never be killed: the cgroups that hold this process, or the machine's first one.

use std::collections::HashSet;
use std::io;
use std::os::fd::OwnedFd;

use runtime_core::CgroupId;

use crate::container::{CgroupTree, ProcDir, cgroup_id, read_pids};

/// No process is in so many hierarchies that its `/proc/PID/cgroup` is longer.
const TEXT_LIMIT: usize = 16 << 10;

/// One process, and every cgroup whose tree holds it.
#[derive(Debug)]
pub(super) struct Guard {
    pid: u32,
    file: OwnedFd,
    text: Vec<u8>,
    now: Vec<u8>,
    cgroups: HashSet<CgroupId>,
}

impl Guard {
    pub(super) fn new(tree: &CgroupTree, proc: &ProcDir, pid: u32) -> io::Result<Self> {
        let mut guard = Self {
            pid,
            file: proc.open_file(&format!("{pid}/cgroup"))?,
            text: Vec::new(),
            now: vec![0; TEXT_LIMIT],
            cgroups: HashSet::new(),
        };
        guard.refresh(tree)?;
        Ok(guard)
    }

    /// True when the tree of this cgroup holds the process. An error means that it is not known.
    pub(super) fn is_in(&mut self, tree: &CgroupTree, cgroup: CgroupId) -> io::Result<bool> {
        self.refresh(tree)?;
        Ok(self.cgroups.contains(&cgroup))
    }

    /// Looks up the cgroups when the process has moved since; else it is one system call.
    fn refresh(&mut self, tree: &CgroupTree) -> io::Result<()> {
        let length = rustix::io::pread(&self.file, &mut self.now[..], 0)?;
        if !self.cgroups.is_empty() && self.now[..length] == self.text {
            return Ok(());
        }
        self.cgroups = holders(tree, &self.now[..length], self.pid)?;
        self.text = self.now[..length].to_vec();
        Ok(())
    }
}

/// The cgroup that holds a process, with all those above it.
fn holders(tree: &CgroupTree, proc_cgroup: &[u8], pid: u32) -> io::Result<HashSet<CgroupId>> {
    let (mut text, mut pids) = (Vec::new(), Vec::new());
    let mut holds = |path: &[u8]| {
        pids.clear();
        let listed = tree
            .open_path(path)
            .and_then(|dir| read_pids(&dir, &mut text, &mut pids));
        listed.is_ok() && pids.contains(&pid)
    };
    // In a cgroup namespace the kernel's text is relative to that, so it counts only where the directory
    // lists the process.
    let told = tree.hierarchy().controller().path_in(proc_cgroup);
    let mut path = told.filter(|path| holds(path)).map(<[u8]>::to_vec);
    if path.is_none() && holds(b"/") {
        path = Some(b"/".to_vec());
    }
    if path.is_none() {
        tree.walk(|_, each| {
            if holds(each) {
                path = Some(each.to_vec());
            }
            path.is_none()
        });
    }
    let path = path.ok_or(io::ErrorKind::NotFound)?;
    let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
    let above = ends.map(|(at, _)| &path[..at]).chain([&path[..]]);
    above.map(|path| cgroup_id(tree.open_path(path)?)).collect()
}
