//! What can end the daemon.

use std::error::Error as StdError;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use runtime_core::policy::Problem;
use runtime_core::ports::PortError;

use crate::state_dir::StateDirError;

/// Why the daemon does not start, or stops on its own.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Error {
    /// Cluster mode was asked for.
    #[error(
        "cluster mode is not part of this daemon: it needs the Kubernetes adapter; run it with --standalone, \
         which reads policies from --policy-dir and finds containers on its own"
    )]
    NotStandalone,
    /// The configuration file cannot be read.
    #[error("cannot read the configuration file {}", path.display())]
    ReadConfig { path: PathBuf, source: io::Error },
    /// The configuration file is wrong.
    #[error("the configuration file is wrong: {0}")]
    Config(Problem),
    /// The log level is none.
    #[error("not a log level or filter: {filter:?}")]
    LogFilter {
        filter: String,
        source: tracing_subscriber::filter::ParseError,
    },
    /// Somebody has installed a log before us.
    #[error("cannot set up the log")]
    Log(#[source] PortError),
    /// Signal handlers cannot be installed.
    #[error("cannot install the signal handlers")]
    Signals(#[source] io::Error),
    /// The state directory cannot be used.
    #[error(transparent)]
    StateDir(#[from] StateDirError),
    /// The policies cannot be read at all.
    #[error("cannot load the policies")]
    Policies(#[source] PortError),
    /// The sensor cannot be started.
    #[error("cannot start the sensor")]
    SensorStart(#[source] PortError),
    /// Containers could not be killed from here.
    #[error("cannot set up the killing of containers")]
    ResponderStart(#[source] PortError),
    /// Metrics cannot be served there.
    #[error("cannot serve metrics at {address} (--metrics-address)")]
    Metrics { address: SocketAddr, source: io::Error },
    /// The sensor gives nothing but errors.
    #[error("the sensor failed {attempts} times in a row")]
    SensorFailed { attempts: u32, source: PortError },
    /// Recorded events cannot be read.
    #[error("cannot read the events of {}", path.display())]
    ReadEvents { path: PathBuf, source: io::Error },
    /// Events cannot be recorded there.
    #[error("cannot record events to {} (--record)", path.display())]
    Record { path: PathBuf, source: io::Error },
    /// What was asked for cannot be written.
    #[error("cannot write to standard output")]
    Output(#[source] io::Error),
    /// A thread cannot be started.
    #[error("cannot start the thread {name:?}")]
    Thread { name: &'static str, source: io::Error },
    /// A thread panicked; what it said is on stderr.
    #[error("the thread {name:?} panicked")]
    Panicked { name: &'static str },
}

impl Error {
    /// 2 for what the command line asked wrongly, as clap does; 1 for all else.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::NotStandalone | Self::ReadConfig { .. } | Self::Config(_) | Self::LogFilter { .. } => 2,
            _ => 1,
        }
    }
}

/// An error with its sources, on one line.
pub(crate) fn chain(error: &(dyn StdError + 'static)) -> String {
    let sources = std::iter::successors(Some(error), |&error| error.source());
    sources.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
