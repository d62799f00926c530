//! Every developer command of Podwarden: `cargo xtask COMMAND`.

mod bench;
mod bpf;
mod command;
mod demo;
mod guarded;
mod privilege;
mod setup;
mod test;
mod vm;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Every developer command of Podwarden.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Install what the other commands need, through apt
    Setup(setup::Arguments),
    /// Compile the BPF programs into the objects that are committed
    Bpf(bpf::Arguments),
    /// Run the privileged tests in virtual machines with Debian's kernels
    Vm(vm::Arguments),
    /// Show a crypto miner detected in a real container, and the container killed
    Demo(demo::Arguments),
    /// Measure what the daemon costs and how quick it is
    Bench(bench::Arguments),
    /// Run every check and test there is
    Test(test::Arguments),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Setup(arguments) => setup::run(&arguments),
        Command::Bpf(arguments) => bpf::run(&arguments),
        Command::Vm(arguments) => vm::run(&arguments),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Test(arguments) => test::run(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What a command gives back. An error ends the command and is read by a person, never by code.
type Outcome<T = ()> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// True in continuous integration, where leaving anything out is a failure.
fn in_ci() -> bool {
    std::env::var_os("CI").is_some_and(|value| value == "true")
}
