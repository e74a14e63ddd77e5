//! The key space as one command sees it: at one time, in one database, up to one record.
//!
//! This file reads; `write.rs` and `edit.rs` change. Reads hide expired keys and never remove them,
//! so that they are pure; they note which slots they saw, for the reply gate.

use std::cell::Cell;

use hashbrown::hash_table::{self, OccupiedEntry};
use tandem_types::{DbIndex, Lsn, WallMillis};

use crate::database::{Counts, Database, Footprint};
use crate::effect::{Effect, EffectBuf};
use crate::entry::Entry;
use crate::expiry::ExpiryIndex;
use crate::failure::Failure;
use crate::garbage::GarbageBin;
use crate::interest::Interest;
use crate::key::Key;
use crate::settings::{Limits, Settings};
use crate::store::Store;
use crate::value::ValueRef;
use crate::value::hash::Hash;
use crate::value::list::List;
use crate::value::set::Set;
use crate::value::stream::Stream;
use crate::value::zset::Zset;

/// A view of the store for one command.
#[derive(Debug)]
pub(crate) struct Keys<'c> {
    pub(crate) store: &'c mut Store,
    pub(crate) db: DbIndex,
    pub(crate) now: WallMillis,
    /// End of the record that the effects go to.
    lsn_end: Lsn,
    /// `None` while effects are replayed.
    effects: Option<&'c mut EffectBuf>,
    seen: Cell<Lsn>,
}

/// All that a change touches beside the entry itself, borrowed apart from it.
#[derive(Debug)]
pub(crate) struct Side<'s> {
    pub(crate) stamp: &'s mut Lsn,
    pub(crate) counts: &'s mut Counts,
    pub(crate) expiry: &'s mut ExpiryIndex,
    pub(crate) interest: &'s mut Interest,
    pub(crate) garbage: &'s mut GarbageBin,
    pub(crate) expired_keys: &'s Cell<u64>,
    pub(crate) effects: Option<&'s mut EffectBuf>,
    pub(crate) limits: Limits,
    pub(crate) key: Key<'s>,
    db: DbIndex,
    now: WallMillis,
    lsn_end: Lsn,
}

impl Side<'_> {
    /// Whether operations are wanted, not effects.
    pub(crate) fn is_merging(&self) -> bool {
        self.effects.as_deref().is_some_and(EffectBuf::is_merging)
    }

    /// With two writers, what the effect does not say.
    pub(crate) fn operation(&mut self, op: impl FnOnce() -> tandem_merge::KeyOp) {
        if self.is_merging()
            && let Some(effects) = &mut self.effects
        {
            effects.push_op(self.db, self.key.bytes, op());
        }
    }

    /// The key came or went without being assigned as a whole: its deadline begins anew.
    pub(crate) fn came_or_went(&mut self) {
        self.operation(|| tandem_merge::KeyOp::Deadline(tandem_merge::Deadline::Wiped));
    }

    /// Stamps the slot, tells who is interested, appends the effect: part of every change.
    #[inline]
    pub(crate) fn changed(&mut self, effect: Effect<'_>) {
        *self.stamp = self.lsn_end;
        self.counts.last_write_end = self.lsn_end;
        self.interest.touch(self.db, self.key.bytes, effect.breaks_watches());
        if let Some(effects) = &mut self.effects {
            effects.push(self.db, self.key.bytes, effect);
        }
    }

    /// Accounts for an entry that was changed in place, and files its deadline.
    #[inline]
    pub(crate) fn replaced(
        &mut self,
        before: Footprint,
        deadline_before: Option<WallMillis>,
        entry: &Entry,
    ) {
        self.counts.replace(before, Footprint::of(entry));
        if let Some(deadline) = entry.deadline() {
            self.expiry.note(self.key.slot, self.key.hash, deadline_before, deadline);
        }
    }

    /// Accounts for a new entry, and files its deadline.
    #[inline]
    pub(crate) fn inserted(&mut self, entry: &Entry) {
        self.counts.insert(Footprint::of(entry));
        if let Some(deadline) = entry.deadline() {
            self.expiry.note(self.key.slot, self.key.hash, None, deadline);
        }
    }

    /// Accounts for an entry that was taken out, and drops it.
    pub(crate) fn removed(&mut self, entry: Entry, effect: Effect<'_>) {
        self.counts.remove(Footprint::of(&entry));
        self.garbage.discard(entry.into_value());
        self.changed(effect);
    }

    /// True if the entry is over; always false during replay, where only effects remove.
    #[inline]
    fn is_expired(&self, entry: &Entry) -> bool {
        entry.is_expired(self.now)
    }

    fn expired(&mut self, entry: Entry) {
        self.expired_keys.set(self.expired_keys.get() + 1);
        self.removed(entry, Effect::Expired);
    }
}

impl<'c> Keys<'c> {
    pub(crate) fn new(
        store: &'c mut Store,
        db: DbIndex,
        now: WallMillis,
        lsn_end: Lsn,
        effects: Option<&'c mut EffectBuf>,
    ) -> Self {
        let seen = Cell::new(store.seen_floor);
        Self { store, db, now, lsn_end, effects, seen }
    }

    /// A view in which no time passes and nothing is emitted: what effects are replayed through.
    pub(crate) fn for_replay(store: &'c mut Store, db: DbIndex, lsn_end: Lsn) -> Self {
        Self::new(store, db, WallMillis::new(0), lsn_end, None)
    }

    /// The same command in another database (`COPY`, `MOVE`).
    pub(crate) fn in_database(&mut self, db: DbIndex) -> Keys<'_> {
        Keys {
            store: self.store,
            db,
            now: self.now,
            lsn_end: self.lsn_end,
            effects: self.effects.as_deref_mut(),
            seen: Cell::new(self.seen.get()),
        }
    }

    /// The key with its place, hashed once.
    #[inline]
    pub(crate) fn key<'k>(&self, bytes: &'k [u8]) -> Key<'k> {
        self.store.hasher.key(bytes)
    }

    pub(crate) const fn now(&self) -> WallMillis {
        self.now
    }

    pub(crate) const fn lsn_end(&self) -> Lsn {
        self.lsn_end
    }

    pub(crate) const fn settings(&self) -> &Settings {
        self.store.settings()
    }

    pub(crate) const fn limits(&self) -> Limits {
        self.store.settings().limits
    }

    /// A random number below `bound`.
    pub(crate) fn random_below(&self, bound: usize) -> usize {
        self.store.random.below(bound)
    }

    /// The end of the newest record that this command has read from.
    pub(crate) fn seen(&self) -> Lsn {
        self.seen.get()
    }

    /// Notes that the reply depends on everything up to `end`.
    pub(crate) fn note_seen(&self, end: Lsn) {
        self.seen.set(self.seen.get().max(end));
    }

    pub(crate) fn database(&self) -> Option<&Database> {
        self.store.databases[self.db.index()].as_deref()
    }

    /// The entry of a key that clients can see.
    #[inline]
    pub(crate) fn entry(&self, key: Key<'_>) -> Option<&Entry> {
        let slot = self.database()?.slot(key.slot);
        self.note_seen(slot.last_write_end);
        let entry = slot.table.find(key.hash, |entry| entry.key() == key.bytes);
        let entry = entry.filter(|entry| !entry.is_expired(self.now));
        let stats = &self.store.stats;
        let counter = if entry.is_some() { &stats.hits } else { &stats.misses };
        counter.set(counter.get() + 1);
        entry
    }

    pub(crate) fn exists(&self, key: Key<'_>) -> bool {
        self.entry(key).is_some()
    }

    #[inline]
    pub(crate) fn value(&self, key: Key<'_>) -> Option<ValueRef<'_>> {
        self.entry(key).map(Entry::value)
    }

    /// The string at a key.
    #[inline]
    pub(crate) fn string(&self, key: Key<'_>) -> Result<Option<&[u8]>, Failure> {
        match self.value(key) {
            None => Ok(None),
            Some(ValueRef::String { bytes, .. }) => Ok(Some(bytes)),
            Some(_) => Err(Failure::WrongType),
        }
    }

    /// The list at a key.
    pub(crate) fn list(&self, key: Key<'_>) -> Result<Option<&List>, Failure> {
        match self.value(key) {
            None => Ok(None),
            Some(ValueRef::List(list)) => Ok(Some(list)),
            Some(_) => Err(Failure::WrongType),
        }
    }

    /// The hash at a key.
    pub(crate) fn hash(&self, key: Key<'_>) -> Result<Option<&Hash>, Failure> {
        match self.value(key) {
            None => Ok(None),
            Some(ValueRef::Hash(hash)) => Ok(Some(hash)),
            Some(_) => Err(Failure::WrongType),
        }
    }

    /// The set at a key.
    pub(crate) fn set(&self, key: Key<'_>) -> Result<Option<&Set>, Failure> {
        match self.value(key) {
            None => Ok(None),
            Some(ValueRef::Set(set)) => Ok(Some(set)),
            Some(_) => Err(Failure::WrongType),
        }
    }

    /// The stream at a key.
    pub(crate) fn stream(&self, key: Key<'_>) -> Result<Option<&Stream>, Failure> {
        match self.value(key) {
            None => Ok(None),
            Some(ValueRef::Stream(stream)) => Ok(Some(stream)),
            Some(_) => Err(Failure::WrongType),
        }
    }

    /// The sorted set at a key.
    pub(crate) fn zset(&self, key: Key<'_>) -> Result<Option<&Zset>, Failure> {
        match self.value(key) {
            None => Ok(None),
            Some(ValueRef::Zset(zset)) => Ok(Some(zset)),
            Some(_) => Err(Failure::WrongType),
        }
    }

    /// The entry of a key for changing it; an expired one is removed first, as an effect of its own.
    #[inline]
    pub(crate) fn open_existing<'s>(
        &'s mut self,
        key: Key<'s>,
    ) -> Option<(OccupiedEntry<'s, Entry>, Side<'s>)> {
        let now = self.now;
        let limits = self.store.settings().limits;
        let store = &mut *self.store;
        let database = store.databases[self.db.index()].as_deref_mut()?;
        let slot = &mut database.slots[usize::from(key.slot)];
        let mut side = Side {
            stamp: &mut slot.last_write_end,
            counts: &mut database.counts,
            expiry: &mut database.expiry,
            interest: &mut store.interest,
            garbage: &mut store.garbage,
            expired_keys: &store.stats.expired_keys,
            effects: self.effects.as_deref_mut(),
            limits,
            key,
            db: self.db,
            now,
            lsn_end: self.lsn_end,
        };
        self.seen.set(self.seen.get().max(*side.stamp));
        let entry = slot.table.find_entry(key.hash, |entry| entry.key() == key.bytes).ok()?;
        if side.is_expired(entry.get()) {
            side.expired(entry.remove().0);
            return None;
        }
        Some((entry, side))
    }

    /// The place of a key for writing to it; an expired entry is removed first, as above.
    #[inline]
    pub(crate) fn open<'s>(&'s mut self, key: Key<'s>) -> (hash_table::Entry<'s, Entry>, Side<'s>) {
        let now = self.now;
        let limits = self.store.settings().limits;
        let store = &mut *self.store;
        let hasher = &store.hasher;
        // A new database was never written to.
        let database = store.databases[self.db.index()]
            .get_or_insert_with(|| Box::new(Database::new(Lsn::ZERO)));
        let slot = &mut database.slots[usize::from(key.slot)];
        let mut side = Side {
            stamp: &mut slot.last_write_end,
            counts: &mut database.counts,
            expiry: &mut database.expiry,
            interest: &mut store.interest,
            garbage: &mut store.garbage,
            expired_keys: &store.stats.expired_keys,
            effects: self.effects.as_deref_mut(),
            limits,
            key,
            db: self.db,
            now,
            lsn_end: self.lsn_end,
        };
        self.seen.set(self.seen.get().max(*side.stamp));
        let place = slot.table.entry(
            key.hash,
            |entry| entry.key() == key.bytes,
            |entry| hasher.hash(entry.key()),
        );
        match place {
            hash_table::Entry::Occupied(entry) if side.is_expired(entry.get()) => {
                let (old, vacant) = entry.remove();
                side.expired(old);
                (hash_table::Entry::Vacant(vacant), side)
            }
            place => (place, side),
        }
    }
}

impl Keys<'_> {
    /// False while effects are replayed.
    pub(crate) const fn emits(&self) -> bool {
        self.effects.is_some()
    }

    /// Appends a statement about a counter, a sequence or a policy: with two writers.
    pub(crate) fn say(&mut self, op: tandem_merge::LedgerOp) {
        if let Some(effects) = &mut self.effects {
            effects.push_statement(op);
        }
    }

    /// Appends an effect that has no key.
    pub(crate) fn emit_flush(&mut self, effect: Effect<'_>) {
        let db = self.db;
        if let Some(effects) = &mut self.effects {
            effects.push(db, &[], effect);
        }
    }
}
