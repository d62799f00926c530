//! A sensor, the built-in signatures, and a container that programs run in.

use std::time::{Duration, Instant};

use runtime_core::policy::PolicySet;
use runtime_core::{Activity, Event, Response, SensorItem, Severity, Verdict};
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
}

pub(crate) struct Scene {
    sensor: Sensor,
    pipeline: Pipeline,
    container: Container,
    /// How many times the end of something was marked.
    marks: u32,
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
            marks: 0,
        };
        scene.until_marked(None);
        scene
    }

    /// Runs programs in the container, one after the other, and gives what was found in what they did.
    pub(crate) fn does(&mut self, programs: &[&[&str]]) -> Vec<Found> {
        for argv in programs {
            // Some are to fail: what they tried is of interest.
            let output = self.container.exec(*argv).unwrap().wait(LIMIT).unwrap();
            println!(
                "{argv:?}: {:?} {}",
                output.status,
                output.text.trim().replace('\n', " ")
            );
        }
        self.until_marked(None)
    }

    /// Runs a program as the entrypoint of a container of its own, and gives what was found in that.
    pub(crate) fn starts(&mut self, entrypoint: &[&str]) -> Vec<Found> {
        let mut container = image().entrypoint(entrypoint).run().unwrap();
        container.wait(LIMIT).unwrap();
        self.until_marked(Some(container.id()))
    }

    /// Runs one more program, and takes in everything up to that: what was found in the container, or in another one.
    /// Other tests have theirs at the same time.
    fn until_marked(&mut self, other: Option<&str>) -> Vec<Found> {
        let own = self.container.id().to_owned();
        let within = other.unwrap_or(&own);
        self.marks += 1;
        let mark = self.marks.to_string();
        let ended = self
            .container
            .exec(["/bin/workload", "print", "mark", &mark])
            .unwrap()
            .wait(LIMIT);
        assert!(ended.unwrap().status.success());
        let is_mark = |event: &Event| {
            let args = &event.process.args;
            matches!(event.activity, Activity::Exec(_))
                && args.get(2).is_some_and(|arg| **arg == *b"mark")
                && args.get(3).is_some_and(|arg| **arg == *mark.as_bytes())
                && event.container.as_ref().is_some_and(|of| of.id.as_str() == own)
        };
        let (mut found, mut marked) = (Vec::new(), false);
        let deadline = Instant::now() + LIMIT;
        while !marked {
            assert!(Instant::now() < deadline, "the mark never comes");
            let pipeline = &mut self.pipeline;
            let mut take = |item| match item {
                SensorItem::Event(event) => {
                    marked |= is_mark(&event);
                    if event.container.as_ref().is_none_or(|of| of.id.as_str() != within) {
                        return;
                    }
                    for finding in pipeline.judge(&event).iter().flat_map(Verdict::findings) {
                        found.push(Found {
                            rule: finding.rule.id.clone(),
                            severity: finding.severity,
                            response: finding.response,
                        });
                    }
                }
                SensorItem::Lost(loss) => panic!("{loss:?}"),
                SensorItem::ContainerStarted(_) | SensorItem::ContainerStopped(_) => {}
            };
            self.sensor.poll(Duration::from_millis(20), &mut take).unwrap();
        }
        found
    }
}
