//! Looking at files without trusting them: nothing here waits for a writer or reads without end.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;

/// The largest file that is read, in bytes.
pub(super) const MAX_FILE_SIZE: u64 = 16 << 20;

/// Why a file could not be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    #[error("the file cannot be read")]
    Io(#[from] io::Error),
    #[error("not a regular file")]
    NotRegular,
    #[error("the file is larger than {} MiB", MAX_FILE_SIZE >> 20)]
    TooLarge,
    #[error("not UTF-8")]
    NotUtf8 {
        /// The line of the first byte that is not.
        line: usize,
    },
}

/// What a directory looks like from outside: cheap to take, and different when something was written,
/// replaced, added or removed, or may be read now.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fingerprint(Vec<(OsString, Option<Stamp>)>);

/// Device, inode, size, and the times of the last writing and of the last change in nanoseconds.
type Stamp = (u64, u64, u64, (i64, i64), (i64, i64));

impl Fingerprint {
    /// The names of the manifests, sorted.
    pub(super) fn names(&self) -> impl Iterator<Item = &OsString> {
        self.0.iter().map(|(name, _)| name)
    }
}

/// Looks at the manifests of a directory, through symbolic links.
pub(super) fn fingerprint(directory: &Path) -> io::Result<Fingerprint> {
    let mut entries = Vec::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        if is_manifest(&name) {
            let stamp = fs::metadata(directory.join(&name)).ok();
            entries.push((name, stamp.as_ref().map(stamp_of)));
        }
    }
    entries.sort();
    Ok(Fingerprint(entries))
}

/// The text of a file.
pub(super) fn read(path: &Path) -> Result<String, FileError> {
    // Looked at before it is opened, because opening a device may already do something, and after, because
    // it may have been replaced in between. Without O_NONBLOCK a named pipe would hold us up here.
    if !fs::metadata(path)?.is_file() {
        return Err(FileError::NotRegular);
    }
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)?;
    if !file.metadata()?.is_file() {
        return Err(FileError::NotRegular);
    }
    let bytes = read_bounded(&file)?;
    String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        FileError::NotUtf8 {
            line: valid.split(|&byte| byte == b'\n').count(),
        }
    })
}

fn read_bounded(file: &File) -> Result<Vec<u8>, FileError> {
    let mut bytes = Vec::new();
    // One byte more than allowed: that it can be read is how we know.
    file.take(MAX_FILE_SIZE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE_SIZE {
        return Err(FileError::TooLarge);
    }
    Ok(bytes)
}

fn is_manifest(name: &OsStr) -> bool {
    let bytes = name.as_encoded_bytes();
    !bytes.starts_with(b".")
        && [&b".yaml"[..], b".yml", b".json"]
            .iter()
            .any(|end| bytes.ends_with(end))
}

fn stamp_of(metadata: &Metadata) -> Stamp {
    (
        metadata.dev(),
        metadata.ino(),
        metadata.size(),
        (metadata.mtime(), metadata.mtime_nsec()),
        (metadata.ctime(), metadata.ctime_nsec()),
    )
}
