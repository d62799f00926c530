//! Where Podwarden gets its policies and sends its alerts: a directory of manifests, JSON lines.
