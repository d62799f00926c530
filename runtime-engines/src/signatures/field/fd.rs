//! `fd.*`: the file or the socket behind the descriptor that a call makes or works on.

use std::net::IpAddr;

use runtime_core::event::FileOperation;
use runtime_core::event::network::{Endpoint, NetworkOperation, Protocol};
use runtime_core::raw::base_name;
use runtime_core::{Activity, DomainName, Event, EventClass, FileActivity, NetworkActivity, SystemActivity};

use super::value::print;
use super::{Buffers, Fixed, Given, Kind, Value, arg};

/// `O_DIRECTORY`.
const DIRECTORY: u32 = 0o200_000;

const FILES: &[EventClass] = &[EventClass::File];
const SOCKETS: &[EventClass] = &[EventClass::Network];
const STREAMS: &[EventClass] = &[EventClass::Network, EventClass::System];
const ALL: &[EventClass] = &[EventClass::File, EventClass::Network, EventClass::System];

pub(super) const FIELDS: &[super::Field] = super::fields! {
    "fd.num": Number on ALL, {|event, _, _| Value::number(number(event)), Fixed::Kind(no_descriptor)} =>
        "The descriptor's number. -1 for an open that failed.";
    "fd.type": Text on ALL, {|event, _, _| kind(event, |kind| kind.0), Fixed::Kind(no_descriptor)} =>
        "`file`, `directory` (where the caller asked for one), `ipv4`, `ipv6`, `unix`, `netlink` or `packet`.";
    "fd.typechar": Text on ALL, {|event, _, _| kind(event, |kind| kind.1), Fixed::Kind(no_descriptor)} =>
        "The same in one letter: `f`, `d`, `4`, `6` or `u`; `n` for netlink, `o` for others.";
    "fd.name": Text on ALL, {name, Fixed::Kind(no_descriptor)} =>
        "A file's path; for a socket client and server, as in `10.0.0.1:5000->192.0.2.1:443`, or its own address; \
         for a Unix socket the path.";
    "fd.nameraw": Text on FILES, {|event, _, _| match file(event) {
            Some(file) => Value::text(file.argument.as_deref()),
            None => Value::Missing,
        }, Fixed::Kind(no_descriptor)} =>
        "The file's path as the caller wrote it, where the event has it.";
    "fd.directory": Text on FILES, {
        |event, _, _| Value::text(file(event).map(|file| directory(&file.path))),
        Fixed::Kind(no_descriptor)
    } =>
        "The directory that the file is in.";
    "fd.filename": Text on FILES, {
        |event, _, _| Value::text(file(event).map(|file| base_name(&file.path))),
        Fixed::Kind(no_descriptor)
    } =>
        "The file's name without its directory.";
    "fd.ino": Number on FILES, {
        |event, _, _| Value::number(file(event).and_then(|file| file.file).map(|file| file.inode as i64)),
        Fixed::Kind(no_descriptor)
    } =>
        "The file's inode number.";
    "fd.dev": Number on FILES, {|event, _, _| device(event, |device| device), Fixed::Kind(no_descriptor)} =>
        "The file's device number, as the kernel has it.";
    "fd.dev.major": Number on FILES, {
        |event, _, _| device(event, |device| device >> 20),
        Fixed::Kind(no_descriptor)
    } =>
        "The major part of the file's device number.";
    "fd.dev.minor": Number on FILES, {
        |event, _, _| device(event, |device| device & 0xf_ffff),
        Fixed::Kind(no_descriptor)
    } =>
        "The minor part of the file's device number.";
    "fd.ip": Address on SOCKETS, {|event, _, _| both(event)} => "The address of either side.";
    "fd.cip": Address on SOCKETS, {|event, _, _| address(event, client)} => "The client's address.";
    "fd.sip": Address on SOCKETS, {|event, _, _| address(event, server)} => "The server's address.";
    "fd.lip": Address on SOCKETS, {|event, _, _| address(event, local)} => "The socket's own address.";
    "fd.rip": Address on STREAMS, {|event, _, _| address(event, remote)} => "The other side's address.";
    "fd.net": Network on SOCKETS, {|event, _, _| both(event)} => "The address of either side, for networks.";
    "fd.cnet": Network on SOCKETS, {|event, _, _| address(event, client)} => "The client's address, for networks.";
    "fd.snet": Network on SOCKETS, {|event, _, _| address(event, server)} => "The server's address, for networks.";
    "fd.lnet": Network on SOCKETS, {|event, _, _| address(event, local)} =>
        "The socket's own address, for networks.";
    "fd.rnet": Network on STREAMS, {|event, _, _| address(event, remote)} =>
        "The other side's address, for networks.";
    "fd.port": Number on SOCKETS, {|event, _, _| match sides(event) {
            Some(sides) if sides.iter().any(Option::is_some) => {
                Value::Numbers(sides.map(|side| side?.socket_addr().map(|address| address.port().into())))
            }
            _ => Value::Missing,
        }} =>
        "The port of either side.";
    "fd.cport": Number on SOCKETS, {|event, _, _| port(event, client)} => "The client's port.";
    "fd.sport": Number on SOCKETS, {|event, _, _| port(event, server)} => "The server's port.";
    "fd.lport": Number on SOCKETS, {|event, _, _| port(event, local)} => "The socket's own port.";
    "fd.rport": Number on STREAMS, {|event, _, _| port(event, remote)} => "The other side's port.";
    "fd.l4proto": Text on SOCKETS, {|event, _, _| match socket(event).map(|socket| socket.protocol) {
            Some(protocol @ (Protocol::Tcp | Protocol::Udp | Protocol::Icmp | Protocol::Raw)) => {
                Value::Text(protocol.name().as_bytes())
            }
            _ => Value::Missing,
        }} =>
        "`tcp`, `udp`, `icmp` or `raw`.";
    "fd.sockfamily": Text on SOCKETS, {|event, _, _| match socket(event).map(|socket| socket.protocol) {
            Some(Protocol::Tcp | Protocol::Udp | Protocol::Icmp | Protocol::Raw) => Value::Text(b"ip"),
            Some(Protocol::Unix) => Value::Text(b"unix"),
            _ => Value::Missing,
        }} =>
        "`ip` or `unix`.";
    "fd.is_server": Bool on SOCKETS, {|event, _, _| match socket(event) {
            Some(socket) => Value::Bool(is_server(socket)),
            None => Value::Missing,
        }} =>
        "Whether the process takes connections with the socket.";
    "fd.connected": Bool on SOCKETS, {|event, _, _| match socket(event) {
            Some(socket) => {
                let failed = arg::result(event).is_some_and(|result| result < 0);
                Value::Bool(match socket.operation {
                    NetworkOperation::Connect | NetworkOperation::Accept => !failed,
                    _ => false,
                })
            }
            None => Value::Missing,
        }} =>
        "Whether the socket is connected. False for what is sent to an address without a connection.";
    "fd.name_changed": Bool on SOCKETS, {|event, _, _| match socket(event) {
            Some(socket) => Value::Bool(matches!(
                socket.operation,
                NetworkOperation::Send | NetworkOperation::Connect | NetworkOperation::Bind
            )),
            None => Value::Missing,
        }} =>
        "Whether the event gave the socket another name: true for connects, binds and what is sent to an address.";
    "fd.cip.name": Text on SOCKETS, {|event, _, _| domains(event, true)} =>
        "The names that the container got the client's address for. What is not asked for by the container has \
         none.";
    "fd.sip.name": Text on SOCKETS, {|event, _, _| domains(event, false)} =>
        "The names that the container got the server's address for, as it asked for them: a name that was never \
         asked for is not looked up.";
    "fd.rip.name": Text on SOCKETS, {|event, _, _| match socket(event) {
            Some(socket) => Value::Domains(&socket.domains),
            None => Value::Missing,
        }} =>
        "The names that the container got the other side's address for.";
    "fd.lip.name": Text, {unknown} => "Not known: names of own addresses are not looked up.";
    "fd.proto": Text, {unknown} => "Not known: ports are numbers here, without names. Use fd.port.";
    "fd.cproto": Text, {unknown} => "Not known: ports are numbers here, without names. Use fd.cport.";
    "fd.sproto": Text, {unknown} => "Not known: ports are numbers here, without names. Use fd.sport.";
    "fd.lproto": Text, {unknown} => "Not known: ports are numbers here, without names. Use fd.lport.";
    "fd.rproto": Text, {unknown} => "Not known: ports are numbers here, without names. Use fd.rport.";
    "fd.uid": Text, {unknown} => "Not known: use fd.num and proc.pid.";
    "fd.containername": Text, {unknown} => "Not known: use container.id and fd.name.";
    "fd.containerdirectory": Text, {unknown} => "Not known: use container.id and fd.directory.";
    "fd.types": Text (Index), {unknown} => "Not known: descriptors are not followed.";
    "fd.is_upper_layer": Bool, {unknown} => "Not known: only of executables it is told where they are from.";
    "fd.is_lower_layer": Bool, {unknown} => "Not known: only of executables it is told where they are from.";
};

/// File events of calls that take a path only have no descriptor, as in Falco.
fn no_descriptor(kind: &Kind, _: &Given) -> Option<Value<'static>> {
    let without = match kind.class {
        EventClass::File => kind.access.is_none() && !by_descriptor(kind),
        EventClass::System => !is_dup(kind),
        _ => false,
    };
    without.then_some(Value::Missing)
}

fn by_descriptor(kind: &Kind) -> bool {
    use runtime_core::Syscall::{fchmod, fchown, ftruncate, pwrite64, pwritev, pwritev2, write, writev};
    kind.call.is_some_and(|call| {
        [
            fchmod, fchown, ftruncate, write, writev, pwrite64, pwritev, pwritev2,
        ]
        .contains(&call)
    })
}

fn is_dup(kind: &Kind) -> bool {
    use runtime_core::Syscall::{dup, dup2, dup3, fcntl};
    kind.call
        .is_some_and(|call| [dup, dup2, dup3, fcntl].contains(&call))
}

fn file(event: &Event) -> Option<&FileActivity> {
    match &event.activity {
        Activity::File(file) => {
            let opens = matches!(file.operation, FileOperation::Open(_));
            (opens || by_descriptor(Kind::of(event))).then_some(file)
        }
        _ => None,
    }
}

fn socket(event: &Event) -> Option<&NetworkActivity> {
    match &event.activity {
        Activity::Network(network) => Some(network),
        _ => None,
    }
}

/// The descriptor's number.
pub(super) fn number(event: &Event) -> Option<i64> {
    let result = event.call.and_then(|call| call.result);
    match &event.activity {
        Activity::File(file) => match file.operation {
            FileOperation::Open(_) => result.map(|result| result.max(-1)),
            _ => None,
        },
        Activity::Network(network) => match network.operation {
            NetworkOperation::Socket | NetworkOperation::Accept => network
                .descriptor
                .map(i64::from)
                .or(result.map(|result| result.max(-1))),
            _ => network.descriptor.map(i64::from),
        },
        Activity::System(SystemActivity::SocketToStandardStream { stream, .. }) => Some((*stream).into()),
        _ => None,
    }
}

type KindName = (&'static str, &'static str);

fn kind(event: &Event, part: fn(KindName) -> &'static str) -> Value<'static> {
    let of_address = |endpoint: Option<&Endpoint>| match endpoint {
        Some(Endpoint::Ip(address)) if address.is_ipv6() => Some(("ipv6", "6")),
        Some(Endpoint::Ip(_)) => Some(("ipv4", "4")),
        Some(_) => Some(("unix", "u")),
        None => None,
    };
    let kind = match &event.activity {
        Activity::File(_) => file(event).map(|file| match file.operation {
            FileOperation::Open(open) if open.flags & DIRECTORY != 0 => ("directory", "d"),
            _ => ("file", "f"),
        }),
        Activity::Network(socket) => match socket.protocol {
            Protocol::Unix => Some(("unix", "u")),
            Protocol::Packet => Some(("packet", "o")),
            Protocol::Other { family: 16, .. } => Some(("netlink", "n")),
            Protocol::Other { .. } => Some(("unknown", "o")),
            _ => of_address(socket.remote.as_ref().or(socket.local.as_ref())).or(Some(("ipv4", "4"))),
        },
        // A socket of which the other side is not known is one of this family more often than not.
        Activity::System(SystemActivity::SocketToStandardStream { remote, .. }) => {
            of_address(remote.as_ref()).or(Some(("ipv4", "4")))
        }
        _ => None,
    };
    Value::text(kind.map(|kind| part(kind).as_bytes()))
}

fn name<'a>(event: &'a Event, buffers: &'a mut Buffers, _: &'a Given) -> Value<'a> {
    match &event.activity {
        Activity::File(_) => Value::text(file(event).map(|file| file.path.as_bytes())),
        Activity::Network(socket) => match (socket.protocol, &socket.remote, &socket.local) {
            (_, None, None) => Value::Missing,
            _ => buffers.made(|text| write_socket_name(text, socket)),
        },
        Activity::System(SystemActivity::SocketToStandardStream {
            remote: Some(remote), ..
        }) => buffers.made(|text| write_endpoint(text, remote)),
        _ => Value::Missing,
    }
}

/// Appends `client->server`, or the address of the one side that is known.
pub(super) fn write_socket_name(text: &mut Vec<u8>, socket: &NetworkActivity) {
    let sides = [client(socket), server(socket)];
    match sides {
        [Some(Endpoint::Ip(client)), Some(Endpoint::Ip(server))] => {
            print(text, format_args!("{client}->{server}"));
        }
        [_, Some(side)] | [Some(side), None] => write_endpoint(text, side),
        [None, None] => {}
    }
}

/// Appends an address with its port, or a path.
pub(super) fn write_endpoint(text: &mut Vec<u8>, endpoint: &Endpoint) {
    match endpoint {
        Endpoint::Ip(address) => print(text, format_args!("{address}")),
        Endpoint::Unix(path) => text.extend_from_slice(path),
        _ => {}
    }
}

/// The part before the last `/`; `/` for what lies in the root.
fn directory(path: &[u8]) -> &[u8] {
    match path.iter().rposition(|&byte| byte == b'/') {
        Some(0) => b"/",
        Some(slash) => &path[..slash],
        None => b"",
    }
}

fn device(event: &Event, part: fn(u32) -> u32) -> Value<'static> {
    let id = file(event).and_then(|file| file.file);
    Value::number(id.map(|id| part(id.device)))
}

fn is_server(socket: &NetworkActivity) -> bool {
    matches!(
        socket.operation,
        NetworkOperation::Accept | NetworkOperation::Listen | NetworkOperation::Bind
    )
}

fn client(socket: &NetworkActivity) -> Option<&Endpoint> {
    if is_server(socket) {
        socket.remote.as_ref()
    } else {
        socket.local.as_ref()
    }
}

fn server(socket: &NetworkActivity) -> Option<&Endpoint> {
    if is_server(socket) {
        socket.local.as_ref()
    } else {
        socket.remote.as_ref()
    }
}

fn local(socket: &NetworkActivity) -> Option<&Endpoint> {
    socket.local.as_ref()
}

fn remote(socket: &NetworkActivity) -> Option<&Endpoint> {
    socket.remote.as_ref()
}

type Side = fn(&NetworkActivity) -> Option<&Endpoint>;

fn endpoint(event: &Event, side: Side) -> Option<&Endpoint> {
    match &event.activity {
        Activity::Network(socket) => side(socket),
        // Of a socket that became a standard stream only the other side is told, and only those fields ask.
        Activity::System(SystemActivity::SocketToStandardStream { remote, .. }) => remote.as_ref(),
        _ => None,
    }
}

fn address(event: &Event, side: Side) -> Value<'static> {
    match endpoint(event, side).and_then(Endpoint::socket_addr) {
        Some(address) => Value::Address(address.ip()),
        None => Value::Missing,
    }
}

fn port(event: &Event, side: Side) -> Value<'static> {
    Value::number(
        endpoint(event, side)
            .and_then(Endpoint::socket_addr)
            .map(|address| address.port()),
    )
}

fn sides(event: &Event) -> Option<[Option<&Endpoint>; 2]> {
    socket(event).map(|socket| [socket.local.as_ref(), socket.remote.as_ref()])
}

fn both(event: &Event) -> Value<'static> {
    let Some(sides) = sides(event) else {
        return Value::Missing;
    };
    let addresses: [Option<IpAddr>; 2] = sides.map(|side| side?.socket_addr().map(|address| address.ip()));
    Value::Addresses(addresses)
}

fn domains(event: &Event, of_client: bool) -> Value<'_> {
    match socket(event) {
        Some(socket) if is_server(socket) == of_client => Value::Domains(&socket.domains as &[DomainName]),
        _ => Value::Missing,
    }
}
