//! Prints conditions.

use std::fmt;

use super::{Argument, Check, Expr, ListOperator, Operand, Operator, Quantifier, Test, Transformer, Value};

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
        match self {
            Self::Field { name, argument: None } => f.write_str(name),
            Self::Field {
                name,
                argument: Some(argument),
            } => {
                let bare = |c: char| !c.is_whitespace() && !c.is_control() && !"[]\"'".contains(c);
                write!(f, "{name}[")?;
                if argument.is_empty() || !argument.chars().all(bare) {
                    quoted(f, argument)?;
                } else {
                    f.write_str(argument)?;
                }
                f.write_str("]")
            }
            Self::Call(transformer, arguments) => {
                write!(f, "{transformer}(")?;
                listed(f, arguments)?;
                f.write_str(")")
            }
        }
    }
}

impl fmt::Display for Argument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operand(operand) => write!(f, "{operand}"),
            Self::Text(text) => quoted(f, text),
            Self::List(items) => {
                f.write_str("(")?;
                listed(f, items)?;
                f.write_str(")")
            }
        }
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exists => f.write_str("exists"),
            Self::One(operator, value) => write!(f, "{operator} {value}"),
            Self::Each(operator, quantifier, values) => {
                write!(f, "{operator} {quantifier} (")?;
                listed(f, values)?;
                f.write_str(")")
            }
            Self::Many(operator, values) => {
                write!(f, "{operator} (")?;
                listed(f, values)?;
                f.write_str(")")
            }
            Self::Other(operator, operand) => write!(f, "{operator} {operand}"),
            Self::OtherMany(operator, operand) => write!(f, "{operator} {operand}"),
        }
    }
}

fn listed(f: &mut fmt::Formatter<'_>, items: &[impl fmt::Display]) -> fmt::Result {
    for (at, item) in items.iter().enumerate() {
        write!(f, "{}{item}", if at > 0 { ", " } else { "" })?;
    }
    Ok(())
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.quoted {
            quoted(f, &self.text)
        } else {
            f.write_str(&self.text)
        }
    }
}

fn quoted(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_str("\"")?;
    for c in text.chars() {
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
    Quantifier: Self::NAMES.iter(),
    ListOperator: Self::NAMES.iter(),
    // `=` stands behind `==` in its table, so the table is read backwards: the short form is the usual one.
    Operator: Self::SYMBOLS.iter().rev().chain(&Self::WORDS)
}
