//! Names on the network, and the questions for them.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::id::from_text;

/// A DNS question of a process, or the answer that its container took in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DnsActivity {
    /// What was asked for.
    pub name: DomainName,
    /// The type of record asked for, as numbered by IANA (1 is `A`, 28 is `AAAA`).
    pub record_type: u16,
    /// Whom it was asked of.
    pub server: SocketAddr,
    /// True where it went over TCP.
    pub tcp: bool,
    /// The answer; `None` in the event of a question.
    pub answer: Option<DnsAnswer>,
}

/// What a resolver answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DnsAnswer {
    /// The response code, as numbered by IANA (0 is no error, 3 no such domain).
    pub code: u16,
    /// The names that the question's name stands for, in the order of the chain.
    pub aliases: Vec<DomainName>,
    /// The addresses of the chain's last name.
    pub addresses: Vec<IpAddr>,
}

/// A domain name in one spelling: lower case, without the dot at its end, at most 253 bytes.
///
/// Bytes that are no letter, digit, `-` or `_` are written `\DDD`, three decimal digits, as RFC 1035 does it in
/// master files: so a name never holds a blank, a control character or a dot that separates nothing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DomainName(Arc<str>);

/// Why a text is no domain name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DomainNameError {
    /// There is nothing in it.
    #[error("the domain name is empty")]
    Empty,
    /// It has more than 253 bytes, or a label more than 63.
    #[error("the domain name, or a label of it, is too long")]
    TooLong,
    /// Two dots in a row, or one at the beginning.
    #[error("the domain name has an empty label")]
    EmptyLabel,
    /// Something that has to be escaped, or an escape that is none.
    #[error("the domain name has a byte that is not escaped")]
    Unescaped,
}

impl DomainName {
    /// From the labels of a packet, in their order, without the root.
    pub fn from_labels<'a>(labels: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, DomainNameError> {
        let mut text = String::new();
        let mut wire_length = 1;
        for label in labels {
            match label.len() {
                0 => return Err(DomainNameError::EmptyLabel),
                1..=63 => wire_length += label.len() + 1,
                _ => return Err(DomainNameError::TooLong),
            }
            if wire_length > 255 {
                return Err(DomainNameError::TooLong);
            }
            if !text.is_empty() {
                text.push('.');
            }
            for &byte in label {
                push_byte(&mut text, byte);
            }
        }
        if text.is_empty() {
            return Err(DomainNameError::Empty);
        }
        Ok(Self(text.into()))
    }

    /// The name's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn push_byte(text: &mut String, byte: u8) {
    use fmt::Write;
    if byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_' {
        text.push(byte.to_ascii_lowercase().into());
    } else {
        // Writing to a string cannot fail.
        let _ = write!(text, "\\{byte:03}");
    }
}

impl FromStr for DomainName {
    type Err = DomainNameError;

    fn from_str(text: &str) -> Result<Self, DomainNameError> {
        let text = text.strip_suffix('.').unwrap_or(text);
        if text.is_empty() {
            return Err(DomainNameError::Empty);
        }
        let labels = text.split('.').map(unescape).collect::<Result<Vec<_>, _>>()?;
        Self::from_labels(labels.iter().map(Vec::as_slice))
    }
}

fn unescape(label: &str) -> Result<Vec<u8>, DomainNameError> {
    let mut bytes = Vec::with_capacity(label.len());
    let mut rest = label.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        if byte == b'\\' {
            let (digits, after) = after.split_at_checked(3).ok_or(DomainNameError::Unescaped)?;
            let number = std::str::from_utf8(digits)
                .ok()
                .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_digit()))
                .and_then(|digits| digits.parse().ok());
            bytes.push(number.ok_or(DomainNameError::Unescaped)?);
            rest = after;
        } else if byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_' {
            bytes.push(byte);
            rest = after;
        } else {
            return Err(DomainNameError::Unescaped);
        }
    }
    Ok(bytes)
}

impl fmt::Display for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for DomainName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for DomainName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> Result<DomainName, DomainNameError> {
        text.parse()
    }

    #[test]
    fn one_name_has_one_spelling() {
        assert_eq!(name("Example.COM."), name("example.com"));
        assert_eq!(name("example.com").unwrap().as_str(), "example.com");
    }

    #[test]
    fn hostile_labels_cannot_look_like_others() {
        let name = DomainName::from_labels([b"a.b\n".as_slice(), b"com"]).unwrap();
        assert_eq!(name.as_str(), r"a\046b\010.com");
    }

    #[test]
    fn what_is_no_name_is_refused() {
        assert_eq!(name(""), Err(DomainNameError::Empty));
        assert_eq!(name("."), Err(DomainNameError::Empty));
        assert_eq!(name("a..b"), Err(DomainNameError::EmptyLabel));
        assert_eq!(name("a b"), Err(DomainNameError::Unescaped));
        assert_eq!(name(r"a\25"), Err(DomainNameError::Unescaped));
        assert_eq!(name(r"a\999"), Err(DomainNameError::Unescaped));
        assert_eq!(name(&"a".repeat(64)), Err(DomainNameError::TooLong));
        assert_eq!(name(&"a.".repeat(200)), Err(DomainNameError::TooLong));
    }

    proptest! {
        #[test]
        fn labels_survive_the_text(labels in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..20), 1..6)) {
            let name = DomainName::from_labels(labels.iter().map(Vec::as_slice)).unwrap();
            prop_assert_eq!(name.as_str().parse::<DomainName>(), Ok(name.clone()));
        }
    }
}
