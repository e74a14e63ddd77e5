//! The Sentinel port: what Sentinel-aware clients ask to find the primary, and the messages that tell
//! them when it changes.
//!
//! ```text
//! watch<SentinelView> -> memory (keeps the last address), grace (short gaps) -> changes -> subscribers
//!                                                                          \-> answers to SENTINEL ...
//! ```
//! Nothing here decides who is primary: the view is fed by a node from its own state, or by the witness
//! from its records. Who feeds it shows a primary only once that primary accepts writes.
//!
//! Invariant: an address is never announced while its node is said to be down.
//!
//! **Not here:** the client port (`tandem-node`), which knows no `SENTINEL` at all: libraries take any
//! answer to it for a sign that they talk to a Sentinel.
#![forbid(unsafe_code)]

mod changes;
mod grace;
mod info;
mod memory;
mod sentinel_command;
mod serve;
mod session;
mod subscriptions;
mod view;

pub use serve::{Failover, FailoverAnswer, SentinelSettings, serve};
pub use view::{Addr, MasterView, ReplicaView, SentinelView};
