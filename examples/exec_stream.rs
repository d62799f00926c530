//! The sensor alone: execs in containers, as an asynchronous stream. Needs root and Linux 5.10 with BTF.
//!
//! ```sh
//! cargo build -p podwarden-examples --example exec_stream
//! sudo target/debug/examples/exec_stream [SECONDS]
//! ```

use std::error::Error;
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use futures_util::StreamExt;
use runtime_core::{Activity, SensorItem};
use runtime_ebpf::{Sensor, SensorOptions, SensorStream};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match watch().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprint!("error: {error}");
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

async fn watch() -> Result<(), Box<dyn Error>> {
    let seconds = std::env::args().nth(1).map_or(Ok(30), |text| text.parse())?;
    let sensor = Sensor::start(&SensorOptions::default())?;
    println!("{}", sensor.plan());

    let items = SensorStream::new(sensor, 1024)?;
    let mut items = pin!(items.take_until(tokio::time::sleep(Duration::from_secs(seconds))));
    while let Some(item) = items.next().await {
        match item? {
            SensorItem::Event(event) => {
                if let (Activity::Exec(exec), Some(container)) = (&event.activity, &event.container) {
                    let parent = event.process.parent.exe.to_text().unwrap_or_default();
                    println!(
                        "{} {} {:?} by {parent}",
                        container.id, exec.path, event.process.args
                    );
                }
            }
            SensorItem::ContainerStarted(container) => println!("{} started", container.id),
            SensorItem::ContainerStopped(container) => println!("{} stopped", container.id),
            SensorItem::Lost(loss) => println!("{} {} events lost", loss.count, loss.class),
        }
    }
    Ok(())
}
