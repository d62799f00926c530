//! The wire between kernel and user space: ring buffer records, as `bpf/events.h` lays them out.
//!
//! Kernel bytes are hostile input like any other: every length and offset is checked, no number becomes an
//! enum unchecked, and a record that is not right in every respect is an error and never a panic.
//!
//! [`Record::decode`] borrows from the record; [`Record::encode`] writes the same record again, which is how
//! tests and recordings make them.

use std::ops::Range;

/// A decoded record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record<'a> {
    /// What all kinds have.
    pub header: Header,
    /// What the kind has of its own.
    pub body: Body<'a>,
}

/// What all kinds of records have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The CPU it happened on.
    pub cpu: u16,
    /// How many records of its class were made on that CPU before.
    pub sequence: u64,
    /// When: `CLOCK_BOOTTIME` in nanoseconds.
    pub time: u64,
    /// The cgroup it happened in.
    pub cgroup: u64,
}

/// The kinds of records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body<'a> {
    /// A process executes a new program.
    Exec(Box<ExecRecord<'a>>),
    /// A process was forked.
    Fork(ForkRecord),
    /// The last thread of a process exited.
    Exit(ExitRecord),
    /// A cgroup was made.
    CgroupMade {
        /// Its path below the root of its hierarchy.
        path: &'a [u8],
    },
    /// A cgroup was removed.
    CgroupRemoved {
        /// Its path below the root of its hierarchy.
        path: &'a [u8],
    },
}

/// `struct exec_event`; see `bpf/events.h` for what the fields mean.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "the fields are those of the C structure, and documented there"
)]
pub struct ExecRecord<'a> {
    pub start: u64,
    pub parent_start: u64,
    pub inode: u64,
    pub size: u64,
    pub effective_caps: u64,
    pub permitted_caps: u64,
    pub args_length: u64,
    pub device: u32,
    pub flags: u32,
    pub pid: u32,
    pub container_pid: u32,
    pub parent_pid: u32,
    pub args_count: u32,
    pub uid: u32,
    pub gid: u32,
    pub euid: u32,
    pub pid_namespace: u32,
    pub mount_namespace: u32,
    pub comm: [u8; 16],
    pub exe: &'a [u8],
    pub filename: &'a [u8],
    pub interp: &'a [u8],
    pub args: &'a [u8],
    pub cwd: &'a [u8],
    pub parent_exe: &'a [u8],
}

impl ExecRecord<'_> {
    /// Whether one of the [`flags`] is set.
    pub fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }
}

/// `struct fork_event`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "the fields are those of the C structure, and documented there"
)]
pub struct ForkRecord {
    pub start: u64,
    pub parent_start: u64,
    pub pid: u32,
    pub container_pid: u32,
    pub parent_pid: u32,
    pub flags: u32,
}

/// `struct exit_event`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "the fields are those of the C structure, and documented there"
)]
pub struct ExitRecord {
    pub start: u64,
    pub pid: u32,
    pub status: u32,
}

/// `enum event_flags`.
#[expect(
    missing_docs,
    reason = "the constants are those of the C enum, and documented there"
)]
pub mod flags {
    pub const EXE_TRUNCATED: u32 = 1 << 0;
    pub const CWD_TRUNCATED: u32 = 1 << 1;
    pub const PARENT_TRUNCATED: u32 = 1 << 2;
    pub const NAME_TRUNCATED: u32 = 1 << 3;
    pub const ARGS_TRUNCATED: u32 = 1 << 4;
    pub const ARGS_UNREADABLE: u32 = 1 << 5;
    pub const SCRIPT: u32 = 1 << 6;
    pub const DELETED: u32 = 1 << 7;
    pub const MEMFD: u32 = 1 << 8;
    pub const OVERLAY: u32 = 1 << 9;
    pub const OVERLAY_UPPER: u32 = 1 << 10;
    pub const ROOT_FS: u32 = 1 << 11;
    pub const DETACHED: u32 = 1 << 12;
    pub const PARENT_RUNTIME: u32 = 1 << 13;
    pub const PARENT_INFERRED: u32 = 1 << 14;
    pub const SETUP: u32 = 1 << 15;
    pub const PARENT_DETACHED: u32 = 1 << 16;
    pub const ESCAPED: u32 = 1 << 17;
}

/// Sizes of the fixed parts, and the numbers of kinds, as in `bpf/events.h`.
#[expect(
    missing_docs,
    reason = "the constants are those of the C header, and documented there"
)]
pub mod layout {
    pub const HEADER: usize = 32;
    pub const EXEC: usize = 176;
    pub const FORK: usize = 64;
    pub const EXIT: usize = 48;
    pub const CGROUP: usize = 40;
    pub const KIND_EXEC: u16 = 1;
    pub const KIND_FORK: u16 = 2;
    pub const KIND_EXIT: u16 = 3;
    pub const KIND_CGROUP_MADE: u16 = 4;
    pub const KIND_CGROUP_REMOVED: u16 = 5;
}

/// Why a record cannot be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// It ends before its fixed part does.
    #[error("record of {length} bytes is shorter than the {needed} bytes of its fixed part")]
    Short {
        /// Bytes there are.
        length: usize,
        /// Bytes there must be.
        needed: usize,
    },
    /// The length that it says it has is not the one it has.
    #[error("record of {length} bytes says that it has {said}")]
    Length {
        /// Bytes there are.
        length: usize,
        /// Bytes it says.
        said: u32,
    },
    /// A kind that there is not.
    #[error("record of unknown kind {0}")]
    Kind(u16),
    /// A byte string that lies outside of the record, or inside of its fixed part.
    #[error("record of {length} bytes has a byte string at {start}..{end}")]
    Tail {
        /// Bytes there are.
        length: usize,
        /// Where the string starts.
        start: usize,
        /// Where it ends.
        end: usize,
    },
}

impl<'a> Record<'a> {
    /// Reads one record.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut fields = Fields::new(bytes, layout::HEADER)?;
        let kind = fields.u16();
        let cpu = fields.u16();
        let said = fields.u32();
        if usize::try_from(said) != Ok(bytes.len()) {
            return Err(DecodeError::Length {
                length: bytes.len(),
                said,
            });
        }
        let header = Header {
            cpu,
            sequence: fields.u64(),
            time: fields.u64(),
            cgroup: fields.u64(),
        };
        let body = match kind {
            layout::KIND_EXEC => Body::Exec(Box::new(decode_exec(bytes)?)),
            layout::KIND_FORK => Body::Fork(decode_fork(bytes)?),
            layout::KIND_EXIT => Body::Exit(decode_exit(bytes)?),
            layout::KIND_CGROUP_MADE => Body::CgroupMade {
                path: decode_cgroup(bytes)?,
            },
            layout::KIND_CGROUP_REMOVED => Body::CgroupRemoved {
                path: decode_cgroup(bytes)?,
            },
            other => return Err(DecodeError::Kind(other)),
        };
        Ok(Self { header, body })
    }

    /// Writes the record as the kernel would.
    ///
    /// Byte strings that do not fit the 16-bit lengths of the wire are cut at 4,096 bytes, as in the kernel.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Encoder(vec![0; layout::HEADER]);
        let kind = match &self.body {
            Body::Exec(exec) => {
                encode_exec(&mut out, exec);
                layout::KIND_EXEC
            }
            Body::Fork(fork) => {
                let ForkRecord {
                    start,
                    parent_start,
                    pid,
                    container_pid,
                    parent_pid,
                    flags,
                } = *fork;
                out.put(&[start, parent_start].map(u64::to_ne_bytes).concat());
                out.put(
                    &[pid, container_pid, parent_pid, flags]
                        .map(u32::to_ne_bytes)
                        .concat(),
                );
                layout::KIND_FORK
            }
            Body::Exit(exit) => {
                let ExitRecord { start, pid, status } = *exit;
                out.put(&start.to_ne_bytes());
                out.put(&[pid, status].map(u32::to_ne_bytes).concat());
                layout::KIND_EXIT
            }
            Body::CgroupMade { path } => {
                encode_tails(&mut out, &[path], layout::CGROUP);
                layout::KIND_CGROUP_MADE
            }
            Body::CgroupRemoved { path } => {
                encode_tails(&mut out, &[path], layout::CGROUP);
                layout::KIND_CGROUP_REMOVED
            }
        };
        let mut bytes = out.0;
        let Header {
            cpu,
            sequence,
            time,
            cgroup,
        } = self.header;
        let length = bytes.len() as u32;
        bytes[0..2].copy_from_slice(&kind.to_ne_bytes());
        bytes[2..4].copy_from_slice(&cpu.to_ne_bytes());
        bytes[4..8].copy_from_slice(&length.to_ne_bytes());
        bytes[8..16].copy_from_slice(&sequence.to_ne_bytes());
        bytes[16..24].copy_from_slice(&time.to_ne_bytes());
        bytes[24..32].copy_from_slice(&cgroup.to_ne_bytes());
        bytes
    }
}

fn decode_exec(bytes: &[u8]) -> Result<ExecRecord<'_>, DecodeError> {
    let mut fields = Fields::new(bytes, layout::EXEC)?.after_header();
    Ok(ExecRecord {
        start: fields.u64(),
        parent_start: fields.u64(),
        inode: fields.u64(),
        size: fields.u64(),
        effective_caps: fields.u64(),
        permitted_caps: fields.u64(),
        args_length: fields.u64(),
        device: fields.u32(),
        flags: fields.u32(),
        pid: fields.u32(),
        container_pid: fields.u32(),
        parent_pid: fields.u32(),
        args_count: fields.u32(),
        uid: fields.u32(),
        gid: fields.u32(),
        euid: fields.u32(),
        pid_namespace: fields.u32(),
        mount_namespace: fields.u32(),
        comm: fields.array(),
        exe: fields.tail()?,
        filename: fields.tail()?,
        interp: fields.tail()?,
        args: fields.tail()?,
        cwd: fields.tail()?,
        parent_exe: fields.tail()?,
    })
}

fn encode_exec(out: &mut Encoder, exec: &ExecRecord<'_>) {
    let ExecRecord {
        start,
        parent_start,
        inode,
        size,
        effective_caps,
        permitted_caps,
        args_length,
        device,
        flags,
        pid,
        container_pid,
        parent_pid,
        args_count,
        uid,
        gid,
        euid,
        pid_namespace,
        mount_namespace,
        comm,
        exe,
        filename,
        interp,
        args,
        cwd,
        parent_exe,
    } = exec;
    let longs = [
        start,
        parent_start,
        inode,
        size,
        effective_caps,
        permitted_caps,
        args_length,
    ];
    let ids = [
        device,
        flags,
        pid,
        container_pid,
        parent_pid,
        args_count,
        uid,
        gid,
        euid,
    ];
    out.put(&longs.map(|long| long.to_ne_bytes()).concat());
    out.put(&ids.map(|id| id.to_ne_bytes()).concat());
    out.put(
        &[pid_namespace, mount_namespace]
            .map(|id| id.to_ne_bytes())
            .concat(),
    );
    out.put(comm);
    encode_tails(out, &[exe, filename, interp, args, cwd, parent_exe], layout::EXEC);
}

fn decode_fork(bytes: &[u8]) -> Result<ForkRecord, DecodeError> {
    let mut fields = Fields::new(bytes, layout::FORK)?.after_header();
    Ok(ForkRecord {
        start: fields.u64(),
        parent_start: fields.u64(),
        pid: fields.u32(),
        container_pid: fields.u32(),
        parent_pid: fields.u32(),
        flags: fields.u32(),
    })
}

fn decode_exit(bytes: &[u8]) -> Result<ExitRecord, DecodeError> {
    let mut fields = Fields::new(bytes, layout::EXIT)?.after_header();
    Ok(ExitRecord {
        start: fields.u64(),
        pid: fields.u32(),
        status: fields.u32(),
    })
}

fn decode_cgroup(bytes: &[u8]) -> Result<&[u8], DecodeError> {
    Fields::new(bytes, layout::CGROUP)?.after_header().tail()
}

/// Reads the fixed part of a record, whose presence was checked once.
struct Fields<'a> {
    bytes: &'a [u8],
    fixed: usize,
    at: usize,
}

impl<'a> Fields<'a> {
    fn new(bytes: &'a [u8], fixed: usize) -> Result<Self, DecodeError> {
        if bytes.len() < fixed {
            return Err(DecodeError::Short {
                length: bytes.len(),
                needed: fixed,
            });
        }
        Ok(Self { bytes, fixed, at: 0 })
    }

    fn after_header(self) -> Self {
        Self {
            at: layout::HEADER,
            ..self
        }
    }

    /// The next bytes of the fixed part; zeros past the record's end, which the check in `new` rules out.
    fn array<const N: usize>(&mut self) -> [u8; N] {
        let next = self
            .bytes
            .get(self.at..)
            .and_then(|rest| rest.first_chunk())
            .copied();
        self.at += N;
        next.unwrap_or([0; N])
    }

    fn u16(&mut self) -> u16 {
        u16::from_ne_bytes(self.array())
    }

    fn u32(&mut self) -> u32 {
        u32::from_ne_bytes(self.array())
    }

    fn u64(&mut self) -> u64 {
        u64::from_ne_bytes(self.array())
    }

    fn tail(&mut self) -> Result<&'a [u8], DecodeError> {
        let start = usize::from(self.u16());
        let length = usize::from(self.u16());
        if length == 0 {
            return Ok(&[]);
        }
        let Range { start, end } = start..start + length;
        let outside = DecodeError::Tail {
            length: self.bytes.len(),
            start,
            end,
        };
        if start < self.fixed {
            return Err(outside);
        }
        self.bytes.get(start..end).ok_or(outside)
    }
}

struct Encoder(Vec<u8>);

impl Encoder {
    fn put(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }
}

/// Writes the (offset, length) pairs, fills up to the end of the fixed part, and writes the strings.
fn encode_tails(out: &mut Encoder, tails: &[&[u8]], fixed: usize) {
    let cut = |tail: &'_ [u8]| tail.len().min(4096);
    let mut offset = fixed;
    for tail in tails {
        out.put(&(offset as u16).to_ne_bytes());
        out.put(&(cut(tail) as u16).to_ne_bytes());
        offset += cut(tail);
    }
    out.0.resize(fixed, 0);
    for tail in tails {
        out.put(&tail[..cut(tail)]);
    }
}

#[cfg(test)]
mod tests;
