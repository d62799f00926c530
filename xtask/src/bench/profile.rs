//! `cargo xtask bench profile`: what profiling costs an event.

use std::time::Duration;

use super::meter::Meter;
use super::target;
use crate::Outcome;

/// It has the engine in it: `runtime-engines/examples/profile_rate/`.
const METER: &str = "profile_rate";
/// Nanoseconds of an event that a profile of 5,000 entries allows.
const ALLOWED: f64 = 100.0;
/// Nanoseconds that learning adds to an event.
const LEARNING: f64 = 300.0;

pub(crate) fn run() -> Outcome {
    let figures = Meter::build(METER)?.run(&[], Duration::from_mins(5))?;
    println!("A profile of 5,000 entries; the least of 200 runs, on one processor …");
    println!(
        "  learning     {}, {:.0} ns where it is new",
        target::at_most(figures.of("known")?, LEARNING, 0, "ns an event"),
        figures.of("new")?
    );
    for count in [10, 100, 5_000] {
        println!(
            "  allowed      {}, {count} events in turn",
            target::at_most(
                figures.of(&format!("allowed-of-{count}"))?,
                ALLOWED,
                0,
                "ns an event"
            )
        );
    }
    Ok(())
}
