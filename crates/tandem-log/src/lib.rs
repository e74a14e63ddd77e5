//! The replication log: append, sync, recover, read back, cut.
//!
//! ```text
//!   data thread                    log thread                      disk
//!   Appender --take_batch--> SegmentWriter::write, sync  -->  segment files (docs/formats/log.md)
//!      |                                                           |
//!      +--> Tail (newest records in memory)          LogReader <---+--> recover, cut, check_log
//! ```
//! Everything here is plain code over [`tandem_disk::Disk`]: threads, clocks and real files are elsewhere.
//!
//! Invariant: records before [`SegmentWriter::durable_end`] survive power loss, or are refused by
//! [`recover()`] as damaged if the disk rots; later ones may be torn and are cut.
//!
//! **Not here:** what effects mean (`tandem-store`), who may append (`tandem-switch`), snapshots
//! (`tandem-snapshot`), how a start puts the two together (`tandem-node`).
#![forbid(unsafe_code)]

mod appender;
mod batch;
mod closed;
mod damage;
mod fields;
mod reader;
mod record;
mod recover;
mod rewrite;
mod scan;
mod segment;
mod state_file;
mod table;
mod tail;
mod tip;
mod window;
mod writer;

pub use appender::{AppendError, AppendRawError, Appender, RecordMeta};
pub use batch::Batch;
pub use closed::{ClosedCheck, check_closed};
pub use damage::{Damage, DamageKind};
pub use reader::{LogReader, ReadError};
pub use record::{
    BadRecord, Decoded, PAYLOAD_BYTES_MAX, RECORD_HEADER_BYTES, RecordKind, RecordView, decode,
    encoded_len,
};
pub use recover::{
    LogCheck, RecoverError, RecoverOptions, Recovered, TornTail, Verify, VisitError, check_log,
    recover,
};
pub use rewrite::{CutError, CutReport, create_log, cut};
pub use state_file::{NodeState, StateError, load_state, save_state};
pub use tail::{Piece, Tail};
pub use tip::{Records, Stop, Tip};
pub use writer::{LogOptions, Room, SegmentWriter, WriteError};

/// Version of records and segments; raised when an older program could misread newer ones.
pub const FORMAT_VERSION: u16 = segment::SEGMENT_VERSION;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
