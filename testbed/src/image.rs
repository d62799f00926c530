//! The root file system of a container: a few static programs in a folder.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::error::Error;
use crate::programs::Programs;
use crate::tiny::tiny;

/// Folders that every image has.
const FOLDERS: [&str; 12] = [
    "bin",
    "dev",
    "etc",
    "proc",
    "root",
    "run",
    "sys",
    "tmp",
    "usr/bin",
    "usr/local/bin",
    "var/log",
    "var/tmp",
];

/// One more thing in an image.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    /// A file with these bytes and this mode.
    Bytes(Vec<u8>, u32),
    /// A copy of a host file, with its mode.
    CopyOf(PathBuf),
    /// The workload program under another name.
    Workload,
    /// The tiny program under another name.
    Tiny,
    /// A symbolic link to this target.
    Link(PathBuf),
}

/// Fills `root` with the standard programs and then with `extra`.
pub(crate) fn make(root: &Path, programs: &Programs, extra: &[(PathBuf, Content)]) -> Result<(), Error> {
    for folder in FOLDERS {
        let path = root.join(folder);
        std::fs::create_dir_all(&path).map_err(Error::file("make the folder", &path))?;
    }
    put(root, Path::new("/bin/workload"), &Content::Workload, programs)?;
    put(root, Path::new("/bin/tiny"), &Content::Tiny, programs)?;
    put(
        root,
        Path::new("/etc/passwd"),
        &text("root:x:0:0:root:/root:/bin/sh\n"),
        programs,
    )?;
    put(root, Path::new("/etc/group"), &text("root:x:0:\n"), programs)?;
    put(
        root,
        Path::new("/etc/hosts"),
        &text("127.0.0.1 localhost\n"),
        programs,
    )?;
    if let Some(busybox) = &programs.busybox {
        put(
            root,
            Path::new("/bin/busybox"),
            &Content::CopyOf(busybox.clone()),
            programs,
        )?;
        for applet in applets(busybox) {
            put(
                root,
                &Path::new("/bin").join(applet),
                &Content::Link("busybox".into()),
                programs,
            )?;
        }
    }
    for (path, content) in extra {
        put(root, path, content, programs)?;
    }
    Ok(())
}

fn text(text: &str) -> Content {
    Content::Bytes(text.as_bytes().to_vec(), 0o644)
}

/// Puts one thing into the image; `path` is absolute in the container.
fn put(root: &Path, path: &Path, content: &Content, programs: &Programs) -> Result<(), Error> {
    let target = inside(root, path)?;
    if let Some(folder) = target.parent() {
        std::fs::create_dir_all(folder).map_err(Error::file("make the folder", folder))?;
    }
    // An extra file may replace a standard one, which can be a link: never write through it.
    let _ = std::fs::remove_file(&target);
    let copy = |source: &Path| std::fs::copy(source, &target).map(drop);
    match content {
        Content::Bytes(bytes, mode) => write(&target, bytes, *mode),
        Content::CopyOf(source) => copy(source),
        Content::Workload => copy(&programs.workload),
        Content::Tiny => write(&target, &tiny(), 0o755),
        Content::Link(to) => symlink(to, &target),
    }
    .map_err(Error::file("write", &target))
}

fn write(path: &Path, bytes: &[u8], mode: u32) -> std::io::Result<()> {
    std::fs::write(path, bytes)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
}

/// The place on the host of an absolute path in an image.
pub(crate) fn inside(root: &Path, path: &Path) -> Result<PathBuf, Error> {
    let mut target = root.to_owned();
    for component in path.components() {
        match component {
            Component::RootDir => {}
            Component::Normal(name) => target.push(name),
            Component::CurDir | Component::ParentDir | Component::Prefix(_) => {
                let source = std::io::Error::from(std::io::ErrorKind::InvalidInput);
                return Err(Error::file("leave the image through", path)(source));
            }
        }
    }
    Ok(target)
}

/// The names that busybox answers to, without its own.
fn applets(busybox: &Path) -> &'static [PathBuf] {
    static APPLETS: OnceLock<Vec<PathBuf>> = OnceLock::new();
    APPLETS.get_or_init(|| {
        let Ok(output) = Command::new(busybox).arg("--list").output() else {
            return Vec::new();
        };
        output
            .stdout
            .split(|byte| *byte == b'\n')
            .filter(|name| !name.is_empty() && *name != b"busybox")
            .map(|name| PathBuf::from(OsStr::from_bytes(name)))
            .collect()
    })
}
