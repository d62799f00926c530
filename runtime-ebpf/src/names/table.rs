//! The names of one container.

use std::net::IpAddr;
use std::ops::AddAssign;

use runtime_core::event::DnsAnswer;
use runtime_core::{BootTime, DnsActivity, DomainName, ProcessKey};

use super::addresses::Addresses;
use super::flow::{Flow, Payload, Transport};
use super::message::{Message, MessageError, Question, RecordData, WireName};
use super::outstanding::{Asked, Found, Outstanding};
use super::resolvers::Resolvers;
use super::stream::{Segment, Side, StreamId, Streams};

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

/// Aliases are followed so far; servers give up sooner.
pub const MAX_CHAIN: usize = 16;

/// The type of a question for records of all types.
const ANY: u16 = 255;
const INTERNET: u16 = 1;
const QUERY: u8 = 0;

/// How much is kept for a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NameLimits {
    /// Addresses with a name. The one that was neither learned nor looked up longest makes room.
    pub addresses: usize,
    /// Names of an address. The one that was learned longest ago makes room.
    pub names_of_address: usize,
    /// Bytes of all addresses and names, about. Addresses make room as above.
    pub bytes: usize,
    /// Questions without an answer, and answered ones of the last [`QUESTION_LIFETIME`](super::QUESTION_LIFETIME).
    /// The oldest makes room.
    pub questions: usize,
    /// TCP connections to servers. The one that was silent longest makes room.
    pub streams: usize,
    /// Bytes of messages that are not complete, of all connections. Connections make room as above.
    pub stream_bytes: usize,
}

/// Everything that happened to a container's messages, as counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NameCounters {
    /// Messages with questions, to whomever.
    pub questions: u64,
    /// Messages among them that went to no server of the start-up configuration; their answers teach nothing.
    pub elsewhere: u64,
    /// Answers that were taken in.
    pub answers: u64,
    /// Names that addresses got, or got again.
    pub learned: u64,
    /// Messages that could not be read, or are not what they should be.
    pub malformed: u64,
    /// Answers to nothing that was asked, or that was asked too long ago.
    pub unsolicited: u64,
    /// Answers to what had been answered.
    pub duplicates: u64,
    /// Answers from a server that is not configured, or was not the one asked.
    pub wrong_server: u64,
    /// Answers with a name in other upper and lower case than asked, from a server that is known to keep it.
    pub changed_case: u64,
    /// Answers taken in of which a part was not there.
    pub truncated: u64,
    /// Names that made room.
    pub evicted: u64,
    /// Questions that made room before they were answered.
    pub evicted_questions: u64,
    /// Connections that made room or got out of step.
    pub lost_streams: u64,
}

/// An answer that was taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The process that had asked.
    pub asker: ProcessKey,
    /// The question and its answer. `None` for the root, which is no name.
    pub activity: Option<DnsActivity>,
}

/// Why an answer was not taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// It cannot be read.
    #[error("the DNS answer cannot be read")]
    Malformed(#[source] MessageError),
    /// Nothing like it was asked, or too long ago.
    #[error("the DNS answer is to no question that waits for one")]
    Unsolicited,
    /// Its question was answered before: it is forged, or sent twice.
    #[error("the DNS question was answered before")]
    Duplicate,
    /// Its sender is not configured, or is not whom the question was put to.
    #[error("the DNS answer is not from the server that was asked")]
    WrongServer,
    /// Its question's name differs in upper and lower case from what was asked, and this server keeps it.
    #[error("the DNS answer has another spelling than its question")]
    ChangedCase,
}

/// The names of one container: what it asked, what it was answered, and which address got which names by that.
///
/// Names stay until the container ends, or until they make room for others ([`NameLimits`]).
#[derive(Debug)]
pub struct NameTable {
    resolvers: Resolvers,
    outstanding: Outstanding,
    streams: Streams,
    addresses: Addresses,
    /// Servers that repeated a name with upper-case letters exactly. They are among the configured ones.
    keeps_case: Vec<IpAddr>,
    counters: NameCounters,
}

impl NameTable {
    /// For a container whose start-up configuration names these servers.
    pub fn new(resolvers: Resolvers, limits: NameLimits) -> Self {
        Self {
            resolvers,
            outstanding: Outstanding::new(limits.questions),
            streams: Streams::new(limits.streams, limits.stream_bytes),
            addresses: Addresses::new(limits),
            keeps_case: Vec::new(),
            counters: NameCounters::default(),
        }
    }

    /// Takes in a question that a process of the container sent, and returns what was asked.
    ///
    /// Questions to anyone are returned. An answer is waited for where it went to a configured server, and the message
    /// has one question, as all have in practice.
    pub fn question<'a>(
        &mut self,
        now: BootTime,
        asker: ProcessKey,
        flow: Flow,
        payload: impl Into<Payload<'a>>,
    ) -> Result<Vec<DnsActivity>, MessageError> {
        let message = match Message::parse_head(payload.into()) {
            Ok(message) if message.response => Err(MessageError::NotAQuestion),
            parsed => parsed,
        };
        let message = message.inspect_err(|_| self.counters.malformed += 1)?;
        self.counters.questions += 1;
        let activities = message
            .questions
            .iter()
            .filter_map(|question| activity(question, &flow, None))
            .collect();
        if !self.resolvers.contains(flow.server()) {
            self.counters.elsewhere += 1;
        } else if let Ok([question]) = <[Question; 1]>::try_from(message.questions) {
            let waiting = Asked {
                time: now,
                flow,
                id: message.id,
                opcode: message.opcode,
                question,
                asker,
                answered: false,
            };
            self.counters.evicted_questions += self.outstanding.note(now, waiting);
        }
        Ok(activities)
    }

    /// Takes in an answer that the container received, and learns names from it where it is one to a question.
    ///
    /// A question stays open until an answer was taken in, so that forged answers do not keep the true one out.
    pub fn answer<'a>(
        &mut self,
        now: BootTime,
        flow: Flow,
        payload: impl Into<Payload<'a>>,
    ) -> Result<Answer, Refusal> {
        let result = self.take(now, flow, payload.into());
        let counters = &mut self.counters;
        *match &result {
            Ok(_) => &mut counters.answers,
            Err(Refusal::Malformed(_)) => &mut counters.malformed,
            Err(Refusal::Unsolicited) => &mut counters.unsolicited,
            Err(Refusal::Duplicate) => &mut counters.duplicates,
            Err(Refusal::WrongServer) => &mut counters.wrong_server,
            Err(Refusal::ChangedCase) => &mut counters.changed_case,
        } += 1;
        result
    }

    /// The names that the container got for an address, the one it got last first.
    ///
    /// Of an answer's chain the name that was asked for comes first. Whoever asks here uses the address: others make
    /// room before it.
    pub fn names_of(&mut self, address: IpAddr) -> impl Iterator<Item = &DomainName> {
        self.addresses.names_of(address.to_canonical())
    }

    /// Follows a TCP connection of the container to a server, from its very beginning.
    ///
    /// This is for connections to port 53; others need not be followed. Opening a number again starts over.
    pub fn open_stream(&mut self, stream: StreamId, flow: Flow) {
        let flow = Flow::new(flow.client(), flow.server(), Transport::Tcp);
        self.counters.lost_streams += self.streams.open(stream, flow);
    }

    /// A connection ended, or a part of it was lost: what comes after cannot be understood.
    pub fn close_stream(&mut self, stream: StreamId) {
        self.streams.close(stream);
    }

    /// Takes in what a process sent over a connection, and returns what was asked; what is malformed is counted.
    pub fn sent<'a>(
        &mut self,
        now: BootTime,
        asker: ProcessKey,
        stream: StreamId,
        segment: impl Into<Segment<'a>>,
    ) -> Vec<DnsActivity> {
        let mut activities = Vec::new();
        self.with_messages(stream, Side::Client, segment.into(), |table, flow, payload| {
            activities.extend(table.question(now, asker, flow, payload).unwrap_or_default());
        });
        activities
    }

    /// Takes in what came over a connection, and returns what became of each answer.
    pub fn received<'a>(
        &mut self,
        now: BootTime,
        stream: StreamId,
        segment: impl Into<Segment<'a>>,
    ) -> Vec<Result<Answer, Refusal>> {
        let mut answers = Vec::new();
        self.with_messages(stream, Side::Server, segment.into(), |table, flow, payload| {
            answers.push(table.answer(now, flow, payload));
        });
        answers
    }

    /// What happened so far.
    pub fn counters(&self) -> &NameCounters {
        &self.counters
    }

    fn with_messages(
        &mut self,
        stream: StreamId,
        side: Side,
        segment: Segment<'_>,
        mut message: impl FnMut(&mut Self, Flow, Payload<'_>),
    ) {
        // The streams are apart from the table for as long as the table takes their messages in.
        let mut streams = std::mem::replace(&mut self.streams, Streams::new(0, 0));
        let lost = streams.push(stream, side, segment, |flow, payload| {
            message(self, flow, payload);
        });
        self.streams = streams;
        self.counters.lost_streams += lost;
    }

    fn take(&mut self, now: BootTime, flow: Flow, payload: Payload<'_>) -> Result<Answer, Refusal> {
        if !self.resolvers.contains(flow.server()) {
            return Err(Refusal::WrongServer);
        }
        let mut message = Message::parse_head(payload).map_err(Refusal::Malformed)?;
        if !message.response {
            return Err(Refusal::Malformed(MessageError::NotAnAnswer));
        }
        let [question] = &*message.questions else {
            return Err(Refusal::Unsolicited);
        };
        let found = self
            .outstanding
            .find(now, &flow, message.id, message.opcode, question);
        let (slot, exact) = match found {
            Found::Open { slot, exact } => (slot, exact),
            Found::Answered => return Err(Refusal::Duplicate),
            Found::OtherServer => return Err(Refusal::WrongServer),
            Found::Nothing => return Err(Refusal::Unsolicited),
        };
        let server = flow.server().ip();
        let keeps_case = self.keeps_case.contains(&server);
        if !exact && keeps_case {
            return Err(Refusal::ChangedCase);
        }
        message.read_records(payload).map_err(Refusal::Malformed)?;
        let waiting = self.outstanding.get_mut(slot).ok_or(Refusal::Unsolicited)?;
        waiting.answered = true;
        let (asker, question) = (waiting.asker, waiting.question.clone());
        if exact && !keeps_case && question.name.has_upper_case() {
            self.keeps_case.push(server);
        }
        self.counters.truncated += u64::from(message.truncated);
        let said = Said::read(&message, &question);
        self.learn(&said);
        let answer = DnsAnswer {
            code: message.code,
            aliases: said
                .chain
                .iter()
                .skip(1)
                .filter_map(|name| name.to_domain())
                .collect(),
            addresses: said.addresses.iter().map(|&(address, _)| address).collect(),
        };
        Ok(Answer {
            asker,
            activity: activity(&question, &flow, Some(answer)),
        })
    }

    fn learn(&mut self, said: &Said<'_>) {
        let chain: Vec<DomainName> = said.chain.iter().filter_map(|name| name.to_domain()).collect();
        for (address, host) in &said.addresses {
            let host = host.and_then(WireName::to_domain);
            // What is learned last comes first: that is the name that was asked for.
            for name in host.iter().chain(chain.iter().rev()) {
                self.counters.learned += 1;
                self.counters.evicted += self.addresses.learn(*address, name);
            }
        }
    }
}

/// What an answer says about the name that was asked for.
struct Said<'a> {
    /// That name, and its aliases in their order.
    chain: Vec<&'a WireName>,
    /// The addresses of the last one; of a service's host elsewhere, with that.
    addresses: Vec<(IpAddr, Option<&'a WireName>)>,
}

impl<'a> Said<'a> {
    /// Records may come in any order; those of names that the question does not lead to say nothing.
    fn read(message: &'a Message, question: &'a Question) -> Self {
        let mut said = Self {
            chain: vec![&question.name],
            addresses: Vec::new(),
        };
        let Some(last) = said.follow_aliases(message, &question.name) else {
            return said;
        };
        let teaches = message.code == 0 && message.opcode == QUERY && question.class == INTERNET;
        // Records with addresses are of four types only, so that no other question teaches any.
        let records = message
            .records
            .iter()
            .filter(|record| teaches && record.owner.is_same(last))
            .filter(|record| question.record_type == ANY || question.record_type == record.record_type);
        for record in records {
            match &record.data {
                RecordData::Address(address) => said.addresses.push((*address, None)),
                RecordData::Service { target, hints } => {
                    let host = Some(target).filter(|target| !target.is_root() && !target.is_same(last));
                    said.addresses.extend(hints.iter().map(|&hint| (hint, host)));
                }
                RecordData::Alias(_) => {}
            }
        }
        said
    }

    /// Returns the chain's end; `None` where it has none, or is too long.
    fn follow_aliases(&mut self, message: &'a Message, first: &'a WireName) -> Option<&'a WireName> {
        let mut last = first;
        loop {
            let next = message.records.iter().find_map(|record| match &record.data {
                RecordData::Alias(target) if record.owner.is_same(last) => Some(target),
                _ => None,
            });
            let Some(next) = next else { return Some(last) };
            if self.chain.len() > MAX_CHAIN || self.chain.iter().any(|name| name.is_same(next)) {
                return None;
            }
            self.chain.push(next);
            last = next;
        }
    }
}

/// `None` for the root, which is no name.
fn activity(question: &Question, flow: &Flow, answer: Option<DnsAnswer>) -> Option<DnsActivity> {
    Some(DnsActivity {
        name: question.name.to_domain()?,
        record_type: question.record_type,
        server: flow.server(),
        tcp: flow.transport() == Transport::Tcp,
        answer,
    })
}

impl Default for NameLimits {
    /// About 1 MiB for a container that does its worst.
    fn default() -> Self {
        Self {
            addresses: 4096,
            names_of_address: 16,
            bytes: 512 * 1024,
            questions: 512,
            streams: 32,
            stream_bytes: 256 * 1024,
        }
    }
}

impl AddAssign for NameCounters {
    fn add_assign(&mut self, other: Self) {
        let Self {
            questions,
            elsewhere,
            answers,
            learned,
            malformed,
            unsolicited,
            duplicates,
            wrong_server,
            changed_case,
            truncated,
            evicted,
            evicted_questions,
            lost_streams,
        } = other;
        self.questions += questions;
        self.elsewhere += elsewhere;
        self.answers += answers;
        self.learned += learned;
        self.malformed += malformed;
        self.unsolicited += unsolicited;
        self.duplicates += duplicates;
        self.wrong_server += wrong_server;
        self.changed_case += changed_case;
        self.truncated += truncated;
        self.evicted += evicted;
        self.evicted_questions += evicted_questions;
        self.lost_streams += lost_streams;
    }
}
