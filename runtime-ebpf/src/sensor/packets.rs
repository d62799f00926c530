//! DNS packets: what containers ask, what they are answered, and the names that they get by it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::Path;

use runtime_core::{BootTime, Container, ContainerId, DnsActivity, DomainName, Pid, ProcessKey};

use crate::container::Root;
use crate::names::packet::{Order, Packet, Piece, Transport};
use crate::names::{
    ContainerNames, Flow, NameCounters, NameLimits, NameTable, Payload, Resolvers, Segment, StreamId,
    Transport as NamesTransport,
};
use crate::wire::{Header, PacketRecord};

/// So many connections are followed; past that, all are forgotten, and new ones are followed again.
const MAX_STREAMS: usize = 4096;
/// Longest resolver configuration that is read.
const MAX_CONFIGURATION: usize = 64 << 10;

/// The names of all containers, and the connections that are being followed.
#[derive(Debug)]
pub(super) struct Packets {
    names: ContainerNames,
    /// The network namespace that each container started in.
    networks: HashMap<ContainerId, u32>,
    /// Connections to servers, by the socket's cookie.
    streams: HashMap<u64, Connection>,
    counts: PacketCounts,
}

#[derive(Debug)]
struct Connection {
    container: ContainerId,
    /// Of both directions, the client's first.
    orders: [Order; 2],
}

/// What became of packets that taught nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct PacketCounts {
    /// Not packets of DNS at all.
    pub(super) malformed: u64,
    /// Of a network namespace that the container did not start in: there it can answer itself.
    pub(super) elsewhere: u64,
    /// Connections that were forgotten, or lost a part.
    pub(super) lost_streams: u64,
}

/// What a packet said, and who had asked.
pub(super) type Said = Vec<(ProcessKey, DnsActivity)>;

impl Packets {
    pub(super) fn new() -> Self {
        Self {
            names: ContainerNames::new(NameLimits::default()),
            networks: HashMap::new(),
            streams: HashMap::new(),
            counts: PacketCounts::default(),
        }
    }

    /// A container starts: its resolvers are those that its configuration names now, before any program of it could
    /// change that; `pid` is a process of it.
    pub(super) fn begin(&mut self, container: &Container, proc_root: &Path, pid: u32) {
        let process = proc_root.join(pid.to_string());
        let configuration = Root::open(&process.join("root"))
            .and_then(|root| root.read(Path::new("etc/resolv.conf"), MAX_CONFIGURATION))
            .unwrap_or_default();
        let network = rustix::fs::stat(process.join("ns/net")).ok();
        if self
            .names
            .begin(container.id.clone(), Resolvers::parse(&configuration))
            && let Some(network) = network
        {
            // A namespace's number is an unsigned int in the kernel (`struct ns_common`).
            self.networks.insert(container.id.clone(), network.st_ino as u32);
        }
    }

    /// A container ended, and its names with it.
    pub(super) fn end(&mut self, container: &ContainerId) {
        self.names.end(container);
        self.networks.remove(container);
        self.streams
            .retain(|_, connection| connection.container != *container);
    }

    /// The names that a container got for an address, the last one first.
    pub(super) fn names_of(&mut self, container: &ContainerId, address: IpAddr) -> Vec<DomainName> {
        let table = self.names.table(container);
        table.map_or_else(Vec::new, |table| table.names_of(address).cloned().collect())
    }

    /// What happened to messages so far.
    pub(super) fn counters(&self) -> (NameCounters, PacketCounts) {
        (self.names.counters(), self.counts)
    }

    /// Takes a packet in, and gives the questions in it, or the answers to such.
    pub(super) fn take_in(
        &mut self,
        header: &Header,
        record: &PacketRecord<'_>,
        container: &ContainerId,
    ) -> Said {
        let wire_length = usize::try_from(record.wire_length).unwrap_or(usize::MAX);
        let Some(packet) = Packet::parse(record.bytes, wire_length) else {
            self.counts.malformed += 1;
            return Said::new();
        };
        if self.networks.get(container) != Some(&record.network) {
            self.counts.elsewhere += 1;
            return Said::new();
        }
        let Some(table) = self.names.table(container) else {
            return Said::new();
        };
        let outgoing = record.outgoing != 0;
        let (client, server) = if outgoing {
            (packet.source, packet.destination)
        } else {
            (packet.destination, packet.source)
        };
        let now = BootTime::from_nanos(header.time);
        let asker = ProcessKey {
            pid: Pid(record.pid),
            start: BootTime::from_nanos(record.start),
        };
        match packet.transport {
            Transport::Udp => {
                let flow = Flow::new(client, server, NamesTransport::Udp);
                let payload = if packet.missing == 0 {
                    Payload::whole(packet.payload)
                } else {
                    Payload::cut(packet.payload)
                };
                if outgoing {
                    // What is malformed is counted by the table.
                    let questions = table.question(now, asker, flow, payload).unwrap_or_default();
                    questions.into_iter().map(|activity| (asker, activity)).collect()
                } else {
                    let answer = table.answer(now, flow, payload).ok();
                    answer
                        .and_then(|answer| Some((answer.asker, answer.activity?)))
                        .into_iter()
                        .collect()
                }
            }
            Transport::Tcp { sequence, syn, end } => {
                let stream = StreamId(record.cookie);
                if self.streams.len() >= MAX_STREAMS && !self.streams.contains_key(&record.cookie) {
                    self.counts.lost_streams += self.streams.len() as u64;
                    self.streams.clear();
                }
                if syn && outgoing {
                    let connection = Connection {
                        container: container.clone(),
                        orders: [Order::default(); 2],
                    };
                    self.streams.insert(record.cookie, connection);
                    table.open_stream(stream, Flow::new(client, server, NamesTransport::Tcp));
                }
                let Some(connection) = self.streams.get_mut(&record.cookie) else {
                    return Said::new();
                };
                let order = &mut connection.orders[usize::from(!outgoing)];
                if syn {
                    order.begin(sequence);
                }
                let first = if syn { sequence.wrapping_add(1) } else { sequence };
                let said = match order.take(first, packet.payload, packet.missing) {
                    Piece::Old => Said::new(),
                    Piece::Gap => {
                        self.counts.lost_streams += 1;
                        table.close_stream(stream);
                        Said::new()
                    }
                    Piece::New(bytes) => {
                        let segment = Segment {
                            bytes,
                            missing: packet.missing,
                        };
                        take_segment(table, now, asker, stream, segment, outgoing)
                    }
                };
                if end && !outgoing {
                    // Nothing that could be an answer comes after it.
                    table.close_stream(stream);
                    self.streams.remove(&record.cookie);
                }
                said
            }
        }
    }
}

fn take_segment(
    table: &mut NameTable,
    now: BootTime,
    asker: ProcessKey,
    stream: StreamId,
    segment: Segment<'_>,
    outgoing: bool,
) -> Said {
    if outgoing {
        let questions = table.sent(now, asker, stream, segment);
        return questions.into_iter().map(|activity| (asker, activity)).collect();
    }
    let answers = table.received(now, stream, segment);
    answers
        .into_iter()
        .flatten()
        .filter_map(|answer| Some((answer.asker, answer.activity?)))
        .collect()
}
