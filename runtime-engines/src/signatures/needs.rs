//! What rules need a sensor to deliver.

use runtime_core::event::Protocol;
use runtime_core::{Activity, Event, EventClass, Needs, Syscall, needs::Paths};

use super::anchor::{Anchor, DOMAIN, Finder, Shape};
use super::field::Kind;
use super::tree::Node;

/// The fields that a file's path can be told from.
const FIELDS: [(&str, usize); 4] = [
    ("fd.name", 1),
    ("fs.path.name", 1),
    ("fd.directory", 1),
    ("fd.filename", 1),
];

const AF_UNIX: u16 = 1;
const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;

/// Of these families nearly all sockets are.
const COMMON_FAMILIES: [&[u8]; 4] = [b"AF_INET", b"AF_INET6", b"AF_LOCAL", b"AF_UNIX"];

/// Adds what conditions for events of one kind need.
pub(super) fn add<'n>(needs: &mut Needs, kind: &Kind, nodes: impl Iterator<Item = &'n Node>) {
    let paths = match kind.access {
        Some(access) if access.writes || access.creates => &mut needs.writes,
        Some(_) => &mut needs.reads,
        None => &mut needs.changes,
    };
    let makes_sockets = kind.class == EventClass::Network && kind.call == Some(Syscall::socket);
    let mut families = Finder::new(&[(DOMAIN, 1)], &[Shape::Whole, Shape::Part]);
    let shapes = [Shape::Whole, Shape::Beginning, Shape::Ending, Shape::Part];
    let mut finder = Finder::new(&FIELDS, &shapes);
    for node in nodes {
        if matches!(node, Node::Const(false)) {
            continue;
        }
        needs.classes.insert(kind.class);
        if let Some(call) = kind.call {
            needs.syscalls.entry(kind.class).or_default().insert(call);
        }
        if makes_sockets {
            // A part of a name, as in `contains AF_PACKET`, is looked for as well.
            let common = |anchor: &Anchor| {
                let mut names = COMMON_FAMILIES.iter();
                names.any(|name| memchr::memmem::find(name, &anchor.text).is_some())
            };
            let anchors = families.of(node);
            needs.common_sockets |= anchors.is_none_or(|anchors| anchors.iter().any(common));
        }
        if kind.class != EventClass::File || paths.all {
            continue;
        }
        match finder.of(node) {
            Some(anchors) => anchors.into_iter().for_each(|anchor| add_anchor(paths, anchor)),
            None => *paths = Paths::everything(),
        }
    }
}

/// Whether an event is among what is needed: one that a rule holds for always is.
///
/// An event that no call is known of counts as made by the usual one for what it did: see the field `evt.type`.
pub fn covers(needs: &Needs, event: &Event) -> bool {
    let kind = Kind::of(event);
    let by_call = kind.call.is_none_or(|call| {
        let calls = needs.syscalls.get(&kind.class);
        calls.is_some_and(|calls| calls.contains(&call))
    });
    let by_path = match &event.activity {
        Activity::File(file) => {
            let paths = match kind.access {
                Some(access) if access.writes || access.creates => &needs.writes,
                Some(_) => &needs.reads,
                None => &needs.changes,
            };
            paths.covers(&file.path)
        }
        Activity::Network(network) if kind.call == Some(Syscall::socket) => {
            let uncommon = match network.protocol {
                Protocol::Packet => true,
                Protocol::Other { family, .. } => ![AF_UNIX, AF_INET, AF_INET6].contains(&family),
                _ => false,
            };
            needs.common_sockets || uncommon
        }
        _ => true,
    };
    needs.classes.contains(&kind.class) && by_call && by_path
}

fn add_anchor(paths: &mut Paths, anchor: Anchor) {
    if paths.all {
        return;
    }
    let Anchor { field, shape, text } = anchor;
    let mut text = text.into_vec();
    match (field, shape) {
        ("fd.filename", Shape::Whole) => {
            // A path without any slash is its own name.
            paths.exact.insert(text.clone());
            text.insert(0, b'/');
            paths.suffixes.insert(text);
        }
        // The ending of a directory is somewhere in the path.
        ("fd.directory", Shape::Ending) | (_, Shape::Part) | ("fd.filename", Shape::Beginning) => {
            paths.parts.insert(text);
        }
        (_, Shape::Ending) => {
            paths.suffixes.insert(text);
        }
        ("fd.directory", Shape::Whole) => {
            if text.is_empty() {
                // What has no slash has no directory.
                *paths = Paths::everything();
                return;
            }
            if text != b"/" {
                text.push(b'/');
            }
            paths.prefixes.insert(text);
        }
        (_, Shape::Whole) => {
            paths.exact.insert(text);
        }
        (_, Shape::Beginning) => {
            paths.prefixes.insert(text);
        }
    }
}
