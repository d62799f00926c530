//! Every order of inputs in a small world: a period of four units of time, one other node, one lost event too many
//! after the first.
//!
//! States that behave alike from now on are one: times count from now, numbers count up to where more makes no
//! difference. The exploration then comes to an end by itself, so that the orders are not cut off at some length.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::*;
use crate::time::BootTime;

const UNIT: Duration = Duration::from_secs(10);
/// Where the clock stands in every state.
const NOON: u64 = 1_000_000;
/// What is longer ago than this many units is as good as this long ago.
const LONG_AGO: u64 = 8;
const ALLOWED_LOSS: u64 = 1;

fn settings() -> Settings {
    Settings {
        learning_period: 4 * UNIT,
        startup_window: 2 * UNIT,
        report_interval: UNIT,
        settling: UNIT,
        lost_events: ALLOWED_LOSS,
        max_entries: 100,
    }
}

fn at(units: u64) -> Now {
    let nanos = (UNIT * u32::try_from(units).unwrap()).as_nanos() as u64;
    Now {
        wall: Timestamp::from_unix_nanos(nanos),
        boot: BootTime::from_nanos(nanos),
    }
}

/// What an observer of the inputs knows, who does not trust the machine's own notes.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, in any combination"
)]
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
struct Witness {
    startup: bool,
    learned: bool,
    overflowed: bool,
    /// In the period.
    lost: u64,
    extended: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct World {
    state: State,
    witness: Witness,
}

/// An input, and whether a unit of time passes before it.
fn inputs(state: &State) -> Vec<(Input, bool)> {
    let node: NodeName = "b".into();
    let known = state
        .nodes
        .get(&node)
        .map(|node| node.progress)
        .unwrap_or_default();
    let report = |startup_seen, lost| Input::Report {
        node: node.clone(),
        progress: NodeProgress {
            until: at(NOON).wall,
            startup_seen,
            lost: known.lost + lost,
        },
    };
    vec![
        (Input::TimePassed, true),
        (Input::Discovered, false),
        (Input::StartupSeen, false),
        (Input::Learned { limit_reached: false }, false),
        (Input::Learned { limit_reached: true }, false),
        (Input::ImageSetChanged { old_pods: true }, false),
        (Input::ImageSetChanged { old_pods: false }, false),
        (Input::RollOut { old_pods: true }, false),
        (Input::RollOut { old_pods: false }, false),
        (Input::Disabled, false),
        (Input::Enabled, false),
        (Input::Reset, false),
        (Input::Restarted { rebooted: false }, false),
        (Input::Restarted { rebooted: true }, true),
        (Input::Lost(1), false),
        (report(false, 0), false),
        (report(true, 0), false),
        (report(false, 2), false),
        (Input::NodeSilent(node.clone()), false),
    ]
}

/// The same state a unit of time ago.
fn earlier(mut state: State) -> State {
    let by = UNIT.as_nanos() as i128;
    map_times(&mut state, |time| clock::moved(time, -by));
    state
}

fn map_times(state: &mut State, map: impl Fn(Timestamp) -> Timestamp) {
    if let Some(window) = &mut state.window {
        window.start = map(window.start);
        window.end = map(window.end);
    }
    if let Phase::Finalizing { since } = &mut state.phase {
        *since = map(*since);
    }
    for node in state.nodes.values_mut() {
        node.progress.until = map(node.progress.until);
    }
    if let Some(seen) = &mut state.seen {
        seen.wall = map(seen.wall);
        seen.boot = BootTime::from_nanos(seen.wall.as_unix_nanos());
    }
}

/// One of all states that behave alike.
fn normal(mut state: State) -> State {
    let long_ago = at(NOON - LONG_AGO).wall;
    map_times(&mut state, |time| time.max(long_ago));
    state.generation = 1;
    state.lost = state.lost.min(ALLOWED_LOSS + 1);
    for node in state.nodes.values_mut() {
        node.progress.lost = node
            .progress
            .lost
            .saturating_sub(node.forgiven)
            .min(ALLOWED_LOSS + 1);
        node.forgiven = 0;
    }
    state
}

fn witnessed(before: &World, input: &Input, after: &State, effects: &[Effect]) -> Witness {
    let mut seen = before.witness.clone();
    let was = before.state.phase;
    let started = effects.contains(&Effect::PeriodStarted);
    match input {
        // Whatever a new period begins with was told before it.
        Input::StartupSeen if was != Phase::Disabled => seen.startup = true,
        Input::Learned { limit_reached } if was.learns() => {
            seen.learned = true;
            seen.overflowed |= limit_reached;
        }
        Input::Lost(count) if was.learns() => seen.lost += count,
        Input::Report { node, progress } if was != Phase::Disabled => {
            seen.startup |= progress.startup_seen;
            let known = before.state.nodes.get(node).map_or(0, |node| node.progress.lost);
            if was.learns() {
                seen.lost += progress.lost - known;
            }
        }
        _ => {}
    }
    seen.lost = seen.lost.min(ALLOWED_LOSS + 1);
    if effects.contains(&Effect::PeriodExtended) {
        seen.lost = 0;
        seen.extended = true;
    }
    if effects.contains(&Effect::ClearLearned) {
        seen = Witness::default();
    } else if started {
        seen.lost = 0;
        seen.extended = false;
    }
    if after.phase == Phase::Disabled {
        seen = Witness::default();
    }
    seen
}

fn check(before: &World, input: &Input, after: &World, effects: &[Effect]) {
    let (old, new) = (&before.state, &after.state);
    let seen = &after.witness;
    let told = || format!("{before:#?}\n-- {input:?} -->\n{after:#?}\n{effects:?}");

    match new.phase {
        Phase::Completed { empty } => {
            assert!(seen.startup, "completed without a startup: {}", told());
            assert!(!seen.overflowed, "completed without room: {}", told());
            assert_eq!(empty, !seen.learned, "{}", told());
            if !old.phase.judges() {
                assert!(
                    seen.lost <= ALLOWED_LOSS,
                    "completed in spite of losses: {}",
                    told()
                );
            }
        }
        Phase::Partial(reason) if !old.phase.judges() => {
            let holds = match reason {
                Reason::StartupNotObserved => !seen.startup,
                Reason::EventsLost => seen.extended && seen.lost > ALLOWED_LOSS,
                Reason::EntriesLimit => seen.overflowed,
            };
            assert!(holds, "partial for another reason: {}", told());
        }
        Phase::Partial(_) | Phase::Disabled => {}
        Phase::InProgress { percent } => {
            assert!(percent <= 95 && percent.is_multiple_of(5), "{}", told());
            let window = new.window.unwrap();
            assert!(at(NOON).wall < window.end, "{}", told());
            if let Phase::InProgress { percent: former } = old.phase
                && !effects.contains(&Effect::PeriodStarted)
            {
                assert!(percent >= former, "the percentage went back: {}", told());
            }
        }
        Phase::Finalizing { .. } => assert!(new.window.is_some(), "{}", told()),
    }
    let on = new.enabled && new.discovered;
    assert_eq!(new.phase == Phase::Disabled, !on, "{}", told());
    if *input == Input::Disabled {
        assert_eq!((new.phase, new.enabled), (Phase::Disabled, false));
    }
    let count = |effect: &Effect| effects.iter().filter(|&e| e == effect).count();
    if count(&Effect::PeriodExtended) > 0 {
        assert!(!before.witness.extended, "extended twice: {}", told());
    }
    if count(&Effect::RetireLearned) > 0 {
        assert!(
            new.old_pods && matches!(input, Input::ImageSetChanged { old_pods: true }),
            "{}",
            told()
        );
        let place = |effect| effects.iter().position(|e| *e == effect).unwrap();
        assert!(
            place(Effect::RetireLearned) < place(Effect::ClearLearned),
            "{}",
            told()
        );
    }
    if old.old_pods && !new.old_pods {
        assert_eq!(count(&Effect::DropRetired), 1, "{}", told());
    }
    // What was judged is judged until something says otherwise, and what was learned is not forgotten by chance.
    let says_otherwise = matches!(
        input,
        Input::ImageSetChanged { .. } | Input::Disabled | Input::Reset | Input::Enabled | Input::Discovered
    );
    assert!(says_otherwise || count(&Effect::ClearLearned) == 0, "{}", told());
    if let Phase::Partial(reason) = old.phase
        && !says_otherwise
        && new.phase != old.phase
    {
        let startup = match input {
            Input::StartupSeen => true,
            Input::Report { progress, .. } => progress.startup_seen,
            _ => false,
        };
        assert!(
            startup && reason == Reason::StartupNotObserved,
            "nothing makes up for it: {}",
            told()
        );
    }
    if matches!(old.phase, Phase::Completed { .. }) {
        assert!(
            says_otherwise || matches!(new.phase, Phase::Completed { .. }),
            "{}",
            told()
        );
    }
}

/// Learning ends by itself when nothing more happens.
fn check_end(state: &State) {
    let mut state = state.clone();
    for units in 1..=20 {
        if !state.phase.learns() {
            return;
        }
        state = advance(&state, &Input::TimePassed, at(NOON + units), &settings()).0;
    }
    panic!("learning does not end: {state:#?}");
}

/// What says nothing new changes nothing.
fn check_again(state: &State, input: &Input) {
    if matches!(
        input,
        Input::Lost(_) | Input::ImageSetChanged { .. } | Input::Reset
    ) {
        return;
    }
    let (again, effects) = advance(state, input, at(NOON), &settings());
    // A startup that is seen again after the short window's beginning is no other one.
    assert_eq!((&again, effects), (state, Vec::new()), "{input:?}");
}

#[test]
fn all_orders_of_inputs_keep_the_promises() {
    let start = World {
        state: State {
            seen: Some(at(NOON)),
            ..State::default()
        },
        witness: Witness::default(),
    };
    let mut depths = HashMap::from([(start.clone(), 0u32)]);
    let mut queue = VecDeque::from([start]);
    let (mut transitions, mut phases) = (0u64, HashMap::<&str, u64>::new());
    while let Some(world) = queue.pop_front() {
        let depth = depths[&world];
        *phases.entry(world.state.phase.name()).or_default() += 1;
        check_end(&world.state);
        for (input, time_passes) in inputs(&world.state) {
            let from = if time_passes {
                World {
                    state: earlier(world.state.clone()),
                    witness: world.witness.clone(),
                }
            } else {
                world.clone()
            };
            let (state, effects) = advance(&from.state, &input, at(NOON), &settings());
            let after = World {
                witness: witnessed(&from, &input, &state, &effects),
                state,
            };
            check(&from, &input, &after, &effects);
            check_again(&after.state, &input);
            transitions += 1;
            let after = World {
                state: normal(after.state),
                ..after
            };
            if !depths.contains_key(&after) {
                depths.insert(after.clone(), depth + 1);
                queue.push_back(after);
            }
        }
    }
    let longest = depths.values().max().unwrap();
    let mut phases: Vec<_> = phases.into_iter().collect();
    phases.sort_unstable();
    println!(
        "explored {} states and {transitions} transitions, up to {longest} inputs long: {phases:?}",
        depths.len()
    );
    assert_eq!(phases.len(), 5, "some phase was never reached");
}
