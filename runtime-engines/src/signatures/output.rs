//! What a rule's author would have an alert say: a text with fields in it, filled in from an event.

use std::fmt::Write as _;

use runtime_core::{Event, RawString};

use super::check;
use super::condition::Operand as Written;
use super::error::ConditionError;
use super::field::{Buffers, Value};
use super::operand::Operand;
use super::parser;

/// The longest text that a rule may give, in bytes.
const MAX_TEMPLATE: usize = 16 << 10;

/// How many bytes of one value are shown.
const MAX_VALUE: usize = 1024;

/// How long an output may become, in bytes; what goes beyond is cut.
const MAX_OUTPUT: usize = 8 << 10;

/// Stands where something was cut.
const MORE: &str = "...";

/// Falco's word for what has no value.
const MISSING: &str = "<NA>";

/// Falco's word for what is known of a container, and what that is here.
const CONTAINER_INFO: (&str, &str) = (
    "container.info",
    "container_id=%container.id container_name=%container.name container_image=%container.image.repository \
     container_image_tag=%container.image.tag k8s_ns_name=%k8s.ns.name k8s_pod_name=%k8s.pod.name",
);

/// A text with fields in it, ready to be filled in.
#[derive(Debug, Clone)]
pub(super) struct Output {
    pieces: Box<[Piece]>,
}

#[derive(Debug, Clone)]
enum Piece {
    /// What stands between fields, made printable.
    Text(Box<str>),
    Value(Operand),
}

impl Output {
    /// Reads a rule's text: `%field`, `%field[argument]` and `%transformer(field)` stand for values, `%%` for a
    /// percent sign.
    ///
    /// A `*` at the very beginning is left out: in Falco it says that values may be missing, which here they always
    /// may.
    pub(super) fn parse(text: &str) -> Result<Self, ConditionError> {
        let text = text.trim();
        if text.len() > MAX_TEMPLATE {
            return Err(ConditionError::TooLong);
        }
        let mut reader = Reader::default();
        reader.read(text.strip_prefix('*').unwrap_or(text))?;
        reader.end_text();
        Ok(Self {
            pieces: reader.pieces.into(),
        })
    }

    /// The text with the values of an event: one printable line of bounded length.
    pub(super) fn fill(&self, event: &Event, scratch: (&mut Buffers, &mut Vec<u8>)) -> String {
        let (buffers, changed) = scratch;
        let mut text = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(piece) => text.push_str(piece),
                Piece::Value(operand) => {
                    let mut values = Values::default();
                    operand.test(event, (buffers, changed), |value| {
                        values.take(value);
                        // There may be more of them.
                        false
                    });
                    values.write(&mut text);
                }
            }
            if text.len() > MAX_OUTPUT {
                text.truncate(text.floor_char_boundary(MAX_OUTPUT));
                text.push_str(MORE);
                break;
            }
        }
        text
    }
}

/// Takes a text apart.
#[derive(Default)]
struct Reader {
    pieces: Vec<Piece>,
    /// The text since the last value.
    open: String,
}

impl Reader {
    fn read(&mut self, text: &str) -> Result<(), ConditionError> {
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('%') {
            self.open.push_str(before);
            if let Some(after) = after.strip_prefix('%') {
                self.open.push('%');
                rest = after;
                continue;
            }
            // A field's name ends where no dot, letter or digit follows, and a full stop behind it ends the sentence.
            let end = after
                .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.'))
                .unwrap_or(after.len());
            let word = after[..end].trim_end_matches('.');
            if word.is_empty() {
                return Err(ConditionError::Placeholder);
            }
            if word == CONTAINER_INFO.0 {
                self.read(CONTAINER_INFO.1)?;
                rest = &after[word.len()..];
                continue;
            }
            if after[end..].starts_with('(') && !word.contains('.') {
                let (operand, used) = parser::parse_operand(after)?;
                self.value(&operand)?;
                rest = &after[used..];
                continue;
            }
            rest = &after[word.len()..];
            let mut argument = None;
            if let Some((inner, behind)) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
                argument = Some(inner.trim_matches(['"', '\'']).to_owned());
                rest = behind;
            }
            self.value(&Written::Field {
                name: word.to_owned(),
                argument,
            })?;
        }
        self.open.push_str(rest);
        Ok(())
    }

    fn value(&mut self, written: &Written) -> Result<(), ConditionError> {
        let operand = check::operand(written)?;
        self.end_text();
        self.pieces.push(Piece::Value(operand));
        Ok(())
    }

    fn end_text(&mut self) {
        if !self.open.is_empty() {
            // A text of several lines is one in an alert.
            let line = std::mem::take(&mut self.open).replace(['\n', '\r', '\t'], " ");
            let printable = RawString::from(line).to_string();
            self.pieces.push(Piece::Text(printable.into()));
        }
    }
}

/// The values of one field, as text.
#[derive(Default)]
struct Values {
    text: String,
    count: usize,
    /// Whether it is a field of several, which stand in parentheses, as Falco has it.
    several: bool,
}

impl Values {
    fn take(&mut self, value: Value<'_>) {
        match value {
            Value::Missing => {}
            Value::Text(bytes) => self.push(bytes),
            Value::Number(number) => self.push_display(number),
            Value::Bool(value) => self.push_display(value),
            Value::Address(address) => self.push_display(address),
            Value::Addresses(both) => self.push_each(both.into_iter().flatten()),
            Value::Numbers(both) => self.push_each(both.into_iter().flatten()),
            Value::AncestorPids(list) => self.push_each(list.iter().map(|ancestor| ancestor.pid)),
            Value::Args(_)
            | Value::Domains(_)
            | Value::AncestorNames(_)
            | Value::AncestorPaths(_)
            | Value::AncestorImagePaths(_) => {
                self.several = true;
                value.any_text(|text| {
                    self.push(text);
                    self.is_full()
                });
            }
        }
    }

    fn push_each(&mut self, values: impl Iterator<Item = impl std::fmt::Display>) {
        self.several = true;
        for value in values {
            self.push_display(value);
        }
    }

    fn push_display(&mut self, value: impl std::fmt::Display) {
        self.next();
        // Writing to a string cannot fail.
        let _ = write!(self.text, "{value}");
    }

    fn push(&mut self, bytes: &[u8]) {
        self.next();
        let shown = shown(bytes);
        let _ = write!(self.text, "{}", RawString::from(shown));
        if shown.len() < bytes.len() {
            self.text.push_str(MORE);
        }
    }

    fn next(&mut self) {
        if self.count > 0 {
            self.text.push(',');
        }
        self.count += 1;
    }

    fn is_full(&self) -> bool {
        self.text.len() > MAX_OUTPUT
    }

    fn write(&self, text: &mut String) {
        match (self.count, self.several) {
            (0, _) => text.push_str(MISSING),
            (1, false) => text.push_str(&self.text),
            _ => {
                text.push('(');
                text.push_str(&self.text);
                text.push(')');
            }
        }
    }
}

/// As much of a value as is shown; no character of it is cut in two.
fn shown(bytes: &[u8]) -> &[u8] {
    if bytes.len() <= MAX_VALUE {
        return bytes;
    }
    let is_inside = |at: usize| bytes[at] & 0xc0 == 0x80;
    let end = (MAX_VALUE - 3..=MAX_VALUE).rev().find(|&at| !is_inside(at));
    &bytes[..end.unwrap_or(MAX_VALUE)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{ExecBuilder, mk_connect_event, mk_exec_event};

    fn filled(text: &str, event: &Event) -> String {
        let output = Output::parse(text).unwrap();
        output.fill(event, (&mut Buffers::default(), &mut Vec::new()))
    }

    #[test]
    fn fields_are_filled_in() {
        let event = ExecBuilder::new("/bin/busybox")
            .invoked_as("/bin/ls")
            .args(&["ls", "-l", "/etc"])
            .ancestors(&["/bin/sh", "/usr/sbin/nginx"])
            .build();
        assert_eq!(
            filled(
                "*%proc.name (%proc.cmdline) by %proc.pname.\nUp: %proc.aname[2]%%, user %user.uid\n",
                &event
            ),
            "ls (ls -l /etc) by sh. Up: nginx%, user 0"
        );
        assert_eq!(
            filled(
                "%toupper(proc.name)/%basename(proc.exepath)/%len(proc.name)",
                &event
            ),
            "LS/busybox/2"
        );
        assert_eq!(filled("%proc.arg[1] of %proc.arg", &event), "-l of (-l,/etc)");
        assert_eq!(
            filled("%container.label[\"app\"]|%fd.name|%proc.aname[9]", &event),
            "<NA>|<NA>|<NA>"
        );
        assert!(
            filled("x %container.info", &event)
                .starts_with("x container_id=c1 container_name=app container_image=")
        );
    }

    #[test]
    fn addresses_and_ports_are_text() {
        let event = mk_connect_event("192.0.2.1:443", &["www.example.com"]);
        assert_eq!(
            filled(
                "%fd.sip:%fd.sport %fd.sip.name %fd.port %evt.is_open_read",
                &event
            ),
            "192.0.2.1:443 (www.example.com) (40000,443) <NA>"
        );
    }

    #[test]
    fn hostile_values_are_printable_and_bounded() {
        let event = ExecBuilder::new(&b"/tmp/a\n\x1b[2J\xff"[..])
            .raw_args(vec!["x".into(), "ö".repeat(5_000).as_str().into()])
            .build();
        assert_eq!(filled("%proc.exepath", &event), r"/tmp/a\x0a\x1b[2J\xff");
        let long = filled("%proc.args|", &event);
        assert_eq!(long, format!("{}...|", "ö".repeat(512)));
        let many = filled(&"%proc.args ".repeat(100), &event);
        assert!(
            many.len() <= MAX_OUTPUT + MORE.len() && many.ends_with(MORE),
            "{}",
            many.len()
        );
        let args: Vec<RawString> = (0..10_000)
            .map(|n| RawString::from(format!("{n}-{}", "x".repeat(100))))
            .collect();
        let event = ExecBuilder::new("/bin/x").raw_args(args).build();
        assert!(filled("%proc.arg", &event).len() <= MAX_OUTPUT + MORE.len());
    }

    #[test]
    fn what_is_no_field_is_refused() {
        let event = mk_exec_event("/bin/x", &["x"]);
        assert_eq!(filled("100%% of it", &event), "100% of it");
        for text in [
            "100%",
            "% ",
            "%no.such",
            "%proc.name[1]",
            "%proc.aname[x]",
            "%nothing(proc.name)",
            "%tolower(proc.pid)",
        ] {
            assert!(Output::parse(text).is_err(), "{text}");
        }
        assert_eq!(
            Output::parse(&"x".repeat(MAX_TEMPLATE + 1)).unwrap_err(),
            ConditionError::TooLong
        );
    }
}
