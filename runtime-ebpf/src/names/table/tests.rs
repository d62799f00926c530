use std::net::SocketAddr;
use std::time::Duration;

use runtime_core::Pid;

use super::super::outstanding::QUESTION_LIFETIME;
use super::super::testing::Mk;
use super::*;

const CLIENT: &str = "10.1.1.1:40000";
const SERVER: &str = "10.96.0.10:53";
const A: u16 = 1;
const AAAA: u16 = 28;

fn at(seconds: u64) -> BootTime {
    BootTime::from_nanos(Duration::from_secs(seconds).as_nanos() as u64)
}

fn asker() -> ProcessKey {
    ProcessKey {
        pid: Pid(7),
        start: BootTime::from_nanos(1),
    }
}

fn mk_table() -> NameTable {
    let resolvers = Resolvers::parse(b"nameserver 10.96.0.10\nnameserver 2001:db8::53\n");
    NameTable::new(resolvers, NameLimits::default())
}

fn flow(client: &str, server: &str) -> Flow {
    Flow::new(client.parse().unwrap(), server.parse().unwrap(), Transport::Udp)
}

/// A table that asked for `www.example`, type A, with number 7, at 0 s.
fn asked() -> NameTable {
    let mut table = mk_table();
    ask(
        &mut table,
        at(0),
        flow(CLIENT, SERVER),
        &Mk::query(7, "www.example", A),
    );
    table
}

fn ask(table: &mut NameTable, now: BootTime, flow: Flow, mk: &Mk) {
    table.question(now, asker(), flow, &*mk.clone().done()).unwrap();
}

fn answer(table: &mut NameTable, now: BootTime, flow: Flow, mk: &Mk) -> Result<Answer, Refusal> {
    table.answer(now, flow, &*mk.clone().done())
}

/// The answer to what `asked` asks.
fn honest() -> Mk {
    Mk::answer(7, "www.example", A).address("www.example", "192.0.2.1")
}

fn names(table: &mut NameTable, address: &str) -> Vec<String> {
    table
        .names_of(address.parse().unwrap())
        .map(ToString::to_string)
        .collect()
}

/// The answer is refused and teaches nothing, is counted, and does not keep the true one out.
#[track_caller]
fn assert_refused(
    now: BootTime,
    flow_of_it: Flow,
    mk: &Mk,
    refusal: Refusal,
    count: fn(&NameCounters) -> u64,
) {
    let mut table = asked();
    assert_eq!(answer(&mut table, now, flow_of_it, mk), Err(refusal));
    assert_eq!(names(&mut table, "192.0.2.1"), [""; 0]);
    assert_eq!((table.counters.answers, table.counters.learned), (0, 0));
    assert_eq!(count(&table.counters), 1);
    answer(&mut table, at(1), flow(CLIENT, SERVER), &honest()).unwrap();
    assert_eq!(names(&mut table, "192.0.2.1"), ["www.example"]);
}

#[test]
fn a_question_and_its_answer_are_told_and_learned() {
    let mut table = mk_table();
    let mut expected = DnsActivity {
        name: "www.example".parse().unwrap(),
        record_type: A,
        server: SERVER.parse().unwrap(),
        tcp: false,
        answer: None,
    };
    let question = Mk::query(7, "WWW.example", A).done();
    let asked = table.question(at(0), asker(), flow(CLIENT, SERVER), &*question);
    assert_eq!(asked, Ok(vec![expected.clone()]));
    let mk = Mk::answer(7, "WWW.example", A)
        .alias("www.example", "cdn.example")
        .address("cdn.example", "192.0.2.1");
    expected.answer = Some(DnsAnswer {
        code: 0,
        aliases: vec!["cdn.example".parse().unwrap()],
        addresses: vec!["192.0.2.1".parse().unwrap()],
    });
    let taken = Answer {
        asker: asker(),
        activity: Some(expected),
    };
    assert_eq!(answer(&mut table, at(1), flow(CLIENT, SERVER), &mk), Ok(taken));
    assert_eq!(names(&mut table, "192.0.2.1"), ["www.example", "cdn.example"]);
    assert_eq!(
        names(&mut table, "::ffff:192.0.2.1"),
        ["www.example", "cdn.example"]
    );
    let expected = NameCounters {
        questions: 1,
        answers: 1,
        learned: 2,
        ..NameCounters::default()
    };
    assert_eq!(*table.counters(), expected);
}

#[test]
fn forged_a_wrong_id() {
    let mk = Mk::answer(8, "www.example", A).address("www.example", "192.0.2.1");
    let count = |counters: &NameCounters| counters.unsolicited;
    assert_refused(at(1), flow(CLIENT, SERVER), &mk, Refusal::Unsolicited, count);
}

#[test]
fn forged_servers() {
    let count = |counters: &NameCounters| counters.wrong_server;
    let wrong = [
        // Not configured; configured, but not asked; loopback; another port.
        "192.0.2.53:53",
        "[2001:db8::53]:53",
        "127.0.0.1:53",
        "127.0.0.11:53",
        "[::1]:53",
        "10.96.0.10:5353",
    ];
    for server in wrong {
        assert_refused(
            at(1),
            flow(CLIENT, server),
            &honest(),
            Refusal::WrongServer,
            count,
        );
    }
}

#[test]
fn forged_clients_and_protocols() {
    let count = |counters: &NameCounters| counters.unsolicited;
    for client in ["10.1.1.1:40001", "10.1.1.2:40000"] {
        assert_refused(
            at(1),
            flow(client, SERVER),
            &honest(),
            Refusal::Unsolicited,
            count,
        );
    }
    let tcp = Flow::new(CLIENT.parse().unwrap(), SERVER.parse().unwrap(), Transport::Tcp);
    assert_refused(at(1), tcp, &honest(), Refusal::Unsolicited, count);
}

#[test]
fn forged_questions() {
    let count = |counters: &NameCounters| counters.unsolicited;
    // The class is the last number of the question.
    let class = Mk::query(7, "www.example", A).len() - 1;
    let other_class = honest().flag(class, 1 ^ 3);
    for mk in [
        Mk::answer(7, "wwx.example", A).address("www.example", "192.0.2.1"),
        Mk::answer(7, "www.example.org", A).address("www.example", "192.0.2.1"),
        Mk::answer(7, "www.example", AAAA).address("www.example", "192.0.2.1"),
        // No question at all, two of them, and another opcode.
        Mk::bare(7, 0x8180, [0; 4]).address("www.example", "192.0.2.1"),
        Mk::bare(7, 0x8180, [2, 0, 0, 0]).raw_uncounted(&b"\x03www\x07example\0\0\x01\0\x01".repeat(2)),
        honest().flag(2, 0x28),
        other_class,
    ] {
        assert_refused(at(1), flow(CLIENT, SERVER), &mk, Refusal::Unsolicited, count);
    }
}

#[test]
fn a_question_is_no_answer_and_an_answer_no_question() {
    let count = |counters: &NameCounters| counters.malformed;
    let refusal = Refusal::Malformed(MessageError::NotAnAnswer);
    assert_refused(
        at(1),
        flow(CLIENT, SERVER),
        &Mk::query(7, "www.example", A),
        refusal,
        count,
    );
    let mut table = mk_table();
    let sent = table.question(at(0), asker(), flow(CLIENT, SERVER), &*honest().done());
    assert_eq!(sent, Err(MessageError::NotAQuestion));
    assert_eq!(
        answer(&mut table, at(0), flow(CLIENT, SERVER), &honest()),
        Err(Refusal::Unsolicited)
    );
}

#[test]
fn malformed_answers_do_not_use_the_question_up() {
    let count = |counters: &NameCounters| counters.malformed;
    let refusal = Refusal::Malformed(MessageError::Record);
    assert_refused(
        at(1),
        flow(CLIENT, SERVER),
        &honest().raw(b"\xc0"),
        refusal,
        count,
    );
    assert_refused(
        at(1),
        flow(CLIENT, SERVER),
        &Mk::bare(7, 0x8180, [1, 0, 0, 0]).raw_uncounted(b"\xc0\x0c\0\x01\0\x01"),
        Refusal::Malformed(MessageError::Question),
        count,
    );
}

#[test]
fn only_the_first_answer_is_learned() {
    let mut table = asked();
    answer(&mut table, at(1), flow(CLIENT, SERVER), &honest()).unwrap();
    let second = Mk::answer(7, "www.example", A).address("www.example", "192.0.2.66");
    for _ in 0..2 {
        let refused = answer(&mut table, at(2), flow(CLIENT, SERVER), &second);
        assert_eq!(refused, Err(Refusal::Duplicate));
    }
    assert_eq!(names(&mut table, "192.0.2.66"), [""; 0]);
    assert_eq!(table.counters.duplicates, 2);
    // Whoever asks once more, with the same number, waits for an answer once more.
    ask(
        &mut table,
        at(3),
        flow(CLIENT, SERVER),
        &Mk::query(7, "www.example", A),
    );
    answer(&mut table, at(4), flow(CLIENT, SERVER), &second).unwrap();
    assert_eq!(names(&mut table, "192.0.2.66"), ["www.example"]);
}

#[test]
fn a_late_answer_is_unsolicited() {
    let lifetime = QUESTION_LIFETIME.as_secs();
    let mut table = asked();
    let late = answer(&mut table, at(lifetime), flow(CLIENT, SERVER), &honest());
    assert_eq!(late, Err(Refusal::Unsolicited));
    assert_eq!(names(&mut table, "192.0.2.1"), [""; 0]);
    // Asked again in time, as the C libraries do, it is waited for anew.
    let mut table = asked();
    ask(
        &mut table,
        at(20),
        flow(CLIENT, SERVER),
        &Mk::query(7, "www.example", A),
    );
    ask(
        &mut table,
        at(lifetime + 1),
        flow(CLIENT, SERVER),
        &Mk::query(8, "x.example", A),
    );
    answer(&mut table, at(lifetime + 10), flow(CLIENT, SERVER), &honest()).unwrap();
    assert_eq!(names(&mut table, "192.0.2.1"), ["www.example"]);
}

#[test]
fn records_outside_the_chain_teach_nothing() {
    let mut table = asked();
    let mk = Mk::answer(7, "www.example", A)
        .address("bank.example", "192.0.2.66")
        .alias("bank.example", "www.example")
        .address("cdn2.example", "192.0.2.1")
        .address("www.example", "192.0.2.67")
        .alias("cdn.example", "CDN2.example")
        .alias("WWW.example", "cdn.example")
        .alias("www.example", "bank.example");
    answer(&mut table, at(1), flow(CLIENT, SERVER), &mk).unwrap();
    assert_eq!(
        names(&mut table, "192.0.2.1"),
        ["www.example", "cdn.example", "cdn2.example"],
        "records come in any order and case"
    );
    assert_eq!(names(&mut table, "192.0.2.66"), [""; 0]);
    assert_eq!(
        names(&mut table, "192.0.2.67"),
        [""; 0],
        "it is not the chain's end that has it"
    );
}

#[test]
fn chains_without_an_end_teach_nothing() {
    let round = honest()
        .alias("www.example", "a.example")
        .alias("a.example", "www.example");
    let own = honest().alias("www.example", "www.example");
    let mut long = Mk::answer(7, "www.example", A).alias("www.example", "n0");
    for number in 0..MAX_CHAIN {
        long = long.alias(&format!("n{number}"), &format!("n{}", number + 1));
    }
    let long = long.address(&format!("n{MAX_CHAIN}"), "192.0.2.1");
    for (mk, aliases) in [(round, 1), (own, 0), (long, MAX_CHAIN)] {
        let mut table = asked();
        let taken = answer(&mut table, at(1), flow(CLIENT, SERVER), &mk).unwrap();
        let said = taken.activity.unwrap().answer.unwrap();
        assert_eq!((said.addresses.len(), said.aliases.len()), (0, aliases));
        assert_eq!(names(&mut table, "192.0.2.1"), [""; 0]);
    }
}

#[test]
fn a_server_that_keeps_case_has_to_keep_it() {
    let lower = Mk::answer(7, "www.example", A).address("www.example", "192.0.2.1");
    let mixed = |id| Mk::query(id, "wWw.eXample", A);
    // Nothing is known about the server: any case will do.
    let mut table = mk_table();
    ask(&mut table, at(0), flow(CLIENT, SERVER), &mixed(7));
    answer(&mut table, at(0), flow(CLIENT, SERVER), &lower).unwrap();
    // It kept it once.
    ask(&mut table, at(1), flow(CLIENT, SERVER), &mixed(8));
    let exact = Mk::answer(8, "wWw.eXample", A).address("www.example", "192.0.2.2");
    answer(&mut table, at(1), flow(CLIENT, SERVER), &exact).unwrap();
    ask(&mut table, at(2), flow(CLIENT, SERVER), &mixed(9));
    let forged = Mk::answer(9, "www.example", A).address("www.example", "192.0.2.3");
    assert_eq!(
        answer(&mut table, at(2), flow(CLIENT, SERVER), &forged),
        Err(Refusal::ChangedCase)
    );
    assert_eq!(names(&mut table, "192.0.2.3"), [""; 0]);
    assert_eq!(table.counters.changed_case, 1);
    let exact = Mk::answer(9, "wWw.eXample", A).address("www.example", "192.0.2.4");
    answer(&mut table, at(2), flow(CLIENT, SERVER), &exact).unwrap();
    assert_eq!(names(&mut table, "192.0.2.4"), ["www.example"]);
    // A name in lower case that comes back in lower case is exact.
    ask(
        &mut table,
        at(3),
        flow(CLIENT, SERVER),
        &Mk::query(10, "www.example", A),
    );
    answer(
        &mut table,
        at(3),
        flow(CLIENT, SERVER),
        &Mk::answer(10, "www.example", A),
    )
    .unwrap();
}

#[test]
fn many_names_and_many_addresses() {
    let mut table = mk_table();
    for (id, name) in [(1, "a.example"), (2, "b.example"), (3, "a.example")] {
        ask(&mut table, at(0), flow(CLIENT, SERVER), &Mk::query(id, name, A));
        let mk = Mk::answer(id, name, A)
            .address(name, "192.0.2.1")
            .address(name, "192.0.2.2");
        answer(&mut table, at(0), flow(CLIENT, SERVER), &mk).unwrap();
    }
    for address in ["192.0.2.1", "192.0.2.2"] {
        assert_eq!(names(&mut table, address), ["a.example", "b.example"]);
    }
    // Names do not run out: they stay as long as the container.
    ask(
        &mut table,
        at(1_000_000),
        flow(CLIENT, SERVER),
        &Mk::query(4, "c.example", A),
    );
    assert_eq!(names(&mut table, "192.0.2.1"), ["a.example", "b.example"]);
}

#[test]
fn only_what_was_asked_for_is_learned() {
    let both = |id, record_type| {
        Mk::answer(id, "a.example", record_type)
            .address("a.example", "192.0.2.1")
            .address("a.example", "2001:db8::1")
            .record("a.example", 65, b"\0\x01\0\0\x04\0\x04\xc0\0\x02\x03")
    };
    // PTR, TXT, MX and CNAME teach nothing; nor do other classes.
    let cases: [(u16, &[&str]); 8] = [
        (A, &["192.0.2.1"]),
        (AAAA, &["2001:db8::1"]),
        (65, &["192.0.2.3"]),
        (255, &["192.0.2.1", "2001:db8::1", "192.0.2.3"]),
        (12, &[]),
        (16, &[]),
        (15, &[]),
        (5, &[]),
    ];
    for (record_type, expected) in cases {
        let mut table = mk_table();
        ask(
            &mut table,
            at(0),
            flow(CLIENT, SERVER),
            &Mk::query(1, "a.example", record_type),
        );
        answer(&mut table, at(0), flow(CLIENT, SERVER), &both(1, record_type)).unwrap();
        for address in ["192.0.2.1", "2001:db8::1", "192.0.2.3"] {
            let known = !names(&mut table, address).is_empty();
            assert_eq!(known, expected.contains(&address), "{record_type} {address}");
        }
    }
}

#[test]
fn a_service_elsewhere_has_its_hosts_name_too() {
    let mut table = mk_table();
    ask(
        &mut table,
        at(0),
        flow(CLIENT, SERVER),
        &Mk::query(1, "a.example", 65),
    );
    let mk =
        Mk::answer(1, "a.example", 65).record("a.example", 65, b"\0\x01\x01h\0\0\x04\0\x04\xc0\0\x02\x03");
    answer(&mut table, at(0), flow(CLIENT, SERVER), &mk).unwrap();
    assert_eq!(names(&mut table, "192.0.2.3"), ["a.example", "h"]);
}

#[test]
fn failures_teach_nothing_but_are_told() {
    let mut table = asked();
    let taken = answer(&mut table, at(1), flow(CLIENT, SERVER), &honest().code(3)).unwrap();
    let said = taken.activity.unwrap().answer.unwrap();
    assert_eq!((said.code, said.addresses.len()), (3, 0));
    assert_eq!(names(&mut table, "192.0.2.1"), [""; 0]);
}

#[test]
fn other_classes_and_operations_teach_nothing() {
    let class = Mk::query(7, "www.example", A).len() - 1;
    for (byte, bits) in [(class, 1 ^ 3), (2, 0x20)] {
        let mut table = mk_table();
        let question = Mk::query(7, "www.example", A).flag(byte, bits);
        ask(&mut table, at(0), flow(CLIENT, SERVER), &question);
        answer(
            &mut table,
            at(0),
            flow(CLIENT, SERVER),
            &honest().flag(byte, bits),
        )
        .unwrap();
        assert_eq!(names(&mut table, "192.0.2.1"), [""; 0]);
    }
}

#[test]
fn a_truncated_answer_is_learned_and_marked() {
    let mut table = asked();
    answer(&mut table, at(1), flow(CLIENT, SERVER), &honest().flag(2, 0x02)).unwrap();
    assert_eq!(names(&mut table, "192.0.2.1"), ["www.example"]);
    assert_eq!(table.counters.truncated, 1);
    // What the sensor did not copy.
    let mut table = asked();
    let bytes = honest().address("www.example", "192.0.2.2").done();
    let payload = Payload::cut(&bytes[..bytes.len() - 3]);
    table.answer(at(1), flow(CLIENT, SERVER), payload).unwrap();
    assert_eq!(names(&mut table, "192.0.2.1"), ["www.example"]);
    assert_eq!(table.counters.truncated, 1);
}

#[test]
fn what_is_asked_elsewhere_is_told_but_not_learned() {
    let wrong = [
        "192.0.2.53:53",
        "127.0.0.1:53",
        "10.96.0.10:5353",
        "224.0.0.251:5353",
        "[ff02::fb]:5353",
    ];
    for server in wrong {
        let mut table = mk_table();
        let flow = flow(CLIENT, server);
        let told = table.question(at(0), asker(), flow, &*Mk::query(7, "www.example", A).done());
        let told = told.unwrap();
        assert_eq!(told[0].server, server.parse::<SocketAddr>().unwrap());
        assert_eq!(
            answer(&mut table, at(0), flow, &honest()),
            Err(Refusal::WrongServer)
        );
        assert_eq!(names(&mut table, "192.0.2.1"), [""; 0]);
        assert_eq!((table.counters.elsewhere, table.counters.wrong_server), (1, 1));
    }
}

#[test]
fn loopback_that_is_configured_is_a_server() {
    let mut table = NameTable::new(Resolvers::parse(b"nameserver 127.0.0.11"), NameLimits::default());
    let flow = flow("127.0.0.1:40000", "127.0.0.11:53");
    ask(&mut table, at(0), flow, &Mk::query(7, "www.example", A));
    answer(&mut table, at(0), flow, &honest()).unwrap();
    assert_eq!(names(&mut table, "192.0.2.1"), ["www.example"]);
}

#[test]
fn one_client_may_ask_two_servers_at_once() {
    // As musl does: the same number, from one socket, to all of them.
    let mut table = asked();
    let second = flow("[2001:db8::1]:40000", "[2001:db8::53]:53");
    ask(&mut table, at(0), second, &Mk::query(7, "www.example", A));
    answer(&mut table, at(1), flow(CLIENT, SERVER), &honest()).unwrap();
    let other = Mk::answer(7, "www.example", A).address("www.example", "192.0.2.2");
    answer(&mut table, at(1), second, &other).unwrap();
    assert_eq!(names(&mut table, "192.0.2.2"), ["www.example"]);
    assert_eq!(answer(&mut table, at(1), second, &other), Err(Refusal::Duplicate));
}

#[test]
fn a_socket_without_an_address_of_its_own_is_found_by_its_port() {
    let mut table = mk_table();
    ask(
        &mut table,
        at(0),
        flow("0.0.0.0:40000", SERVER),
        &Mk::query(7, "www.example", A),
    );
    answer(&mut table, at(0), flow(CLIENT, SERVER), &honest()).unwrap();
    assert_eq!(names(&mut table, "192.0.2.1"), ["www.example"]);
}

#[test]
fn the_root_is_asked_for_without_a_name() {
    let mut table = mk_table();
    let told = table.question(at(0), asker(), flow(CLIENT, SERVER), &*Mk::query(7, "", 2).done());
    assert_eq!(told, Ok(vec![]));
    let taken = answer(&mut table, at(0), flow(CLIENT, SERVER), &Mk::answer(7, "", 2)).unwrap();
    assert_eq!(taken.activity, None);
}

#[test]
fn tcp_is_learned_from_in_pieces() {
    let framed = |mk: &Mk| {
        let bytes = mk.clone().done();
        [&(bytes.len() as u16).to_be_bytes()[..], &bytes].concat()
    };
    let mut table = mk_table();
    let stream = StreamId(3);
    let flow = Flow::new(CLIENT.parse().unwrap(), SERVER.parse().unwrap(), Transport::Tcp);
    let questions = [
        framed(&Mk::query(7, "www.example", A)),
        framed(&Mk::query(8, "b.example", A)),
    ]
    .concat();
    assert!(
        table.sent(at(0), asker(), stream, &*questions).is_empty(),
        "it was not opened"
    );
    table.open_stream(stream, flow);
    let told = table.sent(at(0), asker(), stream, &*questions);
    let told: Vec<_> = told.iter().map(|told| (told.name.as_str(), told.tcp)).collect();
    assert_eq!(told, [("www.example", true), ("b.example", true)]);
    let answer = framed(&honest());
    assert!(table.received(at(1), stream, &answer[..20]).is_empty());
    let taken = table.received(at(1), stream, &answer[20..]);
    assert!(matches!(&taken[..], [Ok(_)]), "{taken:?}");
    assert_eq!(names(&mut table, "192.0.2.1"), ["www.example"]);
    // Out of step: what looks like an answer in the middle is none.
    let other = Mk::answer(8, "b.example", A).address("b.example", "192.0.2.2");
    let lost = Segment {
        bytes: b"\0",
        missing: 7,
    };
    assert!(table.received(at(2), stream, lost).is_empty());
    assert!(table.received(at(2), stream, &*framed(&other)).is_empty());
    assert_eq!(names(&mut table, "192.0.2.2"), [""; 0]);
    assert_eq!(table.counters.lost_streams, 1);
}

#[test]
fn questions_make_room() {
    let limits = NameLimits {
        questions: 3,
        ..NameLimits::default()
    };
    let mut table = NameTable::new(Resolvers::parse(b"nameserver 10.96.0.10"), limits);
    for id in 0..5 {
        ask(
            &mut table,
            at(0),
            flow(CLIENT, SERVER),
            &Mk::query(id, "a.example", A),
        );
    }
    assert_eq!(
        (table.counters.evicted_questions, table.outstanding.len()),
        (2, 3)
    );
    let mk = |id| Mk::answer(id, "a.example", A);
    assert_eq!(
        answer(&mut table, at(0), flow(CLIENT, SERVER), &mk(1)),
        Err(Refusal::Unsolicited)
    );
    assert!(answer(&mut table, at(0), flow(CLIENT, SERVER), &mk(2)).is_ok());
}

#[test]
fn an_answer_of_64_kib_is_survived() {
    let mut mk = Mk::answer(7, "www.example", A);
    for number in 0..4_000u16 {
        let [high, low] = number.to_be_bytes();
        mk = mk.raw(&[&b"\xc0\x0c\0\x01\0\x01\0\0\0\0\0\x04\x0a\0"[..], &[high, low]].concat());
    }
    assert!(mk.len() > 64_000);
    let mut table = asked();
    let taken = answer(&mut table, at(1), flow(CLIENT, SERVER), &mk).unwrap();
    let told = taken.activity.unwrap().answer.unwrap();
    assert_eq!(told.addresses.len(), super::super::MAX_ITEMS);
    assert_eq!(table.counters.truncated, 1);
    assert_eq!(names(&mut table, "10.0.0.9"), ["www.example"]);
}
