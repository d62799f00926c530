//! Loads the BPF object and attaches its programs, as planned.
//!
//! Nothing is pinned: when the process ends, in whatever way, the kernel takes all of it away.

mod programs;

use std::collections::HashMap;
use std::os::fd::BorrowedFd;

use aya::maps::lpm_trie::{Key, LpmTrie};
use aya::maps::{Array, HashMap as BpfHashMap, Map, MapData, PerCpuArray, ProgramArray, RingBuf};
use aya::programs::CgroupSkbAttachType;
use aya::{Btf, Ebpf, EbpfLoader};
use runtime_core::{CgroupId, EventClass, FileId};

use crate::capabilities::{Attachment, HOOKS, HookPlan};
use crate::container::CgroupController;
use crate::error::SensorError;
use crate::filter::calls::Handler;
use crate::filter::{self, Filter, PathKey, PathSets, Sets};
use crate::object;
use crate::reader::Mood;

/// What is decided before anything is loaded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    pub(crate) controller: CgroupController,
    /// The kernel's number of that controller's hierarchy; 0 is the v2 tree.
    pub(crate) hierarchy: u32,
    pub(crate) ring_bytes: u32,
    pub(crate) activity_ring_bytes: u32,
    pub(crate) processes: u32,
    pub(crate) cgroups: u32,
}

/// Where records come out.
pub(crate) struct Rings {
    /// Of processes and cgroups.
    pub(crate) events: RingBuf<MapData>,
    /// Of system calls and packets, which may come in floods. Nobody is woken by this one: what cannot wait wakes by
    /// the other one.
    pub(crate) activities: RingBuf<MapData>,
}

/// The loaded programs and their maps; dropping it detaches everything.
pub(crate) struct Loaded {
    reader: Array<MapData, u32>,
    cgroups: BpfHashMap<MapData, u64, [u8; 16]>,
    lost: BpfHashMap<MapData, [u8; 16], u64>,
    made: PerCpuArray<MapData, u64>,
    troubles: PerCpuArray<MapData, u64>,
    calls: Array<MapData, [u8; 8]>,
    filters: Array<MapData, [u32; 5]>,
    marking: Array<MapData, [u32; 6]>,
    prefixes: LpmTrie<MapData, [u8; 128], [u8; 8]>,
    suffixes: LpmTrie<MapData, [u8; 128], [u8; 8]>,
    watched_files: BpfHashMap<MapData, [u8; 16], u32>,
    /// What the maps hold.
    filter: Filter,
    attachment: Attachment,
    /// Whether the end of system calls is looked at, which costs every one of them.
    sees_calls: bool,
    sees_packets: bool,
    /// Programs that the one at the end of system calls goes on to, and which of them are loaded.
    handlers: ProgramArray<MapData>,
    /// The same, for what `io_uring` does.
    ring_handlers: ProgramArray<MapData>,
    handlers_ready: Vec<Handler>,
    ring_handlers_ready: Vec<Handler>,
    // Last, so that the programs go after the maps' handles; the kernel keeps what is in use.
    programs: Ebpf,
}

/// Things that went wrong in the kernel, as `enum trouble` in `bpf/maps.bpf.h` numbers them.
const TROUBLES: [&str; 5] = [
    "processes-full",
    "cgroups-full",
    "lost-full",
    "args-unreadable",
    "packets-nested",
];

impl Loaded {
    pub(crate) fn load(settings: &Settings, plan: HookPlan, btf: &Btf) -> Result<(Self, Rings), SensorError> {
        let object = match plan.attachment {
            Attachment::Btf => object::SENSOR,
            Attachment::Raw => object::SENSOR_RAW,
        };
        let source = source_number(settings.controller);
        let mut programs = EbpfLoader::new()
            .btf(Some(btf))
            .override_global("cgroup_source", &source, true)
            .override_global("cgroup_hierarchy", &settings.hierarchy, true)
            .override_global("own_process", &std::process::id(), true)
            .map_max_entries("events", settings.ring_bytes)
            .map_max_entries("activities", settings.activity_ring_bytes)
            .map_max_entries("processes", settings.processes)
            .map_max_entries("inner_pids", settings.processes)
            .map_max_entries("cgroups", settings.cgroups)
            .load(object)
            .map_err(|source| SensorError::Load(Box::new(source)))?;
        let mut ring = |name| RingBuf::try_from(take(&mut programs, name)?).map_err(map_error(name));
        let rings = Rings {
            events: ring("events")?,
            activities: ring("activities")?,
        };
        let mut handlers = |name| ProgramArray::try_from(take(&mut programs, name)?).map_err(map_error(name));
        let (handlers, ring_handlers) = (handlers("handlers")?, handlers("ring_handlers")?);
        write_ring_calls(&mut programs)?;
        let mut loaded = Self {
            reader: Array::try_from(take(&mut programs, "reader")?).map_err(map_error("reader"))?,
            cgroups: BpfHashMap::try_from(take(&mut programs, "cgroups")?).map_err(map_error("cgroups"))?,
            lost: BpfHashMap::try_from(take(&mut programs, "lost")?).map_err(map_error("lost"))?,
            made: PerCpuArray::try_from(take(&mut programs, "made")?).map_err(map_error("made"))?,
            troubles: PerCpuArray::try_from(take(&mut programs, "troubles")?)
                .map_err(map_error("troubles"))?,
            calls: Array::try_from(take(&mut programs, "calls")?).map_err(map_error("calls"))?,
            filters: Array::try_from(take(&mut programs, "filters")?).map_err(map_error("filters"))?,
            marking: Array::try_from(take(&mut programs, "marking")?).map_err(map_error("marking"))?,
            prefixes: LpmTrie::try_from(take(&mut programs, "prefixes")?).map_err(map_error("prefixes"))?,
            suffixes: LpmTrie::try_from(take(&mut programs, "suffixes")?).map_err(map_error("suffixes"))?,
            watched_files: BpfHashMap::try_from(take(&mut programs, "watched_files")?)
                .map_err(map_error("watched_files"))?,
            filter: Filter::default(),
            attachment: plan.attachment,
            handlers_ready: Vec::new(),
            ring_handlers_ready: Vec::new(),
            sees_calls: false,
            sees_packets: false,
            handlers,
            ring_handlers,
            programs,
        };
        for class in 0..CLASSES.len() as u32 {
            // Cgroup 0: where the programs count when there is no room for another cgroup.
            loaded
                .lost
                .insert(loss_key(CgroupId(0), class), 0, 0)
                .map_err(map_error("lost"))?;
        }
        Ok((loaded, rings))
    }

    /// Puts another filter in force. What both want is heard of all the time: what is new is added first, what is
    /// old is taken away last.
    ///
    /// System calls are looked at from the first filter on that wants any.
    /// `btf` are the kernel's types, where somebody has read them already: that takes its time.
    pub(crate) fn set_filter(&mut self, filter: Filter, btf: Option<&Btf>) -> Result<(), SensorError> {
        let wanted = filter.handlers();
        // Large, and read only when something has to be loaded.
        let new = wanted
            .iter()
            .any(|handler| !self.handlers_ready.contains(handler));
        let needed = new || (!wanted.is_empty() && !self.sees_calls);
        let read = (needed && btf.is_none())
            .then(|| Btf::from_sys_fs().map_err(|source| SensorError::Btf(Box::new(source))))
            .transpose()?;
        let btf = btf.or(read.as_ref()).filter(|_| needed);
        if let Some(btf) = btf {
            for handler in wanted {
                self.load_handler(handler, btf)?;
            }
        }
        add_to_trie(&mut self.prefixes, &self.filter.prefixes, &filter.prefixes)
            .map_err(map_error("prefixes"))?;
        add_to_trie(&mut self.suffixes, &self.filter.suffixes, &filter.suffixes)
            .map_err(map_error("suffixes"))?;
        let either = |a: Sets, b: Sets| Sets(a.0 | b.0);
        let (all, any) = (
            either(self.filter.all, filter.all),
            either(self.filter.any, filter.any),
        );
        let suffixes = either(self.filter.sets_with_suffixes(), filter.sets_with_suffixes());
        self.write_filter(all, any, suffixes)?;
        for (&place, entry) in &filter.calls {
            self.calls.set(place, entry, 0).map_err(map_error("calls"))?;
        }
        for &place in self.filter.calls.keys() {
            if !filter.calls.contains_key(&place) {
                self.calls.set(place, [0; 8], 0).map_err(map_error("calls"))?;
            }
        }
        self.write_filter(filter.all, filter.any, filter.sets_with_suffixes())?;
        take_from_trie(&mut self.prefixes, &self.filter.prefixes, &filter.prefixes);
        take_from_trie(&mut self.suffixes, &self.filter.suffixes, &filter.suffixes);
        self.filter = filter;
        self.forget_answers()?;
        if let Some(btf) = btf.filter(|_| !self.sees_calls) {
            let name = self.attachment.program(SYSTEM_CALLS);
            programs::attach(&mut self.programs, &name, SYSTEM_CALLS, btf)?;
            self.sees_calls = true;
        }
        Ok(())
    }

    /// Looks at what `io_uring` does that the filter asks for, where the kernel has it. It is apart from the rest because
    /// the verifier takes its time over the handlers once more.
    pub(crate) fn attach_rings(&mut self) -> Result<(), SensorError> {
        let first = self.ring_handlers_ready.is_empty();
        for &handler in &self.handlers_ready {
            if let Some(name) = handler.ring_program()
                && !self.ring_handlers_ready.contains(&handler)
            {
                let program = programs::load_raw(&mut self.programs, name)?;
                self.ring_handlers
                    .set(handler as u32, &program, 0)
                    .map_err(map_error("ring_handlers"))?;
                self.ring_handlers_ready.push(handler);
            }
        }
        if !first || self.ring_handlers_ready.is_empty() {
            return Ok(());
        }
        programs::attach_first(&mut self.programs, "ring_completed", &RING_COMPLETED)?;
        programs::attach_first(&mut self.programs, "ring_submitted", &RING_SUBMITTED)
    }

    /// Loads the program of a handler, unless it is loaded: the verifier takes its time over each.
    fn load_handler(&mut self, handler: Handler, btf: &Btf) -> Result<(), SensorError> {
        if self.handlers_ready.contains(&handler) {
            return Ok(());
        }
        let name = self.attachment.program(handler.program());
        let program = programs::load(&mut self.programs, &name, SYSTEM_CALLS, btf)?;
        self.handlers
            .set(handler as u32, &program, 0)
            .map_err(map_error("handlers"))?;
        self.handlers_ready.push(handler);
        Ok(())
    }

    /// Looks at DNS packets from now on: at those of all cgroups below this one, which is one of v2.
    pub(crate) fn attach_packets(&mut self, cgroup: BorrowedFd<'_>) -> Result<(), SensorError> {
        if self.sees_packets {
            return Ok(());
        }
        let directions = [
            ("packet_sent", CgroupSkbAttachType::Egress),
            ("packet_received", CgroupSkbAttachType::Ingress),
        ];
        for (name, direction) in directions {
            programs::attach_packets(&mut self.programs, name, cgroup, direction)?;
        }
        self.sees_packets = true;
        Ok(())
    }

    /// The filter in force.
    pub(crate) fn filter(&self) -> &Filter {
        &self.filter
    }

    /// Whether the end of system calls is looked at.
    pub(crate) fn sees_calls(&self) -> bool {
        self.sees_calls
    }

    /// Watches the file that `open` opens, on this thread, as a member of these sets. Gives the file as the kernel
    /// knows it; `None` when none was opened.
    pub(crate) fn mark(&mut self, sets: Sets, open: impl FnOnce()) -> Result<Option<FileId>, SensorError> {
        let thread = rustix::thread::gettid().as_raw_nonzero().get() as u32;
        self.marking
            .set(0, [thread, u32::from(sets.0), 0, 0, 0, 0], 0)
            .map_err(map_error("marking"))?;
        open();
        let [_, _, first, second, device, _] = self.marking.get(&0, 0).map_err(map_error("marking"))?;
        self.marking.set(0, [0; 6], 0).map_err(map_error("marking"))?;
        let mut inode = [0; 8];
        inode[..4].copy_from_slice(&first.to_ne_bytes());
        inode[4..].copy_from_slice(&second.to_ne_bytes());
        let inode = u64::from_ne_bytes(inode);
        Ok((inode != 0).then_some(FileId { device, inode }))
    }

    /// Watches a file no more by what it is.
    pub(crate) fn unmark(&mut self, file: FileId) {
        // One that is not there was pushed out.
        let _ = self.watched_files.remove(&file_key(file));
    }

    /// Makes the kernel find out anew which sets files are in.
    pub(crate) fn forget_answers(&mut self) -> Result<(), SensorError> {
        self.write_filter(self.filter.all, self.filter.any, self.filter.sets_with_suffixes())
    }

    fn write_filter(&mut self, all: Sets, any: Sets, suffixes: Sets) -> Result<(), SensorError> {
        let [.., generation, unseen_moves] = self.filters.get(&0, 0).map_err(map_error("filters"))?;
        // The kernel counts on as well; a step that it makes in between may be lost, but not both.
        let generation = generation.wrapping_add(1 << 16);
        let words = [
            u32::from(all.0),
            u32::from(any.0),
            u32::from(suffixes.0),
            generation,
            unseen_moves,
        ];
        self.filters.set(0, words, 0).map_err(map_error("filters"))
    }

    /// Attaches the programs; from here on there are events.
    pub(crate) fn attach(&mut self, plan: HookPlan, btf: &Btf) -> Result<(), SensorError> {
        HOOKS.iter().try_for_each(|hook| {
            let name = plan.attachment.program(hook);
            programs::attach(&mut self.programs, &name, hook, btf)
        })
    }

    /// Says how the reader waits, and so what has to wake it.
    pub(crate) fn set_mood(&mut self, mood: Mood) -> Result<(), SensorError> {
        self.reader.set(0, mood as u32, 0).map_err(map_error("reader"))
    }

    /// Whether a record has woken the reader since it said how it waits.
    pub(crate) fn is_woken(&self) -> Result<bool, SensorError> {
        Ok(self.reader.get(&0, 0).map_err(map_error("reader"))? == Mood::Awake as u32)
    }

    /// Says that nothing that happens in a cgroup is of interest.
    pub(crate) fn ignore(&mut self, cgroup: CgroupId) -> Result<(), SensorError> {
        self.set_cgroup(cgroup, CgroupId(0), true)
    }

    /// Says that a cgroup belongs to the container whose own cgroup is `owner`.
    pub(crate) fn watch(&mut self, cgroup: CgroupId, owner: CgroupId) -> Result<(), SensorError> {
        self.set_cgroup(cgroup, owner, false)
    }

    /// Says that a cgroup is gone.
    pub(crate) fn forget(&mut self, cgroup: CgroupId) {
        // The kernel has done it already, unless we told of the cgroup afterwards.
        let _ = self.cgroups.remove(&cgroup.0);
    }

    fn set_cgroup(&mut self, cgroup: CgroupId, owner: CgroupId, ignored: bool) -> Result<(), SensorError> {
        let mut state = [0; 16];
        state[..8].copy_from_slice(&owner.0.to_ne_bytes());
        state[8..12].copy_from_slice(&u32::from(ignored).to_ne_bytes());
        self.cgroups
            .insert(cgroup.0, state, 0)
            .map_err(map_error("cgroups"))
    }

    /// How many events of each class were lost so far, by cgroup; cgroup 0 stands for those that there was no
    /// room to count apart.
    pub(crate) fn lost(&self) -> impl Iterator<Item = (CgroupId, EventClass, u64)> {
        self.lost
            .iter()
            .filter_map(Result::ok)
            .filter_map(|(key, count)| {
                let (cgroup, class) = (key.first_chunk()?, key[8..].first_chunk()?);
                let class = class_of_number(u32::from_ne_bytes(*class))?;
                Some((CgroupId(u64::from_ne_bytes(*cgroup)), class, count))
            })
    }

    /// Counts no more what was lost in a cgroup that is gone.
    pub(crate) fn forget_lost(&mut self, cgroup: CgroupId, class: EventClass) {
        if let Some(number) = CLASSES.iter().position(|&other| other == class) {
            // One that is not there has been forgotten.
            let _ = self.lost.remove(&loss_key(cgroup, number as u32));
        }
    }

    /// How many events of a class were made so far, on all CPUs.
    pub(crate) fn made(&self) -> Result<Vec<(EventClass, u64)>, SensorError> {
        let count = |(number, class): (u32, &EventClass)| {
            let counts = self.made.get(&number, 0).map_err(map_error("made"))?;
            let mut sum = counts.iter().sum::<u64>();
            if *class == EventClass::Dns {
                let incoming = self.made.get(&(CLASSES.len() as u32), 0);
                sum += incoming.map_err(map_error("made"))?.iter().sum::<u64>();
            }
            Ok((*class, sum))
        };
        (0..).zip(&CLASSES).map(count).collect()
    }

    /// What went wrong in the kernel so far, by name.
    pub(crate) fn troubles(&self) -> Result<Vec<(&'static str, u64)>, SensorError> {
        let count = |(number, name): (usize, &'static str)| {
            let counts = self
                .troubles
                .get(&(number as u32), 0)
                .map_err(map_error("troubles"))?;
            Ok((name, counts.iter().sum()))
        };
        TROUBLES.into_iter().enumerate().map(count).collect()
    }
}

/// The tracepoint at the end of system calls.
const SYSTEM_CALLS: &str = "sys_exit";
/// The tracepoint of what is submitted to `io_uring`, by the name that it has today and the one before Linux 6.3.
const RING_SUBMITTED: [&str; 2] = ["io_uring_submit_req", "io_uring_submit_sqe"];
/// And of what is over.
const RING_COMPLETED: [&str; 1] = ["io_uring_complete"];

fn add_to_trie(
    trie: &mut LpmTrie<MapData, [u8; 128], [u8; 8]>,
    old: &HashMap<PathKey, PathSets>,
    new: &HashMap<PathKey, PathSets>,
) -> Result<(), aya::maps::MapError> {
    for (key, sets) in new {
        if old.get(key) != Some(sets) {
            trie.insert(&trie_key(key), sets.bytes(), 0)?;
        }
    }
    Ok(())
}

fn take_from_trie(
    trie: &mut LpmTrie<MapData, [u8; 128], [u8; 8]>,
    old: &HashMap<PathKey, PathSets>,
    new: &HashMap<PathKey, PathSets>,
) {
    for key in old.keys().filter(|key| !new.contains_key(*key)) {
        // It was put there; if it is gone all the same, all is well.
        let _ = trie.remove(&trie_key(key));
    }
}

fn trie_key(key: &PathKey) -> Key<[u8; 128]> {
    Key::new(key.bits(), key.text())
}

/// Says which system calls the operations of `io_uring` stand for. That never changes, so the map stays where it is.
fn write_ring_calls(programs: &mut Ebpf) -> Result<(), SensorError> {
    let name = "ring_calls";
    let map = programs.map_mut(name).ok_or_else(|| SensorError::Missing {
        kind: "map",
        name: name.into(),
    })?;
    let mut calls = Array::<_, u32>::try_from(map).map_err(map_error(name))?;
    (0..)
        .zip(filter::ring_calls())
        .try_for_each(|(operation, number)| calls.set(operation, number, 0).map_err(map_error(name)))
}

fn take(programs: &mut Ebpf, name: &'static str) -> Result<Map, SensorError> {
    programs.take_map(name).ok_or_else(|| SensorError::Missing {
        kind: "map",
        name: name.into(),
    })
}

fn map_error(map: &'static str) -> impl Fn(aya::maps::MapError) -> SensorError {
    move |source| SensorError::Map {
        map,
        source: Box::new(source),
    }
}

/// `enum cgroup_source` in `bpf/maps.bpf.h`.
fn source_number(controller: CgroupController) -> u32 {
    match controller {
        CgroupController::Unified => 0,
        CgroupController::Memory => 1,
        CgroupController::Pids => 2,
        CgroupController::Cpu => 3,
        CgroupController::Devices => 4,
        CgroupController::Freezer => 5,
    }
}

/// The classes of events that the programs make, each at its number: `enum event_class` in `bpf/events.h`.
pub(crate) const CLASSES: [EventClass; 8] = EventClass::ALL;

/// `struct loss_key` in `bpf/maps.bpf.h`.
fn loss_key(cgroup: CgroupId, class: u32) -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&cgroup.0.to_ne_bytes());
    key[8..12].copy_from_slice(&class.to_ne_bytes());
    key
}

/// `struct file_key` in `bpf/filters.h`.
fn file_key(file: FileId) -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&file.inode.to_ne_bytes());
    key[8..12].copy_from_slice(&file.device.to_ne_bytes());
    key
}

fn class_of_number(number: u32) -> Option<EventClass> {
    CLASSES.get(usize::try_from(number).ok()?).copied()
}
