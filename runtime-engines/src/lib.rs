#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod engine;
pub mod pipeline;
pub mod profiling;
pub mod signatures;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use engine::Engine;
pub use pipeline::Pipeline;
pub use profiling::{Profiles, ProfilingEngine};
pub use signatures::{RuleSet, SignatureEngine};
