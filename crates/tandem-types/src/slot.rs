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

impl SlotId {
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
