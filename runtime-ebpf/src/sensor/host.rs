//! What the sensor has to know of the machine: the host's namespaces, the hierarchy's number, the clocks.

use std::time::SystemTime;

use runtime_core::BootTime;
use rustix::time::ClockId;

use super::SensorOptions;
use crate::container::CgroupController;
use crate::error::SensorError;
use crate::processes::ClockPair;

/// The namespaces of the host's first process: what containers differ from.
#[derive(Debug, Clone, Copy)]
pub(super) struct HostNamespaces {
    pub(super) pid: u32,
    pub(super) mount: u32,
}

impl HostNamespaces {
    pub(super) fn read(options: &SensorOptions) -> Result<Self, SensorError> {
        // Process 1 may be out of bounds (it has capabilities that we lack). Then our own stand in: the
        // daemon shares the host's PID namespace, and a container has both of its own.
        let inode = |name: &str| {
            let path = |of: &str| options.containers.proc_root.join(of).join("ns").join(name);
            let stat = rustix::fs::stat(path("1")).or_else(|_| rustix::fs::stat(path("self")));
            // A namespace's number is an unsigned int in the kernel (`struct ns_common`).
            stat.map(|stat| stat.st_ino as u32)
                .map_err(|error| SensorError::HostNamespaces {
                    path: path("self"),
                    source: error.into(),
                })
        };
        Ok(Self {
            pid: inode("pid")?,
            mount: inode("mnt")?,
        })
    }
}

/// The kernel's number of a controller's hierarchy, from `/proc/self/cgroup`; 0 for the v2 tree.
pub(super) fn hierarchy_number(options: &SensorOptions, controller: CgroupController) -> u32 {
    let text = std::fs::read_to_string(options.containers.proc_root.join("self/cgroup")).unwrap_or_default();
    let number = text.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':');
        let (number, controllers) = (fields.next()?, fields.next()?);
        controllers
            .split(',')
            .any(|name| name == controller.name())
            .then(|| number.parse().ok())?
    });
    number.unwrap_or(0)
}

pub(super) fn read_clocks() -> ClockPair {
    let boot = rustix::time::clock_gettime(ClockId::Boottime);
    let nanos = boot.tv_sec as u64 * 1_000_000_000 + boot.tv_nsec as u64;
    ClockPair {
        boot: BootTime::from_nanos(nanos),
        wall: SystemTime::now().into(),
    }
}
