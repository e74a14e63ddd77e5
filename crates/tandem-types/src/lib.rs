//! The words every other crate uses: LSN, epoch, node id, time, position.
//!
//! **Not here:** anything that acts. These types only carry meaning, so that no bare number crosses
//! a crate border.
#![forbid(unsafe_code)]

mod epoch;
mod error_chain;
mod id;
mod lsn;
mod role;
mod slot;
mod time;

pub use epoch::{Epoch, EpochHistory, EpochStart, ForkId, HistoryError};
pub use error_chain::error_chain;
pub use id::{Incarnation, NodeId, Pair, PairId};
pub use lsn::{Chain, LogPosition, Lsn};
pub use role::Role;
pub use slot::{DB_COUNT, DbIndex, SLOT_COUNT, SlotId, slot_of, stable_hash};
pub use time::{Monotonic, Now, Stamp, WallMillis};
