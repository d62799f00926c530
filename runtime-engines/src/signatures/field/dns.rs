//! `dns.*`: questions for names and the answers. Falco has no such fields.

use runtime_core::{Activity, DnsActivity, Event, EventClass};

use super::Value;

const DNS: &[EventClass] = &[EventClass::Dns];

pub(super) const FIELDS: &[super::Field] = super::fields! {
    "dns.name": Text on DNS, {
        |event, _, _| Value::text(dns(event).map(|dns| dns.name.as_str().as_bytes()))
    } =>
        "The name that was asked for, in small letters and without a dot at its end. (Podwarden's own.)";
    "dns.type": Number on DNS, {|event, _, _| Value::number(dns(event).map(|dns| dns.record_type))} =>
        "The type of record that was asked for, by its number: 1 is A, 28 is AAAA. (Podwarden's own.)";
    "dns.server": Address on DNS, {|event, _, _| match dns(event) {
            Some(dns) => Value::Address(dns.server.ip().to_canonical()),
            None => Value::Missing,
        }} =>
        "Whom it was asked of. (Podwarden's own.)";
    "dns.server.port": Number on DNS, {|event, _, _| Value::number(dns(event).map(|dns| dns.server.port()))} =>
        "The port that it was asked at. (Podwarden's own.)";
    "dns.l4proto": Text on DNS, {|event, _, _| Value::text(dns(event).map(|dns| {
            if dns.tcp { b"tcp".as_slice() } else { b"udp" }
        }))} =>
        "`udp` or `tcp`. (Podwarden's own.)";
    "dns.is_answer": Bool on DNS, {|event, _, _| Value::bool(dns(event).map(|dns| dns.answer.is_some()))} =>
        "Whether this is the answer, and not the question. (Podwarden's own.)";
    "dns.rcode": Number on DNS, {
        |event, _, _| Value::number(dns(event).and_then(|dns| Some(dns.answer.as_ref()?.code)))
    } =>
        "The answer's code: 0 is no error, 3 is no such name. (Podwarden's own.)";
    "dns.alias": Text on DNS, {|event, _, _| match dns(event).and_then(|dns| dns.answer.as_ref()) {
            Some(answer) => Value::Domains(&answer.aliases),
            None => Value::Missing,
        }} =>
        "The names that the name stands for; any of them will do. (Podwarden's own.)";
};

fn dns(event: &Event) -> Option<&DnsActivity> {
    match &event.activity {
        Activity::Dns(dns) => Some(dns),
        _ => None,
    }
}
