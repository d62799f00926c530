//! `cargo xtask bench rules`: how many events a second one processor judges by rules.

use std::time::Duration;

use super::meter::Meter;
use super::target;
use crate::Outcome;

/// Measure how many events a second one processor judges by rules, and what that grows with; needs no root
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// For how long each set of rules is measured, in seconds.
    #[arg(long, default_value_t = 5)]
    seconds: u32,
}

/// It has the engine in it: `runtime-engines/examples/rule_rate/`.
const METER: &str = "rule_rate";
/// So many rules besides the built-in ones. The targets are for the one in the middle.
const SETS: [u32; 3] = [20, 200, 2_000];
const MEASURED: u32 = 200;
/// Events a second, in millions.
const RATE: f64 = 2.0;
/// Nanoseconds an event.
const MEAN: f64 = 500.0;

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let Arguments { seconds } = arguments;
    if *seconds == 0 {
        return Err("nothing can be said of no time".into());
    }
    let meter = Meter::build(METER)?;
    println!("Events that match nothing, judged by one processor for {seconds} s with each set of rules …");
    let mut args = vec![seconds.to_string()];
    args.extend(SETS.map(|count| count.to_string()));
    let figures = meter.run(&args, Duration::from_secs(u64::from(*seconds) * 10 + 60))?;
    let figure = |name: &str| figures.of(name);
    let mean = |set: u32| figure(&format!("set {set} mean-nanoseconds"));
    println!(
        "  events       {}",
        target::at_least(
            figure(&format!("set {MEASURED} events-a-second"))? / 1e6,
            RATE,
            2,
            "million a second"
        )
    );
    println!(
        "  mean         {}",
        target::at_most(mean(MEASURED)?, MEAN, 0, "ns an event")
    );
    for class in ["exec", "file", "network"] {
        println!(
            "    {class:<9}  {:.0} ns an event, {:.0} % of the events",
            figure(&format!("set {MEASURED} mean-nanoseconds-{class}"))?,
            figure(&format!("share {class}"))? * 100.0
        );
    }
    println!(
        "  allocations  {}",
        target::at_most(figure(&format!("set {MEASURED} allocations"))?, 0.0, 0, "in all")
    );
    for pair in SETS.windows(2) {
        let growth = mean(pair[1])? / mean(pair[0])?;
        let times = f64::from(pair[1]) / f64::from(pair[0]);
        println!(
            "  {:>5} → {:<5} rules: {:.0} → {:.0} ns, {}",
            pair[0],
            pair[1],
            mean(pair[0])?,
            mean(pair[1])?,
            // With a margin: what grows nine times with ten times the rules is as good as linear.
            target::at_most(growth, times / 2.0, 1, "times the time")
        );
    }
    Ok(())
}
