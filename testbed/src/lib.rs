//! Real containers and workloads.
