//! Bytes as text that people can read and edit, without loss.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::raw::RawString;

/// A path or a name in a manifest.
///
/// It is written as alerts write it (bytes that are no UTF-8 and characters that deceive the reader as `\xNN`), but for
/// a backslash, which is written `\x5c`: so it can be read back, byte for byte. A backslash that begins no `\xNN` is
/// read as itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ManifestText(pub RawString);

impl From<RawString> for ManifestText {
    fn from(text: RawString) -> Self {
        Self(text)
    }
}

impl From<&str> for ManifestText {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl ManifestText {
    /// From the text of a manifest.
    pub fn parse(text: &str) -> Self {
        let mut bytes = Vec::with_capacity(text.len());
        let mut rest = text.as_bytes();
        while let Some((&byte, after)) = rest.split_first() {
            let escaped = after
                .split_at_checked(3)
                .filter(|_| byte == b'\\')
                .and_then(|(digits, after)| Some((hexadecimal(digits.strip_prefix(b"x")?)?, after)));
            let (byte, after) = escaped.unwrap_or((byte, after));
            bytes.push(byte);
            rest = after;
        }
        Self(bytes.into())
    }

    /// The text for a manifest.
    pub fn to_text(&self) -> String {
        let parts = self.0.split(|&byte| byte == b'\\');
        let parts: Vec<String> = parts.map(|part| RawString::from(part).to_string()).collect();
        parts.join(r"\x5c")
    }
}

fn hexadecimal(digits: &[u8]) -> Option<u8> {
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    match digits {
        &[high, low] => Some(digit(high)? << 4 | digit(low)?),
        _ => None,
    }
}

impl Serialize for ManifestText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_text())
    }
}

impl<'de> Deserialize<'de> for ManifestText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::parse(&String::deserialize(deserializer)?))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_are_readable() {
        let text = ManifestText(RawString::from(&b"/opt/gr\xc3\xb6\xc3\x9fe/a\\b\n\xff"[..]));
        assert_eq!(text.to_text(), r"/opt/größe/a\x5cb\x0a\xff");
        assert_eq!(
            ManifestText::parse(r"C:\dir\xzz").0,
            RawString::from(r"C:\dir\xzz")
        );
    }

    proptest! {
        #[test]
        fn all_bytes_are_read_back(bytes in prop::collection::vec(prop_oneof![any::<u8>(), prop::sample::select(b"\\x5cf".to_vec())], 0..30)) {
            let text = ManifestText(bytes.into());
            prop_assert_eq!(ManifestText::parse(&text.to_text()), text);
        }
    }
}
