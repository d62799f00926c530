//! How many events a second one processor takes from the kernel: through the ring, decoded, with process and
//! container. `cargo xtask bench throughput` builds and runs it. Needs root.
//!
//! All processors open a file for writing, flat out, in a container; this thread runs the sensor and counts what it
//! delivers, and its own processor time. More is offered than one processor can take, so the rest is lost, and
//! counted: what was made must be what was delivered and what was lost.

use std::error::Error;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use runtime_core::needs::Paths;
use runtime_core::{Activity, EventClass, Needs, SensorItem, Syscall};
use runtime_ebpf::{Sensor, SensorOptions};
use rustix::time::{ClockId, clock_gettime};
use testbed::Container;

const FILE: &str = "/etc/app.conf";
/// Before and after the measurement, while the flood is already, or still, running.
const MARGIN: Duration = Duration::from_secs(1);
const LIMIT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(50);

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprint!("event_rate: {error}");
            // The message of an error never repeats that of its source.
            let mut source = error.source();
            while let Some(cause) = source {
                eprint!(": {cause}");
                source = cause.source();
            }
            eprintln!();
            ExitCode::FAILURE
        }
    }
}

/// Prints figures, a line each: a name and a number.
fn run() -> Result<(), Box<dyn Error>> {
    let seconds: u32 = std::env::args().nth(1).map_or(Ok(10), |text| text.parse())?;
    let length = Duration::from_secs(u64::from(seconds));
    let processors = std::thread::available_parallelism()?.get();
    let mut sensor = Sensor::start(&mk_options())?;
    let container = Container::builder().file(FILE, "setting", 0o644).run()?;
    let mut counter = Counter::default();

    let whole = length + 2 * MARGIN;
    let arguments = [whole.as_secs().to_string(), processors.to_string()];
    let flood = container.exec(
        ["/bin/workload", "flood", FILE]
            .into_iter()
            .chain(arguments.iter().map(String::as_str)),
    )?;
    counter.poll(&mut sensor, MARGIN)?;
    let (delivered, start, processor_time) = (counter.delivered, Instant::now(), own_processor_time());
    counter.poll(&mut sensor, length)?;
    let (delivered, wall, processor_time) = (
        counter.delivered - delivered,
        start.elapsed(),
        own_processor_time().saturating_sub(processor_time),
    );
    counter.poll(&mut sensor, 2 * MARGIN)?;

    let output = flood.wait(LIMIT)?;
    let opens: u64 = output
        .text
        .trim()
        .parse()
        .map_err(|_| format!("the flood said: {}", output.text.trim()))?;
    let made = counter.settle(&mut sensor, opens)?;
    container.remove()?;

    println!("offered {:.0}", opens as f64 / whole.as_secs_f64());
    println!("delivered {:.0}", delivered as f64 / wall.as_secs_f64());
    println!("cores {:.3}", processor_time.as_secs_f64() / wall.as_secs_f64());
    println!("per-core {:.0}", delivered as f64 / processor_time.as_secs_f64());
    println!("lost {:.4}", counter.lost as f64 / made as f64);
    Ok(())
}

/// Every open for writing is needed, and nothing else.
fn mk_options() -> SensorOptions {
    let calls = [Syscall::open, Syscall::openat, Syscall::openat2, Syscall::creat];
    let needs = Needs {
        classes: [EventClass::File].into(),
        syscalls: [(EventClass::File, calls.into())].into(),
        writes: Paths::everything(),
        ..Needs::default()
    };
    SensorOptions {
        needs,
        ..SensorOptions::default()
    }
}

/// What the sensor has said of files.
#[derive(Default)]
struct Counter {
    delivered: u64,
    lost: u64,
}

impl Counter {
    fn poll(&mut self, sensor: &mut Sensor, length: Duration) -> Result<(), Box<dyn Error>> {
        let start = Instant::now();
        while start.elapsed() < length {
            sensor.poll(POLL, &mut |item| match item {
                SensorItem::Event(event) => {
                    if let Activity::File(_) = event.activity {
                        self.delivered += 1;
                    }
                }
                SensorItem::Lost(loss) if loss.class == EventClass::File => self.lost += loss.count,
                _ => {}
            })?;
        }
        Ok(())
    }

    /// Waits until every event is accounted for, and returns how many there were.
    fn settle(&mut self, sensor: &mut Sensor, opens: u64) -> Result<u64, Box<dyn Error>> {
        let start = Instant::now();
        loop {
            self.poll(sensor, POLL)?;
            let made = sensor.stats()?.made;
            let made = made
                .iter()
                .find_map(|(class, count)| (*class == EventClass::File).then_some(*count))
                .unwrap_or_default();
            // The start of programs in the container may open files as well.
            if made >= opens && made == self.delivered + self.lost {
                return Ok(made);
            }
            if start.elapsed() > LIMIT {
                return Err(format!(
                    "{opens} opens, {made} events made, {} delivered and {} lost: they do not add up",
                    self.delivered, self.lost
                )
                .into());
            }
        }
    }
}

fn own_processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
