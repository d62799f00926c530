//! A sensor, a container, and what is told of the system calls in it.

use std::time::{Duration, Instant};

use runtime_core::{Activity, Event, Needs, Outcome, SensorItem, SystemActivity, Trust};
use runtime_ebpf::{Sensor, SensorOptions};
use testbed::{Builder, Container};

pub(crate) const LIMIT: Duration = Duration::from_secs(30);
pub(crate) const CWD: &str = "-100";

/// A sensor that is asked for something, and a container.
pub(crate) struct Scene {
    pub(crate) sensor: Sensor,
    pub(crate) container: Container,
    events: Vec<Event>,
}

impl Scene {
    pub(crate) fn new(needs: Needs) -> Self {
        Self::with(needs, Container::builder())
    }

    /// In this container, to which a few files are added.
    pub(crate) fn with(needs: Needs, container: Builder) -> Self {
        let options = SensorOptions {
            needs,
            lifecycle: true,
            ..SensorOptions::default()
        };
        let sensor = Sensor::start(&options).expect("the sensor needs root and a kernel with BTF");
        let container = container
            .file("/etc/shadow", "secret", 0o600)
            .file("/etc/plain", "plain", 0o644)
            .file("/work/data", "data", 0o644)
            .symlink("/work/link", "/etc/shadow")
            .run()
            .unwrap();
        let mut scene = Self {
            sensor,
            container,
            events: Vec::new(),
        };
        // Watched files are looked up when the container is heard of.
        let deadline = Instant::now() + LIMIT;
        while scene.events.is_empty() {
            assert!(Instant::now() < deadline, "the container is never heard of");
            scene.poll();
        }
        scene
    }

    pub(crate) fn poll(&mut self) {
        let events = &mut self.events;
        self.sensor
            .poll(Duration::from_millis(20), &mut |item| match item {
                SensorItem::Event(event) => events.push(event),
                SensorItem::Lost(loss) => panic!("{loss:?}"),
                SensorItem::ContainerStarted(_) | SensorItem::ContainerStopped(_) => {}
            })
            .unwrap();
    }

    /// Makes system calls in the container, and gives what was told of that process.
    pub(crate) fn does(&mut self, calls: &[&str]) -> Vec<Event> {
        let mut argv = vec!["/bin/workload", "syscalls"];
        argv.extend(calls);
        self.runs(&argv)
    }

    pub(crate) fn runs(&mut self, argv: &[&str]) -> Vec<Event> {
        self.runs_and_prints(argv).0
    }

    /// The same, and what the program printed.
    pub(crate) fn runs_and_prints(&mut self, argv: &[&str]) -> (Vec<Event>, String) {
        self.events.clear();
        let output = self.container.exec(argv).unwrap().wait(LIMIT).unwrap();
        assert!(output.status.success(), "{argv:?}: {}", output.text);
        println!(
            "{argv:?}: {}",
            output.text.split_whitespace().collect::<Vec<_>>().join(" ")
        );
        let deadline = Instant::now() + LIMIT;
        loop {
            let own = self.events.iter().find(|event| {
                // What is too long for the sensor is cut.
                let seen = &event.process.args;
                let same = seen
                    .iter()
                    .zip(argv)
                    .all(|(seen, asked)| asked.as_bytes().starts_with(seen));
                matches!(event.activity, Activity::Exec(_))
                    && same
                    && (seen.len() == argv.len() || event.process.args_truncated)
            });
            let pid = own.map(|event| event.process.pid);
            let over = self
                .events
                .iter()
                .any(|event| Some(event.process.pid) == pid && matches!(event.activity, Activity::Exit(_)));
            if let (Some(pid), true) = (pid, over) {
                // A record that another processor is writing may hold up those behind it for a moment.
                self.poll();
                let own = self.events.iter().filter(|event| event.process.pid == pid);
                let id = self.container.id();
                let own: Vec<Event> = own
                    .filter(|event| {
                        !matches!(
                            event.activity,
                            Activity::Exec(_) | Activity::Exit(_) | Activity::Fork
                        )
                    })
                    // The language's own start-up looks for the end of its stack.
                    .filter(|event| !told(event).ends_with("/maps"))
                    .cloned()
                    .collect();
                for event in &own {
                    assert_eq!(
                        event.container.as_ref().map(|container| container.id.as_str()),
                        Some(id)
                    );
                    assert_eq!(*event.process.exe, *b"/bin/workload");
                    assert!(!event.process.args.is_empty(), "the process is known");
                }
                return (own, output.text);
            }
            assert!(
                Instant::now() < deadline,
                "{argv:?} is not over: {:#?}",
                self.events
            );
            self.poll();
        }
    }

    /// The same in words: see [`told`].
    pub(crate) fn told(&mut self, calls: &[&str]) -> Vec<String> {
        self.does(calls).iter().map(told).collect()
    }
}

/// An event in a line: the call, whether it was done, who says so, and what it was.
pub(crate) fn told(event: &Event) -> String {
    let call = event.call.map_or(String::new(), |call| call.syscall.to_string());
    let outcome = match event.outcome {
        Outcome::Done => "done",
        Outcome::Attempted => "attempted",
    };
    let trust = match event.trust {
        Trust::Kernel => "kernel",
        Trust::Argument => "argument",
    };
    let what = match &event.activity {
        Activity::File(file) => {
            let name = file.operation.name();
            let new = file
                .new_path
                .as_ref()
                .map_or(String::new(), |new| format!(" -> {new}"));
            format!("{name} {}{new}", file.path)
        }
        Activity::Network(network) => {
            let remote = network
                .remote
                .as_ref()
                .map_or(String::new(), |remote| format!(" {remote}"));
            format!("{} {}{remote}", network.operation.name(), network.protocol.name())
        }
        Activity::System(system) => match system {
            SystemActivity::Ptrace { target, .. }
            | SystemActivity::WriteMemory { target, .. }
            | SystemActivity::Signal { target, .. } => format!(
                "{} {}",
                system.name(),
                target
                    .exe
                    .as_ref()
                    .map_or("unknown".to_owned(), ToString::to_string)
            ),
            system => match system.target() {
                Some(target) => format!("{} {target}", system.name()),
                None => system.name().to_owned(),
            },
        },
        other => format!("{other:?}"),
    };
    format!("{call} {outcome} {trust} {what}")
}

pub(crate) fn number(call: libc::c_long) -> String {
    call.to_string()
}

/// `calls!["NUMBER", args…; …]` joined with commas.
macro_rules! calls {
    ($($($word:expr),+);+ $(;)?) => {{
        let mut words: Vec<String> = Vec::new();
        $(
            if !words.is_empty() {
                words.push(",".to_owned());
            }
            $(words.push($word.to_string());)+
        )+
        words
    }};
}

pub(crate) fn words(calls: &[String]) -> Vec<&str> {
    calls.iter().map(String::as_str).collect()
}

pub(crate) fn check(scene: &mut Scene, calls: &[String], expected: &[&str]) {
    let calls = words(calls);
    assert_eq!(scene.told(&calls), expected, "{calls:?}");
}
