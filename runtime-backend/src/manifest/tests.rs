use runtime_core::policy::{EnginesSpec, Mode, SelectorSpec, SignaturesSpec};

use super::*;

const HEAD: &str = "apiVersion: podwarden.dev/v1alpha1\nkind: RuntimePolicy\nmetadata: {name: strict}\n";

fn problems(text: &str) -> Vec<String> {
    parse("f.yaml", text)
        .problems
        .iter()
        .map(Problem::to_string)
        .collect()
}

fn strict_policy() -> RuntimePolicy {
    let spec = RuntimePolicySpec {
        selector: SelectorSpec {
            namespaces: vec!["shop".into()],
            ..SelectorSpec::default()
        },
        engines: EnginesSpec {
            signatures: Some(SignaturesSpec {
                mode: Mode::Detect,
                block_all: true,
            }),
            ..EnginesSpec::default()
        },
        ..RuntimePolicySpec::default()
    };
    RuntimePolicy::new("strict", spec).unwrap()
}

#[test]
fn every_kind_of_document_in_one_file() {
    let text = "\
- rule: plain
---
# A comment.
apiVersion: podwarden.dev/v1alpha1
kind: RuntimePolicy
metadata: {name: strict, labels: {a: b}}
spec:
  selector: {namespaces: [shop]}
  engines:
    signatures: {mode: detect, blockAll: true}
status: {conditions: []}
---
apiVersion: podwarden.dev/v1alpha1
kind: SignatureSet
metadata:
  name: extra
spec:
  version: \"1\"
  rules: |

    - rule: mine
";
    let rules = |text: &str, first_line| RuleSource {
        origin: "f.yaml".into(),
        text: text.into(),
        first_line,
    };
    let expected = Manifests {
        items: vec![
            Item::Rules(rules("- rule: plain\n", 1)),
            Item::Policy {
                line: 6,
                policy: Box::new(strict_policy()),
            },
            Item::SignatureSet {
                line: 16,
                name: "extra".into(),
                rules: rules("\n- rule: mine\n", 20),
            },
        ],
        problems: Vec::new(),
    };
    assert_eq!(parse("f.yaml", text), expected);
}

#[test]
fn json_is_read_as_well() {
    let text = r#"{"apiVersion": "podwarden.dev/v1alpha1", "kind": "RuntimePolicy",
        "metadata": {"name": "strict"},
        "spec": {"selector": {"namespaces": ["shop"]}, "engines": {"signatures": {"mode": "detect", "blockAll": true}}}}"#;
    let policy = Box::new(strict_policy());
    assert_eq!(parse("f.json", text).items, [Item::Policy { line: 2, policy }]);
}

#[test]
fn problems_name_line_and_field_and_the_others_load() {
    let bad = [
        (
            "spec:\n  engines:\n    signatures:\n      mode: prevnt\n",
            "f.yaml:8: spec.engines.signatures.mode: unknown variant `prevnt`, expected one of disabled, detect, prevent",
        ),
        (
            "spec:\n  engines:\n    signatures: {mdoe: prevent}\n",
            "f.yaml:7: spec.engines.signatures.mdoe: unknown field `mdoe`, expected one of mode, blockAll",
        ),
        (
            "spec:\n  engines:\n    signatures: {blockAll: true}\n",
            "f.yaml:7: spec.engines.signatures: missing field `mode`",
        ),
        (
            "spec:\n  engines:\n    signatures:\n      mode: prevent\n      mode: detect\n",
            "f.yaml:9: spec.engines.signatures: duplicate mapping key `mode` is not allowed here",
        ),
        (
            "spce: {}\n",
            "f.yaml:5: spce: unknown field `spce`, expected one of apiVersion, kind, metadata, spec, status",
        ),
        ("", "f.yaml:4: missing field `spec`"),
    ];
    for (body, expected) in bad {
        let text = format!("---\n{HEAD}{body}---\n- rule: good\n");
        let parsed = parse("f.yaml", &text);
        assert_eq!(
            parsed.problems.iter().map(Problem::to_string).collect::<Vec<_>>(),
            [expected]
        );
        assert!(
            matches!(parsed.items.as_slice(), [Item::Rules(_)]),
            "{:?}",
            parsed.items
        );
    }
}

#[test]
fn a_syntax_error_in_one_document_leaves_the_others() {
    let text = format!("a: [\n---\n{HEAD}spec: {{}}\n---\n\"unclosed\n");
    let parsed = parse("f.yaml", &text);
    assert_eq!(parsed.items.len(), 1);
    assert_eq!(
        parsed.problems.iter().map(|p| p.line).collect::<Vec<_>>(),
        [Some(1), Some(8)]
    );
}

#[test]
fn what_is_no_manifest_of_ours() {
    let with =
        |version: &str, kind: &str| format!("apiVersion: {version}\nkind: {kind}\nmetadata: {{name: x}}\n");
    assert_eq!(
        problems(&with("podwarden.dev/v1", "RuntimePolicy")),
        ["f.yaml:1: apiVersion: \"podwarden.dev/v1\" is not known here, only \"podwarden.dev/v1alpha1\" is"]
    );
    assert_eq!(
        problems(&with(API_VERSION, "Pod")),
        ["f.yaml:2: kind: \"Pod\" is not known here, only RuntimePolicy and SignatureSet are"]
    );
    assert_eq!(
        problems(&with(API_VERSION, "RuntimeProfile")),
        ["f.yaml:2: kind: RuntimeProfile is not read from a policy directory"]
    );
    assert_eq!(
        problems("kind: RuntimePolicy\n"),
        ["f.yaml:1: missing field `apiVersion`"]
    );
    assert_eq!(problems("# nothing\n"), ["f.yaml: the file holds no document"]);
    assert_eq!(problems("just text\n").len(), 1);
}

#[test]
fn names_are_those_that_kubernetes_takes() {
    for name in ["Upper", "a_b", "-a", "a..b", "\"\"", "\"a\\nb\""] {
        let text = HEAD.replace("strict", name) + "spec: {}\n";
        let problems = problems(&text);
        assert_eq!(problems.len(), 1, "{name}");
        assert!(
            problems[0].starts_with("f.yaml:3: metadata.name: "),
            "{problems:?}"
        );
        assert!(!problems[0].contains('\n'), "{problems:?}");
    }
    let long = "a".repeat(254);
    assert_eq!(problems(&(HEAD.replace("strict", &long) + "spec: {}\n")).len(), 1);
}

#[test]
fn the_rules_of_a_set_know_their_line_however_they_are_written() {
    let head = HEAD.replace("RuntimePolicy", "SignatureSet");
    let line = |body: &str| match parse("f.yaml", &format!("{head}{body}")).items.as_slice() {
        [Item::SignatureSet { rules, .. }] => rules.first_line,
        other => panic!("{other:?}"),
    };
    assert_eq!(line("spec:\n  rules: |\n    - rule: a\n"), 6);
    assert_eq!(line("spec:\n  rules: |-  # why\n\n\n    - rule: a\n"), 6);
    assert_eq!(line("spec:\n  version: 2\n  rules: \"\\n- rule: a\"\n"), 6);
    assert_eq!(line("spec: {rules: '- rule: a'}\n"), 4);
}

#[test]
fn entries_that_make_no_sense_are_named() {
    let refused = |entries: &str| {
        let text = format!(
            "apiVersion: podwarden.dev/v1alpha1\nkind: RuntimePolicy\nmetadata: {{name: strict}}\nspec:\n{entries}\n"
        );
        problems(&text)
    };
    let one = |entries: &str, expected: &str| {
        assert_eq!(refused(entries), [format!("f.yaml:3: strict: spec.{expected}")]);
    };
    one(
        "  exclusions: [{engine: signatures, signature: x}, {name: all, engine: signatures}]",
        "exclusions[1] (all): engine: it would match everything that the engine finds; to have that, set the \
         engine's mode",
    );
    one(
        "  rules: [{engine: signatures, signature: x}]",
        "rules[0]: action: it is missing: `deny` or `allow`",
    );
    one(
        "  exclusions: [{engine: profiling, network: {address: 10.0.0.0/33}}]",
        "exclusions[0]: network.address: `10.0.0.0/33` is no address or range of addresses, as in 192.0.2.1 or \
         192.0.2.0/24",
    );
    one(
        "  rules: [{engine: file-reputation, sha256: abc, action: deny}]",
        "rules[0]: sha256: not 64 hexadecimal digits: \"abc\"",
    );
    one(
        "  exclusions: [{engine: profiling, signature: x}]",
        "exclusions[0]: signature: findings of profiling have no such thing",
    );
    // What is no entry at all is refused with its line.
    let unknown = refused("  exclusions:\n  - {engine: signatures, proces: {path: /x}}");
    assert!(
        unknown[0].starts_with("f.yaml:6") && unknown[0].contains("proces"),
        "{unknown:?}"
    );
    let period = refused("  engines: {profiling: {mode: detect, learningPeriod: 24}}");
    assert!(
        period[0].contains("learningPeriod") || period[0].contains("24"),
        "{period:?}"
    );
}

#[test]
fn ten_thousand_exclusions_are_one_manifest() {
    use std::fmt::Write as _;
    let mut text = "apiVersion: podwarden.dev/v1alpha1\nkind: RuntimePolicy\nmetadata: {name: many}\nspec:\n  exclusions:\n"
        .to_owned();
    for number in 0..10_000 {
        writeln!(
            text,
            "  - {{name: e{number}, engine: signatures, signature: s, process: {{path: /bin/{number}, args: a}}, \
             file: /data/{number}, reason: why}}"
        )
        .unwrap();
    }
    let Manifests { items, problems } = parse("f.yaml", &text);
    assert_eq!((items.len(), problems), (1, Vec::new()));
}
