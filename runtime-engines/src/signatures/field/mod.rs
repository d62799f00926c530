//! The one table of fields: what a condition can ask of an event.
//!
//! It has every field that Falco has for system calls. The ones that no event of ours has a value for are marked
//! as such and say why: rules that test them load, and find them missing. A name that is not in the table is an
//! error.

mod arg;
mod calls;
mod container;
mod dns;
mod evt;
mod fd;
mod fs;
mod kind;
mod names;
mod proc;
mod thread;
mod user;
mod value;

use std::sync::LazyLock;

use runtime_core::{Event, EventClass};

use super::hash::FastMap;

pub(super) use arg::{Given, Name as ArgumentName, RawKind};
pub(super) use kind::{Access, Kind};
pub(super) use value::{Buffers, Value};

/// A field that conditions can test.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// The type of its value.
    pub kind: FieldType,
    /// What may stand in brackets behind it.
    pub argument: Argument,
    /// The events that have it; none where no event of ours has a value for it.
    pub events: &'static [EventClass],
    /// What it means, for a person; for a field that no event has, why.
    pub meaning: &'static str,
    pub(super) get: Getter,
    pub(super) fixed: Fixed,
}

impl Field {
    /// Whether there are events that have a value for it. Where there are none it is always missing: it
    /// satisfies no test, and does not exist.
    pub fn is_supplied(&self) -> bool {
        !self.events.is_empty()
    }
}

/// The type of a field's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldType {
    /// Bytes, in no certain encoding.
    Text,
    /// The same, being the name of a process. Rules are written for names that the kernel has cut to 15 bytes,
    /// so a value of exactly 15 bytes also equals every longer name that begins with it.
    Name,
    /// A whole number.
    Number,
    /// `true` or `false`.
    Bool,
    /// An IP address; compares with addresses and with networks.
    Address,
    /// An IP address that compares with networks, as in `192.0.2.0/24`, and with addresses.
    Network,
}

impl FieldType {
    /// True for [`Text`](Self::Text) and [`Name`](Self::Name).
    pub fn is_text(self) -> bool {
        matches!(self, Self::Text | Self::Name)
    }

    /// One word for it, as tables have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Name => "name",
            Self::Number => "number",
            Self::Bool => "bool",
            Self::Address => "address",
            Self::Network => "network",
        }
    }
}

/// What may stand in brackets behind a field's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Argument {
    /// Nothing.
    None,
    /// A number from 0, or nothing: then any of the field's values will do.
    Index,
    /// A word, or nothing.
    OptionalKey,
    /// A word.
    Key,
    /// The name of an argument of the system call, behind a dot, or its number, in brackets.
    CallArgument,
}

/// What is certain of a field's value before there is an event.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fixed {
    /// Nothing.
    No,
    /// All of it, for a kind of events.
    Kind(fn(&Kind, &Given) -> Option<Value<'static>>),
    /// It is a number, and never less than this.
    AtLeast(i64),
}

pub(super) type Getter = for<'a> fn(&'a Event, &'a mut Buffers, &'a Given) -> Value<'a>;

/// Every class that rules are judged on.
pub(super) const CLASSES: [EventClass; 7] = [
    EventClass::Exec,
    EventClass::Fork,
    EventClass::Exit,
    EventClass::File,
    EventClass::Network,
    EventClass::Dns,
    EventClass::System,
];

macro_rules! fields {
    ($($name:literal: $kind:ident $(($argument:ident))? $(on $events:expr)?, $value:tt => $meaning:literal;)*) => {
        &[$(super::Field {
            name: $name,
            kind: super::FieldType::$kind,
            argument: super::fields!(@argument $($argument)?),
            events: super::fields!(@events $value $($events)?),
            meaning: $meaning,
            get: super::fields!(@get $value),
            fixed: super::fields!(@fixed $value),
        }),*]
    };
    (@argument) => { super::Argument::None };
    (@argument $argument:ident) => { super::Argument::$argument };
    (@events {unknown}) => { &[] };
    (@events $value:tt) => { &super::CLASSES };
    (@events $value:tt $events:expr) => { $events };
    (@get {unknown}) => { |_, _, _| super::Value::Missing };
    (@get {$get:expr}) => { $get };
    (@get {$get:expr, $fixed:expr}) => { $get };
    (@fixed {unknown}) => { super::Fixed::No };
    (@fixed {$get:expr}) => { super::Fixed::No };
    (@fixed {$get:expr, $fixed:expr}) => { $fixed };
}
use fields;

const FAMILIES: [&[Field]; 9] = [
    evt::FIELDS,
    proc::FIELDS,
    thread::FIELDS,
    fd::FIELDS,
    fs::FIELDS,
    dns::FIELDS,
    user::FIELDS,
    container::FIELDS,
    container::POD_FIELDS,
];

const COUNT: usize = {
    let mut count = 0;
    let mut family = 0;
    while family < FAMILIES.len() {
        count += FAMILIES[family].len();
        family += 1;
    }
    count
};

static TABLE: [Field; COUNT] = {
    let mut table = [FAMILIES[0][0]; COUNT];
    let (mut family, mut at) = (0, 0);
    while family < FAMILIES.len() {
        let mut field = 0;
        while field < FAMILIES[family].len() {
            table[at] = FAMILIES[family][field];
            field += 1;
            at += 1;
        }
        family += 1;
    }
    table
};

/// All fields.
pub const FIELDS: &[Field] = &TABLE;

static BY_NAME: LazyLock<FastMap<&'static str, usize>> = LazyLock::new(|| {
    FIELDS
        .iter()
        .enumerate()
        .map(|(at, field)| (field.name, at))
        .collect()
});

/// The place in the table of the field of this name, and what follows it behind a dot, as in `evt.arg.flags`.
pub(super) fn find(name: &str) -> Option<(usize, Option<&str>)> {
    if let Some(&at) = BY_NAME.get(name) {
        return Some((at, None));
    }
    // The arguments of calls are many and have names without dots.
    let (field, rest) = name.rsplit_once('.')?;
    let &at = BY_NAME.get(field)?;
    let dotted = FIELDS[at].argument == Argument::CallArgument || DOTTED.contains(&field);
    dotted.then_some((at, Some(rest)))
}

/// Fields besides those of calls' arguments whose argument stands behind a dot.
const DOTTED: [&str; 3] = ["evt.type.is", "thread.cgroup", "evt.abspath"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_there_once_and_explained() {
        for (at, field) in FIELDS.iter().enumerate() {
            assert!(
                FIELDS[..at].iter().all(|other| other.name != field.name),
                "{}",
                field.name
            );
            assert!(field.meaning.ends_with(['.', ')']), "{}", field.name);
        }
    }

    /// What is decided when rules are loaded is what an event would have said.
    #[test]
    fn what_is_fixed_is_what_events_have() {
        use crate::testing::{mk_connect_event, mk_dns_event, mk_exec_event, mk_exit_event, mk_open_event};
        let events = [
            mk_open_event("/etc/passwd", 0o1102),
            mk_open_event("/etc/passwd", 0),
            mk_exec_event("/bin/ls", &["ls"]),
            mk_exit_event("/bin/ls"),
            mk_connect_event("192.0.2.1:443", &[]),
            mk_dns_event("example.com"),
        ];
        let given = [
            Given::None,
            Given::Call(arg::Name::flags),
            Given::Call(arg::Name::newpath),
            Given::CallIndex(2),
            Given::CallIndex(99),
        ];
        let mut compared = 0;
        for (event, given) in events
            .iter()
            .flat_map(|event| given.iter().map(move |given| (event, given)))
        {
            for field in FIELDS {
                let Fixed::Kind(fixed) = field.fixed else { continue };
                if let Some(expected) = fixed(Kind::of(event), given) {
                    let mut buffers = Buffers::default();
                    let value = (field.get)(event, &mut buffers, given);
                    assert_eq!(
                        format!("{expected:?}"),
                        format!("{value:?}"),
                        "{} {given:?}",
                        field.name
                    );
                    compared += 1;
                }
            }
        }
        assert!(compared > 100);
    }
}
