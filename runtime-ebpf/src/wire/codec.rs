//! Reading and writing the fields of records.

use super::{Actor, DecodeError, layout};

/// Reads the fixed part of a record, whose presence was checked once.
pub(super) struct Fields<'a> {
    bytes: &'a [u8],
    fixed: usize,
    at: usize,
}

impl<'a> Fields<'a> {
    pub(super) fn new(bytes: &'a [u8], fixed: usize) -> Result<Self, DecodeError> {
        if bytes.len() < fixed {
            return Err(DecodeError::Short {
                length: bytes.len(),
                needed: fixed,
            });
        }
        Ok(Self { bytes, fixed, at: 0 })
    }

    pub(super) fn after_header(self) -> Self {
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

    fn tail(&mut self) -> Result<&'a [u8], DecodeError> {
        let start = usize::from(u16::from_ne_bytes(self.array()));
        let length = usize::from(u16::from_ne_bytes(self.array()));
        if length == 0 {
            return Ok(&[]);
        }
        let end = start + length;
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

/// Puts a record together: the fixed part, then the byte strings.
#[derive(Default)]
pub(super) struct Encoder<'a> {
    bytes: Vec<u8>,
    tails: Vec<(usize, &'a [u8])>,
}

/// The longest byte string: as in the kernel.
const MAX_TAIL: usize = 4096;

impl<'a> Encoder<'a> {
    pub(super) fn new() -> Self {
        Self {
            bytes: vec![0; layout::HEADER],
            tails: Vec::new(),
        }
    }

    fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    fn tail(&mut self, tail: &'a [u8]) {
        self.tails.push((self.bytes.len(), tail));
        self.put(&[0; 4]);
    }

    /// Fills up to the end of the fixed part, writes the strings, and says where they are.
    pub(super) fn finish(mut self, fixed: usize) -> Vec<u8> {
        self.bytes.resize(fixed, 0);
        for (place, tail) in self.tails {
            let tail = &tail[..tail.len().min(MAX_TAIL)];
            let offset = self.bytes.len() as u16;
            self.bytes[place..place + 2].copy_from_slice(&offset.to_ne_bytes());
            self.bytes[place + 2..place + 4].copy_from_slice(&(tail.len() as u16).to_ne_bytes());
            self.bytes.extend_from_slice(tail);
        }
        self.bytes
    }
}

/// A field of a record.
pub(super) trait Field<'a>: Sized {
    fn read(fields: &mut Fields<'a>) -> Result<Self, DecodeError>;
    fn write(&self, out: &mut Encoder<'a>);
}

macro_rules! numbers {
    ($($number:ty)*) => {$(
        impl<'a> Field<'a> for $number {
            fn read(fields: &mut Fields<'a>) -> Result<Self, DecodeError> {
                Ok(Self::from_ne_bytes(fields.array()))
            }

            fn write(&self, out: &mut Encoder<'a>) {
                out.put(&self.to_ne_bytes());
            }
        }
    )*};
}

numbers! { u16 u32 u64 i32 i64 }

impl<'a, const N: usize> Field<'a> for [u8; N] {
    fn read(fields: &mut Fields<'a>) -> Result<Self, DecodeError> {
        Ok(fields.array())
    }

    fn write(&self, out: &mut Encoder<'a>) {
        out.put(self);
    }
}

impl<'a, const N: usize> Field<'a> for [u64; N] {
    fn read(fields: &mut Fields<'a>) -> Result<Self, DecodeError> {
        let mut numbers = [0; N];
        for number in &mut numbers {
            *number = u64::read(fields)?;
        }
        Ok(numbers)
    }

    fn write(&self, out: &mut Encoder<'a>) {
        for number in self {
            number.write(out);
        }
    }
}

impl<'a> Field<'a> for &'a [u8] {
    fn read(fields: &mut Fields<'a>) -> Result<Self, DecodeError> {
        fields.tail()
    }

    fn write(&self, out: &mut Encoder<'a>) {
        out.tail(self);
    }
}

impl<'a, const N: usize> Field<'a> for [&'a [u8]; N] {
    fn read(fields: &mut Fields<'a>) -> Result<Self, DecodeError> {
        let mut tails = [&[][..]; N];
        for tail in &mut tails {
            *tail = fields.tail()?;
        }
        Ok(tails)
    }

    fn write(&self, out: &mut Encoder<'a>) {
        for tail in self {
            out.tail(tail);
        }
    }
}

impl<'a> Field<'a> for Actor<'a> {
    fn read(fields: &mut Fields<'a>) -> Result<Self, DecodeError> {
        Self::read_fields(fields)
    }

    fn write(&self, out: &mut Encoder<'a>) {
        self.write_fields(out);
    }
}

/// What follows the header of a record, or a part of it.
pub(super) trait Structure<'a>: Sized {
    fn read_fields(fields: &mut Fields<'a>) -> Result<Self, DecodeError>;
    fn write_fields(&self, out: &mut Encoder<'a>);
}

/// Structures of `bpf/events.h`: their fields, in order, after the header.
macro_rules! records {
    ($($(#[$doc:meta])* $name:ident $(<$life:lifetime>)? { $($field:ident: $kind:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        #[expect(
            missing_docs,
            reason = "the fields are those of the C structure, and documented there"
        )]
        pub struct $name $(<$life>)? {
            $(pub $field: $kind,)*
        }

        impl<'a> Structure<'a> for $name $(<$life>)? {
            fn read_fields(fields: &mut Fields<'a>) -> Result<Self, DecodeError> {
                Ok(Self {
                    $($field: <$kind>::read(fields)?,)*
                })
            }

            fn write_fields(&self, out: &mut Encoder<'a>) {
                $(self.$field.write(out);)*
            }
        }
    )*};
}
pub(super) use records;
