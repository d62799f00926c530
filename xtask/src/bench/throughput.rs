//! `cargo xtask bench throughput`: how many events a second the sensor takes from the kernel.

use std::path::{Path, PathBuf};
use std::time::Duration;

use testbed::programs::FOLDER_VARIABLE;

use super::target;
use crate::Outcome;
use crate::command::{Limited, cargo};
use crate::guarded;

/// Measure how many events a second one processor takes through ring, decoding and enrichment
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// For how long, in seconds.
    #[arg(long, default_value_t = 10)]
    seconds: u32,
    /// Run this program, and do not build one
    #[arg(long, value_name = "PATH")]
    meter: Option<PathBuf>,
}

/// It has the sensor in it: `testbed/examples/event_rate.rs`.
const METER: &str = "event_rate";
/// Events a second and core, in millions.
const TARGET: f64 = 1.5;

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let Arguments { seconds, meter } = arguments;
    if *seconds == 0 {
        return Err("nothing can be said of no time".into());
    }
    let meter = guarded::prepare_program("--meter", meter.as_deref(), build)?;
    let programs = testbed::programs().map_err(|error| error.to_string())?;
    let folder = programs
        .workload
        .parent()
        .ok_or("the programs lie in no folder")?;
    println!("Opens for writing by all processors, flat out, for {seconds} s …");
    let text = Limited::new(&meter)
        .args([seconds.to_string()])
        .env(FOLDER_VARIABLE, folder)
        .limit(Duration::from_secs(u64::from(*seconds) + 60))
        .read()?;
    let figure = |name: &str| -> Outcome<f64> {
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
            .ok_or_else(|| format!("{} does not say {name:?}: {text}", meter.display()).into())
    };
    let million = |name: &str| Ok::<_, Box<dyn std::error::Error + Send + Sync>>(figure(name)? / 1e6);
    println!(
        "  per core   {}",
        target::at_least(million("per-core")?, TARGET, 2, "million events a second")
    );
    println!("  offered    {:.2} million a second", million("offered")?);
    println!(
        "  delivered  {:.2} million a second, with {:.2} of a core",
        million("delivered")?,
        figure("cores")?
    );
    println!(
        "  lost       {:.1} %; made = delivered + lost, exactly",
        figure("lost")? * 100.0
    );
    Ok(())
}

fn build(target: &Path) -> Outcome<PathBuf> {
    println!("Building the meter and the programs of the containers …");
    cargo()
        .args([
            "build",
            "--quiet",
            "--release",
            "-p",
            "testbed",
            "--example",
            METER,
        ])
        .limit(Duration::from_mins(30))
        .run()?;
    Ok(target.join("release/examples").join(METER))
}
