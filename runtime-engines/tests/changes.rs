//! What later objects change in rules, macros and lists of earlier ones.

use runtime_core::policy::RuleSource;
use runtime_core::{Event, Response, Severity};
use runtime_engines::testing::{ExecBuilder, mk_exec_event};
use runtime_engines::{Engine, RuleSet, SignatureEngine};

const BASE: &str = "
- {list: l, items: [a]}
- {macro: m, condition: proc.name in (l)}
- rule: r
  desc: first
  condition: evt.type = execve and m
  output: out
  priority: ERROR
  tags: [one]
  exceptions:
  - {name: by, fields: [proc.pname], values: [[cron]]}
";

/// The set of the base with a change of it, and what is refused.
fn changed(change: &str) -> (RuleSet, Vec<String>) {
    let source = |origin: &str, text: &str| RuleSource {
        origin: origin.into(),
        text: text.into(),
        first_line: 1,
    };
    let (rules, problems) = RuleSet::compile(&[source("base.yaml", BASE), source("local.yaml", change)]);
    (rules, problems.iter().map(ToString::to_string).collect())
}

#[track_caller]
fn fine(change: &str) -> RuleSet {
    let (rules, problems) = changed(change);
    assert_eq!(problems, [""; 0]);
    rules
}

/// Whether the rule `r` still is what the base says, and the one thing that is refused.
#[track_caller]
fn refused(change: &str) -> String {
    let (rules, problems) = changed(change);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(rules.rules(), fine("[]").rules());
    assert!(holds(rules, &start("a")));
    problems[0].clone()
}

fn start(name: &str) -> Event {
    mk_exec_event(&format!("/bin/{name}"), &[name])
}

fn holds(rules: RuleSet, event: &Event) -> bool {
    let mut found = Vec::new();
    SignatureEngine::new(rules).judge(event, &mut found);
    !found.is_empty()
}

#[test]
fn lists_and_macros_grow() {
    for change in [
        "- {list: l, items: [b], append: true}",
        "- {list: l, items: [b], override: {items: append}}",
        "- {macro: m, condition: or proc.name = b, append: true}",
        "- {macro: m, condition: or proc.name = b, override: {condition: append}}",
    ] {
        assert!(holds(fine(change), &start("a")), "{change}");
        assert!(holds(fine(change), &start("b")), "{change}");
        assert!(!holds(fine(change), &start("c")), "{change}");
    }
    for change in [
        "- {list: l, items: [b], override: {items: replace}}",
        "- {macro: m, condition: proc.name = b, override: {condition: replace}}",
    ] {
        assert!(!holds(fine(change), &start("a")), "{change}");
        assert!(holds(fine(change), &start("b")), "{change}");
    }
}

#[test]
fn rules_are_appended_to() {
    for change in [
        "- {rule: r, condition: and user.uid = 7, append: true}",
        "- {rule: r, condition: and user.uid = 7, override: {condition: append}}",
    ] {
        assert!(!holds(fine(change), &start("a")), "{change}");
        assert!(
            holds(fine(change), &ExecBuilder::new("/bin/a").uid(7).build()),
            "{change}"
        );
    }
    let rules = fine(
        "- rule: r\n  desc: more\n  output: of %proc.name\n  tags: [two, one]\n  \
         override: {desc: append, output: append, tags: append}",
    );
    let rule = &rules.rules()[0];
    assert_eq!(rule.description, "first more");
    assert_eq!(rule.output.as_deref(), Some("out of %proc.name"));
    assert_eq!(rule.reference.tags, ["one", "two"]);
    assert_eq!((rule.origin.as_str(), rule.line), ("base.yaml", 4));
}

#[test]
fn parts_of_rules_are_replaced() {
    let rules = fine(
        "- rule: r\n  desc: x\n  output: y\n  priority: INFO\n  tags: [z]\n  enabled: false\n  response: kill\n  id: i\n  \
         override: {desc: replace, output: replace, priority: replace, tags: replace, enabled: replace, \
         response: replace, id: replace}",
    );
    let rule = &rules.rules()[0];
    assert_eq!(
        (rule.description.as_str(), rule.output.as_deref()),
        ("x", Some("y"))
    );
    assert_eq!((rule.severity, rule.response), (Severity::Info, Response::Kill));
    assert_eq!(
        (rule.reference.id.as_str(), rule.reference.name.as_str()),
        ("i", "r")
    );
    assert_eq!(
        (rule.reference.tags.as_slice(), rule.enabled),
        (&["z".to_owned()][..], false)
    );
    let both = fine(
        "- rule: r\n  condition: evt.type = execve\n  tags: [two]\n  override: {condition: replace, tags: append}",
    );
    assert_eq!(both.rules()[0].reference.tags, ["one", "two"]);
    assert!(holds(both, &start("anything")));
}

#[test]
fn rules_are_switched_off_and_on() {
    assert!(!holds(fine("- {rule: r, enabled: false}"), &start("a")));
    let again = "- {rule: r, enabled: false}\n- {rule: r, enabled: true}";
    assert!(holds(fine(again), &start("a")));
}

#[test]
fn exceptions_grow_and_are_replaced() {
    let by = |parent: &str| ExecBuilder::new("/bin/a").ancestors(&[parent]).build();
    assert!(!holds(fine("[]"), &by("/sbin/cron")));
    assert!(holds(fine("[]"), &by("/sbin/atd")));
    for change in [
        "- {rule: r, exceptions: [{name: by, values: [[atd]]}], append: true}",
        "- {rule: r, exceptions: [{name: by, values: [[atd]]}], override: {exceptions: append}}",
        "- {rule: r, exceptions: [{name: new, fields: proc.pname, values: [atd]}], override: {exceptions: append}}",
    ] {
        assert!(!holds(fine(change), &by("/sbin/cron")), "{change}");
        assert!(!holds(fine(change), &by("/sbin/atd")), "{change}");
        assert!(holds(fine(change), &by("/sbin/init")), "{change}");
    }
    let replaced = "- {rule: r, exceptions: [{name: by, fields: proc.pname, values: [atd]}], override: {exceptions: replace}}";
    assert!(holds(fine(replaced), &by("/sbin/cron")));
    assert!(!holds(fine(replaced), &by("/sbin/atd")));
}

#[test]
fn a_change_that_is_wrong_changes_nothing() {
    for (change, part) in [
        (
            "- {rule: r, condition: and (, append: true}",
            "local.yaml:1: rule \"r\": `condition`: ",
        ),
        (
            "- {rule: r, condition: and no.field = 1, append: true}",
            "the field `no.field` is not known",
        ),
        (
            "- {rule: r, condition: and nothing, append: true}",
            "the macro `nothing` is not known",
        ),
        (
            "- {rule: r, output: '%no.field', override: {output: append}}",
            "`output`: the field `no.field`",
        ),
        (
            "- {rule: other, condition: and m, append: true}",
            "there is no rule of that name before it",
        ),
        (
            "- {rule: other, enabled: true}",
            "there is no rule of that name before it",
        ),
        (
            "- {macro: other, condition: or m, append: true}",
            "there is no macro of that name before it",
        ),
        (
            "- {macro: m, condition: or, append: true}",
            "macro \"m\": `condition`: ",
        ),
        (
            "- {list: other, items: [x], append: true}",
            "there is no list of that name before it",
        ),
        (
            "- {rule: r, priority: INFO, override: {priority: append}}",
            "\"priority\" cannot be appended to",
        ),
        (
            "- {rule: r, source: syscall, override: {source: replace}}",
            "\"source\" cannot be replaced",
        ),
        (
            "- {rule: r, desc: x, override: {desc: add}}",
            "append or replace is expected, not \"add\"",
        ),
        (
            "- {rule: r, desc: x, override: {tags: append}}",
            "names `tags`, and there is no such key here",
        ),
        (
            "- {rule: r, desc: x, tags: [y], override: {desc: append}}",
            "`tags` is here, and `override` does not",
        ),
        (
            "- {rule: r, desc: x, append: true, override: {desc: append}}",
            "exclude each other",
        ),
        ("- {rule: r, desc: x, override: yes}", "`override` must be"),
        (
            "- {rule: r, exceptions: [{name: by, fields: proc.pname, values: [x]}], append: true}",
            "is there already",
        ),
        (
            "- {rule: r, exceptions: [{name: new, values: [x]}], append: true}",
            "has no `fields`",
        ),
    ] {
        let told = refused(change);
        assert!(told.contains(part), "{change}: {told}");
    }
}

#[test]
fn exceptions_that_are_wrong_refuse_their_rule() {
    for (exceptions, part) in [
        ("{}", "a list of exceptions"),
        ("[x]", "a mapping with a name"),
        ("[{fields: proc.name}]", "it has no name"),
        ("[{name: e, comps: in}]", "it has `comps` and no `fields`"),
        ("[{name: e}]", "it has no `fields`"),
        ("[{name: e, fields: proc.name, comps: [in]}]", "do not fit"),
        ("[{name: e, fields: [proc.name], comps: in}]", "do not fit"),
        ("[{name: e, fields: [proc.name], comps: [=, =]}]", "do not fit"),
        ("[{name: e, fields: []}]", "do not fit"),
        (
            "[{name: e, fields: proc.name, values: x}]",
            "`values` must be a list",
        ),
        (
            "[{name: e, fields: proc.name, values: [[x]]}]",
            "a list is where a value is expected",
        ),
        (
            "[{name: e, fields: proc.name, comps: startswith, values: [x]}]",
            "takes a list",
        ),
        (
            "[{name: e, fields: proc.name, comps: like, values: [x]}]",
            "\"like\" is no operator",
        ),
        (
            "[{name: e, fields: [proc.name, user.uid], values: [[x]]}]",
            "one value for every field",
        ),
        (
            "[{name: e, fields: [proc.name, user.uid], values: [x]}]",
            "one value for every field",
        ),
        (
            "[{name: e, fields: [proc.name], values: [[[x]]]}]",
            "takes one value has a list",
        ),
        (
            "[{name: e, fields: no.field, values: [x]}]",
            "the field `no.field` is not known",
        ),
        (
            "[{name: e, fields: 'a b', values: [x]}]",
            "the name of a field is expected",
        ),
        (
            "[{name: e, fields: [user.uid], values: [[root]]}]",
            "is a whole number",
        ),
        (
            "[{name: e, fields: proc.name, value: [x]}]",
            "the key \"value\" is not known",
        ),
    ] {
        let source = RuleSource {
            origin: "f.yaml".into(),
            text: format!("- rule: r\n  condition: proc.pid > 0\n  exceptions: {exceptions}\n"),
            first_line: 1,
        };
        let (rules, problems) = RuleSet::compile(&[source]);
        assert_eq!(
            (rules.rules().len(), problems.len()),
            (0, 1),
            "{exceptions}: {problems:?}"
        );
        assert!(
            problems[0].message.contains(part),
            "{exceptions}: {}",
            problems[0]
        );
        assert!(problems[0].message.starts_with("rule \"r\": "), "{}", problems[0]);
    }
}

#[test]
fn a_rule_cannot_be_changed_without_end() {
    let change = "- {rule: r, condition: and user.uid != 7, append: true}\n".repeat(10_000);
    let (rules, problems) = changed(&change);
    assert!(problems[0].contains("too long"), "{}", problems[0]);
    assert!(holds(rules, &start("a")));
    let change = "- {rule: r, enabled: true}\n".repeat(10_000);
    let (rules, problems) = changed(&change);
    assert!(
        problems[0].contains("is changed more than 200 times"),
        "{}",
        problems[0]
    );
    assert!(holds(rules, &start("a")));
    let change = "- {macro: m, condition: or proc.name = x, append: true}\n".repeat(10_000);
    let (rules, problems) = changed(&change);
    assert!(problems[0].contains("too long"), "{}", problems[0]);
    assert!(holds(rules, &start("a")));
}

#[test]
fn only_names_that_are_not_known_are_skipped() {
    let rule = |condition: &str| {
        let text = format!("- rule: new\n  condition: {condition}\n  skip-if-unknown-filter: true\n");
        let (rules, problems) = changed(&text);
        (rules.rules().len(), problems.len())
    };
    assert_eq!(rule("proc.name = x"), (2, 0));
    assert_eq!(rule("proc.future = x"), (1, 0));
    assert_eq!(rule("evt.type = future"), (1, 0));
    assert_eq!(rule("proc.name ="), (1, 1));
    assert_eq!(rule("proc.pid = x"), (1, 1));
}
