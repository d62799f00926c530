//! Events such as a node with a few dozen containers makes: mostly opens of files, then connections and programs.

use runtime_core::event::{FileOperation, Open};
use runtime_core::{Container, Event, Syscall};
use runtime_engines::testing::{
    ExecBuilder, mk_connect_event, mk_container, mk_exit_event, mk_file_event, mk_fork_event, mk_open_event,
    with_call, with_process_of,
};

/// Who does something, and the processes above it.
const PROGRAMS: [(&str, &[&str], &[&str]); 12] = [
    ("/usr/sbin/nginx", &["nginx", "-g", "daemon off;"], &[]),
    (
        "/usr/local/bin/node",
        &["node", "--max-old-space-size=2048", "/srv/app/server.js"],
        &["/bin/sh"],
    ),
    (
        "/usr/bin/python3.12",
        &[
            "python3",
            "-m",
            "gunicorn",
            "-w",
            "4",
            "-b",
            "0.0.0.0:8000",
            "shop.wsgi",
        ],
        &["/usr/bin/tini"],
    ),
    (
        "/usr/lib/jvm/java-21/bin/java",
        &[
            "java",
            "-Xmx1g",
            "-cp",
            "/app/lib/*:/app/classes",
            "com.example.orders.Main",
        ],
        &[],
    ),
    (
        "/usr/lib/postgresql/16/bin/postgres",
        &["postgres", "-D", "/var/lib/postgresql/data"],
        &["/usr/local/bin/docker-entrypoint.sh"],
    ),
    (
        "/usr/bin/bash",
        &["bash", "-c", "set -eu; cd /srv && exec ./migrate --to latest"],
        &["/usr/sbin/cron"],
    ),
    (
        "/usr/bin/curl",
        &[
            "curl",
            "-fsS",
            "--retry",
            "3",
            "http://orders.shop.svc.cluster.local:8080/healthz",
        ],
        &["/bin/sh"],
    ),
    (
        "/usr/bin/git",
        &["git", "fetch", "--depth", "1", "origin", "main"],
        &["/usr/bin/bash", "/usr/bin/runner"],
    ),
    ("/bin/busybox", &["sleep", "10"], &["/bin/busybox"]),
    ("/usr/bin/redis-server", &["redis-server", "*:6379"], &[]),
    (
        "/usr/bin/env",
        &["env", "LC_ALL=C", "sort", "-u", "/tmp/list.txt"],
        &["/usr/bin/make", "/usr/bin/bash"],
    ),
    (
        "/app/bin/api",
        &[
            "/app/bin/api",
            "--config=/etc/api/config.yaml",
            "--log-level=info",
        ],
        &["/usr/bin/tini"],
    ),
];

/// What is opened to be read.
const READ: [&str; 14] = [
    "/etc/ld.so.cache",
    "/lib/x86_64-linux-gnu/libc.so.6",
    "/usr/lib/x86_64-linux-gnu/libssl.so.3",
    "/proc/self/status",
    "/etc/resolv.conf",
    "/etc/hosts",
    "/srv/app/node_modules/express/lib/router/index.js",
    "/usr/share/zoneinfo/UTC",
    "/usr/lib/python3.12/site-packages/django/db/models/query.py",
    "/etc/ssl/certs/ca-certificates.crt",
    "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt",
    "/app/lib/jackson-databind-2.17.jar",
    "/etc/nsswitch.conf",
    "/sys/fs/cgroup/memory.max",
];

/// What is opened to be written.
const WRITTEN: [&str; 6] = [
    "/var/log/nginx/access.log",
    "/tmp/upload-8f2c1d.part",
    "/var/lib/postgresql/data/base/16384/2619",
    "/dev/null",
    "/srv/cache/pages/3f/9a/index.html",
    "/app/data/orders.db-journal",
];

/// What is connected to, and the names that stand for it.
const REMOTES: [(&str, &[&str]); 6] = [
    ("10.96.0.10:53", &[]),
    ("10.101.7.2:5432", &["postgres.shop.svc.cluster.local"]),
    ("10.102.3.9:6379", &["redis.shop.svc.cluster.local"]),
    ("93.184.216.34:443", &["www.example.com", "edge.example.net"]),
    ("[2001:db8::25]:443", &["api.example.org"]),
    ("10.103.1.1:8080", &["orders.shop.svc.cluster.local"]),
];

/// Some thousand events, in an order that no processor foresees: of twenty about twelve are opens, two are changes of
/// files, three connections, one is an exec, one a fork and one an exit.
pub(crate) fn mix() -> Vec<Event> {
    let programs: Vec<Event> = (0..60).map(program).collect();
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    (0..4096).map(|_| event(&programs, &mut numbers)).collect()
}

fn event(programs: &[Event], numbers: &mut Numbers) -> Event {
    let by = &programs[numbers.below(programs.len())];
    let done = match numbers.below(20) {
        0..9 => mk_open_event(READ[numbers.below(READ.len())], 0o2_000_000),
        9..12 => mk_open_event(WRITTEN[numbers.below(WRITTEN.len())], 0o2_001_101),
        12 => {
            let name = format!("/tmp/work-{}/part", numbers.below(50));
            with_call(
                mk_file_event(FileOperation::Unlink, name.as_str(), None),
                Syscall::unlinkat,
                0,
            )
        }
        13 => {
            let open = Open {
                flags: 0o2_000_302,
                mode: 0o600,
                created: true,
            };
            let name = format!("/tmp/tmp.{}", numbers.below(1000));
            with_call(
                mk_file_event(FileOperation::Open(open), name.as_str(), None),
                Syscall::openat,
                7,
            )
        }
        14..17 => {
            let (remote, names) = REMOTES[numbers.below(REMOTES.len())];
            mk_connect_event(remote, names)
        }
        17 => mk_fork_event("/bin/sh"),
        18 => mk_exit_event("/bin/sh"),
        _ => return by.clone(),
    };
    with_process_of(done, by)
}

fn program(number: usize) -> Event {
    let (path, args, ancestors) = PROGRAMS[number % PROGRAMS.len()];
    let container = Container {
        image: Some(format!(
            "registry.example:5000/shop/service-{}:1.{number}",
            number / 4
        )),
        ..mk_container(&format!(
            "{number:02}aa0c908ca5fe47f4e343e8c0f9b330aa60f2218791f15d73f504547dee6ccb8"
        ))
    };
    ExecBuilder::new(path)
        .args(args)
        .ancestors(ancestors)
        .uid(if number.is_multiple_of(3) { 0 } else { 1000 })
        .cwd("/srv/app")
        .container(Some(container))
        .build()
}

/// Numbers that look random and are the same in every run (xorshift).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}
