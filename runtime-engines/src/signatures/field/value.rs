//! What fields hold.

use std::io::Write as _;
use std::net::IpAddr;

use runtime_core::process::Ancestor;
use runtime_core::{DomainName, Process, RawString};

use super::proc;

/// What a field holds in one event.
#[derive(Debug, Clone, Copy)]
pub(in super::super) enum Value<'a> {
    Missing,
    Text(&'a [u8]),
    Number(i64),
    Bool(bool),
    Address(IpAddr),
    /// Both sides of a connection, as far as they are there.
    Addresses([Option<IpAddr>; 2]),
    Numbers([Option<i64>; 2]),
    Args(&'a [RawString]),
    Domains(&'a [DomainName]),
    AncestorNames(&'a [Ancestor]),
    AncestorPaths(&'a [Ancestor]),
    /// Those of ancestors whose executables were not put there later, as far as is known.
    AncestorImagePaths(&'a [Ancestor]),
    AncestorPids(&'a [Ancestor]),
}

impl<'a> Value<'a> {
    pub(in super::super) fn exists(self) -> bool {
        match self {
            Self::Missing => false,
            Self::Text(_) | Self::Number(_) | Self::Bool(_) | Self::Address(_) => true,
            Self::Addresses(both) => both.iter().any(Option::is_some),
            Self::Numbers(both) => both.iter().any(Option::is_some),
            Self::Args(list) => !list.is_empty(),
            Self::Domains(list) => !list.is_empty(),
            Self::AncestorImagePaths(list) => list.iter().any(Ancestor::is_of_image),
            Self::AncestorNames(list) | Self::AncestorPaths(list) | Self::AncestorPids(list) => {
                !list.is_empty()
            }
        }
    }

    /// Whether the test holds for the text, or for any of the texts.
    pub(in super::super) fn any_text(self, mut test: impl FnMut(&'a [u8]) -> bool) -> bool {
        match self {
            Self::Text(bytes) => test(bytes),
            Self::Args(list) => list.iter().any(|arg| test(arg)),
            Self::Domains(list) => list.iter().any(|name| test(name.as_str().as_bytes())),
            Self::AncestorNames(list) => list.iter().any(|ancestor| test(ancestor.path.base_name())),
            Self::AncestorPaths(list) => list.iter().any(|ancestor| test(&ancestor.path)),
            Self::AncestorImagePaths(list) => list
                .iter()
                .filter(|ancestor| ancestor.is_of_image())
                .any(|ancestor| test(&ancestor.path)),
            _ => false,
        }
    }

    /// Whether the test holds for the number, or for any of the numbers.
    pub(in super::super) fn any_number(self, mut test: impl FnMut(i64) -> bool) -> bool {
        match self {
            Self::Number(number) => test(number),
            Self::Numbers(both) => both.into_iter().flatten().any(test),
            Self::AncestorPids(list) => list.iter().any(|ancestor| test(ancestor.pid.0.into())),
            _ => false,
        }
    }

    /// Whether the test holds for the address, or for any of the addresses.
    pub(in super::super) fn any_address(self, mut test: impl FnMut(IpAddr) -> bool) -> bool {
        match self {
            Self::Address(address) => test(address),
            Self::Addresses(both) => both.into_iter().flatten().any(test),
            _ => false,
        }
    }

    pub(super) fn text(bytes: Option<&'a [u8]>) -> Self {
        bytes.map_or(Self::Missing, Self::Text)
    }

    pub(super) fn number(number: Option<impl Into<i64>>) -> Self {
        number.map_or(Self::Missing, |number| Self::Number(number.into()))
    }

    pub(super) fn bool(value: Option<bool>) -> Self {
        value.map_or(Self::Missing, Self::Bool)
    }
}

/// Memory that is used again for every event, so that looking at one allocates nothing.
#[derive(Debug, Default)]
pub(in super::super) struct Buffers {
    /// How many events there were.
    pub(super) events: u64,
    /// The name and the arguments, joined; empty until they are asked for.
    command: Vec<u8>,
    /// How much of `command` is the name.
    name_len: usize,
    /// A value that was put together for the one who asked last.
    text: Vec<u8>,
    /// The same, for values that are put together of other values.
    pub(super) joined: Vec<u8>,
}

impl Buffers {
    /// Makes them ready for another event.
    pub(in super::super) fn next_event(&mut self) {
        self.events += 1;
        self.command.clear();
    }

    pub(super) fn command(&mut self, process: &Process) -> &[u8] {
        if self.command.is_empty() {
            let name = proc::name(process);
            self.name_len = name.len();
            self.command.extend_from_slice(name);
            for arg in process.args.iter().skip(1) {
                self.command.push(b' ');
                self.command.extend_from_slice(arg);
            }
        }
        &self.command
    }

    pub(super) fn args(&mut self, process: &Process) -> &[u8] {
        self.command(process);
        self.command.get(self.name_len + 1..).unwrap_or_default()
    }

    /// A value that `write` puts together.
    pub(super) fn made(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Value<'_> {
        self.text.clear();
        write(&mut self.text);
        Value::Text(&self.text)
    }

    /// What was put together last.
    pub(super) fn last_made(&self) -> &[u8] {
        &self.text
    }

    /// A value that is printed.
    pub(super) fn printed(&mut self, value: std::fmt::Arguments<'_>) -> Value<'_> {
        self.made(|text| print(text, value))
    }
}

/// Appends what is printed.
pub(super) fn print(text: &mut Vec<u8>, value: std::fmt::Arguments<'_>) {
    // Writing to memory cannot fail.
    let _ = text.write_fmt(value);
}
