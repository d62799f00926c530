//! Policies: which engine does what for which pod groups.
//!
//! [`RuntimePolicySpec`] is the shape that people write, in manifests and custom resources.
//! [`RuntimePolicy`] is the checked form, and [`PolicySet::effective`] the answer for one container.

use serde::{Deserialize, Serialize};

use crate::container::Container;
use crate::finding::{EngineKind, Response};
use crate::glob::Glob;

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

/// The `spec` of a RuntimePolicy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RuntimePolicySpec {
    /// Which containers it is for; all of them when nothing is said.
    pub selector: SelectorSpec,
    /// What the engines do there.
    pub engines: EnginesSpec,
}

/// Which containers a policy is for: all that every given part accepts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SelectorSpec {
    /// Namespaces, with `*` and `?`; all when empty.
    pub namespaces: Vec<String>,
    /// Namespaces that are left out even so.
    pub exclude_namespaces: Vec<String>,
    /// Pod groups; all when empty.
    pub pod_groups: Vec<PodGroupSelectorSpec>,
    /// Labels that the pod must have.
    pub labels: std::collections::BTreeMap<String, String>,
}

/// Pod groups by kind and name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PodGroupSelectorSpec {
    /// The kind of the group's root, such as `Deployment`; any when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The root's name, with `*` and `?`.
    pub name: String,
}

/// What a policy says of each engine; what it leaves open another policy, or the default, decides.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct EnginesSpec {
    /// The signatures engine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signatures: Option<SignaturesSpec>,
}

/// What a policy says of the signatures engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignaturesSpec {
    /// What the engine may do.
    pub mode: Mode,
    /// In `prevent`: every signature kills, whatever response it asks for.
    #[serde(default)]
    pub block_all: bool,
}

/// A checked policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimePolicy {
    name: String,
    selector: Selector,
    engines: EnginesSpec,
}

impl RuntimePolicy {
    /// The policy of this name with what a person wrote.
    pub fn new(name: impl Into<String>, spec: RuntimePolicySpec) -> Self {
        let RuntimePolicySpec { selector, engines } = spec;
        Self {
            name: name.into(),
            selector: Selector::from(selector),
            engines,
        }
    }

    /// The policy that is in force when nobody wrote one: signatures in `prevent` for every pod group.
    pub fn default_policy() -> Self {
        let signatures = SignaturesSpec {
            mode: Mode::Prevent,
            block_all: false,
        };
        Self {
            name: "default".into(),
            selector: Selector::from(SelectorSpec::default()),
            engines: EnginesSpec {
                signatures: Some(signatures),
            },
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// A selector ready to match.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Selector {
    namespaces: Vec<Glob>,
    exclude_namespaces: Vec<Glob>,
    pod_groups: Vec<(Option<String>, Glob)>,
    labels: Vec<(String, String)>,
}

impl From<SelectorSpec> for Selector {
    fn from(spec: SelectorSpec) -> Self {
        let SelectorSpec {
            namespaces,
            exclude_namespaces,
            pod_groups,
            labels,
        } = spec;
        let globs = |list: Vec<String>| list.iter().map(|text| Glob::new(text)).collect::<Vec<_>>();
        Self {
            namespaces: globs(namespaces),
            exclude_namespaces: globs(exclude_namespaces),
            pod_groups: pod_groups
                .into_iter()
                .map(|group| (group.kind, Glob::new(&group.name)))
                .collect(),
            labels: labels.into_iter().collect(),
        }
    }
}

impl Selector {
    fn selects(&self, container: &Container) -> bool {
        let Self {
            namespaces,
            exclude_namespaces,
            pod_groups,
            labels,
        } = self;
        let namespace = container.pod.as_ref().map_or("", |pod| pod.namespace.as_str());
        let named = |globs: &[Glob]| globs.iter().any(|glob| glob.matches(namespace.as_bytes()));
        let group_selected = pod_groups.is_empty()
            || container.pod_group.as_ref().is_some_and(|group| {
                pod_groups.iter().any(|(kind, name)| {
                    kind.as_ref().is_none_or(|kind| kind == group.kind.as_str())
                        && name.matches(group.name.as_bytes())
                })
            });
        (namespaces.is_empty() || named(namespaces))
            && !named(exclude_namespaces)
            && group_selected
            && labels
                .iter()
                .all(|(key, value)| container.labels.get(key) == Some(value))
    }

    /// How narrow it is; of two policies the narrower one decides a mode.
    fn specificity(&self) -> u8 {
        let all_namespaces = self.namespaces.is_empty() || self.namespaces.iter().any(Glob::is_any);
        u8::from(!self.pod_groups.is_empty()) * 4
            + u8::from(!self.labels.is_empty()) * 2
            + u8::from(!all_namespaces)
    }
}

/// What is in force for one container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EffectivePolicy {
    /// The signatures engine's mode.
    pub signatures: Mode,
    /// Every signature kills.
    pub block_all: bool,
}

impl EffectivePolicy {
    /// The response that is carried out when `engine` asks for `asked`; `None` when the finding is dropped.
    pub fn apply(&self, engine: EngineKind, asked: Response) -> Option<Response> {
        match engine {
            EngineKind::Signatures => {
                self.signatures
                    .limit(if self.block_all { Response::Kill } else { asked })
            }
            // No policy says anything of the other engines yet, and none may act without one.
            EngineKind::FileReputation | EngineKind::Profiling => Some(Response::Alert),
        }
    }
}

/// All policies of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicySet {
    policies: Vec<RuntimePolicy>,
}

impl PolicySet {
    /// These policies, and the default one where they leave something open.
    ///
    /// Of equally specific policies the one whose name sorts first decides, so that the order in which they
    /// were read does not matter.
    pub fn new(mut policies: Vec<RuntimePolicy>) -> Self {
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
        self.policies
            .iter()
            .filter(|policy| policy.selector.selects(container))
            .find_map(|policy| policy.engines.signatures.as_ref())
            .map_or(
                EffectivePolicy {
                    signatures: Mode::Prevent,
                    block_all: false,
                },
                |signatures| EffectivePolicy {
                    signatures: signatures.mode,
                    block_all: signatures.block_all,
                },
            )
    }
}

/// A list of rules in the rule language, and where it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleSource {
    /// The file, or the object, that it comes from.
    pub origin: String,
    /// The YAML text: a list of rules, macros and lists.
    pub text: String,
    /// The line of `origin` that the text's first line is at, from 1.
    pub first_line: usize,
}

/// Everything that a policy source holds at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PolicySnapshot {
    /// The policies.
    pub policies: Vec<RuntimePolicy>,
    /// The rules, in the order in which they are to be read.
    pub rules: Vec<RuleSource>,
    /// What was refused, each with the place and the reason.
    pub problems: Vec<Problem>,
}

/// Something that was refused, in words for the person who wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{origin}{}: {message}", self.line.map(|line| format!(":{line}")).unwrap_or_default())]
pub struct Problem {
    /// The file, or the object.
    pub origin: String,
    /// The line in it, from 1.
    pub line: Option<usize>,
    /// What is wrong, naming the field.
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::{PodGroup, PodGroupKind, PodRef};
    use crate::id::{CgroupId, ContainerId, PodUid};

    fn mk_container(namespace: &str, deployment: &str) -> Container {
        Container {
            pod: Some(PodRef {
                namespace: namespace.into(),
                name: format!("{deployment}-0"),
                uid: PodUid::new("u"),
            }),
            pod_group: Some(PodGroup {
                kind: PodGroupKind::new("Deployment"),
                namespace: namespace.into(),
                name: deployment.into(),
            }),
            labels: [("tier".to_owned(), "front".to_owned())].into(),
            ..Container::unknown(ContainerId::new("c"), CgroupId(1))
        }
    }

    fn mk_policy(name: &str, mode: Mode, selector: SelectorSpec) -> RuntimePolicy {
        let signatures = Some(SignaturesSpec {
            mode,
            block_all: false,
        });
        RuntimePolicy::new(
            name,
            RuntimePolicySpec {
                selector,
                engines: EnginesSpec { signatures },
            },
        )
    }

    fn in_namespace(glob: &str) -> SelectorSpec {
        SelectorSpec {
            namespaces: vec![glob.into()],
            ..SelectorSpec::default()
        }
    }

    fn for_group(kind: &str, name: &str) -> SelectorSpec {
        let group = PodGroupSelectorSpec {
            kind: Some(kind.into()),
            name: name.into(),
        };
        SelectorSpec {
            pod_groups: vec![group],
            ..SelectorSpec::default()
        }
    }

    #[test]
    fn nobody_wrote_a_policy() {
        let effective = PolicySet::new(Vec::new()).effective(&mk_container("shop", "web"));
        assert_eq!(
            effective,
            EffectivePolicy {
                signatures: Mode::Prevent,
                block_all: false
            }
        );
    }

    #[test]
    fn the_most_specific_policy_decides() {
        let set = PolicySet::new(vec![
            mk_policy("a-all", Mode::Prevent, SelectorSpec::default()),
            mk_policy("b-shop", Mode::Detect, in_namespace("sh*")),
            mk_policy("c-web", Mode::Disabled, for_group("Deployment", "web-*")),
        ]);
        let mode = |namespace, name| set.effective(&mk_container(namespace, name)).signatures;
        assert_eq!(mode("other", "db"), Mode::Prevent);
        assert_eq!(mode("shop", "db"), Mode::Detect);
        assert_eq!(mode("shop", "web-1"), Mode::Disabled);
    }

    #[test]
    fn excluded_namespaces_and_labels() {
        let selector = SelectorSpec {
            exclude_namespaces: vec!["kube-*".into()],
            ..in_namespace("*")
        };
        let labelled = SelectorSpec {
            labels: [("tier".to_owned(), "back".to_owned())].into(),
            ..SelectorSpec::default()
        };
        let set = PolicySet::new(vec![
            mk_policy("no-system", Mode::Detect, selector),
            mk_policy("back-only", Mode::Disabled, labelled),
        ]);
        assert_eq!(
            set.effective(&mk_container("shop", "web")).signatures,
            Mode::Detect
        );
        assert_eq!(
            set.effective(&mk_container("kube-system", "dns")).signatures,
            Mode::Prevent
        );
    }

    #[test]
    fn detect_never_acts_and_block_all_always_kills() {
        let detect = EffectivePolicy {
            signatures: Mode::Detect,
            block_all: true,
        };
        assert_eq!(
            detect.apply(EngineKind::Signatures, Response::Kill),
            Some(Response::Alert)
        );
        let block = EffectivePolicy {
            signatures: Mode::Prevent,
            block_all: true,
        };
        assert_eq!(
            block.apply(EngineKind::Signatures, Response::Alert),
            Some(Response::Kill)
        );
        let off = EffectivePolicy {
            signatures: Mode::Disabled,
            block_all: true,
        };
        assert_eq!(off.apply(EngineKind::Signatures, Response::Kill), None);
    }
}
