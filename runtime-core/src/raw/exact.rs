//! Byte strings as text that says exactly which bytes they are.
//!
//! The form of [`RawString`]'s own `Display` and serde is for reading: a backslash of the bytes and one of an escape
//! look alike. Here a backslash is doubled, and so the text can be turned back.

use std::fmt::Write as _;

use serde::de::{Deserialize, Deserializer, Error};
use serde::ser::{Serialize, Serializer};

use super::RawString;

/// As [`Display`](std::fmt::Display) has it, backslashes doubled.
pub(crate) fn serialize<S: Serializer>(raw: &RawString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&to_text(raw))
}

/// Reads what [`serialize`] writes.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<RawString, D::Error> {
    let text = String::deserialize(deserializer)?;
    from_text(&text).ok_or_else(|| {
        D::Error::custom(format_args!(
            "a backslash is followed neither by another one nor by xNN: {text:?}"
        ))
    })
}

fn to_text(raw: &RawString) -> String {
    let mut text = String::with_capacity(raw.len());
    for (at, between) in raw.split(|&byte| byte == b'\\').enumerate() {
        if at > 0 {
            text.push_str(r"\\");
        }
        // Writing to a string cannot fail.
        let _ = write!(text, "{}", RawString::from(between));
    }
    text
}

fn from_text(text: &str) -> Option<RawString> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = match (byte, after) {
            (b'\\', [b'\\', after @ ..]) => {
                bytes.push(b'\\');
                after
            }
            (b'\\', [b'x', high, low, after @ ..]) => {
                let digit = |digit: &u8| char::from(*digit).to_digit(16);
                bytes.push((digit(high)? << 4 | digit(low)?) as u8);
                after
            }
            (b'\\', _) => return None,
            _ => {
                bytes.push(byte);
                after
            }
        };
    }
    Some(bytes.into())
}

/// One that may be missing.
pub(crate) mod option {
    use super::{Deserialize, Deserializer, Exact, RawString, Serialize, Serializer};

    #[expect(clippy::ref_option, reason = "serde calls it so")]
    pub(crate) fn serialize<S: Serializer>(
        raw: &Option<RawString>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        raw.clone().map(Exact).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<RawString>, D::Error> {
        Ok(Option::<Exact>::deserialize(deserializer)?.map(|Exact(raw)| raw))
    }
}

/// Several.
pub(crate) mod list {
    use super::{Deserialize, Deserializer, Exact, RawString, Serializer};

    pub(crate) fn serialize<S: Serializer>(list: &[RawString], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(list.iter().cloned().map(Exact))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<RawString>, D::Error> {
        let list = Vec::<Exact>::deserialize(deserializer)?;
        Ok(list.into_iter().map(|Exact(raw)| raw).collect())
    }
}

/// One whose serde is this.
struct Exact(RawString);

impl Serialize for Exact {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for Exact {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize(deserializer).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_escape_is_refused() {
        assert_eq!(from_text(r"a\\x41\x41"), Some(r"a\x41A".into()));
        for text in [r"\", r"\n", r"\x", r"\x4", r"\xzz", r"a\"] {
            assert_eq!(from_text(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_come_back(bytes: Vec<u8>, tail in r"[a\\x0-9]{0,12}") {
            for raw in [RawString::from(bytes), RawString::from(tail)] {
                let text = to_text(&raw);
                prop_assert_eq!(RawString::from(text.as_str()).to_string(), text.as_str(), "it is printable");
                prop_assert_eq!(from_text(&text), Some(raw));
            }
        }
    }
}
