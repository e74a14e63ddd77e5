//! From effects to what a merge needs.

use tandem_merge::{Added, Content, Deadline, Key, KeyOp, Number, Op, Patch, Score};
use tandem_types::DbIndex;

use crate::effect::Effect;
use crate::settings::Limits;
use crate::value::{ValueRef, codec};

/// Appends what an effect is. List edits and decimal additions say more than their effect does: their
/// mutators append them.
pub(crate) fn push_ops(ops: &mut Vec<Op>, db: DbIndex, key: &[u8], effect: Effect<'_>) {
    match effect {
        Effect::FlushDb => ops.push(Op::Flush(db)),
        Effect::FlushAll => ops.extend(DbIndex::all().map(Op::Flush)),
        effect => {
            let op = key_op(effect);
            ops.extend(op.map(|op| Op::Key(Key { db, name: key.into() }, op)));
        }
    }
}

fn key_op(effect: Effect<'_>) -> Option<KeyOp> {
    Some(match effect {
        Effect::SetString { value, deadline } => KeyOp::Set { value: value.into(), deadline },
        Effect::Del => KeyOp::Del,
        Effect::Expired => KeyOp::Expired,
        Effect::ExpireAt(deadline) => KeyOp::Deadline(Deadline::At(deadline)),
        Effect::Persist => KeyOp::Deadline(Deadline::Never),
        Effect::Incr { delta, result } => KeyOp::Add(whole(delta, result)),
        Effect::Append(bytes) => KeyOp::Patch(Patch { offset: Patch::AT_END, bytes: bytes.into() }),
        Effect::SetRange { offset, bytes } => KeyOp::Patch(Patch { offset, bytes: bytes.into() }),
        Effect::Restore { value, deadline } => {
            // The mutator has just serialised it.
            let value = codec::parse(value, &Limits::default()).ok()?;
            KeyOp::Restore { content: Box::new(content_of(value.as_ref())), deadline }
        }
        Effect::HashSet { field, value } => KeyOp::FieldSet(field.into(), value.into()),
        Effect::HashDel(field) => KeyOp::FieldDel(field.into()),
        Effect::HashIncr { field, delta, result } => {
            KeyOp::FieldAdd(field.into(), whole(delta, result))
        }
        Effect::SetAdd(member) => KeyOp::MemberAdd(member.into()),
        Effect::SetRem(member) => KeyOp::MemberDel(member.into()),
        Effect::ZsetAdd { member, score } => KeyOp::ScoreSet(member.into(), score),
        Effect::ZsetIncr { member, delta, .. } => KeyOp::ScoreAdd(member.into(), vec![delta]),
        Effect::ZsetRem(member) => KeyOp::ScoreDel(member.into()),
        Effect::IncrFloat { .. }
        | Effect::HashIncrFloat { .. }
        | Effect::ListPushFront(_)
        | Effect::ListPushBack(_)
        | Effect::ListPopFront
        | Effect::ListPopBack
        | Effect::ListSet { .. }
        | Effect::ListInsert { .. }
        | Effect::ListRemove { .. }
        | Effect::ListTrim { .. }
        // Not among two writers: `MergeRefusal::Stream`.
        | Effect::StreamAdd { .. }
        | Effect::StreamDel(_)
        | Effect::StreamTrim { .. }
        | Effect::StreamHead { .. }
        | Effect::StreamGroup { .. }
        | Effect::StreamGroupDel(_)
        | Effect::StreamSeen { .. }
        | Effect::StreamConsumerDel { .. }
        | Effect::StreamGive { .. }
        | Effect::StreamAck { .. }
        | Effect::FlushDb
        | Effect::FlushAll => return None,
    })
}

const fn whole(delta: i64, result: i64) -> Added {
    Added { delta: Number::from_int(delta), result: Number::from_int(result) }
}

/// An addition of decimals, if it is exact: then it can be merged as one.
pub(crate) fn added(old: Option<&[u8]>, delta: &[u8], result: &[u8]) -> Option<Added> {
    let old = old.map_or(Some(Number::ZERO), Number::parse)?;
    let (delta, result) = (Number::parse(delta)?, Number::parse(result)?);
    (old + delta == result).then_some(Added { delta, result })
}

/// A value, taken apart.
pub(crate) fn content_of(value: ValueRef<'_>) -> Content {
    let mut content = Content::default();
    match value {
        ValueRef::String { bytes, .. } => content.string = Some(bytes.into()),
        ValueRef::List(list) => content.list = list.iter().map(Into::into).collect(),
        ValueRef::Hash(hash) => {
            content.hash = hash.iter().map(|(field, value)| (field.into(), value.into())).collect();
        }
        ValueRef::Set(set) => {
            content.set = set.iter().map(|member| member.as_ref().into()).collect();
        }
        ValueRef::Zset(zset) => {
            let member = |(member, score): (&[u8], f64)| (member.into(), Score::new(score));
            content.zset = zset.iter().map(member).collect();
        }
        // Not among two writers.
        ValueRef::Stream(_) => {}
    }
    content
}
