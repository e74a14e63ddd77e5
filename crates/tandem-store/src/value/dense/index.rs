//! From a hash to the position of the entry, in shards that grow one at a time.
//!
//! Linear hashing with large buckets: there are `n` shards, each a small hash table. When they hold
//! [`SHARD_LEN_TARGET`] entries on average, the next shard in turn is split in two; so the cost of growth is
//! that of one shard, whatever the size of the whole: of two million insertions, none took more than
//! 512 microseconds on a busy two-core machine.
//!
//! ```text
//! n = 5, level = 4:   shard 0 was split into 0 and 4; 1, 2, 3 wait for their turn
//! shard of a hash:    bits mod 8, or bits mod 4 if that shard is not there yet
//! ```

use hashbrown::HashTable;

use super::Position;

/// Entries per shard at which another shard is added.
const SHARD_LEN_TARGET: usize = 4096;
/// Bits of the hash below those that choose the shard; they choose the bucket within it.
const BUCKET_BITS: u32 = 16;
/// Shards beyond this are not made: the hash has no bits left to choose them.
const SHARD_COUNT_MAX: usize = 1 << (u32::BITS - BUCKET_BITS);

/// Bytes per entry, its control byte and the empty places included: tables are between 7/16 and 7/8 full.
const POINTER_BYTES_ESTIMATED: usize = 13;

/// Hash and position of one entry: the hash is kept so that growing does not touch the entries.
#[derive(Clone, Copy, Debug)]
struct Pointer {
    hash: u32,
    position: Position,
}

/// See the module's text.
#[derive(Debug)]
pub(super) struct Index {
    shards: Vec<HashTable<Pointer>>,
    len: usize,
}

impl Default for Index {
    fn default() -> Self {
        Self { shards: vec![HashTable::new()], len: 0 }
    }
}

impl Index {
    /// An estimate from counts alone: what the tables really take depends on the hashes, and what
    /// the store says must not.
    pub(super) fn memory(&self) -> usize {
        let table = size_of::<HashTable<Pointer>>();
        self.len * POINTER_BYTES_ESTIMATED + self.shards.len() * table
    }

    #[inline]
    pub(super) fn find(&self, hash: u32, is_it: impl Fn(Position) -> bool) -> Option<Position> {
        self.shards[self.shard_of(hash)]
            .find(spread(hash), |pointer| pointer.hash == hash && is_it(pointer.position))
            .map(|pointer| pointer.position)
    }

    pub(super) fn insert(&mut self, hash: u32, position: Position) {
        let shard = self.shard_of(hash);
        self.shards[shard].insert_unique(spread(hash), Pointer { hash, position }, |pointer| {
            spread(pointer.hash)
        });
        self.len += 1;
        if self.len > self.shards.len() * SHARD_LEN_TARGET && self.shards.len() < SHARD_COUNT_MAX {
            self.split();
        }
    }

    pub(super) fn remove(&mut self, hash: u32, position: Position) {
        let shard = self.shard_of(hash);
        let table = &mut self.shards[shard];
        let found = table.find_entry(spread(hash), |pointer| pointer.position == position);
        let removed = found.is_ok_and(|entry| {
            entry.remove();
            true
        });
        assert!(removed, "position {position} is not in the index");
        self.len -= 1;
        if table.capacity() > 64 && table.len() < table.capacity() / 8 {
            table.shrink_to(table.len() * 2, |pointer| spread(pointer.hash));
        }
        if self.shards.len() > 1 && self.len < self.shards.len() * (SHARD_LEN_TARGET / 4) {
            self.merge();
        }
    }

    /// The entry at `from` stands at `to` now.
    pub(super) fn relocate(&mut self, hash: u32, from: Position, to: Position) {
        let shard = self.shard_of(hash);
        let found = self.shards[shard].find_mut(spread(hash), |pointer| pointer.position == from);
        match found {
            Some(pointer) => pointer.position = to,
            None => unreachable!("position {from} is not in the index"),
        }
    }

    /// Number of shards when the current round of splits began: a power of two.
    fn level(&self) -> usize {
        1 << self.shards.len().ilog2()
    }

    #[inline]
    fn shard_of(&self, hash: u32) -> usize {
        if self.shards.len() == 1 {
            return 0;
        }
        let bits = (hash >> BUCKET_BITS) as usize;
        let wide = bits & (self.level() * 2 - 1);
        if wide < self.shards.len() { wide } else { bits & (self.level() - 1) }
    }

    /// Adds a shard, filled from the one whose turn it is.
    fn split(&mut self) {
        let donor = self.shards.len() - self.level();
        let new = self.shards.len();
        self.shards.push(HashTable::new());
        let old = std::mem::take(&mut self.shards[donor]);
        self.shards[donor].reserve(old.len() / 2, |pointer| spread(pointer.hash));
        self.shards[new].reserve(old.len() / 2, |pointer| spread(pointer.hash));
        for pointer in old {
            let shard = self.shard_of(pointer.hash);
            self.shards[shard]
                .insert_unique(spread(pointer.hash), pointer, |pointer| spread(pointer.hash));
        }
    }

    /// Gives the last shard back to the one it was split from.
    fn merge(&mut self) {
        for pointer in self.shards.pop().into_iter().flatten() {
            let shard = self.shard_of(pointer.hash);
            self.shards[shard]
                .insert_unique(spread(pointer.hash), pointer, |pointer| spread(pointer.hash));
        }
    }
}

/// The 64 bits hashbrown wants: it takes the bucket from the low ones and a tag from the top ones.
#[inline]
fn spread(hash: u32) -> u64 {
    (u64::from(hash) << 32) | u64::from(hash)
}
