//! What the daemon counts about itself.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use runtime_core::EventClass;

/// One counter; any thread may add to it.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// Adds `count`.
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// The sum so far.
    pub(crate) fn sum(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// One counter for each class of events.
#[derive(Debug, Default)]
pub(crate) struct ByClass([Counter; EventClass::ALL.len()]);

impl ByClass {
    /// Adds `count` to a class.
    pub(crate) fn add(&self, class: EventClass, count: u64) {
        // They are declared in the order of `ALL`, which a test holds.
        self.0[class as usize].add(count);
    }

    /// The sum of each class.
    pub(crate) fn sums(&self) -> impl Iterator<Item = (EventClass, u64)> {
        EventClass::ALL.into_iter().zip(self.0.iter().map(Counter::sum))
    }

    /// The sum over all classes.
    pub(crate) fn sum(&self) -> u64 {
        self.0.iter().map(Counter::sum).sum()
    }
}

/// The upper bounds of a [`Histogram`]'s buckets, in microseconds: from what is as good as at once to longer than a
/// kill may take.
pub(crate) const BOUNDS_MICROS: [u64; 18] = [
    10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 5_000_000,
];

/// How long something took, each time; any thread may observe.
#[derive(Debug, Default)]
pub(crate) struct Histogram {
    /// One bucket more than there are bounds, for what is beyond the last.
    buckets: [Counter; BOUNDS_MICROS.len() + 1],
    nanos: Counter,
}

impl Histogram {
    /// Takes note of one duration.
    pub(crate) fn observe(&self, duration: Duration) {
        let within = |bound: &&u64| duration > Duration::from_micros(**bound);
        let at = BOUNDS_MICROS.iter().take_while(within).count();
        self.buckets[at].add(1);
        self.nanos
            .add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX));
    }

    /// How many durations fell into each bucket, what is beyond the last bound at the end.
    pub(crate) fn counts(&self) -> impl Iterator<Item = u64> {
        self.buckets.iter().map(Counter::sum)
    }

    /// The sum of all durations.
    pub(crate) fn total(&self) -> Duration {
        Duration::from_nanos(self.nanos.sum())
    }
}

/// All counters, since the start.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Events that the sensor delivered.
    pub(crate) events: ByClass,
    /// Events that the sensor lost.
    pub(crate) events_lost: ByClass,
    /// Losses that there was no room to tell the container of; they are in `events_lost`.
    pub(crate) losses_untold: Counter,
    /// Events that were to be recorded and were not, because there was no room or the file failed.
    pub(crate) events_unrecorded: Counter,
    /// Errors of the sensor that it came back from.
    pub(crate) sensor_errors: Counter,
    /// Findings, one alert each.
    pub(crate) findings: Counter,
    /// Containers killed.
    pub(crate) kills: Counter,
    /// Kills that were asked for and not carried out.
    pub(crate) kills_failed: Counter,
    /// Alerts handed to delivery, closing lines among them.
    pub(crate) alerts_queued: Counter,
    /// Occurrences that no alert tells of because the queue was full.
    pub(crate) alerts_lost: Counter,
    /// Alerts written.
    pub(crate) alerts_delivered: Counter,
    /// Alerts that could not be written.
    pub(crate) alerts_failed: Counter,
    /// From an event in the kernel to its being handed to the judge, of one event in [`SAMPLING`].
    pub(crate) handed: Histogram,
    /// From an event in the kernel to the verdict on it, of the same events.
    pub(crate) judged: Histogram,
    /// From an event in the kernel to the first signal that it was answered with.
    pub(crate) signalled: Histogram,
    /// From an event in the kernel to the end of the last process that was killed for it.
    pub(crate) gone: Histogram,
    /// From an alert being queued to its being written.
    pub(crate) delivered: Histogram,
}

/// One event in so many is timed: a look at the clock costs as much as judging most of them.
pub(crate) const SAMPLING: u64 = 16;

impl Counters {
    /// Alerts that are neither written nor given up.
    pub(crate) fn undelivered(&self) -> u64 {
        let done = self.alerts_delivered.sum() + self.alerts_failed.sum();
        self.alerts_queued.sum().saturating_sub(done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_in_the_first_bucket_that_holds_it() {
        let histogram = Histogram::default();
        for micros in [0, 10, 11, 5_000_000, 5_000_001] {
            histogram.observe(Duration::from_micros(micros));
        }
        let counts: Vec<u64> = histogram.counts().collect();
        assert_eq!((counts[0], counts[1]), (2, 1));
        assert_eq!((counts[17], counts[18]), (1, 1));
        assert_eq!(counts.iter().sum::<u64>(), 5);
        assert_eq!(histogram.total(), Duration::from_micros(10_000_022));
    }

    #[test]
    fn classes_are_counted_apart() {
        let classes = ByClass::default();
        for (class, count) in EventClass::ALL.into_iter().zip(1..) {
            classes.add(class, count);
        }
        let sums: Vec<u64> = classes.sums().map(|(_, sum)| sum).collect();
        assert_eq!(sums, (1..=EventClass::ALL.len() as u64).collect::<Vec<_>>());
        assert_eq!(classes.sum(), 36);
    }
}
