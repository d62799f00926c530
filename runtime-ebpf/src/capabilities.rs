//! What the kernel offers, probed once by trying, and what follows from it.
//!
//! [`Capabilities::probe`] looks; [`plan_hooks`] decides, and is pure; only then anything is loaded.

use std::fmt;
use std::path::Path;

use aya::maps::MapType;
use aya::programs::{Program, ProgramType};
use aya::sys::{is_map_supported, is_program_supported};
use aya::{Btf, EbpfLoader};

use crate::error::SensorError;
use crate::object;

/// The oldest kernel whose tracepoints, helpers and ring buffers the programs are written for.
pub const MINIMUM_KERNEL: KernelVersion = KernelVersion { major: 5, minor: 10 };

/// A kernel's version, as far as features depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct KernelVersion {
    /// The first number.
    pub major: u32,
    /// The second number.
    pub minor: u32,
}

impl KernelVersion {
    /// From the text of `uname -r`, such as `6.1.0-44-cloud-amd64`.
    pub fn parse(release: &str) -> Option<Self> {
        let mut numbers = release.split(|c: char| !c.is_ascii_digit());
        Some(Self {
            major: numbers.next()?.parse().ok()?,
            minor: numbers.next()?.parse().ok()?,
        })
    }
}

impl fmt::Display for KernelVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is the answer to a question of its own"
)]
pub struct Capabilities {
    /// The kernel's release, as `uname -r` prints it.
    pub release: String,
    /// Whether this process may load programs and attach them to tracepoints (`CAP_BPF` and `CAP_PERFMON`,
    /// or `CAP_SYS_ADMIN`).
    pub privileged: bool,
    /// Whether the kernel describes its types, which CO-RE needs (`CONFIG_DEBUG_INFO_BTF`).
    pub btf: bool,
    /// Whether BTF tracepoints load.
    pub btf_tracepoints: bool,
    /// Whether raw tracepoints load.
    pub raw_tracepoints: bool,
    /// Whether ring buffers can be made.
    pub ring_buffer: bool,
}

impl Capabilities {
    /// Tries everything. It loads empty programs and makes small maps, and leaves nothing behind.
    pub fn probe() -> Self {
        let release = rustix::system::uname().release().to_string_lossy().into_owned();
        let privileged = may_load_programs();
        // Without the privilege each probe would say no for a reason that has nothing to do with the kernel.
        let program = |kind| privileged && is_program_supported(kind).unwrap_or(false);
        let btf = Path::new("/sys/kernel/btf/vmlinux").exists();
        Self {
            release,
            privileged,
            btf,
            btf_tracepoints: btf && privileged && loads_btf_tracepoint(),
            raw_tracepoints: program(ProgramType::RawTracePoint),
            ring_buffer: privileged && is_map_supported(MapType::RingBuf).unwrap_or(false),
        }
    }
}

impl fmt::Display for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            release,
            privileged,
            btf,
            btf_tracepoints,
            raw_tracepoints,
            ring_buffer,
        } = self;
        let yes = |is: &bool| if *is { "yes" } else { "no" };
        writeln!(f, "kernel            {release}")?;
        writeln!(f, "privileged        {}", yes(privileged))?;
        writeln!(f, "BTF               {}", yes(btf))?;
        writeln!(f, "BTF tracepoints   {}", yes(btf_tracepoints))?;
        writeln!(f, "raw tracepoints   {}", yes(raw_tracepoints))?;
        write!(f, "ring buffer       {}", yes(ring_buffer))
    }
}

/// How the programs are attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HookPlan {
    /// The tier of the design that this is.
    pub tier: u8,
    /// How each tracepoint is attached.
    pub attachment: Attachment,
}

/// Ways to attach to a tracepoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attachment {
    /// As a BTF tracepoint (`tp_btf`), kernel 5.5 and newer with BTF.
    Btf,
    /// As a raw tracepoint (`raw_tp`), kernel 4.17 and newer.
    Raw,
}

/// The tracepoints that processes and containers are followed by.
pub const HOOKS: [&str; 6] = [
    "sched_process_fork",
    "sched_process_exec",
    "sched_process_exit",
    "cgroup_mkdir",
    "cgroup_rmdir",
    "cgroup_attach_task",
];

impl fmt::Display for HookPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = match self.attachment {
            Attachment::Btf => "tp_btf",
            Attachment::Raw => "raw_tp",
        };
        write!(f, "hook tier         {}", self.tier)?;
        HOOKS
            .iter()
            .try_for_each(|hook| write!(f, "\n  {hook:<20} {how}, after the fact"))
    }
}

/// Decides how to hook, or says what is missing.
pub fn plan_hooks(capabilities: &Capabilities) -> Result<HookPlan, SensorError> {
    let Capabilities {
        release,
        privileged,
        btf,
        btf_tracepoints,
        raw_tracepoints,
        ring_buffer,
    } = capabilities;
    if KernelVersion::parse(release).is_some_and(|version| version < MINIMUM_KERNEL) {
        return Err(SensorError::KernelTooOld {
            release: release.clone(),
            needed: MINIMUM_KERNEL,
        });
    }
    if !privileged {
        return Err(SensorError::NotPrivileged);
    }
    if !btf {
        return Err(SensorError::NoBtf);
    }
    if !ring_buffer {
        return Err(SensorError::NoRingBuffer);
    }
    let attachment = match (btf_tracepoints, raw_tracepoints) {
        (true, _) => Attachment::Btf,
        (false, true) => Attachment::Raw,
        (false, false) => return Err(SensorError::NoTracepoints),
    };
    Ok(HookPlan { tier: 3, attachment })
}

/// Tries with a program that does nothing. The kernel's own list of program types does not help: it may
/// allow trampolines, which are of the same type, and not these, or the other way round.
fn loads_btf_tracepoint() -> bool {
    let Ok(btf) = Btf::from_sys_fs() else { return false };
    let Ok(mut object) = EbpfLoader::new().btf(Some(&btf)).load(object::PROBE) else {
        return false;
    };
    match object.program_mut("probe_tp_btf") {
        Some(Program::BtfTracePoint(program)) => program.load("sched_process_exec", &btf).is_ok(),
        _ => false,
    }
}

/// `CAP_SYS_ADMIN`, or `CAP_BPF` with `CAP_PERFMON` (kernel 5.8 and newer), by `capabilities(7)`.
fn may_load_programs() -> bool {
    use rustix::thread::CapabilitySet;
    let Ok(sets) = rustix::thread::capabilities(None) else {
        return false;
    };
    sets.effective.contains(CapabilitySet::SYS_ADMIN)
        || sets
            .effective
            .contains(CapabilitySet::BPF | CapabilitySet::PERFMON)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mk_capabilities() -> Capabilities {
        Capabilities {
            release: "6.1.0-44-cloud-amd64".into(),
            privileged: true,
            btf: true,
            btf_tracepoints: true,
            raw_tracepoints: true,
            ring_buffer: true,
        }
    }

    #[test]
    fn btf_tracepoints_come_first_and_raw_ones_second() {
        let plan = |capabilities: &Capabilities| plan_hooks(capabilities).map(|plan| plan.attachment);
        assert_eq!(plan(&mk_capabilities()).ok(), Some(Attachment::Btf));
        let without = Capabilities {
            btf_tracepoints: false,
            ..mk_capabilities()
        };
        assert_eq!(plan(&without).ok(), Some(Attachment::Raw));
    }

    #[test]
    fn what_is_missing_is_named() {
        let message = |capabilities: Capabilities| plan_hooks(&capabilities).unwrap_err().to_string();
        let old = message(Capabilities {
            release: "4.19.0-27-amd64".into(),
            ..mk_capabilities()
        });
        assert!(old.contains("4.19.0-27-amd64") && old.contains("5.10"), "{old}");
        let unprivileged = message(Capabilities {
            privileged: false,
            ..mk_capabilities()
        });
        assert!(unprivileged.contains("CAP_BPF"), "{unprivileged}");
        let no_btf = message(Capabilities {
            btf: false,
            btf_tracepoints: false,
            ..mk_capabilities()
        });
        assert!(no_btf.contains("CONFIG_DEBUG_INFO_BTF"), "{no_btf}");
        let no_ring = message(Capabilities {
            ring_buffer: false,
            ..mk_capabilities()
        });
        assert!(no_ring.contains("ring buffer"), "{no_ring}");
    }

    #[test]
    fn releases_of_distributions() {
        let parse = |release| KernelVersion::parse(release).map(|version| (version.major, version.minor));
        assert_eq!(parse("5.10.0-33-cloud-amd64"), Some((5, 10)));
        assert_eq!(parse("6.18.44-fc-v595"), Some((6, 18)));
        assert_eq!(parse("7.0"), Some((7, 0)));
        assert_eq!(parse("linux"), None);
    }
}
