//! Rules and exclusions of policies, on what engines find.

use std::sync::Arc;
use std::time::Instant;

use proptest::prelude::*;
use runtime_core::event::FileOperation;
use runtime_core::policy::{
    EnginesSpec, EntrySpec, Mode, NetworkSpec, PolicySet, ProcessSpec, RuleAction, RuntimePolicy,
    RuntimePolicySpec, SelectorSpec, SignaturesSpec,
};
use runtime_core::{EngineKind, Event, Finding, Response, RuleRef, Severity};
use runtime_engines::testing::{
    ExecBuilder, mk_connect_event, mk_container, mk_dns_event, mk_exec_event, mk_file_event,
};

fn mk_entry(change: impl FnOnce(&mut EntrySpec)) -> EntrySpec {
    let mut entry = EntrySpec {
        name: None,
        engine: EngineKind::Signatures,
        action: None,
        signature: None,
        process: None,
        file: None,
        user: None,
        image: None,
        container: None,
        sha256: None,
        network: None,
        reason: None,
    };
    change(&mut entry);
    entry
}

fn mk_process(path: &str) -> ProcessSpec {
    ProcessSpec {
        path: Some(path.into()),
        ..ProcessSpec::default()
    }
}

fn mk_policies(mode: Mode, rules: Vec<EntrySpec>, exclusions: Vec<EntrySpec>) -> PolicySet {
    let signatures = Some(SignaturesSpec {
        mode,
        block_all: false,
    });
    let spec = RuntimePolicySpec {
        engines: EnginesSpec {
            signatures,
            ..EnginesSpec::default()
        },
        rules,
        exclusions,
        ..RuntimePolicySpec::default()
    };
    PolicySet::new(vec![RuntimePolicy::new("p", spec).unwrap()])
}

fn mk_finding(id: &str, response: Response) -> Finding {
    let rule = RuleRef {
        id: id.into(),
        name: format!("The rule {id}"),
        title: String::new(),
        tags: Vec::new(),
    };
    Finding {
        engine: EngineKind::Signatures,
        rule: Arc::new(rule),
        severity: Severity::High,
        response,
        output: None,
    }
}

fn decide(policies: &PolicySet, id: &str, event: &Event) -> Option<Response> {
    let container = mk_container("c");
    policies
        .effective(&container)
        .decide(&mk_finding(id, Response::Alert), event)
}

#[test]
fn what_an_exclusion_matches_is_dropped_and_nothing_else() {
    let backup = mk_entry(|entry| {
        entry.signature = Some("modify".into());
        entry.process = Some(mk_process("/usr/bin/backup"));
    });
    let policies = mk_policies(Mode::Prevent, Vec::new(), vec![backup]);
    let event = mk_exec_event("/usr/bin/backup", &["backup"]);
    assert_eq!(decide(&policies, "modify", &event), None);
    assert_eq!(decide(&policies, "other", &event), Some(Response::Alert));
    let other = mk_exec_event("/usr/bin/backup2", &["backup"]);
    assert_eq!(decide(&policies, "modify", &other), Some(Response::Alert));
}

#[test]
fn a_signature_is_called_by_its_name_as_well() {
    let by_name = mk_entry(|entry| entry.signature = Some("The rule modify".into()));
    let policies = mk_policies(Mode::Prevent, Vec::new(), vec![by_name]);
    assert_eq!(decide(&policies, "modify", &mk_exec_event("/x", &["x"])), None);
}

#[test]
fn a_deny_rule_kills_an_exclusion_beats_it_and_detect_beats_both() {
    let deny = || {
        vec![mk_entry(|entry| {
            entry.action = Some(RuleAction::Deny);
            entry.signature = Some("netcat".into());
        })]
    };
    let spare = || vec![mk_entry(|entry| entry.process = Some(mk_process("/opt/*/nc")))];
    let event = mk_exec_event("/usr/bin/nc", &["nc"]);
    let prevent = mk_policies(Mode::Prevent, deny(), spare());
    assert_eq!(decide(&prevent, "netcat", &event), Some(Response::Kill));
    assert_eq!(decide(&prevent, "other", &event), Some(Response::Alert));
    let spared = mk_exec_event("/opt/tools/nc", &["nc"]);
    assert_eq!(decide(&prevent, "netcat", &spared), None);
    let detect = mk_policies(Mode::Detect, deny(), spare());
    assert_eq!(decide(&detect, "netcat", &event), Some(Response::Alert));
}

#[test]
fn policies_that_select_a_container_add_up() {
    let elsewhere = RuntimePolicySpec {
        selector: SelectorSpec {
            namespaces: vec!["other".into()],
            ..SelectorSpec::default()
        },
        exclusions: vec![mk_entry(|entry| entry.signature = Some("a".into()))],
        ..RuntimePolicySpec::default()
    };
    let here = RuntimePolicySpec {
        selector: SelectorSpec {
            namespaces: vec!["shop".into()],
            ..SelectorSpec::default()
        },
        exclusions: vec![mk_entry(|entry| entry.signature = Some("b".into()))],
        ..RuntimePolicySpec::default()
    };
    let everywhere = RuntimePolicySpec {
        exclusions: vec![mk_entry(|entry| entry.signature = Some("c".into()))],
        ..RuntimePolicySpec::default()
    };
    let policies = [
        ("elsewhere", elsewhere),
        ("here", here),
        ("everywhere", everywhere),
    ]
    .map(|(name, spec)| RuntimePolicy::new(name, spec).unwrap());
    let policies = PolicySet::new(policies.into());
    let event = mk_exec_event("/x", &["x"]);
    let dropped = |id: &str| decide(&policies, id, &event).is_none();
    assert!(!dropped("a") && dropped("b") && dropped("c"));
    // On the host, only what is said for everything counts, and nothing acts.
    let host = policies.effective_for_host();
    let on_host = |id: &str| host.decide(&mk_finding(id, Response::Kill), &event);
    assert_eq!(on_host("b"), Some(Response::Alert));
    assert_eq!(on_host("c"), None);
}

#[test]
fn every_part_of_an_entry_counts() {
    let network = |change: fn(&mut NetworkSpec)| {
        mk_entry(|entry| {
            let mut network = NetworkSpec::default();
            change(&mut network);
            entry.network = Some(network);
        })
    };
    let process = |change: fn(&mut ProcessSpec)| {
        mk_entry(|entry| {
            let mut process = ProcessSpec::default();
            change(&mut process);
            entry.process = Some(process);
        })
    };
    let file = mk_file_event(FileOperation::Rename, "/etc/x", Some("/etc/passwd"));
    let connect = mk_connect_event("10.1.2.3:443", &["api.example.com"]);
    let script = ExecBuilder::new("/bin/dash")
        .script("/opt/run.sh")
        .args(&["sh", "-c", "x y"])
        .uid(7)
        .build();
    let cases = [
        (mk_entry(|e| e.file = Some("/etc/*".into())), &file),
        (mk_entry(|e| e.user = Some(7)), &script),
        (mk_entry(|e| e.image = Some("*/shop/web:*".into())), &file),
        (mk_entry(|e| e.container = Some("app".into())), &file),
        (network(|n| n.domain = Some("*.Example.com".into())), &connect),
        (network(|n| n.address = Some("10.0.0.0/8".into())), &connect),
        (network(|n| n.port = Some(443)), &connect),
        (
            process(|p| {
                p.path = Some("/bin/dash".into());
                p.script = Some("/opt/*".into());
            }),
            &script,
        ),
        (
            process(|p| {
                p.path = Some("/bin/dash".into());
                p.args = Some("-c x*".into());
            }),
            &script,
        ),
        (process(|p| p.parent_path = Some("/bin/sh".into())), &script),
    ];
    let harmless = mk_dns_event("other.test");
    for (entry, event) in cases {
        let policies = mk_policies(Mode::Prevent, Vec::new(), vec![entry.clone()]);
        assert_eq!(decide(&policies, "any", event), None, "{entry:?}");
        let by_container = entry.image.is_some() || entry.container.is_some();
        let by_parent = entry
            .process
            .as_ref()
            .is_some_and(|process| process.parent_path.is_some());
        if !by_container && !by_parent {
            assert!(decide(&policies, "any", &harmless).is_some(), "{entry:?}");
        }
    }
}

/// What can be read in two ways is no excuse.
#[test]
fn a_doubt_counts_against_an_exclusion_and_for_a_rule() {
    let in_tmp = |action| {
        mk_entry(|entry| {
            entry.file = Some("/tmp/*".into());
            entry.action = action;
        })
    };
    let deny = Some(RuleAction::Deny);
    let excluded = |event: &Event| {
        decide(
            &mk_policies(Mode::Prevent, Vec::new(), vec![in_tmp(None)]),
            "any",
            event,
        )
        .is_none()
    };
    let denied = |event: &Event| {
        decide(
            &mk_policies(Mode::Prevent, vec![in_tmp(deny)], Vec::new()),
            "any",
            event,
        ) == Some(Response::Kill)
    };
    let within = mk_file_event(FileOperation::Rename, "/tmp/x", Some("/tmp/y"));
    let out = mk_file_event(FileOperation::Rename, "/tmp/x", Some("/etc/passwd"));
    let into = mk_file_event(FileOperation::Rename, "/etc/shadow", Some("/tmp/y"));
    assert!(excluded(&within) && !excluded(&out) && !excluded(&into));
    assert!(denied(&within) && denied(&out) && denied(&into));

    // What follows the arguments that are known may be anything.
    let mut cut = mk_exec_event("/usr/bin/backup", &["backup", "--to", "/srv"]);
    Arc::make_mut(&mut cut.process).args_truncated = true;
    let by_args = |args: &str| {
        mk_entry(|entry| {
            entry.process = Some(ProcessSpec {
                args: Some(args.into()),
                ..mk_process("/usr/bin/backup")
            });
        })
    };
    let excluded = |args: &str| {
        decide(
            &mk_policies(Mode::Prevent, Vec::new(), vec![by_args(args)]),
            "any",
            &cut,
        )
        .is_none()
    };
    assert!(!excluded("--to /srv") && excluded("--to /srv*"));
}

#[test]
fn names_and_arguments_alone_excuse_nothing() {
    let entry = |change: fn(&mut ProcessSpec), action| {
        let mut process = ProcessSpec::default();
        change(&mut process);
        let spec = RuntimePolicySpec {
            rules: Vec::new(),
            ..RuntimePolicySpec::default()
        };
        let entry = mk_entry(|entry| {
            entry.process = Some(process);
            entry.action = action;
        });
        RuntimePolicy::new(
            "p",
            match action {
                Some(_) => RuntimePolicySpec {
                    rules: vec![entry],
                    ..spec
                },
                None => RuntimePolicySpec {
                    exclusions: vec![entry],
                    ..spec
                },
            },
        )
    };
    let names: [fn(&mut ProcessSpec); 5] = [
        |p| p.argv0 = Some("backup".into()),
        |p| p.args = Some("--to *".into()),
        |p| p.script = Some("/opt/backup".into()),
        |p| p.applet = Some("backup".into()),
        |p| p.invoked_as = Some("/opt/backup".into()),
    ];
    for change in names {
        let refused = entry(change, None).unwrap_err().to_string();
        assert!(
            refused.starts_with("exclusions[0]: process.path: it is missing"),
            "{refused}"
        );
        assert!(entry(change, Some(RuleAction::Deny)).is_ok());
    }
}

fn any_pattern() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "/bin/a",
        "/bin/b",
        "/bin/*",
        "*",
        "*a",
        "?bin/a",
        "/*/a",
        "/b*n/b",
        "/etc/passwd",
        "/etc/*",
        "*.example.com",
        "api.example.com",
        "-c x y",
        "*x*",
    ])
    .prop_map(str::to_owned)
}

fn any_entry() -> impl Strategy<Value = EntrySpec> {
    let text = || prop::option::weighted(0.3, any_pattern());
    let signature = prop::option::weighted(
        0.4,
        prop::sample::select(vec!["one", "two", "The rule one", "t*"]),
    );
    (
        signature,
        text(),
        text(),
        text(),
        text(),
        prop::option::weighted(0.1, 0u32..2),
    )
        .prop_map(|(signature, path, args, file, domain, user)| {
            mk_entry(|entry| {
                entry.signature = signature.map(str::to_owned);
                entry.file = file;
                // One matcher at least.
                entry.user = user
                    .or((entry.signature.is_none() && path.is_none() && entry.file.is_none()).then_some(0));
                if path.is_some() || args.is_some() {
                    // Arguments alone excuse nothing.
                    entry.process = Some(ProcessSpec {
                        path: path.or(Some("/bin/*".into())),
                        args,
                        ..ProcessSpec::default()
                    });
                }
                entry.network = domain.map(|domain| NetworkSpec {
                    domain: Some(domain),
                    ..NetworkSpec::default()
                });
            })
        })
}

fn any_event() -> impl Strategy<Value = Event> {
    prop::sample::select(vec![
        mk_exec_event("/bin/a", &["a"]),
        mk_exec_event("/bin/b", &["b", "-c", "x y"]),
        mk_file_event(FileOperation::Unlink, "/etc/passwd", None),
        mk_file_event(FileOperation::Rename, "/tmp/x", Some("/etc/shadow")),
        mk_connect_event("10.1.2.3:443", &["example.org", "api.example.com"]),
        mk_dns_event("www.example.com"),
    ])
}

proptest! {
    /// Many exclusions together are what each of them is alone.
    #[test]
    fn filing_changes_nothing(
        entries in prop::collection::vec(any_entry(), 1..24),
        event in any_event(),
        id in prop::sample::select(vec!["one", "two", "three"]),
    ) {
        let together = decide(&mk_policies(Mode::Prevent, Vec::new(), entries.clone()), id, &event);
        let alone = entries
            .into_iter()
            .any(|entry| decide(&mk_policies(Mode::Prevent, Vec::new(), vec![entry]), id, &event).is_none());
        prop_assert_eq!(together.is_none(), alone);
    }
}

/// The mean time of a decision with so many exclusions, none of which fits.
fn cost(count: usize) -> f64 {
    let entries = (0..count).map(|number| {
        mk_entry(|entry| {
            entry.signature = Some("modify".into());
            entry.process = Some(mk_process(&format!(
                "/usr/bin/tool-{number}{}",
                if number % 2 == 0 { "" } else { "*" }
            )));
            entry.file = Some(format!("/data/{number}/*"));
        })
    });
    let policies = mk_policies(Mode::Prevent, Vec::new(), entries.collect());
    let effective = policies.effective(&mk_container("c"));
    let finding = mk_finding("modify", Response::Alert);
    let event = mk_file_event(FileOperation::Unlink, "/data/x/y", None);
    let start = Instant::now();
    for _ in 0..2000 {
        assert_eq!(effective.decide(&finding, &event), Some(Response::Alert));
    }
    start.elapsed().as_secs_f64() / 2000.0
}

/// A thousand times the exclusions would take a thousand times as long if each were looked at.
#[test]
fn ten_thousand_exclusions_cost_as_much_as_ten() {
    let best = |count| (0..5).map(|_| cost(count)).fold(f64::MAX, f64::min);
    let (few, many) = (best(10), best(10_000));
    assert!(many < 50.0 * few, "{few} s and {many} s");
}
