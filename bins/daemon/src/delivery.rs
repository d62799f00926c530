//! From the sensor's thread to the sink, without ever holding the former up.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Instant;

use runtime_core::{Alert, AlertSink};
use tracing::{info, warn};

use crate::counters::Counters;

/// How many alerts wait for a slow reader. Most are under 2 KiB; at worst, with arguments at the sensor's
/// limit, this is a few megabytes.
pub(crate) const QUEUE: usize = 1024;

/// The near end: alerts go in and nobody waits.
#[derive(Debug)]
pub(crate) struct Outbox {
    sender: SyncSender<Queued>,
    counters: Arc<Counters>,
}

/// An alert that waits.
#[derive(Debug)]
pub(crate) struct Queued {
    since: Instant,
    pub(crate) alert: Alert,
}

/// A queue for `capacity` alerts.
pub(crate) fn queue(capacity: usize, counters: &Arc<Counters>) -> (Outbox, Receiver<Queued>) {
    let (sender, receiver) = sync_channel(capacity);
    let outbox = Outbox {
        sender,
        counters: Arc::clone(counters),
    };
    (outbox, receiver)
}

impl Outbox {
    /// Queues an alert; where there is no room its occurrences are counted as lost.
    pub(crate) fn push(&self, alert: Alert) {
        // Counted before it is sent, so that never more are done than were queued.
        self.counters.alerts_queued.add(1);
        let since = Instant::now();
        if let Err(TrySendError::Full(unsent) | TrySendError::Disconnected(unsent)) =
            self.sender.try_send(Queued { since, alert })
        {
            self.counters.alerts_failed.add(1);
            self.counters.alerts_lost.add(unsent.alert.count);
        }
    }
}

/// The far end: delivers until the near end is gone and the queue is empty.
pub(crate) fn deliver<S: AlertSink>(queue: &Receiver<Queued>, sink: &mut S, counters: &Counters) {
    let mut failing = false;
    for Queued { since, alert } in queue {
        match sink.deliver(&alert) {
            Ok(()) => {
                counters.alerts_delivered.add(1);
                counters.delivered.observe(since.elapsed());
                if std::mem::take(&mut failing) {
                    info!("alerts are delivered again");
                }
            }
            Err(error) => {
                counters.alerts_failed.add(1);
                if !std::mem::replace(&mut failing, true) {
                    warn!("alerts cannot be delivered: {}", crate::error::chain(&*error));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use runtime_core::ports::PortError;
    use runtime_core::{Action, Response};

    use super::*;
    use crate::testing::{FakeSink, mk_event, mk_finding};

    fn mk_alert(count: u64) -> Alert {
        let event = mk_event("c1", "/bin/x");
        let alert = Alert::new(
            &event,
            &mk_finding("rule", Response::Alert),
            "node",
            (Action::Alerted, None),
        );
        Alert { count, ..alert }
    }

    /// Fails every other time.
    #[derive(Default)]
    struct Flaky(u32);

    impl AlertSink for Flaky {
        fn deliver(&mut self, _: &Alert) -> Result<(), PortError> {
            self.0 += 1;
            if self.0.is_multiple_of(2) {
                return Err(io::Error::from(io::ErrorKind::BrokenPipe).into());
            }
            Ok(())
        }
    }

    #[test]
    fn a_full_queue_holds_nobody_up_and_what_is_lost_is_counted() {
        let counters = Arc::new(Counters::default());
        let (outbox, queue) = queue(2, &counters);
        for count in [1, 1, 5, 7] {
            outbox.push(mk_alert(count));
        }
        assert_eq!(counters.alerts_lost.sum(), 12);
        assert_eq!(counters.undelivered(), 2);
        drop(outbox);
        let mut sink = FakeSink::default();
        deliver(&queue, &mut sink, &counters);
        assert_eq!(sink.0.lock().unwrap().len(), 2);
        assert_eq!(counters.undelivered(), 0);
    }

    #[test]
    fn a_sink_that_fails_is_counted_and_asked_again() {
        let counters = Arc::new(Counters::default());
        let (outbox, queue) = queue(8, &counters);
        for _ in 0..5 {
            outbox.push(mk_alert(1));
        }
        drop(outbox);
        deliver(&queue, &mut Flaky::default(), &counters);
        assert_eq!(
            (counters.alerts_delivered.sum(), counters.alerts_failed.sum()),
            (3, 2)
        );
        let timed: u64 = counters.delivered.counts().sum();
        assert_eq!(timed, 3, "what was not written took no time");
    }
}
