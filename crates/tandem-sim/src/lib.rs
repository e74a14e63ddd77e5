//! Two real nodes in a fake world: time, network, disks and clients from one seed.
//!
//! The nodes, their log, snapshots, sessions and brains are the ones that run in production; only what
//! lies beyond the edges is simulated. The same seed gives the same run, so a failure is replayed by its
//! seed alone.
//!
//! ```text
//!  Plan (from the seed: settings, faults) -> Run (events in time) -> Watch (what must hold) -> Tally
//!                                             | |  |
//!                              2 x Machine ---' |  '--- clients
//!                        (node, disk, log thread) '--- link, mediator
//! ```
//! [`World`] is the older, simpler stage for pairs in a person's hands, moved step by step by a test.
//!
//! **Not here:** real sockets and processes (`tandem-e2e`), single brains (`tandem-switch`'s own tests).
#![forbid(unsafe_code)]

mod campaign;
mod client;
mod machine;
mod mediator;
mod plan;
mod plot;
mod random;
mod run;
mod settings;
mod tally;
mod world;

pub use tandem_node::SwitchBy;

pub use campaign::{
    Campaign, Failure, Outcome as CampaignOutcome, report, run_plot, run_seed, smallest_kinds,
};
pub use client::{Outcome, Write};
pub use machine::{Machine, Stopped};
pub use plan::{Kind, Kinds};
pub use plot::Plot;
pub use random::Random;
pub use settings::settings;
pub use tally::Tally;
pub use world::World;
