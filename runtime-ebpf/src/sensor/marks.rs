//! Files that are watched by what they are, so that no other name hides them.
//!
//! Rules name single files (`/etc/shadow`). In each container the file of that name is looked up when the container
//! starts, and watched by device and inode: so a hard link to it, or a bind mount of it, is seen and told of as what
//! it is. A name may come to stand for another file at any time, and the number of an inode may be given out again;
//! so before an event is told of under the watched name, it is looked whether that still is the same file.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use runtime_core::event::FileActivity;
use runtime_core::{CgroupId, Container, FileId, RawString};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};

use crate::container::ContainerIndex;
use crate::error::SensorError;
use crate::filter::Sets;
use crate::loader::Loaded;

/// So many files are known at most; the kernel's map forgets those that were not used for longest.
const MAX_FILES: usize = 4096;

/// The files that are watched, and where.
#[derive(Debug)]
pub(super) struct Marks {
    proc_root: PathBuf,
    files: HashMap<FileId, Mark>,
}

/// What a name in a container stands for.
enum Found {
    File(FileId),
    Nothing,
    /// The container is over: there is nobody to look through.
    Over,
}

#[derive(Debug, Clone)]
struct Mark {
    container: CgroupId,
    path: RawString,
}

impl Marks {
    pub(super) fn new(proc_root: &Path) -> Self {
        Self {
            proc_root: proc_root.to_owned(),
            files: HashMap::new(),
        }
    }

    /// Marks the files of all containers anew, as the filter in force names them.
    pub(super) fn renew(&mut self, loaded: &mut Loaded, index: &ContainerIndex) -> Result<(), SensorError> {
        for (file, _) in self.files.drain() {
            loaded.unmark(file);
        }
        for container in index.containers() {
            self.add(loaded, index, container)?;
        }
        loaded.forget_answers()
    }

    /// Marks the files of a container. Those that are not there now are seen by their path alone.
    pub(super) fn add(
        &mut self,
        loaded: &mut Loaded,
        index: &ContainerIndex,
        container: &Container,
    ) -> Result<(), SensorError> {
        if loaded.filter().files.is_empty() || !loaded.sees_calls() {
            return Ok(());
        }
        for (path, sets) in loaded.filter().files.clone() {
            if self.files.len() >= MAX_FILES {
                break;
            }
            if let Found::File(file) = self.look_up(loaded, index, container.cgroup, &path, sets)? {
                let mark = Mark {
                    container: container.cgroup,
                    path: RawString::from(path),
                };
                self.files.insert(file, mark);
            }
        }
        Ok(())
    }

    /// A container is gone, and its files with it.
    pub(super) fn forget(&mut self, loaded: &mut Loaded, container: CgroupId) {
        self.files.retain(|file, mark| {
            let stays = mark.container != container;
            if !stays {
                loaded.unmark(*file);
            }
            stays
        });
    }

    /// Tells of a file by its watched name where it was reached by another one; the other one becomes the argument.
    pub(super) fn name(
        &mut self,
        loaded: &mut Loaded,
        index: &ContainerIndex,
        container: CgroupId,
        activity: &mut FileActivity,
    ) -> Result<(), SensorError> {
        let Some(id) = activity.file else { return Ok(()) };
        let Some(mark) = self.files.get(&id).filter(|mark| mark.container == container) else {
            return Ok(());
        };
        if mark.path == activity.path {
            return Ok(());
        }
        let path = mark.path.clone();
        let sets = loaded
            .filter()
            .files
            .iter()
            .find(|(watched, _)| **watched == *path);
        let sets = sets.map_or(Sets::default(), |(_, sets)| *sets);
        let now = self.look_up(loaded, index, container, &path, sets)?;
        match now {
            Found::File(now) if now != id => {
                self.files.insert(now, Mark { container, path });
            }
            Found::Nothing => {}
            Found::File(_) | Found::Over => {
                let reached = std::mem::replace(&mut activity.path, path);
                activity.argument = Some(reached);
                return Ok(());
            }
        }
        self.files.remove(&id);
        loaded.unmark(id);
        loaded.forget_answers()
    }

    /// The file of a name in a container, which is watched from then on.
    fn look_up(
        &self,
        loaded: &mut Loaded,
        index: &ContainerIndex,
        container: CgroupId,
        path: &[u8],
        sets: Sets,
    ) -> Result<Found, SensorError> {
        let Some(&pid) = index.processes_of(container).first() else {
            return Ok(Found::Over);
        };
        let root = self.proc_root.join(pid.to_string()).join("root");
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let Ok(root) = rustix::fs::openat(CWD, &root, flags, Mode::empty()) else {
            // It has just ended.
            return Ok(Found::Over);
        };
        let file = loaded.mark(sets, || {
            // The kernel's program looks at what this opens; the descriptor itself is of no use.
            let flags = OFlags::PATH | OFlags::CLOEXEC;
            let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
            let path = Path::new(OsStr::from_bytes(path));
            drop(rustix::fs::openat2(&root, path, flags, Mode::empty(), resolve));
        })?;
        Ok(file.map_or(Found::Nothing, Found::File))
    }
}
