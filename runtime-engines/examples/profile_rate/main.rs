//! What profiling costs an event. `cargo xtask bench profile` builds and runs it.
//!
//! One group of 5,000 entries: half of them processes, half of them destinations.

use std::error::Error;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use runtime_core::profile::{ImageSet, Input, Now, Phase, ProfileKey, Settings};
use runtime_core::{BootTime, Container, Event, PodGroup, PodGroupKind, Timestamp};
use runtime_engines::testing::{ExecBuilder, mk_connect_event, mk_container, with_process_of};
use runtime_engines::{Engine, Profiles, ProfilingEngine};

const ENTRIES: usize = 5_000;

/// Prints figures, a line each: names and nanoseconds of an event.
fn main() -> Result<(), Box<dyn Error>> {
    let container = mk_member(1);
    let events: Vec<Event> = (0..ENTRIES).map(|number| mk_event(number, &container)).collect();
    // In an order that is not the one in which they were learned. A real event was made a moment ago and is in the
    // nearest cache, as ten are here; of many the machine has to fetch each event first.
    let some = |count: usize| -> Vec<&Event> {
        (0..count)
            .map(|number| &events[number * 2_287 % ENTRIES])
            .collect()
    };
    let mut engine = mk_engine(&container);
    let begin = Instant::now();
    judge_all(&mut engine, &events.iter().collect::<Vec<_>>());
    let learning = begin.elapsed().as_nanos() as f64 / ENTRIES as f64;
    println!("new {learning:.1}");
    println!("known {:.1}", cost(&mut engine, &some(100))?);
    for hours in [25, 26] {
        engine.profiles().tick(at(hours));
    }
    let phase = engine
        .profiles()
        .get(&ProfileKey::of(&container))
        .map(|profile| profile.state.phase);
    if phase != Some(Phase::Completed { empty: false }) {
        return Err(format!("the profile is not completed: {phase:?}").into());
    }
    for count in [10, 100, ENTRIES] {
        println!("allowed-of-{count} {:.1}", cost(&mut engine, &some(count))?);
    }
    Ok(())
}

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
        engine.judge(black_box(event), &mut findings);
    }
    findings.len()
}

/// Nanoseconds of one event, the least of some runs.
fn cost(engine: &mut ProfilingEngine, events: &[&Event]) -> Result<f64, Box<dyn Error>> {
    let mut least = f64::INFINITY;
    for _ in 0..200 {
        let begin = Instant::now();
        if judge_all(engine, events) > 0 {
            return Err("what was learned is found".into());
        }
        least = least.min(begin.elapsed().as_nanos() as f64 / events.len() as f64);
    }
    Ok(least)
}
