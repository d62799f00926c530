//! Compiles syntax trees: looks names up, checks types, folds what is constant.
//!
//! A condition is compiled once for each class of events. What depends on the class alone (`evt.type`, and
//! fields that the class does not have) is then a constant, so that most rules vanish from most classes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use runtime_core::EventClass;
use runtime_core::glob::Glob;

use super::condition::{Check, Expr, ListOperator, Operand, Operator, Test, Transformer, Value as Literal};
use super::error::ConditionError;
use super::field::{self, Argument, Field, FieldType, Source, Value};
use super::tree::{Case, Change, Leaf, Node, NumberTest, Predicate, TextSet, TextTest};

/// How deep a compiled condition may be, macros included.
pub(super) const MAX_TREE_DEPTH: usize = 192;

/// How many tests and list items a compiled condition may have, macros included as often as they are named.
pub(super) const MAX_SIZE: usize = 1_000_000;

/// The macros and lists that conditions are compiled with.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// `None` for a macro that is there and was refused.
    pub(super) macros: HashMap<String, Option<Expr>>,
    pub(super) lists: HashMap<String, Vec<String>>,
}

/// Compiles conditions for one class of events.
pub(super) struct Compiler<'n> {
    names: &'n Names,
    class: EventClass,
    macros: HashMap<&'n str, Result<Compiled, ConditionError>>,
    lists: HashMap<&'n str, Result<Arc<[String]>, ConditionError>>,
    /// The macros that are being compiled at this moment, and the lists that are being flattened.
    open: Vec<&'n str>,
    open_lists: Vec<&'n str>,
}

/// A compiled condition with its measures.
#[derive(Debug, Clone)]
struct Compiled {
    node: Arc<Node>,
    measure: Measure,
}

#[derive(Debug, Clone, Copy)]
struct Measure {
    depth: usize,
    size: usize,
}

impl<'n> Compiler<'n> {
    pub(super) fn new(names: &'n Names, class: EventClass) -> Self {
        Self {
            names,
            class,
            macros: HashMap::new(),
            lists: HashMap::new(),
            open: Vec::new(),
            open_lists: Vec::new(),
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
                    node: Arc::new(node),
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
        let node = match *node {
            Node::Const(value) => Node::Const(value),
            _ => Node::Shared(node),
        };
        Ok((node, measure))
    }

    fn check(&mut self, check: &Check) -> Result<(Node, Measure), ConditionError> {
        let Check { operand, test } = check;
        let (field, index) = look_up(operand)?;
        let change = change(operand, field)?;
        let (predicate, size) = self.predicate(field, change, test)?;
        let node = match field.source {
            Source::Class(value) => {
                let value = value(self.class);
                Node::Const(predicate.holds(Value::Text(value.as_bytes()), &mut Vec::new()))
            }
            // An event that does not have the field: nothing holds for what is missing.
            Source::Event(_) if !field.events.contains(&self.class) => Node::Const(false),
            Source::Event(get) => Node::Leaf(Leaf {
                get,
                index,
                test: predicate,
            }),
        };
        Ok((node, Measure { depth: 0, size }))
    }

    fn predicate(
        &mut self,
        field: &'static Field,
        change: Change,
        test: &Test,
    ) -> Result<(Predicate, usize), ConditionError> {
        let predicate = match test {
            Test::Exists => Predicate::Exists,
            Test::One(operator, literal) => one(field, change, *operator, literal)?,
            Test::Many(operator, literals) => {
                let values = self.values(literals)?;
                let size = values.len() + 1;
                return Ok((many(field, change, *operator, &values)?, size));
            }
        };
        Ok((predicate, 1))
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
            match self.names.lists.get_key_value(item) {
                // A list may hold a word that is its own name: `list: sudo`, `items: [sudo]`.
                Some((inner, _)) if inner != name => {
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
                    if seen.insert(item.clone()) {
                        flat.push(item.clone());
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

/// The field of an operand and the number in brackets behind it.
pub(super) fn look_up(operand: &Operand) -> Result<(&'static Field, Option<usize>), ConditionError> {
    let field = field::find(&operand.field).ok_or_else(|| ConditionError::UnknownField {
        field: operand.field.clone(),
    })?;
    let index = match (&operand.argument, field.argument) {
        (None, _) => None,
        (Some(argument), Argument::None) => {
            return Err(ConditionError::UnexpectedArgument {
                field: field.name,
                argument: argument.clone(),
            });
        }
        (Some(argument), Argument::Index) => {
            Some(argument.parse().map_err(|_| ConditionError::Argument {
                field: field.name,
                argument: argument.clone(),
            })?)
        }
    };
    Ok((field, index))
}

fn change(operand: &Operand, field: &'static Field) -> Result<Change, ConditionError> {
    if !operand.transformers.is_empty() && !field.kind.is_text() {
        return Err(ConditionError::Transformer {
            field: field.name,
            kind: field.kind,
        });
    }
    let mut change = Change::default();
    // From the innermost out, so that the outermost decides the case.
    for transformer in operand.transformers.iter().rev() {
        match transformer {
            Transformer::ToLower => change.case = Some(Case::Lower),
            Transformer::ToUpper => change.case = Some(Case::Upper),
            Transformer::BaseName => change.base_name = true,
        }
    }
    Ok(change)
}

fn one(
    field: &'static Field,
    change: Change,
    operator: Operator,
    literal: &Literal,
) -> Result<Predicate, ConditionError> {
    let value = &literal.text;
    let refuse = || ConditionError::Operator {
        field: field.name,
        kind: field.kind,
        operator: operator.to_string(),
    };
    Ok(match field.kind {
        FieldType::Number => {
            let test: fn(i64) -> NumberTest = match operator {
                Operator::Equal => NumberTest::Equal,
                Operator::NotEqual => NumberTest::NotEqual,
                Operator::Less => NumberTest::Less,
                Operator::LessOrEqual => NumberTest::LessOrEqual,
                Operator::Greater => NumberTest::Greater,
                Operator::GreaterOrEqual => NumberTest::GreaterOrEqual,
                _ => return Err(refuse()),
            };
            Predicate::Number(test(number(field, value)?))
        }
        FieldType::Bool => {
            let wanted = match value.as_str() {
                "true" | "True" | "1" => true,
                "false" | "False" | "0" => false,
                _ => return Err(misfit(field, value)),
            };
            match operator {
                Operator::Equal => Predicate::Bool { wanted },
                Operator::NotEqual => Predicate::Bool { wanted: !wanted },
                _ => return Err(refuse()),
            }
        }
        FieldType::Text | FieldType::Name => {
            let cut = field.kind == FieldType::Name;
            let bytes = || Box::from(value.as_bytes());
            let test = match operator {
                Operator::Equal => TextTest::In {
                    set: TextSet::new([bytes()]),
                    cut,
                },
                Operator::NotEqual => TextTest::NotIn {
                    set: TextSet::new([bytes()]),
                    cut,
                },
                Operator::Contains => TextTest::Contains(bytes()),
                Operator::ContainsIgnoringCase => {
                    TextTest::ContainsIgnoringCase(value.to_ascii_lowercase().into_bytes().into())
                }
                Operator::StartsWith => TextTest::StartsWith(bytes()),
                Operator::EndsWith => TextTest::EndsWith(bytes()),
                // Other patterns of shells must not be taken for plain characters in silence.
                Operator::Glob if value.contains(['[', '\\', '(']) => {
                    return Err(ConditionError::Pattern {
                        pattern: value.clone(),
                    });
                }
                Operator::Glob => TextTest::Glob(Glob::new(value)),
                Operator::Less | Operator::LessOrEqual | Operator::Greater | Operator::GreaterOrEqual => {
                    return Err(refuse());
                }
            };
            Predicate::Text { change, test }
        }
    })
}

fn many(
    field: &'static Field,
    change: Change,
    operator: ListOperator,
    values: &[String],
) -> Result<Predicate, ConditionError> {
    let texts = || values.iter().map(|value| Box::from(value.as_bytes()));
    Ok(match (field.kind, operator) {
        (FieldType::Number, ListOperator::In | ListOperator::Intersects) => {
            let numbers: Result<Box<[i64]>, _> = values.iter().map(|value| number(field, value)).collect();
            Predicate::Number(NumberTest::In(numbers?))
        }
        (FieldType::Text | FieldType::Name, ListOperator::In | ListOperator::Intersects) => Predicate::Text {
            change,
            test: TextTest::In {
                set: TextSet::new(texts()),
                cut: field.kind == FieldType::Name,
            },
        },
        (FieldType::Text | FieldType::Name, ListOperator::PathPrefix) => Predicate::Text {
            change,
            test: TextTest::PathPrefix(texts().collect()),
        },
        (kind, operator) => {
            return Err(ConditionError::Operator {
                field: field.name,
                kind,
                operator: operator.to_string(),
            });
        }
    })
}

/// A number in decimal or, after `0x`, in hexadecimal digits.
fn number(field: &'static Field, text: &str) -> Result<i64, ConditionError> {
    let parsed = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => i64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    parsed.map_err(|_| misfit(field, text))
}

fn misfit(field: &'static Field, text: &str) -> ConditionError {
    ConditionError::Value {
        field: field.name,
        kind: field.kind,
        value: text.to_owned(),
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
