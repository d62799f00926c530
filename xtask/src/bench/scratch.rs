//! Folders that are gone when nobody needs them any more.

use std::path::{Path, PathBuf};

use crate::Outcome;

/// A folder of our own below the one for temporary files.
pub(crate) struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// Makes it; `purpose` is part of its name.
    pub(crate) fn new(purpose: &str) -> Outcome<Self> {
        let name = format!("podwarden-bench-{}-{purpose}", std::process::id());
        let path = std::env::temp_dir().join(name);
        // One that somebody else made beforehand is an error: this runs as root.
        std::fs::create_dir(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self { path })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.path));
    }
}
