//! An event in which nothing is found allocates nothing.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use runtime_core::policy::PolicySet;
use runtime_engines::signatures::builtin;
use runtime_engines::testing::{ExecBuilder, mk_exec_event, mk_exit_event, mk_fork_event};
use runtime_engines::{Pipeline, RuleSet, SignatureEngine};

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
fn the_counter_counts() {
    let mut pipeline = mk_pipeline();
    let miner = mk_exec_event("/tmp/xmrig", &["xmrig"]);
    assert!(allocations_of(|| assert!(pipeline.judge(&miner).is_some())) > 0);
}
