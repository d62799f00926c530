//! The sensor as an asynchronous stream, for programs that live on tokio.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::Duration;

use futures_core::Stream;
use runtime_core::SensorItem;
use tokio::sync::mpsc;

use crate::error::SensorError;
use crate::sensor::Sensor;

/// Items of a sensor that runs on a thread of its own; dropping the stream stops and detaches the sensor.
///
/// When the consumer falls behind, the thread waits for it, the kernel's ring fills up, and what does not fit is
/// counted there: losses come as [`SensorItem::Lost`], never in silence.
#[derive(Debug)]
pub struct SensorStream {
    items: mpsc::Receiver<Result<SensorItem, SensorError>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// How long the thread waits for records before it looks whether it is to stop.
const TICK: Duration = Duration::from_millis(100);

impl SensorStream {
    /// Moves the sensor to a thread of its own; up to `capacity` items wait for the consumer.
    ///
    /// The stream ends after the first error.
    pub fn new(mut sensor: Sensor, capacity: usize) -> std::io::Result<Self> {
        let (sender, items) = mpsc::channel(capacity.max(1));
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new().name("sensor".into()).spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                // The receiver is gone only when the stream was dropped: then `stop` is set as well.
                let polled = sensor.poll(TICK, &mut |item| drop(sender.blocking_send(Ok(item))));
                if let Err(error) = polled {
                    drop(sender.blocking_send(Err(error)));
                    break;
                }
            }
        })?;
        Ok(Self {
            items,
            stop,
            thread: Some(thread),
        })
    }
}

impl Stream for SensorStream {
    type Item = Result<SensorItem, SensorError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.items.poll_recv(context)
    }
}

impl Drop for SensorStream {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Frees a thread that waits for room.
        self.items.close();
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}
