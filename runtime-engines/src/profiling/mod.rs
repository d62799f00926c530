//! Profiling: what the containers of a pod group do is learned, and what they do beside it is found.
//!
//! ```text
//! ContainerStarted ──► bind ─┐                      ┌─► learned: the profile has one entry more
//! policies, reports ─► apply ┼─► Profiles ◄─ Event ─┤
//! the clock ─────────► tick ─┘                      └─► judged: a Finding, or nothing
//! ```
//!
//! [`Profiles`] holds the profiles of a node and is driven by whoever knows containers, policies and time.
//! [`ProfilingEngine`] is the same as an [`Engine`], for the pipeline. It has to be the last of the engines: in what it
//! is handed it sees what the others found, and learns nothing of that.
//!
//! Judging is looking up numbers of texts, allocates nothing for what is allowed, and takes as long for a profile of
//! thousands of entries as for a small one; only entries of users are tried one by one, after that.
//!
//! What counts:
//!
//! - An exec, as its identity and its parent's executable ([`ProcessEntry`](runtime_core::profile::ProcessEntry)).
//! - A connect, or something sent to an address, as the name that the container got that address for, the one it asked
//!   for last, and the process's executable. Where there is no name: the address, the port and the executable.
//! - What goes to port 53 is questions for names. They are learned by the server's address alone, for every process,
//!   since a name that got no address is nobody's destination.
//! - Nothing else: neither questions nor answers, and no Unix sockets.
//!
//! An exec probe or a lifecycle hook of the pod's own spec is allowed by its parent `(runtime)` and all of its
//! arguments, and never learned.

mod commands;
mod flagged;
mod group;
mod hash;
mod index;
mod interner;
mod near;
mod profiles;
mod recent;
mod users;

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use runtime_core::{EngineKind, Event, EventClass, Finding, Needs, Syscall};

pub use near::Expected;
pub use profiles::{Change, Profiles};

use crate::engine::Engine;

/// The id of the rule that a process breaks which is not in the profile.
pub const UNEXPECTED_PROCESS: &str = "unexpected-process";
/// The id of the rule that a destination breaks which is not in the profile.
pub const UNEXPECTED_NETWORK: &str = "unexpected-network";

/// The profiling engine. It shares its profiles with whoever keeps them up to date, who is to hold them for short
/// times only: an event waits for that long.
#[derive(Debug, Clone)]
pub struct ProfilingEngine {
    profiles: Arc<Mutex<Profiles>>,
}

impl ProfilingEngine {
    /// An engine with these profiles.
    pub fn new(profiles: Profiles) -> Self {
        Self {
            profiles: Arc::new(Mutex::new(profiles)),
        }
    }

    /// The profiles. A holder that panicked left nothing half done that matters: entries are added one by one.
    pub fn profiles(&self) -> MutexGuard<'_, Profiles> {
        self.profiles.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine for ProfilingEngine {
    fn kind(&self) -> EngineKind {
        EngineKind::Profiling
    }

    /// Learns from the event, or judges it. Whatever other engines found in it has to be in `findings` already.
    fn judge(&mut self, event: &Event, findings: &mut Vec<Finding>) {
        self.profiles().judge(event, findings);
    }

    fn needs(&self) -> Needs {
        let calls = [
            Syscall::connect,
            Syscall::sendto,
            Syscall::sendmsg,
            Syscall::sendmmsg,
        ];
        Needs {
            classes: [EventClass::Exec, EventClass::Network].into(),
            syscalls: [(EventClass::Network, calls.into())].into(),
            ..Needs::default()
        }
    }
}
