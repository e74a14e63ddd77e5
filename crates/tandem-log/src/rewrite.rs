//! New segments from nothing or from old ones: create a log, copy a tail, cut.
//!
//! Every new file is complete and synced before it takes its name, and the directory is synced after.

use std::io;

use tandem_disk::{Access, Disk, DiskFile};
use tandem_types::{EpochHistory, Lsn, PairId};

use crate::batch::{BATCH_HEADER_BYTES, BatchHeader, framed_len};
use crate::damage::Damage;
use crate::recover::{RecoverError, list_segments, open_segment};
use crate::scan::{Scanner, Step};
use crate::segment::{SegmentHeader, TEMPORARY_NAME, path, segment_name};
use crate::table::Segment;
use crate::tip::Tip;

/// Records are copied in batches of this size.
const COPY_BYTES: usize = 1 << 20;

/// Creates a log without records that will begin at `tip`: the empty log of a new directory
/// ([`Tip::EMPTY`]), or one that continues from a snapshot. The directory must exist.
///
/// # Errors
/// The disk failed, or is full.
pub fn create_log<D: Disk>(
    disk: &D,
    dir: &str,
    pair: PairId,
    tip: Tip,
    history: &EpochHistory,
) -> Result<(), RecoverError> {
    let header =
        SegmentHeader { pair, before: tip, durable_end: tip.end, history: history.clone() };
    let copy = Copy::begin(disk, dir, &header)?;
    copy.finish(disk, dir, tip.end).map(|_| ())
}

/// What a cut did.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CutReport {
    /// The end of the log now.
    pub end: Lsn,
    /// Whole segments that were removed.
    pub segments_removed: usize,
}

/// Why a log was not cut.
#[derive(Debug, thiserror::Error)]
pub enum CutError {
    /// The log no longer reaches back so far: a full copy is needed.
    #[error("cannot cut to record {to}: the log begins at {oldest}")]
    BeforeOldest {
        /// Where it was to be cut.
        to: Lsn,
        /// First record kept.
        oldest: Lsn,
    },
    /// The disk failed, or the log is damaged.
    #[error("cut the log")]
    Log(#[from] RecoverError),
}

/// Forgets every record from `to` on. The caller has saved them; no writer may be open, and readers must
/// be opened anew.
///
/// A crash on the way leaves a log that is too long: cut again. Does nothing to a log that ends earlier.
///
/// # Errors
/// See [`CutError`].
pub fn cut<D: Disk>(disk: &D, dir: &str, to: Lsn) -> Result<CutReport, CutError> {
    let mut firsts = list_segments(disk, dir)?;
    let oldest = match firsts.first() {
        Some(oldest) if *oldest <= to => *oldest,
        Some(oldest) => return Err(CutError::BeforeOldest { to, oldest: *oldest }),
        None => return Err(RecoverError::Missing { dir: dir.to_owned() }.into()),
    };
    let mut segments_removed = 0;
    // Newest first, each made durable, so that a power cut never leaves a gap.
    while let Some(first) = firsts.pop_if(|first| *first > to) {
        let name = path(dir, &segment_name(first));
        disk.remove(&name).map_err(RecoverError::io("remove", &name))?;
        disk.sync_dir(dir).map_err(RecoverError::io("sync directory", dir))?;
        segments_removed += 1;
    }
    let first = firsts.last().copied().unwrap_or(oldest);
    let segment = rewrite(disk, dir, first, to)?;
    Ok(CutReport { end: segment.end, segments_removed })
}

/// Puts a new file in the place of the segment that begins at `first`, with its records before `to`.
pub(crate) fn rewrite<D: Disk>(
    disk: &D,
    dir: &str,
    first: Lsn,
    to: Lsn,
) -> Result<Segment, RecoverError> {
    let (file, header) = open_segment(disk, dir, first, Access::Read)?;
    let name = path(dir, &segment_name(first));
    let mut scanner = Scanner::new(&file, &header).map_err(RecoverError::io("read", &name))?;
    // The new header states what is true once the new file has its name.
    let mut copy = Copy::begin(disk, dir, &SegmentHeader { durable_end: to, ..header })?;
    while scanner.tip().end < to {
        let before = scanner.tip();
        let durable_end = scanner.durable_end();
        match scanner.step().map_err(RecoverError::io("read", &name))? {
            Step::Record(record) => copy.push(before, record.raw)?,
            Step::End { offset, why } => {
                if durable_end > before.end {
                    let damage = Damage { file: name, offset, lsn: before.end, what: why };
                    return Err(RecoverError::Damaged(damage));
                }
                break;
            }
        }
    }
    let end = scanner.tip().end;
    if end < to {
        // The log ends earlier: the header must not claim more.
        drop(copy);
        return rewrite(disk, dir, first, end);
    }
    copy.finish(disk, dir, end)
}

/// Writes a segment over itself, so that what only the page cache holds reaches the disk, and zeros over
/// what follows its last batch at `end`.
pub(crate) fn rewrite_in_place<D: Disk>(
    disk: &D,
    dir: &str,
    first: Lsn,
    end: u64,
) -> Result<(), RecoverError> {
    let name = path(dir, &segment_name(first));
    let file = disk.open(&name, Access::Write).map_err(RecoverError::io("open", &name))?;
    copy_over_itself(&file, end).map_err(RecoverError::io("write in place", &name))
}

fn copy_over_itself<F: DiskFile>(file: &F, end: u64) -> io::Result<()> {
    let len = file.len()?;
    let mut buffer = vec![0; COPY_BYTES];
    let mut offset = 0;
    while offset < len {
        let count = file.read_at(offset, &mut buffer)?;
        let bytes = &mut buffer[..count];
        if bytes.is_empty() {
            break;
        }
        let keep = usize::try_from(end.saturating_sub(offset)).unwrap_or(count).min(count);
        bytes[keep..].fill(0);
        file.write_at(offset, bytes)?;
        offset += count as u64;
    }
    file.sync_data()
}

/// A segment that is being written under a temporary name.
struct Copy<F> {
    file: F,
    segment: Segment,
    /// The end of the log before the records in `frame`.
    before: Tip,
    /// Room for a frame header, then records.
    frame: Vec<u8>,
}

impl<F: DiskFile> Copy<F> {
    fn begin<D: Disk<File = F>>(
        disk: &D,
        dir: &str,
        header: &SegmentHeader,
    ) -> Result<Self, RecoverError> {
        let name = path(dir, TEMPORARY_NAME);
        match disk.remove(&name) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(RecoverError::io("remove", &name)(source));
            }
            Ok(()) | Err(_) => {}
        }
        let file = disk.create(&name).map_err(RecoverError::io("create", &name))?;
        let bytes = header.encode();
        file.write_at(0, &bytes).map_err(RecoverError::io("write", &name))?;
        let segment = Segment::new(header.before.end, bytes.len() as u64);
        Ok(Self { file, segment, before: header.before, frame: vec![0; BATCH_HEADER_BYTES] })
    }

    /// Takes one record; `before` is the end of the log before it.
    fn push(&mut self, before: Tip, record: &[u8]) -> Result<(), RecoverError> {
        if self.frame.len() == BATCH_HEADER_BYTES {
            self.before = before;
        }
        self.frame.extend_from_slice(record);
        self.segment.end = before.end.next();
        if self.frame.len() >= COPY_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), RecoverError> {
        let bytes = self.frame.len() - BATCH_HEADER_BYTES;
        if bytes == 0 {
            return Ok(());
        }
        let Tip { end: first, chain, .. } = self.before;
        let offset = self.segment.bytes;
        let header = BatchHeader { bytes, first, durable_end: self.segment.first, chain, offset };
        self.frame[..BATCH_HEADER_BYTES].copy_from_slice(&header.encode());
        self.frame.resize(framed_len(bytes), 0);
        let written = self.file.write_at(offset, &self.frame);
        written.map_err(RecoverError::io("write", TEMPORARY_NAME))?;
        self.segment.index_batch(first, offset);
        self.segment.bytes += self.frame.len() as u64;
        self.frame.clear();
        self.frame.resize(BATCH_HEADER_BYTES, 0);
        Ok(())
    }

    fn finish<D: Disk<File = F>>(
        mut self,
        disk: &D,
        dir: &str,
        end: Lsn,
    ) -> Result<Segment, RecoverError> {
        self.flush()?;
        assert_eq!(self.segment.end, end, "the copy does not end where it says");
        let (from, to) = (path(dir, TEMPORARY_NAME), path(dir, &segment_name(self.segment.first)));
        self.file.sync_data().map_err(RecoverError::io("sync", &from))?;
        disk.rename(&from, &to).map_err(RecoverError::io("rename", &to))?;
        disk.sync_dir(dir).map_err(RecoverError::io("sync directory", dir))?;
        Ok(self.segment)
    }
}
