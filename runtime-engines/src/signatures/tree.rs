//! Compiled conditions, and their evaluation.

use std::collections::HashSet;
use std::sync::Arc;

use runtime_core::Event;
use runtime_core::glob::Glob;
use runtime_core::raw::base_name;

use super::field::{Buffers, Getter, Value};

/// Names in the kernel are cut to this many bytes.
const NAME_LIMIT: usize = 15;

/// A condition for events of one class, ready to be evaluated.
#[derive(Debug)]
pub(super) enum Node {
    Const(bool),
    All(Box<[Node]>),
    Any(Box<[Node]>),
    Not(Box<Node>),
    /// A macro, compiled once for all conditions that name it.
    Shared(Arc<Node>),
    Leaf(Leaf),
}

/// A test of a field.
#[derive(Debug)]
pub(super) struct Leaf {
    pub(super) get: Getter,
    pub(super) index: Option<usize>,
    pub(super) test: Predicate,
}

#[derive(Debug)]
pub(super) enum Predicate {
    Exists,
    Bool { wanted: bool },
    Number(NumberTest),
    Text { change: Change, test: TextTest },
}

#[derive(Debug)]
pub(super) enum NumberTest {
    Equal(i64),
    NotEqual(i64),
    Less(i64),
    LessOrEqual(i64),
    Greater(i64),
    GreaterOrEqual(i64),
    In(Box<[i64]>),
}

#[derive(Debug)]
pub(super) enum TextTest {
    In {
        set: TextSet,
        cut: bool,
    },
    NotIn {
        set: TextSet,
        cut: bool,
    },
    Contains(Box<[u8]>),
    /// The value is in small letters.
    ContainsIgnoringCase(Box<[u8]>),
    StartsWith(Box<[u8]>),
    EndsWith(Box<[u8]>),
    Glob(Glob),
    PathPrefix(Box<[Box<[u8]>]>),
}

/// What transformers amount to, in whatever order they are written: the case of letters and the slashes have
/// nothing to do with each other.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Change {
    pub(super) base_name: bool,
    pub(super) case: Option<Case>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Case {
    Lower,
    Upper,
}

/// A set of texts: a list while that is faster than hashing.
#[derive(Debug)]
pub(super) enum TextSet {
    Few(Box<[Box<[u8]>]>),
    Many(HashSet<Box<[u8]>>),
}

impl TextSet {
    pub(super) fn new(texts: impl IntoIterator<Item = Box<[u8]>>) -> Self {
        let set: HashSet<Box<[u8]>> = texts.into_iter().collect();
        if set.len() > 8 {
            return Self::Many(set);
        }
        let mut few: Vec<_> = set.into_iter().collect();
        few.sort();
        Self::Few(few.into())
    }

    fn contains(&self, text: &[u8]) -> bool {
        match self {
            Self::Few(few) => few.iter().any(|item| **item == *text),
            Self::Many(many) => many.contains(text),
        }
    }
}

/// What an evaluation works with.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    pub(super) buffers: Buffers,
    /// A value whose letters had to be changed.
    cased: Vec<u8>,
}

impl Node {
    /// All of these; what is constant is folded.
    pub(super) fn all(parts: Vec<Node>) -> Self {
        Self::fold(parts, true, Self::All)
    }

    /// Any of these; what is constant is folded.
    pub(super) fn any(parts: Vec<Node>) -> Self {
        Self::fold(parts, false, Self::Any)
    }

    /// Not this.
    pub(super) fn negated(self) -> Self {
        match self {
            Self::Const(value) => Self::Const(!value),
            Self::Not(inner) => *inner,
            other => Self::Not(Box::new(other)),
        }
    }

    fn fold(parts: Vec<Node>, neutral: bool, join: fn(Box<[Node]>) -> Node) -> Self {
        let mut kept = Vec::with_capacity(parts.len());
        for part in parts {
            match part {
                Self::Const(value) if value == neutral => {}
                Self::Const(value) => return Self::Const(value),
                other => kept.push(other),
            }
        }
        match kept.len() {
            0 => Self::Const(neutral),
            1 => kept.remove(0),
            _ => join(kept.into()),
        }
    }

    /// Whether the condition holds for the event. Allocates nothing once `scratch` has grown to fit the
    /// longest command line.
    pub(super) fn holds(&self, event: &Event, scratch: &mut Scratch) -> bool {
        match self {
            Self::Const(value) => *value,
            Self::All(parts) => parts.iter().all(|part| part.holds(event, scratch)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(event, scratch)),
            Self::Not(inner) => !inner.holds(event, scratch),
            Self::Shared(inner) => inner.holds(event, scratch),
            Self::Leaf(leaf) => leaf.holds(event, scratch),
        }
    }
}

impl Leaf {
    fn holds(&self, event: &Event, scratch: &mut Scratch) -> bool {
        let Scratch { buffers, cased } = scratch;
        self.test.holds((self.get)(event, buffers, self.index), cased)
    }
}

impl Predicate {
    /// Whether it holds for the value; what is missing satisfies no test at all.
    pub(super) fn holds(&self, value: Value<'_>, cased: &mut Vec<u8>) -> bool {
        match self {
            Self::Exists => value.exists(),
            Self::Bool { wanted } => matches!(value, Value::Bool(is) if is == *wanted),
            Self::Number(test) => value.any_number(|number| test.holds(number)),
            Self::Text { change, test } => value.any_text(|text| test.holds(change.apply(text, cased))),
        }
    }
}

impl Change {
    fn apply<'a>(self, text: &'a [u8], cased: &'a mut Vec<u8>) -> &'a [u8] {
        let text = if self.base_name { base_name(text) } else { text };
        let Some(case) = self.case else { return text };
        cased.clear();
        cased.extend_from_slice(text);
        match case {
            Case::Lower => cased.make_ascii_lowercase(),
            Case::Upper => cased.make_ascii_uppercase(),
        }
        cased
    }
}

impl NumberTest {
    fn holds(&self, number: i64) -> bool {
        match self {
            Self::Equal(value) => number == *value,
            Self::NotEqual(value) => number != *value,
            Self::Less(value) => number < *value,
            Self::LessOrEqual(value) => number <= *value,
            Self::Greater(value) => number > *value,
            Self::GreaterOrEqual(value) => number >= *value,
            Self::In(values) => values.contains(&number),
        }
    }
}

impl TextTest {
    fn holds(&self, text: &[u8]) -> bool {
        match self {
            Self::In { set, cut } => is_in(set, *cut, text),
            Self::NotIn { set, cut } => !is_in(set, *cut, text),
            Self::Contains(part) => contains(text, part, |byte| byte),
            Self::ContainsIgnoringCase(part) => contains(text, part, |byte| byte.to_ascii_lowercase()),
            Self::StartsWith(start) => text.starts_with(start),
            Self::EndsWith(end) => text.ends_with(end),
            Self::Glob(glob) => glob.matches(text),
            Self::PathPrefix(paths) => paths.iter().any(|path| is_at_or_below(text, path)),
        }
    }
}

fn is_in(set: &TextSet, cut: bool, text: &[u8]) -> bool {
    set.contains(text) || (cut && text.len() > NAME_LIMIT && set.contains(&text[..NAME_LIMIT]))
}

fn contains(text: &[u8], part: &[u8], change: impl Fn(u8) -> u8) -> bool {
    let Some((&first, rest)) = part.split_first() else {
        return true;
    };
    let Some(last_start) = text.len().checked_sub(part.len()) else {
        return false;
    };
    (0..=last_start).any(|at| {
        change(text[at]) == first
            && text[at + 1..]
                .iter()
                .zip(rest)
                .all(|(&byte, &wanted)| change(byte) == wanted)
    })
}

/// Whether a path is this directory (or file) or lies below it, by whole names.
fn is_at_or_below(path: &[u8], above: &[u8]) -> bool {
    let above = above.strip_suffix(b"/").unwrap_or(above);
    path.strip_prefix(above)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_match_by_whole_names() {
        assert!(is_at_or_below(b"/etc/passwd", b"/etc"));
        assert!(is_at_or_below(b"/etc", b"/etc/"));
        assert!(is_at_or_below(b"/etc/x", b"/"));
        assert!(!is_at_or_below(b"/etcetera", b"/etc"));
    }

    #[test]
    fn parts_are_found_where_they_are() {
        let plain = |text: &[u8], part: &[u8]| contains(text, part, |byte| byte);
        assert!(plain(b"aab", b"ab"));
        assert!(plain(b"x", b""));
        assert!(!plain(b"ab", b"abc"));
        assert!(!plain(b"aXb", b"ab"));
    }
}
