//! What the log and the snapshots need of a disk, and a simulated disk that crashes.
#![forbid(unsafe_code)]
