//! The compiled BPF objects. They are committed, so that nobody needs clang to build this crate;
//! `cargo xtask bpf` makes them anew from `bpf/*.bpf.c`.

/// Bytes at an address that ELF structures can be read from.
#[repr(align(8))]
struct Aligned<T: ?Sized>(T);

static ALIGNED_SENSOR: &Aligned<[u8]> = &Aligned(*include_bytes!("../obj/sensor.bpf.o"));
static ALIGNED_SENSOR_RAW: &Aligned<[u8]> = &Aligned(*include_bytes!("../obj/sensor_raw.bpf.o"));
static ALIGNED_PROBE: &Aligned<[u8]> = &Aligned(*include_bytes!("../obj/probe.bpf.o"));

/// The sensor's programs and maps, on BTF tracepoints.
pub(crate) static SENSOR: &[u8] = &ALIGNED_SENSOR.0;
/// The same on raw tracepoints.
pub(crate) static SENSOR_RAW: &[u8] = &ALIGNED_SENSOR_RAW.0;
/// A program that does nothing.
pub(crate) static PROBE: &[u8] = &ALIGNED_PROBE.0;
