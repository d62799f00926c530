//! `cargo xtask bench sensor`: what system calls cost with the daemon and without it, where it watches and where not;
//! beside it the floor, a program on the same hook that does nothing.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::floor::Floor;
use super::memory::Memory;
use super::numbers::{Median, median};
use super::place::{PLAIN, Place, TINY, WATCHED};
use super::rules::{Policies, Rules};
use super::target;
use crate::Outcome;
use crate::guarded::Daemon;

/// Compare the cost of system calls with the daemon on and off, in a container and outside
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How many pairs of runs, with the daemon and without it.
    #[arg(long, default_value_t = 31)]
    pairs: u32,
    /// Do not measure the floor, which needs clang.
    #[arg(long)]
    no_floor: bool,
    #[command(flatten)]
    rules: Rules,
}

/// What is measured.
struct Kind {
    /// The workload's name for it.
    name: &'static str,
    what: &'static str,
    /// How many in a run: some hundredths of a second.
    count: u32,
    /// What it is done to, where that is a file.
    path: Option<&'static str>,
    target: Target,
}

/// What a ratio may be at most.
#[derive(Clone, Copy)]
enum Target {
    Ratio(f64),
    /// So much more than the floor's.
    AboveFloor(f64),
    None,
}

// Execs come first: by the first in a cgroup the daemon sees what it is.
const KINDS: [Kind; 6] = [
    Kind {
        name: "exec",
        what: "spawn and exit, tiny program",
        count: 500,
        path: Some(TINY),
        target: Target::Ratio(1.06),
    },
    Kind {
        name: "open-read",
        what: "open and close, unwatched path",
        count: 25_000,
        path: Some(PLAIN),
        target: Target::Ratio(1.20),
    },
    Kind {
        name: "open-write",
        what: "the same for writing, watched",
        count: 20_000,
        path: Some(WATCHED),
        target: Target::None,
    },
    Kind {
        name: "connect",
        what: "connect, refused",
        count: 2500,
        path: None,
        target: Target::Ratio(1.08),
    },
    Kind {
        name: "getpid",
        what: "getpid",
        count: 200_000,
        path: None,
        target: Target::AboveFloor(0.03),
    },
    Kind {
        name: "read",
        what: "read of one byte",
        count: 130_000,
        path: None,
        target: Target::AboveFloor(0.03),
    },
];

/// What follows an attachment or its end: the kernel tidies up.
const SETTLING: Duration = Duration::from_millis(300);

pub(crate) fn run(arguments: &Arguments, program: &Path) -> Outcome {
    if arguments.pairs == 0 {
        return Err("nothing can be said of no pairs".into());
    }
    let floor = (!arguments.no_floor).then(Floor::compile).transpose()?;
    let policies = arguments.rules.prepare()?;
    let places = [Place::container()?, Place::cgroup()?, Place::host()?];
    println!("{} pairs of runs …", arguments.pairs);
    let mut series: Vec<[Series; KINDS.len()]> = places.iter().map(|_| Default::default()).collect();
    let mut last = None;
    for pair in 1..=arguments.pairs {
        let round = Round::take(&places, floor.as_ref(), &policies, program)?;
        for (place, series) in series.iter_mut().enumerate() {
            for (kind, series) in KINDS.iter().zip(series) {
                series.add(&round, place, kind.name)?;
            }
        }
        last = Some(round.memory);
        if pair % 8 == 0 {
            println!("  {pair} pairs");
        }
    }
    for (place, series) in places.iter().zip(series) {
        println!("{place}:");
        for line in table(series) {
            println!("  {line}");
        }
    }
    if let Some(memory) = last {
        println!("daemon {memory}");
    }
    Ok(())
}

/// Nanoseconds of each kind, in each place.
type Times = Vec<BTreeMap<String, f64>>;

/// One pair: runs with the daemon and with the floor, each between runs with neither.
struct Round {
    first: Times,
    floor: Option<Times>,
    second: Times,
    daemon: Times,
    third: Times,
    memory: Memory,
}

impl Round {
    fn take(places: &[Place], floor: Option<&Floor>, policies: &Policies, program: &Path) -> Outcome<Self> {
        let first = measure(places)?;
        let floor = match floor {
            None => None,
            Some(floor) => {
                let attached = floor.attach()?;
                let times = measure(places)?;
                drop(attached);
                Some(times)
            }
        };
        let second = measure(places)?;
        let daemon = Daemon::start_with(program, Some(policies.path()))?;
        let with = measure(places)?;
        let memory = Memory::of(daemon.pid());
        for id in places.iter().filter_map(Place::id) {
            daemon.is_silent_about(id)?;
        }
        daemon.stop()?;
        Ok(Self {
            first,
            floor,
            second,
            daemon: with,
            third: measure(places)?,
            memory,
        })
    }
}

fn measure(places: &[Place]) -> Outcome<Times> {
    std::thread::sleep(SETTLING);
    places.iter().map(measure_in).collect()
}

fn measure_in(place: &Place) -> Outcome<BTreeMap<String, f64>> {
    let kinds = KINDS.iter().map(|kind| match kind.path {
        Some(path) => format!("{}:{}:{}", kind.name, kind.count, place.file(path)),
        None => format!("{}:{}", kind.name, kind.count),
    });
    let args: Vec<String> = std::iter::once("measure".to_owned()).chain(kinds).collect();
    parse(&place.run(&args)?)
}

/// Lines of a name and a number.
fn parse(text: &str) -> Outcome<BTreeMap<String, f64>> {
    text.lines()
        .map(|line| {
            let (name, value) = line
                .split_once(' ')
                .ok_or_else(|| format!("the workload said: {line}"))?;
            Ok((name.to_owned(), value.parse()?))
        })
        .collect()
}

/// What all pairs said of one kind in one place.
#[derive(Default)]
struct Series {
    /// Nanoseconds without anything.
    off: Vec<f64>,
    ratios: Vec<f64>,
    noise: Vec<f64>,
    floor: Vec<f64>,
}

impl Series {
    fn add(&mut self, round: &Round, place: usize, name: &str) -> Outcome {
        let of = |times: &Times| {
            let time = times.get(place).and_then(|times| times.get(name)).copied();
            time.ok_or_else(|| format!("the workload said nothing of {name}"))
        };
        let (first, second, third) = (of(&round.first)?, of(&round.second)?, of(&round.third)?);
        self.off.push(second);
        // The runs before and after stand against slow changes of the machine's speed.
        self.ratios
            .push(of(&round.daemon)? / f64::midpoint(second, third));
        self.noise.push(second / first);
        if let Some(floor) = &round.floor {
            self.floor.push(of(floor)? / f64::midpoint(first, second));
        }
        Ok(())
    }
}

/// One line a kind.
fn table(series: [Series; KINDS.len()]) -> Vec<String> {
    let interval = |median: &Median| format!("{:.3} ({:.3} to {:.3})", median.value, median.low, median.high);
    let line = |what: &str, off: &str, on: &str, noise: &str, floor: &str, target: &str| {
        format!("{what:<30} {off:>9}  {on:<22}  {noise:<22}  {floor:<22}  {target}")
    };
    let head = line(
        "",
        "off, ns",
        "on/off (95 % conf.)",
        "off/off: noise",
        "floor/off",
        "target",
    );
    let lines = KINDS.iter().zip(series).map(|(kind, series)| {
        let (off, on, noise) = (median(series.off), median(series.ratios), median(series.noise));
        let floor = (!series.floor.is_empty()).then(|| median(series.floor));
        line(
            kind.what,
            &format!("{:.1}", off.value),
            &interval(&on),
            &interval(&noise),
            &floor.as_ref().map_or_else(|| "-".to_owned(), interval),
            &kind.target.judge(&on, floor.as_ref().map(|floor| floor.value)),
        )
    });
    std::iter::once(head).chain(lines).collect()
}

impl Target {
    /// The target and whether it is met; with a question mark where it lies within the confidence interval.
    fn judge(self, ratio: &Median, floor: Option<f64>) -> String {
        let target = match (self, floor) {
            (Self::Ratio(target), _) => target,
            (Self::AboveFloor(more), Some(floor)) => floor + more,
            (Self::AboveFloor(more), None) => return format!("floor + {more}"),
            (Self::None, _) => return "-".to_owned(),
        };
        let met = |value: f64| target::shown(value, 3) <= target::shown(target, 3);
        let doubt = if met(ratio.low) == met(ratio.high) {
            ""
        } else {
            "?"
        };
        format!("{target:.3} {}{doubt}", target::verdict(met(ratio.value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mk_median(value: f64) -> Median {
        let (low, high) = (value - 0.005, value + 0.005);
        Median { value, low, high }
    }

    #[test]
    fn a_target_is_a_ratio_or_counts_from_the_floor() {
        let judge = |target: Target, ratio, floor| target.judge(&mk_median(ratio), floor);
        assert_eq!(judge(Target::Ratio(1.06), 1.05, None), "1.060 met");
        assert_eq!(judge(Target::Ratio(1.06), 1.07, Some(1.2)), "1.060 MISSED");
        assert_eq!(judge(Target::AboveFloor(0.03), 1.29, Some(1.27)), "1.300 met");
        assert_eq!(judge(Target::AboveFloor(0.03), 1.31, Some(1.27)), "1.300 MISSED");
        assert_eq!(judge(Target::AboveFloor(0.03), 1.31, None), "floor + 0.03");
        assert_eq!(judge(Target::None, 9.0, Some(1.0)), "-");
    }

    #[test]
    fn a_target_within_the_interval_is_in_doubt() {
        let judge = |ratio| Target::Ratio(1.06).judge(&mk_median(ratio), None);
        assert_eq!(judge(1.058), "1.060 met?");
        assert_eq!(judge(1.062), "1.060 MISSED?");
        // What reads as equal is met.
        assert_eq!(judge(1.0604), "1.060 met?");
    }

    #[test]
    fn a_ratio_is_of_the_runs_around_it() {
        let times = |ns: f64| vec![BTreeMap::from([("getpid".to_owned(), ns)])];
        let round = Round {
            first: times(80.0),
            floor: Some(times(108.0)),
            second: times(100.0),
            daemon: times(132.0),
            third: times(120.0),
            memory: Memory::of(std::process::id()),
        };
        let mut series = Series::default();
        series.add(&round, 0, "getpid").unwrap();
        assert_eq!(series.off, [100.0]);
        assert_eq!(series.ratios, [1.2]);
        assert_eq!(series.noise, [1.25]);
        assert_eq!(series.floor, [1.2]);
        assert!(series.add(&round, 1, "getpid").is_err());
        assert!(series.add(&round, 0, "read").is_err());
    }

    #[test]
    fn what_is_no_figure_is_an_error() {
        let figures = parse("exec 71000.5\ngetpid 84.20\n").unwrap();
        assert!((figures["getpid"] - 84.2).abs() < f64::EPSILON && figures.len() == 2);
        assert!(parse("workload: no such file\n").is_err());
        assert!(parse("nothing\n").is_err());
    }
}
