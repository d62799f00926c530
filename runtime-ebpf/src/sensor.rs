//! The sensor: records from the kernel, made into events of the core.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use aya::Btf;
use runtime_core::event::Exit;
use runtime_core::ports::PortError;
use runtime_core::{
    Activity, BootTime, CgroupId, Container, Event, EventClass, EventSource, Exec, FileId, Loss, Outcome,
    Pid, Process, SensorItem, Trust,
};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::time::ClockId;

use crate::capabilities::{Capabilities, HookPlan, plan_hooks};
use crate::container::{
    CgroupController, CgroupTree, ContainerIndex, ContainerOptions, ExecHint, Lookup, Resolution,
};
use crate::error::SensorError;
use crate::loader::{CLASSES, Loaded, Settings};
use crate::loss::{Sequences, class_of};
use crate::origin::{is_runtime_setup, origin_of};
use crate::processes::{ClockPair, ProcessTable};
use crate::reader::{Pacer, Pause};
use crate::seed::read_process;
use crate::wire::{Body, ExecRecord, ExitRecord, Header, Record};

/// How the sensor is set up.
#[derive(Debug, Clone)]
pub struct SensorOptions {
    /// Where the host's files and processes are.
    pub containers: ContainerOptions,
    /// Size of the ring buffer in bytes: a power of two and a multiple of the page size. It counts twice in the
    /// process's resident memory, because it is mapped twice in a row.
    pub ring_bytes: u32,
    /// How many live processes the kernel remembers; past that, parents are inferred.
    pub max_processes: u32,
    /// How many cgroups the kernel knows the containers of.
    pub max_cgroups: u32,
    /// How often to look at the ring while records come.
    pub poll_interval: Duration,
    /// Whether forks and exits are delivered as events as well.
    pub lifecycle: bool,
}

impl Default for SensorOptions {
    fn default() -> Self {
        Self {
            containers: ContainerOptions::default(),
            ring_bytes: 4 << 20,
            max_processes: 16_384,
            max_cgroups: 16_384,
            poll_interval: Duration::from_micros(250),
            lifecycle: false,
        }
    }
}

/// Counts since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SensorStats {
    /// Events made in the kernel, by class.
    pub made: Vec<(EventClass, u64)>,
    /// Records that arrived, by class.
    pub delivered: Vec<(EventClass, u64)>,
    /// Records that did not, by class, as the kernel counted them.
    pub lost: Vec<(EventClass, u64)>,
    /// Records that did not, by class, as gaps in the sequence numbers show.
    pub gaps: Vec<(EventClass, u64)>,
    /// Records that could not be decoded.
    pub malformed: u64,
    /// What went wrong in the kernel, by name.
    pub troubles: Vec<(&'static str, u64)>,
}

/// A running sensor. Dropping it detaches all programs.
///
/// Minimum kernel: 5.10, with BTF.
pub struct Sensor {
    loaded: Loaded,
    capabilities: Capabilities,
    plan: HookPlan,
    pacer: Pacer,
    state: State,
    next_loss_report: Instant,
    reported: HashMap<(CgroupId, EventClass), u64>,
}

/// Everything that records are turned into events with; apart from the ring, which lends the records.
struct State {
    index: ContainerIndex,
    processes: ProcessTable,
    sequences: Sequences,
    host: HostNamespaces,
    clock: ClockPair,
    lifecycle: bool,
    delivered: HashMap<EventClass, u64>,
    gaps: HashMap<EventClass, u64>,
    malformed: u64,
    /// Containers whose start was seen and whose entrypoint was not yet.
    starting: HashSet<CgroupId>,
    /// What the kernel is to be told of cgroups, once the ring is not borrowed.
    to_tell: Vec<Tell>,
}

#[derive(Debug, Clone, Copy)]
enum Tell {
    Ignore(CgroupId),
    Watch { cgroup: CgroupId, owner: CgroupId },
}

/// How often losses are looked for that no later record has shown.
const LOSS_INTERVAL: Duration = Duration::from_secs(1);
/// How many looks at an empty ring before sleeping.
const PATIENCE: u32 = 16;
/// How many records are handled before control goes back to the caller.
const BATCH: usize = 4096;
const MAX_PROCESSES_FOLLOWED: usize = 65_536;

impl Sensor {
    /// Probes the kernel, finds the containers that are there, loads the programs and attaches them.
    pub fn start(options: &SensorOptions) -> Result<Self, SensorError> {
        let capabilities = Capabilities::probe();
        let plan = plan_hooks(&capabilities)?;
        let host = HostNamespaces::read(options)?;
        // A first look, to know the hierarchy; the containers are looked for after attaching, so that one
        // which starts in between is not missed.
        let controller = ContainerIndex::discover(&options.containers)?
            .hierarchy()
            .controller();
        let settings = Settings {
            controller,
            hierarchy: hierarchy_number(options, controller),
            ring_bytes: options.ring_bytes,
            processes: options.max_processes,
            cgroups: options.max_cgroups,
        };
        // Large, and needed only until everything is attached.
        let btf = Btf::from_sys_fs().map_err(|source| SensorError::Btf(Box::new(source)))?;
        let mut loaded = Loaded::load(&settings, &btf)?;
        loaded.attach(plan, &btf)?;
        drop(btf);
        let index = ContainerIndex::discover(&options.containers)?;
        let mut sensor = Self {
            loaded,
            capabilities,
            plan,
            pacer: Pacer::new(options.poll_interval, PATIENCE),
            state: State {
                index,
                processes: ProcessTable::new(MAX_PROCESSES_FOLLOWED),
                sequences: Sequences::default(),
                host,
                clock: read_clocks(),
                lifecycle: options.lifecycle,
                delivered: HashMap::new(),
                gaps: HashMap::new(),
                malformed: 0,
                starting: HashSet::new(),
                to_tell: Vec::new(),
            },
            next_loss_report: Instant::now() + LOSS_INTERVAL,
            reported: HashMap::new(),
        };
        let hosts: Vec<CgroupId> = sensor.state.index.host_cgroups().collect();
        hosts
            .into_iter()
            .try_for_each(|cgroup| sensor.loaded.ignore(cgroup))?;
        let owners: Vec<CgroupId> = sensor.state.index.containers().map(|c| c.cgroup).collect();
        owners
            .into_iter()
            .try_for_each(|cgroup| sensor.loaded.watch(cgroup, cgroup))?;
        sensor.seed(&options.containers.proc_root);
        Ok(sensor)
    }

    /// Reads the processes of the containers that are there.
    fn seed(&mut self, proc_root: &Path) {
        let State {
            index,
            processes,
            clock,
            ..
        } = &mut self.state;
        let containers: Vec<Arc<Container>> = index.containers().cloned().collect();
        for container in containers {
            let pids = index.processes_of(container.cgroup);
            for &pid in &pids {
                if let Some(process) = read_process(proc_root, pid, container.cgroup, &pids, clock) {
                    processes.seed(process);
                }
            }
        }
    }

    /// What was found of the kernel.
    pub fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// How the programs are attached.
    pub fn plan(&self) -> &HookPlan {
        &self.plan
    }

    /// The containers that run now.
    pub fn containers(&self) -> impl Iterator<Item = &Arc<Container>> {
        self.state.index.containers()
    }

    /// Where containers' cgroups are, for a responder.
    pub fn cgroup_tree(&self) -> CgroupTree {
        self.state.index.tree()
    }

    /// Counts since the start.
    pub fn stats(&self) -> Result<SensorStats, SensorError> {
        let all = |counts: &HashMap<EventClass, u64>| {
            CLASSES
                .map(|class| (class, counts.get(&class).copied().unwrap_or(0)))
                .to_vec()
        };
        let mut lost = HashMap::new();
        for (_, class, count) in self.loaded.lost() {
            *lost.entry(class).or_default() += count;
        }
        Ok(SensorStats {
            made: self.loaded.made()?,
            delivered: all(&self.state.delivered),
            lost: all(&lost),
            gaps: all(&self.state.gaps),
            malformed: self.state.malformed,
            troubles: self.loaded.troubles()?,
        })
    }

    /// Waits up to `timeout` for records and hands what they say to `each`, in the order in which it happened
    /// on each CPU. Returns how many items there were.
    pub fn poll(
        &mut self,
        timeout: Duration,
        each: &mut dyn FnMut(SensorItem),
    ) -> Result<usize, SensorError> {
        let mut items = self.drain(each);
        if items == 0 {
            match self.pacer.pause() {
                Pause::Nap(interval) => std::thread::sleep(interval.min(timeout)),
                Pause::Sleep => items += self.sleep(timeout, each)?,
            }
            items += self.drain(each);
        }
        if Instant::now() >= self.next_loss_report {
            items += self.report_losses(each);
            self.next_loss_report = Instant::now() + LOSS_INTERVAL;
        }
        Ok(items)
    }

    /// Sleeps until a record wakes us. What came before the kernel knew that we sleep is handled first.
    fn sleep(&mut self, timeout: Duration, each: &mut dyn FnMut(SensorItem)) -> Result<usize, SensorError> {
        self.loaded.set_asleep(true)?;
        // The word must be seen before the ring is looked at; the kernel does it the other way round.
        std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
        let items = self.drain(each);
        // A record that made no item may have used the wake-up up: then the next one would wake nobody.
        if items == 0 && self.loaded.is_asleep()? {
            let timeout = Timespec::try_from(timeout).unwrap_or(Timespec {
                tv_sec: 3600,
                tv_nsec: 0,
            });
            let mut fds = [PollFd::new(&self.loaded.ring, PollFlags::IN)];
            match rustix::event::poll(&mut fds, Some(&timeout)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(SensorError::Wait(error.into())),
            }
        }
        self.loaded.set_asleep(false)?;
        Ok(items)
    }

    fn drain(&mut self, each: &mut dyn FnMut(SensorItem)) -> usize {
        let (mut records, mut items) = (0, 0);
        let mut gap = false;
        while records < BATCH {
            {
                let Some(bytes) = self.loaded.ring.next() else {
                    break;
                };
                if records == 0 {
                    self.state.clock = read_clocks();
                }
                records += 1;
                gap |= self.state.take_in(&bytes, &mut |item| {
                    items += 1;
                    each(item);
                });
            }
            for tell in self.state.to_tell.drain(..) {
                let told = match tell {
                    Tell::Ignore(cgroup) => self.loaded.ignore(cgroup),
                    Tell::Watch { cgroup, owner } => self.loaded.watch(cgroup, owner),
                };
                if let Err(error) = told {
                    // Nothing is missed by it: the kernel goes on to watch a cgroup that it does not know.
                    tracing::debug!(%error, "the kernel's map of cgroups is full");
                }
            }
        }
        if records > 0 {
            self.pacer.found();
        }
        if gap {
            items += self.report_losses(each);
        }
        // A batch of records of which none is an item is still something that was there.
        items.max(usize::from(records == BATCH))
    }

    /// Tells of what the kernel counted as lost since the last time.
    fn report_losses(&mut self, each: &mut dyn FnMut(SensorItem)) -> usize {
        let mut items = 0;
        let mut lost_cgroups = false;
        for (cgroup, class, total) in self.loaded.lost() {
            let reported = self.reported.entry((cgroup, class)).or_default();
            if total <= *reported {
                continue;
            }
            let count = total - *reported;
            *reported = total;
            lost_cgroups |= class == EventClass::Cgroup;
            let container = match self.state.index.lookup(cgroup) {
                Lookup::Container(container) => Some(Arc::clone(container)),
                Lookup::Host | Lookup::Unresolved => None,
            };
            items += 1;
            each(SensorItem::Lost(Loss {
                cgroup,
                container,
                class,
                count,
            }));
        }
        if lost_cgroups {
            for container in self.state.index.resync() {
                items += 1;
                each(SensorItem::ContainerStopped(container));
            }
        }
        items
    }
}

impl EventSource for Sensor {
    fn poll(&mut self, timeout: Duration, each: &mut dyn FnMut(SensorItem)) -> Result<usize, PortError> {
        Ok(Self::poll(self, timeout, each)?)
    }
}

impl AsFd for Sensor {
    /// The ring's descriptor; it becomes readable only after a [`poll`](Self::poll) that found nothing to do.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.loaded.ring.as_fd()
    }
}

impl fmt::Debug for Sensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sensor")
            .field("plan", &self.plan)
            .field("ring", &self.loaded.ring.as_raw_fd())
            .finish_non_exhaustive()
    }
}

impl State {
    /// Takes one record in; true when records before it are missing.
    fn take_in(&mut self, bytes: &[u8], each: &mut dyn FnMut(SensorItem)) -> bool {
        let record = match Record::decode(bytes) {
            Ok(record) => record,
            Err(error) => {
                self.malformed += 1;
                tracing::debug!(%error, "a record from the kernel cannot be decoded");
                return false;
            }
        };
        let class = class_of(&record.body);
        *self.delivered.entry(class).or_default() += 1;
        let gap = self.sequences.gap_before(&record);
        if gap > 0 {
            *self.gaps.entry(class).or_default() += gap;
        }
        match &record.body {
            Body::Exec(exec) => self.exec(&record.header, exec, each),
            Body::Fork(fork) => {
                self.processes.fork(fork);
                if self.lifecycle
                    && let Some(process) = self.processes.process(Pid(fork.pid))
                {
                    self.lifecycle_event(&record.header, process, Activity::Fork, each);
                }
            }
            Body::Exit(exit) => self.exit(&record.header, exit, each),
            Body::CgroupMade { path } => self.index.cgroup_made(CgroupId(record.header.cgroup), path),
            Body::CgroupRemoved { .. } => {
                if let Some(container) = self.index.cgroup_removed(CgroupId(record.header.cgroup)) {
                    self.starting.remove(&container.cgroup);
                    each(SensorItem::ContainerStopped(container));
                }
            }
        }
        gap > 0
    }

    fn exec(&mut self, header: &Header, exec: &ExecRecord<'_>, each: &mut dyn FnMut(SensorItem)) {
        if is_runtime_setup(exec) {
            return;
        }
        let Some(container) = self.container_of(header, exec, each) else {
            return;
        };
        let process = self.processes.exec(header, exec, &self.clock);
        let startup = self.starting.remove(&container.cgroup);
        let activity = Activity::Exec(Exec {
            path: process.exe.clone(),
            file: FileId {
                device: exec.device,
                inode: exec.inode,
            },
            size: exec.size,
            origin: origin_of(exec),
            deleted: exec.has(crate::wire::flags::DELETED) && !exec.has(crate::wire::flags::MEMFD),
            sha256: None,
            startup,
        });
        each(SensorItem::Event(self.event(
            header,
            Some(container),
            process,
            activity,
        )));
    }

    /// The container of an exec, found out about now where it has to be.
    fn container_of(
        &mut self,
        header: &Header,
        exec: &ExecRecord<'_>,
        each: &mut dyn FnMut(SensorItem),
    ) -> Option<Arc<Container>> {
        let cgroup = CgroupId(header.cgroup);
        match self.index.lookup(cgroup) {
            Lookup::Container(container) => return Some(Arc::clone(container)),
            Lookup::Host => {
                self.to_tell.push(Tell::Ignore(cgroup));
                return None;
            }
            Lookup::Unresolved => {}
        }
        let hint = ExecHint {
            pid: Pid(exec.pid),
            own_pid_namespace: exec.pid_namespace != self.host.pid,
            own_mount_namespace: exec.mount_namespace != self.host.mount,
        };
        let (container, new) = match self.index.resolve(cgroup, hint) {
            Resolution::Started(container) => (container, true),
            Resolution::Known(container) => (container, false),
            Resolution::Host => {
                self.to_tell.push(Tell::Ignore(cgroup));
                return None;
            }
            Resolution::Undecided => return None,
        };
        self.to_tell.push(Tell::Watch {
            cgroup,
            owner: container.cgroup,
        });
        if new {
            self.starting.insert(container.cgroup);
            each(SensorItem::ContainerStarted(Arc::clone(&container)));
        }
        Some(container)
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
        if let Lookup::Container(container) = self.index.lookup(CgroupId(header.cgroup)) {
            each(SensorItem::Event(self.event(
                header,
                Some(Arc::clone(container)),
                process,
                activity,
            )));
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

/// The namespaces of the host's first process: what containers differ from.
#[derive(Debug, Clone, Copy)]
struct HostNamespaces {
    pid: u32,
    mount: u32,
}

impl HostNamespaces {
    fn read(options: &SensorOptions) -> Result<Self, SensorError> {
        // Process 1 may be out of bounds (it has capabilities that we lack). Then our own stand in: the
        // daemon shares the host's PID namespace, and a container has both of its own.
        let inode = |name: &str| {
            let path = |of: &str| options.containers.proc_root.join(of).join("ns").join(name);
            let stat = rustix::fs::stat(path("1")).or_else(|_| rustix::fs::stat(path("self")));
            // A namespace's number is an unsigned int in the kernel (`struct ns_common`).
            stat.map(|stat| stat.st_ino as u32)
                .map_err(|error| SensorError::HostNamespaces {
                    path: path("self"),
                    source: error.into(),
                })
        };
        Ok(Self {
            pid: inode("pid")?,
            mount: inode("mnt")?,
        })
    }
}

/// The kernel's number of a controller's hierarchy, from `/proc/self/cgroup`; 0 for the v2 tree.
fn hierarchy_number(options: &SensorOptions, controller: CgroupController) -> u32 {
    let text = std::fs::read_to_string(options.containers.proc_root.join("self/cgroup")).unwrap_or_default();
    let number = text.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':');
        let (number, controllers) = (fields.next()?, fields.next()?);
        controllers
            .split(',')
            .any(|name| name == controller.name())
            .then(|| number.parse().ok())?
    });
    number.unwrap_or(0)
}

fn read_clocks() -> ClockPair {
    let boot = rustix::time::clock_gettime(ClockId::Boottime);
    let nanos = boot.tv_sec as u64 * 1_000_000_000 + boot.tv_nsec as u64;
    ClockPair {
        boot: BootTime::from_nanos(nanos),
        wall: SystemTime::now().into(),
    }
}
