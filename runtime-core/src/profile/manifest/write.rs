//! Profiles as manifests.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    API_VERSION, Condition, ContainerImage, ContainerSpec, KIND, LearningStatus, ManifestText, Metadata,
    NetworkSpec, NodeStatus, ProcessSpec, ProfileSpec, ProfileStatus, RemovedSpec, RetiredSpec,
    RuntimeProfileManifest,
};
use crate::process::ProcessIdentity;
use crate::profile::entry::{Destination, EntryMeta, NetworkEntry, ProcessEntry, Source, parent_text};
use crate::profile::key::ImageSet;
use crate::profile::model::{Entries, Profile, Retired};
use crate::profile::status::{Phase, State};
use crate::time::Timestamp;

pub(super) fn manifest(profile: &Profile) -> RuntimeProfileManifest {
    let Profile {
        key,
        image_set,
        state,
        containers,
        user: _,
        retired,
    } = profile;
    let group = key.group();
    let status = ProfileStatus {
        retired: retired.iter().map(retired_spec).collect(),
        ..status(state)
    };
    RuntimeProfileManifest {
        api_version: API_VERSION.into(),
        kind: KIND.into(),
        metadata: Metadata {
            name: group.name.clone(),
            namespace: (!group.namespace.is_empty()).then(|| group.namespace.clone()),
        },
        spec: ProfileSpec {
            pod_group: group.clone(),
            image_set: images(image_set),
            containers: container_specs(containers, Some(profile)),
        },
        status: Some(status),
    }
}

fn images(set: &ImageSet) -> Vec<ContainerImage> {
    set.iter()
        .map(|(container, image)| ContainerImage {
            container: container.to_owned(),
            image: image.to_owned(),
        })
        .collect()
}

/// The containers' entries, with those of users where it is the present version.
fn container_specs(containers: &BTreeMap<String, Entries>, present: Option<&Profile>) -> Vec<ContainerSpec> {
    let mut names: BTreeSet<&String> = containers.keys().collect();
    if let Some(profile) = present {
        names.extend(profile.user.allowed.keys().chain(profile.user.removed.keys()));
    }
    let spec = |name: &String| {
        let mut spec = ContainerSpec {
            name: name.clone(),
            ..ContainerSpec::default()
        };
        let allowed = present.and_then(|profile| profile.user.allowed.get(name));
        for Entries { processes, network } in containers.get(name).into_iter().chain(allowed) {
            let processes = processes.iter().map(|(entry, meta)| process(entry, Some(meta)));
            spec.processes.extend(processes);
            let network = network.iter().map(|(entry, meta)| destination(entry, Some(meta)));
            spec.network.extend(network);
        }
        if let Some(removed) = present.and_then(|profile| profile.user.removed.get(name)) {
            spec.removed = RemovedSpec {
                processes: removed
                    .processes
                    .iter()
                    .map(|entry| process(entry, None))
                    .collect(),
                network: removed
                    .network
                    .iter()
                    .map(|entry| destination(entry, None))
                    .collect(),
            };
        }
        spec
    };
    names.into_iter().map(spec).collect()
}

fn process(entry: &ProcessEntry, meta: Option<&EntryMeta>) -> ProcessSpec {
    let ProcessIdentity {
        path,
        invoked_as,
        argv0,
        applet,
        script,
    } = entry.identity.clone();
    ProcessSpec {
        path: path.into(),
        invoked_as: invoked_as.map(ManifestText),
        argv0: argv0.map(ManifestText),
        applet: applet.map(ManifestText),
        script: script.map(ManifestText),
        parent_path: parent_text(&entry.parent).into(),
        source: meta.map_or(Source::User, |meta| meta.source),
        first_seen: first_seen(meta),
        nodes: nodes(meta),
    }
}

fn destination(entry: &NetworkEntry, meta: Option<&EntryMeta>) -> NetworkSpec {
    let (domain, address, port) = match &entry.destination {
        Destination::Domain { name, port } => (Some(name.clone().into()), None, *port),
        Destination::Address { network, port } => (None, Some(network.to_string()), *port),
    };
    NetworkSpec {
        domain,
        address,
        port,
        process_path: entry.process_path.clone().into(),
        source: meta.map_or(Source::User, |meta| meta.source),
        first_seen: first_seen(meta),
        nodes: nodes(meta),
    }
}

/// When the entry was first seen, where that is known: what people write has no time.
fn first_seen(meta: Option<&EntryMeta>) -> Option<Timestamp> {
    meta.map(|meta| meta.first_seen)
        .filter(|&time| time != Timestamp::default())
}

fn nodes(meta: Option<&EntryMeta>) -> Vec<String> {
    let nodes = meta.map(|meta| meta.nodes.as_slice()).unwrap_or_default();
    nodes.iter().map(ToString::to_string).collect()
}

fn retired_spec(retired: &Retired) -> RetiredSpec {
    let Retired {
        image_set,
        state,
        containers,
    } = retired;
    RetiredSpec {
        image_set: images(image_set),
        status: Box::new(status(state)),
        containers: container_specs(containers, None),
    }
}

fn status(state: &State) -> ProfileStatus {
    let State {
        phase,
        enabled,
        discovered,
        generation,
        window,
        startup_seen,
        empty,
        limit_reached,
        lost,
        extended,
        nodes,
        old_pods,
        seen,
    } = state;
    let nodes = nodes.iter().map(|(name, node)| NodeStatus {
        name: name.to_string(),
        until: node.progress.until,
        startup_seen: node.progress.startup_seen,
        lost: node.progress.lost,
        forgiven: node.forgiven,
        silent: node.silent,
    });
    let learning = LearningStatus {
        enabled: *enabled,
        discovered: *discovered,
        generation: *generation,
        startup_seen: *startup_seen,
        empty: *empty,
        limit_reached: *limit_reached,
        lost: *lost,
        extended: *extended,
        old_pods: *old_pods,
        length_nanos: window.map(|window| u64::try_from(window.length.as_nanos()).unwrap_or(u64::MAX)),
        finalizing_since: match phase {
            Phase::Finalizing { since } => Some(*since),
            _ => None,
        },
        seen: seen.map(|seen| seen.wall),
        seen_boot_nanos: seen.map_or(0, |seen| seen.boot.as_nanos()),
        nodes: nodes.collect(),
    };
    ProfileStatus {
        state: phase.name().into(),
        percent: phase.percent(),
        start_time: window.map(|window| window.start),
        end_time: window.map(|window| window.end),
        reason: match phase {
            Phase::Partial(reason) => Some(reason.name().into()),
            _ => None,
        },
        conditions: conditions(state),
        learning,
        retired: Vec::new(),
    }
}

/// What people should know beside the state.
fn conditions(state: &State) -> Vec<Condition> {
    let mut conditions = Vec::new();
    let mut add = |kind: &str, holds: bool, message: String| {
        conditions.push(Condition {
            kind: kind.into(),
            status: if holds { "True" } else { "False" }.into(),
            message,
        });
    };
    if let Phase::Partial(reason) = state.phase {
        add("Complete", false, format!("{reason}: {}", reason.remedy()));
    }
    if state.phase == (Phase::Completed { empty: true }) {
        add(
            "Empty",
            true,
            "Nothing was learned: everything is unexpected.".into(),
        );
    }
    let lost = state.lost_in_period();
    if lost > 0 {
        add(
            "EventsLost",
            true,
            format!("{lost} events were lost while learning."),
        );
    }
    if state.extended {
        add(
            "Extended",
            true,
            "The learning period was made longer once, because events were lost.".into(),
        );
    }
    let missing: Vec<&str> = state.missing_nodes().map(|node| &**node).collect();
    if !state.phase.learns() && !missing.is_empty() {
        let message = format!("Not all was heard from these nodes: {}.", missing.join(", "));
        add("NodesMissing", true, message);
    }
    conditions
}
