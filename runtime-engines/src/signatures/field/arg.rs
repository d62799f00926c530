//! The arguments of system calls: `evt.arg.NAME`, `evt.arg[N]`, `evt.rawarg.NAME` and `evt.args`.
//!
//! They are told from what an event says was done, in the words that Falco has for it. Which call has which
//! arguments, and in which order, is in [`calls`](super::calls).

use runtime_core::event::network::{Endpoint, Protocol};
use runtime_core::event::{FileOperation, NetworkOperation};
use runtime_core::{Activity, Event, FileActivity, NetworkActivity, Outcome, RawString, SystemActivity};

use super::calls::names_of;
use super::fd::{self, write_endpoint};
use super::names;
use super::value::print;
use super::{Buffers, Kind, Value};

/// What stands behind a field's name in a rule.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in super::super) enum Given {
    None,
    Index(usize),
    Key(Box<str>),
    /// An argument of a call by its name.
    Call(Name),
    /// An argument of a call by its place.
    CallIndex(usize),
}

/// The type of an argument's raw value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum RawKind {
    Text,
    Number,
}

macro_rules! argument_names {
    ($($name:ident)*; $($special:ident $text:literal)*; $($other:literal)*) => {
        /// The arguments of which events tell something, by Falco's names for them.
        #[expect(non_camel_case_types, reason = "Falco's names")]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub(in super::super) enum Name {
            $($name,)*
            $($special,)*
            /// One that Falco has and no event of ours tells anything of.
            Unknown,
        }

        impl Name {
            /// The argument of this name; `None` where no call has one.
            pub(in super::super) fn find(name: &str) -> Option<Self> {
                match name {
                    $(stringify!($name) => Some(Self::$name),)*
                    $($text => Some(Self::$special),)*
                    $($other)|* => Some(Self::Unknown),
                    _ => None,
                }
            }

            fn as_str(self) -> &'static str {
                match self {
                    $(Self::$special => $text,)*
                    $(Self::$name => stringify!($name),)*
                    Self::Unknown => "",
                }
            }
        }
    };
}

argument_names! {
    addr args cap_effective cmd comm cwd dev dir domain entries euid exe fd filename flags gid ino linkpath mode newpath
    nstype oldpath path pathname pid prot proto ptid request res res_or_fd sig target tid tuple uid;
    kind "type" called "name";
    "ID" "action" "arg" "arg2" "arg2_int" "arg2_str" "arg3" "arg4" "arg5" "argument" "argv" "aux" "backlog"
    "cap_inheritable" "cap_permitted" "cgroups" "clockid" "container_id" "core" "cpu" "cpu_sys" "cpu_usr"
    "cq_entries" "creat_flags" "cur" "data" "desc" "description" "dirfd" "dpid" "dqb_bhardlimit" "dqb_bsoftlimit"
    "dqb_btime" "dqb_curspace" "dqb_ihardlimit" "dqb_isoftlimit" "dqb_itime" "dqi_bgrace" "dqi_flags" "dqi_igrace"
    "egid" "env" "error" "event_data" "event_type" "exe_ino" "exe_ino_ctime" "exe_ino_mtime" "exe_ino_num" "exepath"
    "fd1" "fd2" "fd_in" "fd_out" "fd_type" "fdin" "fdlimit" "fdout" "fds" "features" "first" "home" "how" "id" "image"
    "img" "in_fd" "initval" "ino_num" "interval" "ip" "json" "key" "last" "len" "length" "level" "linkdirfd"
    "local_ip" "local_port" "loginuid" "mask" "max" "maxevents" "min_complete" "mnt_id" "mountfd" "msgcontrol"
    "nativeID" "newcur" "newdir" "newdirfd" "newfd" "newmax" "next" "nr_args" "nsems" "nsops" "offin" "offout"
    "offset" "oldcur" "olddir" "olddirfd" "oldfd" "oldmax" "op" "opcode" "operation" "option" "optlen" "optname"
    "out_fd" "peer" "pgft_maj" "pgft_min" "pgid" "pgoffset" "pid_fd" "pidns_init_start_ts" "plugin_id" "pos" "ppid"
    "queuelen" "queuemax" "queuepct" "quota_fmt" "quota_fmt_out" "quotafilepath" "ratio" "reaper_tid" "remote_ip"
    "remote_port" "resolve" "resource" "ret" "rgid" "root" "ruid" "scope" "sem_flg_0" "sem_flg_1" "sem_num_0"
    "sem_num_1" "sem_op_0" "sem_op_1" "semflg" "semid" "semnum" "sgid" "shell" "sid" "sigmask" "size" "sk_pointer"
    "sk_proto" "sk_type" "source" "special" "spid" "sq_entries" "sq_thread_cpu" "sq_thread_idle" "start_time" "status"
    "suid" "sun_path" "tags" "target_fd" "timeout" "to_submit" "trusted_exepath" "tty" "uargs" "val"
    "value_bytebuf" "value_charbuf" "vm_rss" "vm_size" "vm_swap" "vpgid" "vpid" "vtgid" "vtid" "whence"
}

impl Name {
    pub(in super::super) fn raw_kind(self) -> RawKind {
        match self {
            Self::addr
            | Self::args
            | Self::comm
            | Self::cwd
            | Self::dir
            | Self::exe
            | Self::filename
            | Self::linkpath
            | Self::called
            | Self::newpath
            | Self::oldpath
            | Self::path
            | Self::pathname
            | Self::target
            | Self::tuple
            | Self::dev
            | Self::kind => RawKind::Text,
            _ => RawKind::Number,
        }
    }
}

/// Whether events of a kind never have this argument, so that it is missing for certain.
pub(super) fn is_missing(kind: &Kind, given: &Given) -> bool {
    let names = kind.call.map(names_of).unwrap_or_default();
    match given {
        Given::Call(name) => *name == Name::Unknown || !names.contains(name),
        Given::CallIndex(at) => names.get(*at).is_none_or(|name| *name == Name::Unknown),
        _ => false,
    }
}

fn look_up(event: &Event, given: &Given) -> Option<Name> {
    let kind = Kind::of(event);
    if is_missing(kind, given) {
        return None;
    }
    match given {
        Given::Call(name) => Some(*name),
        Given::CallIndex(at) => names_of(kind.call?).get(*at).copied(),
        _ => None,
    }
}

/// An argument, in words.
pub(super) fn worded<'a>(event: &'a Event, buffers: &'a mut Buffers, given: &'a Given) -> Value<'a> {
    match look_up(event, given) {
        Some(name) => word(event, buffers, name),
        None => Value::Missing,
    }
}

/// An argument, as a number where it is one.
pub(super) fn raw<'a>(event: &'a Event, buffers: &'a mut Buffers, given: &'a Given) -> Value<'a> {
    let Some(name) = look_up(event, given) else {
        return Value::Missing;
    };
    match name.raw_kind() {
        RawKind::Text => word(event, buffers, name),
        RawKind::Number => Value::number(number(event, name)),
    }
}

/// All arguments, each as `name=value`, joined by blanks.
pub(super) fn all<'a>(event: &'a Event, buffers: &'a mut Buffers, _: &'a Given) -> Value<'a> {
    let Some(call) = Kind::of(event).call else {
        return Value::Missing;
    };
    let mut text = std::mem::take(&mut buffers.joined);
    text.clear();
    for &name in names_of(call) {
        let Value::Text(value) = word(event, buffers, name) else {
            continue;
        };
        if !text.is_empty() {
            text.push(b' ');
        }
        text.extend_from_slice(name.as_str().as_bytes());
        text.push(b'=');
        text.extend_from_slice(value);
    }
    buffers.joined = text;
    Value::Text(&buffers.joined)
}

fn word<'a>(event: &'a Event, buffers: &'a mut Buffers, name: Name) -> Value<'a> {
    let process = &*event.process;
    match name {
        Name::exe => return Value::text(process.args.first().map(RawString::as_bytes)),
        Name::args => return Value::Text(buffers.args(process)),
        Name::cwd => return Value::text(Some(process.cwd.as_bytes()).filter(|cwd| !cwd.is_empty())),
        Name::comm => return Value::Text(&process.comm),
        _ => {}
    }
    let special = match &event.activity {
        Activity::File(file) => file_word(event, file, buffers, name),
        Activity::Network(network) => network_word(network, buffers, name),
        Activity::System(system) => system_word(system, buffers, name),
        _ => None,
    };
    // The borrow of `buffers` ends with what was not found.
    match special {
        Some(found) => found.value(buffers),
        None => match number(event, name) {
            Some(number) if matches!(name, Name::res | Name::fd | Name::res_or_fd) && number < 0 => {
                // A descriptor that there is none of is -1, whatever the error.
                let error = result(event).filter(|result| *result < 0).unwrap_or(number);
                match names::error(error) {
                    Some(name) => Value::Text(name.as_bytes()),
                    None => buffers.printed(format_args!("{error}")),
                }
            }
            Some(0) if matches!(name, Name::uid | Name::euid | Name::gid) => Value::Text(b"root"),
            Some(number) => buffers.printed(format_args!("{number}")),
            None => Value::Missing,
        },
    }
}

/// A word that was found, or put together in the buffers.
enum Word<'a> {
    Found(Value<'a>),
    Made,
}

impl<'a> Word<'a> {
    fn value(self, buffers: &'a Buffers) -> Value<'a> {
        match self {
            Self::Found(value) => value,
            Self::Made => Value::Text(buffers.last_made()),
        }
    }
}

fn file_word<'a>(
    event: &Event,
    file: &'a FileActivity,
    buffers: &mut Buffers,
    name: Name,
) -> Option<Word<'a>> {
    let found = |path: &'a RawString| Some(Word::Found(Value::Text(path)));
    let written = file.argument.as_ref().unwrap_or(&file.path);
    match (name, file.operation) {
        (Name::fd, _) => {
            if fd::number(event).is_some_and(|number| number < 0) {
                return None;
            }
            buffers.made(|text| {
                text.extend_from_slice(b"<f>");
                text.extend_from_slice(&file.path);
            });
            Some(Word::Made)
        }
        (Name::called | Name::path | Name::pathname | Name::filename | Name::oldpath | Name::target, _) => {
            found(written)
        }
        (Name::newpath | Name::linkpath, _) => found(file.new_path.as_ref()?),
        (Name::flags, FileOperation::Open(open)) => {
            buffers.made(|text| names::open_flags(text, open.flags, open.created));
            Some(Word::Made)
        }
        (Name::flags, FileOperation::Rmdir) => Some(Word::Found(Value::Text(b"AT_REMOVEDIR"))),
        (Name::mode, FileOperation::Open(open)) => {
            buffers.printed(format_args!("0{:o}", open.mode));
            Some(Word::Made)
        }
        (Name::mode, FileOperation::Mkdir { mode }) => {
            buffers.printed(format_args!("0{mode:o}"));
            Some(Word::Made)
        }
        (Name::mode, FileOperation::Chmod { mode }) => {
            buffers.made(|text| names::flags(text, names::MODE, mode.into()));
            Some(Word::Made)
        }
        (Name::mode, FileOperation::Mknod { mode }) => {
            buffers.made(|text| {
                names::flags(text, names::MODE, (mode & 0o7777).into());
                if let Some(kind) = names::one(names::FILE_TYPES, (mode & 0o170_000).into()) {
                    if !text.is_empty() {
                        text.push(b'|');
                    }
                    text.extend_from_slice(kind.as_bytes());
                }
            });
            Some(Word::Made)
        }
        _ => None,
    }
}

fn network_word<'a>(network: &'a NetworkActivity, buffers: &mut Buffers, name: Name) -> Option<Word<'a>> {
    match name {
        Name::domain => {
            let family = names::family(family(network))?;
            Some(Word::Found(Value::Text(family.as_bytes())))
        }
        Name::addr => {
            let endpoint = match network.operation {
                NetworkOperation::Bind | NetworkOperation::Listen => network.local.as_ref(),
                _ => network.remote.as_ref(),
            }?;
            buffers.made(|text| write_endpoint(text, endpoint));
            Some(Word::Made)
        }
        Name::tuple => {
            buffers.made(|text| fd::write_socket_name(text, network));
            Some(Word::Made)
        }
        _ => None,
    }
}

/// `AF_…`, as far as it is known: for IP sockets without an address it is taken for IPv4.
fn family(network: &NetworkActivity) -> u16 {
    let address = [&network.remote, &network.local]
        .into_iter()
        .flatten()
        .find_map(Endpoint::socket_addr);
    match network.protocol {
        Protocol::Unix => 1,
        Protocol::Packet => 17,
        Protocol::Other { family, .. } => family,
        _ if address.is_some_and(|address| address.is_ipv6()) => 10,
        _ => 2,
    }
}

fn system_word<'a>(system: &'a SystemActivity, buffers: &mut Buffers, name: Name) -> Option<Word<'a>> {
    use SystemActivity as Did;
    let word = |word: &'static str| Some(Word::Found(Value::Text(word.as_bytes())));
    let (bits, bit_names) = match (name, system) {
        (Name::dev, Did::Mount { source, .. }) => return Some(Word::Found(Value::Text(source))),
        (Name::dir, Did::Mount { target, .. }) | (Name::called, Did::Unmount { target, .. }) => {
            return Some(Word::Found(Value::Text(target)));
        }
        (Name::kind, Did::Mount { fs_type, .. }) => return Some(Word::Found(Value::Text(fs_type))),
        (Name::called, Did::UnloadModule { name } | Did::Memfd { name, .. }) => {
            return Some(Word::Found(Value::Text(name)));
        }
        (Name::request, Did::Ptrace { request, .. }) => return word(names::one(names::PTRACE, *request)?),
        (Name::cmd, Did::Bpf { command }) => return word(names::bpf_command(*command)?),
        (Name::cmd, Did::Keyctl { command }) => return word(names::keyctl_command(*command)?),
        (Name::sig, Did::Signal { signal, .. }) => return word(names::signal(*signal)?),
        (Name::cap_effective, Did::SetCapabilities { effective }) => {
            buffers.made(|text| names::capabilities(text, effective.1));
            return Some(Word::Made);
        }
        (Name::flags, Did::Mount { flags, .. }) => (*flags, names::MOUNT),
        (Name::flags, Did::Unmount { flags, .. }) => (*flags, names::UNMOUNT),
        (Name::flags, Did::Memfd { flags, .. }) => (*flags, names::MEMFD),
        (Name::flags | Name::nstype, Did::Namespaces { kinds, .. }) => (*kinds, names::NAMESPACES),
        (Name::prot, Did::ExecutableMemory { protection, .. }) => (*protection, names::PROTECTION),
        _ => return None,
    };
    buffers.made(|text| {
        names::flags(text, bit_names, bits);
        if text.is_empty() {
            print(text, format_args!("{bits}"));
        }
    });
    Some(Word::Made)
}

/// An argument that is a number.
fn number(event: &Event, name: Name) -> Option<i64> {
    let process = &*event.process;
    match (name, &event.activity) {
        (Name::res | Name::res_or_fd, _) => result(event),
        (Name::fd, _) => fd::number(event),
        (Name::pid | Name::tid, Activity::Exec(_) | Activity::Fork) => Some(process.pid.0.into()),
        (Name::ptid, _) => Some(process.parent.pid.0.into()),
        (Name::uid, Activity::Exec(_) | Activity::Fork) => Some(process.credentials.uid.into()),
        (Name::gid, Activity::Exec(_) | Activity::Fork) => Some(process.credentials.gid.into()),
        (Name::ino, Activity::Exec(exec)) => Some(exec.file.inode as i64),
        (Name::ino, Activity::File(file)) => file.file.map(|file| file.inode as i64),
        (name, Activity::File(file)) => file_number(file, name),
        (name, Activity::Network(network)) => network_number(network, name),
        (name, Activity::System(system)) => system_number(system, name),
        _ => None,
    }
}

fn file_number(file: &FileActivity, name: Name) -> Option<i64> {
    match (name, file.operation) {
        (Name::flags, FileOperation::Open(open)) => Some(open.flags.into()),
        (Name::mode, FileOperation::Open(open)) => Some(open.mode.into()),
        (
            Name::mode,
            FileOperation::Mkdir { mode } | FileOperation::Mknod { mode } | FileOperation::Chmod { mode },
        ) => Some(mode.into()),
        (Name::uid, FileOperation::Chown { uid, .. }) => Some(uid.map_or(-1, i64::from)),
        (Name::gid, FileOperation::Chown { gid, .. }) => Some(gid.map_or(-1, i64::from)),
        _ => None,
    }
}

fn network_number(network: &NetworkActivity, name: Name) -> Option<i64> {
    match (name, network.protocol) {
        (Name::domain, _) => Some(family(network).into()),
        (Name::kind, Protocol::Tcp) => Some(1),
        (Name::kind, Protocol::Udp | Protocol::Icmp) => Some(2),
        (Name::kind, Protocol::Raw) => Some(3),
        (Name::kind, Protocol::Other { kind, .. }) => Some(kind.into()),
        (Name::proto, Protocol::Tcp) => Some(6),
        (Name::proto, Protocol::Udp) => Some(17),
        _ => None,
    }
}

fn system_number(system: &SystemActivity, name: Name) -> Option<i64> {
    use SystemActivity as Did;
    Some(match (name, system) {
        (Name::flags, Did::Mount { flags, .. } | Did::Unmount { flags, .. } | Did::Memfd { flags, .. }) => {
            *flags as i64
        }
        (Name::flags, Did::Userfaultfd { flags }) => *flags as i64,
        (Name::flags | Name::nstype, Did::Namespaces { kinds, .. }) => *kinds as i64,
        (Name::request, Did::Ptrace { request, .. }) => *request as i64,
        (
            Name::pid,
            Did::Ptrace { target, .. } | Did::WriteMemory { target, .. } | Did::Signal { target, .. },
        ) => target.pid.0.into(),
        (Name::sig, Did::Signal { signal, .. }) => (*signal).into(),
        (Name::uid, Did::SetIds { uid, euid }) => if uid.0 == uid.1 { euid.1 } else { uid.1 }.into(),
        (Name::euid, Did::SetIds { euid, .. }) => euid.1.into(),
        (Name::cmd, Did::Bpf { command } | Did::Keyctl { command }) => *command as i64,
        (Name::entries, Did::IoUringSetup { entries }) => *entries as i64,
        (Name::cap_effective, Did::SetCapabilities { effective }) => effective.1 as i64,
        (Name::prot, Did::ExecutableMemory { protection, .. }) => *protection as i64,
        _ => return None,
    })
}

/// What the call returned, as far as it is known.
pub(super) fn result(event: &Event) -> Option<i64> {
    match (&event.call, &event.activity) {
        (Some(call), _) if call.result.is_some() => call.result,
        // Execs and forks are seen when they have succeeded, and are 0 in the process that they make.
        (_, Activity::Exec(_) | Activity::Fork) => (event.outcome == Outcome::Done).then_some(0),
        _ => None,
    }
}
