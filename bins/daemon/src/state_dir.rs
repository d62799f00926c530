//! The state directory, which belongs to one daemon at a time.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use runtime_core::RawString;
use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;

/// The file that is locked, with the process id of its owner in it.
const LOCK: &str = "lock";

/// The state directory, locked as long as this lives. The kernel drops the lock with the process, however
/// that ends.
#[derive(Debug)]
pub(crate) struct StateDir {
    _lock: File,
}

/// Why the state directory cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum StateDirError {
    /// It cannot be made, or looked at.
    #[error("cannot use the state directory {}", path.display())]
    Open { path: PathBuf, source: io::Error },
    /// Others could put files into it.
    #[error("the state directory {} may be written by others (mode {mode:o}); it must be the daemon's alone", path.display())]
    Shared { path: PathBuf, mode: u32 },
    /// Another daemon has it.
    #[error("the state directory {} is in use by another daemon{}", path.display(), owner(pid))]
    Locked { path: PathBuf, pid: String },
}

impl StateDir {
    /// Makes the directory if it is missing, for the owner alone, and locks it.
    pub(crate) fn open(path: &Path) -> Result<Self, StateDirError> {
        let failed = |source| StateDirError::Open {
            path: path.to_owned(),
            source,
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(failed)?;
        let mode = fs::metadata(path).map_err(failed)?.mode() & 0o7777;
        if mode & 0o022 != 0 {
            return Err(StateDirError::Shared {
                path: path.to_owned(),
                mode,
            });
        }
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
            .open(path.join(LOCK))
            .map_err(failed)?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                return Err(StateDirError::Locked {
                    path: path.to_owned(),
                    pid: owner_of(&lock),
                });
            }
            Err(errno) => return Err(failed(errno.into())),
        }
        lock.set_len(0)
            .and_then(|()| writeln!(lock, "{}", std::process::id()))
            .map_err(failed)?;
        Ok(Self { _lock: lock })
    }
}

/// The process id in the lock file; empty where there is none yet.
fn owner_of(mut lock: &File) -> String {
    let mut bytes = [0; 16];
    let length = lock.read(&mut bytes).unwrap_or(0);
    RawString::from(bytes[..length].trim_ascii()).to_string()
}

fn owner(pid: &str) -> String {
    if pid.is_empty() {
        String::new()
    } else {
        format!(" (process {pid})")
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn it_is_made_for_the_owner_alone() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/state");
        let _held = StateDir::open(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o700);
    }

    #[test]
    fn a_second_daemon_is_refused_until_the_first_is_gone() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("state");
        let held = StateDir::open(&path).unwrap();
        let refused = StateDir::open(&path).unwrap_err().to_string();
        assert_eq!(
            refused,
            format!(
                "the state directory {} is in use by another daemon (process {})",
                path.display(),
                std::process::id()
            )
        );
        drop(held);
        StateDir::open(&path).unwrap();
    }

    #[test]
    fn a_directory_that_others_may_write_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        fs::set_permissions(parent.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let refused = StateDir::open(parent.path()).unwrap_err();
        assert!(
            matches!(refused, StateDirError::Shared { mode: 0o777, .. }),
            "{refused}"
        );
    }

    #[test]
    fn a_file_in_its_place_is_an_error_that_names_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let refused = StateDir::open(file.path()).unwrap_err();
        assert!(
            refused.to_string().contains(&file.path().display().to_string()),
            "{refused}"
        );
    }

    #[test]
    fn a_link_in_place_of_the_lock_is_not_followed() {
        let parent = tempfile::tempdir().unwrap();
        let target = parent.path().join("target");
        fs::write(&target, "precious").unwrap();
        let path = parent.path().join("state");
        DirBuilder::new().mode(0o700).create(&path).unwrap();
        std::os::unix::fs::symlink(&target, path.join(LOCK)).unwrap();
        assert!(StateDir::open(&path).is_err());
        assert_eq!(fs::read_to_string(&target).unwrap(), "precious");
    }
}
