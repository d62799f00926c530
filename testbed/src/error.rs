//! What can go wrong with a container.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why a container or a workload could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The static programs are not there and cannot be built.
    #[error("static test programs: {reason}")]
    Programs {
        /// What was tried, and what came of it.
        reason: String,
    },
    /// A file or folder of the image or of a cgroup.
    #[error("{operation} {}", path.display())]
    File {
        /// What was being done.
        operation: &'static str,
        /// To what.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
    /// A process of ours could not be started or waited for.
    #[error("{operation}")]
    Process {
        /// What was being done.
        operation: &'static str,
        /// What the system answered.
        source: io::Error,
    },
    /// The runtime says why there is no container.
    #[error("the runtime refused: {message}")]
    Runtime {
        /// The runtime's own words.
        message: String,
    },
    /// The builder was asked for something that this runtime does not offer.
    #[error("not offered by {runtime}: {what}")]
    Unsupported {
        /// The runtime's name.
        runtime: &'static str,
        /// What was asked for.
        what: &'static str,
    },
    /// Something did not happen in time.
    #[error("{what} took longer than {limit:?}")]
    Timeout {
        /// What was waited for.
        what: &'static str,
        /// How long.
        limit: Duration,
    },
}

impl Error {
    /// Names operation and path of a failed file operation.
    pub(crate) fn file(operation: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File {
            operation,
            path,
            source,
        }
    }

    /// Names the operation on a process that failed.
    pub(crate) fn process(operation: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Process { operation, source }
    }
}
