//! A hash: fields with values. Packed while it is small, a [`Dense`] table once it is not.

use crate::settings::Limits;
use crate::value::dense::{Dense, Keyed};
use crate::value::packed::{Packed, Place, Room};
use crate::value::small_bytes::SmallBytes;

/// See the module's text.
#[derive(Debug)]
pub(crate) struct Hash(Repr);

#[derive(Debug)]
enum Repr {
    /// Field, value, field, value, ...
    Packed {
        pairs: Packed,
        len: usize,
    },
    Table(Box<Dense<Pair>>),
}

/// One field with its value.
#[derive(Debug)]
struct Pair {
    field: SmallBytes,
    value: SmallBytes,
}

impl Keyed for Pair {
    fn key(&self) -> &[u8] {
        &self.field
    }

    fn heap_bytes(&self) -> usize {
        self.field.heap_bytes() + self.value.heap_bytes()
    }
}

impl Default for Hash {
    fn default() -> Self {
        Self(Repr::Packed { pairs: Packed::default(), len: 0 })
    }
}

impl Hash {
    pub(crate) fn len(&self) -> usize {
        match &self.0 {
            Repr::Packed { len, .. } => *len,
            Repr::Table(table) => table.len(),
        }
    }

    /// Heap bytes, estimated in constant time.
    pub(crate) fn memory(&self) -> usize {
        match &self.0 {
            Repr::Packed { pairs, .. } => pairs.memory(),
            Repr::Table(table) => size_of::<Dense<Pair>>() + table.memory(),
        }
    }

    /// What `OBJECT ENCODING` says.
    pub(crate) const fn encoding(&self) -> &'static str {
        match &self.0 {
            Repr::Packed { .. } => "listpack",
            Repr::Table(_) => "hashtable",
        }
    }

    pub(crate) fn get(&self, field: &[u8]) -> Option<&[u8]> {
        match &self.0 {
            Repr::Packed { pairs, .. } => {
                find(pairs, field).map(|place| pairs.get(pairs.after(place)))
            }
            Repr::Table(table) => table.get(field).map(|pair| &*pair.value),
        }
    }

    /// Sets a field; true if it is new.
    pub(crate) fn insert(&mut self, field: &[u8], value: &[u8], limits: &Limits) -> bool {
        let room = Room::new(limits.hash_max_listpack_entries, limits.hash_max_listpack_value);
        if let Repr::Packed { pairs, len } = &mut self.0 {
            let place = find(pairs, field);
            let len_after = *len + usize::from(place.is_none());
            if room.takes(field) && room.takes(value) && room.holds(len_after) {
                *len = len_after;
                if let Some(place) = place {
                    pairs.replace(pairs.after(place), value);
                } else {
                    pairs.push(field);
                    pairs.push(value);
                }
                return place.is_none();
            }
            let table = to_table(pairs);
            self.0 = Repr::Table(Box::new(table));
        }
        let Repr::Table(table) = &mut self.0 else { unreachable!("it was made a table") };
        if let Some(position) = table.find(field) {
            table.update(position, |pair| pair.value = SmallBytes::new(value));
            return false;
        }
        table.insert_new(Pair { field: SmallBytes::new(field), value: SmallBytes::new(value) });
        true
    }

    /// Removes a field; false if there is none.
    pub(crate) fn remove(&mut self, field: &[u8]) -> bool {
        match &mut self.0 {
            Repr::Packed { pairs, len } => {
                let Some(place) = find(pairs, field) else { return false };
                pairs.remove(place, 2);
                *len -= 1;
                true
            }
            Repr::Table(table) => table.remove(field).is_some(),
        }
    }

    /// Fields with their values, in order of arrival as long as nothing is removed.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let (packed, table) = match &self.0 {
            Repr::Packed { pairs, .. } => (Some(pairs_of(pairs)), None),
            Repr::Table(table) => (None, Some(table.iter().map(Pair::parts))),
        };
        packed.into_iter().flatten().chain(table.into_iter().flatten())
    }

    /// Field number `number`, for `number` below [`Hash::len`]: a random one if that is.
    pub(crate) fn nth(&self, number: usize) -> Option<(&[u8], &[u8])> {
        match &self.0 {
            Repr::Packed { pairs, .. } => pairs_of(pairs).nth(number),
            Repr::Table(table) => (number < table.len()).then(|| table.nth(number).parts()),
        }
    }

    /// Visits about `count` fields from `cursor` on; returns the next cursor, 0 at the end.
    pub(crate) fn scan<'h>(
        &'h self,
        cursor: u64,
        count: usize,
        mut visit: impl FnMut(&'h [u8], &'h [u8]),
    ) -> u64 {
        match &self.0 {
            Repr::Packed { pairs, .. } => {
                pairs_of(pairs).for_each(|(field, value)| visit(field, value));
                0
            }
            Repr::Table(table) => table.scan(cursor, count, |pair| visit(&pair.field, &pair.value)),
        }
    }
}

impl Pair {
    fn parts(&self) -> (&[u8], &[u8]) {
        (&self.field, &self.value)
    }
}

fn pairs_of(pairs: &Packed) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut strings = pairs.iter();
    std::iter::from_fn(move || Some((strings.next()?.1, strings.next()?.1)))
}

fn find(pairs: &Packed, field: &[u8]) -> Option<Place> {
    pairs.iter().step_by(2).find(|(_, candidate)| *candidate == field).map(|(place, _)| place)
}

fn to_table(pairs: &Packed) -> Dense<Pair> {
    let mut table = Dense::default();
    for (field, value) in pairs_of(pairs) {
        table.insert_new(Pair { field: SmallBytes::new(field), value: SmallBytes::new(value) });
    }
    table
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn content(hash: &Hash) -> BTreeMap<Vec<u8>, Vec<u8>> {
        hash.iter().map(|(field, value)| (field.to_vec(), value.to_vec())).collect()
    }

    #[test]
    fn a_hash_does_what_a_map_does_in_both_forms() {
        let limits = Limits::default();
        let (mut hash, mut model) = (Hash::default(), BTreeMap::new());
        let mut dice = 1u32;
        for step in 0..20_000u32 {
            dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let field =
                format!("f{}", (dice >> 8) % if step < 2000 { 100 } else { 3000 }).into_bytes();
            let value = vec![b'v'; (dice >> 20) as usize % if step < 4000 { 60 } else { 200 }];
            if dice >> 30 == 0 {
                assert_eq!(hash.remove(&field), model.remove(&field).is_some());
            } else {
                let new = hash.insert(&field, &value, &limits);
                assert_eq!(new, model.insert(field.clone(), value).is_none());
            }
            assert_eq!(hash.get(&field), model.get(&field).map(Vec::as_slice));
            assert_eq!(hash.len(), model.len());
            if step % 1000 == 0 {
                assert_eq!(content(&hash), model);
                assert!(step == 2000 || (hash.encoding() == "listpack") == (step < 2000));
                assert!((0..hash.len()).all(|number| hash.nth(number).is_some()));
                let mut scanned = BTreeMap::new();
                let mut cursor = 0;
                loop {
                    cursor = hash.scan(cursor, 7, |field, value| {
                        scanned.insert(field.to_vec(), value.to_vec());
                    });
                    if cursor == 0 {
                        break;
                    }
                }
                assert_eq!(scanned, model);
            }
        }
    }

    #[test]
    fn a_long_value_or_one_field_too_many_makes_a_table() {
        let limits = Limits::default();
        let mut hash = Hash::default();
        for i in 0..128u8 {
            hash.insert(&[i], b"value", &limits);
        }
        assert_eq!(hash.encoding(), "listpack");
        hash.insert(&[0], b"other", &limits);
        assert_eq!(hash.encoding(), "listpack");
        hash.insert(&[128], b"value", &limits);
        assert_eq!(hash.encoding(), "hashtable");
        let mut hash = Hash::default();
        hash.insert(b"f", &[b'x'; 64], &limits);
        assert_eq!(hash.encoding(), "listpack");
        hash.insert(b"f", &[b'x'; 65], &limits);
        assert_eq!((hash.encoding(), hash.len()), ("hashtable", 1));
    }
}
