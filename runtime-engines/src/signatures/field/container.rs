//! `container.*` and `k8s.*`: where the process runs.

use runtime_core::{Container, Event, PodRef};

use super::{Buffers, Given, Value};

pub(super) const FIELDS: &[super::Field] = super::fields! {
    "container.id": Text, {|event, _, _| {
            Value::Text(event.container.as_deref().map_or(b"host", |container| {
                let id = container.id.as_str().as_bytes();
                &id[..id.len().min(12)]
            }))
        }} =>
        "The first 12 characters of the container's id; `host` outside of containers.";
    "container.full_id": Text, {|event, _, _| {
            Value::Text(event.container.as_deref().map_or(b"host", |container| container.id.as_str().as_bytes()))
        }} =>
        "The container's whole id; `host` outside of containers.";
    "container.name": Text, {|event, _, _| match event.container.as_deref() {
            None => Value::Text(b"host"),
            Some(container) => Value::text(container.name.as_deref().map(str::as_bytes)),
        }} =>
        "The container's name in the pod's specification; `host` outside of containers.";
    "container.image": Text, {|event, _, _| Value::text(image(event).map(str::as_bytes))} =>
        "The image reference as the container runtime recorded it.";
    "container.image.repository": Text,
        {|event, _, _| Value::text(image(event).map(|image| split_image(image).repository.as_bytes()))} =>
        "The image reference without tag and digest.";
    "container.image.tag": Text,
        {|event, _, _| Value::text(image(event).and_then(|image| split_image(image).tag).map(str::as_bytes))} =>
        "The image's tag.";
    "container.image.digest": Text,
        {|event, _, _| Value::text(image(event).and_then(|image| split_image(image).digest).map(str::as_bytes))} =>
        "The image's digest, where the reference has one.";
    "container.label": Text (Key), {|event, _, given| label(event, given)} =>
        "The pod's label of this name, or the container's outside of Kubernetes.";
    "container.labels": Text, {|event, buffers, _| labels(event, buffers)} =>
        "All labels, as `name:value`, joined by commas.";
    "container.mount": Text (Key), {|_, _, _| NO_MOUNT} =>
        "Always `N/A`, as where nothing is mounted: events do not say what is mounted into a container.";
    "container.mount.dest": Text (Key), {|_, _, _| NO_MOUNT} =>
        "Always `N/A`, as where nothing is mounted: events do not say what is mounted into a container.";
    "container.mount.mode": Text (Key), {|_, _, _| NO_MOUNT} =>
        "Always `N/A`, as where nothing is mounted: events do not say what is mounted into a container.";
    "container.mount.propagation": Text (Key), {|_, _, _| NO_MOUNT} =>
        "Always `N/A`, as where nothing is mounted: events do not say what is mounted into a container.";
    "container.mount.rdwr": Text (Key), {|_, _, _| NO_MOUNT} =>
        "Always `N/A`, as where nothing is mounted: events do not say what is mounted into a container.";
    "container.mount.source": Text (Key), {|_, _, _| NO_MOUNT} =>
        "Always `N/A`, as where nothing is mounted: events do not say what is mounted into a container.";
    "container.mounts": Text, {unknown} => "Not known: events do not say what is mounted into a container.";
    "container.privileged": Bool, {unknown} =>
        "Not known: events do not say which rights a container was given. Use thread.cap_effective.";
    "container.type": Text, {unknown} => "Not known: events do not say which runtime a container is of.";
    "container.image.id": Text, {unknown} => "Not known: use container.image.digest.";
    "container.cni.json": Text, {unknown} => "Not known: the network's set-up is not looked at.";
    "container.duration": Number, {|event, _, _| {
            let started = event.container.as_ref().and_then(|container| container.started);
            Value::number(started.map(|start| event.boot_time.as_nanos().saturating_sub(start.time.as_nanos()) as i64))
        }} =>
        "For how many nanoseconds the container had been there. Missing where its start was not seen.";
    "container.start_ts": Number, {|event, _, _| {
            let started = event.container.as_ref().and_then(|container| container.started);
            Value::number(started.map(|start| {
                let ago = event.boot_time.as_nanos().saturating_sub(start.time.as_nanos());
                (event.time.as_unix_nanos() as i64).saturating_sub(ago as i64)
            }))
        }} =>
        "When the container's first program was executed, in nanoseconds since 1970. Missing where that was not seen.";
    "container.healthcheck": Text, {unknown} => "Not known: probes are not looked at.";
    "container.liveness_probe": Text, {unknown} => "Not known: probes are not looked at.";
    "container.readiness_probe": Text, {unknown} => "Not known: probes are not looked at.";
    "container.host_ipc": Bool, {unknown} => "Not known: events do not say which namespaces are the host's.";
    "container.host_network": Bool, {unknown} => "Not known: events do not say which namespaces are the host's.";
    "container.host_pid": Bool, {unknown} => "Not known: events do not say which namespaces are the host's.";
    "container.ip": Text, {unknown} => "Not known: events do not have the container's addresses.";
    "container.imageid": Text, {unknown} => "Not known: use container.image.digest.";
};

pub(super) const POD_FIELDS: &[super::Field] = super::fields! {
    "k8s.ns.name": Text, {|event, _, _| pod(event, |pod| pod.namespace.as_bytes())} => "The pod's namespace.";
    "k8s.pod.name": Text, {|event, _, _| pod(event, |pod| pod.name.as_bytes())} => "The pod's name.";
    "k8s.pod.uid": Text, {|event, _, _| pod(event, |pod| pod.uid.as_str().as_bytes())} => "The pod's UID.";
    "k8s.pod.id": Text, {|event, _, _| pod(event, |pod| pod.uid.as_str().as_bytes())} =>
        "The pod's UID. (An older name for k8s.pod.uid.)";
    "k8s.pod.label": Text (Key), {|event, _, given| match pod(event, |pod| pod.name.as_bytes()) {
            Value::Missing => Value::Missing,
            _ => label(event, given),
        }} =>
        "The pod's label of this name.";
    "k8s.pod.labels": Text, {|event, buffers, _| match pod(event, |pod| pod.name.as_bytes()) {
            Value::Missing => Value::Missing,
            _ => labels(event, buffers),
        }} =>
        "All labels of the pod, as `name:value`, joined by commas.";
    "k8s.group.kind": Text, {|event, _, _| group(event, |group| group.kind.as_str())} =>
        "The kind of the pod group's root, as in `Deployment`. (Podwarden's own.)";
    "k8s.group.name": Text, {|event, _, _| group(event, |group| &group.name)} =>
        "The name of the pod group's root. (Podwarden's own.)";
    "k8s.deployment.name": Text, {|event, _, _| group_of(event, "Deployment")} =>
        "The name of the Deployment that is the pod group's root.";
    "k8s.pod.ip": Text, {unknown} => "Not known: events do not have the pod's addresses.";
    "k8s.pod.cni.json": Text, {unknown} => "Not known: the network's set-up is not looked at.";
    "k8s.pod.sandbox_id": Text, {unknown} => "Not known: events do not have the sandbox's id.";
    "k8s.pod.full_sandbox_id": Text, {unknown} => "Not known: events do not have the sandbox's id.";
    "k8s.deployment.id": Text, {unknown} => "Not known: use k8s.group.name.";
    "k8s.deployment.label": Text (Key), {unknown} => "Not known: use k8s.pod.label.";
    "k8s.deployment.labels": Text, {unknown} => "Not known: use k8s.pod.labels.";
    "k8s.ns.id": Text, {unknown} => "Not known: use k8s.ns.name.";
    "k8s.ns.label": Text (Key), {unknown} => "Not known: of namespaces only the name is known.";
    "k8s.ns.labels": Text, {unknown} => "Not known: of namespaces only the name is known.";
    "k8s.rc.id": Text, {unknown} => "Not known: use k8s.group.name.";
    "k8s.rc.name": Text, {unknown} => "Not known: use k8s.group.name.";
    "k8s.rc.label": Text (Key), {unknown} => "Not known: use k8s.pod.label.";
    "k8s.rc.labels": Text, {unknown} => "Not known: use k8s.pod.labels.";
    "k8s.rs.id": Text, {unknown} => "Not known: use k8s.group.name.";
    "k8s.rs.name": Text, {unknown} => "Not known: use k8s.group.name.";
    "k8s.rs.label": Text (Key), {unknown} => "Not known: use k8s.pod.label.";
    "k8s.rs.labels": Text, {unknown} => "Not known: use k8s.pod.labels.";
    "k8s.svc.id": Text, {unknown} => "Not known: services are not looked up.";
    "k8s.svc.name": Text, {unknown} => "Not known: services are not looked up.";
    "k8s.svc.label": Text (Key), {unknown} => "Not known: services are not looked up.";
    "k8s.svc.labels": Text, {unknown} => "Not known: services are not looked up.";
};

/// Rules ask whether a mount is not `N/A`; a value that is missing would be taken for a mount.
const NO_MOUNT: Value<'static> = Value::Text(b"N/A");

fn image(event: &Event) -> Option<&str> {
    event.container.as_deref()?.image.as_deref()
}

/// An image reference in its parts.
#[derive(Debug, PartialEq, Eq)]
struct Image<'a> {
    repository: &'a str,
    tag: Option<&'a str>,
    digest: Option<&'a str>,
}

/// The tag follows the last colon, unless that is a registry's port.
fn split_image(image: &str) -> Image<'_> {
    let (named, digest) = match image.split_once('@') {
        Some((named, digest)) => (named, Some(digest)),
        None => (image, None),
    };
    let (repository, tag) = match named.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, Some(tag)),
        _ => (named, None),
    };
    Image {
        repository,
        tag,
        digest,
    }
}

fn pod(event: &Event, part: fn(&PodRef) -> &[u8]) -> Value<'_> {
    let container: Option<&Container> = event.container.as_deref();
    Value::text(container.and_then(|container| container.pod.as_ref()).map(part))
}

fn group(event: &Event, part: fn(&runtime_core::PodGroup) -> &str) -> Value<'_> {
    let group = event
        .container
        .as_deref()
        .and_then(|container| container.pod_group.as_ref());
    Value::text(group.map(|group| part(group).as_bytes()))
}

fn group_of<'a>(event: &'a Event, kind: &str) -> Value<'a> {
    let group = event
        .container
        .as_deref()
        .and_then(|container| container.pod_group.as_ref());
    Value::text(
        group
            .filter(|group| group.kind.as_str() == kind)
            .map(|group| group.name.as_bytes()),
    )
}

fn label<'a>(event: &'a Event, given: &Given) -> Value<'a> {
    match (event.container.as_deref(), given) {
        (Some(container), Given::Key(key)) => Value::text(container.labels.get(&**key).map(String::as_bytes)),
        _ => Value::Missing,
    }
}

fn labels<'a>(event: &'a Event, buffers: &'a mut Buffers) -> Value<'a> {
    let Some(container) = event.container.as_deref() else {
        return Value::Missing;
    };
    buffers.made(|text| {
        for (at, (name, value)) in container.labels.iter().enumerate() {
            if at > 0 {
                text.extend_from_slice(b", ");
            }
            text.extend_from_slice(name.as_bytes());
            text.push(b':');
            text.extend_from_slice(value.as_bytes());
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_taken_apart() {
        let split = |image| {
            let Image {
                repository,
                tag,
                digest,
            } = split_image(image);
            (repository, tag, digest)
        };
        assert_eq!(split("nginx"), ("nginx", None, None));
        assert_eq!(split("r:5000/a/b"), ("r:5000/a/b", None, None));
        assert_eq!(
            split("r:5000/a/b:1@sha256:0"),
            ("r:5000/a/b", Some("1"), Some("sha256:0"))
        );
    }
}
