//! Puts together what several sources say of the same lists, macros and rules, before any name is looked up.

use std::collections::HashMap;
use std::sync::Arc;

use runtime_core::policy::{Problem, RuleSource};
use runtime_core::{Response, Severity};

use super::compile::Names;
use super::condition::Expr;
use super::document::{self, Body, Change, Exception, Object, RuleBody, Text};
use super::error::{ConditionError, ObjectError, ObjectKind};
use super::{exceptions, parser};

/// How often one rule or macro may be changed.
const MAX_CHANGES: usize = 200;

/// How long a condition may be, all that is appended included.
const MAX_CONDITION: usize = 1 << 20;

/// Everything that the sources say.
#[derive(Default)]
pub(super) struct Collected {
    pub(super) names: Names,
    /// All versions of each rule, the earliest first.
    pub(super) rules: Vec<Vec<Version>>,
    places: HashMap<String, usize>,
    macros: HashMap<String, Vec<Piece>>,
}

/// A file and a line in it.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) origin: Arc<str>,
    pub(super) line: usize,
}

/// A piece of a text, and where it is from.
#[derive(Debug, Clone)]
struct Piece {
    text: Arc<str>,
    place: Place,
}

/// A rule after one of the objects of its name.
#[derive(Debug, Clone)]
pub(super) struct Version {
    pub(super) name: String,
    /// Where the rule begins.
    pub(super) place: Place,
    /// Where the object is that made it this version.
    pub(super) changed: Place,
    pub(super) description: String,
    pub(super) output: Option<(String, Place)>,
    pub(super) priority: Option<Severity>,
    pub(super) severity: Option<Severity>,
    pub(super) response: Option<Response>,
    pub(super) id: Option<String>,
    pub(super) tags: Vec<String>,
    pub(super) enabled: bool,
    pub(super) skip_if_unknown: bool,
    condition: Vec<Piece>,
    exceptions: Vec<Exception>,
}

/// What is wrong with an object, and where.
type Refused = (Place, ObjectError);

impl Collected {
    /// Adds a source behind those before it.
    pub(super) fn add(&mut self, source: &RuleSource, problems: &mut Vec<Problem>) {
        let origin: Arc<str> = source.origin.as_str().into();
        let mut seen: HashMap<(ObjectKind, String), usize> = HashMap::new();
        for Object { name, line, body } in document::read(source, problems) {
            let kind = body.kind();
            let place = Place {
                origin: Arc::clone(&origin),
                line,
            };
            let before = seen.get(&(kind, name.clone())).copied();
            let result = match before {
                Some(line) if body.defines() => Err((place, ObjectError::DuplicateName { kind, line })),
                _ => {
                    if body.defines() {
                        seen.insert((kind, name.clone()), line);
                    }
                    self.object(&name, place, body)
                }
            };
            if let Err((place, error)) = result {
                problems.push(problem(&place, kind, &name, &error));
            }
        }
    }

    fn object(&mut self, name: &str, place: Place, body: Body) -> Result<(), Refused> {
        match body {
            Body::List { items, append: false } => {
                let items = items.iter().map(|item| exceptions::literal(item)).collect();
                self.names.lists.insert(name.to_owned(), items);
                Ok(())
            }
            Body::List { items, append: true } => match self.names.lists.get_mut(name) {
                Some(list) => {
                    list.extend(items.iter().map(|item| exceptions::literal(item)));
                    Ok(())
                }
                None => Err((
                    place,
                    ObjectError::NothingBefore {
                        kind: ObjectKind::List,
                    },
                )),
            },
            Body::Macro { condition, append } => self.macro_(name, place, condition, append),
            Body::Rule(body) => self.rule(name, place, *body),
        }
    }

    fn macro_(&mut self, name: &str, place: Place, condition: Text, append: bool) -> Result<(), Refused> {
        let mut pieces = match (append, self.macros.get(name)) {
            (false, _) => Vec::new(),
            (true, Some(pieces)) => pieces.clone(),
            (true, None) => {
                return Err((
                    place,
                    ObjectError::NothingBefore {
                        kind: ObjectKind::Macro,
                    },
                ));
            }
        };
        pieces.push(Piece::new(condition, &place));
        match parse(&pieces) {
            Ok(expr) => {
                self.names.macros.insert(name.to_owned(), Some(expr));
                self.macros.insert(name.to_owned(), pieces);
                Ok(())
            }
            Err(refused) => {
                // Where it was to replace another macro, that one stays.
                self.names.macros.entry(name.to_owned()).or_insert(None);
                Err(refused)
            }
        }
    }

    fn rule(&mut self, name: &str, place: Place, body: RuleBody) -> Result<(), Refused> {
        let at = self.places.get(name).copied();
        let version = match (body.change, at) {
            (Change::Define, _) => Version::new(name, place.clone()),
            (Change::Alter, Some(at)) => {
                let versions = &self.rules[at];
                if versions.len() > MAX_CHANGES {
                    return Err((place, ObjectError::ChangedTooOften { limit: MAX_CHANGES }));
                }
                versions[versions.len() - 1].clone()
            }
            (Change::Alter, None) => {
                return Err((
                    place,
                    ObjectError::NothingBefore {
                        kind: ObjectKind::Rule,
                    },
                ));
            }
        };
        let version = version.changed(body, place)?;
        let at = at.unwrap_or(self.rules.len());
        if at == self.rules.len() {
            self.places.insert(name.to_owned(), at);
            self.rules.push(Vec::new());
        }
        self.rules[at].push(version);
        Ok(())
    }
}

impl Piece {
    fn new(text: Text, place: &Place) -> Self {
        Self {
            text: text.text.into(),
            place: Place {
                origin: Arc::clone(&place.origin),
                line: text.line,
            },
        }
    }
}

impl Version {
    fn new(name: &str, place: Place) -> Self {
        Self {
            name: name.to_owned(),
            changed: place.clone(),
            place,
            description: String::new(),
            output: None,
            priority: None,
            severity: None,
            response: None,
            id: None,
            tags: Vec::new(),
            enabled: true,
            skip_if_unknown: false,
            condition: Vec::new(),
            exceptions: Vec::new(),
        }
    }

    /// The version that it becomes by an object.
    fn changed(mut self, body: RuleBody, place: Place) -> Result<Self, Refused> {
        let RuleBody {
            change: _,
            condition,
            description,
            output,
            tags,
            exceptions,
            priority,
            severity,
            response,
            id,
            enabled,
            skip_if_unknown,
        } = body;
        if let Some(part) = condition {
            if !part.append {
                self.condition.clear();
            }
            self.condition.push(Piece::new(part.value, &place));
        }
        if let Some(part) = description {
            self.description = if part.append {
                [self.description, part.value].join(" ")
            } else {
                part.value
            };
        }
        if let Some(part) = output {
            let before = self.output.take().filter(|_| part.append);
            let Piece { text, place } = Piece::new(part.value, &place);
            self.output = Some(match before {
                Some((before, _)) => ([&*before, &*text].join(" "), place),
                None => (text.to_string(), place),
            });
        }
        if let Some(part) = tags {
            if !part.append {
                self.tags.clear();
            }
            for tag in part.value {
                if !self.tags.contains(&tag) {
                    self.tags.push(tag);
                }
            }
        }
        if let Some(part) = exceptions {
            if !part.append {
                self.exceptions.clear();
            }
            for exception in part.value {
                self.except(exception).map_err(|(line, error)| {
                    let origin = Arc::clone(&place.origin);
                    (Place { origin, line }, error)
                })?;
            }
        }
        self.priority = priority.or(self.priority);
        self.severity = severity.or(self.severity);
        self.response = response.or(self.response);
        self.id = id.or(self.id);
        self.enabled = enabled.unwrap_or(self.enabled);
        self.skip_if_unknown = skip_if_unknown.unwrap_or(self.skip_if_unknown);
        self.changed = place;
        // What cannot be read is refused at once, and nothing is built on it.
        self.parse()?;
        Ok(self)
    }

    fn except(&mut self, exception: Exception) -> Result<(), (usize, ObjectError)> {
        let refuse = |reason: &str| {
            let name = exception.name.escape_debug().to_string();
            let reason = reason.to_owned();
            (exception.line, ObjectError::Exception { name, reason })
        };
        match self
            .exceptions
            .iter_mut()
            .find(|other| other.name == exception.name)
        {
            Some(before) if exception.fields.is_none() => before.values.extend(exception.values),
            Some(_) => return Err(refuse("it is there already, and only values can be added to it")),
            None if exception.fields.is_none() => return Err(refuse("it has no `fields`")),
            None => self.exceptions.push(exception),
        }
        Ok(())
    }

    /// The condition with the exceptions, which are more conditions.
    pub(super) fn parse(&self) -> Result<Expr, Refused> {
        let mut parts = vec![parse(&self.condition)?];
        for exception in &self.exceptions {
            match exceptions::condition(exception) {
                Ok(Some(case)) => parts.push(Expr::Not(Box::new(case))),
                Ok(None) => {}
                Err(error) => {
                    let place = Place {
                        origin: Arc::clone(&self.changed.origin),
                        line: exception.line,
                    };
                    return Err((place, error));
                }
            }
        }
        Ok(if parts.len() == 1 {
            parts.remove(0)
        } else {
            Expr::And(parts)
        })
    }

    /// Where its condition is, or the last piece of it.
    pub(super) fn condition_place(&self) -> &Place {
        self.condition.last().map_or(&self.changed, |piece| &piece.place)
    }
}

/// Reads a condition that is in pieces.
fn parse(pieces: &[Piece]) -> Result<Expr, Refused> {
    let Some(last) = pieces.last() else {
        let place = Place {
            origin: "".into(),
            line: 1,
        };
        return Err((place, ObjectError::MissingKey { key: "condition" }));
    };
    let length: usize = pieces.iter().map(|piece| piece.text.len() + 1).sum();
    if length > MAX_CONDITION || pieces.len() > MAX_CHANGES {
        return Err((
            last.place.clone(),
            ObjectError::Condition(ConditionError::TooLong),
        ));
    }
    let texts: Vec<&str> = pieces.iter().map(|piece| &*piece.text).collect();
    parser::parse(&texts.join(" ")).map_err(|error| {
        let mut end = 0;
        let at = pieces.iter().find(|piece| {
            end += piece.text.len() + 1;
            error.offset() < end
        });
        let place = at.unwrap_or(last).place.clone();
        (place, ObjectError::Condition(error.into()))
    })
}

/// A problem with an object.
pub(super) fn problem(place: &Place, kind: ObjectKind, name: &str, error: &ObjectError) -> Problem {
    Problem {
        origin: place.origin.to_string(),
        line: Some(place.line),
        message: format!("{kind} {name:?}: {error}"),
    }
}
