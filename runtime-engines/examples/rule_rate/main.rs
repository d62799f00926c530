//! How many events a second one processor judges by rules, and what that grows with. `cargo xtask bench rules` builds
//! and runs it.
//!
//! Arguments: for how many seconds each set is measured, and then for each set how many rules it has besides the
//! built-in ones. None of the events matches a rule: that is what nearly all events of a node are like.

mod allocations;
mod events;
mod rules;

use std::error::Error;
use std::hint::black_box;
use std::time::{Duration, Instant};

use runtime_core::policy::PolicySet;
use runtime_core::{Event, EventClass};
use runtime_engines::signatures::builtin;
use runtime_engines::{Pipeline, RuleSet, SignatureEngine};

/// Between two looks at the clock.
const BATCH: usize = 4;

/// Prints figures, a line each: names and a number.
fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let seconds: f64 = arguments.next().map_or(Ok(2.0), |text| text.parse())?;
    let length = Duration::from_secs_f64(seconds);
    let events = events::mix();
    for class in [EventClass::Exec, EventClass::File, EventClass::Network] {
        let count = of_class(&events, class).len();
        println!("share {class} {:.3}", count as f64 / events.len() as f64);
    }
    for text in arguments {
        measure(text.parse()?, &events, length)?;
    }
    Ok(())
}

fn measure(more: usize, events: &[Event], length: Duration) -> Result<(), Box<dyn Error>> {
    let mut pipeline = pipeline(more)?;
    for event in events {
        if let Some(verdict) = pipeline.judge(event) {
            return Err(format!("{event:?} matches {:?}", verdict.findings()[0].rule.name).into());
        }
    }
    let before = allocations::count();
    let (judged, taken) = judge(&mut pipeline, &events.iter().collect::<Vec<_>>(), length);
    let made = allocations::count() - before;
    println!(
        "set {more} events-a-second {:.0}",
        judged as f64 / taken.as_secs_f64()
    );
    println!(
        "set {more} mean-nanoseconds {:.1}",
        taken.as_nanos() as f64 / judged as f64
    );
    // The list of the events is one; nothing that is judged adds another.
    println!("set {more} allocations {}", made.saturating_sub(1));
    for class in [EventClass::Exec, EventClass::File, EventClass::Network] {
        let (judged, taken) = judge(&mut pipeline, &of_class(events, class), length / 4);
        println!(
            "set {more} mean-nanoseconds-{class} {:.1}",
            taken.as_nanos() as f64 / judged as f64
        );
    }
    Ok(())
}

fn pipeline(more: usize) -> Result<Pipeline, Box<dyn Error>> {
    let (rules, problems) = RuleSet::compile(&[builtin(), rules::source(more)]);
    if let Some(problem) = problems.first() {
        return Err(problem.to_string().into());
    }
    let engine = SignatureEngine::new(rules);
    Ok(Pipeline::new(vec![Box::new(engine)], PolicySet::new(Vec::new())))
}

fn of_class(events: &[Event], class: EventClass) -> Vec<&Event> {
    events
        .iter()
        .filter(|event| event.activity.class() == class)
        .collect()
}

/// Judges the events over and over; how many that were, and how long it took.
fn judge(pipeline: &mut Pipeline, events: &[&Event], length: Duration) -> (u64, Duration) {
    let mut judged = 0;
    let start = Instant::now();
    loop {
        for _ in 0..BATCH {
            for event in events {
                black_box(pipeline.judge(black_box(event)));
            }
            judged += events.len() as u64;
        }
        let taken = start.elapsed();
        if taken >= length {
            return (judged, taken);
        }
    }
}
