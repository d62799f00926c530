//! Whether the daemon does what it is for, as others may ask.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use runtime_core::ports::PortError;
use runtime_core::{EventClass, EventSource};

/// The sensor's thread comes round ten times a second. After so long without it something is wrong with it.
const PULSE: Duration = Duration::from_secs(5);
/// So long may the start take, on a machine that has better things to do.
const START: Duration = Duration::from_mins(2);

/// A source of events that knows how it is doing.
pub(crate) trait Source: EventSource {
    /// Counts since the start.
    fn stats(&self) -> Result<SourceStats, PortError>;
}

/// What a sensor knows of itself, since its start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SourceStats {
    /// Records that could not be decoded.
    pub(crate) malformed: u64,
    /// Execs in cgroups of which nothing could be found out, so that nobody was told of them.
    pub(crate) unresolved: u64,
    /// Records that did not arrive, by class, as gaps in their numbers show.
    pub(crate) gaps: Vec<(EventClass, u64)>,
    /// What went wrong in the kernel, by name.
    pub(crate) troubles: Vec<(&'static str, u64)>,
    /// Events that the kernel made, by class.
    pub(crate) made: Vec<(EventClass, u64)>,
    /// DNS messages that could not be read.
    pub(crate) dns_malformed: u64,
    /// DNS messages that no names were learned from, since they are no answers to what was asked.
    pub(crate) dns_refused: u64,
}

/// The signs of life of a daemon.
#[derive(Debug)]
pub(crate) struct Vitals {
    start: Instant,
    /// Nanoseconds after the start at which the sensor's thread last came round; 0 before the first time.
    beat: AtomicU64,
    ended: AtomicBool,
    /// The tier of the sensor's hooks; 0 before there are any.
    tier: AtomicU64,
    /// How the hooks are attached.
    attachment: OnceLock<&'static str>,
    stats: Mutex<SourceStats>,
}

impl Vitals {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            start: now,
            beat: AtomicU64::new(0),
            ended: AtomicBool::new(false),
            tier: AtomicU64::new(0),
            attachment: OnceLock::new(),
            stats: Mutex::default(),
        }
    }

    /// The sensor's thread has come round. It runs only with policies in force.
    pub(crate) fn beat(&self, now: Instant) {
        let nanos = u64::try_from(now.duration_since(self.start).as_nanos()).unwrap_or(u64::MAX);
        self.beat.store(nanos.max(1), Ordering::Relaxed);
    }

    /// The end has begun.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
    }

    /// The sensor's hooks stand.
    pub(crate) fn set_hooks(&self, tier: u8, attachment: &'static str) {
        self.tier.store(u64::from(tier), Ordering::Relaxed);
        // They are attached once in a process's life.
        let _ = self.attachment.set(attachment);
    }

    /// How the hooks are attached; `None` before there are any.
    pub(crate) fn attachment(&self) -> Option<&'static str> {
        self.attachment.get().copied()
    }

    /// The tier of the sensor's hooks; 0 before there are any.
    pub(crate) fn tier(&self) -> u64 {
        self.tier.load(Ordering::Relaxed)
    }

    /// Puts in what the sensor says of itself.
    pub(crate) fn set_stats(&self, stats: SourceStats) {
        *self.stats.lock().unwrap_or_else(PoisonError::into_inner) = stats;
    }

    /// What the sensor last said of itself.
    pub(crate) fn stats(&self) -> SourceStats {
        self.stats.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// True while the daemon makes progress. When it is not, starting it again is the best that can be done.
    pub(crate) fn is_healthy(&self, now: Instant) -> bool {
        match self.since_beat(now) {
            None => now.duration_since(self.start) < START,
            Some(age) => age < PULSE,
        }
    }

    /// True while containers are watched, by a complete set of policies.
    pub(crate) fn is_ready(&self, now: Instant) -> bool {
        !self.ended.load(Ordering::Relaxed) && self.since_beat(now).is_some_and(|age| age < PULSE)
    }

    fn since_beat(&self, now: Instant) -> Option<Duration> {
        match self.beat.load(Ordering::Relaxed) {
            0 => None,
            nanos => Some(
                now.duration_since(self.start)
                    .saturating_sub(Duration::from_nanos(nanos)),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_ready_from_the_first_round_and_healthy_as_long_as_more_come() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let vitals = Vitals::new(start);
        assert!(
            vitals.is_healthy(at(100)) && !vitals.is_ready(at(100)),
            "still starting"
        );
        assert!(!vitals.is_healthy(at(121)), "it will not start any more");

        vitals.beat(start);
        assert!(vitals.is_ready(start), "a first round at once counts");
        vitals.beat(at(200));
        assert!(vitals.is_healthy(at(204)) && vitals.is_ready(at(204)));
        assert!(!vitals.is_healthy(at(206)) && !vitals.is_ready(at(206)), "stuck");
        vitals.beat(at(300));
        assert!(vitals.is_healthy(at(301)), "and on again");
        vitals.end();
        assert!(vitals.is_healthy(at(301)) && !vitals.is_ready(at(301)));
    }
}
