//! What every engine is to the outside.

use runtime_core::{EngineKind, Event, Finding, Needs};

/// Judges events, one at a time, by what it knows.
///
/// An engine says what it finds and what its rules ask for; modes, exclusions and the merging with what others
/// found are the [`Pipeline`](crate::Pipeline)'s. It does no I/O and reads no clock.
pub trait Engine: Send {
    /// Which engine this is.
    fn kind(&self) -> EngineKind;

    /// Appends what it finds in `event` to `findings`, and touches nothing that is there already.
    ///
    /// It takes `&mut self` so that an engine may keep buffers: an event in which nothing is found is to cost
    /// no allocation.
    fn judge(&mut self, event: &Event, findings: &mut Vec<Finding>);

    /// The events that it may find something in.
    fn needs(&self) -> Needs;
}
