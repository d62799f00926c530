//! Profiles as people and clusters see them: the manifest `RuntimeProfile`.
//!
//! [`RuntimeProfileManifest`] is the shape, for any format that serde knows. [`Profile`] becomes one with `From`, and
//! one becomes a [`Profile`] with `TryFrom`, which names the field that is wrong. What is written is read back as the
//! same profile, whatever bytes its paths hold.

mod parse;
mod text;
mod write;

use serde::{Deserialize, Serialize};

use super::entry::Source;
use super::model::Profile;
use crate::container::PodGroup;
use crate::time::Timestamp;

pub use parse::ManifestError;
pub use text::ManifestText;

/// The API version of the manifest.
pub const API_VERSION: &str = "podwarden.dev/v1alpha1";
/// The kind of the manifest.
pub const KIND: &str = "RuntimeProfile";

/// A `RuntimeProfile`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RuntimeProfileManifest {
    /// [`API_VERSION`].
    pub api_version: String,
    /// [`KIND`].
    pub kind: String,
    /// Its name.
    pub metadata: Metadata,
    /// What was learned, and what users say.
    pub spec: ProfileSpec,
    /// How far learning has come; what has none begins to learn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<ProfileStatus>,
}

/// What every object of Kubernetes has; of all that may be in it these two are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// The object's name.
    pub name: String,
    /// Its namespace; none outside Kubernetes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

/// What was learned of a pod group, and what users say of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProfileSpec {
    /// Whose profile it is.
    pub pod_group: PodGroup,
    /// The version.
    pub image_set: Vec<ContainerImage>,
    /// The entries, by container.
    #[serde(default)]
    pub containers: Vec<ContainerSpec>,
}

/// One part of an image set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ContainerImage {
    /// The container's name.
    pub container: String,
    /// Its image, as the pod's spec writes it.
    pub image: String,
}

/// The entries of one container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ContainerSpec {
    /// Its name; with `*` and `?` in it, only entries of users are taken.
    pub name: String,
    /// Processes.
    #[serde(default)]
    pub processes: Vec<ProcessSpec>,
    /// What they reach.
    #[serde(default)]
    pub network: Vec<NetworkSpec>,
    /// What a user removed.
    #[serde(default, skip_serializing_if = "RemovedSpec::is_empty")]
    pub removed: RemovedSpec,
}

/// Entries that a user removed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RemovedSpec {
    /// Processes.
    pub processes: Vec<ProcessSpec>,
    /// What they reach.
    pub network: Vec<NetworkSpec>,
}

impl RemovedSpec {
    fn is_empty(&self) -> bool {
        self.processes.is_empty() && self.network.is_empty()
    }
}

/// A process entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProcessSpec {
    /// The executable's path.
    pub path: ManifestText,
    /// The name that it was invoked by, where that is another program's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invoked_as: Option<ManifestText>,
    /// The base name of `argv[0]`, where that is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub argv0: Option<ManifestText>,
    /// The applet of a multi-call binary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applet: Option<ManifestText>,
    /// The script that an interpreter was started for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<ManifestText>,
    /// The parent's executable, `(runtime)` for a parent outside the container.
    pub parent_path: ManifestText,
    /// Where the entry comes from; a user's, where nothing is said.
    #[serde(default = "user")]
    pub source: Source,
    /// When it was first seen, or made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_seen: Option<Timestamp>,
    /// The nodes that saw it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<String>,
}

/// A network entry: either with a domain or with an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NetworkSpec {
    /// The name of the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<ManifestText>,
    /// The address, or a range of addresses, where no name is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The port: with an address the one that is allowed, and every one where it is missing. With a learned domain
    /// the one that was seen first, for the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// The path of the process that reaches it; `*` for every process.
    pub process_path: ManifestText,
    /// Where the entry comes from; a user's, where nothing is said.
    #[serde(default = "user")]
    pub source: Source,
    /// When it was first seen, or made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_seen: Option<Timestamp>,
    /// The nodes that saw it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<String>,
}

fn user() -> Source {
    Source::User
}

/// How far learning has come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProfileStatus {
    /// `InProgress`, `Finalizing`, `Partial`, `Completed` or `Disabled`.
    pub state: String,
    /// How much of the period is over, in percent.
    #[serde(default)]
    pub percent: Option<u8>,
    /// When the period began.
    #[serde(default)]
    pub start_time: Option<Timestamp>,
    /// When it ends, or ended.
    #[serde(default)]
    pub end_time: Option<Timestamp>,
    /// Why the profile is partial.
    #[serde(default)]
    pub reason: Option<String>,
    /// What people should know, and nothing that is read back.
    #[serde(default)]
    pub conditions: Vec<Condition>,
    /// What learning goes on with after a restart.
    #[serde(default)]
    pub learning: LearningStatus,
    /// Former versions that pods of a roll-out are still judged by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retired: Vec<RetiredSpec>,
}

/// Something that people should know of a profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What it is about, one word.
    #[serde(rename = "type")]
    pub kind: String,
    /// `True` or `False`.
    pub status: String,
    /// A sentence.
    #[serde(default)]
    pub message: String,
}

/// What learning goes on with.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, in any combination"
)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct LearningStatus {
    /// Whether profiling is on.
    pub enabled: bool,
    /// Whether a pod of the group was found.
    pub discovered: bool,
    /// How many times learning began from nothing.
    pub generation: u64,
    /// Whether a container was seen to start.
    pub startup_seen: bool,
    /// Whether nothing was learned.
    pub empty: bool,
    /// Whether there was no room for something.
    pub limit_reached: bool,
    /// How many events this node lost in the period.
    pub lost: u64,
    /// Whether the period was made longer because events were lost.
    pub extended: bool,
    /// Whether pods of a former image set still run.
    pub old_pods: bool,
    /// How long the period was to be in the first place, in nanoseconds.
    pub length_nanos: Option<u64>,
    /// Since when what is late is waited for.
    pub finalizing_since: Option<Timestamp>,
    /// When this was written, on the wall clock.
    pub seen: Option<Timestamp>,
    /// The same, in nanoseconds since the machine started.
    pub seen_boot_nanos: u64,
    /// Other nodes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<NodeStatus>,
}

impl Default for LearningStatus {
    /// Of a manifest that says nothing of it: profiling is on, and the group was found.
    fn default() -> Self {
        Self {
            enabled: true,
            discovered: true,
            generation: 1,
            startup_seen: false,
            empty: false,
            limit_reached: false,
            lost: 0,
            extended: false,
            old_pods: false,
            length_nanos: None,
            finalizing_since: None,
            seen: None,
            seen_boot_nanos: 0,
            nodes: Vec::new(),
        }
    }
}

/// What is known of another node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NodeStatus {
    /// Its name.
    pub name: String,
    /// Up to when everything that it learned is known.
    pub until: Timestamp,
    /// Whether it saw a container start.
    #[serde(default)]
    pub startup_seen: bool,
    /// How many events it lost since learning began.
    #[serde(default)]
    pub lost: u64,
    /// How many of these were before the period that counts.
    #[serde(default)]
    pub forgiven: u64,
    /// Whether nothing more is to be expected of it.
    #[serde(default)]
    pub silent: bool,
}

/// A former version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RetiredSpec {
    /// Which one.
    pub image_set: Vec<ContainerImage>,
    /// How far it had come.
    pub status: Box<ProfileStatus>,
    /// What was learned.
    pub containers: Vec<ContainerSpec>,
}

impl From<&Profile> for RuntimeProfileManifest {
    fn from(profile: &Profile) -> Self {
        write::manifest(profile)
    }
}

impl TryFrom<RuntimeProfileManifest> for Profile {
    type Error = ManifestError;

    fn try_from(manifest: RuntimeProfileManifest) -> Result<Self, ManifestError> {
        parse::profile(manifest)
    }
}

#[cfg(test)]
mod tests;
