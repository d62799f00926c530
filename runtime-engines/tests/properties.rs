//! Conditions read back as they print, and mean what their definition says.

use proptest::prelude::*;
use runtime_core::Event;
use runtime_core::glob::Glob;
use runtime_core::policy::RuleSource;
use runtime_engines::signatures::condition::{
    Check, Expr, ListOperator, Operand, Operator, Test, Transformer, Value, parse,
};
use runtime_engines::testing::ExecBuilder;
use runtime_engines::{Engine, RuleSet, SignatureEngine};

fn any_word() -> impl Strategy<Value = String> {
    "[a-z][a-z0-9_]{0,6}".prop_filter("a keyword", |word| !["and", "or", "not"].contains(&word.as_str()))
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        "[-a-z0-9_./:*+<>\\[\\]]{1,8}".prop_map(|text| Value { text, quoted: false }),
        any::<String>().prop_map(|text| Value { text, quoted: true }),
    ]
}

fn any_operator() -> impl Strategy<Value = Operator> {
    let symbols = Operator::SYMBOLS.iter().chain(&Operator::WORDS);
    prop::sample::select(symbols.map(|&(_, operator)| operator).collect::<Vec<_>>())
}

fn any_list_operator() -> impl Strategy<Value = ListOperator> {
    prop::sample::select(ListOperator::NAMES.map(|(_, operator)| operator).to_vec())
}

fn any_transformers() -> impl Strategy<Value = Vec<Transformer>> {
    prop::collection::vec(
        prop::sample::select(Transformer::NAMES.map(|(_, transformer)| transformer).to_vec()),
        0..3,
    )
}

fn any_check() -> impl Strategy<Value = Expr> {
    let field = (any_word(), any_word()).prop_map(|(a, b)| format!("{a}.{b}"));
    let operand = (any_transformers(), field, prop::option::of("[a-z0-9./]{1,4}")).prop_map(
        |(transformers, field, argument)| Operand {
            transformers,
            field,
            argument,
        },
    );
    let test = prop_oneof![
        Just(Test::Exists),
        (any_operator(), any_value()).prop_map(|(operator, value)| Test::One(operator, value)),
        (any_list_operator(), prop::collection::vec(any_value(), 0..4))
            .prop_map(|(operator, values)| Test::Many(operator, values)),
    ];
    (operand, test).prop_map(|(operand, test)| Expr::Check(Check { operand, test }))
}

/// Trees over these leaves.
fn tree_of(leaf: impl Strategy<Value = Expr> + 'static) -> impl Strategy<Value = Expr> {
    leaf.prop_recursive(5, 40, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(Expr::And),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Expr::Or),
            inner.prop_map(|inner| Expr::Not(Box::new(inner))),
        ]
    })
}

/// A test that means something, over values that events below may have.
fn any_meaningful_check() -> impl Strategy<Value = Expr> {
    let texts = prop::sample::select(vec![
        "", "a", "b", "ab", "B", "/a", "/a/b", "a b", "x", "*b", "execve", "clone",
    ]);
    let value = texts.prop_map(|text| Value {
        text: text.to_owned(),
        quoted: true,
    });
    let field = prop::sample::select(vec![
        "evt.type",
        "proc.name",
        "proc.exepath",
        "proc.args",
        "proc.cmdline",
        "proc.script",
        "proc.aname",
    ]);
    let operator = any_operator().prop_filter("for texts", |operator| {
        !matches!(
            operator,
            Operator::Less | Operator::LessOrEqual | Operator::Greater | Operator::GreaterOrEqual
        )
    });
    let test = prop_oneof![
        Just(Test::Exists),
        (operator, value.clone()).prop_map(|(operator, value)| Test::One(operator, value)),
        (any_list_operator(), prop::collection::vec(value, 0..12))
            .prop_map(|(operator, values)| Test::Many(operator, values)),
    ];
    (any_transformers(), field, test).prop_map(|(transformers, field, test)| {
        let operand = Operand {
            transformers,
            field: field.to_owned(),
            argument: None,
        };
        Expr::Check(Check { operand, test })
    })
}

fn any_event() -> impl Strategy<Value = Event> {
    let name = || prop::sample::select(vec!["/a", "/b", "/a/b", "/x/AB", "/x/ab"]);
    let args = prop::collection::vec(prop::sample::select(vec!["a", "b", "", "B", "a b"]), 1..4);
    let script = prop::option::of(name());
    let above = prop::collection::vec(name(), 0..3);
    (name(), name(), args, script, above).prop_map(|(path, invoked, args, script, above)| {
        let builder = ExecBuilder::new(path)
            .invoked_as(invoked)
            .args(&args)
            .ancestors(&above);
        match script {
            Some(script) => builder.script(script).build(),
            None => builder.build(),
        }
    })
}

/// What a condition means, as plainly as it can be written.
fn means(expr: &Expr, event: &Event) -> bool {
    match expr {
        Expr::Or(parts) => parts.iter().any(|part| means(part, event)),
        Expr::And(parts) => parts.iter().all(|part| means(part, event)),
        Expr::Not(inner) => !means(inner, event),
        Expr::Macro(_) => unreachable!("none is made"),
        Expr::Check(Check { operand, test }) => values(&operand.field, event).into_iter().any(|mut value| {
            for transformer in operand.transformers.iter().rev() {
                value = match transformer {
                    Transformer::ToLower => value.to_ascii_lowercase(),
                    Transformer::ToUpper => value.to_ascii_uppercase(),
                    Transformer::BaseName => value.rsplit('/').next().unwrap().to_owned(),
                };
            }
            passes(test, &value)
        }),
    }
}

fn values(field: &str, event: &Event) -> Vec<String> {
    let process = &event.process;
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let base = |bytes: &[u8]| text(bytes).rsplit('/').next().unwrap().to_owned();
    let identity = &process.identity;
    let named = identity.script.clone().or(identity.invoked_as.clone());
    let name = base(&named.unwrap_or(process.exe.clone()));
    let args: Vec<String> = process.args[1..].iter().map(|arg| text(arg)).collect();
    match field {
        "evt.type" => vec!["execve".into()],
        "proc.name" => vec![name],
        "proc.exepath" => vec![text(&process.exe)],
        "proc.args" => vec![args.join(" ")],
        "proc.cmdline" => vec![[vec![name], args].concat().join(" ")],
        "proc.script" => identity.script.iter().map(|script| text(script)).collect(),
        "proc.aname" => process
            .ancestors
            .iter()
            .map(|ancestor| base(&ancestor.path))
            .collect(),
        other => panic!("{other}"),
    }
}

fn passes(test: &Test, value: &str) -> bool {
    match test {
        Test::Exists => true,
        Test::One(operator, Value { text, .. }) => match operator {
            Operator::Equal => value == text,
            Operator::NotEqual => value != text,
            Operator::Contains => value.contains(text),
            Operator::ContainsIgnoringCase => value.to_lowercase().contains(&text.to_lowercase()),
            Operator::StartsWith => value.starts_with(text),
            Operator::EndsWith => value.ends_with(text),
            Operator::Glob => Glob::new(text).matches(value.as_bytes()),
            other => panic!("{other}"),
        },
        Test::Many(ListOperator::In | ListOperator::Intersects, list) => {
            list.iter().any(|item| item.text == value)
        }
        Test::Many(ListOperator::PathPrefix, list) => list.iter().any(|item| {
            let above = item.text.trim_end_matches('/');
            value == above || value.starts_with(&format!("{above}/"))
        }),
    }
}

proptest! {
    #[test]
    fn what_is_printed_reads_back_as_the_same(
        expr in tree_of(prop_oneof![any_check(), any_word().prop_map(Expr::Macro)])
    ) {
        let printed = expr.to_string();
        prop_assert_eq!(parse(&printed).map_err(|error| error.to_string()), Ok(expr), "{}", printed);
    }

    #[test]
    fn no_text_breaks_the_parser(text in "\\PC{0,40}|[-a-z.()='\", \\[\\]\\\\]{0,40}") {
        if let Ok(expr) = parse(&text) {
            prop_assert_eq!(parse(&expr.to_string()), Ok(expr));
        }
    }

    #[test]
    fn a_compiled_condition_means_what_is_written(
        expr in tree_of(any_meaningful_check()),
        events in prop::collection::vec(any_event(), 1..6),
    ) {
        // A second rule, because a condition that can hold for nothing is refused.
        let text = format!("- rule: r\n  condition: {:?}\n", format!("{expr} or proc.pid = 0"));
        let source = RuleSource { origin: "t".into(), text, first_line: 1 };
        let (rules, problems) = RuleSet::compile(&[source]);
        prop_assert_eq!(problems, []);
        let mut engine = SignatureEngine::new(rules);
        for event in &events {
            let mut found = Vec::new();
            engine.judge(event, &mut found);
            prop_assert_eq!(!found.is_empty(), means(&expr, event), "{}", expr);
        }
    }
}
