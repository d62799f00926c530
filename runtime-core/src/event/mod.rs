//! What a sensor delivers.

pub mod call;
pub mod dns;
pub mod file;
pub mod network;
pub mod record;
pub mod system;

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::container::Container;
use crate::id::{CgroupId, FileId, Sha256Digest};
use crate::process::Process;
use crate::raw::RawString;
use crate::time::{BootTime, Timestamp};

pub use call::{Call, Syscall};
pub use dns::{DnsActivity, DnsAnswer, DomainName};
pub use file::{FileActivity, FileOperation, Open};
pub use network::{Endpoint, NetworkActivity, NetworkOperation, Protocol};
pub use system::{MemoryWay, NamespaceWay, OtherProcess, SystemActivity};

/// One thing that a sensor has to say.
///
/// Exhaustive on purpose: whoever consumes a sensor must decide what a loss means to them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SensorItem {
    /// A process did something.
    Event(Event),
    /// A container appeared; it comes before the first event of that container.
    ContainerStarted(Arc<Container>),
    /// A container is gone; it comes after the last event of that container.
    ContainerStopped(Arc<Container>),
    /// Events were lost.
    Lost(Loss),
}

/// What one process did, with all that is known of the process at that moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// When, on the wall clock.
    pub time: Timestamp,
    /// When, in the kernel's clock.
    pub boot_time: BootTime,
    /// Whether it was done or only tried when the event was made.
    pub outcome: Outcome,
    /// How far the event's subject can be trusted.
    pub trust: Trust,
    /// The system call that made it; `None` for execs, forks and exits, and where no single call did.
    pub call: Option<Call>,
    /// The container it happened in; `None` for a process of the host.
    pub container: Option<Arc<Container>>,
    /// Who did it. For an exec that was carried out this is the process with its new executable.
    pub process: Arc<Process>,
    /// What was done.
    pub activity: Activity,
}

/// Whether something was carried out or only attempted at the moment its event was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Asked for; whether it succeeded is not known.
    Attempted,
    /// Carried out.
    Done,
}

/// Where the subject of an event comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Trust {
    /// From a kernel object: it is what the kernel acted on.
    Kernel,
    /// From an argument in user memory: another thread may have changed it meanwhile.
    Argument,
}

/// What a process did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Activity {
    /// It executed a file.
    Exec(Exec),
    /// It came into being by a fork and runs its parent's executable.
    Fork,
    /// Its last thread exited.
    Exit(Exit),
    /// It did something to a file.
    File(FileActivity),
    /// It did something with a socket.
    Network(NetworkActivity),
    /// It asked for a name, or got an answer.
    Dns(DnsActivity),
    /// It did something to the system, to its privileges or to another process.
    System(SystemActivity),
}

impl Activity {
    /// The class that loss is counted in.
    pub fn class(&self) -> EventClass {
        match self {
            Self::Exec(_) => EventClass::Exec,
            Self::Fork => EventClass::Fork,
            Self::Exit(_) => EventClass::Exit,
            Self::File(_) => EventClass::File,
            Self::Network(_) => EventClass::Network,
            Self::Dns(_) => EventClass::Dns,
            Self::System(_) => EventClass::System,
        }
    }
}

/// The file side of an exec; names, arguments and credentials are in [`Event::process`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Exec {
    /// The executable's path in the container, from the kernel's file object.
    #[serde(with = "crate::raw::exact")]
    pub path: RawString,
    /// The executable's device and inode.
    pub file: FileId,
    /// Its size in bytes.
    pub size: u64,
    /// Where its content comes from; `None` where the file system does not tell.
    pub origin: Option<Origin>,
    /// True when the file had no name left in any directory.
    pub deleted: bool,
    /// The content's digest, where somebody computed it.
    pub sha256: Option<Sha256Digest>,
    /// True for the first exec of a container whose start was seen: its entrypoint.
    pub startup: bool,
}

/// Where the content of an executable comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// Unmodified from the container's image.
    Image,
    /// Written since the container started, or on a volume.
    Dropped,
    /// An anonymous file in memory (`memfd_create`).
    Memory,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Exit {
    /// The exit code, when it called exit.
    pub code: u8,
    /// The signal that ended it; 0 when it called exit.
    pub signal: u8,
}

/// Classes of events that are counted, filtered and lost apart from each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum EventClass {
    /// Executions.
    Exec,
    /// New processes.
    Fork,
    /// Ended processes.
    Exit,
    /// Cgroups made, removed and joined: what containers are found by.
    Cgroup,
    /// What is done to files.
    File,
    /// What is done with sockets.
    Network,
    /// DNS questions and answers.
    Dns,
    /// What concerns the system, privileges and other processes.
    System,
}

impl EventClass {
    /// All classes.
    pub const ALL: [Self; 8] = [
        Self::Exec,
        Self::Fork,
        Self::Exit,
        Self::Cgroup,
        Self::File,
        Self::Network,
        Self::Dns,
        Self::System,
    ];
}

impl fmt::Display for EventClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Exec => "exec",
            Self::Fork => "fork",
            Self::Exit => "exit",
            Self::Cgroup => "cgroup",
            Self::File => "file",
            Self::Network => "network",
            Self::Dns => "dns",
            Self::System => "system",
        })
    }
}

/// Events that the kernel made and nobody saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// Where they happened.
    pub cgroup: CgroupId,
    /// The container of that cgroup, where there is one.
    pub container: Option<Arc<Container>>,
    /// What kind of events.
    pub class: EventClass,
    /// How many since the last report.
    pub count: u64,
}
