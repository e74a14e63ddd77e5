//! How the key space is cut: databases and slots.

/// Databases that `SELECT` can reach.
pub const DB_COUNT: u8 = 16;

/// Slots of one database. Each is a hash table of its own, so that growing one takes microseconds,
/// and each is written to a snapshot in one piece.
pub const SLOT_COUNT: u16 = 4096;

/// Number of a database, below [`DB_COUNT`].
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct DbIndex(u8);

impl DbIndex {
    /// Database 0, where a connection starts.
    pub const ZERO: Self = Self(0);

    /// `None` if there is no such database.
    pub const fn new(number: u8) -> Option<Self> {
        if number < DB_COUNT { Some(Self(number)) } else { None }
    }

    /// The plain number.
    pub const fn get(self) -> u8 {
        self.0
    }

    /// The place in an array of all databases.
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// All databases in order.
    pub fn all() -> impl DoubleEndedIterator<Item = Self> {
        (0..DB_COUNT).map(Self)
    }
}

/// One slot of one database.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SlotId {
    /// The database.
    pub db: DbIndex,
    /// The slot in it, below [`SLOT_COUNT`].
    pub slot: u16,
}

/// The slot of a key, whatever its database.
///
/// Part of the snapshot format (docs/formats/effects.md): changing it needs a new format version.
/// It spreads keys and nothing more; what resists collision attacks is the tables' seeded hash.
#[inline]
#[must_use]
pub fn slot_of(key: &[u8]) -> u16 {
    slot_of_hash(stable_hash(0, key))
}

#[inline]
const fn slot_of_hash(hash: u64) -> u16 {
    #[expect(clippy::cast_possible_truncation, reason = "the remainder is below 4096")]
    {
        ((hash >> 40) % (SLOT_COUNT as u64)) as u16
    }
}

/// A hash that is the same everywhere and for ever: a multiply-fold over 8-byte words.
#[inline]
pub fn stable_hash(seed: u64, bytes: &[u8]) -> u64 {
    const WORD: usize = 8;
    let mut state = 0x9e37_79b9_7f4a_7c15 ^ seed ^ (bytes.len() as u64);
    let mut words = bytes.chunks_exact(WORD);
    for word in &mut words {
        let mut word_bytes = [0u8; WORD];
        word_bytes.copy_from_slice(word);
        state = fold(state ^ u64::from_le_bytes(word_bytes), 0xa076_1d64_78bd_642f);
    }
    let mut tail = [0u8; WORD];
    let rest = words.remainder();
    tail[..rest.len()].copy_from_slice(rest);
    fold(state ^ u64::from_le_bytes(tail), 0xe703_7ed1_a0b4_28db)
}

/// High and low half of the 128-bit product, folded together.
#[inline]
const fn fold(a: u64, b: u64) -> u64 {
    let product = (a as u128) * (b as u128);
    #[expect(clippy::cast_possible_truncation, reason = "taking both halves is the point")]
    {
        (product as u64) ^ ((product >> 64) as u64)
    }
}

impl SlotId {
    /// The slot of a key.
    #[inline]
    pub fn of(db: DbIndex, key: &[u8]) -> Self {
        Self { db, slot: slot_of(key) }
    }

    /// The first slot of a walk over the whole key space.
    pub const FIRST: Self = Self { db: DbIndex::ZERO, slot: 0 };

    /// The last slot of such a walk.
    pub const LAST: Self = Self { db: DbIndex(DB_COUNT - 1), slot: SLOT_COUNT - 1 };

    /// The slot after this one in the walk; `None` after the last.
    pub const fn next(self) -> Option<Self> {
        if self.slot + 1 < SLOT_COUNT {
            Some(Self { db: self.db, slot: self.slot + 1 })
        } else {
            match DbIndex::new(self.db.0 + 1) {
                Some(db) => Some(Self { db, slot: 0 }),
                None => None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_visits_every_slot_once() {
        let mut at = Some(SlotId::FIRST);
        let mut count = 0u32;
        while let Some(slot) = at {
            count += 1;
            at = slot.next();
        }
        assert_eq!(count, u32::from(DB_COUNT) * u32::from(SLOT_COUNT));
    }
}
