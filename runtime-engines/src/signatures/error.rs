//! Why an object of a rule file is refused.

use std::fmt;

use runtime_core::finding::InvalidSeverity;

use super::compile::{MAX_PATTERNS, MAX_SIZE, MAX_TREE_DEPTH};
use super::condition::Transformer;
use super::field::FieldType;
use super::parser::SyntaxError;

/// The kinds of objects in a rule file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum ObjectKind {
    List,
    Macro,
    Rule,
}

impl ObjectKind {
    /// The key that holds the object's name, which is also what it is called.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Macro => "macro",
            Self::Rule => "rule",
        }
    }
}

impl fmt::Display for ObjectKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key())
    }
}

/// An object that is not what its kind must be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(super) enum ObjectError {
    #[error("an object with the key `rule`, `macro` or `list` is expected")]
    NotAnObject,
    #[error("neither a rule nor a macro nor a list")]
    UnknownObject,
    #[error("the key `{key}` is missing or empty")]
    MissingKey { key: &'static str },
    #[error("the key {key:?} is not known")]
    UnknownKey { key: String },
    #[error("`{key}` must be {expected}")]
    WrongType {
        key: &'static str,
        expected: &'static str,
    },
    #[error("`source`: there are no events from {source_name:?}, only from \"syscall\"")]
    Source { source_name: String },
    #[error(
        "`priority`: not a priority (emergency, alert, critical, error, warning, notice, informational, debug): {text:?}"
    )]
    Priority { text: String },
    #[error("`severity`: {0}")]
    Severity(InvalidSeverity),
    #[error("`response`: not a response (kill, deny, alert): {text:?}")]
    Response { text: String },
    #[error("there is no {kind} of that name before it")]
    NothingBefore { kind: ObjectKind },
    #[error("`override`: {key:?} cannot be {operation}")]
    Override { key: String, operation: &'static str },
    #[error("`override`: append or replace is expected, not {operation:?}")]
    OverrideOperation { operation: String },
    #[error("`override` names `{key}`, and there is no such key here")]
    OverrideWithout { key: String },
    #[error("`{key}` is here, and `override` does not say what to do with it")]
    NotOverridden { key: String },
    #[error("it is changed more than {limit} times")]
    ChangedTooOften { limit: usize },
    #[error("`append` and `override` exclude each other")]
    AppendAndOverride,
    #[error("`exceptions`: {name}: {reason}")]
    Exception { name: String, reason: String },
    #[error("this file has a {kind} of that name already, at line {line}")]
    DuplicateName { kind: ObjectKind, line: usize },
    #[error("`id`: the rule {rule:?} has the id {id:?} already")]
    DuplicateId { id: String, rule: String },
    #[error("`output`: {0}")]
    Output(ConditionError),
    #[error("`condition`: {0}")]
    Condition(ConditionError),
}

/// A condition, or an output, that cannot be compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(super) enum ConditionError {
    #[error(transparent)]
    Syntax(#[from] SyntaxError),
    #[error("the field `{field}` is not known")]
    UnknownField { field: String },
    #[error("the field `{field}` takes no argument, and has `[{argument}]`")]
    UnexpectedArgument { field: String, argument: String },
    #[error("the field `{field}` takes {expected}, not `{argument}`")]
    Argument {
        field: &'static str,
        argument: String,
        expected: &'static str,
    },
    #[error("there are no events of the type `{name}`")]
    UnknownType { name: String },
    #[error("`{transformer}` takes {expected}")]
    Passed {
        transformer: Transformer,
        expected: &'static str,
    },
    #[error("the field `{field}` is {}, and cannot be compared with that on the left", kind_name(*kind))]
    Other { field: &'static str, kind: FieldType },
    #[error("the macro `{name}` is not known")]
    UnknownMacro { name: String },
    #[error("the macro `{name}` was refused")]
    RefusedMacro { name: String },
    #[error("macros go round in a circle: {}", path.join(" -> "))]
    CyclicMacro { path: Vec<String> },
    #[error("lists go round in a circle: {}", path.join(" -> "))]
    CyclicList { path: Vec<String> },
    #[error("with its macros it is nested more than {MAX_TREE_DEPTH} deep")]
    TooDeep,
    #[error("the rules have more than {MAX_PATTERNS} patterns that have to be compiled")]
    TooManyPatterns,
    #[error("with what is appended to it, it is too long")]
    TooLong,
    #[error("with its macros and lists it has more than {MAX_SIZE} parts")]
    TooLarge,
    #[error("the field `{field}` is {}, which `{operator}` cannot test", kind_name(*kind))]
    Operator {
        field: &'static str,
        kind: FieldType,
        operator: String,
    },
    #[error("the field `{field}` is {}, which a transformer cannot change", kind_name(*kind))]
    Transformer { field: &'static str, kind: FieldType },
    #[error("the field `{field}` is {}, and {value:?} is none", kind_name(*kind))]
    Value {
        field: &'static str,
        kind: FieldType,
        value: String,
    },
    #[error("the pattern {pattern:?} is none: {reason}")]
    Pattern { pattern: String, reason: String },
    #[error("{value:?} is no even number of hexadecimal digits")]
    Hexadecimal { value: String },
    #[error("in the macro `{name}`: {error}")]
    InMacro {
        name: String,
        error: Box<ConditionError>,
    },
    #[error("`%` is followed by no field")]
    Placeholder,
}

impl ConditionError {
    /// Whether it is about a field, an argument or a type of events that is not known.
    pub(super) fn is_unknown_name(&self) -> bool {
        match self {
            Self::UnknownField { .. } | Self::UnknownType { .. } | Self::Argument { .. } => true,
            Self::InMacro { error, .. } => error.is_unknown_name(),
            _ => false,
        }
    }
}

fn kind_name(kind: FieldType) -> &'static str {
    match kind {
        FieldType::Text | FieldType::Name => "a text",
        FieldType::Number => "a whole number",
        FieldType::Bool => "true or false",
        FieldType::Address => "an IP address",
        FieldType::Network => "an IP address or network",
    }
}
