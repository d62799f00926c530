//! The cgroup directories, by the kernel's ids.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use runtime_core::CgroupId;
use rustix::fs::{Dir, FileType, Mode, OFlags, ResolveFlags};

use super::files::{Root, read_to_end};
use super::hierarchy::{CgroupHierarchy, path_bytes};

/// A walk stops after so many cgroups: no machine has them, and a hostile one shall not hold us up.
const WALK_LIMIT: usize = 1 << 18;
/// Longer paths cannot be opened in one call (`PATH_MAX`).
const PATH_LIMIT: usize = 4000;
/// The pid list of one cgroup: room for the largest number of processes that a kernel allows.
const PROCS_LIMIT: usize = 64 << 20;

/// Where the directory of each cgroup is; cheap to clone, shared by the index and the responder.
///
/// A directory is handed out only when its inode number is the cgroup's id, so that a path that was used
/// again never leads to another cgroup.
#[derive(Debug, Clone)]
pub struct CgroupTree(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    hierarchy: CgroupHierarchy,
    root: OwnedFd,
    freezer: Option<OwnedFd>,
    paths: RwLock<HashMap<CgroupId, Arc<[u8]>>>,
}

impl CgroupTree {
    /// The hierarchy that the directories belong to.
    pub fn hierarchy(&self) -> &CgroupHierarchy {
        &self.0.hierarchy
    }

    pub(crate) fn open(host: &Root, hierarchy: CgroupHierarchy) -> io::Result<Self> {
        let root = host.open_dir(hierarchy.mount_point())?;
        let freezer = hierarchy
            .freezer_mount_point()
            .and_then(|mount_point| host.open_dir(mount_point).ok());
        Ok(Self(Arc::new(Inner {
            hierarchy,
            root,
            freezer,
            paths: RwLock::default(),
        })))
    }

    pub(crate) fn path(&self, id: CgroupId) -> Option<Arc<[u8]>> {
        self.paths().get(&id).cloned()
    }

    pub(crate) fn insert(&self, id: CgroupId, path: Arc<[u8]>) {
        self.paths_mut().insert(id, path);
    }

    pub(crate) fn remove(&self, id: CgroupId) {
        self.paths_mut().remove(&id);
    }

    /// Opens the directory of a cgroup; `NotFound` when the cgroup is gone.
    pub(crate) fn open_cgroup(&self, id: CgroupId) -> io::Result<OwnedFd> {
        self.open_with_path(id).map(|(dir, _)| dir)
    }

    /// The same, with the path that led there.
    pub(crate) fn open_with_path(&self, id: CgroupId) -> io::Result<(OwnedFd, Arc<[u8]>)> {
        if let Some(path) = self.path(id)
            && let Ok(dir) = self.open_path(&path)
            && cgroup_id(&dir)? == id
        {
            return Ok((dir, path));
        }
        // The path is not known, or a v1 cgroup was renamed.
        let path = self.find(id).ok_or(io::ErrorKind::NotFound)?;
        let dir = self.open_path(&path)?;
        if cgroup_id(&dir)? != id {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok((dir, path.into()))
    }

    /// Opens the directory at a path of the hierarchy, whichever cgroup that is now.
    pub(crate) fn open_path(&self, path: &[u8]) -> io::Result<OwnedFd> {
        open_below(&self.0.root, path)
    }

    /// Opens a directory of the v1 freezer.
    pub(crate) fn open_freezer(&self, path: &[u8]) -> io::Result<OwnedFd> {
        let root = self.0.freezer.as_ref().ok_or(io::ErrorKind::Unsupported)?;
        open_below(root, path)
    }

    /// The id of the hierarchy's root.
    pub(crate) fn root_id(&self) -> io::Result<CgroupId> {
        cgroup_id(&self.0.root)
    }

    /// The path of a cgroup, found by walking the tree.
    pub(crate) fn find(&self, id: CgroupId) -> Option<Vec<u8>> {
        let mut found = None;
        self.walk(|each, path| {
            if each == id {
                found = Some(path.to_vec());
            }
            found.is_none()
        });
        found
    }

    /// Shows every cgroup below the root with its path, parents before their children, until `each` says to
    /// stop. What disappears meanwhile is left out.
    pub(crate) fn walk(&self, mut each: impl FnMut(CgroupId, &[u8]) -> bool) {
        let mut open = vec![Vec::new()];
        let mut seen = 0;
        while let Some(path) = open.pop() {
            let Ok(dir) = self.open_path(&path) else {
                continue;
            };
            for (id, name) in child_cgroups(dir) {
                let mut child = path.clone();
                child.push(b'/');
                child.extend_from_slice(&name);
                seen += 1;
                if seen > WALK_LIMIT || !each(id, &child) {
                    return;
                }
                if child.len() < PATH_LIMIT {
                    open.push(child);
                }
            }
        }
    }

    fn paths(&self) -> RwLockReadGuard<'_, HashMap<CgroupId, Arc<[u8]>>> {
        self.0.paths.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn paths_mut(&self) -> RwLockWriteGuard<'_, HashMap<CgroupId, Arc<[u8]>>> {
        self.0.paths.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The id of an open cgroup directory.
pub(crate) fn cgroup_id(dir: impl AsFd) -> io::Result<CgroupId> {
    Ok(CgroupId(rustix::fs::fstat(dir)?.st_ino))
}

/// Opens a directory below an open one; the path may begin with a slash, and cannot lead out.
pub(crate) fn open_below(root: impl AsFd, path: &[u8]) -> io::Result<OwnedFd> {
    let relative = path.strip_prefix(b"/").unwrap_or(path);
    let relative = if relative.is_empty() { b"." } else { relative };
    Ok(rustix::fs::openat2(
        root,
        Path::new(OsStr::from_bytes(relative)),
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
        ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS,
    )?)
}

/// The cgroups right below an open directory: kernfs gives ids as inode numbers without a `stat`.
pub(crate) fn child_cgroups(dir: OwnedFd) -> impl Iterator<Item = (CgroupId, Vec<u8>)> {
    let entries = Dir::new(dir).into_iter().flat_map(Iterator::flatten);
    entries
        .filter(|entry| entry.file_type() == FileType::Directory)
        .map(|entry| (CgroupId(entry.ino()), entry.file_name().to_bytes().to_vec()))
        .filter(|(_, name)| name != b"." && name != b"..")
}

/// Appends the processes of one cgroup, those of cgroups below it not among them.
///
/// `text` is a buffer to use again. A process of another PID namespace shows as 0 and is left out. In a
/// threaded v2 cgroup the kernel lists none; its processes are listed by the domain above.
pub(crate) fn read_pids(dir: impl AsFd, text: &mut Vec<u8>, pids: &mut Vec<u32>) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let file = rustix::fs::openat(dir, "cgroup.procs", flags, Mode::empty())?;
    text.clear();
    match read_to_end(file.as_fd(), text, PROCS_LIMIT) {
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::OPNOTSUPP.raw_os_error()) => {}
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::NODEV.raw_os_error()) => {}
        result => result?,
    }
    let lines = text.split(|&byte| byte == b'\n');
    pids.extend(lines.filter_map(parse_pid).filter(|&pid| pid != 0));
    Ok(())
}

fn parse_pid(line: &[u8]) -> Option<u32> {
    std::str::from_utf8(line).ok()?.parse().ok()
}

/// The bytes of the mount point, for comparing with paths that runtimes wrote down.
pub(crate) fn mount_point_bytes(hierarchy: &CgroupHierarchy) -> &[u8] {
    path_bytes(hierarchy.mount_point())
}
