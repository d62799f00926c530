//! The workloads that benchmarks measure do what they say. Needs root.

use std::time::{Duration, Instant};

use testbed::{Container, Output, cgroup};

const LIMIT: Duration = Duration::from_secs(30);

fn run(container: &Container, argv: &[&str]) -> Output {
    container.exec(argv).unwrap().wait(LIMIT).unwrap()
}

fn mk_container() -> Container {
    Container::builder()
        .file("/opt/data", "data", 0o644)
        .run()
        .unwrap()
}

#[test]
fn every_kind_of_call_has_its_time() {
    let container = mk_container();
    let kinds = [
        "exec:20:/bin/tiny",
        "open-read:500:/opt/data",
        "open-write:500:/opt/data",
        "connect:50",
        "getpid:5000",
        "read:5000",
    ];
    let argv: Vec<&str> = ["/bin/workload", "measure"].into_iter().chain(kinds).collect();
    let output = run(&container, &argv);
    assert!(output.status.success(), "{}", output.text);
    let times: Vec<(&str, f64)> = output
        .text
        .lines()
        .map(|line| line.split_once(' ').unwrap())
        .map(|(name, time)| (name, time.parse().unwrap()))
        .collect();
    let names: Vec<&str> = times.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        names,
        ["exec", "open-read", "open-write", "connect", "getpid", "read"]
    );
    // A call that fails at once, or is left out, takes a few nanoseconds; a program takes some thousands of calls.
    assert!(times.iter().all(|(_, time)| *time > 20.0), "{times:?}");
    assert!(times[0].1 > 20.0 * times[4].1, "{times:?}");
}

#[test]
fn what_cannot_be_measured_fails() {
    let container = mk_container();
    for kind in [
        "open-read:5:/no/such/file",
        "exec:5:/no/such/file",
        "getpid",
        "getpid:many",
        "unknown:5",
    ] {
        let output = run(&container, &["/bin/workload", "measure", kind]);
        assert!(!output.status.success(), "{kind}: {}", output.text);
    }
}

#[test]
fn a_flood_lasts_as_long_as_it_should_and_counts_all_processes() {
    let container = mk_container();
    let start = Instant::now();
    let output = run(&container, &["/bin/workload", "flood", "/opt/data", "1", "3"]);
    assert!(start.elapsed() >= Duration::from_secs(1));
    let made: u64 = output.text.trim().parse().expect(&output.text);
    assert!(made >= 3000 && made.is_multiple_of(1000), "{made}");
    let failing = run(&container, &["/bin/workload", "flood", "/no/such/file", "1", "2"]);
    assert!(!failing.status.success(), "{}", failing.text);
}

#[test]
fn a_pace_is_kept() {
    let container = mk_container();
    let start = Instant::now();
    let output = run(
        &container,
        &[
            "/bin/workload",
            "pace",
            "/opt/data",
            "/bin/tiny",
            "200",
            "50",
            "10",
            "2",
        ],
    );
    assert_eq!(output.text, "400 100 20\n");
    assert!(start.elapsed() >= Duration::from_secs(2));
}

#[test]
fn a_command_runs_within_the_cgroups_that_it_is_given() {
    let container = mk_container();
    let cgroups: Vec<_> = container
        .cgroups()
        .iter()
        .map(|cgroup| cgroup.path.clone())
        .collect();
    let workload = &testbed::programs().unwrap().workload;
    let mut child = std::process::Command::new(workload)
        .arg("within")
        .arg(std::env::join_paths(&cgroups).unwrap())
        .args(["sleep", "60"])
        .spawn()
        .unwrap();
    let deadline = Instant::now() + LIMIT;
    let inside = || cgroup::processes(&cgroups[0]).unwrap().contains(&child.id());
    while !inside() {
        assert!(Instant::now() < deadline, "it is not in the cgroup");
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let missing = std::process::Command::new(workload)
        .args(["within", "/sys/fs/cgroup/no-such-cgroup", "sleep", "60"])
        .status()
        .unwrap();
    assert!(!missing.success());
}
