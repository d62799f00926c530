//! All engines in a row, under the policies in force.

use std::collections::HashMap;

use runtime_core::policy::{EffectivePolicy, PolicySet};
use runtime_core::{ContainerId, EngineKind, Event, Finding, Needs, Verdict};

use crate::engine::Engine;

/// Turns events into verdicts: asks every engine and applies the policy of the event's container.
///
/// A container's effective policy is computed at its first finding and kept until
/// [`set_policies`](Self::set_policies) or [`forget`](Self::forget).
pub struct Pipeline {
    engines: Vec<Box<dyn Engine>>,
    policies: PolicySet,
    effective: HashMap<ContainerId, EffectivePolicy>,
    /// What is in force on the host itself, where there is no container to kill.
    host: EffectivePolicy,
    host_monitoring: bool,
}

impl Pipeline {
    /// These engines under these policies, for containers only.
    pub fn new(engines: Vec<Box<dyn Engine>>, policies: PolicySet) -> Self {
        Self {
            engines,
            host: policies.effective_for_host(),
            policies,
            effective: HashMap::new(),
            host_monitoring: false,
        }
    }

    /// Whether events of the host's own processes are judged as well. Their findings only ever alert.
    #[must_use]
    pub fn with_host_monitoring(mut self, on: bool) -> Self {
        self.host_monitoring = on;
        self
    }

    /// The verdict on one event; `None` when there is nothing to say, and then nothing was allocated.
    ///
    /// Containers of every role are judged, a pod's sandbox too: whatever runs in one is no less suspicious.
    pub fn judge(&mut self, event: &Event) -> Option<Verdict> {
        if event.container.is_none() && !self.host_monitoring {
            return None;
        }
        let mut findings = Vec::new();
        for engine in &mut self.engines {
            engine.judge(event, &mut findings);
        }
        if findings.is_empty() {
            return None;
        }
        let policy = self.policy_of(event);
        findings.retain_mut(|finding: &mut Finding| match policy.decide(finding, event) {
            Some(response) => {
                finding.response = response;
                true
            }
            None => false,
        });
        Verdict::merge(findings)
    }

    /// The events that any of its engines may find something in: what a sensor has to deliver.
    pub fn needs(&self) -> Needs {
        let mut needs = Needs::default();
        for engine in &self.engines {
            needs.join(engine.needs());
        }
        needs
    }

    /// Other policies from now on.
    pub fn set_policies(&mut self, policies: PolicySet) {
        self.host = policies.effective_for_host();
        self.policies = policies;
        self.effective.clear();
    }

    /// Drops what is kept of a container: call it when the container is gone, and when what is known of it
    /// (pod, group, labels) has changed.
    pub fn forget(&mut self, container: &ContainerId) {
        self.effective.remove(container);
    }

    /// Puts `engine` in the place of the one of the same kind, which is returned; adds it where there is none.
    pub fn replace_engine(&mut self, engine: Box<dyn Engine>) -> Option<Box<dyn Engine>> {
        let kind = engine.kind();
        if let Some(place) = self.engines.iter_mut().find(|engine| engine.kind() == kind) {
            return Some(std::mem::replace(place, engine));
        }
        self.engines.push(engine);
        None
    }

    /// The kinds of its engines, in the order in which they are asked.
    pub fn engine_kinds(&self) -> impl Iterator<Item = EngineKind> + '_ {
        self.engines.iter().map(|engine| engine.kind())
    }

    fn policy_of(&mut self, event: &Event) -> &EffectivePolicy {
        let Some(container) = event.container.as_deref() else {
            return &self.host;
        };
        // Looked up twice, so that the id is copied only once for each container.
        if !self.effective.contains_key(&container.id) {
            let policy = self.policies.effective(container);
            self.effective.insert(container.id.clone(), policy);
        }
        &self.effective[&container.id]
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use runtime_core::container::{Container, ContainerRole};
    use runtime_core::policy::{
        EnginesSpec, Mode, RuntimePolicy, RuntimePolicySpec, SelectorSpec, SignaturesSpec,
    };
    use runtime_core::{Response, RuleRef, Severity};

    use super::*;
    use crate::testing::{mk_container, mk_exec_event};

    /// Finds something in every event.
    struct Alarmist;

    impl Engine for Alarmist {
        fn kind(&self) -> EngineKind {
            EngineKind::Signatures
        }

        fn judge(&mut self, _event: &Event, findings: &mut Vec<Finding>) {
            let text = || "alarm".to_owned();
            let rule = RuleRef {
                id: text(),
                name: text(),
                title: text(),
                tags: Vec::new(),
            };
            findings.push(Finding {
                engine: EngineKind::Signatures,
                rule: Arc::new(rule),
                severity: Severity::High,
                response: Response::Kill,
                output: None,
            });
        }

        fn needs(&self) -> Needs {
            Needs::everything()
        }
    }

    fn mk_pipeline(policies: Vec<RuntimePolicy>) -> Pipeline {
        Pipeline::new(vec![Box::new(Alarmist)], PolicySet::new(policies))
    }

    fn mk_policy(mode: Mode, labels: &[(&str, &str)]) -> RuntimePolicy {
        let labels = labels
            .iter()
            .map(|&(k, v)| (k.to_owned(), v.to_owned()))
            .collect();
        let spec = RuntimePolicySpec {
            selector: SelectorSpec {
                labels,
                ..SelectorSpec::default()
            },
            engines: EnginesSpec {
                signatures: Some(SignaturesSpec {
                    mode,
                    block_all: false,
                }),
                ..EnginesSpec::default()
            },
            ..RuntimePolicySpec::default()
        };
        RuntimePolicy::new("p", spec).unwrap()
    }

    fn mk_event(container: Container) -> Event {
        Event {
            container: Some(Arc::new(container)),
            ..mk_exec_event("/bin/true", &["true"])
        }
    }

    fn response(pipeline: &mut Pipeline, event: &Event) -> Option<Response> {
        pipeline.judge(event).map(|verdict| verdict.response())
    }

    #[test]
    fn the_policy_limits_what_a_finding_may_do() {
        let event = mk_exec_event("/bin/true", &["true"]);
        let under = |mode| response(&mut mk_pipeline(vec![mk_policy(mode, &[])]), &event);
        assert_eq!(under(Mode::Prevent), Some(Response::Kill));
        assert_eq!(under(Mode::Detect), Some(Response::Alert));
        assert_eq!(under(Mode::Disabled), None);
    }

    #[test]
    fn a_new_policy_is_in_force_at_once() {
        let event = mk_exec_event("/bin/true", &["true"]);
        let mut pipeline = mk_pipeline(Vec::new());
        assert_eq!(response(&mut pipeline, &event), Some(Response::Kill));
        pipeline.set_policies(PolicySet::new(vec![mk_policy(Mode::Detect, &[])]));
        assert_eq!(response(&mut pipeline, &event), Some(Response::Alert));
    }

    #[test]
    fn what_is_known_of_a_container_is_kept_until_it_is_forgotten() {
        let mut pipeline = mk_pipeline(vec![mk_policy(Mode::Disabled, &[("quiet", "yes")])]);
        let loud = mk_event(mk_container("c1"));
        assert_eq!(response(&mut pipeline, &loud), Some(Response::Kill));
        let quiet = mk_event(Container {
            labels: [("quiet".to_owned(), "yes".to_owned())].into(),
            ..mk_container("c1")
        });
        assert_eq!(response(&mut pipeline, &quiet), Some(Response::Kill));
        pipeline.forget(&ContainerId::new("c1"));
        assert_eq!(response(&mut pipeline, &quiet), None);
    }

    #[test]
    fn the_host_is_left_alone_unless_asked_for_and_never_acted_on() {
        let event = Event {
            container: None,
            ..mk_exec_event("/bin/true", &["true"])
        };
        assert_eq!(response(&mut mk_pipeline(Vec::new()), &event), None);
        let mut watching = mk_pipeline(Vec::new()).with_host_monitoring(true);
        assert_eq!(response(&mut watching, &event), Some(Response::Alert));
    }

    #[test]
    fn sandboxes_are_judged() {
        let sandbox = mk_event(Container {
            role: ContainerRole::Sandbox,
            ..mk_container("pause")
        });
        assert_eq!(
            response(&mut mk_pipeline(Vec::new()), &sandbox),
            Some(Response::Kill)
        );
    }

    #[test]
    fn an_engine_is_replaced_by_kind() {
        let mut pipeline = Pipeline::new(Vec::new(), PolicySet::new(Vec::new()));
        assert!(pipeline.replace_engine(Box::new(Alarmist)).is_none());
        assert!(pipeline.replace_engine(Box::new(Alarmist)).is_some());
        assert_eq!(
            pipeline.engine_kinds().collect::<Vec<_>>(),
            [EngineKind::Signatures]
        );
    }
}
