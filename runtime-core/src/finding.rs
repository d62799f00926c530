//! What engines find and what follows from it.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The engines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EngineKind {
    /// Known malicious behaviour.
    Signatures,
    /// Known malicious executables.
    FileReputation,
    /// Behaviour that was not learned.
    Profiling,
}

impl fmt::Display for EngineKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Signatures => "signatures",
            Self::FileReputation => "file-reputation",
            Self::Profiling => "profiling",
        })
    }
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// For the record.
    Info,
    /// Unusual.
    Low,
    /// Suspicious.
    Medium,
    /// Probably an attack.
    High,
    /// An attack.
    Critical,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        })
    }
}

/// A text that names no severity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a severity (info, low, medium, high, critical): {0:?}")]
pub struct InvalidSeverity(String);

impl FromStr for Severity {
    type Err = InvalidSeverity;

    fn from_str(text: &str) -> Result<Self, InvalidSeverity> {
        Ok(match text {
            "info" => Self::Info,
            "low" => Self::Low,
            "medium" => Self::Medium,
            "high" => Self::High,
            "critical" => Self::Critical,
            other => return Err(InvalidSeverity(other.to_owned())),
        })
    }
}

/// What a finding asks for, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Response {
    /// Tell somebody.
    Alert,
    /// Refuse the action in the kernel where its condition is decidable there, else kill the container.
    Deny,
    /// Kill the container.
    Kill,
}

impl fmt::Display for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Alert => "alert",
            Self::Deny => "deny",
            Self::Kill => "kill",
        })
    }
}

/// The rule, or signature, that a finding comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleRef {
    /// A stable id, as in `crypto-miner-execution`; the name where the author gave none.
    pub id: String,
    /// The rule's name.
    pub name: String,
    /// A line for a person: what happened.
    pub title: String,
    /// MITRE ATT&CK ids and whatever else the author tagged it with.
    pub tags: Vec<String>,
}

/// What one engine found in one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which engine.
    pub engine: EngineKind,
    /// By which rule.
    pub rule: Arc<RuleRef>,
    /// How bad.
    pub severity: Severity,
    /// What to do about it, once modes, rules and exclusions have been applied.
    pub response: Response,
    /// What the rule's author would have said of this event, with its values; `None` where the rule has no such
    /// text.
    pub output: Option<String>,
}

/// All findings of one event, strongest first, with the one response that is carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    findings: Vec<Finding>,
}

impl Verdict {
    /// The verdict on an event with these findings; `None` when there are none.
    ///
    /// The order in which engines found them does not matter.
    pub fn merge(mut findings: Vec<Finding>) -> Option<Self> {
        if findings.is_empty() {
            return None;
        }
        findings.sort_by(|a, b| {
            (b.response, b.severity)
                .cmp(&(a.response, a.severity))
                .then_with(|| (a.engine, &a.rule.id).cmp(&(b.engine, &b.rule.id)))
        });
        Some(Self { findings })
    }

    /// The strongest response that any finding asks for.
    pub fn response(&self) -> Response {
        self.findings[0].response
    }

    /// The findings, strongest first; never empty.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mk_finding(id: u8, severity: Severity, response: Response) -> Finding {
        let text = format!("rule-{id}");
        let rule = RuleRef {
            id: text.clone(),
            name: text.clone(),
            title: text,
            tags: Vec::new(),
        };
        Finding {
            engine: EngineKind::Signatures,
            rule: Arc::new(rule),
            severity,
            response,
            output: None,
        }
    }

    fn any_finding() -> impl Strategy<Value = Finding> {
        let severity = prop::sample::select(vec![Severity::Info, Severity::Medium, Severity::Critical]);
        let response = prop::sample::select(vec![Response::Alert, Response::Deny, Response::Kill]);
        (0u8..4, severity, response).prop_map(|(id, severity, response)| mk_finding(id, severity, response))
    }

    proptest! {
        #[test]
        fn the_strongest_response_wins_in_any_order(findings in prop::collection::vec(any_finding(), 1..8)) {
            let strongest = findings.iter().map(|f| f.response).max().unwrap();
            let mut reversed = findings.clone();
            reversed.reverse();
            let verdict = Verdict::merge(findings).unwrap();
            prop_assert_eq!(verdict.response(), strongest);
            prop_assert_eq!(Verdict::merge(reversed).unwrap(), verdict);
        }
    }

    #[test]
    fn no_finding_no_verdict() {
        assert_eq!(Verdict::merge(Vec::new()), None);
    }
}
