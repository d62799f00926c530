//! The C side and the Rust side of the wire agree: the object's own BTF is compared with the constants.

use std::collections::BTreeMap;

use object::{Object, ObjectSection};
use runtime_ebpf::wire::{flags, layout};

/// The structures and enums of a BTF section, as `Documentation/bpf/btf.rst` of the kernel lays it out.
#[derive(Debug, Default)]
struct Btf {
    /// Size, and offset in bytes of each member.
    structs: BTreeMap<String, (u32, BTreeMap<String, u32>)>,
    constants: BTreeMap<String, u32>,
}

impl Btf {
    fn parse(data: &[u8]) -> Self {
        let word = |at: usize| u32::from_le_bytes(data[at..at + 4].try_into().unwrap());
        let header = word(4) as usize;
        let (types, types_end) = (header + word(8) as usize, header + (word(8) + word(12)) as usize);
        let strings = header + word(16) as usize;
        let name = |offset: u32| {
            let text = &data[strings + offset as usize..];
            String::from_utf8(text[..text.iter().position(|&byte| byte == 0).unwrap()].to_vec()).unwrap()
        };
        let mut btf = Self::default();
        let mut at = types;
        while at < types_end {
            let (type_name, info, size) = (name(word(at)), word(at + 4), word(at + 8));
            let (count, kind) = ((info & 0xffff) as usize, info >> 24 & 0x1f);
            at += 12;
            let extra = match kind {
                1 | 14 | 17 => 4,
                3 => 12,
                4 | 5 => {
                    let members = (0..count).map(|i| (name(word(at + 12 * i)), word(at + 12 * i + 8) / 8));
                    btf.structs.insert(type_name, (size, members.collect()));
                    12 * count
                }
                6 => {
                    btf.constants
                        .extend((0..count).map(|i| (name(word(at + 8 * i)), word(at + 8 * i + 4))));
                    8 * count
                }
                13 => 8 * count,
                15 | 19 => 12 * count,
                _ => 0,
            };
            at += extra;
        }
        btf
    }

    fn of_object() -> Self {
        let bytes = include_bytes!("../obj/sensor.bpf.o").to_vec();
        let file = object::File::parse(bytes.as_slice()).unwrap();
        Self::parse(file.section_by_name(".BTF").unwrap().data().unwrap())
    }
}

#[test]
fn fixed_parts_have_the_same_size() {
    let btf = Btf::of_object();
    let size = |name: &str| btf.structs.get(name).map(|(size, _)| *size as usize);
    assert_eq!(size("event_header"), Some(layout::HEADER));
    assert_eq!(size("exec_event"), Some(layout::EXEC));
    assert_eq!(size("fork_event"), Some(layout::FORK));
    assert_eq!(size("exit_event"), Some(layout::EXIT));
    assert_eq!(size("cgroup_event"), Some(layout::CGROUP));
    assert_eq!(size("actor"), Some(layout::ACTOR));
    assert_eq!(size("file_event"), Some(layout::FILE));
    assert_eq!(size("network_event"), Some(layout::NETWORK));
    assert_eq!(size("system_event"), Some(layout::SYSTEM));
    assert_eq!(size("packet_event"), Some(layout::PACKET));
}

/// Fields one after the other, from an offset on, each with its width: what the decoder takes them for.
fn in_order(btf: &Btf, name: &str, from: usize, fields: &[(&str, usize)]) {
    let (size, members) = &btf.structs[name];
    let mut offset = from;
    for (field, width) in fields {
        assert_eq!(
            members.get(*field).map(|&at| at as usize),
            Some(offset),
            "{name}.{field}"
        );
        offset += width;
    }
    assert!(
        *size as usize - offset < 8,
        "{name} has fields that the decoder does not know"
    );
}

#[test]
fn fields_of_activities_are_where_the_decoder_reads_them() {
    let btf = Btf::of_object();
    in_order(
        &btf,
        "actor",
        0,
        &[
            ("start", 8),
            ("result", 8),
            ("pid", 4),
            ("uid", 4),
            ("gid", 4),
            ("euid", 4),
            ("flags", 4),
            ("call", 4),
            ("exe", 4),
            ("parent_exe", 4),
        ],
    );
    in_order(
        &btf,
        "file_event",
        layout::HEADER,
        &[
            ("actor", layout::ACTOR),
            ("inode", 8),
            ("device", 4),
            ("open_flags", 4),
            ("mode", 4),
            ("uid", 4),
            ("gid", 4),
            ("dir", 4),
            ("path", 4),
            ("new_dir", 4),
            ("new_path", 4),
        ],
    );
    in_order(
        &btf,
        "network_event",
        layout::HEADER,
        &[
            ("actor", layout::ACTOR),
            ("local", 16),
            ("remote", 16),
            ("descriptor", 4),
            ("local_port", 2),
            ("remote_port", 2),
            ("local_family", 2),
            ("remote_family", 2),
            ("family", 2),
            ("type", 2),
            ("protocol", 2),
            ("local_path", 4),
            ("remote_path", 4),
        ],
    );
    in_order(
        &btf,
        "system_event",
        layout::HEADER,
        &[
            ("actor", layout::ACTOR),
            ("args", 32),
            ("effective_caps", 8),
            ("target_start", 8),
            ("target_cgroup", 8),
            ("target_pid", 4),
            ("family", 2),
            ("remote_port", 2),
            ("remote", 16),
            ("target_exe", 4),
            ("dir", 4),
            ("texts", 12),
        ],
    );
    in_order(
        &btf,
        "packet_event",
        layout::HEADER,
        &[
            ("cookie", 8),
            ("start", 8),
            ("pid", 4),
            ("outgoing", 4),
            ("wire_length", 4),
            ("network", 4),
            ("bytes", 4),
        ],
    );
}

#[test]
fn fields_are_where_the_decoder_reads_them() {
    let btf = Btf::of_object();
    let check = |name: &str, fields: &[(&str, u32)]| {
        let (_, members) = &btf.structs[name];
        let expected: BTreeMap<String, u32> = fields
            .iter()
            .map(|&(field, offset)| (field.to_owned(), offset))
            .collect();
        assert_eq!(members, &expected, "{name}");
    };
    // The decoder reads fields one after the other, so offsets follow from order and width.
    check(
        "event_header",
        &[
            ("kind", 0),
            ("cpu", 2),
            ("length", 4),
            ("sequence", 8),
            ("time", 16),
            ("cgroup", 24),
        ],
    );
    let mut exec = vec![("header", 0)];
    let mut offset = layout::HEADER as u32;
    let longs = [
        "start",
        "parent_start",
        "inode",
        "size",
        "effective_caps",
        "permitted_caps",
        "args_length",
    ];
    let ids = [
        "device",
        "flags",
        "pid",
        "container_pid",
        "parent_pid",
        "args_count",
        "uid",
        "gid",
        "euid",
        "pid_namespace",
        "mount_namespace",
    ];
    let tails = ["exe", "filename", "interp", "args", "cwd", "parent_exe"];
    let widths = longs
        .map(|name| (name, 8))
        .into_iter()
        .chain(ids.map(|name| (name, 4)));
    let widths = widths
        .chain([("comm", 16)])
        .chain(tails.map(|name| (name, 4)))
        .chain([("padding", 4)]);
    for (name, width) in widths {
        exec.push((name, offset));
        offset += width;
    }
    check("exec_event", &exec);
    check(
        "fork_event",
        &[
            ("header", 0),
            ("start", 32),
            ("parent_start", 40),
            ("pid", 48),
            ("container_pid", 52),
            ("parent_pid", 56),
            ("flags", 60),
        ],
    );
    check(
        "exit_event",
        &[("header", 0), ("start", 32), ("pid", 40), ("status", 44)],
    );
    check("cgroup_event", &[("header", 0), ("path", 32), ("padding", 36)]);
}

#[test]
fn kinds_and_flags_have_the_same_numbers() {
    let btf = Btf::of_object();
    let number = |name: &str| btf.constants.get(name).copied();
    let kinds = [
        ("EVENT_EXEC", layout::KIND_EXEC),
        ("EVENT_FORK", layout::KIND_FORK),
        ("EVENT_EXIT", layout::KIND_EXIT),
        ("EVENT_CGROUP_MADE", layout::KIND_CGROUP_MADE),
        ("EVENT_CGROUP_REMOVED", layout::KIND_CGROUP_REMOVED),
    ];
    for (name, value) in kinds {
        assert_eq!(number(name), Some(u32::from(value)), "{name}");
    }
    let flags = [
        ("FLAG_EXE_TRUNCATED", flags::EXE_TRUNCATED),
        ("FLAG_CWD_TRUNCATED", flags::CWD_TRUNCATED),
        ("FLAG_PARENT_TRUNCATED", flags::PARENT_TRUNCATED),
        ("FLAG_NAME_TRUNCATED", flags::NAME_TRUNCATED),
        ("FLAG_ARGS_TRUNCATED", flags::ARGS_TRUNCATED),
        ("FLAG_ARGS_UNREADABLE", flags::ARGS_UNREADABLE),
        ("FLAG_SCRIPT", flags::SCRIPT),
        ("FLAG_DELETED", flags::DELETED),
        ("FLAG_MEMFD", flags::MEMFD),
        ("FLAG_OVERLAY", flags::OVERLAY),
        ("FLAG_OVERLAY_UPPER", flags::OVERLAY_UPPER),
        ("FLAG_ROOT_FS", flags::ROOT_FS),
        ("FLAG_DETACHED", flags::DETACHED),
        ("FLAG_PARENT_RUNTIME", flags::PARENT_RUNTIME),
        ("FLAG_PARENT_INFERRED", flags::PARENT_INFERRED),
        ("FLAG_SETUP", flags::SETUP),
    ];
    for (name, value) in flags {
        assert_eq!(number(name), Some(value), "{name}");
    }
}
