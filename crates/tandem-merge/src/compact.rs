//! Compaction of the records that the peer does not have yet.
//!
//! What a later own write made dead is dropped, wherever that stands: the outcome for an item depends on the
//! last assignment and the additions after it only, and a peer that has the records up to some place between
//! the two may as well say that it has seen the dead one. Survivors keep position, `seen` and stamp.
//!
//! Additions to one item that saw the same become one. That moves an effect to another position, so it
//! happens only within a [`Chunk`], which the peer takes as a whole: had it only part of one, it would say
//! that it has seen what is still to come.
//!
//! Statements about counters and sequences are absolute: of those in one chunk the last is enough. Across
//! chunks all stay, because a block of ids is burnt once the peer has the chunk that first says so.
//!
//! Lists are another matter: positions of the peer's edits count from all that it has seen. So a list edit,
//! or what an assignment of the whole key does to a list, is dropped only if what killed it is in the same
//! chunk, and edits are never joined.
//!
//! A key may come to be only by a later write than the one that made it first; until then its deadline is
//! kept aside (`Chunk::whole_at`).
//!
//! A tail that is read in several stretches is compacted stretch by stretch; that something after a stretch
//! kills what is in it, the index says.
//!
//! So the cost of a long cut is bounded by the items written, not by the writes. What is given up is that
//! a transaction in such a tail becomes visible at once at the peer.

use std::collections::{BTreeMap, BTreeSet};

use tandem_types::{DbIndex, Lsn, NodeId};

use crate::conflict::Item;
use crate::item::Key;
use crate::ledger::LedgerOp;
use crate::op::{Added, Chunk, KeyOp, Op, Record};
use crate::planted::{Rule, holds};
use crate::spans::Spans;

/// Shortens `records`, all own ones from `from` on, into chunks of about `ops_max` operations.
pub fn compact(from: Lsn, records: Vec<Record>, ops_max: usize) -> Vec<Chunk> {
    let end = records.last().map_or(from, |record| record.origin.lsn.next());
    compact_before(from, records, ops_max, end, &|_, _, _| false)
}

/// The same of a stretch of what is to be sent, which ends at `end`: what comes after the stretch, and kills
/// operations in it, is known by `killed` (key, operation, its position).
pub(crate) fn compact_before(
    from: Lsn,
    mut records: Vec<Record>,
    ops_max: usize,
    end: Lsn,
    killed: &dyn Fn(&Key, &KeyOp, Lsn) -> bool,
) -> Vec<Chunk> {
    let whole_at = records.last().map_or(from, |record| record.origin.lsn.next()).max(end);
    let mut later = Later::default();
    for record in records.iter_mut().rev() {
        let (side, lsn) = (record.origin.side, record.origin.lsn);
        let ops = record.ops.drain(..).rev();
        let live = ops.filter_map(|op| {
            let needed = later.needs(&op);
            let dead = matches!(&op, Op::Key(key, key_op) if killed(key, key_op, lsn));
            if needed && !dead { Some(op) } else { list_part(side, op) }
        });
        let mut live: Vec<Op> = live.collect();
        live.reverse();
        record.ops = live;
    }
    let mut chunks = Vec::new();
    let mut chunk = Joining::new(from, whole_at);
    for record in records {
        chunk.push(record);
        if chunk.ops >= ops_max {
            let next = Joining::new(chunk.end, whole_at);
            chunks.extend(std::mem::replace(&mut chunk, next).finish());
        }
    }
    chunks.extend(chunk.finish());
    chunks
}

/// What a dead assignment of a whole key does to its list: that stays, unless what killed it is in the same
/// chunk, because positions of the peer's edits count from it.
fn list_part(side: NodeId, op: Op) -> Option<Op> {
    let Op::Key(key, op) = op else { return None };
    let edit = match op {
        KeyOp::Restore { content, .. } => Spans::replace(side, content.list),
        KeyOp::Set { .. } | KeyOp::Del | KeyOp::Expired => Spans::clear(),
        _ => return None,
    };
    Some(Op::Key(key, KeyOp::List(edit)))
}

/// What later records assign, while walking back.
#[derive(Default)]
struct Later {
    flushed: BTreeSet<DbIndex>,
    whole: BTreeSet<Key>,
    assigned: BTreeSet<(Key, Item)>,
}

impl Later {
    /// Whether an operation still counts; notes what it assigns.
    fn needs(&mut self, op: &Op) -> bool {
        let (key, op) = match op {
            Op::Flush(db) => {
                // Kept even if a later one follows: it emptied lists too.
                self.flushed.insert(*db);
                return true;
            }
            // Joined within a chunk.
            Op::Ledger(_) => return true,
            Op::Key(key, op) => (key, op),
        };
        if matches!(op, KeyOp::List(_)) {
            return true;
        }
        if self.flushed.contains(&key.db) || self.whole.contains(key) {
            return false;
        }
        match op {
            KeyOp::Set { .. } | KeyOp::Restore { .. } | KeyOp::Del | KeyOp::Expired => {
                self.whole.insert(key.clone())
            }
            KeyOp::Deadline(_)
            | KeyOp::Put(_)
            | KeyOp::FieldSet(..)
            | KeyOp::FieldDel(_)
            | KeyOp::MemberAdd(_)
            | KeyOp::MemberDel(_)
            | KeyOp::ScoreSet(..)
            | KeyOp::ScoreDel(_) => self.assigned.insert((key.clone(), item(op))),
            KeyOp::Patch(_) if !holds(Rule::CompactOnlyDead) => {
                self.assigned.insert((key.clone(), item(op)))
            }
            // These need what was there before them, so they kill nothing.
            KeyOp::Add(_)
            | KeyOp::FieldAdd(..)
            | KeyOp::ScoreAdd(..)
            | KeyOp::Patch(_)
            | KeyOp::List(_) => !self.assigned.contains(&(key.clone(), item(op))),
        }
    }
}

/// The part of a key that an operation is about.
fn item(op: &KeyOp) -> Item {
    match op {
        KeyOp::Set { .. } | KeyOp::Restore { .. } | KeyOp::Del | KeyOp::Expired => Item::Key,
        KeyOp::Deadline(_) => Item::Deadline,
        KeyOp::Put(_) | KeyOp::Add(_) | KeyOp::Patch(_) => Item::String,
        KeyOp::FieldSet(field, _) | KeyOp::FieldDel(field) | KeyOp::FieldAdd(field, _) => {
            Item::Field(field.clone())
        }
        KeyOp::MemberAdd(member) | KeyOp::MemberDel(member) => Item::Member(member.clone()),
        KeyOp::ScoreSet(member, _) | KeyOp::ScoreDel(member) | KeyOp::ScoreAdd(member, _) => {
            Item::Score(member.clone())
        }
        KeyOp::List(_) => Item::List,
    }
}

/// A chunk being filled.
struct Joining {
    from: Lsn,
    whole_at: Lsn,
    end: Lsn,
    ops: usize,
    records: Vec<Record>,
    /// What this chunk has of each key since the last assignment of the whole key, and with it.
    keys: BTreeMap<Key, Since>,
    /// The last statement about each counter and sequence in this chunk.
    stated: BTreeMap<(About, Key), Place>,
}

/// Where an operation stands in the chunk: the number of the record, and the place in it.
type Place = (usize, usize);

/// Operations on one key.
#[derive(Default)]
struct Since {
    /// The last one on each item: one after it may join it.
    last: BTreeMap<Item, Place>,
    /// All edits of its list.
    edits: Vec<Place>,
}

/// What a statement is about.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum About {
    Counter,
    Sequence,
    Need,
}

impl Joining {
    const fn new(from: Lsn, whole_at: Lsn) -> Self {
        Self {
            from,
            whole_at,
            end: from,
            ops: 0,
            records: Vec::new(),
            keys: BTreeMap::new(),
            stated: BTreeMap::new(),
        }
    }

    fn push(&mut self, record: Record) {
        self.end = record.origin.lsn.next();
        let number = self.records.len();
        let mut kept = Record { origin: record.origin, ops: Vec::new() };
        for op in record.ops {
            let kept_op = self.join(number, &mut kept, op);
            self.ops += usize::from(kept_op);
        }
        self.records.push(kept);
    }

    /// Adds an operation, or lets it join an earlier one of the chunk: then `false`.
    fn join(&mut self, number: usize, kept: &mut Record, op: Op) -> bool {
        let (key, key_op) = match &op {
            Op::Key(key, key_op) => (key, key_op),
            Op::Flush(db) => {
                for (key, since) in std::mem::take(&mut self.keys) {
                    if key.db == *db {
                        self.forget_edits(number, kept, &since.edits);
                    }
                }
                kept.ops.push(op);
                return true;
            }
            Op::Ledger(_) => return self.state(number, kept, op),
        };
        let item = item(key_op);
        if item == Item::Key {
            if let Some(since) = self.keys.remove(key) {
                self.forget_edits(number, kept, &since.edits);
            }
        } else if let Some((in_record, at)) = self.last(key, &item) {
            let seen = kept.origin.seen;
            let earlier = self.record(in_record, number, kept);
            let earlier = earlier.filter(|record| record.origin.seen == seen);
            if let Some(Op::Key(_, earlier)) = earlier.and_then(|record| record.ops.get_mut(at))
                && joined(earlier, key_op)
            {
                return false;
            }
        }
        let place = (number, kept.ops.len());
        let since = self.keys.entry(key.clone()).or_default();
        if item == Item::List {
            since.edits.push(place);
        }
        since.last.insert(item, place);
        kept.ops.push(op);
        true
    }

    /// Record `in_record` of the chunk; the one with this `number` is only being filled.
    fn record<'r>(
        &'r mut self,
        in_record: usize,
        number: usize,
        kept: &'r mut Record,
    ) -> Option<&'r mut Record> {
        if in_record == number { Some(kept) } else { self.records.get_mut(in_record) }
    }

    fn last(&self, key: &Key, item: &Item) -> Option<Place> {
        self.keys.get(key)?.last.get(item).copied()
    }

    /// Adds a statement, or lets it take the place of an earlier one of the chunk: then `false`.
    fn state(&mut self, number: usize, kept: &mut Record, op: Op) -> bool {
        let Op::Ledger(statement) = &op else { return true };
        let place = match statement {
            LedgerOp::Escrow(key, _) => (About::Counter, key.clone()),
            LedgerOp::Sequence { key, .. } => (About::Sequence, key.clone()),
            LedgerOp::Ask(asked) => (About::Need, asked.key.clone()),
            LedgerOp::Counter(..)
            | LedgerOp::Policy { .. }
            | LedgerOp::Exclusive(_)
            | LedgerOp::Resolved(..) => {
                kept.ops.push(op);
                return true;
            }
        };
        if let Some(&(in_record, at)) = self.stated.get(&place) {
            let earlier = self.record(in_record, number, kept);
            if let Some(Op::Ledger(earlier)) = earlier.and_then(|record| record.ops.get_mut(at))
                && says_more(statement, earlier)
            {
                *earlier = statement.clone();
                return false;
            }
        }
        self.stated.insert(place, (number, kept.ops.len()));
        kept.ops.push(op);
        true
    }

    /// These edits of lists are dead.
    fn forget_edits(&mut self, number: usize, kept: &mut Record, edits: &[Place]) {
        for &(in_record, at) in edits {
            let record = self.record(in_record, number, kept);
            if let Some(Op::Key(_, KeyOp::List(spans))) = record.and_then(|it| it.ops.get_mut(at)) {
                *spans = Spans::new();
            }
        }
    }

    fn finish(mut self) -> Option<Chunk> {
        for record in &mut self.records {
            record
                .ops
                .retain(|op| !matches!(op, Op::Key(_, KeyOp::List(edit)) if edit.is_identity()));
        }
        // The last record stays even without operations: it says how far the chunk reaches.
        let last = self.records.len().checked_sub(1)?;
        let mut number = 0;
        self.records.retain(|record| {
            number += 1;
            number > last || !record.ops.is_empty()
        });
        Some(Chunk { from: self.from, records: self.records, whole_at: self.whole_at })
    }
}

/// Whether a statement says all that an earlier one about the same says, so that it may stand in its place.
fn says_more(statement: &LedgerOp, earlier: &LedgerOp) -> bool {
    match (statement, earlier) {
        // One about another creation has to stand behind that creation.
        (LedgerOp::Escrow(_, new), LedgerOp::Escrow(_, old)) => {
            new.generation == old.generation && new.side == old.side
        }
        (LedgerOp::Sequence { progress: new, .. }, LedgerOp::Sequence { progress: old, .. }) => {
            new.side == old.side
        }
        (LedgerOp::Ask(_), LedgerOp::Ask(_)) => true,
        _ => false,
    }
}

/// Makes `earlier` do what it and `next` do.
fn joined(earlier: &mut KeyOp, next: &KeyOp) -> bool {
    match (earlier, next) {
        (KeyOp::Add(earlier), KeyOp::Add(next))
        | (KeyOp::FieldAdd(_, earlier), KeyOp::FieldAdd(_, next)) => {
            *earlier = Added { delta: earlier.delta + next.delta, result: next.result };
            true
        }
        (KeyOp::ScoreAdd(_, earlier), KeyOp::ScoreAdd(_, next)) => {
            // Not summed: the order of floating-point sums counts.
            earlier.extend_from_slice(next);
            true
        }
        _ => false,
    }
}
