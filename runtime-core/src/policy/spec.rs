//! The shapes that people write: the `spec` of a RuntimePolicy.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Mode;
use crate::finding::EngineKind;

/// The `spec` of a RuntimePolicy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RuntimePolicySpec {
    /// Which containers it is for; all of them when nothing is said.
    pub selector: SelectorSpec,
    /// What the engines do there.
    pub engines: EnginesSpec,
    /// What is malicious there, or expected, whatever an engine says of it by itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<EntrySpec>,
    /// What is benign there: no alert, no response.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exclusions: Vec<EntrySpec>,
}

/// Which containers a policy is for: all that every given part accepts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SelectorSpec {
    /// Namespaces, with `*` and `?`; all when empty.
    pub namespaces: Vec<String>,
    /// Namespaces that are left out even so.
    pub exclude_namespaces: Vec<String>,
    /// Pod groups; all when empty.
    pub pod_groups: Vec<PodGroupSelectorSpec>,
    /// Labels that the pod must have.
    pub labels: std::collections::BTreeMap<String, String>,
}

/// Pod groups by kind and name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PodGroupSelectorSpec {
    /// The kind of the group's root, such as `Deployment`; any when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The root's name, with `*` and `?`.
    pub name: String,
}

/// What a policy says of each engine; what it leaves open another policy, or the default, decides.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct EnginesSpec {
    /// The signatures engine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signatures: Option<SignaturesSpec>,
    /// The file reputation engine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_reputation: Option<FileReputationSpec>,
    /// The profiling engine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profiling: Option<ProfilingSpec>,
}

/// What a policy says of the signatures engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignaturesSpec {
    /// What the engine may do.
    pub mode: Mode,
    /// In `prevent`: every signature kills, whatever response it asks for.
    #[serde(default)]
    pub block_all: bool,
}

/// What a policy says of the file reputation engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FileReputationSpec {
    /// What the engine may do.
    pub mode: Mode,
}

/// What a policy says of the profiling engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProfilingSpec {
    /// What the engine may do.
    pub mode: Mode,
    /// How long a pod group is learned; 24 hours when nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learning_period: Option<Period>,
    /// How long a start-up that was seen late is learned; 10 minutes when nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub startup_window: Option<Period>,
}

/// A rule or an exclusion: everything that is given must fit. Texts are patterns with `*` and `?`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EntrySpec {
    /// What to call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The engine whose findings it is about.
    pub engine: EngineKind,
    /// Of a rule: what it makes of what it matches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<RuleAction>,
    /// The id or the name of a signature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// The process that acts; for an exec, the one that was executed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<ProcessSpec>,
    /// The path of the file that something is done to, or that is executed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The real user id of the process, in the initial user namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<u32>,
    /// The container's image, as its runtime recorded it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The container's name in the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// The SHA-256 digest of an executable, in hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// What a process talks to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkSpec>,
    /// Of an exclusion: why, for whoever reads it later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What a rule makes of what it matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RuleAction {
    /// It is malicious: the container is killed, the file blocked, the profile violated.
    Deny,
    /// It is expected: an entry of the profile that a user made.
    Allow,
}

/// A process, by what it is and who started it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ProcessSpec {
    /// The executable's real path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The name it was invoked by, where that names another program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invoked_as: Option<String>,
    /// The base name of `argv[0]`, where that differs too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub argv0: Option<String>,
    /// The applet of a multi-call binary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub applet: Option<String>,
    /// The script that it interprets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub script: Option<String>,
    /// The arguments after the zeroth, with a space between each two.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub args: Option<String>,
    /// The executable of the process that forked it; `(runtime)` for one outside the container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_path: Option<String>,
}

/// What a process talks to, or asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct NetworkSpec {
    /// A domain name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// An address, or a network in CIDR notation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// A port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// The executable's path of the process that does it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process_path: Option<String>,
}

/// A span of time as people write it: a number and `s`, `m`, `h` or `d`, as in `24h`, one such after the other as in
/// `1h30m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(Duration);

/// Why a text is no span of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a span of time of one second or more, such as 90s, 10m, 24h, 7d or 1h30m: {0:?}")]
pub struct InvalidPeriod(String);

impl Period {
    /// From a number of seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// How long it is.
    pub fn duration(self) -> Duration {
        self.0
    }
}

impl FromStr for Period {
    type Err = InvalidPeriod;

    fn from_str(text: &str) -> Result<Self, InvalidPeriod> {
        let seconds = || {
            let (mut sum, mut rest, mut largest) = (0_u64, text, u64::MAX);
            while !rest.is_empty() {
                let digits = rest.find(|c: char| !c.is_ascii_digit())?;
                let number: u64 = rest[..digits].parse().ok()?;
                let unit = match rest.as_bytes()[digits] {
                    b's' => 1,
                    b'm' => 60,
                    b'h' => 3600,
                    b'd' => 86_400,
                    _ => return None,
                };
                // Each unit once, the larger first: `30m1h` is more likely a slip than meant.
                if unit >= largest {
                    return None;
                }
                largest = unit;
                sum = sum.checked_add(number.checked_mul(unit)?)?;
                rest = &rest[digits + 1..];
            }
            (1..=u64::from(u32::MAX)).contains(&sum).then_some(sum)
        };
        seconds()
            .map(Self::from_secs)
            .ok_or_else(|| InvalidPeriod(text.chars().take(40).collect()))
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.as_secs();
        for (unit, name) in [(3600, 'h'), (60, 'm'), (1, 's')] {
            if rest >= unit {
                write!(f, "{}{name}", rest / unit)?;
                rest %= unit;
            }
        }
        Ok(())
    }
}

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn periods_are_read_as_they_are_written(seconds in 1..=u64::from(u32::MAX)) {
            let period = Period::from_secs(seconds);
            prop_assert_eq!(period.to_string().parse(), Ok(period));
        }

        #[test]
        fn no_text_is_too_much(text in ".{0,20}") {
            let _ = text.parse::<Period>();
        }
    }

    #[test]
    fn periods() {
        let seconds = |text: &str| text.parse::<Period>().ok().map(|period| period.0.as_secs());
        assert_eq!(seconds("24h"), Some(86_400));
        assert_eq!(seconds("1h30m"), Some(5400));
        assert_eq!(seconds("7d"), Some(604_800));
        for bad in [
            "",
            "0s",
            "24",
            "h",
            "1.5h",
            "-1h",
            "30m1h",
            "1h1h",
            "24H",
            " 1h",
            "99999999999d",
            "1é",
        ] {
            assert_eq!(seconds(bad), None, "{bad}");
        }
    }
}
