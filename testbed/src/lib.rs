//! Real containers and workloads, for the tests that need root, the demo and the benchmarks.
//!
//! ```text
//! Builder ──create──► Container ──start──► entrypoint runs ──drop──► nothing is left
//!    │                    │ control pipe: start, kill, end of file
//!    ▼                    ▼
//! image folder,     testbed-runtime shim ─► testbed-runtime init ─► the entrypoint
//! cgroups           (outside, as containerd-shim)   (namespaces, pivot_root, exec, as runc init)
//! ```
//!
//! A container here is what a container runtime makes: namespaces, cgroups in every mounted hierarchy and a
//! root file system of static programs. [`Runtime::Own`] needs nothing but a kernel and root, so it works in
//! a bare virtual machine; [`Runtime::Runc`] gives the same handle over the real thing. In both, whoever
//! execs the entrypoint is a process of the runtime, and its parent lives outside the container.
//!
//! The shim ends with the test: it reads its control pipe, and at end of file, also after a SIGKILL of the
//! test, it kills what is in the container's cgroups, removes them and removes the image folder.
//!
//! ```no_run
//! # fn main() -> Result<(), testbed::Error> {
//! use std::time::Duration;
//! use testbed::Container;
//!
//! let mut container = Container::builder().entrypoint(["/bin/workload", "sleep", "60"]).run()?;
//! let output = container.exec(["/bin/workload", "spawn", "/bin/tiny", "100"])?.wait(Duration::from_secs(10))?;
//! assert!(output.status.success());
//! container.stop()?;
//! # Ok(())
//! # }
//! ```

mod builder;
pub mod cgroup;
mod container;
mod error;
mod image;
mod oci;
pub mod programs;
#[doc(hidden)]
pub mod spec;
#[doc(hidden)]
pub mod sys;
mod tiny;

pub use builder::{Builder, PidNamespace, Runtime};
pub use container::{Container, Exec, Output};
pub use error::Error;
pub use programs::{Programs, programs};
pub use tiny::tiny;
