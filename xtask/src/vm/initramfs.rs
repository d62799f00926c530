//! The virtual machine's whole user space: busybox, the tests and the programs they start.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::console::MARKER;
use super::{Built, Kernel, kernel};
use crate::Outcome;
use crate::command::Limited;

/// The first program. The initial file system cannot be left by `pivot_root`, which containers need, so
/// everything moves to one that can.
const INIT: &str = include_str!("init.sh");
/// The second: prepares the machine as a distribution does.
const STAGE: &str = include_str!("stage.sh");
/// Longest run of one test program, in seconds.
const TEST_LIMIT: u32 = 420;

/// Makes the image and returns its path.
pub(crate) fn make(
    folder: &Path,
    kernel: &Kernel,
    files: &kernel::Files,
    built: &Built,
    filter: Option<&str>,
) -> Outcome<PathBuf> {
    let tree = folder.join("tree");
    if tree.exists() {
        std::fs::remove_dir_all(&tree)?;
    }
    for path in ["bin", "modules", "programs", "tests"] {
        std::fs::create_dir_all(tree.join(path))?;
    }
    let busybox = ["/bin/busybox", "/usr/bin/busybox"]
        .into_iter()
        .find(|path| Path::new(path).exists());
    std::fs::copy(
        busybox.ok_or("busybox-static is not installed")?,
        tree.join("bin/busybox"),
    )?;
    for (index, module) in files.modules.iter().enumerate() {
        copy(module, &tree.join("modules").join(format!("{index:02}.ko")))?;
    }
    add_runc(&tree)?;
    for program in &built.names {
        copy(
            program,
            &tree
                .join("programs")
                .join(program.file_name().unwrap_or_default()),
        )?;
    }
    let mut script = format!(
        "#!/bin/busybox sh\nCGROUPS={}\n{STAGE}\n",
        if kernel.unified { "v2" } else { "v1" }
    );
    for test in &built.tests {
        let name = short_name(test);
        copy(test, &tree.join("tests").join(&name))?;
        // The name is a crate's test's, so it holds nothing that a shell would read otherwise.
        writeln!(
            script,
            "run {name} {TEST_LIMIT} {}",
            filter.map(quote).unwrap_or_default()
        )?;
    }
    writeln!(script, "echo '{MARKER} done'\nsync\npoweroff -f")?;
    write_program(&tree.join("init"), INIT)?;
    write_program(&tree.join("stage"), &script)?;
    let image = folder.join("initramfs.cpio");
    // No compression: unpacking is emulated, reading is not.
    let pack = "find . | cpio --create --format newc --quiet --owner 0:0 > \"$0\"";
    Limited::new("sh")
        .args(["-c".as_ref(), pack.as_ref(), image.as_os_str()])
        .folder(&tree)
        .run()?;
    Ok(image)
}

/// A test program's name without the hash that cargo gives it.
pub(crate) fn short_name(test: &Path) -> String {
    let name = test
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    match name.rsplit_once('-') {
        Some((short, hash)) if hash.len() == 16 => short.to_owned(),
        _ => name,
    }
}

/// Adds this machine's runc with its libraries, where it has one: the tests then run with both runtimes.
fn add_runc(tree: &Path) -> Outcome {
    let folders = ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"];
    let Some(runc) = folders
        .map(|folder| Path::new(folder).join("runc"))
        .into_iter()
        .find(|path| path.exists())
    else {
        println!("The machine has no runc to give to the virtual machine; our own runtime is tested alone.");
        return Ok(());
    };
    copy(&runc, &tree.join("bin/runc"))?;
    for library in libraries(&Limited::new("ldd").args([&runc]).read().unwrap_or_default()) {
        let target = tree.join(library.trim_start_matches('/'));
        std::fs::create_dir_all(target.parent().unwrap_or(tree))?;
        copy(Path::new(library), &target)?;
    }
    Ok(())
}

/// The files in what `ldd` says; a static program has none.
fn libraries(ldd: &str) -> Vec<&str> {
    ldd.lines()
        .filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')))
        .collect()
}

fn copy(from: &Path, to: &Path) -> Outcome {
    // Two crates may have a test of the same name, and one must not silently take the other's place.
    if to.exists() {
        return Err(format!("two programs would be {}", to.display()).into());
    }
    std::fs::copy(from, to).map_err(|error| format!("{}: {error}", from.display()))?;
    Ok(())
}

fn write_program(path: &Path, text: &str) -> Outcome {
    std::fs::write(path, text)?;
    Ok(std::fs::set_permissions(
        path,
        std::fs::Permissions::from_mode(0o755),
    )?)
}

fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargos_hash_is_taken_off_a_tests_name() {
        assert_eq!(
            short_name(Path::new("/t/deps/container-0123456789abcdef")),
            "container"
        );
        assert_eq!(short_name(Path::new("/t/my-test")), "my-test");
    }

    #[test]
    fn libraries_are_read_from_ldd() {
        let ldd = "\tlinux-vdso.so.1 (0x00007ffd)\n\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f)\n\
                   \t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n";
        assert_eq!(
            libraries(ldd),
            ["/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2"]
        );
        assert_eq!(libraries("\tnot a dynamic executable\n"), [""; 0]);
    }

    #[test]
    fn a_filter_stays_one_word() {
        assert_eq!(quote("it's; reboot"), r"'it'\''s; reboot'");
    }
}
