//! The one place where the daemon's parts and the real crates meet.

use std::fs::File;
use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use runtime_backend::{DirectoryPolicySource, JsonLines, TextLines};
use runtime_core::policy::{PolicySet, Problem, RuleSource};
use runtime_core::ports::PortError;
use runtime_core::{AlertSink, BootTime, ContainerId, Event, Needs, Verdict};
use runtime_ebpf::respond::{ContainerKiller, KillerOptions};
use runtime_ebpf::{Attachment, Capabilities, Sensor, SensorOptions, SensorStats, plan_hooks};
use runtime_engines::{Pipeline, RuleSet, SignatureEngine, signatures};
use rustix::time::{ClockId, clock_gettime};
use signal_hook::consts::{SIGINT, SIGTERM};
use tracing::info;
use tracing_subscriber::EnvFilter;

use crate::counters::Counters;
use crate::daemon::{self, Parts};
use crate::error::{Error, chain};
use crate::guard::Judge;
use crate::memory;
use crate::metrics::{self, Source, SourceStats, Vitals};
use crate::policies::{Compiler, Policies};
use crate::priority;
use crate::record;
use crate::settings::{AlertFormat, MetricsAddress, Settings};
use crate::state_dir::StateDir;

/// Does what the settings say, to the end.
pub(crate) fn start(settings: Settings) -> Result<ExitCode, Error> {
    let Settings {
        policy_dir,
        state_dir,
        node_name,
        alerts,
        log_level,
        metrics_address,
        host_monitoring,
        record: record_to,
        check: only_check,
    } = settings;
    log_to_stderr(log_level.as_deref())?;
    let mut policies = Policies::new(
        policy_dir.map(DirectoryPolicySource::new),
        Signatures { host_monitoring },
    );
    if only_check {
        return check(&mut policies);
    }
    let stop = stop_on_signals()?;
    let _state = StateDir::open(&state_dir)?;
    // Before the sensor: nothing is judged, let alone killed, by half of the policies.
    let loaded = policies.load().map_err(Error::Policies)?;
    daemon::log_loaded(&loaded);
    let recording = record_to.as_deref().map(recording).transpose()?;
    let counters = Arc::new(Counters::default());
    let vitals = Arc::new(Vitals::new(Instant::now()));
    let _metrics = serve_metrics(metrics_address, &counters, &vitals)?;
    priority::raise();
    let options = SensorOptions {
        needs: loaded.judge.needs(),
        host: host_monitoring,
        quick_start: true,
        ..SensorOptions::default()
    };
    let sensor = Sensor::start(&options).map_err(|error| Error::SensorStart(error.into()))?;
    let responder = ContainerKiller::new(sensor.cgroup_tree(), KillerOptions::default())
        .map_err(|error| Error::ResponderStart(error.into()))?;
    vitals.set_hooks(sensor.plan().tier, attachment(sensor.plan().attachment));
    // Loading reads all of the kernel's type information, many times what the daemon needs from then on.
    memory::give_back();
    // Threads inherit it: only the sensor's is to have it, which sees to that itself.
    priority::lower();
    info!(
        node = node_name,
        kernel = sensor.capabilities().release,
        tier = sensor.plan().tier,
        builtin_signatures = signatures::BUILTIN_VERSION,
        containers = sensor.containers().count(),
        "watching"
    );
    let parts = Parts {
        source: sensor,
        responder,
        sink: sink(alerts),
        judge: loaded.judge,
        policies,
        problems: loaded.problems,
        node: node_name,
        clock: Arc::new(boot_time),
        counters,
        vitals,
        recording,
    };
    daemon::run(parts, &stop)?;
    Ok(ExitCode::SUCCESS)
}

/// The file that events are recorded to.
fn recording(path: &Path) -> Result<File, Error> {
    let file = record::create(path).map_err(|source| Error::Record {
        path: path.to_owned(),
        source,
    })?;
    info!(file = %path.display(), "recording events");
    Ok(file)
}

/// Before the sensor, so that whoever asks is told that the daemon is not ready yet.
fn serve_metrics(
    address: MetricsAddress,
    counters: &Arc<Counters>,
    vitals: &Arc<Vitals>,
) -> Result<Option<metrics::Server>, Error> {
    let MetricsAddress::At(address) = address else {
        return Ok(None);
    };
    let (server, bound) =
        metrics::start(address, counters, vitals).map_err(|source| Error::Metrics { address, source })?;
    info!(address = %bound, "metrics");
    Ok(Some(server))
}

impl Source for Sensor {
    fn stats(&self) -> Result<SourceStats, PortError> {
        let SensorStats {
            malformed,
            unresolved,
            troubles,
            made,
            gaps,
            names,
            packets_malformed,
            packets_elsewhere,
            ..
        } = Self::stats(self)?;
        Ok(SourceStats {
            malformed,
            unresolved,
            troubles,
            made,
            gaps,
            dns_malformed: names.malformed + packets_malformed,
            dns_refused: names.unsolicited
                + names.duplicates
                + names.wrong_server
                + names.changed_case
                + packets_elsewhere,
        })
    }
}

/// As the kernel calls it.
fn attachment(how: Attachment) -> &'static str {
    match how {
        Attachment::Btf => "tp_btf",
        Attachment::Raw => "raw_tp",
    }
}

/// Prints what the policies come to and what this kernel can do. It fails when a policy was refused or the
/// sensor could not start here: zero means that the daemon would do all that it is told to.
fn check(policies: &mut Policies<DirectoryPolicySource, Signatures>) -> Result<ExitCode, Error> {
    let loaded = policies.load().map_err(Error::Policies)?;
    for problem in &loaded.problems {
        println!("problem           {problem}");
    }
    println!("policies          {}", loaded.policies);
    println!("rule files        {}", loaded.rule_sources);
    println!("signatures        {}", loaded.judge.signatures);
    let capabilities = Capabilities::probe();
    println!("{capabilities}");
    let plan = plan_hooks(&capabilities);
    match &plan {
        Ok(plan) => println!("{plan}"),
        Err(error) => println!("hook tier         none: {}", chain(error)),
    }
    let good = loaded.problems.is_empty() && plan.is_ok();
    Ok(if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The signatures engine, built-in rules first.
struct Signatures {
    /// Whether processes in no container are judged as well.
    host_monitoring: bool,
}

/// All engines under one set of policies.
struct Engines {
    pipeline: Pipeline,
    /// How many signatures are in force.
    signatures: usize,
}

impl Compiler for Signatures {
    type Rules = RuleSet;
    type Judge = Engines;

    fn compile(&self, sources: &[RuleSource]) -> (RuleSet, Vec<Problem>) {
        // First, so that a file may override a built-in rule.
        let mut all = vec![signatures::builtin()];
        all.extend_from_slice(sources);
        RuleSet::compile(&all)
    }

    fn check(&self, rules: &RuleSet) -> Result<(), PortError> {
        Ok(runtime_ebpf::check_needs(&rules.needs())?)
    }

    fn assemble(&self, rules: RuleSet, policies: PolicySet) -> Engines {
        let signatures = rules.rules().iter().filter(|rule| rule.enabled).count();
        Engines {
            pipeline: Pipeline::new(vec![Box::new(SignatureEngine::new(rules))], policies)
                .with_host_monitoring(self.host_monitoring),
            signatures,
        }
    }
}

impl Judge for Engines {
    fn judge(&mut self, event: &Event) -> Option<Verdict> {
        self.pipeline.judge(event)
    }

    fn needs(&self) -> Needs {
        self.pipeline.needs()
    }

    fn forget(&mut self, container: &ContainerId) {
        self.pipeline.forget(container);
    }
}

fn sink(format: AlertFormat) -> Box<dyn AlertSink + Send> {
    match format {
        AlertFormat::Json => Box::new(JsonLines::new(io::stdout())),
        AlertFormat::Text => Box::new(TextLines::new(io::stdout())),
    }
}

fn log_to_stderr(level: Option<&str>) -> Result<(), Error> {
    let from_environment = std::env::var(EnvFilter::DEFAULT_ENV)
        .ok()
        .filter(|text| !text.is_empty());
    let filter = level
        .map(str::to_owned)
        .or(from_environment)
        .unwrap_or_else(|| "info".into());
    let parsed = EnvFilter::try_new(&filter).map_err(|source| Error::LogFilter { filter, source })?;
    tracing_subscriber::fmt()
        .with_env_filter(parsed)
        .with_target(false)
        .with_writer(io::stderr)
        .try_init()
        .map_err(Error::Log)
}

/// The flag that SIGTERM and SIGINT set. When it is set already, as when the end takes too long for
/// somebody, they end the process at once.
fn stop_on_signals() -> Result<Arc<AtomicBool>, Error> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        signal_hook::flag::register_conditional_shutdown(signal, 1, Arc::clone(&stop))
            .map_err(Error::Signals)?;
        signal_hook::flag::register(signal, Arc::clone(&stop)).map_err(Error::Signals)?;
    }
    Ok(stop)
}

fn boot_time() -> BootTime {
    let now = clock_gettime(ClockId::Boottime);
    BootTime::from_nanos(now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64)
}
