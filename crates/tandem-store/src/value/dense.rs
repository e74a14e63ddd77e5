//! A hash table whose entries also stand in a row: the large form of hashes, sets and sorted sets.
//!
//! Entries live in [`Chunks`], in order of arrival; an [`Index`] finds them by key. Removing one moves
//! the last entry into its place, so the row never has holes. That gives, beyond lookup:
//!
//! - **a fair random entry in O(1)**: any position of the row.
//! - **scans that miss nothing**: a cursor is the number of entries still to visit, walked from the
//!   back. An entry only ever moves from the last position to an earlier one, so an entry that is
//!   not yet visited stays below the cursor, however much the table grows or shrinks meanwhile.
//! - **an order that is a function of the writes alone**, not of the hash: so the hasher may be seeded
//!   at random (nobody can construct collisions) and the store is deterministic all the same.
//!
//! No operation moves more than a few thousand entries, so none stops the event loop.

mod chunks;
mod index;

use std::hash::{BuildHasher, Hasher};

use foldhash::quality::RandomState;

use chunks::Chunks;
use index::Index;

/// What an entry needs to be found.
pub(crate) trait Keyed {
    /// What it is found by; never changes while the entry is in a table.
    fn key(&self) -> &[u8];
    /// Its bytes on the heap.
    fn heap_bytes(&self) -> usize;
}

/// Position of an entry in the row.
///
/// 32 bits: four thousand million entries would need 128 GiB for the row alone.
pub(crate) type Position = u32;

/// See the module's text.
#[derive(Debug)]
pub(crate) struct Dense<E> {
    hasher: RandomState,
    entries: Chunks<E>,
    index: Index,
    heap_bytes: usize,
}

/// What a removal did to the row.
pub(crate) struct Removed {
    /// Where it stood; the entry that stood at the end, if it was another one, stands there now.
    pub(crate) position: Position,
}

impl<E> Default for Dense<E> {
    fn default() -> Self {
        Self {
            hasher: RandomState::default(),
            entries: Chunks::default(),
            index: Index::default(),
            heap_bytes: 0,
        }
    }
}

impl<E: Keyed> Dense<E> {
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Heap bytes, estimated from counts: constant time.
    pub(crate) fn memory(&self) -> usize {
        self.entries.memory() + self.index.memory() + self.heap_bytes
    }

    /// Position of the entry with this key.
    #[inline]
    pub(crate) fn find(&self, key: &[u8]) -> Option<Position> {
        self.find_hashed(self.hash(key), key)
    }

    #[inline]
    pub(crate) fn get(&self, key: &[u8]) -> Option<&E> {
        self.find(key).map(|position| self.at(position))
    }

    /// The entry at a position that [`Dense::find`] or [`Dense::insert_new`] gave.
    #[inline]
    pub(crate) fn at(&self, position: Position) -> &E {
        self.entries.get(position as usize)
    }

    /// Entry number `number` of the row, for `number` below [`Dense::len`].
    pub(crate) fn nth(&self, number: usize) -> &E {
        self.entries.get(number)
    }

    /// Changes an entry; its key must stay.
    pub(crate) fn update<R>(&mut self, position: Position, change: impl FnOnce(&mut E) -> R) -> R {
        let entry = self.entries.get_mut(position as usize);
        let before = entry.heap_bytes();
        let result = change(entry);
        self.heap_bytes = self.heap_bytes - before + entry.heap_bytes();
        result
    }

    /// Adds an entry whose key is not in the table yet.
    pub(crate) fn insert_new(&mut self, entry: E) -> Position {
        let hash = self.hash(entry.key());
        debug_assert!(self.find_hashed(hash, entry.key()).is_none(), "the key is in the table");
        let position = position_of(self.entries.len());
        self.heap_bytes += entry.heap_bytes();
        self.entries.push(entry);
        self.index.insert(hash, position);
        position
    }

    /// Removes the entry with this key.
    pub(crate) fn remove(&mut self, key: &[u8]) -> Option<Removed> {
        let hash = self.hash(key);
        let position = self.find_hashed(hash, key)?;
        self.index.remove(hash, position);
        let last = position_of(self.entries.len() - 1);
        if last != position {
            let moved = self.hash(self.at(last).key());
            self.index.relocate(moved, last, position);
        }
        let entry = self.entries.swap_remove(position as usize);
        self.heap_bytes -= entry.heap_bytes();
        Some(Removed { position })
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &E> {
        self.entries.iter()
    }

    /// Visits about `count` entries from `cursor` on (0 starts); returns the next cursor, 0 at the end.
    pub(crate) fn scan<'e>(
        &'e self,
        cursor: u64,
        count: usize,
        mut visit: impl FnMut(&'e E),
    ) -> u64 {
        let len = self.len();
        let end = match usize::try_from(cursor) {
            Ok(0) | Err(_) => len,
            Ok(cursor) => cursor.min(len),
        };
        let start = end.saturating_sub(count.max(1));
        for number in (start..end).rev() {
            visit(self.nth(number));
        }
        start as u64
    }

    #[inline]
    fn hash(&self, key: &[u8]) -> u32 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(key);
        let hash = hasher.finish();
        #[expect(clippy::cast_possible_truncation, reason = "32 of the 64 bits are wanted")]
        {
            hash as u32
        }
    }

    fn find_hashed(&self, hash: u32, key: &[u8]) -> Option<Position> {
        self.index.find(hash, |position| self.at(position).key() == key)
    }
}

fn position_of(number: usize) -> Position {
    // The proof is at `Position`: memory ends before the numbers do.
    Position::try_from(number).expect("fewer than 2^32 entries fit into memory")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::value::small_bytes::SmallBytes;

    fn name(i: u32) -> Vec<u8> {
        format!("member:{i}:{}", "x".repeat(i as usize % 40)).into_bytes()
    }

    fn table(count: u32) -> Dense<SmallBytes> {
        let mut table = Dense::default();
        for i in 0..count {
            table.insert_new(SmallBytes::new(&name(i)));
        }
        table
    }

    #[test]
    fn entries_are_found_after_growing_and_shrinking_by_shards() {
        let mut table = table(100_000);
        for i in 0..100_000 {
            assert!(table.get(&name(i)).is_some());
        }
        let full = table.memory();
        for i in 0..100_000 {
            if i % 100 != 0 {
                assert!(table.remove(&name(i)).is_some());
            }
        }
        for i in 0..100_000 {
            assert_eq!(table.get(&name(i)).is_some(), i % 100 == 0);
        }
        assert!(table.memory() < full / 20, "{} of {full}", table.memory());
        for i in 0..100_000 {
            table.remove(&name(i));
        }
        assert_eq!((table.len(), table.heap_bytes), (0, 0));
    }

    #[test]
    fn a_scan_shows_each_entry_that_stays() {
        for (seed, removed_at_a_time, added_at_a_time) in [(1u32, 7, 0), (2, 3, 20), (3, 30, 5)] {
            let mut table = table(3000);
            let (mut seen, mut cursor, mut next) = (BTreeSet::new(), 0, 0u32);
            loop {
                cursor = table.scan(cursor, 10, |entry| {
                    seen.insert(entry.to_vec());
                });
                if cursor == 0 {
                    break;
                }
                for i in 0..removed_at_a_time {
                    // Numbers not divisible by 5 go, in some order; the others stay all the time.
                    let victim = next.wrapping_mul(2_654_435_761).wrapping_add(seed + i) % 3000;
                    next += 1;
                    if victim % 5 != 0 {
                        table.remove(&name(victim));
                    }
                }
                for i in 0..added_at_a_time {
                    let new = 3000 + next * 64 + i;
                    table.insert_new(SmallBytes::new(&name(new)));
                }
            }
            for i in (0..3000).step_by(5) {
                assert!(seen.contains(&name(i)), "{i} was missed");
            }
        }
    }
}
