//! The workloads do what their names say. Needs root.

use std::path::Path;
use std::time::Duration;

use testbed::{Container, Output};

const LIMIT: Duration = Duration::from_secs(30);

fn run(container: &Container, argv: &[&str]) -> Output {
    container.exec(argv).unwrap().wait(LIMIT).unwrap()
}

#[test]
fn every_way_to_exec_reaches_the_program() {
    let container = Container::builder().run().unwrap();
    let ways: [&[&str]; 6] = [
        &["exec-as", "name", "/bin/workload", "print", "done"],
        &["memfd", "/bin/workload", "print", "done"],
        &["execveat", "/bin/workload", "print", "done"],
        &["deleted", "/bin/workload", "print", "done"],
        &["threads-exec", "/bin/workload", "print", "done"],
        &["spawn", "/bin/tiny", "3"],
    ];
    for way in ways {
        let argv: Vec<&str> = std::iter::once("/bin/workload")
            .chain(way.iter().copied())
            .collect();
        let output = run(&container, &argv);
        assert!(output.status.success(), "{way:?}: {}", output.text);
        if way.last() == Some(&"done") {
            assert_eq!(output.text, "done\n", "{way:?}");
        }
    }
}

#[test]
fn orphans_exec_after_their_parents_end() {
    let container = Container::builder().run().unwrap();
    for way in ["double-fork", "fork-exit", "clone-parent"] {
        let marker = format!("/tmp/{way}");
        let output = run(
            &container,
            &[
                "/bin/workload",
                way,
                "/bin/workload",
                "copy",
                "/bin/tiny",
                &marker,
            ],
        );
        assert!(output.status.success(), "{way}: {}", output.text);
        let inside = format!("/proc/{}/root{marker}", container.pid());
        let deadline = std::time::Instant::now() + LIMIT;
        while !Path::new(&inside).exists() {
            assert!(
                std::time::Instant::now() < deadline,
                "{way}: the program did not run"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn many_arguments_arrive_whole() {
    let container = Container::builder().run().unwrap();
    let output = run(
        &container,
        &["/bin/workload", "many-args", "200", "50", "/bin/echo"],
    );
    let args: Vec<&str> = output.text.split_whitespace().collect();
    assert_eq!(args.len(), 200);
    assert!(args.iter().all(|arg| arg.len() == 50));
}

#[test]
fn a_storm_runs_as_often_as_it_says() {
    let container = Container::builder().run().unwrap();
    let output = run(&container, &["/bin/workload", "storm", "/bin/tiny", "500", "3"]);
    assert_eq!(output.text, "500\n");
    let failing = run(
        &container,
        &["/bin/workload", "storm", "/bin/no-such-program", "5", "2"],
    );
    assert!(!failing.status.success());
}

#[test]
fn a_spawn_loop_prints_its_median_in_nanoseconds() {
    let container = Container::builder().run().unwrap();
    let output = run(&container, &["/bin/workload", "spawn", "/bin/tiny", "51"]);
    let median: u64 = output.text.trim().parse().unwrap();
    assert!((1_000..1_000_000_000).contains(&median), "{median} ns");
}

#[test]
fn busybox_answers_by_its_links() {
    assert!(
        testbed::programs().unwrap().busybox.is_some(),
        "`cargo xtask setup` installs busybox-static"
    );
    let container = Container::builder().run().unwrap();
    assert_eq!(run(&container, &["/bin/sh", "-c", "echo $((6*7))"]).text, "42\n");
    assert_eq!(run(&container, &["/bin/hostname"]).text, "test\n");
}
