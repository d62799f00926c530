//! Conditions for one kind of events.
//!
//! What depends on the kind alone (`evt.type`, how a file is opened, fields that such events do not have) is then
//! a constant, so that most rules vanish from most kinds.

use std::sync::Arc;

use super::field::{Fixed, Kind};
use super::hash::FastMap;
use super::operand::Operand;
use super::predicate::Predicate;
use super::tree::{Leaf, Node, Shared};

/// Makes conditions special, each macro once.
#[derive(Debug)]
pub(super) struct Special {
    kind: Kind,
    macros: FastMap<*const Shared, Node>,
}

impl Special {
    pub(super) fn new(kind: &Kind) -> Self {
        Self {
            kind: *kind,
            macros: FastMap::default(),
        }
    }

    /// The condition for events of this kind.
    pub(super) fn node(&mut self, node: &Node) -> Node {
        match node {
            Node::Const(value) => Node::Const(*value),
            Node::All(parts) => match self.parts(parts, false) {
                Some(parts) => Node::all(parts),
                None => Node::Const(false),
            },
            Node::Any(parts) => match self.parts(parts, true) {
                Some(parts) => Node::any(parts),
                None => Node::Const(true),
            },
            Node::Not(inner) => self.node(inner).negated(),
            Node::Shared(inner) => self.shared(inner),
            Node::Leaf(leaf) => self.leaf(leaf),
        }
    }

    /// The parts, unless one of them is `deciding` and with it the whole.
    fn parts(&mut self, parts: &[Node], deciding: bool) -> Option<Vec<Node>> {
        let mut special = Vec::with_capacity(parts.len());
        for part in parts {
            match self.node(part) {
                Node::Const(value) if value == deciding => return None,
                node => special.push(node),
            }
        }
        Some(special)
    }

    fn shared(&mut self, inner: &Arc<Shared>) -> Node {
        if inner.is_general {
            return Node::Shared(Arc::clone(inner));
        }
        let place = Arc::as_ptr(inner);
        if let Some(known) = self.macros.get(&place) {
            return known.clone();
        }
        let node = self.node(&inner.node).shared();
        self.macros.insert(place, node.clone());
        node
    }

    fn leaf(&self, leaf: &Arc<Leaf>) -> Node {
        let Leaf { operand, test } = &**leaf;
        if !operand.is_possible(self.kind.class) {
            return Node::Const(false);
        }
        if let Predicate::Other(_, other) = test {
            let possible = other.is_possible(self.kind.class);
            return if possible {
                Node::Leaf(Arc::clone(leaf))
            } else {
                Node::Const(false)
            };
        }
        if let Some(value) = operand.fixed(&self.kind) {
            return Node::Const(test.holds(value));
        }
        match decided(operand, test) {
            Some(value) => Node::Const(value),
            None => Node::Leaf(Arc::clone(leaf)),
        }
    }
}

fn decided(operand: &Operand, test: &Predicate) -> Option<bool> {
    let (field, _) = operand.plain()?;
    match (field.fixed, test) {
        (Fixed::AtLeast(least), Predicate::Number(test)) => test.decided(least),
        _ => None,
    }
}
