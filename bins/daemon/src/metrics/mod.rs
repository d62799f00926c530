//! What the daemon says of itself to those who ask by HTTP: metrics, and whether it lives and watches.

mod http;
mod vitals;

use std::fmt;
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use runtime_core::EventClass;

pub(crate) use self::http::Server;
use self::http::{Answer, serve};
pub(crate) use self::vitals::{Source, SourceStats, Vitals};
use crate::counters::{BOUNDS_MICROS, Counters, Histogram};
use crate::delivery::QUEUE;

/// What `prometheus_client` writes.
const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Serves `/metrics`, `/healthz` and `/readyz`.
pub(crate) fn start(
    address: SocketAddr,
    counters: &Arc<Counters>,
    vitals: &Arc<Vitals>,
) -> io::Result<(Server, SocketAddr)> {
    let listener = TcpListener::bind(address)?;
    let bound = listener.local_addr()?;
    let vitals = Arc::clone(vitals);
    let mut registry = Registry::default();
    // Under the name that every dashboard knows, which has no prefix.
    registry.register_collector(Box::new(Process));
    let own = registry.sub_registry_with_prefix("podwarden");
    own.register_collector(Box::new(Exposition {
        counters: Arc::clone(counters),
        vitals: Arc::clone(&vitals),
    }));
    let server = serve(listener, move |path| {
        let now = Instant::now();
        match path {
            "/metrics" => Some(exposed(&registry)),
            "/healthz" => Some(state(vitals.is_healthy(now), "healthy", "the sensor is stuck")),
            "/readyz" => Some(state(vitals.is_ready(now), "ready", "containers are not watched")),
            _ => None,
        }
    })?;
    Ok((server, bound))
}

fn state(good: bool, yes: &str, no: &str) -> Answer {
    if good {
        Answer::text("200 OK", yes)
    } else {
        Answer::text("503 Service Unavailable", no)
    }
}

fn exposed(registry: &Registry) -> Answer {
    let mut body = String::with_capacity(16 << 10);
    match text::encode(&mut body, registry) {
        Ok(()) => Answer {
            status: "200 OK",
            media_type: MEDIA_TYPE,
            body,
        },
        Err(_) => Answer::text("500 Internal Server Error", "the metrics cannot be written"),
    }
}

/// The counters as Prometheus wants them. They are read when somebody asks: the threads that count know nothing
/// of it and share no lock with it.
#[derive(Debug)]
struct Exposition {
    counters: Arc<Counters>,
    vitals: Arc<Vitals>,
}

impl Collector for Exposition {
    fn encode(&self, mut to: DescriptorEncoder<'_>) -> fmt::Result {
        let counters = &*self.counters;
        let SourceStats {
            malformed,
            unresolved,
            troubles,
            made,
            gaps,
            dns_malformed,
            dns_refused,
        } = self.vitals.stats();

        let help = "Events that the kernel made, whether they were delivered or lost";
        let mut of = family(&mut to, "events_made", help, MetricType::Counter)?;
        for (class, sum) in made {
            put(&mut of, &[("class", class.to_string())], sum)?;
        }
        let mut of = family(
            &mut to,
            "events",
            "Events that the sensor delivered",
            MetricType::Counter,
        )?;
        for (class, sum) in counters.events.sums() {
            put(&mut of, &[("class", class.to_string())], sum)?;
        }
        let help = "Events that the kernel made and no engine saw: there was no room in the ring, or nothing could \
                    be found out of the cgroup";
        let mut of = family(&mut to, "events_lost", help, MetricType::Counter)?;
        for (class, sum) in counters.events_lost.sums() {
            put(&mut of, &lost(class, "ring-full"), sum)?;
        }
        put(&mut of, &lost(EventClass::Exec, "unresolved"), unresolved)?;
        let help = "Records that did not arrive, as gaps in their numbers show: events_lost once more, from the other \
                    side, and not to be added to it";
        let mut of = family(&mut to, "sequence_gaps", help, MetricType::Counter)?;
        for (class, sum) in gaps {
            put(&mut of, &[("class", class.to_string())], sum)?;
        }
        let help = "Reports of losses that the log had no room for; what they tell of is in events_lost";
        one(&mut to, "losses_untold", help, counters.losses_untold.sum())?;
        let help = "Events left out of the recording that --record asks for";
        one(
            &mut to,
            "events_unrecorded",
            help,
            counters.events_unrecorded.sum(),
        )?;
        let help = "Records of the kernel that could not be decoded";
        one(&mut to, "decode_errors", help, malformed)?;
        let help = "What went wrong in the kernel's part of the sensor";
        let mut of = family(&mut to, "sensor_troubles", help, MetricType::Counter)?;
        for (kind, sum) in troubles {
            put(&mut of, &[("kind", kind.to_owned())], sum)?;
        }
        let help = "Errors of the sensor that it came back from";
        one(&mut to, "sensor_errors", help, counters.sensor_errors.sum())?;
        let help = "The tier of the kernel hooks in use: 1 BPF LSM, 2 trampolines, 3 tracepoints, 0 none yet";
        gauge(&mut to, "hook_tier", help, self.vitals.tier())?;
        if let Some(attachment) = self.vitals.attachment() {
            let help = "How the kernel hooks in use are attached";
            info(&mut to, "hooks_info", help, &[("attachment", attachment)])?;
        }
        let help = "What is running";
        let version = env!("CARGO_PKG_VERSION");
        info(&mut to, "build_info", help, &[("version", version)])?;

        let help = "DNS messages of containers that could not be read";
        one(&mut to, "dns_malformed", help, dns_malformed)?;
        let help =
            "DNS answers that no names were learned from, because nothing like it was asked of the sender";
        one(&mut to, "dns_refused", help, dns_refused)?;

        let help = "Findings of the engines, one alert each";
        one(&mut to, "findings", help, counters.findings.sum())?;
        let help = "Kills of containers that have ended";
        let mut of = family(&mut to, "kills", help, MetricType::Counter)?;
        put(&mut of, &[("outcome", "killed".to_owned())], counters.kills.sum())?;
        put(
            &mut of,
            &[("outcome", "failed".to_owned())],
            counters.kills_failed.sum(),
        )?;
        let help = "Alerts written";
        one(&mut to, "alerts_delivered", help, counters.alerts_delivered.sum())?;
        let help = "Alerts that were not written, because the queue was full or standard output failed";
        one(&mut to, "alerts_failed", help, counters.alerts_failed.sum())?;
        let help = "Occurrences of which no alert tells because nobody took alerts fast enough";
        one(&mut to, "alerts_lost", help, counters.alerts_lost.sum())?;
        let help = "Alerts that wait to be written";
        gauge(&mut to, "alert_queue_depth", help, counters.undelivered())?;
        let help = "How many alerts can wait to be written";
        gauge(&mut to, "alert_queue_capacity", help, QUEUE as u64)?;

        let help = "How long after an event in the kernel it was handed to the judge and judged, of one event in 16, and \
                    its container was signalled and gone, where it was killed; delivered, from an alert being queued \
                    to its being written";
        let mut of = family(&mut to, "stage_seconds", help, MetricType::Histogram)?;
        let stages = [
            ("handed", &counters.handed),
            ("judged", &counters.judged),
            ("signalled", &counters.signalled),
            ("gone", &counters.gone),
            ("delivered", &counters.delivered),
        ];
        for (stage, histogram) in stages {
            let labels = [("stage", stage)];
            put_histogram(of.encode_family(&labels)?, histogram)?;
        }
        Ok(())
    }
}

/// What the kernel counts for this process.
#[derive(Debug)]
struct Process;

impl Collector for Process {
    fn encode(&self, mut to: DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Resident memory";
        match resident_bytes() {
            Some(bytes) => gauge(&mut to, "process_resident_memory_bytes", help, bytes),
            // No figure says more than a wrong one.
            None => Ok(()),
        }
    }
}

/// This process's resident memory; `None` where the kernel does not say.
fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    kibibytes.checked_mul(1 << 10)
}

fn lost(class: EventClass, reason: &str) -> [(&'static str, String); 2] {
    [("class", class.to_string()), ("reason", reason.to_owned())]
}

fn family<'a>(
    to: &'a mut DescriptorEncoder<'_>,
    name: &'a str,
    help: &str,
    kind: MetricType,
) -> Result<MetricEncoder<'a>, fmt::Error> {
    to.encode_descriptor(name, help, None, kind)
}

fn put<const N: usize>(
    of: &mut MetricEncoder<'_>,
    labels: &[(&'static str, String); N],
    sum: u64,
) -> fmt::Result {
    ConstCounter::new(sum).encode(of.encode_family(labels)?)
}

fn one(to: &mut DescriptorEncoder<'_>, name: &str, help: &str, sum: u64) -> fmt::Result {
    ConstCounter::new(sum).encode(family(to, name, help, MetricType::Counter)?)
}

fn gauge(to: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: u64) -> fmt::Result {
    let value = i64::try_from(value).unwrap_or(i64::MAX);
    ConstGauge::new(value).encode(family(to, name, help, MetricType::Gauge)?)
}

/// A gauge that is always 1 and says what it has to say in its labels.
fn info(
    to: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    labels: &[(&'static str, &'static str); 1],
) -> fmt::Result {
    let mut of = family(to, name, help, MetricType::Gauge)?;
    ConstGauge::new(1_i64).encode(of.encode_family(labels)?)
}

fn put_histogram(mut to: MetricEncoder<'_>, histogram: &Histogram) -> fmt::Result {
    let bounds = BOUNDS_MICROS.map(|micros| Duration::from_micros(micros).as_secs_f64());
    let bounds = bounds.into_iter().chain([f64::INFINITY]);
    let buckets: Vec<(f64, u64)> = bounds.zip(histogram.counts()).collect();
    let count = buckets.iter().map(|(_, count)| count).sum();
    let total = histogram.total().as_secs_f64();
    to.encode_histogram::<NoLabelSet>(total, count, &buckets, None)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;

    use super::*;

    fn get(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn what_is_counted_is_exposed_and_probes_follow_the_sensor() {
        let counters = Arc::new(Counters::default());
        let vitals = Arc::new(Vitals::new(Instant::now()));
        let (_server, address) = start("127.0.0.1:0".parse().unwrap(), &counters, &vitals).unwrap();
        assert!(
            get(address, "/readyz").starts_with("HTTP/1.1 503 "),
            "nothing is watched yet"
        );
        assert!(get(address, "/healthz").starts_with("HTTP/1.1 200 "));

        counters.events.add(EventClass::File, 3);
        counters.events_lost.add(EventClass::Exec, 2);
        counters.judged.observe(Duration::from_micros(30));
        counters.delivered.observe(Duration::from_millis(2));
        counters.losses_untold.add(4);
        counters.alerts_failed.add(5);
        vitals.set_hooks(3, "tp_btf");
        vitals.beat(Instant::now());
        vitals.set_stats(SourceStats {
            malformed: 7,
            troubles: vec![("lost-full", 1)],
            gaps: vec![(EventClass::Exec, 6)],
            ..SourceStats::default()
        });
        let metrics = get(address, "/metrics");
        for line in [
            r#"podwarden_events_total{class="file"} 3"#,
            r#"podwarden_events_lost_total{class="exec",reason="ring-full"} 2"#,
            "podwarden_decode_errors_total 7",
            r#"podwarden_sensor_troubles_total{kind="lost-full"} 1"#,
            "podwarden_hook_tier 3",
            r#"podwarden_stage_seconds_bucket{le="0.00005",stage="judged"} 1"#,
            r#"podwarden_stage_seconds_count{stage="judged"} 1"#,
            r#"podwarden_stage_seconds_bucket{le="0.0025",stage="delivered"} 1"#,
            r#"podwarden_stage_seconds_count{stage="handed"} 0"#,
            r#"podwarden_sequence_gaps_total{class="exec"} 6"#,
            "podwarden_losses_untold_total 4",
            "podwarden_alerts_failed_total 5",
            r#"podwarden_hooks_info{attachment="tp_btf"} 1"#,
            concat!(
                "podwarden_build_info{version=\"",
                env!("CARGO_PKG_VERSION"),
                "\"} 1"
            ),
            "podwarden_alert_queue_depth 0",
            "# EOF",
        ] {
            assert!(metrics.lines().any(|each| each == line), "{line} in {metrics}");
        }
        let resident = "process_resident_memory_bytes ";
        let resident = metrics.lines().find_map(|line| line.strip_prefix(resident));
        let resident: u64 = resident.unwrap().parse().unwrap();
        assert!(resident > 1 << 20, "{resident} bytes hold no daemon");
        assert!(get(address, "/readyz").starts_with("HTTP/1.1 200 "));
        vitals.end();
        assert!(
            get(address, "/readyz").starts_with("HTTP/1.1 503 "),
            "it is about to end"
        );
    }

    #[test]
    fn a_port_that_is_taken_is_an_error() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let (counters, vitals) = (Arc::default(), Arc::new(Vitals::new(Instant::now())));
        assert!(start(taken.local_addr().unwrap(), &counters, &vitals).is_err());
    }
}
