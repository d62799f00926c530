//! The static programs that containers are made of and run.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::error::Error;

/// Names the folder that holds the programs, where they are not beside the test.
pub const FOLDER_VARIABLE: &str = "TESTBED_PROGRAMS";
/// The target that a static program is built for.
pub const TARGET: &str = "x86_64-unknown-linux-gnu";
/// What makes it static, and small enough to copy into every container.
pub const RUSTFLAGS: &str = "-C target-feature=+crt-static -C strip=symbols";

const RUNTIME: &str = "testbed-runtime";
const WORKLOAD: &str = "testbed-workload";
/// Longer than any build of two small programs takes on two busy cores.
const BUILD_LIMIT: Duration = Duration::from_mins(10);

/// Where the static programs are.
#[derive(Debug, Clone)]
pub struct Programs {
    /// The workloads; lies in every container as `/bin/workload`.
    pub workload: PathBuf,
    /// The container runtime, outside of the containers.
    pub runtime: PathBuf,
    /// A static busybox, where the machine has one.
    pub busybox: Option<PathBuf>,
}

/// Finds the static programs, and builds them where they are missing.
///
/// They are looked for in the folder that `TESTBED_PROGRAMS` names, beside the running program and one folder
/// above it; after that cargo builds them once into a target folder of their own.
pub fn programs() -> Result<&'static Programs, Error> {
    static PROGRAMS: OnceLock<Result<Programs, String>> = OnceLock::new();
    PROGRAMS
        .get_or_init(find)
        .as_ref()
        .map_err(|reason| Error::Programs {
            reason: reason.clone(),
        })
}

fn find() -> Result<Programs, String> {
    let busybox = ["/bin/busybox", "/usr/bin/busybox"]
        .into_iter()
        .map(PathBuf::from)
        .find(|path| is_static(path));
    let here = std::env::current_exe().unwrap_or_default();
    let named = std::env::var_os(FOLDER_VARIABLE).map(PathBuf::from);
    let folder = match named
        .iter()
        .map(PathBuf::as_path)
        .chain(here.ancestors().skip(1).take(2))
        .find(|folder| {
            [RUNTIME, WORKLOAD]
                .iter()
                .all(|name| is_static(&folder.join(name)))
        }) {
        Some(folder) => folder.to_owned(),
        None if named.is_some() => return Err(format!("{FOLDER_VARIABLE} names a folder without them")),
        None => build()?,
    };
    Ok(Programs {
        workload: folder.join(WORKLOAD),
        runtime: folder.join(RUNTIME),
        busybox,
    })
}

/// Builds the programs with cargo and returns their folder.
fn build() -> Result<PathBuf, String> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = manifest.parent().unwrap_or(manifest);
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    // A folder of its own: cargo holds a lock on the usual one while it runs tests of another configuration,
    // and other flags would make it build everything again.
    let target = target.join("testbed-programs");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsStr::new("cargo").to_owned());
    let mut child = Command::new(&cargo)
        .args([
            "build",
            "--quiet",
            "--package",
            "testbed",
            "--bins",
            "--target",
            TARGET,
        ])
        .current_dir(root)
        .env("CARGO_TARGET_DIR", &target)
        .env("RUSTFLAGS", RUSTFLAGS)
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .stdin(Stdio::null())
        .spawn()
        .map_err(|error| format!("{} cannot be started: {error}", cargo.display()))?;
    let deadline = Instant::now() + BUILD_LIMIT;
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(20)),
            Ok(None) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("cargo build took longer than {BUILD_LIMIT:?}"));
            }
            Err(error) => return Err(format!("cargo build: {error}")),
        }
    };
    if !status.success() {
        return Err(format!("cargo build failed, {status}"));
    }
    Ok(target.join(TARGET).join("debug"))
}

/// True for a 64-bit ELF file that asks for no program interpreter.
fn is_static(path: &Path) -> bool {
    const PT_INTERP: u32 = 3;
    let Ok(elf) = std::fs::read(path) else {
        return false;
    };
    let number = |offset: usize, width: usize| -> Option<u64> {
        let bytes = elf.get(offset..offset.checked_add(width)?)?;
        Some(
            bytes
                .iter()
                .rev()
                .fold(0, |value, byte| value << 8 | u64::from(*byte)),
        )
    };
    let headers = || {
        let (offset, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
        (0..count)
            .map(|index| number(usize::try_from(offset.checked_add(index * size)?).ok()?, 4))
            .collect::<Option<Vec<_>>>()
    };
    elf.starts_with(b"\x7fELF\x02\x01")
        && headers().is_some_and(|kinds| !kinds.contains(&u64::from(PT_INTERP)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dynamic_program_is_told_from_a_static_one() {
        let folder = std::env::temp_dir();
        let path = folder.join(format!("static-{}", std::process::id()));
        let mut elf = crate::tiny();
        std::fs::write(&path, &elf).unwrap();
        assert!(is_static(&path));
        // The first program header becomes PT_INTERP.
        elf[64] = 3;
        std::fs::write(&path, &elf).unwrap();
        assert!(!is_static(&path));
        std::fs::write(&path, &elf[..60]).unwrap();
        assert!(!is_static(&path));
        std::fs::remove_file(&path).unwrap();
    }
}
