//! Reading other people's files: bounded, regular files only, and never out of the root they belong to.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags};

/// A directory that is taken for `/`: no link and no `..` in a path leads out of it.
#[derive(Debug)]
pub(crate) struct Root(OwnedFd);

impl Root {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self(rustix::fs::openat(CWD, path, flags, Mode::empty())?))
    }

    pub(crate) fn open_dir(&self, path: &Path) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(rustix::fs::openat2(
            &self.0,
            path,
            flags,
            Mode::empty(),
            ResolveFlags::IN_ROOT,
        )?)
    }

    /// The content of a regular file; an error when it is none, is a symbolic link, or is over `limit` bytes.
    pub(crate) fn read(&self, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
        read_regular(self.0.as_fd(), path, limit)
    }

    /// The names of the directories in one; empty when it cannot be read.
    pub(crate) fn subdirectories(&self, path: &Path) -> Vec<Vec<u8>> {
        let Ok(dir) = self.open_dir(path).and_then(|dir| Ok(rustix::fs::Dir::new(dir)?)) else {
            return Vec::new();
        };
        dir.flatten()
            .filter(|entry| entry.file_type() == FileType::Directory)
            .map(|entry| entry.file_name().to_bytes().to_vec())
            .filter(|name| name != b"." && name != b"..")
            .collect()
    }
}

impl From<OwnedFd> for Root {
    /// From an open directory.
    fn from(dir: OwnedFd) -> Self {
        Self(dir)
    }
}

fn read_regular(dir: BorrowedFd<'_>, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    // Without O_NONBLOCK a named pipe in the file's place would hold the caller for ever.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::NOCTTY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let file = rustix::fs::openat2(dir, path, flags, Mode::empty(), resolve)?;
    let stat = rustix::fs::fstat(&file)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let expected = usize::try_from(stat.st_size).unwrap_or(0);
    if expected > limit {
        return Err(too_large());
    }
    let mut content = Vec::with_capacity(expected + 1);
    read_to_end(file.as_fd(), &mut content, limit)?;
    Ok(content)
}

/// Appends what is left of a file, at most `limit` bytes of it.
pub(crate) fn read_to_end(file: BorrowedFd<'_>, into: &mut Vec<u8>, limit: usize) -> io::Result<()> {
    let start = into.len();
    loop {
        if into.capacity() == into.len() {
            into.reserve(4096);
        }
        let read = match rustix::io::read(file, rustix::buffer::spare_capacity(into)) {
            Err(rustix::io::Errno::INTR) => continue,
            read => read?,
        };
        if read == 0 {
            return Ok(());
        }
        if into.len() - start > limit {
            return Err(too_large());
        }
    }
}

fn too_large() -> io::Error {
    io::Error::new(io::ErrorKind::FileTooLarge, "over the size limit")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn nothing_leads_out_of_the_root() {
        let outside = tempfile::tempdir().unwrap();
        let inside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("secret"), "outside").unwrap();
        fs::create_dir(inside.path().join("run")).unwrap();
        fs::write(inside.path().join("run/secret"), "inside").unwrap();
        symlink(outside.path(), inside.path().join("link")).unwrap();
        symlink("/run", inside.path().join("var-run")).unwrap();
        symlink(
            outside.path().join("secret"),
            inside.path().join("run/linked-file"),
        )
        .unwrap();
        let root = Root::open(inside.path()).unwrap();
        assert_eq!(root.read(Path::new("/var-run/secret"), 100).unwrap(), b"inside");
        assert_eq!(root.read(Path::new("../../run/secret"), 100).unwrap(), b"inside");
        assert!(root.read(Path::new("link/secret"), 100).is_err());
        assert!(root.read(Path::new("run/linked-file"), 100).is_err());
    }

    #[test]
    fn only_small_regular_files_are_read() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("big"), [0; 101]).unwrap();
        fs::create_dir(dir.path().join("dir")).unwrap();
        rustix::fs::mknodat(
            CWD,
            dir.path().join("pipe"),
            FileType::Fifo,
            Mode::RUSR | Mode::WUSR,
            0,
        )
        .unwrap();
        let root = Root::open(dir.path()).unwrap();
        for name in ["big", "dir", "pipe", "missing"] {
            assert!(root.read(Path::new(name), 100).is_err(), "{name}");
        }
        assert_eq!(root.read(Path::new("big"), 101).unwrap().len(), 101);
    }
}
