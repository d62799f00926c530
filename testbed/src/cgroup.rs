//! Control groups on cgroup v2, hybrid and v1: made in every hierarchy that a runtime would join, and
//! removed again.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::sys;

/// Marks the cgroups that are ours, so that cleaning up never removes one that was there before.
const MARK: &str = "trusted.podwarden-testbed";
/// The v1 controllers that our containers join. The cpuset controller wants CPUs assigned first, and the
/// others say nothing about a container that these do not.
const V1_JOINED: [&str; 5] = ["memory", "pids", "cpu", "devices", "freezer"];

/// A mounted cgroup hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hierarchy {
    /// Where it is mounted.
    pub mount: PathBuf,
    /// Which version, and for v1 which controllers.
    pub kind: Kind,
}

/// The version of a hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Version 2.
    Unified,
    /// Version 1 with these controllers; a named one has `name=…`.
    V1(Vec<String>),
}

impl Hierarchy {
    /// True where our containers join it.
    pub fn is_joined(&self) -> bool {
        match &self.kind {
            Kind::Unified => true,
            Kind::V1(controllers) => controllers.iter().any(|name| V1_JOINED.contains(&name.as_str())),
        }
    }
}

/// A container's cgroup in one hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CgroupDir {
    /// The hierarchy.
    pub hierarchy: Hierarchy,
    /// The cgroup's folder.
    pub path: PathBuf,
}

impl CgroupDir {
    /// The folder's inode number, which is the cgroup's id for the kernel.
    pub fn id(&self) -> Result<u64, Error> {
        use std::os::unix::fs::MetadataExt;
        let metadata = std::fs::metadata(&self.path).map_err(Error::file("stat", &self.path))?;
        Ok(metadata.ino())
    }
}

/// The hierarchies that are mounted here, in the order of `/proc/self/mountinfo`.
pub fn hierarchies() -> Result<Vec<Hierarchy>, Error> {
    let path = "/proc/self/mountinfo";
    let text = std::fs::read_to_string(path).map_err(Error::file("read", path))?;
    Ok(parse_hierarchies(&text))
}

/// The processes of a cgroup, by their ids here.
pub fn processes(cgroup: &Path) -> io::Result<Vec<u32>> {
    let text = std::fs::read_to_string(cgroup.join("cgroup.procs"))?;
    Ok(text
        .lines()
        .filter_map(|line| line.trim().parse().ok())
        .filter(|pid| *pid != 0)
        .collect())
}

/// Makes the cgroup `relative` in each hierarchy; `leaf` says whether the last component too.
pub(crate) fn make(hierarchies: &[Hierarchy], relative: &Path, leaf: bool) -> Result<Vec<CgroupDir>, Error> {
    let mut made = Vec::new();
    for hierarchy in hierarchies {
        let path = hierarchy.mount.join(relative);
        let last = if leaf { Some(path.as_path()) } else { path.parent() };
        if let Some(last) = last {
            make_folders(&hierarchy.mount, last).map_err(Error::file("make the cgroup", last))?;
        }
        made.push(CgroupDir {
            hierarchy: hierarchy.clone(),
            path,
        });
    }
    Ok(made)
}

/// Moves this process into the cgroups.
pub fn join(cgroups: &[PathBuf]) -> Result<(), Error> {
    for cgroup in cgroups {
        let file = cgroup.join("cgroup.procs");
        std::fs::write(&file, "0").map_err(Error::file("join the cgroup", &file))?;
    }
    Ok(())
}

/// Kills every process in the cgroups, and returns once none is left.
pub fn kill(cgroups: &[PathBuf], limit: Duration) -> Result<(), Error> {
    let deadline = Instant::now() + limit;
    loop {
        let mut left = false;
        for pid in cgroups
            .iter()
            .flat_map(|cgroup| processes(cgroup).unwrap_or_default())
        {
            left = true;
            // A process that ended between the two lines is what we want anyway.
            if let Some(pid) = rustix::process::Pid::from_raw(pid as i32) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
        if !left {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(Error::Timeout {
                what: "killing the container's processes",
                limit,
            });
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Removes the cgroups, and those above them that are ours and empty.
pub fn remove(cgroups: &[PathBuf], limit: Duration) -> Result<(), Error> {
    let deadline = Instant::now() + limit;
    for cgroup in cgroups {
        loop {
            match std::fs::remove_dir(cgroup) {
                Ok(()) => break,
                Err(error) if error.kind() == io::ErrorKind::NotFound => break,
                // A process that was killed still counts until the kernel has taken it down.
                Err(error) if error.kind() == io::ErrorKind::ResourceBusy && Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err(source) => return Err(Error::file("remove the cgroup", cgroup)(source)),
            }
        }
        for above in cgroup
            .ancestors()
            .skip(1)
            .take_while(|path| sys::is_marked(path, MARK))
        {
            // Another container may still be in it, and then its end removes it.
            if std::fs::remove_dir(above).is_err() {
                break;
            }
        }
    }
    Ok(())
}

/// Makes `path` and all folders between it and `mount`. Another container's end may remove one of them
/// meanwhile, hence the few attempts.
fn make_folders(mount: &Path, path: &Path) -> io::Result<()> {
    let mut outcome = Ok(());
    for _attempt in 0..5 {
        outcome = make_folders_once(mount, path);
        match &outcome {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            _ => break,
        }
    }
    outcome
}

fn make_folders_once(mount: &Path, path: &Path) -> io::Result<()> {
    let mut missing: Vec<&Path> = path
        .ancestors()
        .take_while(|folder| *folder != mount && !folder.exists())
        .collect();
    while let Some(folder) = missing.pop() {
        match std::fs::create_dir(folder) {
            Ok(()) => sys::mark(folder, MARK)?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn parse_hierarchies(mountinfo: &str) -> Vec<Hierarchy> {
    let mut found: Vec<Hierarchy> = Vec::new();
    for line in mountinfo.lines() {
        let Some((before, after)) = line.split_once(" - ") else {
            continue;
        };
        let Some(mount) = before.split(' ').nth(4) else {
            continue;
        };
        let mut after = after.split(' ');
        let (kind, options) = (after.next(), after.nth(1).unwrap_or_default());
        let kind = match kind {
            Some("cgroup2") => Kind::Unified,
            Some("cgroup") => {
                let controllers = options
                    .split(',')
                    .filter(|option| {
                        !matches!(
                            *option,
                            "rw" | "ro" | "xattr" | "noprefix" | "clone_children" | "cpuset_v2_mode"
                        ) && !option.starts_with("release_agent=")
                    })
                    .map(str::to_owned)
                    .collect();
                Kind::V1(controllers)
            }
            _ => continue,
        };
        // The same hierarchy can be mounted twice; the first is enough.
        if !found.iter().any(|known| known.kind == kind) {
            found.push(Hierarchy {
                mount: PathBuf::from(mount),
                kind,
            });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hybrid_mounts_give_every_hierarchy_once() {
        let mountinfo = "\
22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 22 0:26 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
31 30 0:27 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
32 30 0:28 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
33 30 0:29 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw,nsdelegate
34 22 0:29 / /mnt/again rw,relatime - cgroup2 cgroup2 rw";
        let found = parse_hierarchies(mountinfo);
        assert_eq!(
            found,
            [
                Hierarchy {
                    mount: "/sys/fs/cgroup/cpu,cpuacct".into(),
                    kind: Kind::V1(vec!["cpu".to_owned(), "cpuacct".to_owned()]),
                },
                Hierarchy {
                    mount: "/sys/fs/cgroup/systemd".into(),
                    kind: Kind::V1(vec!["name=systemd".to_owned()]),
                },
                Hierarchy {
                    mount: "/sys/fs/cgroup/unified".into(),
                    kind: Kind::Unified
                },
            ]
        );
        assert_eq!(
            found.iter().map(Hierarchy::is_joined).collect::<Vec<_>>(),
            [true, false, true]
        );
    }
}
