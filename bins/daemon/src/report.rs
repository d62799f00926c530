//! What the log says of the daemon's own troubles: never silent, never a flood.

use std::collections::BTreeMap;

use runtime_core::{EventClass, Loss, RawString};
use tracing::{error, warn};

use crate::counters::Counters;
use crate::metrics::SourceStats;

/// How many containers one report names.
const NAMED: usize = 8;

/// Sums up between two reports.
#[derive(Debug, Default)]
pub(crate) struct Reporter {
    losses: BTreeMap<(String, EventClass), u64>,
    /// Losses of containers that there was no room for.
    unnamed: u64,
    last: Last,
}

/// The counters at the last report.
#[derive(Debug, Default)]
struct Last {
    losses_untold: u64,
    sensor_errors: u64,
    alerts_lost: u64,
    unrecorded: u64,
    malformed: u64,
    troubles: BTreeMap<&'static str, u64>,
}

impl Reporter {
    /// Takes note of a loss.
    pub(crate) fn lost(&mut self, loss: &Loss) {
        let place = match &loss.container {
            Some(container) => {
                let name = container.name.as_deref().unwrap_or("without a name");
                format!("container {} ({})", RawString::from(name), container.id)
            }
            None => format!("cgroup {}", loss.cgroup.0),
        };
        let key = (place, loss.class);
        if self.losses.len() >= NAMED && !self.losses.contains_key(&key) {
            self.unnamed += loss.count;
        } else {
            *self.losses.entry(key).or_default() += loss.count;
        }
    }

    /// Logs what there is to say since the last time.
    pub(crate) fn report(&mut self, counters: &Counters, source: &SourceStats) {
        for ((place, class), count) in std::mem::take(&mut self.losses) {
            warn!(count, %class, "events lost in {place}");
        }
        let unnamed = std::mem::take(&mut self.unnamed);
        if unnamed > 0 {
            warn!(count = unnamed, "events lost in other containers");
        }
        let untold = grown(&mut self.last.losses_untold, counters.losses_untold.sum());
        if untold > 0 {
            let sum = counters.events_lost.sum();
            warn!(
                reports = untold,
                sum, "more losses than could be told; the sum since the start is right"
            );
        }
        let errors = grown(&mut self.last.sensor_errors, counters.sensor_errors.sum());
        if errors > 0 {
            warn!(count = errors, "the sensor failed and was asked again");
        }
        let malformed = grown(&mut self.last.malformed, source.malformed);
        if malformed > 0 {
            warn!(count = malformed, "records of the kernel that cannot be decoded");
        }
        for &(kind, sum) in &source.troubles {
            let count = grown(self.last.troubles.entry(kind).or_default(), sum);
            if count > 0 {
                warn!(count, kind, "trouble in the kernel's part of the sensor");
            }
        }
        let unrecorded = grown(&mut self.last.unrecorded, counters.events_unrecorded.sum());
        if unrecorded > 0 {
            warn!(
                count = unrecorded,
                "events left out of the recording, because the file cannot be written fast enough"
            );
        }
        let alerts = grown(&mut self.last.alerts_lost, counters.alerts_lost.sum());
        if alerts > 0 {
            error!(
                count = alerts,
                "alerts lost, because nobody takes them from standard output fast enough"
            );
        }
    }
}

fn grown(last: &mut u64, now: u64) -> u64 {
    now.saturating_sub(std::mem::replace(last, now))
}
