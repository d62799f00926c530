//! Events: whatever is in one, it is judged without a panic by rules with every operator on every field; a condition
//! holds exactly where its opposite does not, what holds was asked of the sensor, and what an alert says is printable.
#![no_main]

mod event;

use std::cell::RefCell;
use std::fmt::Write as _;

use libfuzzer_sys::fuzz_target;
use runtime_core::Needs;
use runtime_core::policy::RuleSource;
use runtime_engines::signatures::{Argument, FIELDS, Field, FieldType, covers};
use runtime_engines::{Engine, RuleSet, SignatureEngine};

thread_local! {
    static JUDGE: RefCell<Judge> = RefCell::new(Judge::new());
}

/// Two rules for each condition: it, and its opposite.
struct Judge {
    engine: SignatureEngine,
    conditions: usize,
    needs: Needs,
}

fuzz_target!(|data: &[u8]| {
    let event = event::from(data);
    JUDGE.with_borrow_mut(|judge| {
        let mut found = Vec::new();
        judge.engine.judge(&event, &mut found);
        let mut held = vec![0; judge.conditions];
        for finding in &found {
            let number: usize = finding.rule.id[1..].parse().expect("a number");
            held[number] += 1;
            let output = finding.output.as_deref().expect("every rule has one");
            assert!(
                !output.contains(char::is_control) && output.len() < 16_000,
                "{output}"
            );
        }
        for (number, times) in held.iter().enumerate() {
            assert_eq!(*times, 1, "condition {number}: {event:?}");
        }
        assert!(covers(&judge.needs, &event));
    });
});

impl Judge {
    fn new() -> Self {
        let mut conditions = Vec::new();
        let mut fields = Vec::new();
        for field in FIELDS.iter().filter(|field| field.is_supplied()) {
            for (name, kind) in forms(field) {
                conditions.extend(tests(&name, kind));
                fields.push(name);
            }
        }
        conditions.extend(OTHERS.map(str::to_owned));
        let mut text = String::new();
        for (number, condition) in conditions.iter().enumerate() {
            let output = &fields[number % fields.len()];
            let quoted = condition.replace('\'', "''");
            let _ = write!(
                text,
                "- {{macro: c{number}, condition: '{quoted}'}}\n\
                 - {{rule: +{number}, condition: 'c{number}', output: 'x %{output} y'}}\n\
                 - {{rule: -{number}, condition: 'not c{number}', output: '%{output}'}}\n"
            );
        }
        let source = RuleSource {
            origin: "events".into(),
            text,
            first_line: 1,
        };
        let (rules, problems) = RuleSet::compile(&[source]);
        assert!(problems.is_empty(), "{problems:#?}");
        Self {
            needs: rules.needs(),
            engine: SignatureEngine::new(rules),
            conditions: conditions.len(),
        }
    }
}

/// The ways to name a field, and the type that it has then.
fn forms(field: &Field) -> Vec<(String, FieldType)> {
    let name = field.name;
    let with = |argument: &str| (format!("{name}{argument}"), field.kind);
    match field.argument {
        Argument::None => vec![with("")],
        Argument::Index => vec![with(""), with("[0]"), with("[1]"), with("[7]")],
        Argument::OptionalKey => vec![with(""), with("[app]")],
        Argument::Key => vec![with("[app]")],
        Argument::CallArgument if name == "evt.arg" => {
            let names = [
                "flags", "name", "path", "newpath", "mode", "fd", "res", "uid", "tuple", "request", "sig",
                "exe", "args",
            ];
            let named = names.iter().map(|argument| with(&format!(".{argument}")));
            named
                .chain((0..4).map(|number| with(&format!("[{number}]"))))
                .collect()
        }
        Argument::CallArgument => vec![with(".name"), (format!("{name}.flags"), FieldType::Number)],
    }
}

/// A test with every operator that the type has.
fn tests(name: &str, kind: FieldType) -> Vec<String> {
    let endings: &[&str] = match kind {
        // Whoever asks for a type that there is none of is refused.
        _ if matches!(name, "evt.type" | "syscall.type") => &[
            "exists",
            "= openat",
            "!= execve",
            "in (open, connect, clone)",
            "startswith o",
            "glob *at",
            "contains a",
        ],
        FieldType::Text | FieldType::Name => &[
            "exists",
            "= a",
            "!= a",
            "< b",
            ">= b",
            "in (a, app, /etc/passwd)",
            "intersects (a, b)",
            "contains abcd",
            "contains a",
            "icontains AB",
            "bcontains 6162",
            "startswith /a",
            "bstartswith 2f",
            "endswith a",
            "pmatch (/a, /etc/*/b)",
            "glob /a*b",
            "iglob *A?",
            "regex '[a-c/]+'",
            "startswith anyof (/a, b)",
            "contains allof (a, b)",
            "endswith oneof (a, b)",
            "= val(proc.name)",
            "contains val(proc.pname)",
            "in val(proc.exepath)",
        ],
        FieldType::Number => &[
            "exists",
            "= 1",
            "!= 1",
            "< 5",
            "<= 5",
            "> 5",
            ">= 5",
            "in (0, 1, 80)",
            "= val(proc.pid)",
        ],
        FieldType::Bool => &["exists", "= true", "!= true", "in (true)"],
        FieldType::Address | FieldType::Network => &[
            "exists",
            "= 10.0.0.1",
            "!= 10.0.0.1",
            "in (10.0.0.0/8, 2001:db8::/32)",
        ],
    };
    endings.iter().map(|ending| format!("{name} {ending}")).collect()
}

/// What is made of several values, and what many rules say together.
const OTHERS: [&str; 9] = [
    "tolower(proc.name) = a",
    "toupper(proc.cmdline) contains AB",
    "basename(proc.exepath) in (a, b)",
    "b64(proc.args) contains a",
    "len(proc.cmdline) > 20",
    "concat(proc.name, '/', fd.name) startswith a/",
    "join(',', (proc.name, tolower(proc.pname))) = 'a,b'",
    "evt.type in (open, openat) and evt.is_open_write = true and (fd.name startswith /etc or fd.directory = /a)",
    "evt.type = execve and (proc.aname in (a, b) or not proc.pname = a)",
];
