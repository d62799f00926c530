//! What is in force for a container.

use std::sync::Arc;

use super::{Entry, Mode, Period, ProfilingSpec, RuleAction, RuntimePolicy, SignaturesSpec};
use crate::container::Container;
use crate::event::Event;
use crate::finding::{EngineKind, Finding, Response};

/// How the profiling engine works for a pod group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Profiling {
    /// What it may do.
    pub mode: Mode,
    /// How long the group is learned.
    pub learning_period: Period,
    /// How long a start-up that was seen late is learned.
    pub startup_window: Period,
}

impl Default for Profiling {
    fn default() -> Self {
        Self {
            mode: Mode::Detect,
            learning_period: Period::from_secs(24 * 3600),
            startup_window: Period::from_secs(10 * 60),
        }
    }
}

/// What is in force for one container. Cheap to copy: what is large is shared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EffectivePolicy {
    /// The signatures engine's mode.
    pub signatures: Mode,
    /// Every signature kills.
    pub block_all: bool,
    /// The file reputation engine's mode.
    pub file_reputation: Mode,
    /// The profiling engine.
    pub profiling: Profiling,
    /// The policies that select the container, the most specific first.
    policies: Arc<[Arc<RuntimePolicy>]>,
}

impl EffectivePolicy {
    /// What an engine may do.
    pub fn mode(&self, engine: EngineKind) -> Mode {
        match engine {
            EngineKind::Signatures => self.signatures,
            EngineKind::FileReputation => self.file_reputation,
            EngineKind::Profiling => self.profiling.mode,
        }
    }

    /// The response that is carried out for a finding in an event; `None` when the finding is dropped.
    ///
    /// An exclusion drops it; else a rule with `deny`, or `blockAll`, makes it kill; else it is as the finding asks;
    /// and nothing ever acts unless the engine's mode is `prevent`.
    pub fn decide(&self, finding: &Finding, event: &Event) -> Option<Response> {
        let engine = finding.engine;
        let mode = self.mode(engine);
        // What is disabled needs no look at exclusions.
        mode.limit(finding.response)?;
        let rule = &finding.rule;
        if self
            .policies
            .iter()
            .any(|policy| policy.exclusions.find(engine, rule, event).is_some())
        {
            return None;
        }
        let kills = match engine {
            EngineKind::Signatures => {
                self.block_all
                    || self
                        .policies
                        .iter()
                        .any(|policy| policy.rules.find(engine, rule, event).is_some())
            }
            // Their rules are a part of what these engines know: see `rules`.
            EngineKind::FileReputation | EngineKind::Profiling => false,
        };
        mode.limit(if kills { Response::Kill } else { finding.response })
    }

    /// The rules for an engine, those of the most specific policy first.
    pub fn rules(&self, engine: EngineKind) -> impl Iterator<Item = (&Entry, RuleAction)> {
        self.policies
            .iter()
            .flat_map(move |policy| policy.rules.of(engine).entries())
            .filter_map(|entry| Some((entry, entry.action()?)))
    }

    /// The policies that select the container, the most specific first.
    pub fn policies(&self) -> &[Arc<RuntimePolicy>] {
        &self.policies
    }
}

/// All policies of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicySet {
    pub(super) policies: Vec<Arc<RuntimePolicy>>,
}

impl PolicySet {
    /// These policies, and the default where they leave something open: signatures and file reputation in `prevent`,
    /// profiling in `detect`.
    ///
    /// Of equally specific policies the one whose name sorts first decides, so that the order in which they
    /// were read does not matter.
    pub fn new(policies: Vec<RuntimePolicy>) -> Self {
        let mut policies: Vec<Arc<RuntimePolicy>> = policies.into_iter().map(Arc::new).collect();
        policies.sort_by(|a, b| {
            b.selector
                .specificity()
                .cmp(&a.selector.specificity())
                .then_with(|| a.name.cmp(&b.name))
        });
        Self { policies }
    }

    /// What is in force for a container.
    pub fn effective(&self, container: &Container) -> EffectivePolicy {
        Self::join(
            self.policies
                .iter()
                .filter(|policy| policy.selector.refuses(container).is_none()),
        )
    }

    /// What is in force for processes of the host, which are in no container: what policies for everything say, but
    /// nothing ever acts there.
    pub fn effective_for_host(&self) -> EffectivePolicy {
        let policy = Self::join(
            self.policies
                .iter()
                .filter(|policy| policy.selector.is_everything()),
        );
        let detect = |mode: Mode| match mode {
            Mode::Prevent => Mode::Detect,
            other => other,
        };
        EffectivePolicy {
            signatures: detect(policy.signatures),
            file_reputation: detect(policy.file_reputation),
            profiling: Profiling {
                mode: Mode::Disabled,
                ..policy.profiling
            },
            ..policy
        }
    }

    fn join<'a>(selected: impl Iterator<Item = &'a Arc<RuntimePolicy>>) -> EffectivePolicy {
        let policies: Arc<[Arc<RuntimePolicy>]> = selected.map(Arc::clone).collect();
        let (signatures, block_all) = first(&policies, |policy| policy.engines.signatures.as_ref()).map_or(
            (Mode::Prevent, false),
            |(SignaturesSpec { mode, block_all }, _)| (*mode, *block_all),
        );
        let file_reputation = first(&policies, |policy| policy.engines.file_reputation.as_ref())
            .map_or(Mode::Prevent, |(spec, _)| spec.mode);
        let default = Profiling::default();
        let profiling = first(&policies, |policy| policy.engines.profiling.as_ref()).map_or(
            default,
            |(
                ProfilingSpec {
                    mode,
                    learning_period,
                    startup_window,
                },
                _,
            )| Profiling {
                mode: *mode,
                learning_period: learning_period.unwrap_or(default.learning_period),
                startup_window: startup_window.unwrap_or(default.startup_window),
            },
        );
        EffectivePolicy {
            signatures,
            block_all,
            file_reputation,
            profiling,
            policies,
        }
    }
}

/// What the first policy that says anything of it says, and its name.
pub(super) fn first<'a, T>(
    policies: &'a [Arc<RuntimePolicy>],
    of: impl Fn(&'a RuntimePolicy) -> Option<&'a T>,
) -> Option<(&'a T, &'a str)> {
    policies
        .iter()
        .find_map(|policy| of(policy).map(|spec| (spec, policy.name.as_str())))
}
