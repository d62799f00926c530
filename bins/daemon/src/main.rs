//! The daemon of Podwarden: watches the containers of one node, raises alerts and kills.
//!
//! ```text
//! thread "sensor":  EventSource::poll ─► Judge ─► Responder::kill ─► Teller (folds) ─► bounded queue
//! thread "kills":   what was begun, step by step to its end ─► Teller
//! thread "alerts":  bounded queue ─► AlertSink (stdout)
//! thread "metrics": HTTP on loopback: what is counted, and whether the daemon lives and watches
//! main thread:      signals, policy reload (new Judge ─► "sensor"), reports of loss (stderr)
//! ```
//!
//! Nothing that may wait, be it a file, a pipe or a log, is on the sensor's thread, and neither is the dying of
//! a container, which may take long or never come about.
#![deny(unsafe_code)]

mod commands;
mod counters;
mod daemon;
mod delivery;
mod error;
mod guard;
mod health;
mod kills;
mod memory;
mod metrics;
mod policies;
mod priority;
mod record;
mod report;
mod settings;
mod state_dir;
mod teller;
#[cfg(test)]
mod testing;
mod wiring;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let mut args = settings::Args::parse();
    let done = match args.command.take() {
        Some(command) => command.run(),
        None => settings::Settings::resolve(args).and_then(wiring::start),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {}", error::chain(&error));
            ExitCode::from(error.exit_code())
        }
    }
}
