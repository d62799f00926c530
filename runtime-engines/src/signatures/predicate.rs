//! Tests of one value.

use std::net::IpAddr;

use super::address::Networks;
use super::condition::{ListOperator, Operator};
use super::field::Value;
use super::operand::Operand;
use super::text::{Family, Order, TextTest};

/// A test of a value.
#[derive(Debug, Clone)]
pub(super) enum Predicate {
    Exists,
    Bool {
        wanted: bool,
    },
    Number(NumberTest),
    Text(TextTest),
    Address {
        networks: Networks,
        negated: bool,
    },
    /// Compared with another value of the event.
    Other(Comparison, Box<Operand>),
}

/// A test of a number.
#[derive(Debug, Clone)]
pub(super) enum NumberTest {
    In(Box<[i64]>),
    NotEqual(i64),
    Ordered(Order, i64),
}

impl NumberTest {
    pub(super) fn is_in(numbers: impl IntoIterator<Item = i64>) -> Self {
        let mut sorted: Vec<i64> = numbers.into_iter().collect();
        sorted.sort_unstable();
        sorted.dedup();
        Self::In(sorted.into())
    }

    fn holds(&self, value: Value<'_>) -> bool {
        match self {
            Self::In(numbers) => value.any_number(|number| numbers.binary_search(&number).is_ok()),
            // Of the two ports of a connection neither may be it.
            Self::NotEqual(other) if matches!(value, Value::Numbers(_)) => {
                value.exists() && !value.any_number(|number| number == *other)
            }
            Self::NotEqual(other) => value.any_number(|number| number != *other),
            Self::Ordered(order, other) => value.any_number(|number| order.holds(&number, other)),
        }
    }

    /// What it is for certain, when the number is never less than this.
    pub(super) fn decided(&self, least: i64) -> Option<bool> {
        match self {
            Self::In(numbers) => numbers.iter().all(|&number| number < least).then_some(false),
            Self::Ordered(Order::Less, number) => (*number <= least).then_some(false),
            Self::Ordered(Order::LessOrEqual, number) => (*number < least).then_some(false),
            Self::NotEqual(number) | Self::Ordered(Order::Greater, number) => {
                (*number < least).then_some(true)
            }
            Self::Ordered(Order::GreaterOrEqual, number) => (*number <= least).then_some(true),
        }
    }
}

impl Predicate {
    /// Whether it holds for the value; what is missing satisfies no test at all.
    ///
    /// For several values it is enough that it holds for one. With `!=` none of a connection's sides and names
    /// may be the other value.
    pub(super) fn holds(&self, value: Value<'_>) -> bool {
        match self {
            Self::Exists => value.exists(),
            Self::Bool { wanted } => matches!(value, Value::Bool(is) if is == *wanted),
            Self::Number(test) => test.holds(value),
            Self::Text(test @ TextTest::NotIn { .. }) if matches!(value, Value::Domains(_)) => {
                value.exists() && !value.any_text(|text| !test.holds(text))
            }
            Self::Text(test) => value.any_text(|text| test.holds(text)),
            Self::Address { networks, negated } => {
                let found = value.any_address(|address| networks.contains(address));
                value.any_address(|_| true) && found != *negated
            }
            Self::Other(..) => false,
        }
    }

    pub(super) fn cost(&self) -> u32 {
        match self {
            Self::Exists | Self::Bool { .. } | Self::Number(_) => 1,
            Self::Text(test) => test.cost(),
            Self::Address { .. } => 2,
            Self::Other(_, other) => 5 + other.cost(),
        }
    }

    /// What it can be made one test with; `None` where with nothing.
    pub(super) fn family(&self) -> Option<Family> {
        match self {
            Self::Text(test) => test.family(),
            Self::Number(NumberTest::In(_)) => Some(Family::Numbers),
            _ => None,
        }
    }

    /// One test that holds where any of these does, all being of one family.
    pub(super) fn any_of(tests: &[&Self]) -> Option<Self> {
        let mut of_texts = Vec::new();
        let mut numbers = Vec::new();
        for test in tests {
            match test {
                Self::Text(test) => of_texts.push(test),
                Self::Number(NumberTest::In(more)) => numbers.extend_from_slice(more),
                _ => return None,
            }
        }
        if of_texts.is_empty() {
            return Some(Self::Number(NumberTest::is_in(numbers)));
        }
        TextTest::any_of(&of_texts).map(Self::Text)
    }
}

impl Operand {
    pub(super) fn cost(&self) -> u32 {
        /// Fields that are put together for every test.
        const MADE: [&str; 10] = [
            "evt.args",
            "evt.info",
            "evt.time",
            "proc.args",
            "proc.cmdline",
            "proc.exeline",
            "thread.cap_effective",
            "thread.cap_permitted",
            "evt.arg",
            "container.labels",
        ];
        match self.plain() {
            Some((field, _)) if MADE.contains(&field.name) => 12,
            Some((field, _)) if field.argument == super::field::Argument::Index => 4,
            Some(_) => 1,
            None => 10,
        }
    }
}

/// How two values of an event compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Ordered(Order),
    Contains,
    ContainsIgnoringCase,
    StartsWith,
    EndsWith,
    PathPrefix,
}

impl Comparison {
    /// For an operator; `None` where it needs its value when rules are loaded.
    pub(super) fn of(operator: Operator) -> Option<Self> {
        Some(match operator {
            Operator::Equal => Self::Equal,
            Operator::NotEqual => Self::NotEqual,
            Operator::Less => Self::Ordered(Order::Less),
            Operator::LessOrEqual => Self::Ordered(Order::LessOrEqual),
            Operator::Greater => Self::Ordered(Order::Greater),
            Operator::GreaterOrEqual => Self::Ordered(Order::GreaterOrEqual),
            Operator::Contains => Self::Contains,
            Operator::ContainsIgnoringCase => Self::ContainsIgnoringCase,
            Operator::StartsWith => Self::StartsWith,
            Operator::EndsWith => Self::EndsWith,
            Operator::ContainsBytes
            | Operator::StartsWithBytes
            | Operator::Glob
            | Operator::GlobIgnoringCase
            | Operator::Regex => return None,
        })
    }

    pub(super) fn of_list(operator: ListOperator) -> Self {
        match operator {
            ListOperator::In | ListOperator::Intersects => Self::Equal,
            ListOperator::PathPrefix => Self::PathPrefix,
        }
    }

    /// Whether it makes sense for values that are no texts.
    pub(super) fn is_for_texts_only(self) -> bool {
        !matches!(self, Self::Equal | Self::NotEqual | Self::Ordered(_))
    }

    /// Whether it holds, the text on the right being `held`.
    pub(super) fn holds(self, left: Value<'_>, right: Held, held: &[u8]) -> bool {
        match right {
            Held::Missing => false,
            Held::Text => left.any_text(|left| self.texts(left, held)),
            Held::Number(right) => left.any_number(|left| self.ordered(&left, &right)),
            Held::Address(right) => left.any_address(|left| self.ordered(&left, &right)),
            Held::Bool(right) => matches!(left, Value::Bool(left) if self.ordered(&left, &right)),
        }
    }

    fn texts(self, left: &[u8], right: &[u8]) -> bool {
        match self {
            Self::Contains => memchr::memmem::find(left, right).is_some(),
            Self::ContainsIgnoringCase => {
                right.is_empty()
                    || left
                        .windows(right.len())
                        .any(|part| part.eq_ignore_ascii_case(right))
            }
            Self::StartsWith => left.starts_with(right),
            Self::EndsWith => left.ends_with(right),
            Self::PathPrefix => {
                let above = right.strip_suffix(b"/").unwrap_or(right);
                left.strip_prefix(above)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
            }
            _ => self.ordered(left, right),
        }
    }

    fn ordered<T: PartialOrd + ?Sized>(self, left: &T, right: &T) -> bool {
        match self {
            Self::Equal => left == right,
            Self::NotEqual => left != right,
            Self::Ordered(order) => order.holds(left, right),
            _ => false,
        }
    }
}

/// The value on the right of a comparison, its text being elsewhere.
#[derive(Debug, Clone, Copy)]
pub(super) enum Held {
    Missing,
    Text,
    Number(i64),
    Bool(bool),
    Address(IpAddr),
}

impl Held {
    pub(super) fn take(value: Value<'_>, text: &mut Vec<u8>) -> Self {
        match value {
            Value::Text(bytes) => {
                text.extend_from_slice(bytes);
                Self::Text
            }
            Value::Number(number) => Self::Number(number),
            Value::Bool(value) => Self::Bool(value),
            Value::Address(address) => Self::Address(address),
            // Fields with several values are refused on the right.
            _ => Self::Missing,
        }
    }
}
