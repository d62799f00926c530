//! A container runtime as small as can be, built like the real ones.
//!
//! `shim SPEC` stays outside of the container, as containerd-shim does, and is what the library talks to.
//! `init SPEC` becomes the container's main process, as `runc init` does; `exec SPEC` runs one more process in
//! a container, through `enter SPEC`. Both inner stages first join the cgroups and then execute this program
//! once more: so the container's cgroup sees an exec of the runtime itself before the container's own, as it
//! does with runc.

mod inner;
mod mounts;
mod outer;
mod shim;

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args_os().skip(1).collect();
    let [command, spec] = args.as_slice() else {
        eprintln!("usage: testbed-runtime shim|init|exec|enter SPEC");
        return ExitCode::from(2);
    };
    let spec = Path::new(spec);
    let outcome = match command.to_str() {
        Some("shim") => shim::run(spec),
        Some("init") => inner::init(spec),
        Some(inner::INIT_IN_CGROUP) => inner::init_in_cgroup(spec),
        Some("exec") => outer::exec(spec),
        Some("enter") => inner::enter(spec),
        Some(inner::ENTER_IN_CGROUP) => inner::enter_in_cgroup(spec),
        _ => Err(format!("no such command: {}", command.display()).into()),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            // The report line of the stages that have a pipe; the others have standard error.
            println!("error {}", one_line(&*error));
            ExitCode::FAILURE
        }
    }
}

/// Why a stage failed; nobody looks into it, it is only told on.
type Failure = Box<dyn std::error::Error>;

/// An error with its causes, on one line.
fn one_line(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text.replace('\n', " ")
}

/// Names what failed.
fn naming<E: std::fmt::Display>(what: impl std::fmt::Display) -> impl FnOnce(E) -> Failure {
    move |error| format!("{what}: {error}").into()
}

/// Reads a specification.
fn read_spec<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, Failure> {
    let json = std::fs::read(path).map_err(naming(path.display()))?;
    serde_json::from_slice(&json).map_err(naming(path.display()))
}
