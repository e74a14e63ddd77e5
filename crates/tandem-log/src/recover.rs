//! What a log directory holds after a crash: scan, judge, repair.
//!
//! # What is cut, what is refused
//!
//! Let `l` be the first record that cannot be read. A later batch, or the header of its own or a later
//! segment, may *prove* that `l` was durable: each states how far the log was durable when it was
//! written, and none is written before that is true.
//!
//! * proof found: `l` was durable once, so this is damage; [`RecoverError::Damaged`] names the place, and nothing
//!   is changed.
//! * no proof: `l` was never known to be durable, so nobody was told that it is. It is a torn tail and
//!   is cut, together with whole batches after it: a crash may keep a later unsynced write and lose an
//!   earlier one.
//!
//! # What is written again
//!
//! After a failed sync the page cache may show records that the disk lacks, and a process that starts
//! then cannot tell. So records of the last segment that no mark proves durable are copied into a new
//! file, which is synced and takes the old one's name, before the log counts as recovered. On a full
//! disk they are written over themselves in place, which makes the kernel write them out as well.

use std::io;

use tandem_disk::{Access, Disk, DiskFile, EntryKind};
use tandem_types::{Chain, EpochHistory, EpochStart, Lsn, PairId};

use crate::damage::{Damage, DamageKind};
use crate::record::RecordView;
use crate::rewrite::{rewrite, rewrite_in_place};
use crate::scan::{Scanner, Step, look_beyond, read_header};
use crate::segment::{
    HeaderError, SPARE_NAME, SegmentHeader, TEMPORARY_NAME, parse_segment_name, path, segment_name,
};
use crate::table::{Segment, SegmentTable};
use crate::tip::Tip;

/// What a visitor of records may fail with; passed through.
pub type VisitError = Box<dyn std::error::Error + Send + Sync>;

/// How much of a log is read at start.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verify {
    /// Every record.
    Everything,
    /// Only segments with records at [`RecoverOptions::from`] or later; of older ones the headers.
    Needed,
}

/// What to recover.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RecoverOptions {
    /// The pair that the log must belong to.
    pub pair: PairId,
    /// Records before this are not visited.
    pub from: Lsn,
    /// How much is verified.
    pub verify: Verify,
}

/// Why a log cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// There is no log at all.
    #[error("no log segments in {dir:?}")]
    Missing {
        /// The directory.
        dir: String,
    },
    /// Durable records are damaged or missing: get the data from the peer, keep these files.
    #[error("log damaged: {0}")]
    Damaged(Damage),
    /// The disk failed; nothing is known about the log.
    #[error("{op} {file}")]
    Io {
        /// What was being done.
        op: &'static str,
        /// To which file.
        file: String,
        /// How it failed.
        source: io::Error,
    },
    /// The visitor refused a record.
    #[error("replay record {lsn}")]
    Visit {
        /// That record.
        lsn: Lsn,
        /// Its reason.
        source: VisitError,
    },
}

impl RecoverError {
    pub(crate) fn io(op: &'static str, file: &str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { op, file: file.to_owned(), source }
    }
}

/// Unproven bytes at the end of the log that were cut.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TornTail {
    /// Where, and what stood there.
    pub damage: Damage,
    /// Bytes from there to the last one that is not zero.
    pub bytes: u64,
}

/// A usable log.
#[derive(Debug)]
pub struct Recovered {
    pub(crate) dir: String,
    pub(crate) pair: PairId,
    pub(crate) tip: Tip,
    pub(crate) history: EpochHistory,
    pub(crate) table: SegmentTable,
    pub(crate) torn: Option<TornTail>,
    pub(crate) rewritten: Option<String>,
    pub(crate) visited: u64,
    pub(crate) chain_from: Option<Chain>,
}

impl Recovered {
    /// The end of the log; everything before it is durable.
    pub const fn tip(&self) -> Tip {
        self.tip
    }

    /// Every reign that began in the log.
    pub const fn history(&self) -> &EpochHistory {
        &self.history
    }

    /// First record kept.
    pub fn oldest(&self) -> Lsn {
        self.table.oldest()
    }

    /// Bytes of all segments.
    pub fn total_bytes(&self) -> u64 {
        self.table.total_bytes()
    }

    /// The torn tail that was cut.
    pub const fn torn(&self) -> Option<&TornTail> {
        self.torn.as_ref()
    }

    /// The segment whose records were not proven durable and were written again.
    pub fn rewritten(&self) -> Option<&str> {
        self.rewritten.as_deref()
    }

    /// Running checksum at [`RecoverOptions::from`]; `None` if the log does not reach there. A snapshot
    /// that starts there belongs to this history only if it says the same.
    pub const fn chain_from(&self) -> Option<Chain> {
        self.chain_from
    }

    /// Records that were visited.
    pub const fn visited(&self) -> u64 {
        self.visited
    }
}

/// Finds out what the log in `dir` holds, repairs its tail, and calls `visit` for every record from
/// `options.from` on. Records are good only once this has returned `Ok`.
///
/// Memory: one read-ahead, or the largest record.
///
/// # Errors
/// See [`RecoverError`]; only a torn or unproven tail is ever changed on disk.
pub fn recover<D: Disk>(
    disk: &D,
    dir: &str,
    options: &RecoverOptions,
    visit: &mut dyn FnMut(&RecordView<'_>) -> Result<(), VisitError>,
) -> Result<Recovered, RecoverError> {
    // Neither holds a record. They go first, because the space may be needed.
    for name in [SPARE_NAME, TEMPORARY_NAME] {
        remove_leftover(disk, dir, name)?;
    }
    let mut scan = Scan::new(disk, dir, options, visit);
    scan.run()?;
    let Scan { tip, history, mut segments, visited, torn, unproven, chain_from, .. } = scan;
    let mut rewritten = None;
    if unproven && let Some(last) = segments.last_mut() {
        let name = segment_name(last.first);
        let copied = rewrite(disk, dir, last.first, tip.end);
        match copied {
            Ok(segment) => *last = segment,
            Err(RecoverError::Io { source, .. }) if is_full(&source) => {
                remove_leftover(disk, dir, TEMPORARY_NAME)?;
                rewrite_in_place(disk, dir, last.first, last.bytes)?;
            }
            Err(error) => return Err(error),
        }
        rewritten = Some(name);
    }
    // What proves the tail may be a file whose new name is not durable yet.
    disk.sync_dir(dir).map_err(RecoverError::io("sync directory", dir))?;
    let (dir, pair, table) = (dir.to_owned(), options.pair, SegmentTable::new(segments));
    Ok(Recovered { dir, pair, tip, history, table, torn, rewritten, visited, chain_from })
}

fn remove_leftover<D: Disk>(disk: &D, dir: &str, name: &str) -> Result<(), RecoverError> {
    match disk.remove(&path(dir, name)) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(RecoverError::io("remove", name)(source))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// What a read-only look at a log found.
#[derive(Debug)]
pub struct LogCheck {
    /// First record kept.
    pub oldest: Lsn,
    /// The end of the log as recovery would see it.
    pub tip: Tip,
    /// Every reign that began in it.
    pub history: EpochHistory,
    /// Segment files.
    pub segments: usize,
    /// Bytes in use.
    pub bytes: u64,
    /// Records read.
    pub records: u64,
    /// The tail that recovery would cut.
    pub torn: Option<TornTail>,
    /// Why the log is unusable, if it is. What is above is then what came before the damage.
    pub error: Option<RecoverError>,
}

/// Reads every record of a log and changes nothing.
pub fn check_log<D: Disk>(
    disk: &D,
    dir: &str,
    pair: PairId,
    visit: &mut dyn FnMut(&RecordView<'_>) -> Result<(), VisitError>,
) -> LogCheck {
    let options = RecoverOptions { pair, from: Lsn::ZERO, verify: Verify::Everything };
    let mut scan = Scan::new(disk, dir, &options, visit);
    let error = scan.run().err();
    LogCheck {
        oldest: scan.segments.first().map_or(Lsn::ZERO, |segment| segment.first),
        tip: scan.tip,
        history: scan.history,
        segments: scan.segments.len(),
        bytes: scan.segments.iter().map(|segment| segment.bytes).sum(),
        records: scan.visited,
        torn: scan.torn,
        error,
    }
}

/// First LSNs of the segments in `dir`, in order.
///
/// # Errors
/// The directory cannot be read, or something that is no file has a segment's name.
pub(crate) fn list_segments<D: Disk>(disk: &D, dir: &str) -> Result<Vec<Lsn>, RecoverError> {
    let entries = disk.list(dir).map_err(RecoverError::io("list", dir))?;
    let mut firsts = Vec::new();
    for entry in entries {
        let Some(first) = parse_segment_name(&entry.name) else { continue };
        if entry.kind != EntryKind::File {
            let what = DamageKind::NotAFile;
            let damage = Damage { file: path(dir, &entry.name), offset: 0, lsn: first, what };
            return Err(RecoverError::Damaged(damage));
        }
        firsts.push(first);
    }
    firsts.sort_unstable();
    Ok(firsts)
}

/// Opens a segment and reads its header.
pub(crate) fn open_segment<D: Disk>(
    disk: &D,
    dir: &str,
    first: Lsn,
    access: Access,
) -> Result<(D::File, SegmentHeader), RecoverError> {
    let file_name = path(dir, &segment_name(first));
    let file = disk.open(&file_name, access).map_err(RecoverError::io("open", &file_name))?;
    let header = read_header(&file).map_err(RecoverError::io("read", &file_name))?;
    let damaged = |what| {
        RecoverError::Damaged(Damage { file: file_name.clone(), offset: 0, lsn: first, what })
    };
    match header {
        Ok(header) if header.before.end == first => Ok((file, header)),
        Ok(header) => Err(damaged(DamageKind::Name { header: header.before.end })),
        Err(HeaderError::Damaged) => Err(damaged(DamageKind::SegmentHeader)),
        Err(HeaderError::Version(version)) => Err(damaged(DamageKind::Version(version))),
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// A walk over all segments, and what it has found so far.
pub(crate) struct Scan<'a, D> {
    disk: &'a D,
    dir: &'a str,
    options: &'a RecoverOptions,
    visit: &'a mut dyn FnMut(&RecordView<'_>) -> Result<(), VisitError>,
    tip: Tip,
    history: EpochHistory,
    segments: Vec<Segment>,
    visited: u64,
    torn: Option<TornTail>,
    unproven: bool,
    chain_from: Option<Chain>,
}

impl<'a, D: Disk> Scan<'a, D> {
    pub(crate) fn new(
        disk: &'a D,
        dir: &'a str,
        options: &'a RecoverOptions,
        visit: &'a mut dyn FnMut(&RecordView<'_>) -> Result<(), VisitError>,
    ) -> Self {
        Self {
            disk,
            dir,
            options,
            visit,
            tip: Tip::EMPTY,
            history: EpochHistory::new(),
            segments: Vec::new(),
            visited: 0,
            torn: None,
            unproven: false,
            chain_from: None,
        }
    }

    fn run(&mut self) -> Result<(), RecoverError> {
        let firsts = list_segments(self.disk, self.dir)?;
        if firsts.is_empty() {
            return Err(RecoverError::Missing { dir: self.dir.to_owned() });
        }
        // False after a segment that was not read: where it ends is not known.
        let mut continues = false;
        for (at, first) in firsts.iter().enumerate() {
            let next = firsts.get(at + 1).copied();
            let (file, header) = open_segment(self.disk, self.dir, *first, Access::Read)?;
            self.check_place(&header, continues)?;
            (self.tip, self.history) = (header.before, header.history.clone());
            let skip = self.options.verify == Verify::Needed
                && next.is_some_and(|next| next <= self.options.from);
            continues = !skip;
            match next {
                Some(next) if skip => {
                    let bytes = self.with_file(*first, "size", file.len())?;
                    let segment = Segment::new(*first, bytes);
                    self.segments.push(Segment { end: next, ..segment });
                }
                _ => self.walk(&file, &header, next)?,
            }
        }
        Ok(())
    }

    /// Reads one segment that another follows at `next`; `continues`: right after the one before.
    pub(crate) fn closed(
        &mut self,
        file: &D::File,
        header: &SegmentHeader,
        continues: bool,
        next: Lsn,
    ) -> Result<(), RecoverError> {
        self.check_place(header, continues)?;
        (self.tip, self.history) = (header.before, header.history.clone());
        self.walk(file, header, Some(next))
    }

    /// Whether the segment belongs to this pair and continues the one before it.
    fn check_place(&self, header: &SegmentHeader, continues: bool) -> Result<(), RecoverError> {
        let first = header.before.end;
        // A directory's first segment may be older than the pair that it joined.
        let unowned = header.pair == PairId::NONE && first == Lsn::ZERO;
        let what = if header.pair != self.options.pair && !unowned {
            DamageKind::Foreign { pair: header.pair }
        } else if continues && (header.before, &header.history) != (self.tip, &self.history) {
            DamageKind::OtherHistory
        } else {
            return Ok(());
        };
        Err(self.damaged(first, 0, first, what))
    }

    /// Reads every record of a segment. `next` is where the next segment begins, if there is one.
    fn walk(
        &mut self,
        file: &D::File,
        header: &SegmentHeader,
        next: Option<Lsn>,
    ) -> Result<(), RecoverError> {
        let first = header.before.end;
        let started = Scanner::new(file, header);
        let mut scanner = self.with_file(first, "read", started)?;
        let mut segment = Segment::new(first, header.encoded_len() as u64);
        let (offset, why) = loop {
            let tip = scanner.tip();
            if tip.end == self.options.from {
                self.chain_from = Some(tip.chain);
            }
            let step = scanner.step().map_err(RecoverError::io("read", &self.file(first)))?;
            match step {
                Step::Record(record) => {
                    if let Some(fork) = record.fork() {
                        let start = EpochStart { epoch: record.epoch, fork, first: record.lsn };
                        // The walk checked that the epoch is later than the one before.
                        let pushed = self.history.push(start);
                        debug_assert!(pushed.is_ok(), "{pushed:?}");
                    }
                    if record.lsn >= self.options.from {
                        self.visited += 1;
                        let lsn = record.lsn;
                        (self.visit)(&record)
                            .map_err(|source| RecoverError::Visit { lsn, source })?;
                    }
                }
                Step::End { offset, why } => break (offset, why),
            }
            if let Some((lsn, offset)) = scanner.take_batch_began() {
                segment.index_batch(lsn, offset);
            }
        };
        self.tip = scanner.tip();
        segment.end = self.tip.end;
        segment.bytes = scanner.batch_end();
        self.segments.push(segment);
        let beyond =
            look_beyond(file, offset).map_err(RecoverError::io("read", &self.file(first)))?;
        let clean = why == DamageKind::Frame && beyond.bytes == 0;
        let lsn = self.tip.end;
        if let Some(next) = next {
            return match () {
                () if next == lsn => Ok(()),
                () if next < lsn => {
                    Err(self.damaged(first, offset, lsn, DamageKind::Overlap { next }))
                }
                () if clean => Err(self.damaged(first, offset, lsn, DamageKind::Gap { next })),
                () => Err(self.damaged(first, offset, lsn, why)),
            };
        }
        if scanner.durable_end().max(beyond.durable_end) > lsn {
            return Err(self.damaged(first, offset, lsn, why));
        }
        if !clean {
            let damage = Damage { file: self.file(first), offset, lsn, what: why };
            self.torn = Some(TornTail { damage, bytes: beyond.bytes });
        }
        self.unproven = !clean || scanner.durable_end() < lsn;
        Ok(())
    }

    fn file(&self, first: Lsn) -> String {
        path(self.dir, &segment_name(first))
    }

    fn with_file<T>(
        &self,
        first: Lsn,
        op: &'static str,
        result: io::Result<T>,
    ) -> Result<T, RecoverError> {
        result.map_err(RecoverError::io(op, &self.file(first)))
    }

    fn damaged(&self, first: Lsn, offset: u64, lsn: Lsn, what: DamageKind) -> RecoverError {
        RecoverError::Damaged(Damage { file: self.file(first), offset, lsn, what })
    }
}
