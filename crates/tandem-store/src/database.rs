//! One database: its slots, its deadlines, its counts.

use hashbrown::HashTable;
use tandem_types::{Lsn, SLOT_COUNT};

use crate::entry::Entry;
use crate::expiry::ExpiryIndex;

/// Keys that are written to a snapshot together; small enough that growing its table takes
/// microseconds.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    pub(crate) table: HashTable<Entry>,
    /// End of the record that wrote here last: who reads the slot waits until that is committed.
    pub(crate) last_write_end: Lsn,
}

/// What one entry adds to the counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Footprint {
    memory: usize,
    expires: bool,
}

impl Footprint {
    pub(crate) fn of(entry: &Entry) -> Self {
        Self { memory: entry.memory(), expires: entry.deadline().is_some() }
    }
}

/// Sums over a database.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Counts {
    /// Keys, expired ones that were not removed yet included.
    pub(crate) keys: usize,
    /// Keys with a deadline.
    pub(crate) expires: usize,
    /// Bytes, as estimated by [`Entry::memory`].
    pub(crate) memory: usize,
    /// End of the record that wrote last to any slot.
    pub(crate) last_write_end: Lsn,
}

impl Counts {
    pub(crate) fn insert(&mut self, new: Footprint) {
        self.keys += 1;
        self.memory += new.memory;
        self.expires += usize::from(new.expires);
    }

    pub(crate) fn remove(&mut self, old: Footprint) {
        self.keys -= 1;
        self.memory -= old.memory;
        self.expires -= usize::from(old.expires);
    }

    pub(crate) fn replace(&mut self, old: Footprint, new: Footprint) {
        self.memory = self.memory + new.memory - old.memory;
        self.expires = self.expires + usize::from(new.expires) - usize::from(old.expires);
    }
}

/// One database.
#[derive(Debug)]
pub(crate) struct Database {
    pub(crate) slots: Box<[Slot]>,
    pub(crate) expiry: ExpiryIndex,
    pub(crate) counts: Counts,
}

impl Database {
    /// An empty one in which every slot was last written at `last_write_end`.
    pub(crate) fn new(last_write_end: Lsn) -> Self {
        let slots = (0..SLOT_COUNT).map(|_| Slot { table: HashTable::new(), last_write_end });
        Self {
            slots: slots.collect(),
            expiry: ExpiryIndex::default(),
            counts: Counts { last_write_end, ..Counts::default() },
        }
    }

    pub(crate) fn slot(&self, slot: u16) -> &Slot {
        &self.slots[usize::from(slot)]
    }
}
