//! The few things that are asked of the proc file system.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags};

use super::files::{Root, read_to_end};

/// No file that is read here is longer, but for arguments, of which the start is enough.
const LIMIT: usize = 1 << 20;
const ARGUMENTS_LIMIT: usize = 32 << 10;

/// An open proc file system.
#[derive(Debug)]
pub(crate) struct ProcDir(OwnedFd);

/// What `/proc/PID/stat` says of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProcStat {
    pub(crate) parent: u32,
    /// In clock ticks since the machine started.
    pub(crate) start_ticks: u64,
}

/// Inode numbers of the PID and the mount namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NamespaceIds {
    pub(crate) pid: u64,
    pub(crate) mount: u64,
}

impl ProcDir {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self(rustix::fs::openat(CWD, path, flags, Mode::empty())?))
    }

    pub(crate) fn open_file(&self, path: &str) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(&self.0, path, flags, Mode::empty())?)
    }

    pub(crate) fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        let mut content = Vec::with_capacity(1024);
        read_to_end(self.open_file(path)?.as_fd(), &mut content, LIMIT)?;
        Ok(content)
    }

    /// The process id of this process as this proc file system has it.
    pub(crate) fn own_pid(&self) -> io::Result<u32> {
        let link = rustix::fs::readlinkat(&self.0, "self", Vec::new())?;
        let text = link.to_str().ok().and_then(|text| text.parse().ok());
        text.ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    pub(crate) fn cgroups(&self, pid: u32) -> io::Result<Vec<u8>> {
        self.read(&format!("{pid}/cgroup"))
    }

    pub(crate) fn stat(&self, pid: u32) -> Option<ProcStat> {
        let file = self.open_file(&format!("{pid}/stat")).ok()?;
        // The kernel gives it in one piece, of which numbers and a name of 64 bytes at most make less.
        let mut text = [0; 2048];
        let length = rustix::io::read(&file, &mut text[..]).ok()?;
        ProcStat::parse(&text[..length])
    }

    /// The arguments, the start of them when they are many.
    pub(crate) fn arguments(&self, pid: u32) -> Option<Vec<Vec<u8>>> {
        let mut content = Vec::with_capacity(1024);
        let file = self.open_file(&format!("{pid}/cmdline")).ok()?;
        // What is over the limit has been read up to it, which is what is wanted here.
        let _ = read_to_end(file.as_fd(), &mut content, ARGUMENTS_LIMIT);
        let text = content.strip_suffix(b"\0").unwrap_or(&content);
        Some(text.split(|&byte| byte == 0).map(<[u8]>::to_vec).collect())
    }

    pub(crate) fn namespaces(&self, pid: &str) -> Option<NamespaceIds> {
        let inode = |name: &str| {
            let stat = rustix::fs::statat(&self.0, format!("{pid}/ns/{name}"), rustix::fs::AtFlags::empty());
            stat.ok().map(|stat| stat.st_ino)
        };
        Some(NamespaceIds {
            pid: inode("pid")?,
            mount: inode("mnt")?,
        })
    }

    /// A process's own `/`.
    pub(crate) fn root_of(&self, pid: u32) -> io::Result<Root> {
        self.link_target(&format!("{pid}/root"))
    }

    /// A process's working directory.
    pub(crate) fn cwd_of(&self, pid: u32) -> io::Result<Root> {
        self.link_target(&format!("{pid}/cwd"))
    }

    /// The same as text; it may be gone or have another name by now.
    pub(crate) fn cwd_path(&self, pid: u32) -> Option<PathBuf> {
        let link = rustix::fs::readlinkat(&self.0, format!("{pid}/cwd"), Vec::new()).ok()?;
        Some(OsString::from_vec(link.into_bytes()).into())
    }

    fn link_target(&self, path: &str) -> io::Result<Root> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Root::from(rustix::fs::openat(
            &self.0,
            path,
            flags,
            Mode::empty(),
        )?))
    }
}

impl ProcStat {
    /// The name in parentheses may hold anything, parentheses too, so fields are counted from its end.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let after_name = text.iter().rposition(|&byte| byte == b')')? + 1;
        let text = std::str::from_utf8(&text[after_name..]).ok()?;
        let mut fields = text.split_ascii_whitespace();
        let parent = fields.nth(1)?.parse().ok()?;
        // The start time is the 22nd field, the parent the fourth (`proc_pid_stat(5)`).
        let start_ticks = fields.nth(17)?.parse().ok()?;
        Some(Self { parent, start_ticks })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_name_does_not_shift_the_fields() {
        let tail = " S 7 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 4242 21";
        let stat = |name: &str| ProcStat::parse(format!("12 ({name}){tail}").as_bytes());
        let expected = Some(ProcStat {
            parent: 7,
            start_ticks: 4242,
        });
        assert_eq!(stat("sh"), expected);
        assert_eq!(stat(") S 1 1 (\n"), expected);
        assert_eq!(ProcStat::parse(b"12 (sh) S 7"), None);
        assert_eq!(ProcStat::parse(b""), None);
    }

    #[test]
    fn this_process_is_read() {
        let proc = ProcDir::open(Path::new("/proc")).unwrap();
        let own = std::process::id();
        assert_eq!(proc.own_pid().unwrap(), own);
        assert_eq!(
            proc.stat(own).unwrap().parent,
            std::os::unix::process::parent_id()
        );
        let arguments = proc.arguments(own).unwrap();
        assert_eq!(arguments.len(), std::env::args_os().len());
        assert!(proc.namespaces("self").is_some());
    }
}
