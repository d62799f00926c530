//! The privileged tests and the programs they need, as static files that run anywhere.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use testbed::programs::{FOLDER_VARIABLE, RUSTFLAGS, TARGET};

use crate::Outcome;
use crate::command::{Limited, cargo, root, target};

/// The crates whose integration tests want root and a real kernel. Their unit tests run with everybody's.
const TESTED: [&str; 2] = ["testbed", "runtime-ebpf"];
/// The crates whose programs these tests start.
const PROGRAMS: [&str; 2] = ["testbed", "podwarden-daemon"];

/// Static programs.
pub(crate) struct Built {
    /// The test programs, in the order of their names.
    pub(crate) tests: Vec<PathBuf>,
    /// The folder of the programs that they start.
    pub(crate) programs: PathBuf,
    /// Those programs.
    pub(crate) names: Vec<PathBuf>,
}

/// Builds them, into a target folder of their own because of their flags; of `packages` only, where any is
/// named.
pub(crate) fn build(packages: &[String]) -> Outcome<Built> {
    println!("Building the privileged tests as static programs.");
    let folder = target().join("vm-build");
    let tested: Vec<&str> = match packages {
        [] => TESTED.to_vec(),
        named => named.iter().map(String::as_str).collect(),
    };
    let run = |words: &[&str], names: &[&str]| -> Outcome<String> {
        cargo()
            .args(words)
            .args(names.iter().flat_map(|name| ["--package", *name]))
            .args([
                "--quiet",
                "--target",
                TARGET,
                "--message-format",
                "json-render-diagnostics",
            ])
            .env("CARGO_TARGET_DIR", &folder)
            .env("RUSTFLAGS", RUSTFLAGS)
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .limit(Duration::from_mins(25))
            .read()
    };
    let names = executables(&run(&["build", "--bins"], &PROGRAMS)?);
    let mut tests = executables(&run(&["test", "--no-run", "--test", "*"], &tested)?);
    // Programs are built again as what the tests depend on; they are not tests.
    tests.retain(|path| !names.contains(path));
    tests.sort();
    let programs = folder.join(TARGET).join("debug");
    Ok(Built {
        tests,
        programs,
        names,
    })
}

/// Runs the tests on this machine's own kernel.
pub(crate) fn run_here(built: &Built, filter: Option<&str>) -> Outcome {
    let mut failed = Vec::new();
    for test in &built.tests {
        let name = super::initramfs::short_name(test);
        println!("-- {name}");
        let outcome = Limited::as_root(test)?
            .env(FOLDER_VARIABLE, &built.programs)
            .args(["--test-threads=1", "--include-ignored"])
            .args(filter)
            .folder(root())
            .run();
        if let Err(error) = outcome {
            failed.push(format!("{name}: {error}"));
        }
    }
    if failed.is_empty() {
        Ok(())
    } else {
        Err(failed.join("; ").into())
    }
}

/// The executables among cargo's messages.
fn executables(messages: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter_map(|message| {
            message
                .get("executable")
                .and_then(Value::as_str)
                .map(PathBuf::from)
        })
        .collect();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executables_are_found_among_the_messages() {
        let messages = r#"{"reason":"compiler-artifact","executable":null}
{"reason":"compiler-artifact","executable":"/t/deps/container-0a1b"}
not json
{"reason":"build-finished","success":true}"#;
        assert_eq!(executables(messages), [PathBuf::from("/t/deps/container-0a1b")]);
    }
}
