//! The witness: Tandem's own mediator on a third machine, and the nodes' way to it.
//!
//! It keeps one record per pair, fsynced before it is answered and changed by compare-and-set only, and
//! knows from the nodes' signs of life who is present. It decides nothing: the rules are in
//! `tandem-switch`.
//!
//! ```text
//! node (client) -- vouch, read, change --> witness (server): keeper (rules, sans-IO) + one file per pair
//!               <- renewed, view, outcome --
//! ```
//! Invariants: a record that was answered survives a crash; a change whose expected revision is not the
//! present one has no effect; after a start nobody is called absent before a whole session has passed;
//! a copy of a record (a backup that is brought back) is of another life than the original. A
//! full disk refuses a change and ends nothing; any other error of the disk ends the process.
//!
//! **Not here:** `ZooKeeper`, etcd, who may be primary.
#![forbid(unsafe_code)]

mod client;
mod frame;
mod keeper;
mod origin;
mod places;
mod server;
mod store;
mod wire;

pub use client::{Client, ClientSettings};
pub use frame::Secret;
pub use places::{PairSeen, Place, Places};
pub use server::{Seen, Server, ServerSettings, WitnessError};
pub use store::StoreError;
