//! The table of live processes: what records say of each, put together.

use std::collections::HashMap;
use std::sync::Arc;

use runtime_core::event::Origin;
use runtime_core::process::{
    Ancestor, Credentials, InvokedName, Namespaces, Parent, ParentExe, Process, ProcessIdentity,
};
use runtime_core::{BootTime, CgroupId, FileId, Pid, ProcessKey, RawString, Timestamp};

use crate::origin::origin_of;
use crate::seed::TICK;
use crate::wire::{Actor, ExecRecord, ExitRecord, ForkRecord, Header, flags};

/// How many ancestors are kept of each process.
const MAX_ANCESTORS: usize = 16;

/// The kernel's clock and the wall clock, read at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClockPair {
    /// The kernel's clock.
    pub(crate) boot: BootTime,
    /// The wall clock.
    pub(crate) wall: Timestamp,
}

impl ClockPair {
    /// The wall-clock time of a kernel time in nanoseconds.
    pub(crate) fn wall_time(&self, nanos: u64) -> Timestamp {
        BootTime::from_nanos(nanos).to_wall(self.boot, self.wall)
    }
}

/// Live processes by their id on the host.
///
/// Events say all that profiles need by themselves; the table adds the line of ancestors, and knows what a
/// process was when it exits. It is bounded: past the limit, the oldest half of it is forgotten.
#[derive(Debug)]
pub(crate) struct ProcessTable {
    entries: HashMap<u32, Entry>,
    limit: usize,
}

#[derive(Debug, Clone)]
struct Entry {
    start: u64,
    seeded: bool,
    /// When the process that forked it started.
    parent_start: u64,
    /// The program it runs; `None` for a runtime process, and where the exec was not seen.
    image: Option<Arc<Process>>,
    ancestors: Arc<[Ancestor]>,
}

impl ProcessTable {
    /// An empty table for at most `limit` processes.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            entries: HashMap::new(),
            limit: limit.max(2),
        }
    }

    /// Takes in a process that was there before the sensor.
    pub(crate) fn seed(&mut self, process: Process) {
        let (pid, start) = (process.pid.0, process.start_boot.as_nanos());
        let entry = Entry {
            start,
            seeded: true,
            parent_start: process.parent.start_boot.as_nanos(),
            ancestors: process.ancestors.as_slice().into(),
            image: Some(Arc::new(process)),
        };
        self.insert(pid, entry);
    }

    /// Takes in a fork: the child runs what its parent runs.
    pub(crate) fn fork(&mut self, fork: &ForkRecord) {
        let parent = self
            .entries
            .get(&fork.parent_pid)
            .filter(|entry| entry.started(fork.parent_start));
        let entry = match parent {
            Some(parent) if fork.flags & flags::PARENT_RUNTIME == 0 => Entry {
                start: fork.start,
                seeded: false,
                parent_start: fork.parent_start,
                image: parent.image.clone(),
                ancestors: match &parent.image {
                    Some(image) => line(Pid(fork.parent_pid), &image.exe, image.origin, &parent.ancestors),
                    None => [].into(),
                },
            },
            _ => Entry {
                start: fork.start,
                seeded: false,
                parent_start: fork.parent_start,
                image: None,
                ancestors: [].into(),
            },
        };
        self.insert(fork.pid, entry);
    }

    /// Takes in an exec and returns the process as it is from then on.
    pub(crate) fn exec(&mut self, header: &Header, exec: &ExecRecord<'_>, clock: &ClockPair) -> Arc<Process> {
        let mut parent = parent_of(exec);
        if exec.parent_exe.is_empty() && exec.has(flags::PARENT_TRUNCATED) {
            // A long path that the kernel had no more room for.
            let seen = self.entries.get(&exec.parent_pid);
            let image = seen
                .filter(|entry| entry.started(exec.parent_start))
                .and_then(|entry| entry.image.as_ref());
            if let (ParentExe::Unknown, Some(image)) = (&parent.exe, image) {
                parent.exe = ParentExe::Path(image.exe.clone());
            }
        }
        let known = self
            .entries
            .get(&exec.pid)
            .filter(|entry| entry.started(exec.start));
        let ancestors = match (&parent.exe, known) {
            (ParentExe::Path(_), Some(entry)) if !entry.ancestors.is_empty() => Arc::clone(&entry.ancestors),
            (ParentExe::Path(path), _) => {
                let above = self
                    .entries
                    .get(&exec.parent_pid)
                    .filter(|e| e.started(exec.parent_start));
                let origin = above
                    .and_then(|entry| entry.image.as_ref())
                    .filter(|image| image.exe == *path)
                    .and_then(|image| image.origin);
                line(
                    parent.pid,
                    path,
                    origin,
                    above.map_or(&[], |entry| &entry.ancestors),
                )
            }
            (ParentExe::Runtime | ParentExe::Unknown, _) => [].into(),
        };
        let process = Arc::new(process_of(header, exec, clock, parent, ancestors.to_vec()));
        let image = Some(Arc::clone(&process));
        let entry = Entry {
            start: exec.start,
            seeded: false,
            parent_start: exec.parent_start,
            image,
            ancestors,
        };
        self.insert(exec.pid, entry);
        process
    }

    /// Takes in an exit and returns the process as it was; `None` when it was not known, or was a runtime
    /// process.
    pub(crate) fn exit(&mut self, exit: &ExitRecord) -> Option<Arc<Process>> {
        // An entry of another start time is of a later process with the same number: it stays.
        if !self.entries.get(&exit.pid)?.started(exit.start) {
            return None;
        }
        self.entries.remove(&exit.pid)?.into_process(exit.pid)
    }

    /// A process as it is now: after a fork without an exec, what its parent runs under its own number.
    pub(crate) fn process(&self, pid: Pid) -> Option<Arc<Process>> {
        self.entries.get(&pid.0)?.clone().into_process(pid.0)
    }

    /// The process that made a system call, with the ids that it has now.
    ///
    /// One that the table does not know, or knows by another executable (an exec was lost), is put together from
    /// what the record says.
    pub(crate) fn actor(&mut self, header: &Header, actor: &Actor<'_>, clock: &ClockPair) -> Arc<Process> {
        let exe_marked = actor.has(flags::EXE_TRUNCATED) || actor.has(flags::EXE_DETACHED);
        if let Some(entry) = self.entries.get_mut(&actor.pid)
            && entry.started(actor.start)
            && let Some(image) = &entry.image
            && (exe_marked || *image.exe == *actor.exe)
        {
            let own = image.pid.0 == actor.pid && entry.started(image.start_boot.as_nanos());
            if !own {
                entry.image = entry.clone().into_process(actor.pid);
            }
            if let Some(image) = &mut entry.image {
                let ids = &image.credentials;
                if (ids.uid, ids.gid, ids.euid) != (actor.uid, actor.gid, actor.euid) {
                    let changed = Arc::make_mut(image);
                    changed.credentials.uid = actor.uid;
                    changed.credentials.gid = actor.gid;
                    changed.credentials.euid = actor.euid;
                }
                return Arc::clone(image);
            }
        }
        let process = Arc::new(unknown_process(header, actor, clock));
        let entry = Entry {
            start: actor.start,
            seeded: false,
            parent_start: 0,
            image: Some(Arc::clone(&process)),
            ancestors: [].into(),
        };
        self.insert(actor.pid, entry);
        process
    }

    /// The process with this number and start.
    pub(crate) fn by_key(&self, key: ProcessKey) -> Option<Arc<Process>> {
        let entry = self.entries.get(&key.pid.0)?;
        entry
            .started(key.start.as_nanos())
            .then(|| entry.clone().into_process(key.pid.0))
            .flatten()
    }

    /// The process that another one of its PID namespace knows by this number. It looks at all of them: this is for
    /// what is rare.
    pub(crate) fn by_container_pid(&self, namespace: u32, number: u32) -> Option<Arc<Process>> {
        let is_it = |image: &Process| image.namespaces.pid == namespace && image.container_pid.0 == number;
        self.entries
            .values()
            .filter_map(|entry| entry.image.as_ref())
            .find(|image| is_it(image))
            .cloned()
    }

    /// What is known of a process's ids before what is being taken in now.
    pub(crate) fn credentials(&self, pid: u32, start: u64) -> Option<&Credentials> {
        let entry = self.entries.get(&pid).filter(|entry| entry.started(start))?;
        Some(&entry.image.as_ref()?.credentials)
    }

    /// Takes note of a process's effective capabilities.
    pub(crate) fn set_capabilities(&mut self, pid: u32, effective: u64) {
        if let Some(entry) = self.entries.get_mut(&pid)
            && let Some(image) = &mut entry.image
            && image.credentials.effective_caps != effective
        {
            Arc::make_mut(image).credentials.effective_caps = effective;
        }
    }

    fn insert(&mut self, pid: u32, entry: Entry) {
        if self.entries.len() >= self.limit && !self.entries.contains_key(&pid) {
            // Exits were lost, or there are more processes than the table is for. Halving it makes the cost
            // of finding the old ones vanish.
            let mut starts: Vec<u64> = self.entries.values().map(|entry| entry.start).collect();
            let middle = starts.len() / 2;
            let (_, &mut median, _) = starts.select_nth_unstable(middle);
            self.entries.retain(|_, entry| entry.start > median);
        }
        self.entries.insert(pid, entry);
    }
}

impl Entry {
    /// Whether this is the process of that start time. One that was read from `/proc` has it in ticks only.
    fn started(&self, start: u64) -> bool {
        self.start == start || (self.seeded && start / TICK * TICK == self.start)
    }

    fn into_process(self, pid: u32) -> Option<Arc<Process>> {
        let image = self.image?;
        if image.pid.0 == pid && image.start_boot.as_nanos() == self.start {
            return Some(image);
        }
        let parent = Parent {
            pid: self.ancestors.first().map_or(image.pid, |ancestor| ancestor.pid),
            start_boot: BootTime::from_nanos(self.parent_start),
            exe: ParentExe::Path(image.exe.clone()),
            inferred: false,
        };
        Some(Arc::new(Process {
            pid: Pid(pid),
            start_boot: BootTime::from_nanos(self.start),
            parent,
            ancestors: self.ancestors.to_vec(),
            ..Process::clone(&image)
        }))
    }
}

/// A process of which nothing was seen before it made a system call.
fn unknown_process(header: &Header, actor: &Actor<'_>, clock: &ClockPair) -> Process {
    let exe = marked_path(
        actor.exe,
        actor.has(flags::EXE_TRUNCATED),
        actor.has(flags::EXE_DETACHED),
    );
    let parent_exe = if actor.has(flags::PARENT_RUNTIME) {
        ParentExe::Runtime
    } else if actor.parent_exe.is_empty() {
        ParentExe::Unknown
    } else {
        ParentExe::Path(marked_path(
            actor.parent_exe,
            actor.has(flags::PARENT_TRUNCATED),
            actor.has(flags::PARENT_DETACHED),
        ))
    };
    let name = actor.exe.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    Process {
        pid: Pid(actor.pid),
        container_pid: Pid(0),
        start_boot: BootTime::from_nanos(actor.start),
        start_time: clock.wall_time(actor.start),
        file: FileId { device: 0, inode: 0 },
        origin: None,
        identity: ProcessIdentity::resolve(&exe, InvokedName::Executable(actor.exe), &[], b"/"),
        args: Vec::new(),
        args_truncated: true,
        args_count: 0,
        cwd: RawString::default(),
        comm: name[..name.len().min(15)].into(),
        credentials: Credentials {
            uid: actor.uid,
            gid: actor.gid,
            euid: actor.euid,
            effective_caps: 0,
            permitted_caps: 0,
        },
        cgroup: CgroupId(header.cgroup),
        namespaces: Namespaces { pid: 0, mount: 0 },
        parent: Parent {
            pid: Pid(0),
            start_boot: BootTime::from_nanos(0),
            exe: parent_exe,
            inferred: true,
        },
        ancestors: Vec::new(),
        exe,
    }
}

/// A line of ancestors: the parent, then those above it.
fn line(parent: Pid, exe: &RawString, origin: Option<Origin>, above: &[Ancestor]) -> Arc<[Ancestor]> {
    let first = Ancestor {
        pid: parent,
        path: exe.clone(),
        origin,
    };
    std::iter::once(first)
        .chain(above.iter().take(MAX_ANCESTORS - 1).cloned())
        .collect()
}

fn parent_of(exec: &ExecRecord<'_>) -> Parent {
    let exe = if exec.has(flags::PARENT_RUNTIME) {
        ParentExe::Runtime
    } else if exec.parent_exe.is_empty() {
        ParentExe::Unknown
    } else {
        ParentExe::Path(marked_path(
            exec.parent_exe,
            exec.has(flags::PARENT_TRUNCATED),
            exec.has(flags::PARENT_DETACHED),
        ))
    };
    Parent {
        pid: Pid(exec.parent_pid),
        start_boot: BootTime::from_nanos(exec.parent_start),
        exe,
        inferred: exec.has(flags::PARENT_INFERRED),
    }
}

fn process_of(
    header: &Header,
    exec: &ExecRecord<'_>,
    clock: &ClockPair,
    parent: Parent,
    ancestors: Vec<Ancestor>,
) -> Process {
    let exe = exe_path(exec);
    let args = split_args(exec.args);
    let invoked = if exec.has(flags::SCRIPT) {
        InvokedName::Script {
            script: exec.filename,
            interpreter: exec.interp,
        }
    } else if exec.filename.is_empty() || names_descriptor(exec.filename) {
        InvokedName::Descriptor
    } else {
        InvokedName::Executable(exec.filename)
    };
    let comm_end = exec
        .comm
        .iter()
        .position(|&byte| byte == 0)
        .unwrap_or(exec.comm.len());
    Process {
        pid: Pid(exec.pid),
        container_pid: Pid(exec.container_pid),
        start_boot: BootTime::from_nanos(exec.start),
        start_time: clock.wall_time(exec.start),
        file: FileId {
            device: exec.device,
            inode: exec.inode,
        },
        origin: origin_of(exec),
        identity: ProcessIdentity::resolve(&exe, invoked, &args, exec.cwd),
        exe,
        args,
        args_truncated: exec.has(flags::ARGS_TRUNCATED) || exec.has(flags::ARGS_UNREADABLE),
        args_count: exec.args_count,
        cwd: marked_path(exec.cwd, exec.has(flags::CWD_TRUNCATED), false),
        comm: exec.comm[..comm_end].into(),
        credentials: Credentials {
            uid: exec.uid,
            gid: exec.gid,
            euid: exec.euid,
            effective_caps: exec.effective_caps,
            permitted_caps: exec.permitted_caps,
        },
        cgroup: CgroupId(header.cgroup),
        namespaces: Namespaces {
            pid: exec.pid_namespace,
            mount: exec.mount_namespace,
        },
        parent,
        ancestors,
    }
}

/// The path of what was executed; one that is not a whole path of the container is marked, so that it equals none.
pub(crate) fn exe_path(exec: &ExecRecord<'_>) -> RawString {
    let detached = exec.has(flags::DETACHED) && !exec.has(flags::MEMFD);
    marked_path(exec.exe, exec.has(flags::EXE_TRUNCATED), detached)
}

/// `(truncated)` stands before a path whose head is missing, `(detached)` before one that leads to the root of a
/// mount which is not in the process's mount namespace: whoever makes such a mount chooses what that path is.
pub(crate) fn marked_path(path: &[u8], truncated: bool, detached: bool) -> RawString {
    let mark: &[u8] = match (truncated, detached) {
        (false, false) => return path.into(),
        (true, _) => b"(truncated)",
        (false, true) => b"(detached)",
    };
    [mark, path].concat().into()
}

/// Arguments as the kernel lays them out: each ends with a NUL.
pub(crate) fn split_args(bytes: &[u8]) -> Vec<RawString> {
    let bytes = bytes.strip_suffix(b"\0").unwrap_or(bytes);
    if bytes.is_empty() {
        return Vec::new();
    }
    bytes.split(|&byte| byte == 0).map(RawString::from).collect()
}

/// `/dev/fd/N`: what the kernel calls a file that was given as a descriptor alone (`execveat`).
fn names_descriptor(filename: &[u8]) -> bool {
    filename
        .strip_prefix(b"/dev/fd/")
        .is_some_and(|number| !number.is_empty() && number.iter().all(u8::is_ascii_digit))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLOCK: ClockPair = ClockPair {
        boot: BootTime::from_nanos(1_000),
        wall: Timestamp::from_unix_nanos(1_000_000),
    };
    const HEADER: Header = Header {
        cpu: 0,
        sequence: 0,
        time: 900,
        cgroup: 77,
    };

    fn mk_exec(pid: u32, parent_pid: u32, exe: &'static str, parent: &'static str) -> ExecRecord<'static> {
        ExecRecord {
            pid,
            start: u64::from(pid) * 10,
            parent_pid,
            parent_start: u64::from(parent_pid) * 10,
            exe: exe.as_bytes(),
            filename: exe.as_bytes(),
            parent_exe: parent.as_bytes(),
            args: b"x\0y\0",
            ..ExecRecord::default()
        }
    }

    fn mk_fork(pid: u32, parent_pid: u32) -> ForkRecord {
        ForkRecord {
            pid,
            start: u64::from(pid) * 10,
            parent_pid,
            parent_start: u64::from(parent_pid) * 10,
            ..ForkRecord::default()
        }
    }

    fn paths(process: &Process) -> Vec<String> {
        process
            .ancestors
            .iter()
            .map(|ancestor| ancestor.path.to_string())
            .collect()
    }

    #[test]
    fn ancestors_outlive_their_processes() {
        let mut table = ProcessTable::new(100);
        let entrypoint = ExecRecord {
            flags: flags::PARENT_RUNTIME,
            ..mk_exec(1, 0, "/init", "/runc")
        };
        let init = table.exec(&HEADER, &entrypoint, &CLOCK);
        assert_eq!((&init.parent.exe, paths(&init)), (&ParentExe::Runtime, vec![]));
        table.fork(&mk_fork(2, 1));
        table.exec(&HEADER, &mk_exec(2, 1, "/bin/sh", "/init"), &CLOCK);
        table.fork(&mk_fork(3, 2));
        table.exit(&ExitRecord {
            pid: 2,
            start: 20,
            status: 0,
        });
        let leaf = table.exec(&HEADER, &mk_exec(3, 2, "/bin/id", "/bin/sh"), &CLOCK);
        assert_eq!(paths(&leaf), ["/bin/sh", "/init"]);
    }

    #[test]
    fn a_reused_number_is_another_process() {
        let mut table = ProcessTable::new(100);
        table.exec(&HEADER, &mk_exec(5, 1, "/old", "/init"), &CLOCK);
        let reused = ExecRecord {
            start: 999,
            ..mk_exec(5, 1, "/new", "/init")
        };
        table.exec(&HEADER, &reused, &CLOCK);
        // The exit of the old one comes late: it must not take the new one away.
        assert_eq!(
            table.exit(&ExitRecord {
                pid: 5,
                start: 50,
                status: 0
            }),
            None
        );
        assert_eq!(table.process(Pid(5)).unwrap().exe, RawString::from("/new"));
        // A child of the old one does not get the new one's line.
        table.fork(&ForkRecord {
            parent_start: 50,
            ..mk_fork(6, 5)
        });
        let child = table.exec(&HEADER, &mk_exec(6, 5, "/child", "/old"), &CLOCK);
        assert_eq!(paths(&child), ["/old"]);
    }

    #[test]
    fn a_lost_fork_still_leaves_the_parent() {
        let mut table = ProcessTable::new(100);
        let process = table.exec(&HEADER, &mk_exec(9, 8, "/bin/id", "/bin/sh"), &CLOCK);
        assert_eq!(process.parent.exe, ParentExe::Path("/bin/sh".into()));
        assert_eq!(paths(&process), ["/bin/sh"]);
    }

    #[test]
    fn a_fork_without_an_exec_exits_as_itself() {
        let mut table = ProcessTable::new(100);
        table.exec(&HEADER, &mk_exec(1, 0, "/bin/sh", "/init"), &CLOCK);
        table.fork(&mk_fork(2, 1));
        let gone = table
            .exit(&ExitRecord {
                pid: 2,
                start: 20,
                status: 0,
            })
            .unwrap();
        assert_eq!((gone.pid, gone.exe.to_string()), (Pid(2), "/bin/sh".to_owned()));
    }

    #[test]
    fn a_flood_of_processes_leaves_the_table_bounded() {
        let mut table = ProcessTable::new(100);
        for pid in 1..10_000 {
            table.exec(&HEADER, &mk_exec(pid, 1, "/bin/true", "/init"), &CLOCK);
            assert!(table.entries.len() <= 100);
        }
        assert!(table.process(Pid(9_999)).is_some(), "the newest stays");
    }

    #[test]
    fn arguments_and_names() {
        let mut table = ProcessTable::new(10);
        let script = ExecRecord {
            flags: flags::SCRIPT | flags::ARGS_TRUNCATED,
            filename: b"./run.sh",
            interp: b"/bin/sh",
            cwd: b"/app",
            args: b"/bin/sh\0./run.sh\0\0last",
            args_count: 900,
            ..mk_exec(1, 0, "/bin/busybox", "/init")
        };
        let process = table.exec(&HEADER, &script, &CLOCK);
        let args: Vec<String> = process.args.iter().map(ToString::to_string).collect();
        assert_eq!(args, ["/bin/sh", "./run.sh", "", "last"]);
        assert!(process.args_truncated);
        assert_eq!(process.args_count, 900);
        assert_eq!(process.identity.script, Some("/app/run.sh".into()));
        let by_descriptor = ExecRecord {
            filename: b"/dev/fd/7",
            ..mk_exec(2, 0, "/memfd:x", "/init")
        };
        assert_eq!(
            table.exec(&HEADER, &by_descriptor, &CLOCK).identity.invoked_as,
            None
        );
    }
}
