//! What can keep the index from starting.

use std::io;
use std::path::PathBuf;

/// Why containers cannot be found on this machine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ContainerError {
    /// The directory under which the host's files are could not be opened.
    #[error("cannot open the host's root directory {}", path.display())]
    HostRootUnreadable {
        /// The configured host root.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The proc file system could not be opened, or does not say what is mounted.
    #[error("cannot read the mounts from {}", path.display())]
    MountsUnreadable {
        /// The file or directory that was tried last.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// No cgroup hierarchy that containers use is mounted.
    #[error(
        "no cgroup v2 tree and none of the v1 controllers memory, pids, cpu, devices, freezer is mounted"
    )]
    NoHierarchy,
    /// The cgroup hierarchy's root could not be opened.
    #[error("cannot open the cgroup hierarchy at {}", mount_point.display())]
    HierarchyUnreadable {
        /// Where it is mounted, as the host has it.
        mount_point: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}
