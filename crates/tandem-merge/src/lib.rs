//! Primary-primary: how the histories of two nodes that both accept writes become one.
//!
//! ```text
//!   own command -> ops -> key space, index, own record -> log -> link -> the peer's merge
//!   the peer's record --- its `seen` --> the own writes it did not see (index) --> merge -> key space
//!                                                                          '--> own writes said again
//! ```
//! Effects are merged, never commands. All rules are functions of the peer's record, the own records it
//! did not see, and in two cases (additions, patches) the current value: nothing is kept with the data.
//!
//! - [`Site`] is one side; [`merge()`] the rules; [`Index`] the own unacknowledged writes;
//!   [`Space`] what the key space must offer (the store implements it).
//! - [`compact()`] shortens a long tail; [`escrow`] and [`sequence`] are counters that need no
//!   merge, kept in a [`Ledger`].
//! - [`handshake`] says what follows when two sides meet, [`policy`] which keys are treated how,
//!   [`conflict`] what is told to people.
//!
//! **Not here:** logs, links, sockets, clocks. Records come in as values and leave as values.
#![forbid(unsafe_code)]

mod by_slot;
mod clock;
mod codec;
mod compact;
pub mod conflict;
pub mod escrow;
pub mod handshake;
mod index;
mod item;
mod ledger;
mod merge;
mod number;
mod op;
mod planted;
pub mod policy;
mod score;
pub mod sequence;
mod site;
mod spans;

pub use by_slot::BySlot;
pub use clock::{Clock, SKEW_MS_MAX};
pub use codec::{CodecError, MERGE_VERSION};
pub use compact::compact;
pub use conflict::Conflict;
pub use index::Index;
pub use item::{Bytes, Change, Content, Deadline, Key, Kinds, Rank, Space};
pub use ledger::{Ledger, LedgerOp};
pub use merge::{Again, Merged, apply_own, merge};
pub use number::Number;
pub use op::{Added, Chunk, KeyOp, Op, Origin, Patch, Record};
#[cfg(feature = "planted")]
pub use planted::{Rule, remove};
pub use score::Score;
pub use site::{Admission, Site};
pub use spans::{ALL, Carried, Span, Spans};
