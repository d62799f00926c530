//! Seeing a kill through: whoever is left is signalled again, until nobody is or the time is up.

use std::collections::HashSet;
use std::fmt::Write;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use runtime_core::ports::{KillOutcome, KillReport, KillStep, KillUnderWay};

use crate::container::{CgroupController, CgroupTree, ProcDir};

use super::freeze::{Frozen, PATIENCE};
use super::victims::{Victims, read_control, write_control};

/// Rounds of signals before the container is held still for them.
const FREE_ROUNDS: u32 = 3;
/// The pause before the first look after a round of signals; it doubles from look to look.
const SHORTEST_PAUSE: Duration = Duration::from_micros(50);
/// The longest pause between two looks at a container that is dying as containers do.
const LONGEST_PAUSE: Duration = Duration::from_millis(5);
/// What has not died after so long is looked at less often: it has other reasons than being many.
const USUAL: Duration = Duration::from_millis(100);
/// The longest pause from then on.
const LATE_PAUSE: Duration = Duration::from_millis(20);
/// So many of the processes that are left are named.
const NAMED: usize = 8;

/// The cgroup of a container whose first processes were signalled.
#[derive(Debug)]
pub(super) struct Dying {
    pub(super) tree: CgroupTree,
    pub(super) proc: Arc<ProcDir>,
    pub(super) cgroup: OwnedFd,
    pub(super) path: Arc<[u8]>,
    pub(super) victims: Victims,
    pub(super) start: Instant,
    /// How long the container may take to die, from `start` on.
    pub(super) deadline: Duration,
    /// When the first signal was sent, from `start` on.
    pub(super) signalled: Option<Duration>,
    /// Who got a signal; `None` when the kernel does not say.
    pub(super) killed: Option<HashSet<u32>>,
    pub(super) rounds: Rounds,
}

/// When to signal, and when to look again.
#[derive(Debug, Default)]
pub(super) struct Rounds {
    done: u32,
    /// When the next round is due, from the start on.
    next: Duration,
    /// What was frozen for the round that is due, and until when that is waited for.
    frozen: Option<(Frozen, Duration)>,
    pause: Duration,
}

impl Rounds {
    /// A round is done: those that follow come less and less often.
    fn signalled(&mut self, elapsed: Duration) {
        self.next = elapsed + Duration::from_millis(2 << self.done.min(6));
        self.done += 1;
        self.pause = Duration::ZERO;
    }

    fn pause(&mut self, elapsed: Duration) -> Duration {
        let longest = if elapsed < USUAL {
            LONGEST_PAUSE
        } else {
            LATE_PAUSE
        };
        self.pause = (self.pause * 2).clamp(SHORTEST_PAUSE, longest);
        self.pause
    }
}

impl KillUnderWay for Dying {
    fn step(&mut self) -> KillStep {
        if self.is_empty() {
            return self.over();
        }
        let elapsed = self.start.elapsed();
        if elapsed >= self.deadline {
            // What was frozen is thawed before it is told of.
            self.rounds.frozen = None;
            return match self.what_is_left() {
                Some(text) => KillStep::Over(KillOutcome::Failed(text)),
                None => self.over(),
            };
        }
        if self.is_round_due(elapsed)
            && let Err(error) = self.signal()
        {
            return KillStep::Over(KillOutcome::Failed(format!(
                "its processes cannot be listed: {error}"
            )));
        }
        let pause = self.rounds.pause(elapsed);
        KillStep::Again(pause.min(self.deadline.saturating_sub(elapsed)))
    }
}

impl Dying {
    /// Signals the whole tree at once where the kernel can, forks under way included (v2, kernel 5.14).
    pub(super) fn signal_at_once(&mut self) -> bool {
        let unified = self.tree.hierarchy().controller() == CgroupController::Unified;
        let done = unified && write_control(&self.cgroup, "cgroup.kill", "1").is_ok();
        if done {
            self.killed = None;
            self.rounds.signalled(self.start.elapsed());
        }
        done
    }

    /// Whether to signal now. What runs away from signals is held still first, and that takes time.
    fn is_round_due(&mut self, elapsed: Duration) -> bool {
        let rounds = &mut self.rounds;
        if let Some((frozen, until)) = &rounds.frozen {
            return elapsed >= *until || frozen.is_still();
        }
        if elapsed < rounds.next {
            return false;
        }
        // The kernel's own kill of a cgroup needs no help.
        if rounds.done >= FREE_ROUNDS && self.killed.is_some() {
            let frozen = Frozen::begin(
                &self.tree,
                &self.proc,
                &self.cgroup,
                &self.path,
                &mut self.victims,
            );
            rounds.pause = Duration::ZERO;
            rounds.frozen = frozen.map(|frozen| (frozen, elapsed + PATIENCE));
        }
        rounds.frozen.is_none()
    }

    /// One round of signals.
    fn signal(&mut self) -> io::Result<()> {
        if self.killed.is_none() && self.signal_at_once() {
            return Ok(());
        }
        let frozen = self.rounds.frozen.take().map(|(frozen, _)| frozen);
        let frozen = frozen.filter(|frozen| frozen.holds_only(&self.cgroup, &mut self.victims));
        let killed = self.killed.get_or_insert_default();
        let listed = self.victims.kill_listed(&self.cgroup, killed);
        drop(frozen);
        let elapsed = self.start.elapsed();
        if !killed.is_empty() {
            self.signalled.get_or_insert(elapsed);
        }
        self.rounds.signalled(elapsed);
        listed
    }

    fn over(&self) -> KillStep {
        KillStep::Over(KillOutcome::Killed(KillReport {
            processes: self
                .killed
                .as_ref()
                .and_then(|killed| u32::try_from(killed.len()).ok()),
            signalled: self.signalled,
            took: self.start.elapsed(),
        }))
    }

    fn is_empty(&mut self) -> bool {
        match read_control(&self.cgroup, "cgroup.events") {
            Ok(events) => events.windows(11).any(|text| text == b"populated 0"),
            // A v1 cgroup has no such file, one that was removed has no files.
            Err(_) => self
                .victims
                .remaining(&self.cgroup)
                .is_ok_and(|left| left.is_empty()),
        }
    }

    /// Names the processes that are left after the deadline; `None` when the last one has just gone.
    fn what_is_left(&mut self) -> Option<String> {
        let left = match self.victims.remaining(&self.cgroup) {
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
