//! The built-in signatures, each provoked, and each silent beside harmless neighbours.

use runtime_core::event::Origin;
use runtime_core::{Event, Finding, Response, Severity};
use runtime_engines::signatures::builtin;
use runtime_engines::testing::{ExecBuilder, mk_exec_event, mk_exit_event, mk_fork_event};
use runtime_engines::{Engine, RuleSet, SignatureEngine};

const POOL: &str = "stratum+tcp://pool.example:3333";

fn findings(event: &Event) -> Vec<Finding> {
    let (rules, problems) = RuleSet::compile(&[builtin()]);
    assert_eq!(problems, []);
    let mut found = Vec::new();
    SignatureEngine::new(rules).judge(event, &mut found);
    found
}

fn found(event: &Event) -> Vec<String> {
    findings(event)
        .iter()
        .map(|finding| finding.rule.id.clone())
        .collect()
}

#[track_caller]
fn assert_miner(event: &Event) {
    assert_eq!(
        found(event),
        ["crypto-miner-execution"],
        "{:?}",
        event.process.args
    );
}

#[track_caller]
fn assert_silent(event: &Event) {
    assert_eq!(found(event), [""; 0], "{:?}", event.process.args);
}

#[test]
fn a_miner_is_found_by_every_name_it_goes_by() {
    assert_miner(&mk_exec_event("/opt/xmrig/xmrig", &["./xmrig"]));
    assert_miner(&mk_exec_event("/usr/bin/SRBMiner-MULTI", &["SRBMiner-MULTI"]));
    assert_miner(&mk_exec_event("/tmp/kdevtmpfsi", &["/tmp/kdevtmpfsi"]));
    // The file is the miner, the link is not, and the other way round.
    let renamed = ExecBuilder::new("/tmp/xmrig")
        .invoked_as("/usr/bin/worker")
        .args(&["worker"]);
    assert_miner(&renamed.build());
    let linked = ExecBuilder::new("/tmp/.x")
        .invoked_as("/usr/bin/ethminer")
        .args(&["x"]);
    assert_miner(&linked.build());
    assert_miner(&mk_exec_event("/tmp/.x", &["/opt/t-rex"]));
    assert_miner(&mk_exec_event("/bin/busybox", &["busybox", "xmrig"]));
    let script = ExecBuilder::new("/bin/dash")
        .invoked_as("/bin/sh")
        .script("/opt/xmrig")
        .args(&["/bin/sh", "/opt/xmrig"]);
    assert_miner(&script.build());
    let loader = "/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2";
    assert_miner(&mk_exec_event(
        loader,
        &["ld.so", "--preload", "x.so", "/tmp/xmrig"],
    ));
    assert_miner(&mk_exec_event("/lib/ld-musl-x86_64.so.1", &["ld", "/tmp/XMRig"]));
}

#[test]
fn a_miner_is_found_by_its_arguments() {
    let worker = |args: &[&str]| mk_exec_event("/tmp/worker", &[&["worker"], args].concat());
    assert_miner(&worker(&["-o", POOL, "-u", "wallet"]));
    assert_miner(&worker(&[POOL]));
    assert_miner(&worker(&["--url=stratum+ssl://pool.example:443"]));
    assert_miner(&worker(&["-ostratum+tcp://pool.example:3333"]));
    assert_miner(&worker(&["-P", "stratum1+tcp://wallet@pool.example:4444"]));
    assert_miner(&worker(&["stratum2+tcp://pool.example:3333"]));
    assert_miner(&worker(&["--donate-level", "1"]));
    assert_miner(&worker(&["--donate-level=0"]));
    assert_miner(&worker(&["--algo=rx/0", "-o", "pool.example:3333"]));
    // An interpreter that is told to mine mines.
    assert_miner(&mk_exec_event(
        "/usr/bin/python3.11",
        &["python3", "m.py", "-o", POOL],
    ));
}

#[test]
fn a_tool_that_did_not_come_with_the_image_is_not_believed() {
    for origin in [Origin::Dropped, Origin::Memory] {
        let event = ExecBuilder::new("/tmp/grep")
            .args(&["grep", "-o", POOL])
            .origin(Some(origin));
        assert_miner(&event.build());
    }
    assert_silent(
        &ExecBuilder::new("/bin/grep")
            .args(&["grep", POOL])
            .origin(None)
            .build(),
    );
}

#[test]
fn whoever_mentions_a_miner_is_no_miner() {
    let silent = |path: &str, args: &[&str]| assert_silent(&mk_exec_event(path, args));
    silent("/bin/grep", &["grep", POOL, "file"]);
    silent("/bin/grep", &["grep", "-r", "--", "--donate-level", "/etc"]);
    silent("/bin/cat", &["cat", "xmrig.log", "/opt/xmrig"]);
    silent("/usr/bin/dash", &["sh", "-c", "echo xmrig"]);
    silent(
        "/usr/bin/bash",
        &["bash", "-c", "./worker -o stratum+tcp://pool.example:3333"],
    );
    silent("/usr/bin/vim.basic", &["vim", "/etc/xmrig/config.json"]);
    silent("/bin/rm", &["rm", "-f", "/tmp/xmrig", "/tmp/kdevtmpfsi"]);
    silent("/usr/bin/git", &["git", "commit", "-m", "block stratum+tcp://"]);
    silent(
        "/usr/bin/node",
        &["node", "audit.js", "--message", "found stratum+tcp:// in /tmp/x"],
    );
    silent("/usr/bin/xmrig_exporter", &["xmrig_exporter"]);
    silent("/usr/bin/tool", &["tool", "--url=https://example.com/stratum"]);
    silent("/usr/bin/gcc", &["gcc", "-o", "stratum", "stratum.c"]);
    let applet = ExecBuilder::new("/bin/busybox")
        .invoked_as("/bin/grep")
        .args(&["grep", POOL, "x"]);
    assert_silent(&applet.build());
}

#[test]
fn only_an_exec_is_an_execution() {
    assert_silent(&mk_fork_event("/tmp/xmrig"));
    assert_silent(&mk_exit_event("/tmp/xmrig"));
}

#[test]
fn the_miner_signature_kills_and_says_what_it_is() {
    let finding = findings(&mk_exec_event("/tmp/xmrig", &["xmrig"])).remove(0);
    assert_eq!(finding.severity, Severity::Critical);
    assert_eq!(finding.response, Response::Kill);
    assert_eq!(finding.rule.title, "Crypto miner executed");
    assert!(finding.rule.tags.contains(&"T1496".to_owned()));
}

#[test]
fn the_self_test_alerts_and_no_more() {
    let finding = findings(&mk_exec_event("/tmp/podwarden-test-signature", &["x"])).remove(0);
    assert_eq!(finding.rule.id, "test-signature");
    assert_eq!(
        (finding.severity, finding.response),
        (Severity::Low, Response::Alert)
    );
    let linked = ExecBuilder::new("/bin/busybox").invoked_as("/tmp/podwarden-test-signature");
    assert_eq!(found(&linked.build()), ["test-signature"]);
    assert_silent(&mk_exec_event(
        "/bin/ls",
        &["ls", "/tmp/podwarden-test-signature"],
    ));
    assert_silent(&mk_exec_event("/tmp/podwarden-test-signature2", &["x"]));
}

/// Names of exactly 15 bytes stand for longer ones too; among those that kill there must be no harmless one.
#[test]
fn names_that_stand_for_longer_ones_are_known() {
    let text = builtin().text;
    let (_, after) = text.split_once("items: [").unwrap();
    let names = after.split_once(']').unwrap().0.split(',').map(str::trim);
    let of_15: Vec<&str> = names.filter(|name| name.len() == 15).collect();
    assert_eq!(of_15, ["xmr-stak-nvidia", "cpuminer-avx512"]);
}
