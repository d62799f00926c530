//! The responder that kills containers.

use std::collections::HashSet;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use runtime_core::ports::{Kill, KillOutcome, KillReport, KillStep};
use runtime_core::{Container, ContainerId, Responder};

use crate::container::{CgroupTree, ProcDir};

use super::dying::{Dying, Rounds};
use super::guard::Guard;
use super::victims::Victims;

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
    proc: Arc<ProcDir>,
    guards: [Guard; 2],
    protected: HashSet<ContainerId>,
    deadline: Duration,
    own_pid: u32,
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
            proc: Arc::new(proc),
            guards,
            protected,
            deadline,
            own_pid,
            victims: Victims::new(own_pid),
        })
    }

    /// Never kills this container from now on.
    pub fn protect(&mut self, id: ContainerId) {
        self.protected.insert(id);
    }

    /// Kills the container and waits until nothing of it is left, or the deadline has passed.
    ///
    /// For whoever has nothing else to do meanwhile; [`Responder::kill`] does not wait.
    pub fn kill_and_wait(&mut self, container: &Container) -> KillOutcome {
        let mut under_way = match self.kill(container) {
            Kill::Over(outcome) => return outcome,
            Kill::Begun(under_way) => under_way,
        };
        loop {
            match under_way.step() {
                KillStep::Over(outcome) => return outcome,
                KillStep::Again(pause) => thread::sleep(pause),
            }
        }
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

    /// Sends the first signals.
    fn begin(&mut self, container: &Container, start: Instant) -> Result<Dying, KillOutcome> {
        let (cgroup, path) = match self.tree.open_with_path(container.cgroup) {
            Ok(found) => found,
            // The kernel removes a cgroup only when nothing is in it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(KillOutcome::Killed(KillReport {
                    processes: Some(0),
                    signalled: None,
                    took: start.elapsed(),
                }));
            }
            Err(error) => {
                return Err(KillOutcome::Failed(format!(
                    "its cgroup cannot be opened: {error}"
                )));
            }
        };
        let unlisted =
            |error: io::Error| KillOutcome::Failed(format!("its processes cannot be listed: {error}"));
        let killed = self.victims.kill_main(&self.proc, &cgroup).map_err(unlisted)?;
        let mut dying = Dying {
            tree: self.tree.clone(),
            proc: Arc::clone(&self.proc),
            cgroup,
            path,
            victims: Victims::new(self.own_pid),
            start,
            deadline: self.deadline,
            signalled: killed.map(|_| start.elapsed()),
            killed: Some(killed.into_iter().collect()),
            rounds: Rounds::default(),
        };
        if !dying.signal_at_once()
            && let Some(killed) = &mut dying.killed
        {
            self.victims.kill_few(&dying.cgroup, killed).map_err(unlisted)?;
        }
        Ok(dying)
    }
}

impl Responder for ContainerKiller {
    fn kill(&mut self, container: &Container) -> Kill {
        let start = Instant::now();
        if let Some(reason) = self.protection(container) {
            return Kill::Over(KillOutcome::Protected(reason));
        }
        match self.begin(container, start) {
            Ok(dying) => Kill::Begun(Box::new(dying)),
            Err(outcome) => Kill::Over(outcome),
        }
    }
}
