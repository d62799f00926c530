//! The built-in signatures, each provoked, and each silent beside harmless neighbours.

use runtime_core::event::Origin;
use runtime_core::{Event, Finding, Response, Severity, Syscall};
use runtime_engines::signatures::builtin;
use runtime_engines::testing::{
    ExecBuilder, mk_connect_event, mk_exec_event, mk_exit_event, mk_fork_event, mk_open_event, with_call,
    with_process_of,
};
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
    let found = found(event);
    assert!(
        found.iter().any(|rule| rule == "crypto-miner-execution"),
        "{found:?}: {:?}",
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
    let (_, list) = text.split_once("- list: podwarden_miners").unwrap();
    let (_, after) = list.split_once("items: [").unwrap();
    let names = after.split_once(']').unwrap().0.split(',').map(str::trim);
    let of_15: Vec<&str> = names.filter(|name| name.len() == 15).collect();
    assert_eq!(of_15, ["xmr-stak-nvidia", "cpuminer-avx512"]);
}

/// Where a cluster's DNS would be needed to provoke it in a container.
#[test]
fn the_kubernetes_api_is_for_programs_and_not_for_tools() {
    let connect = |path: &str, name: &str| {
        let by = mk_exec_event(path, &[path]);
        with_call(
            with_process_of(mk_connect_event("10.96.0.1:443", &[name]), &by),
            Syscall::connect,
            0,
        )
    };
    let api = "kubernetes.default.svc.cluster.local";
    assert_eq!(found(&connect("/usr/bin/curl", api)), ["kubernetes-api-by-hand"]);
    assert_silent(&connect("/usr/bin/operator", api));
    assert_silent(&connect("/usr/bin/curl", "example.com"));
}

/// The day of an ordinary container, in which nothing is medium or worse.
#[test]
fn ordinary_work_is_quiet() {
    let install =
        |path: &'static str| ExecBuilder::new(path).ancestors(&["/usr/bin/dpkg", "/usr/bin/apt-get"]);
    let write = |event: Event, path: &str| {
        with_call(
            with_process_of(mk_open_event(path, 0o1101), &event),
            Syscall::openat,
            3,
        )
    };
    let day = [
        // Installing packages, with their scripts and what these start.
        mk_exec_event("/usr/bin/apt-get", &["apt-get", "install", "-y", "nginx"]),
        install("/bin/sh")
            .script("/var/lib/dpkg/info/nginx.postinst")
            .build(),
        install("/usr/sbin/adduser")
            .args(&["adduser", "--system", "nginx"])
            .build(),
        write(install("/usr/sbin/useradd").build(), "/etc/passwd"),
        write(install("/usr/bin/sed").build(), "/etc/passwd"),
        write(install("/usr/bin/dpkg").build(), "/usr/bin/new"),
        write(install("/usr/bin/dpkg").build(), "/etc/cron.d/new"),
        install("/usr/sbin/nginx").origin(Some(Origin::Dropped)).build(),
        // An image is built.
        write(
            mk_exec_event("/kaniko/executor", &["/kaniko/executor"]),
            "/etc/passwd",
        ),
        write(
            ExecBuilder::new("/bin/sed")
                .ancestors(&["/bin/sh", "/kaniko/executor"])
                .build(),
            "/etc/group",
        ),
        // Shells, cron, builds.
        mk_exec_event("/bin/bash", &["bash", "-c", "make -j4 && make install"]),
        mk_exec_event(
            "/bin/sh",
            &[
                "sh",
                "-c",
                "test -x /usr/sbin/anacron || run-parts /etc/cron.daily",
            ],
        ),
        mk_exec_event("/usr/bin/gcc", &["gcc", "-O2", "-c", "x.c"]),
        mk_exec_event(
            "/usr/bin/curl",
            &["curl", "-fsSL", "https://example.com/x.tar.gz"],
        ),
        mk_exec_event("/bin/tar", &["tar", "-xzf", "x.tar.gz"]),
        write(mk_exec_event("/usr/bin/make", &["make"]), "/usr/local/bin/x"),
        write(mk_exec_event("/usr/bin/cp", &["cp"]), "/root/.bashrc"),
        with_call(
            with_process_of(
                mk_open_event("/etc/shadow", 0),
                &ExecBuilder::new("/usr/bin/perl")
                    .script("/usr/sbin/deluser")
                    .build(),
            ),
            Syscall::openat,
            3,
        ),
        // A server and a database with their workers.
        mk_exec_event("/usr/sbin/nginx", &["nginx", "-g", "daemon off;"]),
        ExecBuilder::new("/bin/sh")
            .args(&["sh", "-c", "/usr/sbin/sendmail -t -i"])
            .ancestors(&["/usr/sbin/php-fpm"])
            .build(),
        ExecBuilder::new("/bin/sh")
            .args(&["sh", "-c", "cp pg_wal/0001 /archive"])
            .ancestors(&["/usr/lib/postgresql/15/bin/postgres"])
            .build(),
    ];
    for event in day {
        let loud: Vec<Finding> = findings(&event)
            .into_iter()
            .filter(|finding| finding.severity >= Severity::Medium)
            .collect();
        assert!(loud.is_empty(), "{event:#?}: {loud:#?}");
    }
}

/// Every connection begins with a socket, which no signature asks for by itself.
#[test]
fn ordinary_sockets_do_not_leave_the_kernel_for_it() {
    let (rules, _) = RuleSet::compile(&[builtin()]);
    assert!(!SignatureEngine::new(rules).needs().common_sockets);
}

/// Nothing says whether the script is the image's own: it is told of, and not killed for.
#[test]
fn the_script_of_a_package_manager_is_not_killed_and_not_believed() {
    let dnf = ExecBuilder::new("/usr/libexec/platform-python3.6").script("/usr/bin/dnf");
    let write = |event: &Event| {
        with_call(
            with_process_of(mk_open_event("/etc/passwd", 1), event),
            Syscall::openat,
            3,
        )
    };
    assert_eq!(found(&write(&dnf.build())), ["modify-etc-passwd-by-script"]);
    let other = ExecBuilder::new("/usr/libexec/platform-python3.6").script("/tmp/dnf");
    assert_eq!(found(&write(&other.build())), ["modify-etc-passwd"]);
}
