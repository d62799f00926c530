use std::collections::VecDeque;

use runtime_core::Response;

use super::*;
use crate::testing::ByPath;

/// Takes each line of a source for a rule that kills; refuses lines that hold `bad`.
struct Lines;

impl Compiler for Lines {
    type Rules = ByPath;
    type Judge = ByPath;

    fn compile(&self, sources: &[RuleSource]) -> (ByPath, Vec<Problem>) {
        let (mut rules, mut problems) = (Vec::new(), Vec::new());
        for source in sources {
            for line in source.text.lines() {
                if line.contains("bad") {
                    problems.push(problem(&source.origin, line));
                } else {
                    rules.push((line.to_owned(), Response::Kill));
                }
            }
        }
        (ByPath(rules), problems)
    }

    fn check(&self, rules: &ByPath) -> Result<(), PortError> {
        match rules.0.len() {
            ..6 => Ok(()),
            count => Err(format!("{count} are too many").into()),
        }
    }

    fn assemble(&self, rules: ByPath, _: PolicySet) -> ByPath {
        rules
    }
}

/// Gives one snapshot after the other; `None` is an error.
struct Script(VecDeque<Option<Vec<RuleSource>>>);

impl PolicySource for Script {
    fn load(&mut self) -> Result<PolicySnapshot, PortError> {
        match self.0.pop_front().flatten() {
            Some(rules) => Ok(PolicySnapshot {
                rules,
                ..PolicySnapshot::default()
            }),
            None => Err("unreadable".into()),
        }
    }

    fn changed(&mut self) -> bool {
        !self.0.is_empty()
    }
}

fn problem(origin: &str, message: &str) -> Problem {
    Problem {
        origin: origin.into(),
        line: None,
        message: message.into(),
    }
}

fn source(origin: &str, text: &str) -> RuleSource {
    RuleSource {
        origin: origin.into(),
        text: text.into(),
        first_line: 1,
    }
}

fn mk_policies(script: impl IntoIterator<Item = Option<Vec<RuleSource>>>) -> Policies<Script, Lines> {
    Policies::new(Some(Script(script.into_iter().collect())), Lines)
}

fn rules(loaded: &Loaded<ByPath>) -> Vec<&str> {
    loaded.judge.0.iter().map(|(rule, _)| rule.as_str()).collect()
}

#[test]
fn at_the_start_the_good_rules_of_a_bad_file_load() {
    let mut policies = mk_policies([Some(vec![source("a", "one\nbad\ntwo"), source("b", "three")])]);
    let loaded = policies.load().unwrap();
    assert_eq!(rules(&loaded), ["one", "two", "three"]);
    assert_eq!(loaded.problems, [problem("a", "bad")]);
}

#[test]
fn rules_that_break_stay_in_force_as_they_were_and_others_change() {
    let mut policies = mk_policies([
        Some(vec![source("a", "one"), source("a", "two"), source("b", "three")]),
        Some(vec![source("a", "one"), source("a", "bad"), source("b", "four")]),
        Some(vec![source("a", "bad"), source("b", "five")]),
        Some(vec![source("a", "six"), source("b", "five")]),
        Some(vec![source("b", "five")]),
        Some(vec![source("a", "bad"), source("b", "five")]),
    ]);
    assert_eq!(rules(&policies.load().unwrap()), ["one", "two", "three"]);
    let broken = policies.load().unwrap();
    assert_eq!(rules(&broken), ["one", "two", "four"]);
    assert_eq!(
        broken.problems,
        [
            problem("a", "bad"),
            problem(
                "a",
                "the rules that it held before stay in force until these are right"
            ),
        ]
    );
    assert_eq!(rules(&policies.load().unwrap()), ["one", "two", "five"]);
    assert_eq!(rules(&policies.load().unwrap()), ["six", "five"]);
    assert_eq!(rules(&policies.load().unwrap()), ["five"]);
    assert_eq!(
        rules(&policies.load().unwrap()),
        ["five"],
        "what was taken away does not come back"
    );
}

#[test]
fn a_source_that_cannot_be_read_is_an_error_and_changes_nothing() {
    let mut policies = mk_policies([
        Some(vec![source("a", "one")]),
        None,
        Some(vec![source("a", "bad")]),
    ]);
    policies.load().unwrap();
    assert!(policies.load().is_err());
    assert_eq!(rules(&policies.load().unwrap()), ["one"]);
}

#[test]
fn without_a_directory_there_is_nothing_to_wait_for() {
    let mut policies: Policies<Script, Lines> = Policies::new(None, Lines);
    assert!(!policies.changed());
    assert_eq!(rules(&policies.load().unwrap()), [""; 0]);
}

#[test]
fn rules_that_the_sensor_has_no_room_for_leave_those_before_in_force() {
    let many = "1\n2\n3\n4\n5\n6";
    let mut policies = mk_policies([
        Some(vec![source("a", "one")]),
        Some(vec![source("a", many)]),
        Some(vec![source("a", "bad")]),
        Some(vec![source("a", "two")]),
    ]);
    policies.load().unwrap();
    let loaded = policies.load().unwrap();
    assert_eq!(rules(&loaded), ["one"]);
    let told = problem(
        "all rules together",
        "6 are too many; the rules before stay in force",
    );
    assert_eq!(loaded.problems, [told]);
    assert_eq!(rules(&policies.load().unwrap()), ["one"]);
    assert_eq!(rules(&policies.load().unwrap()), ["two"]);
    // Protection that costs more is better than none.
    let mut policies = mk_policies([Some(vec![source("a", many)])]);
    let loaded = policies.load().unwrap();
    assert_eq!((rules(&loaded).len(), loaded.problems.len()), (6, 1));
}
