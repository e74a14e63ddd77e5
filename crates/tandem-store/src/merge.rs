//! The store as the key space of a pair whose nodes both write.
//!
//! Two things do not fit into a plain store and stand beside it: values of a second type under one key,
//! until the key is assigned, and the totals of scores that were added to. Both are few.
//!
//! **Not here:** the rules (`tandem-merge`), which records there are (`tandem-node`).

mod change;
mod copy;
mod ops;
mod refusal;

use std::collections::BTreeMap;

use tandem_merge::{
    BySlot, Bytes, Change, Conflict, Content, Key, KeyOp, Kinds, LedgerOp, Op, Origin, Score, Space,
};
use tandem_types::{DbIndex, Lsn, NodeId, SLOT_COUNT, SlotId, WallMillis};

use self::ops::content_of;
pub(crate) use self::ops::{added, push_ops};
pub(crate) use self::refusal::Purpose;
pub use self::refusal::{Course, MergeRefusal, Rules, course};
use crate::apply::SlotLsns;
use crate::effect::Operations;
use crate::entry::Entry;
use crate::keys::Keys;
use crate::store::Store;
use crate::value::hash::Hash;
use crate::value::list::List;
use crate::value::set::Set;
use crate::value::zset::Zset;
use crate::value::{Value, ValueRef};

/// What stands beside the key space.
#[derive(Debug, Default)]
pub(crate) struct Shadow {
    /// Values of types that are not shown.
    hidden: BySlot<Content>,
    /// Scores that were added to since they were assigned.
    scores: BySlot<BTreeMap<Bytes, Score>>,
}

/// The store while one record is merged.
#[derive(Debug)]
pub struct MergeSpace<'s> {
    store: &'s mut Store,
    lsn_end: Lsn,
    /// A log is replayed on a snapshot: when its slots were taken.
    ahead: Option<&'s SlotLsns>,
}

impl Store {
    /// The store, to merge the record that ends at `lsn_end` of the own log.
    pub const fn merge_space(&mut self, lsn_end: Lsn) -> MergeSpace<'_> {
        MergeSpace { store: self, lsn_end, ahead: None }
    }

    /// The same while a log is replayed on a snapshot whose slots were taken at `ahead`: what a record did to
    /// those that hold it already is not done again.
    pub const fn replay_space<'s>(
        &'s mut self,
        lsn_end: Lsn,
        ahead: Option<&'s SlotLsns>,
    ) -> MergeSpace<'s> {
        MergeSpace { store: self, lsn_end, ahead }
    }

    /// Brings what stands beside the key space in line with own operations, which commands have done.
    pub fn settle_own(&mut self, side: NodeId, done: &Operations, lsn_end: Lsn) {
        let mut bases = done.bases.iter().copied();
        for op in &done.ops {
            match op {
                Op::Flush(db) => {
                    self.shadow.hidden.retain(|key, _| key.db != *db);
                    self.shadow.scores.retain(|key, _| key.db != *db);
                    self.show_all(*db, lsn_end);
                }
                Op::Key(key, op) => self.settle_key(side, key, op, &mut bases, lsn_end),
                Op::Ledger(_) => {}
            }
        }
    }

    /// The value of a type that is not shown, if a key has one.
    pub(crate) fn hidden_value(
        &self,
        key: &Key,
        limits: &crate::settings::Limits,
    ) -> Option<Value> {
        take_shown(&mut self.shadow.hidden.get(key)?.clone(), limits)
    }

    fn settle_key(
        &mut self,
        side: NodeId,
        key: &Key,
        op: &KeyOp,
        bases: &mut impl Iterator<Item = f64>,
        lsn_end: Lsn,
    ) {
        match op {
            op if op.is_whole() => {
                self.shadow.hidden.remove(key);
                self.shadow.scores.remove(key);
            }
            KeyOp::ScoreSet(member, _) | KeyOp::ScoreDel(member) => {
                self.shadow.forget_score(key, member);
            }
            KeyOp::ScoreAdd(member, deltas) => {
                // The command has added to what is shown; the exact sum is per side.
                let base = bases.next().unwrap_or_default();
                let before = self.shadow.score(key, member).unwrap_or(Score::new(base));
                let score = deltas.iter().fold(before, |score, delta| score.plus(side, *delta));
                self.merge_space(lsn_end).put_score(key, member, score);
            }
            _ => {}
        }
        let gone = self.merge_space(lsn_end).entry(key).is_none();
        if gone && let Some(hidden) = self.shadow.hidden.remove(key) {
            self.merge_space(lsn_end).put(key, hidden, None);
        }
    }
}

impl Shadow {
    /// Nothing stands beside this key.
    pub(crate) fn forget(&mut self, key: &Key) {
        self.hidden.remove(key);
        self.scores.remove(key);
    }

    fn score(&self, key: &Key, member: &[u8]) -> Option<Score> {
        self.scores.get(key)?.get(member).copied()
    }

    fn forget_score(&mut self, key: &Key, member: &[u8]) {
        if let Some(scores) = self.scores.get_mut(key) {
            scores.remove(member);
            if scores.is_empty() {
                self.scores.remove(key);
            }
        }
    }
}

impl MergeSpace<'_> {
    fn entry(&self, key: &Key) -> Option<&Entry> {
        let found = self.store.hasher.key(&key.name);
        let database = self.store.databases[key.db.index()].as_deref()?;
        database.slot(found.slot).table.find(found.hash, |entry| entry.key() == found.bytes)
    }

    fn value(&self, key: &Key) -> Option<ValueRef<'_>> {
        self.entry(key).map(Entry::value)
    }

    fn keys(&mut self, db: DbIndex) -> Keys<'_> {
        Keys::for_replay(self.store, db, self.lsn_end)
    }

    fn hidden(&self, key: &Key) -> Option<&Content> {
        self.store.shadow.hidden.get(key)
    }

    /// The kind that the store itself holds.
    fn shown(&self, key: &Key) -> Kinds {
        match self.value(key) {
            // Streams are not among two writers.
            None | Some(ValueRef::Stream(_)) => Kinds::NONE,
            Some(ValueRef::String { .. }) => Kinds::STRING,
            Some(ValueRef::List(_)) => Kinds::LIST,
            Some(ValueRef::Hash(_)) => Kinds::HASH,
            Some(ValueRef::Set(_)) => Kinds::SET,
            Some(ValueRef::Zset(_)) => Kinds::ZSET,
        }
    }

    /// Makes a key hold exactly this: one kind in the store, the rest beside it.
    fn put(&mut self, key: &Key, mut content: Content, deadline: Option<WallMillis>) {
        self.store.shadow.scores.remove(key);
        let added_to = |score: &Score| (score.by_a, score.by_b) != (0.0, 0.0);
        let scores: BTreeMap<Bytes, Score> = content
            .zset
            .iter()
            .filter(|(_, score)| added_to(score))
            .map(|(member, score)| (member.clone(), *score))
            .collect();
        if !scores.is_empty() {
            self.store.shadow.scores.insert(key.clone(), scores);
        }
        let value = take_shown(&mut content, &self.store.settings().limits);
        if content.kinds().is_empty() {
            self.store.shadow.hidden.remove(key);
        } else {
            self.store.shadow.hidden.insert(key.clone(), content);
        }
        let mut keys = self.keys(key.db);
        let found = keys.key(&key.name);
        match value {
            None => drop(keys.delete(found)),
            Some(Value::String { bytes, .. }) => keys.set_string(found, &bytes, deadline),
            Some(value) => keys.store_value(found, value, deadline),
        }
    }

    /// Whether the store alone holds the key, as this kind or not at all.
    fn plain(&self, key: &Key, kind: Kinds) -> bool {
        let shown = self.shown(key);
        self.hidden(key).is_none() && (shown == kind || shown.is_empty())
    }
}

/// Takes the kind that clients see out of a content.
fn take_shown(content: &mut Content, limits: &crate::settings::Limits) -> Option<Value> {
    let shown = content.kinds().shown();
    if shown == Kinds::SET {
        let mut set = Set::default();
        for member in std::mem::take(&mut content.set) {
            set.insert(&member, limits);
        }
        Some(Value::Set(set))
    } else if shown == Kinds::ZSET {
        let mut zset = Zset::default();
        for (member, score) in std::mem::take(&mut content.zset) {
            zset.insert(&member, score.shown(), limits);
        }
        Some(Value::Zset(zset))
    } else if shown == Kinds::HASH {
        let mut hash = Hash::default();
        for (field, value) in std::mem::take(&mut content.hash) {
            hash.insert(&field, &value, limits);
        }
        Some(Value::Hash(hash))
    } else if shown == Kinds::LIST {
        let mut list = List::default();
        for element in std::mem::take(&mut content.list) {
            list.push_back(&element, limits);
        }
        Some(Value::List(list))
    } else {
        let bytes = content.string.take()?.into_vec();
        Some(Value::String { bytes, raw: false })
    }
}

impl Space for MergeSpace<'_> {
    fn kinds(&self, key: &Key) -> Kinds {
        let hidden = self.hidden(key).map_or(Kinds::NONE, Content::kinds);
        self.shown(key).and(hidden)
    }

    fn deadline(&self, key: &Key) -> Option<WallMillis> {
        self.entry(key).and_then(Entry::deadline)
    }

    fn string(&self, key: &Key) -> Option<Bytes> {
        match self.value(key) {
            Some(ValueRef::String { bytes, .. }) => Some(bytes.into()),
            _ => self.hidden(key)?.string.clone(),
        }
    }

    fn field(&self, key: &Key, field: &[u8]) -> Option<Bytes> {
        match self.value(key) {
            Some(ValueRef::Hash(hash)) => hash.get(field).map(Into::into),
            _ => self.hidden(key)?.hash.get(field).cloned(),
        }
    }

    fn score(&self, key: &Key, member: &[u8]) -> Option<Score> {
        match self.value(key) {
            Some(ValueRef::Zset(zset)) => {
                let shown = zset.score(member)?;
                Some(self.store.shadow.score(key, member).unwrap_or(Score::new(shown)))
            }
            _ => self.hidden(key)?.zset.get(member).copied(),
        }
    }

    fn content(&self, key: &Key) -> Content {
        let mut content = self.value(key).map(content_of).unwrap_or_default();
        for (member, score) in self.store.shadow.scores.get(key).into_iter().flatten() {
            if let Some(place) = content.zset.get_mut(member) {
                *place = *score;
            }
        }
        if let Some(hidden) = self.hidden(key) {
            let hidden = hidden.clone();
            content.string = content.string.or(hidden.string);
            content.list.extend(hidden.list);
            content.hash.extend(hidden.hash);
            content.zset.extend(hidden.zset);
            content.set.extend(hidden.set);
        }
        content
    }

    fn change(&mut self, key: &Key, change: Change) {
        self.make(key, change);
        // Under the key of a counter or sequence stands what that comes to, whatever was written to it.
        self.store.show(key, self.lsn_end);
    }

    fn flush(&mut self, db: DbIndex) {
        let (ahead, lsn_end) = (self.ahead, self.lsn_end);
        let stays = |key: &Key| key.db != db || holds_already(ahead, key.slot(), lsn_end);
        self.store.shadow.hidden.retain(|key, _| stays(key));
        self.store.shadow.scores.retain(|key, _| stays(key));
        let mut keys = self.keys(db);
        if ahead.is_none() {
            keys.flush_db();
        } else {
            for slot in 0..SLOT_COUNT {
                if !holds_already(ahead, SlotId { db, slot }, lsn_end) {
                    keys.clear_slot(slot);
                }
            }
        }
        self.store.show_all(db, self.lsn_end);
    }

    fn enter(&mut self, origin: &Origin, op: &LedgerOp) {
        self.store.enter(origin, op, self.lsn_end);
    }

    fn told(&mut self, conflicts: &[Conflict]) {
        // A snapshot holds what was told up to its end.
        let news = if self.ahead.is_some() { &[] } else { conflicts };
        self.store.told(self.lsn_end, news);
    }

    fn is_ahead(&self, key: &Key) -> bool {
        self.ahead.is_some() && holds_already(self.ahead, key.slot(), self.lsn_end)
    }
}

/// Whether a slot was taken with the record that ends at `lsn_end` in it.
fn holds_already(ahead: Option<&SlotLsns>, slot: SlotId, lsn_end: Lsn) -> bool {
    ahead.is_some_and(|ahead| ahead.get(slot) >= lsn_end)
}
