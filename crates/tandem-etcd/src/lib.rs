//! etcd as the mediator: a node's way to it, over etcd's JSON gateway (`/v3/...`, HTTP/1.1).
//!
//! ```text
//!            asked                                       /tandem/PAIR/record            one key, changed by
//! switch ----------> Client -- vouch: lease + own key --> /tandem/PAIR/presence/NODE/INCARNATION/BOOT
//!        <----------        -- read, change: one txn ---> both, atomically
//!            told           <- watch: something changed -
//! ```
//! Invariants:
//! - a change takes effect only on the very bytes and revision it names, and never while the boot in
//!   `unless_present` has its key; what is not known to have failed is [`Unknown`];
//! - what is told was read linearizably; a member without a leader counts as silent;
//! - a presence is renewed only because the switch asked, and what [`Renewed`] promises was confirmed by
//!   a leader that had its quorum after the renewal;
//! - an answer's size and the work that waits are bounded; bytes from the network never panic.
//!
//! Keys and values: docs/formats/mediator-etcd.md.
//!
//! **Not here:** who may be primary; etcd's own clustering.
//!
//! [`Unknown`]: tandem_switch::Outcome::Unknown
//! [`Renewed`]: tandem_switch::MediatorEvent::Renewed
#![forbid(unsafe_code)]

mod client;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
mod gateway;
mod http;
mod keys;
mod known;
mod login;
mod presence;
mod record;
mod trouble;
mod value;
mod watch;
mod work;

pub use client::{Client, ClientSettings};
pub use login::Login;
