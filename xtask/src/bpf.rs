//! `cargo xtask bpf`: compiles the BPF programs into the objects that are committed, or compares.

use std::path::{Path, PathBuf};

use crate::Outcome;
use crate::command::{Limited, is_installed, root, target};

/// The version whose output is committed. Another one makes other bytes.
const CLANG: &str = "clang-19";
const STRIP: &str = "llvm-strip-19";
/// Where the header files of the machine's architecture are; clang looks for them only on other targets.
const ARCHITECTURE_HEADERS: &str = "/usr/include/x86_64-linux-gnu";

/// Compile the BPF programs into the objects that are committed.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Write nothing; fail where a committed object is not what its source gives.
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Outcome {
    make(arguments.check)
}

/// Fails where a committed object is not what its source gives.
pub(crate) fn check() -> Outcome {
    make(true)
}

/// Why nothing can be compiled here; `None` where it can.
pub(crate) fn obstacle() -> Option<String> {
    [CLANG, STRIP]
        .into_iter()
        .find(|program| !is_installed(program))
        .map(|program| format!("{program} is not installed"))
}

fn make(check: bool) -> Outcome {
    let home = root().join("runtime-ebpf");
    let objects = home.join("obj");
    let sources = sources(&home.join("bpf"))?;
    if sources.is_empty() {
        return Err("runtime-ebpf/bpf holds no *.bpf.c".into());
    }
    let output = if check {
        target().join("bpf-check")
    } else {
        objects.clone()
    };
    std::fs::create_dir_all(&output)?;
    let mut stale = Vec::new();
    for name in &sources {
        let made = output.join(format!("{name}.bpf.o"));
        compile(&home, name, &made)?;
        if !check {
            println!("made obj/{name}.bpf.o, {} bytes", std::fs::metadata(&made)?.len());
        } else if std::fs::read(&made)?
            != std::fs::read(objects.join(format!("{name}.bpf.o"))).unwrap_or_default()
        {
            stale.push(format!("obj/{name}.bpf.o"));
        }
    }
    if check {
        stale.extend(without_source(&objects, &sources)?);
        if !stale.is_empty() {
            let version = Limited::new(CLANG).args(["--version"]).read()?;
            let version = version.lines().next().unwrap_or_default();
            return Err(format!(
                "not what the sources give: {}; run `cargo xtask bpf` and commit (compiler here: {version})",
                stale.join(", ")
            )
            .into());
        }
        println!(
            "{} committed BPF object(s) are what their sources give",
            sources.len()
        );
    }
    Ok(())
}

/// The names of the programs, without `.bpf.c`, sorted.
fn sources(folder: &Path) -> Outcome<Vec<String>> {
    names(folder, ".bpf.c")
}

/// Committed objects that no source makes.
fn without_source(objects: &Path, sources: &[String]) -> Outcome<Vec<String>> {
    let made = names(objects, ".bpf.o")?;
    Ok(made
        .into_iter()
        .filter(|name| !sources.contains(name))
        .map(|name| format!("obj/{name}.bpf.o"))
        .collect())
}

fn names(folder: &Path, ending: &str) -> Outcome<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))? {
        let name = entry?.file_name();
        names.extend(
            name.to_str()
                .and_then(|name| name.strip_suffix(ending))
                .map(str::to_owned),
        );
    }
    names.sort();
    Ok(names)
}

/// Compiles in the crate's folder with relative paths only, so that the bytes do not depend on where it lies.
fn compile(home: &Path, name: &str, output: &Path) -> Outcome {
    let mut prefix = PathBuf::from(home).into_os_string();
    prefix.push("=.");
    let mut map = std::ffi::OsString::from("-ffile-prefix-map=");
    map.push(prefix);
    Limited::new(CLANG)
        .args([
            "-g",
            "-O2",
            "-target",
            "bpf",
            "-mcpu=v3",
            "-D__TARGET_ARCH_x86",
            "-Wall",
            "-Wextra",
            "-Werror",
        ])
        .args([
            "-Wno-unused-parameter",
            "-fno-ident",
            "-idirafter",
            ARCHITECTURE_HEADERS,
            "-I",
            "bpf",
        ])
        .args(["-fdebug-compilation-dir=."])
        .args([map])
        .args(["-c", &format!("bpf/{name}.bpf.c"), "-o"])
        .args([output])
        .folder(home)
        .run()?;
    // The sections for debuggers go; BTF, which the loader needs, stays.
    Limited::new(STRIP).args(["-g"]).args([output]).run()
}
