//! Rules in force: what a set of rule files comes to.

use std::collections::HashMap;
use std::sync::Arc;

use runtime_core::policy::{Problem, RuleSource};
use runtime_core::{EngineKind, Event, EventClass, Finding, Needs, Response, RuleRef, Severity};

use super::check;
use super::collect::{Collected, Place, Version, problem};
use super::compile::Compiler;
use super::condition::Operand;
use super::error::{ConditionError, ObjectError, ObjectKind};
use super::field::Kind;
use super::hash::FastSet;
use super::index::Bucket;
use super::needs;
use super::parser;
use super::special::Special;
use super::tree::{Node, Scratch};

/// Compiled rules, indexed by the kind of events that they can hold for.
#[derive(Debug, Default)]
pub struct RuleSet {
    rules: Vec<Rule>,
    /// What the rules that are switched on lead to.
    findings: Vec<Finding>,
    /// For each of the kinds of events.
    buckets: Vec<Bucket>,
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
    /// Fields that its condition tests and that no event has a value for; see
    /// [`Field::is_supplied`](super::Field::is_supplied).
    pub unsupplied: Vec<&'static str>,
    /// Whether there can be an event that it holds for.
    pub can_hold: bool,
    /// The classes of events that it can hold for; none where there can be no such event.
    pub events: Vec<EventClass>,
}

impl RuleSet {
    /// Compiles the rules of these sources, and tells what was refused.
    ///
    /// The sources are one set: a list, a macro or a rule of a later source replaces the one of that name in an
    /// earlier one, or is appended to it, for all rules, as it is in Falco. Within one source a name may be
    /// defined once. A rule that is wrong is refused alone, and where it was to replace or to change another
    /// one, that one stays as it was.
    pub fn compile(sources: &[RuleSource]) -> (Self, Vec<Problem>) {
        let mut problems = Vec::new();
        let mut collected = Collected::default();
        for source in sources {
            collected.add(source, &mut problems);
        }
        let Collected { names, rules, .. } = collected;
        let mut compiler = Compiler::new(&names);
        let mut set = Self::default();
        let mut nodes = Vec::new();
        let mut ids: HashMap<String, String> = HashMap::new();
        for versions in rules {
            // The latest version that is right.
            for version in versions.iter().rev() {
                match compiled(version, &mut compiler, &ids) {
                    Ok(Some((rule, node))) => {
                        ids.insert(rule.reference.id.clone(), rule.reference.name.clone());
                        nodes.push(node);
                        set.rules.push(rule);
                        break;
                    }
                    Ok(None) => break,
                    Err(problem) => problems.push(problem),
                }
            }
        }
        set.sort_in(&nodes);
        (set, problems)
    }

    /// The rules, in the order in which they were first named.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The events that the rules can hold for, those that are switched off left out: what a sensor has to
    /// deliver, and what it may keep in the kernel.
    pub fn needs(&self) -> Needs {
        let mut needs = Needs::default();
        for (kind, bucket) in Kind::all().iter().zip(&self.buckets) {
            needs::add(&mut needs, kind, bucket.rules.iter().map(|(_, node)| node));
        }
        needs
    }

    /// Appends what the rules find in an event.
    pub(super) fn judge(&self, event: &Event, scratch: &mut Scratch, found: &mut Vec<Finding>) {
        if let Some(bucket) = self.buckets.get(Kind::of(event).index) {
            bucket.judge(event, scratch, |rule| found.push(self.findings[rule].clone()));
        }
    }

    /// Makes the conditions, one for each rule, special for every kind of events.
    fn sort_in(&mut self, nodes: &[Node]) {
        let mut numbered = Vec::new();
        for (at, node) in nodes.iter().enumerate() {
            let rule = &self.rules[at];
            let number = rule.enabled.then(|| {
                self.findings.push(Finding {
                    engine: EngineKind::Signatures,
                    rule: Arc::clone(&rule.reference),
                    severity: rule.severity,
                    response: rule.response,
                });
                self.findings.len() - 1
            });
            numbered.push((at, number, node));
        }
        self.buckets = Kind::all()
            .iter()
            .map(|kind| {
                let mut special = Special::new(kind);
                let mut rules = Vec::new();
                for &(at, number, node) in &numbered {
                    let node = special.node(node);
                    if matches!(node, Node::Const(false)) {
                        continue;
                    }
                    let rule = &mut self.rules[at];
                    rule.can_hold = true;
                    if !rule.events.contains(&kind.class) {
                        rule.events.push(kind.class);
                    }
                    if let Some(number) = number {
                        rules.push((number, node));
                    }
                }
                Bucket::new(rules)
            })
            .collect();
    }
}

/// A rule with its condition; `None` for one that its author wants left out where a field is not known.
fn compiled(
    version: &Version,
    compiler: &mut Compiler<'_>,
    ids: &HashMap<String, String>,
) -> Result<Option<(Rule, Node)>, Problem> {
    let Version {
        name,
        place,
        changed,
        description,
        output,
        priority,
        severity,
        response,
        id,
        tags,
        enabled,
        skip_if_unknown,
        ..
    } = version;
    let refuse = |place: &Place, error: ObjectError| problem(place, ObjectKind::Rule, name, &error);
    let id = id.as_ref().unwrap_or(name).clone();
    if let Some(rule) = ids.get(&id) {
        let rule = rule.clone();
        return Err(refuse(changed, ObjectError::DuplicateId { id, rule }));
    }
    let expr = version.parse().map_err(|(place, error)| refuse(&place, error))?;
    let node = match compiler.compile(&expr) {
        Ok(node) => node,
        Err(error) if *skip_if_unknown && error.is_unknown_name() => return Ok(None),
        Err(error) => return Err(refuse(version.condition_place(), ObjectError::Condition(error))),
    };
    if let Some((text, place)) = output {
        check_output(text).map_err(|error| refuse(place, ObjectError::Output(error)))?;
    }
    let mut unsupplied = Vec::new();
    node.each_field(&mut FastSet::default(), &mut |field| {
        if !field.is_supplied() && !unsupplied.contains(&field.name) {
            unsupplied.push(field.name);
        }
    });
    let reference = RuleRef {
        id,
        title: name.clone(),
        name: name.clone(),
        tags: tags.clone(),
    };
    let rule = Rule {
        reference: Arc::new(reference),
        description: description.trim().to_owned(),
        output: output.as_ref().map(|(text, _)| text.trim().to_owned()),
        severity: severity.or(*priority).unwrap_or(Severity::Medium),
        response: response.unwrap_or(Response::Alert),
        enabled: *enabled,
        origin: place.origin.to_string(),
        line: place.line,
        unsupplied,
        can_hold: false,
        events: Vec::new(),
    };
    Ok(Some((rule, node)))
}

/// Whether every `%field` in an output names a field. `%%` is a percent sign.
fn check_output(text: &str) -> Result<(), ConditionError> {
    let mut rest = text;
    while let Some((_, after)) = rest.split_once('%') {
        if let Some(after) = after.strip_prefix('%') {
            rest = after;
            continue;
        }
        // Some formats have `%field` and others `%transformer(field)`; a field's name ends where no dot, letter
        // or digit follows, and a full stop behind it ends the sentence.
        let end = after
            .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.'))
            .unwrap_or(after.len());
        let word = after[..end].trim_end_matches('.');
        if word.is_empty() {
            return Err(ConditionError::Placeholder);
        }
        // Falco's word for several fields at once.
        if word == "container.info" {
            rest = &after[word.len()..];
            continue;
        }
        if after[end..].starts_with('(') && !word.contains('.') {
            let (operand, used) = parser::parse_operand(after)?;
            check::operand(&operand)?;
            rest = &after[used..];
            continue;
        }
        rest = &after[word.len()..];
        let mut argument = None;
        if let Some((inner, behind)) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            argument = Some(inner.trim_matches(['"', '\'']).to_owned());
            rest = behind;
        }
        check::operand(&Operand::Field {
            name: word.to_owned(),
            argument,
        })?;
    }
    Ok(())
}
