//! Compiles syntax trees: looks names up, checks types, folds what is constant.
//!
//! What a condition comes to is then made special for each kind of events; see [`special`](super::special).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::check;
use super::condition::{Expr, Value as Literal};
use super::error::ConditionError;
use super::predicate::Predicate;
use super::tree::Node;

/// How deep a compiled condition may be, macros included.
pub(super) const MAX_TREE_DEPTH: usize = 192;

/// How many tests and list items a compiled condition may have, macros included as often as they are named.
pub(super) const MAX_SIZE: usize = 1_000_000;

/// How many compiled patterns all conditions of a set may have, because each takes its memory.
pub(super) const MAX_PATTERNS: usize = 1000;

/// The macros and lists that conditions are compiled with.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// `None` for a macro that is there and was refused.
    pub(super) macros: HashMap<String, Option<Expr>>,
    pub(super) lists: HashMap<String, Vec<Literal>>,
}

/// Compiles conditions.
pub(super) struct Compiler<'n> {
    names: &'n Names,
    macros: HashMap<&'n str, Result<Compiled, ConditionError>>,
    lists: HashMap<&'n str, Result<Arc<[String]>, ConditionError>>,
    /// The macros that are being compiled at this moment, and the lists that are being flattened.
    open: Vec<&'n str>,
    open_lists: Vec<&'n str>,
    /// How many patterns there are in everything that was compiled.
    patterns: usize,
}

/// A compiled condition with its measures.
#[derive(Debug, Clone)]
struct Compiled {
    node: Node,
    measure: Measure,
}

#[derive(Debug, Clone, Copy)]
struct Measure {
    depth: usize,
    size: usize,
}

impl<'n> Compiler<'n> {
    pub(super) fn new(names: &'n Names) -> Self {
        Self {
            names,
            macros: HashMap::new(),
            lists: HashMap::new(),
            open: Vec::new(),
            open_lists: Vec::new(),
            patterns: 0,
        }
    }

    pub(super) fn compile(&mut self, expr: &Expr) -> Result<Node, ConditionError> {
        Ok(self.node(expr, 0)?.0)
    }

    fn node(&mut self, expr: &Expr, level: usize) -> Result<(Node, Measure), ConditionError> {
        if level > MAX_TREE_DEPTH {
            return Err(ConditionError::TooDeep);
        }
        let (node, mut measure) = match expr {
            Expr::Or(parts) => {
                let (nodes, measure) = self.nodes(parts, level)?;
                (Node::any(nodes), measure)
            }
            Expr::And(parts) => {
                let (nodes, measure) = self.nodes(parts, level)?;
                (Node::all(nodes), measure)
            }
            Expr::Not(inner) => {
                let (node, measure) = self.node(inner, level + 1)?;
                (node.negated(), measure)
            }
            Expr::Macro(name) => self.macro_(name, level)?,
            Expr::Check(check) => self.check(check)?,
        };
        measure.depth += 1;
        if measure.depth > MAX_TREE_DEPTH {
            return Err(ConditionError::TooDeep);
        }
        if measure.size > MAX_SIZE {
            return Err(ConditionError::TooLarge);
        }
        Ok((node, measure))
    }

    fn nodes(&mut self, parts: &[Expr], level: usize) -> Result<(Vec<Node>, Measure), ConditionError> {
        let mut all = Measure { depth: 0, size: 1 };
        let mut nodes = Vec::with_capacity(parts.len());
        // Every part is compiled even when an earlier one decides, so that every error is found.
        for part in parts {
            let (node, measure) = self.node(part, level + 1)?;
            all.depth = all.depth.max(measure.depth);
            all.size = all.size.saturating_add(measure.size);
            nodes.push(node);
        }
        Ok((nodes, all))
    }

    fn macro_(&mut self, name: &str, level: usize) -> Result<(Node, Measure), ConditionError> {
        let Some((name, expr)) = self.names.macros.get_key_value(name) else {
            return Err(ConditionError::UnknownMacro {
                name: name.to_owned(),
            });
        };
        let Some(expr) = expr else {
            return Err(ConditionError::RefusedMacro { name: name.clone() });
        };
        if let Some(at) = self.open.iter().position(|open| open == name) {
            return Err(ConditionError::CyclicMacro {
                path: circle(&self.open[at..]),
            });
        }
        if !self.macros.contains_key(name.as_str()) {
            self.open.push(name);
            let compiled = self.node(expr, level + 1);
            self.open.pop();
            let compiled = compiled
                .map(|(node, measure)| Compiled {
                    node: node.shared(),
                    measure,
                })
                .map_err(|error| in_macro(name, error));
            // Too deep for the one that asked is not too deep for everyone, and a circle is told from where
            // it was entered.
            if let Err(error @ (ConditionError::TooDeep | ConditionError::CyclicMacro { .. })) = compiled {
                return Err(error);
            }
            self.macros.insert(name, compiled);
        }
        let Compiled { node, measure } = self.macros[name.as_str()].clone()?;
        Ok((node, measure))
    }

    fn check(&mut self, check: &super::condition::Check) -> Result<(Node, Measure), ConditionError> {
        let (operand, test, size) = check::compile(check, |literals| self.values(literals))?;
        if let Predicate::Text(test) = &test {
            self.patterns += test.patterns();
            if self.patterns > MAX_PATTERNS {
                return Err(ConditionError::TooManyPatterns);
            }
        }
        Ok((Node::leaf(operand, test), Measure { depth: 0, size }))
    }

    /// The values of a list on the right-hand side, with lists that it names in their place.
    fn values(&mut self, literals: &[Literal]) -> Result<Vec<String>, ConditionError> {
        let mut values = Vec::with_capacity(literals.len());
        for literal in literals {
            match self.names.lists.get_key_value(&literal.text) {
                Some((name, _)) if !literal.quoted => values.extend(self.list(name)?.iter().cloned()),
                _ => values.push(literal.text.clone()),
            }
        }
        Ok(values)
    }

    /// The items of a list, with lists that it names in their place, each item once.
    fn list(&mut self, name: &'n str) -> Result<Arc<[String]>, ConditionError> {
        if let Some(items) = self.lists.get(name) {
            return items.clone();
        }
        let items = self.flatten(name);
        if !matches!(
            items,
            Err(ConditionError::CyclicList { .. } | ConditionError::TooDeep)
        ) {
            self.lists.insert(name, items.clone());
        }
        items
    }

    fn flatten(&mut self, name: &'n str) -> Result<Arc<[String]>, ConditionError> {
        let start = self.open_lists.len();
        let mut seen = HashSet::new();
        let mut flat = Vec::new();
        for item in &self.names.lists[name] {
            match self.names.lists.get_key_value(&item.text) {
                // A list may hold a word that is its own name: `list: sudo`, `items: [sudo]`.
                Some((inner, _)) if inner != name && !item.quoted => {
                    if let Some(at) = self.open_lists.iter().position(|open| open == inner) {
                        let mut path = circle(&self.open_lists[at..]);
                        path.insert(path.len() - 1, name.escape_debug().to_string());
                        return Err(ConditionError::CyclicList { path });
                    }
                    if start > MAX_TREE_DEPTH {
                        return Err(ConditionError::TooDeep);
                    }
                    self.open_lists.push(name);
                    let items = self.list(inner);
                    self.open_lists.truncate(start);
                    for item in items?.iter() {
                        if seen.insert(item.clone()) {
                            flat.push(item.clone());
                        }
                    }
                }
                _ => {
                    if seen.insert(item.text.clone()) {
                        flat.push(item.text.clone());
                    }
                }
            }
            if flat.len() > MAX_SIZE {
                return Err(ConditionError::TooLarge);
            }
        }
        Ok(flat.into())
    }
}

fn circle(open: &[&str]) -> Vec<String> {
    open.iter()
        .chain(open.first())
        .map(|name| name.escape_debug().to_string())
        .collect()
}

/// Says once in which macro an error is: the outermost would only hide the place.
fn in_macro(name: &str, error: ConditionError) -> ConditionError {
    match error {
        error @ (ConditionError::InMacro { .. }
        | ConditionError::TooDeep
        | ConditionError::TooLarge
        | ConditionError::CyclicMacro { .. }) => error,
        error => ConditionError::InMacro {
            name: name.to_owned(),
            error: Box::new(error),
        },
    }
}
