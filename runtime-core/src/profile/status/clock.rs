//! Time as learning sees it.

use std::time::Duration;

use crate::time::{BootTime, Timestamp};

/// This moment, on two clocks: people know the one, and nobody can set the other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Now {
    /// The wall clock.
    pub wall: Timestamp,
    /// The time since the machine started.
    pub boot: BootTime,
}

/// A period of learning, on the wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Window {
    /// When it began.
    pub start: Timestamp,
    /// When it ends.
    pub end: Timestamp,
    /// How long it was to take in the first place.
    pub length: Duration,
}

impl Window {
    /// The most that a period which is not over says of itself.
    pub const MAX_PERCENT: u8 = 95;
    const STEP: u8 = 5;

    /// From now on, for so long.
    pub fn new(start: Timestamp, length: Duration) -> Self {
        Self {
            start,
            end: start.later(length),
            length,
        }
    }

    /// The same, for its length again from now on.
    #[must_use]
    pub fn extended_from(self, now: Timestamp) -> Self {
        Self {
            end: now.later(self.length),
            ..self
        }
    }

    /// How much of it is over, in percent, in steps of five, and at most [`MAX_PERCENT`](Self::MAX_PERCENT).
    pub fn percent(&self, now: Timestamp) -> u8 {
        let whole = self.end.since(self.start).as_nanos().max(1);
        let steps = now.since(self.start).as_nanos() * (100 / u128::from(Self::STEP)) / whole;
        let most = Self::MAX_PERCENT / Self::STEP;
        u8::try_from(steps).map_or(most, |steps| steps.min(most)) * Self::STEP
    }
}

/// Clocks drift by less than this between two looks at them; what is more was set by somebody.
const DRIFT: i128 = 1_000_000_000;

/// By how many nanoseconds a period has to move, between two looks at the clocks.
///
/// A wall clock that was set moves it as much, so that what is left of the period stays. So does the time between a
/// daemon's end and its start where that is longer than `patience`: nobody watched. After a reboot there is only the
/// wall clock; where that went back, no time has passed.
pub(super) fn shift(seen: Now, now: Now, restarted: Option<bool>, patience: Duration) -> i128 {
    let wall = i128::from(now.wall.as_unix_nanos()) - i128::from(seen.wall.as_unix_nanos());
    let boot = i128::from(now.boot.as_nanos()) - i128::from(seen.boot.as_nanos());
    let rebooted = restarted == Some(true);
    // Where the clock since the start went back, it is another one.
    let elapsed = if rebooted || boot < 0 { wall.max(0) } else { boot };
    let set = wall - elapsed;
    let set = if set.abs() > DRIFT { set } else { 0 };
    let unwatched = restarted.is_some() && elapsed > i128::try_from(patience.as_nanos()).unwrap_or(i128::MAX);
    set + if unwatched { elapsed } else { 0 }
}

pub(super) fn moved(time: Timestamp, by: i128) -> Timestamp {
    let nanos = i128::from(time.as_unix_nanos()) + by;
    Timestamp::from_unix_nanos(u64::try_from(nanos.max(0)).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn at(wall: u64, boot: u64) -> Now {
        Now {
            wall: Timestamp::from_unix_nanos(wall * SECOND),
            boot: BootTime::from_nanos(boot * SECOND),
        }
    }

    fn seconds(seen: Now, now: Now, restarted: Option<bool>) -> i128 {
        shift(seen, now, restarted, Duration::from_mins(5)) / i128::from(SECOND)
    }

    #[test]
    fn a_clock_that_was_set_moves_the_period_with_it() {
        assert_eq!(seconds(at(1000, 10), at(1010, 20), None), 0);
        assert_eq!(seconds(at(1000, 10), at(4610, 20), None), 3600);
        assert_eq!(seconds(at(5000, 10), at(1410, 20), None), -3600);
    }

    #[test]
    fn time_in_which_nobody_watched_does_not_count() {
        assert_eq!(seconds(at(1000, 10), at(1060, 70), Some(false)), 0);
        assert_eq!(seconds(at(1000, 10), at(4600, 3610), Some(false)), 3600);
        assert_eq!(seconds(at(1000, 5000), at(4600, 30), Some(true)), 3600);
        assert_eq!(seconds(at(1000, 5000), at(400, 30), Some(true)), -600);
    }

    #[test]
    fn percents_go_in_steps_of_five_and_never_reach_a_hundred() {
        let window = Window::new(Timestamp::from_unix_nanos(0), Duration::from_secs(100));
        let percents =
            [0, 4, 5, 52, 99, 100, 5000].map(|s| window.percent(Timestamp::from_unix_nanos(s * SECOND)));
        assert_eq!(percents, [0, 0, 5, 50, 95, 95, 95]);
    }
}
