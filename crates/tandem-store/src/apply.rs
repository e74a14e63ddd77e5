//! Replaying effects: what a follower does, and a node that starts.

use tandem_types::{DB_COUNT, DbIndex, Lsn, SLOT_COUNT, SlotId};

use crate::edit::stream::Reading;
use crate::effect::{DecodeError, Effect, Effects, Located};
use crate::failure::Failure;
use crate::key::{Key, slot_of};
use crate::keys::Keys;
use crate::store::Store;
use crate::value::codec;
use crate::value::stream::Head;
use crate::value::stream::fields::Fields;

/// Effects that do not fit the key space. The node must not go on: its data is not what the log says.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The bytes are no effects.
    #[error("decode the effects of record {lsn}")]
    Decode {
        /// The record.
        lsn: Lsn,
        /// Why.
        source: DecodeError,
    },
    /// The key does not hold what the effect changes.
    #[error("record {lsn} does not fit the data: {effect}")]
    Mismatch {
        /// The record.
        lsn: Lsn,
        /// The effect, in words.
        effect: String,
    },
}

/// The LSN at which each slot of a snapshot was taken: it holds all effects of earlier records.
#[derive(Clone, Debug, Default)]
pub struct SlotLsns {
    databases: [Option<Box<[Lsn]>>; DB_COUNT as usize],
}

impl SlotLsns {
    /// No slot holds anything: every effect applies.
    pub fn new() -> Self {
        Self::default()
    }

    /// Slot `slot` was taken at `lsn`.
    pub fn set(&mut self, slot: SlotId, lsn: Lsn) {
        let lsns = self.databases[slot.db.index()]
            .get_or_insert_with(|| vec![Lsn::ZERO; usize::from(SLOT_COUNT)].into());
        if let Some(place) = lsns.get_mut(usize::from(slot.slot)) {
            *place = lsn;
        }
    }

    /// The LSN at which a slot was taken; zero if it was not.
    pub fn get(&self, slot: SlotId) -> Lsn {
        self.databases[slot.db.index()]
            .as_deref()
            .and_then(|lsns| lsns.get(usize::from(slot.slot)))
            .copied()
            .unwrap_or(Lsn::ZERO)
    }

    /// True if the slot does not yet hold the effects of record `lsn`.
    fn lets_pass(&self, slot: SlotId, lsn: Lsn) -> bool {
        lsn >= self.get(slot)
    }
}

impl Store {
    /// Applies the effects of record `lsn`; with a filter, only to slots that do not hold them yet.
    ///
    /// Uses the same mutators as commands, without emitting and without expiring anything.
    pub fn apply(
        &mut self,
        lsn: Lsn,
        effects: &[u8],
        filter: Option<&SlotLsns>,
    ) -> Result<(), ApplyError> {
        let decode = |source| ApplyError::Decode { lsn, source };
        let mut effects = Effects::new(effects).map_err(decode)?;
        while let Some(located) = effects.read().map_err(decode)? {
            self.apply_one(lsn, &located, filter).map_err(|error| match error {
                Refused::Decode(source) => decode(source),
                Refused::Mismatch => ApplyError::Mismatch {
                    lsn,
                    effect: crate::effect::describe(&located).to_string(),
                },
            })?;
        }
        Ok(())
    }

    fn apply_one(
        &mut self,
        lsn: Lsn,
        located: &Located<'_>,
        filter: Option<&SlotLsns>,
    ) -> Result<(), Refused> {
        match located.effect {
            Effect::FlushAll => {
                for db in DbIndex::all() {
                    self.apply_flush(lsn, db, filter);
                }
                return Ok(());
            }
            Effect::FlushDb => {
                self.apply_flush(lsn, located.db, filter);
                return Ok(());
            }
            _ => {}
        }
        let slot = SlotId { db: located.db, slot: slot_of(located.key) };
        if filter.is_some_and(|filter| !filter.lets_pass(slot, lsn)) {
            return Ok(());
        }
        let mut keys = Keys::for_replay(self, located.db, lsn.next());
        let key = keys.key(located.key);
        apply_to_key(&mut keys, key, located.effect)
    }

    fn apply_flush(&mut self, lsn: Lsn, db: DbIndex, filter: Option<&SlotLsns>) {
        let mut keys = Keys::for_replay(self, db, lsn.next());
        let Some(filter) = filter else {
            keys.flush_db();
            return;
        };
        for slot in 0..SLOT_COUNT {
            if filter.lets_pass(SlotId { db, slot }, lsn) {
                keys.clear_slot(slot);
            }
        }
    }
}

/// Does one effect through `keys`, which may write effects of its own.
pub(crate) fn apply_exactly(keys: &mut Keys<'_>, located: &Located<'_>) -> Result<(), Failure> {
    let key = keys.key(located.key);
    apply_to_key(keys, key, located.effect)
        .map_err(|_| Failure::Text("ERR the effect does not fit the key"))
}

enum Refused {
    Decode(DecodeError),
    Mismatch,
}

impl From<DecodeError> for Refused {
    fn from(error: DecodeError) -> Self {
        Self::Decode(error)
    }
}

impl From<Failure> for Refused {
    fn from(_: Failure) -> Self {
        Self::Mismatch
    }
}

const fn fits(done: bool) -> Result<(), Refused> {
    if done { Ok(()) } else { Err(Refused::Mismatch) }
}

fn narrow(index: u64) -> Result<usize, Refused> {
    usize::try_from(index).map_err(|_| Refused::Mismatch)
}

fn apply_to_key(keys: &mut Keys<'_>, key: Key<'_>, effect: Effect<'_>) -> Result<(), Refused> {
    match effect {
        Effect::SetString { value, deadline } => keys.set_string(key, value, deadline),
        // A key that is gone already stays gone.
        Effect::Del => drop(keys.delete(key)),
        Effect::Expired => drop(keys.expire(key)),
        Effect::ExpireAt(deadline) => fits(keys.set_deadline(key, Some(deadline)))?,
        Effect::Persist => fits(keys.set_deadline(key, None))?,
        Effect::Incr { result, .. } => {
            keys.set_number(key, itoa::Buffer::new().format(result).as_bytes(), effect);
        }
        Effect::IncrFloat { result, .. } => keys.set_number(key, result, effect),
        Effect::Append(bytes) => drop(keys.append(key, bytes)?),
        Effect::SetRange { offset, bytes } => {
            let offset = narrow(offset)?;
            let longest = keys.settings().string_bytes_max.max(REPLAYED_STRING_BYTES_MAX);
            let end = offset.checked_add(bytes.len()).ok_or(Refused::Mismatch)?;
            fits(u64::try_from(end).is_ok_and(|end| end <= longest))?;
            keys.set_range(key, offset, bytes)?;
        }
        Effect::Restore { value, deadline } => {
            let value = codec::parse(value, &keys.limits())?;
            keys.store_value(key, value, deadline);
        }
        Effect::FlushDb | Effect::FlushAll => return Err(Refused::Mismatch),
        Effect::ListPushFront(_)
        | Effect::ListPushBack(_)
        | Effect::ListPopFront
        | Effect::ListPopBack
        | Effect::ListSet { .. }
        | Effect::ListInsert { .. }
        | Effect::ListRemove { .. }
        | Effect::ListTrim { .. } => apply_to_list(keys, key, effect)?,
        Effect::HashSet { field, value } => {
            keys.edit_or_create_hash(key)?.set(field, value);
        }
        Effect::HashDel(field) => {
            fits(keys.edit_hash(key)?.ok_or(Refused::Mismatch)?.remove(field))?;
        }
        Effect::HashIncr { field, delta, result } => {
            keys.edit_or_create_hash(key)?.incr(field, delta, result);
        }
        Effect::HashIncrFloat { field, delta, result } => {
            keys.edit_or_create_hash(key)?.incr_float(field, delta, result);
        }
        Effect::SetAdd(member) => fits(keys.edit_or_create_set(key)?.add(member))?,
        Effect::SetRem(member) => {
            fits(keys.edit_set(key)?.ok_or(Refused::Mismatch)?.remove(member))?;
        }
        Effect::ZsetAdd { member, score: result } | Effect::ZsetIncr { member, result, .. } => {
            fits(!result.is_nan())?;
            keys.edit_or_create_zset(key)?.insert(member, result);
        }
        Effect::ZsetRem(member) => {
            fits(keys.edit_zset(key)?.ok_or(Refused::Mismatch)?.remove(member))?;
        }
        Effect::StreamAdd { .. }
        | Effect::StreamDel(_)
        | Effect::StreamTrim { .. }
        | Effect::StreamHead { .. }
        | Effect::StreamGroup { .. }
        | Effect::StreamGroupDel(_)
        | Effect::StreamSeen { .. }
        | Effect::StreamConsumerDel { .. }
        | Effect::StreamGive { .. }
        | Effect::StreamAck { .. } => apply_to_stream(keys, key, effect)?,
    }
    Ok(())
}

fn apply_to_stream(keys: &mut Keys<'_>, key: Key<'_>, effect: Effect<'_>) -> Result<(), Refused> {
    let mut stream = match effect {
        Effect::StreamAdd { .. } | Effect::StreamHead { .. } => keys.edit_or_create_stream(key)?,
        _ => keys.edit_stream(key)?.ok_or(Refused::Mismatch)?,
    };
    match effect {
        Effect::StreamAdd { id, fields } => {
            fits(stream.add(id, Fields::parse(fields).ok_or(DecodeError::Value)?))?;
        }
        Effect::StreamDel(id) => fits(stream.delete(id))?,
        Effect::StreamTrim { count } => fits(stream.trim(narrow(count)?))?,
        Effect::StreamHead { last_id, max_deleted, entries_added } => {
            fits(stream.set_head(Head { last_id, max_deleted, entries_added }))?;
        }
        Effect::StreamGroup { group, last_id, entries_read } => {
            stream.set_group(group, last_id, entries_read);
        }
        Effect::StreamGroupDel(group) => fits(stream.remove_group(group))?,
        Effect::StreamSeen { group, consumer, at } => {
            fits(stream.see(Reading { group, consumer }, at))?;
        }
        Effect::StreamConsumerDel { group, consumer } => {
            fits(stream.forget(Reading { group, consumer }))?;
        }
        Effect::StreamGive { group, consumer, at, deliveries, ids } => {
            fits(stream.give_packed(Reading { group, consumer }, at, deliveries, ids))?;
        }
        Effect::StreamAck { group, ids } => {
            fits(stream.take_back(group, ids.iter()) == ids.iter().count())?;
        }
        _ => return Err(Refused::Mismatch),
    }
    Ok(())
}

/// `proto-max-bulk-len` may have been smaller or larger where the effect was made; this only keeps a
/// damaged offset from taking all memory.
const REPLAYED_STRING_BYTES_MAX: u64 = 4 << 30;

fn apply_to_list(keys: &mut Keys<'_>, key: Key<'_>, effect: Effect<'_>) -> Result<(), Refused> {
    let mut list = match effect {
        Effect::ListPushFront(_) | Effect::ListPushBack(_) => keys.edit_or_create_list(key)?,
        _ => keys.edit_list(key)?.ok_or(Refused::Mismatch)?,
    };
    match effect {
        Effect::ListPushFront(value) => list.push_front(value),
        Effect::ListPushBack(value) => list.push_back(value),
        Effect::ListPopFront => fits(list.pop_front())?,
        Effect::ListPopBack => fits(list.pop_back())?,
        Effect::ListSet { index, value } => fits(list.set(narrow(index)?, value))?,
        Effect::ListInsert { index, value } => fits(list.insert(narrow(index)?, value))?,
        Effect::ListRemove { index } => fits(list.remove(narrow(index)?))?,
        Effect::ListTrim { start, end } => {
            let keep = narrow(start)?..narrow(end)?;
            fits(keep.start <= keep.end && keep.end <= list.len())?;
            list.trim(keep);
        }
        _ => return Err(Refused::Mismatch),
    }
    Ok(())
}
