//! Policies: which engine does what for which pod groups, and what people say of what engines find.
//!
//! [`RuntimePolicySpec`] is the shape that people write, in manifests and custom resources; [`RuntimePolicy`] is the
//! checked form. [`PolicySet::effective`] is what is in force for one container, and [`PolicySet::explain`] why.
//!
//! Policies that select a container add up. Modes come from the most specific one that says anything of the engine.
//! Exclusions beat rules, and rules beat what a signature asks for by itself.

mod effective;
mod entry;
mod explain;
mod index;
mod selector;
mod source;
mod spec;

use serde::{Deserialize, Serialize};

pub use self::effective::{EffectivePolicy, PolicySet, Profiling};
pub use self::entry::Entry;
use self::entry::Part;
pub use self::explain::{EngineExplanation, Explanation, PolicyExplanation};
use self::index::Index;
use self::selector::Selector;
pub use self::source::{PolicySnapshot, Problem, RuleSource};
pub use self::spec::{
    EnginesSpec, EntrySpec, FileReputationSpec, InvalidPeriod, NetworkSpec, Period, PodGroupSelectorSpec,
    ProcessSpec, ProfilingSpec, RuleAction, RuntimePolicySpec, SelectorSpec, SignaturesSpec,
};
use crate::event::Event;
use crate::finding::{EngineKind, Response, RuleRef};

/// What an engine may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// It does not look.
    Disabled,
    /// It raises alerts and never acts.
    Detect,
    /// It acts as its findings ask.
    Prevent,
}

impl Mode {
    /// What of a response this mode lets through; `None` when there is nothing to say at all.
    pub fn limit(self, asked: Response) -> Option<Response> {
        match self {
            Self::Disabled => None,
            Self::Detect => Some(Response::Alert),
            Self::Prevent => Some(asked),
        }
    }
}

/// A checked policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimePolicy {
    name: String,
    selector: Selector,
    engines: EnginesSpec,
    rules: ByEngine,
    exclusions: ByEngine,
}

/// An entry of a policy that makes no sense, in words for the person who wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{list}[{place}]{}: {field}: {message}", .name.as_ref().map(|name| format!(" ({name})")).unwrap_or_default())]
pub struct InvalidEntry {
    /// `rules` or `exclusions`.
    pub list: &'static str,
    /// Its place in the list, from 0.
    pub place: usize,
    /// Its name, where it has one.
    pub name: Option<String>,
    /// The field that is wrong.
    pub field: &'static str,
    /// What is wrong with it.
    pub message: String,
}

impl RuntimePolicy {
    /// The policy of this name with what a person wrote. The first entry that makes no sense is an error.
    pub fn new(name: impl Into<String>, spec: RuntimePolicySpec) -> Result<Self, InvalidEntry> {
        let RuntimePolicySpec {
            selector,
            engines,
            rules,
            exclusions,
        } = spec;
        Ok(Self {
            name: name.into(),
            selector: Selector::from(selector),
            engines,
            rules: ByEngine::check(rules, Part::Rules)?,
            exclusions: ByEngine::check(exclusions, Part::Exclusions)?,
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// The entries of one list, apart for each engine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct ByEngine {
    signatures: Index,
    file_reputation: Index,
    profiling: Index,
}

impl ByEngine {
    fn check(specs: Vec<EntrySpec>, part: Part) -> Result<Self, InvalidEntry> {
        let mut entries: [Vec<Entry>; 3] = Default::default();
        for (place, spec) in specs.into_iter().enumerate() {
            let name = spec.name.clone();
            let engine = spec.engine;
            let entry = Entry::check(spec, part).map_err(|(field, message)| InvalidEntry {
                list: match part {
                    Part::Rules => "rules",
                    Part::Exclusions => "exclusions",
                },
                place,
                name,
                field,
                message,
            })?;
            entries[engine as usize].push(entry);
        }
        let [signatures, file_reputation, profiling] = entries.map(Index::new);
        Ok(Self {
            signatures,
            file_reputation,
            profiling,
        })
    }

    fn of(&self, engine: EngineKind) -> &Index {
        match engine {
            EngineKind::Signatures => &self.signatures,
            EngineKind::FileReputation => &self.file_reputation,
            EngineKind::Profiling => &self.profiling,
        }
    }

    fn find(&self, engine: EngineKind, rule: &RuleRef, event: &Event) -> Option<&Entry> {
        self.of(engine).find(rule, event)
    }
}

#[cfg(test)]
mod tests;
