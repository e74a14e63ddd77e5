//! What is noted of each key: packed until a second write or a write of the peer makes it worth more memory.
//!
//! Nothing is looked up when the peer has seen more: what is only about writes that it has seen is dead
//! ([`Bound::is_dead`]), counts for nothing, and is swept out a few keys at a time.

use std::collections::{BTreeMap, BTreeSet};

use tandem_types::{DbIndex, Lsn, NodeId, SLOT_COUNT, SlotId};

use super::Pending;
use super::packed::Packed;
use crate::by_slot::BySlot;
use crate::item::Key;
use crate::op::{KeyOp, Origin};

/// With so many keys, what is noted of one goes back into few bytes after each write on it.
const CROWD: usize = 16_384;
/// What one sweep looks at, at most: a turn waits for it.
const SWEEP_MAX: u64 = 20_000;
/// What is looked at for each note that died: everything has been looked at again before a half of it is dead.
const SWEEP_FOR_EACH: u64 = 3;

/// What the peer has, as its stream says.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bound {
    /// The own records before this.
    pub(super) stable: Lsn,
    /// The end of its records that were applied here.
    pub(super) applied: Lsn,
}

impl Bound {
    /// Whether what is noted of a key has no meaning any more.
    pub(super) fn is_dead(self, pending: &Pending) -> bool {
        pending.newest < self.stable
            && (pending.ghost.is_none() || pending.ghost_until <= self.applied)
    }
}

/// See the module. A key is in one of the two at most.
#[derive(Clone, Debug, Default)]
pub(super) struct Notes {
    packed: BTreeMap<SlotId, BTreeSet<Packed>>,
    packed_count: usize,
    packed_bytes: usize,
    // In boxes: a tree moves its neighbours about.
    open: BySlot<Box<Pending>>,
    /// Where sweeping goes on.
    broom: SlotId,
    /// What sweeping is behind by.
    debt: u64,
    /// For packing.
    memory: Vec<u8>,
}

impl Notes {
    /// An own write on a key of a database with these flushes. Says how many items it was about.
    pub(super) fn note(
        &mut self,
        origin: &Origin,
        key: &Key,
        op: &KeyOp,
        flushes: &[Lsn],
        bound: Bound,
    ) -> usize {
        if let Some(pending) = self.open.get_mut(key) {
            if bound.is_dead(pending) {
                **pending = Pending::default();
            }
            return pending.note(origin, op, flushes);
        }
        match self.take_packed(key).filter(|packed| packed.newest() >= bound.stable) {
            None => {
                let packed = Packed::one(origin, &key.name, op, &mut self.memory);
                self.put_packed(key.slot(), packed);
                1
            }
            Some(packed) => {
                let mut pending = packed.open(flushes);
                let items = pending.note(origin, op, flushes);
                self.put(origin.side, key, pending);
                items
            }
        }
    }

    /// Takes out what is noted of a key of a database with these flushes.
    pub(super) fn take(
        &mut self,
        key: &Key,
        flushes: &[Lsn],
        bound: Bound,
    ) -> Option<Box<Pending>> {
        if let Some(packed) = self.take_packed(key) {
            return (packed.newest() >= bound.stable).then(|| packed.open(flushes));
        }
        self.open.remove(key).filter(|pending| !bound.is_dead(pending))
    }

    /// Looks at what is noted of a key.
    pub(super) fn look<T>(
        &self,
        key: &Key,
        flushes: &[Lsn],
        bound: Bound,
        look: impl FnOnce(&Pending) -> T,
    ) -> Option<T> {
        if let Some(packed) = self.packed_of(key) {
            return (packed.newest() >= bound.stable).then(|| look(&packed.open(flushes)));
        }
        self.open.get(key).filter(|pending| !bound.is_dead(pending)).map(|it| look(it))
    }

    /// Puts it back, or there.
    pub(super) fn put(&mut self, side: NodeId, key: &Key, pending: Box<Pending>) {
        if self.packed_count >= CROWD && pending.is_small() && pending.ghost.is_none() {
            let packed = Packed::all(side, &key.name, &pending, &mut self.memory);
            self.put_packed(key.slot(), packed);
        } else {
            self.open.insert(key.clone(), pending);
        }
    }

    /// A database was emptied by an own write: only edits of lists, which count from there, stay of its keys.
    /// Says of how many.
    pub(super) fn flush(
        &mut self,
        origin: &Origin,
        db: DbIndex,
        flushes: &[Lsn],
        bound: Bound,
        stays: impl Fn(&Key) -> bool,
    ) -> usize {
        let mut left = 0;
        for key in self.keys_of(db, bound).into_iter().filter(|key| !stays(key)) {
            if self.packed_of(&key).is_some_and(|packed| !packed.holds_list()) {
                drop(self.take_packed(&key));
                continue;
            }
            let Some(mut pending) = self.take(&key, flushes, bound) else { continue };
            if pending.list.is_empty() {
                continue;
            }
            let list = pending.list_cleared(origin, &[]);
            *pending = Pending { newest: origin.lsn, list, ..Pending::default() };
            self.put(origin.side, &key, pending);
            left += 1;
        }
        left
    }

    /// A key that was missing may be forgotten.
    pub(super) fn look_at(&mut self, key: &Key, bound: Bound) {
        if self.open.get(key).is_some_and(|pending| bound.is_dead(pending)) {
            self.open.remove(key);
        }
    }

    /// Keys of a database with something noted of them, by slot and name.
    pub(super) fn keys_of(&self, db: DbIndex, bound: Bound) -> Vec<Key> {
        let (first, last) = (SlotId { db, slot: 0 }, SlotId { db, slot: SLOT_COUNT - 1 });
        let mut keys = Vec::new();
        for (_, slot) in self.packed.range(first..=last) {
            let live = slot.iter().filter(|packed| packed.newest() >= bound.stable);
            keys.extend(live.map(|packed| Key { db, name: packed.name().into() }));
        }
        let open = self.open.within(first, last).filter(|(_, pending)| !bound.is_dead(pending));
        keys.extend(open.map(|(key, _)| key.clone()));
        // What a merge tells of them is numbered: in the same order also where other keys are packed, as after a
        // start.
        keys.sort_by_cached_key(|key| (key.slot(), key.name.clone()));
        keys
    }

    /// All that is noted of keys in the slots `first..=last`.
    pub(super) fn each_within(
        &self,
        (first, last): (SlotId, SlotId),
        flushes: &[Vec<Lsn>],
        bound: Bound,
        mut give: impl FnMut(&Key, &Pending),
    ) {
        let packed = (first <= last).then(|| self.packed.range(first..=last));
        for (slot, set) in packed.into_iter().flatten() {
            let flushes = flushes.get(slot.db.index()).map_or(&[][..], Vec::as_slice);
            for packed in set.iter().filter(|packed| packed.newest() >= bound.stable) {
                let key = Key { db: slot.db, name: packed.name().into() };
                give(&key, &packed.open(flushes));
            }
        }
        for (key, pending) in self.open.within(first, last) {
            if !bound.is_dead(pending) {
                give(key, pending);
            }
        }
    }

    /// Keys in the slots `first..=last`, dead ones with them.
    pub(super) fn count_within(&self, first: SlotId, last: SlotId) -> usize {
        let packed = (first <= last).then(|| self.packed.range(first..=last));
        let packed: usize = packed.into_iter().flatten().map(|(_, set)| set.len()).sum();
        packed + self.open.within(first, last).count()
    }

    /// Nothing is noted of any key.
    pub(super) fn is_empty(&self, bound: Bound) -> bool {
        let mut packed = self.packed.values().flatten();
        packed.all(|packed| packed.newest() < bound.stable)
            && self.open.iter().all(|(_, pending)| bound.is_dead(pending))
    }

    /// Bytes of memory, about, without what a tree takes for each key.
    pub(super) fn bytes(&self) -> usize {
        self.packed_bytes + self.open.iter().count() * size_of::<Pending>()
    }

    /// So many notes died: what is dead is looked for, a part of everything each time.
    pub(super) fn sweep(&mut self, died: usize, bound: Bound) {
        let died = u64::try_from(died).unwrap_or(u64::MAX);
        self.debt = self.debt.saturating_add(died.saturating_mul(SWEEP_FOR_EACH));
        let (mut looked, mut ends) = (0, 0);
        while self.debt > 0 && looked < SWEEP_MAX && ends < 2 {
            let next = self.next_slot(self.broom);
            if let Some(slot) = next {
                let cost = self.sweep_slot(slot, bound);
                looked += cost;
                self.debt = self.debt.saturating_sub(cost);
            }
            let after = next.and_then(SlotId::next);
            self.broom = after.unwrap_or(SlotId::FIRST);
            ends += u32::from(after.is_none());
        }
        if ends == 2 {
            // Everything was looked at.
            self.debt = 0;
        }
    }

    fn next_slot(&self, from: SlotId) -> Option<SlotId> {
        let packed = self.packed.range(from..).next().map(|(slot, _)| *slot);
        let open = self.open.next_slot(from);
        packed.into_iter().chain(open).min()
    }

    /// Says how much there was to look at.
    fn sweep_slot(&mut self, slot: SlotId, bound: Bound) -> u64 {
        let mut cost = 1;
        if let Some(set) = self.packed.get_mut(&slot) {
            cost += set.len();
            let (count, bytes) = (&mut self.packed_count, &mut self.packed_bytes);
            set.retain(|packed| {
                let lives = packed.newest() >= bound.stable;
                if !lives {
                    *count -= 1;
                    *bytes -= packed.bytes();
                }
                lives
            });
            if set.is_empty() {
                self.packed.remove(&slot);
            }
        }
        self.open.retain_in(slot, |_, pending| {
            cost += pending.prune(bound);
            !bound.is_dead(pending)
        });
        u64::try_from(cost).unwrap_or(u64::MAX)
    }

    fn packed_of(&self, key: &Key) -> Option<&Packed> {
        self.packed.get(&key.slot())?.get(&*key.name)
    }

    fn take_packed(&mut self, key: &Key) -> Option<Packed> {
        let slot = key.slot();
        let set = self.packed.get_mut(&slot)?;
        let packed = set.take(&*key.name)?;
        if set.is_empty() {
            self.packed.remove(&slot);
        }
        self.packed_count -= 1;
        self.packed_bytes -= packed.bytes();
        Some(packed)
    }

    /// Nothing is there of this key.
    fn put_packed(&mut self, slot: SlotId, packed: Packed) {
        self.packed_count += 1;
        self.packed_bytes += packed.bytes();
        self.packed.entry(slot).or_default().insert(packed);
    }
}
