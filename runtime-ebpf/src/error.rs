//! What can go wrong when the sensor starts or reads.

use std::io;

use crate::capabilities::KernelVersion;
use crate::container::ContainerError;

/// Why there are no events.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SensorError {
    /// The process may not load programs.
    #[error("loading BPF programs needs root, or CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN")]
    NotPrivileged,
    /// The kernel is older than the programs are for.
    #[error("kernel {release} is too old: {needed} or newer is needed")]
    KernelTooOld {
        /// The running kernel.
        release: String,
        /// What is needed.
        needed: KernelVersion,
    },
    /// The v2 tree of cgroups can be neither opened nor mounted, at whose root packets are seen.
    #[error("the v2 tree of cgroups cannot be opened")]
    UnifiedCgroups(#[source] std::io::Error),
    /// The kernel does not describe its types.
    #[error("the kernel has no BTF (/sys/kernel/btf/vmlinux): it must be built with CONFIG_DEBUG_INFO_BTF")]
    NoBtf,
    /// The kernel makes no ring buffers.
    #[error("the kernel makes no BPF ring buffer")]
    NoRingBuffer,
    /// Neither kind of tracepoint program loads.
    #[error("neither BTF tracepoints nor raw tracepoints can be loaded on this kernel")]
    NoTracepoints,
    /// The object cannot be loaded.
    #[error("cannot load the BPF object")]
    Load(#[source] Box<aya::EbpfError>),
    /// The object lacks a part that the loader needs.
    #[error("the BPF object has no {kind} named {name}")]
    Missing {
        /// `program` or `map`.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// The kernel's BTF cannot be read.
    #[error("cannot read the kernel's BTF")]
    Btf(#[source] Box<aya::BtfError>),
    /// A program was refused.
    #[error("cannot load or attach the program {program}")]
    Program {
        /// Its name.
        program: String,
        /// What the kernel says.
        source: Box<aya::programs::ProgramError>,
    },
    /// A map cannot be used.
    #[error("cannot use the map {map}")]
    Map {
        /// Its name.
        map: &'static str,
        /// What the kernel says.
        source: Box<aya::maps::MapError>,
    },
    /// Waiting for events failed.
    #[error("cannot wait for events")]
    Wait(#[source] io::Error),
    /// Containers cannot be found.
    #[error("cannot find containers")]
    Containers(#[from] ContainerError),
    /// The host's namespaces cannot be read, to tell host processes from containers.
    #[error("cannot read the host's namespace at {path}")]
    HostNamespaces {
        /// Where.
        path: std::path::PathBuf,
        /// Why.
        source: io::Error,
    },
}
