//! What rules mean, and what is refused.

mod common;

use common::{compiled, holds, judged, mk_listing, mk_rule, mk_source, refused};
use runtime_core::event::Origin;
use runtime_core::policy::RuleSource;
use runtime_core::{Response, Severity};
use runtime_engines::testing::{ExecBuilder, mk_exec_event, mk_exit_event, mk_fork_event};
use runtime_engines::{Engine, RuleSet, SignatureEngine};

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
        "proc.name < lt and proc.name >= ls and not proc.name > ls",
        "proc.is_exe_upper_layer in (false) and proc.is_exe_upper_layer != true",
        "proc.cmdline bcontains 2d6c202f and proc.cmdline bstartswith 6C73",
        "proc.exepath glob '/b[hi]n/[!a]*' and proc.exepath iglob '/BIN/BUSY*'",
        "proc.cmdline regex 'ls -[lt] .*dir' and not proc.cmdline regex 'ls'",
        "proc.cwd pmatch (/usr, '/s?v')",
        "proc.exepath startswith anyof (/usr, /bin) and proc.exepath contains allof (bin, busy)",
        "proc.exepath contains oneof (bin, nothing) and not proc.exepath contains oneof (bin, busy)",
        "not proc.exepath contains allof () and not proc.exepath contains anyof ()",
        "proc.name = val(proc.exe) and proc.exepath endswith val(proc.applet) or proc.pid > val(proc.ppid)",
        "proc.cmdline startswith val(proc.name) and proc.name in val(proc.exe) and proc.exepath pmatch val(proc.exepath)",
        "basename(proc.exepath) = tolower(basename(proc.exepath))",
        "len(proc.name) = 2 and len(basename(proc.exepath)) > 6",
        "concat(proc.name, '-', proc.pname) = ls-sh and len(concat(proc.name, proc.pname)) = 4",
        "join('/', (proc.name, proc.pname, 7)) = ls/sh/7 and join(', ', ()) = ''",
        "not concat(proc.name, proc.script) exists",
        "proc.args[0] = -l and proc.args['1'] = '/etc/app dir'",
        "proc.aname[\"2\"] = nginx and proc.args intersects ('-l /etc/app dir')",
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
    assert!(!holds("proc.is_exe_deleted = false", &mk_exit_event("/bin/a")));
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

    let mut found = Vec::new();
    SignatureEngine::new(rules()).judge(&shell("/bin/bash").build(), &mut found);
    assert_eq!(
        found[0].output.as_deref(),
        Some("Shell (user=0 parent=nginx ancestor=<NA> 100% of c1.)")
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
fn a_rule_that_no_event_can_satisfy_says_so() {
    let rule = |condition: &str| compiled(&mk_rule(condition)).rules()[0].clone();
    assert!(rule("proc.name = nc").can_hold);
    // Rules are switched off like this.
    assert!(!rule("evt.num = 0 and proc.name = nc").can_hold);
    assert!(!rule("evt.type = execve and evt.type = clone").can_hold);
    assert!(!rule("evt.type = procexit and proc.is_exe_deleted = true").can_hold);
    let unsupplied = rule("proc.tty != 0 and proc.name = sh");
    assert_eq!(
        (unsupplied.can_hold, &unsupplied.unsupplied[..]),
        (false, &["proc.tty"][..])
    );
    // What is missing satisfies no test; the opposite holds.
    let partly = rule("not proc.pcmdline startswith a");
    assert_eq!(
        (partly.can_hold, &partly.unsupplied[..]),
        (true, &["proc.pcmdline"][..])
    );
    // A type of events that does not exist is a mistake.
    assert!(refused("evt.type = exceve").contains("there are no events of the type `exceve`"));
    assert!(refused("not evt.type in (open, opennat)").contains("`opennat`"));
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
            "proc.is_exe_upper_layer = maybe",
            "is true or false, and \"maybe\" is none",
        ),
        (
            "proc.is_exe_upper_layer pmatch (true)",
            "which `pmatch` cannot test",
        ),
        (
            "fd.ip = example.com",
            "is an IP address, and \"example.com\" is none",
        ),
        ("fd.net in (10.0.0.0/33)", "is an IP address or network, and"),
        ("fd.ip contains 10", "which `contains` cannot test"),
        ("len(proc.name) = x", "is a whole number, and \"x\" is none"),
        ("len(proc.name) contains 1", "which `contains` cannot test"),
        ("tolower(len(proc.name)) = 1", "which a transformer cannot change"),
        (
            "proc.name = val(proc.pid)",
            "cannot be compared with that on the left",
        ),
        (
            "proc.name = val(proc.aname)",
            "cannot be compared with that on the left",
        ),
        ("proc.name glob val(proc.exe)", "cannot test"),
        ("proc.pid contains val(proc.ppid)", "which `contains` cannot test"),
        (
            "proc.pid = val(proc.nothing)",
            "the field `proc.nothing` is not known",
        ),
        ("concat(proc.name) = x", "`concat` takes two texts or more"),
        (
            "concat(proc.name, proc.pid) = x",
            "`concat` takes two texts or more",
        ),
        ("join(proc.name, proc.exe) = x", "`join` takes a text and a list"),
        ("tolower(proc.name, proc.exe) = x", "`tolower` takes one field"),
        (
            "proc.pid startswith anyof (1)",
            "which `startswith anyof` cannot test",
        ),
        ("proc.name bcontains xyz", "no even number of hexadecimal digits"),
        (
            "proc.name bstartswith abc",
            "no even number of hexadecimal digits",
        ),
        ("evt.arg = x", "takes the name of a call's argument"),
        ("evt.arg.nothing = x", "takes the name of a call's argument"),
        ("evt.arg[one] = x", "takes the name of a call's argument"),
        ("container.mount.dest = x", "takes a word in brackets"),
        ("tolower(proc.pid) = 1", "which a transformer cannot change"),
        ("proc.name[1] = x", "takes no argument"),
        ("proc.aname[x] = x", "takes a number from 0"),
        ("proc.name glob '[ab'", "the pattern \"[ab\" is none"),
        ("proc.name regex '('", "the pattern \"(\" is none: "),
        ("proc.name regex '(?=x)'", "look-around"),
        ("proc.name regex '(a{999}){999}'", "it needs more than"),
        ("proc.name regex 'a)(b'", "the pattern"),
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
        (
            "proc.name matches 'x.*'",
            "which this is not: at \"matches 'x.*'\"",
        ),
        ("val(proc.name) = x", "`val` is only for the right of an operator"),
        ("proc.name = val(x)", "the name of a field is expected"),
        ("concat(proc.name, ls) = x", "the name of a field is expected"),
        ("proc.name = '\\xff'", "an escape that is none of"),
        ("proc.aname['1 = x", "the closing quote is missing"),
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
        ("tolower() = x", "an argument of a transformer is expected"),
        ("=", "a field, a macro, `not` or `(` is expected at \"=\""),
    ] {
        let told = refused(condition);
        assert!(told.contains(part), "{condition}: {told}");
    }
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
