//! What the sensor says of system calls: exactly what was done, and no more than the kernel vouches for. Needs root.

#[macro_use]
mod scene;
mod files;
mod filters;
mod rings;
mod sockets;
mod system;
