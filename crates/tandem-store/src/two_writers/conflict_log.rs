//! What merging decided, kept for people: bounded, newest last, the same after a restart.
//!
//! An entry is named by the position of the record whose merge made it, so replaying the log names it so
//! again. Snapshots hold the log too ([`crate::Store::conflict_bytes`]). Here are the newest; all of them are on
//! disk, written by the node ([`Numbering`] says how far, and where numbers begin).

use std::collections::VecDeque;
use std::fmt;

use tandem_merge::conflict::{Item, Kind};
use tandem_merge::{CodecError, Conflict, Key};
use tandem_types::{Lsn, WallMillis};

use super::ConflictFilter;
use crate::store::Store;

/// Entries that are kept.
const ENTRIES_MAX: usize = 10_000;
/// Entries that are kept as long as they are not on disk: a long cut ends with many at once.
const UNWRITTEN_MAX: usize = 1_000_000;
/// Bytes of keys and values that are kept.
const BYTES_MAX: usize = 64 << 20;

/// Names a conflict on this node: position after the record whose merge made it, number within that.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct ConflictId {
    lsn_end: Lsn,
    number: u32,
}

/// What the files of conflicts say to a start.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Numbering {
    /// Added to positions, so that names keep rising when a directory begins anew.
    pub base: u64,
    /// The oldest that is on disk.
    pub oldest: Option<ConflictId>,
    /// The newest that is on disk: later ones are to be written.
    pub newest: Option<ConflictId>,
}

impl ConflictId {
    /// With a position and a number.
    pub const fn new(lsn_end: Lsn, number: u32) -> Self {
        Self { lsn_end, number }
    }

    /// The position.
    pub const fn lsn_end(self) -> Lsn {
        self.lsn_end
    }

    /// The number within that.
    pub const fn number(self) -> u32 {
        self.number
    }

    /// Reads what [`fmt::Display`] writes; a position alone is the first of it.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let (lsn_end, number) = text.split_once('-').unwrap_or((text, "0"));
        Some(Self { lsn_end: Lsn::new(lsn_end.parse().ok()?), number: number.parse().ok()? })
    }
}

impl fmt::Display for ConflictId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.lsn_end, self.number)
    }
}

/// One conflict, as this node knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct ConflictEntry {
    /// Its name here.
    pub id: ConflictId,
    /// What met, and what stayed.
    pub conflict: Conflict,
    /// A person has decided it; `None`: only the files hold it, and they do not know.
    pub resolved: Option<bool>,
}

impl ConflictEntry {
    /// When the later of the two writes was made.
    pub fn time(&self) -> WallMillis {
        self.conflict.winner.stamp.max(self.conflict.loser.stamp).wall()
    }

    /// Bytes that it takes, about.
    pub fn bytes(&self) -> usize {
        bytes_of(&self.conflict)
    }

    /// Appends the bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.id.lsn_end.get().to_le_bytes());
        out.extend(self.id.number.to_le_bytes());
        out.push(u8::from(self.resolved == Some(true)));
        self.conflict.encode(out);
    }

    /// Reads what stands first in `bytes`, and moves on behind it.
    ///
    /// # Errors
    /// As [`CodecError`] says.
    pub fn decode(bytes: &mut &[u8]) -> Result<Self, CodecError> {
        let lsn_end = Lsn::new(u64::from_le_bytes(fixed(bytes)?));
        let number = u32::from_le_bytes(fixed(bytes)?);
        let [resolved] = fixed(bytes)?;
        let conflict = Conflict::decode(bytes)?;
        Ok(Self { id: ConflictId { lsn_end, number }, conflict, resolved: Some(resolved != 0) })
    }
}

/// All that are kept.
#[derive(Debug, Default)]
pub(crate) struct ConflictLog {
    entries: VecDeque<ConflictEntry>,
    bytes: usize,
    /// Since the first, by kind.
    counts: [u64; Kind::ALL.len()],
    /// What is on disk.
    files: Numbering,
    /// Left memory before they were on disk.
    lost: u64,
    /// What the files hold under a name that a person wants to decide, while that is done.
    recalled: Option<(ConflictId, Option<ConflictEntry>)>,
}

impl ConflictLog {
    /// Keeps a conflict that the merge of a record made; `won_twice`: both writers had been told that only
    /// they succeeded.
    pub(crate) fn push(&mut self, lsn_end: Lsn, mut conflict: Conflict, won_twice: bool) {
        if won_twice && conflict.kind == Kind::Lww {
            conflict.kind = Kind::Nx;
        }
        let lsn_end = Lsn::new(lsn_end.get().saturating_add(self.files.base));
        let last = self.entries.back().map(|entry| entry.id);
        let number = match last {
            Some(last) if last.lsn_end == lsn_end => last.number.saturating_add(1),
            _ => 0,
        };
        let id = ConflictId { lsn_end, number };
        if last.is_some_and(|last| last >= id) {
            // It came with the snapshot already.
            return;
        }
        self.counts[usize::from(conflict.kind.as_byte())] += 1;
        self.bytes += bytes_of(&conflict);
        self.entries.push_back(ConflictEntry { id, conflict, resolved: Some(false) });
        self.make_room();
    }

    fn make_room(&mut self) {
        while let Some(oldest) = self.entries.front() {
            let unwritten = self.files.newest.is_none_or(|newest| oldest.id > newest);
            let entries_max = if unwritten { UNWRITTEN_MAX } else { ENTRIES_MAX };
            if self.entries.len() <= entries_max && self.bytes <= BYTES_MAX {
                return;
            }
            self.bytes -= bytes_of(&oldest.conflict);
            self.lost += u64::from(unwritten);
            self.entries.pop_front();
        }
    }

    pub(crate) fn get(&self, id: ConflictId) -> Option<&ConflictEntry> {
        let recalled = self.recalled.as_ref().filter(|(recalled, _)| *recalled == id);
        let found = self.entries.iter().find(|entry| entry.id == id);
        found.or_else(|| recalled.and_then(|(_, entry)| entry.as_ref()))
    }

    /// Whether only the files can say what this is.
    fn is_elsewhere(&self, id: ConflictId) -> bool {
        let on_disk = self.files.oldest.is_some_and(|oldest| oldest <= id)
            && self.files.newest.is_some_and(|newest| id <= newest);
        let in_memory = self.entries.front().is_some_and(|oldest| oldest.id <= id);
        let recalled = self.recalled.as_ref().is_some_and(|(recalled, _)| *recalled == id);
        on_disk && !in_memory && !recalled
    }

    /// A person has decided what this part of a key is.
    pub(crate) fn resolve(&mut self, key: &Key, item: &Item) {
        for entry in &mut self.entries {
            if entry.conflict.key == *key && item.decides(&entry.conflict.item) {
                entry.resolved = Some(true);
            }
        }
    }

    /// Those that are asked for, oldest first.
    pub(crate) fn select<'l>(
        &'l self,
        filter: &'l ConflictFilter,
    ) -> impl Iterator<Item = &'l ConflictEntry> {
        self.entries.iter().filter(|entry| filter.fits(entry))
    }

    /// How many there were, by kind.
    pub(crate) fn counts(&self) -> impl Iterator<Item = (Kind, u64)> {
        Kind::ALL.into_iter().zip(self.counts)
    }

    /// How many left memory before they were on disk.
    pub(crate) const fn lost(&self) -> u64 {
        self.lost
    }

    /// How many are kept.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// How many are kept and undecided.
    pub(crate) fn open(&self) -> usize {
        self.entries.iter().filter(|entry| entry.resolved != Some(true)).count()
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for count in self.counts {
            out.extend(count.to_le_bytes());
        }
        for entry in &self.entries {
            entry.encode(&mut out);
        }
        out
    }

    fn decode(mut bytes: &[u8]) -> Result<Self, CodecError> {
        let mut log = Self::default();
        for count in &mut log.counts {
            *count = u64::from_le_bytes(fixed(&mut bytes)?);
        }
        while !bytes.is_empty() {
            let entry = ConflictEntry::decode(&mut bytes)?;
            log.bytes += bytes_of(&entry.conflict);
            log.entries.push_back(entry);
        }
        Ok(log)
    }
}

fn fixed<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], CodecError> {
    let (first, rest) = bytes.split_first_chunk().ok_or(CodecError::Length)?;
    *bytes = rest;
    Ok(*first)
}

fn bytes_of(conflict: &Conflict) -> usize {
    let value = |value: &Option<tandem_merge::Bytes>| value.as_deref().map_or(0, <[u8]>::len);
    size_of::<ConflictEntry>()
        + conflict.key.name.len()
        + value(&conflict.winner.value)
        + value(&conflict.loser.value)
}

impl Store {
    /// The conflict log, for a snapshot; empty with one writer.
    pub fn conflict_bytes(&self) -> Vec<u8> {
        self.two_writers.as_deref().map_or_else(Vec::new, |two| two.conflicts.encode())
    }

    /// Takes over the conflict log of a snapshot.
    ///
    /// # Errors
    /// As [`CodecError`] says; the log stays as it is.
    pub fn load_conflicts(&mut self, bytes: &[u8]) -> Result<(), CodecError> {
        if let Some(two) = self.two_writers.as_deref_mut()
            && !bytes.is_empty()
        {
            let files = two.conflicts.files;
            two.conflicts = ConflictLog { files, ..ConflictLog::decode(bytes)? };
        }
        Ok(())
    }

    /// What is on disk already, and where numbers begin: before anything is replayed.
    pub fn number_conflicts(&mut self, files: Numbering) {
        if let Some(two) = self.two_writers.as_deref_mut() {
            two.conflicts.files = files;
        }
    }

    /// The files hold these now.
    pub fn conflicts_written(&mut self, oldest: Option<ConflictId>, newest: Option<ConflictId>) {
        if let Some(two) = self.two_writers.as_deref_mut() {
            let files = &mut two.conflicts.files;
            files.oldest = oldest;
            files.newest = files.newest.max(newest);
            two.conflicts.make_room();
        }
    }

    /// Appends entries that are not on disk, up to about `bytes_max`; says which was the last.
    pub fn unwritten_conflicts(&self, bytes_max: usize, out: &mut Vec<u8>) -> Option<ConflictId> {
        let log = &self.two_writers.as_deref()?.conflicts;
        let newest = log.files.newest;
        let from = log.entries.partition_point(|entry| newest.is_some_and(|it| entry.id <= it));
        let mut last = None;
        for entry in log.entries.range(from..) {
            if out.len() >= bytes_max {
                break;
            }
            entry.encode(out);
            last = Some(entry.id);
        }
        last
    }

    /// Whether some are not on disk.
    pub fn has_unwritten_conflicts(&self) -> bool {
        self.two_writers.as_deref().is_some_and(|two| {
            let newest = two.conflicts.entries.back().map(|entry| entry.id);
            newest > two.conflicts.files.newest
        })
    }

    /// The position of the oldest that is in memory, if the files hold older ones that are asked for.
    pub fn older_conflicts(&self, filter: &ConflictFilter) -> Option<Option<ConflictId>> {
        let log = &self.two_writers.as_deref()?.conflicts;
        let oldest = log.entries.front().map(|entry| entry.id);
        let on_disk = log.files.oldest?;
        let more = oldest.is_none_or(|oldest| on_disk < oldest);
        let wanted = match (filter.since, oldest) {
            (Some(since), Some(oldest)) => since < oldest,
            (Some(since), None) => log.files.newest.is_some_and(|newest| since < newest),
            (None, _) => true,
        };
        (more && wanted).then_some(oldest)
    }

    /// Whether only the files can say what is to be decided.
    pub fn must_recall_conflict(&self, id: ConflictId) -> bool {
        self.two_writers.as_deref().is_some_and(|two| two.conflicts.is_elsewhere(id))
    }

    /// This is what the files say of it; until [`Store::forget_recalled`] it can be decided.
    pub fn recall_conflict(&mut self, id: ConflictId, entry: Option<ConflictEntry>) {
        if let Some(two) = self.two_writers.as_deref_mut() {
            two.conflicts.recalled = Some((id, entry.filter(|entry| entry.id == id)));
        }
    }

    /// It was decided, or not.
    pub fn forget_recalled(&mut self) {
        if let Some(two) = self.two_writers.as_deref_mut() {
            two.conflicts.recalled = None;
        }
    }

    /// Those in memory that are asked for, oldest first, as many as fit behind `found`.
    pub fn select_conflicts(&self, filter: &ConflictFilter, found: &mut Vec<ConflictEntry>) {
        let Some(two) = self.two_writers.as_deref() else { return };
        let mut bytes: usize = found.iter().map(ConflictEntry::bytes).sum();
        for entry in two.conflicts.select(filter) {
            if filter.is_full(found.len(), bytes) {
                return;
            }
            bytes += entry.bytes();
            found.push(entry.clone());
        }
    }

    /// Conflicts that are kept, oldest first.
    pub fn conflicts(&self) -> Vec<ConflictEntry> {
        let two = self.two_writers.as_deref();
        two.map_or_else(Vec::new, |two| two.conflicts.entries.iter().cloned().collect())
    }
}

#[cfg(test)]
mod tests;
