//! Byte strings from the kernel, which promises no encoding.

pub(crate) mod exact;

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};

/// A path, a name or an argument as the kernel has it: any bytes, in any encoding or none.
///
/// Cheap to clone. [`Display`](fmt::Display) and serde write it as text that is safe on a terminal and in
/// a log line: bytes that are not UTF-8, control characters, and characters that reorder or hide text
/// become `\xNN`, one for each byte. A backslash stays as it is, so the text is for reading; it is turned
/// back into bytes as UTF-8, unchanged.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RawString(Arc<[u8]>);

impl RawString {
    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// What follows the last `/`; all of it when there is none.
    pub fn base_name(&self) -> &[u8] {
        base_name(&self.0)
    }
}

/// What follows the last `/` of a path; all of it when there is none.
pub fn base_name(path: &[u8]) -> &[u8] {
    match path.iter().rposition(|&byte| byte == b'/') {
        Some(slash) => &path[slash + 1..],
        None => path,
    }
}

impl Deref for RawString {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

/// So that maps by texts can be asked with bytes.
impl Borrow<[u8]> for RawString {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl From<&[u8]> for RawString {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }
}

impl From<Vec<u8>> for RawString {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes.into())
    }
}

impl From<&str> for RawString {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().into())
    }
}

impl From<String> for RawString {
    fn from(text: String) -> Self {
        Self(text.into_bytes().into())
    }
}

impl fmt::Display for RawString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_escaped(f, &self.0)
    }
}

impl fmt::Debug for RawString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        write_escaped(f, &self.0)?;
        f.write_str("\"")
    }
}

impl Serialize for RawString {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RawString {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = RawString;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<RawString, E> {
                Ok(RawString::from(text))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

fn write_escaped(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    for chunk in bytes.utf8_chunks() {
        let mut plain = chunk.valid();
        while let Some((at, unsafe_char)) = plain.char_indices().find(|&(_, c)| is_deceptive(c)) {
            f.write_str(&plain[..at])?;
            let after = at + unsafe_char.len_utf8();
            write_hex(f, &plain.as_bytes()[at..after])?;
            plain = &plain[after..];
        }
        f.write_str(plain)?;
        write_hex(f, chunk.invalid())?;
    }
    Ok(())
}

fn write_hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "\\x{byte:02x}"))
}

/// Control characters (terminal escapes and line breaks among them), line and paragraph separators, and
/// the directional and zero-width characters that make a text look like another one.
fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hostile_bytes_print_as_hex() {
        let name = RawString::from(&b"a\n\x1b[31mb\xff\xe2\x80\xaec"[..]);
        assert_eq!(name.to_string(), r"a\x0a\x1b[31mb\xff\xe2\x80\xaec");
    }

    #[test]
    fn readable_text_stays_as_it_is() {
        assert_eq!(RawString::from("/opt/größe/日本").to_string(), "/opt/größe/日本");
    }

    #[test]
    fn base_name_of_odd_paths() {
        assert_eq!(base_name(b"/usr/bin/id"), b"id");
        assert_eq!(base_name(b"id"), b"id");
        assert_eq!(base_name(b"/"), b"");
        assert_eq!(base_name(b""), b"");
    }

    proptest! {
        #[test]
        fn printed_text_never_controls_a_terminal(bytes: Vec<u8>) {
            let text = RawString::from(bytes).to_string();
            prop_assert!(text.chars().all(|c| !is_deceptive(c)));
        }

        #[test]
        fn plain_text_survives_a_round_trip(text in "[ -~]*") {
            let json = serde_json::to_string(&RawString::from(text.as_str())).unwrap();
            let back: RawString = serde_json::from_str(&json).unwrap();
            prop_assert_eq!(back, RawString::from(text));
        }
    }
}
