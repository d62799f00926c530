//! `thread.*`: the thread that acts.

use super::Value;
use super::names;

pub(super) const FIELDS: &[super::Field] = super::fields! {
    "thread.cap_effective": Text, {|event, buffers, _| {
            buffers.made(|text| names::capabilities(text, event.process.credentials.effective_caps))
        }} =>
        "The effective capabilities by their names, as in CAP_SYS_ADMIN, joined by blanks.";
    "thread.cap_permitted": Text, {|event, buffers, _| {
            buffers.made(|text| names::capabilities(text, event.process.credentials.permitted_caps))
        }} =>
        "The permitted capabilities by their names, joined by blanks.";
    "thread.cap_inheritable": Text, {unknown} => "Not known: events do not have the inheritable capabilities.";
    "thread.name": Text, {|event, _, _| Value::Text(&event.process.comm)} =>
        "The thread's name, at most 15 bytes, which it can change. (Podwarden's own.)";
    "thread.tid": Number, {unknown} => "Not known: events say which process acted, not which of its threads.";
    "thread.vtid": Number, {unknown} => "Not known: events say which process acted, not which of its threads.";
    "thread.ismain": Bool, {unknown} => "Not known: events say which process acted, not which of its threads.";
    "thread.nametid": Text, {unknown} => "Not known: events say which process acted, not which of its threads.";
    "thread.cgroup": Text (Key), {unknown} => "Not known: use container.id.";
    "thread.cgroups": Text, {unknown} => "Not known: use container.id.";
    "thread.cpu": Number, {unknown} => "Not known: the use of processors is not looked at.";
    "thread.cpu.user": Number, {unknown} => "Not known: the use of processors is not looked at.";
    "thread.cpu.system": Number, {unknown} => "Not known: the use of processors is not looked at.";
    "thread.exectime": Number, {unknown} => "Not known: the use of processors is not looked at.";
    "thread.totexectime": Number, {unknown} => "Not known: the use of processors is not looked at.";
    "thread.pfmajor": Number, {unknown} => "Not known: page faults are not counted.";
    "thread.pfminor": Number, {unknown} => "Not known: page faults are not counted.";
    "thread.vmsize": Number, {unknown} => "Not known: the use of memory is not looked at.";
    "thread.vmrss": Number, {unknown} => "Not known: the use of memory is not looked at.";
    "thread.vmsize.b": Number, {unknown} => "Not known: the use of memory is not looked at.";
    "thread.vmrss.b": Number, {unknown} => "Not known: the use of memory is not looked at.";
};
