//! What has to be true of an event for a condition to hold at all: one of a few values or beginnings.
//!
//! Anchors are found in the condition itself. They are necessary and rarely sufficient: whoever uses them to
//! leave events out leaves out only events for which the condition cannot hold.

use std::sync::Arc;

use super::field::{ArgumentName, Given};
use super::hash::FastMap;
use super::operand::Operand;
use super::predicate::{NumberTest, Predicate};
use super::text::TextTest;
use super::tree::{Leaf, Node, Shared};

/// One of the values that a field has to have, or to begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Anchor {
    /// The field's name.
    pub(super) field: &'static str,
    pub(super) shape: Shape,
    /// The value; of a number the bytes, see [`number`].
    pub(super) text: Box<[u8]>,
}

/// A number as the text of an anchor.
pub(super) fn number(number: i64) -> [u8; 8] {
    number.to_le_bytes()
}

/// How an anchor's text is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Shape {
    Whole,
    Beginning,
    Ending,
    Part,
}

/// The name that the family of a socket has as an anchor.
pub(super) const DOMAIN: &str = "evt.arg.domain";

/// More than this many say too little.
const MAX: usize = 4096;

/// Looks for anchors over these fields and with these shapes.
pub(super) struct Finder<'f> {
    /// Each with how much less a value of it says than one of the best.
    fields: &'f [(&'f str, usize)],
    shapes: &'f [Shape],
    /// What is shared is looked through once.
    shared: FastMap<*const Shared, Option<Vec<Anchor>>>,
}

impl<'f> Finder<'f> {
    pub(super) fn new(fields: &'f [(&'f str, usize)], shapes: &'f [Shape]) -> Self {
        Self {
            fields,
            shapes,
            shared: FastMap::default(),
        }
    }

    /// The anchors of a condition; `None` where it may hold whatever the fields are. No anchors at all are those
    /// of a condition that never holds.
    pub(super) fn of(&mut self, node: &Node) -> Option<Vec<Anchor>> {
        match node {
            Node::Const(true) | Node::Not(_) => None,
            Node::Const(false) => Some(Vec::new()),
            Node::Shared(inner) => {
                let place = Arc::as_ptr(inner);
                if let Some(known) = self.shared.get(&place) {
                    return known.clone();
                }
                let anchors = self.of(&inner.node);
                self.shared.insert(place, anchors.clone());
                anchors
            }
            Node::All(parts) => {
                let found: Vec<Vec<Anchor>> = parts.iter().filter_map(|part| self.of(part)).collect();
                found.into_iter().min_by_key(|anchors| self.weight(anchors))
            }
            Node::Any(parts) => {
                let mut all = Vec::new();
                for part in parts {
                    all.extend(self.of(part)?);
                    if all.len() > MAX {
                        return None;
                    }
                }
                Some(all)
            }
            Node::Leaf(leaf) => {
                let anchors = of_leaf(leaf, self.fields)?;
                let usable = anchors.iter().all(|anchor| self.shapes.contains(&anchor.shape));
                (usable && anchors.len() <= MAX).then_some(anchors)
            }
        }
    }

    /// How much the anchors let through, as a guess: few are better than many, whole values better than parts.
    fn weight(&self, anchors: &[Anchor]) -> usize {
        anchors
            .iter()
            .map(|anchor| {
                let by_shape = match anchor.shape {
                    Shape::Whole => 1,
                    Shape::Beginning | Shape::Ending => 1 + 200 / (1 + anchor.text.len()),
                    Shape::Part => 1000,
                };
                let field = self.fields.iter().find(|(field, _)| *field == anchor.field);
                by_shape * field.map_or(1, |(_, factor)| *factor)
            })
            .sum()
    }
}

fn of_leaf(leaf: &Leaf, fields: &[(&str, usize)]) -> Option<Vec<Anchor>> {
    let Leaf { operand, test } = leaf;
    let field = plain_field(operand, fields)?;
    let anchors = |shape, texts: &mut dyn Iterator<Item = Box<[u8]>>| {
        texts.map(|text| Anchor { field, shape, text }).collect()
    };
    // Endings are kept backwards.
    let turned = |text: &[u8]| text.iter().rev().copied().collect();
    match test {
        Predicate::Text(TextTest::In { set, .. }) => {
            Some(anchors(Shape::Whole, &mut set.iter().map(Box::from)))
        }
        Predicate::Number(NumberTest::In(numbers)) => Some(anchors(
            Shape::Whole,
            &mut numbers.iter().map(|&is| number(is).as_slice().into()),
        )),
        Predicate::Text(TextTest::StartsWith(starts)) => {
            Some(anchors(Shape::Beginning, &mut starts.iter().map(Box::from)))
        }
        Predicate::Text(TextTest::EndsWith(ends)) => {
            Some(anchors(Shape::Ending, &mut ends.iter().map(turned)))
        }
        Predicate::Text(TextTest::Contains(parts)) => Some(anchors(
            Shape::Part,
            &mut parts.iter().map(|part| part.needle().into()),
        )),
        Predicate::Text(TextTest::PathPrefix(paths)) => {
            Some(anchors(Shape::Beginning, &mut paths.plain()?.map(Box::from)))
        }
        Predicate::Text(TextTest::Glob(glob)) => Some(anchors(
            Shape::Beginning,
            &mut std::iter::once(glob_beginning(glob)?),
        )),
        _ => None,
    }
}

fn plain_field(operand: &Operand, fields: &[(&str, usize)]) -> Option<&'static str> {
    let name = match operand.plain()? {
        (field, Given::None) => field.name,
        (field, Given::Call(ArgumentName::domain)) if field.name == "evt.arg" => DOMAIN,
        _ => return None,
    };
    fields.iter().any(|(wanted, _)| *wanted == name).then_some(name)
}

/// What every text that fits the pattern begins with; `None` where that is nothing.
fn glob_beginning(glob: &super::text::ShellGlob) -> Option<Box<[u8]>> {
    Some(glob.beginning())
        .filter(|text| !text.is_empty())
        .map(Box::from)
}
