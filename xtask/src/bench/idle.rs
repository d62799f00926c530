//! `cargo xtask bench idle`: what the daemon takes of a machine where little happens.

use std::path::Path;
use std::time::{Duration, Instant};

use super::memory::Memory;
use super::place::{TINY, WATCHED, container};
use super::rules::Rules;
use super::target;
use crate::Outcome;
use crate::guarded::Daemon;

/// Measure processor time and memory of the daemon at 1,000 opens, 100 connects and 10 execs a second
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// For how long.
    #[arg(long, default_value_t = 1)]
    minutes: u32,
    #[command(flatten)]
    rules: Rules,
}

const OPENS: u64 = 1000;
const CONNECTS: u64 = 100;
const EXECS: u64 = 10;
/// Before the measurement: what is done once is not what it costs.
const WARM_UP: u64 = 3;
const CORES: f64 = 0.01;
const MEBIBYTES: f64 = 25.0;

pub(crate) fn run(arguments: &Arguments, program: &Path) -> Outcome {
    let seconds = u64::from(arguments.minutes) * 60;
    if seconds == 0 {
        return Err("nothing can be said of no time".into());
    }
    let policies = arguments.rules.prepare()?;
    let container = container()?;
    let daemon = Daemon::start_with(program, Some(policies.path()))?;
    println!("{OPENS} opens for writing, {CONNECTS} connects and {EXECS} execs a second, for {seconds} s …");
    let pace = |seconds: u64| -> Outcome<String> {
        let rates = [OPENS, CONNECTS, EXECS, seconds].map(|number| number.to_string());
        let argv = ["/bin/workload", "pace", WATCHED, TINY].into_iter();
        let output = container
            .exec(argv.chain(rates.iter().map(String::as_str)))?
            .wait(Duration::from_secs(seconds + 30))?;
        if output.status.success() {
            Ok(output.text.trim().to_owned())
        } else {
            Err(format!("the workload failed, {}: {}", output.status, output.text.trim()).into())
        }
    };
    pace(WARM_UP)?;
    let (start, before) = (Instant::now(), processor_time(daemon.pid())?);
    let done = pace(seconds)?;
    let (wall, after) = (start.elapsed(), processor_time(daemon.pid())?);
    let memory = Memory::of(daemon.pid());
    daemon.is_silent_about(container.id())?;
    daemon.stop()?;
    container.remove()?;

    let expected = [OPENS, CONNECTS, EXECS]
        .map(|rate| (rate * seconds).to_string())
        .join(" ");
    if done != expected {
        return Err(format!("the workload made {done}, not {expected}").into());
    }
    // Behind its pace, the load was another one.
    let late = wall.saturating_sub(Duration::from_secs(seconds));
    if late > Duration::from_secs(1) {
        println!("  The machine was too busy: the load took {late:.1?} too long.");
    }
    let cores = after.saturating_sub(before).as_secs_f64() / wall.as_secs_f64();
    let mebibytes = memory.resident as f64 / 1024.0;
    println!("  processor {}", target::at_most(cores, CORES, 4, "of a core"));
    println!("  resident  {}", target::at_most(mebibytes, MEBIBYTES, 1, "MiB"));
    println!("  {memory}");
    Ok(())
}

/// In user mode and in the kernel, of all threads that a process has and had.
fn processor_time(pid: u32) -> Outcome<Duration> {
    let path = format!("/proc/{pid}/stat");
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    let ticks = ticks(&text).ok_or_else(|| format!("{path} is not understood: {text}"))?;
    Ok(Duration::from_secs(ticks) / u32::try_from(rustix::param::clock_ticks_per_second())?)
}

/// `utime` and `stime`, the fields 14 and 15 of proc(5), together.
fn ticks(stat: &str) -> Option<u64> {
    // The second field is a name in parentheses, which may have spaces and parentheses in it.
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace().skip(11);
    let (user, kernel): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(user + kernel)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ticks_are_found_behind_any_name() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 3 4 20 0 5 0 900 1 2";
        assert_eq!(ticks(stat), Some(300));
        assert_eq!(ticks("7 (a) S 1"), None);
        assert_eq!(ticks(""), None);
    }

    #[test]
    fn our_own_time_grows_with_work() {
        let pid = std::process::id();
        let before = processor_time(pid).unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        while processor_time(pid).unwrap() == before {
            assert!(Instant::now() < deadline, "no tick in 20 s of work");
        }
    }
}
