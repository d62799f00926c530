//! What a user of the binary sees: messages, exit codes, and nothing but alerts on standard output.

use std::fs;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

const BINARY: &str = env!("CARGO_BIN_EXE_podwarden-daemon");

fn daemon() -> Command {
    let mut command = Command::new(BINARY);
    // Whatever the environment of the tests says, only what a test sets counts.
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PODWARDEN_") || name == "RUST_LOG")
    {
        command.env_remove(name);
    }
    command
}

fn run(command: &mut Command) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = output(command);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

/// While one thread copies the program, another one may fork: until that child executes, it has the copy open for
/// writing, and the kernel executes no such file.
fn output(command: &mut Command) -> Output {
    for _ in 0..100 {
        match command.output() {
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => {
                thread::sleep(Duration::from_millis(20));
            }
            other => return other.unwrap(),
        }
    }
    panic!("{command:?} stays open for writing")
}

fn mk_policies(files: &[(&str, &str)]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(directory.path().join(name), text).unwrap();
    }
    directory
}

fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

#[test]
fn without_standalone_it_says_what_is_missing() {
    let (code, stdout, stderr) = run(&mut daemon());
    assert_eq!(code, Some(2));
    assert_eq!(stdout, "");
    assert!(
        stderr.starts_with("error: cluster mode is not part of this daemon"),
        "{stderr}"
    );
    assert!(stderr.contains("--standalone"), "{stderr}");
}

#[test]
fn a_port_that_is_taken_is_an_error_that_names_the_address() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let state = tempfile::tempdir().unwrap();
    let mut child = daemon()
        .args(["--standalone", "--metrics-address", &address, "--state-dir"])
        .arg(state.path())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A daemon that found a port all the same would go on for ever.
    let deadline = Instant::now() + Duration::from_secs(30);
    while child.try_wait().unwrap().is_none() && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(20));
    }
    let _ = child.kill();
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.contains(&format!("cannot serve metrics at {address}")),
        "{stderr}"
    );
    assert!(stderr.contains("in use"), "{stderr}");
}

#[test]
fn every_flag_is_an_environment_variable_as_well() {
    let (code, help, _) = run(daemon().arg("--help"));
    assert_eq!(code, Some(0));
    for flag in [
        "standalone",
        "policy-dir",
        "state-dir",
        "node-name",
        "alerts",
        "metrics-address",
        "log-level",
        "config",
        "record",
        "check",
    ] {
        assert!(help.contains(&format!("--{flag}")), "{flag}");
        let variable = format!("[env: PODWARDEN_{}=]", flag.to_uppercase().replace('-', "_"));
        assert!(help.contains(&variable), "{variable} in {help}");
    }
    let (code, version, _) = run(daemon().arg("--version"));
    assert_eq!(
        (code, version),
        (
            Some(0),
            format!("podwarden-daemon {}\n", env!("CARGO_PKG_VERSION"))
        )
    );
}

#[test]
fn a_policy_directory_that_is_not_there_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("none");
    for check in [true, false] {
        let mut command = daemon();
        command.arg("--standalone").arg("--policy-dir").arg(&missing);
        command.arg("--state-dir").arg(directory.path().join("state"));
        if check {
            command.arg("--check");
        }
        let (code, stdout, stderr) = run(&mut command);
        assert_eq!((code, stdout.as_str()), (Some(1), ""));
        let expected = format!(
            "error: cannot load the policies: cannot list the policy directory {}: No such file or directory (os error 2)\n",
            missing.display()
        );
        assert_eq!(stderr, expected);
    }
}

#[test]
fn check_names_every_problem_and_counts_what_is_good() {
    let good = "apiVersion: podwarden.dev/v1alpha1\nkind: RuntimePolicy\nmetadata: {name: good}\nspec: {}\n";
    let bad = good
        .replace("name: good", "name: bad")
        .replace("spec: {}", "spec:\n  engines:\n    signatures: {mode: x}");
    let rules = "- rule: mine\n  desc: d\n  condition: spawned_process and proc.name = thing\n  output: o\n  priority: INFO\n\
                 - rule: broken\n  desc: d\n  condition: no.such.field = 1\n  output: o\n  priority: INFO\n";
    let policies = mk_policies(&[("a.yaml", &format!("{bad}---\n{good}")), ("rules.yaml", rules)]);
    let (code, stdout, stderr) = run(daemon()
        .args(["--standalone", "--check", "--policy-dir"])
        .arg(policies.path()));
    let at = policies.path().display();
    assert_eq!(code, Some(1), "{stderr}");
    assert!(
        stdout.contains(&format!(
            "{at}/a.yaml:6: spec.engines.signatures.mode: unknown variant `x`"
        )),
        "{stdout}"
    );
    let refused = stdout
        .lines()
        .find(|line| line.contains("no.such.field"))
        .unwrap_or_default();
    assert!(
        refused.contains(&format!("{at}/rules.yaml:")) && refused.contains("broken"),
        "{stdout}"
    );
    assert!(stdout.contains("policies          1\n"), "{stdout}");
    assert!(stdout.contains("rule files        1\n"), "{stdout}");
    assert!(stdout.contains("kernel  "), "{stdout}");
    assert!(stdout.contains("hook tier  "), "{stdout}");
}

#[test]
fn the_environment_and_a_file_do_what_flags_do() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("config.yaml");
    fs::write(
        &config,
        format!(
            "standalone: true\npolicy-dir: {}\n",
            directory.path().join("none").display()
        ),
    )
    .unwrap();
    let stderr = |command: &mut Command| run(command).2;
    let missing = stderr(
        daemon()
            .env("PODWARDEN_CONFIG", &config)
            .env("PODWARDEN_CHECK", "true"),
    );
    assert!(missing.contains("/none: No such file"), "{missing}");
    // The environment goes before the file, and a flag before the environment.
    let other = directory.path().join("other");
    let before = stderr(
        daemon()
            .env("PODWARDEN_POLICY_DIR", &other)
            .args(["--check", "--config"])
            .arg(&config),
    );
    assert!(before.contains("/other: No such file"), "{before}");
    let flag = stderr(
        daemon()
            .env("PODWARDEN_POLICY_DIR", &other)
            .args(["--check", "--policy-dir", "/no/third", "--config"])
            .arg(&config),
    );
    assert!(flag.contains("/no/third: No such file"), "{flag}");
}

#[test]
fn a_wrong_configuration_file_names_line_and_key() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("config.yaml");
    let stderr = |text: &str| {
        fs::write(&config, text).unwrap();
        let (code, stdout, stderr) = run(daemon().arg("--config").arg(&config));
        assert_eq!((code, stdout.as_str()), (Some(2), ""));
        stderr
    };
    let at = config.display();
    assert_eq!(
        stderr("standalone: true\nalerts: xml\n"),
        format!(
            "error: the configuration file is wrong: {at}:2: alerts: unknown variant `xml`, expected one of json, text\n"
        )
    );
    assert!(
        stderr("standalone: true\n\npolicy_dir: /x\n").contains(":3: policy_dir: unknown field `policy_dir`")
    );
    fs::remove_file(&config).unwrap();
    let (_, _, missing) = run(daemon().arg("--config").arg(&config));
    assert_eq!(
        missing,
        format!("error: cannot read the configuration file {at}: No such file or directory (os error 2)\n")
    );
}

#[test]
fn a_wrong_log_level_is_refused() {
    let (code, _, stderr) = run(daemon().args(["--standalone", "--check", "--log-level", "info,=="]));
    assert_eq!(code, Some(2));
    assert!(
        stderr.starts_with("error: not a log level or filter: \"info,==\": "),
        "{stderr}"
    );
}

/// As somebody who may not load programs; the binary is put where everybody may run it.
fn unprivileged(directory: &Path) -> Command {
    let binary = directory.join("podwarden-daemon");
    fs::copy(BINARY, &binary).unwrap();
    for path in [directory, &binary] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let mut command = Command::new(binary);
    command.env_clear();
    if is_root() {
        chown(directory, Some(65534), Some(65534)).unwrap();
        command.uid(65534).gid(65534);
    }
    command
}

#[test]
fn without_privilege_it_says_which_one_it_needs() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = unprivileged(directory.path());
    command
        .args(["--standalone", "--state-dir"])
        .arg(directory.path().join("state"));
    let (code, stdout, stderr) = run(&mut command);
    assert_eq!((code, stdout.as_str()), (Some(1), ""));
    let last = stderr.lines().last().unwrap_or_default();
    assert!(last.starts_with("error: cannot start the sensor: "), "{stderr}");
    assert!(last.contains("root") && last.contains("CAP_BPF"), "{stderr}");

    let (code, stdout, _) = run(unprivileged(directory.path()).args(["--standalone", "--check"]));
    assert_eq!(code, Some(1));
    assert!(stdout.contains("privileged        no\n"), "{stdout}");
    assert!(stdout.contains("hook tier         none: "), "{stdout}");
}

#[test]
fn a_policy_directory_that_may_not_be_read_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = unprivileged(directory.path());
    let closed = directory.path().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
    let (code, _, stderr) = run(command
        .args(["--standalone", "--check", "--policy-dir"])
        .arg(&closed));
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(code, Some(1));
    assert!(
        stderr.contains(&format!("{}: Permission denied", closed.display())),
        "{stderr}"
    );
}

const RULES: &str = "- list: mine\n  items: [thing]\n\
                     - rule: good\n  id: good-one\n  desc: d\n  condition: podwarden_exec and proc.name in (mine)\n  \
                     output: ran %proc.name\n  priority: ERROR\n  response: kill\n  tags: [T1, mine]\n\
                     - rule: bad\n  desc: d\n  condition: no.such.field = 1\n  output: o\n  priority: INFO\n";

#[test]
fn rules_are_checked_without_root_or_kernel() {
    let files = mk_policies(&[
        ("rules.yaml", RULES),
        ("good.yaml", "- rule: x\n  condition: proc.pid = 1\n"),
    ]);
    let path = |name: &str| files.path().join(name);
    let (code, stdout, stderr) = run(unprivileged(files.path())
        .args(["rules", "check"])
        .arg(path("rules.yaml")));
    let at = files.path().display();
    assert_eq!(
        stdout,
        format!(
            "{at}/rules.yaml:13: rule \"bad\": `condition`: the field `no.such.field` is not known\n1 rules loaded, 1 \
             refused\n"
        )
    );
    assert_eq!((code, stderr.as_str()), (Some(1), ""));
    let (code, stdout, _) = run(daemon().args(["rules", "check"]).arg(path("good.yaml")));
    assert_eq!((code, stdout.as_str()), (Some(0), "1 rules loaded, 0 refused\n"));
    let both = daemon()
        .args(["rules", "check"])
        .args([path("good.yaml"), path("none.yaml")])
        .output()
        .unwrap();
    let stdout = String::from_utf8(both.stdout).unwrap();
    assert!(
        stdout.starts_with(&format!("{at}/none.yaml: the file cannot be read: No such file")),
        "{stdout}"
    );
    assert!(stdout.ends_with("\n1 rules loaded, 1 refused\n"), "{stdout}");
    assert_eq!(both.status.code(), Some(1));
}

#[test]
fn rules_are_listed_in_a_table_and_as_json() {
    let files = mk_policies(&[("rules.yaml", RULES)]);
    let path = files.path().join("rules.yaml");
    // What the daemon itself is told is no matter here.
    let (code, stdout, stderr) = run(daemon()
        .env("PODWARDEN_CHECK", "true")
        .args(["rules", "list"])
        .arg(&path));
    assert_eq!(
        stdout,
        "ID        NAME  SEVERITY  RESPONSE  TAGS     EVENTS\n\
         good-one  good  high      kill      T1,mine  exec\n"
    );
    assert!(stderr.contains("no.such.field"), "{stderr}");
    assert_eq!(code, Some(1));
    let (_, stdout, _) = run(daemon().args(["rules", "list", "-o", "json"]).arg(&path));
    let rules: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(rules[0]["id"], "good-one");
    assert_eq!(rules[0]["events"], serde_json::json!(["exec"]));
    let (code, stdout, _) = run(daemon().args(["rules", "list"]));
    assert_eq!(code, Some(0));
    assert!(stdout.contains("\ncrypto-miner-execution  "), "{stdout}");
}

const POLICY: &str = "\
apiVersion: podwarden.dev/v1alpha1
kind: RuntimePolicy
metadata: {name: shop}
spec:
  selector: {namespaces: [shop]}
  engines: {signatures: {mode: detect}}
  exclusions:
  - {name: backup, engine: signatures, signature: modify-etc-passwd, process: {path: /usr/bin/backup}}
---
apiVersion: podwarden.dev/v1alpha1
kind: RuntimePolicy
metadata: {name: all}
spec:
  engines: {signatures: {mode: prevent, blockAll: true}, profiling: {mode: detect, learningPeriod: 1h}}
  rules:
  - {engine: signatures, signature: netcat, action: deny}
";

#[test]
fn policies_are_explained_without_root_or_kernel() {
    let files = mk_policies(&[("policy.yaml", POLICY)]);
    let explain = |args: &[&str]| {
        let mut command = unprivileged(files.path());
        let dir = files.path().to_str().unwrap();
        run(command
            .args(["policy", "explain", "--policy-dir", dir])
            .args(args))
    };
    let (code, stdout, stderr) = explain(&["--namespace", "shop", "--name", "web"]);
    assert_eq!(
        stdout,
        "policies, the most specific first:
  shop  selected
  all  selected
signatures: detect by shop
  rule of all: {\"action\":\"deny\",\"signature\":\"netcat\"}
  exclusion of shop: {\"name\":\"backup\",\"process\":{\"path\":\"/usr/bin/backup\"},\"signature\":\"modify-etc-passwd\"}
file-reputation: prevent by default
profiling: detect by all, learns for 1h, start-ups for 10m
"
    );
    assert_eq!((code, stderr.as_str()), (Some(0), ""));

    let (_, stdout, _) = explain(&["--namespace", "other"]);
    assert!(
        stdout.contains("  shop  not for it: selector.namespaces\n"),
        "{stdout}"
    );
    assert!(
        stdout.contains("signatures: prevent by all, every signature kills (blockAll)\n"),
        "{stdout}"
    );

    let (_, stdout, _) = explain(&["-o", "json"]);
    let json: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(json["engines"][0]["modeFrom"], "all");
    assert_eq!(json["policies"][0]["refusedBy"], "namespaces");
}

#[test]
fn a_policy_that_makes_no_sense_is_named_and_fails() {
    let bad = "\
apiVersion: podwarden.dev/v1alpha1
kind: RuntimePolicy
metadata: {name: bad}
spec: {exclusions: [{name: all, engine: signatures}]}
";
    let files = mk_policies(&[("policy.yaml", bad)]);
    let mut command = unprivileged(files.path());
    let dir = files.path().to_str().unwrap();
    let (code, stdout, stderr) = run(command.args(["policy", "explain", "--policy-dir", dir]));
    assert_eq!(code, Some(1));
    assert!(stdout.contains("signatures: prevent by default"), "{stdout}");
    assert!(
        stderr.contains("policy.yaml:3: bad: spec.exclusions[0] (all): engine: "),
        "{stderr}"
    );
}

#[test]
fn recorded_events_are_judged_without_root_or_kernel() {
    use runtime_core::event::record::Record;
    use runtime_engines::testing::mk_exec_event;
    let line =
        |path: &str, args: &[&str]| serde_json::to_string(&Record::new(&mk_exec_event(path, args))).unwrap();
    let thing = line("/bin/thing", &["thing", "a\n"]);
    let events = [
        line("/tmp/xmrig", &["xmrig"]),
        "{\"version\":1}".into(),
        String::new(),
        thing.replacen(":1,", ":9,", 1),
        thing,
        line("/bin/ls", &["ls"]),
    ];
    let files = mk_policies(&[("rules.yaml", RULES), ("events.jsonl", &events.join("\n"))]);
    let path = |name: &str| files.path().join(name);
    let (code, stdout, stderr) = run(unprivileged(files.path())
        .args(["rules", "replay"])
        .arg(path("events.jsonl"))
        .arg("--rules")
        .arg(path("rules.yaml")));
    let alerts: Vec<serde_json::Value> = stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let told: Vec<_> = alerts
        .iter()
        .map(|alert| (alert["rule"].as_str(), alert["output"].as_str()))
        .collect();
    assert_eq!(told.len(), 2, "{stdout}");
    assert_eq!(told[0].0, Some("crypto-miner-execution"));
    assert_eq!(told[1], (Some("good-one"), Some("ran thing")));
    assert_eq!(alerts[1]["action"], "alerted");
    assert_eq!(
        alerts[1]["actionDetail"],
        "replayed: nothing was done; the rule asks for kill"
    );
    let at = files.path().display();
    for expected in [
        format!("{at}/events.jsonl:2: missing field `event`"),
        format!("{at}/events.jsonl:4: the event is of version 9"),
        format!("{at}/rules.yaml:13: rule \"bad\""),
    ] {
        assert!(stderr.contains(&expected), "{expected} in {stderr}");
    }
    assert_eq!((code, stderr.lines().count()), (Some(1), 3));
    let (code, stdout, _) = run(daemon().args(["rules", "replay"]).arg(path("none.jsonl")));
    assert_eq!((code, stdout.as_str()), (Some(1), ""));
}
