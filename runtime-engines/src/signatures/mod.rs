//! Known malicious behaviour, in the Falco rule language.
//!
//! ```text
//! RuleSource ─ document ─► objects ─ parser ─► condition::Expr ─ compile ─► RuleSet ─► SignatureEngine
//!   (YAML)                                                 field (the table)
//! ```
//!
//! What is here of the language: lists, macros and rules; `and`, `or`, `not` and parentheses; the operators of
//! [`condition::Operator`] and [`condition::ListOperator`] and `exists`; the transformers `tolower`, `toupper`
//! and `basename`; the fields of [`FIELDS`]. Whatever else a rule uses makes that rule an error with its place,
//! never one that quietly does not match.
//!
//! Keys of ours besides Falco's: `id` (stable, for policies; the name where not given), `severity` (instead of
//! the one that follows from `priority`; `medium` when there is neither) and `response` (`kill`, `deny` or
//! `alert`; `alert` when not given).
//!
//! Rules test bytes. A field that an event does not have satisfies no test, `!=` included; `not` of such a
//! test holds.

mod compile;
pub mod condition;
mod document;
mod error;
mod field;
mod parser;
mod ruleset;
mod tree;

use runtime_core::policy::RuleSource;
use runtime_core::{EngineKind, Event, Finding};

use crate::engine::Engine;
use tree::Scratch;

pub use field::{Argument, FIELDS, Field, FieldType};
pub use ruleset::{Rule, RuleSet};

/// The signatures that Podwarden brings with it.
pub fn builtin() -> RuleSource {
    RuleSource {
        origin: "built-in".into(),
        text: include_str!("../../rules/builtin.yaml").into(),
        first_line: 1,
    }
}

/// Judges events by a [`RuleSet`].
#[derive(Debug, Default)]
pub struct SignatureEngine {
    rules: RuleSet,
    scratch: Scratch,
}

impl SignatureEngine {
    /// An engine with these rules.
    pub fn new(rules: RuleSet) -> Self {
        Self {
            rules,
            scratch: Scratch::default(),
        }
    }

    /// Other rules from the next event on; the ones before are returned.
    pub fn replace(&mut self, rules: RuleSet) -> RuleSet {
        std::mem::replace(&mut self.rules, rules)
    }

    /// The rules in force.
    pub fn rules(&self) -> &RuleSet {
        &self.rules
    }
}

impl Engine for SignatureEngine {
    fn kind(&self) -> EngineKind {
        EngineKind::Signatures
    }

    fn judge(&mut self, event: &Event, findings: &mut Vec<Finding>) {
        let Self { rules, scratch } = self;
        scratch.buffers.next_event();
        for (finding, condition) in rules.candidates(event.activity.class()) {
            if condition.holds(event, scratch) {
                findings.push(finding.clone());
            }
        }
    }
}
