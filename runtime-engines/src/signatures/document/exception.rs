//! Exceptions: values of fields for which a rule does not hold.

use serde_saphyr::Spanned;

use super::super::error::ObjectError;
use super::fields::{Fields as Entries, Misfit};
use super::node::{self, Node};

/// An exception as a rule, or a change of one, has it.
#[derive(Debug, Clone)]
pub(in super::super) struct Exception {
    pub(in super::super) name: String,
    pub(in super::super) line: usize,
    /// What is compared, and how; `None` in a change that only adds values.
    pub(in super::super) fields: Option<Fields>,
    pub(in super::super) values: Vec<Values>,
}

/// The fields of an exception with their operators, as they are written.
#[derive(Debug, Clone)]
pub(in super::super) enum Fields {
    /// One field; each value is a value of it.
    One { field: String, operator: String },
    /// Several; each value is a list with one for every field.
    Several(Vec<(String, String)>),
}

/// One entry under `values`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Values {
    Text(String),
    List(Vec<Values>),
}

/// How deep values may be nested: a list of lists is all that has a meaning.
const MAX_NESTING: usize = 3;

pub(super) fn read(rule: &Entries<'_>, item: &Spanned<Node>) -> Result<Exception, Misfit> {
    let line = rule.line_of(item);
    let Node::Map(entries) = &item.value else {
        return Err(refused(line, "an exception", "a mapping with a name is expected"));
    };
    let find = |key: &str| entries.iter().find(|(name, _)| name == key).map(|(_, node)| node);
    let name = find("name")
        .and_then(|node| node::scalar(rule.text, node))
        .filter(|name| !name.is_empty())
        .ok_or_else(|| refused(line, "an exception", "it has no name"))?;
    let known = ["name", "fields", "comps", "values"];
    if let Some((key, _)) = entries.iter().find(|(key, _)| !known.contains(&key.as_str())) {
        return Err(refused(line, &name, &format!("the key {key:?} is not known")));
    }
    let read = |key: &str| match find(key) {
        Some(node) => values(rule, node, 0).map(Some).ok_or_else(|| {
            refused(
                rule.line_of(node),
                &name,
                &format!("`{key}` must be a text or a list"),
            )
        }),
        None => Ok(None),
    };
    let operators = read("comps")?;
    let fields = match (read("fields")?, operators) {
        (None, None) => None,
        (None, Some(_)) => return Err(refused(line, &name, "it has `comps` and no `fields`")),
        (Some(fields), operators) => Some(
            pair(fields, operators).ok_or_else(|| refused(line, &name, "`fields` and `comps` do not fit"))?,
        ),
    };
    let values = match read("values")? {
        None => Vec::new(),
        Some(Values::List(values)) => values,
        Some(Values::Text(_)) => return Err(refused(line, &name, "`values` must be a list")),
    };
    Ok(Exception {
        name,
        line,
        fields,
        values,
    })
}

/// The fields with their operators; where there are none, `in` for one field and `=` for each of several.
fn pair(fields: Values, operators: Option<Values>) -> Option<Fields> {
    match (fields, operators) {
        (Values::Text(field), None) => Some(Fields::One {
            field,
            operator: "in".to_owned(),
        }),
        (Values::Text(field), Some(Values::Text(operator))) => Some(Fields::One { field, operator }),
        (Values::List(fields), operators) => {
            let fields = texts(fields)?;
            let operators = match operators {
                None => vec!["=".to_owned(); fields.len()],
                Some(Values::List(operators)) => texts(operators)?,
                Some(Values::Text(_)) => return None,
            };
            let fits = !fields.is_empty() && fields.len() == operators.len();
            fits.then(|| Fields::Several(fields.into_iter().zip(operators).collect()))
        }
        (Values::Text(_), Some(Values::List(_))) => None,
    }
}

fn texts(values: Vec<Values>) -> Option<Vec<String>> {
    let text = |value| match value {
        Values::Text(text) => Some(text),
        Values::List(_) => None,
    };
    values.into_iter().map(text).collect()
}

fn values(rule: &Entries<'_>, node: &Spanned<Node>, depth: usize) -> Option<Values> {
    match &node.value {
        Node::List(items) if depth < MAX_NESTING => {
            let items: Option<Vec<Values>> = items.iter().map(|item| values(rule, item, depth + 1)).collect();
            items.map(Values::List)
        }
        _ => node::scalar(rule.text, node).map(Values::Text),
    }
}

fn refused(line: usize, name: &str, reason: &str) -> Misfit {
    let error = ObjectError::Exception {
        name: name.escape_debug().to_string(),
        reason: reason.to_owned(),
    };
    (line, error)
}
