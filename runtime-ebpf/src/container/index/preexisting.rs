//! What is there when the index starts: the hierarchy, and the containers of which no event told.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use runtime_core::container::ContainerRole;
use runtime_core::{CgroupId, Container};

use super::{ContainerIndex, ContainerOptions, Node, State};
use crate::container::bundle::started_by;
use crate::container::error::ContainerError;
use crate::container::hierarchy::CgroupHierarchy;
use crate::container::procfs::{NamespaceIds, ProcDir};
use crate::container::tree::read_pids;

/// Finds the hierarchy that containers are told apart in.
pub(super) fn detect(proc: &ProcDir, options: &ContainerOptions) -> Result<CgroupHierarchy, ContainerError> {
    // The mounts of the host's first process are those below the host's root, wherever this process is.
    let host = proc
        .read("1/mountinfo")
        .ok()
        .and_then(|text| CgroupHierarchy::from_mountinfo(&text, Path::new("/")));
    if let Some(hierarchy) = host {
        return Ok(hierarchy);
    }
    let own = proc
        .read("self/mountinfo")
        .map_err(|source| ContainerError::MountsUnreadable {
            path: options.proc_root.join("self/mountinfo"),
            source,
        })?;
    CgroupHierarchy::from_mountinfo(&own, &options.host_root).ok_or(ContainerError::NoHierarchy)
}

impl ContainerIndex {
    /// Decides of the cgroups that are there at the start. Those without a process stay open: a container may
    /// yet start in them.
    pub(super) fn resolve_preexisting(&mut self) {
        let host = ["1", "self"].iter().find_map(|pid| self.proc.namespaces(pid));
        let mut open: Vec<(CgroupId, Arc<[u8]>)> = self
            .nodes
            .iter()
            .filter(|(_, node)| matches!(node.state, State::Shaped(_) | State::Unresolved))
            .map(|(&id, node)| (id, node.path.clone()))
            .collect();
        open.sort_unstable_by_key(|(_, path)| path.len());
        for (id, path) in open {
            match self.nodes.get(&id).map(|node| &node.state) {
                Some(State::Shaped(shape)) => {
                    let shape = shape.clone();
                    if let Some(pid) = self.first_pid_within(&path) {
                        let container = self.shaped_container(id, &path, &shape, Some(pid), true);
                        self.adopt(id, Arc::new(container));
                    }
                }
                // It may be a container's by now.
                Some(State::Unresolved) => {
                    if let Some(pid) = self.first_pid(id) {
                        self.resolve_preexisting_unshaped(id, &path, pid, host);
                    }
                }
                _ => {}
            }
        }
        self.share_sandbox_labels();
    }

    fn resolve_preexisting_unshaped(
        &mut self,
        id: CgroupId,
        path: &[u8],
        pid: u32,
        host: Option<NamespaceIds>,
    ) {
        let own = self.proc.namespaces(&pid.to_string());
        let own = own
            .zip(host)
            .is_some_and(|(own, host)| own.pid != host.pid && own.mount != host.mount);
        let container = self.by_runtime(id, path, Some(pid), own, true).or_else(|| {
            own.then(|| Container {
                preexisting: true,
                ..Container::unknown(self.name_of_unknown(id, path), id)
            })
        });
        if let Some(container) = container {
            self.adopt(id, Arc::new(container));
        } else if started_by(&self.proc, pid, None).is_none()
            && let Some(node) = self.nodes.get_mut(&id)
        {
            // Where a runtime is at work, a container may be in the making.
            node.state = State::Host;
        }
    }

    /// At the start, a container may have been read before its sandbox.
    fn share_sandbox_labels(&mut self) {
        let labels: HashMap<_, _> = self
            .containers()
            .filter(|container| container.role == ContainerRole::Sandbox && !container.labels.is_empty())
            .filter_map(|sandbox| Some((sandbox.pod.clone()?, sandbox.labels.clone())))
            .collect();
        for node in self.nodes.values_mut() {
            if let State::Container(container) = &mut node.state
                && container.labels.is_empty()
                && let Some(labels) = container.pod.as_ref().and_then(|pod| labels.get(pod))
            {
                Arc::make_mut(container).labels.clone_from(labels);
            }
        }
    }

    /// The process of a cgroup that started first.
    pub(super) fn first_pid(&self, id: CgroupId) -> Option<u32> {
        let (mut text, mut pids) = (Vec::new(), Vec::new());
        read_pids(self.tree.open_cgroup(id).ok()?, &mut text, &mut pids).ok()?;
        let start = |pid: &u32| self.proc.stat(*pid).map_or(u64::MAX, |stat| stat.start_ticks);
        pids.into_iter().min_by_key(start)
    }

    /// The process that started first in the cgroup at a path or, when that has none, in one below it.
    fn first_pid_within(&self, path: &[u8]) -> Option<u32> {
        let below = |node: &&Node| {
            node.path
                .strip_prefix(path)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
        };
        let mut paths: Vec<_> = self
            .nodes
            .values()
            .filter(below)
            .map(|node| node.path.clone())
            .collect();
        paths.sort_unstable_by_key(|path| path.len());
        paths
            .iter()
            .find_map(|path| self.first_pid(*self.by_path.get(path)?))
    }
}
