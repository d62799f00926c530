//! An event out of any bytes.

use runtime_core::event::network::{Endpoint, NetworkOperation, Protocol};
use runtime_core::event::{
    DnsAnswer, Exit, FileOperation, MemoryWay, NamespaceWay, Open, Origin, OtherProcess,
};
use runtime_core::{
    Activity, Container, DnsActivity, DomainName, Event, FileActivity, NetworkActivity, Pid, RawString,
    Syscall, SystemActivity, Timestamp,
};
use runtime_engines::testing::{ExecBuilder, mk_container, mk_event, with_call, with_process_of};

/// Takes the event apart from its bytes; where they end, everything is 0 and empty.
pub fn from(data: &[u8]) -> Event {
    let mut bytes = Bytes(data);
    let ancestors: Vec<String> = (0..bytes.byte() % 4).map(|_| bytes.lossy()).collect();
    let mut by = ExecBuilder::new(bytes.text())
        .invoked_as(bytes.text())
        .raw_args((0..bytes.byte() % 6).map(|_| bytes.text()).collect())
        .cwd(bytes.text())
        .uid(bytes.number() as u32)
        .origin(bytes.one(&[
            None,
            Some(Origin::Image),
            Some(Origin::Dropped),
            Some(Origin::Memory),
        ]))
        .ancestors(&ancestors.iter().map(String::as_str).collect::<Vec<_>>());
    if bytes.flag() {
        by = by.script(bytes.text());
    }
    let mut container = Container {
        image: bytes.flag().then(|| bytes.lossy()),
        ..mk_container("c1")
    };
    container.labels.insert("app".into(), bytes.lossy());
    if bytes.flag() {
        container.pod = None;
    }
    let by = by.container(bytes.flag().then_some(container)).build();
    let activity = match bytes.byte() % 7 {
        0 => by.activity.clone(),
        1 => Activity::Fork,
        2 => Activity::Exit(Exit {
            code: bytes.byte(),
            signal: bytes.byte(),
        }),
        3 => file(&mut bytes),
        4 => network(&mut bytes),
        5 => dns(&mut bytes),
        _ => Activity::System(system(&mut bytes)),
    };
    let mut event = with_process_of(mk_event(activity), &by);
    event.time = Timestamp::from_unix_nanos(bytes.number());
    if bytes.flag() {
        return event;
    }
    let call = Syscall::ALL[bytes.number() as usize % Syscall::ALL.len()];
    with_call(event, call, bytes.number() as i64)
}

fn file(bytes: &mut Bytes<'_>) -> Activity {
    let mode = bytes.number() as u32;
    let operation = match bytes.byte() % 11 {
        0..4 => FileOperation::Open(Open {
            flags: bytes.number() as u32,
            mode,
            created: bytes.flag(),
        }),
        4 => FileOperation::Truncate,
        5 => FileOperation::Rename,
        6 => FileOperation::Unlink,
        7 => FileOperation::Mkdir { mode },
        8 => FileOperation::Mknod { mode },
        9 => FileOperation::Chmod { mode },
        _ => FileOperation::Chown {
            uid: Some(mode),
            gid: None,
        },
    };
    Activity::File(FileActivity {
        operation,
        path: bytes.text(),
        new_path: bytes.flag().then(|| bytes.text()),
        argument: bytes.flag().then(|| bytes.text()),
        file: None,
    })
}

fn network(bytes: &mut Bytes<'_>) -> Activity {
    use NetworkOperation as Op;
    Activity::Network(NetworkActivity {
        operation: bytes.one(&[
            Op::Socket,
            Op::Connect,
            Op::Bind,
            Op::Listen,
            Op::Accept,
            Op::Send,
        ]),
        protocol: Protocol::from_numbers(bytes.byte().into(), bytes.byte().into(), bytes.byte().into()),
        local: endpoint(bytes),
        remote: endpoint(bytes),
        domains: (0..bytes.byte() % 3).map(|_| domain(bytes)).collect(),
        descriptor: bytes.flag().then(|| bytes.number() as i32),
    })
}

fn endpoint(bytes: &mut Bytes<'_>) -> Option<Endpoint> {
    match bytes.byte() % 4 {
        0 => None,
        1 => Some(Endpoint::ip(
            (bytes.number() as u32).to_be_bytes().into(),
            bytes.number() as u16,
        )),
        2 => Some(Endpoint::ip(
            u128::from(bytes.number()).to_le_bytes().into(),
            bytes.number() as u16,
        )),
        _ => Some(Endpoint::Unix(bytes.text())),
    }
}

fn domain(bytes: &mut Bytes<'_>) -> DomainName {
    let label = bytes.text();
    DomainName::from_labels([&label[..], b"example"])
        .unwrap_or_else(|_| "example.com".parse().expect("a name"))
}

fn dns(bytes: &mut Bytes<'_>) -> Activity {
    let answer = bytes.flag().then(|| DnsAnswer {
        code: bytes.byte().into(),
        aliases: (0..bytes.byte() % 3).map(|_| domain(bytes)).collect(),
        addresses: (0..bytes.byte() % 3)
            .map(|_| (bytes.number() as u32).to_be_bytes().into())
            .collect(),
    });
    Activity::Dns(DnsActivity {
        name: domain(bytes),
        record_type: bytes.number() as u16,
        server: ([10, 96, 0, 10], 53).into(),
        tcp: bytes.flag(),
        answer,
    })
}

fn system(bytes: &mut Bytes<'_>) -> SystemActivity {
    use SystemActivity as Did;
    let (number, text) = (bytes.number(), bytes.text());
    let mut target = || OtherProcess {
        pid: Pid(bytes.number() as u32),
        exe: bytes.flag().then(|| bytes.text()),
        container: None,
    };
    match number % 17 {
        0 => Did::Mount {
            source: text,
            target: bytes.text(),
            fs_type: bytes.text(),
            flags: bytes.number(),
        },
        1 => Did::Unmount {
            target: text,
            flags: bytes.number(),
        },
        2 => Did::PivotRoot {
            new_root: text,
            put_old: bytes.text(),
        },
        3 => Did::Ptrace {
            request: number / 17,
            target: target(),
        },
        4 => Did::WriteMemory {
            way: MemoryWay::ProcFile,
            target: target(),
        },
        5 => Did::Signal {
            signal: number as u32 / 17,
            target: target(),
        },
        6 => Did::Namespaces {
            way: NamespaceWay::Unshare,
            kinds: bytes.number(),
        },
        7 => Did::SetIds {
            uid: (0, number as u32),
            euid: (number as u32, 0),
        },
        8 => Did::SetCapabilities {
            effective: (0, bytes.number()),
        },
        9 => Did::LoadModule { path: text },
        10 => Did::UnloadModule { name: text },
        11 => Did::Bpf { command: number / 17 },
        12 => Did::Keyctl { command: number / 17 },
        13 => Did::Memfd {
            name: text,
            flags: bytes.number(),
        },
        14 => Did::ExecutableMemory {
            protection: bytes.number(),
            file: bytes.flag().then_some(text),
        },
        15 => Did::SocketToStandardStream {
            stream: number as u32,
            remote: endpoint(bytes),
        },
        _ => Did::Setsid,
    }
}

struct Bytes<'d>(&'d [u8]);

impl Bytes<'_> {
    fn byte(&mut self) -> u8 {
        let (&first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        first
    }

    fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    fn one<T: Clone>(&mut self, all: &[T]) -> T {
        all[usize::from(self.byte()) % all.len()].clone()
    }

    /// Small ones mostly, and any.
    fn number(&mut self) -> u64 {
        match self.byte() {
            255 => (0..8).fold(0, |number, _| number << 8 | u64::from(self.byte())),
            small => small.into(),
        }
    }

    /// Often such as the rules ask for.
    fn text(&mut self) -> RawString {
        let length = self.byte();
        let known: [&[u8]; 6] = [b"a", b"/a", b"/etc/passwd", b"abcd", b"/etc/x/b", b"app"];
        if length >= 250 {
            return known[usize::from(length - 250)].into();
        }
        let (text, rest) = self.0.split_at(usize::from(length).min(self.0.len()));
        self.0 = rest;
        text.into()
    }

    fn lossy(&mut self) -> String {
        String::from_utf8_lossy(&self.text()).into_owned()
    }
}
