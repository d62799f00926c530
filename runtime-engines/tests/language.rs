//! What rules mean, and what is refused.

use std::fmt::Write as _;

use runtime_core::Event;
use runtime_core::event::Origin;
use runtime_core::policy::{Problem, RuleSource};
use runtime_core::{Response, Severity};
use runtime_engines::testing::{ExecBuilder, mk_container, mk_exec_event, mk_exit_event, mk_fork_event};
use runtime_engines::{Engine, RuleSet, SignatureEngine};

fn mk_source(origin: &str, text: &str) -> RuleSource {
    RuleSource {
        origin: origin.into(),
        text: text.into(),
        first_line: 1,
    }
}

/// The ids of the rules that hold, judged by this set.
fn judged(rules: RuleSet, event: &Event) -> Vec<String> {
    let mut found = Vec::new();
    SignatureEngine::new(rules).judge(event, &mut found);
    found.iter().map(|finding| finding.rule.id.clone()).collect()
}

fn compile(text: &str) -> (RuleSet, Vec<Problem>) {
    RuleSet::compile(&[mk_source("rules.yaml", text)])
}

#[track_caller]
fn compiled(text: &str) -> RuleSet {
    let (rules, problems) = compile(text);
    assert_eq!(problems, []);
    rules
}

#[track_caller]
fn problems(text: &str) -> Vec<String> {
    compile(text).1.iter().map(ToString::to_string).collect()
}

fn mk_rule(condition: &str) -> String {
    format!("- rule: r\n  condition: {}\n", serde_quoted(condition))
}

/// A text as a single-quoted YAML scalar.
fn serde_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[track_caller]
fn holds(condition: &str, event: &Event) -> bool {
    !judged(compiled(&mk_rule(condition)), event).is_empty()
}

#[track_caller]
fn refused(condition: &str) -> String {
    let (rules, problems) = compile(&mk_rule(condition));
    assert_eq!(rules.rules(), []);
    assert_eq!(problems.len(), 1, "{problems:?}");
    problems[0].to_string()
}

fn mk_listing() -> Event {
    ExecBuilder::new("/bin/busybox")
        .invoked_as("/bin/ls")
        .args(&["ls", "-l", "/etc/app dir"])
        .cwd("/srv")
        .uid(1000)
        .ancestors(&["/bin/sh", "/usr/sbin/nginx", "/sbin/tini"])
        .container(Some(mk_container("0123456789abcdef")))
        .build()
}

#[test]
fn operators_mean_what_falco_means() {
    let event = mk_listing();
    for condition in [
        "proc.name = ls",
        "proc.name == 'ls'",
        "proc.name != cat",
        "proc.name in (cat, \"ls\")",
        "proc.name intersects (cat, ls)",
        "proc.cmdline contains '-l /etc'",
        "proc.cmdline icontains '-L /ETC'",
        "proc.cmdline startswith 'ls -l'",
        "proc.exepath endswith box",
        "proc.exepath glob '/*/busy???'",
        "proc.cwd pmatch (/usr, /srv)",
        "proc.exepath pmatch (/bin)",
        "not proc.exepath pmatch (/bi)",
        "proc.pid > 1 and proc.pid >= 4242 and proc.pid <= 0x1092 and proc.pid < 4243",
        "user.uid in (0, 1000)",
        "proc.exe exists and not proc.script exists",
        "proc.is_exe_upper_layer = false",
        "tolower(proc.name) = ls and toupper(proc.name) = LS and tolower(toupper(proc.name)) = ls",
        "basename(proc.exepath) = busybox and toupper(basename(proc.invoked_as)) = LS",
        "not not proc.name = ls",
        "proc.name = cat or proc.name = dog and proc.name = ls or proc.name = ls",
        "not(proc.name = cat)and(proc.name = ls)",
    ] {
        assert!(holds(condition, &event), "{condition}");
    }
    for condition in [
        "proc.name = busybox",
        "proc.name in ()",
        "proc.name in (cat, dog)",
        "proc.exepath glob '/*/busy??'",
        "(proc.name = ls or proc.name = cat) and proc.name = dog",
        // What is missing satisfies no test.
        "proc.script != anything",
        "proc.applet = ''",
        "proc.is_exe_from_memfd = true",
    ] {
        assert!(!holds(condition, &event), "{condition}");
    }
}

#[test]
fn fields_have_the_values_that_rules_expect() {
    let event = mk_listing();
    for condition in [
        "evt.type = execve and evt.dir = <",
        "proc.exe = ls",
        "proc.exepath = /bin/busybox",
        "proc.invoked_as = /bin/ls",
        "proc.args = '-l /etc/app dir'",
        "proc.cmdline = 'ls -l /etc/app dir'",
        "proc.arg = '/etc/app dir' and proc.arg[0] = ls and proc.arg[1] = -l and not proc.arg[3] exists",
        "proc.cmdnargs = 2",
        "proc.pname = sh and proc.pexepath = /bin/sh and proc.ppid = 100",
        "proc.aname = nginx and proc.aname in (tini) and not proc.aname = ls",
        "proc.aname[0] = ls and proc.aname[1] = sh and proc.aname[2] = nginx and not proc.aname[4] exists",
        "proc.aexepath[3] = /sbin/tini and proc.aexepath startswith /usr/sbin",
        "proc.apid[0] = 4242 and proc.apid[2] = 101 and proc.apid = 102",
        "proc.vpid = 17",
        "container.id = 0123456789ab and container.full_id = 0123456789abcdef",
        "container.name = app",
        "container.image endswith ':1.2@sha256:00'",
        "container.image.repository = registry.example:5000/shop/web and container.image.tag = '1.2'",
        "k8s.ns.name = shop and k8s.pod.name = web-0 and k8s.pod.uid startswith 7e0e",
    ] {
        assert!(holds(condition, &event), "{condition}");
    }
    let host = ExecBuilder::new("/bin/ls").container(None).build();
    assert!(holds(
        "container.id = host and container.name = host and not container.image exists",
        &host
    ));
    let entrypoint = ExecBuilder::new("/app")
        .ancestors(&[])
        .origin(Some(Origin::Dropped))
        .build();
    assert!(holds(
        "proc.pname = '(runtime)' and not proc.aname exists",
        &entrypoint
    ));
    assert!(holds("proc.is_exe_upper_layer = true", &entrypoint));
    let script = ExecBuilder::new("/bin/dash")
        .invoked_as("/bin/sh")
        .script("/opt/run.sh");
    assert!(holds(
        "proc.name = run.sh and proc.script = /opt/run.sh",
        &script.build()
    ));
    assert!(holds(
        "proc.name = applet or proc.applet = wget",
        &mk_exec_event("/bin/busybox", &["busybox", "wget"])
    ));
}

#[test]
fn values_are_bytes() {
    let event = ExecBuilder::new(&b"/tmp/\xff\xfe"[..])
        .raw_args(vec![b"x".as_slice().into(), b"\xffabc".as_slice().into()])
        .build();
    assert!(holds(
        "proc.args endswith abc and not proc.args startswith abc",
        &event
    ));
    assert!(holds("proc.exepath glob '/tmp/??'", &event));
    assert!(!holds("proc.args contains '\u{fffd}'", &event));
}

#[test]
fn names_are_compared_as_the_kernel_would_have_cut_them() {
    let event = mk_exec_event("/usr/bin/docker-entrypoint.sh", &["x"]);
    assert!(holds("proc.name = docker-entrypoi", &event));
    assert!(holds("proc.name in (a, docker-entrypoi)", &event));
    assert!(holds("proc.name = docker-entrypoint.sh", &event));
    assert!(!holds("proc.name != docker-entrypoi", &event));
    assert!(!holds("proc.name = docker-entrypo", &event));
    assert!(!holds("proc.exepath = /usr/bin/docker", &event));
}

#[test]
fn rules_are_judged_on_the_events_they_name() {
    let ours = "evt.type in (clone, fork, vfork) and proc.name = a";
    assert!(holds(ours, &mk_fork_event("/bin/a")));
    assert!(!holds(ours, &mk_exec_event("/bin/a", &["a"])));
    assert!(holds("evt.type = procexit", &mk_exit_event("/bin/a")));
    assert!(holds("evt.type != execve", &mk_exit_event("/bin/a")));
    let any = "proc.name = a";
    assert!(holds(any, &mk_fork_event("/bin/a")) && holds(any, &mk_exit_event("/bin/a")));
    assert!(!holds(
        "proc.is_exe_upper_layer = false",
        &mk_exit_event("/bin/a")
    ));
}

#[test]
fn falcos_usual_definitions_work() {
    let rules = || {
        compiled(
            "
- required_engine_version: 0.31.0
- list: shell_binaries
  items: [ash, bash, sh]
- list: shells_and_more
  items: [shell_binaries, 'zsh', 80, 0x50, yes]
- macro: spawned_process
  condition: (evt.type in (execve, execveat) and evt.dir=<)
- macro: container
  condition: (container.id != host)
- macro: never_true
  condition: (evt.num=0)
- rule: Shell in a container
  desc: A shell was started by a web server.
  condition: >
    spawned_process and container
    and proc.name in (shells_and_more)
    and proc.aname in (nginx) and not never_true
  output: Shell (user=%user.uid parent=%proc.pname ancestor=%proc.aname[2] 100%% of %container.id.)
  priority: WARNING
  source: syscall
  tags: [container, T1059]
",
        )
    };
    let shell = |name: &str| ExecBuilder::new(name).ancestors(&["/usr/sbin/nginx"]);
    for name in ["/bin/bash", "/bin/zsh", "/bin/80", "/bin/0x50", "/bin/yes"] {
        assert_eq!(
            judged(rules(), &shell(name).build()),
            ["Shell in a container"],
            "{name}"
        );
    }
    assert_eq!(judged(rules(), &shell("/bin/ls").build()), [""; 0]);
    assert_eq!(
        judged(rules(), &shell("/bin/bash").container(None).build()),
        [""; 0]
    );

    let set = rules();
    let rule = &set.rules()[0];
    assert_eq!(
        (rule.severity, rule.response),
        (Severity::Medium, Response::Alert)
    );
    assert_eq!(rule.reference.tags, ["container", "T1059"]);
    assert_eq!((rule.line, rule.enabled), (13, true));
}

#[test]
fn keys_of_ours_come_before_falcos() {
    let set = compiled(
        "- {rule: a, condition: proc.pid = 1, priority: DEBUG, severity: critical, response: kill, id: my-id}\n\
         - {rule: b, condition: proc.pid = 1, priority: error, enabled: false}\n\
         - {rule: c, condition: proc.pid > 1}\n",
    );
    let [a, b, c] = set.rules() else { panic!("{set:?}") };
    assert_eq!(
        (a.severity, a.response, a.reference.id.as_str()),
        (Severity::Critical, Response::Kill, "my-id")
    );
    assert_eq!(
        (b.severity, b.response, b.enabled),
        (Severity::High, Response::Alert, false)
    );
    assert_eq!((c.severity, c.reference.id.as_str()), (Severity::Medium, "c"));
    assert_eq!(judged(set, &mk_listing()), ["c"]);
}

#[test]
fn a_rule_that_is_switched_off_is_not_judged() {
    assert_eq!(
        judged(
            compiled("- {rule: a, condition: proc.pid > 1, enabled: false}"),
            &mk_listing()
        ),
        [""; 0]
    );
}

#[test]
fn a_later_source_replaces_what_an_earlier_one_defines() {
    let base = mk_source(
        "base.yaml",
        "- {list: l, items: [ls]}\n- {macro: m, condition: proc.name in (l)}\n- {rule: r, condition: m}",
    );
    let quiet = mk_source("local.yaml", "- {list: l, items: [cat]}");
    let rule = mk_source("local.yaml", "- {rule: r, id: other, condition: proc.pid > 1}");
    let broken = mk_source(
        "broken.yaml",
        "- {rule: r, condition: no.field = 1}\n- {macro: m, condition: '('}",
    );
    let run = |sources: &[RuleSource]| {
        let (rules, problems) = RuleSet::compile(sources);
        (judged(rules, &mk_listing()), problems.len())
    };
    assert_eq!(run(std::slice::from_ref(&base)), (vec!["r".to_owned()], 0));
    assert_eq!(run(&[base.clone(), quiet]), (vec![], 0));
    assert_eq!(run(&[base.clone(), rule]), (vec!["other".to_owned()], 0));
    assert_eq!(run(&[base, broken]), (vec!["r".to_owned()], 2));
}

#[test]
fn a_broken_object_is_refused_alone_with_its_place() {
    let text = "\
- rule: good
  condition: proc.pid > 1
- rule: misspelt field
  condition: >
    evt.type = execve
    and proc.nmae = ls
- rule: misspelt key
  condition: proc.pid > 1
  priorty: ERROR
- rule: bad priority
  condition: proc.pid > 1
  priority: loud
- rule: no condition
- rule: bad output
  condition: proc.pid > 1
  output: hello %proc.nothing
- rule: [not, a, name]
- just a text
- thing: x
- macro: m
  condition: proc.name = (
- rule: uses m
  condition: m
- rule: uses nothing known
  condition: evt.type = execve and no_such_macro
- rule: good too
  condition: proc.pid > 2
- rule: good
  condition: proc.pid > 3
- rule: same id
  id: good
  condition: proc.pid > 3
- rule: other source
  source: k8s_audit
  condition: proc.pid > 3
- list: l
  items: word
- rule: bad response
  response: explode
  condition: proc.pid > 3
- rule: bad severity
  severity: WARNING
  condition: proc.pid > 3
- rule: bad tags
  tags: [[x]]
  condition: proc.pid > 3
";
    let (rules, problems) = RuleSet::compile(&[RuleSource {
        first_line: 101,
        ..mk_source("rules.yaml", text)
    }]);
    assert_eq!(judged(rules, &mk_listing()), ["good", "good too"]);
    let mut told: Vec<String> = problems.iter().map(ToString::to_string).collect();
    told.sort();
    assert_eq!(
        told,
        [
            "rules.yaml:105: rule \"misspelt field\": `condition`: the field `proc.nmae` is not known",
            "rules.yaml:109: rule \"misspelt key\": the key \"priorty\" is not known",
            "rules.yaml:112: rule \"bad priority\": `priority`: not a priority (emergency, alert, critical, error, \
             warning, notice, informational, debug): \"loud\"",
            "rules.yaml:113: rule \"no condition\": the key `condition` is missing or empty",
            "rules.yaml:116: rule \"bad output\": `output`: the field `proc.nothing` is not known",
            "rules.yaml:117: `rule` must be a text",
            "rules.yaml:118: an object with the key `rule`, `macro` or `list` is expected",
            "rules.yaml:119: neither a rule nor a macro nor a list",
            "rules.yaml:121: macro \"m\": `condition`: a value is expected at \"(\"",
            "rules.yaml:123: rule \"uses m\": `condition`: the macro `m` was refused",
            "rules.yaml:125: rule \"uses nothing known\": `condition`: the macro `no_such_macro` is not known",
            "rules.yaml:128: rule \"good\": this file has a rule of that name already, at line 101",
            "rules.yaml:130: rule \"same id\": `id`: the rule \"good\" has the id \"good\" already",
            "rules.yaml:134: rule \"other source\": `source`: there are no events from \"k8s_audit\", only from \
             \"syscall\"",
            "rules.yaml:137: list \"l\": `items` must be a list of texts",
            "rules.yaml:139: rule \"bad response\": `response`: not a response (kill, deny, alert): \"explode\"",
            "rules.yaml:142: rule \"bad severity\": `severity`: not a severity (info, low, medium, high, critical): \
             \"WARNING\"",
            "rules.yaml:145: rule \"bad tags\": `tags` must be a list of texts",
        ]
    );
}

#[test]
fn what_no_event_can_satisfy_is_refused() {
    assert!(refused("evt.type = connect and proc.name = nc").contains("it can hold for no event"));
    assert!(refused("evt.type = exceve").contains("it can hold for no event"));
    assert!(refused("evt.type = procexit and proc.is_exe_upper_layer = true").contains("no event"));
}

#[test]
fn types_are_checked() {
    for (condition, part) in [
        (
            "proc.pid = ls",
            "the field `proc.pid` is a whole number, and \"ls\" is none",
        ),
        (
            "proc.pid contains 1",
            "the field `proc.pid` is a whole number, which `contains` cannot test",
        ),
        (
            "proc.name > 1",
            "the field `proc.name` is a text, which `>` cannot test",
        ),
        (
            "proc.is_exe_upper_layer = maybe",
            "is true or false, and \"maybe\" is none",
        ),
        ("proc.is_exe_upper_layer in (true)", "which `in` cannot test"),
        ("tolower(proc.pid) = 1", "which a transformer cannot change"),
        ("proc.name[1] = x", "takes no argument"),
        ("proc.aname[x] = x", "takes a number from 0"),
        ("proc.name glob '[ab]'", "only `*` and `?` are known"),
    ] {
        let told = refused(condition);
        assert!(told.contains(part), "{condition}: {told}");
    }
}

#[test]
fn syntax_errors_name_the_place() {
    for (condition, part) in [
        (
            "proc.name",
            "followed by an operator or `exists`, which this is not: at the end",
        ),
        ("proc.name regex 'x.*'", "which this is not: at \"regex 'x.*'\""),
        (
            "proc.name = ls proc.pid = 1",
            "`and`, `or` or the end is expected at \"proc.pid = 1\"",
        ),
        ("(proc.name = ls", "`)` is expected at the end"),
        ("proc.name = ls)", "the end is expected at \")\""),
        ("proc.name = ls and", "is expected at the end"),
        ("and proc.name = ls", "is expected at \"and proc.name = ls\""),
        ("proc.name = 'ls", "the closing quote is missing"),
        ("proc.name = \"l\\qs\"", "an escape that is none of"),
        ("proc.name in ls, x", "the end is expected at \", x\""),
        ("proc.name in (a b)", "`)` is expected at \"b)\""),
        ("proc.aname[ = x", "an argument and `]` are expected"),
        ("proc..name = x", "the name of a field is expected"),
        ("tolower() = x", "the name of a field is expected"),
        ("=", "a field, a macro, `not` or `(` is expected at \"=\""),
    ] {
        let told = refused(condition);
        assert!(told.contains(part), "{condition}: {told}");
    }
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
fn rules_are_replaced_while_the_engine_runs() {
    let event = mk_listing();
    let mut engine = SignatureEngine::new(compiled("- {rule: a, condition: proc.name = ls}"));
    let old = engine.replace(compiled("- {rule: b, condition: proc.name = ls}"));
    assert_eq!(old.rules()[0].reference.name, "a");
    let mut found = Vec::new();
    engine.judge(&event, &mut found);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].rule.name, "b");
}
