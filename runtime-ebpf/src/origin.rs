//! What an exec's file says of where it comes from.

use runtime_core::event::Origin;
use runtime_core::raw::base_name;

use crate::wire::{ExecRecord, flags};

/// Where the content comes from; `None` where the file system does not tell an image's files from others.
///
/// On OverlayFS a file in the upper layer was written, or changed, since the container started. A file on
/// another file system than the container's root is on a volume.
pub(crate) fn origin_of(exec: &ExecRecord<'_>) -> Option<Origin> {
    if exec.has(flags::MEMFD) {
        Some(Origin::Memory)
    } else if exec.has(flags::OVERLAY_UPPER) || !exec.has(flags::ROOT_FS) {
        Some(Origin::Dropped)
    } else if exec.has(flags::OVERLAY) {
        Some(Origin::Image)
    } else {
        None
    }
}

/// Names that container runtimes execute themselves by, on their way into a container.
const RUNTIMES: [&[u8]; 5] = [b"runc", b"crun", b"youki", b"runsc", b"exe"];

/// Whether this is a runtime that executes itself again, before it enters the container's mount namespace:
/// `runc init`, straight or from its sealed copy in memory.
///
/// The kernel says that the process came into the container's cgroup from outside and is still in the mount
/// namespace that it came from. A process that moves between cgroups of one container does not count as from
/// outside, as long as the kernel's map of cgroups has room to know them. The name only tells the
/// runtime from the entrypoint of a container that has no mount namespace of its own.
pub(crate) fn is_runtime_setup(exec: &ExecRecord<'_>) -> bool {
    if !exec.has(flags::SETUP) {
        return false;
    }
    let name = base_name(exec.exe);
    exec.exe == exec.parent_exe || RUNTIMES.contains(&name) || name.starts_with(b"memfd:")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mk_exec(flags: u32, exe: &'static str) -> ExecRecord<'static> {
        ExecRecord {
            flags,
            exe: exe.as_bytes(),
            parent_exe: b"/usr/sbin/runc",
            ..ExecRecord::default()
        }
    }

    #[test]
    fn origins() {
        let origin = |flags| origin_of(&mk_exec(flags, "/x"));
        assert_eq!(origin(flags::ROOT_FS | flags::OVERLAY), Some(Origin::Image));
        assert_eq!(
            origin(flags::ROOT_FS | flags::OVERLAY | flags::OVERLAY_UPPER),
            Some(Origin::Dropped)
        );
        assert_eq!(origin(0), Some(Origin::Dropped), "a volume");
        assert_eq!(origin(flags::ROOT_FS), None, "a plain directory tells nothing");
        assert_eq!(origin(flags::MEMFD | flags::DETACHED), Some(Origin::Memory));
    }

    #[test]
    fn only_a_process_from_outside_can_be_set_up() {
        assert!(is_runtime_setup(&mk_exec(flags::SETUP, "/usr/sbin/runc")));
        assert!(is_runtime_setup(&mk_exec(
            flags::SETUP,
            "/memfd:runc_cloned:/proc/self/exe"
        )));
        assert!(
            !is_runtime_setup(&mk_exec(0, "/usr/sbin/runc")),
            "a file named runc in a container"
        );
        assert!(
            !is_runtime_setup(&mk_exec(flags::SETUP, "/bin/sh")),
            "no mount namespace of its own"
        );
    }
}
