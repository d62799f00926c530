//! Files that are watched by device and inode, so that no other name hides them.

use std::path::Path;

use runtime_core::Container;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};

use super::Sensor;
use crate::error::SensorError;
use crate::filter::Sets;

impl Sensor {
    /// Marks the watched files of all containers anew.
    pub(super) fn mark_files(&mut self) -> Result<(), SensorError> {
        self.loaded.forget_files();
        let containers: Vec<_> = self.state.index.containers().cloned().collect();
        for container in containers {
            self.mark_files_of(&container)?;
        }
        self.loaded.forget_answers()
    }

    /// Marks the watched files of one container. Those that are not there now are seen by their path alone.
    pub(super) fn mark_files_of(&mut self, container: &Container) -> Result<(), SensorError> {
        let files = self.loaded.filter().files.clone();
        if files.is_empty() || !self.loaded.sees_calls() {
            return Ok(());
        }
        let Some(&pid) = self.state.index.processes_of(container.cgroup).first() else {
            return Ok(());
        };
        let root = self.proc_root.join(pid.to_string()).join("root");
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let Ok(root) = rustix::fs::openat(CWD, &root, flags, Mode::empty()) else {
            // It has just ended.
            return Ok(());
        };
        for (path, sets) in files {
            use std::os::unix::ffi::OsStrExt;
            let path = Path::new(std::ffi::OsStr::from_bytes(&path));
            self.loaded.mark(sets)?;
            // The kernel's program looks at what this opens; the descriptor itself is of no use.
            let flags = OFlags::PATH | OFlags::CLOEXEC;
            let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
            drop(rustix::fs::openat2(&root, path, flags, Mode::empty(), resolve));
        }
        self.loaded.mark(Sets::default())
    }
}
