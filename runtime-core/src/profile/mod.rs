//! Profiles: what each pod group was seen to do, learned by itself, and how far that can be relied on.
//!
//! ```text
//! event ──► Profile (entries by container) ──► judged against
//!             ▲            │
//!   Report of each node    └── State ── advance(state, input, now) ──► (State, Effects)
//! ```
//!
//! A [`Profile`] belongs to a pod group ([`ProfileKey`]) in one version ([`ImageSet`]). It holds entries, those that
//! were learned and those that a user made, and a [`State`], which only [`advance`] changes. Several nodes learn one
//! profile; their [`Observations`] merge in any order, any number of times, to the same.
//!
//! Learned paths are kept in the form that [`collapse`] gives them, so that a directory with a random name is one
//! entry and not thousands.

pub mod collapse;
mod entry;
mod key;
pub mod manifest;
mod merge;
mod model;
mod pattern;
pub mod status;

pub use entry::{
    ANY, Cidr, Destination, EntryMeta, InvalidCidr, MAX_ENTRY_NODES, NetworkEntry, NodeName, ProcessEntry,
    Source, parent_from_text, parent_text,
};
pub use key::{ImageChange, ImageSet, ProfileKey};
pub use merge::{MergeError, Observations};
pub use model::{Command, Entries, Profile, Removed, Retired, UserEntries};
pub use pattern::{DestinationPattern, NetworkPattern, ProcessPattern, TextPattern};
pub use status::{Effect, Input, NodeProgress, Now, Phase, Reason, Settings, State, advance};
