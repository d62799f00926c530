//! Known malicious behaviour, in the Falco rule language.
//!
//! ```text
//! RuleSource ─ document ─ collect ─ parser ─► condition::Expr ─ compile ─► Node ─ special ─► index::Bucket…
//!   (YAML)                                              field (the table)     └─► Needs
//! ```
//!
//! The whole language is here: lists, macros, rules and exceptions, `override` and `append`; all operators and
//! transformers; every field that Falco has for system calls. Whatever a rule uses besides makes that rule an
//! error with its place, never one that quietly does not match. Fields that no event of ours has a value for are
//! in the table and say so ([`Field::is_supplied`]); a rule that tests them says so too ([`Rule::unsupplied`]).
//!
//! Keys of ours besides Falco's: `id` (stable, for policies; the name where not given), `severity` (instead of
//! the one that follows from `priority`; `medium` when there is neither) and `response` (`kill`, `deny` or
//! `alert`; `alert` when not given). Keys of Falco's that are read and change nothing: `warn_evttypes`, `capture`
//! and `capture_duration`, `required_engine_version` and `required_plugin_versions`: what a rule needs is decided
//! by what it uses.
//!
//! Rules test bytes. A field that an event does not have satisfies no test, `!=` included; `not` of such a
//! test holds.

mod address;
mod anchor;
mod check;
mod collect;
mod compile;
pub mod condition;
mod document;
mod error;
mod exceptions;
mod field;
mod hash;
mod index;
mod needs;
mod operand;
mod output;
mod parser;
mod predicate;
mod ruleset;
mod special;
mod text;
mod tree;
mod types;

use runtime_core::policy::RuleSource;
use runtime_core::{EngineKind, Event, Finding, Needs};

use crate::engine::Engine;
use tree::Scratch;

pub use field::{Argument, FIELDS, Field, FieldType};
pub use needs::covers;
pub use ruleset::{Rule, RuleSet};

/// The version of the built-in signatures: the day of their last change, and a number.
pub const BUILTIN_VERSION: &str = "2026.11.23-1";

/// The signatures that Podwarden brings with it: the files of `rules/`, one after the other.
pub fn builtin() -> RuleSource {
    RuleSource {
        origin: "built-in".into(),
        text: BUILTIN.into(),
        first_line: 1,
    }
}

const BUILTIN: &str = concat!(
    include_str!("../../rules/common.yaml"),
    "\n",
    include_str!("../../rules/miners.yaml"),
    "\n",
    include_str!("../../rules/accounts.yaml"),
    "\n",
    include_str!("../../rules/credentials.yaml"),
    "\n",
    include_str!("../../rules/execution.yaml"),
    "\n",
    include_str!("../../rules/escape.yaml"),
    "\n",
    include_str!("../../rules/injection.yaml"),
    "\n",
    include_str!("../../rules/network.yaml"),
    "\n",
    include_str!("../../rules/persistence.yaml"),
    "\n",
    include_str!("../../rules/self-test.yaml"),
);

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
        rules.judge(event, scratch, findings);
    }

    fn needs(&self) -> Needs {
        self.rules.needs()
    }
}
