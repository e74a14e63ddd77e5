//! The own writes that the peer may not have seen: all that a merge looks at beside the record itself.
//!
//! With one peer, what a record of the peer did not see is exactly the own records from its `seen` on. So
//! nothing is kept with the data, and no deletion is remembered longer than a round trip: an entry goes as
//! soon as a record or heartbeat *in the peer's stream* says that the peer has it. An acknowledgement heard
//! elsewhere must not come here: a record sent before it may still be under way.
//!
//! For each item there is the last assignment and the additions after it; for a list, the own edits, carried
//! over what came from the peer since. While the peer is away there is something for every key that was
//! written, so it is kept in few bytes ([`notes`]).

mod chain;
mod notes;
mod packed;
mod saved;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};

use tandem_types::{DB_COUNT, DbIndex, Lsn, NodeId};

pub(crate) use self::chain::{Assigned, Chain, ScoreChain, What};
use self::notes::{Bound, Notes};
use crate::Spans;
use crate::item::{Bytes, Content, Deadline, Key};
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
    /// Forgets what the peer has, or what its records have settled. Says how much there was to look at.
    fn prune(&mut self, bound: Bound) -> usize {
        let seen = bound.stable;
        let looked = 1 + self.items() + self.list.len();
        self.whole = self.whole.filter(|origin| origin.lsn >= seen);
        self.deadline = self.deadline.filter(|(origin, _)| origin.lsn >= seen);
        self.list.retain(|(lsn, _)| *lsn >= seen);
        self.string.prune(seen);
        self.fields.retain(|_, chain| {
            chain.prune(seen);
            !chain.is_empty()
        });
        self.members.retain(|_, (origin, _)| origin.lsn >= seen);
        self.scores.retain(|_, chain| {
            chain.prune(seen);
            !chain.is_empty()
        });
        if self.newest < seen && self.ghost_until <= bound.applied {
            self.ghost = None;
        }
        looked
    }

    fn items(&self) -> usize {
        self.string.added.len() + self.fields.len() + self.members.len() + self.scores.len()
    }

    /// Whether packing and unpacking it costs little.
    fn is_small(&self) -> bool {
        self.items() <= SMALL
            && self.list.len() <= SMALL
            && self.fields.values().all(|chain| chain.added.len() <= SMALL)
            && self.scores.values().all(|chain| chain.added.len() <= SMALL)
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

/// Items, or edits of a list, of a key that is small.
const SMALL: usize = 8;
/// Items that are counted together.
const COUNTED: usize = 256;

/// The own writes that the peer may not have seen.
#[derive(Clone, Debug, Default)]
pub struct Index {
    notes: Notes,
    flushed: [Option<Origin>; DB_COUNT as usize],
    /// All of them, oldest first.
    flushes: [Vec<Lsn>; DB_COUNT as usize],
    /// The last own write of each of some stretches, and the items noted in it, oldest first.
    counts: VecDeque<(Lsn, usize)>,
    /// The sum of them.
    count: usize,
    /// Keys that are missing only until the peer's records before a position were applied.
    missing: VecDeque<(Lsn, Key)>,
    /// Where the chunk being merged, or those before it, will be whole.
    whole_at: Lsn,
    /// What the peer has, and the end of its records that were applied.
    bound: Bound,
}

impl Index {
    /// Nothing is unacknowledged.
    pub fn new() -> Self {
        Self::default()
    }

    /// Items with unacknowledged own writes, about.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Bytes of memory, about, without what a tree takes for each key. Looks at all of them.
    pub fn bytes(&self) -> usize {
        self.notes.bytes()
    }

    /// Nothing is unacknowledged.
    pub fn is_empty(&self) -> bool {
        self.notes.is_empty(self.bound) && self.flushed.iter().all(Option::is_none)
    }

    /// An own write was done. Every own write comes here, in order, before the next record of the peer.
    pub fn note(&mut self, origin: &Origin, op: &Op) {
        self.note_where(origin, op, &|_| false);
    }

    /// The same, but of keys that are `ahead` everything is noted already.
    pub(crate) fn note_where(&mut self, origin: &Origin, op: &Op, ahead: &dyn Fn(&Key) -> bool) {
        let bound = self.bound;
        let items = match op {
            Op::Key(key, _) if ahead(key) => return,
            Op::Flush(db) => {
                self.flushed[db.index()] = Some(*origin);
                let flushes = &mut self.flushes[db.index()];
                let left = self.notes.flush(origin, *db, flushes, bound, ahead);
                flushes.push(origin.lsn);
                left
            }
            Op::Key(key, op) => {
                let flushes = &self.flushes[key.db.index()];
                self.notes.note(origin, key, op, flushes, bound)
            }
            // Holds whatever it meets.
            Op::Ledger(_) => return,
        };
        self.noted(origin.lsn, items);
    }

    /// So many items were noted at an own write.
    fn noted(&mut self, lsn: Lsn, items: usize) {
        self.count += items;
        match self.counts.back_mut() {
            Some((last, count)) if *count < COUNTED => {
                *last = lsn.max(*last);
                *count += items;
            }
            _ => self.counts.push_back((lsn, items)),
        }
    }

    /// The peer has all own records before `seen`, as its stream says.
    pub fn stable(&mut self, seen: Lsn) {
        self.bound.stable = self.bound.stable.max(seen);
        for flushed in &mut self.flushed {
            *flushed = flushed.filter(|origin| origin.lsn >= seen);
        }
        for flushes in &mut self.flushes {
            flushes.retain(|lsn| *lsn >= seen);
        }
        let mut died = 0;
        while let Some((last, items)) = self.counts.front()
            && *last < seen
        {
            died += items;
            self.counts.pop_front();
        }
        self.count -= died;
        self.notes.sweep(died, self.bound);
    }

    /// What is merged next leaves keys missing up to `whole_at`.
    pub(crate) const fn begin_chunk(&mut self, whole_at: Lsn) {
        if whole_at.get() > self.whole_at.get() {
            self.whole_at = whole_at;
        }
    }

    /// The peer's records before `applied` were merged.
    pub(crate) fn end_chunk(&mut self, applied: Lsn) {
        self.bound.applied = applied;
        while let Some((until, _)) = self.missing.front()
            && *until <= applied
        {
            let Some((_, key)) = self.missing.pop_front() else { return };
            self.notes.look_at(&key, self.bound);
        }
    }

    /// A key without own writes on it is missing; this is its deadline if it comes back.
    pub(crate) fn note_missing(&mut self, here: NodeId, key: &Key, deadline: Deadline) {
        let ghost = deadline.shown().is_some().then_some(deadline);
        self.put_back(here, key, Box::new(Pending { ghost, ..Pending::default() }));
    }

    /// The last own assignment of a whole key, of which this is noted, or of its database.
    pub(crate) fn whole(&self, db: DbIndex, pending: Option<&Pending>) -> Option<Origin> {
        // A flush forgets the keys of its database, so what is noted of a key is later.
        pending.and_then(|pending| pending.whole).or(self.flushed[db.index()])
    }

    /// The own flushes of a database that a record with this `seen` did not see.
    pub(crate) fn flushes_since(&self, db: DbIndex, seen: Lsn) -> Vec<Lsn> {
        self.flushes[db.index()].iter().copied().filter(|lsn| *lsn >= seen).collect()
    }

    /// Whether an own operation at `lsn` counts no more, because an own write after it, before `end`, assigns
    /// the same. Edits of lists always count: positions of the peer's edits may count from there.
    pub(crate) fn kills(&self, key: &Key, op: &KeyOp, lsn: Lsn, end: Lsn) -> bool {
        let later = |by: Lsn| lsn < by && by < end;
        if matches!(op, KeyOp::List(_)) {
            return false;
        }
        if self.flushed[key.db.index()].is_some_and(|origin| later(origin.lsn)) {
            return true;
        }
        let flushes = &self.flushes[key.db.index()];
        let killed = |pending: &Pending| pending.assigns(op).any(later);
        self.notes.look(key, flushes, self.bound, killed).unwrap_or(false)
    }

    /// Takes out what is noted of a key, to look at it and change it. Some of it may be what the peer has.
    pub(crate) fn take(&mut self, key: &Key) -> Option<Box<Pending>> {
        self.notes.take(key, &self.flushes[key.db.index()], self.bound)
    }

    /// Puts it back.
    pub(crate) fn put_back(&mut self, here: NodeId, key: &Key, mut pending: Box<Pending>) {
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
            self.noted(flushed.lsn, 1);
        }
        self.notes.put(here, key, pending);
    }

    /// Keys of a database with own writes.
    pub(crate) fn keys_of(&self, db: DbIndex) -> Vec<Key> {
        self.notes.keys_of(db, self.bound)
    }
}

impl Pending {
    /// An own write on the key, in a database with these own flushes. Says how many items it was about.
    fn note(&mut self, origin: &Origin, op: &KeyOp, flushes: &[Lsn]) -> usize {
        self.newest = origin.lsn;
        match op {
            KeyOp::Set { value, deadline } => {
                self.assigned(origin, Deadline::of(*deadline), flushes);
                self.string.assign(origin, What::Value(value.clone()));
            }
            KeyOp::Restore { content, deadline } => {
                self.assigned(origin, Deadline::of(*deadline), flushes);
                self.note_content(origin, content);
                return 1 + content.hash.len() + content.set.len() + content.zset.len();
            }
            KeyOp::Del | KeyOp::Expired => self.assigned(origin, Deadline::Wiped, flushes),
            KeyOp::Deadline(deadline) => {
                self.deadline = Some((*origin, *deadline));
                self.ghost = None;
            }
            KeyOp::List(spans) => {
                self.begin_list(flushes);
                self.list.push((origin.lsn, spans.clone()));
            }
            item => self.note_item(origin, item),
        }
        1
    }

    /// Where what this operation is about was assigned last, and the whole key.
    fn assigns(&self, op: &KeyOp) -> impl Iterator<Item = Lsn> {
        let value = |chain: &Chain| {
            // What was changed in part needs what was there before.
            let assigned = chain.assigned.as_ref().filter(|it| it.what != What::Patched);
            assigned.map(|it| it.origin.lsn)
        };
        let score = |chain: &ScoreChain| chain.assigned.map(|(origin, _)| origin.lsn);
        let item = match op {
            KeyOp::Deadline(_) => self.deadline.map(|(origin, _)| origin.lsn),
            KeyOp::Put(_) | KeyOp::Add(_) | KeyOp::Patch(_) => value(&self.string),
            KeyOp::FieldSet(field, _) | KeyOp::FieldDel(field) | KeyOp::FieldAdd(field, _) => {
                self.fields.get(field).and_then(value)
            }
            KeyOp::MemberAdd(member) | KeyOp::MemberDel(member) => {
                self.members.get(member).map(|(origin, _)| origin.lsn)
            }
            KeyOp::ScoreSet(member, _) | KeyOp::ScoreDel(member) | KeyOp::ScoreAdd(member, _) => {
                self.scores.get(member).and_then(score)
            }
            KeyOp::Set { .. }
            | KeyOp::Restore { .. }
            | KeyOp::Del
            | KeyOp::Expired
            | KeyOp::List(_) => None,
        };
        item.into_iter().chain(self.whole.map(|origin| origin.lsn))
    }

    /// What an assignment of the whole key puts there.
    fn note_content(&mut self, origin: &Origin, content: &Content) {
        if let Some(value) = &content.string {
            self.string.assign(origin, What::Value(value.clone()));
        }
        for (field, value) in &content.hash {
            let chain = self.fields.entry(field.clone()).or_default();
            chain.assign(origin, What::Value(value.clone()));
        }
        for member in &content.set {
            self.members.insert(member.clone(), (*origin, true));
        }
        for (member, score) in &content.zset {
            self.scores.entry(member.clone()).or_default().assign(origin, Some(score.shown()));
        }
        // One edit, as at the peer: clearing and then filling would not be the same.
        self.list.pop();
        self.list.push((origin.lsn, Spans::replace(origin.side, content.list.clone())));
    }

    /// A write on one item.
    fn note_item(&mut self, origin: &Origin, op: &KeyOp) {
        match op {
            KeyOp::Put(value) => self.string.assign(origin, What::Value(value.clone())),
            KeyOp::Add(added) => self.string.add(origin, *added),
            KeyOp::Patch(_) => self.string.assign(origin, What::Patched),
            KeyOp::FieldSet(field, value) => {
                let chain = self.fields.entry(field.clone()).or_default();
                chain.assign(origin, What::Value(value.clone()));
            }
            KeyOp::FieldDel(field) => {
                self.fields.entry(field.clone()).or_default().assign(origin, What::Gone);
            }
            KeyOp::FieldAdd(field, added) => {
                self.fields.entry(field.clone()).or_default().add(origin, *added);
            }
            KeyOp::MemberAdd(member) | KeyOp::MemberDel(member) => {
                let present = matches!(op, KeyOp::MemberAdd(_));
                self.members.insert(member.clone(), (*origin, present));
            }
            KeyOp::ScoreSet(member, score) => {
                self.scores.entry(member.clone()).or_default().assign(origin, Some(*score));
            }
            KeyOp::ScoreDel(member) => {
                self.scores.entry(member.clone()).or_default().assign(origin, None);
            }
            KeyOp::ScoreAdd(member, deltas) => {
                self.scores.entry(member.clone()).or_default().add(origin, deltas);
            }
            // Noted by the caller.
            KeyOp::Set { .. }
            | KeyOp::Restore { .. }
            | KeyOp::Del
            | KeyOp::Expired
            | KeyOp::Deadline(_)
            | KeyOp::List(_) => {}
        }
    }
}
