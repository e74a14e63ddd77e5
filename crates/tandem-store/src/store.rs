//! The whole key space of one node.

use std::cell::Cell;

use tandem_types::{DB_COUNT, DbIndex, Lsn, SlotId, WallMillis};

use crate::database::Database;
use crate::garbage::{Garbage, GarbageBin};
use crate::interest::{Interest, Touched};
use crate::key::TableHasher;
use crate::keys::Keys;
use crate::merge::Shadow;
use crate::random::Random;
use crate::settings::Settings;
use crate::two_writers::TwoWriters;
use crate::{EffectBuf, key};

/// Sixteen databases of 4096 slots each, and what belongs to them.
///
/// A deterministic state machine: same seed, same calls, same answers. All changes go through the
/// mutators of [`Keys`], which also write the effects: a command never changes a value directly.
#[derive(Debug)]
pub struct Store {
    pub(crate) hasher: TableHasher,
    pub(crate) databases: [Option<Box<Database>>; DB_COUNT as usize],
    pub(crate) interest: Interest,
    pub(crate) garbage: GarbageBin,
    pub(crate) random: Random,
    pub(crate) stats: StatCells,
    /// Every reply depends at least on the records before this.
    pub(crate) seen_floor: Lsn,
    /// With two writers: what a plain key space cannot hold.
    pub(crate) shadow: Shadow,
    /// With two writers: policies, counters, sequences, conflicts.
    pub(crate) two_writers: Option<Box<TwoWriters>>,
    settings: Settings,
}

/// What `INFO keyspace` says of one database.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct DatabaseCounts {
    /// Keys, expired ones that were not removed yet included.
    pub keys: usize,
    /// Keys with a deadline.
    pub expires: usize,
}

/// What `INFO stats` says of the store.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct StoreStats {
    /// Reads that found their key.
    pub hits: u64,
    /// Reads that did not.
    pub misses: u64,
    /// Keys removed because their deadline had passed.
    pub expired_keys: u64,
}

/// [`StoreStats`], counted by reads that share the store.
#[derive(Debug, Default)]
pub(crate) struct StatCells {
    pub(crate) hits: Cell<u64>,
    pub(crate) misses: Cell<u64>,
    pub(crate) expired_keys: Cell<u64>,
}

impl Store {
    /// An empty store. `seed` decides table order and the random choices of `SPOP` and the like.
    pub fn new(seed: u64) -> Self {
        Self {
            hasher: TableHasher::new(seed),
            databases: Default::default(),
            interest: Interest::default(),
            garbage: GarbageBin::default(),
            random: Random::new(seed),
            stats: StatCells::default(),
            seen_floor: Lsn::ZERO,
            shadow: Shadow::default(),
            two_writers: None,
            settings: Settings::default(),
        }
    }

    /// The settings.
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The settings, to be changed.
    pub const fn settings_mut(&mut self) -> &mut Settings {
        &mut self.settings
    }

    /// Makes every reply depend at least on the records before `end`.
    ///
    /// For a store that was loaded: a snapshot does not say which record emptied a slot, so what was
    /// in the log but not yet acknowledged when the node stopped stays hidden as a whole.
    pub fn raise_seen_floor(&mut self, end: Lsn) {
        self.seen_floor = self.seen_floor.max(end);
    }

    /// Estimated bytes of all keys and values.
    pub fn used_memory(&self) -> usize {
        self.databases.iter().flatten().map(|database| database.counts.memory).sum()
    }

    pub(crate) fn database_mut(&mut self, db: DbIndex) -> &mut Database {
        // A new database was never written to.
        self.databases[db.index()].get_or_insert_with(|| Box::new(Database::new(Lsn::ZERO)))
    }

    /// Keys of one database, expired ones that were not removed yet included.
    pub fn dbsize(&self, db: DbIndex) -> usize {
        self.counts(db).keys
    }

    /// Keys of one database, and how many of them have a deadline.
    pub fn counts(&self, db: DbIndex) -> DatabaseCounts {
        self.databases[db.index()].as_deref().map_or_else(DatabaseCounts::default, |database| {
            DatabaseCounts { keys: database.counts.keys, expires: database.counts.expires }
        })
    }

    /// Hits, misses, expiries since the start.
    pub fn stats(&self) -> StoreStats {
        StoreStats {
            hits: self.stats.hits.get(),
            misses: self.stats.misses.get(),
            expired_keys: self.stats.expired_keys.get(),
        }
    }

    /// Counts hits, misses and expiries from zero again.
    pub fn reset_stats(&mut self) {
        self.stats = StatCells::default();
    }

    /// The end of the last record that wrote to a slot.
    pub fn last_write_end(&self, slot: SlotId) -> Lsn {
        self.databases[slot.db.index()]
            .as_deref()
            .map_or(Lsn::ZERO, |database| database.slot(slot.slot).last_write_end)
    }

    /// The end of the last record that wrote to the slot of a key.
    pub fn last_write_end_of(&self, db: DbIndex, key: &[u8]) -> Lsn {
        self.last_write_end(SlotId { db, slot: key::slot_of(key) })
    }

    /// True if a client would find the key at `now`.
    pub fn exists(&self, db: DbIndex, key: &[u8], now: WallMillis) -> bool {
        let key = self.hasher.key(key);
        self.databases[db.index()].as_deref().is_some_and(|database| {
            database
                .slot(key.slot)
                .table
                .find(key.hash, |entry| entry.key() == key.bytes)
                .is_some_and(|entry| !entry.is_expired(now))
        })
    }

    /// True if the key is there but expired: `WATCH` remembers it, because the removal of such a key
    /// is no change, while a watched key that expires later is one.
    pub fn is_expired(&self, db: DbIndex, key: &[u8], now: WallMillis) -> bool {
        self.exists(db, key, WallMillis::default()) && !self.exists(db, key, now)
    }

    /// Somebody wants to know when this key is written to (`WATCH`, blocked pops). Counted.
    pub fn interest_add(&mut self, db: DbIndex, key: &[u8]) {
        self.interest.add(db, key);
    }

    /// Undoes one [`Self::interest_add`].
    pub fn interest_remove(&mut self, db: DbIndex, key: &[u8]) {
        self.interest.remove(db, key);
    }

    /// Appends the keys of interest that were written to since the last call, in order, perhaps more
    /// than once each.
    pub fn drain_touched(&mut self, out: &mut Vec<Touched>) {
        self.interest.drain(out);
    }

    /// A value to be dropped on another thread, if there is one.
    pub fn take_garbage(&mut self) -> Option<Garbage> {
        self.garbage.take()
    }

    /// Removes keys whose deadline has passed, looking at no more than about `budget` of them; true
    /// if there may be more. Only a primary calls it: a follower gets the removals as effects. With two
    /// writers this tends counters and sequences too ([`Self::tend`]).
    pub fn expire_cycle(
        &mut self,
        now: WallMillis,
        lsn_end: Lsn,
        budget: usize,
        effects: &mut EffectBuf,
    ) -> bool {
        self.tend(now, lsn_end, effects);
        let mut left = budget;
        for db in DbIndex::all() {
            let mut keys = Keys::new(self, db, now, lsn_end, Some(&mut *effects));
            left -= keys.expire_due(left);
            if left == 0 {
                return true;
            }
        }
        false
    }
}
