//! Compiled conditions, and their evaluation.

use std::sync::Arc;

use runtime_core::Event;

use super::field::{Buffers, CLASSES, Field, Fixed, Given, Value};
use super::hash::{FastMap, FastSet};
use super::operand::Operand;
use super::predicate::{Held, Predicate};
use super::text::Family;

/// A condition, ready to be evaluated.
#[derive(Debug, Clone)]
pub(super) enum Node {
    Const(bool),
    All(Box<[Node]>),
    Any(Box<[Node]>),
    Not(Box<Node>),
    /// A part of several conditions, or of one condition for several kinds of events.
    Shared(Arc<Shared>),
    Leaf(Arc<Leaf>),
}

/// A condition that is there once and used in many places. What is known of it is kept, because looking through
/// it at each of its places could take as long as looking through all that it stands for.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) node: Node,
    cost: u32,
    /// Whether it is the same for all kinds of events.
    pub(super) is_general: bool,
}

/// As many general parts of one condition are worth sharing.
const WORTH_SHARING: usize = 8;

/// A test of a value.
#[derive(Debug)]
pub(super) struct Leaf {
    pub(super) operand: Operand,
    pub(super) test: Predicate,
}

/// What an evaluation works with.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    pub(super) buffers: Buffers,
    /// A text that had to be changed.
    changed: Vec<u8>,
    /// A text that another one is compared with.
    held: Vec<u8>,
    /// Which rules may hold, a bit each.
    pub(super) marks: Vec<u64>,
}

impl Scratch {
    /// What texts are taken from events with.
    pub(super) fn texts(&mut self) -> (&mut Buffers, &mut Vec<u8>) {
        (&mut self.buffers, &mut self.changed)
    }
}

impl Node {
    /// All of these; what is constant is folded, and the cheapest comes first.
    pub(super) fn all(parts: Vec<Node>) -> Self {
        Self::fold(parts, true)
    }

    /// Any of these; what is constant is folded, tests of one value become one test, the cheapest comes first.
    pub(super) fn any(parts: Vec<Node>) -> Self {
        Self::fold(parts, false)
    }

    /// Not this.
    pub(super) fn negated(self) -> Self {
        match self {
            Self::Const(value) => Self::Const(!value),
            Self::Not(inner) => *inner,
            other => Self::Not(Box::new(other)),
        }
    }

    pub(super) fn leaf(operand: Operand, test: Predicate) -> Self {
        Self::Leaf(Arc::new(Leaf { operand, test }))
    }

    /// The same, ready to be used in many places.
    pub(super) fn shared(self) -> Self {
        match self {
            Self::Const(_) | Self::Leaf(_) | Self::Shared(_) => self,
            node => Self::Shared(Arc::new(Shared {
                cost: node.cost(),
                is_general: node.is_general(),
                node,
            })),
        }
    }

    /// Every field that it tests; what is shared is looked through once.
    pub(super) fn each_field(
        &self,
        seen: &mut FastSet<*const Shared>,
        visit: &mut impl FnMut(&'static Field),
    ) {
        match self {
            Self::Const(_) => {}
            Self::All(parts) | Self::Any(parts) => {
                for part in parts {
                    part.each_field(seen, visit);
                }
            }
            Self::Not(inner) => inner.each_field(seen, visit),
            Self::Shared(inner) => {
                if seen.insert(Arc::as_ptr(inner)) {
                    inner.node.each_field(seen, visit);
                }
            }
            Self::Leaf(leaf) => leaf.each_field(visit),
        }
    }

    /// Whether nothing in it can be decided by the kind of an event.
    fn is_general(&self) -> bool {
        match self {
            Self::Const(_) => true,
            Self::All(parts) | Self::Any(parts) => parts.iter().all(Self::is_general),
            Self::Not(inner) => inner.is_general(),
            Self::Shared(inner) => inner.is_general,
            Self::Leaf(leaf) => {
                let mut general = true;
                leaf.each_field(&mut |field| {
                    general &= field.events.len() == CLASSES.len() && matches!(field.fixed, Fixed::No);
                });
                general
            }
        }
    }

    fn fold(parts: Vec<Node>, neutral: bool) -> Self {
        let mut kept: Vec<Node> = Vec::with_capacity(parts.len());
        let mut leaves = Vec::new();
        let mut open: Vec<Node> = parts;
        open.reverse();
        while let Some(part) = open.pop() {
            match part {
                Self::Const(value) if value == neutral => {}
                Self::Const(value) => return Self::Const(value),
                Self::All(inner) if neutral => open.extend(inner.into_iter().rev()),
                Self::Any(inner) if !neutral => open.extend(inner.into_iter().rev()),
                Self::Leaf(leaf) if !neutral => leaves.push(leaf),
                other => kept.push(other),
            }
        }
        kept.extend(merged(leaves));
        if kept.len() == 1 {
            return kept.remove(0);
        }
        let join = |mut parts: Vec<Node>| {
            parts.sort_by_cached_key(Self::cost);
            match (parts.is_empty(), neutral) {
                (true, _) => Self::Const(neutral),
                (false, true) => Self::All(parts.into()),
                (false, false) => Self::Any(parts.into()),
            }
        };
        // What is the same for all kinds of events is then there once, and not once for each kind.
        let general = kept.iter().filter(|part| part.is_general()).count();
        if general < WORTH_SHARING || general == kept.len() {
            return join(kept);
        }
        let (general, mut special): (Vec<_>, Vec<_>) = kept.into_iter().partition(Self::is_general);
        special.push(join(general).shared());
        join(special)
    }

    /// What an evaluation costs, roughly, in units of comparing two short texts.
    fn cost(&self) -> u32 {
        const MOST: u32 = 1_000_000;
        match self {
            Self::Const(_) => 0,
            Self::Not(inner) => inner.cost(),
            Self::Shared(inner) => inner.cost,
            Self::Leaf(leaf) => leaf.operand.cost() + leaf.test.cost(),
            Self::All(parts) | Self::Any(parts) => parts
                .iter()
                .map(Self::cost)
                .fold(0, u32::saturating_add)
                .min(MOST),
        }
    }

    /// Whether the condition holds for the event. Allocates nothing once `scratch` has grown to fit the
    /// longest texts.
    pub(super) fn holds(&self, event: &Event, scratch: &mut Scratch) -> bool {
        match self {
            Self::Const(value) => *value,
            Self::All(parts) => parts.iter().all(|part| part.holds(event, scratch)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(event, scratch)),
            Self::Not(inner) => !inner.holds(event, scratch),
            Self::Shared(inner) => inner.node.holds(event, scratch),
            Self::Leaf(leaf) => leaf.holds(event, scratch),
        }
    }
}

/// Tests of which one has to hold: those of one value that can be one test are.
fn merged(leaves: Vec<Arc<Leaf>>) -> impl Iterator<Item = Node> {
    let mut groups: Vec<Vec<Arc<Leaf>>> = Vec::new();
    let mut places: FastMap<(usize, Given, Family), usize> = FastMap::default();
    for leaf in leaves {
        match (leaf.operand.place(), leaf.test.family()) {
            (Some((field, given)), Some(family)) => {
                let at = *places
                    .entry((field, given.clone(), family))
                    .or_insert(groups.len());
                if at == groups.len() {
                    groups.push(Vec::new());
                }
                groups[at].push(leaf);
            }
            _ => groups.push(vec![leaf]),
        }
    }
    groups.into_iter().filter_map(|mut group| {
        let first = group.pop()?;
        if group.is_empty() {
            return Some(Node::Leaf(first));
        }
        let tests = group.iter().chain([&first]).map(|leaf| &leaf.test);
        Some(Node::leaf(
            first.operand.clone(),
            Predicate::any_of(&tests.collect::<Vec<_>>())?,
        ))
    })
}

impl Leaf {
    fn each_field(&self, visit: &mut impl FnMut(&'static Field)) {
        self.operand.each_field(visit);
        if let Predicate::Other(_, other) = &self.test {
            other.each_field(visit);
        }
    }

    fn holds(&self, event: &Event, scratch: &mut Scratch) -> bool {
        let Scratch {
            buffers,
            changed,
            held,
            ..
        } = scratch;
        let Predicate::Other(comparison, other) = &self.test else {
            return self
                .operand
                .test(event, (buffers, changed), |value| self.test.holds(value));
        };
        held.clear();
        let mut right = Held::Missing;
        other.test(event, (buffers, changed), |value| {
            right = Held::take(value, held);
            true
        });
        self.operand.test(event, (buffers, changed), |value: Value<'_>| {
            comparison.holds(value, right, held)
        })
    }
}
