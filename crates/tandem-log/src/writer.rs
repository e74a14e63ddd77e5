//! Writes batches to segment files and makes them durable. Plain code over a [`Disk`]; the thread that
//! runs it is somebody else's.
//!
//! # When the disk is full
//!
//! 1. Every segment is preallocated before its first record, so a batch that fits into the segment in
//!    use cannot run out of space.
//! 2. The *next* segment is preallocated ahead of need, under the name `spare` ([`SegmentWriter::prepare`]).
//!    While that fails, [`SegmentWriter::room`] says [`Room::Low`]: the node refuses new writes with a
//!    definite error, before they are appended, while what is appended already still fits into the
//!    rest of the segment in use.
//! 3. A batch for which there is no room returns [`WriteError::Full`], with nothing written. The caller keeps the
//!    batch, answers none of its writes, goes on serving reads, and may offer the same batch again later.
//! 4. "No space" from a write into preallocated space (a thin volume, a quota) is like any other failed
//!    write: [`WriteError::Failed`], for good.
//!
//! # When the disk fails
//!
//! After the first failed write, sync, rename or directory sync every call returns the same
//! [`WriteError::Failed`]: what is on the disk is no longer known, a second sync would say `Ok` for
//! bytes that are gone, and only recovery may say what the log holds.
//!
//! # Order of durability
//!
//! A segment gets its name only after its header is synced, and only after every record of the segment
//! before it is durable. So a valid segment header proves everything before it.

use std::io;
use std::sync::Arc;

use tandem_disk::{Disk, DiskFile};
use tandem_types::{EpochHistory, Lsn, PairId};

use crate::batch::{BATCH_HEADER_BYTES, Batch, BatchHeader, framed_len};
use crate::reader::LogReader;
use crate::recover::Recovered;
use crate::segment::{SPARE_NAME, SegmentHeader, path, segment_name};
use crate::table::{Segment, SegmentTable};
use crate::tip::Tip;

/// How a log is laid out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LogOptions {
    /// Size of a segment. A batch that is larger gets a segment of its own size.
    pub segment_bytes: u64,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self { segment_bytes: 64 << 20 }
    }
}

/// Why a batch was not written or synced.
#[derive(Clone, Debug, thiserror::Error)]
pub enum WriteError {
    /// No space for the next segment; nothing was written. Offer the same batch again when there is.
    #[error("the disk is full: no space for the next log segment")]
    Full,
    /// The log has stopped for good: give up the role and exit.
    #[error("{op} {file}")]
    Failed {
        /// What was being done.
        op: &'static str,
        /// To which file.
        file: String,
        /// How it failed.
        source: Arc<io::Error>,
    },
}

/// Whether there is room for more than the segment in use.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Room {
    /// The next segment is preallocated.
    Ample,
    /// It could not be: refuse new writes.
    Low,
}

/// The writing end of the log on disk.
#[derive(Debug)]
pub struct SegmentWriter<D: Disk> {
    disk: D,
    dir: String,
    pair: PairId,
    options: LogOptions,
    table: SegmentTable,
    /// The end of what was written.
    tip: Tip,
    history: EpochHistory,
    durable_end: Lsn,
    /// What the last mark or batch on disk says of `durable_end`.
    marked_end: Lsn,
    current: Option<Current<D::File>>,
    spare: Option<Spare<D::File>>,
    room: Room,
    failed: Option<WriteError>,
}

#[derive(Debug)]
struct Current<F> {
    file: F,
    name: String,
    /// Where the next batch goes.
    offset: u64,
    /// Space is reserved up to here.
    reserved: u64,
    unsynced: bool,
}

#[derive(Debug)]
struct Spare<F> {
    file: F,
    reserved: u64,
}

impl<D: Disk> SegmentWriter<D> {
    /// Continues the log that was recovered. Touches no file yet, so that a node with a full disk can
    /// start and serve reads; call [`Self::prepare`] before the first batch.
    pub fn open(disk: D, recovered: &Recovered, options: LogOptions) -> Self {
        Self {
            disk,
            dir: recovered.dir.clone(),
            pair: recovered.pair,
            options,
            table: recovered.table.clone(),
            tip: recovered.tip,
            history: recovered.history.clone(),
            durable_end: recovered.tip.end,
            marked_end: recovered.tip.end,
            current: None,
            spare: None,
            room: Room::Ample,
            failed: None,
        }
    }

    /// A reader of the same log.
    pub fn reader(&self) -> LogReader<D> {
        LogReader::new(self.disk.clone(), self.dir.clone(), self.table.clone())
    }

    /// The end of what has been written.
    pub const fn tip(&self) -> Tip {
        self.tip
    }

    /// First LSN not known to be durable.
    pub const fn durable_end(&self) -> Lsn {
        self.durable_end
    }

    /// Every reign that began in what has been written.
    pub const fn history(&self) -> &EpochHistory {
        &self.history
    }

    /// First LSN still kept.
    pub fn oldest(&self) -> Lsn {
        self.table.oldest()
    }

    /// The first LSN of the newest segments that together hold at least `bytes`: what a retention of
    /// that many bytes keeps.
    pub fn holds_from(&self, bytes: u64) -> Lsn {
        self.table.holds_from(bytes)
    }

    /// Bytes of all segments.
    pub fn total_bytes(&self) -> u64 {
        self.table.total_bytes()
    }

    /// Whether new writes should be taken.
    pub const fn room(&self) -> Room {
        self.room
    }

    /// From now on new segments belong to this pair: for a directory that belonged to none.
    pub const fn set_pair(&mut self, pair: PairId) {
        self.pair = pair;
    }

    /// Makes sure that there is a segment to write to and a spare one. Call it at start, after a sync,
    /// and now and then while [`Self::room`] is low.
    ///
    /// # Errors
    /// [`WriteError::Failed`] only; a full disk is [`Room::Low`].
    pub fn prepare(&mut self) -> Result<Room, WriteError> {
        self.check_failed()?;
        let made = match self.make_spare(self.options.segment_bytes) {
            Ok(()) if self.current.is_none() => {
                self.rotate(0).and_then(|()| self.make_spare(self.options.segment_bytes))
            }
            made => made,
        };
        self.room = match made {
            Ok(()) => Room::Ample,
            Err(WriteError::Full) => Room::Low,
            Err(failed) => return Err(failed),
        };
        Ok(self.room)
    }

    /// Writes a batch, which must continue what was written before. Not durable before [`Self::sync`].
    ///
    /// Begins a new segment if the batch does not fit into the current one; that syncs the current one.
    ///
    /// # Errors
    /// [`WriteError::Full`]: nothing was written. [`WriteError::Failed`]: the log has stopped.
    ///
    /// # Panics
    /// If the batch does not continue the log.
    pub fn write(&mut self, batch: &mut Batch) -> Result<(), WriteError> {
        self.check_failed()?;
        assert_eq!(batch.before(), self.tip, "a batch that does not continue the log");
        let bytes = batch.records().len();
        self.make_room(framed_len(bytes) as u64)?;
        let (first, durable_end) = (batch.first(), self.durable_end);
        let framed = &mut *batch;
        self.write_frame(first, move |offset| framed.frame(durable_end, offset))?;
        batch.unframe(bytes);
        for start in batch.starts() {
            let pushed = self.history.push(*start);
            assert!(pushed.is_ok(), "the appender let a reign follow a later one: {pushed:?}");
        }
        self.tip = batch.after();
        if let Some(segment) = self.table.lock().last_mut() {
            segment.end = batch.end();
        }
        Ok(())
    }

    /// Makes everything written durable and returns the end of it.
    ///
    /// # Errors
    /// [`WriteError::Failed`]: the log has stopped.
    pub fn sync(&mut self) -> Result<Lsn, WriteError> {
        self.check_failed()?;
        if let Some(current) = &mut self.current
            && current.unsynced
        {
            if let Err(source) = current.file.sync_data() {
                let name = current.name.clone();
                return Err(self.fail("sync", name, source));
            }
            current.unsynced = false;
        }
        self.durable_end = self.tip.end;
        Ok(self.durable_end)
    }

    /// Writes down, unsynced, how far the log is durable, unless the disk says so already.
    ///
    /// Call it when there is nothing else to write: after a crash the mark lets recovery tell damage to
    /// the newest records from a torn tail. Costs one sector.
    ///
    /// # Errors
    /// [`WriteError::Failed`]: the log has stopped.
    pub fn mark(&mut self) -> Result<(), WriteError> {
        self.check_failed()?;
        let bytes = framed_len(0) as u64;
        let fits = self.current.as_ref().is_some_and(|at| at.offset + bytes <= at.reserved);
        if self.durable_end < self.tip.end || self.marked_end == self.durable_end || !fits {
            return Ok(());
        }
        let (first, durable_end, chain) = (self.tip.end, self.durable_end, self.tip.chain);
        let mut frame = vec![0; framed_len(0)];
        let filled = &mut frame;
        self.write_frame(first, move |offset| {
            let header = BatchHeader { bytes: 0, first, durable_end, chain, offset };
            filled[..BATCH_HEADER_BYTES].copy_from_slice(&header.encode());
            filled
        })
    }

    /// Syncs, leaves a durable mark and removes the spare segment: after that the next start need not
    /// rewrite the tail.
    ///
    /// # Errors
    /// [`WriteError::Failed`]: the log has stopped.
    pub fn close(&mut self) -> Result<(), WriteError> {
        self.sync()?;
        self.mark()?;
        self.sync()?;
        if self.spare.take().is_some() {
            self.remove(SPARE_NAME)?;
        }
        Ok(())
    }

    /// Deletes whole segments that hold only records before `lsn`, oldest first; how many it deleted.
    ///
    /// The segment in use always stays.
    ///
    /// # Errors
    /// [`WriteError::Failed`]: the log has stopped.
    pub fn retain(&mut self, lsn: Lsn) -> Result<usize, WriteError> {
        self.check_failed()?;
        let mut removed = 0;
        loop {
            let oldest = {
                let mut segments = self.table.lock();
                match (segments.first(), segments.len()) {
                    // Out of the table first: no reader must begin on a file that is going away.
                    (Some(segment), 2..) if segment.end <= lsn => segments.remove(0),
                    _ => return Ok(removed),
                }
            };
            // One by one, each made durable: two removals of which only the second survives a power cut
            // would leave a gap.
            self.remove(&segment_name(oldest.first))?;
            self.sync_dir()?;
            removed += 1;
        }
    }

    /// Writes one frame at the end of the current segment.
    fn write_frame<'b>(
        &mut self,
        first: Lsn,
        frame: impl FnOnce(u64) -> &'b [u8],
    ) -> Result<(), WriteError> {
        let Some(current) = &mut self.current else { return Err(WriteError::Full) };
        let offset = current.offset;
        let bytes = frame(offset);
        current.unsynced = true;
        if let Err(source) = current.file.write_at(offset, bytes) {
            let name = current.name.clone();
            return Err(self.fail("write", name, source));
        }
        current.offset += bytes.len() as u64;
        self.marked_end = self.durable_end;
        if let Some(segment) = self.table.lock().last_mut() {
            segment.index_batch(first, offset);
            segment.bytes = current.offset;
        }
        Ok(())
    }

    /// Makes the current segment one that has room for a frame of `bytes`.
    fn make_room(&mut self, bytes: u64) -> Result<(), WriteError> {
        match &self.current {
            Some(current) if current.offset + bytes <= current.reserved => Ok(()),
            Some(_) | None => self.rotate(bytes),
        }
    }

    /// Begins a new segment that has room for a first frame of `bytes`.
    fn rotate(&mut self, bytes: u64) -> Result<(), WriteError> {
        // Before the new segment exists, everything in the old one must be durable: see the module's
        // "order of durability".
        self.sync()?;
        let header = SegmentHeader {
            pair: self.pair,
            before: self.tip,
            durable_end: self.tip.end,
            history: self.history.clone(),
        };
        let header = header.encode();
        let header_bytes = header.len() as u64;
        self.make_spare(self.options.segment_bytes.max(header_bytes + bytes))?;
        let Some(spare) = self.spare.take() else { return Err(WriteError::Full) };
        let name = segment_name(self.tip.end);
        let begun = spare.file.write_at(0, &header).and_then(|()| spare.file.sync_data());
        begun.map_err(|source| self.fail("begin segment", name.clone(), source))?;
        let renamed = self.disk.rename(&self.path(SPARE_NAME), &self.path(&name));
        renamed.map_err(|source| self.fail("name segment", name.clone(), source))?;
        self.sync_dir()?;
        self.trim_current()?;
        let mut segments = self.table.lock();
        // An empty segment of the same name has just been replaced.
        segments.retain(|segment| segment.first != self.tip.end);
        segments.push(Segment::new(self.tip.end, header_bytes));
        drop(segments);
        self.current = Some(Current {
            file: spare.file,
            name,
            offset: header_bytes,
            reserved: spare.reserved,
            unsynced: false,
        });
        // The next one, while there is time. A full disk is not this batch's trouble.
        match self.make_spare(self.options.segment_bytes) {
            Ok(()) => self.room = Room::Ample,
            Err(WriteError::Full) => self.room = Room::Low,
            Err(failed) => return Err(failed),
        }
        Ok(())
    }

    /// Gives back the space that the segment in use did not need. Nothing depends on its surviving.
    fn trim_current(&mut self) -> Result<(), WriteError> {
        match self.current.take() {
            Some(old) => old.file.set_len(old.offset).map_err(|e| self.fail("trim", old.name, e)),
            None => Ok(()),
        }
    }

    /// Makes sure that there is a spare segment of at least `bytes`.
    fn make_spare(&mut self, bytes: u64) -> Result<(), WriteError> {
        if let Some(spare) = &mut self.spare {
            if spare.reserved >= bytes {
                return Ok(());
            }
            let grown = spare.file.preallocate(bytes);
            if grown.is_ok() {
                spare.reserved = bytes;
            }
            return grown.map_err(|source| self.full_or_failed("grow", source));
        }
        let name = self.path(SPARE_NAME);
        match self.create_spare(&name, bytes) {
            Ok(file) => {
                self.spare = Some(Spare { file, reserved: bytes });
                Ok(())
            }
            Err(source) => {
                let error = self.full_or_failed("preallocate", source);
                // Gives back what was taken. If the name stays, the next attempt removes it.
                match self.disk.remove(&name) {
                    Err(source) if source.kind() != io::ErrorKind::NotFound => {
                        Err(self.fail("remove", name, source))
                    }
                    Ok(()) | Err(_) => Err(error),
                }
            }
        }
    }

    fn create_spare(&self, name: &str, bytes: u64) -> io::Result<D::File> {
        let file = match self.disk.create(name) {
            // Left behind by a writer that is gone.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                self.disk.remove(name)?;
                self.disk.create(name)?
            }
            created => created?,
        };
        file.preallocate(bytes)?;
        Ok(file)
    }

    fn full_or_failed(&mut self, op: &'static str, source: io::Error) -> WriteError {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => WriteError::Full,
            _ => self.fail(op, SPARE_NAME.to_owned(), source),
        }
    }

    fn remove(&mut self, name: &str) -> Result<(), WriteError> {
        let removed = self.disk.remove(&self.path(name));
        removed.map_err(|source| self.fail("remove", name.to_owned(), source))
    }

    fn sync_dir(&mut self) -> Result<(), WriteError> {
        let synced = self.disk.sync_dir(&self.dir);
        synced.map_err(|source| self.fail("sync directory", self.dir.clone(), source))
    }

    fn path(&self, name: &str) -> String {
        path(&self.dir, name)
    }

    fn check_failed(&self) -> Result<(), WriteError> {
        self.failed.clone().map_or(Ok(()), Err)
    }

    fn fail(&mut self, op: &'static str, file: String, source: io::Error) -> WriteError {
        let error = WriteError::Failed { op, file, source: Arc::new(source) };
        self.failed = Some(error.clone());
        error
    }
}
