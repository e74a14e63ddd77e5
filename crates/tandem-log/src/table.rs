//! The segments of a log, shared by the writer and the readers.

use std::sync::{Arc, Mutex, MutexGuard};

use tandem_types::Lsn;

/// One batch is remembered for every so many bytes of a segment.
const INDEX_EVERY_BYTES: u64 = 256 << 10;

/// One segment as known in memory.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Segment {
    pub(crate) first: Lsn,
    /// First LSN after its records.
    pub(crate) end: Lsn,
    /// Bytes in use, header included.
    pub(crate) bytes: u64,
    /// Batches: first LSN and place in the file.
    pub(crate) index: Vec<(Lsn, u64)>,
}

impl Segment {
    pub(crate) const fn new(first: Lsn, header_bytes: u64) -> Self {
        Self { first, end: first, bytes: header_bytes, index: Vec::new() }
    }

    /// Remembers a batch if the last one remembered is far enough behind.
    pub(crate) fn index_batch(&mut self, first: Lsn, offset: u64) {
        if self.index.last().is_none_or(|(_, last)| offset >= last + INDEX_EVERY_BYTES) {
            self.index.push((first, offset));
        }
    }

    /// The last remembered batch that begins at `lsn` or before.
    pub(crate) fn batch_before(&self, lsn: Lsn) -> Option<(Lsn, u64)> {
        let after = self.index.partition_point(|(first, _)| *first <= lsn);
        self.index.get(after.checked_sub(1)?).copied()
    }
}

/// All segments, oldest first. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct SegmentTable {
    segments: Arc<Mutex<Vec<Segment>>>,
}

impl SegmentTable {
    pub(crate) fn new(segments: Vec<Segment>) -> Self {
        Self { segments: Arc::new(Mutex::new(segments)) }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Vec<Segment>> {
        // A panic under the lock ends the process in release builds; in tests what is left is whole.
        self.segments.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The first LSN of the newest segments that together hold at least `bytes`.
    pub(crate) fn holds_from(&self, bytes: u64) -> Lsn {
        let mut held = 0;
        let segments = self.lock();
        let newest = segments.iter().rev().find(|segment| {
            held += segment.bytes;
            held >= bytes
        });
        newest.or(segments.first()).map_or(Lsn::ZERO, |segment| segment.first)
    }

    /// First LSN that is still kept.
    pub(crate) fn oldest(&self) -> Lsn {
        self.lock().first().map_or(Lsn::ZERO, |segment| segment.first)
    }

    /// Bytes of records and headers in all segments.
    pub(crate) fn total_bytes(&self) -> u64 {
        self.lock().iter().map(|segment| segment.bytes).sum()
    }
}
