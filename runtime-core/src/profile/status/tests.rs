use proptest::prelude::*;

use super::*;
use crate::time::BootTime;

const HOUR: u64 = 3600;

/// A group's state, and the clocks.
struct Group {
    state: State,
    settings: Settings,
    /// Seconds since the machine started.
    boot: u64,
    /// Seconds that the wall clock is ahead of that.
    ahead: u64,
}

impl Group {
    fn new() -> Self {
        Self {
            state: State::default(),
            settings: Settings::default(),
            boot: 1000,
            ahead: 1_000_000_000,
        }
    }

    /// Found, and with its startup seen.
    fn started() -> Self {
        let mut group = Self::new();
        group.take(&Input::Discovered);
        group.take(&Input::StartupSeen);
        group.take(&Input::Learned { limit_reached: false });
        group
    }

    fn now(&self) -> Now {
        Now {
            wall: Timestamp::from_unix_nanos((self.boot + self.ahead) * 1_000_000_000),
            boot: BootTime::from_nanos(self.boot * 1_000_000_000),
        }
    }

    fn take(&mut self, input: &Input) -> Vec<Effect> {
        let (state, effects) = advance(&self.state, input, self.now(), &self.settings);
        self.state = state;
        effects
    }

    /// Passes time, a minute at a step.
    fn pass(&mut self, seconds: u64) -> Phase {
        let end = self.boot + seconds;
        while self.boot < end {
            self.boot = (self.boot + 60).min(end);
            self.take(&Input::TimePassed);
        }
        self.state.phase
    }

    /// Until learning has ended in one way or another.
    fn pass_all(&mut self) -> Phase {
        for _ in 0..100 {
            if !self.state.phase.learns() {
                break;
            }
            self.pass(HOUR);
        }
        self.state.phase
    }
}

const COMPLETED: Phase = Phase::Completed { empty: false };

#[test]
fn a_group_whose_startup_was_seen_is_completed_after_a_day() {
    let mut group = Group::started();
    assert_eq!(group.pass(12 * HOUR), Phase::InProgress { percent: 50 });
    assert_eq!(group.pass(12 * HOUR - 1), Phase::InProgress { percent: 95 });
    assert!(matches!(group.pass(1), Phase::Finalizing { .. }));
    assert_eq!(group.pass(60), COMPLETED);
}

#[test]
fn without_a_startup_it_is_partial_until_one_is_seen() {
    let mut group = Group::new();
    group.take(&Input::Discovered);
    group.take(&Input::Learned { limit_reached: false });
    assert_eq!(group.pass_all(), Phase::Partial(Reason::StartupNotObserved));
    assert_eq!(group.take(&Input::StartupSeen), [Effect::PeriodStarted]);
    assert_eq!(group.state.phase, Phase::InProgress { percent: 0 });
    assert!(matches!(group.pass(11 * 60), Phase::Completed { empty: false }));
}

#[test]
fn nothing_learned_is_said_to_be_nothing() {
    let mut group = Group::new();
    group.take(&Input::Discovered);
    group.take(&Input::StartupSeen);
    assert_eq!(group.pass_all(), Phase::Completed { empty: true });
}

#[test]
fn lost_events_make_the_period_longer_once() {
    let mut group = Group::started();
    group.take(&Input::Lost(10));
    assert_eq!(group.pass_all(), COMPLETED, "ten are allowed");

    let mut group = Group::started();
    group.take(&Input::Lost(11));
    group.pass(25 * HOUR);
    assert_eq!(group.state.phase, Phase::InProgress { percent: 95 });
    assert_eq!(group.pass(25 * HOUR), COMPLETED, "the second day lost nothing");

    let mut group = Group::started();
    group.take(&Input::Lost(11));
    group.pass(25 * HOUR);
    group.take(&Input::Lost(11));
    assert_eq!(group.pass(25 * HOUR), Phase::Partial(Reason::EventsLost));
    assert_eq!(group.take(&Input::StartupSeen), []);
    assert_eq!(group.state.phase, Phase::Partial(Reason::EventsLost));
}

#[test]
fn losses_that_are_told_of_late_count() {
    let mut group = Group::started();
    group.pass(24 * HOUR);
    group.take(&Input::Lost(1000));
    group.pass(60);
    assert!(group.state.phase.learns(), "{:?}", group.state.phase);
}

#[test]
fn no_room_is_a_reason() {
    let mut group = Group::started();
    group.take(&Input::Learned { limit_reached: true });
    assert_eq!(group.pass_all(), Phase::Partial(Reason::EntriesLimit));
}

#[test]
fn another_image_set_begins_anew_and_old_pods_keep_their_profile() {
    let mut group = Group::started();
    group.pass_all();
    assert_eq!(
        group.take(&Input::ImageSetChanged { old_pods: true }),
        [Effect::RetireLearned, Effect::ClearLearned, Effect::PeriodStarted]
    );
    assert_eq!(group.state.phase, Phase::InProgress { percent: 0 });
    assert_eq!(group.take(&Input::RollOut { old_pods: true }), []);
    assert_eq!(
        group.take(&Input::RollOut { old_pods: false }),
        [Effect::DropRetired]
    );
    assert_eq!(group.pass_all(), Phase::Partial(Reason::StartupNotObserved));
}

#[test]
fn switched_off_and_on_learning_begins_anew() {
    let mut group = Group::started();
    group.pass_all();
    assert_eq!(group.take(&Input::Disabled), [Effect::ClearLearned]);
    assert_eq!(group.state.phase, Phase::Disabled);
    group.pass(HOUR);
    assert_eq!(
        group.take(&Input::Enabled),
        [Effect::ClearLearned, Effect::PeriodStarted]
    );
    assert_eq!(group.state.phase, Phase::InProgress { percent: 0 });
}

#[test]
fn a_group_that_was_not_found_is_not_learned() {
    let mut group = Group::new();
    assert_eq!(group.take(&Input::Enabled), []);
    assert_eq!(group.state.phase, Phase::Disabled);
    assert_eq!(group.take(&Input::Disabled), []);
    group.take(&Input::Discovered);
    assert_eq!(group.state.phase, Phase::Disabled);
    group.take(&Input::Enabled);
    assert_eq!(group.state.phase, Phase::InProgress { percent: 0 });
}

fn report(name: &str, group: &Group, startup_seen: bool, lost: u64) -> Input {
    Input::Report {
        node: name.into(),
        progress: NodeProgress {
            until: group.now().wall,
            startup_seen,
            lost,
        },
    }
}

#[test]
fn the_end_waits_for_other_nodes_and_not_for_ever() {
    let mut group = Group::started();
    let early = report("b", &group, false, 0);
    group.take(&early);
    group.pass(24 * HOUR + 60);
    assert!(matches!(group.state.phase, Phase::Finalizing { .. }));
    let late = report("b", &group, false, 0);
    group.take(&late);
    assert_eq!(group.state.phase, COMPLETED);

    let mut group = Group::started();
    let early = report("b", &group, false, 0);
    group.take(&early);
    group.pass(24 * HOUR + 9 * 60);
    assert!(matches!(group.state.phase, Phase::Finalizing { .. }));
    assert_eq!(group.pass(120), COMPLETED);
    assert_eq!(group.state.missing_nodes().count(), 1);

    let mut group = Group::started();
    let early = report("b", &group, false, 0);
    group.take(&early);
    group.pass(24 * HOUR + 60);
    group.take(&Input::NodeSilent("b".into()));
    assert_eq!(group.state.phase, COMPLETED);
}

#[test]
fn other_nodes_startups_and_losses_count() {
    let mut group = Group::new();
    group.take(&Input::Discovered);
    group.take(&Input::Learned { limit_reached: false });
    group.pass(HOUR);
    for _ in 0..3 {
        let same = report("b", &group, true, 6);
        group.take(&same);
    }
    assert_eq!(
        group.state.lost_in_period(),
        6,
        "a report that comes again counts once"
    );
    let other = report("c", &group, false, 6);
    group.take(&other);
    group.pass(24 * HOUR);
    assert!(
        group.state.extended,
        "twelve are too many, wherever they were lost"
    );
}

#[test]
fn a_restart_goes_on_and_a_long_absence_is_made_up_for() {
    let mut group = Group::started();
    group.pass(12 * HOUR);
    let end = group.state.window.unwrap().end;
    group.boot += 60;
    group.take(&Input::Restarted { rebooted: false });
    assert_eq!(group.state.phase, Phase::InProgress { percent: 50 });
    assert_eq!(group.state.window.unwrap().end, end);

    group.boot += 2 * HOUR;
    group.take(&Input::Restarted { rebooted: false });
    assert_eq!(
        group.state.window.unwrap().end,
        end.later(Duration::from_hours(2))
    );
    assert_eq!(group.state.phase, Phase::InProgress { percent: 50 });
}

#[test]
fn a_clock_that_is_set_neither_ends_nor_prolongs_learning() {
    for (forwards, seconds) in [(true, 1000 * HOUR), (false, 1000 * HOUR)] {
        let mut group = Group::started();
        group.pass(12 * HOUR);
        group.ahead = if forwards {
            group.ahead + seconds
        } else {
            group.ahead - seconds
        };
        assert_eq!(group.pass(60), Phase::InProgress { percent: 50 });
        assert_eq!(group.pass(11 * HOUR), Phase::InProgress { percent: 95 });
        assert_eq!(group.pass(HOUR + 120), COMPLETED);
    }
}

fn any_input() -> impl Strategy<Value = Input> {
    let node = || prop::sample::select(vec!["a", "b", "c"]).prop_map(NodeName::from);
    prop_oneof![
        4 => Just(Input::TimePassed),
        1 => Just(Input::Discovered),
        2 => Just(Input::StartupSeen),
        2 => prop::bool::weighted(0.1).prop_map(|limit_reached| Input::Learned { limit_reached }),
        1 => any::<bool>().prop_map(|old_pods| Input::ImageSetChanged { old_pods }),
        1 => any::<bool>().prop_map(|old_pods| Input::RollOut { old_pods }),
        1 => Just(Input::Disabled),
        1 => Just(Input::Enabled),
        1 => Just(Input::Reset),
        2 => any::<bool>().prop_map(|rebooted| Input::Restarted { rebooted }),
        2 => (0u64..20).prop_map(Input::Lost),
        2 => (node(), any::<bool>(), 0u64..20, 0u64..10_000_000).prop_map(|(node, startup_seen, lost, until)| {
            let until = Timestamp::from_unix_nanos(until * 1_000_000_000);
            Input::Report { node, progress: NodeProgress { until, startup_seen, lost } }
        }),
        1 => node().prop_map(Input::NodeSilent),
    ]
}

proptest! {
    /// Whatever happens, and whatever the clocks do.
    #[test]
    fn promises_hold_under_any_clock(
        steps in prop::collection::vec((any_input(), any::<u32>(), any::<u32>()), 0..60),
    ) {
        let mut state = State::default();
        let settings = Settings::default();
        for (input, wall, boot) in steps {
            let now = Now {
                wall: Timestamp::from_unix_nanos(u64::from(wall) * 1_000_000),
                boot: BootTime::from_nanos(u64::from(boot) * 1_000_000),
            };
            let (next, effects) = advance(&state, &input, now, &settings);
            if let (Phase::InProgress { percent: before }, Phase::InProgress { percent: after }) = (state.phase, next.phase)
                && !effects.contains(&Effect::PeriodStarted)
            {
                prop_assert!(after >= before);
            }
            if effects.contains(&Effect::Concluded) && matches!(next.phase, Phase::Completed { .. }) {
                prop_assert!(next.startup_seen && !next.limit_reached);
                prop_assert!(next.lost_in_period() <= settings.lost_events);
            }
            prop_assert_eq!(next.phase == Phase::Disabled, !(next.enabled && next.discovered));
            prop_assert!(next.phase.learns() <= next.window.is_some());
            state = next;
        }
    }
}
