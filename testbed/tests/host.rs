//! The host's own processes: watched when somebody asks for it, and only then. Needs root.

use std::process::Command;
use std::time::{Duration, Instant};

use runtime_core::{Activity, Event, EventClass, Needs, SensorItem};
use runtime_ebpf::{Sensor, SensorOptions};
use testbed::Container;

const LIMIT: Duration = Duration::from_secs(30);

fn start(host: bool) -> Sensor {
    let mut needs = Needs::everything();
    needs.classes = [EventClass::File].into();
    let options = SensorOptions {
        needs,
        host,
        ..SensorOptions::default()
    };
    Sensor::start(&options).expect("the sensor needs root and a kernel with BTF")
}

/// Polls until an event is there that `wanted` names, and gives all up to that one.
fn until(sensor: &mut Sensor, wanted: impl Fn(&Event) -> bool) -> Vec<Event> {
    let mut events: Vec<Event> = Vec::new();
    let deadline = Instant::now() + LIMIT;
    while !events.iter().any(&wanted) {
        assert!(Instant::now() < deadline, "it is never told of: {events:#?}");
        let mut take = |item| match item {
            SensorItem::Event(event) => events.push(event),
            SensorItem::Lost(loss) => panic!("{loss:?}"),
            SensorItem::ContainerStarted(_) | SensorItem::ContainerStopped(_) => {}
        };
        sensor.poll(Duration::from_millis(20), &mut take).unwrap();
    }
    events
}

fn opens(event: &Event, path: &str) -> bool {
    matches!(&event.activity, Activity::File(file) if *file.path == *path.as_bytes())
}

#[test]
fn the_host_is_watched_when_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("read-by-cat");
    std::fs::write(&file, "text").unwrap();
    let file = file.to_str().unwrap();
    let mut sensor = start(true);
    // The sensor's own process is nobody's business.
    let own = directory.path().join("own");
    std::fs::write(&own, "text").unwrap();
    let container = Container::builder().run().unwrap();

    assert!(
        Command::new("/bin/cat")
            .arg(file)
            .output()
            .unwrap()
            .status
            .success()
    );
    let events = until(&mut sensor, |event| opens(event, file));
    let open = events.iter().find(|event| opens(event, file)).unwrap();
    assert_eq!(open.container, None);
    let args: Vec<String> = open.process.args.iter().map(ToString::to_string).collect();
    assert_eq!(args, ["/bin/cat", file]);
    let executed =
        |event: &&Event| matches!(event.activity, Activity::Exec(_)) && event.process.pid == open.process.pid;
    assert_eq!(events.iter().filter(executed).count(), 1);
    assert!(!events.iter().any(|event| opens(event, own.to_str().unwrap())));

    // What is in a container is the container's all the same.
    let ended = container
        .exec(["/bin/workload", "print", "x"])
        .unwrap()
        .wait(LIMIT);
    assert!(ended.unwrap().status.success());
    let inside = |event: &Event| {
        event
            .container
            .as_ref()
            .is_some_and(|of| of.id.as_str() == container.id())
            && *event.process.exe == *b"/bin/workload"
            && event.process.args.iter().any(|arg| **arg == *b"print")
    };
    until(&mut sensor, inside);
}

#[test]
fn the_host_is_not_watched_by_itself() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("read-by-cat");
    std::fs::write(&file, "text").unwrap();
    let mut sensor = start(false);
    let container = Container::builder().run().unwrap();
    assert!(
        Command::new("/bin/cat")
            .arg(&file)
            .output()
            .unwrap()
            .status
            .success()
    );
    let ended = container
        .exec(["/bin/workload", "print", "x"])
        .unwrap()
        .wait(LIMIT);
    assert!(ended.unwrap().status.success());
    let events = until(&mut sensor, |event| {
        event.process.args.iter().any(|arg| **arg == *b"print")
    });
    let outside: Vec<&Event> = events.iter().filter(|event| event.container.is_none()).collect();
    assert!(outside.is_empty(), "{outside:#?}");
}
