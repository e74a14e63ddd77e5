//! The conflicts that merging decided, newest kept: what `TANDEM PP CONFLICTS` shows.
//!
//! They follow from the log as everything else does, so a restart gives the same ones, with the same
//! numbers.

use std::collections::VecDeque;

use tandem_merge::Conflict;
use tandem_merge::conflict::Party;
use tandem_types::WallMillis;

/// Entries kept, at most.
const ENTRIES_MAX: usize = 10_000;
/// Bytes of keys and values in them, at most.
const BYTES_MAX: usize = 64 << 20;

/// One conflict and when it was found.
#[derive(Clone, Debug, PartialEq)]
pub struct ConflictEntry {
    /// Rises by one with each conflict.
    pub id: u64,
    /// When the write that met an own one was made.
    pub time: WallMillis,
    /// What met, and what became of it.
    pub conflict: Conflict,
}

impl ConflictEntry {
    fn bytes(&self) -> usize {
        let value = |party: &Party| party.value.as_ref().map_or(0, |value| value.len());
        let conflict = &self.conflict;
        size_of::<Self>()
            + conflict.key.name.len()
            + value(&conflict.winner)
            + value(&conflict.loser)
    }
}

/// The newest conflicts.
#[derive(Debug, Default)]
pub struct ConflictLog {
    entries: VecDeque<ConflictEntry>,
    bytes: usize,
    next: u64,
}

impl ConflictLog {
    /// Adds those of one merge.
    pub(crate) fn extend(&mut self, time: WallMillis, conflicts: impl Iterator<Item = Conflict>) {
        for conflict in conflicts {
            self.next += 1;
            let entry = ConflictEntry { id: self.next, time, conflict };
            self.bytes += entry.bytes();
            self.entries.push_back(entry);
            while self.entries.len() > ENTRIES_MAX || self.bytes > BYTES_MAX {
                let Some(oldest) = self.entries.pop_front() else { break };
                self.bytes -= oldest.bytes();
            }
        }
    }

    /// Those that are kept, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &ConflictEntry> {
        self.entries.iter()
    }

    /// The one of this number, if it is kept.
    pub fn get(&self, id: u64) -> Option<&ConflictEntry> {
        let first = self.entries.front()?.id;
        let at = usize::try_from(id.checked_sub(first)?).ok()?;
        self.entries.get(at)
    }

    /// How many there were, those that are not kept any more included.
    pub const fn total(&self) -> u64 {
        self.next
    }
}
