//! The pure model that every part of Podwarden shares.
//!
//! ```text
//! SensorItem ──► Engine ──► Finding ──► Verdict ──► Responder
//!  (Event)                                  └─────► Alert ──► AlertSink
//! ```
//!
//! A sensor yields [`SensorItem`]s; most are [`Event`]s: what one [`Process`] in one [`Container`] did.
//! Engines turn an event into [`Finding`]s, the policy turns findings into a [`Verdict`], a
//! [`Responder`] carries the verdict out and an [`AlertSink`] delivers the [`Alert`].
//!
//! Nothing here does I/O or reads a clock: time is always an argument. The crate depends on no
//! asynchronous runtime, no Kubernetes client and no eBPF loader, so that each of the other crates, or a
//! product that embeds them, can use it alone.
//!
//! # Example
//!
//! ```
//! use runtime_core::{RawString, process::{InvokedName, ProcessIdentity}};
//!
//! // `ls`, a link to BusyBox: the file is BusyBox, the name decides what it does.
//! let identity = ProcessIdentity::resolve(
//!     &RawString::from("/bin/busybox"),
//!     InvokedName::Executable(b"/bin/ls"),
//!     &[RawString::from("ls"), RawString::from("-l")],
//!     b"/",
//! );
//! assert_eq!(identity.to_string(), "/bin/busybox as /bin/ls");
//! ```
#![forbid(unsafe_code)]

pub mod alert;
pub mod container;
pub mod event;
pub mod finding;
pub mod folding;
pub mod glob;
pub mod id;
pub mod needs;
pub mod policy;
pub mod ports;
pub mod process;
pub mod profile;
pub mod raw;
pub mod time;

pub use alert::{Action, Alert};
pub use container::{Container, PodGroup, PodGroupKind, PodRef};
pub use event::{
    Activity, Call, DnsActivity, DomainName, Endpoint, Event, EventClass, Exec, FileActivity, Loss,
    NetworkActivity, Outcome, SensorItem, Syscall, SystemActivity, Trust,
};
pub use finding::{EngineKind, Finding, Response, RuleRef, Severity, Verdict};
pub use id::{CgroupId, ContainerId, FileId, Pid, PodUid, ProcessKey, Sha256Digest};
pub use needs::Needs;
pub use ports::{AlertSink, EventSource, PolicySource, ReputationService, Responder};
pub use process::{Parent, Process, ProcessIdentity};
pub use profile::{ImageSet, Profile, ProfileKey};
pub use raw::RawString;
pub use time::{BootTime, Timestamp};
