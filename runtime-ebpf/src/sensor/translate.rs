//! Records into items: what each one means to the containers, the processes and whoever listens.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use runtime_core::event::Exit;
use runtime_core::{
    Activity, BootTime, Call, CgroupId, Container, Endpoint, Event, EventClass, Exec, FileId, Loss, Outcome,
    Pid, Process, SensorItem, Syscall, SystemActivity, Trust, process::Credentials,
};

use super::host::{HostNamespaces, read_clocks};
use super::marks::Marks;
use super::packets::Packets;
use super::{SensorOptions, file, network, system};
use crate::container::{ContainerIndex, ExecHint, Lookup, Resolution};
use crate::error::SensorError;
use crate::filter::call_at;
use crate::loader::Loaded;
use crate::loss::{ByClass, Sequences, class_of};
use crate::origin::is_runtime_setup;
use crate::processes::{ClockPair, ProcessTable};
use crate::wire::flags;
use crate::wire::{Actor, Body, ExecRecord, ExitRecord, Header, PacketRecord, Record};

/// A system call, and what is known of whoever made it.
struct Made<'a> {
    syscall: Syscall,
    before: &'a Credentials,
    process: &'a Process,
    processes: &'a ProcessTable,
    /// `None` for a process of the host.
    container: Option<&'a Container>,
    index: &'a ContainerIndex,
    marks: &'a mut Marks,
    packets: &'a mut Packets,
}

/// `EIOCBQUEUED` of the kernel, in the place of a result: the operation was not over when it was told of. No system
/// call returns it.
const QUEUED: i64 = -529;

/// Where something happened that somebody wants to hear of.
enum Place {
    Container(Arc<Container>),
    /// In no container.
    Host,
}

impl Place {
    fn container(&self) -> Option<&Arc<Container>> {
        match self {
            Self::Container(container) => Some(container),
            Self::Host => None,
        }
    }

    fn into_container(self) -> Option<Arc<Container>> {
        match self {
            Self::Container(container) => Some(container),
            Self::Host => None,
        }
    }
}

/// What a record says was done.
pub(super) struct Subject {
    pub(super) activity: Activity,
    pub(super) outcome: Outcome,
    pub(super) trust: Trust,
}

impl Subject {
    /// Of a call: it was done unless it returned an error, and comes from kernel objects where the record says so.
    pub(super) fn of_call(actor: &Actor<'_>, activity: Activity) -> Self {
        Self {
            activity,
            outcome: if actor.result < 0 {
                Outcome::Attempted
            } else {
                Outcome::Done
            },
            trust: if actor.has(flags::SUBJECT_KERNEL) {
                Trust::Kernel
            } else {
                Trust::Argument
            },
        }
    }
}

/// Everything that records are turned into events with; apart from the ring, which lends the records.
pub(super) struct State {
    pub(super) index: ContainerIndex,
    pub(super) processes: ProcessTable,
    sequences: Sequences,
    host: HostNamespaces,
    pub(super) clock: ClockPair,
    pub(super) marks: Marks,
    pub(super) packets: Packets,
    /// Whether DNS questions and answers are told of, beside names being learned from them.
    pub(super) wants_dns: bool,
    proc_root: PathBuf,
    lifecycle: bool,
    /// Whether what no container does is told of as well.
    pub(super) watches_host: bool,
    pub(super) delivered: ByClass,
    pub(super) gaps: ByClass,
    pub(super) malformed: u64,
    /// Containers whose start was seen and whose entrypoint was not yet.
    starting: HashSet<CgroupId>,
    /// What the kernel is to be told of cgroups, once the ring is not borrowed.
    pub(super) to_tell: Vec<Tell>,
    /// Cgroups that are gone since this was looked at last.
    pub(super) gone: Vec<(CgroupId, Option<Arc<Container>>)>,
    /// Execs of which it could not be found out where they belong.
    pub(super) unresolved: u64,
    /// Mount namespaces in which containers have executed something, each with the last one's cgroup: no runtime
    /// sets a container up from in there.
    inside: HashMap<u32, CgroupId>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Tell {
    Ignore(CgroupId),
    Watch { cgroup: CgroupId, owner: CgroupId },
    Forget(CgroupId),
}

impl Tell {
    pub(super) fn carry_out(self, loaded: &mut Loaded) -> Result<(), SensorError> {
        match self {
            Self::Ignore(cgroup) => loaded.ignore(cgroup),
            Self::Watch { cgroup, owner } => loaded.watch(cgroup, owner),
            Self::Forget(cgroup) => {
                loaded.forget(cgroup);
                Ok(())
            }
        }
    }
}

const MAX_PROCESSES_FOLLOWED: usize = 65_536;
/// So many mount namespaces are remembered. Past that they are forgotten and seen anew.
const MAX_INSIDE: usize = 65_536;

impl State {
    pub(super) fn new(index: ContainerIndex, host: HostNamespaces, options: &SensorOptions) -> Self {
        Self {
            index,
            processes: ProcessTable::new(MAX_PROCESSES_FOLLOWED),
            sequences: Sequences::default(),
            host,
            clock: read_clocks(),
            marks: Marks::new(&options.containers.proc_root),
            packets: Packets::new(),
            wants_dns: false,
            proc_root: options.containers.proc_root.clone(),
            lifecycle: options.lifecycle,
            watches_host: options.host,
            delivered: ByClass::default(),
            gaps: ByClass::default(),
            malformed: 0,
            starting: HashSet::new(),
            to_tell: Vec::new(),
            gone: Vec::new(),
            unresolved: 0,
            inside: HashMap::new(),
        }
    }

    /// Looks at all cgroups again, since the making and removing of some was not heard of. Gives the containers
    /// that are gone.
    pub(super) fn resync(&mut self) -> Vec<Arc<Container>> {
        let stopped = self.index.resync();
        for container in &stopped {
            self.cgroup_gone(container.cgroup, Some(container));
        }
        stopped
    }

    fn cgroup_gone(&mut self, cgroup: CgroupId, container: Option<&Arc<Container>>) {
        self.starting.remove(&cgroup);
        if container.is_some() {
            // The kernel gives the numbers of namespaces out again.
            self.inside.retain(|_, of| *of != cgroup);
        }
        self.gone.push((cgroup, container.cloned()));
        // We may have told of it after the kernel had removed it.
        self.to_tell.push(Tell::Forget(cgroup));
    }

    /// Takes one record in; true when records before it are missing.
    pub(super) fn take_in(
        &mut self,
        bytes: &[u8],
        loaded: &mut Loaded,
        each: &mut dyn FnMut(SensorItem),
    ) -> bool {
        let record = match Record::decode(bytes) {
            Ok(record) => record,
            Err(error) => {
                self.malformed += 1;
                tracing::debug!(%error, "a record from the kernel cannot be decoded");
                return false;
            }
        };
        let class = class_of(&record.body);
        self.delivered[class as usize] += 1;
        let gap = self.sequences.gap_before(&record);
        self.gaps[class as usize] += gap;
        match &record.body {
            Body::Exec(exec) => {
                if let Some(started) = self.exec(&record.header, exec, each)
                    && let Err(error) = self.marks.add(loaded, &self.index, &started)
                {
                    tracing::warn!(%error, container = %started.id, "its watched files are seen by name only");
                }
            }
            Body::Fork(fork) => {
                self.processes.fork(fork);
                if self.lifecycle
                    && let Some(process) = self.processes.process(Pid(fork.pid))
                {
                    self.lifecycle_event(&record.header, process, Activity::Fork, each);
                }
            }
            Body::Exit(exit) => self.exit(&record.header, exit, each),
            Body::CgroupMade(made) => self.index.cgroup_made(CgroupId(record.header.cgroup), made.path),
            Body::CgroupRemoved(_) => {
                let cgroup = CgroupId(record.header.cgroup);
                let container = self.index.cgroup_removed(cgroup);
                self.cgroup_gone(cgroup, container.as_ref());
                if let Some(container) = container {
                    self.marks.forget(loaded, cgroup);
                    self.packets.end(&container.id);
                    each(SensorItem::ContainerStopped(container));
                }
            }
            Body::File(file) => {
                if let Some(number) = file::memory_of(file) {
                    self.call(&record.header, &file.actor, each, |call| {
                        let namespace = call.process.namespaces.pid;
                        let target = call.processes.by_container_pid(namespace, number);
                        file::memory_write(file, call.process, target.as_deref())
                    });
                }
                self.call(&record.header, &file.actor, each, |call| {
                    let mut subject = file::file_activity(call.syscall, file)?;
                    if let Activity::File(activity) = &mut subject.activity
                        && let Some(container) = call.container
                        && let Err(error) = call.marks.name(loaded, call.index, container.cgroup, activity)
                    {
                        tracing::debug!(%error, "a watched file cannot be looked up again");
                    }
                    Some(subject)
                });
            }
            Body::Network(network) => self.call(&record.header, &network.actor, each, |call| {
                let mut subject = network::network_activity(call.syscall, network)?;
                if let Activity::Network(activity) = &mut subject.activity
                    && let Some(remote) = activity.remote.as_ref().and_then(Endpoint::socket_addr)
                    && let Some(container) = call.container
                {
                    activity.domains = call.packets.names_of(&container.id, remote.ip());
                }
                Some(subject)
            }),
            Body::System(system) => {
                self.call(&record.header, &system.actor, each, |call| {
                    let container_of = |cgroup| match call.index.lookup(cgroup) {
                        Lookup::Container(container) => Some(container.id.clone()),
                        Lookup::Host | Lookup::Unresolved => None,
                    };
                    let known = |pid| call.processes.process(pid);
                    let subject =
                        system::system_activity(call.syscall, system, call.before, &container_of, &known)?;
                    // The kernel tells of signals to processes that it has not met as well.
                    let own = call.container.map(|container| &container.id);
                    let within = matches!(&subject.activity,
                        Activity::System(SystemActivity::Signal { target, .. })
                            if target.container.is_some() && target.container.as_ref() == own);
                    (!within).then_some(subject)
                });
                self.processes
                    .set_capabilities(system.actor.pid, system.effective_caps);
            }
            Body::Packet(packet) => self.packet(&record.header, packet, each),
        }
        // What may come in floods is told of with the next report; of the rest, as soon as can be.
        gap > 0
            && matches!(
                class,
                EventClass::Exec | EventClass::Fork | EventClass::Exit | EventClass::Cgroup
            )
    }

    /// Takes in a DNS packet: names are learned from it in any case.
    fn packet(&mut self, header: &Header, packet: &PacketRecord<'_>, each: &mut dyn FnMut(SensorItem)) {
        let Lookup::Container(container) = self.index.lookup(CgroupId(header.cgroup)) else {
            return;
        };
        let container = Arc::clone(container);
        for (asker, activity) in self.packets.take_in(header, packet, &container.id) {
            // Who has asked may be gone before the answer is there.
            if self.wants_dns
                && let Some(process) = self.processes.by_key(asker)
            {
                let activity = Activity::Dns(activity);
                each(SensorItem::Event(self.event(
                    header,
                    Some(Arc::clone(&container)),
                    process,
                    activity,
                )));
            }
        }
    }

    /// Takes in what a system call did; `subject` says what that was.
    fn call(
        &mut self,
        header: &Header,
        actor: &Actor<'_>,
        each: &mut dyn FnMut(SensorItem),
        subject: impl FnOnce(Made<'_>) -> Option<Subject>,
    ) {
        let Some(place) = self.place(header.cgroup) else {
            return;
        };
        let Some(syscall) = call_at(actor.call) else {
            self.malformed += 1;
            return;
        };
        let before = self.processes.credentials(actor.pid, actor.start).copied();
        let process = self.processes.actor(header, actor, &self.clock);
        let before = before.as_ref().unwrap_or(&process.credentials);
        let Some(Subject {
            activity,
            outcome,
            trust,
        }) = subject(Made {
            syscall,
            before,
            process: &process,
            processes: &self.processes,
            container: place.container().map(Arc::as_ref),
            index: &self.index,
            marks: &mut self.marks,
            packets: &mut self.packets,
        })
        else {
            return;
        };
        each(SensorItem::Event(Event {
            outcome,
            trust,
            call: Some(Call {
                syscall,
                result: (actor.result != QUEUED).then_some(actor.result),
                io_uring: actor.has(flags::IO_URING),
            }),
            ..self.event(header, place.into_container(), process, activity)
        }));
    }

    /// Where something happened; `None` when nobody wants to hear of it.
    fn place(&self, cgroup: u64) -> Option<Place> {
        match self.index.lookup(CgroupId(cgroup)) {
            Lookup::Container(container) => Some(Place::Container(Arc::clone(container))),
            Lookup::Host => self.watches_host.then_some(Place::Host),
            // A runtime at work, before the container's first exec.
            Lookup::Unresolved => None,
        }
    }

    /// Takes in an exec. Gives its container when that was not known before.
    fn exec(
        &mut self,
        header: &Header,
        exec: &ExecRecord<'_>,
        each: &mut dyn FnMut(SensorItem),
    ) -> Option<Arc<Container>> {
        if is_runtime_setup(exec) && !self.inside.contains_key(&exec.mount_namespace) {
            return None;
        }
        let place = self.place_of_exec(header, exec, each)?;
        if let Some(container) = place.container()
            && exec.mount_namespace != self.host.mount
        {
            if self.inside.len() >= MAX_INSIDE {
                self.inside.clear();
            }
            self.inside.insert(exec.mount_namespace, container.cgroup);
        }
        let process = self.processes.exec(header, exec, &self.clock);
        let startup = place
            .container()
            .is_some_and(|container| self.starting.remove(&container.cgroup));
        let activity = Activity::Exec(Exec {
            path: process.exe.clone(),
            file: FileId {
                device: exec.device,
                inode: exec.inode,
            },
            size: exec.size,
            origin: process.origin,
            deleted: exec.has(crate::wire::flags::DELETED) && !exec.has(crate::wire::flags::MEMFD),
            sha256: None,
            startup,
        });
        let container = place.into_container();
        let started = container.clone().filter(|_| startup);
        each(SensorItem::Event(
            self.event(header, container, process, activity),
        ));
        started
    }

    /// Where an exec happened, found out about now where it has to be; `None` when nobody wants to hear of it, or
    /// nothing can be found out.
    fn place_of_exec(
        &mut self,
        header: &Header,
        exec: &ExecRecord<'_>,
        each: &mut dyn FnMut(SensorItem),
    ) -> Option<Place> {
        let cgroup = CgroupId(header.cgroup);
        match self.index.lookup(cgroup) {
            Lookup::Container(container) => return Some(Place::Container(Arc::clone(container))),
            Lookup::Host => return self.host_exec(cgroup, exec),
            Lookup::Unresolved => {}
        }
        let hint = ExecHint {
            pid: Pid(exec.pid),
            time: BootTime::from_nanos(header.time),
            own_pid_namespace: exec.pid_namespace != self.host.pid,
            own_mount_namespace: exec.mount_namespace != self.host.mount,
        };
        let (container, new) = match self.index.resolve(cgroup, hint) {
            Resolution::Started(container) => (container, true),
            Resolution::Known(container) => (container, false),
            Resolution::Host => return self.host_exec(cgroup, exec),
            Resolution::Undecided => {
                self.unresolved += 1;
                // A runtime at work looks like the host; this is somebody's program that nobody will judge.
                if hint.own_pid_namespace && hint.own_mount_namespace {
                    each(SensorItem::Lost(Loss {
                        cgroup,
                        container: None,
                        class: EventClass::Exec,
                        count: 1,
                    }));
                }
                return None;
            }
        };
        self.to_tell.push(Tell::Watch {
            cgroup,
            owner: container.cgroup,
        });
        if new {
            self.starting.insert(container.cgroup);
            self.packets.begin(&container, &self.proc_root, exec.pid);
            each(SensorItem::ContainerStarted(Arc::clone(&container)));
        }
        Some(Place::Container(container))
    }

    /// Unless the host is watched, nobody wants to hear of its cgroups. One that holds processes with namespaces of their own is left
    /// alone: they may turn out to be somebody's container.
    fn host_exec(&mut self, cgroup: CgroupId, exec: &ExecRecord<'_>) -> Option<Place> {
        if self.watches_host {
            return Some(Place::Host);
        }
        if exec.mount_namespace == self.host.mount && exec.pid_namespace == self.host.pid {
            self.to_tell.push(Tell::Ignore(cgroup));
        }
        None
    }

    fn exit(&mut self, header: &Header, exit: &ExitRecord, each: &mut dyn FnMut(SensorItem)) {
        let process = self.processes.exit(exit);
        if let Some(process) = process.filter(|_| self.lifecycle) {
            let activity = Activity::Exit(Exit {
                code: (exit.status >> 8 & 0xff) as u8,
                signal: (exit.status & 0x7f) as u8,
            });
            self.lifecycle_event(header, process, activity, each);
        }
    }

    fn lifecycle_event(
        &self,
        header: &Header,
        process: Arc<Process>,
        activity: Activity,
        each: &mut dyn FnMut(SensorItem),
    ) {
        if let Some(place) = self.place(header.cgroup) {
            let container = place.into_container();
            each(SensorItem::Event(
                self.event(header, container, process, activity),
            ));
        }
    }

    fn event(
        &self,
        header: &Header,
        container: Option<Arc<Container>>,
        process: Arc<Process>,
        activity: Activity,
    ) -> Event {
        Event {
            time: self.clock.wall_time(header.time),
            boot_time: BootTime::from_nanos(header.time),
            outcome: Outcome::Done,
            trust: Trust::Kernel,
            call: None,
            container,
            process,
            activity,
        }
    }
}
