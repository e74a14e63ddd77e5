//! The newest records in memory, from which a live follower is served without touching the disk.

use std::collections::VecDeque;

use tandem_types::Lsn;

use crate::record::encoded_len;
use crate::tip::Tip;

/// Records are kept in pieces of about this size; whole pieces are forgotten.
const CHUNK_BYTES: usize = 256 << 10;

/// Within a chunk, one record is remembered for every so many bytes.
const MARK_EVERY_BYTES: usize = 8 << 10;

/// A bounded window over the end of the log.
///
/// Holds copies of whole records. Memory: the bound, plus one chunk (or one batch, if that is larger).
#[derive(Debug)]
pub struct Tail {
    bytes_max: usize,
    bytes: usize,
    end: Lsn,
    chunks: VecDeque<Chunk>,
    spare: Option<Chunk>,
}

#[derive(Debug, Default)]
struct Chunk {
    first: Lsn,
    end: Lsn,
    bytes: Vec<u8>,
    /// Records within: LSN and place.
    marks: Vec<(Lsn, usize)>,
}

impl Tail {
    /// An empty window at `tip` that keeps up to `bytes_max` bytes of records.
    pub const fn new(tip: Tip, bytes_max: usize) -> Self {
        Self { bytes_max, bytes: 0, end: tip.end, chunks: VecDeque::new(), spare: None }
    }

    /// First record that is still here; the end if none is.
    pub fn oldest(&self) -> Lsn {
        self.chunks.front().map_or(self.end, |chunk| chunk.first)
    }

    /// First LSN that is not here yet.
    pub const fn end(&self) -> Lsn {
        self.end
    }

    /// Bytes of records held.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes in the whole, verified records that come next, and forgets the oldest ones over the bound.
    ///
    /// # Panics
    /// If `first` is not where the window ends, or `records` are not the records up to `end`.
    pub fn push(&mut self, first: Lsn, end: Lsn, mut records: &[u8]) {
        assert_eq!(first, self.end, "records that do not continue the tail");
        while !records.is_empty() {
            let len = match encoded_len(records) {
                Ok(Some(len)) if len <= records.len() => len,
                other => panic!("no whole record at {} in the tail: {other:?}", self.end),
            };
            let (record, rest) = records.split_at(len);
            self.push_record(record);
            records = rest;
        }
        assert_eq!(end, self.end, "the tail was given another number of records");
        while self.bytes > self.bytes_max && self.chunks.len() > 1 {
            self.forget_oldest();
        }
    }

    /// Whole records from `from` on: at most `bytes_max` bytes, but at least one record.
    ///
    /// `None` if `from` is no longer here (read the log instead) or beyond the end; empty at the end.
    /// Cost: up to 8 KiB of records are walked over.
    pub fn read(&self, from: Lsn, bytes_max: usize) -> Option<Piece<'_>> {
        if from == self.end {
            return Some(Piece { end: from, bytes: &[] });
        }
        let after = self.chunks.partition_point(|chunk| chunk.first <= from);
        let chunk = self.chunks.get(after.checked_sub(1)?)?;
        if from >= chunk.end {
            return None;
        }
        chunk.read(from, bytes_max)
    }

    /// Forgets everything: the log was cut, or is another one now.
    pub fn reset(&mut self, tip: Tip) {
        *self = Self::new(tip, self.bytes_max);
    }

    fn push_record(&mut self, record: &[u8]) {
        let full = |chunk: &Chunk| {
            !chunk.bytes.is_empty() && chunk.bytes.len() + record.len() > CHUNK_BYTES
        };
        if self.chunks.back().is_none_or(full) {
            let mut chunk = self.spare.take().unwrap_or_else(Chunk::with_room);
            chunk.clear(self.end);
            self.chunks.push_back(chunk);
        }
        if let Some(chunk) = self.chunks.back_mut() {
            chunk.push(record);
        }
        self.bytes += record.len();
        self.end = self.end.next();
    }

    fn forget_oldest(&mut self) {
        if let Some(chunk) = self.chunks.pop_front() {
            self.bytes -= chunk.bytes.len();
            if chunk.bytes.capacity() <= 2 * CHUNK_BYTES {
                self.spare = Some(chunk);
            }
        }
    }
}

/// Whole records out of a [`Tail`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Piece<'a> {
    /// The LSN after the last.
    pub end: Lsn,
    /// The records.
    pub bytes: &'a [u8],
}

impl Chunk {
    /// At its full size from the start: growing would copy everything twice.
    fn with_room() -> Self {
        Self { bytes: Vec::with_capacity(CHUNK_BYTES), ..Self::default() }
    }

    fn clear(&mut self, first: Lsn) {
        (self.first, self.end) = (first, first);
        self.bytes.clear();
        self.marks.clear();
    }

    fn push(&mut self, record: &[u8]) {
        let place = self.bytes.len();
        if self.marks.last().is_none_or(|(_, last)| place >= last + MARK_EVERY_BYTES) {
            self.marks.push((self.end, place));
        }
        self.bytes.extend_from_slice(record);
        self.end = self.end.next();
    }

    fn read(&self, from: Lsn, bytes_max: usize) -> Option<Piece<'_>> {
        let start = self.place(from)?;
        if self.bytes.len() - start <= bytes_max {
            return Some(Piece { end: self.end, bytes: self.bytes.get(start..)? });
        }
        // From the last marked record that surely fits, on to the last one that does.
        let limit = start.saturating_add(bytes_max);
        let after = self.marks.partition_point(|(_, place)| *place <= limit);
        let marked = after.checked_sub(1).and_then(|at| self.marks.get(at)).copied();
        let (mut end, mut stop) =
            marked.filter(|(_, place)| *place > start).unwrap_or((from, start));
        while let Some(next) = self.after(stop)
            && (next <= limit || stop == start)
        {
            (end, stop) = (end.next(), next);
        }
        Some(Piece { end, bytes: self.bytes.get(start..stop)? })
    }

    /// Where the record `lsn` begins.
    fn place(&self, lsn: Lsn) -> Option<usize> {
        let after = self.marks.partition_point(|(marked, _)| *marked <= lsn);
        let (mut at, mut place) = self.marks.get(after.checked_sub(1)?).copied()?;
        while at < lsn {
            place = self.after(place)?;
            at = at.next();
        }
        Some(place)
    }

    /// Where the record after the one at `place` begins; `None` at the end.
    fn after(&self, place: usize) -> Option<usize> {
        let rest = self.bytes.get(place..).filter(|rest| !rest.is_empty())?;
        encoded_len(rest).ok().flatten().map(|len| place + len)
    }
}

#[cfg(test)]
mod tests;
