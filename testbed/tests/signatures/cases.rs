//! What provokes each signature, and what looks like it and is harmless.

/// A signature's provocation and a harmless neighbour: programs that run one after the other, each with its arguments.
pub(crate) struct Case {
    pub(crate) rule: &'static str,
    pub(crate) provoke: &'static [&'static [&'static str]],
    pub(crate) harmless: &'static [&'static [&'static str]],
}

/// Signatures that are provoked in another test: of this program, or, where a cluster's DNS or a scripted package
/// manager would be needed, in that of the rules (`runtime-engines/tests/builtin.rs`).
pub(crate) const ELSEWHERE: &[&str] = &[
    "modify-etc-passwd-at-start",
    "modify-etc-passwd-by-script",
    "kubernetes-api-by-hand",
];

const W: &str = "/bin/workload";
const CALLS: &str = "syscalls";
/// Numbers of system calls on x86-64, and what `openat` is often given.
const OPENAT: &str = "257";
const CWD: &str = "-100";
const READ: &str = "0";
const WRITE: &str = "1";
const CREATE: &str = "0x41";
const SOCKET: &str = "41";
const CONNECT: &str = "42";

const fn case(
    rule: &'static str,
    provoke: &'static [&'static [&'static str]],
    harmless: &'static [&'static [&'static str]],
) -> Case {
    Case {
        rule,
        provoke,
        harmless,
    }
}

pub(crate) const CASES: &[Case] = &[
    case(
        "crypto-miner-execution",
        &[&["/usr/bin/xmrig", "print"]],
        &[&["/bin/grep", "print", "xmrig"]],
    ),
    case(
        "test-signature",
        &[&["/usr/local/bin/podwarden-test-signature"]],
        &[&["/bin/tiny"]],
    ),
    case(
        "modify-etc-passwd",
        &[&[W, CALLS, OPENAT, CWD, "s:/etc/passwd", WRITE]],
        &[&[W, CALLS, OPENAT, CWD, "s:/etc/passwd", READ]],
    ),
    case(
        "modify-etc-passwd-by-tool",
        &[&["/usr/sbin/useradd", CALLS, OPENAT, CWD, "s:/etc/shadow", WRITE]],
        &[&["/usr/sbin/useradd", CALLS, OPENAT, CWD, "s:/etc/shadow", READ]],
    ),
    case(
        "modify-sudoers",
        &[&[W, CALLS, OPENAT, CWD, "s:/etc/sudoers.d/me", CREATE]],
        &[&["/usr/bin/dpkg", CALLS, OPENAT, CWD, "s:/etc/sudoers.d/it", CREATE]],
    ),
    case(
        "set-uid-bit",
        &[&[W, CALLS, "90", "s:/var/www/index.html", "0o4755"]],
        &[&[W, CALLS, "90", "s:/var/www/index.html", "0o755"]],
    ),
    case(
        "sensitive-file-read",
        &[&[W, CALLS, OPENAT, CWD, "s:/etc/shadow", READ]],
        &[&["/bin/su", CALLS, OPENAT, CWD, "s:/etc/shadow", READ]],
    ),
    case(
        "sensitive-file-read-by-server",
        // Six seconds after its start, and at once.
        &[&[
            "/usr/sbin/nginx",
            CALLS,
            "35",
            "x:06000000000000000000000000000000",
            "0",
            ",",
            OPENAT,
            CWD,
            "s:/etc/shadow",
            READ,
        ]],
        &[&["/usr/sbin/nginx", CALLS, OPENAT, CWD, "s:/etc/shadow", READ]],
    ),
    case(
        "directory-traversal-read",
        &[&[
            "/usr/sbin/nginx",
            CALLS,
            OPENAT,
            CWD,
            "s:/var/www/../../etc/passwd",
            READ,
        ]],
        &[&[
            "/usr/sbin/nginx",
            CALLS,
            OPENAT,
            CWD,
            "s:/var/www/../www/index.html",
            READ,
        ]],
    ),
    case(
        "search-for-credentials",
        &[&["/bin/grep", "print", "-r", "BEGIN RSA PRIVATE KEY", "/"]],
        &[&["/bin/grep", "print", "-r", "BEGIN CERTIFICATE", "/etc"]],
    ),
    case(
        "service-account-token-read",
        &[&[
            "/bin/cat",
            CALLS,
            OPENAT,
            CWD,
            "s:/run/secrets/kubernetes.io/serviceaccount/token",
            READ,
        ]],
        &[&[
            W,
            CALLS,
            OPENAT,
            CWD,
            "s:/run/secrets/kubernetes.io/serviceaccount/token",
            READ,
        ]],
    ),
    case(
        "kubernetes-keys-read",
        &[&[W, CALLS, OPENAT, CWD, "s:/etc/kubernetes/pki/ca.key", READ]],
        &[&[
            "/usr/bin/kubelet",
            CALLS,
            OPENAT,
            CWD,
            "s:/etc/kubernetes/pki/ca.key",
            READ,
        ]],
    ),
    case(
        "cloud-metadata-by-hand",
        // A connection of UDP sends nothing.
        &[&[
            "/usr/bin/curl",
            CALLS,
            SOCKET,
            "2",
            "2",
            "0",
            ",",
            CONNECT,
            "=0",
            "in:169.254.169.254:80",
            "len",
        ]],
        &[&[
            W,
            CALLS,
            SOCKET,
            "2",
            "2",
            "0",
            ",",
            CONNECT,
            "=0",
            "in:169.254.169.254:80",
            "len",
        ]],
    ),
    case(
        "shell-started-by-server",
        &[&["/usr/sbin/nginx", "spawn", "/bin/sh", "1", "print"]],
        &[&[W, "spawn", "/bin/sh", "1", "print"]],
    ),
    case(
        "shell-in-container",
        &[&["/bin/sh"]],
        &[&["/bin/sh", "print", "ready"]],
    ),
    case(
        "netcat-remote-code-execution",
        &[&["/bin/nc", "print", "-e", "/bin/sh"]],
        &[&["/bin/nc", "print", "-l", "-p", "8080"]],
    ),
    case(
        "socket-on-standard-stream",
        &[&[
            W,
            CALLS,
            SOCKET,
            "2",
            "2",
            "0",
            ",",
            CONNECT,
            "=0",
            "in:127.0.0.1:9",
            "len",
            ",",
            "33",
            "=0",
            "0",
        ]],
        &[&[W, CALLS, SOCKET, "1", "1", "0", ",", "33", "=0", "0"]],
    ),
    case(
        "fileless-execution",
        &[&[W, "memfd", "/bin/tiny"]],
        &[&[W, "spawn", "/bin/tiny", "1"]],
    ),
    case(
        "execution-from-dev-shm",
        &[
            &[W, CALLS, "83", "s:/dev/shm", "0o755"],
            &[W, "copy", "/bin/tiny", "/dev/shm/x"],
            &["/dev/shm/x"],
        ],
        &[&[W, "copy", "/bin/tiny", "/var/tmp/x"], &["/var/tmp/x"]],
    ),
    case(
        "hidden-executable",
        &[&[W, "copy", "/bin/tiny", "/tmp/.x"], &["/tmp/.x"]],
        &[&[W, "copy", "/bin/tiny", "/tmp/x"], &["/tmp/x"]],
    ),
    case(
        "dropped-executable",
        &[&[W, "copy", "/bin/tiny", "/tmp/y"], &["/tmp/y"]],
        &[&["/bin/tiny"]],
    ),
    case(
        "bulk-data-removal",
        &[&["/usr/bin/shred", "print"]],
        &[&["/usr/bin/rm", "print"]],
    ),
    case(
        "debugfs-executed",
        &[&["/sbin/debugfs", "print"]],
        &[&["/sbin/e2fsck", "print"]],
    ),
    case(
        "kernel-helper-escape",
        &[&[W, CALLS, OPENAT, CWD, "s:/work/cgroup/release_agent", WRITE]],
        // A file of that name somewhere else, such as a checked out source.
        &[&[W, CALLS, OPENAT, CWD, "s:/work/release_agent", CREATE]],
    ),
    case(
        "kernel-setting-modified",
        &[&[W, CALLS, OPENAT, CWD, "s:/proc/sys/kernel/core_pattern", WRITE]],
        &[&[W, CALLS, OPENAT, CWD, "s:/proc/sys/kernel/core_pattern", READ]],
    ),
    case(
        "notify-on-release",
        &[&[W, CALLS, OPENAT, CWD, "s:/work/cgroup/notify_on_release", WRITE]],
        &[&[W, CALLS, OPENAT, CWD, "s:/work/cgroup/notify_on_release", READ]],
    ),
    case(
        "sysrq-used",
        // Opened and not written to.
        &[&[W, CALLS, OPENAT, CWD, "s:/proc/sys/kernel/sysrq", WRITE]],
        &[&[W, CALLS, OPENAT, CWD, "s:/proc/sys/kernel/sysrq", READ]],
    ),
    case(
        "host-device-mounted",
        &[&[
            W,
            CALLS,
            "165",
            "s:/dev/no-such-disk",
            "s:/work",
            "s:ext4",
            "0",
            "0",
        ]],
        &[&[W, CALLS, "165", "s:none", "s:/work", "s:nosuchfs", "0", "0"]],
    ),
    case(
        "host-namespaces-entered",
        &[&["/usr/bin/nsenter", "print", "-t", "1", "-m"]],
        &[&["/usr/bin/nsenter", "print", "-t", "12", "-m"]],
    ),
    case(
        "user-namespace-made",
        &[&[W, CALLS, "272", "0x10000000"]],
        &[&[W, CALLS, "272", "0x4000000"]],
    ),
    case(
        "container-runtime-socket",
        &[&[
            W,
            CALLS,
            SOCKET,
            "1",
            "1",
            "0",
            ",",
            "49",
            "=0",
            "un:/run/docker.sock",
            "len",
            ",",
            "50",
            "=0",
            "1",
            ",",
            SOCKET,
            "1",
            "1",
            "0",
            ",",
            CONNECT,
            "=3",
            "un:/run/docker.sock",
            "len",
        ]],
        &[&[
            W,
            CALLS,
            SOCKET,
            "1",
            "1",
            "0",
            ",",
            "49",
            "=0",
            "un:/run/other.sock",
            "len",
            ",",
            "50",
            "=0",
            "1",
            ",",
            SOCKET,
            "1",
            "1",
            "0",
            ",",
            CONNECT,
            "=3",
            "un:/run/other.sock",
            "len",
        ]],
    ),
    case(
        "kernel-module-loaded",
        &[&[W, CALLS, "313", "-1", "s:", "0"]],
        &[&[W, CALLS, "176", "s:no_such_module", "0"]],
    ),
    case(
        "bpf-program-loaded",
        &[&[W, CALLS, "321", "5", "zeros", "48"]],
        &[&[W, CALLS, "321", "1", "zeros", "48"]],
    ),
    case(
        "kernel-memory-read",
        &[&[W, CALLS, OPENAT, CWD, "s:/proc/kcore", READ]],
        &[&[W, CALLS, OPENAT, CWD, "s:/proc/version", READ]],
    ),
    case(
        "ptrace-attach",
        &[&[W, CALLS, "child", ",", "101", "16", "=0", "0", "0"]],
        &[&["/usr/bin/gdb", CALLS, "child", ",", "101", "16", "=0", "0", "0"]],
    ),
    case(
        "anti-debugging",
        &[&[W, CALLS, "101", "0", "0", "0", "0"]],
        &[&[
            "/usr/bin/strace",
            "spawn",
            W,
            "1",
            CALLS,
            "101",
            "0",
            "0",
            "0",
            "0",
        ]],
    ),
    case(
        "process-memory-written",
        &[&[W, CALLS, "child", ",", "311", "=0", "0", "0", "0", "0", "0"]],
        &[&[
            "/usr/bin/gdb",
            CALLS,
            "child",
            ",",
            "311",
            "=0",
            "0",
            "0",
            "0",
            "0",
            "0",
        ]],
    ),
    case(
        "process-memory-read",
        &[&[W, CALLS, OPENAT, CWD, "s:/proc/1/mem", READ]],
        &[&[W, CALLS, OPENAT, CWD, "s:/proc/1/stat", READ]],
    ),
    case(
        "aslr-inspection",
        &[&[
            W,
            CALLS,
            OPENAT,
            CWD,
            "s:/proc/sys/kernel/randomize_va_space",
            READ,
        ]],
        &[&[W, CALLS, OPENAT, CWD, "s:/proc/sys/kernel/ostype", READ]],
    ),
    case(
        "userfaultfd-used",
        &[&[W, CALLS, "323", "0"]],
        &[&[W, CALLS, "319", "s:memory", "0"]],
    ),
    case(
        "packet-socket",
        &[&[W, CALLS, SOCKET, "17", "3", "0"]],
        &[&[W, CALLS, SOCKET, "2", "1", "0"]],
    ),
    case(
        "ssh-unusual-port",
        &[&[
            "/usr/bin/ssh",
            CALLS,
            SOCKET,
            "2",
            "2",
            "0",
            ",",
            CONNECT,
            "=0",
            "in:127.0.0.1:2222",
            "len",
        ]],
        &[&[
            "/usr/bin/ssh",
            CALLS,
            SOCKET,
            "2",
            "2",
            "0",
            ",",
            CONNECT,
            "=0",
            "in:127.0.0.1:22",
            "len",
        ]],
    ),
    case(
        "ld-preload-modified",
        &[&[W, CALLS, OPENAT, CWD, "s:/etc/ld.so.preload", CREATE]],
        &[&["/usr/bin/dpkg", CALLS, OPENAT, CWD, "s:/etc/ld.so.preload", WRITE]],
    ),
    case(
        "loader-modified",
        &[&[W, CALLS, OPENAT, CWD, "s:/lib64/ld-linux-x86-64.so.2", WRITE]],
        &[&[W, CALLS, OPENAT, CWD, "s:/lib64/ld-linux-x86-64.so.2", READ]],
    ),
    case(
        "scheduled-task-modified",
        &[&[W, CALLS, OPENAT, CWD, "s:/etc/cron.d/task", CREATE]],
        &[&[
            "/usr/bin/crontab",
            CALLS,
            OPENAT,
            CWD,
            "s:/etc/cron.d/task",
            WRITE,
        ]],
    ),
    case(
        "authorized-keys-modified",
        &[&[W, CALLS, OPENAT, CWD, "s:/root/.ssh/authorized_keys", CREATE]],
        &[&[W, CALLS, OPENAT, CWD, "s:/root/.ssh/known_hosts", WRITE]],
    ),
    case(
        "startup-files-modified",
        &[&[W, CALLS, OPENAT, CWD, "s:/etc/profile", WRITE]],
        &[&[W, CALLS, OPENAT, CWD, "s:/etc/profile", READ]],
    ),
    case(
        "system-program-modified",
        &[&[W, CALLS, OPENAT, CWD, "s:/usr/sbin/new", CREATE]],
        &[&[W, CALLS, OPENAT, CWD, "s:/usr/local/bin/new", CREATE]],
    ),
    case(
        "link-to-sensitive-file",
        &[&[W, CALLS, "88", "s:/etc/shadow", "s:/tmp/link"]],
        &[&[W, CALLS, "88", "s:/etc/hosts", "s:/tmp/hosts"]],
    ),
    case(
        "traces-removed",
        &[&[W, CALLS, OPENAT, CWD, "s:/var/log/wtmp", "0o1001"]],
        &[&[W, CALLS, OPENAT, CWD, "s:/var/log/wtmp", "0o2001"]],
    ),
];
