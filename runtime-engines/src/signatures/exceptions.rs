//! Makes conditions of exceptions.

use super::condition::{Check, Expr, ListOperator, Operand, Operator, Quantifier, Test, Value};
use super::document::{Exception, ExceptionFields, Values};
use super::error::ObjectError;
use super::parser;

/// The operator between a field and its value.
#[derive(Clone, Copy)]
enum Comparison {
    One(Operator),
    Each(Operator, Quantifier),
    Many(ListOperator),
}

/// When the exception is the case; `None` where it has no values and never is.
pub(super) fn condition(exception: &Exception) -> Result<Option<Expr>, ObjectError> {
    let refuse = |reason: String| ObjectError::Exception {
        name: exception.name.escape_debug().to_string(),
        reason,
    };
    let Some(fields) = &exception.fields else {
        return Err(refuse("it has no `fields`".to_owned()));
    };
    match fields {
        ExceptionFields::One { field, operator } => {
            let operand = operand(field).map_err(refuse)?;
            let test = match comparison(operator).map_err(refuse)? {
                Comparison::One(_) => {
                    let reason = "with one field `comps` is an operator that takes a list".to_owned();
                    return Err(refuse(reason));
                }
                Comparison::Many(operator) => Test::Many(operator, flat(&exception.values).map_err(refuse)?),
                Comparison::Each(operator, quantifier) => {
                    Test::Each(operator, quantifier, flat(&exception.values).map_err(refuse)?)
                }
            };
            let check = Expr::Check(Check { operand, test });
            Ok((!exception.values.is_empty()).then_some(check))
        }
        ExceptionFields::Several(fields) => {
            let fields: Result<Vec<(Operand, Comparison)>, String> = fields
                .iter()
                .map(|(field, operator)| Ok((operand(field)?, comparison(operator)?)))
                .collect();
            let fields = fields.map_err(refuse)?;
            let cases: Result<Vec<Expr>, String> = exception
                .values
                .iter()
                .map(|values| case(&fields, values))
                .collect();
            Ok(joined(cases.map_err(refuse)?, Expr::Or))
        }
    }
}

/// One entry under `values`, a value for every field.
fn case(fields: &[(Operand, Comparison)], values: &Values) -> Result<Expr, String> {
    let values = match values {
        Values::List(values) if values.len() == fields.len() => values,
        _ => return Err("each of `values` must have one value for every field".to_owned()),
    };
    let checks: Result<Vec<Expr>, String> = fields
        .iter()
        .zip(values)
        .map(|((operand, comparison), value)| {
            let test = match (comparison, value) {
                (Comparison::One(operator), Values::Text(text)) => Test::One(*operator, literal(text)),
                (Comparison::One(_), Values::List(_)) => {
                    return Err("an operator that takes one value has a list".to_owned());
                }
                (Comparison::Many(operator), value) => Test::Many(*operator, list(value)?),
                (Comparison::Each(operator, quantifier), value) => {
                    Test::Each(*operator, *quantifier, list(value)?)
                }
            };
            Ok(Expr::Check(Check {
                operand: operand.clone(),
                test,
            }))
        })
        .collect();
    joined(checks?, Expr::And).ok_or_else(|| "it has no fields".to_owned())
}

fn joined(mut parts: Vec<Expr>, join: fn(Vec<Expr>) -> Expr) -> Option<Expr> {
    match parts.len() {
        0 => None,
        1 => parts.pop(),
        _ => Some(join(parts)),
    }
}

fn operand(field: &str) -> Result<Operand, String> {
    match parser::parse_operand(field) {
        Ok((operand, used)) if field[used..].trim().is_empty() => Ok(operand),
        Ok(_) => Err(format!("{field:?} is more than a field")),
        Err(error) => Err(format!("{field:?}: {error}")),
    }
}

fn comparison(text: &str) -> Result<Comparison, String> {
    fn find<T: Copy>(names: &[(&str, T)], word: &str) -> Option<T> {
        names
            .iter()
            .find(|(name, _)| *name == word)
            .map(|&(_, item)| item)
    }
    let mut words = text.split_whitespace();
    let (first, second) = (words.next().unwrap_or_default(), words.next());
    let operator = find(&Operator::SYMBOLS, first).or_else(|| find(&Operator::WORDS, first));
    let quantifier = second.and_then(|word| find(&Quantifier::NAMES, word));
    let comparison = match (operator, second, quantifier) {
        (Some(operator), None, _) => Some(Comparison::One(operator)),
        (Some(operator), Some(_), Some(quantifier)) => Some(Comparison::Each(operator, quantifier)),
        (None, None, _) => find(&ListOperator::NAMES, first).map(Comparison::Many),
        _ => None,
    };
    comparison
        .filter(|_| words.next().is_none())
        .ok_or_else(|| format!("{text:?} is no operator"))
}

/// A value for an operator that takes a list: a list, a text that spells one out, or one value or list's name.
fn list(value: &Values) -> Result<Vec<Value>, String> {
    match value {
        Values::List(items) => flat(items),
        Values::Text(text) => {
            let text = text.trim();
            match text.strip_prefix('(').and_then(|text| text.strip_suffix(')')) {
                Some(inner) => Ok(inner
                    .split(',')
                    .map(str::trim)
                    .filter(|item| !item.is_empty())
                    .map(literal)
                    .collect()),
                None => Ok(vec![literal(text)]),
            }
        }
    }
}

fn flat(values: &[Values]) -> Result<Vec<Value>, String> {
    let text = |value: &Values| match value {
        Values::Text(text) => Ok(literal(text)),
        Values::List(_) => Err("a list is where a value is expected".to_owned()),
    };
    values.iter().map(text).collect()
}

/// A value as it is written in YAML. What could stand in a condition without quotes may be the name of a list;
/// quotes within the YAML text are quotes.
pub(super) fn literal(text: &str) -> Value {
    for quote in ['"', '\''] {
        let inner = text.strip_prefix(quote).and_then(|text| text.strip_suffix(quote));
        if let Some(inner) = inner {
            return Value {
                text: inner.to_owned(),
                quoted: true,
            };
        }
    }
    Value {
        text: text.to_owned(),
        quoted: text.is_empty() || text.contains(|c: char| c.is_whitespace() || "()\"'=,".contains(c)),
    }
}
