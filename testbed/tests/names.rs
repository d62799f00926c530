//! Names that containers get from a real DNS server: who asked, what was answered, and which connects carry them.
//! Needs root.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::time::{Duration, Instant};

use runtime_core::{Activity, Endpoint, Event, Needs, SensorItem};
use runtime_ebpf::{Sensor, SensorOptions};
use testbed::Container;

const LIMIT: Duration = Duration::from_secs(30);
/// Addresses of the host's loopback that nothing else serves DNS at.
const SERVER: &str = "127.53.7.1:53";
const OTHER: &str = "127.53.7.2:53";
const SERVER_6: &str = "[::1]:53";

/// A question for the A record of a name.
fn question(id: u16, name: &str) -> Vec<u8> {
    let mut message = id.to_be_bytes().to_vec();
    message.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.') {
        message.push(label.len() as u8);
        message.extend(label.as_bytes());
    }
    message.extend([0, 0, 1, 0, 1]);
    message
}

/// What the server answers: `a.example` is 192.0.2.1; `chain.example` an alias of `real.example`, 192.0.2.2;
/// `forged.example` 192.0.2.3, with another id; `loop.example` a name that points at itself; `big.example` has an
/// answer as long as datagrams get.
fn answer(question: &[u8]) -> Vec<u8> {
    let mut message = question.to_vec();
    message[2] |= 0x80;
    let mut records = 0_u16;
    let mut add = |message: &mut Vec<u8>, name: &[u8], kind: u16, data: &[u8]| {
        message.extend(name);
        message.extend(kind.to_be_bytes());
        message.extend([0, 1, 0, 0, 0, 60]);
        message.extend((data.len() as u16).to_be_bytes());
        message.extend(data);
        records += 1;
    };
    let asked = |name: &str| question.windows(name.len()).any(|part| part == name.as_bytes());
    let this = [0xc0, 12];
    if asked("chain") {
        add(&mut message, &this, 5, b"\x04real\x07example\0");
        add(&mut message, b"\x04real\x07example\0", 1, &[192, 0, 2, 2]);
    } else if asked("forged") {
        message[0] ^= 1;
        add(&mut message, &this, 1, &[192, 0, 2, 3]);
    } else if asked("loop") {
        let itself = [0xc0, message.len() as u8];
        add(&mut message, &itself, 1, &[192, 0, 2, 4]);
    } else if asked("big") {
        add(&mut message, &this, 1, &[192, 0, 2, 5]);
        for _ in 0..200 {
            add(&mut message, &this, 16, &[b'x'; 255]);
        }
    } else {
        add(&mut message, &this, 1, &[192, 0, 2, 1]);
    }
    message[6..8].copy_from_slice(&records.to_be_bytes());
    message
}

/// Serves until the test ends.
fn serve(address: &str) {
    let datagrams = UdpSocket::bind(address).unwrap();
    let connections = TcpListener::bind(address).unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 2048];
        while let Ok((length, client)) = datagrams.recv_from(&mut buffer) {
            datagrams.send_to(&answer(&buffer[..length]), client).unwrap();
        }
    });
    std::thread::spawn(move || {
        for connection in connections.incoming() {
            let mut connection = connection.unwrap();
            let mut length = [0; 2];
            if connection.read_exact(&mut length).is_err() {
                continue;
            }
            let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
            connection.read_exact(&mut message).unwrap();
            let message = answer(&message);
            let mut framed = (message.len() as u16).to_be_bytes().to_vec();
            framed.extend(message);
            // In two pieces, the first of which ends within the length.
            connection.write_all(&framed[..1]).unwrap();
            std::thread::sleep(Duration::from_millis(5));
            connection.write_all(&framed[1..]).unwrap();
        }
    });
}

struct Scene {
    sensor: Sensor,
    container: Container,
    events: Vec<Event>,
}

impl Scene {
    fn new() -> Self {
        let options = SensorOptions {
            needs: Needs::everything(),
            lifecycle: true,
            ..SensorOptions::default()
        };
        let sensor = Sensor::start(&options).expect("the sensor needs root and a kernel with BTF");
        let address = |server: &str| server.parse::<SocketAddr>().unwrap().ip();
        let configuration = format!(
            "nameserver {}\nnameserver {}\n",
            address(SERVER),
            address(SERVER_6)
        );
        let container = Container::builder()
            .file("/etc/resolv.conf", configuration, 0o644)
            .run()
            .unwrap();
        Self {
            sensor,
            container,
            events: Vec::new(),
        }
    }

    /// Asks for a name, waits for the answer, and connects to an address. Gives the questions and answers that were
    /// told, and the names that came with the connect.
    fn asks(&mut self, socket: &str, server: &str, name: &str, then: &str) -> (Vec<String>, Vec<String>) {
        let mut message = question(7, name);
        if socket == "1" {
            message = [&(message.len() as u16).to_be_bytes()[..], &message].concat();
        }
        let hex = message
            .iter()
            .fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
        let family = if server.starts_with('[') { "10" } else { "2" };
        let (socket_call, connect, write, read) = (
            libc::SYS_socket.to_string(),
            libc::SYS_connect.to_string(),
            libc::SYS_write.to_string(),
            libc::SYS_read.to_string(),
        );
        let (hex, length) = (format!("x:{hex}"), message.len().to_string());
        let (server, then) = (format!("in:{server}"), format!("in:{then}:443"));
        let mut argv = vec!["/bin/workload", "syscalls"];
        argv.extend([
            &socket_call,
            family,
            socket,
            "0",
            ",",
            &connect,
            "=0",
            &server,
            "len",
            ",",
        ]);
        argv.extend([
            &write, "=0", &hex, &length, ",", &read, "=0", "zeros", "65536", ",",
        ]);
        if socket == "1" {
            argv.extend([&*read, "=0", "zeros", "65536", ","]);
        }
        argv.extend([&socket_call, "2", "2", "0", ",", &connect]);
        let datagram = if socket == "1" { "=5" } else { "=4" };
        argv.extend([datagram, &then, "len"]);
        self.events.clear();
        let output = self.container.exec(&argv).unwrap().wait(LIMIT).unwrap();
        assert!(output.status.success(), "{argv:?}: {}", output.text);
        let port_443 = |event: &&Event| {
            matches!(&event.activity, Activity::Network(network)
                if network.remote.as_ref().and_then(Endpoint::socket_addr).is_some_and(|at| at.port() == 443))
        };
        let deadline = Instant::now() + LIMIT;
        while !self.events.iter().any(|event| port_443(&event)) {
            assert!(Instant::now() < deadline, "{argv:?}: {}", output.text);
            let events = &mut self.events;
            self.sensor
                .poll(Duration::from_millis(20), &mut |item| match item {
                    SensorItem::Event(event) => events.push(event),
                    SensorItem::Lost(loss) => panic!("{loss:?}"),
                    SensorItem::ContainerStarted(_) | SensorItem::ContainerStopped(_) => {}
                })
                .unwrap();
        }
        let connect = self.events.iter().find(port_443).unwrap();
        let Activity::Network(network) = &connect.activity else {
            unreachable!("it was looked for")
        };
        let domains = network.domains.iter().map(ToString::to_string).collect();
        let told = self.events.iter().filter_map(|event| match &event.activity {
            Activity::Dns(dns) => {
                assert_eq!(event.process.pid, connect.process.pid, "whoever asked");
                let answer = dns.answer.as_ref().map_or("?".to_owned(), |answer| {
                    let addresses: Vec<String> = answer.addresses.iter().map(ToString::to_string).collect();
                    format!("= {}", addresses.join(" "))
                });
                Some(format!("{} {answer}", dns.name))
            }
            _ => None,
        });
        (told.collect(), domains)
    }
}

/// Types of sockets.
const UDP: &str = "2";
const TCP: &str = "1";

#[test]
fn connects_carry_the_names_that_the_container_was_given() {
    for server in [SERVER, OTHER, SERVER_6] {
        serve(server);
    }
    let mut scene = Scene::new();
    let mut check = |socket: &str, server: &str, name: &str, then: &str, told: &[&str], domains: &[&str]| {
        let (seen, names) = scene.asks(socket, server, name, then);
        assert_eq!(
            (&seen[..], &names[..]),
            (
                &told.iter().map(ToString::to_string).collect::<Vec<_>>()[..],
                &domains.iter().map(ToString::to_string).collect::<Vec<_>>()[..]
            ),
            "{name} of {server}"
        );
    };
    check(
        UDP,
        SERVER,
        "nothing.example",
        "192.0.2.9",
        &["nothing.example ?", "nothing.example = 192.0.2.1"],
        &[],
    );
    // Answers that teach nothing: from a server that the configuration does not name, and with another id.
    check(
        UDP,
        OTHER,
        "foreign.example",
        "192.0.2.1",
        &["foreign.example ?"],
        &["nothing.example"],
    );
    check(
        UDP,
        SERVER,
        "forged.example",
        "192.0.2.3",
        &["forged.example ?"],
        &[],
    );
    check(UDP, SERVER, "loop.example", "192.0.2.4", &["loop.example ?"], &[]);
    // Many names of one address, the last one first; aliases; an answer that does not fit one packet.
    check(
        UDP,
        SERVER,
        "A.Example",
        "192.0.2.1",
        &["a.example ?", "a.example = 192.0.2.1"],
        &["a.example", "nothing.example"],
    );
    check(
        UDP,
        SERVER,
        "chain.example",
        "192.0.2.2",
        &["chain.example ?", "chain.example = 192.0.2.2"],
        &["chain.example", "real.example"],
    );
    check(
        UDP,
        SERVER,
        "big.example",
        "192.0.2.5",
        &["big.example ?", "big.example = 192.0.2.5"],
        &["big.example"],
    );
    check(
        UDP,
        SERVER_6,
        "six.example",
        "192.0.2.1",
        &["six.example ?", "six.example = 192.0.2.1"],
        &["six.example", "a.example", "nothing.example"],
    );
    check(
        TCP,
        SERVER,
        "tcp.example",
        "192.0.2.1",
        &["tcp.example ?", "tcp.example = 192.0.2.1"],
        &["tcp.example", "six.example", "a.example", "nothing.example"],
    );
    let stats = scene.sensor.stats().unwrap();
    assert!(stats.names.malformed > 0, "{stats:?}");
}
