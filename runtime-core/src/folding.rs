//! Folding: an alert that repeats is told once at once, and once more with a count.
//!
//! The first alert of a series goes out as it comes. What repeats it within the window is counted, and one
//! closing line tells the count when the window is over. Nothing is dropped: the counts of all alerts that
//! come out add up to the number that went in.

use std::collections::{HashMap, VecDeque};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use crate::alert::{Action, Alert};
use crate::event::{Activity, DomainName, Endpoint, Event};
use crate::finding::{EngineKind, Finding};
use crate::id::ContainerId;
use crate::process::{ParentExe, ProcessIdentity};
use crate::raw::RawString;
use crate::time::{BootTime, Timestamp};

/// How long a series takes in repeats, from its first alert on.
pub const WINDOW: Duration = Duration::from_mins(1);

/// What makes one alert the repeat of another: everything but the moment, the process id and the arguments.
///
/// The action is part of it, so that a response that failed is never hidden behind one that succeeded.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SeriesKey {
    engine: EngineKind,
    rule: String,
    container: Option<ContainerId>,
    identity: ProcessIdentity,
    parent: ParentExe,
    subject: Subject,
    action: Action,
}

/// What the process acted on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Subject {
    Exec(RawString),
    Fork,
    Exit,
    File(&'static str, RawString, Option<RawString>),
    Network(&'static str, Option<Endpoint>),
    Dns(DomainName),
    System(&'static str, Option<RawString>),
}

impl SeriesKey {
    /// The series that the alert of `finding` in `event` belongs to, `action` having been taken.
    pub fn new(event: &Event, finding: &Finding, action: Action) -> Self {
        let subject = match &event.activity {
            Activity::Exec(exec) => Subject::Exec(exec.path.clone()),
            Activity::Fork => Subject::Fork,
            Activity::Exit(_) => Subject::Exit,
            Activity::File(file) => {
                Subject::File(file.operation.name(), file.path.clone(), file.new_path.clone())
            }
            Activity::Network(network) => Subject::Network(
                network.operation.name(),
                network.remote.clone().or_else(|| network.local.clone()),
            ),
            Activity::Dns(dns) => Subject::Dns(dns.name.clone()),
            Activity::System(system) => Subject::System(system.name(), system.target()),
        };
        Self {
            engine: finding.engine,
            rule: finding.rule.id.clone(),
            container: event.container.as_ref().map(|container| container.id.clone()),
            identity: event.process.identity.clone(),
            parent: event.process.parent.exe.clone(),
            subject,
            action,
        }
    }
}

/// Folds repeats. Holds a bounded number of open series; where there would be more, the oldest is closed
/// early.
#[derive(Debug)]
pub struct Folder {
    window: Duration,
    capacity: NonZeroUsize,
    open: HashMap<Arc<SeriesKey>, Series>,
    /// The keys of `open`, oldest series first. The window is the same for all, so that is also the order
    /// in which they end.
    order: VecDeque<Arc<SeriesKey>>,
    /// Closing lines that nobody has fetched yet.
    closed: Vec<Alert>,
}

#[derive(Debug)]
struct Series {
    first: Alert,
    opened: BootTime,
    repeats: u64,
    last: Timestamp,
}

impl Folder {
    /// With this window and at most `capacity` open series, each of which keeps its first alert in memory.
    pub fn new(window: Duration, capacity: NonZeroUsize) -> Self {
        Self {
            window,
            capacity,
            open: HashMap::new(),
            order: VecDeque::new(),
            closed: Vec::new(),
        }
    }

    /// Takes one alert at the time `now`; gives it back when it is to go out at once, which it is when it is
    /// the first of its series.
    #[must_use]
    pub fn offer(&mut self, alert: Alert, key: SeriesKey, now: BootTime) -> Option<Alert> {
        self.expire(now);
        if let Some(series) = self.open.get_mut(&key) {
            series.repeats += alert.count;
            series.last = alert.time;
            return None;
        }
        if self.open.len() >= self.capacity.get() {
            self.close_oldest();
        }
        let key = Arc::new(key);
        let series = Series {
            first: alert.clone(),
            opened: now,
            repeats: 0,
            last: alert.time,
        };
        self.order.push_back(Arc::clone(&key));
        self.open.insert(key, series);
        Some(alert)
    }

    /// The closing lines of all series that are over at the time `now`, or were closed early.
    #[must_use]
    pub fn due(&mut self, now: BootTime) -> Vec<Alert> {
        self.expire(now);
        std::mem::take(&mut self.closed)
    }

    /// Closes every series, as a shutdown does, and gives what is left to say.
    #[must_use]
    pub fn finish(&mut self) -> Vec<Alert> {
        while !self.order.is_empty() {
            self.close_oldest();
        }
        std::mem::take(&mut self.closed)
    }

    fn expire(&mut self, now: BootTime) {
        while let Some(oldest) = self.order.front().and_then(|key| self.open.get(key)) {
            let age = Duration::from_nanos(now.as_nanos().saturating_sub(oldest.opened.as_nanos()));
            if age < self.window {
                break;
            }
            self.close_oldest();
        }
    }

    fn close_oldest(&mut self) {
        let Some(series) = self.order.pop_front().and_then(|key| self.open.remove(&key)) else {
            return;
        };
        if series.repeats > 0 {
            self.closed
                .push(series.first.closing(series.repeats, series.last));
        }
    }
}

impl Default for Folder {
    /// A minute's window, and as many open series as take a few megabytes at worst.
    fn default() -> Self {
        Self::new(WINDOW, NonZeroUsize::MIN.saturating_add(1023))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::alert::tests::{mk_event, mk_finding};

    const SECOND: u64 = 1_000_000_000;

    fn at(seconds: u64) -> BootTime {
        BootTime::from_nanos(seconds * SECOND)
    }

    fn mk_folder(capacity: usize) -> Folder {
        Folder::new(WINDOW, NonZeroUsize::new(capacity).unwrap())
    }

    /// An alert on executing `path` at the wall-clock second `time`.
    fn mk_alert(path: &str, action: Action, time: u64) -> (Alert, SeriesKey) {
        let mut event = mk_event(path);
        event.time = Timestamp::from_unix_nanos(time * SECOND);
        let finding = mk_finding();
        let alert = Alert::new(&event, &finding, "node-1", (action, None));
        (alert, SeriesKey::new(&event, &finding, action))
    }

    fn offer(folder: &mut Folder, path: &str, seconds: u64) -> Option<Alert> {
        let (alert, key) = mk_alert(path, Action::Alerted, seconds);
        folder.offer(alert, key, at(seconds))
    }

    #[test]
    fn repeats_within_the_window_give_one_closing_line() {
        let mut folder = mk_folder(8);
        let first = offer(&mut folder, "/bin/miner", 0).unwrap();
        assert_eq!(offer(&mut folder, "/bin/miner", 10), None);
        assert_eq!(offer(&mut folder, "/bin/miner", 59), None);
        assert_eq!(folder.due(at(59)), []);

        let closing = folder.due(at(60));
        let expected = Alert {
            id: closing[0].id,
            time: Timestamp::from_unix_nanos(59 * SECOND),
            count: 2,
            repeat_of: Some(first.id),
            ..first.clone()
        };
        assert_eq!(closing, [expected]);
        assert_ne!(closing[0].id, first.id);
        assert_eq!(folder.due(at(600)), []);
    }

    #[test]
    fn what_happened_once_is_told_once() {
        let mut folder = mk_folder(8);
        assert!(offer(&mut folder, "/bin/miner", 0).is_some());
        assert_eq!(folder.due(at(61)), []);
        assert_eq!(folder.finish(), []);
    }

    #[test]
    fn after_the_window_an_alert_is_a_first_one_again() {
        let mut folder = mk_folder(8);
        let first = offer(&mut folder, "/bin/miner", 0).unwrap();
        assert_eq!(offer(&mut folder, "/bin/miner", 1), None);
        // Nobody asked for what is due in between: the series ends all the same.
        let again = offer(&mut folder, "/bin/miner", 60).unwrap();
        assert_ne!(first.id, again.id);
        let closing = folder.due(at(60));
        assert_eq!(
            closing.iter().map(|a| (a.count, a.repeat_of)).collect::<Vec<_>>(),
            [(1, Some(first.id))]
        );
    }

    #[test]
    fn another_program_and_another_outcome_are_no_repeats() {
        let mut folder = mk_folder(8);
        assert!(offer(&mut folder, "/bin/miner", 0).is_some());
        assert!(offer(&mut folder, "/bin/other", 0).is_some());
        let (alert, key) = mk_alert("/bin/miner", Action::Failed, 1);
        assert!(folder.offer(alert, key, at(1)).is_some());
    }

    #[test]
    fn the_oldest_series_makes_room() {
        let mut folder = mk_folder(2);
        let first = offer(&mut folder, "/bin/a", 0).unwrap();
        assert_eq!(offer(&mut folder, "/bin/a", 1), None);
        assert!(offer(&mut folder, "/bin/b", 2).is_some());
        assert!(offer(&mut folder, "/bin/c", 3).is_some());
        let closing = folder.due(at(3));
        assert_eq!(closing.len(), 1);
        assert_eq!((closing[0].repeat_of, closing[0].count), (Some(first.id), 1));
    }

    proptest! {
        #[test]
        fn counts_that_come_out_add_up_to_what_went_in(
            capacity in 1usize..5,
            steps in prop::collection::vec((0u8..6, 0u64..40, any::<bool>()), 0..200),
        ) {
            let mut folder = mk_folder(capacity);
            let mut out: Vec<Alert> = Vec::new();
            let mut offered: HashMap<String, u64> = HashMap::new();
            let mut now = 0;
            for (program, pause, fetch) in steps {
                now += pause;
                let path = format!("/bin/{program}");
                out.extend(offer(&mut folder, &path, now));
                *offered.entry(path).or_default() += 1;
                prop_assert!(folder.open.len() <= capacity);
                prop_assert_eq!(folder.open.len(), folder.order.len());
                if fetch {
                    out.extend(folder.due(at(now)));
                }
            }
            out.extend(folder.finish());

            let mut told: HashMap<String, u64> = HashMap::new();
            let firsts: HashMap<Uuid, &Alert> = out
                .iter()
                .filter(|alert| alert.repeat_of.is_none())
                .map(|alert| (alert.id, alert))
                .collect();
            for alert in &out {
                *told.entry(alert.process.path.to_string()).or_default() += alert.count;
                if let Some(first) = alert.repeat_of {
                    prop_assert_eq!(&firsts[&first].process, &alert.process);
                }
            }
            prop_assert_eq!(told, offered);
        }
    }
}
