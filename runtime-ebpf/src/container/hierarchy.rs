//! Which cgroup hierarchy holds the containers, and where it is mounted.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// The hierarchy in which containers are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CgroupController {
    /// The cgroup v2 tree.
    Unified,
    /// The v1 tree of the memory controller.
    Memory,
    /// The v1 tree of the pids controller.
    Pids,
    /// The v1 tree of the cpu controller.
    Cpu,
    /// The v1 tree of the devices controller.
    Devices,
    /// The v1 tree of the freezer.
    Freezer,
}

impl CgroupController {
    /// The v1 controllers that runtimes always join, the preferred one first.
    const V1: [Self; 5] = [Self::Memory, Self::Pids, Self::Cpu, Self::Devices, Self::Freezer];

    /// The name in mount options and in `/proc/PID/cgroup`; empty for the v2 tree, as there.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unified => "",
            Self::Memory => "memory",
            Self::Pids => "pids",
            Self::Cpu => "cpu",
            Self::Devices => "devices",
            Self::Freezer => "freezer",
        }
    }

    /// The path of a process in this hierarchy, from the text of its `/proc/PID/cgroup`.
    ///
    /// The path is relative to the reader's cgroup namespace, as the kernel writes it (`cgroups(7)`).
    pub(crate) fn path_in(self, proc_cgroup: &[u8]) -> Option<&[u8]> {
        proc_cgroup.split(|&byte| byte == b'\n').find_map(|line| {
            let mut fields = line.splitn(3, |&byte| byte == b':');
            let (hierarchy, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
            let ours = match self {
                Self::Unified => hierarchy == b"0" && controllers.is_empty(),
                _ => has_token(controllers, self.name().as_bytes()),
            };
            ours.then_some(path)
        })
    }
}

/// The cgroup hierarchy that the index and the kernel programs agree on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CgroupHierarchy {
    controller: CgroupController,
    mount_point: PathBuf,
    freezer: Option<PathBuf>,
}

impl CgroupHierarchy {
    /// Chooses from the text of a `/proc/PID/mountinfo` (`proc_pid_mountinfo(5)`): a v1 controller that
    /// runtimes always join where one is mounted, the v2 tree otherwise; `None` when there is neither.
    ///
    /// Where a hierarchy is mounted more than once, a mount of its root is preferred to a mount of a part
    /// of it, then a mount below `host_root`, then the first. Mount points below `host_root` are given as
    /// the host has them.
    pub fn from_mountinfo(mountinfo: &[u8], host_root: &Path) -> Option<Self> {
        let mounts = parse_mounts(mountinfo, host_root);
        let best = |wanted: &dyn Fn(&CgroupMount) -> bool| best_mount(&mounts, wanted);
        let v1 = |controller: CgroupController| {
            best(&|mount| !mount.unified && has_token(mount.options, controller.name().as_bytes()))
        };
        let chosen = CgroupController::V1
            .into_iter()
            .find_map(|controller| v1(controller).map(|mount_point| (controller, mount_point)))
            .or_else(|| best(&|mount| mount.unified).map(|mount| (CgroupController::Unified, mount)));
        let (controller, mount_point) = chosen?;
        let freezer = match controller {
            CgroupController::Unified => None,
            _ => v1(CgroupController::Freezer),
        };
        Some(Self {
            controller,
            mount_point,
            freezer,
        })
    }

    /// Where the v2 tree is mounted, whatever hierarchy containers are found in: chosen as above.
    pub(crate) fn unified_from_mountinfo(mountinfo: &[u8], host_root: &Path) -> Option<PathBuf> {
        best_mount(&parse_mounts(mountinfo, host_root), &|mount| mount.unified)
    }

    /// The hierarchy.
    pub fn controller(&self) -> CgroupController {
        self.controller
    }

    /// Where it is mounted, as the host has it.
    pub fn mount_point(&self) -> &Path {
        &self.mount_point
    }

    /// Where the v1 freezer is mounted, as the host has it; `None` on v2, where each cgroup has one.
    pub fn freezer_mount_point(&self) -> Option<&Path> {
        self.freezer.as_deref()
    }
}

fn parse_mounts<'a>(mountinfo: &'a [u8], host_root: &Path) -> Vec<CgroupMount<'a>> {
    mountinfo
        .split(|&byte| byte == b'\n')
        .filter_map(|line| CgroupMount::parse(line, host_root))
        .collect()
}

fn best_mount(mounts: &[CgroupMount<'_>], wanted: &dyn Fn(&CgroupMount<'_>) -> bool) -> Option<PathBuf> {
    let candidates = mounts.iter().filter(|mount| wanted(mount));
    // The minimum is the first among equals.
    candidates
        .min_by_key(|mount| (!mount.whole, !mount.below_host_root))
        .map(|mount| mount.mount_point.clone())
}

struct CgroupMount<'a> {
    unified: bool,
    /// True when the mount shows the hierarchy from its root. Seen from a cgroup namespace, the real root is
    /// a row of `/..`.
    whole: bool,
    below_host_root: bool,
    mount_point: PathBuf,
    options: &'a [u8],
}

impl<'a> CgroupMount<'a> {
    /// Reads `ID PARENT DEV ROOT MOUNTPOINT OPTIONS [TAG...] - TYPE SOURCE SUPEROPTIONS`.
    fn parse(line: &'a [u8], host_root: &Path) -> Option<Self> {
        let mut fields = line.split(|&byte| byte == b' ');
        let root = fields.nth(3)?;
        let mount_point = PathBuf::from(unescape(fields.next()?));
        let mut after_dash = fields.skip_while(|field| *field != b"-").skip(1);
        let unified = match after_dash.next()? {
            b"cgroup2" => true,
            b"cgroup" => false,
            _ => return None,
        };
        let options = after_dash.nth(1)?;
        let whole = root
            .split(|&byte| byte == b'/')
            .all(|part| part.is_empty() || part == b"..");
        let on_host = mount_point
            .strip_prefix(host_root)
            .ok()
            .map(|path| Path::new("/").join(path));
        Some(Self {
            unified,
            whole,
            below_host_root: on_host.is_some(),
            mount_point: on_host.unwrap_or(mount_point),
            options,
        })
    }
}

/// True when the comma-separated `list` holds `token`.
fn has_token(list: &[u8], token: &[u8]) -> bool {
    list.split(|&byte| byte == b',').any(|item| item == token)
}

/// Takes back the kernel's escapes of white space and backslashes: `\` and three octal digits.
fn unescape(text: &[u8]) -> OsString {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        if let (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', tail @ ..]) = (byte, after) {
            plain.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
            rest = tail;
        } else {
            plain.push(byte);
            rest = after;
        }
    }
    OsString::from_vec(plain)
}

/// The bytes of a path.
pub(crate) fn path_bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HYBRID: &str = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
33 31 0:31 / /sys/fs/cgroup/cpuset rw,relatime - cgroup cgroup rw,cpuset
34 31 0:34 / /sys/fs/cgroup/freezer rw,relatime - cgroup cgroup rw,freezer
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
36 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
37 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";

    fn detect(text: &str) -> Option<(CgroupController, String, Option<String>)> {
        let found = CgroupHierarchy::from_mountinfo(text.as_bytes(), Path::new("/"))?;
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        Some((
            found.controller(),
            text(found.mount_point()),
            found.freezer_mount_point().map(text),
        ))
    }

    #[test]
    fn a_hybrid_machine_uses_a_v1_controller() {
        assert_eq!(
            detect(HYBRID),
            Some((
                CgroupController::Memory,
                "/sys/fs/cgroup/memory".into(),
                Some("/sys/fs/cgroup/freezer".into())
            ))
        );
        let without_memory: String = HYBRID
            .lines()
            .filter(|line| !line.contains("memory"))
            .flat_map(|line| [line, "\n"])
            .collect();
        assert_eq!(detect(&without_memory).unwrap().1, "/sys/fs/cgroup/cpu,cpuacct");
    }

    #[test]
    fn the_v2_tree_is_used_where_only_names_are_v1() {
        let text = "36 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n\
                    37 31 0:38 / /sys/fs/cgroup/uni\\040fied rw shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
        assert_eq!(
            detect(text),
            Some((CgroupController::Unified, "/sys/fs/cgroup/uni fied".into(), None))
        );
        assert_eq!(detect("1 2 0:3 / / rw - ext4 /dev/sda rw\n\nnonsense\n"), None);
    }

    #[test]
    fn the_root_of_a_hierarchy_is_preferred_to_a_part_of_it() {
        let text = "1 0 0:1 /kubepods/podx /part rw - cgroup2 cgroup2 rw\n\
                    2 0 0:1 /../../.. /seen/from/a/namespace rw - cgroup2 cgroup2 rw\n";
        assert_eq!(detect(text).unwrap().1, "/seen/from/a/namespace");
    }

    #[test]
    fn mounts_below_the_host_root_are_given_as_the_host_has_them() {
        let text = "1 0 0:1 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n\
                    2 0 0:1 / /host/sys/fs/cgroup2 rw - cgroup2 cgroup2 rw\n";
        let found = CgroupHierarchy::from_mountinfo(text.as_bytes(), Path::new("/host")).unwrap();
        assert_eq!(found.mount_point(), Path::new("/sys/fs/cgroup2"));
    }

    #[test]
    fn the_path_of_a_process_is_read_per_hierarchy() {
        let text = b"5:devices:/a\n4:memory:/b:c\n1:cpu,cpuacct:/d\n0::/e\n";
        assert_eq!(CgroupController::Memory.path_in(text), Some(&b"/b:c"[..]));
        assert_eq!(CgroupController::Cpu.path_in(text), Some(&b"/d"[..]));
        assert_eq!(CgroupController::Unified.path_in(text), Some(&b"/e"[..]));
        assert_eq!(CgroupController::Pids.path_in(text), None);
    }

    proptest! {
        #[test]
        fn any_text_is_taken(text: Vec<u8>) {
            let _ = CgroupHierarchy::from_mountinfo(&text, Path::new("/"));
            let _ = CgroupController::Memory.path_in(&text);
        }
    }
}
