//! Conditions read back as they print, and mean what their definition says.

use proptest::prelude::*;
use runtime_core::Event;
use runtime_core::glob::Glob;
use runtime_core::policy::RuleSource;
use runtime_engines::signatures::condition::{
    Argument, Check, Expr, ListOperator, Operand, Operator, Quantifier, Test, Transformer, Value, parse,
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

fn any_transformer() -> impl Strategy<Value = Transformer> {
    let all = Transformer::NAMES.map(|(_, transformer)| transformer);
    prop::sample::select(
        all.into_iter()
            .filter(|&it| it != Transformer::Value)
            .collect::<Vec<_>>(),
    )
}

fn any_field() -> impl Strategy<Value = Operand> {
    let name = (any_word(), any_word()).prop_map(|(a, b)| format!("{a}.{b}"));
    (name, prop::option::of("[a-z0-9./\\[ \"]{0,4}"))
        .prop_map(|(name, argument)| Operand::Field { name, argument })
}

/// Fields, and transformers with whatever arguments they may be written with.
fn any_operand() -> impl Strategy<Value = Operand> {
    any_field().prop_recursive(3, 12, 3, |inner| {
        let argument = prop_oneof![
            inner.clone().prop_map(Argument::Operand),
            any::<String>().prop_map(Argument::Text),
            prop::collection::vec(inner.prop_map(Argument::Operand), 0..3).prop_map(Argument::List),
        ];
        (any_transformer(), prop::collection::vec(argument, 1..4))
            .prop_map(|(transformer, arguments)| Operand::Call(transformer, arguments))
    })
}

/// Another value on the right: a field alone needs `val`.
fn any_other() -> impl Strategy<Value = Operand> {
    any_operand().prop_map(|operand| match operand {
        Operand::Field { .. } => Operand::Call(Transformer::Value, vec![Argument::Operand(operand)]),
        call @ Operand::Call(..) => call,
    })
}

fn any_check() -> impl Strategy<Value = Expr> {
    let quantifier = prop::sample::select(Quantifier::NAMES.map(|(_, quantifier)| quantifier).to_vec());
    let test = prop_oneof![
        Just(Test::Exists),
        (any_operator(), any_value()).prop_map(|(operator, value)| Test::One(operator, value)),
        (
            any_operator(),
            quantifier,
            prop::collection::vec(any_value(), 0..4)
        )
            .prop_map(|(operator, quantifier, values)| Test::Each(operator, quantifier, values)),
        (any_list_operator(), prop::collection::vec(any_value(), 0..4))
            .prop_map(|(operator, values)| Test::Many(operator, values)),
        (any_operator(), any_other()).prop_map(|(operator, other)| Test::Other(operator, other)),
        (any_list_operator(), any_other()).prop_map(|(operator, other)| Test::OtherMany(operator, other)),
    ];
    (any_operand(), test).prop_map(|(operand, test)| Expr::Check(Check { operand, test }))
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
        "", "a", "b", "ab", "B", "/a", "/a/b", "a b", "x", "*b", "process", "file",
    ]);
    let value = texts.prop_map(|text| Value {
        text: text.to_owned(),
        quoted: true,
    });
    let field = prop::sample::select(vec![
        "evt.category",
        "proc.name",
        "proc.exepath",
        "proc.args",
        "proc.cmdline",
        "proc.script",
        "proc.aname",
    ]);
    let plain = [
        Operator::Equal,
        Operator::NotEqual,
        Operator::Less,
        Operator::LessOrEqual,
        Operator::Greater,
        Operator::GreaterOrEqual,
        Operator::Contains,
        Operator::ContainsIgnoringCase,
        Operator::StartsWith,
        Operator::EndsWith,
        Operator::Glob,
        Operator::GlobIgnoringCase,
    ];
    let operator = prop::sample::select(plain.to_vec());
    let quantifier = prop::sample::select(Quantifier::NAMES.map(|(_, quantifier)| quantifier).to_vec());
    let other = field
        .clone()
        .prop_filter("several values", |name| *name != "proc.aname")
        .prop_map(|name| Operand::Call(Transformer::Value, vec![Argument::Operand(mk_field(name))]));
    let compared = prop::sample::select(plain[..10].to_vec());
    let test = prop_oneof![
        Just(Test::Exists),
        (operator.clone(), value.clone()).prop_map(|(operator, value)| Test::One(operator, value)),
        (operator, quantifier, prop::collection::vec(value.clone(), 0..4))
            .prop_map(|(operator, quantifier, values)| Test::Each(operator, quantifier, values)),
        (any_list_operator(), prop::collection::vec(value, 0..12))
            .prop_map(|(operator, values)| Test::Many(operator, values)),
        (compared, other.clone()).prop_map(|(operator, other)| Test::Other(operator, other)),
        (any_list_operator(), other).prop_map(|(operator, other)| Test::OtherMany(operator, other)),
    ];
    let case = [Transformer::ToLower, Transformer::ToUpper, Transformer::BaseName];
    let transformers = prop::collection::vec(prop::sample::select(case.to_vec()), 0..3);
    let plain_operand = (transformers, field.clone()).prop_map(|(transformers, field)| {
        transformers
            .into_iter()
            .fold(mk_field(field), |inner, transformer| {
                Operand::Call(transformer, vec![Argument::Operand(inner)])
            })
    });
    let pair = (field.clone(), field).prop_map(|fields| {
        let part = |name| Argument::Operand(mk_field(name));
        Operand::Call(
            Transformer::Concat,
            vec![part(fields.0), Argument::Text("/".into()), part(fields.1)],
        )
    });
    (prop_oneof![4 => plain_operand, 1 => pair], test)
        .prop_map(|(operand, test)| Expr::Check(Check { operand, test }))
}

fn mk_field(name: &str) -> Operand {
    Operand::Field {
        name: name.to_owned(),
        argument: None,
    }
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
        Expr::Check(Check { operand, test }) => operand_values(operand, event)
            .iter()
            .any(|value| passes(test, value, event)),
    }
}

fn operand_values(operand: &Operand, event: &Event) -> Vec<String> {
    match operand {
        Operand::Field { name, .. } => values(name, event),
        Operand::Call(Transformer::Concat, parts) => {
            let texts: Option<Vec<String>> = parts
                .iter()
                .map(|part| match part {
                    Argument::Text(text) => Some(text.clone()),
                    Argument::Operand(inner) => operand_values(inner, event).into_iter().next(),
                    Argument::List(_) => unreachable!("none is made"),
                })
                .collect();
            texts.map(|texts| texts.concat()).into_iter().collect()
        }
        Operand::Call(transformer, arguments) => {
            let [Argument::Operand(inner)] = &arguments[..] else {
                unreachable!("none is made")
            };
            let change = |value: String| match transformer {
                Transformer::ToLower => value.to_ascii_lowercase(),
                Transformer::ToUpper => value.to_ascii_uppercase(),
                Transformer::BaseName => value.rsplit('/').next().unwrap().to_owned(),
                _ => value,
            };
            operand_values(inner, event).into_iter().map(change).collect()
        }
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
        "evt.category" => vec!["process".into()],
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

fn passes(test: &Test, value: &str, event: &Event) -> bool {
    match test {
        Test::Exists => true,
        Test::One(operator, Value { text, .. }) => compares(*operator, value, text),
        Test::Each(operator, quantifier, list) => {
            let count = list
                .iter()
                .filter(|item| compares(*operator, value, &item.text))
                .count();
            match quantifier {
                Quantifier::OneOf => count == 1,
                Quantifier::AnyOf => count > 0,
                Quantifier::AllOf => count == list.len() && count > 0,
            }
        }
        Test::Many(operator, list) => list.iter().any(|item| is_among(*operator, value, &item.text)),
        Test::Other(operator, other) => {
            let other = operand_values(other, event);
            other
                .first()
                .is_some_and(|other| compares(*operator, value, other))
        }
        Test::OtherMany(operator, other) => {
            let other = operand_values(other, event);
            other
                .first()
                .is_some_and(|other| is_among(*operator, value, other))
        }
    }
}

fn is_among(operator: ListOperator, value: &str, item: &str) -> bool {
    match operator {
        ListOperator::In | ListOperator::Intersects => value == item,
        ListOperator::PathPrefix if item.contains('*') => {
            // As many names as the pattern has, each fitting its part.
            let count = item.split('/').count();
            let above: Vec<&str> = value.split('/').take(count).collect();
            above.len() == count
                && item
                    .split('/')
                    .zip(above)
                    .all(|(pattern, name)| Glob::new(pattern).matches(name.as_bytes()))
        }
        ListOperator::PathPrefix => {
            let above = item.trim_end_matches('/');
            value == above || value.starts_with(&format!("{above}/"))
        }
    }
}

fn compares(operator: Operator, value: &str, text: &str) -> bool {
    match operator {
        Operator::Equal => value == text,
        Operator::NotEqual => value != text,
        Operator::Less => value < text,
        Operator::LessOrEqual => value <= text,
        Operator::Greater => value > text,
        Operator::GreaterOrEqual => value >= text,
        Operator::Contains => value.contains(text),
        Operator::ContainsIgnoringCase => value.to_lowercase().contains(&text.to_lowercase()),
        Operator::StartsWith => value.starts_with(text),
        Operator::EndsWith => value.ends_with(text),
        Operator::Glob => Glob::new(text).matches(value.as_bytes()),
        Operator::GlobIgnoringCase => {
            Glob::new(&text.to_lowercase()).matches(value.to_lowercase().as_bytes())
        }
        other => panic!("{other}"),
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
