//! Loads the BPF object and attaches its programs, as planned.
//!
//! Nothing is pinned: when the process ends, in whatever way, the kernel takes all of it away.

use aya::maps::{Array, HashMap as BpfHashMap, Map, MapData, PerCpuArray, RingBuf};
use aya::programs::Program;
use aya::{Btf, Ebpf, EbpfLoader};
use runtime_core::{CgroupId, EventClass};

use crate::capabilities::{Attachment, HOOKS, HookPlan};
use crate::container::CgroupController;
use crate::error::SensorError;
use crate::object;
use crate::reader::Mood;

/// What is decided before anything is loaded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    pub(crate) controller: CgroupController,
    /// The kernel's number of that controller's hierarchy; 0 is the v2 tree.
    pub(crate) hierarchy: u32,
    pub(crate) ring_bytes: u32,
    pub(crate) processes: u32,
    pub(crate) cgroups: u32,
}

/// The loaded programs and their maps; dropping it detaches everything.
pub(crate) struct Loaded {
    pub(crate) ring: RingBuf<MapData>,
    reader: Array<MapData, u32>,
    cgroups: BpfHashMap<MapData, u64, [u8; 16]>,
    lost: BpfHashMap<MapData, [u8; 16], u64>,
    made: PerCpuArray<MapData, u64>,
    troubles: PerCpuArray<MapData, u64>,
    // Last, so that the programs go after the maps' handles; the kernel keeps what is in use.
    programs: Ebpf,
}

/// Things that went wrong in the kernel, as `enum trouble` in `bpf/maps.bpf.h` numbers them.
const TROUBLES: [&str; 4] = ["processes-full", "cgroups-full", "lost-full", "args-unreadable"];

impl Loaded {
    pub(crate) fn load(settings: &Settings, plan: HookPlan, btf: &Btf) -> Result<Self, SensorError> {
        let object = match plan.attachment {
            Attachment::Btf => object::PROCESS,
            Attachment::Raw => object::PROCESS_RAW,
        };
        let source = source_number(settings.controller);
        let mut programs = EbpfLoader::new()
            .btf(Some(btf))
            .override_global("cgroup_source", &source, true)
            .override_global("cgroup_hierarchy", &settings.hierarchy, true)
            .map_max_entries("events", settings.ring_bytes)
            .map_max_entries("processes", settings.processes)
            .map_max_entries("cgroups", settings.cgroups)
            .load(object)
            .map_err(|source| SensorError::Load(Box::new(source)))?;
        let ring = RingBuf::try_from(take(&mut programs, "events")?);
        let mut loaded = Self {
            ring: ring.map_err(map_error("events"))?,
            reader: Array::try_from(take(&mut programs, "reader")?).map_err(map_error("reader"))?,
            cgroups: BpfHashMap::try_from(take(&mut programs, "cgroups")?).map_err(map_error("cgroups"))?,
            lost: BpfHashMap::try_from(take(&mut programs, "lost")?).map_err(map_error("lost"))?,
            made: PerCpuArray::try_from(take(&mut programs, "made")?).map_err(map_error("made"))?,
            troubles: PerCpuArray::try_from(take(&mut programs, "troubles")?)
                .map_err(map_error("troubles"))?,
            programs,
        };
        for class in 0..CLASSES.len() as u32 {
            // Cgroup 0: where the programs count when there is no room for another cgroup.
            loaded
                .lost
                .insert(loss_key(CgroupId(0), class), 0, 0)
                .map_err(map_error("lost"))?;
        }
        Ok(loaded)
    }

    /// Attaches the programs; from here on there are events.
    pub(crate) fn attach(&mut self, plan: HookPlan, btf: &Btf) -> Result<(), SensorError> {
        HOOKS
            .iter()
            .try_for_each(|hook| attach_hook(&mut self.programs, plan.attachment, hook, btf))
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
            Ok((*class, counts.iter().sum()))
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

fn attach_hook(programs: &mut Ebpf, how: Attachment, hook: &str, btf: &Btf) -> Result<(), SensorError> {
    let name = match how {
        Attachment::Btf => format!("btf_{hook}"),
        Attachment::Raw => format!("raw_{hook}"),
    };
    let attached = match programs.program_mut(&name) {
        Some(Program::BtfTracePoint(program)) => {
            program.load(hook, btf).and_then(|()| program.attach().map(drop))
        }
        Some(Program::RawTracePoint(program)) => program.load().and_then(|()| program.attach(hook).map(drop)),
        _ => {
            return Err(SensorError::Missing {
                kind: "program",
                name,
            });
        }
    };
    attached.map_err(|source| SensorError::Program {
        program: name,
        source: Box::new(source),
    })
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
pub(crate) const CLASSES: [EventClass; 4] = [
    EventClass::Exec,
    EventClass::Fork,
    EventClass::Exit,
    EventClass::Cgroup,
];

/// `struct loss_key` in `bpf/maps.bpf.h`.
fn loss_key(cgroup: CgroupId, class: u32) -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&cgroup.0.to_ne_bytes());
    key[8..12].copy_from_slice(&class.to_ne_bytes());
    key
}

fn class_of_number(number: u32) -> Option<EventClass> {
    CLASSES.get(usize::try_from(number).ok()?).copied()
}
