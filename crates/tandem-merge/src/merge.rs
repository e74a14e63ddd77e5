//! The merge: one record of the peer, the own writes it did not see, and the key space.
//!
//! The outcome of each item is that of the declarative rule over the whole history (`tests/merge/oracle.rs`
//! is that rule, written down on its own):
//! - An *assignment* (of a value, or a deletion) is maximal if no other assignment saw it. The base is the
//!   maximal value with the greatest rank, or nothing.
//! - An *addition* survives if no assignment, winning or losing, saw it.
//! - A set member is in if some addition of it was seen by no removal.
//! - The deadline is the longest of the maximal ones.
//!
//! So an update beats a deletion that did not see it, and a deletion takes only what it saw.
//! docs/adr/2026-11-28-merge-with-one-peer.md says why.

mod plain;
mod register;
mod whole;

use std::collections::BTreeSet;

use tandem_types::{DbIndex, NodeId};

pub use self::plain::apply_own;
use self::register::{After, Incoming, Outcome};
use crate::conflict::{Conflict, Item, Kind, Party};
use crate::index::{Chain, Index, Pending};
use crate::item::{Bytes, Change, Deadline, Key, Kinds, Space};
use crate::op::{KeyOp, Op, Origin};
use crate::planted::{Rule, holds};
use crate::{Added, Spans};

/// What merging a record leaves to do.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Merged {
    /// What to write again at once, as one record that is appended directly after the merged one.
    pub again: BTreeSet<Again>,
    /// What was decided, for people.
    pub conflicts: Vec<Conflict>,
}

/// What the winner of a race writes again as a whole, because the peer cannot know it.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Again {
    /// The string, which was patched here.
    String(Key),
    /// Everything under the key, which expired at the peer.
    Whole(Key),
}

impl Again {
    /// The write, as the key space is after all of the merge; `None` if the key is gone again.
    pub fn op(&self, space: &dyn Space) -> Option<Op> {
        let (key, op) = match self {
            Self::String(key) => (key, KeyOp::Put(space.string(key)?)),
            Self::Whole(key) if space.kinds(key).is_empty() => return None,
            Self::Whole(key) => {
                let content = Box::new(space.content(key).settled());
                (key, KeyOp::Restore { content, deadline: space.deadline(key) })
            }
        };
        Some(Op::Key(key.clone(), op))
    }
}

/// Merges one operation of the peer's record into the key space.
///
/// `index` holds the own writes. Operations are merged in order; after the record the caller calls
/// [`Index::stable`], and then writes what [`Merged::again`] asks for.
pub fn merge(origin: &Origin, op: &Op, index: &mut Index, space: &mut dyn Space, out: &mut Merged) {
    match op {
        Op::Key(key, _) if space.is_ahead(key) && holds(Rule::DoneOnce) => {}
        Op::Key(key, op) => merge_key(origin, key, op, index, space, out),
        Op::Flush(db) => flush(origin, *db, index, space, out),
        Op::Ledger(op) => space.enter(origin, op),
    }
}

/// The own writes on one key that a record did not see.
struct Race<'m> {
    origin: &'m Origin,
    key: &'m Key,
    /// The own assignment of the whole key, if the record did not see it.
    whole: Option<Origin>,
    /// The own flushes of its database that the record did not see.
    flushes: Vec<tandem_types::Lsn>,
    pending: Box<Pending>,
    space: &'m mut dyn Space,
    out: &'m mut Merged,
    /// The deadline that the operation left, if it said one.
    deadline: Option<Deadline>,
}

fn merge_key(
    origin: &Origin,
    key: &Key,
    op: &KeyOp,
    index: &mut Index,
    space: &mut dyn Space,
    out: &mut Merged,
) {
    let seen_first = holds(Rule::SeenFirst);
    let pending = index.take(key);
    let whole = index.whole(key.db, pending.as_deref());
    let whole = whole.filter(|whole| whole.lsn >= origin.seen || !seen_first);
    let pending = match pending {
        Some(pending) => pending,
        None if whole.is_some() => Box::default(),
        None => {
            type_clash(origin, key, op, space, out);
            return without_race(origin, key, op, index, space);
        }
    };
    type_clash(origin, key, op, space, out);
    let everything = Origin { seen: tandem_types::Lsn::ZERO, ..*origin };
    let origin = if seen_first { origin } else { &everything };
    let there_before = !space.kinds(key).is_empty();
    let deadline_before = space.deadline(key);
    let flushes = index.flushes_since(key.db, origin.seen);
    let mut race = Race { origin, key, whole, flushes, pending, space, out, deadline: None };
    race.run(op);
    race.settle_deadline(there_before, Deadline::of(deadline_before));
    let pending = race.pending;
    index.put_back(here(origin), key, pending);
}

/// Nothing races. But a key may go missing for a while when the peer's records are compacted.
fn without_race(origin: &Origin, key: &Key, op: &KeyOp, index: &mut Index, space: &mut dyn Space) {
    let before = if space.kinds(key).is_empty() { None } else { Some(space.deadline(key)) };
    plain::apply(origin.side, key, op, space);
    if !space.kinds(key).is_empty() || op.is_whole() {
        return;
    }
    match (op, before) {
        (KeyOp::Deadline(deadline), _) => index.note_missing(here(origin), key, *deadline),
        (_, Some(Some(deadline))) => index.note_missing(here(origin), key, Deadline::At(deadline)),
        _ => {}
    }
}

impl Race<'_> {
    fn run(&mut self, op: &KeyOp) {
        match op {
            KeyOp::Deadline(deadline) => {
                let deadline = self.longest(*deadline);
                self.deadline = Some(deadline);
            }
            KeyOp::Put(value) => self.string(&Incoming::Value(value)),
            KeyOp::Add(added) => self.string(&Incoming::Added(*added)),
            KeyOp::Patch(patch) => self.string(&Incoming::Patch(patch)),
            KeyOp::FieldSet(field, value) => self.field(field, &Incoming::Value(value)),
            KeyOp::FieldDel(field) => self.field(field, &Incoming::Gone),
            KeyOp::FieldAdd(field, added) => self.field(field, &Incoming::Added(*added)),
            KeyOp::MemberAdd(member) => self.member_added(member),
            KeyOp::MemberDel(member) => self.member_removed(member),
            KeyOp::ScoreSet(member, score) => self.score_assigned(member, Some(*score)),
            KeyOp::ScoreDel(member) => self.score_assigned(member, None),
            KeyOp::ScoreAdd(member, deltas) => self.score_added(member, deltas),
            KeyOp::List(spans) => {
                let theirs = self.carry_list(spans);
                self.space.change(self.key, Change::List(theirs));
            }
            KeyOp::Set { .. } | KeyOp::Restore { .. } | KeyOp::Del | KeyOp::Expired => {
                self.whole(op);
            }
        }
    }

    /// A deadline against the own one that it did not see.
    fn longest(&self, theirs: Deadline) -> Deadline {
        let own = self.pending.deadline.filter(|(own, _)| own.lsn >= self.origin.seen);
        let own = own.map(|(_, deadline)| deadline).or(self.whole.map(|_| Deadline::Wiped));
        if holds(Rule::LongestDeadline) {
            own.map_or(theirs, |own| own.max(theirs))
        } else {
            theirs
        }
    }

    /// A key that is not there keeps its deadline aside; one that comes back gets it back.
    fn settle_deadline(&mut self, there_before: bool, before: Deadline) {
        let there = !self.space.kinds(self.key).is_empty();
        let ghost = self.pending.ghost.filter(|_| holds(Rule::GhostDeadline));
        let deadline = match (there_before, self.deadline) {
            (_, Some(said)) => Some(said),
            (true, None) => Some(before),
            (false, None) => ghost,
        };
        if there {
            self.pending.ghost = None;
            if let Some(deadline) = deadline
                && self.space.deadline(self.key) != deadline.shown()
            {
                self.space.change(self.key, Change::Deadline(deadline.shown()));
            }
        } else {
            self.pending.ghost = deadline.filter(|deadline| deadline.shown().is_some());
        }
    }

    fn string(&mut self, incoming: &Incoming<'_>) {
        let current = self.space.string(self.key);
        let chain = &mut self.pending.string;
        let outcome = register::merge(self.origin, self.whole, chain, incoming, current.as_deref());
        if let After::Now(value) = self.decided(Item::String, outcome) {
            self.space.change(self.key, Change::String(value));
        }
    }

    fn field(&mut self, field: &Bytes, incoming: &Incoming<'_>) {
        let current = self.space.field(self.key, field);
        let mut chain = self.take_field(field);
        let outcome =
            register::merge(self.origin, self.whole, &mut chain, incoming, current.as_deref());
        if !chain.is_empty() {
            self.pending.fields.insert(field.clone(), chain);
        }
        if let After::Now(value) = self.decided(Item::Field(field.clone()), outcome) {
            self.space.change(self.key, Change::Field(field.clone(), value));
        }
    }

    /// The own writes on a field that the peer lacks.
    fn take_field(&mut self, field: &Bytes) -> Chain {
        let mut chain = self.pending.fields.remove(field).unwrap_or_default();
        chain.prune(self.origin.seen);
        if chain.is_empty() { Chain::default() } else { chain }
    }

    /// Reports what was decided, and says again what won; gives the value.
    fn decided(&mut self, item: Item, outcome: Outcome) -> After {
        if let Some((kind, winner, loser)) = outcome.conflict {
            self.conflict(kind, item, winner, loser);
        }
        if outcome.reassert && holds(Rule::Reassert) {
            // Only strings are patched.
            self.out.again.insert(Again::String(self.key.clone()));
        }
        outcome.value
    }

    fn conflict(&mut self, kind: Kind, item: Item, winner: Party, loser: Party) {
        self.out.conflicts.push(Conflict { kind, key: self.key.clone(), item, winner, loser });
    }

    fn delete_update(&mut self, item: Item, winner: &Origin, loser: &Origin) {
        self.conflict(Kind::DeleteUpdate, item, Party::new(winner, None), Party::new(loser, None));
    }

    /// The own last word on a member, if the record did not see it.
    fn member(&self, member: &Bytes) -> Option<(Origin, bool)> {
        let own = self.pending.members.get(member).copied();
        own.filter(|(own, _)| own.lsn >= self.origin.seen)
            .or(self.whole.map(|whole| (whole, false)))
    }

    fn member_added(&mut self, member: &Bytes) {
        let there = self.space.kinds(self.key);
        // If the key has another type now, that is what is reported.
        if let Some((own, false)) = self.member(member)
            && (there.is_empty() || there.holds(Kinds::SET))
        {
            self.delete_update(Item::Member(member.clone()), self.origin, &own);
        }
        self.space.change(self.key, Change::Member(member.clone(), true));
    }

    fn member_removed(&mut self, member: &Bytes) {
        match self.member(member) {
            Some((own, true)) if holds(Rule::UpdateBeatsDelete) => {
                self.delete_update(Item::Member(member.clone()), &own, self.origin);
            }
            _ => self.space.change(self.key, Change::Member(member.clone(), false)),
        }
    }

    fn score_assigned(&mut self, member: &Bytes, theirs: Option<f64>) {
        let score =
            register::merge_score(self.origin, self.whole, self.pending.scores.get(member), theirs);
        if let Some((kind, winner, loser)) = score.conflict {
            self.conflict(kind, Item::Score(member.clone()), winner, loser);
        } else if theirs.is_none() && score.value.is_some() {
            // Only additions stay.
            let item = Item::Score(member.clone());
            self.delete_update(item, &self.own_newest(), self.origin);
        }
        self.space.change(self.key, Change::Score(member.clone(), score.value));
    }

    fn score_added(&mut self, member: &Bytes, deltas: &[f64]) {
        let score = self.space.score(self.key, member);
        let deleted = self.pending.scores.get(member);
        let deleted = deleted.and_then(|chain| chain.assigned_since(self.origin.seen));
        let deleted = deleted.map(|(own, _)| own).or(self.whole);
        if let (None, Some(own)) = (score, deleted) {
            self.delete_update(Item::Score(member.clone()), self.origin, &own);
        }
        let score = score.unwrap_or_default();
        let score = deltas.iter().fold(score, |score, delta| score.plus(self.origin.side, *delta));
        self.space.change(self.key, Change::Score(member.clone(), Some(score)));
    }

    /// Carries the peer's edit over the own ones and those over it; gives what is to be done here.
    fn carry_list(&mut self, theirs: &Spans) -> Spans {
        let own_side = self.origin.side.peer();
        self.pending.list.retain(|(lsn, _)| *lsn >= self.origin.seen);
        self.pending.begin_list(&self.flushes);
        let mut theirs = theirs.clone();
        let mut popped_twice = Vec::new();
        let mut last = None;
        for (lsn, own) in &mut self.pending.list {
            let carried = own.carry(own_side, &theirs);
            if !carried.popped_twice.is_empty() {
                last = Some(*lsn);
            }
            popped_twice.extend(carried.popped_twice);
            if holds(Rule::TransformOwn) {
                *own = carried.own;
            }
            if holds(Rule::TransformTheirs) {
                theirs = carried.theirs;
            }
        }
        if let (Some(lsn), Some(element)) = (last, popped_twice.first()) {
            let own = Party { side: own_side, lsn, ..Party::new(self.origin, Some(element)) };
            let theirs = Party::new(self.origin, Some(element));
            self.conflict(Kind::DoublePop, Item::List, own, theirs);
        }
        theirs
    }
}

/// Reports that the two sides gave a key different types. Both are kept until the key is assigned.
fn type_clash(origin: &Origin, key: &Key, op: &KeyOp, space: &dyn Space, out: &mut Merged) {
    let kind = match op {
        KeyOp::Put(_) | KeyOp::Add(_) | KeyOp::Patch(_) => Kinds::STRING,
        KeyOp::FieldSet(..) | KeyOp::FieldAdd(..) => Kinds::HASH,
        KeyOp::MemberAdd(_) => Kinds::SET,
        KeyOp::ScoreSet(..) | KeyOp::ScoreAdd(..) => Kinds::ZSET,
        KeyOp::List(spans) if !spans.inserted().is_empty() => Kinds::LIST,
        _ => return,
    };
    let there = space.kinds(key);
    if there.is_empty() || there.holds(kind) {
        return;
    }
    let theirs = Party::new(origin, None);
    let own = Party { side: origin.side.peer(), lsn: origin.seen, ..Party::new(origin, None) };
    let theirs_shown = there.and(kind).shown() == kind;
    let (winner, loser) = if theirs_shown { (theirs, own) } else { (own, theirs) };
    let conflict = Conflict { kind: Kind::Type, key: key.clone(), item: Item::Key, winner, loser };
    out.conflicts.push(conflict);
}

fn flush(origin: &Origin, db: DbIndex, index: &mut Index, space: &mut dyn Space, out: &mut Merged) {
    let mut left = Vec::new();
    for key in index.keys_of(db) {
        if space.is_ahead(&key) {
            continue;
        }
        let Some(pending) = index.take(&key) else { continue };
        let whole = index.whole(db, Some(&pending)).filter(|whole| whole.lsn >= origin.seen);
        let flushes = index.flushes_since(db, origin.seen);
        let mut race =
            Race { origin, key: &key, whole, flushes, pending, space, out, deadline: None };
        let content = race.fold(&KeyOp::Del);
        let deadline = race.longest(Deadline::Wiped);
        let mut pending = race.pending;
        let ghost = content.kinds().is_empty() && deadline.shown().is_some();
        pending.ghost = ghost.then_some(deadline);
        if !content.kinds().is_empty() {
            left.push((key.clone(), content, deadline));
        }
        index.put_back(here(origin), &key, pending);
    }
    space.flush(db);
    if holds(Rule::FlushIsObserved) {
        for (key, content, deadline) in left {
            space.change(&key, Change::Replace(content, deadline.shown()));
        }
    }
}

/// Sides of additions whose results met.
fn same_result(own: &[(Origin, Added)], theirs: Added) -> Option<&Origin> {
    own.iter().find(|(_, own)| own.result == theirs.result).map(|(origin, _)| origin)
}

/// The side that merges a record of `origin`.
const fn here(origin: &Origin) -> NodeId {
    origin.side.peer()
}
