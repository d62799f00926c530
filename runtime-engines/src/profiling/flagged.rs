//! Processes that another engine found something in.

use std::collections::VecDeque;

use runtime_core::{Process, ProcessKey};

use super::hash::KeyedSet;

/// How many are remembered; of more the latest.
const MAX: usize = 4096;

/// Remembers who did something that another engine flagged, so that nothing that they or their children do is learned.
#[derive(Debug, Default)]
pub(super) struct Flagged {
    processes: KeyedSet<ProcessKey>,
    order: VecDeque<ProcessKey>,
}

impl Flagged {
    pub(super) fn add(&mut self, process: ProcessKey) {
        if !self.processes.insert(process) {
            return;
        }
        self.order.push_back(process);
        if self.order.len() > MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.processes.remove(&oldest);
        }
    }

    /// Whether the process is one, or was started by one; then it is one itself from now on.
    pub(super) fn concerns(&mut self, process: &Process) -> bool {
        if self.processes.is_empty() {
            return false;
        }
        if self.processes.contains(&process.key()) {
            return true;
        }
        let parent = ProcessKey {
            pid: process.parent.pid,
            start: process.parent.start_boot,
        };
        let inherited = self.processes.contains(&parent);
        if inherited {
            self.add(process.key());
        }
        inherited
    }
}
