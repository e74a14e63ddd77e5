//! The log as a whole, on a simulated disk.

mod crash;
mod workload;
