//! The containers that events came from lately, found by the address of what describes them.

use std::sync::Arc;

use runtime_core::Container;

use super::group::Version;
use super::interner::Symbol;

/// How many are kept: enough that those which are busy at one time rarely take each other's place.
const SLOTS: usize = 64;

/// What an event's container is bound to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bound {
    pub(super) group: usize,
    pub(super) symbol: Symbol,
    pub(super) version: Version,
}

/// Spares most events the look-up by the container's id, which is long. A sensor describes a container once and shares
/// that with all its events; holding it here keeps its address from being another's.
#[derive(Debug)]
pub(super) struct Recent {
    slots: Vec<Option<(Arc<Container>, Bound)>>,
}

impl Recent {
    pub(super) fn new() -> Self {
        Self {
            slots: vec![None; SLOTS],
        }
    }

    pub(super) fn find(&self, container: &Arc<Container>) -> Option<Bound> {
        match &self.slots[slot(container)] {
            Some((known, bound)) if Arc::ptr_eq(known, container) => Some(*bound),
            _ => None,
        }
    }

    pub(super) fn keep(&mut self, container: &Arc<Container>, bound: Bound) {
        self.slots[slot(container)] = Some((Arc::clone(container), bound));
    }

    /// Forgets all, as it has to be done whenever a binding changes.
    pub(super) fn clear(&mut self) {
        self.slots.fill(None);
    }
}

fn slot(container: &Arc<Container>) -> usize {
    // What is near in memory begins some hundred bytes apart.
    let address = Arc::as_ptr(container) as usize;
    (address >> 6 ^ address >> 12) % SLOTS
}
