//! What the daemon counts about itself.

use std::sync::atomic::{AtomicU64, Ordering};

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

/// All counters, since the start.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Events that the sensor delivered.
    pub(crate) events: Counter,
    /// Events that the sensor lost.
    pub(crate) events_lost: Counter,
    /// Losses that there was no room to tell the container of; they are in `events_lost`.
    pub(crate) losses_untold: Counter,
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
}

impl Counters {
    /// Alerts that are neither written nor given up.
    pub(crate) fn undelivered(&self) -> u64 {
        let done = self.alerts_delivered.sum() + self.alerts_failed.sum();
        self.alerts_queued.sum().saturating_sub(done)
    }
}
