//! The responder that kills containers.

use std::collections::HashSet;
use std::fmt::Write;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use runtime_core::ports::{KillOutcome, KillReport};
use runtime_core::{Container, ContainerId, Responder};

use crate::container::{CgroupController, CgroupTree, ProcDir};

use super::freeze::Frozen;
use super::guard::Guard;
use super::victims::{Victims, read_control, write_control};

/// Rounds of signals before the container is held still for them.
const FREE_ROUNDS: u32 = 3;
/// The longest pause between two looks at a dying container.
const LONGEST_PAUSE: Duration = Duration::from_millis(5);
/// So many of the processes that are left are named.
const NAMED: usize = 8;

/// How a [`ContainerKiller`] works.
#[derive(Debug, Clone)]
pub struct KillerOptions {
    /// A proc file system of this process's PID namespace, which has to be the host's.
    pub proc_root: PathBuf,
    /// Containers that are never killed.
    pub protected: HashSet<ContainerId>,
    /// How long a container may take to die.
    pub deadline: Duration,
}

impl Default for KillerOptions {
    fn default() -> Self {
        Self {
            proc_root: "/proc".into(),
            protected: HashSet::new(),
            deadline: Duration::from_secs(2),
        }
    }
}

/// Why containers cannot be killed from here.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KillerError {
    /// The proc file system could not be read.
    #[error("cannot read the proc file system at {}", path.display())]
    ProcUnreadable {
        /// Where it was looked for.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The proc file system shows another PID namespace than the one that signals go by.
    #[error("the proc file system at {} belongs to another PID namespace: share the host's", path.display())]
    OtherPidNamespace {
        /// The proc file system.
        path: PathBuf,
    },
    /// It is not known which cgroup must be spared.
    #[error("cannot find the cgroup of process {pid}, which must never be killed")]
    CgroupUnknown {
        /// This process, or the machine's first.
        pid: u32,
        /// What the kernel said.
        source: io::Error,
    },
}

/// Kills containers whole, and nothing else.
///
/// Never killed is a container whose cgroup tree holds this process or the machine's first, or whose id is
/// protected. A process that a privileged container moved out of its cgroup is not followed.
///
/// Minimum kernel: 5.3, for pidfds.
#[derive(Debug)]
pub struct ContainerKiller {
    tree: CgroupTree,
    proc: ProcDir,
    guards: [Guard; 2],
    protected: HashSet<ContainerId>,
    deadline: Duration,
    victims: Victims,
}

impl ContainerKiller {
    /// A killer for the containers of an index's [`tree`](crate::container::ContainerIndex::tree).
    pub fn new(tree: CgroupTree, options: KillerOptions) -> Result<Self, KillerError> {
        let KillerOptions {
            proc_root,
            protected,
            deadline,
        } = options;
        let unreadable = |source| KillerError::ProcUnreadable {
            path: proc_root.clone(),
            source,
        };
        let proc = ProcDir::open(&proc_root).map_err(unreadable)?;
        let own_pid = proc.own_pid().map_err(unreadable)?;
        if own_pid != std::process::id() {
            return Err(KillerError::OtherPidNamespace { path: proc_root });
        }
        let guard =
            |pid| Guard::new(&tree, &proc, pid).map_err(|source| KillerError::CgroupUnknown { pid, source });
        let guards = [guard(own_pid)?, guard(1)?];
        Ok(Self {
            tree,
            proc,
            guards,
            protected,
            deadline,
            victims: Victims::new(own_pid),
        })
    }

    /// Never kills this container from now on.
    pub fn protect(&mut self, id: ContainerId) {
        self.protected.insert(id);
    }

    /// Says by what a container is protected, if it is.
    fn protection(&mut self, container: &Container) -> Option<String> {
        if self.protected.contains(&container.id) {
            return Some("its id is protected".into());
        }
        for (guard, whom) in self
            .guards
            .iter_mut()
            .zip(["this process", "the machine's first process"])
        {
            match guard.is_in(&self.tree, container.cgroup) {
                Ok(false) => {}
                Ok(true) => return Some(format!("{whom} is in it")),
                Err(error) => return Some(format!("the cgroup of {whom} is not known: {error}")),
            }
        }
        None
    }

    /// Kills what is left of the tree. Gives the number of processes where they were counted.
    fn kill_rest(&mut self, cgroup: &OwnedFd, path: &[u8], start: Instant) -> Result<Option<u32>, String> {
        let unified = self.tree.hierarchy().controller() == CgroupController::Unified;
        // Kernel 5.14: the whole tree at once, forks under way included.
        if unified && write_control(cgroup, "cgroup.kill", "1").is_ok() {
            if self.wait(cgroup, start, self.deadline) {
                return Ok(None);
            }
            return self.what_is_left(cgroup).map_or(Ok(None), Err);
        }
        let mut killed = HashSet::new();
        for round in 0.. {
            let frozen = (round >= FREE_ROUNDS)
                .then(|| Frozen::new(&self.tree, &self.proc, cgroup, path, &mut self.victims))
                .flatten();
            if let Err(error) = self.victims.kill_listed(cgroup, &mut killed) {
                return Err(format!("its processes cannot be listed: {error}"));
            }
            drop(frozen);
            let patience = start.elapsed() + Duration::from_millis(2 << round.min(6));
            if self.wait(cgroup, start, patience.min(self.deadline)) {
                return Ok(u32::try_from(killed.len()).ok());
            }
            if start.elapsed() >= self.deadline {
                break;
            }
        }
        let killed = u32::try_from(killed.len()).ok();
        self.what_is_left(cgroup).map_or(Ok(killed), Err)
    }

    /// Waits until no process is left, or until `deadline` after `start`.
    fn wait(&mut self, cgroup: &OwnedFd, start: Instant, deadline: Duration) -> bool {
        let mut pause = Duration::from_micros(50);
        loop {
            if self.is_empty(cgroup) {
                return true;
            }
            let left = deadline.saturating_sub(start.elapsed());
            if left.is_zero() {
                return false;
            }
            thread::sleep(pause.min(left));
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn is_empty(&mut self, cgroup: &OwnedFd) -> bool {
        match read_control(cgroup, "cgroup.events") {
            Ok(events) => events.windows(11).any(|text| text == b"populated 0"),
            // A v1 cgroup has no such file, one that was removed has no files.
            Err(_) => self.victims.remaining(cgroup).is_ok_and(|left| left.is_empty()),
        }
    }

    /// Names the processes that are left after the deadline; `None` when the last one has just gone.
    fn what_is_left(&mut self, cgroup: &OwnedFd) -> Option<String> {
        let left = match self.victims.remaining(cgroup) {
            Ok(left) if left.is_empty() => return None,
            Ok(left) => left,
            Err(error) => return Some(format!("what is left cannot be listed: {error}")),
        };
        let mut text = format!(
            "{} processes are left after {:?}: pids",
            left.len(),
            self.deadline
        );
        for pid in left.iter().take(NAMED) {
            let _ = write!(text, " {pid}");
        }
        if left.len() > NAMED {
            text.push_str(" …");
        }
        Some(text)
    }
}

impl Responder for ContainerKiller {
    fn kill(&mut self, container: &Container) -> KillOutcome {
        let start = Instant::now();
        if let Some(reason) = self.protection(container) {
            return KillOutcome::Protected(reason);
        }
        let (cgroup, path) = match self.tree.open_with_path(container.cgroup) {
            Ok(found) => found,
            // The kernel removes a cgroup only when nothing is in it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return KillOutcome::Killed(KillReport {
                    processes: Some(0),
                    signalled: None,
                    took: start.elapsed(),
                });
            }
            Err(error) => return KillOutcome::Failed(format!("its cgroup cannot be opened: {error}")),
        };
        let signalled = match self.victims.kill_main(&self.proc, &cgroup) {
            Ok(killed) => killed.then(|| start.elapsed()),
            Err(error) => return KillOutcome::Failed(format!("its processes cannot be listed: {error}")),
        };
        match self.kill_rest(&cgroup, &path, start) {
            Ok(processes) => KillOutcome::Killed(KillReport {
                processes,
                signalled,
                took: start.elapsed(),
            }),
            Err(reason) => KillOutcome::Failed(reason),
        }
    }
}
