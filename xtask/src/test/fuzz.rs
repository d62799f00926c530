//! The fuzz targets, each for a share of a minute.

use std::time::Duration;

use super::table::Done;
use crate::Outcome;
use crate::command::{Limited, cargo, is_installed, root, target};

/// All targets together, in seconds, building not counted.
const TIME: u64 = 60;
/// No target gets less, in seconds.
const LEAST: u64 = 10;

pub(super) fn run() -> Outcome<Done> {
    let folder = root().join("fuzz");
    if !folder.join("Cargo.toml").exists() {
        return Ok(Done::LeftOut("there is no fuzz/Cargo.toml".to_owned()));
    }
    if Limited::new("cargo")
        .args(["+nightly", "--version"])
        .read()
        .is_err()
    {
        return Ok(Done::LeftOut(
            "there is no nightly toolchain (`rustup toolchain install nightly`)".to_owned(),
        ));
    }
    if !is_installed("cargo-fuzz") {
        println!("Installing cargo-fuzz.");
        let installed = cargo()
            .args(["install", "--quiet", "--locked", "cargo-fuzz"])
            .env("CARGO_TARGET_DIR", target().join("tools"))
            .limit(Duration::from_mins(10))
            .run();
        if let Err(error) = installed {
            return Ok(Done::LeftOut(format!("cargo-fuzz cannot be installed: {error}")));
        }
    }
    let list = fuzz().args(["list"]).read()?;
    let targets: Vec<&str> = list
        .lines()
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .collect();
    if targets.is_empty() {
        return Err("fuzz/ has no target".into());
    }
    let share = (TIME / targets.len() as u64).max(LEAST);
    for name in targets {
        println!("-- {name}, {share} s");
        fuzz()
            .args(["run", name, "--", "-verbosity=0", "-print_final_stats=1"])
            .args([format!("-max_total_time={share}")])
            .limit(Duration::from_mins(15))
            .run()?;
    }
    Ok(Done::Passed)
}

fn fuzz() -> Limited {
    // The sanitizer's flags would make cargo build everything in the usual folder again.
    Limited::new("cargo")
        .args(["+nightly", "fuzz"])
        .env("CARGO_TARGET_DIR", target().join("fuzz"))
}
