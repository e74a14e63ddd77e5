//! The mutators of whole keys and strings.
//!
//! Invariant: the key space changes only here and in `edit.rs`. Each mutator changes memory, appends
//! the effect (unless it replays one), stamps the slot with the record's end, tells who is
//! interested, and keeps the counts. So what is in memory is always what the effects say.

use hashbrown::hash_table::Entry as Place;
use tandem_types::{DbIndex, WallMillis};

use crate::database::{Database, Footprint};
use crate::effect::Effect;
use crate::entry::Entry;
use crate::failure::Failure;
use crate::key::Key;
use crate::keys::Keys;
use crate::value::{Value, ValueRef, codec};

/// With two writers, counters stay below this, so that sums of what both add do not wrap.
const COUNTER_MAX: u64 = 1 << 59;

impl Keys<'_> {
    /// Sets a string, whatever was there before.
    pub(crate) fn set_string(&mut self, key: Key<'_>, value: &[u8], deadline: Option<WallMillis>) {
        let (place, mut side) = self.open(key);
        match place {
            Place::Occupied(mut place) => {
                let entry = place.get_mut();
                let (before, deadline_before) = (Footprint::of(entry), entry.deadline());
                let old = entry.set_string(value, deadline);
                side.garbage.discard(old);
                side.replaced(before, deadline_before, entry);
            }
            Place::Vacant(place) => {
                let entry = place.insert(Entry::string(key.bytes, value, deadline));
                side.inserted(entry.get());
            }
        }
        side.changed(Effect::SetString { value, deadline });
    }

    /// Stores a value, whatever was there before; an empty collection removes the key instead.
    pub(crate) fn store_value(&mut self, key: Key<'_>, value: Value, deadline: Option<WallMillis>) {
        if value.is_empty_collection() {
            self.delete(key);
            return;
        }
        // Serialised before it is moved in; nothing is serialised while effects are replayed.
        let serialised = self.emits().then(|| codec::serialised(value.as_ref()));
        if self.is_too_big(serialised.as_deref()) {
            return;
        }
        let (place, mut side) = self.open(key);
        match place {
            Place::Occupied(mut place) => {
                let entry = place.get_mut();
                let (before, deadline_before) = (Footprint::of(entry), entry.deadline());
                let old = entry.set_value(value, deadline);
                side.garbage.discard(old);
                side.replaced(before, deadline_before, entry);
            }
            Place::Vacant(place) => {
                let entry = place.insert(Entry::new(key.bytes, value, deadline));
                side.inserted(entry.get());
            }
        }
        let serialised = serialised.as_deref().unwrap_or_default();
        side.changed(Effect::Restore { value: serialised, deadline });
    }

    /// Removes a key; false if there was none (or it was over, which is then an expiry).
    pub(crate) fn delete(&mut self, key: Key<'_>) -> bool {
        self.remove(key, Effect::Del)
    }

    /// Removes a key because its deadline has passed; for replay.
    pub(crate) fn expire(&mut self, key: Key<'_>) -> bool {
        self.remove(key, Effect::Expired)
    }

    fn remove(&mut self, key: Key<'_>, effect: Effect<'_>) -> bool {
        let Some((place, mut side)) = self.open_existing(key) else { return false };
        side.removed(place.remove().0, effect);
        true
    }

    /// Sets or removes a deadline; false if there is no such key, or nothing to remove.
    pub(crate) fn set_deadline(&mut self, key: Key<'_>, deadline: Option<WallMillis>) -> bool {
        let Some((mut place, mut side)) = self.open_existing(key) else { return false };
        let entry = place.get_mut();
        let (before, deadline_before) = (Footprint::of(entry), entry.deadline());
        if deadline.is_none() && deadline_before.is_none() {
            return false;
        }
        entry.set_deadline(deadline);
        side.replaced(before, deadline_before, entry);
        side.changed(deadline.map_or(Effect::Persist, Effect::ExpireAt));
        true
    }

    /// Adds to an integer, 0 if there is none; the deadline stays.
    pub(crate) fn incr(&mut self, key: Key<'_>, delta: i64) -> Result<i64, Failure> {
        let (place, mut side) = self.open(key);
        let mut digits = itoa::Buffer::new();
        match place {
            Place::Occupied(mut place) => {
                let ValueRef::String { bytes, .. } = place.get().value() else {
                    return Err(Failure::WrongType);
                };
                let old = tandem_resp::parse_i64(bytes).ok_or(Failure::NotInteger)?;
                let result = old.checked_add(delta).ok_or(Failure::Overflow)?;
                if side.is_merging() && result.unsigned_abs() >= COUNTER_MAX {
                    return Err(Failure::Overflow);
                }
                let entry = place.get_mut();
                let (before, deadline) = (Footprint::of(entry), entry.deadline());
                entry.set_string(digits.format(result).as_bytes(), deadline);
                side.replaced(before, deadline, entry);
                side.changed(Effect::Incr { delta, result });
                Ok(result)
            }
            Place::Vacant(place) => {
                let digits = digits.format(delta).as_bytes();
                side.inserted(place.insert(Entry::string(key.bytes, digits, None)).get());
                side.changed(Effect::Incr { delta, result: delta });
                side.came_or_went();
                Ok(delta)
            }
        }
    }

    /// Writes the result of an addition as text; the deadline stays. For `INCRBYFLOAT` and replay.
    pub(crate) fn set_number(&mut self, key: Key<'_>, text: &[u8], effect: Effect<'_>) {
        let (place, mut side) = self.open(key);
        let fresh = matches!(place, Place::Vacant(_));
        let mut old_text = None;
        match place {
            Place::Occupied(mut place) => {
                let entry = place.get_mut();
                if side.is_merging()
                    && let ValueRef::String { bytes, .. } = entry.value()
                {
                    old_text = Some(Box::<[u8]>::from(bytes));
                }
                let (before, deadline) = (Footprint::of(entry), entry.deadline());
                let old = entry.set_string(text, deadline);
                side.garbage.discard(old);
                side.replaced(before, deadline, entry);
            }
            Place::Vacant(place) => {
                side.inserted(place.insert(Entry::string(key.bytes, text, None)).get());
            }
        }
        if let Effect::IncrFloat { delta, result } = effect {
            side.operation(|| match crate::merge::added(old_text.as_deref(), delta, result) {
                Some(added) => tandem_merge::KeyOp::Add(added),
                None => tandem_merge::KeyOp::Put(result.into()),
            });
        }
        side.changed(effect);
        if fresh {
            side.came_or_went();
        }
    }

    /// Appends to a string, which is created if missing; its new length.
    pub(crate) fn append(&mut self, key: Key<'_>, bytes: &[u8]) -> Result<usize, Failure> {
        // As in Redis, a string that begins by an append is not raw, one that begins by a range is.
        self.patch(key, Effect::Append(bytes), false, |string| string.extend_from_slice(bytes))
    }

    /// Writes over a string from `offset` on, zeros before if it is shorter; its new length.
    ///
    /// The caller has checked the new length against `proto-max-bulk-len`.
    pub(crate) fn set_range(
        &mut self,
        key: Key<'_>,
        offset: usize,
        bytes: &[u8],
    ) -> Result<usize, Failure> {
        let effect = Effect::SetRange { offset: u64::try_from(offset).unwrap_or(u64::MAX), bytes };
        self.patch(key, effect, true, |string| {
            let end = offset + bytes.len();
            if string.len() < end / 2 {
                // Zeros from the allocator are not written one by one: a bit far out costs no second.
                let mut longer = vec![0; end];
                longer[..string.len()].copy_from_slice(string);
                *string = longer;
            } else if string.len() < end {
                string.resize(end, 0);
            }
            string[offset..end].copy_from_slice(bytes);
        })
    }

    fn patch(
        &mut self,
        key: Key<'_>,
        effect: Effect<'_>,
        raw_if_new: bool,
        patch: impl FnOnce(&mut Vec<u8>),
    ) -> Result<usize, Failure> {
        let (place, mut side) = self.open(key);
        let fresh = matches!(place, Place::Vacant(_));
        let mut length = 0;
        match place {
            Place::Occupied(mut place) => {
                let entry = place.get_mut();
                let (before, deadline) = (Footprint::of(entry), entry.deadline());
                let patched = entry.patch_string(|string| {
                    patch(string);
                    length = string.len();
                });
                if !patched {
                    return Err(Failure::WrongType);
                }
                side.replaced(before, deadline, entry);
            }
            Place::Vacant(place) => {
                let mut bytes = Vec::new();
                patch(&mut bytes);
                length = bytes.len();
                let value = Value::String { bytes, raw: raw_if_new };
                side.inserted(place.insert(Entry::new(key.bytes, value, None)).get());
            }
        }
        side.changed(effect);
        if fresh {
            side.came_or_went();
        }
        Ok(length)
    }

    /// Moves a value with its deadline to another key, perhaps of another database, over whatever is
    /// there; false if there is nothing to move.
    pub(crate) fn rename(&mut self, from: Key<'_>, to_db: DbIndex, to: Key<'_>) -> bool {
        let Some((place, mut side)) = self.open_existing(from) else { return false };
        let (entry, _) = place.remove();
        side.counts.remove(Footprint::of(&entry));
        side.changed(Effect::Del);
        let deadline = entry.deadline();
        if let ValueRef::String { bytes, raw: false } = entry.value() {
            self.in_database(to_db).set_string(to, bytes, deadline);
        } else if let ValueRef::String { bytes, raw: true } = entry.value() {
            let value = Value::String { bytes: bytes.to_vec(), raw: true };
            self.in_database(to_db).store_value(to, value, deadline);
        } else if let Some(value) = entry.into_value() {
            self.in_database(to_db).store_value(to, value, deadline);
        }
        true
    }

    /// Empties this database; true if there was anything in it.
    pub(crate) fn flush_db(&mut self) -> bool {
        let flushed = self.detach(self.db);
        if flushed {
            self.emit_flush(Effect::FlushDb);
        }
        flushed
    }

    /// Empties all databases; true if there was anything in them.
    pub(crate) fn flush_all(&mut self) -> bool {
        let mut flushed = false;
        for db in DbIndex::all() {
            flushed |= self.detach(db);
        }
        if flushed {
            self.emit_flush(Effect::FlushAll);
        }
        flushed
    }

    /// Hands all keys of a database to the garbage; takes as long as making 4096 empty tables.
    fn detach(&mut self, db: DbIndex) -> bool {
        let (now, lsn_end) = (self.now, self.lsn_end());
        let store = &mut *self.store;
        let (hasher, place) = (&store.hasher, &mut store.databases[db.index()]);
        let Some(database) = place.as_deref() else { return false };
        if database.counts.keys == 0 {
            return false;
        }
        store.interest.touch_all(db, |bytes| {
            let key = hasher.key(bytes);
            let found = database.slot(key.slot).table.find(key.hash, |entry| entry.key() == bytes);
            found.is_some_and(|entry| !entry.is_expired(now))
        });
        if let Some(old) = place.replace(Box::new(Database::new(lsn_end))) {
            store.garbage.discard_database(old);
        }
        true
    }

    /// Empties one slot, as a part of replaying a flush; emits nothing.
    pub(crate) fn clear_slot(&mut self, slot: u16) {
        let lsn_end = self.lsn_end();
        let store = &mut *self.store;
        let Some(database) = store.databases[self.db.index()].as_deref_mut() else { return };
        let table = std::mem::take(&mut database.slots[usize::from(slot)].table);
        database.slots[usize::from(slot)].last_write_end = lsn_end;
        database.counts.last_write_end = lsn_end;
        for entry in table {
            store.interest.touch(self.db, entry.key(), true);
            database.counts.remove(Footprint::of(&entry));
            store.garbage.discard(entry.into_value());
        }
    }
}
