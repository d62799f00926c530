//! Carrying verdicts out: killing a container whole.
//!
//! ```text
//! kill ─► protected? ─► SIGKILL to the main process ─► the rest of the cgroup tree ─► empty, or 2 s are over
//!          (guard)        (victims)                      cgroup.kill, or rounds of signals, frozen if
//!                                                        they run away (freeze)
//! ```
//!
//! Processes are signalled through pidfds only, and only when the cgroup lists them after the pidfd was
//! opened, so that a process id that was used again hits nobody else.

mod freeze;
mod guard;
mod killer;
mod victims;

pub use killer::{ContainerKiller, KillerError, KillerOptions};
