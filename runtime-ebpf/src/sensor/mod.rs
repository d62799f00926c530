//! The sensor: records from the kernel, made into events of the core.

mod file;
mod host;
mod losses;
mod marks;
mod network;
mod packets;
mod system;
mod translate;

use std::fmt;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aya::Btf;
use aya::maps::{MapData, RingBuf};
use runtime_core::ports::PortError;
use runtime_core::{Container, EventClass, EventSource, Needs, SensorItem};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{CWD, Mode, OFlags};

use self::host::{HostNamespaces, hierarchy_number, read_clocks};
use self::losses::Losses;
use self::translate::{State, Tell};
use crate::capabilities::{Attachment, Capabilities, HookPlan, plan_hooks};
use crate::container::{CgroupHierarchy, CgroupTree, ContainerIndex, ContainerOptions, Lookup};
use crate::error::SensorError;
use crate::filter::Filter;
use crate::loader::{CLASSES, Loaded, Rings, Settings};
use crate::loss::ByClass;
use crate::names::NameCounters;
use crate::reader::{Mood, Pacer, Pause};
use crate::seed::read_process;
use crate::wire::Record;

/// How the sensor is set up.
#[derive(Debug, Clone)]
pub struct SensorOptions {
    /// Where the host's files and processes are.
    pub containers: ContainerOptions,
    /// What is to be delivered beside execs, from the start on; see [`Sensor::set_needs`].
    pub needs: Needs,
    /// Size in bytes of the ring buffer for processes and cgroups: a power of two and a multiple of the page size. It
    /// counts twice in the process's resident memory, because it is mapped twice in a row.
    pub ring_bytes: u32,
    /// Size in bytes of the ring buffer for everything else, as above.
    pub activity_ring_bytes: u32,
    /// How many live processes the kernel remembers; past that, parents are inferred.
    pub max_processes: u32,
    /// How many cgroups the kernel knows the containers of.
    pub max_cgroups: u32,
    /// How often to look at the ring while so much comes that is new that wake-ups would cost too much.
    pub poll_interval: Duration,
    /// How long an event may wait that is like one which came a moment ago. What is new is looked at at once.
    pub patience: Duration,
    /// Whether forks and exits are delivered as events as well.
    pub lifecycle: bool,
    /// Whether processes of the host, which are in no container, are watched as well. Their events have no container.
    pub host: bool,
    /// Whether to start without what `io_uring` does, which is then looked at from the first quiet moment on, and after
    /// two seconds in any case: loading that takes a quarter of the time of a start.
    pub quick_start: bool,
    /// How to attach; `None` for the way that costs least of those that this kernel takes.
    pub attachment: Option<Attachment>,
}

impl Default for SensorOptions {
    fn default() -> Self {
        Self {
            containers: ContainerOptions::default(),
            needs: Needs::default(),
            ring_bytes: 2 << 20,
            activity_ring_bytes: 4 << 20,
            max_processes: 16_384,
            max_cgroups: 16_384,
            poll_interval: Duration::from_micros(500),
            patience: Duration::from_millis(15),
            lifecycle: false,
            host: false,
            quick_start: false,
            attachment: None,
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
    /// Execs in cgroups of which nothing could be found out, so that nobody was told of them.
    pub unresolved: u64,
    /// What went wrong in the kernel, by name.
    pub troubles: Vec<(&'static str, u64)>,
    /// DNS messages, and what became of them.
    pub names: NameCounters,
    /// Packets to or from port 53 that are no DNS, by their headers.
    pub packets_malformed: u64,
    /// DNS packets in network namespaces that their container did not start in, from which no names are learned.
    pub packets_elsewhere: u64,
}

/// A running sensor. Dropping it detaches all programs.
///
/// Minimum kernel: 5.10, with BTF.
pub struct Sensor {
    loaded: Loaded,
    rings: Rings,
    /// A record of the first ring that waits for its turn; empty when there is none.
    held: Vec<u8>,
    containers: ContainerOptions,
    capabilities: Capabilities,
    plan: HookPlan,
    pacer: Pacer,
    state: State,
    losses: Losses,
    /// When what `io_uring` does is looked at, at the latest; `None` once it is.
    rings_due: Option<Instant>,
    next_loss_report: Instant,
}

/// How often losses are looked for that no later record has shown.
const LOSS_INTERVAL: Duration = Duration::from_secs(1);
/// How many records are handled before control goes back to the caller.
const BATCH: usize = 4096;

/// What `io_uring` does is looked at from the first quiet moment on, and after so long in any case.
const RINGS_BY: Duration = Duration::from_secs(2);

impl Sensor {
    /// Probes the kernel, finds the containers that are there, loads the programs and attaches them.
    pub fn start(options: &SensorOptions) -> Result<Self, SensorError> {
        let capabilities = Capabilities::probe();
        let mut plan = plan_hooks(&capabilities)?;
        plan.attachment = options.attachment.unwrap_or(plan.attachment);
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
            activity_ring_bytes: options.activity_ring_bytes,
            processes: options.max_processes,
            cgroups: options.max_cgroups,
        };
        // Large, and needed only until everything is attached.
        let btf = Btf::from_sys_fs().map_err(|source| SensorError::Btf(Box::new(source)))?;
        let (mut loaded, rings) = Loaded::load(&settings, plan, &btf)?;
        loaded.attach(plan, &btf)?;
        let index = ContainerIndex::discover(&options.containers)?;
        let mut sensor = Self {
            loaded,
            rings,
            held: Vec::new(),
            containers: options.containers.clone(),
            capabilities,
            plan,
            pacer: Pacer::new(options.poll_interval, options.patience, Instant::now()),
            state: State::new(index, host, options),
            losses: Losses::default(),
            next_loss_report: Instant::now() + LOSS_INTERVAL,
            rings_due: options.quick_start.then(|| Instant::now() + RINGS_BY),
        };
        sensor.tell_of_cgroups();
        sensor.seed(&options.containers.proc_root);
        sensor.take_needs(&options.needs, Some(&btf))?;
        if !options.quick_start {
            sensor.loaded.attach_rings()?;
        }
        Ok(sensor)
    }

    /// Tells the kernel of the cgroups that are there: of containers first, since what it does not know it watches.
    fn tell_of_cgroups(&mut self) {
        let owned = self.state.index.owned_cgroups();
        let mut tells = owned
            .map(|(cgroup, owner)| Tell::Watch { cgroup, owner })
            .collect::<Vec<_>>();
        if !self.state.watches_host {
            tells.extend(self.state.index.host_cgroups().map(Tell::Ignore));
        }
        for tell in tells {
            if let Err(error) = tell.carry_out(&mut self.loaded) {
                tracing::warn!(%error, "there are more cgroups than the kernel's map takes");
                return;
            }
        }
    }

    /// Reads the processes of the containers that are there.
    fn seed(&mut self, proc_root: &Path) {
        let State {
            index,
            processes,
            packets,
            clock,
            ..
        } = &mut self.state;
        let containers: Vec<Arc<Container>> = index.containers().cloned().collect();
        for container in containers {
            let pids = index.processes_of(container.cgroup);
            if let Some(&first) = pids.first() {
                packets.begin(&container, proc_root, first);
            }
            for &pid in &pids {
                if let Some(process) = read_process(proc_root, pid, container.cgroup, &pids, clock) {
                    processes.seed(process);
                }
            }
        }
    }

    /// Says what is to be delivered from now on, beside execs and what the options ask for: the kernel hands over no
    /// more than that, as far as it can tell.
    ///
    /// What both the old needs and the new ones want is delivered without a gap. Once anything is needed that system
    /// calls make, the end of every system call on the machine is looked at, and stays so.
    pub fn set_needs(&mut self, needs: &Needs) -> Result<(), SensorError> {
        self.take_needs(needs, None)?;
        self.loaded.attach_rings()
    }

    fn take_needs(&mut self, needs: &Needs, btf: Option<&Btf>) -> Result<(), SensorError> {
        self.loaded.set_filter(Filter::of(needs), btf)?;
        self.state.wants_dns = needs.classes.contains(&EventClass::Dns);
        if self.loaded.filter().packets
            && let Err(error) = self.attach_packets()
        {
            tracing::warn!(%error, "DNS is not seen, so that addresses get no names");
        }
        self.state.marks.renew(&mut self.loaded, &self.state.index)
    }

    /// Looks at the packets of the whole machine: at the root of the v2 tree, which every kernel has, mounted or not.
    fn attach_packets(&mut self) -> Result<(), SensorError> {
        let containers = &self.containers;
        let mounts = |pid: &str, root: &Path| {
            let text = std::fs::read(containers.proc_root.join(pid).join("mountinfo")).ok()?;
            CgroupHierarchy::unified_from_mountinfo(&text, root)
        };
        // The mounts of the host's first process are those below the host's root.
        let mounted = mounts("1", Path::new("/")).or_else(|| mounts("self", &containers.host_root));
        let root = match mounted {
            Some(point) => {
                let point = containers
                    .host_root
                    .join(point.strip_prefix("/").unwrap_or(&point));
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
                rustix::fs::openat(CWD, &point, flags, Mode::empty())
            }
            None => mount_unified(),
        };
        let root = root.map_err(|error| SensorError::UnifiedCgroups(error.into()))?;
        self.loaded.attach_packets(root.as_fd())
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
        let all = |counts: &ByClass| CLASSES.map(|class| (class, counts[class as usize])).to_vec();
        let (mut names, packets) = self.state.packets.counters();
        names.lost_streams += packets.lost_streams;
        Ok(SensorStats {
            names,
            packets_malformed: packets.malformed,
            packets_elsewhere: packets.elsewhere,
            made: self.loaded.made()?,
            delivered: all(&self.state.delivered),
            lost: all(&self.losses.totals(&self.loaded)),
            gaps: all(&self.state.gaps),
            malformed: self.state.malformed,
            unresolved: self.state.unresolved,
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
            match self.pacer.pause(Instant::now()) {
                Pause::Nap(interval) => std::thread::sleep(interval.min(timeout)),
                Pause::Doze(interval) => items += self.wait(Mood::Dozing, interval.min(timeout), each)?,
                Pause::Sleep => items += self.wait(Mood::Asleep, timeout, each)?,
            }
            items += self.drain(each);
        }
        if self
            .rings_due
            .is_some_and(|due| items == 0 || Instant::now() >= due)
        {
            self.rings_due = None;
            if let Err(error) = self.loaded.attach_rings() {
                tracing::warn!(%error, "what io_uring does is not seen");
            }
        }
        if Instant::now() >= self.next_loss_report {
            items += self.report_losses(each);
            self.next_loss_report = Instant::now() + LOSS_INTERVAL;
        }
        Ok(items)
    }

    /// Waits until a record wakes us. What came before the kernel knew that we wait is handled first.
    fn wait(
        &mut self,
        mood: Mood,
        timeout: Duration,
        each: &mut dyn FnMut(SensorItem),
    ) -> Result<usize, SensorError> {
        self.loaded.set_mood(mood)?;
        // The word must be seen before the ring is looked at; the kernel does it the other way round.
        std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
        let items = self.drain(each);
        // A record that made no item may have used the wake-up up: then the next one would wake nobody.
        if items == 0 && !self.loaded.is_woken()? {
            let timeout = Timespec::try_from(timeout).unwrap_or(Timespec {
                tv_sec: 3600,
                tv_nsec: 0,
            });
            let mut fds = [PollFd::new(&self.rings.events, PollFlags::IN)];
            match rustix::event::poll(&mut fds, Some(&timeout)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => self.pacer.woken(),
                Err(error) => return Err(SensorError::Wait(error.into())),
            }
        }
        self.loaded.set_mood(Mood::Awake)?;
        Ok(items)
    }

    /// Handles what is in the rings, in the order of time.
    ///
    /// What a system call did has to come after the exec of the process that made it, and before its exit, which
    /// come from the other ring. A record is in its ring before the process goes on to what makes the next one. So
    /// whoever has seen an activity finds all events before it when looking at the other ring after that, and the
    /// other way round.
    fn drain(&mut self, each: &mut dyn FnMut(SensorItem)) -> usize {
        let (mut records, mut items, mut urgent_loss) = (0, 0, false);
        let Self {
            rings,
            held,
            loaded,
            state,
            losses,
            ..
        } = self;
        let mut take_in = |bytes: &[u8]| {
            if records == 0 {
                state.clock = read_clocks();
            }
            records += 1;
            urgent_loss |= state.take_in(bytes, loaded, &mut |item| {
                items += 1;
                each(item);
            });
            for (cgroup, container) in state.gone.drain(..) {
                losses.cgroup_gone(cgroup, container);
            }
            for tell in state.to_tell.drain(..) {
                if let Err(error) = tell.carry_out(loaded) {
                    // Nothing is missed by it: the kernel goes on to watch a cgroup that it does not know.
                    tracing::debug!(%error, "the kernel's map of cgroups is full");
                }
            }
            records
        };
        loop {
            hold_next(held, &mut rings.events);
            let handled = if let Some(activity) = rings.activities.next() {
                let time = Record::time_of(&activity);
                loop {
                    hold_next(held, &mut rings.events);
                    if held.is_empty() || Record::time_of(held) > time {
                        break;
                    }
                    take_in(held);
                    held.clear();
                }
                take_in(&activity)
            } else if held.is_empty() {
                break;
            } else {
                let handled = take_in(held);
                held.clear();
                handled
            };
            if handled >= BATCH {
                break;
            }
        }
        if records > 0 {
            self.pacer.found();
        }
        if urgent_loss {
            items += self.report_losses(each);
        }
        // A batch of records of which none is an item is still something that was there.
        items.max(usize::from(records >= BATCH))
    }

    /// Tells of what the kernel counted as lost since the last time.
    fn report_losses(&mut self, each: &mut dyn FnMut(SensorItem)) -> usize {
        let losses = self.losses.take(&mut self.loaded);
        let lost_cgroups = losses.iter().any(|loss| loss.class == EventClass::Cgroup);
        let mut items = losses.len();
        for mut loss in losses {
            if let (None, Lookup::Container(container)) =
                (&loss.container, self.state.index.lookup(loss.cgroup))
            {
                loss.container = Some(Arc::clone(container));
            }
            each(SensorItem::Lost(loss));
        }
        if lost_cgroups {
            for container in self.state.resync() {
                items += 1;
                self.state.marks.forget(&mut self.loaded, container.cgroup);
                self.state.packets.end(&container.id);
                each(SensorItem::ContainerStopped(container));
            }
        }
        items
    }
}

/// The v2 tree on a mount of its own, which nobody else sees and which goes with its descriptor.
fn mount_unified() -> rustix::io::Result<OwnedFd> {
    use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};
    let context = fsopen("cgroup2", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(&context)?;
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())
}

/// Takes the next record out of a ring, unless one is held that was not handled yet.
fn hold_next(held: &mut Vec<u8>, ring: &mut RingBuf<MapData>) {
    if held.is_empty()
        && let Some(record) = ring.next()
    {
        held.extend_from_slice(&record);
    }
}

impl EventSource for Sensor {
    fn poll(&mut self, timeout: Duration, each: &mut dyn FnMut(SensorItem)) -> Result<usize, PortError> {
        Ok(Self::poll(self, timeout, each)?)
    }

    fn set_needs(&mut self, needs: &Needs) -> Result<(), PortError> {
        Ok(Self::set_needs(self, needs)?)
    }
}

impl fmt::Debug for Sensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sensor")
            .field("plan", &self.plan)
            .field("ring", &self.rings.events.as_raw_fd())
            .finish_non_exhaustive()
    }
}
