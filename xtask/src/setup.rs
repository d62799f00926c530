//! `cargo xtask setup`: the Debian or Ubuntu packages that the other commands need.

use std::path::Path;
use std::time::Duration;

use crate::command::{Limited, is_installed};
use crate::{Outcome, in_ci};

/// Install what the other commands need, through apt.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only say what is missing.
    #[arg(long)]
    dry_run: bool,
}

/// A package, how to see that it is there, and what for.
struct Package {
    name: &'static str,
    sign: Sign,
    reason: &'static str,
}

enum Sign {
    Program(&'static str),
    File(&'static str),
}

const PACKAGES: [Package; 9] = [
    Package {
        name: "clang-19",
        sign: Sign::Program("clang-19"),
        reason: "compiles the BPF programs",
    },
    Package {
        name: "llvm-19",
        sign: Sign::Program("llvm-strip-19"),
        reason: "strips the BPF objects",
    },
    Package {
        name: "libbpf-dev",
        sign: Sign::File("/usr/include/bpf/bpf_helpers.h"),
        reason: "the BPF programs' headers",
    },
    Package {
        name: "gcc",
        sign: Sign::Program("cc"),
        reason: "links Rust programs",
    },
    Package {
        name: "libc6-dev",
        sign: Sign::File("/usr/include/stdlib.h"),
        reason: "links static Rust programs",
    },
    Package {
        name: "qemu-system-x86",
        sign: Sign::Program("qemu-system-x86_64"),
        reason: "runs the virtual machines with other kernels",
    },
    Package {
        name: "busybox-static",
        sign: Sign::Program("busybox"),
        reason: "the user space of containers and virtual machines",
    },
    Package {
        name: "cpio",
        sign: Sign::Program("cpio"),
        reason: "packs the virtual machines' file systems",
    },
    Package {
        name: "runc",
        sign: Sign::Program("runc"),
        reason: "a real container runtime for demo and tests",
    },
];

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    let missing = missing();
    if missing.is_empty() {
        println!("All packages are there.");
        return Ok(());
    }
    for Package {
        name,
        sign: _,
        reason,
    } in &missing
    {
        println!("missing: {name} ({reason})");
    }
    if arguments.dry_run {
        return Ok(());
    }
    install()
}

/// Installs what is missing; where that cannot be, says so, and fails in continuous integration.
pub(crate) fn install() -> Outcome {
    if missing().is_empty() {
        return Ok(());
    }
    let outcome = try_install();
    let left = missing();
    if left.is_empty() {
        return Ok(());
    }
    for Package {
        name,
        sign: _,
        reason,
    } in &left
    {
        println!("not installed: {name} ({reason})");
    }
    if let Err(error) = &outcome {
        println!("why: {error}");
    }
    if in_ci() {
        return Err(outcome.err().unwrap_or_else(|| "packages are missing".into()));
    }
    println!("What needs them is left out.");
    Ok(())
}

fn try_install() -> Outcome {
    if !is_installed("apt-get") {
        return Err("there is no apt-get: this is neither Debian nor Ubuntu".into());
    }
    let apt = || {
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(
            Limited::as_root("apt-get")?
                .env("DEBIAN_FRONTEND", "noninteractive")
                .limit(Duration::from_mins(15)),
        )
    };
    let updated = apt()?.args(["update", "--quiet=2"]).run();
    let mut outcome = updated;
    // One at a time: a package that a release does not have must not keep the others away.
    for Package {
        name,
        sign: _,
        reason,
    } in missing()
    {
        println!("Installing {name}: {reason}.");
        let installed = apt()?
            .args(["install", "--yes", "--quiet=2", "--no-install-recommends", name])
            .run();
        outcome = outcome.and(installed);
    }
    outcome
}

fn missing() -> Vec<&'static Package> {
    PACKAGES
        .iter()
        .filter(|package| match package.sign {
            Sign::Program(program) => !is_installed(program),
            Sign::File(path) => !Path::new(path).exists(),
        })
        .collect()
}
