//! The headers of a captured packet, as far as DNS needs them: addresses, ports, and where the payload is.
//!
//! Three headers of fixed shape (RFC 791, RFC 8200, RFC 768, RFC 9293); extension headers of IPv6 and later fragments
//! never get here, the kernel's side does not follow them either.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A packet from the IP header on, or as much of it as was captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Who sent it.
    pub source: SocketAddr,
    /// Whom it is for.
    pub destination: SocketAddr,
    /// What carries the payload.
    pub transport: Transport,
    /// What follows the transport header.
    pub payload: &'a [u8],
    /// How much more of the payload there was.
    pub missing: usize,
}

/// What the transport header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// A datagram.
    Udp,
    /// A piece of a connection.
    Tcp {
        /// The number of the payload's first byte; of the SYN, where it has that.
        sequence: u32,
        /// It begins the connection's direction.
        syn: bool,
        /// It ends the direction (FIN), or the whole connection (RST).
        end: bool,
    },
}

const FIN: u8 = 1 << 0;
const SYN: u8 = 1 << 1;
const RST: u8 = 1 << 2;

impl<'a> Packet<'a> {
    /// Reads the headers of a packet that was `wire_length` bytes long; `None` when they are not whole, or are of
    /// another kind.
    pub fn parse(bytes: &'a [u8], wire_length: usize) -> Option<Self> {
        let (protocol, source, destination, header, said) = match bytes.first()? >> 4 {
            4 => {
                let header = usize::from(bytes[0] & 15) * 4;
                let address = |at: usize| Some(IpAddr::from(Ipv4Addr::from(array::<4>(bytes, at)?)));
                let said = usize::from(u16::from_be_bytes(array(bytes, 2)?));
                (*bytes.get(9)?, address(12)?, address(16)?, header, said)
            }
            6 => {
                let address = |at: usize| Some(IpAddr::from(Ipv6Addr::from(array::<16>(bytes, at)?)));
                let said = usize::from(u16::from_be_bytes(array(bytes, 4)?)) + 40;
                (*bytes.get(6)?, address(8)?, address(24)?, 40, said)
            }
            _ => return None,
        };
        // A length of 0 is one that the network card is to fill in.
        let length = if said > header {
            said.min(wire_length)
        } else {
            wire_length
        };
        let segment = bytes.get(header..bytes.len().min(length))?;
        let whole = length.checked_sub(header)?;
        let ports = |at: usize| Some(u16::from_be_bytes(array(segment, at)?));
        let (source, destination) = (
            SocketAddr::new(source, ports(0)?),
            SocketAddr::new(destination, ports(2)?),
        );
        let (transport, skip) = match protocol {
            17 => (Transport::Udp, 8),
            6 => {
                let flags = *segment.get(13)?;
                let transport = Transport::Tcp {
                    sequence: u32::from_be_bytes(array(segment, 4)?),
                    syn: flags & SYN != 0,
                    end: flags & (FIN | RST) != 0,
                };
                (transport, usize::from(segment.get(12)? >> 4) * 4)
            }
            _ => return None,
        };
        let payload = segment.get(skip..)?;
        Some(Self {
            source,
            destination,
            transport,
            payload,
            missing: whole.checked_sub(skip)?.saturating_sub(payload.len()),
        })
    }
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

/// One direction of a TCP connection, put in order: what comes twice is dropped, and where something is missing the
/// rest cannot be understood.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Order {
    next: Option<u32>,
}

/// What a piece is to its direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'a> {
    /// These bytes are new.
    New(&'a [u8]),
    /// It was seen before, or has no bytes.
    Old,
    /// Something before it never came, or the direction was not seen from its beginning.
    Gap,
}

impl Order {
    /// The direction begins: its first byte follows this number.
    pub fn begin(&mut self, sequence: u32) {
        self.next = Some(sequence.wrapping_add(1));
    }

    /// Takes a piece in; `missing` bytes after it were not captured.
    pub fn take<'a>(&mut self, sequence: u32, bytes: &'a [u8], missing: usize) -> Piece<'a> {
        let Some(next) = self.next else { return Piece::Gap };
        // Sequence numbers go round: what is less than half of them ahead is ahead.
        let ahead = sequence.wrapping_sub(next) as i32;
        if ahead > 0 {
            return if bytes.is_empty() { Piece::Old } else { Piece::Gap };
        }
        let seen = next.wrapping_sub(sequence) as usize;
        match bytes.get(seen..) {
            Some(new) if !new.is_empty() || (missing > 0 && seen == bytes.len()) => {
                let length = (new.len() + missing) as u32;
                self.next = Some(next.wrapping_add(length));
                Piece::New(new)
            }
            _ => Piece::Old,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mk_udp() -> Vec<u8> {
        let mut bytes = vec![0x45, 0, 0, 32, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        bytes.extend([0x9c, 0x40, 0, 53, 0, 12, 0, 0]);
        bytes.extend(b"dns!");
        bytes
    }

    #[test]
    fn a_datagram_has_its_sides_and_its_payload() {
        let bytes = mk_udp();
        let packet = Packet::parse(&bytes, bytes.len()).unwrap();
        assert_eq!(packet.source.to_string(), "10.0.0.1:40000");
        assert_eq!(packet.destination.to_string(), "10.0.0.2:53");
        assert_eq!((packet.payload, packet.missing), (&b"dns!"[..], 0));
    }

    #[test]
    fn what_was_not_captured_is_counted_and_what_follows_the_packet_is_not_it() {
        let mut bytes = mk_udp();
        bytes[3] = 132;
        assert_eq!(Packet::parse(&bytes, 132).unwrap().missing, 100);
        let mut bytes = mk_udp();
        bytes.extend(b"padding");
        assert_eq!(Packet::parse(&bytes, bytes.len()).unwrap().payload, b"dns!");
    }

    #[test]
    fn no_cut_and_no_other_protocol_is_a_packet() {
        let bytes = mk_udp();
        assert!((0..28).all(|length| Packet::parse(&bytes[..length], length).is_none()));
        let mut other = bytes.clone();
        other[9] = 1;
        assert_eq!(Packet::parse(&other, other.len()), None);
        other[0] = 0x75;
        assert_eq!(Packet::parse(&other, other.len()), None);
    }

    #[test]
    fn pieces_of_a_connection_come_once_and_in_order() {
        let mut order = Order::default();
        assert_eq!(order.take(8, b"x", 0), Piece::Gap, "its beginning was not seen");
        order.begin(u32::MAX - 1);
        assert_eq!(
            order.take(u32::MAX, b"ab", 0),
            Piece::New(b"ab"),
            "numbers go round"
        );
        assert_eq!(order.take(u32::MAX, b"ab", 0), Piece::Old, "sent again");
        assert_eq!(order.take(0, b"bcd", 0), Piece::New(b"cd"), "partly sent again");
        assert_eq!(order.take(9, b"", 0), Piece::Old);
        assert_eq!(order.take(9, b"z", 0), Piece::Gap);
        assert_eq!(order.take(3, b"e", 5), Piece::New(b"e"));
        assert_eq!(
            order.take(9, b"z", 0),
            Piece::New(b"z"),
            "after what was not captured"
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_packet_or_none(
            bytes in prop::collection::vec(any::<u8>(), 0..120), more in 0usize..5000,
        ) {
            if let Some(packet) = Packet::parse(&bytes, bytes.len() + more) {
                prop_assert!(packet.payload.len() + packet.missing <= bytes.len() + more);
            }
        }

        /// However a text is cut up and sent again, it comes out once and whole.
        #[test]
        fn retransmissions_change_nothing(
            text in prop::collection::vec(any::<u8>(), 1..60), start in any::<u32>(),
            cuts in prop::collection::vec((0usize..60, 1usize..20), 0..30),
        ) {
            let mut order = Order::default();
            order.begin(start);
            let mut out = Vec::new();
            let mut pieces: Vec<(usize, usize)> = cuts;
            pieces.extend((0..text.len()).map(|at| (at, 1)));
            for (at, length) in pieces {
                let at = at.min(text.len());
                let end = (at + length).min(text.len());
                let sequence = start.wrapping_add(1 + at as u32);
                if let Piece::New(bytes) = order.take(sequence, &text[at..end], 0) {
                    out.extend_from_slice(bytes);
                }
            }
            prop_assert_eq!(out, text);
        }
    }
}
