//! `cargo xtask bench`: what the daemon costs, and how quick it is. Ratios of runs with it and without it, taken
//! in turn, because these machines are noisy.

mod exec;
mod kill;
mod memory;
mod numbers;

use crate::Outcome;

/// Measure what the daemon costs and how quick it is
#[derive(clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// The time of spawn and exit in a watched container, with the daemon on and off
    Exec(exec::Arguments),
    /// The time from a miner's exec to the kill of its container
    Kill(kill::Arguments),
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    match &arguments.what {
        What::Exec(arguments) => exec::run(arguments),
        What::Kill(arguments) => kill::run(arguments),
    }
}
