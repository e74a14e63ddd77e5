//! What merging decided, kept for people: bounded, newest last, the same after a restart.
//!
//! An entry is named by the position of the record whose merge made it, so replaying the log names it so
//! again. Snapshots hold the log too ([`crate::Store::conflict_bytes`]).

use std::collections::VecDeque;
use std::fmt;

use tandem_merge::conflict::{Item, Kind};
use tandem_merge::{CodecError, Conflict, Key};
use tandem_types::Lsn;

use crate::store::Store;

/// Entries that are kept.
const ENTRIES_MAX: usize = 10_000;
/// Bytes of keys and values that are kept.
const BYTES_MAX: usize = 64 << 20;

/// Names a conflict on this node: position after the record whose merge made it, number within that.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct ConflictId {
    lsn_end: Lsn,
    number: u32,
}

impl ConflictId {
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
    /// A person has decided it.
    pub resolved: bool,
}

/// All that are kept.
#[derive(Debug, Default)]
pub(crate) struct ConflictLog {
    entries: VecDeque<ConflictEntry>,
    bytes: usize,
    /// Since the first, by kind.
    counts: [u64; Kind::ALL.len()],
}

/// Which entries are asked for.
#[derive(Debug, Default)]
pub(crate) struct Filter<'f> {
    pub(crate) key: Option<&'f [u8]>,
    pub(crate) kind: Option<Kind>,
    /// Only later ones.
    pub(crate) since: Option<ConflictId>,
}

impl ConflictLog {
    /// Keeps a conflict that the merge of a record made; `won_twice`: both writers had been told that only
    /// they succeeded.
    pub(crate) fn push(&mut self, lsn_end: Lsn, mut conflict: Conflict, won_twice: bool) {
        if won_twice && conflict.kind == Kind::Lww {
            conflict.kind = Kind::Nx;
        }
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
        self.entries.push_back(ConflictEntry { id, conflict, resolved: false });
        while self.entries.len() > ENTRIES_MAX || self.bytes > BYTES_MAX {
            let Some(oldest) = self.entries.pop_front() else { return };
            self.bytes -= bytes_of(&oldest.conflict);
        }
    }

    pub(crate) fn get(&self, id: ConflictId) -> Option<&ConflictEntry> {
        self.entries.iter().find(|entry| entry.id == id)
    }

    /// A person has decided what this part of a key is.
    pub(crate) fn resolve(&mut self, key: &Key, item: &Item) {
        for entry in &mut self.entries {
            if entry.conflict.key == *key && item.decides(&entry.conflict.item) {
                entry.resolved = true;
            }
        }
    }

    /// Those that are asked for, oldest first.
    pub(crate) fn select<'l>(
        &'l self,
        filter: &'l Filter<'l>,
    ) -> impl Iterator<Item = &'l ConflictEntry> {
        self.entries.iter().filter(move |entry| {
            let conflict = &entry.conflict;
            let fits = |glob: &[u8]| tandem_resp::glob_matches(glob, &conflict.key.name, false);
            filter.key.is_none_or(fits)
                && filter.kind.is_none_or(|kind| kind == conflict.kind)
                && filter.since.is_none_or(|since| entry.id > since)
        })
    }

    /// How many there were, by kind.
    pub(crate) fn counts(&self) -> impl Iterator<Item = (Kind, u64)> {
        Kind::ALL.into_iter().zip(self.counts)
    }

    /// How many are kept.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// How many are kept and undecided.
    pub(crate) fn open(&self) -> usize {
        self.entries.iter().filter(|entry| !entry.resolved).count()
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for count in self.counts {
            out.extend(count.to_le_bytes());
        }
        for entry in &self.entries {
            out.extend(entry.id.lsn_end.get().to_le_bytes());
            out.extend(entry.id.number.to_le_bytes());
            out.push(u8::from(entry.resolved));
            entry.conflict.encode(&mut out);
        }
        out
    }

    fn decode(mut bytes: &[u8]) -> Result<Self, CodecError> {
        let mut log = Self::default();
        for count in &mut log.counts {
            *count = u64::from_le_bytes(fixed(&mut bytes)?);
        }
        while !bytes.is_empty() {
            let lsn_end = Lsn::new(u64::from_le_bytes(fixed(&mut bytes)?));
            let number = u32::from_le_bytes(fixed(&mut bytes)?);
            let [resolved] = fixed(&mut bytes)?;
            let conflict = Conflict::decode(&mut bytes)?;
            log.bytes += bytes_of(&conflict);
            let id = ConflictId { lsn_end, number };
            log.entries.push_back(ConflictEntry { id, conflict, resolved: resolved != 0 });
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
            two.conflicts = ConflictLog::decode(bytes)?;
        }
        Ok(())
    }

    /// Conflicts that are kept, oldest first.
    pub fn conflicts(&self) -> Vec<ConflictEntry> {
        let two = self.two_writers.as_deref();
        two.map_or_else(Vec::new, |two| two.conflicts.entries.iter().cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use tandem_merge::conflict::Party;
    use tandem_types::{DbIndex, NodeId, Stamp};

    use super::*;

    fn conflict(name: &str, bytes: usize) -> Conflict {
        let party = |side| Party {
            side,
            lsn: Lsn::new(3),
            stamp: Stamp::new(9),
            value: Some(vec![b'v'; bytes].into()),
        };
        Conflict {
            kind: Kind::Lww,
            key: Key { db: DbIndex::ZERO, name: name.as_bytes().into() },
            item: Item::String,
            winner: party(NodeId::A),
            loser: party(NodeId::B),
        }
    }

    #[test]
    fn it_is_bounded_by_number_and_by_bytes() {
        let mut log = ConflictLog::default();
        for lsn in 1..=12_000 {
            log.push(Lsn::new(lsn), conflict("k", 10), false);
        }
        assert_eq!(log.entries.len(), ENTRIES_MAX);
        assert_eq!(log.entries[0].id.to_string(), "2001-0");
        for lsn in 20_000..22_000 {
            log.push(Lsn::new(lsn), conflict("k", 60_000), false);
        }
        assert!(log.bytes <= BYTES_MAX && log.entries.len() < 1_000, "{}", log.entries.len());
        assert_eq!(log.counts().find(|(kind, _)| *kind == Kind::Lww).unwrap().1, 14_000);
    }

    #[test]
    fn what_a_snapshot_holds_is_not_told_twice() {
        let mut log = ConflictLog::default();
        log.push(Lsn::new(7), conflict("a", 1), false);
        log.push(Lsn::new(7), conflict("b", 1), true);
        log.resolve(&conflict("a", 1).key, &Item::Key);
        let mut back = ConflictLog::decode(&log.encode()).unwrap();
        assert_eq!(back.entries, log.entries);
        assert_eq!(back.entries[1].conflict.kind, Kind::Nx);
        back.push(Lsn::new(6), conflict("c", 1), false);
        back.push(Lsn::new(8), conflict("d", 1), false);
        let ids: Vec<_> = back.entries.iter().map(|entry| entry.id.to_string()).collect();
        assert_eq!(ids, ["7-0", "7-1", "8-0"]);
        assert_eq!(ConflictId::parse(b"7-1"), Some(log.entries[1].id));
        assert_eq!(ConflictId::parse(b"x"), None);
    }
}
