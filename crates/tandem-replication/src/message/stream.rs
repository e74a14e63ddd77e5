//! The stream itself: records, the full copy, acknowledgements.

use std::borrow::Cow;

use tandem_types::{Chain, DbIndex, Epoch, EpochHistory, Incarnation, Lsn, PairId, SlotId, Stamp};

use super::decode::{DecodeError, Fields};

/// Records `from..end` as raw log bytes; the receiver checks them as it checks its own disk.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Records<'a> {
    /// The leader's reign (the records may be of older ones).
    pub epoch: Epoch,
    /// First record.
    pub from: Lsn,
    /// After the last record.
    pub end: Lsn,
    /// What may be applied, as of sending.
    pub commit_end: Lsn,
    /// The records.
    pub bytes: Cow<'a, [u8]>,
}

/// How far the follower is. Only counts for the reign and the incarnation it names.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ack {
    /// The reign it follows.
    pub epoch: Epoch,
    /// Its data directory's life.
    pub incarnation: Incarnation,
    /// End of its log in memory.
    pub received_end: Lsn,
    /// Its own running checksum there.
    pub received_chain: Chain,
    /// End of its log on disk; zero while a full copy is not whole.
    pub durable_end: Lsn,
    /// End of what is in its key space.
    pub applied_end: Lsn,
    /// Bytes of chunks it has taken since this stream began.
    pub copied_bytes: u64,
}

/// What becomes of the data a full copy replaces.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Keep {
    /// It is part of the leader's history: removed once the copy is whole.
    Nothing,
    /// Records from here on left the common history: saved as conflicts first.
    Since(Lsn),
    /// Damaged, or not explained by the epoch tables: set aside whole.
    Everything,
}

/// Where a full copy begins.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CopyStart {
    /// The leader's reign.
    pub epoch: Epoch,
    /// The pair the data belongs to.
    pub pair_id: PairId,
    /// First record the stream will bring; the copy's log begins here.
    pub start: Lsn,
    /// Running checksum at `start`.
    pub chain: Chain,
    /// Stamp of the last record before `start`.
    pub stamp: Stamp,
    /// The leader's table up to `start`.
    pub history: EpochHistory,
    /// What becomes of the follower's old data.
    pub keep: Keep,
}

/// All slots `first..=last` as they were with exactly the records before `lsn`; those without bytes
/// were empty. Long chunks travel in parts, directly after one another.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SnapshotChunk<'a> {
    /// The leader's reign.
    pub epoch: Epoch,
    /// When it was taken.
    pub lsn: Lsn,
    /// The first slot it speaks for.
    pub first: SlotId,
    /// The last slot it speaks for.
    pub last: SlotId,
    /// Where `bytes` begin in the whole chunk.
    pub offset: u64,
    /// Length of the whole chunk.
    pub total: u64,
    /// See [`push_slot`].
    pub bytes: Cow<'a, [u8]>,
}

/// Appends one serialised slot to the bytes of a chunk: db u8, slot u16, length u64, bytes.
pub fn push_slot(chunk: &mut Vec<u8>, slot: SlotId, bytes: &[u8]) {
    chunk.push(slot.db.get());
    chunk.extend_from_slice(&slot.slot.to_le_bytes());
    chunk.extend_from_slice(&u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_le_bytes());
    chunk.extend_from_slice(bytes);
}

/// The slots that [`push_slot`] wrote, in order; ends after the first error.
#[derive(Clone, Debug)]
pub struct SlotPieces<'a> {
    rest: &'a [u8],
}

impl<'a> SlotPieces<'a> {
    /// Reads the bytes of a whole chunk.
    pub const fn new(chunk: &'a [u8]) -> Self {
        Self { rest: chunk }
    }

    fn read(&mut self) -> Result<(SlotId, &'a [u8]), DecodeError> {
        let mut fields = Fields::new(self.rest);
        let db = DbIndex::new(fields.u8()?).ok_or(DecodeError::Value { field: "db" })?;
        let slot = fields.slot(db)?;
        let length =
            usize::try_from(fields.u64()?).map_err(|_| DecodeError::Value { field: "length" })?;
        let bytes = fields.take(length)?;
        self.rest = fields.rest();
        Ok((slot, bytes))
    }
}

impl<'a> Iterator for SlotPieces<'a> {
    type Item = Result<(SlotId, &'a [u8]), DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let read = self.read();
        if read.is_err() {
            self.rest = &[];
        }
        Some(read)
    }
}
