//! The built-in signatures: each is provoked by a real program in a real container, and each is silent beside a
//! harmless neighbour. Needs root.

mod cases;
mod scene;

use std::collections::BTreeSet;

use runtime_core::{Response, Severity};
use runtime_engines::RuleSet;
use runtime_engines::signatures::builtin;

use crate::cases::{CASES, Case, ELSEWHERE};
use crate::scene::{Found, Scene};

/// What an operator would be called for.
fn is_loud(found: &Found) -> bool {
    found.severity >= Severity::Medium
}

#[test]
fn each_is_provoked_and_its_neighbour_is_not() {
    let mut scene = Scene::new();
    let mut wrong = Vec::new();
    let provoked: Vec<_> = CASES.iter().map(|case| case.provoke).collect();
    let harmless: Vec<_> = CASES.iter().map(|case| case.harmless).collect();
    for (Case { rule, provoke, .. }, found) in CASES.iter().zip(scene.does_each(&provoked)) {
        if !found.iter().any(|found| found.rule == *rule) {
            wrong.push(format!("{rule} is not found in {provoke:?}, but {found:?}"));
        }
    }
    for (Case { rule, harmless, .. }, found) in CASES.iter().zip(scene.does_each(&harmless)) {
        if found.iter().any(|found| found.rule == *rule || is_loud(found)) {
            wrong.push(format!("{rule}: {harmless:?} is harmless, and not {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Only what the rule is meant for kills: the rest of the rule's neighbours tell.
#[test]
fn only_what_is_malicious_beyond_doubt_kills() {
    let (rules, problems) = RuleSet::compile(&[builtin()]);
    assert_eq!(problems, []);
    let kills: BTreeSet<&str> = rules
        .rules()
        .iter()
        .filter(|rule| rule.response == Response::Kill)
        .map(|rule| rule.reference.id.as_str())
        .collect();
    let expected = [
        "crypto-miner-execution",
        "kernel-helper-escape",
        "modify-etc-passwd",
    ];
    assert_eq!(kills, expected.into());
}

#[test]
fn every_signature_has_its_case() {
    let (rules, _) = RuleSet::compile(&[builtin()]);
    let covered: BTreeSet<&str> = CASES
        .iter()
        .map(|case| case.rule)
        .chain(ELSEWHERE.iter().copied())
        .collect();
    let all: BTreeSet<&str> = rules
        .rules()
        .iter()
        .filter(|rule| rule.enabled)
        .map(|rule| rule.reference.id.as_str())
        .collect();
    assert_eq!(covered, all);
}

/// The account files, by those who may change them, by those who may at the start, and by all others.
#[test]
fn account_files_are_for_account_tools() {
    let mut scene = Scene::new();
    let write = ["syscalls", "257", "-100", "s:/etc/passwd", "2"];
    let with = |program: &'static str| [&[program][..], &write].concat();
    let rules = |found: Vec<Found>| -> Vec<(String, Response)> {
        let about = found
            .into_iter()
            .filter(|found| found.rule.starts_with("modify-etc"));
        about.map(|found| (found.rule, found.response)).collect()
    };
    let one = |rule: &str, response| vec![(rule.to_owned(), response)];
    // A tool that came with the image, and one of its name that did not.
    let by_tool = one("modify-etc-passwd-by-tool", Response::Alert);
    assert_eq!(rules(scene.does(&[&with("/usr/sbin/useradd")])), by_tool);
    let copied = ["/bin/workload", "copy", "/bin/workload", "/tmp/useradd"];
    let killed = one("modify-etc-passwd", Response::Kill);
    assert_eq!(rules(scene.does(&[&copied, &with("/tmp/useradd")])), killed);
    // What a package manager starts, whatever it is; and what a copy of one starts.
    let script = [&["/usr/bin/dpkg", "spawn", "/bin/workload", "1"][..], &write].concat();
    assert_eq!(rules(scene.does(&[&script])), by_tool);
    let copied = ["/bin/workload", "copy", "/bin/workload", "/usr/bin/apk"];
    let script = [&["/usr/bin/apk", "spawn", "/bin/workload", "1"][..], &write].concat();
    assert_eq!(rules(scene.does(&[&copied, &script])), killed);
    // The entrypoint in the first minute; `exec` is no entrypoint.
    let at_start = one("modify-etc-passwd-at-start", Response::Alert);
    assert_eq!(rules(scene.starts(&with("/bin/workload"))), at_start);
    assert_eq!(rules(scene.does(&[&with("/bin/workload")])), killed);
    // By a rename over it, and by another name of the file.
    let rename = ["/bin/workload", "syscalls", "82", "s:/etc/group", "s:/etc/passwd"];
    assert_eq!(rules(scene.does(&[&rename])), killed);
}
