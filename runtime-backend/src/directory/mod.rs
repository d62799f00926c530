//! Policies and rules from the files of one directory.

mod files;

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::error::Error as _;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use runtime_core::policy::{PolicySnapshot, Problem};
use runtime_core::ports::PortError;
use runtime_core::{PolicySource, RawString};

use crate::manifest::{self, Item, Manifests, POLICY, SIGNATURE_SET};
use files::{FileError, Fingerprint};

/// Reads the `*.yaml`, `*.yml` and `*.json` files of one directory, in the order of their names.
///
/// - Subdirectories and names that begin with a dot are left out; symbolic links are followed. So a directory
///   that Kubernetes mounts from a `ConfigMap`, where every file is a link through `..data`, reads as it looks.
/// - A file is at most 16 MiB and a regular file; anything else is a problem and is never waited for.
/// - A file that was right once and is not any more stays in force as it was, until it is right again or
///   gone: a slip of the pen must not switch protection off. Of a file that was never right, the documents
///   that are right load.
#[derive(Debug)]
pub struct DirectoryPolicySource {
    directory: PathBuf,
    /// What the directory looked like before it was last read.
    seen: Option<Fingerprint>,
    /// What each file held when all of it was right.
    last_good: BTreeMap<OsString, Vec<Item>>,
}

/// The policy directory as a whole cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DirectoryError {
    /// It is missing, is no directory, or may not be read.
    #[error("cannot list the policy directory {}", path.display())]
    List {
        /// The directory.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl DirectoryPolicySource {
    /// Of this directory. Nothing is read yet.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            seen: None,
            last_good: BTreeMap::new(),
        }
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    fn fingerprint(&self) -> Result<Fingerprint, DirectoryError> {
        files::fingerprint(&self.directory).map_err(|source| DirectoryError::List {
            path: self.directory.clone(),
            source,
        })
    }
}

/// What one file holds, by the name that its problems have it by: the same as if it were in a directory of
/// policies. That it cannot be read is a problem as well.
pub fn read_file(path: &Path) -> (String, Manifests) {
    // Whoever may create files here may give them any name; it must not reach a terminal as it is.
    let origin = RawString::from(path.as_os_str().as_encoded_bytes()).to_string();
    let manifests = match files::read(path) {
        Ok(text) => manifest::parse(&origin, &text),
        Err(error) => Manifests {
            items: Vec::new(),
            problems: vec![file_problem(&origin, &error)],
        },
    };
    (origin, manifests)
}

impl PolicySource for DirectoryPolicySource {
    fn load(&mut self) -> Result<PolicySnapshot, PortError> {
        // Taken before reading: what changes while we read makes a difference next time.
        self.seen = None;
        let fingerprint = self.fingerprint()?;
        let mut snapshot = Collected::default();
        let mut last_good = std::mem::take(&mut self.last_good);
        for name in fingerprint.names() {
            let (origin, mut manifests) = read_file(&self.directory.join(name));
            if manifests.problems.is_empty() {
                self.last_good.insert(name.clone(), manifests.items.clone());
            } else if let Some(items) = last_good.remove(name) {
                manifests.items.clone_from(&items);
                manifests.problems.push(Problem {
                    origin: origin.clone(),
                    line: None,
                    message: "what the file held before stays in force until it is right again".into(),
                });
                self.last_good.insert(name.clone(), items);
            }
            snapshot.add(&origin, manifests);
        }
        self.seen = Some(fingerprint);
        Ok(snapshot.snapshot)
    }

    fn changed(&mut self) -> bool {
        // That it cannot be listed is news only when it could be before.
        self.fingerprint().ok() != self.seen
    }
}

/// What the files hold together. Of two objects of one kind and name the first one counts.
#[derive(Default)]
struct Collected {
    snapshot: PolicySnapshot,
    named: HashMap<(&'static str, String), (String, usize)>,
}

impl Collected {
    fn add(&mut self, origin: &str, manifests: Manifests) {
        let Manifests { items, problems } = manifests;
        self.snapshot.problems.extend(problems);
        for item in items {
            match item {
                Item::Rules(rules) => self.snapshot.rules.push(rules),
                Item::Policy { line, policy } => {
                    if self.is_first(POLICY, policy.name(), origin, line) {
                        self.snapshot.policies.push(*policy);
                    }
                }
                Item::SignatureSet { line, name, rules } => {
                    if self.is_first(SIGNATURE_SET, &name, origin, line) {
                        self.snapshot.rules.push(rules);
                    }
                }
            }
        }
    }

    fn is_first(&mut self, kind: &'static str, name: &str, origin: &str, line: usize) -> bool {
        match self.named.entry((kind, name.to_owned())) {
            Entry::Vacant(entry) => {
                entry.insert((origin.to_owned(), line));
                true
            }
            Entry::Occupied(entry) => {
                let (first_origin, first_line) = entry.get();
                self.snapshot.problems.push(Problem {
                    origin: origin.to_owned(),
                    line: Some(line),
                    message: format!(
                        "metadata.name: there is a {kind} {name:?} already, at {first_origin}:{first_line}; \
                         that one counts"
                    ),
                });
                false
            }
        }
    }
}

/// A problem is one line of text and has no source, so the reason is part of it.
fn file_problem(origin: &str, error: &FileError) -> Problem {
    let line = match error {
        FileError::NotUtf8 { line } => Some(*line),
        _ => None,
    };
    let message = match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    };
    Problem {
        origin: origin.to_owned(),
        line,
        message,
    }
}

#[cfg(test)]
mod tests;
