//! Builds records in memory and hands them out in batches. No I/O.
//!
//! ```text
//! begin -> the store writes effects -> commit (LSN, chain, checksum) ... take_batch -> log thread
//!                                   -> abort  (as if nothing had happened)          -> Tail -> link
//! ```

use std::collections::VecDeque;

use tandem_types::{Epoch, EpochStart, ForkId, Lsn, NodeId, Stamp};

use crate::batch::{BATCH_HEADER_BYTES, Batch};
use crate::record::{BadRecord, Header, PAYLOAD_BYTES_MAX, RECORD_HEADER_BYTES, RecordKind};
use crate::tip::{Records, Stop, Tip};

/// A batch is closed when it has grown to this: large enough that one sync is cheap per byte, small
/// enough that segments are filled well and buffers stay reusable.
const BATCH_BYTES_TARGET: usize = 4 << 20;

/// Buffers larger than this are given back to the allocator instead of kept for reuse.
const POOLED_BYTES_MAX: usize = 2 * BATCH_BYTES_TARGET;

/// Buffers kept for reuse: one being built and those at the log thread, which are many small ones while
/// it rests between groups.
const POOLED_COUNT_MAX: usize = 64;

/// Bytes of all buffers kept for reuse.
const POOL_BYTES_MAX: usize = 2 * POOLED_BYTES_MAX;

/// What a record's header says besides its place in the log.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RecordMeta {
    /// The current reign.
    pub epoch: Epoch,
    /// The time.
    pub stamp: Stamp,
    /// Primary-primary: end of the peer's stream that has been seen. Otherwise 0.
    pub seen: u64,
    /// The node that writes it.
    pub origin: NodeId,
}

/// Why a record was not appended. The log is as before.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AppendError {
    /// The effects are longer than a record may be.
    #[error("effects of {bytes} bytes do not fit into one record")]
    TooLarge {
        /// Their length.
        bytes: usize,
    },
}

/// Why raw records from the peer were not appended. The log is as before.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("record at byte {offset}: {stop:?}")]
pub struct AppendRawError {
    /// Where in the bytes the record begins that does not fit.
    pub offset: usize,
    /// What is wrong with it.
    pub stop: Stop,
}

impl AppendRawError {
    /// The reason, if the bytes were not merely cut.
    pub const fn bad(&self) -> Option<BadRecord> {
        match self.stop {
            Stop::Bad(bad) => Some(bad),
            Stop::Incomplete { .. } => None,
        }
    }
}

/// The writing end of the log in the data thread's memory.
///
/// Invariant: LSNs are gap-free, every record continues the running checksum, and effects carry the
/// epoch of the last epoch start.
#[derive(Debug)]
pub struct Appender {
    /// Where the open batch begins.
    open_before: Tip,
    /// After the last committed record.
    tip: Tip,
    open: Vec<u8>,
    starts: Vec<EpochStart>,
    building: Option<Building>,
    sealed: VecDeque<Batch>,
    sealed_bytes: usize,
    pool: Vec<Vec<u8>>,
    /// Capacity of all buffers in the pool.
    pool_bytes: usize,
}

#[derive(Clone, Copy, Debug)]
struct Building {
    offset: usize,
    kind: RecordKind,
}

impl Appender {
    /// Continues a log that ends at `tip`.
    pub fn new(tip: Tip) -> Self {
        Self {
            open_before: tip,
            tip,
            open: vec![0; BATCH_HEADER_BYTES],
            starts: Vec::new(),
            building: None,
            sealed: VecDeque::new(),
            sealed_bytes: 0,
            pool: Vec::new(),
            pool_bytes: 0,
        }
    }

    /// The end of the log in memory: LSN, chain, epoch and stamp that the next record continues.
    pub const fn tip(&self) -> Tip {
        self.tip
    }

    /// First LSN not yet appended.
    pub const fn appended_end(&self) -> Lsn {
        self.tip.end
    }

    /// Bytes of records that no batch has taken yet.
    pub fn pending_bytes(&self) -> usize {
        self.sealed_bytes + self.open.len().saturating_sub(BATCH_HEADER_BYTES)
    }

    /// Starts a record and returns the buffer to which its payload is appended.
    ///
    /// What is in the buffer already belongs to earlier records: only push to it, or truncate back to
    /// the length it had. End with [`Self::commit`] or [`Self::abort`].
    ///
    /// # Panics
    /// If a record is being built already.
    pub fn begin(&mut self, kind: RecordKind) -> &mut Vec<u8> {
        assert!(self.building.is_none(), "a record at {} is being built already", self.tip.end);
        let offset = self.open.len();
        self.building = Some(Building { offset, kind });
        self.open.resize(offset + RECORD_HEADER_BYTES, 0);
        &mut self.open
    }

    /// The buffer of the record being built, and where its payload begins.
    ///
    /// # Panics
    /// If none is being built.
    pub fn payload_mut(&mut self) -> (&mut Vec<u8>, usize) {
        let building = self.building();
        (&mut self.open, building.offset + RECORD_HEADER_BYTES)
    }

    /// Bytes of payload built so far; 0 if no record is being built.
    pub fn payload_len(&self) -> usize {
        self.building
            .map_or(0, |at| self.open.len().saturating_sub(at.offset + RECORD_HEADER_BYTES))
    }

    /// Gives the record that was built its place in the log and returns its LSN.
    ///
    /// Cost: one checksum over the record.
    ///
    /// # Errors
    /// The payload is too long; the record is dropped.
    ///
    /// # Panics
    /// If no record is being built, its buffer was cut below its start, or its epoch cannot follow.
    pub fn commit(&mut self, meta: RecordMeta) -> Result<Lsn, AppendError> {
        let Building { offset, kind } = self.building();
        let bytes = self.payload_len();
        assert!(
            self.open.len() >= offset + RECORD_HEADER_BYTES,
            "the buffer was cut to {} bytes, into the record that began at {offset}",
            self.open.len()
        );
        assert!(
            self.tip.allows(kind, meta.epoch),
            "a record of kind {kind:?} in epoch {} cannot follow epoch {}",
            meta.epoch,
            self.tip.epoch
        );
        if bytes > PAYLOAD_BYTES_MAX {
            self.abort();
            return Err(AppendError::TooLarge { bytes });
        }
        let RecordMeta { epoch, stamp, seen, origin } = meta;
        let (lsn, chain_before) = (self.tip.end, self.tip.chain);
        let header = Header { lsn, epoch, stamp, chain_before, seen, kind, origin };
        let crc = header.fill(&mut self.open[offset..]);
        self.building = None;
        self.tip = Tip { end: lsn.next(), chain: chain_before.after(crc), epoch, stamp };
        self.seal_if_large();
        Ok(lsn)
    }

    /// Forgets the record being built, if any.
    pub fn abort(&mut self) {
        if let Some(Building { offset, .. }) = self.building.take() {
            self.open.truncate(offset);
        }
    }

    /// Appends a record whose payload is at hand.
    ///
    /// # Errors
    /// The payload is too long.
    ///
    /// # Panics
    /// As [`Self::begin`] and [`Self::commit`].
    pub fn append(
        &mut self,
        kind: RecordKind,
        payload: &[u8],
        meta: RecordMeta,
    ) -> Result<Lsn, AppendError> {
        self.begin(kind).extend_from_slice(payload);
        self.commit(meta)
    }

    /// Begins a reign: the first record of `meta.epoch`, which must be later than the current one.
    ///
    /// # Panics
    /// If it is not later.
    pub fn start_epoch(&mut self, fork: ForkId, meta: RecordMeta) -> Lsn {
        let first = self.tip.end;
        self.starts.push(EpochStart { epoch: meta.epoch, fork, first });
        let appended = self.append(RecordKind::EpochStart, &fork.get().to_le_bytes(), meta);
        assert!(appended.is_ok(), "eight bytes fit into a record: {appended:?}");
        first
    }

    /// Appends whole records that the peer wrote, byte for byte, and returns the new end.
    ///
    /// All are verified first: checksums, LSNs, running checksum, epochs.
    ///
    /// # Errors
    /// The first record that does not continue this log; none is appended.
    ///
    /// # Panics
    /// If a record is being built.
    pub fn append_raw(&mut self, bytes: &[u8]) -> Result<Lsn, AppendRawError> {
        assert!(self.building.is_none(), "a record at {} is being built", self.tip.end);
        let mut records = Records::new(bytes, self.tip);
        let known = self.starts.len();
        while let Some(step) = records.next() {
            match step {
                Ok(record) => self.starts.extend(record.fork().map(|fork| EpochStart {
                    epoch: record.epoch,
                    fork,
                    first: record.lsn,
                })),
                Err(stop) => {
                    self.starts.truncate(known);
                    return Err(AppendRawError { offset: records.offset(), stop });
                }
            }
        }
        self.open.extend_from_slice(bytes);
        self.tip = records.tip();
        self.seal_if_large();
        Ok(self.tip.end)
    }

    /// The oldest records not yet taken; `None` if there are none.
    ///
    /// # Panics
    /// If a record is being built and nothing older is waiting.
    pub fn take_batch(&mut self) -> Option<Batch> {
        if self.sealed.is_empty() {
            self.seal();
        }
        let batch = self.sealed.pop_front()?;
        self.sealed_bytes -= batch.records().len();
        Some(batch)
    }

    /// Gives back the buffer of a batch that has been written, for reuse.
    pub fn recycle(&mut self, batch: Batch) {
        let mut buffer = batch.into_buffer();
        let bytes = buffer.capacity();
        let fits = bytes <= POOLED_BYTES_MAX && self.pool_bytes + bytes <= POOL_BYTES_MAX;
        if fits && self.pool.len() < POOLED_COUNT_MAX {
            buffer.clear();
            self.pool_bytes += bytes;
            self.pool.push(buffer);
        }
    }

    fn seal_if_large(&mut self) {
        if self.open.len() >= BATCH_BYTES_TARGET {
            self.seal();
        }
    }

    fn seal(&mut self) {
        assert!(self.building.is_none(), "a record at {} is being built", self.tip.end);
        if self.open.len() == BATCH_HEADER_BYTES {
            return;
        }
        let mut next = self.pool.pop().unwrap_or_default();
        self.pool_bytes -= next.capacity();
        next.resize(BATCH_HEADER_BYTES, 0);
        let buffer = std::mem::replace(&mut self.open, next);
        let starts = std::mem::take(&mut self.starts);
        let batch = Batch::new(self.open_before, self.tip, starts, buffer);
        self.sealed_bytes += batch.records().len();
        self.sealed.push_back(batch);
        self.open_before = self.tip;
    }

    fn building(&self) -> Building {
        match self.building {
            Some(building) => building,
            None => panic!("no record is being built at {}", self.tip.end),
        }
    }
}

#[cfg(test)]
mod tests;
