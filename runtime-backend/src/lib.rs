//! Where Podwarden gets its policies and sends its alerts: a directory of manifests, JSON lines.
//!
//! ```text
//! directory ─► manifest::parse ─► PolicySnapshot        (port: PolicySource)
//! Alert ─► JsonLines | TextLines ─► any io::Write       (port: AlertSink)
//! ```
//!
//! Reading is split in two: [`directory`] does the I/O, [`manifest`] is pure. Whatever is wrong with a file
//! becomes a [`Problem`](runtime_core::policy::Problem) that names file, line and field, and everything else
//! still loads.
//!
//! # Example
//!
//! ```
//! use runtime_backend::manifest;
//!
//! let text = "
//! apiVersion: podwarden.dev/v1alpha1
//! kind: RuntimePolicy
//! metadata: {name: default}
//! spec:
//!   engines:
//!     signatures: {mode: prevnt}
//! ";
//! let parsed = manifest::parse("policy.yaml", text);
//! assert_eq!(
//!     parsed.problems[0].to_string(),
//!     "policy.yaml:7: spec.engines.signatures.mode: unknown variant `prevnt`, expected one of disabled, \
//!      detect, prevent"
//! );
//! ```
#![forbid(unsafe_code)]

pub mod directory;
pub mod manifest;
pub mod sink;
pub mod yaml;

pub use directory::{DirectoryError, DirectoryPolicySource};
pub use sink::{JsonLines, TextLines};
