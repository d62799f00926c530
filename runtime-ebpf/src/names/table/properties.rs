//! Whatever a container and its attackers say, and in whatever order.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use proptest::prelude::*;
use runtime_core::Pid;

use super::super::testing::Mk;
use super::*;

const NAMES: [&str; 5] = ["a.example", "b.example", "c.example", "A.example", "d"];
const ADDRESSES: [&str; 4] = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::1"];
const SERVERS: [&str; 4] = ["10.96.0.10:53", "10.96.0.11:53", "127.0.0.1:53", "10.96.0.10:54"];
const CLIENTS: [&str; 3] = ["10.1.1.1:1000", "10.1.1.1:1001", "0.0.0.0:1000"];
const TYPES: [u16; 4] = [1, 28, 255, 12];

const LIMITS: NameLimits = NameLimits {
    addresses: 3,
    names_of_address: 2,
    bytes: 700,
    questions: 4,
    streams: 2,
    stream_bytes: 1000,
};

#[derive(Debug, Clone)]
struct Header {
    id: u16,
    client: usize,
    server: usize,
    name: usize,
    record_type: usize,
    tcp: bool,
}

#[derive(Debug, Clone)]
enum Step {
    Ask(Header),
    Answer(Header, Vec<(usize, Said)>),
    Use(usize),
    Wait(u64),
}

#[derive(Debug, Clone)]
enum Said {
    Alias(usize),
    Address(usize),
}

fn header() -> impl Strategy<Value = Header> {
    (
        0..2u16,
        0..CLIENTS.len(),
        0..SERVERS.len(),
        0..NAMES.len(),
        0..TYPES.len(),
        any::<bool>(),
    )
        .prop_map(|(id, client, server, name, record_type, tcp)| Header {
            id,
            client,
            server,
            name,
            record_type,
            tcp,
        })
}

fn step() -> impl Strategy<Value = Step> {
    let said = prop_oneof![
        (0..NAMES.len()).prop_map(Said::Alias),
        (0..ADDRESSES.len()).prop_map(Said::Address),
    ];
    let records = prop::collection::vec((0..NAMES.len(), said), 0..6);
    prop_oneof![
        3 => header().prop_map(Step::Ask),
        4 => (header(), records).prop_map(|(header, records)| Step::Answer(header, records)),
        1 => (0..ADDRESSES.len()).prop_map(Step::Use),
        1 => (0..20u64).prop_map(Step::Wait),
    ]
}

fn flow(header: &Header) -> Flow {
    let transport = if header.tcp {
        Transport::Tcp
    } else {
        Transport::Udp
    };
    Flow::new(
        CLIENTS[header.client].parse().unwrap(),
        SERVERS[header.server].parse().unwrap(),
        transport,
    )
}

fn mk_answer(header: &Header, records: &[(usize, Said)]) -> Mk {
    let mk = Mk::answer(header.id, NAMES[header.name], TYPES[header.record_type]);
    records.iter().fold(mk, |mk, (owner, said)| match said {
        Said::Alias(target) => mk.alias(NAMES[*owner], NAMES[*target]),
        Said::Address(address) => mk.address(NAMES[*owner], ADDRESSES[*address]),
    })
}

/// Every name that any way of following the records leads to.
fn reachable(from: &str, records: &[(usize, Said)]) -> HashSet<String> {
    let mut names = HashSet::from([from.to_lowercase()]);
    for _ in records {
        for (owner, said) in records {
            if let Said::Alias(target) = said
                && names.contains(&NAMES[*owner].to_lowercase())
            {
                names.insert(NAMES[*target].to_lowercase());
            }
        }
    }
    names
}

/// What distinguishes questions, in a plain spelling; the client's address apart, its port.
type Key = (u16, String, usize, usize, usize, bool);

fn key(header: &Header) -> Key {
    let port = CLIENTS[header.client].rsplit(':').next().unwrap().to_owned();
    let name = NAMES
        .iter()
        .position(|name| name.eq_ignore_ascii_case(NAMES[header.name]));
    (
        header.id,
        port,
        header.server,
        name.unwrap(),
        header.record_type,
        header.tcp,
    )
}

fn asker() -> ProcessKey {
    ProcessKey {
        pid: Pid(1),
        start: BootTime::from_nanos(1),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn an_address_has_only_names_of_chains_that_were_asked_for(steps in prop::collection::vec(step(), 1..60)) {
        let resolvers = Resolvers::parse(b"nameserver 10.96.0.10\nnameserver 10.96.0.11");
        let mut table = NameTable::new(resolvers, LIMITS);
        let mut seconds = 0;
        // For each question, its spellings that wait for an answer, and since when.
        let mut open: HashMap<Key, HashMap<usize, u64>> = HashMap::new();
        let mut allowed: HashSet<(String, String)> = HashSet::new();
        for step in steps {
            let now = BootTime::from_nanos(Duration::from_secs(seconds).as_nanos() as u64);
            match step {
                Step::Ask(header) => {
                    let bytes = Mk::query(header.id, NAMES[header.name], TYPES[header.record_type]).done();
                    table.question(now, asker(), flow(&header), &*bytes).unwrap();
                    if header.server < 2 {
                        open.entry(key(&header)).or_default().insert(header.name, seconds);
                    }
                }
                Step::Answer(header, records) => {
                    let taken = table.answer(now, flow(&header), &*mk_answer(&header, &records).done());
                    if taken.is_ok() {
                        let waiting = open.entry(key(&header)).or_default();
                        waiting.retain(|_, asked| seconds - *asked < 30);
                        let spelling = waiting.keys().copied().min_by_key(|&name| name != header.name);
                        prop_assert!(spelling.is_some(), "{:?} was taken for no question", header);
                        waiting.remove(&spelling.unwrap());
                    }
                    if taken.is_ok() && header.record_type != 3 {
                        let names = reachable(NAMES[header.name], &records);
                        for (owner, said) in &records {
                            if let Said::Address(address) = said
                                && names.contains(&NAMES[*owner].to_lowercase())
                            {
                                let address = ADDRESSES[*address].to_owned();
                                allowed.extend(names.iter().map(|name| (address.clone(), name.clone())));
                            }
                        }
                    }
                }
                Step::Use(address) => {
                    let _ = table.names_of(ADDRESSES[address].parse().unwrap());
                }
                Step::Wait(more) => seconds += more,
            }
            table.addresses.assert_bounds();
            prop_assert!(table.outstanding.len() <= LIMITS.questions);
            prop_assert!(table.keeps_case.len() <= 2);
        }
        for address in ADDRESSES {
            for name in table.names_of(address.parse().unwrap()) {
                let pair = (address.to_owned(), name.to_string());
                prop_assert!(allowed.contains(&pair), "{:?}", pair);
            }
        }
    }

    #[test]
    fn an_honest_answer_is_always_learned(
        header in header(),
        noise in prop::collection::vec(step(), 0..30),
        address in 0..3usize,
    ) {
        // Nobody else's answers, right or forged, keep the true one out, unless they answer this very question.
        let header = Header { server: 0, record_type: 0, ..header };
        let resolvers = Resolvers::parse(b"nameserver 10.96.0.10\nnameserver 10.96.0.11");
        let mut table = NameTable::new(resolvers, NameLimits::default());
        let now = BootTime::default();
        let bytes = Mk::query(header.id, NAMES[header.name], 1).done();
        table.question(now, asker(), flow(&header), &*bytes).unwrap();
        for step in noise {
            if let Step::Answer(other, records) = step
                && key(&other) != key(&header)
            {
                let taken = table.answer(now, flow(&other), &*mk_answer(&other, &records).done());
                prop_assert!(taken.is_err());
            }
        }
        let owner = NAMES[header.name];
        let answer = Mk::answer(header.id, owner, 1).address(owner, ADDRESSES[address]).done();
        prop_assert!(table.answer(now, flow(&header), &*answer).is_ok());
        let names: Vec<_> = table.names_of(ADDRESSES[address].parse().unwrap()).map(ToString::to_string).collect();
        prop_assert_eq!(names, [owner.to_lowercase()]);
    }

    #[test]
    fn any_bytes_are_survived(
        messages in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..80)), 0..20),
    ) {
        let mut table = NameTable::new(Resolvers::parse(b"nameserver 10.96.0.10"), LIMITS);
        let flow = Flow::new(CLIENTS[0].parse().unwrap(), SERVERS[0].parse().unwrap(), Transport::Udp);
        let stream = StreamId(1);
        for (question, bytes) in messages {
            table.open_stream(stream, flow);
            if question {
                let _ = table.question(BootTime::default(), asker(), flow, &*bytes);
                table.sent(BootTime::default(), asker(), stream, &*bytes);
            } else {
                let _ = table.answer(BootTime::default(), flow, &*bytes);
                table.received(BootTime::default(), stream, &*bytes);
            }
            table.addresses.assert_bounds();
            table.streams.assert_bounds();
        }
    }
}
