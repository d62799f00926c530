//! Holding a container still, so that killing it cannot be outrun by forking.
//!
//! On v2 (kernel 5.2) every cgroup has a freezer, and a frozen process dies of SIGKILL at once. On v1 the
//! freezer is a hierarchy of its own, where the container may have another path, and SIGKILL takes effect
//! only when the cgroup is thawed: no instruction of the program runs before it.

use std::os::fd::OwnedFd;
use std::time::Duration;

use crate::container::{CgroupController, CgroupTree, ProcDir, last_component};

use super::victims::{Victims, for_each_cgroup, read_control, write_control};

/// Processes in uninterruptible sleep do not freeze: after so long, what runs on is signalled as it runs.
pub(super) const PATIENCE: Duration = Duration::from_millis(50);

/// A cgroup tree that freezes or is frozen; dropping it thaws.
#[derive(Debug)]
pub(super) struct Frozen {
    dir: OwnedFd,
    unified: bool,
}

impl Frozen {
    /// Begins to freeze a container; `None` where that cannot be done without touching anybody else.
    pub(super) fn begin(
        tree: &CgroupTree,
        proc: &ProcDir,
        cgroup: &OwnedFd,
        path: &[u8],
        victims: &mut Victims,
    ) -> Option<Self> {
        match tree.hierarchy().controller() {
            CgroupController::Unified => Self::unified(cgroup),
            _ => Self::v1(tree, proc, cgroup, path, victims),
        }
    }

    fn unified(cgroup: &OwnedFd) -> Option<Self> {
        let dir = cgroup.try_clone().ok()?;
        write_control(&dir, "cgroup.freeze", "1").ok()?;
        Some(Self { dir, unified: true })
    }

    fn v1(
        tree: &CgroupTree,
        proc: &ProcDir,
        cgroup: &OwnedFd,
        path: &[u8],
        victims: &mut Victims,
    ) -> Option<Self> {
        let listed = victims.remaining(cgroup).ok()?;
        let text = listed.iter().find_map(|&pid| proc.cgroups(pid).ok())?;
        let frozen_path = CgroupController::Freezer.path_in(&text)?;
        // A runtime gives a container's cgroup the same name in every hierarchy.
        let name = last_component(path)?.1;
        let same_name = |part: &[u8]| part == name;
        let end = frozen_path.split(|&byte| byte == b'/').position(same_name)?;
        let own: Vec<&[u8]> = frozen_path.split(|&byte| byte == b'/').take(end + 1).collect();
        let dir = tree.open_freezer(&own.join(&b'/')).ok()?;
        let in_freezer = victims.remaining(&dir).ok()?;
        if in_freezer.iter().any(|pid| victims.spared.contains(pid)) {
            return None;
        }
        write_control(&dir, "freezer.state", "FROZEN").ok()?;
        Some(Self { dir, unified: false })
    }

    /// True when everything that can stands still.
    pub(super) fn is_still(&self) -> bool {
        if self.unified {
            read_control(&self.dir, "cgroup.events")
                .is_ok_and(|text| text.windows(8).any(|part| part == b"frozen 1"))
        } else {
            read_control(&self.dir, "freezer.state").is_ok_and(|text| text.starts_with(b"FROZEN"))
        }
    }

    /// False when others than the container's processes were frozen with them: those we have no business with,
    /// and the caller thaws them by dropping this.
    ///
    /// Nothing moves now, so that the two lists can be compared.
    pub(super) fn holds_only(&self, cgroup: &OwnedFd, victims: &mut Victims) -> bool {
        if self.unified {
            return true;
        }
        let lists = victims.remaining(cgroup).and_then(|ours| {
            let frozen = victims.remaining(&self.dir)?;
            Ok((ours, frozen))
        });
        lists.is_ok_and(|(ours, frozen)| frozen.iter().all(|pid| ours.contains(pid)))
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        let (name, value) = if self.unified {
            ("cgroup.freeze", "0")
        } else {
            ("freezer.state", "THAWED")
        };
        // The container may have frozen a part of itself, in which SIGKILL would wait for ever.
        let _ = write_control(&self.dir, name, value);
        let _ = for_each_cgroup(&self.dir, |dir| {
            let _ = write_control(dir, name, value);
            Ok(true)
        });
    }
}
