//! Events as they are recorded: the form that `--record` writes and `rules replay` reads, one JSON object a line.
//!
//! Everything that an [`Event`] says is in it, and every byte of it: bytes that are not UTF-8, control characters and
//! the like are written `\xNN`, and a backslash is doubled. That is another form than that of alerts, which are for
//! reading.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{Event, Origin};
use crate::id::Pid;
use crate::process::{Ancestor, ProcessIdentity};
use crate::raw::{RawString, exact};

/// The form that is written. Keys may be added to it; any other change makes it another version.
pub const VERSION: u32 = 1;

/// A recorded event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "AnyVersion")]
pub struct Record<'e> {
    version: u32,
    event: Cow<'e, Event>,
}

/// A record is of a version that is not known here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the event is of version {0} of recordings, and only version {VERSION} is known")]
pub struct UnknownVersion(pub u32);

impl<'e> Record<'e> {
    /// The record of an event.
    pub fn new(event: &'e Event) -> Self {
        Self {
            version: VERSION,
            event: Cow::Borrowed(event),
        }
    }

    /// The event.
    pub fn into_event(self) -> Event {
        self.event.into_owned()
    }
}

/// What is read before its version is looked at.
#[derive(Deserialize)]
struct AnyVersion {
    version: u32,
    event: Event,
}

impl TryFrom<AnyVersion> for Record<'_> {
    type Error = UnknownVersion;

    fn try_from(read: AnyVersion) -> Result<Self, UnknownVersion> {
        let AnyVersion { version, event } = read;
        if version != VERSION {
            return Err(UnknownVersion(version));
        }
        Ok(Self {
            version,
            event: Cow::Owned(event),
        })
    }
}

/// A process's identity, byte by byte; elsewhere it is written to be read.
#[derive(Serialize, Deserialize)]
#[serde(remote = "ProcessIdentity", rename_all = "camelCase")]
pub(crate) struct ExactIdentity {
    #[serde(with = "exact")]
    path: RawString,
    #[serde(with = "exact::option", default)]
    invoked_as: Option<RawString>,
    #[serde(with = "exact::option", default)]
    argv0: Option<RawString>,
    #[serde(with = "exact::option", default)]
    applet: Option<RawString>,
    #[serde(with = "exact::option", default)]
    script: Option<RawString>,
}

/// Ancestors, byte by byte.
pub(crate) mod ancestors {
    use serde::de::{Deserialize, Deserializer};
    use serde::ser::Serializer;

    use super::{Ancestor, ExactAncestor};

    pub(crate) fn serialize<S: Serializer>(list: &[Ancestor], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(list.iter().map(|Ancestor { pid, path, origin }| ExactAncestor {
            pid: *pid,
            path: path.clone(),
            origin: *origin,
        }))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Ancestor>, D::Error> {
        let list = Vec::<ExactAncestor>::deserialize(deserializer)?;
        let ancestors = list
            .into_iter()
            .map(|ExactAncestor { pid, path, origin }| Ancestor { pid, path, origin });
        Ok(ancestors.collect())
    }
}

#[derive(Serialize, Deserialize)]
struct ExactAncestor {
    pid: Pid,
    #[serde(with = "exact")]
    path: RawString,
    #[serde(default)]
    origin: Option<Origin>,
}

#[cfg(test)]
mod tests;
