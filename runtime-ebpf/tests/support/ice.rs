//! Keeping processes from dying, on every kernel.

use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_flag, fsmount, fsopen,
};

use super::{TestCgroup, eventually, unique, within};

/// Processes frozen in a cgroup of the v1 freezer that is of no container: there SIGKILL waits until they thaw,
/// as it does in uninterruptible sleep. Dropping it thaws them.
///
/// The hierarchy need not be mounted, and is mounted nowhere that anybody else could find it: where there is
/// only v2, that stays so for everybody.
pub struct Ice {
    dir: PathBuf,
    root: PathBuf,
    _mount: OwnedFd,
}

impl Ice {
    /// Freezes what a cgroup holds now.
    pub fn around(cgroup: &TestCgroup) -> Self {
        let context = fsopen("cgroup", FsOpenFlags::FSOPEN_CLOEXEC).unwrap();
        fsconfig_set_flag(&context, "freezer").unwrap();
        fsconfig_create(&context).expect("this test needs the v1 freezer (CONFIG_CGROUP_FREEZER)");
        let mount = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty()).unwrap();
        let root = PathBuf::from(format!("/proc/self/fd/{}", mount.as_raw_fd()));
        let dir = root.join(unique("ice"));
        fs::create_dir(&dir).unwrap();
        for pid in cgroup.pids() {
            fs::write(dir.join("cgroup.procs"), pid.to_string()).unwrap();
        }
        let ice = Self {
            dir,
            root,
            _mount: mount,
        };
        fs::write(ice.state(), "FROZEN").unwrap();
        eventually("it freezes", || {
            fs::read_to_string(ice.state()).is_ok_and(|state| state.starts_with("FROZEN"))
        });
        ice
    }

    fn state(&self) -> PathBuf {
        self.dir.join("freezer.state")
    }
}

impl Drop for Ice {
    fn drop(&mut self) {
        let _ = fs::write(self.state(), "THAWED");
        // Those that are not yet dead go where they were, so that the cgroup can be removed.
        let left = fs::read_to_string(self.dir.join("cgroup.procs")).unwrap_or_default();
        for pid in left.lines() {
            let _ = fs::write(self.root.join("cgroup.procs"), pid);
        }
        within(Duration::from_secs(3), || fs::remove_dir(&self.dir).is_ok());
    }
}
