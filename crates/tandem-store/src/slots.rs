//! Slots as bytes, for snapshots and full copies; and their digests, for comparing nodes.

use tandem_types::{DbIndex, Lsn, SLOT_COUNT, SlotId, WallMillis};

use crate::database::Footprint;
use crate::effect::DecodeError;
use crate::effect::varint::{Reader, put_bytes, put_len, put_u64};
use crate::entry::Entry;
use crate::expiry::Hint;
use crate::key::{slot_of, stable_hash};
use crate::store::Store;
use crate::value::{ValueRef, codec};

/// First byte of a serialised slot.
const SLOT_VERSION: u8 = 1;

/// Bytes that are no slot. The snapshot's checksum was right, so a writer had a bug or was newer.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum LoadSlotError {
    /// The bytes end early, or hold a value that is none.
    #[error("the slot is damaged")]
    Decode(#[from] DecodeError),
    /// Written by a later version.
    #[error("a slot of version {0}, this program knows up to {SLOT_VERSION}")]
    Version(u8),
    /// A key that belongs to another slot, or twice the same one.
    #[error("the slot holds a key that is not its own, or one twice")]
    ForeignKey,
    /// The slot has keys already.
    #[error("the slot is not empty")]
    NotEmpty,
}

impl Store {
    /// Appends a slot with all its keys, expired ones included; an empty slot appends nothing.
    pub fn serialize_slot(&self, slot: SlotId, out: &mut Vec<u8>) {
        let Some(database) = self.databases[slot.db.index()].as_deref() else { return };
        let table = &database.slot(slot.slot).table;
        if table.is_empty() {
            return;
        }
        out.push(SLOT_VERSION);
        put_len(out, table.len());
        for entry in table {
            put_bytes(out, entry.key());
            // 0 is no deadline; Redis has none at 0 either.
            put_u64(out, entry.deadline().map_or(0, WallMillis::get));
            codec::serialise(entry.value(), out);
        }
    }

    /// Fills an empty slot with what [`Self::serialize_slot`] wrote when `lsn` was the log's end.
    pub fn load_slot(&mut self, slot: SlotId, lsn: Lsn, bytes: &[u8]) -> Result<(), LoadSlotError> {
        if bytes.is_empty() {
            return Ok(());
        }
        let mut reader = Reader::new(bytes);
        let version = reader.u8()?;
        if version != SLOT_VERSION {
            return Err(LoadSlotError::Version(version));
        }
        let count = reader.len()?;
        let limits = self.settings().limits;
        let hasher = self.hasher.clone();
        let database = self.database_mut(slot.db);
        let place = &mut database.slots[usize::from(slot.slot)];
        if !place.table.is_empty() {
            return Err(LoadSlotError::NotEmpty);
        }
        place.last_write_end = lsn;
        database.counts.last_write_end = database.counts.last_write_end.max(lsn);
        place.table.reserve(count, |entry| hasher.hash(entry.key()));
        for _ in 0..count {
            let key = reader.bytes()?;
            let deadline = Some(reader.u64()?).filter(|at| *at != 0).map(WallMillis::new);
            let value = codec::read(&mut reader, &limits)?;
            let hash = hasher.hash(key);
            let twice = place.table.find(hash, |entry| entry.key() == key).is_some();
            if twice || slot_of(key) != slot.slot {
                return Err(LoadSlotError::ForeignKey);
            }
            let entry = Entry::new(key, value, deadline);
            database.counts.insert(Footprint::of(&entry));
            if let Some(deadline) = deadline {
                database.expiry.file(Hint::new(slot.slot, hash), deadline);
            }
            place.table.insert_unique(hash, entry, |entry| hasher.hash(entry.key()));
        }
        if reader.is_empty() { Ok(()) } else { Err(LoadSlotError::Decode(DecodeError::Truncated)) }
    }

    /// A hash of all that a slot holds: the same on two nodes if and only if (but for 2^-64) their
    /// slots are equal. An empty slot's is 0.
    pub fn digest(&self, slot: SlotId) -> u64 {
        self.digest_with_cost(slot).0
    }

    /// As [`Self::digest`], and about how many bytes were looked at for it.
    pub fn digest_with_cost(&self, slot: SlotId) -> (u64, usize) {
        let (mut sum, mut cost) = (0u64, 0);
        self.digest_keys(slot, |key, digest, value_bytes| {
            sum = sum.wrapping_add(digest);
            cost += key.len() + value_bytes;
        });
        (sum, cost)
    }

    /// Calls `each` with every key of a slot, in any order, with the digest of it, its deadline and its value,
    /// and with about how many bytes the value has. The slot's digest is the sum of these.
    pub fn digest_keys(&self, slot: SlotId, mut each: impl FnMut(&[u8], u64, usize)) {
        let Some(database) = self.databases[slot.db.index()].as_deref() else { return };
        for entry in &database.slot(slot.slot).table {
            let deadline = entry.deadline().map_or(0, WallMillis::get);
            let key = stable_hash(stable_hash(deadline, b"deadline"), entry.key());
            let value = codec::digest(entry.value());
            let digest = stable_hash(key, &value.to_le_bytes());
            each(entry.key(), digest, value_bytes(entry.value()));
        }
    }

    /// The sum of all slots' digests.
    pub fn digest_all(&self) -> u64 {
        let used = DbIndex::all().filter(|db| self.databases[db.index()].is_some());
        let slots = used.flat_map(|db| (0..SLOT_COUNT).map(move |slot| SlotId { db, slot }));
        slots.fold(0u64, |sum, slot| {
            sum.wrapping_add(self.digest(slot).rotate_left(u32::from(slot.db.get())))
        })
    }

    /// True if a slot holds no key.
    pub fn slot_is_empty(&self, slot: SlotId) -> bool {
        let database = self.databases[slot.db.index()].as_deref();
        database.is_none_or(|database| database.slot(slot.slot).table.is_empty())
    }

    /// True if no database holds a key.
    pub fn is_empty(&self) -> bool {
        DbIndex::all().all(|db| self.dbsize(db) == 0)
    }
}

/// Roughly; what counts is that a digest of it takes that long.
fn value_bytes(value: ValueRef<'_>) -> usize {
    /// An element with its place in its collection, on the average of small ones.
    const ELEMENT_BYTES: usize = 32;
    match value {
        ValueRef::String { bytes, .. } => bytes.len(),
        ValueRef::List(list) => list.len() * ELEMENT_BYTES,
        ValueRef::Hash(hash) => hash.len() * ELEMENT_BYTES,
        ValueRef::Set(set) => set.len() * ELEMENT_BYTES,
        ValueRef::Zset(zset) => zset.len() * ELEMENT_BYTES,
        ValueRef::Stream(stream) => stream.memory(),
    }
}
