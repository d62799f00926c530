//! `fs.path.*`: the paths that a call on files works on, whether or not it has a descriptor.

use runtime_core::event::FileOperation;
use runtime_core::{Activity, Event, EventClass, RawString, SystemActivity};

use super::Value;

const PATHS: &[EventClass] = &[EventClass::File, EventClass::System];

pub(super) const FIELDS: &[super::Field] = super::fields! {
    "fs.path.name": Text on PATHS, {|event, _, _| Value::text(named(event).map(RawString::as_bytes))} =>
        "The path of what was opened, made, changed, removed or unmounted; for calls with two paths see \
         fs.path.source and fs.path.target. Unlike Falco's it is there for calls that failed as well.";
    "fs.path.nameraw": Text on PATHS, {|event, _, _| match &event.activity {
            Activity::File(file) if !has_two_paths(file.operation) => Value::text(file.argument.as_deref()),
            _ => Value::Missing,
        }} =>
        "The same as the caller wrote it, where the event has it.";
    "fs.path.source": Text on PATHS, {|event, _, _| Value::text(source(event).map(RawString::as_bytes))} =>
        "What was renamed or mounted; for links the name that is new.";
    "fs.path.sourceraw": Text on PATHS, {|event, _, _| match &event.activity {
            Activity::File(file) if file.operation == FileOperation::Rename => {
                Value::text(file.argument.as_deref())
            }
            _ => Value::Missing,
        }} =>
        "What was renamed, as the caller wrote it, where the event has it.";
    "fs.path.target": Text on PATHS, {|event, _, _| Value::text(target(event).map(RawString::as_bytes))} =>
        "What something was renamed to, or where it was mounted; for links what they lead to.";
    "fs.path.targetraw": Text on PATHS, {|event, _, _| match &event.activity {
            Activity::File(file) => match file.operation {
                FileOperation::Link | FileOperation::Symlink => Value::text(file.argument.as_deref()),
                _ => Value::Missing,
            },
            _ => Value::Missing,
        }} =>
        "What a link leads to, as the caller wrote it, where the event has it.";
};

fn has_two_paths(operation: FileOperation) -> bool {
    matches!(
        operation,
        FileOperation::Rename | FileOperation::Link | FileOperation::Symlink
    )
}

fn named(event: &Event) -> Option<&RawString> {
    match &event.activity {
        Activity::File(file) if !has_two_paths(file.operation) => Some(&file.path),
        Activity::System(SystemActivity::Unmount { target, .. }) => Some(target),
        _ => None,
    }
}

fn source(event: &Event) -> Option<&RawString> {
    match &event.activity {
        Activity::File(file) => match file.operation {
            FileOperation::Rename => Some(&file.path),
            FileOperation::Link | FileOperation::Symlink => file.new_path.as_ref(),
            _ => None,
        },
        Activity::System(SystemActivity::Mount { source, .. }) => Some(source),
        _ => None,
    }
}

fn target(event: &Event) -> Option<&RawString> {
    match &event.activity {
        Activity::File(file) => match file.operation {
            FileOperation::Rename => file.new_path.as_ref(),
            FileOperation::Link | FileOperation::Symlink => Some(&file.path),
            _ => None,
        },
        Activity::System(SystemActivity::Mount { target, .. }) => Some(target),
        _ => None,
    }
}
