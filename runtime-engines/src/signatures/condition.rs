//! The syntax tree of a condition, as it is written: no name in it has been looked up.
//!
//! [`Expr`] prints in the language it was read from, and what is printed reads back as the same tree.

use std::fmt;

pub use super::parser::{MAX_DEPTH, SyntaxError, parse};

/// A condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expr {
    /// Any of them holds; at least two.
    Or(Vec<Expr>),
    /// All of them hold; at least two.
    And(Vec<Expr>),
    /// It does not hold.
    Not(Box<Expr>),
    /// The macro of this name.
    Macro(String),
    /// A test of a field.
    Check(Check),
}

/// A test of one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What is tested.
    pub operand: Operand,
    /// The test.
    pub test: Test,
}

/// A field, with what is done to its value before it is tested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operand {
    /// Transformers, the outermost first.
    pub transformers: Vec<Transformer>,
    /// The field's name.
    pub field: String,
    /// What stands in brackets behind it.
    pub argument: Option<String>,
}

/// Something that is done to a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transformer {
    /// ASCII letters become small ones.
    ToLower,
    /// ASCII letters become capitals.
    ToUpper,
    /// What follows the last `/` is left.
    BaseName,
}

impl Transformer {
    /// All of them, with their names.
    pub const NAMES: [(&'static str, Self); 3] = [
        ("tolower", Self::ToLower),
        ("toupper", Self::ToUpper),
        ("basename", Self::BaseName),
    ];
}

/// A test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    /// There is a value.
    Exists,
    /// The value compares like this with that one.
    One(Operator, Value),
    /// The value compares like this with those.
    Many(ListOperator, Vec<Value>),
}

/// An operator that takes one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operator {
    /// `=` and `==`.
    Equal,
    /// `!=`.
    NotEqual,
    /// `<`.
    Less,
    /// `<=`.
    LessOrEqual,
    /// `>`.
    Greater,
    /// `>=`.
    GreaterOrEqual,
    /// The value is part of the field.
    Contains,
    /// The same whatever the case of ASCII letters.
    ContainsIgnoringCase,
    /// The field begins with the value.
    StartsWith,
    /// The field ends with the value.
    EndsWith,
    /// The field fits a pattern with `*` and `?`.
    Glob,
}

impl Operator {
    /// All that are written in symbols, longest first so that none hides another.
    pub const SYMBOLS: [(&'static str, Self); 7] = [
        ("==", Self::Equal),
        ("!=", Self::NotEqual),
        ("<=", Self::LessOrEqual),
        (">=", Self::GreaterOrEqual),
        ("=", Self::Equal),
        ("<", Self::Less),
        (">", Self::Greater),
    ];

    /// All that are written as words.
    pub const WORDS: [(&'static str, Self); 5] = [
        ("contains", Self::Contains),
        ("icontains", Self::ContainsIgnoringCase),
        ("startswith", Self::StartsWith),
        ("endswith", Self::EndsWith),
        ("glob", Self::Glob),
    ];
}

/// An operator that takes a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ListOperator {
    /// The field is one of the values.
    In,
    /// One of the field's values is one of the values; the same as `in` for a field with one value.
    Intersects,
    /// The field is one of the paths, or lies below one.
    PathPrefix,
}

impl ListOperator {
    /// All of them, with their names.
    pub const NAMES: [(&'static str, Self); 3] = [
        ("in", Self::In),
        ("intersects", Self::Intersects),
        ("pmatch", Self::PathPrefix),
    ];
}

/// A value on the right-hand side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// Its text, without quotes.
    pub text: String,
    /// Whether it was quoted. In a list an unquoted value may be the name of a list.
    pub quoted: bool,
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Or(parts) => joined(f, parts, " or ", |part| matches!(part, Self::Or(_))),
            Self::And(parts) => joined(f, parts, " and ", |part| {
                matches!(part, Self::Or(_) | Self::And(_))
            }),
            Self::Not(inner) if matches!(**inner, Self::Or(_) | Self::And(_)) => write!(f, "not ({inner})"),
            Self::Not(inner) => write!(f, "not {inner}"),
            Self::Macro(name) => f.write_str(name),
            Self::Check(Check { operand, test }) => write!(f, "{operand} {test}"),
        }
    }
}

fn joined(
    f: &mut fmt::Formatter<'_>,
    parts: &[Expr],
    word: &str,
    needs_parentheses: impl Fn(&Expr) -> bool,
) -> fmt::Result {
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            f.write_str(word)?;
        }
        if needs_parentheses(part) {
            write!(f, "({part})")?;
        } else {
            write!(f, "{part}")?;
        }
    }
    Ok(())
}

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for transformer in &self.transformers {
            write!(f, "{transformer}(")?;
        }
        f.write_str(&self.field)?;
        if let Some(argument) = &self.argument {
            write!(f, "[{argument}]")?;
        }
        self.transformers.iter().try_for_each(|_| f.write_str(")"))
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exists => f.write_str("exists"),
            Self::One(operator, value) => write!(f, "{operator} {value}"),
            Self::Many(operator, values) => {
                write!(f, "{operator} (")?;
                for (at, value) in values.iter().enumerate() {
                    write!(f, "{}{value}", if at > 0 { ", " } else { "" })?;
                }
                f.write_str(")")
            }
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.quoted {
            return f.write_str(&self.text);
        }
        f.write_str("\"")?;
        for c in self.text.chars() {
            match c {
                '"' | '\\' => write!(f, "\\{c}"),
                '\n' => f.write_str("\\n"),
                '\r' => f.write_str("\\r"),
                '\t' => f.write_str("\\t"),
                c => write!(f, "{c}"),
            }?;
        }
        f.write_str("\"")
    }
}

macro_rules! display_by_name {
    ($($type:ty: $tables:expr),*) => {$(
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let name = $tables.find(|(_, item)| item == self).map_or("", |(name, _)| *name);
                f.write_str(name)
            }
        }
    )*};
}

display_by_name! {
    Transformer: Self::NAMES.iter(),
    ListOperator: Self::NAMES.iter(),
    // `=` stands behind `==` in its table, so the table is read backwards: the short form is the usual one.
    Operator: Self::SYMBOLS.iter().rev().chain(&Self::WORDS)
}
