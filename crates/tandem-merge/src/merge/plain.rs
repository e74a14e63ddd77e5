//! Doing what an operation says, where nothing races with it.

use tandem_types::NodeId;

use crate::item::{Bytes, Change, Content, Key, Space};
use crate::number::{Number, with_added};
use crate::op::{KeyOp, Op};

/// Does an own operation: when it is made, and when the log is replayed.
pub fn apply_own(side: NodeId, op: &Op, space: &mut dyn Space) {
    match op {
        Op::Flush(db) => space.flush(*db),
        Op::Key(key, op) => apply(side, key, op, space),
        // Entered by the command that made it, or by the site that replays it.
        Op::Ledger(_) => {}
    }
}

/// Does one operation of `side` on a key.
pub(super) fn apply(side: NodeId, key: &Key, op: &KeyOp, space: &mut dyn Space) {
    let added =
        |current: Option<Bytes>, delta: Number| with_added(current.as_deref(), Some(delta)).0;
    let change = match op {
        KeyOp::Set { value, deadline } => {
            Change::Replace(Content::of_string(value.clone()), *deadline)
        }
        KeyOp::Restore { content, deadline } => {
            Change::Replace(content.as_ref().clone().settled(), *deadline)
        }
        KeyOp::Del | KeyOp::Expired => Change::Replace(Content::default(), None),
        KeyOp::Deadline(deadline) => {
            if space.kinds(key).is_empty() {
                return;
            }
            Change::Deadline(deadline.shown())
        }
        KeyOp::Put(value) => Change::String(Some(value.clone())),
        KeyOp::Add(by) => Change::String(added(space.string(key), by.delta)),
        KeyOp::Patch(patch) => Change::String(Some(patch.applied_to(space.string(key).as_deref()))),
        KeyOp::FieldSet(field, value) => Change::Field(field.clone(), Some(value.clone())),
        KeyOp::FieldDel(field) => Change::Field(field.clone(), None),
        KeyOp::FieldAdd(field, by) => {
            Change::Field(field.clone(), added(space.field(key, field), by.delta))
        }
        KeyOp::MemberAdd(member) => Change::Member(member.clone(), true),
        KeyOp::MemberDel(member) => Change::Member(member.clone(), false),
        KeyOp::ScoreSet(member, score) => {
            Change::Score(member.clone(), Some(crate::Score::new(*score)))
        }
        KeyOp::ScoreDel(member) => Change::Score(member.clone(), None),
        KeyOp::ScoreAdd(member, deltas) => {
            let score = space.score(key, member).unwrap_or_default();
            let score = deltas.iter().fold(score, |score, delta| score.plus(side, *delta));
            Change::Score(member.clone(), Some(score))
        }
        KeyOp::List(spans) => Change::List(spans.clone()),
    };
    space.change(key, change);
}
