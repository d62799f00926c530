//! `cargo xtask bench bpf`: what each BPF program costs, by the kernel's own count of runs and time.
//!
//! The kernel counts for the whole machine, so what else runs on it is in the figures; and it reads a clock twice a
//! run, of which a part is in the figures too.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use aya::programs::loaded_programs;
use aya::sys::{Stats, enable_stats};
use testbed::Container;

use super::descriptors::{descriptors, field};
use crate::Outcome;
use crate::guarded::Daemon;

/// Measure each BPF program by the kernel's own count, during a storm of execs in a watched container
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How many programs are run.
    #[arg(long, default_value_t = 20_000)]
    runs: u32,
    /// How many processes of the container share them.
    #[arg(long, default_value_t = 2)]
    processes: u32,
}

const LIMIT: Duration = Duration::from_mins(5);
/// Runs before the count begins: what is done once for a container is not what an exec costs.
const WARM_UP: u32 = 500;

pub(crate) fn run(arguments: &Arguments, program: &Path) -> Outcome {
    let Arguments { runs, processes } = *arguments;
    if runs == 0 {
        return Err("nothing can be said of no runs".into());
    }
    let daemon = Daemon::start(program)?;
    let container = Container::builder().run()?;
    storm(&container, WARM_UP, processes)?;
    let hooks = hooks(descriptors(daemon.pid()));
    if hooks.is_empty() {
        return Err("the daemon has no BPF program".into());
    }
    // The kernel counts as long as this is open. No setting is changed, so none has to be restored.
    let counting = enable_stats(Stats::RunTime)
        .map_err(|error| format!("the kernel does not count, which it can since 5.8: {error}"))?;
    let before = counts(&hooks)?;
    storm(&container, runs, processes)?;
    let after = counts(&hooks)?;
    drop(counting);
    println!("{runs} execs of a tiny static program by {processes} process(es) of a watched container:");
    for line in table(&hooks, &before, &after, runs) {
        println!("  {line}");
    }
    container.remove()?;
    daemon.stop()
}

fn storm(container: &Container, runs: u32, processes: u32) -> Outcome {
    let (count, shared) = (runs.to_string(), processes.to_string());
    let output = container
        .exec(["/bin/workload", "storm", "/bin/tiny", &count, &shared])?
        .wait(LIMIT)?;
    if output.status.success() && output.text.trim() == count {
        Ok(())
    } else {
        Err(format!("the storm failed, {}: {}", output.status, output.text.trim()).into())
    }
}

/// By a program's number the tracepoint it is attached to, where the kernel names one.
type Hooks = BTreeMap<u32, Option<String>>;

/// The programs among a process's descriptors. They and the links that attach them are different descriptors, which
/// name the same program.
fn hooks(descriptors: impl Iterator<Item = String>) -> Hooks {
    let mut hooks = Hooks::new();
    for text in descriptors {
        let Some(id) = field(&text, "prog_id:").and_then(|id| id.parse().ok()) else {
            continue;
        };
        let hook = hooks.entry(id).or_default();
        if let Some(name) = field(&text, "tp_name:") {
            *hook = Some(name.to_owned());
        }
    }
    hooks
}

/// What the kernel has counted of one program.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Count {
    /// At most 15 characters of it.
    name: String,
    runs: u64,
    time: Duration,
}

type Counts = BTreeMap<u32, Count>;

fn counts(hooks: &Hooks) -> Outcome<Counts> {
    // A program that goes while it is looked at is not ours.
    let counts: Counts = loaded_programs()
        .filter_map(Result::ok)
        .filter(|info| hooks.contains_key(&info.id()))
        .map(|info| {
            let name = info.name_as_str().unwrap_or("?").to_owned();
            let (runs, time) = (info.run_count(), info.run_time());
            (info.id(), Count { name, runs, time })
        })
        .collect();
    if counts.len() == hooks.len() {
        Ok(counts)
    } else {
        Err(format!(
            "the kernel knows {} of the daemon's {} BPF programs",
            counts.len(),
            hooks.len()
        )
        .into())
    }
}

/// One line a program, and their sum, for each of `execs`.
fn table(hooks: &Hooks, before: &Counts, after: &Counts, execs: u32) -> Vec<String> {
    let heads = ["program", "runs", "per exec", "ns per run", "ns per exec"];
    let mut rows = vec![heads.map(str::to_owned)];
    let each = |value: f64| value / f64::from(execs);
    let mut together = 0.0;
    for (id, count) in after {
        let (runs_before, time_before) = before
            .get(id)
            .map_or((0, Duration::ZERO), |count| (count.runs, count.time));
        let runs = count.runs.saturating_sub(runs_before) as f64;
        let time = count.time.saturating_sub(time_before).as_nanos() as f64;
        together += time;
        rows.push([
            hooks
                .get(id)
                .and_then(Clone::clone)
                .unwrap_or_else(|| count.name.clone()),
            format!("{runs:.0}"),
            format!("{:.2}", each(runs)),
            if runs > 0.0 {
                format!("{:.0}", time / runs)
            } else {
                "-".to_owned()
            },
            format!("{:.0}", each(time)),
        ]);
    }
    let sum = format!("{:.0}", each(together));
    rows.push(["together", "", "", "", &sum].map(str::to_owned));
    rows.iter()
        .map(|[name, runs, share, mean, cost]| {
            format!("{name:<28} {runs:>9} {share:>9} {mean:>11} {cost:>12}")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mk_count(runs: u64, nanoseconds: u64) -> Count {
        Count {
            name: "btf_sched_proce".to_owned(),
            runs,
            time: Duration::from_nanos(nanoseconds),
        }
    }

    #[test]
    fn a_program_has_the_name_that_its_link_has() {
        let texts = [
            "pos:\t0\nprog_type:\t26\nprog_id:\t7\nrun_cnt:\t0\n",
            "link_type:\traw_tracepoint\nprog_id:\t7\ntp_name:\tsched_process_exec\n",
            "map_type:\t27\nmemlock:\t4096\n",
            "prog_type:\t29\nprog_id:\t9\n",
        ];
        let found = hooks(texts.into_iter().map(str::to_owned));
        let expected = [(7, Some("sched_process_exec".to_owned())), (9, None)];
        assert_eq!(found, Hooks::from(expected));
    }

    #[test]
    fn the_table_has_what_came_between_the_two_counts() {
        let hooks = Hooks::from([
            (7, Some("sched_process_exec".to_owned())),
            (8, None),
            (9, Some("cgroup_mkdir".to_owned())),
        ]);
        let before = Counts::from([(7, mk_count(5, 900)), (8, mk_count(0, 0)), (9, mk_count(3, 70))]);
        let after = Counts::from([
            (7, mk_count(15, 6900)),
            (8, mk_count(20, 2000)),
            (9, mk_count(3, 70)),
        ]);
        let lines = table(&hooks, &before, &after, 10);
        let words: Vec<Vec<&str>> = lines
            .iter()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(words[1], ["sched_process_exec", "10", "1.00", "600", "600"]);
        assert_eq!(words[2], ["btf_sched_proce", "20", "2.00", "100", "200"]);
        assert_eq!(words[3], ["cgroup_mkdir", "0", "0.00", "-", "0"]);
        assert_eq!(words[4], ["together", "800"]);
    }
}
