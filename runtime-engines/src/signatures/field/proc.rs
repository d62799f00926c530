//! `proc.*`: the process that acts, its parent and the processes above.

use runtime_core::event::Origin;
use runtime_core::process::{ParentExe, RUNTIME};
use runtime_core::raw::base_name;
use runtime_core::{Activity, Event, EventClass, Process, RawString};

use super::{Buffers, Given, Value};

const EXECS: &[EventClass] = &[EventClass::Exec];

pub(super) const FIELDS: &[super::Field] = super::fields! {
    "proc.name": Name, {|event, _, _| Value::Text(name(&event.process))} =>
        "The base name of what was executed: of the script where an interpreter was started for one, else of the \
         name that the file was invoked by, else of the file. Not cut to 15 bytes, and a process cannot change it.";
    "proc.exe": Text, {|event, _, _| Value::text(event.process.args.first().map(RawString::as_bytes))} =>
        "The zeroth argument, which whoever starts a process chooses freely.";
    "proc.exepath": Text, {|event, _, _| Value::Text(&event.process.exe)} =>
        "The executable's real path in the container, links resolved.";
    "proc.args": Text (Index), {|event, buffers, given| match given {
            // Falco counts from the first one that is not the zeroth.
            Given::Index(n) => Value::text(event.process.args.get(n.saturating_add(1)).map(RawString::as_bytes)),
            _ => Value::Text(buffers.args(&event.process)),
        }} =>
        "The arguments without the zeroth, joined by blanks; [0] is the first of them, [1] the second.";
    "proc.arg": Text (Index), {argument} =>
        "One argument: [0] is the zeroth; without a number any but the zeroth. (Podwarden's own.)";
    "proc.cmdline": Text, {|event, buffers, _| Value::Text(buffers.command(&event.process))} =>
        "proc.name and proc.args, joined by a blank.";
    "proc.exeline": Text, {|event, buffers, _| buffers.made(|text| {
            for (at, arg) in event.process.args.iter().enumerate() {
                if at > 0 {
                    text.push(b' ');
                }
                text.extend_from_slice(arg);
            }
        })} =>
        "proc.exe and proc.args, joined by a blank.";
    "proc.cmdnargs": Number,
        {|event, _, _| Value::Number(i64::from(event.process.args_count.saturating_sub(1)))} =>
        "How many arguments there were, without the zeroth.";
    "proc.cmdlenargs": Number, {|event, _, _| {
            let args = event.process.args.iter().skip(1);
            Value::Number(args.map(|arg| arg.len() as i64).sum())
        }} =>
        "How many bytes the arguments have that are known, without the zeroth and without blanks between them.";
    "proc.cwd": Text, {
            |event, _, _| Value::text(Some(event.process.cwd.as_bytes()).filter(|cwd| !cwd.is_empty()))
        } =>
        "The working directory at the time of the exec.";
    "proc.pid": Number, {|event, _, _| Value::Number(event.process.pid.0.into())} =>
        "The process id on the host.";
    "proc.vpid": Number, {|event, _, _| Value::Number(event.process.container_pid.0.into())} =>
        "The process id in the process's own PID namespace.";
    "proc.ppid": Number, {|event, _, _| Value::Number(event.process.parent.pid.0.into())} =>
        "The process id, on the host, of the process that forked this one.";
    "proc.pname": Name, {|event, _, _| Value::text(parent(&event.process).map(base_name))} =>
        "The base name of the executable of the process that forked this one; `(runtime)` for one outside the \
         container.";
    "proc.pexepath": Text, {|event, _, _| Value::text(parent(&event.process))} =>
        "The executable's path of the process that forked this one; `(runtime)` for one outside the container.";
    "proc.aname": Name (Index), {ancestor_names} =>
        "The base name of an ancestor's executable: [0] the process itself, [1] its parent; without a number any \
         ancestor's. Ancestors end at the container's border.";
    "proc.aexepath": Text (Index), {ancestor_paths} =>
        "The path of an ancestor's executable, counted as for proc.aname.";
    "proc.apid": Number (Index), {ancestor_pids} =>
        "The process id of an ancestor on the host, counted as for proc.aname.";
    "proc.duration": Number, {
            |event, _, _| Value::Number(between(event.boot_time, event.process.start_boot))
        } =>
        "For how many nanoseconds the process had been there.";
    "proc.ppid.duration": Number, {
            |event, _, _| Value::Number(between(event.boot_time, event.process.parent.start_boot))
        } =>
        "For how many nanoseconds the process that forked this one had been there, or would have been.";
    "proc.pid.ts": Number, {
            |event, _, _| Value::Number(event.process.start_time.as_unix_nanos() as i64)
        } =>
        "When the process started, in nanoseconds since 1970.";
    "proc.exe_ino": Number, {|event, _, _| Value::Number(event.process.file.inode as i64)} =>
        "The executable's inode number.";
    "proc.is_exe_upper_layer": Bool, {|event, _, _| is_from(event, Origin::Dropped)} =>
        "Whether the executable was written since the container started, or lies on a volume. Missing for processes \
         whose exec was not seen.";
    "proc.is_exe_lower_layer": Bool, {|event, _, _| is_from(event, Origin::Image)} =>
        "Whether the executable is unmodified from the container's image. Missing for processes whose exec was not \
         seen.";
    "proc.is_exe_from_memfd": Bool, {|event, _, _| is_from(event, Origin::Memory)} =>
        "Whether the executable is an anonymous file in memory. Missing for processes whose exec was not seen.";
    "proc.aimage_exepath": Text (Index), {ancestor_image_paths} =>
        "The path of an ancestor's executable that is unmodified from the container's image, or of which that is not \
         known; counted as for proc.aname. (Podwarden's own.)";
    "proc.is_entrypoint": Bool, {|event, _, _| is_entrypoint(event)} =>
        "Whether the process, or one of its ancestors, is the one that executed the container's entrypoint. Missing \
         where the container's start was not seen. (Podwarden's own.)";
    "proc.is_startup": Bool on EXECS, {|event, _, _| match &event.activity {
            Activity::Exec(exec) => Value::Bool(exec.startup),
            _ => Value::Missing,
        }} =>
        "Whether this is the first exec of a container whose start was seen: its entrypoint. (Podwarden's own.)";
    "proc.is_exe_deleted": Bool on EXECS, {|event, _, _| match &event.activity {
            Activity::Exec(exec) => Value::Bool(exec.deleted),
            _ => Value::Missing,
        }} =>
        "Whether the executable had no name left in any directory. (Podwarden's own.)";
    "proc.invoked_as": Text,
        {|event, _, _| Value::text(event.process.identity.invoked_as.as_deref())} =>
        "The path that the file was invoked by, where its name is another one than the file's. (Podwarden's own.)";
    "proc.applet": Text, {|event, _, _| Value::text(event.process.identity.applet.as_deref())} =>
        "The applet that a multi-call binary was given as an argument. (Podwarden's own.)";
    "proc.script": Text, {|event, _, _| Value::text(event.process.identity.script.as_deref())} =>
        "The path of the script that the kernel started this interpreter for. (Podwarden's own.)";
    "proc.pexe": Text, {unknown} => "Not known: of a parent's arguments nothing is kept. Use proc.pexepath.";
    "proc.pcmdline": Text, {unknown} => "Not known: of a parent's arguments nothing is kept.";
    "proc.aexe": Text (Index), {unknown} =>
        "Not known: of ancestors' arguments nothing is kept. Use proc.aexepath.";
    "proc.aargs": Text (Index), {unknown} => "Not known: of ancestors' arguments nothing is kept.";
    "proc.acmdline": Text (Index), {unknown} => "Not known: of ancestors' arguments nothing is kept.";
    "proc.env": Text (OptionalKey), {unknown} => "Not known: environments are not read.";
    "proc.aenv": Text (OptionalKey), {unknown} => "Not known: environments are not read.";
    "proc.tty": Number, {unknown} => "Not known: events do not say which terminal a process has.";
    "proc.loginshellid": Number, {unknown} => "Not known: events say nothing of sessions.";
    "proc.pvpid": Number, {unknown} => "Not known: events have no parent's id but the host's (proc.ppid).";
    "proc.sid": Number, {unknown} => "Not known: events say nothing of sessions.";
    "proc.sname": Text, {unknown} => "Not known: events say nothing of sessions.";
    "proc.sid.exe": Text, {unknown} => "Not known: events say nothing of sessions.";
    "proc.sid.exepath": Text, {unknown} => "Not known: events say nothing of sessions.";
    "proc.is_sid_leader": Bool, {unknown} => "Not known: events say nothing of sessions.";
    "proc.vpgid": Number, {unknown} => "Not known: events say nothing of process groups.";
    "proc.vpgid.name": Text, {unknown} => "Not known: events say nothing of process groups.";
    "proc.vpgid.exe": Text, {unknown} => "Not known: events say nothing of process groups.";
    "proc.vpgid.exepath": Text, {unknown} => "Not known: events say nothing of process groups.";
    "proc.is_vpgid_leader": Bool, {unknown} => "Not known: events say nothing of process groups.";
    "proc.pgid": Number, {unknown} => "Not known: events say nothing of process groups.";
    "proc.pgid.name": Text, {unknown} => "Not known: events say nothing of process groups.";
    "proc.pgid.exe": Text, {unknown} => "Not known: events say nothing of process groups.";
    "proc.pgid.exepath": Text, {unknown} => "Not known: events say nothing of process groups.";
    "proc.is_pgid_leader": Bool, {unknown} => "Not known: events say nothing of process groups.";
    "proc.ppid.ts": Number, {unknown} => "Not known: use proc.ppid.duration.";
    "proc.is_exe_writable": Bool, {unknown} => "Not known: the rights of executables are not looked at.";
    "proc.exe_ino.ctime": Number, {unknown} => "Not known: the times of executables are not looked at.";
    "proc.exe_ino.mtime": Number, {unknown} => "Not known: the times of executables are not looked at.";
    "proc.exe_ino.ctime_duration_proc_start": Number, {unknown} =>
        "Not known: the times of executables are not looked at.";
    "proc.exe_ino.ctime_duration_pidns_start": Number, {unknown} =>
        "Not known: the times of executables are not looked at.";
    "proc.pidns_init_start_ts": Number, {unknown} => "Not known: the starts of namespaces are not looked at.";
    "proc.fdopencount": Number, {unknown} => "Not known: descriptors are not counted.";
    "proc.fdlimit": Number, {unknown} => "Not known: limits are not looked at.";
    "proc.fdusage": Number, {unknown} => "Not known: descriptors are not counted.";
    "proc.vmsize": Number, {unknown} => "Not known: the use of memory is not looked at.";
    "proc.vmrss": Number, {unknown} => "Not known: the use of memory is not looked at.";
    "proc.vmswap": Number, {unknown} => "Not known: the use of memory is not looked at.";
    "proc.nthreads": Number, {unknown} => "Not known: threads are not counted.";
    "proc.nchilds": Number, {unknown} => "Not known: children are not counted.";
    "proc.stdin.type": Text, {unknown} => "Not known: descriptors are not followed.";
    "proc.stdout.type": Text, {unknown} => "Not known: descriptors are not followed.";
    "proc.stderr.type": Text, {unknown} => "Not known: descriptors are not followed.";
    "proc.stdin.name": Text, {unknown} => "Not known: descriptors are not followed.";
    "proc.stdout.name": Text, {unknown} => "Not known: descriptors are not followed.";
    "proc.stderr.name": Text, {unknown} => "Not known: descriptors are not followed.";
    "proc.is_container_healthcheck": Bool, {unknown} => "Not known: probes are not told from other processes.";
    "proc.is_container_liveness_probe": Bool, {unknown} => "Not known: probes are not told from other processes.";
    "proc.is_container_readiness_probe": Bool, {unknown} => "Not known: probes are not told from other processes.";
};

/// What `proc.name` is.
pub(super) fn name(process: &Process) -> &[u8] {
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

fn between(end: runtime_core::BootTime, start: runtime_core::BootTime) -> i64 {
    end.as_nanos().saturating_sub(start.as_nanos()) as i64
}

fn ancestor_names<'a>(event: &'a Event, _: &'a mut Buffers, given: &'a Given) -> Value<'a> {
    let ancestors = &event.process.ancestors;
    match *given {
        Given::Index(0) => Value::Text(name(&event.process)),
        Given::Index(n) => Value::text(ancestors.get(n - 1).map(|ancestor| ancestor.path.base_name())),
        _ => Value::AncestorNames(ancestors),
    }
}

fn ancestor_paths<'a>(event: &'a Event, _: &'a mut Buffers, given: &'a Given) -> Value<'a> {
    let ancestors = &event.process.ancestors;
    match *given {
        Given::Index(0) => Value::Text(&event.process.exe),
        Given::Index(n) => Value::text(ancestors.get(n - 1).map(|ancestor| ancestor.path.as_bytes())),
        _ => Value::AncestorPaths(ancestors),
    }
}

fn ancestor_image_paths<'a>(event: &'a Event, _: &'a mut Buffers, given: &'a Given) -> Value<'a> {
    let process = &event.process;
    let ancestors = &process.ancestors;
    match *given {
        Given::Index(0) => {
            let own = matches!(process.origin, None | Some(Origin::Image));
            Value::text(own.then_some(process.exe.as_bytes()))
        }
        Given::Index(n) => {
            let ancestor = ancestors.get(n - 1).filter(|ancestor| ancestor.is_of_image());
            Value::text(ancestor.map(|ancestor| ancestor.path.as_bytes()))
        }
        _ => Value::AncestorImagePaths(ancestors),
    }
}

fn is_entrypoint(event: &Event) -> Value<'static> {
    let started = event.container.as_ref().and_then(|container| container.started);
    let process = &event.process;
    Value::bool(started.map(|started| {
        process.pid == started.pid
            || process
                .ancestors
                .iter()
                .any(|ancestor| ancestor.pid == started.pid)
    }))
}

fn ancestor_pids<'a>(event: &'a Event, _: &'a mut Buffers, given: &'a Given) -> Value<'a> {
    let ancestors = &event.process.ancestors;
    match *given {
        Given::Index(0) => Value::Number(event.process.pid.0.into()),
        Given::Index(n) => Value::number(ancestors.get(n - 1).map(|ancestor| ancestor.pid.0)),
        _ => Value::AncestorPids(ancestors),
    }
}

fn argument<'a>(event: &'a Event, _: &'a mut Buffers, given: &'a Given) -> Value<'a> {
    let args = &event.process.args;
    match *given {
        Given::Index(n) => Value::text(args.get(n).map(RawString::as_bytes)),
        _ => Value::Args(args.get(1..).unwrap_or_default()),
    }
}

fn is_from(event: &Event, origin: Origin) -> Value<'static> {
    Value::bool(event.process.origin.map(|is| is == origin))
}
