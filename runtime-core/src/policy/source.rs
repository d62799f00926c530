//! What a source of policies holds.

use super::RuntimePolicy;

/// A list of rules in the rule language, and where it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleSource {
    /// The file, or the object, that it comes from.
    pub origin: String,
    /// The YAML text: a list of rules, macros and lists.
    pub text: String,
    /// The line of `origin` that the text's first line is at, from 1.
    pub first_line: usize,
}

/// Everything that a policy source holds at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PolicySnapshot {
    /// The policies.
    pub policies: Vec<RuntimePolicy>,
    /// The rules, in the order in which they are to be read.
    pub rules: Vec<RuleSource>,
    /// What was refused, each with the place and the reason.
    pub problems: Vec<Problem>,
}

/// Something that was refused, in words for the person who wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{origin}{}: {message}", self.line.map(|line| format!(":{line}")).unwrap_or_default())]
pub struct Problem {
    /// The file, or the object.
    pub origin: String,
    /// The line in it, from 1.
    pub line: Option<usize>,
    /// What is wrong, naming the field.
    pub message: String,
}
