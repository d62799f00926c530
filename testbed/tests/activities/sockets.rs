//! Sockets.

use runtime_core::{Activity, Needs};

use super::scene::{Scene, check, told};

#[test]
fn sockets_are_told_with_both_sides() {
    use libc::{SYS_accept4, SYS_bind, SYS_connect, SYS_listen, SYS_nanosleep, SYS_socket};
    let mut scene = Scene::new(Needs::everything());
    // The containers share the host's network.
    let free = std::net::TcpListener::bind("[::1]:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let abstract_name = format!("testbed-{}", std::process::id());
    for (family, shown) in [
        (2, format!("127.0.0.1:{free}")),
        (10, format!("[::1]:{free}")),
        (1, "/work/socket".to_owned()),
        (1, format!("\\x00{abstract_name}")),
    ] {
        let address = match family {
            1 => format!("un:{}", shown.replace("\\x00", "@")),
            _ => format!("in:{shown}"),
        };
        // An accept must not wait for ever for a connection that failed.
        let patient = 1 | libc::SOCK_NONBLOCK;
        let protocol = if family == 1 { "unix" } else { "tcp" };
        let events = scene.does(
            &calls![
                SYS_socket, family, patient, 0; SYS_bind, "=0", address, "len"; SYS_listen, "=0", 1;
                SYS_socket, family, 1, 0; SYS_connect, "=3", address, "len";
                // On a slow machine the listener hears of the connection a moment later.
                SYS_nanosleep, "x:000000000000000080f0fa0200000000", 0; SYS_accept4, "=0", 0, 0, 0
            ]
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>(),
        );
        let told: Vec<String> = events.iter().map(told).collect();
        let expected = [
            format!("socket done kernel socket {protocol}"),
            format!("bind done kernel bind {protocol}"),
            format!("listen done kernel listen {protocol}"),
            format!("socket done kernel socket {protocol}"),
            format!("connect done kernel connect {protocol} {shown}"),
        ];
        assert_eq!(told[..5], expected);
        let networks: Vec<_> = events
            .iter()
            .map(|event| match &event.activity {
                Activity::Network(network) => network,
                other => panic!("{other:?}"),
            })
            .collect();
        let local = |index: usize| networks[index].local.as_ref().map(ToString::to_string);
        assert_eq!(
            [local(1), local(2), local(5)],
            [(); 3].map(|()| Some(shown.clone()))
        );
        assert!(
            told[5].starts_with(&format!("accept4 done kernel accept {protocol}")),
            "{}",
            told[5]
        );
        assert_eq!(
            networks[5].remote.is_some(),
            family != 1,
            "who connects by a path has none"
        );
        assert_eq!(
            networks[4].local, networks[5].remote,
            "the two ends of one connection"
        );
    }
}

#[test]
fn connects_that_fail_and_messages_have_their_argument() {
    use libc::{SYS_connect, SYS_sendmmsg, SYS_sendmsg, SYS_sendto, SYS_socket};
    let mut scene = Scene::new(Needs::everything());
    check(
        &mut scene,
        &calls![SYS_socket, 2, 1, 0; SYS_connect, "=0", "in:127.0.0.1:9", "len"],
        &[
            "socket done kernel socket tcp",
            "connect attempted argument connect tcp 127.0.0.1:9",
        ],
    );
    check(
        &mut scene,
        &calls![
            SYS_socket, 2, 2, 0; SYS_sendto, "=0", "s:x", 1, 0, "in:127.0.0.1:9", "len";
            SYS_sendmsg, "=0", "msg:in:127.0.0.2:9", 0; SYS_sendmmsg, "=0", "msg:in:127.0.0.3:9", 1, 0;
            SYS_connect, "=0", "in:127.0.0.4:9", "len"; SYS_sendto, "=0", "s:x", 1, 0, 0, 0
        ],
        &[
            "socket done kernel socket udp",
            "sendto done argument send udp 127.0.0.1:9",
            "sendmsg done argument send udp 127.0.0.2:9",
            "sendmmsg done argument send udp 127.0.0.3:9",
            "connect done kernel connect udp 127.0.0.4:9",
        ],
    );
    // The same by i386's socketcall, whose arguments lie in memory: socket(AF_INET, SOCK_RAW, ICMP).
    check(
        &mut scene,
        &calls!["int80", 102, 1, "x:020000000300000001000000"],
        &["socket done kernel socket raw"],
    );
    check(
        &mut scene,
        &calls![SYS_socket, 17, 3, 0],
        &["socket done kernel socket packet"],
    );
}

/// The kernel takes an address of no family for one of IPv4 when it sends over a socket of IPv4.
#[test]
fn a_message_to_an_address_without_a_family_is_told() {
    let mut scene = Scene::new(Needs::everything());
    check(
        &mut scene,
        &calls![libc::SYS_socket, 2, 2, 0; libc::SYS_sendto, "=0", "s:x", 1, 0, "x:000000097f0000010000000000000000", 16],
        &[
            "socket done kernel socket udp",
            "sendto done argument send udp 127.0.0.1:9",
        ],
    );
}
