//! The wire between kernel and user space: ring buffer records, as `bpf/events.h` lays them out.
//!
//! Kernel bytes are hostile input like any other: every length and offset is checked, no number becomes an
//! enum unchecked, and a record that is not right in every respect is an error and never a panic.
//!
//! [`Record::decode`] borrows from the record; [`Record::encode`] writes the same record again, which is how
//! tests and recordings make them.

mod codec;
mod records;

pub use records::{
    Actor, CgroupRecord, ExecRecord, ExitRecord, FileRecord, ForkRecord, NetworkRecord, PacketRecord,
    SystemRecord,
};

use codec::{Encoder, Field, Fields, Structure};

/// A decoded record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record<'a> {
    /// What all kinds have.
    pub header: Header,
    /// What the kind has of its own.
    pub body: Body<'a>,
}

/// Set in [`Header::cpu`]: a packet that comes in may interrupt the handling of one that goes out.
pub const INCOMING: u16 = 0x4000;

/// What all kinds of records have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The CPU it happened on; with [`INCOMING`] for packets that come in, which count apart.
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
    Exec(ExecRecord<'a>),
    /// A process was forked.
    Fork(ForkRecord),
    /// The last thread of a process exited.
    Exit(ExitRecord),
    /// A cgroup was made; its path counts from the root of its hierarchy.
    CgroupMade(CgroupRecord<'a>),
    /// A cgroup was removed.
    CgroupRemoved(CgroupRecord<'a>),
    /// Something was done to a file.
    File(FileRecord<'a>),
    /// Something was done with a socket.
    Network(NetworkRecord<'a>),
    /// Something was done to the system, to privileges or to another process.
    System(SystemRecord<'a>),
    /// A packet to or from port 53.
    Packet(PacketRecord<'a>),
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
    pub const SUBJECT_KERNEL: u32 = 1 << 18;
    pub const SUBJECT_TRUNCATED: u32 = 1 << 19;
    pub const SUBJECT_UNREADABLE: u32 = 1 << 20;
    pub const CREATED: u32 = 1 << 21;
    pub const IO_URING: u32 = 1 << 22;
    pub const EXE_DETACHED: u32 = 1 << 23;
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
    pub const ACTOR: usize = 48;
    pub const FILE: usize = 128;
    pub const NETWORK: usize = 144;
    pub const SYSTEM: usize = 184;
    pub const PACKET: usize = 72;
    pub const KIND_EXEC: u16 = 1;
    pub const KIND_FORK: u16 = 2;
    pub const KIND_EXIT: u16 = 3;
    pub const KIND_CGROUP_MADE: u16 = 4;
    pub const KIND_CGROUP_REMOVED: u16 = 5;
    pub const KIND_FILE: u16 = 6;
    pub const KIND_NETWORK: u16 = 7;
    pub const KIND_SYSTEM: u16 = 8;
    pub const KIND_PACKET: u16 = 9;
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

/// The kinds of records: each one's number, the size of its fixed part, and what it is.
macro_rules! kinds {
    ($($kind:ident, $fixed:ident, $body:ident, $record:ident;)*) => {
        fn decode_body(kind: u16, bytes: &[u8]) -> Result<Body<'_>, DecodeError> {
            Ok(match kind {
                $(layout::$kind => {
                    let mut fields = Fields::new(bytes, layout::$fixed)?.after_header();
                    Body::$body($record::read_fields(&mut fields)?)
                })*
                other => return Err(DecodeError::Kind(other)),
            })
        }

        fn encode_body(body: &Body<'_>) -> (u16, Vec<u8>) {
            match body {
                $(Body::$body(record) => {
                    let mut out = Encoder::new();
                    record.write_fields(&mut out);
                    (layout::$kind, out.finish(layout::$fixed))
                })*
            }
        }
    };
}

kinds! {
    KIND_EXEC, EXEC, Exec, ExecRecord;
    KIND_FORK, FORK, Fork, ForkRecord;
    KIND_EXIT, EXIT, Exit, ExitRecord;
    KIND_CGROUP_MADE, CGROUP, CgroupMade, CgroupRecord;
    KIND_CGROUP_REMOVED, CGROUP, CgroupRemoved, CgroupRecord;
    KIND_FILE, FILE, File, FileRecord;
    KIND_NETWORK, NETWORK, Network, NetworkRecord;
    KIND_SYSTEM, SYSTEM, System, SystemRecord;
    KIND_PACKET, PACKET, Packet, PacketRecord;
}

impl<'a> Record<'a> {
    /// Reads one record.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut fields = Fields::new(bytes, layout::HEADER)?;
        let kind = u16::read(&mut fields)?;
        let cpu = u16::read(&mut fields)?;
        let said = u32::read(&mut fields)?;
        if usize::try_from(said) != Ok(bytes.len()) {
            return Err(DecodeError::Length {
                length: bytes.len(),
                said,
            });
        }
        let header = Header {
            cpu,
            sequence: u64::read(&mut fields)?,
            time: u64::read(&mut fields)?,
            cgroup: u64::read(&mut fields)?,
        };
        Ok(Self {
            header,
            body: decode_body(kind, bytes)?,
        })
    }

    /// When the event of an encoded record was: as much as has to be known to put records in order.
    pub(crate) fn time_of(bytes: &[u8]) -> u64 {
        let time = bytes.get(16..).and_then(|rest| rest.first_chunk());
        u64::from_ne_bytes(time.copied().unwrap_or_default())
    }

    /// Writes the record as the kernel would.
    ///
    /// Byte strings that do not fit the 16-bit lengths of the wire are cut at 4,096 bytes, as in the kernel.
    pub fn encode(&self) -> Vec<u8> {
        let (kind, mut bytes) = encode_body(&self.body);
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

#[cfg(test)]
mod tests;
