//! What processes do to the system, to their own privileges and to each other.

use serde::{Deserialize, Serialize};

use crate::id::{ContainerId, Pid};
use crate::raw::RawString;

/// Something that concerns the system, privileges or another process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
#[non_exhaustive]
pub enum SystemActivity {
    /// A file system was mounted, or a mount changed or moved.
    Mount {
        /// What was mounted: a device, a directory, or a word.
        #[serde(with = "crate::raw::exact")]
        source: RawString,
        /// Where.
        #[serde(with = "crate::raw::exact")]
        target: RawString,
        /// The file system's type; empty where the call names none.
        #[serde(with = "crate::raw::exact")]
        fs_type: RawString,
        /// `MS_…`, as numbered on Linux.
        flags: u64,
    },
    /// A mount was taken away.
    Unmount {
        /// Where it was.
        #[serde(with = "crate::raw::exact")]
        target: RawString,
        /// `MNT_…`, as numbered on Linux.
        flags: u64,
    },
    /// The root mount was exchanged.
    PivotRoot {
        /// The new root.
        #[serde(with = "crate::raw::exact")]
        new_root: RawString,
        /// Where the old one went.
        #[serde(with = "crate::raw::exact")]
        put_old: RawString,
    },
    /// Another process was traced.
    Ptrace {
        /// `PTRACE_…`, as numbered on Linux.
        request: u64,
        /// Whom.
        target: OtherProcess,
    },
    /// Another process's memory was written.
    WriteMemory {
        /// Through what.
        way: MemoryWay,
        /// Whose.
        target: OtherProcess,
    },
    /// A signal was sent to a process outside the sender's container.
    Signal {
        /// Its number.
        signal: u32,
        /// To whom.
        target: OtherProcess,
    },
    /// Namespaces were entered or made.
    Namespaces {
        /// How.
        way: NamespaceWay,
        /// `CLONE_NEW…`, as numbered on Linux; for an entry 0 where the kernel was to take any.
        kinds: u64,
    },
    /// User or group ids were changed.
    SetIds {
        /// Real user id before and after.
        uid: (u32, u32),
        /// Effective user id before and after.
        euid: (u32, u32),
    },
    /// Capabilities were set.
    SetCapabilities {
        /// The effective set before and after, one bit each as numbered on Linux.
        effective: (u64, u64),
    },
    /// A kernel module was loaded.
    LoadModule {
        /// The file it came from; empty where it came from memory.
        #[serde(with = "crate::raw::exact")]
        path: RawString,
    },
    /// A kernel module was removed.
    UnloadModule {
        /// Its name.
        #[serde(with = "crate::raw::exact")]
        name: RawString,
    },
    /// A BPF command.
    Bpf {
        /// `BPF_…`, as numbered on Linux; 5 loads a program.
        command: u64,
    },
    /// A key or key ring of the kernel was used.
    Keyctl {
        /// `KEYCTL_…`, as numbered on Linux.
        command: u64,
    },
    /// Page faults are handled in user space.
    Userfaultfd {
        /// The flags of the call.
        flags: u64,
    },
    /// A queue was made through which the kernel carries out what else are system calls.
    IoUringSetup {
        /// How many entries it has.
        entries: u64,
    },
    /// A file was made that is only in memory.
    Memfd {
        /// Its name, which can be any.
        #[serde(with = "crate::raw::exact")]
        name: RawString,
        /// `MFD_…`, as numbered on Linux.
        flags: u64,
    },
    /// Memory was made writable and executable at once.
    ExecutableMemory {
        /// `PROT_…`, as numbered on Linux.
        protection: u64,
        /// The file that is mapped there; `None` for anonymous memory.
        #[serde(with = "crate::raw::exact::option", default)]
        file: Option<RawString>,
    },
    /// A socket became a standard input, output or error.
    SocketToStandardStream {
        /// The standard stream: 0, 1 or 2.
        stream: u32,
        /// The socket's other side, where it has one.
        remote: Option<super::network::Endpoint>,
    },
    /// A new session was made.
    Setsid,
}

impl SystemActivity {
    /// One word for it, as alerts have it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Mount { .. } => "mount",
            Self::Unmount { .. } => "umount",
            Self::PivotRoot { .. } => "pivot_root",
            Self::Ptrace { .. } => "ptrace",
            Self::WriteMemory { .. } => "write_memory",
            Self::Signal { .. } => "signal",
            Self::Namespaces { .. } => "namespaces",
            Self::SetIds { .. } => "set_ids",
            Self::SetCapabilities { .. } => "set_capabilities",
            Self::LoadModule { .. } => "load_module",
            Self::UnloadModule { .. } => "unload_module",
            Self::Bpf { .. } => "bpf",
            Self::Keyctl { .. } => "keyctl",
            Self::Userfaultfd { .. } => "userfaultfd",
            Self::IoUringSetup { .. } => "io_uring_setup",
            Self::Memfd { .. } => "memfd_create",
            Self::ExecutableMemory { .. } => "executable_memory",
            Self::SocketToStandardStream { .. } => "socket_to_standard_stream",
            Self::Setsid => "setsid",
        }
    }

    /// What it was done to, where that has a name.
    pub fn target(&self) -> Option<RawString> {
        match self {
            Self::Mount { target, .. } | Self::Unmount { target, .. } => Some(target.clone()),
            Self::PivotRoot { new_root, .. } => Some(new_root.clone()),
            Self::Ptrace { target, .. } | Self::WriteMemory { target, .. } | Self::Signal { target, .. } => {
                Some(match &target.exe {
                    Some(exe) => exe.clone(),
                    None => RawString::from(target.pid.to_string().as_str()),
                })
            }
            Self::LoadModule { path } => Some(path.clone()),
            Self::UnloadModule { name } | Self::Memfd { name, .. } => Some(name.clone()),
            Self::ExecutableMemory { file, .. } => file.clone(),
            Self::SocketToStandardStream { remote, .. } => remote
                .as_ref()
                .map(|remote| RawString::from(remote.to_string().as_str())),
            Self::Namespaces { .. }
            | Self::SetIds { .. }
            | Self::SetCapabilities { .. }
            | Self::Bpf { .. }
            | Self::Keyctl { .. }
            | Self::Userfaultfd { .. }
            | Self::IoUringSetup { .. }
            | Self::Setsid => None,
        }
    }
}

/// A process that something was done to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OtherProcess {
    /// Process id on the host; 0 where the number was not resolved.
    pub pid: Pid,
    /// Its executable's path; `None` where unknown.
    #[serde(with = "crate::raw::exact::option", default)]
    pub exe: Option<RawString>,
    /// Its container, `None` for a process of the host or one that is not known.
    pub container: Option<ContainerId>,
}

/// Ways to write another process's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum MemoryWay {
    /// `process_vm_writev(2)`.
    ProcessVm,
    /// A write to `/proc/PID/mem`.
    ProcFile,
}

/// Ways to change namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum NamespaceWay {
    /// `setns(2)`.
    Enter,
    /// `unshare(2)`.
    Unshare,
    /// `clone(2)`, for the child.
    Clone,
}
