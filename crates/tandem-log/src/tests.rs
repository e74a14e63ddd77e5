//! The log as a whole, on a simulated disk.

mod workload;
