//! Two real nodes in a fake world: time, network, disks and clients from one seed.
//!
//! The nodes, their log, snapshots, sessions and brains are the ones that run in production; only what
//! lies beyond the edges is simulated. The same seed gives the same run, so a failure is replayed by its
//! seed alone.
//!
//! **Not here:** real sockets and processes (`tandem-e2e`).
#![forbid(unsafe_code)]

mod client;
mod machine;
mod random;
mod settings;
mod world;

pub use client::{Outcome, Write};
pub use machine::{Machine, Stopped};
pub use random::Random;
pub use settings::settings;
pub use world::World;
