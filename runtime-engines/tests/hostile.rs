//! Rules that somebody wrote to do harm, or without care.

mod common;

use std::fmt::Write as _;

use common::{compile, compiled, holds, judged, mk_listing, refused};
use runtime_engines::testing::mk_exec_event;

#[track_caller]
fn problems(text: &str) -> Vec<String> {
    compile(text).1.iter().map(ToString::to_string).collect()
}

#[test]
fn deep_nesting_is_an_error_and_not_a_crash() {
    let nested = |depth: usize, open: &str, close: &str| {
        format!("{}proc.pid > 1{}", open.repeat(depth), close.repeat(depth))
    };
    assert!(holds(&nested(60, "(", ")"), &mk_listing()));
    assert!(holds(&nested(60, "not ", ""), &mk_listing()));
    for (open, close) in [("(", ")"), ("not ", ""), ("not (", ")")] {
        for depth in [100, 100_000] {
            let told = refused(&nested(depth, open, close));
            assert!(told.contains("nested more than 64 deep"), "{told}");
        }
    }
    let transformed = format!("{}proc.name{} = ls", "tolower(".repeat(100), ")".repeat(100));
    assert!(refused(&transformed).contains("nested more than 64 deep"));
    let joined = format!(
        "concat({}proc.name{}) = ls",
        "join('', (".repeat(100),
        "))".repeat(100)
    );
    assert!(refused(&joined).contains("nested more than 64 deep"));
    // YAML can be nested as well.
    assert!(problems(&"[".repeat(100_000))[0].starts_with("rules.yaml:1: not YAML"));
}

#[test]
fn macros_that_go_round_in_a_circle_are_refused() {
    let told = problems(
        "- {macro: a, condition: b or proc.pid = 1}\n- {macro: b, condition: not c}\n- {macro: c, condition: a}\n\
         - {macro: self, condition: self}\n\
         - {rule: r, condition: proc.pid = 1 or a}\n- {rule: s, condition: self}\n- {rule: fine, condition: proc.pid > 1}",
    );
    assert_eq!(
        told,
        [
            "rules.yaml:5: rule \"r\": `condition`: macros go round in a circle: a -> b -> c -> a",
            "rules.yaml:6: rule \"s\": `condition`: macros go round in a circle: self -> self",
        ]
    );
}

#[test]
fn lists_that_go_round_in_a_circle_are_refused() {
    let told = problems(
        "- {list: a, items: [x, b]}\n- {list: b, items: [a]}\n- {list: sudo, items: [sudo, doas]}\n\
         - {rule: r, condition: proc.name in (a)}\n- {rule: fine, condition: proc.name in (sudo)}",
    );
    assert_eq!(
        told,
        ["rules.yaml:4: rule \"r\": `condition`: lists go round in a circle: a -> b -> a"]
    );
}

/// Each macro names the one before twice: written out this is 2^64 tests.
#[test]
fn macros_cannot_explode() {
    let mut text = String::from("- {macro: m0, condition: proc.pid = 1}\n");
    for n in 1..=64 {
        let before = n - 1;
        writeln!(text, "- {{macro: m{n}, condition: m{before} or m{before}}}").unwrap();
    }
    text += "- {rule: r, condition: m64}\n";
    assert!(problems(&text)[0].contains("more than 1000000 parts"));
    // A long chain is no explosion, and is bounded too.
    let mut text = String::from("- {macro: m0, condition: proc.pid > 1}\n");
    for n in 1..=5_000 {
        writeln!(text, "- {{macro: m{n}, condition: not m{}}}", n - 1).unwrap();
    }
    text += "- {rule: deep, condition: m5000}\n- {rule: r, condition: m40}\n";
    let (rules, problems) = compile(&text);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(
        problems[0]
            .message
            .contains("with its macros it is nested more than 192 deep")
    );
    assert_eq!(judged(rules, &mk_listing()), ["r"]);
}

#[test]
fn lists_cannot_explode() {
    let mut text = String::from("- {list: l0, items: [ls]}\n");
    for n in 1..=64 {
        let before = n - 1;
        writeln!(text, "- {{list: l{n}, items: [l{before}, l{before}]}}").unwrap();
    }
    text += "- {rule: r, condition: proc.name in (l64)}\n";
    assert_eq!(judged(compiled(&text), &mk_listing()), ["r"]);
}

/// Each pattern is small enough, and all of them would not be.
#[test]
fn patterns_cannot_explode() {
    let mut text = String::new();
    for n in 0..1_500 {
        writeln!(text, "- {{rule: r{n}, condition: 'proc.name regex \"a|b{n}\"'}}").unwrap();
    }
    let (rules, problems) = compile(&text);
    assert_eq!((rules.rules().len(), problems.len()), (1_000, 500));
    assert!(
        problems[0].message.contains("more than 1000 patterns"),
        "{}",
        problems[0]
    );
}

#[test]
fn a_pattern_takes_no_exponential_time() {
    let event = mk_exec_event("/bin/app", &["app", &"a".repeat(20_000)]);
    assert!(!holds("proc.args regex '(a*)*(a|a)*b'", &event));
    assert!(!holds("proc.args regex '(x+x+)+y'", &event));
    assert!(!holds("proc.args iglob '*A*A*A*A*A*A*A*B'", &event));
}

/// YAML's own way of saying much with few words.
#[test]
fn yaml_aliases_cannot_explode() {
    let mut text = String::from("- &a0 {list: l, items: [x, x, x, x, x, x, x, x]}\n");
    for n in 1..=40 {
        let before = format!("*a{}", n - 1);
        writeln!(text, "- &a{n} [{before}, {before}, {before}, {before}]").unwrap();
    }
    let told = problems(&text);
    assert!(told.len() == 1 && told[0].contains("not YAML"), "{told:?}");
}

#[test]
fn files_that_are_no_rule_files() {
    assert!(problems("").is_empty());
    assert!(problems("# nothing\n").is_empty());
    assert!(problems("[]").is_empty());
    assert_eq!(
        problems("rule: x"),
        ["rules.yaml:1: a list of rules, macros and lists is expected"]
    );
    let told = problems("- rule: a\n  condition: proc.pid > 1\n - rule: b\n");
    assert!(
        told.len() == 1 && told[0].starts_with("rules.yaml:") && told[0].contains("not YAML"),
        "{told:?}"
    );
    let told = problems("- rule: a\n  condition: x\n  condition: y\n");
    assert!(told[0].starts_with("rules.yaml:3: not YAML"), "{told:?}");
    assert!(!told[0].contains('\n'), "{told:?}");
    assert!(problems("\u{0}\u{1}")[0].contains("not YAML"));
}

#[test]
fn a_file_of_ten_megabytes_is_read() {
    let mut text = String::from("- list: many\n  items:\n");
    let padding = "x".repeat(500);
    for n in 0..20_000 {
        writeln!(text, "  - {padding}-{n}").unwrap();
    }
    text += "- {rule: r, condition: proc.name in (many)}\n";
    assert!(text.len() > 10_000_000);
    let event = mk_exec_event(&format!("/bin/{padding}-19999"), &["x"]);
    assert_eq!(judged(compiled(&text), &event), ["r"]);
}

#[test]
fn a_file_that_is_too_large_is_refused() {
    let text = format!("# {}", "x".repeat(33 << 20));
    assert_eq!(problems(&text), ["rules.yaml: the file is larger than 32 MiB"]);
}

#[test]
fn a_condition_that_is_too_long_is_refused() {
    let condition = vec!["proc.pid > 0"; 200_000].join(" and ");
    assert!(refused(&condition).contains("too long"));
}

/// Escapes, quotes and brackets without an end, and what comes close to an operator.
#[test]
fn halves_of_conditions_are_errors() {
    for condition in [
        "proc.name = \"\\",
        "proc.name = '\\x",
        "proc.name = '\\x4",
        "proc.aname[",
        "proc.aname['",
        "proc.aname[1",
        "tolower(",
        "tolower(proc.name",
        "join(',', (",
        "join(',', (proc.name, ) = x",
        "proc.name in (",
        "proc.name in (a,",
        "proc.name startswith anyof (",
        "proc.name = val(",
        "proc.name = val(proc.name",
        "not",
        "(",
        "proc.name ==",
        "proc.name contains",
        "proc.name containsx",
        "\u{feff}proc.name = x",
        "\u{0}",
    ] {
        let (rules, problems) = compile(&format!("- rule: r\n  condition: {condition:?}\n"));
        assert!(
            rules.rules().is_empty() && problems.len() == 1,
            "{condition}: {problems:?}"
        );
    }
}

/// All of it is looked through more than once while it is compiled, and for every kind of events.
#[test]
fn a_condition_of_a_megabyte_is_compiled() {
    let alike: Vec<String> = (0..40_000).map(|n| format!("proc.name = x{n}")).collect();
    let event = mk_exec_event("/bin/x39999", &["x"]);
    assert!(holds(&alike.join(" or "), &event));
    // What differs cannot become one test.
    let unlike: Vec<String> = (0..20_000)
        .map(|n| format!("proc.args[{n}] = x and evt.type = execve"))
        .collect();
    assert!(holds(
        &unlike.join(" or "),
        &mk_exec_event("/bin/a", &["a", "b", "x"])
    ));
    assert!(!holds(&unlike.join(" or "), &event));
}

/// Each rule stands for half a million tests that all of them share.
#[test]
fn rules_that_share_a_large_macro_are_compiled() {
    let mut text = String::from("- {macro: m0, condition: proc.pid = 1 or fd.name = x}\n");
    for n in 1..=17 {
        let before = n - 1;
        writeln!(text, "- {{macro: m{n}, condition: m{before} or m{before}}}").unwrap();
    }
    for n in 0..200 {
        writeln!(text, "- {{rule: r{n}, condition: m17 and proc.pid = {n}}}").unwrap();
    }
    assert_eq!(compiled(&text).rules().len(), 200);
}

/// The parts of a command line are looked up in one table: hostile lines that are near misses everywhere cost no more
/// than going through them.
#[test]
fn a_line_of_near_misses_is_gone_through_once() {
    let mut text = String::new();
    for n in 0..500 {
        writeln!(
            text,
            "- {{rule: r{n}, condition: 'proc.cmdline contains \"aaaa{n:03}aaaa\"'}}"
        )
        .unwrap();
    }
    let event = mk_exec_event("/bin/app", &["app", &"aaaa12".repeat(20_000)]);
    assert_eq!(judged(compiled(&text), &event), [""; 0]);
    let event = mk_exec_event(
        "/bin/app",
        &["app", &format!("{}aaaa123aaaa", "a".repeat(100_000))],
    );
    assert_eq!(judged(compiled(&text), &event), ["r123"]);
}
