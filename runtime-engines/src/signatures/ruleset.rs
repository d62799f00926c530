//! Rules in force: what a set of rule files comes to.

use std::collections::HashMap;
use std::sync::Arc;

use runtime_core::policy::{Problem, RuleSource};
use runtime_core::{EngineKind, Event, EventClass, Finding, Needs, Response, RuleRef, Severity};

use super::collect::{Collected, Place, Version, problem};
use super::compile::Compiler;
use super::error::{ObjectError, ObjectKind};
use super::field::Kind;
use super::hash::FastSet;
use super::index::Bucket;
use super::needs;
use super::output::Output;
use super::special::Special;
use super::tree::{Node, Scratch};

/// Compiled rules, indexed by the kind of events that they can hold for.
#[derive(Debug, Default)]
pub struct RuleSet {
    rules: Vec<Rule>,
    /// What the rules that are switched on lead to.
    findings: Vec<(Finding, Option<Output>)>,
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
        let mut compiled_rules = Vec::new();
        let mut ids: HashMap<String, String> = HashMap::new();
        for versions in rules {
            // The latest version that is right.
            for version in versions.iter().rev() {
                match compiled(version, &mut compiler, &ids) {
                    Ok(Some((rule, output, node))) => {
                        ids.insert(rule.reference.id.clone(), rule.reference.name.clone());
                        compiled_rules.push((output, node));
                        set.rules.push(rule);
                        break;
                    }
                    Ok(None) => break,
                    Err(problem) => problems.push(problem),
                }
            }
        }
        set.sort_in(compiled_rules);
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
            bucket.judge(event, scratch, |rule, scratch| {
                let (finding, output) = &self.findings[rule];
                found.push(Finding {
                    output: output.as_ref().map(|output| output.fill(event, scratch.texts())),
                    ..finding.clone()
                });
            });
        }
    }

    /// Makes the conditions, one for each rule, special for every kind of events.
    fn sort_in(&mut self, compiled: Vec<(Option<Output>, Node)>) {
        let mut numbered = Vec::new();
        for (at, (output, node)) in compiled.into_iter().enumerate() {
            let rule = &self.rules[at];
            let number = rule.enabled.then(|| {
                let finding = Finding {
                    engine: EngineKind::Signatures,
                    rule: Arc::clone(&rule.reference),
                    severity: rule.severity,
                    response: rule.response,
                    output: None,
                };
                self.findings.push((finding, output));
                self.findings.len() - 1
            });
            numbered.push((at, number, node));
        }
        self.buckets = Kind::all()
            .iter()
            .map(|kind| {
                let mut special = Special::new(kind);
                let mut rules = Vec::new();
                for &(at, number, ref node) in &numbered {
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

/// A rule with its output and its condition; `None` for one that its author wants left out where a field is not known.
fn compiled(
    version: &Version,
    compiler: &mut Compiler<'_>,
    ids: &HashMap<String, String>,
) -> Result<Option<(Rule, Option<Output>, Node)>, Problem> {
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
    let filled = match output {
        Some((text, place)) => {
            Some(Output::parse(text).map_err(|error| refuse(place, ObjectError::Output(error)))?)
        }
        None => None,
    };
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
    Ok(Some((rule, filled, node)))
}
