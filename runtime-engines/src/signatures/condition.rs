//! The syntax tree of a condition, as it is written: no name in it has been looked up.
//!
//! [`Expr`] prints in the language it was read from, and what is printed reads back as the same tree.

mod print;

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

/// A test of one value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What is tested.
    pub operand: Operand,
    /// The test.
    pub test: Test,
}

/// A value of an event, or one made from values of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operand {
    /// A field.
    Field {
        /// Its name.
        name: String,
        /// What stands in brackets behind it.
        argument: Option<String>,
    },
    /// What a transformer makes of its arguments; at least one.
    Call(Transformer, Vec<Argument>),
}

/// An argument of a transformer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Argument {
    /// A value of the event.
    Operand(Operand),
    /// A text; numbers are texts here too.
    Text(String),
    /// Several, in parentheses.
    List(Vec<Argument>),
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
    /// What the text says in base 64; nothing where it is not that.
    Base64,
    /// How many bytes there are.
    Length,
    /// The arguments, one behind the other.
    Concat,
    /// The items of the list, with the first argument between them.
    Join,
    /// The value as it is: marks a field as such where a text could stand, on the right of an operator.
    Value,
}

impl Transformer {
    /// All of them, with their names.
    pub const NAMES: [(&'static str, Self); 8] = [
        ("tolower", Self::ToLower),
        ("toupper", Self::ToUpper),
        ("basename", Self::BaseName),
        ("b64", Self::Base64),
        ("len", Self::Length),
        ("concat", Self::Concat),
        ("join", Self::Join),
        ("val", Self::Value),
    ];
}

/// A test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    /// There is a value.
    Exists,
    /// The value compares like this with that one.
    One(Operator, Value),
    /// The value compares like this with one, any or all of those.
    Each(Operator, Quantifier, Vec<Value>),
    /// The value compares like this with those.
    Many(ListOperator, Vec<Value>),
    /// The value compares like this with another value of the event.
    Other(Operator, Operand),
    /// The same for an operator that takes a list.
    OtherMany(ListOperator, Operand),
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
    /// The bytes that the value gives in hexadecimal digits are part of the field.
    ContainsBytes,
    /// The field begins with the value.
    StartsWith,
    /// The field begins with the bytes that the value gives in hexadecimal digits.
    StartsWithBytes,
    /// The field ends with the value.
    EndsWith,
    /// The field fits a pattern with `*`, `?` and `[…]`.
    Glob,
    /// The same whatever the case of ASCII letters.
    GlobIgnoringCase,
    /// All of the field fits a regular expression.
    Regex,
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
    pub const WORDS: [(&'static str, Self); 9] = [
        ("contains", Self::Contains),
        ("icontains", Self::ContainsIgnoringCase),
        ("bcontains", Self::ContainsBytes),
        ("startswith", Self::StartsWith),
        ("bstartswith", Self::StartsWithBytes),
        ("endswith", Self::EndsWith),
        ("glob", Self::Glob),
        ("iglob", Self::GlobIgnoringCase),
        ("regex", Self::Regex),
    ];
}

/// With how many values of a list a test of one value has to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Quantifier {
    /// Exactly one.
    OneOf,
    /// One or more.
    AnyOf,
    /// All, and there is one.
    AllOf,
}

impl Quantifier {
    /// All of them, with their names.
    pub const NAMES: [(&'static str, Self); 3] = [
        ("oneof", Self::OneOf),
        ("anyof", Self::AnyOf),
        ("allof", Self::AllOf),
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
