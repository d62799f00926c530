use super::*;
use crate::container::{Container, PodGroup, PodGroupKind, PodRef};
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
            engines: EnginesSpec {
                signatures,
                ..EnginesSpec::default()
            },
            ..RuntimePolicySpec::default()
        },
    )
    .unwrap()
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
    assert_eq!(effective.signatures, Mode::Prevent);
    assert!(!effective.block_all);
    assert_eq!(effective.file_reputation, Mode::Prevent);
    assert_eq!(effective.profiling, Profiling::default());
    assert_eq!(effective.profiling.mode, Mode::Detect);
    assert_eq!(effective.profiling.learning_period.to_string(), "24h");
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
