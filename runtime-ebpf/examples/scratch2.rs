//! x
use runtime_ebpf::{Sensor, SensorOptions};
use std::time::{Duration, Instant};
fn main() {
    let mut s = Sensor::start(&SensorOptions::default()).unwrap();
    let end = Instant::now() + Duration::from_secs(std::env::args().nth(1).map_or(5, |s| s.parse().unwrap()));
    let _ = rustix::process::setpriority_process(None, -20);
    let mut n = 0u64;
    while Instant::now() < end {
        s.poll(Duration::from_millis(200), &mut |_| n += 1).unwrap();
    }
    println!("{n} {:?}", s.stats().unwrap());
}
