//! Reads rule files: YAML into rules, macros and lists, each with its place.
//!
//! A file that is no YAML is refused whole, because nobody can say where its next rule begins. Everything else
//! is refused one object at a time.

mod exception;
mod fields;
mod node;

use runtime_core::policy::{Problem, RuleSource};
use runtime_core::{Response, Severity};
use serde_saphyr::Spanned;

use super::error::{ObjectError, ObjectKind};
use fields::Fields;
use node::{Node, line};

pub(super) use exception::{Exception, Fields as ExceptionFields, Values};

/// The largest file that is read, in bytes.
const MAX_FILE: usize = 32 << 20;

/// An object of a rule file.
#[derive(Debug)]
pub(super) struct Object {
    pub(super) name: String,
    pub(super) line: usize,
    pub(super) body: Body,
}

#[derive(Debug)]
pub(super) enum Body {
    List { items: Vec<String>, append: bool },
    Macro { condition: Text, append: bool },
    Rule(Box<RuleBody>),
}

impl Body {
    pub(super) fn kind(&self) -> ObjectKind {
        match self {
            Self::List { .. } => ObjectKind::List,
            Self::Macro { .. } => ObjectKind::Macro,
            Self::Rule(_) => ObjectKind::Rule,
        }
    }

    /// Whether it defines something, and does not change what is there.
    pub(super) fn defines(&self) -> bool {
        match self {
            Self::List { append, .. } | Self::Macro { append, .. } => !append,
            Self::Rule(rule) => matches!(rule.change, Change::Define),
        }
    }
}

/// A text with its place.
#[derive(Debug, Clone)]
pub(super) struct Text {
    pub(super) text: String,
    pub(super) line: usize,
}

/// What an object does to the rule of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// It is that rule.
    Define,
    /// It adds to it or replaces parts of it.
    Alter,
}

/// What a rule says besides its name. Each part says whether it is added to what is there.
#[derive(Debug)]
pub(super) struct RuleBody {
    pub(super) change: Change,
    pub(super) condition: Option<Part<Text>>,
    pub(super) description: Option<Part<String>>,
    pub(super) output: Option<Part<Text>>,
    pub(super) tags: Option<Part<Vec<String>>>,
    pub(super) exceptions: Option<Part<Vec<Exception>>>,
    pub(super) priority: Option<Severity>,
    pub(super) severity: Option<Severity>,
    pub(super) response: Option<Response>,
    pub(super) id: Option<String>,
    pub(super) enabled: Option<bool>,
    /// Whether the rule is to be left out without a word where it names a field that is not known.
    pub(super) skip_if_unknown: Option<bool>,
}

/// A part of a rule.
#[derive(Debug, Clone)]
pub(super) struct Part<T> {
    pub(super) value: T,
    /// Whether it comes behind what is there, and does not replace it.
    pub(super) append: bool,
}

/// Everything that can be read in a file, in its order; what cannot is told in `problems`.
pub(super) fn read(source: &RuleSource, problems: &mut Vec<Problem>) -> Vec<Object> {
    let shift = source.first_line.saturating_sub(1);
    let mut refuse = |line: Option<usize>, message: String| {
        problems.push(Problem {
            origin: source.origin.clone(),
            line,
            message,
        });
    };
    if source.text.len() > MAX_FILE {
        refuse(None, format!("the file is larger than {} MiB", MAX_FILE >> 20));
        return Vec::new();
    }
    let options = serde_saphyr::options! {
        // The defaults are for small configuration files; rule sets of many megabytes are real. The depth of
        // nesting stays bounded.
        budget: serde_saphyr::budget! {
            max_events: 6_000_000,
            max_nodes: 3_000_000,
        },
        with_snippet: false,
    };
    let top: Spanned<Node> = match serde_saphyr::from_str_with_options(&source.text, options) {
        Ok(top) => top,
        Err(error) => {
            let line = error.location().map(|location| location.line() as usize);
            refuse(
                line.filter(|&line| line > 0).map(|line| line + shift),
                format!("not YAML: {}", error.without_snippet()),
            );
            return Vec::new();
        }
    };
    let items = match top.value {
        Node::List(items) => items,
        // An empty file, or one of comments only, is an empty list.
        Node::Null => Vec::new(),
        _ => {
            refuse(
                Some(1 + shift),
                "a list of rules, macros and lists is expected".into(),
            );
            return Vec::new();
        }
    };
    let mut objects = Vec::with_capacity(items.len());
    for item in &items {
        match object(&source.text, shift, item) {
            Ok(Some(object)) => objects.push(object),
            Ok(None) => {}
            Err((line, name, error)) => refuse(Some(line), format!("{name}{error}")),
        }
    }
    objects
}

/// The line, whose error it is (`rule "x": `), and the error.
type Refused = (usize, String, ObjectError);

fn object(text: &str, shift: usize, item: &Spanned<Node>) -> Result<Option<Object>, Refused> {
    let line = line(item) + shift;
    let Node::Map(entries) = &item.value else {
        return Err((line, String::new(), ObjectError::NotAnObject));
    };
    let is = |key: &str| entries.iter().any(|(name, _)| name == key);
    // Every Falco file begins with these. What a file needs is decided by what it uses, so that a file for a
    // newer engine loads as far as it can.
    if is("required_engine_version") || is("required_plugin_versions") {
        return Ok(None);
    }
    let kind = [ObjectKind::Rule, ObjectKind::Macro, ObjectKind::List]
        .into_iter()
        .find(|kind| is(kind.key()))
        .ok_or((line, String::new(), ObjectError::UnknownObject))?;
    let fields = Fields {
        text,
        shift,
        entries,
        line,
    };
    let name = match fields.required(kind.key()) {
        Ok(name) => name.text,
        Err((line, error)) => return Err((line, String::new(), error)),
    };
    let body = match kind {
        ObjectKind::List => fields.list(),
        ObjectKind::Macro => fields.macro_(),
        ObjectKind::Rule => fields.rule(),
    };
    match body {
        Ok(body) => Ok(Some(Object { name, line, body })),
        Err((line, error)) => Err((line, format!("{kind} {name:?}: "), error)),
    }
}
