//! The container's view of the file system.

use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags};
use rustix::mount::{mount, mount_bind_recursive, mount_change, unmount};
use rustix::process::{chdir, pivot_root};
use testbed::spec::{Bind, Overlay};

use crate::{Failure, naming};

/// The devices that every container has: name, major and minor number.
const DEVICES: [(&str, u32, u32); 6] = [
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
];

/// Mounts the overlay for this process and those that it starts.
pub(crate) fn overlay(overlay: &Overlay) -> Result<(), Failure> {
    let Overlay {
        lower,
        upper,
        work,
        merged,
    } = overlay;
    testbed::sys::unshare(libc::CLONE_NEWNS).map_err(naming("make the shim's mount namespace"))?;
    // The host's later mounts still arrive, ours stay here and go with the last process.
    mount_change(
        "/",
        MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC,
    )
    .map_err(naming("detach the mounts"))?;
    let options = format!(
        "lowerdir={},upperdir={},workdir={}\0",
        lower.display(),
        upper.display(),
        work.display()
    );
    let options =
        std::ffi::CStr::from_bytes_with_nul(options.as_bytes()).map_err(naming("the overlay's layers"))?;
    mount("overlay", merged, "overlay", MountFlags::empty(), options).map_err(naming("mount the overlay"))
}

/// Makes `root` the root of this process, which is alone in its mount namespace.
pub(crate) fn enter(root: &Path, binds: &[Bind]) -> Result<(), Failure> {
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .map_err(naming("detach the mounts"))?;
    // pivot_root wants a mount point.
    mount_bind_recursive(root, root).map_err(naming("mount the root"))?;
    let quiet = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("proc", root.join("proc"), "proc", quiet, None).map_err(naming("mount /proc"))?;
    tmpfs(&root.join("tmp"), c"mode=1777")?;
    devices(&root.join("dev"))?;
    for Bind { source, target } in binds {
        let inside = root.join(target.strip_prefix("/").unwrap_or(target));
        mount_bind_recursive(source, &inside).map_err(naming(format_args!("show {}", source.display())))?;
    }
    chdir(root).map_err(naming("enter the root"))?;
    // The old root lands on top of the new one, from where it is taken off: no folder is needed for it.
    pivot_root(".", ".").map_err(naming("change the root"))?;
    unmount(".", UnmountFlags::DETACH).map_err(naming("let the old root go"))?;
    chdir("/").map_err(naming("enter the new root"))
}

fn devices(folder: &Path) -> Result<(), Failure> {
    tmpfs(folder, c"mode=755")?;
    for (name, major, minor) in DEVICES {
        let path = folder.join(name);
        let mode = Mode::from_raw_mode(0o666);
        mknodat(CWD, &path, FileType::CharacterDevice, mode, makedev(major, minor))
            .map_err(naming(path.display()))?;
        // The umask took bits from the mode.
        rustix::fs::chmod(&path, mode).map_err(naming(path.display()))?;
    }
    let shared = folder.join("shm");
    std::fs::create_dir(&shared).map_err(naming(shared.display()))?;
    tmpfs(&shared, c"mode=1777")?;
    std::os::unix::fs::symlink("/proc/self/fd", folder.join("fd")).map_err(naming("/dev/fd"))
}

fn tmpfs(folder: &Path, options: &std::ffi::CStr) -> Result<(), Failure> {
    mount("tmpfs", folder, "tmpfs", MountFlags::empty(), options).map_err(naming(folder.display()))
}
