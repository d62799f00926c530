//! The kinds of records, as `bpf/events.h` lays them out and documents them.

use super::DecodeError;
use super::codec::{Encoder, Field, Fields, Structure, records};

records! {
    /// `struct exec_event`.
    ExecRecord<'a> {
        start: u64,
        parent_start: u64,
        inode: u64,
        size: u64,
        effective_caps: u64,
        permitted_caps: u64,
        args_length: u64,
        device: u32,
        flags: u32,
        pid: u32,
        container_pid: u32,
        parent_pid: u32,
        args_count: u32,
        uid: u32,
        gid: u32,
        euid: u32,
        pid_namespace: u32,
        mount_namespace: u32,
        comm: [u8; 16],
        exe: &'a [u8],
        filename: &'a [u8],
        interp: &'a [u8],
        args: &'a [u8],
        cwd: &'a [u8],
        parent_exe: &'a [u8],
    }

    /// `struct fork_event`.
    ForkRecord {
        start: u64,
        parent_start: u64,
        pid: u32,
        container_pid: u32,
        parent_pid: u32,
        flags: u32,
    }

    /// `struct exit_event`.
    ExitRecord {
        start: u64,
        pid: u32,
        status: u32,
    }

    /// `struct cgroup_event`.
    CgroupRecord<'a> {
        path: &'a [u8],
    }

    /// `struct actor`: who made a system call, and what it returned.
    Actor<'a> {
        start: u64,
        result: i64,
        pid: u32,
        uid: u32,
        gid: u32,
        euid: u32,
        flags: u32,
        call: u32,
        exe: &'a [u8],
        parent_exe: &'a [u8],
    }

    /// `struct file_event`.
    FileRecord<'a> {
        actor: Actor<'a>,
        inode: u64,
        device: u32,
        open_flags: u32,
        mode: u32,
        uid: u32,
        gid: u32,
        dir: &'a [u8],
        path: &'a [u8],
        new_dir: &'a [u8],
        new_path: &'a [u8],
    }

    /// `struct network_event`.
    NetworkRecord<'a> {
        actor: Actor<'a>,
        local: [u8; 16],
        remote: [u8; 16],
        descriptor: i32,
        local_port: u16,
        remote_port: u16,
        local_family: u16,
        remote_family: u16,
        family: u16,
        kind: u16,
        protocol: u16,
        local_path: &'a [u8],
        remote_path: &'a [u8],
    }

    /// `struct system_event`.
    SystemRecord<'a> {
        actor: Actor<'a>,
        args: [u64; 4],
        effective_caps: u64,
        target_start: u64,
        target_cgroup: u64,
        target_pid: u32,
        family: u16,
        remote_port: u16,
        remote: [u8; 16],
        target_exe: &'a [u8],
        dir: &'a [u8],
        texts: [&'a [u8]; 3],
    }

    /// `struct packet_event`.
    PacketRecord<'a> {
        cookie: u64,
        start: u64,
        pid: u32,
        outgoing: u32,
        wire_length: u32,
        network: u32,
        bytes: &'a [u8],
    }
}

impl ExecRecord<'_> {
    /// Whether one of the [`flags`](super::flags) is set.
    pub fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }
}

impl Actor<'_> {
    /// Whether one of the [`flags`](super::flags) is set.
    pub fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }
}
