//! The simplest key space that can be merged into.

use std::collections::BTreeMap;

use tandem_merge::{Bytes, Change, Conflict, Content, Key, Kinds, LedgerOp, Origin, Score, Space};
use tandem_types::{DbIndex, WallMillis};

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Keyspace {
    pub keys: BTreeMap<Key, (Content, Option<WallMillis>)>,
}

impl Space for Keyspace {
    fn kinds(&self, key: &Key) -> Kinds {
        self.keys.get(key).map_or(Kinds::NONE, |(content, _)| content.kinds())
    }

    fn deadline(&self, key: &Key) -> Option<WallMillis> {
        self.keys.get(key).and_then(|(_, deadline)| *deadline)
    }

    fn string(&self, key: &Key) -> Option<Bytes> {
        self.keys.get(key)?.0.string.clone()
    }

    fn field(&self, key: &Key, field: &[u8]) -> Option<Bytes> {
        self.keys.get(key)?.0.hash.get(field).cloned()
    }

    fn score(&self, key: &Key, member: &[u8]) -> Option<Score> {
        self.keys.get(key)?.0.zset.get(member).copied()
    }

    fn content(&self, key: &Key) -> Content {
        self.keys.get(key).map(|(content, _)| content.clone()).unwrap_or_default()
    }

    fn change(&mut self, key: &Key, change: Change) {
        let (content, deadline) = self.keys.entry(key.clone()).or_default();
        match change {
            Change::Replace(new, at) => (*content, *deadline) = (new, at),
            Change::String(value) => content.string = value,
            Change::Field(field, Some(value)) => drop(content.hash.insert(field, value)),
            Change::Field(field, None) => drop(content.hash.remove(&field)),
            Change::Member(member, true) => drop(content.set.insert(member)),
            Change::Member(member, false) => drop(content.set.remove(&member)),
            Change::Score(member, Some(score)) => drop(content.zset.insert(member, score)),
            Change::Score(member, None) => drop(content.zset.remove(&member)),
            Change::List(spans) => spans.apply(&mut content.list),
            Change::Deadline(at) => {
                assert!(!content.kinds().is_empty(), "a deadline for nothing: {key:?}");
                *deadline = at;
            }
        }
        if content.kinds().is_empty() {
            self.keys.remove(key);
        }
    }

    fn flush(&mut self, db: DbIndex) {
        self.keys.retain(|key, _| key.db != db);
    }

    /// Statements are held against the rules on their own (`escrow.rs`, `sequences.rs`).
    fn enter(&mut self, _origin: &Origin, _op: &LedgerOp) {}

    fn told(&mut self, _conflicts: &[Conflict]) {}
}

/// What clients see: scores as their sums.
pub fn shown(space: &Keyspace) -> BTreeMap<Key, (Content, Option<WallMillis>)> {
    let settled = |(content, deadline): &(Content, _)| (content.clone().settled(), *deadline);
    space.keys.iter().map(|(key, value)| (key.clone(), settled(value))).collect()
}
