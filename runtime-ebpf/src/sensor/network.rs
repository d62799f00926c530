//! What was done with a socket, by the record of the call.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use runtime_core::event::{NetworkOperation, Protocol};
use runtime_core::{Activity, Endpoint, NetworkActivity, RawString, Syscall};

use super::translate::Subject;
use crate::wire::NetworkRecord;

/// Address families, as `include/linux/socket.h` of the kernel numbers them.
const UNIX: u16 = 1;
const INET: u16 = 2;
const INET6: u16 = 10;

/// `None` for a call that does nothing with sockets: then the record is not what its kind says.
pub(super) fn network_activity(syscall: Syscall, record: &NetworkRecord<'_>) -> Option<Subject> {
    let operation = match syscall {
        Syscall::socket => NetworkOperation::Socket,
        Syscall::connect => NetworkOperation::Connect,
        Syscall::bind => NetworkOperation::Bind,
        Syscall::listen => NetworkOperation::Listen,
        Syscall::accept | Syscall::accept4 => NetworkOperation::Accept,
        Syscall::sendto | Syscall::sendmsg | Syscall::sendmmsg => NetworkOperation::Send,
        _ => return None,
    };
    let activity = NetworkActivity {
        operation,
        protocol: Protocol::from_numbers(record.family, record.kind, record.protocol),
        local: endpoint(
            record.local_family,
            record.local,
            record.local_port,
            record.local_path,
        )
        .filter(is_bound),
        remote: endpoint(
            record.remote_family,
            record.remote,
            record.remote_port,
            record.remote_path,
        ),
        domains: Vec::new(),
        descriptor: (record.descriptor >= 0).then_some(record.descriptor),
    };
    Some(Subject::of_call(&record.actor, Activity::Network(activity)))
}

/// Whether an address of a socket's own is one.
fn is_bound(local: &Endpoint) -> bool {
    local
        .socket_addr()
        .is_none_or(|address| address.port() != 0 || !address.ip().is_unspecified())
}

/// One side of a socket. A Unix socket without a name, and an address of another family, is none.
pub(super) fn endpoint(family: u16, bytes: [u8; 16], port: u16, path: &[u8]) -> Option<Endpoint> {
    match family {
        INET => {
            let [a, b, c, d, ..] = bytes;
            Some(Endpoint::ip(IpAddr::V4(Ipv4Addr::new(a, b, c, d)), port))
        }
        INET6 => Some(Endpoint::ip(IpAddr::V6(Ipv6Addr::from(bytes)), port)),
        UNIX if path.is_empty() => None,
        UNIX => Some(Endpoint::Unix(unix_name(path))),
        _ if !path.is_empty() => Some(Endpoint::Unix(unix_name(path))),
        _ => None,
    }
}

/// A path ends at its first NUL byte, an abstract name, which begins with one, at its length (unix(7)).
fn unix_name(bytes: &[u8]) -> RawString {
    match bytes {
        [0, ..] => bytes.into(),
        path => path.split(|&byte| byte == 0).next().unwrap_or_default().into(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use runtime_core::{Outcome, Trust};

    use super::*;
    use crate::wire::{Actor, flags};

    fn mk_connect() -> NetworkRecord<'static> {
        let mut remote = [0; 16];
        remote[..4].copy_from_slice(&[192, 0, 2, 1]);
        NetworkRecord {
            actor: Actor {
                result: -115,
                flags: flags::SUBJECT_KERNEL,
                ..Actor::default()
            },
            remote,
            remote_port: 443,
            remote_family: INET,
            family: INET,
            kind: 1,
            protocol: 6,
            descriptor: 3,
            ..NetworkRecord::default()
        }
    }

    fn network(syscall: Syscall, record: &NetworkRecord<'_>) -> NetworkActivity {
        match network_activity(syscall, record).map(|subject| subject.activity) {
            Some(Activity::Network(network)) => network,
            other => panic!("{syscall} is about sockets, and not {other:?}"),
        }
    }

    #[test]
    fn a_connection_under_way_is_an_attempt_to_what_the_kernel_says() {
        let subject = network_activity(Syscall::connect, &mk_connect()).unwrap();
        assert_eq!(
            (subject.outcome, subject.trust),
            (Outcome::Attempted, Trust::Kernel)
        );
        let network = network(Syscall::connect, &mk_connect());
        assert_eq!(network.remote.unwrap().to_string(), "192.0.2.1:443");
        assert_eq!((network.protocol, network.local), (Protocol::Tcp, None));
    }

    #[test]
    fn a_mapped_address_is_the_plain_one() {
        let record = NetworkRecord {
            remote_family: INET6,
            remote: Ipv4Addr::new(192, 0, 2, 1).to_ipv6_mapped().octets(),
            ..mk_connect()
        };
        let network = network(Syscall::connect, &record);
        assert_eq!(network.remote.unwrap().to_string(), "192.0.2.1:443");
    }

    #[test]
    fn names_of_unix_sockets_end_where_the_kernel_ends_them() {
        let name = |bytes| unix_name(bytes).to_vec();
        assert_eq!(name(b"/run/x.sock\0rest"), b"/run/x.sock");
        assert_eq!(name(b"\0abstract\0name"), b"\0abstract\0name");
        assert_eq!(endpoint(UNIX, [0; 16], 0, b""), None);
    }

    #[test]
    fn a_call_that_is_not_about_sockets_is_refused() {
        assert!(network_activity(Syscall::openat, &mk_connect()).is_none());
    }

    proptest! {
        #[test]
        fn any_address_makes_an_endpoint_or_none(
            family in any::<u16>(), bytes in any::<[u8; 16]>(), port in any::<u16>(),
            path in prop::collection::vec(any::<u8>(), 0..120),
        ) {
            let shown = endpoint(family, bytes, port, &path).map(|endpoint| endpoint.to_string());
            prop_assert!(shown.is_none_or(|text| !text.is_empty()));
        }
    }
}
