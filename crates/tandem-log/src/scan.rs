//! Walks over one segment: its header, its batches, their records.

use std::io;

use tandem_disk::{DiskFile, SECTOR_BYTES};
use tandem_types::Lsn;

use crate::batch::{BATCH_HEADER_BYTES, BatchHeader, framed_len};
use crate::damage::DamageKind;
use crate::record::{BadRecord, Decoded, RecordView, decode, encoded_len};
use crate::segment::{HeaderError, SegmentHeader};
use crate::tip::Tip;
use crate::window::Window;

/// Reads the header of a segment.
pub(crate) fn read_header<F: DiskFile>(file: &F) -> io::Result<Result<SegmentHeader, HeaderError>> {
    let mut sector = [0; SECTOR_BYTES];
    if file.read_at(0, &mut sector)? < SECTOR_BYTES {
        return Ok(Err(HeaderError::Damaged));
    }
    let stated = match SegmentHeader::stated_len(&sector) {
        Ok(stated) if stated as u64 <= file.len()? => stated,
        Ok(_) => return Ok(Err(HeaderError::Damaged)),
        Err(error) => return Ok(Err(error)),
    };
    let mut bytes = vec![0; stated];
    file.read_exact_at(0, &mut bytes)?;
    Ok(SegmentHeader::decode(&bytes))
}

/// One step of a walk.
#[derive(Debug)]
pub(crate) enum Step<'w> {
    /// The next record.
    Record(RecordView<'w>),
    /// There is no further record here: the log ends, or it is damaged.
    End {
        /// The byte that the walk stopped at.
        offset: u64,
        /// What it met.
        why: DamageKind,
    },
}

/// A walk over the batches of a segment.
#[derive(Debug)]
pub(crate) struct Scanner<'f, F> {
    window: Window<'f, F>,
    file_len: u64,
    /// Next byte to look at.
    offset: u64,
    /// Where the records of the current batch end, and its frame.
    batch: Option<(u64, u64)>,
    tip: Tip,
    /// Records before this are proven durable by what has been read so far.
    durable_end: Lsn,
    /// Where the last batch began: for the sparse index.
    batch_began: Option<(Lsn, u64)>,
}

impl<'f, F: DiskFile> Scanner<'f, F> {
    /// A walk from the first record of a segment.
    pub(crate) fn new(file: &'f F, header: &SegmentHeader) -> io::Result<Self> {
        Ok(Self {
            window: Window::new(file),
            file_len: file.len()?,
            offset: header.encoded_len() as u64,
            batch: None,
            tip: header.before,
            durable_end: header.durable_end,
            batch_began: None,
        })
    }

    /// The end of the log as far as walked.
    pub(crate) const fn tip(&self) -> Tip {
        self.tip
    }

    /// What has been proven durable by marks read so far.
    pub(crate) const fn durable_end(&self) -> Lsn {
        self.durable_end
    }

    /// Where the next batch would be appended, were this the end.
    pub(crate) fn batch_end(&self) -> u64 {
        self.batch.map_or(self.offset, |(_, end)| end)
    }

    /// The batch that was begun since the last call, for the sparse index.
    pub(crate) fn take_batch_began(&mut self) -> Option<(Lsn, u64)> {
        self.batch_began.take()
    }

    /// The next record, or why there is none.
    #[inline]
    pub(crate) fn step(&mut self) -> io::Result<Step<'_>> {
        let records_end = match self.enter_batch()? {
            Ok(end) => end,
            Err(why) => return Ok(Step::End { offset: self.offset, why }),
        };
        let offset = self.offset;
        let room = usize::try_from(records_end - offset).unwrap_or(usize::MAX);
        let Some(front) = self.window.get(offset, room.min(8))? else {
            return Ok(Step::End { offset, why: DamageKind::Cut });
        };
        let len = match encoded_len(front) {
            Ok(Some(len)) if len <= room => len,
            Ok(_) => return Ok(Step::End { offset, why: DamageKind::Cut }),
            Err(bad) => return Ok(Step::End { offset, why: DamageKind::Record(bad) }),
        };
        // The window grows to `len` only if the file has that many bytes: a damaged length costs nothing.
        if offset + len as u64 > self.file_len {
            return Ok(Step::End { offset, why: DamageKind::Cut });
        }
        let Some(bytes) = self.window.get(offset, len)? else {
            return Ok(Step::End { offset, why: DamageKind::Cut });
        };
        match next_record(bytes, &self.tip) {
            Ok(record) => {
                self.offset += len as u64;
                self.tip = self.tip.after(&record);
                Ok(Step::Record(record))
            }
            Err(bad) => Ok(Step::End { offset, why: DamageKind::Record(bad) }),
        }
    }

    /// Goes on to the next batch with records if the current one is done; the end of its records.
    #[inline]
    fn enter_batch(&mut self) -> io::Result<Result<u64, DamageKind>> {
        loop {
            if let Some((records_end, frame_end)) = self.batch {
                if self.offset < records_end {
                    return Ok(Ok(records_end));
                }
                self.offset = frame_end;
                self.batch = None;
            }
            let Some(bytes) = self.window.get(self.offset, BATCH_HEADER_BYTES)? else {
                return Ok(Err(DamageKind::Frame));
            };
            let Some(header) = BatchHeader::decode(bytes, self.offset) else {
                return Ok(Err(DamageKind::Frame));
            };
            if header.first != self.tip.end {
                let (found, expected) = (header.first, self.tip.end);
                return Ok(Err(DamageKind::Record(BadRecord::Lsn { found, expected })));
            }
            if header.chain != self.tip.chain {
                let (found, expected) = (header.chain, self.tip.chain);
                return Ok(Err(DamageKind::Record(BadRecord::Chain { found, expected })));
            }
            self.batch_began = Some((header.first, self.offset));
            self.durable_end = self.durable_end.max(header.durable_end);
            let frame_end = self.offset + framed_len(header.bytes) as u64;
            self.offset += BATCH_HEADER_BYTES as u64;
            self.batch = Some((self.offset + header.bytes as u64, frame_end));
        }
    }
}

#[inline]
fn next_record<'w>(bytes: &'w [u8], tip: &Tip) -> Result<RecordView<'w>, BadRecord> {
    match decode(bytes) {
        Decoded::Record(record) => tip.check(&record).map(|()| record),
        Decoded::Bad(bad) => Err(bad),
        // `bytes` is as long as the header says, so this cannot be; a length is the honest answer.
        Decoded::Incomplete { need } => {
            Err(BadRecord::Length(u32::try_from(need).unwrap_or(u32::MAX)))
        }
    }
}

/// What lies in a segment after the byte where the log seems to end.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Beyond {
    /// The latest durable end that any later batch states.
    pub(crate) durable_end: Lsn,
    /// Bytes up to the last one that is not zero.
    pub(crate) bytes: u64,
}

/// Searches for frame headers at and after `offset`, at every sector border.
pub(crate) fn look_beyond<F: DiskFile>(file: &F, offset: u64) -> io::Result<Beyond> {
    let mut window = Window::new(file);
    let mut beyond = Beyond::default();
    let sector = SECTOR_BYTES as u64;
    let len = file.len()?;
    let mut at = offset;
    while at < len {
        let border = (at / sector + 1) * sector;
        let count = usize::try_from(border.min(len) - at).unwrap_or(SECTOR_BYTES);
        let Some(bytes) = window.get(at, count)? else { break };
        if let Some(last) = bytes.iter().rposition(|byte| *byte != 0) {
            beyond.bytes = at + last as u64 + 1 - offset;
        }
        if at.is_multiple_of(sector)
            && let Some(header) = BatchHeader::decode(bytes, at)
        {
            beyond.durable_end = beyond.durable_end.max(header.durable_end);
        }
        at = border;
    }
    Ok(beyond)
}
