//! A sensor, the built-in signatures, and a container that programs run in.

use std::time::{Duration, Instant};

use runtime_core::policy::PolicySet;
use runtime_core::{Activity, Event, Pid, Response, SensorItem, Severity, Verdict};
use runtime_ebpf::{Sensor, SensorOptions};
use runtime_engines::signatures::builtin;
use runtime_engines::{Pipeline, RuleSet, SignatureEngine};
use testbed::{Builder, Container};

const LIMIT: Duration = Duration::from_mins(1);

/// What a signature found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) rule: String,
    pub(crate) severity: Severity,
    pub(crate) response: Response,
    container: String,
    /// Of the process and those that it comes from.
    pids: Vec<Pid>,
}

pub(crate) struct Scene {
    sensor: Sensor,
    pipeline: Pipeline,
    container: Container,
    /// What was found and nobody has asked for yet.
    found: Vec<Found>,
    /// How many times the end of something was marked, and the last of these marks that was told of.
    marks: u32,
    marked: u32,
}

/// Programs that containers here have, all of them the workload under another name.
const PROGRAMS: &[&str] = &[
    "/bin/cat",
    "/bin/grep",
    "/bin/nc",
    "/bin/sh",
    "/bin/su",
    "/sbin/debugfs",
    "/sbin/e2fsck",
    "/usr/bin/crontab",
    "/usr/bin/curl",
    "/usr/bin/dpkg",
    "/usr/bin/gdb",
    "/usr/bin/kubelet",
    "/usr/bin/nsenter",
    "/usr/bin/rm",
    "/usr/bin/shred",
    "/usr/bin/ssh",
    "/usr/bin/strace",
    "/usr/bin/xmrig",
    "/usr/sbin/nginx",
    "/usr/sbin/useradd",
];

/// Files with nothing of interest in them.
const FILES: &[&str] = &[
    "/etc/cron.d/keep",
    "/etc/kubernetes/pki/ca.key",
    "/etc/profile",
    "/etc/shadow",
    "/etc/sudoers",
    "/etc/sudoers.d/keep",
    "/lib64/ld-linux-x86-64.so.2",
    "/root/.ssh/known_hosts",
    "/run/secrets/kubernetes.io/serviceaccount/token",
    "/usr/sbin/keep",
    "/var/log/wtmp",
    "/var/www/index.html",
    "/work/cgroup/notify_on_release",
    "/work/cgroup/release_agent",
];

fn image() -> Builder {
    let builder = PROGRAMS
        .iter()
        .fold(Container::builder().overlay(), |builder, path| {
            builder.workload_as(path)
        });
    FILES
        .iter()
        .fold(builder, |builder, path| builder.file(path, "text", 0o644))
        .tiny_as("/usr/local/bin/podwarden-test-signature")
}

impl Scene {
    pub(crate) fn new() -> Self {
        let (rules, problems) = RuleSet::compile(&[builtin()]);
        assert_eq!(problems, []);
        let engine = Box::new(SignatureEngine::new(rules));
        let pipeline = Pipeline::new(vec![engine], PolicySet::new(Vec::new()));
        let options = SensorOptions {
            needs: pipeline.needs(),
            ..SensorOptions::default()
        };
        let sensor = Sensor::start(&options).expect("the sensor needs root and a kernel with BTF");
        let mut scene = Self {
            sensor,
            pipeline,
            container: image().run().unwrap(),
            found: Vec::new(),
            marks: 0,
            marked: 0,
        };
        scene.until_marked("");
        scene
    }

    /// Runs programs in the container, one after the other, and gives what was found in what they did.
    pub(crate) fn does(&mut self, programs: &[&[&str]]) -> Vec<Found> {
        self.does_each(&[programs]).remove(0)
    }

    /// The same for many such lists, and what was found in each.
    pub(crate) fn does_each(&mut self, lists: &[&[&[&str]]]) -> Vec<Vec<Found>> {
        let pids: Vec<Vec<Pid>> = lists
            .iter()
            .map(|programs| programs.iter().map(|argv| self.runs(argv)).collect())
            .collect();
        let own = self.container.id().to_owned();
        let found = self.until_marked(&own);
        let of = |pids: &Vec<Pid>| {
            let by = |found: &&Found| found.pids.iter().any(|pid| pids.contains(pid));
            found.iter().filter(by).cloned().collect()
        };
        pids.iter().map(of).collect()
    }

    fn runs(&mut self, argv: &[&str]) -> Pid {
        let program = self.container.exec(argv).unwrap();
        let pid = Pid(program.pid().unwrap());
        // Some are to fail: what they tried is of interest.
        let output = program.wait(LIMIT).unwrap();
        let text = output.text.trim().replace('\n', " ");
        println!("{argv:?}: {:?} {text}", output.status);
        // The ring of the kernel is not to run full meanwhile.
        self.take_in(Duration::ZERO);
        pid
    }

    /// Runs a program as the entrypoint of a container of its own, and gives what was found in that.
    pub(crate) fn starts(&mut self, entrypoint: &[&str]) -> Vec<Found> {
        let mut container = image().entrypoint(entrypoint).run().unwrap();
        container.wait(LIMIT).unwrap();
        self.until_marked(container.id())
    }

    /// Runs one more program, and gives what was found in a container up to that. Other tests have theirs at the same
    /// time.
    fn until_marked(&mut self, within: &str) -> Vec<Found> {
        self.marks += 1;
        let mark = self.marks.to_string();
        let program = self
            .container
            .exec(["/bin/workload", "print", "mark", &mark])
            .unwrap();
        assert!(program.wait(LIMIT).unwrap().status.success());
        let deadline = Instant::now() + LIMIT;
        while self.marked < self.marks {
            assert!(Instant::now() < deadline, "the mark never comes");
            self.take_in(Duration::from_millis(20));
        }
        let (wanted, rest) = std::mem::take(&mut self.found)
            .into_iter()
            .partition(|found| found.container == within);
        self.found = rest;
        wanted
    }

    /// Judges what has come out of the sensor.
    fn take_in(&mut self, timeout: Duration) {
        let Self {
            sensor,
            pipeline,
            container,
            found,
            marked,
            ..
        } = self;
        let mut take = |item| match item {
            SensorItem::Event(event) => {
                let within = event.container.as_ref().map_or("", |of| of.id.as_str());
                if let Some(mark) = mark_of(&event).filter(|_| within == container.id()) {
                    *marked = mark;
                }
                let process = &event.process;
                let ancestors = process.ancestors.iter().map(|ancestor| ancestor.pid);
                let pids: Vec<Pid> = std::iter::once(process.pid).chain(ancestors).collect();
                for finding in pipeline.judge(&event).iter().flat_map(Verdict::findings) {
                    found.push(Found {
                        rule: finding.rule.id.clone(),
                        severity: finding.severity,
                        response: finding.response,
                        container: within.to_owned(),
                        pids: pids.clone(),
                    });
                }
            }
            SensorItem::Lost(loss) => {
                // Whatever else happens on this machine is no matter here.
                let own = loss
                    .container
                    .as_ref()
                    .is_some_and(|of| of.id.as_str() == container.id());
                assert!(!own, "{loss:?}");
            }
            SensorItem::ContainerStarted(_) | SensorItem::ContainerStopped(_) => {}
        };
        sensor.poll(timeout, &mut take).unwrap();
    }
}

/// The number that a program printed as a mark.
fn mark_of(event: &Event) -> Option<u32> {
    let [.., word, number] = &event.process.args[..] else {
        return None;
    };
    let marks = matches!(event.activity, Activity::Exec(_)) && **word == *b"mark";
    str::from_utf8(number).ok()?.parse().ok().filter(|_| marks)
}
