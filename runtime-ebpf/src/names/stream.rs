//! Whole messages from the segments of TCP connections.

use std::collections::HashMap;

use super::flow::{Flow, Payload};

/// A connection, by a number that no other live connection has: a socket's cookie, or its address in the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StreamId(pub u64);

/// A piece of one direction of a connection; pieces follow each other without gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment<'a> {
    /// The bytes.
    pub bytes: &'a [u8],
    /// How many bytes come after them that the sensor did not copy.
    pub missing: usize,
}

impl<'a> From<&'a [u8]> for Segment<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self { bytes, missing: 0 }
    }
}

/// The side that a segment came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Client,
    Server,
}

/// A stream whose messages cannot be told apart any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OutOfStep;

/// The connections of a container that were seen from their beginning.
///
/// Only they are looked at: whoever starts somewhere in the middle may take what a record holds for a message. So a
/// connection that got out of step, or that made room for others, stays forgotten until it is opened anew.
#[derive(Debug)]
pub(super) struct Streams {
    open: HashMap<StreamId, Stream>,
    uses: u64,
    bytes: usize,
    most: usize,
    most_bytes: usize,
}

#[derive(Debug)]
struct Stream {
    flow: Flow,
    client: Framer,
    server: Framer,
    used: u64,
}

/// Splits one direction into messages.
#[derive(Debug, Default)]
struct Framer {
    /// The first byte of a length whose second one is still to come.
    half: Option<u8>,
    /// The message that is being read.
    partial: Option<Partial>,
}

#[derive(Debug)]
struct Partial {
    length: usize,
    seen: usize,
    /// The first bytes, up to the first that was missing.
    bytes: Vec<u8>,
}

impl Streams {
    pub(super) fn new(most: usize, most_bytes: usize) -> Self {
        Self {
            open: HashMap::new(),
            uses: 0,
            bytes: 0,
            most,
            most_bytes,
        }
    }

    /// Follows a connection from now on; returns how many others had to make room.
    pub(super) fn open(&mut self, id: StreamId, flow: Flow) -> u64 {
        self.close(id);
        self.uses += 1;
        let stream = Stream {
            flow,
            client: Framer::default(),
            server: Framer::default(),
            used: self.uses,
        };
        self.open.insert(id, stream);
        self.make_room()
    }

    pub(super) fn close(&mut self, id: StreamId) -> bool {
        let stream = self.open.remove(&id);
        self.bytes -= stream.as_ref().map_or(0, Stream::held);
        stream.is_some()
    }

    /// Hands out the messages that a segment completes, and returns how many connections were given up for it.
    /// Segments of connections that are not followed are no matter.
    pub(super) fn push(
        &mut self,
        id: StreamId,
        side: Side,
        segment: Segment<'_>,
        mut message: impl FnMut(Flow, Payload<'_>),
    ) -> u64 {
        let Some(stream) = self.open.get_mut(&id) else {
            return 0;
        };
        self.uses += 1;
        stream.used = self.uses;
        let before = stream.held();
        let flow = stream.flow;
        let framer = match side {
            Side::Client => &mut stream.client,
            Side::Server => &mut stream.server,
        };
        let pushed = framer.push(segment, &mut |payload| message(flow, payload));
        self.bytes = self.bytes - before + stream.held();
        let given_up = u64::from(pushed == Err(OutOfStep) && self.close(id));
        given_up + self.make_room()
    }

    /// The connection that was silent longest goes first.
    fn make_room(&mut self) -> u64 {
        let mut given_up = 0;
        while (self.open.len() > self.most || self.bytes > self.most_bytes)
            && let Some((&oldest, _)) = self.open.iter().min_by_key(|(_, stream)| stream.used)
        {
            self.close(oldest);
            given_up += 1;
        }
        given_up
    }

    #[cfg(test)]
    pub(super) fn assert_bounds(&self) {
        assert!(self.open.len() <= self.most);
        assert!(self.bytes <= self.most_bytes);
        assert_eq!(self.bytes, self.open.values().map(Stream::held).sum::<usize>());
    }
}

impl Stream {
    fn held(&self) -> usize {
        self.client.held() + self.server.held()
    }
}

impl Framer {
    /// A message's own length, in two bytes before it, says where it ends.
    fn push(&mut self, segment: Segment<'_>, message: &mut impl FnMut(Payload<'_>)) -> Result<(), OutOfStep> {
        let Segment {
            mut bytes,
            mut missing,
        } = segment;
        while let Some((&byte, after)) = bytes.split_first() {
            if let Some(partial) = &mut self.partial {
                bytes = partial.take(bytes);
                self.finish(message);
            } else if let Some(half) = self.half.take() {
                bytes = after;
                self.partial = Some(Partial::new(u16::from_be_bytes([half, byte]))?);
            } else {
                bytes = after;
                self.half = Some(byte);
            }
        }
        if let Some(partial) = &mut self.partial {
            missing = partial.skip(missing);
            self.finish(message);
        }
        // A length that nobody saw: where the next message begins will never be known.
        if missing > 0 { Err(OutOfStep) } else { Ok(()) }
    }

    fn finish(&mut self, message: &mut impl FnMut(Payload<'_>)) {
        if let Some(partial) = self.partial.take_if(|partial| partial.seen == partial.length) {
            let cut = partial.bytes.len() < partial.length;
            message(Payload {
                bytes: &partial.bytes,
                cut,
            });
        }
    }

    fn held(&self) -> usize {
        self.partial
            .as_ref()
            .map_or(0, |partial| partial.bytes.capacity())
    }
}

impl Partial {
    /// What is shorter than a message's header is no message, and a server would hang up.
    fn new(length: u16) -> Result<Self, OutOfStep> {
        match usize::from(length) {
            0..12 => Err(OutOfStep),
            length => Ok(Self {
                length,
                seen: 0,
                bytes: Vec::new(),
            }),
        }
    }

    /// Takes what belongs to this message and returns the rest.
    fn take<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let (ours, rest) = bytes.split_at(bytes.len().min(self.length - self.seen));
        // After a hole, what follows has no place.
        if self.bytes.len() == self.seen {
            self.bytes.extend_from_slice(ours);
        }
        self.seen += ours.len();
        rest
    }

    /// Passes over bytes that are missing and returns how many of them are not this message's.
    fn skip(&mut self, missing: usize) -> usize {
        let ours = missing.min(self.length - self.seen);
        self.seen += ours;
        missing - ours
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::flow::Transport;
    use super::*;

    const ID: StreamId = StreamId(1);

    fn flow() -> Flow {
        let (client, server) = ("10.1.1.1:40000", "10.96.0.10:53");
        Flow::new(client.parse().unwrap(), server.parse().unwrap(), Transport::Tcp)
    }

    fn opened() -> Streams {
        let mut streams = Streams::new(4, 100_000);
        streams.open(ID, flow());
        streams
    }

    /// The messages, each with whether it was cut, and how many connections were given up.
    fn push(streams: &mut Streams, side: Side, bytes: &[u8], missing: usize) -> (Vec<(Vec<u8>, bool)>, u64) {
        let mut messages = Vec::new();
        let given_up = streams.push(ID, side, Segment { bytes, missing }, |_, payload| {
            messages.push((payload.bytes.to_vec(), payload.cut));
        });
        streams.assert_bounds();
        (messages, given_up)
    }

    fn framed(message: &[u8]) -> Vec<u8> {
        [&(message.len() as u16).to_be_bytes()[..], message].concat()
    }

    #[test]
    fn directions_do_not_mix() {
        let mut streams = opened();
        let (question, answer) = (framed(&[1; 20]), framed(&[2; 30]));
        assert_eq!(push(&mut streams, Side::Client, &question[..7], 0), (vec![], 0));
        assert_eq!(push(&mut streams, Side::Server, &answer[..1], 0), (vec![], 0));
        let sent = push(&mut streams, Side::Client, &question[7..], 0);
        assert_eq!(sent, (vec![(vec![1; 20], false)], 0));
        let received = push(&mut streams, Side::Server, &answer[1..], 0);
        assert_eq!(received, (vec![(vec![2; 30], false)], 0));
    }

    #[test]
    fn what_the_sensor_did_not_copy_is_passed_over() {
        let mut streams = opened();
        let next = framed(&[2; 20]);
        assert_eq!(
            push(&mut streams, Side::Server, &framed(&[1; 500])[..102], 300),
            (vec![], 0)
        );
        let rest = [&[9; 100][..], &next].concat();
        assert_eq!(
            push(&mut streams, Side::Server, &rest, 0),
            (vec![(vec![1; 100], true), (vec![2; 20], false)], 0)
        );
        // Exactly up to the end.
        let ends = push(&mut streams, Side::Server, &framed(&[1; 500])[..102], 400);
        assert_eq!(ends, (vec![(vec![1; 100], true)], 0));
        assert_eq!(push(&mut streams, Side::Server, &next, 0).0.len(), 1);
    }

    #[test]
    fn a_connection_that_is_out_of_step_stays_forgotten() {
        let question = framed(&[1; 20]);
        for (bytes, missing) in [
            (&question[..], 1),
            (&[0][..], 1),
            (&[0, 11][..], 0),
            (&[0, 20][..], 21),
        ] {
            let mut streams = opened();
            assert_eq!(push(&mut streams, Side::Client, bytes, missing).1, 1, "{bytes:?}");
            assert_eq!(push(&mut streams, Side::Client, &question, 0), (vec![], 0));
            assert_eq!(push(&mut streams, Side::Server, &question, 0), (vec![], 0));
            streams.open(ID, flow());
            assert_eq!(push(&mut streams, Side::Client, &question, 0).0.len(), 1);
        }
    }

    #[test]
    fn only_opened_connections_are_followed_and_the_silent_make_room() {
        let mut streams = Streams::new(2, 100_000);
        let question = framed(&[1; 20]);
        assert_eq!(push(&mut streams, Side::Client, &question, 0), (vec![], 0));
        assert_eq!(streams.open(ID, flow()), 0);
        assert_eq!(streams.open(StreamId(2), flow()), 0);
        assert_eq!(push(&mut streams, Side::Client, &question, 0).0.len(), 1);
        assert_eq!(streams.open(StreamId(3), flow()), 1);
        assert_eq!(
            push(&mut streams, Side::Client, &question, 0).0.len(),
            1,
            "2 was silent"
        );
        assert!(streams.close(ID));
        assert_eq!(push(&mut streams, Side::Client, &question, 0), (vec![], 0));
    }

    #[test]
    fn memory_is_bounded_and_comes_with_the_bytes() {
        let mut streams = Streams::new(100, 50_000);
        for id in 0..50 {
            streams.open(StreamId(id), flow());
            assert_eq!(
                streams.push(StreamId(id), Side::Client, (&[0xff; 3][..]).into(), |_, _| ()),
                0
            );
        }
        assert!(streams.bytes < 5_000, "a length alone takes no memory");
        let mut given_up = 0;
        for id in 0..50 {
            given_up += streams.push(StreamId(id), Side::Client, (&[0xff; 4_000][..]).into(), |_, _| ());
            streams.assert_bounds();
        }
        assert!((30..50).contains(&given_up), "{given_up}");
    }

    proptest! {
        #[test]
        fn messages_survive_any_segments(
            messages in prop::collection::vec((12..400usize, any::<u8>()), 0..8),
            cuts in prop::collection::vec(1..200usize, 1..60),
        ) {
            let messages: Vec<Vec<u8>> = messages.into_iter().map(|(length, byte)| vec![byte; length]).collect();
            let stream: Vec<u8> = messages.iter().flat_map(|message| framed(message)).collect();
            let mut streams = opened();
            let mut rest = &stream[..];
            let mut seen = Vec::new();
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (segment, after) = rest.split_at(rest.len().min(*cut));
                rest = after;
                let (more, given_up) = push(&mut streams, Side::Server, segment, 0);
                prop_assert_eq!(given_up, 0);
                seen.extend(more);
            }
            let expected: Vec<_> = messages.into_iter().map(|message| (message, false)).collect();
            prop_assert_eq!(seen, expected);
            prop_assert_eq!(streams.bytes, 0, "what was handed out is not held");
        }

        #[test]
        fn any_bytes_are_survived(segments in prop::collection::vec((any::<Vec<u8>>(), 0..300usize), 0..20)) {
            let mut streams = opened();
            for (bytes, missing) in segments {
                push(&mut streams, Side::Client, &bytes, missing);
            }
        }
    }
}
