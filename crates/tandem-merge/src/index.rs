//! The own writes that the peer may not have seen: all that a merge looks at beside the record itself.
//!
//! With one peer, what a record of the peer did not see is exactly the own records from its `seen` on. So
//! nothing is kept with the data, and no deletion is remembered longer than a round trip: an entry goes as
//! soon as a record or heartbeat *in the peer's stream* says that the peer has it. An acknowledgement heard
//! elsewhere must not come here: a record sent before it may still be under way.
//!
//! For each item there is the last assignment and the additions after it; for a list, the own edits, carried
//! over what came from the peer since.

mod chain;
mod saved;

use std::collections::{BTreeMap, VecDeque};

use tandem_types::{DB_COUNT, DbIndex, Lsn};

pub(crate) use self::chain::{Assigned, Chain, ScoreChain, What};
use crate::Spans;
use crate::by_slot::BySlot;
use crate::conflict::Item;
use crate::item::{Bytes, Deadline, Key};
use crate::op::{KeyOp, Op, Origin};

/// Own writes on one key.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pending {
    /// The last own write on it.
    pub(crate) newest: Lsn,
    /// The last own assignment of the whole key, or its deletion.
    pub(crate) whole: Option<Origin>,
    pub(crate) string: Chain,
    pub(crate) fields: BTreeMap<Bytes, Chain>,
    /// In or out.
    pub(crate) members: BTreeMap<Bytes, (Origin, bool)>,
    pub(crate) scores: BTreeMap<Bytes, ScoreChain>,
    /// Own edits, each to be done after those before it and after the peer's that came since.
    pub(crate) list: Vec<(Lsn, Spans)>,
    pub(crate) deadline: Option<(Origin, Deadline)>,
    /// The deadline of a key that is not there now, but may come back by a write of the peer that did not
    /// see why it went.
    pub(crate) ghost: Option<Deadline>,
    /// The ghost is kept at least until the peer's records before this were applied.
    pub(crate) ghost_until: Lsn,
}

impl Pending {
    /// Forgets what the peer has, or what its records have settled.
    fn prune(&mut self, seen: Lsn, applied: Lsn) {
        self.whole = self.whole.filter(|origin| origin.lsn >= seen);
        self.deadline = self.deadline.filter(|(origin, _)| origin.lsn >= seen);
        self.list.retain(|(lsn, _)| *lsn >= seen);
        if self.newest < seen && self.ghost_until <= applied {
            self.ghost = None;
        }
    }

    fn prune_item(&mut self, item: &Item, seen: Lsn) {
        match item {
            Item::String => self.string.prune(seen),
            Item::Field(field) => {
                if let Some(chain) = self.fields.get_mut(field) {
                    chain.prune(seen);
                    if chain.is_empty() {
                        self.fields.remove(field);
                    }
                }
            }
            Item::Member(member) => {
                if self.members.get(member).is_some_and(|(origin, _)| origin.lsn < seen) {
                    self.members.remove(member);
                }
            }
            Item::Score(member) => {
                if let Some(chain) = self.scores.get_mut(member) {
                    chain.prune(seen);
                    if chain.is_empty() {
                        self.scores.remove(member);
                    }
                }
            }
            Item::Key | Item::List | Item::Deadline => {}
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.whole.is_none()
            && self.string.is_empty()
            && self.fields.is_empty()
            && self.members.is_empty()
            && self.scores.is_empty()
            && self.list.is_empty()
            && self.deadline.is_none()
            && self.ghost.is_none()
    }

    /// The whole key was assigned or deleted: nothing before it counts any more.
    fn assigned(&mut self, origin: &Origin, deadline: Deadline, flushes: &[Lsn]) {
        *self = Self {
            newest: origin.lsn,
            whole: Some(*origin),
            deadline: Some((*origin, deadline)),
            list: self.list_cleared(origin, flushes),
            ..Self::default()
        };
    }

    /// The list's edits with one more that takes out everything. None is left out or joined, not even two
    /// clearings in a row: the peer may have seen the first and not the second, and positions count from there.
    fn list_cleared(&mut self, origin: &Origin, flushes: &[Lsn]) -> Vec<(Lsn, Spans)> {
        self.begin_list(flushes);
        let mut list = std::mem::take(&mut self.list);
        list.push((origin.lsn, Spans::clear()));
        list
    }

    /// The first edits of a list without any are the flushes of its database.
    pub(crate) fn begin_list(&mut self, flushes: &[Lsn]) {
        if self.list.is_empty() {
            self.list.extend(flushes.iter().map(|lsn| (*lsn, Spans::clear())));
        }
    }
}

/// The own writes that the peer may not have seen.
#[derive(Clone, Debug, Default)]
pub struct Index {
    // In boxes: a tree moves its neighbours about.
    keys: BySlot<Box<Pending>>,
    flushed: [Option<Origin>; DB_COUNT as usize],
    /// All of them, oldest first.
    flushes: [Vec<Lsn>; DB_COUNT as usize],
    /// What to look at when the peer has seen more, oldest first.
    order: VecDeque<(Lsn, Key, Item)>,
    /// Keys that are missing only until the peer's records before a position were applied.
    missing: VecDeque<(Lsn, Key)>,
    /// Where the chunk being merged, or those before it, will be whole.
    whole_at: Lsn,
    /// The end of the peer's records that were applied.
    applied: Lsn,
}

impl Index {
    /// Nothing is unacknowledged.
    pub fn new() -> Self {
        Self::default()
    }

    /// Items with unacknowledged own writes, about.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Nothing is unacknowledged.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.flushed.iter().all(Option::is_none)
    }

    /// An own write was done. Every own write comes here, in order, before the next record of the peer.
    pub fn note(&mut self, origin: &Origin, op: &Op) {
        self.note_where(origin, op, &|_| false);
    }

    /// The same, but of keys that are `ahead` everything is noted already.
    pub(crate) fn note_where(&mut self, origin: &Origin, op: &Op, ahead: &dyn Fn(&Key) -> bool) {
        match op {
            Op::Key(key, _) if ahead(key) => {}
            Op::Flush(db) => {
                self.flushed[db.index()] = Some(*origin);
                let order = &mut self.order;
                self.keys.retain(|key, pending| {
                    if key.db != *db || ahead(key) {
                        return true;
                    }
                    if pending.list.is_empty() {
                        return false;
                    }
                    let list = pending.list_cleared(origin, &[]);
                    **pending = Pending { newest: origin.lsn, list, ..Pending::default() };
                    order.push_back((origin.lsn, key.clone(), Item::List));
                    true
                });
                self.flushes[db.index()].push(origin.lsn);
            }
            Op::Key(key, op) => self.note_key(origin, key, op),
            // Holds whatever it meets.
            Op::Ledger(_) => {}
        }
    }

    fn note_key(&mut self, origin: &Origin, key: &Key, op: &KeyOp) {
        let flushes = &self.flushes[key.db.index()];
        let mut items = Vec::new();
        let pending = self.keys.get_or_default(key);
        pending.newest = origin.lsn;
        match op {
            KeyOp::Set { value, deadline } => {
                pending.assigned(origin, Deadline::of(*deadline), flushes);
                pending.string.assign(origin, What::Value(value.clone()));
                items.push(Item::String);
            }
            KeyOp::Restore { content, deadline } => {
                pending.assigned(origin, Deadline::of(*deadline), flushes);
                if let Some(value) = &content.string {
                    pending.string.assign(origin, What::Value(value.clone()));
                    items.push(Item::String);
                }
                for (field, value) in &content.hash {
                    let chain = pending.fields.entry(field.clone()).or_default();
                    chain.assign(origin, What::Value(value.clone()));
                    items.push(Item::Field(field.clone()));
                }
                for member in &content.set {
                    pending.members.insert(member.clone(), (*origin, true));
                    items.push(Item::Member(member.clone()));
                }
                for (member, score) in &content.zset {
                    let chain = pending.scores.entry(member.clone()).or_default();
                    chain.assign(origin, Some(score.shown()));
                    items.push(Item::Score(member.clone()));
                }
                // One edit, as at the peer: clearing and then filling would not be the same.
                pending.list.pop();
                pending.list.push((origin.lsn, Spans::replace(origin.side, content.list.clone())));
            }
            KeyOp::Del | KeyOp::Expired => pending.assigned(origin, Deadline::Wiped, flushes),
            KeyOp::Deadline(deadline) => {
                pending.deadline = Some((*origin, *deadline));
                pending.ghost = None;
                items.push(Item::Deadline);
            }
            KeyOp::List(spans) => {
                pending.begin_list(flushes);
                pending.list.push((origin.lsn, spans.clone()));
                items.push(Item::List);
            }
            item => items.extend(pending.note_item(origin, item)),
        }
        // One of them is enough to look at the key as a whole.
        if items.is_empty() {
            items.push(Item::Key);
        }
        self.order.extend(items.into_iter().map(|item| (origin.lsn, key.clone(), item)));
    }

    /// The peer has all own records before `seen`, as its stream says.
    pub fn stable(&mut self, seen: Lsn) {
        for flushed in &mut self.flushed {
            *flushed = flushed.filter(|origin| origin.lsn >= seen);
        }
        for flushes in &mut self.flushes {
            flushes.retain(|lsn| *lsn >= seen);
        }
        while let Some((lsn, _, _)) = self.order.front()
            && *lsn < seen
        {
            let Some((_, key, item)) = self.order.pop_front() else { return };
            if let Some(pending) = self.keys.get_mut(&key) {
                pending.prune(seen, self.applied);
                pending.prune_item(&item, seen);
                if pending.is_empty() {
                    self.keys.remove(&key);
                }
            }
        }
    }

    /// What is merged next leaves keys missing up to `whole_at`.
    pub(crate) const fn begin_chunk(&mut self, whole_at: Lsn) {
        if whole_at.get() > self.whole_at.get() {
            self.whole_at = whole_at;
        }
    }

    /// The peer's records before `applied` were merged; it has the own ones before `seen`.
    pub(crate) fn end_chunk(&mut self, applied: Lsn, seen: Lsn) {
        self.applied = applied;
        while let Some((until, _)) = self.missing.front()
            && *until <= applied
        {
            let Some((_, key)) = self.missing.pop_front() else { return };
            if let Some(pending) = self.keys.get_mut(&key) {
                pending.prune(seen, applied);
                if pending.is_empty() {
                    self.keys.remove(&key);
                }
            }
        }
    }

    /// A key without own writes on it is missing; this is its deadline if it comes back.
    pub(crate) fn note_missing(&mut self, key: &Key, deadline: Deadline) {
        let ghost = deadline.shown().is_some().then_some(deadline);
        self.put_back(key, Box::new(Pending { ghost, ..Pending::default() }));
    }

    /// The last own assignment of a whole key or of its database.
    pub(crate) fn whole(&self, key: &Key) -> Option<Origin> {
        // A flush forgets the keys of its database, so what is noted of a key is later.
        self.keys.get(key).and_then(|pending| pending.whole).or(self.flushed[key.db.index()])
    }

    /// The own flushes of a database that a record with this `seen` did not see.
    pub(crate) fn flushes_since(&self, db: DbIndex, seen: Lsn) -> Vec<Lsn> {
        self.flushes[db.index()].iter().copied().filter(|lsn| *lsn >= seen).collect()
    }

    /// Takes out what is noted of a key, to look at it and change it.
    pub(crate) fn take(&mut self, key: &Key) -> Option<Box<Pending>> {
        self.keys.remove(key)
    }

    /// Puts it back.
    pub(crate) fn put_back(&mut self, key: &Key, mut pending: Box<Pending>) {
        if pending.is_empty() {
            return;
        }
        if pending.ghost.is_some() && pending.ghost_until < self.whole_at {
            pending.ghost_until = self.whole_at;
            self.missing.push_back((self.whole_at, key.clone()));
        }
        if pending.newest == Lsn::ZERO
            && let Some(flushed) = self.flushed[key.db.index()]
        {
            // Noted only because the whole database was emptied: it goes with that.
            pending.newest = flushed.lsn;
            self.order.push_back((flushed.lsn, key.clone(), Item::Key));
        }
        self.keys.insert(key.clone(), pending);
    }

    /// Keys of a database with own writes.
    pub(crate) fn keys_of(&self, db: DbIndex) -> Vec<Key> {
        let keys = self.keys.iter().map(|(key, _)| key);
        keys.filter(|key| key.db == db).cloned().collect()
    }
}

impl Pending {
    /// A write on one item; says which.
    fn note_item(&mut self, origin: &Origin, op: &KeyOp) -> Option<Item> {
        let item = match op {
            KeyOp::Put(value) => {
                self.string.assign(origin, What::Value(value.clone()));
                Item::String
            }
            KeyOp::Add(added) => {
                self.string.add(origin, *added);
                Item::String
            }
            KeyOp::Patch(_) => {
                self.string.assign(origin, What::Patched);
                Item::String
            }
            KeyOp::FieldSet(field, value) => {
                let chain = self.fields.entry(field.clone()).or_default();
                chain.assign(origin, What::Value(value.clone()));
                Item::Field(field.clone())
            }
            KeyOp::FieldDel(field) => {
                self.fields.entry(field.clone()).or_default().assign(origin, What::Gone);
                Item::Field(field.clone())
            }
            KeyOp::FieldAdd(field, added) => {
                self.fields.entry(field.clone()).or_default().add(origin, *added);
                Item::Field(field.clone())
            }
            KeyOp::MemberAdd(member) | KeyOp::MemberDel(member) => {
                let present = matches!(op, KeyOp::MemberAdd(_));
                self.members.insert(member.clone(), (*origin, present));
                Item::Member(member.clone())
            }
            KeyOp::ScoreSet(member, score) => {
                self.scores.entry(member.clone()).or_default().assign(origin, Some(*score));
                Item::Score(member.clone())
            }
            KeyOp::ScoreDel(member) => {
                self.scores.entry(member.clone()).or_default().assign(origin, None);
                Item::Score(member.clone())
            }
            KeyOp::ScoreAdd(member, deltas) => {
                self.scores.entry(member.clone()).or_default().add(origin, deltas);
                Item::Score(member.clone())
            }
            // Noted by the caller.
            KeyOp::Set { .. }
            | KeyOp::Restore { .. }
            | KeyOp::Del
            | KeyOp::Expired
            | KeyOp::Deadline(_)
            | KeyOp::List(_) => return None,
        };
        Some(item)
    }
}
