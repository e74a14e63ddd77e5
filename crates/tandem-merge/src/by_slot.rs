//! A map of keys, in the order of their slots: what stands beside the slots is written with them.

use std::collections::BTreeMap;

use tandem_types::SlotId;

use crate::item::Key;

/// Something about each of some keys.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BySlot<V>(BTreeMap<SlotId, BTreeMap<Key, V>>);

impl<V> Default for BySlot<V> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<V> BySlot<V> {
    /// Nothing is there.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is there of a key.
    pub fn get(&self, key: &Key) -> Option<&V> {
        self.0.get(&key.slot())?.get(key)
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, key: &Key) -> Option<&mut V> {
        self.0.get_mut(&key.slot())?.get_mut(key)
    }

    /// Whether something is there of a key.
    pub fn contains_key(&self, key: &Key) -> bool {
        self.get(key).is_some()
    }

    /// What is there of a key, made if there is nothing.
    pub fn get_or_default(&mut self, key: &Key) -> &mut V
    where
        V: Default,
    {
        self.0.entry(key.slot()).or_default().entry(key.clone()).or_default()
    }

    /// Puts something there, in place of what was.
    pub fn insert(&mut self, key: Key, value: V) {
        self.0.entry(key.slot()).or_default().insert(key, value);
    }

    /// Takes out what is there of a key.
    pub fn remove(&mut self, key: &Key) -> Option<V> {
        let slot = key.slot();
        let keys = self.0.get_mut(&slot)?;
        let value = keys.remove(key);
        if keys.is_empty() {
            self.0.remove(&slot);
        }
        value
    }

    /// Leaves what `stays` says.
    pub fn retain(&mut self, mut stays: impl FnMut(&Key, &mut V) -> bool) {
        self.0.retain(|_, keys| {
            keys.retain(&mut stays);
            !keys.is_empty()
        });
    }

    /// Leaves what `stays` says of one slot.
    pub fn retain_in(&mut self, slot: SlotId, stays: impl FnMut(&Key, &mut V) -> bool) {
        if let Some(keys) = self.0.get_mut(&slot) {
            keys.retain(stays);
            if keys.is_empty() {
                self.0.remove(&slot);
            }
        }
    }

    /// The first slot from `from` on with something in it.
    pub fn next_slot(&self, from: SlotId) -> Option<SlotId> {
        self.0.range(from..).next().map(|(slot, _)| *slot)
    }

    /// All of it, by slot and key.
    pub fn iter(&self) -> impl Iterator<Item = (&Key, &V)> {
        self.0.values().flatten()
    }

    /// What is there of keys in the slots `first..=last`.
    pub fn within(&self, first: SlotId, last: SlotId) -> impl Iterator<Item = (&Key, &V)> {
        let slots = (first <= last).then(|| self.0.range(first..=last));
        slots.into_iter().flatten().flat_map(|(_, keys)| keys)
    }
}

#[cfg(test)]
mod tests {
    use tandem_types::DbIndex;

    use super::*;

    #[test]
    fn stretches_of_slots_leave_nothing_out() {
        let key = |number: u32| Key {
            db: DbIndex::new(u8::try_from(number % 3).unwrap()).unwrap(),
            name: number.to_le_bytes().into(),
        };
        let mut map = BySlot::default();
        for number in 0..10_000 {
            map.insert(key(number), number);
        }
        let middle = SlotId { db: DbIndex::new(1).unwrap(), slot: 77 };
        let first = map.within(SlotId::FIRST, middle).count();
        let rest = map.within(middle.next().unwrap(), SlotId::LAST).count();
        assert_eq!(first + rest, 10_000);
        assert!(first > 3_000 && map.within(SlotId::LAST, SlotId::FIRST).next().is_none());
        assert!(map.within(middle, middle).all(|(key, _)| key.slot() == middle));
        *map.get_or_default(&key(5)) += 1;
        assert_eq!(map.get(&key(5)), Some(&6));
        let slot = key(7).slot();
        assert_eq!(map.next_slot(slot), Some(slot));
        map.retain_in(slot, |_, number| *number != 7);
        assert!(!map.contains_key(&key(7)));
        map.insert(key(7), 7);
        assert_eq!(map.remove(&key(5)), Some(6));
        map.retain(|key, _| key.db == DbIndex::ZERO);
        assert_eq!(map.iter().count(), 3_334);
        map.retain(|_, _| false);
        assert!(map.is_empty() && !map.contains_key(&key(0)));
    }
}
