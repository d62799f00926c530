//! The sensor of Podwarden: eBPF programs, their loader, container discovery, and the responder that kills.
