//! What the daemon was told: flags, environment, configuration file, defaults, in this order.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::{Parser, ValueEnum};
use serde::Deserialize;

use crate::commands::Command;
use crate::error::Error;

/// Where state is kept when nothing is said.
const DEFAULT_STATE_DIR: &str = "/var/lib/podwarden";

/// Watches the containers of this node, raises alerts on standard output, and kills what its policies say.
///
/// Every flag may be given as an environment variable or as a key of the configuration file instead. A flag
/// goes before the environment, and that before the file.
#[derive(Debug, Default, Parser)]
#[command(name = "podwarden-daemon", version)]
pub(crate) struct Args {
    /// Work without a cluster: read manifests from a directory and find containers on this machine.
    #[arg(long, env = "PODWARDEN_STANDALONE", value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_missing_value = "true")]
    standalone: Option<bool>,

    /// The directory of manifests and rules; without one the built-in signatures and policy are in force.
    #[arg(long, env = "PODWARDEN_POLICY_DIR", value_name = "DIR")]
    policy_dir: Option<PathBuf>,

    /// The directory of the daemon's own state [default: /var/lib/podwarden]
    #[arg(long, env = "PODWARDEN_STATE_DIR", value_name = "DIR")]
    state_dir: Option<PathBuf>,

    /// This node's name in alerts [default: the host name]
    #[arg(long, env = "PODWARDEN_NODE_NAME", value_name = "NAME")]
    node_name: Option<String>,

    /// The form of alerts on standard output [default: json]
    #[arg(long, env = "PODWARDEN_ALERTS", value_name = "FORM")]
    alerts: Option<AlertFormat>,

    /// Where to serve /metrics, /healthz and /readyz: an address and a port, or `off` [default: 127.0.0.1:9464]
    #[arg(long, env = "PODWARDEN_METRICS_ADDRESS", value_name = "ADDRESS")]
    metrics_address: Option<MetricsAddress>,

    /// Watch the host's own processes as well, those in no container. What is found there only ever raises alerts.
    #[arg(long, env = "PODWARDEN_HOST_MONITORING", value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_missing_value = "true")]
    host_monitoring: Option<bool>,
    /// Write every event that is judged to this file, as `rules replay` reads it; it grows without bounds
    #[arg(long, env = "PODWARDEN_RECORD", value_name = "FILE")]
    record: Option<PathBuf>,

    /// What to log on standard error: error, warn, info, debug, trace, or a filter as in `RUST_LOG`, which is
    /// used when this is not given [default: info]
    #[arg(long, env = "PODWARDEN_LOG_LEVEL", value_name = "LEVEL")]
    log_level: Option<String>,

    /// A YAML file with the flags' names as keys.
    #[arg(long, env = "PODWARDEN_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,

    /// Check the policies and what this machine's kernel can do, print both, and exit: 0 when all is well.
    #[arg(long, env = "PODWARDEN_CHECK", value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_missing_value = "true")]
    check: Option<bool>,

    /// What to do instead of watching.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// The form that alerts are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AlertFormat {
    /// One JSON object a line.
    Json,
    /// One line for people.
    Text,
}

/// Where metrics are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) enum MetricsAddress {
    /// Nowhere.
    Off,
    /// There.
    At(SocketAddr),
}

impl MetricsAddress {
    /// Loopback: whoever wants others to read them says so.
    const DEFAULT: Self = Self::At(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9464));
}

impl FromStr for MetricsAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self::Off),
            text => text.parse().map(Self::At).map_err(|_| {
                format!("`{text}` is neither `off` nor an address with a port, such as 127.0.0.1:9464")
            }),
        }
    }
}

impl TryFrom<String> for MetricsAddress {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// The configuration file.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct File {
    standalone: Option<bool>,
    policy_dir: Option<PathBuf>,
    state_dir: Option<PathBuf>,
    node_name: Option<String>,
    alerts: Option<AlertFormat>,
    log_level: Option<String>,
    metrics_address: Option<MetricsAddress>,
    host_monitoring: Option<bool>,
    record: Option<PathBuf>,
}

/// What is in force.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) policy_dir: Option<PathBuf>,
    pub(crate) state_dir: PathBuf,
    pub(crate) node_name: String,
    pub(crate) alerts: AlertFormat,
    pub(crate) log_level: Option<String>,
    pub(crate) metrics_address: MetricsAddress,
    pub(crate) host_monitoring: bool,
    pub(crate) record: Option<PathBuf>,
    pub(crate) check: bool,
}

impl Settings {
    /// From the arguments, which hold the environment already, and the file that they name.
    pub(crate) fn resolve(args: Args) -> Result<Self, Error> {
        let file = args
            .config
            .as_deref()
            .map(read_file)
            .transpose()?
            .unwrap_or_default();
        if !args.standalone.or(file.standalone).unwrap_or(false) {
            return Err(Error::NotStandalone);
        }
        Ok(Self {
            policy_dir: args.policy_dir.or(file.policy_dir),
            state_dir: args
                .state_dir
                .or(file.state_dir)
                .unwrap_or_else(|| DEFAULT_STATE_DIR.into()),
            node_name: args.node_name.or(file.node_name).unwrap_or_else(host_name),
            alerts: args.alerts.or(file.alerts).unwrap_or(AlertFormat::Json),
            log_level: args.log_level.or(file.log_level),
            metrics_address: args
                .metrics_address
                .or(file.metrics_address)
                .unwrap_or(MetricsAddress::DEFAULT),
            host_monitoring: args.host_monitoring.or(file.host_monitoring).unwrap_or(false),
            record: args.record.or(file.record),
            check: args.check.unwrap_or(false),
        })
    }
}

fn read_file(path: &Path) -> Result<File, Error> {
    let text = fs::read_to_string(path).map_err(|source| Error::ReadConfig {
        path: path.to_owned(),
        source,
    })?;
    // A file of comments alone is a null document.
    let file: Option<File> =
        runtime_backend::yaml::read(&path.display().to_string(), 1, &text).map_err(Error::Config)?;
    Ok(file.unwrap_or_default())
}

fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn mk_file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    fn with_file(text: &str, args: Args) -> Result<Settings, Error> {
        let file = mk_file(text);
        let config = Some(file.path().to_owned());
        Settings::resolve(Args { config, ..args })
    }

    #[test]
    fn flags_go_before_the_file_and_the_file_before_defaults() {
        let args = Args {
            alerts: Some(AlertFormat::Text),
            ..Args::default()
        };
        let settings = with_file("standalone: true\nalerts: json\nnode-name: from-file\n", args).unwrap();
        let expected = Settings {
            policy_dir: None,
            state_dir: DEFAULT_STATE_DIR.into(),
            node_name: "from-file".into(),
            alerts: AlertFormat::Text,
            log_level: None,
            metrics_address: MetricsAddress::DEFAULT,
            host_monitoring: false,
            record: None,
            check: false,
        };
        assert_eq!(settings, expected);
    }

    #[test]
    fn metrics_are_served_where_it_is_said_or_nowhere() {
        let standalone = |rest: &str| with_file(&format!("standalone: true\n{rest}"), Args::default());
        let address = |rest: &str| standalone(rest).unwrap().metrics_address;
        assert_eq!(address(""), MetricsAddress::At("127.0.0.1:9464".parse().unwrap()));
        assert_eq!(address("metrics-address: off"), MetricsAddress::Off);
        let told = address("metrics-address: '[::1]:80'");
        assert_eq!(told, MetricsAddress::At("[::1]:80".parse().unwrap()));
        for bad in ["localhost", "127.0.0.1", "':9464'", "127.0.0.1:65536", "''"] {
            assert!(standalone(&format!("metrics-address: {bad}")).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_flag_can_take_back_what_the_file_says() {
        let args = Args {
            standalone: Some(false),
            ..Args::default()
        };
        assert!(matches!(
            with_file("standalone: true\n", args),
            Err(Error::NotStandalone)
        ));
    }

    #[test]
    fn a_file_with_nothing_in_it_says_nothing() {
        for text in ["", "# nothing\n", "---\n"] {
            let args = Args {
                standalone: Some(true),
                ..Args::default()
            };
            assert!(with_file(text, args).is_ok(), "{text:?}");
        }
    }

    #[test]
    fn the_node_is_called_as_the_host() {
        let settings = with_file("standalone: true", Args::default()).unwrap();
        let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
        assert_eq!(settings.node_name, host.trim_end());
    }
}
