//! The entries of lists, macros and rules.

use runtime_core::{Response, Severity};
use serde_saphyr::Spanned;

use super::super::error::ObjectError;
use super::exception::{self, Exception};
use super::node::{self, Node};
use super::{Body, Change, Part, RuleBody, Text};

/// The entries of one object.
pub(super) struct Fields<'s> {
    /// The whole file.
    pub(super) text: &'s str,
    /// How many lines the file's first one is behind the first of what it comes from.
    pub(super) shift: usize,
    pub(super) entries: &'s [(String, Spanned<Node>)],
    /// The object's line.
    pub(super) line: usize,
}

/// Where it is wrong, and what.
pub(super) type Misfit = (usize, ObjectError);

/// What a rule may say of itself. The last ones are Falco's and concern nothing that is done here: which types
/// of events a rule is for is always found out, and nothing is recorded.
const RULE_KEYS: &[&str] = &[
    "rule",
    "condition",
    "desc",
    "output",
    "priority",
    "tags",
    "enabled",
    "source",
    "exceptions",
    "append",
    "override",
    "skip-if-unknown-filter",
    "id",
    "severity",
    "response",
    "warn_evttypes",
    "capture",
    "capture_duration",
    "examples",
];

/// What `override` may append to, and what it may replace.
const APPENDABLE: &[&str] = &["condition", "output", "desc", "tags", "exceptions"];
#[rustfmt::skip]
const REPLACEABLE: &[&str] = &[
    "condition", "output", "desc", "tags", "exceptions", "priority", "enabled", "skip-if-unknown-filter", "capture",
    "capture_duration", "warn_evttypes", "id", "severity", "response",
];

impl Fields<'_> {
    pub(super) fn list(&self) -> Result<Body, Misfit> {
        self.only(&["list", "items", "append", "override"])?;
        let items = self
            .texts("items")?
            .ok_or((self.line, ObjectError::MissingKey { key: "items" }))?;
        let append = self.single_change("items")?;
        Ok(Body::List { items, append })
    }

    pub(super) fn macro_(&self) -> Result<Body, Misfit> {
        self.only(&["macro", "condition", "append", "override"])?;
        let condition = self.required("condition")?;
        let append = self.single_change("condition")?;
        Ok(Body::Macro { condition, append })
    }

    pub(super) fn rule(&self) -> Result<Body, Misfit> {
        self.only(RULE_KEYS)?;
        if let Some(Text { text, line }) = self.scalar("source")?
            && text != "syscall"
        {
            return Err((line, ObjectError::Source { source_name: text }));
        }
        let overrides = self.overrides(APPENDABLE, REPLACEABLE)?;
        let appends = self.append()?;
        if appends && overrides.is_some() {
            return Err((self.line, ObjectError::AppendAndOverride));
        }
        let legacy = !["condition", "output", "desc", "priority"]
            .iter()
            .any(|key| self.node(key).is_some());
        let switches = legacy && self.node("enabled").is_some();
        let change = if appends || overrides.is_some() || switches {
            Change::Alter
        } else {
            Change::Define
        };
        let append = |key: &str| match &overrides {
            Some(overrides) => overrides.iter().any(|(name, append)| name == key && *append),
            None => appends,
        };
        if let Some(overrides) = &overrides {
            self.check_overridden(overrides)?;
        }
        let condition = self
            .scalar("condition")?
            .filter(|text| !text.text.trim().is_empty());
        if change == Change::Define && condition.is_none() {
            return Err((self.line, ObjectError::MissingKey { key: "condition" }));
        }
        Ok(Body::Rule(Box::new(RuleBody {
            change,
            condition: condition.map(|text| part(text, append("condition"))),
            description: self.scalar("desc")?.map(|text| part(text.text, append("desc"))),
            output: self.scalar("output")?.map(|text| part(text, append("output"))),
            tags: self.texts("tags")?.map(|tags| part(tags, append("tags"))),
            exceptions: self.exceptions()?.map(|list| part(list, append("exceptions"))),
            priority: self.parsed("priority", |text| {
                severity_of_priority(&text).ok_or(ObjectError::Priority { text })
            })?,
            severity: self.parsed("severity", |text| text.parse().map_err(ObjectError::Severity))?,
            response: self.parsed("response", |text| match text.as_str() {
                "alert" => Ok(Response::Alert),
                "deny" => Ok(Response::Deny),
                "kill" => Ok(Response::Kill),
                _ => Err(ObjectError::Response { text }),
            })?,
            id: self.scalar("id")?.map(|text| text.text),
            enabled: self.truth("enabled")?,
            skip_if_unknown: self.truth("skip-if-unknown-filter")?,
        })))
    }

    /// Whether a list or a macro is appended to, by either way to say so.
    fn single_change(&self, key: &'static str) -> Result<bool, Misfit> {
        let overrides = self.overrides(&[key], &[key])?;
        let appends = self.append()?;
        match overrides {
            Some(_) if appends => Err((self.line, ObjectError::AppendAndOverride)),
            Some(overrides) => Ok(overrides.iter().any(|(_, append)| *append)),
            None => Ok(appends),
        }
    }

    fn append(&self) -> Result<bool, Misfit> {
        Ok(self.truth("append")?.unwrap_or(false))
    }

    /// What `override` says: for each key whether it is appended to.
    fn overrides(
        &self,
        appendable: &[&str],
        replaceable: &[&str],
    ) -> Result<Option<Vec<(String, bool)>>, Misfit> {
        let Some(node) = self.node("override") else {
            return Ok(None);
        };
        let Node::Map(entries) = &node.value else {
            return Err((
                self.line_of(node),
                wrong("override", "a mapping of keys to append or replace"),
            ));
        };
        let mut overrides = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let line = self.line_of(value);
            let operation = node::scalar(self.text, value).unwrap_or_default();
            let (allowed, append, done) = match operation.as_str() {
                "append" => (appendable, true, "appended to"),
                "replace" => (replaceable, false, "replaced"),
                _ => return Err((line, ObjectError::OverrideOperation { operation })),
            };
            if !allowed.contains(&key.as_str()) {
                let key = key.clone();
                return Err((line, ObjectError::Override { key, operation: done }));
            }
            if self.node(key).is_none() {
                return Err((line, ObjectError::OverrideWithout { key: key.clone() }));
            }
            overrides.push((key.clone(), append));
        }
        Ok(Some(overrides))
    }

    /// With `override` every key has to be named there.
    fn check_overridden(&self, overrides: &[(String, bool)]) -> Result<(), Misfit> {
        for (key, node) in self.entries {
            let concerned = REPLACEABLE.contains(&key.as_str());
            if concerned && !overrides.iter().any(|(name, _)| name == key) {
                return Err((
                    self.line_of(node),
                    ObjectError::NotOverridden { key: key.clone() },
                ));
            }
        }
        Ok(())
    }

    fn exceptions(&self) -> Result<Option<Vec<Exception>>, Misfit> {
        let Some(node) = self.node("exceptions") else {
            return Ok(None);
        };
        match &node.value {
            Node::Null => Ok(Some(Vec::new())),
            Node::List(items) => {
                let read = items.iter().map(|item| exception::read(self, item));
                read.collect::<Result<_, _>>().map(Some)
            }
            _ => Err((self.line_of(node), wrong("exceptions", "a list of exceptions"))),
        }
    }

    pub(super) fn required(&self, key: &'static str) -> Result<Text, Misfit> {
        self.scalar(key)?
            .filter(|text| !text.text.trim().is_empty())
            .ok_or((self.line, ObjectError::MissingKey { key }))
    }

    fn node(&self, key: &str) -> Option<&Spanned<Node>> {
        let mut entries = self.entries.iter();
        entries.find(|(name, _)| name == key).map(|(_, node)| node)
    }

    pub(super) fn line_of(&self, node: &Spanned<Node>) -> usize {
        node::line(node) + self.shift
    }

    fn scalar(&self, key: &'static str) -> Result<Option<Text>, Misfit> {
        let Some(node) = self.node(key) else {
            return Ok(None);
        };
        let line = self.line_of(node);
        match node::scalar(self.text, node) {
            Some(text) => Ok(Some(Text { text, line })),
            None => Err((line, wrong(key, "a text"))),
        }
    }

    fn parsed<T>(
        &self,
        key: &'static str,
        parse: impl FnOnce(String) -> Result<T, ObjectError>,
    ) -> Result<Option<T>, Misfit> {
        match self.scalar(key)? {
            Some(Text { text, line }) => parse(text).map(Some).map_err(|error| (line, error)),
            None => Ok(None),
        }
    }

    fn truth(&self, key: &'static str) -> Result<Option<bool>, Misfit> {
        self.parsed(key, |text| match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" => Ok(true),
            "false" | "no" | "off" => Ok(false),
            _ => Err(wrong(key, "true or false")),
        })
    }

    fn texts(&self, key: &'static str) -> Result<Option<Vec<String>>, Misfit> {
        let Some(node) = self.node(key) else {
            return Ok(None);
        };
        let misfit = |node| (self.line_of(node), wrong(key, "a list of texts"));
        match &node.value {
            Node::List(items) => {
                let texts = items
                    .iter()
                    .map(|item| node::scalar(self.text, item).ok_or_else(|| misfit(item)));
                texts.collect::<Result<_, _>>().map(Some)
            }
            _ => Err(misfit(node)),
        }
    }

    fn only(&self, known: &[&str]) -> Result<(), Misfit> {
        let unknown = |(key, _): &&(String, Spanned<Node>)| !known.contains(&key.as_str());
        match self.entries.iter().find(unknown) {
            Some((key, node)) => Err((self.line_of(node), ObjectError::UnknownKey { key: key.clone() })),
            None => Ok(()),
        }
    }
}

fn part<T>(value: T, append: bool) -> Part<T> {
    Part { value, append }
}

fn wrong(key: &'static str, expected: &'static str) -> ObjectError {
    ObjectError::WrongType { key, expected }
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
