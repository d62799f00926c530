//! What processes do to files.

use serde::{Deserialize, Serialize};

use crate::id::FileId;
use crate::raw::RawString;

/// Something that was done to a file or a directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileActivity {
    /// What was done.
    pub operation: FileOperation,
    /// The path in the container of what it was done to: from the file's kernel object where
    /// [`Event::trust`](super::Event::trust) is `kernel`, else the argument, made absolute.
    ///
    /// A file that is watched by its whole path is told of by that path also where it was reached by another name: a
    /// hard link, or a bind mount. That name is then in `argument`.
    #[serde(with = "crate::raw::exact")]
    pub path: RawString,
    /// The other path: where a file was renamed to, the new name of a hard link, the place of a symbolic link
    /// (whose content is `path`).
    #[serde(with = "crate::raw::exact::option", default)]
    pub new_path: Option<RawString>,
    /// The path as the caller wrote it, where the event has it.
    #[serde(with = "crate::raw::exact::option", default)]
    pub argument: Option<RawString>,
    /// The file's device and inode, where a kernel object was at hand.
    pub file: Option<FileId>,
}

/// Operations on files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum FileOperation {
    /// It was opened.
    Open(Open),
    /// It was cut to, or extended to, a length.
    Truncate,
    /// It got another name.
    Rename,
    /// It got one more name.
    Link,
    /// A symbolic link was made.
    Symlink,
    /// A name of it was removed.
    Unlink,
    /// A directory was removed.
    Rmdir,
    /// A directory was made.
    Mkdir {
        /// The mode bits asked for.
        mode: u32,
    },
    /// A device, socket or FIFO was made.
    Mknod {
        /// Type and mode bits asked for.
        mode: u32,
    },
    /// Its mode bits were set.
    Chmod {
        /// The new ones.
        mode: u32,
    },
    /// Its owner was set.
    Chown {
        /// The new owner; `None` leaves it.
        uid: Option<u32>,
        /// The new group; `None` leaves it.
        gid: Option<u32>,
    },
}

impl FileOperation {
    /// One word for it, as alerts have it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Open(open) if open.created => "create",
            Self::Open(open) if open.writes() => "write",
            Self::Open(_) => "read",
            Self::Truncate => "truncate",
            Self::Rename => "rename",
            Self::Link => "link",
            Self::Symlink => "symlink",
            Self::Unlink => "unlink",
            Self::Rmdir => "rmdir",
            Self::Mkdir { .. } => "mkdir",
            Self::Mknod { .. } => "mknod",
            Self::Chmod { .. } => "chmod",
            Self::Chown { .. } => "chown",
        }
    }
}

/// How a file was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Open {
    /// The flags of the call, as numbered on x86-64 (`O_WRONLY`, `O_CREAT`, …).
    pub flags: u32,
    /// The mode bits for a file that is created.
    pub mode: u32,
    /// True where this call created the file.
    pub created: bool,
}

impl Open {
    /// `O_ACCMODE`.
    const ACCESS: u32 = 0o3;
    /// `O_PATH`.
    const PATH: u32 = 0o10_000_000;
    /// `O_CREAT`.
    pub const CREATE: u32 = 0o100;
    /// `O_TRUNC`.
    pub const TRUNCATE: u32 = 0o1000;

    /// Whether the descriptor can be written by.
    pub fn writes(self) -> bool {
        self.flags & Self::PATH == 0 && matches!(self.flags & Self::ACCESS, 1 | 2)
    }

    /// Whether the descriptor can be read by.
    pub fn reads(self) -> bool {
        self.flags & Self::PATH == 0 && matches!(self.flags & Self::ACCESS, 0 | 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_descriptor_neither_reads_nor_writes() {
        let open = |flags| Open {
            flags,
            ..Open::default()
        };
        assert!(open(0).reads() && !open(0).writes());
        assert!(!open(1).reads() && open(1).writes());
        assert!(open(2).reads() && open(2).writes());
        assert!(!open(0o10_000_002).reads() && !open(0o10_000_002).writes());
    }
}
