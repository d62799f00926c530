//! `cargo xtask bench exec`: spawn and exit of short programs in a watched container, daemon on and off.

use std::path::Path;
use std::time::Duration;

use testbed::Container;

use super::memory::Memory;
use super::numbers::median;
use crate::Outcome;
use crate::guarded::Daemon;

/// Compare spawn and exit in a watched container with the daemon on and off
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How many pairs of runs, with the daemon and without it.
    #[arg(long, default_value_t = 31)]
    pairs: u32,
    /// How many programs are run in each.
    #[arg(long, default_value_t = 4000)]
    runs: u32,
}

const LIMIT: Duration = Duration::from_mins(2);

pub(crate) fn run(arguments: &Arguments, program: &Path) -> Outcome {
    let Arguments { pairs, runs } = *arguments;
    let container = dynamic_programs(Container::builder()).run()?;
    let dynamic = container
        .exec(["/bin/true"])
        .and_then(|exec| exec.wait(LIMIT))
        .is_ok_and(|o| o.status.success());
    let mut programs = vec![("tiny static program", "/bin/tiny", runs)];
    if dynamic {
        programs.push(("dynamically linked true", "/bin/true", runs / 4));
    } else {
        println!("There is no dynamically linked /bin/true here that runs in a container.");
    }
    for (what, path, runs) in programs {
        println!("{what}: {pairs} pairs of {runs} runs …");
        // Noise: pairs without a daemon at all, measured in the same way.
        let (mut ratios, mut noise, mut off_times) = (Vec::new(), Vec::new(), Vec::new());
        let mut last = None;
        for pair in 0..pairs {
            let without = measure(&container, path, runs)?;
            let again = measure(&container, path, runs)?;
            let daemon = Daemon::start(program)?;
            let with = measure(&container, path, runs)?;
            last = Some(Memory::of(daemon.pid()));
            daemon.stop()?;
            let after = measure(&container, path, runs)?;
            // The runs before and after stand against slow changes of the machine's speed.
            ratios.push(with / f64::midpoint(again, after));
            noise.push(again / without);
            off_times.push(again);
            if pair % 8 == 7 {
                println!("  {} pairs", pair + 1);
            }
        }
        let (ratio, noise, off) = (median(ratios), median(noise), median(off_times));
        println!("  off    {:.1} µs", off.value / 1e3);
        println!(
            "  on/off {:.3} (95 % confidence {:.3} to {:.3})",
            ratio.value, ratio.low, ratio.high
        );
        println!(
            "  noise  {:.3} (off/off, 95 % confidence {:.3} to {:.3})",
            noise.value, noise.low, noise.high
        );
        if let Some(memory) = last {
            println!("  daemon {memory}");
        }
    }
    container.remove()?;
    Ok(())
}

/// Nanoseconds of one spawn and exit: the mean of a run, by the workload's own clock.
fn measure(container: &Container, path: &str, runs: u32) -> Outcome<f64> {
    let output = container
        .exec(["/bin/workload", "spawn", path, &runs.to_string()])?
        .wait(LIMIT)?;
    let text = output.text.trim();
    text.parse()
        .map_err(|_| format!("the workload said: {text}").into())
}

/// The host's `true` with the libraries that it needs.
fn dynamic_programs(mut builder: testbed::Builder) -> testbed::Builder {
    let listed = std::process::Command::new("ldd").arg("/bin/true").output();
    let text = listed
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default();
    let libraries = text.split_whitespace().filter(|word| word.starts_with('/'));
    for library in libraries {
        builder = builder.copy(library, library);
    }
    builder.copy("/bin/true", "/bin/true")
}
