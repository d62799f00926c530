//! DNS messages (RFC 1035), as far as names and addresses go.

use std::net::IpAddr;

use domain::base::iana::{Class, Rtype};
use domain::base::message::Message as Wire;
use domain::base::name::{ParsedName, ToLabelIter};
use domain::base::wire::ParseError;
use domain::base::{ParsedRecord, Question as WireQuestion};
use domain::rdata::svcb::{SvcParams, value};
use domain::rdata::{A, Aaaa, Cname, Https, Svcb};
use runtime_core::DomainName;

use super::flow::Payload;

/// A message has one question in practice; with more than this many it is refused.
pub const MAX_QUESTIONS: usize = 8;
/// After this many aliases and addresses of one message, whatever follows is left out, and the message counts as
/// truncated. 64 KiB have room for 4,000 addresses, but nobody who wants to be understood sends them.
pub const MAX_ITEMS: usize = 512;
/// At most this many records are passed over on the way, because the names of 5,000 could take milliseconds.
const MAX_RECORDS: usize = 1024;

/// A message, question or answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The number that an answer repeats.
    pub id: u16,
    /// False in a question, true in an answer.
    pub response: bool,
    /// What is asked for, as numbered by IANA; 0 is a query.
    pub opcode: u8,
    /// True where the sender left something out, the sensor did not copy all of it, or it has too many records.
    pub truncated: bool,
    /// The response code, as numbered by IANA, with its upper part from EDNS.
    pub code: u16,
    /// The questions.
    pub questions: Vec<Question>,
    /// The records of the answer section that tell aliases and addresses, in their order, of class `IN` only.
    pub records: Vec<Record>,
}

/// A question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// What is asked for.
    pub name: WireName,
    /// The type of record, as numbered by IANA.
    pub record_type: u16,
    /// The class, as numbered by IANA; 1 is the Internet.
    pub class: u16,
}

/// A record of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Whose record it is.
    pub owner: WireName,
    /// Its type, as numbered by IANA.
    pub record_type: u16,
    /// What it says.
    pub data: RecordData,
}

/// What a record says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecordData {
    /// `A` or `AAAA`. An IPv4 address that is mapped into IPv6 is an IPv4 address here.
    Address(IpAddr),
    /// `CNAME`: the owner is another name for this one.
    Alias(WireName),
    /// `HTTPS` or `SVCB`: where a service is.
    Service {
        /// The host that the service is at; the root stands for the owner.
        target: WireName,
        /// The addresses that it is said to have.
        hints: Vec<IpAddr>,
    },
}

/// A name as it was sent: uncompressed, in the sender's upper and lower case, with the root at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WireName(Box<[u8]>);

/// Why bytes are no DNS message of the kind that was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// There are less than 12 bytes.
    #[error("the DNS message is shorter than its header")]
    Header,
    /// There are more than 65,535 bytes.
    #[error("the DNS message is longer than any can be")]
    TooLong,
    /// A question goes beyond the end, or its name is none.
    #[error("a question of the DNS message is malformed")]
    Question,
    /// There are more than [`MAX_QUESTIONS`] questions.
    #[error("the DNS message has too many questions")]
    TooManyQuestions,
    /// A record goes beyond the end, or its names or its data are none.
    #[error("a record of the DNS message is malformed")]
    Record,
    /// A question was expected.
    #[error("the DNS message is an answer, not a question")]
    NotAQuestion,
    /// An answer was expected.
    #[error("the DNS message is a question, not an answer")]
    NotAnAnswer,
}

impl Message {
    /// Reads a message.
    ///
    /// The work is bounded whatever the bytes are: names follow at most 255 compression pointers, each backwards,
    /// and of very many records only the first are read.
    ///
    /// ```
    /// use runtime_ebpf::names::Message;
    ///
    /// let bytes = b"\0\x07\x01\0\0\x01\0\0\0\0\0\0\x07Example\x03com\0\0\x1c\0\x01";
    /// let message = Message::parse(&bytes[..])?;
    /// assert_eq!(message.questions[0].name.to_domain().unwrap().as_str(), "example.com");
    /// assert_eq!(message.questions[0].record_type, 28);
    /// # Ok::<(), runtime_ebpf::names::MessageError>(())
    /// ```
    pub fn parse<'a>(payload: impl Into<Payload<'a>>) -> Result<Self, MessageError> {
        let payload = payload.into();
        let mut message = Self::parse_head(payload)?;
        message.read_records(payload)?;
        Ok(message)
    }

    /// Reads what comes before the records.
    pub(super) fn parse_head(payload: Payload<'_>) -> Result<Self, MessageError> {
        let wire = wire(payload)?;
        if usize::from(wire.header_counts().qdcount()) > MAX_QUESTIONS {
            return Err(MessageError::TooManyQuestions);
        }
        let questions = wire
            .question()
            .map(|question| question.map(|question| read_question(&question)))
            .collect::<Result<_, _>>()
            .map_err(|_| MessageError::Question)?;
        let header = wire.header();
        Ok(Self {
            id: header.id(),
            response: header.qr(),
            opcode: header.opcode().to_int(),
            truncated: header.tc() || payload.cut,
            code: header.rcode().to_int().into(),
            questions,
            records: Vec::new(),
        })
    }

    /// Reads the records of the message whose head this is.
    ///
    /// Where the end may be missing, the records before it are taken.
    pub(super) fn read_records(&mut self, payload: Payload<'_>) -> Result<(), MessageError> {
        let wire = wire(payload)?;
        let mut items = 0;
        for (number, record) in wire.answer().map_err(|_| MessageError::Question)?.enumerate() {
            if number >= MAX_RECORDS {
                self.truncated = true;
                return Ok(());
            }
            let read = match record {
                Ok(record) => read_record(&record, MAX_ITEMS - items).map_err(|_| MessageError::Record)?,
                Err(ParseError::ShortInput) if self.truncated => return Ok(()),
                Err(_) => return Err(MessageError::Record),
            };
            let Some(record) = read else { continue };
            items += record.items();
            self.records.push(record);
            if items >= MAX_ITEMS {
                self.truncated = true;
                return Ok(());
            }
        }
        let counts = wire.header_counts();
        let records = [counts.ancount(), counts.nscount(), counts.arcount()].map(usize::from);
        // The upper part of the code is in one of the last records.
        if records.iter().sum::<usize>() <= MAX_RECORDS {
            self.code = wire.opt_rcode().to_int();
        }
        Ok(())
    }
}

impl Question {
    /// True where both ask for the same, upper and lower case no matter.
    pub fn is_same(&self, other: &Self) -> bool {
        let Self {
            name,
            record_type,
            class,
        } = self;
        name.is_same(&other.name) && *record_type == other.record_type && *class == other.class
    }
}

impl Record {
    /// How many aliases and addresses it tells.
    fn items(&self) -> usize {
        match &self.data {
            RecordData::Address(_) | RecordData::Alias(_) => 1,
            RecordData::Service { hints, .. } => hints.len().max(1),
        }
    }
}

impl WireName {
    /// True where both are the same name, upper and lower case no matter.
    pub fn is_same(&self, other: &Self) -> bool {
        // A label's length is never a letter, so that bytes can be compared without looking for labels.
        self.0.eq_ignore_ascii_case(&other.0)
    }

    /// True for the name without labels.
    pub fn is_root(&self) -> bool {
        self.0.len() <= 1
    }

    /// The name in its one spelling; `None` for the root.
    pub fn to_domain(&self) -> Option<DomainName> {
        DomainName::from_labels(self.labels()).ok()
    }

    /// True where it has a letter in upper case: then an answer that repeats it exactly says something.
    pub(super) fn has_upper_case(&self) -> bool {
        self.0.iter().any(u8::is_ascii_uppercase)
    }

    fn labels(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &*self.0;
        std::iter::from_fn(move || {
            let (&length, after) = rest.split_first()?;
            let (label, after) = after.split_at_checked(length.into())?;
            rest = after;
            Some(label).filter(|label| !label.is_empty())
        })
    }

    fn read<Octets: AsRef<[u8]>>(name: &ParsedName<Octets>) -> Self {
        let mut bytes = Vec::with_capacity(64);
        for label in name.iter_labels() {
            // A label has 63 bytes at most.
            bytes.push(label.len() as u8);
            bytes.extend_from_slice(label.as_slice());
        }
        Self(bytes.into())
    }
}

fn wire(payload: Payload<'_>) -> Result<&Wire<[u8]>, MessageError> {
    if payload.bytes.len() > usize::from(u16::MAX) {
        return Err(MessageError::TooLong);
    }
    Wire::from_slice(payload.bytes).map_err(|_| MessageError::Header)
}

fn read_question<Octets: AsRef<[u8]>>(question: &WireQuestion<ParsedName<Octets>>) -> Question {
    Question {
        name: WireName::read(question.qname()),
        record_type: question.qtype().to_int(),
        class: question.qclass().to_int(),
    }
}

/// `None` for a record that tells neither an alias nor an address.
fn read_record(record: &ParsedRecord<'_, [u8]>, room: usize) -> Result<Option<Record>, ParseError> {
    if record.class() != Class::IN {
        return Ok(None);
    }
    let data = match record.rtype() {
        Rtype::A => record
            .to_record::<A>()?
            .map(|record| RecordData::Address(IpAddr::V4(record.data().addr()))),
        Rtype::AAAA => record
            .to_record::<Aaaa>()?
            .map(|record| RecordData::Address(IpAddr::V6(record.data().addr()).to_canonical())),
        Rtype::CNAME => record
            .to_record::<Cname<_>>()?
            .map(|record| RecordData::Alias(WireName::read(record.data().cname()))),
        Rtype::HTTPS => match record.to_record::<Https<_, _>>()? {
            Some(record) => Some(read_service(
                record.data().target(),
                record.data().params(),
                room,
            )?),
            None => None,
        },
        Rtype::SVCB => match record.to_record::<Svcb<_, _>>()? {
            Some(record) => Some(read_service(
                record.data().target(),
                record.data().params(),
                room,
            )?),
            None => None,
        },
        _ => None,
    };
    Ok(data.map(|data| Record {
        owner: WireName::read(&record.owner()),
        record_type: record.rtype().to_int(),
        data,
    }))
}

/// The addresses are no more than `room`.
fn read_service(
    target: &ParsedName<&[u8]>,
    params: &SvcParams<&[u8]>,
    room: usize,
) -> Result<RecordData, ParseError> {
    let v4 = params.iter::<value::Ipv4Hint<_>>().next().transpose()?;
    let v6 = params.iter::<value::Ipv6Hint<_>>().next().transpose()?;
    let v4 = v4.iter().flat_map(value::Ipv4Hint::iter).map(IpAddr::V4);
    let v6 = v6
        .iter()
        .flat_map(value::Ipv6Hint::iter)
        .map(|address| IpAddr::V6(address).to_canonical());
    Ok(RecordData::Service {
        target: WireName::read(target),
        hints: v4.chain(v6).take(room).collect(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::{Mk, wire_name};
    use super::*;

    fn parse(bytes: &[u8]) -> Result<Message, MessageError> {
        Message::parse(bytes)
    }

    #[test]
    fn an_answer_is_read_in_full() {
        let bytes = Mk::answer(7, "www.Example.com", 1)
            .alias("www.example.com", "a.cdn.net")
            .record("a.cdn.net", 16, b"\x03txt")
            .address("a.cdn.net", "192.0.2.1")
            .address("a.cdn.net", "::ffff:192.0.2.2")
            .done();
        let message = parse(&bytes).unwrap();
        assert_eq!((message.id, message.response, message.code), (7, true, 0));
        assert!(!message.truncated);
        assert_eq!(message.questions.len(), 1);
        assert_eq!(&*message.questions[0].name.0, wire_name("www.Example.com"));
        let data: Vec<_> = message.records.iter().map(|record| record.data.clone()).collect();
        assert_eq!(
            data,
            [
                RecordData::Alias(WireName(wire_name("a.cdn.net").into())),
                RecordData::Address("192.0.2.1".parse().unwrap()),
                RecordData::Address("192.0.2.2".parse().unwrap()),
            ]
        );
    }

    #[test]
    fn compressed_names_are_read() {
        // The answer's owner points to the question's name, its alias to the `com` in there.
        let bytes = Mk::answer(7, "example.com", 1)
            .raw(b"\xc0\x0c\0\x05\0\x01\0\0\0\0\0\x06\x03www\xc0\x14")
            .done();
        let message = parse(&bytes).unwrap();
        assert_eq!(&*message.records[0].owner.0, wire_name("example.com"));
        assert_eq!(
            message.records[0].data,
            RecordData::Alias(WireName(wire_name("www.com").into()))
        );
    }

    #[test]
    fn service_records_tell_their_hints() {
        let mut data = b"\0\x01\0".to_vec();
        data.extend(b"\0\x04\0\x08\xc0\0\x02\x01\xc0\0\x02\x02");
        data.extend(b"\0\x06\0\x10\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01");
        let bytes = Mk::answer(7, "example.com", 65)
            .record("example.com", 65, &data)
            .done();
        let RecordData::Service { target, hints } = &parse(&bytes).unwrap().records[0].data else {
            panic!("it is a service record");
        };
        assert!(target.is_root());
        let expected = ["192.0.2.1", "192.0.2.2", "2001:db8::1"];
        assert_eq!(hints, &expected.map(|address| address.parse::<IpAddr>().unwrap()));
        // Hints whose length is no multiple of an address are refused.
        let bytes = Mk::answer(7, "example.com", 65)
            .record("example.com", 65, b"\0\x01\0\0\x04\0\x03\xc0\0\x02")
            .done();
        assert_eq!(parse(&bytes), Err(MessageError::Record));
    }

    #[test]
    fn compression_loops_are_refused() {
        for name in [
            &b"\xc0\x0c"[..],
            b"\xc0\x0e\xc0\x0c",
            b"\x01a\xc0\x0c",
            b"\xff\xff",
        ] {
            let bytes = Mk::bare(7, 0x0100, [1, 0, 0, 0])
                .raw_uncounted(name)
                .raw_uncounted(b"\0\x01\0\x01")
                .done();
            assert_eq!(parse(&bytes), Err(MessageError::Question), "{name:?}");
        }
        let bytes = Mk::answer(7, "a", 1)
            .raw(b"\xc0\x13\0\x01\0\x01\0\0\0\0\0\x04\xc0\0\x02\x01")
            .done();
        assert_eq!(parse(&bytes), Err(MessageError::Record));
    }

    #[test]
    fn the_longest_chains_of_pointers_end_soon() {
        // Each of the names that follow points to the one before it, as far as pointers reach.
        let mut mk = Mk::answer(7, "a", 1);
        let mut at = 12_u16;
        while mk.len() + 16 <= 0x3fff {
            let next = mk.len() as u16;
            mk = mk.raw(&[&(0xc000 | at).to_be_bytes()[..], b"\0\x10\0\x01\0\0\0\0\0\0"].concat());
            at = next;
        }
        assert_eq!(parse(&mk.done()), Err(MessageError::Record));
    }

    #[test]
    fn of_very_many_records_only_the_first_are_read() {
        let text = b"\xc0\x0c\0\x10\0\x01\0\0\0\0\0\0";
        let mk = |number| {
            (0..number)
                .fold(Mk::answer(7, "a", 1), |mk, _| mk.raw(text))
                .address("a", "192.0.2.1")
        };
        let message = parse(&mk(MAX_RECORDS - 1).done()).unwrap();
        assert_eq!((message.records.len(), message.truncated), (1, false));
        let message = parse(&mk(MAX_RECORDS).done()).unwrap();
        assert_eq!((message.records.len(), message.truncated), (0, true));
    }

    #[test]
    fn what_is_too_long_or_short_is_refused() {
        assert_eq!(parse(b""), Err(MessageError::Header));
        assert_eq!(parse(&[0; 11]), Err(MessageError::Header));
        assert_eq!(parse(&vec![0; 65_536]), Err(MessageError::TooLong));
        let nine = Mk::bare(1, 0, [9, 0, 0, 0])
            .raw_uncounted(&b"\0\0\x01\0\x01".repeat(9))
            .done();
        assert_eq!(parse(&nine), Err(MessageError::TooManyQuestions));
        let long = Mk::query(1, &["a".repeat(63).as_str(); 4].join("."), 1).done();
        assert_eq!(parse(&long), Err(MessageError::Question), "257 bytes are no name");
        let wrong_length = Mk::answer(1, "a", 1).record("a", 1, b"\x01\x02\x03").done();
        assert_eq!(parse(&wrong_length), Err(MessageError::Record));
        let more_counted = Mk::bare(1, 0x8180, [0, 1, 0, 0]).done();
        assert_eq!(parse(&more_counted), Err(MessageError::Record));
    }

    #[test]
    fn an_answer_of_64_kib_is_cut_at_the_limit() {
        let mut mk = Mk::answer(7, "a", 1);
        while mk.len() + 16 <= 65_535 {
            mk = mk.raw(b"\xc0\x0c\0\x01\0\x01\0\0\0\0\0\x04\xc0\0\x02\x01");
        }
        let message = parse(&mk.done()).unwrap();
        assert_eq!(message.records.len(), MAX_ITEMS);
        assert!(message.truncated);
        // The same in one record.
        let hints = [&b"\0\x01\0\0\x04\xfe\xfc"[..], &vec![1; 0xfefc]].concat();
        let bytes = Mk::answer(7, "a", 65).record("a", 65, &hints).done();
        let message = parse(&bytes).unwrap();
        assert_eq!(message.records[0].items(), MAX_ITEMS);
        assert!(message.truncated);
    }

    #[test]
    fn a_cut_message_tells_what_comes_before_the_cut() {
        let bytes = Mk::answer(7, "a", 1)
            .address("a", "192.0.2.1")
            .address("a", "192.0.2.2")
            .done();
        let most = &bytes[..bytes.len() - 1];
        assert_eq!(parse(most), Err(MessageError::Record));
        let message = Message::parse(Payload::cut(most)).unwrap();
        assert_eq!(message.records.len(), 1);
        assert!(message.truncated);
        // The sender itself may leave out the end, and says so with a bit.
        let mut bytes = most.to_vec();
        bytes[2] |= 0x02;
        let message = parse(&bytes).unwrap();
        assert_eq!((message.records.len(), message.truncated), (1, true));
    }

    #[test]
    fn response_codes_have_an_upper_part() {
        // BADVERS, 16: an OPT record with 1 in the first byte of its TTL.
        let bytes = Mk::bare(7, 0x8180, [0, 0, 0, 1])
            .raw_uncounted(b"\0\0\x29\x10\0\x01\0\0\0\0\0")
            .done();
        assert_eq!(parse(&bytes).unwrap().code, 16);
    }

    #[test]
    fn records_of_other_classes_tell_nothing() {
        let bytes = Mk::answer(7, "a", 1)
            .raw(b"\x01a\0\0\x01\0\x03\0\0\0\0\0\x04\xc0\0\x02\x01")
            .done();
        assert_eq!(parse(&bytes).unwrap().records, []);
    }

    proptest! {
        #[test]
        fn damaged_messages_never_panic(
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
            length in any::<prop::sample::Index>(),
            cut: bool,
        ) {
            let mut bytes = Mk::answer(7, "www.example.com", 65)
                .alias("www.example.com", "a.cdn.net")
                .record("a.cdn.net", 65, b"\0\x01\x01b\xc0\x0c\0\x04\0\x04\xc0\0\x02\x01")
                .address("a.cdn.net", "2001:db8::1")
                .done();
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            bytes.truncate(length.index(bytes.len() + 1));
            let payload = Payload { bytes: &bytes, cut };
            if let Ok(message) = Message::parse(payload) {
                prop_assert!(message.questions.len() <= MAX_QUESTIONS);
                for question in &message.questions {
                    prop_assert_eq!(question.name.to_domain().is_none(), question.name.is_root());
                }
            }
        }
    }
}
