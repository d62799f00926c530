//! Kinds of events: what can be told from an event at one glance, and decided when rules are loaded.

use std::sync::LazyLock;

use runtime_core::event::network::NetworkOperation;
use runtime_core::event::system::{MemoryWay, NamespaceWay};
use runtime_core::event::{FileOperation, Open};
use runtime_core::{Activity, Event, EventClass, Syscall, SystemActivity};

use super::super::hash::FastMap;

/// A kind of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Kind {
    pub(in super::super) class: EventClass,
    /// The system call that stands for it; `None` for exits and DNS.
    pub(in super::super) call: Option<Syscall>,
    /// For opens.
    pub(in super::super) access: Option<Access>,
    /// Its place in [`Kind::all`].
    pub(in super::super) index: usize,
}

/// How a file is opened, as far as it is told by flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Access {
    pub(in super::super) reads: bool,
    pub(in super::super) writes: bool,
    /// Whether the call makes a file that is not there.
    pub(in super::super) creates: bool,
}

impl Access {
    /// `O_CREAT`, and `O_TMPFILE` without the bit that says that it is a directory.
    const CREATES: u32 = Open::CREATE | 0o20_000_000;

    /// The one of this place among all of them.
    fn nth(index: usize) -> Self {
        Self {
            reads: index & 1 != 0,
            writes: index & 2 != 0,
            creates: index & 4 != 0,
        }
    }

    pub(in super::super) fn of(open: Open) -> Self {
        Self {
            reads: open.reads(),
            writes: open.writes(),
            creates: open.created || open.flags & Self::CREATES != 0,
        }
    }

    fn index(self) -> usize {
        usize::from(self.reads) | usize::from(self.writes) << 1 | usize::from(self.creates) << 2
    }
}

/// Calls that open files.
const OPENS: &[Syscall] = {
    use Syscall::{creat, open, open_by_handle_at, openat, openat2};
    &[open, openat, openat2, open_by_handle_at, creat]
};

/// Calls that do something else to files.
#[rustfmt::skip]
const FILES: &[Syscall] = &[
    Syscall::chmod, Syscall::chown, Syscall::fchmod, Syscall::fchmodat, Syscall::fchmodat2,
    Syscall::fchown, Syscall::fchownat, Syscall::ftruncate, Syscall::lchown, Syscall::link,
    Syscall::linkat, Syscall::mkdir, Syscall::mkdirat, Syscall::mknod, Syscall::mknodat,
    Syscall::pwrite64, Syscall::pwritev, Syscall::pwritev2, Syscall::rename, Syscall::renameat,
    Syscall::renameat2, Syscall::rmdir, Syscall::symlink, Syscall::symlinkat, Syscall::truncate,
    Syscall::unlink, Syscall::unlinkat, Syscall::write, Syscall::writev,
];

/// Calls on sockets.
#[rustfmt::skip]
const SOCKETS: &[Syscall] = &[
    Syscall::accept, Syscall::accept4, Syscall::bind, Syscall::connect, Syscall::listen,
    Syscall::recvfrom, Syscall::recvmmsg, Syscall::recvmsg, Syscall::sendmmsg, Syscall::sendmsg,
    Syscall::sendto, Syscall::socket, Syscall::socketpair, Syscall::write, Syscall::writev,
];

/// Calls that start programs, and calls that make processes.
const EXECS: &[Syscall] = &[Syscall::execve, Syscall::execveat];
const FORKS: &[Syscall] = &[Syscall::clone, Syscall::clone3, Syscall::fork, Syscall::vfork];

/// Calls that make events of the class `System`: all that are in no other list, and these.
const BOTH: &[Syscall] = {
    use Syscall::{clone, clone3, pwrite64, pwritev, pwritev2, write, writev};
    &[clone, clone3, pwrite64, pwritev, pwritev2, write, writev]
};

struct Table {
    kinds: Vec<Kind>,
    /// The first kind for a class and a call; those of opens are followed by their siblings.
    places: FastMap<(EventClass, Syscall), usize>,
    exit: usize,
    dns: usize,
}

static TABLE: LazyLock<Table> = LazyLock::new(Table::new);

impl Table {
    fn new() -> Self {
        let mut table = Self {
            kinds: Vec::new(),
            places: FastMap::default(),
            exit: 0,
            dns: 0,
        };
        let none = std::slice::from_ref(&None);
        let opens: [_; 8] = std::array::from_fn(|index| Some(Access::nth(index)));
        table.add(EventClass::Exec, EXECS, none);
        table.add(EventClass::Fork, FORKS, none);
        table.exit = table.push(EventClass::Exit, None, None);
        table.add(EventClass::File, OPENS, &opens);
        table.add(EventClass::File, FILES, none);
        table.add(EventClass::Network, SOCKETS, none);
        table.dns = table.push(EventClass::Dns, None, None);
        let elsewhere = [EXECS, FORKS, OPENS, FILES, SOCKETS].concat();
        let all = Syscall::ALL.iter().copied();
        let system: Vec<Syscall> = all
            .filter(|call| BOTH.contains(call) || !elsewhere.contains(call))
            .collect();
        table.add(EventClass::System, &system, none);
        table
    }

    fn add(&mut self, class: EventClass, calls: &[Syscall], accesses: &[Option<Access>]) {
        for &call in calls {
            self.places.insert((class, call), self.kinds.len());
            for &access in accesses {
                self.push(class, Some(call), access);
            }
        }
    }

    fn push(&mut self, class: EventClass, call: Option<Syscall>, access: Option<Access>) -> usize {
        let index = self.kinds.len();
        self.kinds.push(Kind {
            class,
            call,
            access,
            index,
        });
        index
    }
}

impl Kind {
    /// All kinds.
    pub(in super::super) fn all() -> &'static [Self] {
        &TABLE.kinds
    }

    /// The kind that an event is of.
    ///
    /// An event that no call is known of, or one that does not make such events, counts as made by the usual
    /// call for what it did.
    pub(in super::super) fn of(event: &Event) -> &'static Self {
        let table = &*TABLE;
        let class = event.activity.class();
        let usual = match &event.activity {
            Activity::Dns(_) => return &table.kinds[table.dns],
            Activity::Exec(_) => Syscall::execve,
            Activity::Fork => Syscall::clone,
            Activity::File(file) => usual_file_call(file.operation),
            Activity::Network(network) => usual_socket_call(network.operation),
            Activity::System(system) => usual_system_call(system),
            // An exit, or something that is not known here and that no rule has to do with.
            _ => return &table.kinds[table.exit],
        };
        let opens = match &event.activity {
            Activity::File(file) => match file.operation {
                FileOperation::Open(open) => Some(Access::of(open)),
                _ => None,
            },
            _ => None,
        };
        let made = event.call.map(|call| call.syscall).filter(|&call| {
            table.places.contains_key(&(class, call)) && (opens.is_some() == OPENS.contains(&call))
        });
        let place = table.places[&(class, made.unwrap_or(usual))];
        &table.kinds[place + opens.map_or(0, Access::index)]
    }

    /// What `evt.type` is.
    pub(in super::super) fn type_name(&self) -> &'static str {
        match (self.call, self.class) {
            (Some(call), _) => call.name(),
            (None, EventClass::Dns) => "dns",
            (None, _) => "procexit",
        }
    }
}

fn usual_file_call(operation: FileOperation) -> Syscall {
    match operation {
        FileOperation::Truncate => Syscall::truncate,
        FileOperation::Rename => Syscall::rename,
        FileOperation::Link => Syscall::link,
        FileOperation::Symlink => Syscall::symlink,
        FileOperation::Unlink => Syscall::unlink,
        FileOperation::Rmdir => Syscall::rmdir,
        FileOperation::Mkdir { .. } => Syscall::mkdir,
        FileOperation::Mknod { .. } => Syscall::mknod,
        FileOperation::Chmod { .. } => Syscall::chmod,
        FileOperation::Chown { .. } => Syscall::chown,
        FileOperation::Open(_) => Syscall::openat,
        // Something that is not known here: a write says the least wrong.
        _ => Syscall::write,
    }
}

fn usual_socket_call(operation: NetworkOperation) -> Syscall {
    match operation {
        NetworkOperation::Socket => Syscall::socket,
        NetworkOperation::Bind => Syscall::bind,
        NetworkOperation::Listen => Syscall::listen,
        NetworkOperation::Accept => Syscall::accept4,
        NetworkOperation::Send => Syscall::sendto,
        _ => Syscall::connect,
    }
}

fn usual_system_call(activity: &SystemActivity) -> Syscall {
    match activity {
        SystemActivity::Mount { .. } => Syscall::mount,
        SystemActivity::Unmount { .. } => Syscall::umount2,
        SystemActivity::PivotRoot { .. } => Syscall::pivot_root,
        SystemActivity::Ptrace { .. } => Syscall::ptrace,
        SystemActivity::WriteMemory { way, .. } => match way {
            MemoryWay::ProcFile => Syscall::write,
            _ => Syscall::process_vm_writev,
        },
        SystemActivity::Signal { .. } => Syscall::kill,
        SystemActivity::Namespaces { way, .. } => match way {
            NamespaceWay::Enter => Syscall::setns,
            NamespaceWay::Clone => Syscall::clone,
            _ => Syscall::unshare,
        },
        SystemActivity::SetIds { .. } => Syscall::setuid,
        SystemActivity::SetCapabilities { .. } => Syscall::capset,
        SystemActivity::LoadModule { .. } => Syscall::finit_module,
        SystemActivity::UnloadModule { .. } => Syscall::delete_module,
        SystemActivity::Bpf { .. } => Syscall::bpf,
        SystemActivity::Keyctl { .. } => Syscall::keyctl,
        SystemActivity::Userfaultfd { .. } => Syscall::userfaultfd,
        SystemActivity::IoUringSetup { .. } => Syscall::io_uring_setup,
        SystemActivity::Memfd { .. } => Syscall::memfd_create,
        SystemActivity::ExecutableMemory { .. } => Syscall::mmap,
        SystemActivity::SocketToStandardStream { .. } => Syscall::dup2,
        SystemActivity::Setsid => Syscall::setsid,
        // Something that is not known here; `prctl` is what has no event of its own.
        _ => Syscall::prctl,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_makes_some_kind_of_event() {
        for &call in Syscall::ALL {
            assert!(Kind::all().iter().any(|kind| kind.call == Some(call)), "{call}");
        }
    }

    #[test]
    fn kinds_know_their_places() {
        for (at, kind) in Kind::all().iter().enumerate() {
            assert_eq!(kind.index, at);
        }
    }
}
