//! The ports: what the core needs from the outside, as traits that adapters implement.
//!
//! None of them reads a clock for the core: time is an argument.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

use crate::alert::Alert;
use crate::container::Container;
use crate::event::SensorItem;
use crate::id::Sha256Digest;
use crate::needs::Needs;
use crate::policy::PolicySnapshot;
use crate::time::Timestamp;

/// Any error of an adapter.
pub type PortError = Box<dyn Error + Send + Sync>;

/// Where events come from.
pub trait EventSource {
    /// Waits up to `timeout` for something to happen, hands every item that is there to `each` in order,
    /// and returns how many there were.
    fn poll(&mut self, timeout: Duration, each: &mut dyn FnMut(SensorItem)) -> Result<usize, PortError>;

    /// Says what is needed from now on, in place of what was. What both need is delivered without a gap; of the
    /// rest, more may come for a moment. An error leaves at least what was needed before.
    fn set_needs(&mut self, needs: &Needs) -> Result<(), PortError>;
}

/// Where policies and rules come from.
pub trait PolicySource {
    /// Everything that is there now. Parts that are wrong are listed in it as problems; an error means that
    /// nothing could be read at all, and that what was in force stays in force.
    fn load(&mut self) -> Result<PolicySnapshot, PortError>;

    /// Whether there may be something new since the last [`load`](Self::load).
    fn changed(&mut self) -> bool;
}

/// Where alerts go.
pub trait AlertSink {
    /// Delivers one alert, or takes it over for delivery.
    fn deliver(&mut self, alert: &Alert) -> Result<(), PortError>;
}

impl<S: AlertSink + ?Sized> AlertSink for Box<S> {
    fn deliver(&mut self, alert: &Alert) -> Result<(), PortError> {
        (**self).deliver(alert)
    }
}

/// Whoever carries responses out.
///
/// A kill has two steps, so that whoever sees events is not held up by a container that cannot die: the first
/// signals are sent at once, and the dying is seen through elsewhere.
pub trait Responder {
    /// Begins to kill the container whole: sends the first signals and returns, without waiting for anybody to
    /// die. What has [`begun`](Kill::Begun) has to be seen through, or parts of the container may live on.
    fn kill(&mut self, container: &Container) -> Kill;
}

/// A kill that was asked for.
#[derive(Debug)]
pub enum Kill {
    /// There is nothing more to do.
    Over(KillOutcome),
    /// The first signals are sent.
    Begun(Box<dyn KillUnderWay>),
}

/// A container that is dying.
pub trait KillUnderWay: fmt::Debug + Send {
    /// Looks at what is left of the container and signals it again where it is time to. It never waits, and is
    /// over at the latest at the first step after the responder's deadline.
    fn step(&mut self) -> KillStep;
}

/// What one step of a kill came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KillStep {
    /// That was the last one.
    Over(KillOutcome),
    /// The next step is due after so long.
    Again(Duration),
}

/// What came of a kill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KillOutcome {
    /// No process of the container is left.
    Killed(KillReport),
    /// The container is protected, so that nothing was done; the text says by what.
    Protected(String),
    /// It could not be done, or not wholly; the text says why.
    Failed(String),
}

/// How a kill went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KillReport {
    /// How many processes were killed, where that was counted.
    pub processes: Option<u32>,
    /// How long it took until the first signal was sent; `None` when there was nothing left to signal.
    pub signalled: Option<Duration>,
    /// How long it took until nothing was left.
    pub took: Duration,
}

/// What a reputation service says of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reputation {
    /// Known to be malicious.
    Malicious,
    /// Known to be benign.
    Benign,
    /// Not known.
    Unknown,
}

impl fmt::Display for Reputation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malicious => "malicious",
            Self::Benign => "benign",
            Self::Unknown => "unknown",
        })
    }
}

/// Somebody who knows files by their digest.
#[async_trait]
pub trait ReputationService: Send + Sync {
    /// A short name for logs and alerts.
    fn name(&self) -> &str;

    /// What is known of the content with this digest at the time `now`.
    async fn reputation(&self, digest: &Sha256Digest, now: Timestamp) -> Result<Reputation, PortError>;
}
