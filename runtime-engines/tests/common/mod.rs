//! What tests of the language share.

use runtime_core::Event;
use runtime_core::policy::{Problem, RuleSource};
use runtime_engines::testing::{ExecBuilder, mk_container};
use runtime_engines::{Engine, RuleSet, SignatureEngine};

pub(crate) fn mk_source(origin: &str, text: &str) -> RuleSource {
    RuleSource {
        origin: origin.into(),
        text: text.into(),
        first_line: 1,
    }
}

/// The ids of the rules that hold, judged by this set.
pub(crate) fn judged(rules: RuleSet, event: &Event) -> Vec<String> {
    let mut found = Vec::new();
    SignatureEngine::new(rules).judge(event, &mut found);
    found.iter().map(|finding| finding.rule.id.clone()).collect()
}

pub(crate) fn compile(text: &str) -> (RuleSet, Vec<Problem>) {
    RuleSet::compile(&[mk_source("rules.yaml", text)])
}

#[track_caller]
pub(crate) fn compiled(text: &str) -> RuleSet {
    let (rules, problems) = compile(text);
    assert_eq!(problems, []);
    rules
}

pub(crate) fn mk_rule(condition: &str) -> String {
    format!("- rule: r\n  condition: {}\n", serde_quoted(condition))
}

/// A text as a single-quoted YAML scalar.
fn serde_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[track_caller]
pub(crate) fn holds(condition: &str, event: &Event) -> bool {
    !judged(compiled(&mk_rule(condition)), event).is_empty()
}

#[track_caller]
pub(crate) fn refused(condition: &str) -> String {
    let (rules, problems) = compile(&mk_rule(condition));
    assert_eq!(rules.rules(), []);
    assert_eq!(problems.len(), 1, "{problems:?}");
    problems[0].to_string()
}

pub(crate) fn mk_listing() -> Event {
    ExecBuilder::new("/bin/busybox")
        .invoked_as("/bin/ls")
        .args(&["ls", "-l", "/etc/app dir"])
        .cwd("/srv")
        .uid(1000)
        .ancestors(&["/bin/sh", "/usr/sbin/nginx", "/sbin/tini"])
        .container(Some(mk_container("0123456789abcdef")))
        .build()
}
