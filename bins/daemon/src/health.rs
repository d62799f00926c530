//! What is wrong with the protection itself, told in the stream of alerts: whoever watches that need not read logs.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use runtime_core::alert::Health;
use runtime_core::policy::Problem;
use runtime_core::{EngineKind, EventClass, Loss, Severity};

use crate::teller::Teller;

/// Losses are told of once, and what comes after that together.
const BETWEEN_LOSSES: Duration = Duration::from_mins(1);
/// So many problems of one load are told of one by one.
const SINGLE_PROBLEMS: usize = 32;

/// What has been told of, and what has not yet.
#[derive(Debug, Default)]
pub(crate) struct Complaints {
    /// Problems of the load that is in force.
    problems: Vec<Problem>,
    losses: BTreeMap<EventClass, u64>,
    next_losses: Option<Instant>,
}

impl Complaints {
    /// Takes in the problems of a load, and tells of those that the one before did not have.
    pub(crate) fn loaded(&mut self, problems: &[Problem], teller: &Teller) {
        let new: Vec<&Problem> = problems
            .iter()
            .filter(|problem| !self.problems.contains(problem))
            .collect();
        let tell = |subject: &str| {
            teller.tell_health(Health {
                engine: EngineKind::Signatures,
                rule: "policy-problem",
                title: "A policy or a rule was refused; what was right before it stays in force",
                severity: Severity::Medium,
                subject,
            });
        };
        for problem in new.iter().take(SINGLE_PROBLEMS) {
            tell(&problem.to_string());
        }
        if let Some(more) = new.len().checked_sub(SINGLE_PROBLEMS).filter(|&more| more > 0) {
            tell(&format!("{more} more problems, which the log has"));
        }
        self.problems = problems.to_vec();
    }

    /// Tells that a load could not be made at all.
    pub(crate) fn not_loaded(&mut self, reason: &str, teller: &Teller) {
        let problem = Problem {
            origin: "policies".into(),
            line: None,
            message: reason.into(),
        };
        if !self.problems.contains(&problem) {
            self.loaded(&[problem], teller);
        }
    }

    /// Takes note of events that were lost.
    pub(crate) fn lost(&mut self, loss: &Loss) {
        *self.losses.entry(loss.class).or_default() += loss.count;
    }

    /// Tells of losses, unless that was done a moment ago.
    pub(crate) fn tick(&mut self, now: Instant, teller: &Teller) {
        if self.losses.is_empty() || self.next_losses.is_some_and(|next| now < next) {
            return;
        }
        self.next_losses = Some(now + BETWEEN_LOSSES);
        self.tell_losses(teller);
    }

    /// Tells of what is left to say.
    pub(crate) fn finish(&mut self, teller: &Teller) {
        if !self.losses.is_empty() {
            self.tell_losses(teller);
        }
    }

    fn tell_losses(&mut self, teller: &Teller) {
        let losses = std::mem::take(&mut self.losses);
        let each: Vec<String> = losses
            .iter()
            .map(|(class, count)| format!("{count} of class {class}"))
            .collect();
        teller.tell_health(Health {
            engine: EngineKind::Signatures,
            rule: "events-lost",
            title: "Events were lost and not judged",
            severity: Severity::Low,
            subject: &each.join(", "),
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use runtime_core::alert::AlertActivity;
    use runtime_core::{Alert, BootTime, CgroupId};

    use super::*;
    use crate::counters::Counters;
    use crate::delivery;

    /// What is told while `does` runs.
    fn told(does: impl FnOnce(&Teller)) -> Vec<Alert> {
        let counters = Arc::new(Counters::default());
        let (outbox, queue) = delivery::queue(1000, &counters);
        let clock = Arc::new(|| BootTime::from_nanos(1));
        let teller = Teller::new("node".into(), clock, outbox, counters);
        does(&teller);
        teller.finish();
        drop(teller);
        queue.iter().map(|queued| queued.alert).collect()
    }

    fn subjects(alerts: &[Alert]) -> Vec<String> {
        let subject = |alert: &Alert| match &alert.activity {
            AlertActivity::Other { target, .. } => target.as_ref().map(ToString::to_string),
            _ => None,
        };
        alerts.iter().filter_map(subject).collect()
    }

    fn mk_problem(line: usize) -> Problem {
        Problem {
            origin: "rules.yaml".into(),
            line: Some(line),
            message: "wrong".into(),
        }
    }

    #[test]
    fn each_problem_is_told_of_when_it_is_new() {
        let mut complaints = Complaints::default();
        let first = told(|teller| complaints.loaded(&[mk_problem(1)], teller));
        assert_eq!(subjects(&first), ["rules.yaml:1: wrong"]);
        assert_eq!(first[0].rule, "policy-problem");
        assert_eq!(first[0].tags, ["health"]);
        assert_eq!(first[0].process.pid.0, std::process::id());
        let more = told(|teller| complaints.loaded(&[mk_problem(1), mk_problem(2)], teller));
        assert_eq!(subjects(&more), ["rules.yaml:2: wrong"]);
        // Put right and wrong again: that is news.
        assert_eq!(told(|teller| complaints.loaded(&[], teller)), []);
        let again = told(|teller| complaints.loaded(&[mk_problem(1)], teller));
        assert_eq!(subjects(&again), ["rules.yaml:1: wrong"]);
    }

    #[test]
    fn many_problems_are_told_of_together() {
        let problems: Vec<Problem> = (1..100).map(mk_problem).collect();
        let all = told(|teller| Complaints::default().loaded(&problems, teller));
        assert_eq!(all.len(), SINGLE_PROBLEMS + 1);
        assert_eq!(
            subjects(&all).last().map(String::as_str),
            Some("67 more problems, which the log has")
        );
    }

    #[test]
    fn losses_are_told_of_at_once_and_then_once_a_minute() {
        let mut complaints = Complaints::default();
        let loss = |class, count| Loss {
            cgroup: CgroupId(1),
            container: None,
            class,
            count,
        };
        let start = Instant::now();
        let alerts = told(|teller| {
            complaints.tick(start, teller);
            complaints.lost(&loss(EventClass::File, 3));
            complaints.lost(&loss(EventClass::Exec, 1));
            complaints.tick(start, teller);
            complaints.lost(&loss(EventClass::File, 4));
            complaints.tick(start + BETWEEN_LOSSES / 2, teller);
            complaints.lost(&loss(EventClass::File, 5));
            complaints.tick(start + BETWEEN_LOSSES, teller);
            complaints.tick(start + 3 * BETWEEN_LOSSES, teller);
        });
        assert_eq!(
            subjects(&alerts),
            ["1 of class exec, 3 of class file", "9 of class file"]
        );
    }
}
