use proptest::prelude::*;

use super::*;

fn mk_exec() -> ExecRecord<'static> {
    ExecRecord {
        start: 1,
        parent_start: 2,
        inode: 3,
        size: 4,
        effective_caps: 5,
        permitted_caps: 6,
        args_length: 7,
        device: 8,
        flags: flags::SCRIPT,
        pid: 9,
        container_pid: 10,
        parent_pid: 11,
        args_count: 12,
        uid: 13,
        gid: 14,
        euid: 15,
        pid_namespace: 16,
        mount_namespace: 17,
        comm: *b"0123456789abcdef",
        exe: b"/bin/busybox",
        filename: b"./run",
        interp: b"",
        args: b"a\0b\0",
        cwd: b"/",
        parent_exe: b"/bin/sh",
    }
}

fn mk_record(body: Body<'_>) -> Record<'_> {
    Record {
        header: Header {
            cpu: 1,
            sequence: 2,
            time: 3,
            cgroup: 4,
        },
        body,
    }
}

fn all_kinds() -> Vec<Record<'static>> {
    let fork = ForkRecord {
        start: 1,
        parent_start: 2,
        pid: 3,
        container_pid: 4,
        parent_pid: 5,
        flags: 6,
    };
    let actor = Actor {
        start: 1,
        result: -2,
        pid: 3,
        uid: 4,
        gid: 5,
        euid: 6,
        flags: flags::CREATED,
        call: 7,
        exe: b"/bin/sh",
        parent_exe: b"/sbin/init",
    };
    let file = FileRecord {
        actor,
        inode: 1,
        device: 2,
        open_flags: 3,
        mode: 4,
        uid: 5,
        gid: 6,
        dir: b"/",
        path: b"a",
        new_dir: b"/b",
        new_path: b"",
    };
    let network = NetworkRecord {
        actor,
        local: [1; 16],
        remote: [2; 16],
        descriptor: -1,
        local_port: 3,
        remote_port: 4,
        local_family: 2,
        remote_family: 10,
        family: 10,
        kind: 1,
        protocol: 6,
        local_path: b"\0abstract",
        remote_path: b"/run/socket",
    };
    let system = SystemRecord {
        actor,
        args: [1, 2, 3, 4],
        effective_caps: 5,
        target_start: 6,
        target_cgroup: 7,
        target_pid: 8,
        family: 2,
        remote_port: 9,
        remote: [3; 16],
        target_exe: b"/bin/victim",
        dir: b"/",
        texts: [b"proc", b"/proc", b""],
    };
    let packet = PacketRecord {
        cookie: 1,
        start: 2,
        pid: 3,
        outgoing: 1,
        wire_length: 60,
        network: 4,
        bytes: b"\x45",
    };
    vec![
        mk_record(Body::File(file)),
        mk_record(Body::Network(network)),
        mk_record(Body::System(system)),
        mk_record(Body::Packet(packet)),
        mk_record(Body::Exec(mk_exec())),
        mk_record(Body::Fork(fork)),
        mk_record(Body::Exit(ExitRecord {
            start: 1,
            pid: 2,
            status: 3,
        })),
        mk_record(Body::CgroupMade(CgroupRecord { path: b"/a/b" })),
        mk_record(Body::CgroupRemoved(CgroupRecord { path: b"" })),
    ]
}

#[test]
fn every_kind_decodes_to_what_was_encoded() {
    for record in all_kinds() {
        let bytes = record.encode();
        assert_eq!(Record::decode(&bytes).as_ref(), Ok(&record));
    }
}

#[test]
fn every_cut_of_every_kind_is_refused() {
    for record in all_kinds() {
        let bytes = record.encode();
        for length in 0..bytes.len() {
            assert!(
                Record::decode(&bytes[..length]).is_err(),
                "{record:?} cut to {length}"
            );
        }
    }
}

#[test]
fn a_string_outside_of_the_record_is_refused() {
    let mut bytes = mk_record(Body::CgroupMade(CgroupRecord { path: b"/a" })).encode();
    bytes[34..36].copy_from_slice(&3u16.to_ne_bytes());
    assert_eq!(
        Record::decode(&bytes),
        Err(DecodeError::Tail {
            length: 42,
            start: 40,
            end: 43
        })
    );
    // One that points into the fixed part would leak other fields' bytes as text.
    bytes[32..34].copy_from_slice(&8u16.to_ne_bytes());
    assert_eq!(
        Record::decode(&bytes),
        Err(DecodeError::Tail {
            length: 42,
            start: 8,
            end: 11
        })
    );
}

#[test]
fn an_unknown_kind_is_refused() {
    let mut bytes = mk_record(Body::Exit(ExitRecord::default())).encode();
    bytes[0..2].copy_from_slice(&77u16.to_ne_bytes());
    assert_eq!(Record::decode(&bytes), Err(DecodeError::Kind(77)));
}

proptest! {
    #[test]
    fn garbage_never_panics_and_what_decodes_survives(
        kind in 0u16..11, body in prop::collection::vec(any::<u8>(), 0..400)
    ) {
        let mut bytes = vec![0; 8];
        bytes.extend(body);
        let length = bytes.len() as u32;
        bytes[0..2].copy_from_slice(&kind.to_ne_bytes());
        bytes[4..8].copy_from_slice(&length.to_ne_bytes());
        if let Ok(record) = Record::decode(&bytes) {
            let again = record.encode();
            prop_assert_eq!(Record::decode(&again), Ok(record));
        }
    }
}
