//! Rules in force: what a set of rule files comes to.

use std::collections::HashMap;
use std::sync::Arc;

use runtime_core::policy::{Problem, RuleSource};
use runtime_core::{EngineKind, EventClass, Finding, Response, RuleRef, Severity};

use super::compile::{Compiler, Names, look_up};
use super::condition::{Expr, Operand};
use super::document::{self, Body, RuleBody};
use super::error::{ConditionError, ObjectError, ObjectKind};
use super::field::CLASSES;
use super::parser;
use super::tree::Node;

/// Compiled rules, indexed by the class of events that they can hold for.
#[derive(Debug, Default)]
pub struct RuleSet {
    rules: Vec<Rule>,
    /// For each of [`CLASSES`] the rules that can hold, and their conditions.
    by_class: [Vec<(Finding, Node)>; CLASSES.len()],
}

/// What a rule says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Id, name and tags, as findings show them.
    pub reference: Arc<RuleRef>,
    /// What it is there for, in its author's words.
    pub description: String,
    /// The text that its author would have an alert say, with `%field` for values.
    pub output: Option<String>,
    /// How bad it is when it holds.
    pub severity: Severity,
    /// What it asks for.
    pub response: Response,
    /// False when its author switched it off: it was checked, and is never judged.
    pub enabled: bool,
    /// The file, or the object, that it comes from.
    pub origin: String,
    /// The line in it, from 1.
    pub line: usize,
}

impl RuleSet {
    /// Compiles the rules of these sources, and tells what was refused.
    ///
    /// The sources are one set: a list, a macro or a rule of a later source replaces the one of that name in an
    /// earlier one, for all rules, as it is in Falco. Within one source a name may be given once. A rule that
    /// is wrong is refused alone, and where it was to replace another one, that one stays.
    pub fn compile(sources: &[RuleSource]) -> (Self, Vec<Problem>) {
        let mut problems = Vec::new();
        let mut collected = Collected::default();
        for source in sources {
            collected.add(source, &mut problems);
        }
        let Collected { names, rules, .. } = collected;
        let mut compilers = CLASSES.map(|class| Compiler::new(&names, class));
        let mut set = Self::default();
        let mut ids: HashMap<String, String> = HashMap::new();
        for versions in rules {
            // The latest version that is right.
            for version in versions.into_iter().rev() {
                match version.compile(&mut compilers, &ids) {
                    Ok((rule, conditions)) => {
                        ids.insert(rule.reference.id.clone(), rule.reference.name.clone());
                        set.insert(rule, conditions);
                        break;
                    }
                    Err(problem) => problems.push(problem),
                }
            }
        }
        (set, problems)
    }

    /// The rules, in the order in which they were first named.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The findings that events of this class can lead to, with their conditions.
    pub(super) fn candidates(&self, class: EventClass) -> &[(Finding, Node)] {
        CLASSES
            .iter()
            .position(|&judged| judged == class)
            .map_or(&[], |at| self.by_class[at].as_slice())
    }

    fn insert(&mut self, rule: Rule, conditions: [Node; CLASSES.len()]) {
        if rule.enabled {
            for (judged, node) in self.by_class.iter_mut().zip(conditions) {
                if !matches!(node, Node::Const(false)) {
                    let finding = Finding {
                        engine: EngineKind::Signatures,
                        rule: Arc::clone(&rule.reference),
                        severity: rule.severity,
                        response: rule.response,
                    };
                    judged.push((finding, node));
                }
            }
        }
        self.rules.push(rule);
    }
}

/// Everything that the sources say, before any name is looked up.
#[derive(Default)]
struct Collected {
    names: Names,
    /// All versions of each rule, the earliest first.
    rules: Vec<Vec<Version>>,
    places: HashMap<String, usize>,
}

/// A rule as one source has it.
struct Version {
    name: String,
    origin: String,
    line: usize,
    body: Box<RuleBody>,
    condition: Expr,
}

impl Collected {
    fn add(&mut self, source: &RuleSource, problems: &mut Vec<Problem>) {
        let mut seen: HashMap<(ObjectKind, String), usize> = HashMap::new();
        for object in document::read(source, problems) {
            let document::Object { name, line, body } = object;
            let kind = body.kind();
            let mut refuse = |line, error: &ObjectError| {
                problems.push(problem(&source.origin, line, kind, &name, error));
            };
            if let Some(&line_before) = seen.get(&(kind, name.clone())) {
                let error = ObjectError::DuplicateName {
                    kind,
                    line: line_before,
                };
                refuse(line, &error);
                continue;
            }
            seen.insert((kind, name.clone()), line);
            let condition = match &body {
                Body::List(_) => None,
                Body::Macro(condition) => Some(condition),
                Body::Rule(rule) => Some(&rule.condition),
            };
            let condition = match condition.map(|condition| (parser::parse(&condition.text), condition.line))
            {
                None => None,
                Some((Ok(expr), _)) => Some(expr),
                Some((Err(error), line)) => {
                    refuse(line, &ObjectError::Condition(error.into()));
                    None
                }
            };
            match (body, condition) {
                (Body::List(items), _) => {
                    self.names.lists.insert(name, items);
                }
                (Body::Macro(_), Some(condition)) => {
                    self.names.macros.insert(name, Some(condition));
                }
                // Where it was to replace another macro, that one stays.
                (Body::Macro(_), None) => {
                    self.names.macros.entry(name).or_insert(None);
                }
                (Body::Rule(body), Some(condition)) => {
                    let at = *self.places.entry(name.clone()).or_insert(self.rules.len());
                    if at == self.rules.len() {
                        self.rules.push(Vec::new());
                    }
                    self.rules[at].push(Version {
                        name,
                        origin: source.origin.clone(),
                        line,
                        body,
                        condition,
                    });
                }
                (Body::Rule(_), None) => {}
            }
        }
    }
}

impl Version {
    fn compile(
        self,
        compilers: &mut [Compiler<'_>; CLASSES.len()],
        ids: &HashMap<String, String>,
    ) -> Result<(Rule, [Node; CLASSES.len()]), Problem> {
        let Self {
            name,
            origin,
            line,
            body,
            condition,
        } = self;
        let RuleBody {
            condition: document::Condition {
                line: condition_line, ..
            },
            description,
            output,
            severity,
            response,
            id,
            tags,
            enabled,
        } = *body;
        let refuse = |line, error: ObjectError| problem(&origin, line, ObjectKind::Rule, &name, &error);
        let id = id.unwrap_or_else(|| name.clone());
        if let Some(rule) = ids.get(&id) {
            let rule = rule.clone();
            return Err(refuse(line, ObjectError::DuplicateId { id, rule }));
        }
        let mut conditions = [const { Node::Const(false) }; CLASSES.len()];
        for (node, compiler) in conditions.iter_mut().zip(compilers) {
            *node = compiler
                .compile(&condition)
                .map_err(|error| refuse(condition_line, ObjectError::Condition(error)))?;
        }
        if conditions.iter().all(|node| matches!(node, Node::Const(false))) {
            let error = ObjectError::Condition(ConditionError::NeverHolds);
            return Err(refuse(condition_line, error));
        }
        if let Some((text, line)) = &output {
            check_output(text).map_err(|error| refuse(*line, ObjectError::Output(error)))?;
        }
        let reference = RuleRef {
            id,
            title: name.clone(),
            name,
            tags,
        };
        let rule = Rule {
            reference: Arc::new(reference),
            description: description.trim().to_owned(),
            output: output.map(|(text, _)| text.trim().to_owned()),
            severity,
            response,
            enabled,
            origin,
            line,
        };
        Ok((rule, conditions))
    }
}

/// Whether every `%field` in an output names a field. `%%` is a percent sign.
fn check_output(text: &str) -> Result<(), ConditionError> {
    let mut rest = text;
    while let Some((_, after)) = rest.split_once('%') {
        if let Some(after) = after.strip_prefix('%') {
            rest = after;
            continue;
        }
        let end = after
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.'))
            .unwrap_or(after.len());
        // A full stop behind a field ends the sentence.
        let field = after[..end].trim_end_matches('.');
        if field.is_empty() {
            return Err(ConditionError::Placeholder);
        }
        rest = &after[field.len()..];
        let mut argument = None;
        if let Some((inner, behind)) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            argument = Some(inner.to_owned());
            rest = behind;
        }
        look_up(&Operand {
            transformers: Vec::new(),
            field: field.to_owned(),
            argument,
        })?;
    }
    Ok(())
}

fn problem(origin: &str, line: usize, kind: ObjectKind, name: &str, error: &ObjectError) -> Problem {
    Problem {
        origin: origin.to_owned(),
        line: Some(line),
        message: format!("{kind} {name:?}: {error}"),
    }
}
