//! Carrying verdicts out: killing a container whole.
//!
//! ```text
//! kill ─► protected? ─► SIGKILL to the main process, ─► KillUnderWay::step, again and again ─► empty, or 2 s
//!          (guard)       then cgroup.kill, or the         cgroup.kill, or rounds of signals,    are over
//!                        few beside it (victims)          frozen if they run away (freeze)
//!      └──────── the caller's thread ─────────┘ └──────────── any other thread (dying) ───────────────┘
//! ```
//!
//! A step never waits, so one thread sees any number of kills through.
//!
//! Processes are signalled through pidfds only, and only when the cgroup lists them after the pidfd was
//! opened, so that a process id that was used again hits nobody else.

mod dying;
mod freeze;
mod guard;
mod killer;
mod victims;

pub use killer::{ContainerKiller, KillerError, KillerOptions};
