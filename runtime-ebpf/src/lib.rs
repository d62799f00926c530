//! The sensor of Podwarden: what containers do, from the kernel.
//!
//! ```text
//! bpf/sensor.bpf.c ─► ring buffer ─► wire ─► processes, container ─► runtime_core::SensorItem
//!    (tracepoints, packets)         (decode)      (enrich)
//!                                       respond ◄── runtime_core::Verdict
//! ```
//!
//! Execs are always told of. Whatever else is to be (files, sockets, DNS, the system) the sensor is told as
//! [`runtime_core::Needs`], at the start ([`SensorOptions::needs`]) and at any time later ([`Sensor::set_needs`]): no
//! more than that leaves the kernel. [`container`] says how containers are found, [`names`] how addresses get names.
//!
//! [`Sensor::start`] probes the kernel ([`Capabilities`]), decides how to hook ([`plan_hooks`]), loads the
//! committed CO-RE object and attaches it. [`Sensor::poll`] waits for records and hands out items.
//! [`respond::ContainerKiller`] kills containers.
//!
//! Minimum kernel: 5.10, with BTF (`CONFIG_DEBUG_INFO_BTF`). It needs root, or `CAP_BPF` and `CAP_PERFMON`;
//! `CAP_SYS_PTRACE` and `CAP_KILL` to look at and to end processes of other users.
//!
//! # Example
//!
//! ```no_run
//! use std::time::Duration;
//! use runtime_core::{Activity, SensorItem};
//! use runtime_ebpf::{Sensor, SensorOptions};
//!
//! let mut sensor = Sensor::start(&SensorOptions::default())?;
//! for _ in 0..100 {
//!     sensor.poll(Duration::from_millis(100), &mut |item| {
//!         if let SensorItem::Event(event) = item
//!             && let Activity::Exec(exec) = &event.activity
//!         {
//!             println!("{} {}", exec.path, event.process.identity);
//!         }
//!     })?;
//! }
//! # Ok::<(), runtime_ebpf::SensorError>(())
//! ```
#![deny(unsafe_code)]

mod capabilities;
pub mod container;
mod error;
mod filter;
mod loader;
mod loss;
pub mod names;
mod object;
mod origin;
mod processes;
mod reader;
pub mod respond;
mod seed;
mod sensor;
#[cfg(feature = "stream")]
mod stream;
pub mod wire;

pub use capabilities::{
    Attachment, Capabilities, HOOKS, HookPlan, KernelVersion, MINIMUM_KERNEL, plan_hooks,
};
pub use error::SensorError;
pub use filter::{NeedsTooLarge, check_needs};
pub use sensor::{Sensor, SensorOptions, SensorStats};
#[cfg(feature = "stream")]
pub use stream::SensorStream;
