//! `cargo xtask vm`: the privileged tests in virtual machines with Debian's kernels, emulated, so that they
//! run wherever qemu does.
//!
//! ```text
//! kernel (Debian package) ─┐
//! static tests, busybox ───┴─► initramfs ─► qemu ─► console lines ─► report
//! ```

mod build;
mod console;
mod initramfs;
mod kernel;

use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::Outcome;
use crate::command::{Limited, is_installed, target};

pub(crate) use build::{Built, build, run_here};
use console::Report;
pub(crate) use kernel::{KERNELS, Kernel, fetch};

/// Longest life of a virtual machine: its tests have limits of their own, which are below this together.
const LIMIT: Duration = Duration::from_mins(20);
/// Between the memory of a small machine and what the tests' files take, twice, while they are unpacked.
const MEMORY: &str = "1536";

/// Run the privileged tests in virtual machines with Debian's kernels.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only this kernel, for example 5.10; otherwise all.
    #[arg(long)]
    kernel: Vec<String>,
    /// Only the tests of this crate; otherwise of all that have privileged ones.
    #[arg(long)]
    package: Vec<String>,
    /// Only tests whose name contains this.
    #[arg(long)]
    filter: Option<String>,
    /// Print the console as it comes.
    #[arg(long)]
    verbose: bool,
    /// Run these static test programs and no others.
    programs: Vec<PathBuf>,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let chosen: Vec<&Kernel> = KERNELS
        .iter()
        .filter(|kernel| {
            arguments.kernel.is_empty() || arguments.kernel.iter().any(|name| name == kernel.name)
        })
        .collect();
    if chosen.is_empty() {
        let names: Vec<_> = KERNELS.iter().map(|kernel| kernel.name).collect();
        return Err(format!("no such kernel; there are {}", names.join(", ")).into());
    }
    let mut built = build(&arguments.package)?;
    if !arguments.programs.is_empty() {
        built.tests.clone_from(&arguments.programs);
    }
    let mut failures = Vec::new();
    for kernel in chosen {
        let options = Options {
            filter: arguments.filter.as_deref(),
            verbose: arguments.verbose,
        };
        if let Err(error) = boot(kernel, &built, &options) {
            failures.push(error.to_string());
        }
    }
    if failures.is_empty() {
        Ok(())
    } else {
        Err(failures.join("\n").into())
    }
}

/// Why virtual machines cannot be had here; `None` where they can.
pub(crate) fn obstacle() -> Option<String> {
    ["qemu-system-x86_64", "busybox", "cpio", "dpkg", "apt-get"]
        .into_iter()
        .find(|program| !is_installed(program))
        .map(|program| format!("{program} is not installed"))
}

/// What a person may ask of one run.
pub(crate) struct Options<'a> {
    /// Only tests whose name contains this.
    pub(crate) filter: Option<&'a str>,
    /// Print the console as it comes.
    pub(crate) verbose: bool,
}

/// Boots one kernel with the tests, prints the table of what they did, and fails where one did not pass.
pub(crate) fn boot(kernel: &Kernel, built: &Built, options: &Options<'_>) -> Outcome {
    if let Some(obstacle) = obstacle() {
        return Err(obstacle.into());
    }
    let files = kernel::fetch(kernel)?;
    let folder = target().join("vm").join(kernel.name);
    let image = initramfs::make(&folder, kernel, &files, built, options.filter)?;
    let log = folder.join("console.log");
    println!(
        "Booting Linux {} ({}) with {} test programs.",
        files.release,
        kernel.cgroups(),
        built.tests.len()
    );
    let start = Instant::now();
    let mut console = String::new();
    // Written as it comes, so that one can look into a machine that hangs.
    let mut file = std::fs::File::create(&log)?;
    let ended = Limited::new("qemu-system-x86_64")
        .args([
            "-accel",
            "tcg,thread=multi",
            "-smp",
            "2",
            "-m",
            MEMORY,
            "-nographic",
            "-no-reboot",
            "-nodefaults",
        ])
        // Without this instruction the emulation was steadier.
        .args(["-cpu", "max,-cx16", "-serial", "stdio"])
        .args([
            "-kernel".as_ref(),
            files.image.as_os_str(),
            "-initrd".as_ref(),
            image.as_os_str(),
        ])
        .args(["-append", kernel::COMMAND_LINE])
        .limit(LIMIT)
        .stream(|line| {
            if options.verbose {
                println!("  {line}");
            }
            console.push_str(line);
            console.push('\n');
            // What counts is what was read; the file is for people.
            let _ = writeln!(file, "{line}");
        });
    let report = console::parse(&console);
    print(kernel, &report, start.elapsed());
    let hint = || format!("Linux {}: the console is in {}", kernel.name, log.display());
    ended.map_err(|error| format!("{error}; {}", hint()))?;
    report.judge(built.tests.len()).map_err(|error| {
        print_failures(&console);
        format!("{error}; {}", hint()).into()
    })
}

fn print(kernel: &Kernel, report: &Report, time: Duration) {
    println!("Linux {} in {:.0} s:", kernel.name, time.as_secs_f64());
    println!(
        "  {:<34} {:>6} {:>7} {:>7} {:>8}",
        "program", "status", "passed", "failed", "ignored"
    );
    for program in &report.programs {
        let status = program
            .status
            .map_or_else(|| "none".to_owned(), |status| status.to_string());
        let console::Program {
            name,
            passed,
            failed,
            ignored,
            ..
        } = program;
        println!("  {name:<34} {status:>6} {passed:>7} {failed:>7} {ignored:>8}");
    }
}

/// The console's end, or where tests failed, what they said.
fn print_failures(console: &str) {
    let lines: Vec<&str> = console.lines().collect();
    let interesting: Vec<&&str> = lines
        .iter()
        .filter(|line| {
            line.contains("FAILED") || line.contains("panicked at") || line.contains("Kernel panic")
        })
        .collect();
    for line in interesting.iter().take(40) {
        println!("  {line}");
    }
    println!("  … the console's last lines:");
    for line in &lines[lines.len().saturating_sub(15)..] {
        println!("  {line}");
    }
}
