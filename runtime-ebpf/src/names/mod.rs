//! Which names a container got for which addresses.
//!
//! ```text
//! start-up configuration ─► Resolvers ─┐
//! datagrams ──────────────────────────►│          ┌─► DnsActivity (questions, answers)
//! segments ─► whole messages ─────────►│ NameTable├─► names_of(address)
//!            (of open connections)     │          └─► NameCounters
//!                                      └ one for each container, kept by ContainerNames
//! ```
//!
//! A rule or profile may allow a connection because of a name, so a name has to be earned. An address gets one only
//! from an answer to a question that this container asked, less than [`QUESTION_LIFETIME`] ago and unanswered so
//! far, of port 53 of a server that the container's start-up configuration names. The answer repeats the question
//! (id, name, type, class) and comes from the server's address and port to the client's, over the same protocol.
//! Of its records only the chain of aliases from the question's own name counts, and the addresses of its last name.
//! Look-ups of other types teach nothing, neither does anything that is asked of multicast groups.
//!
//! Everything here is pure: time is an argument, and the bytes come from the caller. What this module cannot see is
//! the caller's to guard:
//!
//! - Bytes and endpoints have to be what the kernel sent and received, not what user memory holds.
//! - The container that sends or receives is the one whose table is asked.
//! - Traffic has to be of the network namespace that the container started in: in one of its own making, a container
//!   can give itself the resolver's address and answer itself. With `CAP_NET_ADMIN` or `CAP_NET_RAW` it can do so in
//!   the first one as well.
//!
//! # Example
//!
//! ```
//! use runtime_core::{BootTime, Pid, ProcessKey};
//! use runtime_ebpf::names::{Flow, NameLimits, NameTable, Resolvers, Transport};
//!
//! let resolvers = Resolvers::parse(b"search svc.cluster.local\nnameserver 10.96.0.10\n");
//! let mut table = NameTable::new(resolvers, NameLimits::default());
//!
//! // A question for `a.example`, type A, and its answer: 192.0.2.7.
//! let question = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x01a\x07example\0\0\x01\0\x01";
//! let mut answer = question.to_vec();
//! answer[2] = 0x81;
//! answer[7] = 1;
//! answer.extend(b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\x02\x07");
//!
//! let flow = Flow::new("10.1.1.1:40000".parse()?, "10.96.0.10:53".parse()?, Transport::Udp);
//! let asker = ProcessKey { pid: Pid(7), start: BootTime::from_nanos(1) };
//! let asked = table.question(BootTime::from_nanos(10), asker, flow, &question[..])?;
//! assert_eq!(asked[0].name.as_str(), "a.example");
//! table.answer(BootTime::from_nanos(20), flow, &answer[..])?;
//!
//! let names: Vec<_> = table.names_of("192.0.2.7".parse()?).map(|name| name.as_str()).collect();
//! assert_eq!(names, ["a.example"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod addresses;
mod flow;
mod message;
mod outstanding;
pub mod packet;
mod registry;
mod resolvers;
mod stream;
mod table;
#[cfg(test)]
mod testing;

pub use flow::{Flow, Payload, Transport};
pub use message::{MAX_ITEMS, MAX_QUESTIONS, Message, MessageError, Question, Record, RecordData, WireName};
pub use outstanding::QUESTION_LIFETIME;
pub use registry::ContainerNames;
pub use resolvers::{MAX_SERVERS, Resolvers};
pub use stream::{Segment, StreamId};
pub use table::{Answer, MAX_CHAIN, NameCounters, NameLimits, NameTable, Refusal};
