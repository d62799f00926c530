//! Which containers a policy is for.

use super::spec::SelectorSpec;
use crate::container::Container;
use crate::glob::Glob;

/// A selector ready to match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Selector {
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
    /// The part that does not accept a container, as its key in the manifest; `None` when all do.
    pub(super) fn refuses(&self, container: &Container) -> Option<&'static str> {
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
        if !namespaces.is_empty() && !named(namespaces) {
            Some("namespaces")
        } else if named(exclude_namespaces) {
            Some("excludeNamespaces")
        } else if !group_selected {
            Some("podGroups")
        } else if labels
            .iter()
            .any(|(key, value)| container.labels.get(key) != Some(value))
        {
            Some("labels")
        } else {
            None
        }
    }

    /// Whether it accepts everything, the host itself too.
    pub(super) fn is_everything(&self) -> bool {
        self.specificity() == 0 && self.exclude_namespaces.is_empty()
    }

    /// How narrow it is; of two policies the narrower one decides a mode.
    pub(super) fn specificity(&self) -> u8 {
        let all_namespaces = self.namespaces.is_empty() || self.namespaces.iter().any(Glob::is_any);
        u8::from(!self.pod_groups.is_empty()) * 4
            + u8::from(!self.labels.is_empty()) * 2
            + u8::from(!all_namespaces)
    }
}
