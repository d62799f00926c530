//! Reads rule files: YAML into rules, macros and lists, each with its place.
//!
//! A file that is no YAML is refused whole, because nobody can say where its next rule begins. Everything else
//! is refused one object at a time.

use std::fmt;

use runtime_core::policy::{Problem, RuleSource};
use runtime_core::{Response, Severity};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use super::error::{ObjectError, ObjectKind};

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
    List(Vec<String>),
    Macro(Condition),
    Rule(Box<RuleBody>),
}

impl Body {
    pub(super) fn kind(&self) -> ObjectKind {
        match self {
            Self::List(_) => ObjectKind::List,
            Self::Macro(_) => ObjectKind::Macro,
            Self::Rule(_) => ObjectKind::Rule,
        }
    }
}

/// A condition's text.
#[derive(Debug)]
pub(super) struct Condition {
    pub(super) text: String,
    pub(super) line: usize,
}

/// What a rule says besides its name.
#[derive(Debug)]
pub(super) struct RuleBody {
    pub(super) condition: Condition,
    pub(super) description: String,
    pub(super) output: Option<(String, usize)>,
    pub(super) severity: Severity,
    pub(super) response: Response,
    pub(super) id: Option<String>,
    pub(super) tags: Vec<String>,
    pub(super) enabled: bool,
}

/// Everything that can be read in a file, in its order; what cannot is told in `problems`.
pub(super) fn read(source: &RuleSource, problems: &mut Vec<Problem>) -> Vec<Object> {
    let mut refuse = |line: Option<usize>, message: String| {
        problems.push(Problem {
            origin: source.origin.clone(),
            line: line.map(|line| line + source.first_line.saturating_sub(1)),
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
                line.filter(|&line| line > 0),
                format!("not YAML: {}", error.without_snippet()),
            );
            return Vec::new();
        }
    };
    let reader = Reader { text: &source.text };
    let items = match top.value {
        Node::List(items) => items,
        // An empty file, or one of comments only, is an empty list.
        Node::Null => Vec::new(),
        _ => {
            refuse(Some(1), "a list of rules, macros and lists is expected".into());
            return Vec::new();
        }
    };
    let mut objects = Vec::with_capacity(items.len());
    for item in &items {
        match reader.object(item) {
            Ok(Some(mut object)) => {
                object.shift(source.first_line.saturating_sub(1));
                objects.push(object);
            }
            Ok(None) => {}
            Err((line, name, error)) => refuse(Some(line), format!("{name}{error}")),
        }
    }
    objects
}

impl Object {
    /// Moves all lines down by `by`.
    fn shift(&mut self, by: usize) {
        self.line += by;
        match &mut self.body {
            Body::List(_) => {}
            Body::Macro(condition) => condition.line += by,
            Body::Rule(rule) => {
                rule.condition.line += by;
                if let Some((_, line)) = &mut rule.output {
                    *line += by;
                }
            }
        }
    }
}

/// A YAML value with the place of every part, so that each object can be judged for itself.
#[derive(Debug)]
enum Node {
    Null,
    Text(String),
    /// A plain scalar that YAML takes for a number or a truth value; its text is in the file.
    Plain(String),
    List(Vec<Spanned<Node>>),
    Map(Vec<(String, Spanned<Node>)>),
}

struct Reader<'s> {
    text: &'s str,
}

/// The line, whose error it is (`rule "x": `), and the error.
type Refused = (usize, String, ObjectError);

impl Reader<'_> {
    fn object(&self, item: &Spanned<Node>) -> Result<Option<Object>, Refused> {
        let line = line(item);
        let Node::Map(entries) = &item.value else {
            return Err((line, String::new(), ObjectError::NotAnObject));
        };
        let is = |key: &str| entries.iter().any(|(name, _)| name == key);
        // Every Falco file begins with these. What a file needs is decided by what it uses, so that a file for
        // a newer engine loads as far as it can.
        if is("required_engine_version") || is("required_plugin_versions") {
            return Ok(None);
        }
        let kind = [ObjectKind::Rule, ObjectKind::Macro, ObjectKind::List]
            .into_iter()
            .find(|kind| is(kind.key()))
            .ok_or((line, String::new(), ObjectError::UnknownObject))?;
        let fields = Fields {
            reader: self,
            entries,
            line,
        };
        let nameless = |(line, error)| (line, String::new(), error);
        let name = fields.required(kind.key()).map_err(nameless)?.0;
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

    /// The text of a scalar, as it is spelt.
    fn scalar(&self, node: &Spanned<Node>) -> Option<String> {
        match &node.value {
            Node::Text(text) => Some(text.clone()),
            Node::Plain(value) => {
                // `0x1F`, `1_000` and `yes` are to stay what they are.
                let span = node.defined.span();
                let spelt = span.byte_offset().zip(span.byte_len()).and_then(|(at, len)| {
                    let at = usize::try_from(at).ok()?;
                    self.text.get(at..at + usize::try_from(len).ok()?)
                });
                Some(spelt.map_or_else(|| value.clone(), |spelt| spelt.trim().to_owned()))
            }
            Node::Null | Node::List(_) | Node::Map(_) => None,
        }
    }
}

/// The entries of one object.
struct Fields<'s> {
    reader: &'s Reader<'s>,
    entries: &'s [(String, Spanned<Node>)],
    line: usize,
}

type Misfit = (usize, ObjectError);

impl Fields<'_> {
    fn list(&self) -> Result<Body, Misfit> {
        self.only(&["list", "items"])?;
        Ok(Body::List(
            self.texts("items")?
                .ok_or((self.line, ObjectError::MissingKey { key: "items" }))?,
        ))
    }

    fn macro_(&self) -> Result<Body, Misfit> {
        self.only(&["macro", "condition"])?;
        self.condition().map(Body::Macro)
    }

    fn rule(&self) -> Result<Body, Misfit> {
        self.only(&[
            "rule",
            "condition",
            "desc",
            "output",
            "priority",
            "tags",
            "enabled",
            "source",
            "id",
            "severity",
            "response",
        ])?;
        if let Some((source, line)) = self.text("source")?
            && source != "syscall"
        {
            return Err((line, ObjectError::Source { source_name: source }));
        }
        let priority = match self.text("priority")? {
            Some((text, line)) => {
                Some(severity_of_priority(&text).ok_or((line, ObjectError::Priority { text }))?)
            }
            None => None,
        };
        let severity = match self.text("severity")? {
            Some((text, line)) => Some(
                text.parse()
                    .map_err(|source| (line, ObjectError::Severity(source)))?,
            ),
            None => None,
        };
        let response = match self.text("response")? {
            Some((text, line)) => match text.as_str() {
                "alert" => Response::Alert,
                "deny" => Response::Deny,
                "kill" => Response::Kill,
                _ => return Err((line, ObjectError::Response { text })),
            },
            None => Response::Alert,
        };
        let enabled = match self.text("enabled")? {
            Some((text, line)) => match text.to_ascii_lowercase().as_str() {
                "true" | "yes" | "on" => true,
                "false" | "no" | "off" => false,
                _ => return Err((line, wrong("enabled", "true or false"))),
            },
            None => true,
        };
        Ok(Body::Rule(Box::new(RuleBody {
            condition: self.condition()?,
            description: self.text("desc")?.map(|(text, _)| text).unwrap_or_default(),
            output: self.text("output")?,
            severity: severity.or(priority).unwrap_or(Severity::Medium),
            response,
            id: self.text("id")?.map(|(text, _)| text),
            tags: self.texts("tags")?.unwrap_or_default(),
            enabled,
        })))
    }

    fn condition(&self) -> Result<Condition, Misfit> {
        let (text, line) = self.required("condition")?;
        Ok(Condition { text, line })
    }

    fn required(&self, key: &'static str) -> Result<(String, usize), Misfit> {
        self.text(key)?
            .filter(|(text, _)| !text.trim().is_empty())
            .ok_or((self.line, ObjectError::MissingKey { key }))
    }

    fn text(&self, key: &'static str) -> Result<Option<(String, usize)>, Misfit> {
        let Some((_, node)) = self.entries.iter().find(|(name, _)| name == key) else {
            return Ok(None);
        };
        let text = self
            .reader
            .scalar(node)
            .ok_or((line(node), wrong(key, "a text")))?;
        Ok(Some((text, line(node))))
    }

    fn texts(&self, key: &'static str) -> Result<Option<Vec<String>>, Misfit> {
        let Some((_, node)) = self.entries.iter().find(|(name, _)| name == key) else {
            return Ok(None);
        };
        let Node::List(items) = &node.value else {
            return Err((line(node), wrong(key, "a list of texts")));
        };
        let texts: Result<Vec<String>, Misfit> = items
            .iter()
            .map(|item| {
                self.reader
                    .scalar(item)
                    .ok_or((line(item), wrong(key, "a list of texts")))
            })
            .collect();
        texts.map(Some)
    }

    fn only(&self, known: &[&str]) -> Result<(), Misfit> {
        match self
            .entries
            .iter()
            .find(|(key, _)| !known.contains(&key.as_str()))
        {
            Some((key, node)) => Err((line(node), ObjectError::UnknownKey { key: key.clone() })),
            None => Ok(()),
        }
    }
}

fn wrong(key: &'static str, expected: &'static str) -> ObjectError {
    ObjectError::WrongType { key, expected }
}

fn line(node: &Spanned<Node>) -> usize {
    (node.referenced.line() as usize).max(1)
}

/// Falco's priorities, which are syslog's, in any case; two have a short form.
fn severity_of_priority(text: &str) -> Option<Severity> {
    Some(match text.to_ascii_lowercase().as_str() {
        "emergency" | "alert" | "critical" => Severity::Critical,
        "error" => Severity::High,
        "warning" => Severity::Medium,
        "notice" => Severity::Low,
        "informational" | "info" | "debug" => Severity::Info,
        _ => return None,
    })
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Plain(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Plain(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Plain(value.to_string()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Node, E> {
        Ok(Node::Plain(value.to_string()))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Node, E> {
        Ok(Node::Plain(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Plain(value.to_string()))
    }

    fn visit_str<E>(self, text: &str) -> Result<Node, E> {
        Ok(Node::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Node, E> {
        Ok(Node::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Node::Map(entries))
    }
}
