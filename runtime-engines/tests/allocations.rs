//! An event in which nothing is found allocates nothing.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use runtime_core::event::FileOperation;
use runtime_core::policy::PolicySet;
use runtime_core::profile::{ImageSet, Input, Now, Phase, ProfileKey, Settings};
use runtime_core::{BootTime, Syscall, SystemActivity, Timestamp};
use runtime_engines::signatures::builtin;
use runtime_engines::testing::{
    ExecBuilder, mk_connect_event, mk_container, mk_dns_event, mk_exec_event, mk_exit_event, mk_file_event,
    mk_fork_event, mk_open_event, mk_system_event, with_call,
};
use runtime_engines::{Pipeline, Profiles, ProfilingEngine, RuleSet, SignatureEngine};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// The system's allocator, counting what this thread asks of it.
struct Counting;

// SAFETY: every call is handed to the system's allocator as it came; counting touches a thread-local integer
// that needs no destructor, so it neither allocates nor fails.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer came from `System.alloc` with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the pointer came from `System.alloc` with this layout; `size` is the caller's promise.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations_of(work: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

fn mk_pipeline() -> Pipeline {
    let more = runtime_core::policy::RuleSource {
        origin: "test".into(),
        text: "
- rule: looks at everything
  condition: >
    proc.cmdline contains nowhere or toupper(proc.cmdline) icontains nowhere or proc.aname in (a, b)
    or proc.args endswith nowhere or container.image.repository = none or proc.apid = 1 or proc.name glob *none
    or fd.name startswith /nowhere or fd.name in (/no, /where) or fd.directory pmatch (/no/where, /no/*/where)
    or evt.arg.flags contains O_NOTHING or evt.arg[2] = nothing or evt.args contains nowhere or evt.res = ENOTHING
    or thread.cap_effective contains CAP_NOTHING or fd.sip.name = no.example or fd.snet in (192.0.2.0/24)
    or concat(proc.name, '/', proc.pname) = nowhere or join(',', (proc.name, evt.type)) = x
    or len(proc.cmdline) = 100000 or b64(proc.args) = nowhere or proc.name = val(proc.pexepath)
    or fd.name regex '.*no[wW]here.*' or proc.exeline iglob '*NO[W]HERE' or evt.time.iso8601 = never
    or fs.path.target startswith anyof (/no, /where) or evt.arg.request = PTRACE_NOTHING or dns.name = nowhere
- {rule: a, condition: proc.name = no-such-a}
- {rule: b, condition: proc.name = no-such-b and evt.type = execve}
- {rule: c, condition: fd.name startswith /no/such/c}
- {rule: d, condition: fd.directory = /no/such/d or fd.filename = no-such-d}
- {rule: e, condition: fs.path.name pmatch (/no/such/e)}
- {rule: f, condition: 'proc.exepath in (/no/such/f, /no/such/g)'}
"
        .into(),
        first_line: 1,
    };
    let (rules, problems) = RuleSet::compile(&[builtin(), more]);
    assert_eq!(problems, []);
    Pipeline::new(
        vec![Box::new(SignatureEngine::new(rules))],
        PolicySet::new(Vec::new()),
    )
}

#[test]
fn a_miss_allocates_nothing() {
    let events = [
        mk_exec_event("/usr/bin/python3.11", &["python3", "-m", "http.server", "8080"]),
        ExecBuilder::new("/bin/busybox")
            .invoked_as("/bin/ls")
            .args(&["ls", "-l"])
            .build(),
        ExecBuilder::new("/bin/ls").container(None).build(),
        mk_fork_event("/usr/sbin/nginx"),
        mk_exit_event("/usr/sbin/nginx"),
        mk_open_event("/etc/passwd", 0),
        mk_open_event("/var/log/nginx/access.log", 0o2101),
        with_call(mk_open_event("/etc/nothing", 0), Syscall::open, -2),
        mk_file_event(FileOperation::Rename, "/tmp/a", Some("/tmp/b")),
        mk_file_event(FileOperation::Chmod { mode: 0o755 }, "/tmp/a", None),
        mk_connect_event("198.51.100.1:443", &["www.example.com"]),
        mk_connect_event("[2001:db8::1]:443", &[]),
        mk_dns_event("www.example.com"),
        mk_system_event(SystemActivity::Setsid),
        mk_system_event(SystemActivity::Memfd {
            name: "x".into(),
            flags: 3,
        }),
    ];
    let mut pipeline = mk_pipeline();
    // The buffers grow to fit the longest command line once.
    assert!(events.iter().all(|event| pipeline.judge(event).is_none()));
    let made = allocations_of(|| {
        for event in events.iter().cycle().take(1_000) {
            assert!(pipeline.judge(event).is_none());
        }
    });
    assert_eq!(made, 0);
}

#[test]
fn what_a_profile_allows_allocates_nothing() {
    let mut startup = ExecBuilder::new("/usr/bin/app").ancestors(&[]).build();
    if let runtime_core::Activity::Exec(exec) = &mut startup.activity {
        exec.startup = true;
    }
    let events = [
        startup,
        mk_exec_event("/usr/bin/python3.11", &["python3", "-m", "http.server", "8080"]),
        mk_exec_event("/tmp/build-4f2a91/cc", &["cc"]),
        ExecBuilder::new("/bin/busybox")
            .invoked_as("/bin/ls")
            .args(&["ls", "-l"])
            .build(),
        mk_connect_event("198.51.100.1:443", &["www.example.com"]),
        mk_connect_event("198.51.100.2:5432", &[]),
        mk_connect_event("10.96.0.10:53", &[]),
    ];
    let engine = ProfilingEngine::new(Profiles::new(Settings::default()));
    let key = ProfileKey::of(&mk_container("c1"));
    let at = |hours: u64| Now {
        wall: Timestamp::from_unix_nanos(1_795_000_000_000_000_000 + hours * 3_600_000_000_000),
        boot: BootTime::from_nanos(hours * 3_600_000_000_000),
    };
    engine
        .profiles()
        .bind(&mk_container("c1"), &key, ImageSet::new([("app", "web:1")]));
    engine.profiles().apply(&key, &Input::Discovered, at(0));
    let handle = engine.clone();
    let mut pipeline = Pipeline::new(vec![Box::new(engine)], PolicySet::new(Vec::new()));
    assert!(events.iter().all(|event| pipeline.judge(event).is_none()));
    // What is known already costs nothing while it is learned, either. A startup changes the state.
    let learning = allocations_of(|| {
        for event in events[1..].iter().cycle().take(1_000) {
            assert!(pipeline.judge(event).is_none());
        }
    });
    for hours in [25, 26] {
        handle.profiles().tick(at(hours));
    }
    let phase = handle.profiles().get(&key).map(|profile| profile.state.phase);
    assert_eq!(phase, Some(Phase::Completed { empty: false }));
    let judging = allocations_of(|| {
        for event in events[1..].iter().cycle().take(1_000) {
            assert!(pipeline.judge(event).is_none());
        }
    });
    assert_eq!((learning, judging), (0, 0));
}

#[test]
fn the_counter_counts() {
    let mut pipeline = mk_pipeline();
    let miner = mk_exec_event("/tmp/xmrig", &["xmrig"]);
    assert!(allocations_of(|| assert!(pipeline.judge(&miner).is_some())) > 0);
}
