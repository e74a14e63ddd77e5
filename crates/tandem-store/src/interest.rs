//! Keys that somebody wants to hear about: watched by a transaction, or waited for by a blocked pop.

use std::collections::BTreeMap;

use tandem_types::{DB_COUNT, DbIndex};

/// Counted interest per key, and the keys that were touched since last asked.
///
/// Costs one comparison per write while nobody is interested.
#[derive(Debug, Default)]
pub(crate) struct Interest {
    keys: [BTreeMap<Box<[u8]>, u32>; DB_COUNT as usize],
    count: usize,
    touched: Vec<(DbIndex, Box<[u8]>)>,
}

impl Interest {
    pub(crate) fn add(&mut self, db: DbIndex, key: &[u8]) {
        self.count += 1;
        if let Some(count) = self.keys[db.index()].get_mut(key) {
            *count += 1;
        } else {
            self.keys[db.index()].insert(key.into(), 1);
        }
    }

    /// Undoes one [`Self::add`]; more removals than additions are ignored.
    pub(crate) fn remove(&mut self, db: DbIndex, key: &[u8]) {
        let keys = &mut self.keys[db.index()];
        if let Some(count) = keys.get_mut(key) {
            self.count -= 1;
            *count -= 1;
            if *count == 0 {
                keys.remove(key);
            }
        }
    }

    #[inline]
    pub(crate) fn touch(&mut self, db: DbIndex, key: &[u8]) {
        if self.count != 0 && self.keys[db.index()].contains_key(key) {
            self.touched.push((db, key.into()));
        }
    }

    /// Touches those keys of a database that `exists` says yes to.
    pub(crate) fn touch_all(&mut self, db: DbIndex, exists: impl Fn(&[u8]) -> bool) {
        for key in self.keys[db.index()].keys() {
            if exists(key) {
                self.touched.push((db, key.clone()));
            }
        }
    }

    pub(crate) fn drain(&mut self, out: &mut Vec<(DbIndex, Box<[u8]>)>) {
        out.append(&mut self.touched);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_keys_of_interest_are_reported() {
        let mut interest = Interest::default();
        let mut out = Vec::new();
        interest.add(DbIndex::ZERO, b"a");
        interest.add(DbIndex::ZERO, b"a");
        interest.touch(DbIndex::ZERO, b"b");
        interest.touch(DbIndex::ZERO, b"a");
        interest.touch(DbIndex::new(1).unwrap(), b"a");
        interest.remove(DbIndex::ZERO, b"a");
        interest.touch(DbIndex::ZERO, b"a");
        interest.remove(DbIndex::ZERO, b"a");
        interest.touch(DbIndex::ZERO, b"a");
        interest.drain(&mut out);
        assert_eq!(out, [(DbIndex::ZERO, b"a"[..].into()), (DbIndex::ZERO, b"a"[..].into())]);
    }
}
