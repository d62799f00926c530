//! Containers, pods and pod groups, as far as a node knows them.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::{CgroupId, ContainerId, Pid, PodUid};
use crate::time::BootTime;

/// A container on this node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Container {
    /// The runtime's id.
    pub id: ContainerId,
    /// The cgroup that holds the container's processes.
    pub cgroup: CgroupId,
    /// The name in the pod's spec, or the runtime's name outside Kubernetes; `None` where unknown.
    pub name: Option<String>,
    /// The image reference as the runtime recorded it; `None` where unknown.
    pub image: Option<String>,
    /// The pod that the container belongs to; `None` outside Kubernetes or where unknown.
    pub pod: Option<PodRef>,
    /// The pod group that policies apply to; `None` outside Kubernetes or where unknown.
    pub pod_group: Option<PodGroup>,
    /// What kind of container it is.
    pub role: ContainerRole,
    /// True when the container was there before the sensor: its start was not seen.
    pub preexisting: bool,
    /// When the container's first program was executed, and by which process; `None` where that was not seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<ContainerStart>,
    /// The pod's labels, or the container's outside Kubernetes.
    pub labels: BTreeMap<String, String>,
}

impl Container {
    /// A container of which only id and cgroup are known.
    pub fn unknown(id: ContainerId, cgroup: CgroupId) -> Self {
        Self {
            id,
            cgroup,
            name: None,
            image: None,
            pod: None,
            pod_group: None,
            role: ContainerRole::Workload,
            preexisting: false,
            started: None,
            labels: BTreeMap::new(),
        }
    }
}

/// The start of a container, as it was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContainerStart {
    /// When the entrypoint was executed.
    pub time: BootTime,
    /// The process that executed it, by its id on the host.
    pub pid: Pid,
}

/// What a container is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ContainerRole {
    /// It runs a workload.
    Workload,
    /// It only holds the pod's namespaces (`pause`).
    Sandbox,
}

/// A pod, by its names and its UID.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PodRef {
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's name.
    pub name: String,
    /// The pod's UID.
    pub uid: PodUid,
}

/// All pods under the same highest owner; what policies and profiles apply to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PodGroup {
    /// The kind of the highest owner.
    pub kind: PodGroupKind,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl fmt::Display for PodGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.kind, self.namespace, self.name)
    }
}

/// The Kubernetes kind of a pod group's root, such as `Deployment`, or `Pod` for an independent pod.
///
/// Custom controllers are roots too, so this is an open set.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PodGroupKind(String);

impl PodGroupKind {
    /// From the kind's name, in Kubernetes' spelling.
    pub fn new(kind: impl Into<String>) -> Self {
        Self(kind.into())
    }

    /// The kind of an independent pod's own group.
    pub fn pod() -> Self {
        Self::new("Pod")
    }

    /// The kind's name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PodGroupKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
