//! `user.*` and `group.*`: whom the process acts as.

use super::Value;

pub(super) const FIELDS: &[super::Field] = super::fields! {
    "user.uid": Number, {|event, _, _| Value::Number(event.process.credentials.uid.into())} =>
        "The real user id, on the host.";
    "user.euid": Number, {|event, _, _| Value::Number(event.process.credentials.euid.into())} =>
        "The effective user id, on the host. (Podwarden's own.)";
    "user.name": Text, {|event, _, _| root(event.process.credentials.uid)} =>
        "`root` for the user 0. The names of others are the container's to choose and are not looked up: they are \
         missing.";
    "user.homedir": Text, {unknown} => "Not known: the container's files of users are not read.";
    "user.shell": Text, {unknown} => "Not known: the container's files of users are not read.";
    "user.loginuid": Number, {unknown} => "Not known: events do not say who logged in.";
    "user.loginname": Text, {unknown} => "Not known: events do not say who logged in.";
    "group.gid": Number, {|event, _, _| Value::Number(event.process.credentials.gid.into())} =>
        "The real group id, on the host.";
    "group.name": Text, {|event, _, _| root(event.process.credentials.gid)} =>
        "`root` for the group 0. The names of others are not looked up: they are missing.";
};

fn root(id: u32) -> Value<'static> {
    if id == 0 {
        Value::Text(b"root")
    } else {
        Value::Missing
    }
}
