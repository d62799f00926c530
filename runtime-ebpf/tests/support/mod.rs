//! Real cgroups and processes for the tests that need root.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part")]

pub mod ice;

use std::fmt::Write;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use runtime_core::{CgroupId, Container, ContainerId};
use runtime_ebpf::container::{ContainerIndex, ContainerOptions};
use tempfile::TempDir;

/// Panics in plain words when the test cannot work for want of privilege.
pub fn need_root() {
    assert!(
        rustix::process::geteuid().is_root(),
        "this test makes cgroups and kills processes: run it as root"
    );
}

/// A name that nothing else on the machine has.
pub fn unique(name: &str) -> String {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    format!("podwarden-test-{}-{count}-{name}", std::process::id())
}

/// Waits up to five seconds.
pub fn eventually(what: &str, done: impl FnMut() -> bool) {
    assert!(within(Duration::from_secs(5), done), "not within 5 s: {what}");
}

/// Waits for a condition; false when it did not come true in time.
pub fn within(time: Duration, mut done: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    loop {
        if done() {
            return true;
        }
        if start.elapsed() > time {
            return false;
        }
        thread::sleep(Duration::from_millis(2));
    }
}

/// True while the process runs: zombies do not.
pub fn is_alive(pid: u32) -> bool {
    let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after_name = state.rsplit_once(')').map_or("", |(_, rest)| rest.trim());
    !after_name.is_empty() && !after_name.starts_with(['Z', 'X'])
}

/// Where a cgroup hierarchy is mounted; empty for the v2 tree.
pub fn mount_of(controller: &str) -> Option<PathBuf> {
    let found = |(unified, options, _): &(bool, String, PathBuf)| match controller {
        "" => *unified,
        _ => !unified && options.split(',').any(|option| option == controller),
    };
    mounts().into_iter().find(found).map(|(.., path)| path)
}

/// Every cgroup hierarchy: whether it is v2, its options, where it is mounted.
fn mounts() -> Vec<(bool, String, PathBuf)> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let parse = |line: &str| {
        let (left, right) = line.split_once(" - ")?;
        let mut right = right.split(' ');
        let kind = right.next().filter(|kind| kind.starts_with("cgroup"))?;
        let path = PathBuf::from(left.split(' ').nth(4)?);
        Some((kind == "cgroup2", right.nth(1)?.to_owned(), path))
    };
    mounts.lines().filter_map(parse).collect()
}

/// One cgroup of the same path in every hierarchy that there is.
pub struct TestCgroup {
    path: String,
    dirs: Vec<PathBuf>,
}

impl TestCgroup {
    pub fn new(name: &str) -> Self {
        Self::at(&format!("/{}", unique(name)))
    }

    pub fn at(path: &str) -> Self {
        need_root();
        let dirs: Vec<PathBuf> = ["", "memory", "pids", "freezer"]
            .iter()
            .filter_map(|controller| Some(mount_of(controller)?.join(&path[1..])))
            .collect();
        for dir in &dirs {
            fs::create_dir_all(dir).unwrap();
        }
        Self {
            path: path.to_owned(),
            dirs,
        }
    }

    pub fn below(&self, name: &str) -> Self {
        Self::at(&format!("{}/{name}", self.path))
    }

    pub fn path(&self) -> &str {
        &self.path
    }

    /// The directory in one hierarchy.
    pub fn dir(&self, controller: &str) -> PathBuf {
        mount_of(controller).unwrap().join(&self.path[1..])
    }

    /// The id in the hierarchy of an index.
    pub fn id(&self, index: &ContainerIndex) -> CgroupId {
        let dir = index.hierarchy().mount_point().join(&self.path[1..]);
        CgroupId(fs::metadata(dir).unwrap().ino())
    }

    /// The container that is in it, as an index would give it.
    pub fn container(&self, index: &ContainerIndex) -> Container {
        Container::unknown(ContainerId::new(&self.path[1..]), self.id(index))
    }

    /// Sets a limit where the hierarchy has it.
    pub fn limit_processes(&self, limit: u32) {
        for dir in &self.dirs {
            let _ = fs::write(dir.join("pids.max"), limit.to_string());
        }
    }

    /// Starts a shell script in it, in these `unshare` namespaces, and waits for its first line of output.
    pub fn start(&self, script: &str, unshare: &[&str]) -> TestProcess {
        let mut join = String::new();
        for dir in &self.dirs {
            write!(join, "echo $$ > {}/cgroup.procs; ", dir.display()).unwrap();
        }
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &format!("{join} exec \"$@\""), "sh"]);
        if !unshare.is_empty() {
            command.arg("unshare").args(unshare);
        }
        command.args(["/bin/sh", "-c", script]);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert!(
            !line.is_empty(),
            "the script ended before it said anything: {script}"
        );
        TestProcess { child }
    }

    /// The processes in it and below.
    pub fn pids(&self) -> Vec<u32> {
        let mut pids = Vec::new();
        for dir in &self.dirs {
            pids_below(dir, &mut pids);
        }
        pids.sort_unstable();
        pids.dedup();
        pids
    }
}

fn pids_below(dir: &Path, pids: &mut Vec<u32>) {
    let text = fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
    pids.extend(text.lines().filter_map(|line| line.parse::<u32>().ok()));
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            pids_below(&entry.path(), pids);
        }
    }
}

fn remove_below(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_below(&entry.path());
        }
    }
    let _ = fs::remove_dir(dir);
}

impl Drop for TestCgroup {
    fn drop(&mut self) {
        // What a failed test has left.
        for dir in &self.dirs {
            let _ = fs::write(dir.join("freezer.state"), "THAWED");
        }
        within(Duration::from_secs(3), || {
            let pids = self.pids();
            for pid in &pids {
                kill(*pid);
            }
            pids.is_empty()
        });
        // A runtime makes it in the other hierarchies as well.
        for (.., mount) in mounts() {
            remove_below(&mount.join(&self.path[1..]));
        }
    }
}

/// Sends SIGKILL.
pub fn kill(pid: u32) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
}

/// A process that is killed at the latest when the test ends.
pub struct TestProcess {
    child: Child,
}

impl TestProcess {
    pub fn new(child: Child) -> Self {
        Self { child }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for TestProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        // One that is frozen does not end yet; its cgroup sees to that.
        within(Duration::from_secs(1), || {
            !matches!(self.child.try_wait(), Ok(None))
        });
    }
}

/// The index of this machine.
pub fn index() -> ContainerIndex {
    need_root();
    ContainerIndex::discover(&ContainerOptions::default()).unwrap()
}

/// Mounts the v2 tree where the machine has only v1 hierarchies; it goes with the machine, or the next boot.
fn mount_v2() -> Option<PathBuf> {
    let path = PathBuf::from("/sys/fs/cgroup/unified");
    fs::create_dir_all(&path).ok()?;
    let mounted = std::process::Command::new("mount")
        .args(["-t", "cgroup2", "cgroup2"])
        .arg(&path)
        .status();
    mounted.is_ok_and(|status| status.success()).then_some(path)
}

/// The index of the v2 tree, also where there are v1 controllers; `None` without a v2 tree.
pub fn index_v2() -> Option<(ContainerIndex, TempDir)> {
    need_root();
    let mount = mount_of("").or_else(mount_v2)?;
    let proc = tempfile::tempdir().unwrap();
    fs::create_dir(proc.path().join("1")).unwrap();
    let line = format!("30 1 0:9 / {} rw - cgroup2 cgroup2 rw\n", mount.display());
    fs::write(proc.path().join("1/mountinfo"), line).unwrap();
    let options = ContainerOptions {
        proc_root: proc.path().to_owned(),
        ..ContainerOptions::default()
    };
    Some((ContainerIndex::discover(&options).unwrap(), proc))
}
