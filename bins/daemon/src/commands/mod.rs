//! What the program does beside being the daemon: commands for people who write rules and policies.

mod output;
mod policy;
mod rules;

use std::process::ExitCode;

use crate::error::Error;

/// Something to do instead of watching.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Check, list and try out rules; needs neither root nor a kernel
    #[command(subcommand)]
    Rules(rules::Command),
    /// Explain what policies come to; needs neither root nor a kernel
    #[command(subcommand)]
    Policy(policy::Command),
}

impl Command {
    /// Does it.
    pub(crate) fn run(self) -> Result<ExitCode, Error> {
        match self {
            Self::Rules(command) => command.run(),
            Self::Policy(command) => command.run(),
        }
    }
}
