//! The index: every cgroup that exists, and the container it belongs to.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use runtime_core::container::{ContainerRole, ContainerStart};
use runtime_core::{BootTime, CgroupId, Container, ContainerId, Pid};

use super::annotations::ContainerMetadata;
use super::bundle::{BundleFinder, started_by};
use super::error::ContainerError;
use super::files::Root;
use super::hierarchy::CgroupHierarchy;
use super::path::{ContainerCgroup, is_monitor, is_runtime_id, last_component};
use super::procfs::ProcDir;
use super::tree::{CgroupTree, cgroup_id, child_cgroups, mount_point_bytes, open_below, read_pids};

mod preexisting;

/// Ids that no walk of the tree found are remembered, so many of them, so that no event makes us walk twice.
const GONE_LIMIT: usize = 4096;
/// Cgroups that may be added before the tree is walked for ones whose removal was not heard of.
const GROWTH_LIMIT: usize = 4096;

/// Where the host's files are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerOptions {
    /// The host's root: `/`, or `/proc/1/root` from within a container that shares the host's PID namespace.
    pub host_root: PathBuf,
    /// A proc file system of the host's PID namespace.
    pub proc_root: PathBuf,
}

impl Default for ContainerOptions {
    fn default() -> Self {
        Self {
            host_root: "/".into(),
            proc_root: "/proc".into(),
        }
    }
}

/// What is known of a process that executed in a cgroup which was not resolved yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExecHint {
    /// The process, in the host's PID namespace.
    pub pid: Pid,
    /// When it executed.
    pub time: BootTime,
    /// True when its PID namespace is not the host's.
    pub own_pid_namespace: bool,
    /// True when its mount namespace is not the host's.
    pub own_mount_namespace: bool,
}

/// What the index knows of a cgroup without looking anywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookup<'a> {
    /// It is a container's.
    Container(&'a Arc<Container>),
    /// It is no container's.
    Host,
    /// Not known yet: [`ContainerIndex::resolve`] it at its first exec.
    Unresolved,
}

/// What became of a cgroup at an exec in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolution {
    /// A container, known from now on.
    Started(Arc<Container>),
    /// A container that was known already.
    Known(Arc<Container>),
    /// No container, for good.
    Host,
    /// A runtime at work, or a cgroup that is gone: ask again at the next exec.
    Undecided,
}

/// Every cgroup of one hierarchy, with the container it belongs to.
///
/// It holds as many entries as there are cgroups: what the kernel removes goes.
#[derive(Debug)]
pub struct ContainerIndex {
    tree: CgroupTree,
    proc: ProcDir,
    bundles: BundleFinder,
    nodes: HashMap<CgroupId, Node>,
    by_path: HashMap<Arc<[u8]>, CgroupId>,
    by_container: HashMap<ContainerId, CgroupId>,
    gone: HashSet<CgroupId>,
    /// How many cgroups there were when the tree was walked last.
    walked: usize,
}

#[derive(Debug)]
struct Node {
    path: Arc<[u8]>,
    state: State,
}

#[derive(Debug)]
enum State {
    /// No container's.
    Host,
    /// The own, outermost cgroup of a container.
    Container(Arc<Container>),
    /// Below the own cgroup of a container, which may be resolved or not.
    Within(CgroupId),
    /// By its path a container's own, without a look at the bundle yet.
    Shaped(ContainerCgroup),
    /// Anything.
    Unresolved,
}

impl ContainerIndex {
    /// Finds the cgroup hierarchy and every container that is there, which count as preexisting.
    pub fn discover(options: &ContainerOptions) -> Result<Self, ContainerError> {
        let ContainerOptions { host_root, proc_root } = options;
        let unreadable = |path: &Path| {
            let path = path.to_owned();
            move |source| ContainerError::HostRootUnreadable { path, source }
        };
        let host = Root::open(host_root).map_err(unreadable(host_root))?;
        let proc = ProcDir::open(proc_root).map_err(|source| ContainerError::MountsUnreadable {
            path: proc_root.clone(),
            source,
        })?;
        let hierarchy = preexisting::detect(&proc, options)?;
        let mount_point = hierarchy.mount_point().to_owned();
        let tree =
            CgroupTree::open(&host, hierarchy).map_err(|source| ContainerError::HierarchyUnreadable {
                mount_point: mount_point.clone(),
                source,
            })?;
        let root = tree
            .root_id()
            .map_err(|source| ContainerError::HierarchyUnreadable { mount_point, source })?;
        let mut index = Self {
            tree,
            proc,
            bundles: BundleFinder::new(host),
            nodes: HashMap::new(),
            by_path: HashMap::new(),
            by_container: HashMap::new(),
            gone: HashSet::new(),
            walked: 0,
        };
        index.insert(root, b"/".as_slice().into(), State::Host);
        index.resync();
        index.resolve_preexisting();
        Ok(index)
    }

    /// The hierarchy whose ids these are.
    pub fn hierarchy(&self) -> &CgroupHierarchy {
        self.tree.hierarchy()
    }

    /// Where the cgroups' directories are, for the responder.
    pub fn tree(&self) -> CgroupTree {
        self.tree.clone()
    }

    /// The containers, in no order.
    pub fn containers(&self) -> impl Iterator<Item = &Arc<Container>> {
        self.nodes.values().filter_map(|node| match &node.state {
            State::Container(container) => Some(container),
            _ => None,
        })
    }

    /// The cgroups that are known to be no container's, so that the kernel programs may ignore them.
    pub fn host_cgroups(&self) -> impl Iterator<Item = CgroupId> {
        let host = |node: &Node| matches!(node.state, State::Host);
        self.nodes
            .iter()
            .filter_map(move |(&id, node)| host(node).then_some(id))
    }

    /// The cgroups of containers that are known, those below the containers' own among them, each with the
    /// container's own.
    pub fn owned_cgroups(&self) -> impl Iterator<Item = (CgroupId, CgroupId)> {
        self.nodes.iter().filter_map(|(&id, _)| match self.lookup(id) {
            Lookup::Container(container) => Some((id, container.cgroup)),
            Lookup::Host | Lookup::Unresolved => None,
        })
    }

    /// Takes note of a new cgroup. `path` is relative to the hierarchy's root, as the kernel has it.
    ///
    /// It does no I/O unless earlier calls were missing.
    pub fn cgroup_made(&mut self, id: CgroupId, path: &[u8]) {
        self.gone.remove(&id);
        // The walk at the start and the kernel's events overlap.
        if self.nodes.get(&id).is_some_and(|node| *node.path == *path) {
            return;
        }
        if self.nodes.len() > 2 * self.walked + GROWTH_LIMIT {
            self.resync();
        }
        let state = self.state_of_new(path);
        self.insert(id, path.into(), state);
    }

    /// Takes note that a cgroup is gone; the container when the cgroup was its own.
    pub fn cgroup_removed(&mut self, id: CgroupId) -> Option<Arc<Container>> {
        let Node { path, state } = self.nodes.remove(&id)?;
        self.tree.remove(id);
        if self.by_path.get(&path) == Some(&id) {
            self.by_path.remove(&path);
        }
        let State::Container(container) = state else {
            return None;
        };
        if self.by_container.get(&container.id) == Some(&id) {
            self.by_container.remove(&container.id);
        }
        Some(container)
    }

    /// What is known of a cgroup.
    pub fn lookup(&self, id: CgroupId) -> Lookup<'_> {
        let Some(node) = self.nodes.get(&id) else {
            return Lookup::Unresolved;
        };
        match &node.state {
            State::Host => Lookup::Host,
            State::Container(container) => Lookup::Container(container),
            State::Within(own) => match self.nodes.get(own).map(|node| &node.state) {
                Some(State::Container(container)) => Lookup::Container(container),
                _ => Lookup::Unresolved,
            },
            State::Shaped(_) | State::Unresolved => Lookup::Unresolved,
        }
    }

    /// Decides what a cgroup is, at an exec in it.
    ///
    /// It reads one bundle and looks at a few processes, and walks the tree only for a cgroup of whose making
    /// nothing was heard, once.
    pub fn resolve(&mut self, id: CgroupId, hint: ExecHint) -> Resolution {
        if !self.nodes.contains_key(&id) && !self.find_missed(id, hint.pid) {
            return Resolution::Undecided;
        }
        let own = match self.nodes.get(&id).map(|node| &node.state) {
            Some(&State::Within(own)) if self.nodes.contains_key(&own) => own,
            _ => id,
        };
        let Some(node) = self.nodes.get(&own) else {
            return Resolution::Undecided;
        };
        match &node.state {
            State::Host => Resolution::Host,
            State::Container(container) => Resolution::Known(container.clone()),
            State::Shaped(shape) => {
                let (shape, path) = (shape.clone(), node.path.clone());
                let container = self.shaped_container(own, &path, &shape, Some(hint.pid.0), false);
                self.started(own, container, hint)
            }
            State::Within(_) | State::Unresolved => {
                let path = node.path.clone();
                self.resolve_unshaped(own, &path, hint)
            }
        }
    }

    /// Walks the whole tree: takes in cgroups of whose making nothing was heard, and lets go of those that are
    /// not there any more, the containers of which are returned.
    ///
    /// To be called after events were lost.
    pub fn resync(&mut self) -> Vec<Arc<Container>> {
        let mut present = HashMap::new();
        self.tree.walk(|id, path| {
            present.insert(id, Arc::<[u8]>::from(path));
            true
        });
        let root = self.tree.root_id().ok();
        let gone = |id: &&CgroupId| !present.contains_key(*id) && Some(**id) != root;
        let gone: Vec<CgroupId> = self.nodes.keys().filter(gone).copied().collect();
        let removed = gone.into_iter().filter_map(|id| self.cgroup_removed(id));
        let removed = removed.collect();
        let mut missed: Vec<_> = present
            .into_iter()
            .filter(|(id, _)| !self.nodes.contains_key(id))
            .collect();
        // Parents come first, so that children find them.
        missed.sort_unstable_by_key(|(_, path)| path.len());
        for (id, path) in missed {
            let state = self.state_of_new(&path);
            self.insert(id, path, state);
        }
        self.walked = self.nodes.len();
        removed
    }

    /// The processes in a container's own cgroup and those below it.
    pub(crate) fn processes_of(&self, id: CgroupId) -> Vec<u32> {
        let (mut text, mut pids) = (Vec::new(), Vec::new());
        let mut open: Vec<_> = self.tree.open_cgroup(id).into_iter().collect();
        while let Some(dir) = open.pop() {
            // A cgroup that cannot be read is gone: it has none.
            let _ = read_pids(&dir, &mut text, &mut pids);
            if let Ok(listed) = dir.try_clone() {
                open.extend(child_cgroups(listed).filter_map(|(_, name)| open_below(&dir, &name).ok()));
            }
        }
        pids
    }

    fn insert(&mut self, id: CgroupId, path: Arc<[u8]>, state: State) {
        self.tree.insert(id, path.clone());
        self.by_path.insert(path.clone(), id);
        self.nodes.insert(id, Node { path, state });
    }

    /// What a new cgroup is, by its path and the cgroups above it.
    fn state_of_new(&mut self, path: &[u8]) -> State {
        let shape = ContainerCgroup::parse(path);
        let above = self.container_above(path);
        if let Some(shape) = shape {
            let own = shape.own_path(path);
            if own.len() < path.len() {
                return match self.by_path.get(own).copied().or_else(|| self.make_missed(own)) {
                    Some(own) => State::Within(self.own_of(own)),
                    None => State::Unresolved,
                };
            }
            // A container that may write to its cgroups could take on the name of another one.
            return match above.filter(|_| shape.nested && self.is_taken(&shape.id)) {
                Some(above) => State::Within(above),
                None => State::Shaped(shape),
            };
        }
        match above {
            Some(above) => State::Within(above),
            None if is_monitor(path) => State::Host,
            None => State::Unresolved,
        }
    }

    /// Takes in a container's own cgroup of whose making nothing was heard, when one below it appears.
    fn make_missed(&mut self, path: &[u8]) -> Option<CgroupId> {
        let id = cgroup_id(self.tree.open_path(path).ok()?).ok()?;
        let state = self.state_of_new(path);
        self.insert(id, path.into(), state);
        Some(id)
    }

    /// The own cgroup of the nearest container above a path.
    fn container_above(&self, path: &[u8]) -> Option<CgroupId> {
        let mut rest = path;
        while let Some((start, _)) = last_component(rest) {
            rest = path
                .get(..start.saturating_sub(1))
                .filter(|above| !above.is_empty())?;
            if let Some(&id) = self.by_path.get(rest) {
                match self.nodes.get(&id)?.state {
                    State::Container(_) | State::Shaped(_) => return Some(id),
                    State::Within(own) => return Some(own),
                    State::Host | State::Unresolved => {}
                }
            }
        }
        None
    }

    fn own_of(&self, id: CgroupId) -> CgroupId {
        match self.nodes.get(&id).map(|node| &node.state) {
            Some(&State::Within(own)) => own,
            _ => id,
        }
    }

    /// True when a living container has this id.
    fn is_taken(&self, id: &ContainerId) -> bool {
        self.by_container
            .get(id)
            .is_some_and(|&cgroup| self.tree.open_cgroup(cgroup).is_ok())
    }

    /// Looks for a cgroup of whose making nothing was heard.
    fn find_missed(&mut self, id: CgroupId, pid: Pid) -> bool {
        if self.gone.contains(&id) {
            return false;
        }
        if let Ok(text) = self.proc.cgroups(pid.0)
            && let Some(path) = self.hierarchy().controller().path_in(&text)
            && let Ok(dir) = self.tree.open_path(path)
            && cgroup_id(&dir).is_ok_and(|found| found == id)
        {
            let path = path.to_vec();
            self.cgroup_made(id, &path);
            return true;
        }
        self.resync();
        if self.nodes.contains_key(&id) {
            return true;
        }
        if self.gone.len() >= GONE_LIMIT {
            self.gone.clear();
        }
        self.gone.insert(id);
        false
    }

    fn started(&mut self, id: CgroupId, container: Container, hint: ExecHint) -> Resolution {
        let container = Arc::new(Container {
            started: Some(ContainerStart {
                time: hint.time,
                pid: hint.pid,
            }),
            ..container
        });
        self.adopt(id, container.clone());
        Resolution::Started(container)
    }

    /// Makes a cgroup a container's own, and those below it the container's.
    fn adopt(&mut self, id: CgroupId, container: Arc<Container>) {
        self.by_container.insert(container.id.clone(), id);
        let Some(node) = self.nodes.get_mut(&id) else {
            return;
        };
        let was_unshaped = matches!(node.state, State::Unresolved);
        node.state = State::Container(container);
        if !was_unshaped {
            return;
        }
        // Those below a cgroup with a container's shape knew from their making.
        let mut prefix = node.path.to_vec();
        prefix.push(b'/');
        for below in self.nodes.values_mut() {
            if matches!(below.state, State::Unresolved) && below.path.starts_with(&prefix) {
                below.state = State::Within(id);
            }
        }
    }

    /// The container in a cgroup whose path has the shape of one: with unknown metadata when no bundle is
    /// found.
    fn shaped_container(
        &self,
        cgroup: CgroupId,
        path: &[u8],
        shape: &ContainerCgroup,
        pid: Option<u32>,
        preexisting: bool,
    ) -> Container {
        let id = shape.id.as_str();
        // The host's runtimes know nothing of containers inside containers, and an inner one could have been
        // given the id of one of the host's on purpose.
        let by_state = (!shape.nested)
            .then(|| self.bundles.by_state(id, shape.runtime))
            .flatten();
        let by_process = || started_by(&self.proc, pid.or_else(|| self.first_pid(cgroup))?, Some(id))?.bundle;
        let bundle = by_state.or_else(by_process);
        if bundle.is_none() {
            let path = String::from_utf8_lossy(path);
            tracing::debug!(container = id, ?path, "no OCI bundle was found");
        }
        let mut metadata = bundle.map(|bundle| bundle.metadata).unwrap_or_default();
        metadata.pod_uid = metadata.pod_uid.or_else(|| shape.pod_uid.clone());
        self.container(shape.id.clone(), cgroup, metadata, preexisting)
    }

    fn container(
        &self,
        id: ContainerId,
        cgroup: CgroupId,
        metadata: ContainerMetadata,
        preexisting: bool,
    ) -> Container {
        let sandbox = metadata.sandbox.as_ref().filter(|sandbox| **sandbox != id);
        let sandbox = sandbox.and_then(|sandbox| self.by_container.get(sandbox));
        let sandbox = sandbox.and_then(|cgroup| match &self.nodes.get(cgroup)?.state {
            State::Container(container) => Some(container.clone()),
            _ => None,
        });
        metadata.into_container(id, cgroup, preexisting, sandbox.as_deref())
    }

    fn resolve_unshaped(&mut self, id: CgroupId, path: &[u8], hint: ExecHint) -> Resolution {
        let own_namespaces = hint.own_pid_namespace && hint.own_mount_namespace;
        if let Some(container) = self.by_runtime(id, path, Some(hint.pid.0), own_namespaces, false) {
            return self.started(id, container, hint);
        }
        if own_namespaces {
            let container = Container::unknown(self.name_of_unknown(id, path), id);
            return self.started(id, container, hint);
        }
        if started_by(&self.proc, hint.pid.0, None).is_some() {
            return Resolution::Undecided;
        }
        if let Some(node) = self.nodes.get_mut(&id) {
            node.state = State::Host;
        }
        Resolution::Host
    }

    /// The container in a cgroup of any name, when a runtime says that it made it.
    fn by_runtime(
        &self,
        cgroup: CgroupId,
        path: &[u8],
        pid: Option<u32>,
        own_namespaces: bool,
        preexisting: bool,
    ) -> Option<Container> {
        let mount_point = mount_point_bytes(self.hierarchy());
        let names = runtime_ids(path);
        let by_state = || {
            names.iter().find_map(|name| {
                let bundle = self.bundles.by_state(name, super::RuntimeHint::Unknown)?;
                bundle
                    .is_of(path, mount_point)
                    .then(|| (ContainerId::new(*name), bundle))
            })
        };
        let by_process = || {
            let started = started_by(&self.proc, pid?, names.last().copied().filter(|_| own_namespaces))?;
            let id = String::from_utf8(started.id?).ok()?;
            let bundle = started.bundle?;
            let ours = bundle.is_of(path, mount_point) || names.contains(&id.as_str());
            ours.then(|| (ContainerId::new(id), bundle))
        };
        let (id, bundle) = by_state().or_else(by_process)?;
        let mut metadata = bundle.metadata;
        if metadata.role != Some(ContainerRole::Sandbox) && metadata.name.is_none() {
            // Who starts containers by hand knows them by the id he gave.
            metadata.name = Some(id.as_str().to_owned());
        }
        Some(self.container(id, cgroup, metadata, preexisting))
    }

    /// An id for a container of unknown making: the cgroup's name where that is a good and a new one.
    fn name_of_unknown(&self, id: CgroupId, path: &[u8]) -> ContainerId {
        last_component(path)
            .filter(|(_, name)| is_runtime_id(name))
            .and_then(|(_, name)| std::str::from_utf8(name).ok())
            .map(ContainerId::new)
            .filter(|name| !self.by_container.contains_key(name))
            .unwrap_or_else(|| ContainerId::new(format!("cgroup-{}", id.0)))
    }
}

/// The ids that a runtime may have made a cgroup's name of: the name itself, or, with the systemd driver,
/// what follows the prefix in the name of a scope.
fn runtime_ids(path: &[u8]) -> Vec<&str> {
    let Some((_, name)) = last_component(path) else {
        return Vec::new();
    };
    let scope = name.strip_suffix(b".scope").and_then(|scope| {
        let dash = scope.iter().position(|&byte| byte == b'-')?;
        Some(&scope[dash + 1..])
    });
    [Some(name), scope]
        .into_iter()
        .flatten()
        .filter(|name| is_runtime_id(name))
        .filter_map(|name| std::str::from_utf8(name).ok())
        .collect()
}

#[cfg(test)]
mod tests;
