//! What a peer that was given up turned out to have written: what of it is written again here, and what is only told.
//!
//! Written again is what does not depend on what this node did meanwhile: additions, members, elements pushed,
//! sales of a bounded counter. Everything else is for people: an entry of kind `salvage` with the lost value.

use std::collections::BTreeMap;

use tandem_merge::conflict::{Item, Kind, Party};
use tandem_merge::escrow::{Forget, Statement};
use tandem_merge::{
    Added, Bytes, Conflict, Deadline, Key, KeyOp, Kinds, LedgerOp, Number, Op, Origin, Record,
    Space, Span, Spans,
};
use tandem_store::Store;
use tandem_types::{Lsn, Stamp};

use super::beside::ops_of;
use super::{CopyFault, Forgotten, Writer};

/// What is to be done with what a forgotten peer wrote.
#[derive(Debug, Default)]
pub(crate) struct Salvage {
    /// Written again by this node.
    pub(crate) again: Vec<Op>,
    /// Told as conflicts.
    pub(crate) rest: Vec<Op>,
    /// All of it, for people.
    pub(crate) lines: Vec<String>,
}

/// How one counter comes out.
struct Settled {
    sold: u64,
    added: u64,
    /// What this node writes: the sales that nobody else had.
    statement: Option<Statement>,
    /// So many more were sold than there were.
    oversold: u64,
}

impl Writer {
    /// Looks at what the forgotten peer wrote.
    pub(crate) fn sort_salvage(&self, records: &[Record], store: &mut Store) -> Salvage {
        let mut salvage = Salvage::default();
        let Some(forgotten) = &self.forgotten else { return salvage };
        let mut statements: BTreeMap<&Key, &Statement> = BTreeMap::new();
        for op in records.iter().flat_map(|record| &record.ops) {
            match op {
                Op::Key(key, op) => sort_one(key, op, store, &mut salvage),
                Op::Flush(db) => salvage.lines.push(format!("database {db:?} emptied: not done")),
                // Totals: the last one says all.
                Op::Ledger(LedgerOp::Escrow(key, statement)) => {
                    statements.insert(key, statement);
                }
                // Which ids were given must be known, so that none is given again.
                Op::Ledger(LedgerOp::Sequence { .. }) => salvage.again.push(op.clone()),
                Op::Ledger(LedgerOp::Counter(key, _)) => {
                    salvage.lines.push(format!("{}: a counter was created: told", name(key)));
                    salvage.rest.push(op.clone());
                }
                Op::Ledger(LedgerOp::Policy { prefix, .. }) => {
                    let prefix = prefix.escape_ascii();
                    salvage.lines.push(format!("policy of {prefix}: not set"));
                }
                Op::Ledger(LedgerOp::Ask(_) | LedgerOp::Exclusive(_) | LedgerOp::Resolved(..)) => {}
            }
        }
        for (key, statement) in statements {
            let Some(settled) = self.settle(forgotten, key, statement, store) else { continue };
            let Settled { sold, added, oversold, .. } = settled;
            let how = match forgotten.rights {
                Some(Forget::Destroy) => "its rights were destroyed, nothing to do".to_owned(),
                _ if oversold > 0 => format!("entered; oversold {oversold}"),
                _ => "entered".to_owned(),
            };
            salvage.lines.push(format!("{}: {sold} sold, {added} added: {how}", name(key)));
            let own = |statement| Op::Ledger(LedgerOp::Escrow(key.clone(), statement));
            salvage.again.extend(settled.statement.map(own));
            if oversold > 0 {
                salvage.rest.push(own(*statement));
            }
        }
        salvage
    }

    /// What a counter comes to with the last totals of the forgotten peer.
    fn settle(
        &self,
        forgotten: &Forgotten,
        key: &Key,
        last: &Statement,
        store: &Store,
    ) -> Option<Settled> {
        let (here, lost) = (self.site.side(), self.site.side().peer());
        let known = forgotten.counter(key)?;
        let counter = store.ledger()?.counter(key)?;
        if last.side != lost || last.generation != known.generation() {
            return None;
        }
        let before = known.totals(lost);
        let sold = last.totals.taken.saturating_sub(before.taken);
        let added = last.totals.added.saturating_sub(before.added);
        let mut settled = Settled { sold, added, statement: None, oversold: 0 };
        let enters = forgotten.rights != Some(Forget::Destroy) && sold != added;
        if enters && counter.generation() == known.generation() {
            let mut counter = *counter;
            if sold > added {
                settled.oversold = counter.adjust(here, sold - added);
                settled.statement = Some(counter.statement(here));
            } else {
                settled.statement = counter.add(here, added - sold).ok();
            }
        }
        Some(settled)
    }

    /// What the peer wrote before `upto` is dealt with; tells what is not written again.
    pub(super) fn salvaged(
        &mut self,
        upto: Lsn,
        rest: &[u8],
        store: &mut Store,
        lsn_end: Lsn,
    ) -> Result<(), CopyFault> {
        let ops = ops_of(rest).map_err(|error| CopyFault(error.to_string()))?;
        let mut conflicts = Vec::new();
        if let Some(forgotten) = &self.forgotten {
            for op in &ops {
                conflicts.extend(self.lost(forgotten, op, store));
            }
        }
        store.merge_space(lsn_end).told(&conflicts);
        if let Some(forgotten) = &mut self.forgotten {
            forgotten.has = upto;
        }
        Ok(())
    }

    /// A write of the peer that is not done here, for people.
    fn lost(&self, forgotten: &Forgotten, op: &Op, store: &mut Store) -> Option<Conflict> {
        let side = self.site.side();
        let origin = |side, lsn| Origin { side, lsn, seen: Lsn::ZERO, stamp: Stamp::ZERO };
        let (ours, theirs) =
            (origin(side, self.site.own_end()), origin(side.peer(), forgotten.has));
        let (kind, key, item, value) = match op {
            Op::Key(key, op) => (Kind::Salvage, key, item_of(op), value_of(op)),
            Op::Ledger(LedgerOp::Counter(key, _)) => (Kind::Salvage, key, Item::Key, None),
            Op::Ledger(LedgerOp::Escrow(key, last)) => {
                let oversold = self.settle(forgotten, key, last, store)?.oversold;
                (Kind::Oversold, key, Item::Key, Some(oversold.to_string().into_bytes().into()))
            }
            Op::Flush(_) | Op::Ledger(_) => return None,
        };
        let value: Option<Bytes> = value;
        let current = store.merge_space(Lsn::ZERO).string(key);
        let winner = Party::new(&ours, current.as_deref());
        let loser = Party::new(&theirs, value.as_deref());
        Some(Conflict { kind, key: key.clone(), item, winner, loser })
    }
}

fn sort_one(key: &Key, op: &KeyOp, store: &mut Store, salvage: &mut Salvage) {
    let space = store.merge_space(Lsn::ZERO);
    let there = space.kinds(key);
    let fits = |kind: Kinds| there.is_empty() || there == kind;
    let again = match op {
        KeyOp::Deadline(Deadline::Wiped) => return,
        KeyOp::Add(added) if fits(Kinds::STRING) => {
            let current = space.string(key);
            with_result(current.as_deref(), added.delta).map(KeyOp::Add)
        }
        KeyOp::FieldAdd(field, added) if fits(Kinds::HASH) => {
            let current = space.field(key, field);
            let added = with_result(current.as_deref(), added.delta);
            added.map(|added| KeyOp::FieldAdd(field.clone(), added))
        }
        KeyOp::MemberAdd(_) if fits(Kinds::SET) => Some(op.clone()),
        KeyOp::ScoreAdd(..) if fits(Kinds::ZSET) => Some(op.clone()),
        KeyOp::List(spans) if fits(Kinds::LIST) && only_pushes(spans) => {
            let length = space.content(key).list.len();
            Some(KeyOp::List(pushed(spans, length, &salvage.again, key)))
        }
        _ => None,
    };
    let name = name(key);
    let Some(again) = again else {
        salvage.lines.push(format!("{name}: {}: told", words(op)));
        salvage.rest.push(Op::Key(key.clone(), op.clone()));
        return;
    };
    salvage.lines.push(format!("{name}: {}: written again", words(op)));
    let anew = there.is_empty() && !salvage.again.iter().any(|op| is_of(op, key));
    salvage.again.push(Op::Key(key.clone(), again));
    if anew {
        salvage.again.push(Op::Key(key.clone(), KeyOp::Deadline(Deadline::Wiped)));
    }
}

fn name(key: &Key) -> String {
    key.name.escape_ascii().to_string()
}

fn is_of(op: &Op, key: &Key) -> bool {
    matches!(op, Op::Key(other, _) if other == key)
}

/// The addition as one that is made now; `None`: there is no number.
fn with_result(current: Option<&[u8]>, delta: Number) -> Option<Added> {
    let current = current.map_or(Some(Number::ZERO), Number::parse)?;
    Some(Added { delta, result: current + delta })
}

fn only_pushes(spans: &Spans) -> bool {
    let stays = |span: &Span| matches!(span, Span::Keep(_) | Span::Insert(_));
    spans.steps().iter().all(stays) && !spans.inserted().is_empty()
}

/// The elements at the end at which they were pushed, of a list that has `length` now and gets what is written
/// again before this.
fn pushed(spans: &Spans, length: usize, before: &[Op], key: &Key) -> Spans {
    let mut edit = Spans::new();
    if !matches!(spans.steps().first(), Some(Span::Insert(_))) || length == 0 {
        let earlier = before.iter().filter(|op| is_of(op, key)).map(|op| match op {
            Op::Key(_, KeyOp::List(spans)) => spans.inserted().len(),
            _ => 0,
        });
        let length = length + earlier.sum::<usize>();
        edit.keep(u64::try_from(length).unwrap_or(u64::MAX));
    }
    edit.insert(spans.inserted());
    edit
}

fn item_of(op: &KeyOp) -> Item {
    match op {
        KeyOp::Put(_) | KeyOp::Add(_) | KeyOp::Patch(_) => Item::String,
        KeyOp::FieldSet(field, _) | KeyOp::FieldDel(field) | KeyOp::FieldAdd(field, _) => {
            Item::Field(field.clone())
        }
        KeyOp::MemberAdd(member) | KeyOp::MemberDel(member) => Item::Member(member.clone()),
        KeyOp::ScoreSet(member, _) | KeyOp::ScoreAdd(member, _) | KeyOp::ScoreDel(member) => {
            Item::Score(member.clone())
        }
        KeyOp::List(_) => Item::List,
        KeyOp::Deadline(_) => Item::Deadline,
        KeyOp::Set { .. } | KeyOp::Restore { .. } | KeyOp::Del | KeyOp::Expired => Item::Key,
    }
}

fn value_of(op: &KeyOp) -> Option<Bytes> {
    match op {
        KeyOp::Set { value, .. } | KeyOp::Put(value) | KeyOp::FieldSet(_, value) => {
            Some(value.clone())
        }
        KeyOp::Restore { content, .. } => content.string.clone(),
        KeyOp::Patch(patch) => Some(patch.bytes.clone()),
        KeyOp::ScoreSet(_, score) => Some(score.to_string().into_bytes().into()),
        _ => None,
    }
}

fn words(op: &KeyOp) -> String {
    let text = |bytes: &[u8]| {
        let shown = bytes.get(..64).unwrap_or(bytes).escape_ascii();
        if bytes.len() > 64 { format!("{shown}...") } else { shown.to_string() }
    };
    let number = |number: Number| String::from_utf8_lossy(&number.to_text()).into_owned();
    match op {
        KeyOp::Set { value, .. } | KeyOp::Put(value) => format!("set to {}", text(value)),
        KeyOp::Restore { .. } => "replaced as a whole".into(),
        KeyOp::Del => "deleted".into(),
        KeyOp::Expired => "expired".into(),
        KeyOp::Deadline(_) => "another deadline".into(),
        KeyOp::Add(added) => format!("{} added", number(added.delta)),
        KeyOp::Patch(_) => "changed in part".into(),
        KeyOp::FieldSet(field, value) => format!("field {} set to {}", text(field), text(value)),
        KeyOp::FieldDel(field) => format!("field {} deleted", text(field)),
        KeyOp::FieldAdd(field, added) => {
            format!("{} added to field {}", number(added.delta), text(field))
        }
        KeyOp::MemberAdd(member) => format!("member {} added", text(member)),
        KeyOp::MemberDel(member) | KeyOp::ScoreDel(member) => {
            format!("member {} removed", text(member))
        }
        KeyOp::ScoreSet(member, score) => format!("score of {} set to {score}", text(member)),
        KeyOp::ScoreAdd(member, _) => format!("score of {} added to", text(member)),
        KeyOp::List(spans) if only_pushes(spans) => {
            let elements: Vec<String> = spans.inserted().iter().map(|it| text(it)).collect();
            format!("{} pushed", elements.join(" "))
        }
        KeyOp::List(_) => "list edited".into(),
    }
}
