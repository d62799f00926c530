//! What a cgroup's path says about the container in it.
//!
//! The shapes, and who makes them:
//!
//! | last part of the container's own cgroup | made by |
//! | --- | --- |
//! | `<id>` | Docker below `/docker`, containerd below its namespace, every runtime below a pod with the `cgroupfs` driver |
//! | `cri-containerd-<id>.scope`, `docker-<id>.scope`, `nerdctl-<id>.scope` | the `systemd` driver of containerd, Docker, nerdctl |
//! | `crio-<id>.scope`, `crio-<id>` | CRI-O, with the `systemd` and the `cgroupfs` driver; newer ones put the processes into `container` below it |
//! | `libpod-<id>.scope`, `libpod-<id>`, `libpod-payload-<id>` | podman; crun puts the processes into `container` below it |
//! | `<slice>:<prefix>:<id>` | containerd when kubelet speaks `systemd` and containerd `cgroupfs` |
//! | `…conmon-<id>…` | conmon, the monitor of CRI-O and podman: not a container |
//!
//! where `<id>` is 64 hexadecimal digits. A pod's directory above it is `pod<uid>` (`cgroupfs`) or
//! `…-pod<uid>.slice` with `_` for `-` (`systemd`); kubelet's `pkg/kubelet/cm` makes both, and puts the
//! names of its `--cgroup-root` before them, as kind does.
//!
//! Paths are hostile: who may write to the cgroup file system names cgroups as he likes. What is read here
//! is a claim, which the index checks against what it knows.

use runtime_core::{ContainerId, PodUid};

/// What made a container, as far as its cgroup's name tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RuntimeHint {
    /// containerd, for Kubernetes.
    Containerd,
    /// CRI-O.
    CriO,
    /// Docker Engine.
    Docker,
    /// podman.
    Podman,
    /// The name does not tell.
    Unknown,
}

/// A path that has the shape of a container's cgroup, or of one below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerCgroup {
    /// The container's id.
    pub id: ContainerId,
    /// What made it.
    pub runtime: RuntimeHint,
    /// The pod's UID, where the directory above is a pod's.
    pub pod_uid: Option<PodUid>,
    /// True when an outer part of the path is a container as well, as in a node that is itself a container.
    pub nested: bool,
    own_len: usize,
}

impl ContainerCgroup {
    /// Reads a cgroup's path; the deepest part that names a container wins.
    pub fn parse(path: &[u8]) -> Option<Self> {
        let mut end = path.len();
        while let Some((start, name)) = last_component(&path[..end]) {
            let parent = last_component(&path[..start]).map(|(_, name)| name);
            if let Some((id, runtime, pod_uid)) = container_name(name, parent) {
                return Some(Self {
                    id,
                    runtime,
                    pod_uid,
                    nested: Self::parse(&path[..start]).is_some(),
                    own_len: start + name.len(),
                });
            }
            end = start;
        }
        None
    }

    /// The part of `path`, the one that this was read from, that is the container's own cgroup.
    pub fn own_path<'a>(&self, path: &'a [u8]) -> &'a [u8] {
        path.get(..self.own_len).unwrap_or(path)
    }
}

/// True for the cgroup of conmon, which watches a container from outside.
pub(crate) fn is_monitor(path: &[u8]) -> bool {
    let Some((start, name)) = last_component(path) else {
        return false;
    };
    let scope = name.strip_suffix(b".scope").unwrap_or(name);
    let parent = last_component(&path[..start]).map(|(_, name)| name);
    prefixed_id(scope).is_some_and(|(prefix, _)| prefix.ends_with(b"conmon"))
        || (name == b"conmon" && parent == Some(b"libpod_parent"))
}

/// The last part of a path and where it starts, trailing slashes aside.
pub(crate) fn last_component(path: &[u8]) -> Option<(usize, &[u8])> {
    let end = path.iter().rposition(|&byte| byte != b'/')? + 1;
    let start = path[..end]
        .iter()
        .rposition(|&byte| byte == b'/')
        .map_or(0, |slash| slash + 1);
    Some((start, &path[start..end]))
}

/// True for what container runtimes accept as an id, so that it is safe as a file name and in a log.
///
/// runc's rule is `^[\w+-\.]+$`; the length is a file name's.
pub(crate) fn is_runtime_id(name: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"_+-.".contains(byte);
    (1..=255).contains(&name.len()) && name.iter().all(allowed) && name.iter().any(|&byte| byte != b'.')
}

fn container_name(name: &[u8], parent: Option<&[u8]>) -> Option<(ContainerId, RuntimeHint, Option<PodUid>)> {
    let above = parent.and_then(pod_uid);
    if let Some(id) = full_id(name) {
        let runtime = match parent {
            Some(b"docker") => RuntimeHint::Docker,
            Some(b"k8s.io") => RuntimeHint::Containerd,
            _ => RuntimeHint::Unknown,
        };
        return Some((id, runtime, above));
    }
    if let Some(colon) = name.iter().rposition(|&byte| byte == b':') {
        let (before, id) = (&name[..colon], full_id(&name[colon + 1..])?);
        let mut parts = before.rsplitn(2, |&byte| byte == b':');
        let (prefix, slice) = (parts.next()?, parts.next()?);
        return Some((id, runtime_of(prefix), pod_uid(slice).or(above)));
    }
    let (prefix, id) = prefixed_id(name.strip_suffix(b".scope").unwrap_or(name))?;
    if prefix.ends_with(b"conmon") {
        return None;
    }
    Some((id, runtime_of(prefix), above))
}

fn runtime_of(prefix: &[u8]) -> RuntimeHint {
    match prefix {
        b"cri-containerd" | b"containerd" => RuntimeHint::Containerd,
        b"crio" => RuntimeHint::CriO,
        b"docker" => RuntimeHint::Docker,
        b"libpod" | b"libpod-payload" => RuntimeHint::Podman,
        _ => RuntimeHint::Unknown,
    }
}

/// Splits `<prefix>-<id>`.
fn prefixed_id(name: &[u8]) -> Option<(&[u8], ContainerId)> {
    let dash = name.iter().rposition(|&byte| byte == b'-')?;
    Some((&name[..dash], full_id(&name[dash + 1..])?))
}

fn full_id(name: &[u8]) -> Option<ContainerId> {
    let digit = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
    (name.len() == 64 && name.iter().all(digit)).then_some(())?;
    std::str::from_utf8(name).ok().map(ContainerId::new)
}

/// The UID in the name of a pod's directory: `pod<uid>`, or `…-pod<uid>.slice` with `_` for `-`.
fn pod_uid(name: &[u8]) -> Option<PodUid> {
    let uid = match name.strip_suffix(b".slice") {
        Some(slice) => {
            let at = slice.windows(4).rposition(|part| part == b"-pod")?;
            &slice[at + 4..]
        }
        None => name.strip_prefix(b"pod")?,
    };
    // An API server's UIDs are UUIDs; kubelet gives static pods 32 digits without dashes.
    let allowed = |byte: &u8| byte.is_ascii_hexdigit() || matches!(byte, b'-' | b'_');
    (matches!(uid.len(), 32 | 36) && uid.iter().all(allowed)).then_some(())?;
    let text: String = uid
        .iter()
        .map(|&byte| if byte == b'_' { '-' } else { byte as char })
        .collect();
    Some(PodUid::new(text))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: &str = "7be7ca56452ce0f69575654683e3b8cdc61d8898d06caf92fbf5ffffcd856bd7";
    const OUTER: &str = "134b58ab2e0cfd7432a9db818b1b4ec52fdc747333f0ba2c9342860dc2ea7c50";
    const UID: &str = "aaaa2b4a-f398-41c0-928b-049e1cc4ec40";
    const SLICE_UID: &str = "aaaa2b4a_f398_41c0_928b_049e1cc4ec40";

    fn parse(path: &str) -> Option<ContainerCgroup> {
        ContainerCgroup::parse(path.as_bytes())
    }

    #[test]
    fn every_runtimes_shape_is_known() {
        use RuntimeHint::{Containerd, CriO, Docker, Podman, Unknown};
        let own = [
            (format!("/docker/{ID}"), Docker),
            (format!("/system.slice/docker-{ID}.scope"), Docker),
            (format!("/k8s.io/{ID}"), Containerd),
            (format!("/default/{ID}"), Unknown),
            (format!("/machine.slice/libpod-{ID}.scope"), Podman),
            (format!("/libpod_parent/libpod-{ID}"), Podman),
            (
                format!("/user.slice/user@0.service/user.slice/libpod-payload-{ID}"),
                Podman,
            ),
            (format!("/system.slice/nerdctl-{ID}.scope"), Unknown),
        ];
        for (path, runtime) in own {
            let found = parse(&path).unwrap_or_else(|| panic!("{path}"));
            assert_eq!(
                (found.id.as_str(), found.runtime, &found.pod_uid),
                (ID, runtime, &None),
                "{path}"
            );
            assert_eq!(found.own_path(path.as_bytes()), path.as_bytes());
        }
        let pods = [
            (format!("/kubepods/besteffort/pod{UID}/{ID}"), Unknown),
            (format!("/kubepods/pod{UID}/crio-{ID}"), CriO),
            (
                format!("/kubepods.slice/kubepods-pod{SLICE_UID}.slice/cri-containerd-{ID}.scope"),
                Containerd,
            ),
            (
                format!(
                    "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{SLICE_UID}.slice/crio-{ID}.scope"
                ),
                CriO,
            ),
            (
                format!(
                    "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod{SLICE_UID}.slice/cri-containerd-{ID}.scope"
                ),
                Containerd,
            ),
            (
                format!(
                    "/system.slice/containerd.service/kubepods-burstable-pod{SLICE_UID}.slice:cri-containerd:{ID}"
                ),
                Containerd,
            ),
        ];
        for (path, runtime) in pods {
            let found = parse(&path).unwrap_or_else(|| panic!("{path}"));
            assert_eq!((found.id.as_str(), found.runtime), (ID, runtime), "{path}");
            assert_eq!(found.pod_uid.as_ref().map(PodUid::as_str), Some(UID), "{path}");
        }
    }

    #[test]
    fn a_cgroup_below_a_container_is_the_containers() {
        let path = format!("/kubepods/pod{UID}/crio-{ID}/container/init.scope");
        let found = parse(&path).unwrap();
        assert_eq!(
            found.own_path(path.as_bytes()),
            format!("/kubepods/pod{UID}/crio-{ID}").as_bytes()
        );
        assert!(!found.nested);
    }

    #[test]
    fn in_a_node_that_is_a_container_the_inner_container_wins() {
        let node = format!("/docker/{OUTER}/kubelet/kubepods/pod{UID}");
        let found = parse(&format!("{node}/{ID}")).unwrap();
        assert_eq!((found.id.as_str(), found.nested), (ID, true));
        let found = parse(&node).unwrap();
        assert_eq!((found.id.as_str(), found.nested), (OUTER, false));
    }

    #[test]
    fn monitors_and_host_cgroups_are_no_containers() {
        for path in [
            "/".to_owned(),
            String::new(),
            "/system.slice/ssh.service".to_owned(),
            format!("/machine.slice/libpod-conmon-{ID}.scope"),
            format!("/kubepods/pod{UID}/crio-conmon-{ID}.scope"),
            format!("/kubepods/pod{UID}"),
            format!("/kubepods/pod{UID}/{}", &ID[..32]),
            format!("/docker/{}", ID.to_uppercase()),
            format!("/a:{ID}"),
        ] {
            assert_eq!(parse(&path), None, "{path}");
        }
        assert!(is_monitor(
            format!("/machine.slice/libpod-conmon-{ID}.scope").as_bytes()
        ));
        assert!(is_monitor(b"/libpod_parent/conmon"));
        assert!(!is_monitor(
            format!("/machine.slice/libpod-{ID}.scope").as_bytes()
        ));
    }

    #[test]
    fn a_static_pods_uid_has_no_dashes() {
        let uid = "0123456789abcdef0123456789abcdef";
        let found = parse(&format!("/kubepods/burstable/pod{uid}/{ID}")).unwrap();
        assert_eq!(found.pod_uid.unwrap().as_str(), uid);
    }

    #[test]
    fn only_safe_names_are_ids() {
        for good in ["a", "web-1", "x.y_z+2", ID] {
            assert!(is_runtime_id(good.as_bytes()), "{good}");
        }
        for bad in ["", ".", "..", "a/b", "a b", "é", "a\n", &"a".repeat(256)] {
            assert!(!is_runtime_id(bad.as_bytes()), "{bad:?}");
        }
    }

    fn uid() -> impl Strategy<Value = String> {
        prop_oneof![
            "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
            "[0-9a-f]{32}"
        ]
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken(path: Vec<u8>) {
            if let Some(found) = ContainerCgroup::parse(&path) {
                prop_assert!(path.starts_with(found.own_path(&path)));
                prop_assert!(is_runtime_id(found.id.as_str().as_bytes()));
            }
            let _ = is_monitor(&path);
        }

        #[test]
        fn kubelets_cgroupfs_paths_are_read(
            root in "(/[a-z]{1,8}){0,3}", qos in "(/burstable|/besteffort|)", uid in uid(),
            id in "[0-9a-f]{64}", below in "(/[a-z.]{1,9}){0,3}",
        ) {
            let own = format!("{root}/kubepods{qos}/pod{uid}/{id}");
            let path = format!("{own}{below}");
            let found = parse(&path).unwrap();
            prop_assert_eq!(found.own_path(path.as_bytes()), own.as_bytes());
            prop_assert_eq!(found.id.as_str(), id);
            prop_assert_eq!(found.pod_uid, Some(PodUid::new(uid)));
        }

        #[test]
        fn kubelets_systemd_paths_are_read(
            qos in "(-burstable|-besteffort|)", uid in uid(), id in "[0-9a-f]{64}",
            prefix in "(cri-containerd|crio|docker)", below in "(/[a-z.]{1,9}){0,3}",
        ) {
            let slice = uid.replace('-', "_");
            let own = format!("/kubepods.slice/kubepods{qos}-pod{slice}.slice/{prefix}-{id}.scope");
            let path = format!("{own}{below}");
            let found = parse(&path).unwrap();
            prop_assert_eq!(found.own_path(path.as_bytes()), own.as_bytes());
            prop_assert_eq!(found.id.as_str(), id);
            prop_assert_eq!(found.pod_uid, Some(PodUid::new(uid)));
        }
    }
}
