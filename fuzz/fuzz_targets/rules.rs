//! Rule files: hostile text is refused with problems, and never with a panic or without end; a condition that can
//! be read is printed as one that reads the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use runtime_core::policy::RuleSource;
use runtime_engines::signatures::RuleSet;
use runtime_engines::signatures::condition::parse;

fuzz_target!(|text: &str| {
    let source = RuleSource { origin: "fuzz.yaml".into(), text: text.into(), first_line: 1 };
    let (rules, problems) = RuleSet::compile(&[source]);
    for problem in problems {
        assert!(!problem.message.is_empty());
    }
    let _ = rules.needs();
    if let Ok(condition) = parse(text) {
        let printed = condition.to_string();
        assert_eq!(parse(&printed).as_ref(), Ok(&condition), "{printed}");
    }
    // The same text as a condition: most of the grammar is out of the YAML fuzzer's reach.
    let quoted = format!("- rule: r\n  desc: d\n  priority: INFO\n  condition: {text:?}\n");
    let source = RuleSource { origin: "fuzz.yaml".into(), text: quoted, first_line: 1 };
    let _ = RuleSet::compile(&[source]);
});
