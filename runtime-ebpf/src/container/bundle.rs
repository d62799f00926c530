//! Finding a container's OCI bundle by the runtime's state, and reading it.
//!
//! The bundle is where its runtime says it is:
//!
//! 1. The state directories below the host's root. containerd keeps bundles in
//!    `io.containerd.runtime.v2.task/<namespace>/<id>` of its state directory; CRI-O and podman in
//!    `<driver>-containers/<id>/userdata` of containers/storage; runc writes the label `bundle=` into
//!    `<root>/<id>/state.json`, crun the key `bundle` into `<root>/<id>/status`.
//! 2. The processes that started it: the shim's working directory lies in the state directory, and conmon,
//!    runc and crun have the bundle among their arguments. That finds runtimes with roots of their own, and
//!    those inside a node that is itself a container, whose files are read below that node's root.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use runtime_core::raw::base_name;
use serde::Deserialize;
use serde_json::from_slice;

use super::annotations::ContainerMetadata;
use super::files::Root;
use super::path::{RuntimeHint, is_runtime_id, last_component};
use super::procfs::ProcDir;

/// Real ones have some ten kilobytes, most of it the system call filter.
const CONFIG_LIMIT: usize = 4 << 20;
/// So many generations up a runtime is still looked for.
const GENERATIONS: usize = 6;

/// State directories of containerd, below the host's root.
const CONTAINERD_STATES: [&str; 5] = [
    "run/containerd",
    "run/k3s/containerd",
    "run/k0s/containerd",
    "var/snap/microk8s/common/run/containerd",
    "run/docker/containerd/daemon",
];
/// Where containerd keeps bundles in its state directory: for shims of today, and of the first version.
const CONTAINERD_TASKS: [&str; 2] = ["io.containerd.runtime.v2.task", "io.containerd.runtime.v1.linux"];
/// containers/storage of CRI-O and podman, below the host's root.
const STORAGES: [&str; 2] = ["run/containers/storage", "var/lib/containers/storage"];
/// Roots of runc and crun.
const RUNTIME_ROOTS: [&str; 3] = ["run/runc", "run/crun", "run/youki"];
/// Directories with such a root for each namespace.
const NAMESPACED_RUNTIME_ROOTS: [&str; 4] = [
    "run/containerd/runc",
    "run/docker/runtime-runc",
    "run/k3s/containerd/runc",
    "run/docker/runtime-crun",
];

/// A bundle that was found, with what it says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Bundle {
    pub(crate) metadata: ContainerMetadata,
    /// The cgroups that the runtime says it made, in whatever hierarchies, or was asked for.
    cgroups: Vec<String>,
}

impl Bundle {
    /// True when the bundle's container is the one in the cgroup at `path` of the hierarchy at `mount_point`.
    pub(crate) fn is_of(&self, path: &[u8], mount_point: &[u8]) -> bool {
        let name = last_component(path).map_or(&b""[..], |(_, name)| name);
        self.cgroups.iter().map(String::as_bytes).any(|claimed| {
            // runc writes directories, mount point and all.
            if claimed.strip_prefix(mount_point) == Some(path) {
                return true;
            }
            if claimed.starts_with(b"/") {
                // Below a cgroup of its own, as on many machines with v1, a runtime knows the end only.
                return claimed.len() > 1 && path.ends_with(claimed);
            }
            // The systemd driver's form: slice, prefix, name.
            let mut parts = claimed.rsplitn(3, |&byte| byte == b':');
            match (parts.next(), parts.next()) {
                (Some(id), Some(prefix)) => name == [prefix, b"-", id, b".scope"].concat(),
                _ => !claimed.is_empty() && path.ends_with(&[b"/", claimed].concat()),
            }
        })
    }
}

/// Looks for bundles on one host.
#[derive(Debug)]
pub(crate) struct BundleFinder {
    host: Root,
}

impl BundleFinder {
    pub(crate) fn new(host: Root) -> Self {
        Self { host }
    }

    /// The bundle of the container with this id, by the state of the runtimes on the host.
    pub(crate) fn by_state(&self, id: &str, runtime: RuntimeHint) -> Option<Bundle> {
        is_runtime_id(id.as_bytes()).then_some(())?;
        let containerd = || self.in_containerd(id);
        let storage = || self.in_storage(id);
        let found = match runtime {
            RuntimeHint::CriO | RuntimeHint::Podman => storage().or_else(containerd),
            _ => containerd().or_else(storage),
        };
        let mut bundle = found.or_else(|| self.in_runtime_roots(id))?;
        bundle.metadata = self.with_records(bundle.metadata, id);
        Some(bundle)
    }

    /// What Docker's and podman's records say of a container, where its bundle does not say it all.
    fn with_records(&self, metadata: ContainerMetadata, id: &str) -> ContainerMetadata {
        if metadata.name.is_some() && metadata.image.is_some() {
            return metadata;
        }
        let docker = Path::new("var/lib/docker/containers")
            .join(id)
            .join("config.v2.json");
        let docker = self.host.read(&docker, CONFIG_LIMIT).ok();
        if let Some(record) = docker.and_then(|json| ContainerMetadata::from_docker(&json)) {
            return metadata.or(record);
        }
        let records = STORAGES.into_iter().rev().find_map(|storage| {
            let list = Path::new(storage).join("overlay-containers/containers.json");
            ContainerMetadata::from_storage(&self.host.read(&list, CONFIG_LIMIT).ok()?, id)
        });
        match records {
            Some(record) => metadata.or(record),
            None => metadata,
        }
    }

    fn in_containerd(&self, id: &str) -> Option<Bundle> {
        CONTAINERD_STATES.iter().find_map(|state| {
            CONTAINERD_TASKS.iter().find_map(|tasks| {
                let tasks = Path::new(state).join(tasks);
                let namespaces = self.host.subdirectories(&tasks);
                namespaces
                    .iter()
                    .find_map(|namespace| read_bundle(&self.host, &tasks.join(os(namespace)).join(id)))
            })
        })
    }

    fn in_storage(&self, id: &str) -> Option<Bundle> {
        ["overlay-containers", "vfs-containers", "btrfs-containers"]
            .iter()
            .find_map(|driver| {
                STORAGES.iter().find_map(|storage| {
                    let bundle = Path::new(storage).join(driver).join(id).join("userdata");
                    read_bundle(&self.host, &bundle)
                })
            })
    }

    fn in_runtime_roots(&self, id: &str) -> Option<Bundle> {
        let plain = RUNTIME_ROOTS.iter().map(PathBuf::from);
        let namespaced = NAMESPACED_RUNTIME_ROOTS.iter().flat_map(|parent| {
            let names = self.host.subdirectories(Path::new(parent));
            names.into_iter().map(|name| Path::new(parent).join(os(&name)))
        });
        plain
            .chain(namespaced)
            .find_map(|root| read_state(&self.host, &root.join(id)))
    }
}

/// A runtime among a process and its forebears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StartedBy {
    /// The bundle, where the runtime's arguments lead to it.
    pub(crate) bundle: Option<Bundle>,
    /// The id that the runtime was given.
    pub(crate) id: Option<Vec<u8>>,
}

/// Looks for a container runtime among the process and its forebears; the nearest one that leads to a bundle
/// counts. `id` is what the cgroup's path says.
pub(crate) fn started_by(proc: &ProcDir, pid: u32, id: Option<&str>) -> Option<StartedBy> {
    let mut current = pid;
    let mut nearest = None;
    for _ in 0..GENERATIONS {
        if let Some(arguments) = proc.arguments(current)
            && let Some(command) = RuntimeCommand::parse(&arguments)
        {
            let id = id.map(|id| id.as_bytes().to_vec()).or_else(|| command.id.clone());
            let bundle = command.bundle(proc, current, id.as_deref());
            let found = StartedBy { bundle, id };
            if found.bundle.is_some() {
                return Some(found);
            }
            nearest.get_or_insert(found);
        }
        current = match proc.stat(current)?.parent {
            0 | 1 => break,
            parent => parent,
        };
    }
    nearest
}

/// What a runtime's command line says.
#[derive(Debug, Default, PartialEq, Eq)]
struct RuntimeCommand {
    shim: bool,
    bundle: Option<Vec<u8>>,
    root: Option<Vec<u8>>,
    id: Option<Vec<u8>>,
}

impl RuntimeCommand {
    fn parse(arguments: &[Vec<u8>]) -> Option<Self> {
        let (program, options) = arguments.split_first()?;
        let program = base_name(program);
        let shim = program.starts_with(b"containerd-shim");
        let monitor = program == b"conmon";
        let low_level = [&b"runc"[..], b"crun", b"youki", b"docker-runc", b"runsc"].contains(&program);
        (shim || monitor || low_level).then_some(())?;
        let value = |names: &[&[u8]]| option(options, names);
        Some(Self {
            shim,
            bundle: value(&[b"bundle", b"b"]),
            root: value(&[b"root", b"r"]).filter(|_| low_level),
            id: match (shim, monitor) {
                (true, _) => value(&[b"id"]),
                (_, true) => value(&[b"cid", b"c"]),
                // The id is the last argument of every command of runc.
                _ => options.last().filter(|last| is_runtime_id(last)).cloned(),
            },
        })
    }

    /// Follows the command's arguments, all as the process itself sees its files.
    fn bundle(&self, proc: &ProcDir, pid: u32, id: Option<&[u8]>) -> Option<Bundle> {
        let id = id.filter(|id| is_runtime_id(id))?;
        let cwd = || proc.cwd_of(pid).ok();
        if self.shim {
            // Its directory is one container's bundle; those it serves besides lie next to that.
            let link = proc.cwd_path(pid)?;
            let root = proc.root_of(pid).ok()?;
            return read_bundle(&root, &link.parent()?.join(os(id)));
        }
        let given = match &self.bundle {
            Some(path) if path.starts_with(b"/") => {
                read_bundle(&proc.root_of(pid).ok()?, Path::new(os(path)))
            }
            Some(path) => read_bundle(&cwd()?, Path::new(os(path))),
            None => None,
        };
        let by_root = || {
            let path = Path::new(os(self.root.as_deref()?)).join(os(id));
            read_state(&proc.root_of(pid).ok()?, &path)
        };
        given
            .or_else(by_root)
            .or_else(|| read_bundle(&cwd()?, Path::new(".")))
    }
}

/// The value of an option, as `-name value` or `-name=value`, with one dash or two.
fn option(arguments: &[Vec<u8>], names: &[&[u8]]) -> Option<Vec<u8>> {
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let Some(option) = argument.strip_prefix(b"-") else {
            continue;
        };
        let option = option.strip_prefix(b"-").unwrap_or(option);
        let mut parts = option.splitn(2, |&byte| byte == b'=');
        if parts.next().is_some_and(|name| names.contains(&name)) {
            return match parts.next() {
                Some(value) => Some(value.to_vec()),
                None => arguments.next().cloned(),
            };
        }
    }
    None
}

/// Reads the `config.json` of a bundle.
fn read_bundle(root: &Root, bundle: &Path) -> Option<Bundle> {
    let config: Config = from_slice(&root.read(&bundle.join("config.json"), CONFIG_LIMIT).ok()?)
        .inspect_err(|error| {
            tracing::warn!(bundle = %bundle.display(), %error, "config.json cannot be read");
        })
        .ok()?;
    let Config { annotations, linux } = config;
    Some(Bundle {
        metadata: ContainerMetadata::from_annotations(&annotations.unwrap_or_default()),
        cgroups: linux.and_then(|linux| linux.cgroups_path).into_iter().collect(),
    })
}

/// Follows the state that runc (`state.json`) or crun (`status`) keeps of a container to its bundle.
fn read_state(root: &Root, state: &Path) -> Option<Bundle> {
    let (bundle, cgroups): (_, Vec<_>) = if let Ok(json) = root.read(&state.join("state.json"), CONFIG_LIMIT)
    {
        let RuncState { config, cgroup_paths } = from_slice(&json).ok()?;
        let mut labels = config.labels.iter();
        let bundle = labels.find_map(|label| label.strip_prefix("bundle=").map(str::to_owned));
        (bundle?, cgroup_paths.into_values().collect())
    } else {
        let status: CrunStatus = from_slice(&root.read(&state.join("status"), CONFIG_LIMIT).ok()?).ok()?;
        (status.bundle, status.cgroup_path.into_iter().collect())
    };
    let mut found = read_bundle(root, Path::new(&bundle)).unwrap_or_default();
    if !cgroups.is_empty() {
        found.cgroups = cgroups;
    }
    Some(found)
}

fn os(bytes: &[u8]) -> &OsStr {
    OsStr::from_bytes(bytes)
}

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
    #[serde(default)]
    linux: Option<ConfigLinux>,
}

#[derive(Deserialize)]
struct ConfigLinux {
    #[serde(rename = "cgroupsPath", default)]
    cgroups_path: Option<String>,
}

#[derive(Deserialize)]
struct RuncState {
    config: RuncConfig,
    #[serde(default)]
    cgroup_paths: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct RuncConfig {
    #[serde(default)]
    labels: Vec<String>,
}

#[derive(Deserialize)]
struct CrunStatus {
    bundle: String,
    #[serde(rename = "cgroup-path", default)]
    cgroup_path: Option<String>,
}

#[cfg(test)]
mod tests;
