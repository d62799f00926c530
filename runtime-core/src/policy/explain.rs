//! Why a container has what it has.

use serde::Serialize;

use super::effective::first;
use super::{EffectivePolicy, EntrySpec, Mode, Period, PolicySet};
use crate::container::Container;
use crate::finding::EngineKind;

/// What is in force for a container, with the policy that each part comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// All policies, the most specific first.
    pub policies: Vec<PolicyExplanation>,
    /// Each engine.
    pub engines: Vec<EngineExplanation>,
}

/// Whether a policy is for the container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyExplanation {
    /// Its name.
    pub name: String,
    /// Whether it selects the container.
    pub selected: bool,
    /// The part of the selector that does not accept the container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused_by: Option<&'static str>,
}

/// What is in force of an engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EngineExplanation {
    /// Which.
    pub engine: EngineKind,
    /// What it may do.
    pub mode: Mode,
    /// The policy that says so; `None` where none does and the default is in force.
    pub mode_from: Option<String>,
    /// Of the signatures engine: whether every signature kills.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub block_all: bool,
    /// Of the profiling engine: how long a group is learned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub learning_period: Option<Period>,
    /// And how long a start-up that was seen late.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub startup_window: Option<Period>,
    /// The rules for it, each with its policy.
    pub rules: Vec<(String, EntrySpec)>,
    /// The exclusions for it, each with its policy.
    pub exclusions: Vec<(String, EntrySpec)>,
}

impl PolicySet {
    /// What is in force for a container, and why.
    pub fn explain(&self, container: &Container) -> Explanation {
        let effective = self.effective(container);
        let policies = self.policies.iter().map(|policy| {
            let refused_by = policy.selector.refuses(container);
            PolicyExplanation {
                name: policy.name.clone(),
                selected: refused_by.is_none(),
                refused_by,
            }
        });
        Explanation {
            policies: policies.collect(),
            engines: [
                EngineKind::Signatures,
                EngineKind::FileReputation,
                EngineKind::Profiling,
            ]
            .map(|engine| effective.explain(engine))
            .into(),
        }
    }
}

impl EffectivePolicy {
    fn explain(&self, engine: EngineKind) -> EngineExplanation {
        let policies = self.policies();
        let from = match engine {
            EngineKind::Signatures => {
                first(policies, |policy| policy.engines.signatures.as_ref()).map(|(_, n)| n)
            }
            EngineKind::FileReputation => {
                first(policies, |policy| policy.engines.file_reputation.as_ref()).map(|(_, name)| name)
            }
            EngineKind::Profiling => {
                first(policies, |policy| policy.engines.profiling.as_ref()).map(|(_, n)| n)
            }
        };
        let mut rules = Vec::new();
        let mut exclusions = Vec::new();
        for policy in policies {
            for (list, of) in [(&mut rules, &policy.rules), (&mut exclusions, &policy.exclusions)] {
                let entries = of.of(engine).entries().iter();
                list.extend(entries.map(|entry| (policy.name.clone(), entry.spec().clone())));
            }
        }
        let profiling = engine == EngineKind::Profiling;
        EngineExplanation {
            engine,
            mode: self.mode(engine),
            mode_from: from.map(str::to_owned),
            block_all: engine == EngineKind::Signatures && self.block_all,
            learning_period: profiling.then_some(self.profiling.learning_period),
            startup_window: profiling.then_some(self.profiling.startup_window),
            rules,
            exclusions,
        }
    }
}
