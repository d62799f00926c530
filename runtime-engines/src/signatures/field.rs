//! The one table of fields: what a condition can ask of an event.

use runtime_core::event::Origin;
use runtime_core::process::{Ancestor, ParentExe, RUNTIME};
use runtime_core::raw::base_name;
use runtime_core::{Activity, Container, Event, EventClass, Process, RawString};

/// The classes of events that rules are judged on.
pub(super) const CLASSES: [EventClass; 3] = [EventClass::Exec, EventClass::Fork, EventClass::Exit];

/// A field that conditions can test.
#[derive(Debug)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// The type of its value.
    pub kind: FieldType,
    /// What may stand in brackets behind it.
    pub argument: Argument,
    /// The events that have it.
    pub events: &'static [EventClass],
    /// What it means, for a person.
    pub meaning: &'static str,
    pub(super) source: Source,
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
}

impl FieldType {
    /// True for [`Text`](Self::Text) and [`Name`](Self::Name).
    pub fn is_text(self) -> bool {
        matches!(self, Self::Text | Self::Name)
    }
}

/// What may stand in brackets behind a field's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Argument {
    /// Nothing.
    None,
    /// A number from 0, or nothing: then any of the field's values will do.
    Index,
}

/// Where a field's value comes from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Source {
    /// From the event's class alone, so that tests of it are decided when rules are loaded.
    Class(fn(EventClass) -> &'static str),
    /// From the event.
    Event(Getter),
}

pub(super) type Getter = for<'a> fn(&'a Event, &'a mut Buffers, Option<usize>) -> Value<'a>;

/// What a field holds in one event.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value<'a> {
    Missing,
    Text(&'a [u8]),
    Number(i64),
    Bool(bool),
    Args(&'a [RawString]),
    AncestorNames(&'a [Ancestor]),
    AncestorPaths(&'a [Ancestor]),
    AncestorPids(&'a [Ancestor]),
}

impl<'a> Value<'a> {
    pub(super) fn exists(self) -> bool {
        match self {
            Self::Missing => false,
            Self::Text(_) | Self::Number(_) | Self::Bool(_) => true,
            Self::Args(list) => !list.is_empty(),
            Self::AncestorNames(list) | Self::AncestorPaths(list) | Self::AncestorPids(list) => {
                !list.is_empty()
            }
        }
    }

    /// Whether the test holds for the text, or for any of the texts.
    pub(super) fn any_text(self, mut test: impl FnMut(&'a [u8]) -> bool) -> bool {
        match self {
            Self::Text(bytes) => test(bytes),
            Self::Args(list) => list.iter().any(|arg| test(arg)),
            Self::AncestorNames(list) => list.iter().any(|ancestor| test(ancestor.path.base_name())),
            Self::AncestorPaths(list) => list.iter().any(|ancestor| test(&ancestor.path)),
            Self::Missing | Self::Number(_) | Self::Bool(_) | Self::AncestorPids(_) => false,
        }
    }

    /// Whether the test holds for the number, or for any of the numbers.
    pub(super) fn any_number(self, mut test: impl FnMut(i64) -> bool) -> bool {
        match self {
            Self::Number(number) => test(number),
            Self::AncestorPids(list) => list.iter().any(|ancestor| test(ancestor.pid.0.into())),
            _ => false,
        }
    }

    fn text(bytes: Option<&'a [u8]>) -> Self {
        bytes.map_or(Self::Missing, Self::Text)
    }
}

/// Memory that is used again for every event, so that looking at one allocates nothing.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    /// How many events there were.
    events: u64,
    /// The name and the arguments, joined; empty until they are asked for.
    command: Vec<u8>,
    /// How much of `command` is the name.
    name_len: usize,
}

impl Buffers {
    /// Makes them ready for another event.
    pub(super) fn next_event(&mut self) {
        self.events += 1;
        self.command.clear();
    }

    fn command(&mut self, process: &Process) -> &[u8] {
        if self.command.is_empty() {
            let name = name(process);
            self.name_len = name.len();
            self.command.extend_from_slice(name);
            for arg in process.args.iter().skip(1) {
                self.command.push(b' ');
                self.command.extend_from_slice(arg);
            }
        }
        &self.command
    }

    fn args(&mut self, process: &Process) -> &[u8] {
        self.command(process);
        self.command.get(self.name_len + 1..).unwrap_or_default()
    }
}

/// The field of this name.
pub(super) fn find(name: &str) -> Option<&'static Field> {
    FIELDS.iter().find(|field| field.name == name)
}

macro_rules! fields {
    ($($name:literal: $kind:ident $(($argument:ident))? $(on $events:expr)?, $source:expr, $meaning:literal;)*) => {
        &[$(Field {
            name: $name,
            kind: FieldType::$kind,
            argument: fields!(@argument $($argument)?),
            events: fields!(@events $($events)?),
            meaning: $meaning,
            source: $source,
        }),*]
    };
    (@argument) => { Argument::None };
    (@argument $argument:ident) => { Argument::$argument };
    (@events) => { &CLASSES };
    (@events $events:expr) => { $events };
}

/// All fields.
pub const FIELDS: &[Field] = fields! {
    "evt.type": Text, Source::Class(event_type),
        "The system call: `execve` for every exec, `clone` for every new process, `procexit` for an exit.";
    "evt.dir": Text, Source::Class(|_| "<"),
        "Always `<`: events are made when a call has come to its end.";
    "evt.num": Number, Source::Event(|_, buffers, _| Value::Number(buffers.events as i64)),
        "The event's number, from 1, in the order in which this engine judged them.";
    "proc.name": Name, Source::Event(|event, _, _| Value::Text(name(&event.process))),
        "The base name of what was executed: of the script where an interpreter was started for one, else of the \
         name that the file was invoked by, else of the file. Not cut to 15 bytes, and a process cannot change it.";
    "proc.exe": Text,
        Source::Event(|event, _, _| Value::text(event.process.args.first().map(RawString::as_bytes))),
        "The zeroth argument, which whoever starts a process chooses freely.";
    "proc.exepath": Text, Source::Event(|event, _, _| Value::Text(&event.process.exe)),
        "The executable's real path in the container, links resolved.";
    "proc.pname": Name,
        Source::Event(|event, _, _| Value::text(parent(&event.process).map(base_name))),
        "The base name of the executable of the process that forked this one; `(runtime)` for one outside the \
         container.";
    "proc.pexepath": Text, Source::Event(|event, _, _| Value::text(parent(&event.process))),
        "The executable's path of the process that forked this one; `(runtime)` for one outside the container.";
    "proc.aname": Name (Index), Source::Event(ancestor_names),
        "The base name of an ancestor's executable: [0] the process itself, [1] its parent; without a number any \
         ancestor's. Ancestors end at the container's border.";
    "proc.aexepath": Text (Index), Source::Event(ancestor_paths),
        "The path of an ancestor's executable, counted as for proc.aname.";
    "proc.apid": Number (Index), Source::Event(ancestor_pids),
        "The process id of an ancestor on the host, counted as for proc.aname.";
    "proc.args": Text, Source::Event(|event, buffers, _| Value::Text(buffers.args(&event.process))),
        "The arguments without the zeroth, joined by spaces.";
    "proc.arg": Text (Index), Source::Event(argument),
        "One argument: [0] is the zeroth; without a number any but the zeroth. (Podwarden's own.)";
    "proc.cmdline": Text, Source::Event(|event, buffers, _| Value::Text(buffers.command(&event.process))),
        "proc.name and proc.args, joined by a space.";
    "proc.cmdnargs": Number,
        Source::Event(|event, _, _| Value::Number(i64::from(event.process.args_count.saturating_sub(1)))),
        "How many arguments there were, without the zeroth.";
    "proc.cwd": Text,
        Source::Event(|event, _, _| Value::text(Some(event.process.cwd.as_bytes()).filter(|cwd| !cwd.is_empty()))),
        "The working directory at the time of the exec.";
    "proc.pid": Number, Source::Event(|event, _, _| Value::Number(event.process.pid.0.into())),
        "The process id on the host.";
    "proc.vpid": Number, Source::Event(|event, _, _| Value::Number(event.process.container_pid.0.into())),
        "The process id in the process's own PID namespace.";
    "proc.ppid": Number, Source::Event(|event, _, _| Value::Number(event.process.parent.pid.0.into())),
        "The process id, on the host, of the process that forked this one.";
    "proc.is_exe_upper_layer": Bool on &[EventClass::Exec],
        Source::Event(|event, _, _| origin(event).map_or(Value::Missing, |is| Value::Bool(is == Origin::Dropped))),
        "Whether the executable was written since the container started, or lies on a volume.";
    "proc.is_exe_from_memfd": Bool on &[EventClass::Exec],
        Source::Event(|event, _, _| origin(event).map_or(Value::Missing, |is| Value::Bool(is == Origin::Memory))),
        "Whether the executable is an anonymous file in memory.";
    "proc.invoked_as": Text,
        Source::Event(|event, _, _| Value::text(event.process.identity.invoked_as.as_deref())),
        "The path that the file was invoked by, where its name is another one than the file's. (Podwarden's own.)";
    "proc.applet": Text, Source::Event(|event, _, _| Value::text(event.process.identity.applet.as_deref())),
        "The applet that a multi-call binary was given as an argument. (Podwarden's own.)";
    "proc.script": Text, Source::Event(|event, _, _| Value::text(event.process.identity.script.as_deref())),
        "The path of the script that the kernel started this interpreter for. (Podwarden's own.)";
    "user.uid": Number, Source::Event(|event, _, _| Value::Number(event.process.credentials.uid.into())),
        "The real user id, on the host.";
    "group.gid": Number, Source::Event(|event, _, _| Value::Number(event.process.credentials.gid.into())),
        "The real group id, on the host.";
    "container.id": Text, Source::Event(|event, _, _| {
            Value::Text(event.container.as_deref().map_or(b"host", |container| {
                let id = container.id.as_str().as_bytes();
                &id[..id.len().min(12)]
            }))
        }),
        "The first 12 characters of the container's id; `host` outside of containers.";
    "container.full_id": Text, Source::Event(|event, _, _| {
            Value::Text(event.container.as_deref().map_or(b"host", |container| container.id.as_str().as_bytes()))
        }),
        "The container's whole id; `host` outside of containers.";
    "container.name": Text, Source::Event(|event, _, _| match event.container.as_deref() {
            None => Value::Text(b"host"),
            Some(container) => Value::text(container.name.as_deref().map(str::as_bytes)),
        }),
        "The container's name in the pod's specification; `host` outside of containers.";
    "container.image": Text, Source::Event(|event, _, _| Value::text(image(event).map(str::as_bytes))),
        "The image reference as the container runtime recorded it.";
    "container.image.repository": Text,
        Source::Event(|event, _, _| Value::text(image(event).map(|image| split_image(image).0.as_bytes()))),
        "The image reference without tag and digest.";
    "container.image.tag": Text,
        Source::Event(|event, _, _| Value::text(image(event).and_then(|i| split_image(i).1).map(str::as_bytes))),
        "The image's tag.";
    "k8s.ns.name": Text,
        Source::Event(|event, _, _| Value::text(pod(event, |pod| pod.namespace.as_bytes()))),
        "The pod's namespace.";
    "k8s.pod.name": Text, Source::Event(|event, _, _| Value::text(pod(event, |pod| pod.name.as_bytes()))),
        "The pod's name.";
    "k8s.pod.uid": Text, Source::Event(|event, _, _| Value::text(pod(event, |pod| pod.uid.as_str().as_bytes()))),
        "The pod's UID.";
};

fn event_type(class: EventClass) -> &'static str {
    match class {
        EventClass::Exec => "execve",
        EventClass::Fork => "clone",
        EventClass::Exit => "procexit",
        _ => "",
    }
}

fn name(process: &Process) -> &[u8] {
    let identity = &process.identity;
    let named = identity.script.as_ref().or(identity.invoked_as.as_ref());
    named.unwrap_or(&process.exe).base_name()
}

fn parent(process: &Process) -> Option<&[u8]> {
    match &process.parent.exe {
        ParentExe::Path(path) => Some(path),
        ParentExe::Runtime => Some(RUNTIME.as_bytes()),
        ParentExe::Unknown => None,
    }
}

fn ancestor_names<'a>(event: &'a Event, _: &'a mut Buffers, index: Option<usize>) -> Value<'a> {
    let process = &event.process;
    match index {
        None => Value::AncestorNames(&process.ancestors),
        Some(0) => Value::Text(name(process)),
        Some(n) => Value::text(
            process
                .ancestors
                .get(n - 1)
                .map(|ancestor| ancestor.path.base_name()),
        ),
    }
}

fn ancestor_paths<'a>(event: &'a Event, _: &'a mut Buffers, index: Option<usize>) -> Value<'a> {
    let process = &event.process;
    match index {
        None => Value::AncestorPaths(&process.ancestors),
        Some(0) => Value::Text(&process.exe),
        Some(n) => Value::text(
            process
                .ancestors
                .get(n - 1)
                .map(|ancestor| ancestor.path.as_bytes()),
        ),
    }
}

fn ancestor_pids<'a>(event: &'a Event, _: &'a mut Buffers, index: Option<usize>) -> Value<'a> {
    let process = &event.process;
    match index {
        None => Value::AncestorPids(&process.ancestors),
        Some(0) => Value::Number(process.pid.0.into()),
        Some(n) => process
            .ancestors
            .get(n - 1)
            .map_or(Value::Missing, |ancestor| Value::Number(ancestor.pid.0.into())),
    }
}

fn argument<'a>(event: &'a Event, _: &'a mut Buffers, index: Option<usize>) -> Value<'a> {
    let args = &event.process.args;
    match index {
        None => Value::Args(args.get(1..).unwrap_or_default()),
        Some(n) => Value::text(args.get(n).map(RawString::as_bytes)),
    }
}

fn origin(event: &Event) -> Option<Origin> {
    match &event.activity {
        Activity::Exec(exec) => exec.origin,
        _ => None,
    }
}

fn image(event: &Event) -> Option<&str> {
    event.container.as_deref()?.image.as_deref()
}

/// Repository and tag: the tag follows the last colon, unless that is a registry's port.
fn split_image(image: &str) -> (&str, Option<&str>) {
    let named = image.split_once('@').map_or(image, |(named, _)| named);
    match named.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, Some(tag)),
        _ => (named, None),
    }
}

fn pod<'a>(event: &'a Event, part: fn(&'a runtime_core::PodRef) -> &'a [u8]) -> Option<&'a [u8]> {
    let container: &Container = event.container.as_deref()?;
    container.pod.as_ref().map(part)
}

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

    #[test]
    fn images_are_taken_apart() {
        assert_eq!(split_image("nginx"), ("nginx", None));
        assert_eq!(split_image("r:5000/a/b"), ("r:5000/a/b", None));
        assert_eq!(split_image("r:5000/a/b:1@sha256:0"), ("r:5000/a/b", Some("1")));
    }
}
