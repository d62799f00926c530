//! The processes of a cgroup tree, and signals that reach only them.

use std::collections::HashSet;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::container::ProcDir;
use crate::container::{child_cgroups, open_below, read_pids};

/// So many processes are looked at to find the main one. The kernel lists early ones first, and in a cgroup
/// of more the time is better spent on killing.
const MAIN_CANDIDATES: usize = 64;
/// So many cgroups are looked into for the main process before the search is left to the rounds of signals,
/// which are nobody's hot path.
const MAIN_CGROUPS: usize = 64;
/// So many processes are signalled beside the main one before anything else is done.
const FEW: usize = 64;
/// So many pidfds are open at a time.
const BATCH: usize = 256;

/// Buffers that are kept, so that the first signal need not wait for the allocator.
#[derive(Debug)]
pub(super) struct Victims {
    text: Vec<u8>,
    pids: Vec<u32>,
    again: Vec<u32>,
    /// Never signalled, wherever they are listed.
    pub(super) spared: [u32; 2],
}

impl Victims {
    pub(super) fn new(own_pid: u32) -> Self {
        Self {
            text: Vec::with_capacity(4096),
            pids: Vec::with_capacity(512),
            again: Vec::with_capacity(512),
            spared: [1, own_pid],
        }
    }

    /// Kills the first process that the container has, the one whose end is the container's end.
    ///
    /// Gives the process that got the signal.
    pub(super) fn kill_main(&mut self, proc: &ProcDir, cgroup: &OwnedFd) -> io::Result<Option<u32>> {
        self.list(cgroup)?;
        if !self.pids.is_empty() {
            return self.kill_oldest(proc, cgroup);
        }
        // With some runtimes, and with an init system inside, all processes are in cgroups below.
        let (mut killed, mut seen) = (None, 0);
        for_each_cgroup(cgroup, |dir| {
            seen += 1;
            self.list(dir)?;
            if self.pids.is_empty() {
                return Ok(seen < MAIN_CGROUPS);
            }
            killed = self.kill_oldest(proc, dir)?;
            Ok(false)
        })?;
        Ok(killed)
    }

    /// Kills the processes of one cgroup, those below left out, when they are few; those who got the signal are
    /// put into `killed`.
    pub(super) fn kill_few(&mut self, cgroup: &OwnedFd, killed: &mut HashSet<u32>) -> io::Result<()> {
        if self.pids.len() > FEW {
            return Ok(());
        }
        match self.kill_in(cgroup, killed) {
            Err(error) if is_disappearance(&error) => Ok(()),
            result => result,
        }
    }

    /// Kills every process that the tree lists now, and puts it into `killed`.
    pub(super) fn kill_listed(&mut self, cgroup: &OwnedFd, killed: &mut HashSet<u32>) -> io::Result<()> {
        for_each_cgroup(cgroup, |dir| self.kill_in(dir, killed).map(|()| true))
    }

    /// The processes that the tree lists now; an error when not all of it could be read.
    pub(super) fn remaining(&mut self, cgroup: &OwnedFd) -> io::Result<Vec<u32>> {
        self.pids.clear();
        for_each_cgroup(cgroup, |dir| {
            read_pids(dir, &mut self.text, &mut self.pids).map(|()| true)
        })?;
        Ok(self.pids.clone())
    }

    fn list(&mut self, dir: &OwnedFd) -> io::Result<()> {
        self.pids.clear();
        read_pids(dir, &mut self.text, &mut self.pids)?;
        let spared = self.spared;
        self.pids.retain(|pid| !spared.contains(pid));
        Ok(())
    }

    fn kill_oldest(&mut self, proc: &ProcDir, dir: &OwnedFd) -> io::Result<Option<u32>> {
        let candidates = &self.pids[..self.pids.len().min(MAIN_CANDIDATES)];
        let oldest = match candidates {
            [] => return Ok(None),
            [only] => *only,
            // Start times are in hundredths of a second: among equals the one whose parent is none of them.
            _ => candidates
                .iter()
                .filter_map(|&pid| Some((pid, proc.stat(pid)?)))
                .min_by_key(|(pid, stat)| (stat.start_ticks, candidates.contains(&stat.parent), *pid))
                .map_or(candidates[0], |(pid, _)| pid),
        };
        let Some(pidfd) = open_pidfd(oldest) else {
            return Ok(None);
        };
        self.again.clear();
        read_pids(dir, &mut self.text, &mut self.again)?;
        let signalled = self.again.contains(&oldest) && pidfd_send_signal(&pidfd, Signal::KILL).is_ok();
        Ok(signalled.then_some(oldest))
    }

    fn kill_in(&mut self, dir: &OwnedFd, killed: &mut HashSet<u32>) -> io::Result<()> {
        self.list(dir)?;
        let pids = std::mem::take(&mut self.pids);
        for batch in pids.chunks(BATCH) {
            let opened: Vec<(u32, OwnedFd)> = batch
                .iter()
                .filter_map(|&pid| Some((pid, open_pidfd(pid)?)))
                .collect();
            self.again.clear();
            read_pids(dir, &mut self.text, &mut self.again)?;
            self.again.sort_unstable();
            for (pid, pidfd) in opened {
                if self.again.binary_search(&pid).is_ok() && pidfd_send_signal(&pidfd, Signal::KILL).is_ok() {
                    killed.insert(pid);
                }
            }
        }
        self.pids = pids;
        Ok(())
    }
}

/// Shows an open cgroup directory and all those below it, until `each` says to stop. One that disappears
/// meanwhile had no processes, and is left out; any other error ends the walk, so that nothing is overlooked.
///
/// As many directories are open as the tree is deep, however many there are.
pub(super) fn for_each_cgroup(
    cgroup: &OwnedFd,
    mut each: impl FnMut(&OwnedFd) -> io::Result<bool>,
) -> io::Result<()> {
    let mut visit = |dir: OwnedFd| -> io::Result<Option<Level>> {
        let result = each(&dir).and_then(|go_on| Ok(go_on.then_some(Level::new(dir)?)));
        match result {
            Err(error) if is_disappearance(&error) => Ok(Some(Level::default())),
            result => result,
        }
    };
    let mut open = match visit(open_below(cgroup, b".")?)? {
        Some(level) => vec![level],
        None => return Ok(()),
    };
    while let Some(level) = open.last_mut() {
        let Some((dir, name)) = level.next() else {
            open.pop();
            continue;
        };
        match open_below(dir, &name) {
            Ok(child) => match visit(child)? {
                Some(level) => open.push(level),
                None => return Ok(()),
            },
            Err(error) if is_disappearance(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// A directory with those in it that were not visited yet.
#[derive(Default)]
struct Level(Option<OwnedFd>, Vec<Vec<u8>>);

impl Level {
    fn new(dir: OwnedFd) -> io::Result<Self> {
        let names = child_cgroups(open_below(&dir, b".")?)
            .map(|(_, name)| name)
            .collect();
        Ok(Self(Some(dir), names))
    }

    fn next(&mut self) -> Option<(&OwnedFd, Vec<u8>)> {
        Some((self.0.as_ref()?, self.1.pop()?))
    }
}

/// True for what the kernel says of a cgroup that was removed.
pub(super) fn is_disappearance(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
        || error.raw_os_error() == Some(rustix::io::Errno::NODEV.raw_os_error())
}

fn open_pidfd(pid: u32) -> Option<OwnedFd> {
    let pid = Pid::from_raw(i32::try_from(pid).ok()?)?;
    pidfd_open(pid, PidfdFlags::empty()).ok()
}

/// Writes to a control file of a cgroup.
pub(super) fn write_control(dir: impl AsFd, name: &str, value: &str) -> io::Result<()> {
    use rustix::fs::{Mode, OFlags};
    let file = rustix::fs::openat(dir, name, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::io::write(&file, value.as_bytes())?;
    Ok(())
}

/// Reads a control file of a cgroup.
pub(super) fn read_control(dir: impl AsFd, name: &str) -> io::Result<Vec<u8>> {
    use rustix::fs::{Mode, OFlags};
    let file = rustix::fs::openat(dir, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let mut text = vec![0; 256];
    let length = rustix::io::read(&file, &mut text[..])?;
    text.truncate(length);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::process::{Child, Command};
    use std::thread::sleep;
    use std::time::Duration;

    use super::*;

    /// Processes of this test, the oldest first, ended at the latest when it ends.
    struct Sleepers(Vec<Child>);

    impl Sleepers {
        fn new(count: usize) -> Self {
            let start = |_| {
                // Start times are in hundredths of a second.
                sleep(Duration::from_millis(25));
                Command::new("sleep").arg("60").spawn().unwrap()
            };
            Self((0..count).map(start).collect())
        }

        fn list(&self, order: &[usize]) -> String {
            let pids: Vec<String> = order.iter().map(|&at| self.0[at].id().to_string()).collect();
            pids.join("\n") + "\n"
        }

        fn is_dead(&mut self, at: usize) -> bool {
            (0..200).any(|_| {
                sleep(Duration::from_millis(1));
                self.0[at].try_wait().unwrap().is_some()
            })
        }

        fn are_alive(&mut self) -> Vec<bool> {
            self.0
                .iter_mut()
                .map(|child| child.try_wait().unwrap().is_none())
                .collect()
        }
    }

    impl Drop for Sleepers {
        fn drop(&mut self) {
            for child in &mut self.0 {
                let _ = child.kill();
                let _ = child.wait();
            }
        }
    }

    /// A directory of plain files for a cgroup: the kernel's files are read the same way.
    fn cgroup(dir: &Path, procs: &str) -> OwnedFd {
        fs::create_dir_all(dir).unwrap();
        fs::write(dir.join("cgroup.procs"), procs).unwrap();
        fs::File::open(dir).unwrap().into()
    }

    fn proc() -> ProcDir {
        ProcDir::open(Path::new("/proc")).unwrap()
    }

    #[test]
    fn the_oldest_process_is_the_main_one_in_whatever_order_they_are_listed() {
        let mut sleepers = Sleepers::new(3);
        let dir = tempfile::tempdir().unwrap();
        let cgroup = cgroup(dir.path(), &sleepers.list(&[2, 0, 1]));
        let killed = Victims::new(0).kill_main(&proc(), &cgroup).unwrap();
        assert_eq!(killed, Some(sleepers.0[0].id()));
        assert!(sleepers.is_dead(0));
        assert_eq!(sleepers.are_alive(), [false, true, true]);
    }

    #[test]
    fn the_main_process_may_be_in_a_cgroup_below() {
        let mut sleepers = Sleepers::new(2);
        let dir = tempfile::tempdir().unwrap();
        cgroup(&dir.path().join("payload/inner"), &sleepers.list(&[1, 0]));
        cgroup(&dir.path().join("payload"), "");
        let cgroup = cgroup(dir.path(), "");
        let killed = Victims::new(0).kill_main(&proc(), &cgroup).unwrap();
        assert_eq!(killed, Some(sleepers.0[0].id()));
        assert!(sleepers.is_dead(0));
        assert_eq!(sleepers.are_alive(), [false, true]);
    }

    #[test]
    fn spared_processes_and_those_of_other_namespaces_get_no_signal() {
        let mut sleepers = Sleepers::new(1);
        let dir = tempfile::tempdir().unwrap();
        let cgroup = cgroup(dir.path(), &format!("0\n1\n{}", sleepers.list(&[0])));
        let mut victims = Victims::new(sleepers.0[0].id());
        let mut killed = HashSet::new();
        assert_eq!(victims.kill_main(&proc(), &cgroup).unwrap(), None);
        victims.kill_few(&cgroup, &mut killed).unwrap();
        victims.kill_listed(&cgroup, &mut killed).unwrap();
        assert!(killed.is_empty());
        assert_eq!(sleepers.are_alive(), [true]);
    }

    #[test]
    fn everything_in_the_tree_is_listed_and_killed_but_nothing_outside() {
        let mut sleepers = Sleepers::new(3);
        let dir = tempfile::tempdir().unwrap();
        cgroup(&dir.path().join("neighbour"), &sleepers.list(&[2]));
        cgroup(&dir.path().join("tree/a/b"), &sleepers.list(&[1]));
        cgroup(&dir.path().join("tree/a"), "");
        let tree = cgroup(&dir.path().join("tree"), &sleepers.list(&[0]));
        let mut victims = Victims::new(0);
        let expected = [0, 1].map(|at| sleepers.0[at].id());
        assert_eq!(victims.remaining(&tree).unwrap(), expected);
        let mut killed = HashSet::new();
        victims.kill_listed(&tree, &mut killed).unwrap();
        assert_eq!(killed, HashSet::from(expected));
        assert!(sleepers.is_dead(0) && sleepers.is_dead(1));
        assert_eq!(sleepers.are_alive(), [false, false, true]);
    }
}
