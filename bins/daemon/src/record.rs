//! `--record`: every event that is judged, written to a file, for `rules replay`.
//!
//! The judging thread puts events into a queue and never waits: what there is no room for is counted, and left out of
//! the file.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use runtime_core::event::record::Record;
use runtime_core::{Event, SensorItem};
use tracing::{error, info};

use crate::counters::Counters;

/// How many events wait for a slow disk. They share their processes and containers with what is in use anyway, so
/// this is a few megabytes.
pub(crate) const QUEUE: usize = 8192;

/// The near end.
#[derive(Debug)]
pub(crate) struct Recorder {
    sender: SyncSender<Event>,
    counters: Arc<Counters>,
}

/// Makes the file, or empties it. Arguments of programs may hold secrets: only its owner may read it.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
}

/// A queue for `capacity` events.
pub(crate) fn queue(capacity: usize, counters: &Arc<Counters>) -> (Recorder, Receiver<Event>) {
    let (sender, receiver) = sync_channel(capacity);
    let recorder = Recorder {
        sender,
        counters: Arc::clone(counters),
    };
    (recorder, receiver)
}

impl Recorder {
    /// Queues what is an event; where there is no room it is counted as left out.
    pub(crate) fn take(&self, item: &SensorItem) {
        if let SensorItem::Event(event) = item
            && self.sender.try_send(event.clone()).is_err()
        {
            self.counters.events_unrecorded.add(1);
        }
    }
}

/// The far end: writes until the near end is gone and the queue is empty. A file that cannot be written to is said once;
/// what would have been in it is counted.
pub(crate) fn write(queue: &Receiver<Event>, file: impl Write, counters: &Counters) {
    let mut file = BufWriter::new(file);
    let mut recorded: u64 = 0;
    let mut failed = false;
    let mut next = queue.recv().ok();
    while let Some(event) = next {
        let outcome = if failed { Ok(()) } else { line(&mut file, &event) };
        match outcome {
            Ok(()) if !failed => recorded += 1,
            Ok(()) => counters.events_unrecorded.add(1),
            Err(error) => {
                failed = true;
                counters.events_unrecorded.add(1);
                error!("events cannot be recorded any more: {error}");
            }
        }
        next = queue.try_recv().ok();
        if next.is_none() {
            // Whoever looks at the file sees all there is when nothing happens.
            failed = failed || flushed(&mut file);
            next = queue.recv().ok();
        }
    }
    info!(
        count = recorded,
        left_out = counters.events_unrecorded.sum(),
        "events recorded"
    );
}

fn line(file: &mut impl Write, event: &Event) -> io::Result<()> {
    serde_json::to_writer(&mut *file, &Record::new(event))?;
    file.write_all(b"\n")
}

/// Flushes, and says whether that failed.
fn flushed(file: &mut impl Write) -> bool {
    file.flush()
        .inspect_err(|error| error!("events cannot be recorded any more: {error}"))
        .is_err()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{exec, mk_event};

    #[test]
    fn what_is_recorded_can_be_read() {
        let counters = Arc::new(Counters::default());
        let (recorder, queue) = queue(8, &counters);
        recorder.take(&exec("c1", "/bin/a"));
        recorder.take(&exec("c2", "/bin/b\\\n"));
        drop(recorder);
        let mut written = Vec::new();
        write(&queue, &mut written, &counters);
        let text = String::from_utf8(written).unwrap();
        let read: Vec<Event> = text
            .lines()
            .map(|line| serde_json::from_str::<Record<'_>>(line).unwrap().into_event())
            .collect();
        assert_eq!(read, [mk_event("c1", "/bin/a"), mk_event("c2", "/bin/b\\\n")]);
        assert_eq!(counters.events_unrecorded.sum(), 0);
    }

    #[test]
    fn a_full_queue_holds_nobody_up_and_what_is_left_out_is_counted() {
        let counters = Arc::new(Counters::default());
        let (recorder, queue) = queue(2, &counters);
        for _ in 0..5 {
            recorder.take(&exec("c1", "/bin/a"));
        }
        assert_eq!(counters.events_unrecorded.sum(), 3);
        drop(queue);
        recorder.take(&exec("c1", "/bin/a"));
        assert_eq!(counters.events_unrecorded.sum(), 4);
    }

    /// A disk that is full.
    struct Full;

    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_file_that_cannot_be_written_ends_nothing() {
        let counters = Arc::new(Counters::default());
        let (recorder, queue) = queue(100, &counters);
        for _ in 0..100 {
            recorder.take(&exec("c1", "/bin/a"));
        }
        drop(recorder);
        write(&queue, Full, &counters);
        assert!(counters.events_unrecorded.sum() > 0);
    }
}
