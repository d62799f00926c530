//! `evt.*`: the event itself.

use runtime_core::event::{FileOperation, Open};
use runtime_core::{Activity, Event, EventClass};

use super::names;
use super::{Access, Fixed, Given, Kind, Value, arg};

const OPENS: &[EventClass] = &[EventClass::File];

pub(super) const FIELDS: &[super::Field] = super::fields! {
    "evt.num": Number, {|_, buffers, _| Value::Number(buffers.events as i64), Fixed::AtLeast(1)} =>
        "The event's number, from 1, in the order in which this engine judged them.";
    "evt.type": Text, {
        |event, _, _| Value::Text(Kind::of(event).type_name().as_bytes()),
        Fixed::Kind(|kind, _| Some(Value::Text(kind.type_name().as_bytes())))
    } =>
        "The system call that made the event; `procexit` for an exit, `dns` for a DNS question or answer. Where no \
         single call made it, the usual one: `execve`, `clone`, `openat`, `connect` and so on. What was done \
         through io_uring has the name of the call that does the same.";
    "evt.type.is": Number (Key), {unknown} =>
        "Not known: use evt.type.";
    "syscall.type": Text, {
        |event, _, _| Value::text(Kind::of(event).call.map(|call| call.name().as_bytes())),
        Fixed::Kind(|kind, _| Some(Value::text(kind.call.map(|call| call.name().as_bytes()))))
    } =>
        "The same as evt.type, but missing for events that no system call makes.";
    "evt.category": Text, {
        |event, _, _| Value::Text(category(event.activity.class())),
        Fixed::Kind(|kind, _| Some(Value::Text(category(kind.class))))
    } =>
        "`process`, `file`, `net` or `system`.";
    "evt.dir": Text, {|_, _, _| Value::Text(b"<"), Fixed::Kind(|_, _| Some(Value::Text(b"<")))} =>
        "Always `<`: events are made when a call has come to its end.";
    "evt.source": Text, {
        |_, _, _| Value::Text(b"syscall"),
        Fixed::Kind(|_, _| Some(Value::Text(b"syscall")))
    } =>
        "Always `syscall`.";
    "evt.arg": Text (CallArgument), {arg::worded, Fixed::Kind(argument)} =>
        "An argument of the call, by its name (evt.arg.flags) or its number (evt.arg[1]), in words: flags and modes \
         by their names joined by `|`, requests and commands by name, a descriptor as `<f>` and the file's path, an \
         error by name, the user 0 as `root` and other users by number, paths as the caller wrote them where that \
         is known.";
    "evt.rawarg": Text (CallArgument), {arg::raw, Fixed::Kind(argument)} =>
        "An argument of the call, by its name: a number where it is one. Its type is the argument's.";
    "evt.args": Text, {arg::all} =>
        "All arguments that are known, each as name=value, joined by blanks.";
    "evt.info": Text, {arg::all} =>
        "The same as evt.args.";
    "evt.res": Text, {|event, buffers, _| match arg::result(event) {
            Some(result @ ..0) => match names::error(result) {
                Some(error) => Value::Text(error.as_bytes()),
                None => buffers.printed(format_args!("{result}")),
            },
            Some(_) => Value::Text(b"SUCCESS"),
            None => Value::Missing,
        }} =>
        "What the call returned: `SUCCESS`, or the error's name, as in `ENOENT`. Missing where the event was made \
         before the call's end.";
    "evt.rawres": Number, {|event, _, _| Value::number(arg::result(event))} =>
        "What the call returned: a descriptor, a count or 0; the negative number of an error. Missing where the \
         event was made before the call's end.";
    "evt.failed": Bool, {|event, _, _| Value::bool(arg::result(event).map(|result| result < 0))} =>
        "Whether the call returned an error.";
    "evt.is_open_read": Bool on OPENS, {
        |event, _, _| opened(event, Open::reads),
        Fixed::Kind(|kind, _| Some(Value::bool(kind.access.map(|access| access.reads))))
    } =>
        "Whether a file was opened for reading.";
    "evt.is_open_write": Bool on OPENS, {
        |event, _, _| opened(event, Open::writes),
        Fixed::Kind(|kind, _| Some(Value::bool(kind.access.map(|access| access.writes))))
    } =>
        "Whether a file was opened for writing.";
    "evt.is_open_exec": Bool on OPENS, {
        |event, _, _| opened(event, |open| Access::of(open).creates && open.mode & 0o111 != 0),
        Fixed::Kind(creates_nothing)
    } =>
        "Whether a file was opened that the call is to create with the right to be executed.";
    "evt.is_open_create": Bool on OPENS, {
        |event, _, _| opened(event, |open| open.created),
        Fixed::Kind(creates_nothing)
    } =>
        "Whether the call created the file that it opened.";
    "evt.time": Text, {|event, buffers, _| time_of_day(event, buffers, true)} =>
        "The time of day, with nanoseconds, in UTC.";
    "evt.time.s": Text, {|event, buffers, _| time_of_day(event, buffers, false)} =>
        "The time of day, in UTC.";
    "evt.time.iso8601": Text, {|event, buffers, _| buffers.printed(format_args!("{}", event.time))} =>
        "Date and time in RFC 3339's form, in UTC.";
    "evt.datetime": Text, {|event, buffers, _| buffers.printed(format_args!("{}", event.time))} =>
        "The same as evt.time.iso8601.";
    "evt.datetime.s": Text, {unknown} =>
        "Not known: use evt.datetime.";
    "evt.rawtime": Number, {|event, _, _| Value::Number(nanos(event))} =>
        "Nanoseconds since 1970.";
    "evt.rawtime.s": Number, {|event, _, _| Value::Number(nanos(event) / NANOS)} =>
        "Seconds since 1970.";
    "evt.rawtime.ns": Number, {|event, _, _| Value::Number(nanos(event) % NANOS)} =>
        "The nanoseconds of evt.rawtime.";
    "evt.reltime": Number, {unknown} => "Not known: there is no beginning of a recording.";
    "evt.reltime.s": Number, {unknown} => "Not known: there is no beginning of a recording.";
    "evt.reltime.ns": Number, {unknown} => "Not known: there is no beginning of a recording.";
    "evt.count": Number, {|_, _, _| Value::Number(1), Fixed::Kind(|_, _| Some(Value::Number(1)))} =>
        "Always 1.";
    "evt.count.error": Number, {|event, _, _| match arg::result(event) {
            Some(..0) => Value::Number(1),
            _ => Value::Missing,
        }} =>
        "1 for calls that returned an error.";
    "evt.abspath": Text (Key), {unknown} => "Not known: use fs.path.name, fs.path.source and fs.path.target.";
    "evt.around": Number (Key), {unknown} => "Not known: there is no recording to look around in.";
    "evt.asynctype": Text, {unknown} => "Not known: there are no such events.";
    "evt.buffer": Text, {unknown} => "Not known: what is read and written is not looked at.";
    "evt.buflen": Number, {unknown} => "Not known: what is read and written is not looked at.";
    "evt.buflen.in": Number, {unknown} => "Not known: what is read is not looked at.";
    "evt.buflen.out": Number, {unknown} => "Not known: what is written is not looked at.";
    "evt.buflen.file": Number, {unknown} => "Not known: what is read and written is not looked at.";
    "evt.buflen.file.in": Number, {unknown} => "Not known: what is read is not looked at.";
    "evt.buflen.file.out": Number, {unknown} => "Not known: what is written is not looked at.";
    "evt.buflen.net": Number, {unknown} => "Not known: what is sent and received is not looked at.";
    "evt.buflen.net.in": Number, {unknown} => "Not known: what is received is not looked at.";
    "evt.buflen.net.out": Number, {unknown} => "Not known: what is sent is not looked at.";
    "evt.count.error.file": Number, {unknown} => "Not known: use evt.count.error and evt.category.";
    "evt.count.error.memory": Number, {unknown} => "Not known: use evt.count.error and evt.type.";
    "evt.count.error.net": Number, {unknown} => "Not known: use evt.count.error and evt.category.";
    "evt.count.error.other": Number, {unknown} => "Not known: use evt.count.error and evt.category.";
    "evt.count.exit": Number, {unknown} => "Not known: every event is made at a call's end.";
    "evt.count.procinfo": Number, {unknown} => "Not known: there are no such events.";
    "evt.count.threadinfo": Number, {unknown} => "Not known: there are no such events.";
    "evt.cpu": Number, {unknown} => "Not known: events do not say which processor they come from.";
    "evt.deltatime": Number, {unknown} => "Not known: events are judged one at a time.";
    "evt.deltatime.s": Number, {unknown} => "Not known: events are judged one at a time.";
    "evt.deltatime.ns": Number, {unknown} => "Not known: events are judged one at a time.";
    "evt.hostname": Text, {unknown} => "Not known: an alert has the node's name.";
    "evt.infra.docker.name": Text, {unknown} => "Not known: there are no such events.";
    "evt.infra.docker.container.id": Text, {unknown} => "Not known: there are no such events.";
    "evt.infra.docker.container.name": Text, {unknown} => "Not known: there are no such events.";
    "evt.infra.docker.container.image": Text, {unknown} => "Not known: there are no such events.";
    "evt.io_dir": Text, {unknown} => "Not known: reads and writes make no events, opens do.";
    "evt.is_async": Bool, {unknown} => "Not known: there are no such events.";
    "evt.is_io": Bool, {unknown} => "Not known: reads and writes make no events, opens do.";
    "evt.is_io_read": Bool, {unknown} => "Not known: reads make no events, opens do.";
    "evt.is_io_write": Bool, {unknown} => "Not known: writes make no events, opens do.";
    "evt.is_syslog": Bool, {unknown} => "Not known: writes make no events, opens do.";
    "evt.is_wait": Bool, {unknown} => "Not known: waiting makes no events.";
    "evt.latency": Number, {unknown} => "Not known: the beginnings of calls make no events.";
    "evt.latency.s": Number, {unknown} => "Not known: the beginnings of calls make no events.";
    "evt.latency.ns": Number, {unknown} => "Not known: the beginnings of calls make no events.";
    "evt.latency.human": Text, {unknown} => "Not known: the beginnings of calls make no events.";
    "evt.latency.quantized": Number, {unknown} => "Not known: the beginnings of calls make no events.";
    "evt.outputtime": Text, {unknown} => "Not known: use evt.time.";
    "evt.plugininfo": Text, {unknown} => "Not known: there are no plugins.";
    "evt.pluginname": Text, {unknown} => "Not known: there are no plugins.";
    "evt.wait_latency": Number, {unknown} => "Not known: waiting makes no events.";
    "util.cnt": Number, {unknown} => "Not known: use evt.num.";
    "fdlist.nums": Text, {unknown} => "Not known: waiting for descriptors makes no events.";
    "fdlist.names": Text, {unknown} => "Not known: waiting for descriptors makes no events.";
    "fdlist.cips": Text, {unknown} => "Not known: waiting for descriptors makes no events.";
    "fdlist.sips": Text, {unknown} => "Not known: waiting for descriptors makes no events.";
    "fdlist.cports": Text, {unknown} => "Not known: waiting for descriptors makes no events.";
    "fdlist.sports": Text, {unknown} => "Not known: waiting for descriptors makes no events.";
};

const NANOS: i64 = 1_000_000_000;

fn nanos(event: &Event) -> i64 {
    event.time.as_unix_nanos() as i64
}

fn time_of_day<'a>(event: &Event, buffers: &'a mut super::Buffers, whole: bool) -> Value<'a> {
    let nanos = nanos(event).rem_euclid(86_400 * NANOS);
    let (seconds, fraction) = (nanos / NANOS, nanos % NANOS);
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if whole {
        buffers.printed(format_args!("{hours:02}:{minutes:02}:{seconds:02}.{fraction:09}"))
    } else {
        buffers.printed(format_args!("{hours:02}:{minutes:02}:{seconds:02}"))
    }
}

fn category(class: EventClass) -> &'static [u8] {
    match class {
        EventClass::File => b"file",
        EventClass::Network | EventClass::Dns => b"net",
        EventClass::System => b"system",
        _ => b"process",
    }
}

fn argument(kind: &Kind, given: &Given) -> Option<Value<'static>> {
    arg::is_missing(kind, given).then_some(Value::Missing)
}

/// What creates no file makes none that can be executed.
fn creates_nothing(kind: &Kind, _: &Given) -> Option<Value<'static>> {
    match kind.access {
        Some(access) if access.creates => None,
        Some(_) => Some(Value::Bool(false)),
        None => Some(Value::Missing),
    }
}

fn opened(event: &Event, test: fn(Open) -> bool) -> Value<'static> {
    match &event.activity {
        Activity::File(file) => match file.operation {
            FileOperation::Open(open) => Value::Bool(test(open)),
            _ => Value::Missing,
        },
        _ => Value::Missing,
    }
}
