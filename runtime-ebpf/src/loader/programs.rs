//! Loading single programs, and attaching them.

use std::io::ErrorKind;
use std::os::fd::BorrowedFd;

use aya::programs::{CgroupAttachMode, CgroupSkbAttachType, Program, ProgramError, ProgramFd};
use aya::{Btf, Ebpf};

use crate::capabilities::Attachment;
use crate::error::SensorError;

impl Attachment {
    /// The whole name of the program that is called so for either way.
    pub(super) fn program(self, name: &str) -> String {
        match self {
            Self::Btf => format!("btf_{name}"),
            Self::Raw => format!("raw_{name}"),
        }
    }
}

/// Does something with the program of this name; `None` of it says that the program is not of the right type.
fn with<T>(
    programs: &mut Ebpf,
    name: &str,
    work: impl FnOnce(&mut Program) -> Option<Result<T, ProgramError>>,
) -> Result<T, SensorError> {
    let done = programs.program_mut(name).and_then(work);
    let done = done.ok_or_else(|| SensorError::Missing {
        kind: "program",
        name: name.into(),
    })?;
    done.map_err(|source| SensorError::Program {
        program: name.into(),
        source: Box::new(source),
    })
}

/// Loads a program for a tracepoint without attaching it, and gives a handle to it.
pub(super) fn load(programs: &mut Ebpf, name: &str, hook: &str, btf: &Btf) -> Result<ProgramFd, SensorError> {
    with(programs, name, |program| match program {
        Program::BtfTracePoint(program) => Some(
            program
                .load(hook, btf)
                .and_then(|()| Ok(program.fd()?.try_clone()?)),
        ),
        Program::RawTracePoint(program) => Some(program.load().and_then(|()| Ok(program.fd()?.try_clone()?))),
        _ => None,
    })
}

/// The same for one that is only there for raw tracepoints, for whichever of them.
pub(super) fn load_raw(programs: &mut Ebpf, name: &str) -> Result<ProgramFd, SensorError> {
    with(programs, name, |program| match program {
        Program::RawTracePoint(program) => Some(program.load().and_then(|()| Ok(program.fd()?.try_clone()?))),
        _ => None,
    })
}

/// Loads a program and attaches it to a tracepoint.
pub(super) fn attach(programs: &mut Ebpf, name: &str, hook: &str, btf: &Btf) -> Result<(), SensorError> {
    with(programs, name, |program| match program {
        Program::BtfTracePoint(program) => {
            Some(program.load(hook, btf).and_then(|()| program.attach().map(drop)))
        }
        Program::RawTracePoint(program) => Some(program.load().and_then(|()| program.attach(hook).map(drop))),
        _ => None,
    })
}

/// Loads a program and attaches it to the first of these raw tracepoints that the kernel has; to none where it has none.
pub(super) fn attach_first(programs: &mut Ebpf, name: &str, hooks: &[&str]) -> Result<(), SensorError> {
    with(programs, name, |program| {
        let Program::RawTracePoint(program) = program else {
            return None;
        };
        let mut attached = program.load();
        for hook in hooks {
            attached = attached.and_then(|()| program.attach(hook).map(drop));
            match attached {
                Err(ProgramError::SyscallError(error)) if error.io_error.kind() == ErrorKind::NotFound => {
                    attached = Ok(());
                }
                _ => break,
            }
        }
        Some(attached)
    })
}

/// Loads a program and attaches it to the packets of a cgroup and all below it.
pub(super) fn attach_packets(
    programs: &mut Ebpf,
    name: &str,
    cgroup: BorrowedFd<'_>,
    direction: CgroupSkbAttachType,
) -> Result<(), SensorError> {
    with(programs, name, |program| {
        let Program::CgroupSkb(program) = program else {
            return None;
        };
        Some(program.load().and_then(|()| {
            // As a link, which other programs can always be beside: the kernel takes no flag for it.
            let mode = CgroupAttachMode::Single;
            program.attach(cgroup, direction, mode).map(drop)
        }))
    })
}
