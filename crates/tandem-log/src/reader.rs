//! Reads records back as raw bytes, while the writer goes on: for a peer that returns, for saving a
//! diverged tail, for a person.

use std::io;

use tandem_disk::{Access, Disk, DiskFile};
use tandem_types::Lsn;

use crate::batch::{BATCH_HEADER_BYTES, BatchHeader, framed_len};
use crate::damage::{Damage, DamageKind};
use crate::record::{BadRecord, Decoded, decode, encoded_len};
use crate::scan::read_header;
use crate::segment::{path, segment_name};
use crate::table::SegmentTable;
use crate::window::Window;

/// Why records could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The log no longer reaches back so far.
    #[error("record {from} is no longer kept; the log begins at {oldest}")]
    Gone {
        /// What was asked for.
        from: Lsn,
        /// First record kept.
        oldest: Lsn,
    },
    /// Durable records are damaged. They must not be served.
    #[error("log damaged: {0}")]
    Damaged(Damage),
    /// The disk failed.
    #[error("read {file}")]
    Io {
        /// The file.
        file: String,
        /// How it failed.
        source: io::Error,
    },
}

/// A reader of a log. Each has a place of its own; several may read while one writer writes.
#[derive(Debug)]
pub struct LogReader<D: Disk> {
    disk: D,
    dir: String,
    table: SegmentTable,
    place: Option<Place<D::File>>,
}

/// Where the last read ended, so that the next one need not search.
#[derive(Debug)]
struct Place<F> {
    file: F,
    /// First LSN of the segment.
    segment: Lsn,
    /// The next record.
    next: Lsn,
    /// Where it begins, or a frame that holds it or comes before it.
    offset: u64,
    /// Where the records of the current batch end, and its frame; `None` at a frame.
    batch: Option<(u64, u64)>,
}

impl<D: Disk> LogReader<D> {
    pub(crate) const fn new(disk: D, dir: String, table: SegmentTable) -> Self {
        Self { disk, dir, table, place: None }
    }

    /// First record still kept.
    pub fn oldest(&self) -> Lsn {
        self.table.oldest()
    }

    /// Appends whole records to `out`, from `from` on and before `end`: as many as fit into `bytes_max`,
    /// but at least one if there is one. Returns the LSN after the last.
    ///
    /// `end` must not be beyond what the writer has written. Checksums and LSNs are verified. Cost:
    /// reading on where the last call ended is free; elsewhere up to 256 KiB are walked over first.
    ///
    /// # Errors
    /// See [`ReadError`]; `out` then holds only good records.
    pub fn read(
        &mut self,
        from: Lsn,
        end: Lsn,
        bytes_max: usize,
        out: &mut Vec<u8>,
    ) -> Result<Lsn, ReadError> {
        let start = out.len();
        let limit = start.saturating_add(bytes_max);
        let end = end.min(self.written_end());
        let mut next = from;
        while next < end && (out.len() == start || out.len() < limit) {
            let mut place = self.place_for(next)?;
            let stop = self.segment_end(place.segment).min(end);
            let read_ahead = bytes_max.clamp(READ_AHEAD_BYTES_MIN, READ_AHEAD_BYTES_MAX);
            let mut fetch = Fetch { from: next, stop, start, limit, read_ahead, out: &mut *out };
            let fetched = fetch.run(&mut place);
            let file = || path(&self.dir, &segment_name(place.segment));
            match fetched {
                Ok(Fetched::All) => {}
                Ok(Fetched::Limit) => {
                    next = place.next;
                    self.place = Some(place);
                    break;
                }
                Err(Trouble::Io(source)) => return Err(ReadError::Io { file: file(), source }),
                Err(Trouble::Damaged { offset, lsn, what }) => {
                    return Err(ReadError::Damaged(Damage { file: file(), offset, lsn, what }));
                }
            }
            next = place.next;
            self.place = Some(place);
        }
        Ok(next)
    }

    /// The place of `next`: where the last read ended, or found through the table.
    fn place_for(&mut self, next: Lsn) -> Result<Place<D::File>, ReadError> {
        match self.place.take() {
            Some(place) if place.next == next && next < self.segment_end(place.segment) => {
                Ok(place)
            }
            _ => self.seek(next),
        }
    }

    fn seek(&self, lsn: Lsn) -> Result<Place<D::File>, ReadError> {
        let found = {
            let segments = self.table.lock();
            let after = segments.partition_point(|segment| segment.first <= lsn);
            let found = after.checked_sub(1).and_then(|at| segments.get(at));
            found.map(|found| (found.first, found.batch_before(lsn)))
        };
        let gone = || ReadError::Gone { from: lsn, oldest: self.oldest() };
        let (segment, indexed) = found.ok_or_else(gone)?;
        let name = path(&self.dir, &segment_name(segment));
        let io = |source| ReadError::Io { file: name.clone(), source };
        let file = match self.disk.open(&name, Access::Read) {
            // The writer has just deleted it.
            Err(_) if self.oldest() > lsn => return Err(gone()),
            opened => opened.map_err(io)?,
        };
        let damaged = |what| Damage { file: name.clone(), offset: 0, lsn: segment, what };
        let header = match read_header(&file).map_err(io)? {
            Ok(header) if header.before.end == segment => header,
            Ok(_) | Err(_) => return Err(ReadError::Damaged(damaged(DamageKind::SegmentHeader))),
        };
        // Without an index entry: from the first batch.
        let (next, offset) = indexed.unwrap_or((segment, header.encoded_len() as u64));
        Ok(Place { file, segment, next, offset, batch: None })
    }

    fn written_end(&self) -> Lsn {
        self.table.lock().last().map_or(Lsn::ZERO, |segment| segment.end)
    }

    /// Where the segment's records end now; [`Lsn::ZERO`] if it is gone.
    fn segment_end(&self, first: Lsn) -> Lsn {
        let segments = self.table.lock();
        segments.iter().rfind(|segment| segment.first == first).map_or(Lsn::ZERO, |found| found.end)
    }
}

/// A read takes in at least this much of the file at a time,
const READ_AHEAD_BYTES_MIN: usize = 16 << 10;
/// and at most this much.
const READ_AHEAD_BYTES_MAX: usize = 1 << 20;

/// One read from one segment.
struct Fetch<'o> {
    from: Lsn,
    stop: Lsn,
    /// Length of `out` before the whole read.
    start: usize,
    limit: usize,
    read_ahead: usize,
    out: &'o mut Vec<u8>,
}

/// How a fetch ended.
enum Fetched {
    /// At the end of what was asked of this segment.
    All,
    /// The next record does not fit.
    Limit,
}

enum Trouble {
    Io(io::Error),
    Damaged { offset: u64, lsn: Lsn, what: DamageKind },
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Fetch<'_> {
    /// Walks from `place` to the first record asked for, then copies records.
    fn run<F: DiskFile>(&mut self, place: &mut Place<F>) -> Result<Fetched, Trouble> {
        let Place { file, next, offset, batch, .. } = place;
        let mut window = Window::with_read_ahead(file, self.read_ahead);
        let file_len = file.len()?;
        while *next < self.stop {
            let bad = |what| Trouble::Damaged { offset: *offset, lsn: *next, what };
            let records_end = match *batch {
                Some((records_end, _)) if *offset < records_end => records_end,
                Some((_, frame_end)) => {
                    (*offset, *batch) = (frame_end, None);
                    continue;
                }
                None => {
                    let bytes = window.get(*offset, BATCH_HEADER_BYTES)?;
                    let header = bytes.and_then(|bytes| BatchHeader::decode(bytes, *offset));
                    let header = header.filter(|header| header.first == *next);
                    let header = header.ok_or_else(|| bad(DamageKind::Frame))?;
                    let frame_end = *offset + framed_len(header.bytes) as u64;
                    *offset += BATCH_HEADER_BYTES as u64;
                    *batch = Some((*offset + header.bytes as u64, frame_end));
                    continue;
                }
            };
            let room = records_end.min(file_len).saturating_sub(*offset);
            let room = usize::try_from(room).unwrap_or(usize::MAX);
            let front = window.get(*offset, room.min(8))?.unwrap_or_default();
            let len = match encoded_len(front) {
                Ok(Some(len)) if len <= room => len,
                Ok(_) => return Err(bad(DamageKind::Cut)),
                Err(why) => return Err(bad(DamageKind::Record(why))),
            };
            if *next >= self.from {
                if self.out.len() > self.start && self.out.len() + len > self.limit {
                    return Ok(Fetched::Limit);
                }
                let bytes = window.get(*offset, len)?.ok_or_else(|| bad(DamageKind::Cut))?;
                check(bytes, *next).map_err(|why| bad(DamageKind::Record(why)))?;
                self.out.extend_from_slice(bytes);
            }
            *offset += len as u64;
            *next = next.next();
        }
        Ok(Fetched::All)
    }
}

fn check(bytes: &[u8], lsn: Lsn) -> Result<(), BadRecord> {
    match decode(bytes) {
        Decoded::Record(record) if record.lsn == lsn => Ok(()),
        Decoded::Record(record) => Err(BadRecord::Lsn { found: record.lsn, expected: lsn }),
        Decoded::Bad(bad) => Err(bad),
        // `bytes` is as long as the header says, so this cannot be.
        Decoded::Incomplete { .. } => Err(BadRecord::Length(0)),
    }
}
