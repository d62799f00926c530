//! `cargo xtask bench kill`: from a miner's exec to the kill of its container, idle and under load.

use std::path::Path;
use std::time::Duration;

use testbed::Container;

use super::memory::Memory;
use super::numbers::percentile;
use crate::Outcome;
use crate::guarded::Daemon;

/// Measure the time from a miner's exec to the kill of its container
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How many containers are killed, idle and under load each.
    #[arg(long, default_value_t = 200)]
    kills: u32,
}

const LIMIT: Duration = Duration::from_secs(20);
const MINER: &str = "/usr/local/bin/xmrig";

pub(crate) fn run(arguments: &Arguments, program: &Path) -> Outcome {
    let daemon = Daemon::start(program)?;
    report("idle", kills(&daemon, arguments.kills)?);

    // Short programs and busy loops on every processor.
    let load = Container::builder().run()?;
    let busy = [
        load.exec(["/bin/workload", "burn", "3600"])?,
        load.exec(["/bin/workload", "burn", "3600"])?,
        load.exec(["/bin/workload", "storm", "/bin/tiny", "100000000", "2"])?,
    ];
    std::thread::sleep(Duration::from_secs(1));
    report("under load", kills(&daemon, arguments.kills)?);
    println!("daemon {}", Memory::of(daemon.pid()));
    load.remove()?;
    drop(busy);
    daemon.stop()
}

/// Kills containers one after the other; milliseconds from the exec to the first signal, and to the end of the
/// last process, of each.
fn kills(daemon: &Daemon, count: u32) -> Outcome<Vec<(f64, f64)>> {
    let mut times = Vec::new();
    for _ in 0..count {
        let container = Container::builder().workload_as(MINER).run()?;
        let miner = container.exec([MINER, "miner"])?;
        let alert = daemon.alert_of(container.id(), LIMIT)?;
        let detail = alert["actionDetail"].as_str().unwrap_or_default();
        let numbers: Vec<f64> = detail
            .split_whitespace()
            .filter_map(|word| word.parse().ok())
            .collect();
        match (alert["action"].as_str(), numbers.as_slice()) {
            (Some("killed"), &[killed, gone]) => times.push((killed, gone)),
            (action, _) => return Err(format!("{action:?}: {detail}").into()),
        }
        drop(miner);
        container.remove()?;
    }
    Ok(times)
}

fn report(when: &str, times: Vec<(f64, f64)>) {
    let (mut killed, mut gone): (Vec<f64>, Vec<f64>) = times.into_iter().unzip();
    println!("{when}, {} kills, milliseconds after the exec:", killed.len());
    for (what, values) in [("killed", &mut killed), ("gone", &mut gone)] {
        values.sort_by(f64::total_cmp);
        let at = |of| percentile(values, of);
        println!(
            "  {what:<7} p50 {:.3}  p90 {:.3}  p99 {:.3}  max {:.3}",
            at(0.5),
            at(0.9),
            at(0.99),
            at(1.0)
        );
    }
}
