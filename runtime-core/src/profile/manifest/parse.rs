//! Manifests as profiles.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Duration;

use super::{
    API_VERSION, ContainerImage, ContainerSpec, KIND, LearningStatus, ManifestText, NetworkSpec, ProcessSpec,
    ProfileSpec, ProfileStatus, RetiredSpec, RuntimeProfileManifest,
};
use crate::event::DomainName;
use crate::process::ProcessIdentity;
use crate::profile::entry::{
    Cidr, Destination, EntryMeta, MAX_ENTRY_NODES, NetworkEntry, ProcessEntry, Source, parent_from_text,
};
use crate::profile::key::{ImageSet, ProfileKey};
use crate::profile::model::{Entries, Profile, Retired, UserEntries};
use crate::profile::status::{NodeProgress, NodeState, Now, Phase, Reason, State, Window};
use crate::raw::RawString;
use crate::time::BootTime;

/// What is wrong in a manifest, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct ManifestError {
    /// The field, as in `spec.containers[0].network[2].address`.
    pub field: String,
    /// What is wrong with it.
    pub problem: String,
}

fn wrong<T>(field: impl Display, problem: impl Display) -> Result<T, ManifestError> {
    Err(ManifestError {
        field: field.to_string(),
        // The text may quote the file.
        problem: RawString::from(problem.to_string()).to_string(),
    })
}

pub(super) fn profile(manifest: RuntimeProfileManifest) -> Result<Profile, ManifestError> {
    let RuntimeProfileManifest {
        api_version,
        kind,
        metadata: _,
        spec,
        status,
    } = manifest;
    if api_version != API_VERSION {
        return wrong(
            "apiVersion",
            format_args!("it is {api_version:?}, not {API_VERSION}"),
        );
    }
    if kind != KIND {
        return wrong("kind", format_args!("it is {kind:?}, not {KIND}"));
    }
    let ProfileSpec {
        pod_group,
        image_set: images,
        containers: specs,
    } = spec;
    if pod_group.name.is_empty() {
        return wrong("spec.podGroup.name", "it is empty");
    }
    let mut user = UserEntries::default();
    let containers = containers("spec.containers", specs, Some(&mut user))?;
    let mut profile = Profile {
        containers,
        user,
        ..Profile::new(ProfileKey::new(pod_group), image_set("spec.imageSet", images)?)
    };
    if let Some(mut status) = status {
        let retired = std::mem::take(&mut status.retired);
        profile.state = state("status", status)?;
        for (place, spec) in retired.into_iter().enumerate() {
            profile
                .retired
                .push(self::retired(&format!("status.retired[{place}]"), spec)?);
        }
    }
    Ok(profile)
}

fn image_set(field: &str, images: Vec<ContainerImage>) -> Result<ImageSet, ManifestError> {
    let mut set = BTreeMap::new();
    for (place, ContainerImage { container, image }) in images.into_iter().enumerate() {
        if container.is_empty() {
            return wrong(format_args!("{field}[{place}].container"), "it is empty");
        }
        if set.insert(container, image).is_some() {
            return wrong(format_args!("{field}[{place}].container"), "it is there twice");
        }
    }
    Ok(ImageSet::new(set))
}

fn retired(field: &str, spec: RetiredSpec) -> Result<Retired, ManifestError> {
    let RetiredSpec {
        image_set: images,
        status,
        containers: specs,
    } = spec;
    Ok(Retired {
        image_set: image_set(&format!("{field}.imageSet"), images)?,
        state: state(&format!("{field}.status"), *status)?,
        containers: containers(&format!("{field}.containers"), specs, None)?,
    })
}

fn containers(
    field: &str,
    specs: Vec<ContainerSpec>,
    mut user: Option<&mut UserEntries>,
) -> Result<BTreeMap<String, Entries>, ManifestError> {
    let mut learned: BTreeMap<String, Entries> = BTreeMap::new();
    for (place, spec) in specs.into_iter().enumerate() {
        let field = format!("{field}[{place}]");
        let ContainerSpec {
            name,
            processes,
            network,
            removed,
        } = spec;
        if name.is_empty() {
            return wrong(format_args!("{field}.name"), "it is empty");
        }
        let mut ours = Entries::default();
        let mut users = Entries::default();
        for (place, spec) in processes.into_iter().enumerate() {
            let (entry, meta) = process(&format!("{field}.processes[{place}]"), spec)?;
            let entries = if meta.source == Source::User {
                &mut users
            } else {
                &mut ours
            };
            entries.processes.insert(entry, meta);
        }
        for (place, spec) in network.into_iter().enumerate() {
            let (entry, meta) = destination(&format!("{field}.network[{place}]"), spec)?;
            let entries = if meta.source == Source::User {
                &mut users
            } else {
                &mut ours
            };
            entries.network.insert(entry, meta);
        }
        if !ours.is_empty() {
            if name.contains(['*', '?']) {
                return wrong(
                    format_args!("{field}.name"),
                    "it is a pattern, and learned entries are of one container",
                );
            }
            if learned.insert(name.clone(), ours).is_some() {
                return wrong(format_args!("{field}.name"), "it is there twice");
            }
        }
        let Some(user) = user.as_deref_mut() else { continue };
        if !users.is_empty() {
            let entries = user.allowed.entry(name.clone()).or_default();
            entries.processes.extend(users.processes);
            entries.network.extend(users.network);
        }
        for (place, spec) in removed.processes.into_iter().enumerate() {
            let (entry, _) = process(&format!("{field}.removed.processes[{place}]"), spec)?;
            user.remove_process(&name, entry);
        }
        for (place, spec) in removed.network.into_iter().enumerate() {
            let (entry, _) = destination(&format!("{field}.removed.network[{place}]"), spec)?;
            user.remove_network(&name, entry);
        }
    }
    Ok(learned)
}

fn process(field: &str, spec: ProcessSpec) -> Result<(ProcessEntry, EntryMeta), ManifestError> {
    let ProcessSpec {
        path: ManifestText(path),
        invoked_as,
        argv0,
        applet,
        script,
        parent_path: ManifestText(parent),
        source,
        first_seen,
        nodes,
    } = spec;
    if path.is_empty() {
        return wrong(format_args!("{field}.path"), "it is empty");
    }
    if parent.is_empty() {
        return wrong(
            format_args!("{field}.parentPath"),
            "it is empty; \"(runtime)\" is a parent outside the container, \"*\" every parent",
        );
    }
    let plain = |text: Option<ManifestText>| text.map(|ManifestText(text)| text);
    let identity = ProcessIdentity {
        path,
        invoked_as: plain(invoked_as),
        argv0: plain(argv0),
        applet: plain(applet),
        script: plain(script),
    };
    let entry = ProcessEntry {
        identity,
        parent: parent_from_text(parent),
    };
    Ok((entry, meta(source, first_seen, nodes)))
}

fn destination(field: &str, spec: NetworkSpec) -> Result<(NetworkEntry, EntryMeta), ManifestError> {
    let NetworkSpec {
        domain,
        address,
        port,
        process_path: ManifestText(process_path),
        source,
        first_seen,
        nodes,
    } = spec;
    if process_path.is_empty() {
        return wrong(
            format_args!("{field}.processPath"),
            "it is empty; \"*\" is every process",
        );
    }
    let destination = match (domain, address) {
        (Some(ManifestText(name)), None) => Destination::Domain {
            name: domain_text(field, &name, source)?,
            port,
        },
        (None, Some(address)) => match address.parse::<Cidr>() {
            Ok(network) if source == Source::Runtime && network.address().is_none() => {
                return wrong(
                    format_args!("{field}.address"),
                    format_args!("{network} is a range, and only single addresses are learned"),
                );
            }
            Ok(network) => Destination::Address { network, port },
            Err(error) => return wrong(format_args!("{field}.address"), error),
        },
        (Some(_), Some(_)) => return wrong(field, "it has both a domain and an address"),
        (None, None) => return wrong(field, "it has neither a domain nor an address"),
    };
    let entry = NetworkEntry {
        destination,
        process_path,
    };
    Ok((entry, meta(source, first_seen, nodes)))
}

/// A name in the one spelling that names have; wildcards stay.
fn domain_text(field: &str, name: &RawString, source: Source) -> Result<RawString, ManifestError> {
    if source == Source::User && name.iter().any(|byte| b"*?".contains(byte)) {
        return Ok(name.to_ascii_lowercase().into());
    }
    let parsed = std::str::from_utf8(name).ok().map(str::parse::<DomainName>);
    match parsed {
        Some(Ok(name)) => Ok(name.as_str().into()),
        Some(Err(error)) => wrong(format_args!("{field}.domain"), error),
        None => wrong(format_args!("{field}.domain"), "it is no domain name"),
    }
}

fn meta(source: Source, first_seen: Option<crate::Timestamp>, nodes: Vec<String>) -> EntryMeta {
    let mut nodes: Vec<_> = nodes.into_iter().map(std::convert::Into::into).collect();
    nodes.sort();
    nodes.dedup();
    nodes.truncate(MAX_ENTRY_NODES);
    EntryMeta {
        source,
        first_seen: first_seen.unwrap_or_default(),
        nodes,
    }
}

fn state(field: &str, status: ProfileStatus) -> Result<State, ManifestError> {
    let ProfileStatus {
        state,
        percent,
        start_time,
        end_time,
        reason,
        conditions: _,
        learning,
        retired: _,
    } = status;
    let LearningStatus {
        enabled,
        discovered,
        generation,
        startup_seen,
        empty,
        limit_reached,
        lost,
        extended,
        old_pods,
        length_nanos,
        finalizing_since,
        seen,
        seen_boot_nanos,
        nodes,
    } = learning;
    let window = match (start_time, end_time) {
        (Some(start), Some(end)) if start <= end => Some(Window {
            start,
            end,
            length: length_nanos.map_or(end.since(start), Duration::from_nanos),
        }),
        (Some(_), Some(_)) => return wrong(format_args!("{field}.endTime"), "it is before startTime"),
        (Some(_), None) => return wrong(format_args!("{field}.endTime"), "it is missing"),
        (None, Some(_)) => return wrong(format_args!("{field}.startTime"), "it is missing"),
        (None, None) => None,
    };
    let phase = match (state.as_str(), window) {
        ("InProgress", Some(_)) => {
            let percent = percent.unwrap_or(0);
            if percent > Window::MAX_PERCENT || !percent.is_multiple_of(5) {
                return wrong(
                    format_args!("{field}.percent"),
                    format_args!("{percent} is no multiple of 5 below 100"),
                );
            }
            Phase::InProgress { percent }
        }
        ("Finalizing", Some(window)) => Phase::Finalizing {
            since: finalizing_since.unwrap_or(window.end),
        },
        ("InProgress" | "Finalizing", None) => {
            return wrong(
                format_args!("{field}.startTime"),
                "it is missing, and learning is under way",
            );
        }
        ("Partial", _) => match reason.as_deref().map(str::parse::<Reason>) {
            Some(Ok(reason)) => Phase::Partial(reason),
            Some(Err(error)) => return wrong(format_args!("{field}.reason"), error),
            None => {
                return wrong(
                    format_args!("{field}.reason"),
                    "it is missing, and the profile is partial",
                );
            }
        },
        ("Completed", _) => Phase::Completed { empty },
        ("Disabled", _) => Phase::Disabled,
        (other, _) => {
            return wrong(
                format_args!("{field}.state"),
                format_args!("{other:?} is none of InProgress, Finalizing, Partial, Completed, Disabled"),
            );
        }
    };
    let nodes = nodes.into_iter().map(|node| {
        let known = NodeState {
            progress: NodeProgress {
                until: node.until,
                startup_seen: node.startup_seen,
                lost: node.lost,
            },
            forgiven: node.forgiven,
            silent: node.silent,
        };
        (node.name.into(), known)
    });
    Ok(State {
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
        nodes: nodes.collect(),
        old_pods,
        seen: seen.map(|wall| Now {
            wall,
            boot: BootTime::from_nanos(seen_boot_nanos),
        }),
    })
}
