//! Floods of everything at once: nothing is lost in silence, and files push no exec out. Needs root.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use runtime_core::{Activity, EventClass, Needs, SensorItem};
use runtime_ebpf::{Sensor, SensorOptions};
use testbed::Container;

/// How long the flood lasts, in seconds; `PODWARDEN_STORM_SECONDS` says otherwise, for a soak.
fn seconds() -> u64 {
    let text = std::env::var("PODWARDEN_STORM_SECONDS").ok();
    text.and_then(|text| text.parse().ok()).unwrap_or(20)
}

/// As the daemon's own thread does it: two processors are shared by six processes that never rest.
fn come_first() {
    let parameters = libc::sched_param { sched_priority: 1 };
    // SAFETY: the kernel reads one structure, which outlives the call; 0 is the calling thread.
    let result = unsafe {
        libc::sched_setscheduler(
            0,
            libc::SCHED_RR | libc::SCHED_RESET_ON_FORK,
            &raw const parameters,
        )
    };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}

#[test]
fn a_flood_of_files_connects_and_execs_is_delivered_or_counted() {
    let seconds = seconds();
    let options = SensorOptions {
        needs: Needs::everything(),
        ..SensorOptions::default()
    };
    let mut sensor = Sensor::start(&options).expect("the sensor needs root and a kernel with BTF");
    // They outlive the storm.
    let lifetime = (seconds + 600).to_string();
    let container = || {
        Container::builder()
            .entrypoint(["/bin/workload", "sleep", &lifetime])
            .run()
    };
    let containers: Vec<Container> = (0..3).map(|_| container().unwrap()).collect();
    let [files, connects, execs] = &containers[..] else {
        panic!("three containers")
    };
    let long = seconds.to_string();
    // Far more than goes into that time: they are ended with their containers.
    let many = (seconds * 1_000_000).to_string();
    let copy = files
        .exec(["/bin/workload", "copy", "/bin/tiny", "/flood"])
        .unwrap();
    assert!(copy.wait(Duration::from_secs(30)).unwrap().status.success());
    let flood = files
        .exec(["/bin/workload", "flood", "/flood", &long, "2"])
        .unwrap();
    let others = [
        connects
            .exec(["/bin/workload", "measure", &format!("connect:{many}")])
            .unwrap(),
        execs
            .exec(["/bin/workload", "storm", "/bin/tiny", &many, "2"])
            .unwrap(),
    ];
    come_first();
    let (mut tiny, mut told) = (0_u64, BTreeMap::<EventClass, u64>::new());
    let mut each = |item| match item {
        SensorItem::Event(event) => {
            tiny += u64::from(matches!(&event.activity, Activity::Exec(exec) if *exec.path == *b"/bin/tiny"));
        }
        SensorItem::Lost(loss) => *told.entry(loss.class).or_default() += loss.count,
        SensorItem::ContainerStarted(_) | SensorItem::ContainerStopped(_) => {}
    };
    let end = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < end {
        sensor.poll(Duration::from_millis(20), &mut each).unwrap();
    }
    let waiting = std::thread::spawn(move || {
        let opened = flood.wait(Duration::from_mins(1)).unwrap();
        assert!(opened.status.success(), "{opened:?}");
        drop(containers);
        drop(others);
        opened.text.trim().parse::<u64>().unwrap()
    });
    let deadline = Instant::now() + Duration::from_mins(2);
    while !waiting.is_finished() {
        assert!(Instant::now() < deadline, "the flood does not end");
        sensor.poll(Duration::from_millis(20), &mut each).unwrap();
    }
    let opened = waiting.join().unwrap();
    // Until nothing comes any more, and every loss was told of.
    let quiet = Instant::now() + Duration::from_secs(3);
    while Instant::now() < quiet {
        sensor.poll(Duration::from_millis(100), &mut each).unwrap();
    }

    let stats = sensor.stats().unwrap();
    let by_class = |counts: &[(EventClass, u64)]| counts.iter().copied().collect::<BTreeMap<_, _>>();
    let (made, delivered, lost) = (
        by_class(&stats.made),
        by_class(&stats.delivered),
        by_class(&stats.lost),
    );
    println!("{opened} opens in {seconds} s; {tiny} runs of /bin/tiny seen");
    for class in EventClass::ALL {
        let (made, delivered, lost) = (made[&class], delivered[&class], lost[&class]);
        println!("{class:<8} made {made:>9}  delivered {delivered:>9}  lost {lost:>9}");
        assert_eq!(made, delivered + lost, "{class}: {stats:?}");
        assert_eq!(told.get(&class).copied().unwrap_or(0), lost, "{class} as items");
    }
    assert!(made[&EventClass::File] >= opened, "every open made an event");
    assert!(tiny > 100 && made[&EventClass::Network] > 1000, "all of them ran");
    assert_eq!(lost[&EventClass::Exec], 0, "files push no exec out");
    assert_eq!(stats.malformed, 0);
}
