//! Keys that somebody wants to hear about: watched by a transaction, or waited for by a blocked pop.

use std::collections::BTreeMap;

use tandem_types::{DB_COUNT, DbIndex};

/// A key of interest that was touched.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Touched {
    /// Its database.
    pub db: DbIndex,
    /// The key.
    pub key: Box<[u8]>,
    /// Whether that ends a `WATCH`: what groups of a stream have read does not, as in Redis.
    pub breaks_watches: bool,
}

/// Counted interest per key, and the keys that were touched since last asked.
///
/// Costs one comparison per write while nobody is interested.
#[derive(Debug, Default)]
pub(crate) struct Interest {
    keys: [BTreeMap<Box<[u8]>, u32>; DB_COUNT as usize],
    count: usize,
    touched: Vec<Touched>,
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
    pub(crate) fn touch(&mut self, db: DbIndex, key: &[u8], breaks_watches: bool) {
        if self.count != 0 && self.keys[db.index()].contains_key(key) {
            self.touched.push(Touched { db, key: key.into(), breaks_watches });
        }
    }

    /// Touches those keys of a database that `exists` says yes to.
    pub(crate) fn touch_all(&mut self, db: DbIndex, exists: impl Fn(&[u8]) -> bool) {
        for key in self.keys[db.index()].keys() {
            if exists(key) {
                self.touched.push(Touched { db, key: key.clone(), breaks_watches: true });
            }
        }
    }

    pub(crate) fn drain(&mut self, out: &mut Vec<Touched>) {
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
        interest.touch(DbIndex::ZERO, b"b", true);
        interest.touch(DbIndex::ZERO, b"a", true);
        interest.touch(DbIndex::new(1).unwrap(), b"a", true);
        interest.remove(DbIndex::ZERO, b"a");
        interest.touch(DbIndex::ZERO, b"a", true);
        interest.remove(DbIndex::ZERO, b"a");
        interest.touch(DbIndex::ZERO, b"a", true);
        interest.drain(&mut out);
        let a = Touched { db: DbIndex::ZERO, key: b"a"[..].into(), breaks_watches: true };
        assert_eq!(out, [a.clone(), a]);
    }
}
