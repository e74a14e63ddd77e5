//! One operation as bytes.

use std::collections::{BTreeMap, BTreeSet};

use tandem_types::{DbIndex, WallMillis};

use super::ledger::{put_ledger, read_ledger};
use super::{Bytes, CodecError, put_bytes, put_uint, wide};
use crate::item::{Content, Deadline, Key};
use crate::number::Number;
use crate::op::{Added, KeyOp, Op, Patch};
use crate::score::Score;
use crate::spans::{Span, Spans};

/// The kinds. Numbers are never reused.
pub(super) mod kind {
    pub(super) const FLUSH: u8 = 0;
    pub(super) const SET: u8 = 1;
    pub(super) const RESTORE: u8 = 2;
    pub(super) const DEL: u8 = 3;
    pub(super) const EXPIRED: u8 = 4;
    pub(super) const DEADLINE: u8 = 5;
    pub(super) const PUT: u8 = 6;
    pub(super) const ADD: u8 = 7;
    pub(super) const PATCH: u8 = 8;
    pub(super) const FIELD_SET: u8 = 9;
    pub(super) const FIELD_DEL: u8 = 10;
    pub(super) const FIELD_ADD: u8 = 11;
    pub(super) const MEMBER_ADD: u8 = 12;
    pub(super) const MEMBER_DEL: u8 = 13;
    pub(super) const SCORE_SET: u8 = 14;
    pub(super) const SCORE_ADD: u8 = 15;
    pub(super) const SCORE_DEL: u8 = 16;
    pub(super) const LIST: u8 = 17;
    pub(in crate::codec) const COUNTER: u8 = 32;
    pub(in crate::codec) const ESCROW: u8 = 33;
    pub(in crate::codec) const SEQUENCE: u8 = 34;
    pub(in crate::codec) const POLICY: u8 = 35;
    pub(in crate::codec) const ASK: u8 = 36;
    pub(in crate::codec) const EXCLUSIVE: u8 = 37;
    pub(in crate::codec) const RESOLVED: u8 = 38;
}

/// The steps of a list edit.
mod step {
    pub(super) const KEEP: u8 = 0;
    pub(super) const INSERT: u8 = 1;
    pub(super) const DELETE: u8 = 2;
    pub(super) const POP: u8 = 3;
}

pub(super) fn put_op(out: &mut Vec<u8>, op: &Op) {
    let (key, op) = match op {
        Op::Flush(db) => return out.extend([kind::FLUSH, db.get()]),
        Op::Key(key, op) => (key, op),
        Op::Ledger(op) => return put_ledger(out, op),
    };
    out.extend([kind_of(op), key.db.get()]);
    put_bytes(out, &key.name);
    put_key_op_body(out, op);
}

/// What is done to a key, without the key.
pub(crate) fn put_key_op(out: &mut Vec<u8>, op: &KeyOp) {
    out.push(kind_of(op));
    put_key_op_body(out, op);
}

fn put_key_op_body(out: &mut Vec<u8>, op: &KeyOp) {
    match op {
        KeyOp::Set { value, deadline } => {
            put_deadline(out, Deadline::of(*deadline));
            put_bytes(out, value);
        }
        KeyOp::Restore { content, deadline } => {
            put_deadline(out, Deadline::of(*deadline));
            put_content(out, content);
        }
        KeyOp::Del | KeyOp::Expired => {}
        KeyOp::Deadline(deadline) => put_deadline(out, *deadline),
        KeyOp::Put(bytes)
        | KeyOp::FieldDel(bytes)
        | KeyOp::MemberAdd(bytes)
        | KeyOp::MemberDel(bytes)
        | KeyOp::ScoreDel(bytes) => put_bytes(out, bytes),
        KeyOp::Add(added) => put_added(out, added),
        KeyOp::Patch(patch) => {
            put_uint(out, patch.offset);
            put_bytes(out, &patch.bytes);
        }
        KeyOp::FieldSet(field, value) => {
            put_bytes(out, field);
            put_bytes(out, value);
        }
        KeyOp::FieldAdd(field, added) => {
            put_bytes(out, field);
            put_added(out, added);
        }
        KeyOp::ScoreSet(member, score) => {
            put_bytes(out, member);
            out.extend(score.to_le_bytes());
        }
        KeyOp::ScoreAdd(member, deltas) => {
            put_bytes(out, member);
            put_uint(out, wide(deltas.len()));
            for delta in deltas {
                out.extend(delta.to_le_bytes());
            }
        }
        KeyOp::List(spans) => put_spans(out, spans),
    }
}

const fn kind_of(op: &KeyOp) -> u8 {
    match op {
        KeyOp::Set { .. } => kind::SET,
        KeyOp::Restore { .. } => kind::RESTORE,
        KeyOp::Del => kind::DEL,
        KeyOp::Expired => kind::EXPIRED,
        KeyOp::Deadline(_) => kind::DEADLINE,
        KeyOp::Put(_) => kind::PUT,
        KeyOp::Add(_) => kind::ADD,
        KeyOp::Patch(_) => kind::PATCH,
        KeyOp::FieldSet(..) => kind::FIELD_SET,
        KeyOp::FieldDel(_) => kind::FIELD_DEL,
        KeyOp::FieldAdd(..) => kind::FIELD_ADD,
        KeyOp::MemberAdd(_) => kind::MEMBER_ADD,
        KeyOp::MemberDel(_) => kind::MEMBER_DEL,
        KeyOp::ScoreSet(..) => kind::SCORE_SET,
        KeyOp::ScoreAdd(..) => kind::SCORE_ADD,
        KeyOp::ScoreDel(_) => kind::SCORE_DEL,
        KeyOp::List(_) => kind::LIST,
    }
}

pub(super) fn read_op(bytes: &mut Bytes<'_>) -> Result<Op, CodecError> {
    let kind = bytes.byte()?;
    if kind >= kind::COUNTER {
        return read_ledger(kind, bytes).map(Op::Ledger);
    }
    let db = bytes.byte()?;
    let db = DbIndex::new(db).ok_or(CodecError::Value { what: "database", value: db.into() })?;
    if kind == kind::FLUSH {
        return Ok(Op::Flush(db));
    }
    let key = Key { db, name: bytes.bytes()? };
    Ok(Op::Key(key, read_key_op_body(kind, bytes)?))
}

/// What is done to a key, without the key.
pub(crate) fn read_key_op(bytes: &mut Bytes<'_>) -> Result<KeyOp, CodecError> {
    let kind = bytes.byte()?;
    read_key_op_body(kind, bytes)
}

fn read_key_op_body(kind: u8, bytes: &mut Bytes<'_>) -> Result<KeyOp, CodecError> {
    Ok(match kind {
        kind::SET => {
            let deadline = read_whole_deadline(bytes)?;
            KeyOp::Set { value: bytes.bytes()?, deadline }
        }
        kind::RESTORE => {
            let deadline = read_whole_deadline(bytes)?;
            KeyOp::Restore { content: Box::new(read_content(bytes)?), deadline }
        }
        kind::DEL => KeyOp::Del,
        kind::EXPIRED => KeyOp::Expired,
        kind::DEADLINE => KeyOp::Deadline(read_deadline(bytes)?),
        kind::PUT => KeyOp::Put(bytes.bytes()?),
        kind::ADD => KeyOp::Add(read_added(bytes)?),
        kind::PATCH => KeyOp::Patch(Patch { offset: bytes.uint()?, bytes: bytes.bytes()? }),
        kind::FIELD_SET => KeyOp::FieldSet(bytes.bytes()?, bytes.bytes()?),
        kind::FIELD_DEL => KeyOp::FieldDel(bytes.bytes()?),
        kind::FIELD_ADD => KeyOp::FieldAdd(bytes.bytes()?, read_added(bytes)?),
        kind::MEMBER_ADD => KeyOp::MemberAdd(bytes.bytes()?),
        kind::MEMBER_DEL => KeyOp::MemberDel(bytes.bytes()?),
        kind::SCORE_SET => KeyOp::ScoreSet(bytes.bytes()?, read_f64(bytes)?),
        kind::SCORE_ADD => {
            let member = bytes.bytes()?;
            let count = bytes.count()?;
            KeyOp::ScoreAdd(member, (0..count).map(|_| read_f64(bytes)).collect::<Result<_, _>>()?)
        }
        kind::SCORE_DEL => KeyOp::ScoreDel(bytes.bytes()?),
        kind::LIST => KeyOp::List(read_spans(bytes)?),
        _ => return Err(CodecError::Value { what: "kind", value: kind.into() }),
    })
}

/// 0: wiped, 1: never, else the time and two.
pub(crate) fn put_deadline(out: &mut Vec<u8>, deadline: Deadline) {
    put_uint(
        out,
        match deadline {
            Deadline::Wiped => 0,
            Deadline::Never => 1,
            Deadline::At(at) => at.get().saturating_add(2),
        },
    );
}

pub(crate) fn read_deadline(bytes: &mut Bytes<'_>) -> Result<Deadline, CodecError> {
    Ok(match bytes.uint()? {
        0 => Deadline::Wiped,
        1 => Deadline::Never,
        at => Deadline::At(WallMillis::new(at - 2)),
    })
}

fn read_whole_deadline(bytes: &mut Bytes<'_>) -> Result<Option<WallMillis>, CodecError> {
    read_deadline(bytes).map(Deadline::shown)
}

/// Whole numbers, which most are, shortly: 0, the number in zigzag; else 1, the units.
fn put_number(out: &mut Vec<u8>, number: Number) {
    if let Some(whole) = number.as_int() {
        out.push(0);
        put_uint(out, (whole << 1 ^ (whole >> 63)).cast_unsigned());
    } else {
        out.push(1);
        out.extend(number.units().to_le_bytes());
    }
}

fn read_number(bytes: &mut Bytes<'_>) -> Result<Number, CodecError> {
    match bytes.byte()? {
        0 => {
            let zigzag = bytes.uint()?;
            Ok(Number::from_int((zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed()))
        }
        1 => Ok(Number::from_units(i128::from_le_bytes(bytes.fixed()?))),
        kind => Err(CodecError::Value { what: "kind of number", value: kind.into() }),
    }
}

pub(crate) fn put_added(out: &mut Vec<u8>, added: &Added) {
    put_number(out, added.delta);
    put_number(out, added.result);
}

pub(crate) fn read_added(bytes: &mut Bytes<'_>) -> Result<Added, CodecError> {
    Ok(Added { delta: read_number(bytes)?, result: read_number(bytes)? })
}

pub(crate) fn read_f64(bytes: &mut Bytes<'_>) -> Result<f64, CodecError> {
    let value = f64::from_le_bytes(bytes.fixed()?);
    if value.is_nan() { Err(CodecError::Value { what: "score", value: 0 }) } else { Ok(value) }
}

fn put_all(out: &mut Vec<u8>, elements: &[crate::item::Bytes]) {
    put_uint(out, wide(elements.len()));
    for element in elements {
        put_bytes(out, element);
    }
}

fn read_all(bytes: &mut Bytes<'_>) -> Result<Vec<crate::item::Bytes>, CodecError> {
    let count = bytes.count()?;
    (0..count).map(|_| bytes.bytes()).collect()
}

pub(crate) fn put_spans(out: &mut Vec<u8>, spans: &Spans) {
    put_uint(out, wide(spans.steps().len()));
    for span in spans.steps() {
        match span {
            Span::Keep(count) => {
                out.push(step::KEEP);
                put_uint(out, *count);
            }
            Span::Insert(elements) => {
                out.push(step::INSERT);
                put_all(out, elements);
            }
            Span::Delete(count) => {
                out.push(step::DELETE);
                put_uint(out, *count);
            }
            Span::Pop(elements) => {
                out.push(step::POP);
                put_all(out, elements);
            }
        }
    }
}

pub(crate) fn read_spans(bytes: &mut Bytes<'_>) -> Result<Spans, CodecError> {
    let mut spans = Spans::new();
    for _ in 0..bytes.count()? {
        match bytes.byte()? {
            step::KEEP => spans.keep(bytes.uint()?),
            step::INSERT => spans.insert(read_all(bytes)?),
            step::DELETE => spans.delete(bytes.uint()?),
            step::POP => spans.pop(read_all(bytes)?),
            kind => return Err(CodecError::Value { what: "step", value: kind.into() }),
        };
    }
    Ok(spans)
}

fn put_content(out: &mut Vec<u8>, content: &Content) {
    let string: Vec<_> = content.string.iter().cloned().collect();
    put_all(out, &string);
    put_all(out, &content.list);
    put_uint(out, wide(content.hash.len()));
    for (field, value) in &content.hash {
        put_bytes(out, field);
        put_bytes(out, value);
    }
    put_uint(out, wide(content.zset.len()));
    for (member, score) in &content.zset {
        put_bytes(out, member);
        out.extend(score.shown().to_le_bytes());
    }
    put_uint(out, wide(content.set.len()));
    for member in &content.set {
        put_bytes(out, member);
    }
}

fn read_content(bytes: &mut Bytes<'_>) -> Result<Content, CodecError> {
    let mut content = Content { string: read_all(bytes)?.pop(), ..Content::default() };
    content.list = read_all(bytes)?;
    let fields = bytes.count()?;
    content.hash = (0..fields)
        .map(|_| Ok((bytes.bytes()?, bytes.bytes()?)))
        .collect::<Result<BTreeMap<_, _>, CodecError>>()?;
    let scores = bytes.count()?;
    content.zset = (0..scores)
        .map(|_| Ok((bytes.bytes()?, Score::new(read_f64(bytes)?))))
        .collect::<Result<BTreeMap<_, _>, CodecError>>()?;
    let members = bytes.count()?;
    content.set =
        (0..members).map(|_| bytes.bytes()).collect::<Result<BTreeSet<_>, CodecError>>()?;
    Ok(content)
}
