//! What runtimes write about a container into its OCI bundle and their own records.
//!
//! | who | names | known from |
//! | --- | --- | --- |
//! | containerd (CRI) | `io.kubernetes.cri.*` | its `pkg/cri/annotations`; `sandbox-uid` since 1.6.11 |
//! | CRI-O | `io.kubernetes.cri-o.*`, and kubelet's labels `io.kubernetes.{container.name,pod.*}` as annotations | its `pkg/annotations` |
//! | podman | CRI-O's names for pods of `podman kube play`; name and image in its storage's `containers.json` | libpod's `pkg/annotations` |
//! | Docker | nothing in the bundle; `config.v2.json`, with dockershim's and cri-dockerd's labels `io.kubernetes.*` | its `container/container.go` |

use std::borrow::Cow;
use std::collections::BTreeMap;

use runtime_core::container::ContainerRole;
use runtime_core::{CgroupId, Container, ContainerId, PodGroup, PodGroupKind, PodRef, PodUid};
use serde::Deserialize;

/// What is known of a container beside its id; each part may be missing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContainerMetadata {
    /// The name in the pod's spec, or the runtime's name outside Kubernetes.
    pub name: Option<String>,
    /// The image reference.
    pub image: Option<String>,
    /// The pod's namespace.
    pub pod_namespace: Option<String>,
    /// The pod's name.
    pub pod_name: Option<String>,
    /// The pod's UID.
    pub pod_uid: Option<PodUid>,
    /// The sandbox that the container is in.
    pub sandbox: Option<ContainerId>,
    /// Sandbox or workload, where the runtime says it.
    pub role: Option<ContainerRole>,
    /// The pod's labels, or the container's outside Kubernetes.
    pub labels: BTreeMap<String, String>,
}

impl ContainerMetadata {
    /// Reads the annotations of an OCI bundle.
    pub fn from_annotations(annotations: &BTreeMap<String, String>) -> Self {
        let text = |keys: &[&str]| {
            let mut values = keys.iter().filter_map(|key| annotations.get(*key));
            values.find(|value| !value.is_empty()).cloned()
        };
        let kind = text(&[
            "io.kubernetes.cri.container-type",
            "io.kubernetes.cri-o.ContainerType",
        ]);
        let labels = annotations
            .get("io.kubernetes.cri-o.Labels")
            .and_then(|json| serde_json::from_str::<BTreeMap<String, String>>(json).ok());
        let role = kind.as_deref().and_then(role);
        Self {
            name: text(&["io.kubernetes.cri.container-name", "io.kubernetes.container.name"]),
            image: text(&[
                "io.kubernetes.cri.image-name",
                "io.kubernetes.cri.podsandbox.image-name",
                "io.kubernetes.cri-o.ImageName",
                "io.kubernetes.cri-o.Image",
                "io.kubernetes.cri-o.ImageRef",
            ]),
            pod_namespace: text(&[
                "io.kubernetes.cri.sandbox-namespace",
                "io.kubernetes.pod.namespace",
                "io.kubernetes.cri-o.Namespace",
            ]),
            pod_name: text(&[
                "io.kubernetes.cri.sandbox-name",
                "io.kubernetes.pod.name",
                "io.kubernetes.cri-o.KubeName",
            ]),
            pod_uid: text(&["io.kubernetes.cri.sandbox-uid", "io.kubernetes.pod.uid"]).map(PodUid::new),
            sandbox: text(&["io.kubernetes.cri.sandbox-id", "io.kubernetes.cri-o.SandboxID"])
                .map(ContainerId::new),
            role,
            labels: match role {
                // Those of a container are kubelet's own; the pod's stand at the sandbox alone.
                Some(ContainerRole::Workload) => BTreeMap::new(),
                _ => without_kubelets(labels.unwrap_or_default()),
            },
        }
    }

    /// Reads Docker's `config.v2.json`.
    pub(crate) fn from_docker(json: &[u8]) -> Option<Self> {
        let DockerConfig { name, config } = serde_json::from_slice(json).ok()?;
        let labels = config.labels.unwrap_or_default();
        let text = |key: &str| labels.get(key).filter(|value| !value.is_empty()).cloned();
        let own_name = name.trim_start_matches('/').to_owned();
        Some(Self {
            name: text("io.kubernetes.container.name").or(Some(own_name).filter(|name| !name.is_empty())),
            image: Some(config.image).filter(|image| !image.is_empty()),
            pod_namespace: text("io.kubernetes.pod.namespace"),
            pod_name: text("io.kubernetes.pod.name"),
            pod_uid: text("io.kubernetes.pod.uid").map(PodUid::new),
            sandbox: text("io.kubernetes.sandbox.id").map(ContainerId::new),
            role: text("io.kubernetes.docker.type").and_then(|kind| role(&kind)),
            labels: without_kubelets(labels),
        })
    }

    /// Reads the entry of one container in the `containers.json` of containers/storage.
    pub(crate) fn from_storage(json: &[u8], id: &str) -> Option<Self> {
        let entries: Vec<StorageEntry<'_>> = serde_json::from_slice(json).ok()?;
        let entry = entries.into_iter().find(|entry| entry.id == id)?;
        let names: StorageNames = serde_json::from_str(&entry.metadata).ok()?;
        let some = |text: String| Some(text).filter(|text| !text.is_empty());
        Some(Self {
            name: some(names.name),
            image: some(names.image_name),
            ..Self::default()
        })
    }

    /// Takes over from `other` what is not known here.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            name: self.name.or(other.name),
            image: self.image.or(other.image),
            pod_namespace: self.pod_namespace.or(other.pod_namespace),
            pod_name: self.pod_name.or(other.pod_name),
            pod_uid: self.pod_uid.or(other.pod_uid),
            sandbox: self.sandbox.or(other.sandbox),
            role: self.role.or(other.role),
            labels: if self.labels.is_empty() {
                other.labels
            } else {
                self.labels
            },
        }
    }

    /// The container with this metadata. `sandbox` gives what the runtime wrote down only there.
    pub(crate) fn into_container(
        self,
        id: ContainerId,
        cgroup: CgroupId,
        preexisting: bool,
        sandbox: Option<&Container>,
    ) -> Container {
        let pod = match (&self.pod_namespace, &self.pod_name, self.pod_uid) {
            (Some(namespace), Some(name), Some(uid)) => Some(PodRef {
                namespace: namespace.clone(),
                name: name.clone(),
                uid,
            }),
            _ => None,
        };
        let pod_group = self
            .pod_namespace
            .zip(self.pod_name)
            .map(|(namespace, name)| PodGroup {
                kind: PodGroupKind::pod(),
                namespace,
                name,
            });
        let mut labels = self.labels;
        if let Some(sandbox) = sandbox.filter(|_| labels.is_empty()) {
            labels.clone_from(&sandbox.labels);
        }
        Container {
            id,
            cgroup,
            name: self.name,
            image: self.image,
            pod,
            pod_group,
            role: self.role.unwrap_or(ContainerRole::Workload),
            preexisting,
            started: None,
            labels,
        }
    }
}

fn role(kind: &str) -> Option<ContainerRole> {
    match kind {
        "sandbox" | "podsandbox" => Some(ContainerRole::Sandbox),
        "container" => Some(ContainerRole::Workload),
        _ => None,
    }
}

/// Kubelet adds labels of its own to those of the pod, all under one prefix.
fn without_kubelets(mut labels: BTreeMap<String, String>) -> BTreeMap<String, String> {
    labels
        .retain(|key, _| !key.starts_with("io.kubernetes.") && !key.starts_with("annotation.io.kubernetes."));
    labels
}

#[derive(Deserialize)]
struct DockerConfig {
    #[serde(rename = "Name", default)]
    name: String,
    #[serde(rename = "Config")]
    config: DockerInner,
}

#[derive(Deserialize)]
struct DockerInner {
    #[serde(rename = "Image", default)]
    image: String,
    #[serde(rename = "Labels", default)]
    labels: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct StorageEntry<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow, default)]
    metadata: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct StorageNames {
    #[serde(default)]
    name: String,
    #[serde(default)]
    image_name: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn annotations(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|&(key, value)| (key.to_owned(), value.to_owned()))
            .collect()
    }

    fn container(metadata: ContainerMetadata) -> Container {
        metadata.into_container(ContainerId::new("c"), CgroupId(1), false, None)
    }

    #[test]
    fn containerds_annotations_name_pod_container_and_image() {
        let found = container(ContainerMetadata::from_annotations(&annotations(&[
            ("io.kubernetes.cri.container-type", "container"),
            ("io.kubernetes.cri.container-name", "coredns"),
            (
                "io.kubernetes.cri.image-name",
                "registry.k8s.io/coredns/coredns:v1.8.6",
            ),
            ("io.kubernetes.cri.sandbox-id", "2f8c"),
            ("io.kubernetes.cri.sandbox-name", "coredns-6d4b"),
            ("io.kubernetes.cri.sandbox-namespace", "kube-system"),
            ("io.kubernetes.cri.sandbox-uid", "01b4b887"),
        ])));
        let expected = Container {
            name: Some("coredns".into()),
            image: Some("registry.k8s.io/coredns/coredns:v1.8.6".into()),
            pod: Some(PodRef {
                namespace: "kube-system".into(),
                name: "coredns-6d4b".into(),
                uid: PodUid::new("01b4b887"),
            }),
            pod_group: Some(PodGroup {
                kind: PodGroupKind::pod(),
                namespace: "kube-system".into(),
                name: "coredns-6d4b".into(),
            }),
            ..Container::unknown(ContainerId::new("c"), CgroupId(1))
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn crios_sandbox_has_the_pods_labels_and_gives_them_to_its_containers() {
        let pod = [
            ("io.kubernetes.pod.name", "segfaulter"),
            ("io.kubernetes.pod.namespace", "default"),
            ("io.kubernetes.pod.uid", "aaaa2b4a"),
            ("io.kubernetes.cri-o.SandboxID", "134b"),
        ];
        let mut sandbox = annotations(&pod);
        sandbox.extend(annotations(&[
            ("io.kubernetes.cri-o.ContainerType", "sandbox"),
            ("io.kubernetes.container.name", "POD"),
            ("io.kubernetes.cri-o.Image", "registry.k8s.io/pause:3.5"),
            (
                "io.kubernetes.cri-o.Labels",
                r#"{"io.kubernetes.pod.name":"segfaulter","run":"segfaulter"}"#,
            ),
        ]));
        let sandbox = container(ContainerMetadata::from_annotations(&sandbox));
        assert_eq!(sandbox.role, ContainerRole::Sandbox);
        assert_eq!(sandbox.labels, annotations(&[("run", "segfaulter")]));

        let mut workload = annotations(&pod);
        workload.extend(annotations(&[
            ("io.kubernetes.cri-o.ContainerType", "container"),
            ("io.kubernetes.container.name", "app"),
            ("io.kubernetes.cri-o.Image", "0123abcd"),
            ("io.kubernetes.cri-o.ImageName", "quay.io/app:1"),
            (
                "io.kubernetes.cri-o.Labels",
                r#"{"io.kubernetes.container.name":"app"}"#,
            ),
        ]));
        let workload = ContainerMetadata::from_annotations(&workload).into_container(
            ContainerId::new("w"),
            CgroupId(2),
            false,
            Some(&sandbox),
        );
        assert_eq!(workload.role, ContainerRole::Workload);
        assert_eq!(workload.name.as_deref(), Some("app"));
        assert_eq!(workload.image.as_deref(), Some("quay.io/app:1"));
        assert_eq!(workload.labels, sandbox.labels);
        assert_eq!(workload.pod, sandbox.pod);
    }

    #[test]
    fn dockers_own_record_is_read() {
        let json = br#"{"ID":"c","Name":"/web","Image":"sha256:1","Config":{"Image":"nginx:1.27",
            "Labels":{"tier":"front","io.kubernetes.docker.type":"container"}}}"#;
        let found = container(ContainerMetadata::from_docker(json).unwrap());
        assert_eq!(
            (found.name.as_deref(), found.image.as_deref()),
            (Some("web"), Some("nginx:1.27"))
        );
        assert_eq!(found.labels, annotations(&[("tier", "front")]));
        assert_eq!((found.pod, found.pod_group), (None, None));
        let no_labels = br#"{"Name":"/web","Config":{"Labels":null}}"#;
        assert_eq!(ContainerMetadata::from_docker(no_labels).unwrap().image, None);
    }

    #[test]
    fn podmans_storage_names_container_and_image() {
        let json = br#"[{"id":"x","metadata":"not json"},
            {"id":"c","names":["web"],"metadata":"{\"image-name\":\"docker.io/library/nginx:1\",\"name\":\"web\"}"}]"#;
        let found = ContainerMetadata::from_storage(json, "c").unwrap();
        assert_eq!(
            (found.name.as_deref(), found.image.as_deref()),
            (Some("web"), Some("docker.io/library/nginx:1"))
        );
        assert_eq!(ContainerMetadata::from_storage(json, "x"), None);
        assert_eq!(ContainerMetadata::from_storage(json, "missing"), None);
    }

    #[test]
    fn a_pod_is_never_half_made_up() {
        let found = container(ContainerMetadata::from_annotations(&annotations(&[
            ("io.kubernetes.cri.sandbox-name", "web"),
            ("io.kubernetes.cri.sandbox-namespace", "shop"),
            ("io.kubernetes.cri.container-name", ""),
        ])));
        assert_eq!((found.pod, found.name), (None, None));
        assert_eq!(found.pod_group.unwrap().to_string(), "Pod/shop/web");
    }
}
