//! What a test looks at: the value of a field, or something made of values.

use runtime_core::{Event, EventClass};

use super::field::{Buffers, FIELDS, Field, FieldType, Getter, Given, Kind, Value};
use runtime_core::raw::base_name;

/// A value of an event, ready to be taken.
#[derive(Debug, Clone)]
pub(super) struct Operand {
    pub(super) base: Base,
    /// What is done to a text, the innermost first.
    pub(super) steps: Box<[Step]>,
    /// Whether only the text's length is asked for.
    pub(super) length: bool,
    pub(super) kind: FieldType,
}

#[derive(Debug, Clone)]
pub(super) enum Base {
    Field {
        index: usize,
        get: Getter,
        given: Given,
    },
    /// Parts behind each other, with a text between them.
    Joined {
        between: Option<Box<Part>>,
        parts: Box<[Part]>,
    },
}

/// A part of a text that is put together.
#[derive(Debug, Clone)]
pub(super) enum Part {
    Text(Box<[u8]>),
    Operand(Operand),
}

/// Something that is done to a text, in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Lower,
    Upper,
    BaseName,
    Base64,
}

impl Operand {
    /// The field, where nothing is done to its value.
    pub(super) fn plain(&self) -> Option<(&'static Field, &Given)> {
        self.place().map(|(index, given)| (&FIELDS[index], given))
    }

    /// The field's place in the table, where nothing is done to its value.
    pub(super) fn place(&self) -> Option<(usize, &Given)> {
        match &self.base {
            Base::Field { index, given, .. } if self.steps.is_empty() && !self.length => {
                Some((*index, given))
            }
            _ => None,
        }
    }

    /// Every field that it needs.
    pub(super) fn each_field(&self, visit: &mut impl FnMut(&'static Field)) {
        match &self.base {
            Base::Field { index, .. } => visit(&FIELDS[*index]),
            Base::Joined { between, parts } => {
                for part in between.iter().map(|part| &**part).chain(parts) {
                    if let Part::Operand(operand) = part {
                        operand.each_field(visit);
                    }
                }
            }
        }
    }

    /// Whether events of this class can have a value for it.
    pub(super) fn is_possible(&self, class: EventClass) -> bool {
        let mut possible = true;
        self.each_field(&mut |field| possible &= field.events.contains(&class));
        possible
    }

    /// What is certain of it for a kind of events.
    pub(super) fn fixed(&self, kind: &Kind) -> Option<Value<'static>> {
        let (field, given) = self.plain()?;
        match field.fixed {
            super::field::Fixed::Kind(fixed) => fixed(kind, given),
            _ => None,
        }
    }

    /// Calls `test` with the value; with each of its values until it holds, where there are several and a text
    /// is changed.
    pub(super) fn test(
        &self,
        event: &Event,
        scratch: (&mut Buffers, &mut Vec<u8>),
        mut test: impl FnMut(Value<'_>) -> bool,
    ) -> bool {
        let (buffers, changed) = scratch;
        match &self.base {
            Base::Field { get, given, .. } => {
                let value = get(event, buffers, given);
                if self.steps.is_empty() && !self.length {
                    return test(value);
                }
                if let (Value::Text(text), [Step::BaseName], false) = (value, &*self.steps, self.length) {
                    return test(Value::Text(base_name(text)));
                }
                value.any_text(|text| {
                    changed.clear();
                    changed.extend_from_slice(text);
                    self.finish(changed, 0)
                        .is_some_and(|()| test(self.measured(changed)))
                })
            }
            Base::Joined { .. } => {
                changed.clear();
                self.append(event, buffers, changed)
                    .is_some_and(|()| test(self.measured(changed)))
            }
        }
    }

    /// Appends the text that it is; `None` where it is missing.
    fn append(&self, event: &Event, buffers: &mut Buffers, text: &mut Vec<u8>) -> Option<()> {
        let start = text.len();
        match &self.base {
            Base::Field { get, given, .. } => {
                let value = get(event, buffers, given);
                let found = value.any_text(|found| {
                    text.extend_from_slice(found);
                    true
                });
                if !found {
                    return None;
                }
            }
            Base::Joined { between, parts } => {
                for (at, part) in parts.iter().enumerate() {
                    if at > 0
                        && let Some(between) = between
                    {
                        between.append(event, buffers, text)?;
                    }
                    part.append(event, buffers, text)?;
                }
            }
        }
        self.finish(text, start)
    }

    fn finish(&self, text: &mut Vec<u8>, start: usize) -> Option<()> {
        for step in &self.steps {
            step.apply(text, start)?;
        }
        Some(())
    }

    fn measured<'a>(&self, text: &'a [u8]) -> Value<'a> {
        if self.length {
            Value::Number(text.len() as i64)
        } else {
            Value::Text(text)
        }
    }
}

impl Part {
    fn append(&self, event: &Event, buffers: &mut Buffers, text: &mut Vec<u8>) -> Option<()> {
        match self {
            Self::Text(part) => {
                text.extend_from_slice(part);
                Some(())
            }
            Self::Operand(operand) => operand.append(event, buffers, text),
        }
    }
}

impl Step {
    /// Changes what is in `text` from `start` on.
    fn apply(self, text: &mut Vec<u8>, start: usize) -> Option<()> {
        match self {
            Self::Lower => text[start..].make_ascii_lowercase(),
            Self::Upper => text[start..].make_ascii_uppercase(),
            Self::BaseName => {
                let name = base_name(&text[start..]).len();
                let from = text.len() - name;
                text.copy_within(from.., start);
                text.truncate(start + name);
            }
            Self::Base64 => {
                let length = decode_base64(&mut text[start..])?;
                text.truncate(start + length);
            }
        }
        Some(())
    }
}

/// Decodes in place, which base 64 allows because it shrinks, and returns the length; `None` where the text is
/// something else. Padding may be left out.
fn decode_base64(text: &mut [u8]) -> Option<usize> {
    let end = text
        .iter()
        .rposition(|&byte| byte != b'=')
        .map_or(0, |last| last + 1);
    if text.len() - end > 2 {
        return None;
    }
    let (mut bits, mut count, mut length) = (0u32, 0, 0);
    for at in 0..end {
        let digit = match text[at] {
            byte @ b'A'..=b'Z' => byte - b'A',
            byte @ b'a'..=b'z' => byte - b'a' + 26,
            byte @ b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(digit);
        count += 6;
        if count >= 8 {
            count -= 8;
            text[length] = (bits >> count) as u8;
            length += 1;
        }
    }
    // A single digit left over says nothing.
    (count < 6).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(text: &str) -> Option<String> {
        let mut bytes = text.as_bytes().to_vec();
        let length = decode_base64(&mut bytes)?;
        bytes.truncate(length);
        String::from_utf8(bytes).ok()
    }

    #[test]
    fn base_64_is_read() {
        assert_eq!(decoded("aGVsbG8gd29ybGQ="), Some("hello world".into()));
        assert_eq!(decoded("aGVsbG8gd29ybGQ"), Some("hello world".into()));
        assert_eq!(decoded("YQ=="), Some("a".into()));
        assert_eq!(decoded(""), Some(String::new()));
        for wrong in ["a", "a b", "a===", "ä"] {
            assert_eq!(decoded(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn steps_change_only_what_is_theirs() {
        let mut text = b"keep/me:/usr/BIN/Id".to_vec();
        Step::BaseName.apply(&mut text, 8);
        Step::Lower.apply(&mut text, 8);
        assert_eq!(text, b"keep/me:id");
    }
}
