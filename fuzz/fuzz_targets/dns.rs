//! DNS: hostile messages, datagrams and segments, teach only names that were asked for, and within the bounds.
#![no_main]

use std::net::IpAddr;

use libfuzzer_sys::fuzz_target;
use runtime_core::{BootTime, Pid, ProcessKey};
use runtime_ebpf::names::packet::{Order, Packet, Piece};
use runtime_ebpf::names::{
    Flow, MAX_QUESTIONS, Message, NameLimits, NameTable, Payload, RecordData, Resolvers, Segment, StreamId,
    Transport,
};

const NOW: BootTime = BootTime::from_nanos(5);
const STREAM: StreamId = StreamId(1);

fuzz_target!(|data: &[u8]| {
    let _ = Resolvers::parse(data);
    for payload in [Payload::whole(data), Payload::cut(data)] {
        if let Ok(message) = Message::parse(payload) {
            assert!(message.questions.len() <= MAX_QUESTIONS);
            answer_it(data, payload, &message);
        }
    }
    stream(data);
    if let Some(packet) = Packet::parse(data, data.len()) {
        assert!(packet.payload.len() <= data.len() && packet.missing == 0);
        let mut order = Order::default();
        order.begin(u32::MAX);
        assert_eq!(order.take(0, packet.payload, 0) == Piece::Old, packet.payload.is_empty());
        assert_eq!(order.take(0, packet.payload, 0), Piece::Old, "what was seen is not taken twice");
    }
});

/// Asks what the message answers, and takes it in, twice.
fn answer_it(data: &[u8], payload: Payload<'_>, message: &Message) {
    let mut table = mk_table();
    let flow = mk_flow(Transport::Udp);
    let mut question = data.to_vec();
    question[2] &= 0x7f;
    let asked = table
        .question(NOW, mk_asker(), flow, &question[..])
        .expect("the head was read before");
    let taken = table.answer(NOW, flow, payload);
    let is_answer = message.response && message.questions.len() == 1;
    // A name may point into the header, and is another one where the header is.
    let repeats =
        Message::parse(Payload::cut(&question)).is_ok_and(|asked| asked.questions == message.questions);
    assert_eq!(taken.is_ok(), is_answer && repeats);
    assert!(table.answer(NOW, flow, payload).is_err());
    let Some(told) = taken.ok().and_then(|answer| answer.activity) else {
        return;
    };
    assert_eq!(told.name, asked[0].name);
    let told = told.answer.expect("it is an answer");
    let mut addresses: Vec<IpAddr> = told.addresses;
    addresses.dedup();
    let hosts: Vec<_> = message
        .records
        .iter()
        .filter_map(|record| match &record.data {
            RecordData::Service { target, .. } => target.to_domain(),
            _ => None,
        })
        .collect();
    for address in addresses {
        let names: Vec<_> = table.names_of(address).cloned().collect();
        assert!(names.len() <= NameLimits::default().names_of_address);
        for name in &names {
            assert!(*name == asked[0].name || told.aliases.contains(name) || hosts.contains(name));
        }
    }
}

/// The same bytes as segments of a connection; the first byte of each says how long it is and what is missing.
fn stream(data: &[u8]) {
    let mut table = mk_table();
    table.open_stream(STREAM, mk_flow(Transport::Tcp));
    let mut rest = data;
    while let Some((&first, after)) = rest.split_first() {
        let (bytes, after) = after.split_at(after.len().min(usize::from(first & 0x1f)));
        rest = after;
        let missing = if first & 0x20 == 0 { 0 } else { bytes.len() };
        let segment = Segment { bytes, missing };
        if first & 0x40 == 0 {
            table.sent(NOW, mk_asker(), STREAM, segment);
        } else {
            table.received(NOW, STREAM, segment);
        }
    }
}

fn mk_table() -> NameTable {
    NameTable::new(Resolvers::parse(b"nameserver 10.96.0.10"), NameLimits::default())
}

fn mk_flow(transport: Transport) -> Flow {
    Flow::new(
        ([10, 1, 1, 1], 40_000).into(),
        ([10, 96, 0, 10], 53).into(),
        transport,
    )
}

fn mk_asker() -> ProcessKey {
    ProcessKey {
        pid: Pid(7),
        start: BootTime::from_nanos(1),
    }
}
