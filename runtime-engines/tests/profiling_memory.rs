//! The memory that profiles take. It is a test program of its own, because it counts all that is allocated.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use runtime_core::profile::{ImageSet, Input, Now, ProfileKey, Settings};
use runtime_core::{Activity, BootTime, Container, Event, PodGroup, PodGroupKind, Timestamp};
use runtime_engines::testing::{ExecBuilder, mk_connect_event, mk_container, with_process_of};
use runtime_engines::{Engine, Profiles, ProfilingEngine};

static IN_USE: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator, counting the bytes in use.
struct Counting;

// SAFETY: every call is handed to the system's allocator as it came; counting touches an atomic integer alone.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        IN_USE.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the pointer came from `System.alloc` with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const MIB: f64 = 1_048_576.0;

fn at(hours: u64) -> Now {
    Now {
        wall: Timestamp::from_unix_nanos(1_795_000_000_000_000_000 + hours * 3_600_000_000_000),
        boot: BootTime::from_nanos(hours * 3_600_000_000_000),
    }
}

fn images() -> ImageSet {
    ImageSet::new([("app", "registry.example:5000/shop/web:1.2")])
}

/// An event of its own: of two an exec by one of twenty parents, and of two a connect to a name.
fn mk_event(number: usize, container: &Arc<Container>) -> Event {
    let path = format!("/usr/local/lib/service-{}/bin/worker-{number}", number % 20);
    let parent = format!("/usr/local/bin/supervisor-{}", number % 20);
    let exec = ExecBuilder::new(path.as_str()).ancestors(&[&parent]).build();
    let event = if number.is_multiple_of(2) {
        exec
    } else {
        let name = format!("service-{number}.shop.svc.cluster.local");
        with_process_of(mk_connect_event("192.0.2.1:443", &[&name]), &exec)
    };
    Event {
        container: Some(Arc::clone(container)),
        ..event
    }
}

/// A container of the group of this number, with an id as runtimes make them.
fn mk_member(group: usize) -> Arc<Container> {
    Arc::new(Container {
        pod_group: Some(PodGroup {
            kind: PodGroupKind::new("Deployment"),
            namespace: "shop".into(),
            name: format!("web-{group}"),
        }),
        ..mk_container(&format!("{group:064x}"))
    })
}

fn mk_engine(container: &Container) -> ProfilingEngine {
    let engine = ProfilingEngine::new(Profiles::new(Settings::default()));
    add(&engine, container);
    engine
}

fn add(engine: &ProfilingEngine, container: &Container) {
    let key = ProfileKey::of(container);
    engine.profiles().bind(container, &key, images());
    engine.profiles().apply(&key, &Input::Discovered, at(0));
    engine.profiles().apply(&key, &Input::StartupSeen, at(0));
}

fn judge_all(engine: &mut ProfilingEngine, events: &[&Event]) -> usize {
    let mut findings = Vec::new();
    for event in events {
        engine.judge(event, &mut findings);
    }
    findings.len()
}

#[test]
fn the_memory_of_five_hundred_groups() {
    let before = IN_USE.load(Ordering::Relaxed);
    let first = mk_member(0);
    let mut engine = mk_engine(&first);
    for group in 0..500 {
        let container = mk_member(group);
        add(&engine, &container);
        for number in 0..100 {
            // A fifth of it is the same in all groups.
            let number = if number < 20 { number } else { group * 100 + number };
            let event = mk_event(number, &container);
            assert!(!matches!(event.activity, Activity::Fork));
            judge_all(&mut engine, &[&event]);
        }
    }
    let entries: usize = engine.profiles().iter().map(runtime_core::Profile::learned).sum();
    let used = (IN_USE.load(Ordering::Relaxed) - before) as f64 / MIB;
    println!("500 groups with {entries} entries: {used:.1} MiB");
    assert_eq!(entries, 50_000);
    assert!(used <= 40.0);
}
