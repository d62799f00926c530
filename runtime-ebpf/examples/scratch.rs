//! x
use runtime_ebpf::{Sensor, SensorOptions};
use std::time::{Duration, Instant};
fn main() {
    let t = Instant::now();
    let mut s = match Sensor::start(&SensorOptions::default()) {
        Ok(s) => s,
        Err(e) => {
            let mut e: &dyn std::error::Error = &e;
            loop {
                eprintln!("{e}");
                match e.source() {
                    Some(n) => e = n,
                    None => break,
                }
            }
            std::process::exit(1)
        }
    };
    eprintln!("{}\n{}\nstart {:?}", s.capabilities(), s.plan(), t.elapsed());
    for c in s.containers() {
        println!("existing {c:?}");
    }
    let end = Instant::now() + Duration::from_secs(std::env::args().nth(1).map_or(5, |s| s.parse().unwrap()));
    while Instant::now() < end {
        s.poll(Duration::from_millis(200), &mut |i| println!("{i:#?}"))
            .unwrap();
    }
    println!("{:#?}", s.stats().unwrap());
}
