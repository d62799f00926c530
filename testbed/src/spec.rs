//! What the library tells `testbed-runtime`, as JSON files in the container's folder.

use std::ffi::OsString;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// For `testbed-runtime shim`: how to make the container, and what to remove in the end.
#[derive(Debug, Serialize, Deserialize)]
pub struct ShimSpec {
    /// Who makes the container.
    pub create: Create,
    /// The overlay to mount first; it is the shim's alone and goes with it.
    pub overlay: Option<Overlay>,
    /// The container's own cgroups, one a hierarchy.
    pub cgroups: Vec<PathBuf>,
    /// The container's folder, with image, logs and specs.
    pub folder: PathBuf,
}

/// Who makes the container.
#[derive(Debug, Serialize, Deserialize)]
pub enum Create {
    /// `testbed-runtime init` with this specification.
    Own(PathBuf),
    /// `runc` with this bundle.
    Runc(RuncSpec),
}

/// Where runc keeps things.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RuncSpec {
    /// `--root`.
    pub root: PathBuf,
    /// `--bundle`.
    pub bundle: PathBuf,
    /// The container's id.
    pub id: String,
}

/// For `testbed-runtime init`.
#[derive(Debug, Serialize, Deserialize)]
pub struct InitSpec {
    /// The cgroups to join, one a hierarchy.
    pub cgroups: Vec<PathBuf>,
    /// The folder that becomes `/`.
    pub rootfs: PathBuf,
    /// Which PID namespace.
    pub pid: PidSpec,
    /// The host name inside.
    pub hostname: String,
    /// Host folders to show inside.
    pub binds: Vec<Bind>,
    /// The entrypoint.
    pub process: ProcessSpec,
}

/// The layers of an overlay.
#[derive(Debug, Serialize, Deserialize)]
pub struct Overlay {
    /// The image.
    pub lower: PathBuf,
    /// What the container writes.
    pub upper: PathBuf,
    /// The overlay's scratch folder, on the upper layer's file system.
    pub work: PathBuf,
    /// Where the two are seen as one.
    pub merged: PathBuf,
}

/// Which PID namespace a container gets.
#[derive(Debug, Serialize, Deserialize)]
pub enum PidSpec {
    /// One of its own.
    Private,
    /// The one the runtime is in.
    Inherited,
    /// The one that this process is in.
    Of(u32),
}

/// A host folder that is shown in a container.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Bind {
    /// On the host.
    pub source: PathBuf,
    /// In the container.
    pub target: PathBuf,
}

/// For `testbed-runtime exec`.
#[derive(Debug, Serialize, Deserialize)]
pub struct ExecSpec {
    /// The cgroups to join, one a hierarchy.
    pub cgroups: Vec<PathBuf>,
    /// A process of the container.
    pub pid: u32,
    /// Where the new process's id is written.
    pub pid_file: PathBuf,
    /// What to run.
    pub process: ProcessSpec,
}

/// A process of a container.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ProcessSpec {
    /// The file to execute, absolute in the container.
    pub path: OsString,
    /// The arguments, `argv[0]` first.
    pub argv: Vec<OsString>,
    /// The environment, whole.
    pub env: Vec<(OsString, OsString)>,
    /// The working directory.
    pub cwd: PathBuf,
    /// User and group id.
    pub user: (u32, u32),
    /// Where standard output and error go; a path on the host.
    pub output: PathBuf,
}
