use std::io::{self, Write};

use runtime_core::alert::{Action, Alert, AlertActivity, AlertContainer, AlertProcess};
use runtime_core::process::Ancestor;
use runtime_core::{AlertSink, ContainerId, EngineKind, Pid, RawString, Severity, Timestamp};

use super::*;

fn mk_alert() -> Alert {
    let container = AlertContainer {
        id: ContainerId::new("0123456789abcdef"),
        name: Some("app".into()),
        image: Some("registry.example/app:1".into()),
    };
    let process = AlertProcess {
        pid: Pid(42),
        path: "/bin/busybox".into(),
        invoked_as: Some("/tmp/xmrig".into()),
        script: None,
        args: vec!["xmrig".into(), RawString::from(&b"a\nb\xff"[..])],
        args_truncated: true,
        cwd: None,
        uid: 1000,
        start_time: Timestamp::default(),
        parent_path: Some("/bin/sh".into()),
        ancestors: vec![Ancestor {
            origin: None,
            pid: Pid(41),
            path: "/bin/sh".into(),
        }],
    };
    let activity = AlertActivity::Exec {
        path: "/bin/busybox".into(),
        sha256: None,
        size: Some(3),
        origin: None,
    };
    Alert {
        id: "01939c34-7d5b-7000-8000-000000000000".parse().unwrap(),
        time: Timestamp::from_unix_nanos(1_795_000_000_123_456_789),
        engine: EngineKind::Signatures,
        rule: "crypto-miner-execution".into(),
        title: "A crypto miner was executed".into(),
        output: Some("Miner (path=/bin/busybox)".into()),
        severity: Severity::Critical,
        tags: Vec::new(),
        action: Action::Killed,
        action_detail: Some("container killed in 0.4 ms".into()),
        node: "node-1".into(),
        pod_group: None,
        pod: None,
        container: Some(container),
        process,
        activity,
        count: 1,
        repeat_of: None,
    }
}

/// Keeps what has been flushed apart from what has only been written.
#[derive(Default)]
struct Pipe {
    written: Vec<u8>,
    flushed: usize,
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.written.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.flushed = self.written.len();
        Ok(())
    }
}

struct Broken;

impl Write for Broken {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn json_lines_are_one_object_a_line_and_out_at_once() {
    let mut sink = JsonLines::new(Pipe::default());
    sink.deliver(&mk_alert()).unwrap();
    sink.deliver(&mk_alert()).unwrap();
    let pipe = sink.into_inner();
    assert_eq!(pipe.flushed, pipe.written.len());
    let text = String::from_utf8(pipe.written).unwrap();
    assert!(text.ends_with('\n'));
    let lines: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["action"], "killed");
    assert_eq!(lines[0]["process"]["args"][1], r"a\x0ab\xff");
}

#[test]
fn a_line_for_people_says_what_where_and_who() {
    let mut sink = TextLines::new(Pipe::default());
    sink.deliver(&mk_alert()).unwrap();
    let pipe = sink.into_inner();
    assert_eq!(pipe.flushed, pipe.written.len());
    assert_eq!(
        String::from_utf8(pipe.written).unwrap(),
        "2026-11-18T11:06:40.123456789Z CRITICAL killed  A crypto miner was executed [crypto-miner-execution]; \
         container app (0123456789ab) of registry.example/app:1; process /bin/busybox as /tmp/xmrig (pid 42, uid 1000) \
         by /bin/sh; args xmrig a\\x0ab\\xff and more; container killed in 0.4 ms; \
         Miner (path=/bin/busybox)\n"
    );
}

#[test]
fn a_line_for_people_stays_one_line_whatever_is_in_it() {
    let mut alert = mk_alert();
    alert.container.as_mut().unwrap().name = Some("a\n\u{1b}[2J".into());
    alert.title = "x\ry".into();
    alert.count = 7;
    alert.repeat_of = Some(alert.id);
    let mut sink = TextLines::new(Vec::new());
    sink.deliver(&alert).unwrap();
    let text = String::from_utf8(sink.into_inner()).unwrap();
    assert_eq!(text.chars().filter(|c| c.is_control()).collect::<String>(), "\n");
    assert!(text.contains("(repeated 7 times)"), "{text}");
}

#[test]
fn a_reader_that_is_gone_is_an_error() {
    assert!(JsonLines::new(Broken).deliver(&mk_alert()).is_err());
    assert!(TextLines::new(Broken).deliver(&mk_alert()).is_err());
}
