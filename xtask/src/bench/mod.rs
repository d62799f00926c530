//! `cargo xtask bench`: what the daemon costs, and how quick it is. Ratios of runs with it and without it, taken
//! in turn, because these machines are noisy.

mod bpf;
mod descriptors;
mod exec;
mod kill;
mod memory;
mod numbers;

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
    /// The time of each BPF program, by the kernel's own count
    Bpf(bpf::Arguments),
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let program = guarded::prepare(&arguments.given)?;
    match &arguments.what {
        What::Exec(arguments) => exec::run(arguments, &program),
        What::Kill(arguments) => kill::run(arguments, &program),
        What::Bpf(arguments) => bpf::run(arguments, &program),
    }
}
