//! The set of rules and policies in force, and its successors.

use std::collections::BTreeMap;

use runtime_core::PolicySource;
use runtime_core::policy::{PolicySet, PolicySnapshot, Problem, RuleSource};
use runtime_core::ports::PortError;

use crate::error::chain;
use crate::guard::Judge;

/// Whoever turns texts and policies into a [`Judge`].
pub(crate) trait Compiler {
    /// Compiled rules.
    type Rules;
    /// The judge that they and the policies make.
    type Judge: Judge;

    /// Compiles what can be compiled of `sources`; the rest is refused, rule by rule.
    fn compile(&self, sources: &[RuleSource]) -> (Self::Rules, Vec<Problem>);

    /// Whether the sensor can look for all that the rules need; else why not.
    fn check(&self, rules: &Self::Rules) -> Result<(), PortError>;

    /// Joins rules and policies.
    fn assemble(&self, rules: Self::Rules, policies: PolicySet) -> Self::Judge;
}

/// Loads policies, at the start and again whenever they change.
pub(crate) struct Policies<S, C> {
    /// `None` where no directory was named: then the built-in rules and the default policy are all there is.
    source: Option<S>,
    compiler: C,
    /// By origin, the rules that compiled without a problem the last time.
    last_good: BTreeMap<String, Vec<RuleSource>>,
    /// The texts of the rules in force.
    in_force: Option<Vec<RuleSource>>,
}

/// One load.
pub(crate) struct Loaded<J> {
    /// What is to be in force now.
    pub(crate) judge: J,
    /// What was refused.
    pub(crate) problems: Vec<Problem>,
    /// How many policies there are, the default one left out.
    pub(crate) policies: usize,
    /// How many texts of rules there are, the built-in ones left out.
    pub(crate) rule_sources: usize,
}

impl<S: PolicySource, C: Compiler> Policies<S, C> {
    pub(crate) fn new(source: Option<S>, compiler: C) -> Self {
        Self {
            source,
            compiler,
            last_good: BTreeMap::new(),
            in_force: None,
        }
    }

    /// Whether there may be something new.
    pub(crate) fn changed(&mut self) -> bool {
        self.source.as_mut().is_some_and(PolicySource::changed)
    }

    /// Loads what there is now. Of what is wrong, that which was right before stays as it was.
    pub(crate) fn load(&mut self) -> Result<Loaded<C::Judge>, PortError> {
        let snapshot = match &mut self.source {
            Some(source) => source.load()?,
            None => PolicySnapshot::default(),
        };
        let PolicySnapshot {
            policies,
            rules,
            mut problems,
        } = snapshot;
        let policy_count = policies.len();
        let rule_sources = rules.len();
        let (rules, refused) = self.compile(rules);
        problems.extend(refused);
        Ok(Loaded {
            judge: self.compiler.assemble(rules, PolicySet::new(policies)),
            problems,
            policies: policy_count,
            rule_sources,
        })
    }

    fn compile(&mut self, sources: Vec<RuleSource>) -> (C::Rules, Vec<Problem>) {
        let (mut rules, mut problems) = self.compiler.compile(&sources);
        let refused: Vec<String> = problems.iter().map(|problem| problem.origin.clone()).collect();
        let origins = by_origin(&sources);
        let mut last_good = BTreeMap::new();
        let mut kept = Vec::new();
        for (origin, current) in origins {
            if !refused.contains(&origin) {
                last_good.insert(origin, current);
            } else if let Some(former) = self.last_good.remove(&origin) {
                kept.push(origin.clone());
                last_good.insert(origin, former);
            }
        }
        let mut sources = sources;
        if !kept.is_empty() {
            sources = with_former(sources, &kept, &last_good);
            // What is refused of these now was known the time before, so it is not told again.
            (rules, _) = self.compiler.compile(&sources);
            problems.extend(kept.into_iter().map(|origin| Problem {
                origin,
                line: None,
                message: "the rules that it held before stay in force until these are right".into(),
            }));
        }
        if let Err(error) = self.compiler.check(&rules) {
            let (former, consequence) = match self.in_force.clone() {
                Some(former) => (Some(former), "the rules before stay in force"),
                None => (None, "the sensor takes the events of all files instead"),
            };
            problems.push(Problem {
                origin: "all rules together".into(),
                line: None,
                message: format!("{}; {consequence}", chain(&*error)),
            });
            if let Some(former) = former {
                (rules, _) = self.compiler.compile(&former);
                last_good = by_origin(&former);
                sources = former;
            }
        }
        self.in_force = Some(sources);
        self.last_good = last_good;
        (rules, problems)
    }
}

fn by_origin(sources: &[RuleSource]) -> BTreeMap<String, Vec<RuleSource>> {
    let mut by_origin: BTreeMap<String, Vec<RuleSource>> = BTreeMap::new();
    for source in sources {
        let origin = by_origin.entry(source.origin.clone()).or_default();
        origin.push(source.clone());
    }
    by_origin
}

/// The sources with those of the `kept` origins replaced, each at the place of the first of its origin.
fn with_former(
    sources: Vec<RuleSource>,
    kept: &[String],
    former: &BTreeMap<String, Vec<RuleSource>>,
) -> Vec<RuleSource> {
    let mut placed: Vec<&String> = Vec::new();
    let mut result = Vec::new();
    for source in sources {
        match kept.iter().find(|origin| **origin == source.origin) {
            None => result.push(source),
            Some(origin) if placed.contains(&origin) => {}
            Some(origin) => {
                result.extend(former[origin].iter().cloned());
                placed.push(origin);
            }
        }
    }
    result
}

#[cfg(test)]
mod tests;
