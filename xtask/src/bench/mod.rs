//! `cargo xtask bench`: what the daemon costs, and how quick it is. Ratios of runs with it and without it, taken
//! in turn, because these machines are noisy.

mod bpf;
mod descriptors;
mod exec;
mod floor;
mod idle;
mod judging;
mod kill;
mod memory;
mod meter;
mod numbers;
mod place;
mod profile;
mod rules;
mod scratch;
mod sensor;
mod target;
mod throughput;

use crate::Outcome;
use crate::guarded::{self, Given};

/// Measure what the daemon costs and how quick it is
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    given: Given,
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// The time of spawn and exit in a watched container, with the daemon on and off
    Exec(exec::Arguments),
    /// The time from a miner's exec to the kill of its container
    Kill(kill::Arguments),
    /// The cost of system calls in a container and outside, with the daemon on and off, beside an empty program's
    Sensor(sensor::Arguments),
    /// The events a second that one processor takes from the kernel
    Throughput(throughput::Arguments),
    /// The daemon's processor time and memory where little happens
    Idle(idle::Arguments),
    /// The events a second that one processor judges by rules, and how that changes with their number
    Rules(judging::Arguments),
    /// The time that profiling takes for an event; needs no root
    Profile,
    /// The time of each BPF program, by the kernel's own count
    Bpf(bpf::Arguments),
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let daemon = || guarded::prepare(&arguments.given);
    match &arguments.what {
        What::Sensor(arguments) => sensor::run(arguments, &daemon()?),
        What::Throughput(arguments) => throughput::run(arguments),
        What::Idle(arguments) => idle::run(arguments, &daemon()?),
        What::Exec(arguments) => exec::run(arguments, &daemon()?),
        What::Kill(arguments) => kill::run(arguments, &daemon()?),
        What::Rules(arguments) => judging::run(arguments),
        What::Profile => profile::run(),
        What::Bpf(arguments) => bpf::run(arguments, &daemon()?),
    }
}
