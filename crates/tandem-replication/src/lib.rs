//! The stream of the log from one node to the other: messages, leader, follower, liveness.
//!
//! ```text
//!  follower                                   leader
//!     | -- Hello (both ways, first) ------------> |   who speaks, which formats, which pair
//!     | -- Follow{epoch, history, end, chain} --> |   sent once the node obeys that epoch durably
//!     | <-- Resume | CutBack | SnapshotBegin ---- |   one of the three, or Reject
//!     | <-- Records, SnapshotChunk, Commit ------ |   one ordered stream, a bounded part of it unanswered
//!     | -- Ack{received, durable, applied} -----> |
//!     | <-- Heartbeat both ways ----------------> |   sign of life, round trip, positions, freshness
//! ```
//! All of it is sans-IO: `step(now, input, out)` cannot fail, reads no clock and owns no socket.
//!
//! Invariants, kept by assertions and by the tests under `tests/`:
//! - the follower's log is a prefix of the leader's (what forked is saved and cut first);
//! - only acknowledgements of the same epoch and incarnation count, none beyond what was sent;
//! - a chunk of a full copy taken at LSN c travels after every record before c and before any other;
//! - memory is bounded by the window, whatever the peer does.
//!
//! **Not here:** who leads (`tandem-switch`), what a record means, sockets and frames (`tandem-link`).
#![forbid(unsafe_code)]

mod fault;
pub mod follower;
pub mod heart;
pub mod leader;
pub mod message;
mod settings;

pub use fault::LinkFault;
pub use message::Message;
pub use settings::Settings;
