//! The files of what merging decided: a week of it or a gibibyte, for people.
//!
//! ```text
//!  merge -> store (the newest 10,000) -> batches -> segments on disk, on a thread of their own
//!                                          PP CONFLICTS <- older ones, read there
//! ```
//! Nobody waits for these files: replaying the log tells the newest entries again, and a start goes on behind
//! what is on disk already. So a disk that is full, or a file that is damaged, costs old entries and nothing
//! else; what was lost is counted. docs/formats/merge-conflicts.md draws the bytes.
//!
//! **Not here:** what a conflict is (`tandem-merge`), the newest ones (`tandem-store`).

mod segment;
#[cfg(test)]
mod tests;

use std::io;
use std::time::Duration;

use tandem_disk::{Access, Disk, DiskFile, EntryKind};
use tandem_store::{ConflictEntry, ConflictFilter, ConflictId, Numbering};
use tandem_types::{Incarnation, WallMillis};

use self::segment::{Header, name_of, parse_name};

/// Where the segments are.
const DIR: &str = "merge-conflicts";
/// A segment that is this long is followed by another.
const SEGMENT_BYTES: u64 = 8 << 20;
/// So is one that is this old: whole segments are removed.
const SEGMENT_AGE: Duration = Duration::from_hours(24);
/// Longest segment that is read: a batch is a part of one, and values are bounded.
const READ_BYTES_MAX: u64 = 64 << 20;

/// Which log positions are of: they begin at zero in another one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Life {
    /// Of the data directory.
    pub incarnation: Incarnation,
    /// Of the log in it.
    pub generation: u64,
}

/// How much is kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MergeLogBounds {
    /// Bytes of all segments.
    pub bytes_max: u64,
    /// Age of an entry.
    pub age_max: Duration,
}

/// Work on the segments, done in order beside the data thread.
#[derive(Clone, Debug, PartialEq)]
pub enum MergeLogOrder {
    /// Write these entries ([`ConflictEntry::encode`]).
    Append {
        /// One after the other.
        entries: Vec<u8>,
        /// Now.
        now: WallMillis,
    },
    /// Look for entries that are not in memory.
    Read {
        /// Names the answer.
        token: u64,
        /// Which.
        filter: Box<ConflictFilter>,
        /// Only older ones than this.
        before: Option<ConflictId>,
        /// Now.
        now: WallMillis,
    },
}

/// What came of an order.
#[derive(Clone, Debug)]
pub enum MergeLogNews {
    /// The files hold these now.
    Written {
        /// The oldest entry.
        oldest: Option<ConflictId>,
        /// The newest that was just written.
        newest: Option<ConflictId>,
        /// Bytes of all segments.
        bytes: u64,
    },
    /// Nothing was written: why.
    Failed(String),
    /// An answer.
    Read {
        /// Of the question.
        token: u64,
        /// What was found, oldest first, as much as an answer holds.
        entries: Vec<ConflictEntry>,
        /// Files that could not be read to their end, and why.
        damaged: Vec<String>,
    },
}

/// One file.
#[derive(Clone, Debug)]
struct Segment {
    name: String,
    /// Its first entry.
    first: ConflictId,
    /// When that was written.
    time: WallMillis,
    bytes: u64,
}

/// The segments of one node, and the one that is being written.
#[derive(Debug)]
pub struct MergeLog<D: Disk> {
    disk: D,
    life: Life,
    base: u64,
    bounds: MergeLogBounds,
    /// `None`: not looked at yet.
    segments: Option<Vec<Segment>>,
    /// The last segment, if this start began it and nothing went wrong with it.
    open: Option<D::File>,
}

/// What a start has to know before it replays the log: where names begin, and what is on disk already.
///
/// # Errors
/// The directory cannot be read.
pub(crate) fn number_conflicts<D: Disk>(disk: &D, life: Life) -> io::Result<Numbering> {
    let segments = list(disk)?;
    let mut numbering =
        Numbering { oldest: segments.first().map(|segment| segment.first), ..Numbering::default() };
    for segment in segments.iter().rev() {
        let bytes = read(disk, &segment.name)?;
        let (header, records) = segment::open(&bytes);
        let newest = records.last().map(|entry| entry.id);
        numbering.newest = numbering.newest.max(newest);
        if let (Some(header), Some(newest)) = (header, numbering.newest) {
            // A directory that began anew counts from zero: its names go on behind those of before.
            let anew = newest.lsn_end().get().saturating_add(1);
            let same = header.life == life;
            numbering.base = if same { header.base } else { anew };
            break;
        }
    }
    Ok(numbering)
}

impl<D: Disk> MergeLog<D> {
    /// The segments on `disk`.
    pub const fn new(disk: D, life: Life, bounds: MergeLogBounds) -> Self {
        Self { disk, life, base: 0, bounds, segments: None, open: None }
    }

    /// Does what is asked.
    pub fn carry_out(&mut self, order: MergeLogOrder) -> MergeLogNews {
        match order {
            MergeLogOrder::Append { entries, now } => match self.append(&entries, now) {
                Ok(news) => news,
                Err(error) => {
                    // A file that could not be written is not written to again: the next entries get another.
                    self.open = None;
                    self.segments = None;
                    MergeLogNews::Failed(error.to_string())
                }
            },
            MergeLogOrder::Read { token, filter, before, now } => {
                let (mut entries, mut damaged) = (Vec::new(), Vec::new());
                if let Err(error) = self.read(&filter, before, now, &mut entries, &mut damaged) {
                    damaged.push(error.to_string());
                }
                MergeLogNews::Read { token, entries, damaged }
            }
        }
    }

    fn append(&mut self, entries: &[u8], now: WallMillis) -> io::Result<MergeLogNews> {
        let (first, newest, framed) = segment::frame(entries)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no entries"))?;
        self.load()?;
        let added = u64::try_from(framed.len()).unwrap_or(u64::MAX);
        let segments = self.segments.get_or_insert_default();
        let fits = segments.last().is_some_and(|last| {
            last.bytes.saturating_add(added) <= SEGMENT_BYTES && later(last.time, SEGMENT_AGE) > now
        });
        let file = if let Some(file) = self.open.take().filter(|_| fits) {
            file
        } else {
            let name = name_of(first, now);
            let file = create(&self.disk, &name)?;
            file.write_at(0, &Header { life: self.life, base: self.base }.encode())?;
            segments.retain(|segment| segment.name != name);
            segments.push(Segment { name, first, time: now, bytes: segment::HEADER_BYTES });
            file
        };
        let Some(last) = segments.last_mut() else { return Err(io::ErrorKind::NotFound.into()) };
        file.write_at(last.bytes, &framed)?;
        file.sync_data()?;
        if last.bytes == segment::HEADER_BYTES {
            self.disk.sync_dir(DIR)?;
        }
        last.bytes += added;
        self.open = Some(file);
        self.prune(now)?;
        let segments = self.segments.as_deref().unwrap_or_default();
        Ok(MergeLogNews::Written {
            oldest: segments.first().map(|segment| segment.first),
            newest: Some(newest),
            bytes: segments.iter().map(|segment| segment.bytes).sum(),
        })
    }

    /// Removes whole segments that are too many or too old; never the one that is written.
    fn prune(&mut self, now: WallMillis) -> io::Result<()> {
        let Some(segments) = &mut self.segments else { return Ok(()) };
        let mut total: u64 = segments.iter().map(|segment| segment.bytes).sum();
        while let [oldest, next, ..] = segments.as_slice() {
            // What stands in a segment is older than the next one.
            let too_old = later(next.time, self.bounds.age_max) < now;
            if !too_old && total <= self.bounds.bytes_max {
                break;
            }
            self.disk.remove(&path(&oldest.name))?;
            total -= oldest.bytes;
            segments.remove(0);
        }
        Ok(())
    }

    fn read(
        &mut self,
        filter: &ConflictFilter,
        before: Option<ConflictId>,
        now: WallMillis,
        found: &mut Vec<ConflictEntry>,
        damaged: &mut Vec<String>,
    ) -> io::Result<()> {
        self.load()?;
        let segments = self.segments.as_deref().unwrap_or_default();
        let (mut bytes, mut newest) = (0, None);
        for (at, segment) in segments.iter().enumerate() {
            let next = segments.get(at + 1);
            let all_before = |id| next.is_some_and(|next| next.first <= id);
            if filter.since().is_some_and(all_before) {
                continue;
            }
            if before.is_some_and(|before| segment.first >= before) {
                break;
            }
            let content = read(&self.disk, &segment.name)?;
            let (_, records) = segment::open(&content);
            if segment::is_damaged(content.get(records.length..).unwrap_or_default()) {
                damaged.push(format!("{}: its end cannot be read", segment.name));
            }
            for mut entry in records.entries {
                if filter.is_full(found.len(), bytes) {
                    return Ok(());
                }
                // What could not be synced was written again.
                if newest.is_some_and(|newest| entry.id <= newest) {
                    continue;
                }
                newest = Some(entry.id);
                let old = later(entry.time(), self.bounds.age_max) < now;
                let newer = before.is_some_and(|before| entry.id >= before);
                if !old && !newer && filter.fits(&entry) {
                    entry.resolved = None;
                    bytes += entry.bytes();
                    found.push(entry);
                }
            }
        }
        Ok(())
    }

    fn load(&mut self) -> io::Result<()> {
        if self.segments.is_none() {
            match self.disk.create_dir(DIR) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
                Ok(()) => self.disk.sync_dir("")?,
            }
            self.base = number_conflicts(&self.disk, self.life)?.base;
            self.segments = Some(list(&self.disk)?);
        }
        Ok(())
    }
}

/// All segments, oldest first.
fn list<D: Disk>(disk: &D) -> io::Result<Vec<Segment>> {
    let files = match disk.list(DIR) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed?,
    };
    let mut found = Vec::new();
    for file in files.into_iter().filter(|file| file.kind == EntryKind::File) {
        let Some((first, time)) = parse_name(&file.name) else { continue };
        let bytes = disk.open(&path(&file.name), Access::Read)?.len()?;
        found.push(Segment { name: file.name, first, time, bytes });
    }
    // Their names begin with the position.
    found.sort_by_key(|segment| segment.first);
    Ok(found)
}

/// A new file. One of that name holds nothing that can be read: else names would go on behind it.
fn create<D: Disk>(disk: &D, name: &str) -> io::Result<D::File> {
    match disk.create(&path(name)) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let file = disk.open(&path(name), Access::Write)?;
            file.set_len(0)?;
            Ok(file)
        }
        created => created,
    }
}

fn read<D: Disk>(disk: &D, name: &str) -> io::Result<Vec<u8>> {
    disk.open(&path(name), Access::Read)?.read_all(READ_BYTES_MAX)
}

fn later(time: WallMillis, by: Duration) -> WallMillis {
    let millis = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
    WallMillis::new(time.get().saturating_add(millis))
}

fn path(name: &str) -> String {
    format!("{DIR}/{name}")
}
