//! The snapshot file: slots as opaque bytes, each with the position at which it was taken.
//!
//! A snapshot is taken while writes go on and nothing is frozen for it, so it is consistent only together
//! with the log: load its chunks, then replay the log from [`Header::start`], applying to a slot only
//! records at or after the position of its chunk. From [`Finished::end`] on the result is exact.
//! (docs/formats/snapshot.md draws the bytes, ADR 2026-11-22 says why.)
//!
//! Invariant: a file under its final name is complete, synced and reflects only durable records.
//!
//! **Not here:** what is in a slot (`tandem-store`), when one is taken (`tandem-node`).
#![forbid(unsafe_code)]

mod chunk;
mod files;
mod header;
mod read;
mod write;

pub use chunk::{Chunk, ChunkError};
pub use files::{SnapshotName, discard_temporary, list, prune, remove_beyond};
pub use header::{Header, HeaderError};
pub use read::{Finished, ReadError, read, read_header};
pub use write::SnapshotWriter;

/// Version of the file format; raised when an older program could misread a newer file.
pub const FORMAT_VERSION: u16 = 2;
/// What a file says that holds nothing beside slots: earlier programs read it.
const SLOTS_ONLY_VERSION: u16 = 1;

#[cfg(test)]
mod tests;
