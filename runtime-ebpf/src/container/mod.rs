//! From the kernel's cgroup ids to containers.
//!
//! ```text
//! mountinfo ─► CgroupHierarchy ─► CgroupTree (id ─► path, shared with the responder)
//! cgroup_mkdir, cgroup_rmdir, first exec ─► ContainerIndex ─► Arc<Container>
//!                                              ├─ path:        what the cgroup's path says (pure)
//!                                              ├─ bundle:      where the runtime keeps the OCI bundle
//!                                              └─ annotations: what the bundle says (pure)
//! ```
//!
//! The index follows one cgroup hierarchy: the v2 tree on a pure v2 machine, one v1 controller's tree
//! otherwise, because there runtimes always join the v1 controllers and only some join v2 as well.
//!
//! A container is known by the shape of its cgroup's path, by its runtime's state, or, when neither helps,
//! by its first process having a PID namespace and a mount namespace of its own. A container that shares
//! the cgroup of host processes (such as one started with cgroups switched off) cannot be told from them.

mod annotations;
mod bundle;
mod error;
mod files;
mod hierarchy;
mod index;
mod path;
mod procfs;
mod tree;

pub use annotations::ContainerMetadata;
pub use error::ContainerError;
pub use hierarchy::{CgroupController, CgroupHierarchy};
pub use index::{ContainerIndex, ContainerOptions, ExecHint, Lookup, Resolution};
pub use path::{ContainerCgroup, RuntimeHint};
pub use tree::CgroupTree;

pub(crate) use files::Root;
pub(crate) use path::last_component;
pub(crate) use procfs::ProcDir;
pub(crate) use tree::{cgroup_id, child_cgroups, open_below, read_pids};
