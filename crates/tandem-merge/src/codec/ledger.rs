//! Statements about counters, sequences and policies as bytes.

use tandem_types::{DbIndex, NodeId, Pair, Stamp};

use super::conflict::{put_item, read_item};
use super::ops::kind;
use super::{Bytes, CodecError, put_bytes, put_uint};
use crate::escrow::{Ask, Asked, Counter, Generation, Statement, Totals};
use crate::item::Key;
use crate::ledger::LedgerOp;
use crate::policy::Policy;
use crate::sequence::{Mode, Progress, WhenDry};

pub(super) fn put_ledger(out: &mut Vec<u8>, op: &LedgerOp) {
    match op {
        LedgerOp::Counter(key, counter) => {
            out.push(kind::COUNTER);
            put_key(out, key);
            put_generation(out, counter.generation());
            out.extend(counter.min().to_le_bytes());
            put_totals(out, counter.totals(NodeId::A));
            put_totals(out, counter.totals(NodeId::B));
        }
        LedgerOp::Escrow(key, statement) => {
            out.push(kind::ESCROW);
            put_key(out, key);
            put_generation(out, statement.generation);
            out.push(statement.side.as_byte());
            put_totals(out, statement.totals);
        }
        LedgerOp::Sequence { key, mode, first, progress } => {
            out.push(kind::SEQUENCE);
            put_key(out, key);
            put_mode(out, *mode);
            put_uint(out, *first);
            out.push(progress.side.as_byte());
            put_uint(out, progress.burnt_end);
            put_uint(out, progress.usable_end);
            put_uint(out, progress.next_id);
        }
        LedgerOp::Policy { prefix, policy, said } => {
            out.push(kind::POLICY);
            put_generation(out, *said);
            put_bytes(out, prefix);
            let text = policy.map(|policy| policy.to_text(|node| node.as_byte().to_string()));
            put_bytes(out, text.unwrap_or_default().as_bytes());
        }
        LedgerOp::Ask(Asked { key, ask }) => {
            out.push(kind::ASK);
            put_key(out, key);
            for number in [ask.have, ask.want, ask.rate()] {
                put_uint(out, number);
            }
        }
        LedgerOp::Exclusive(key) => {
            out.push(kind::EXCLUSIVE);
            put_key(out, key);
        }
        LedgerOp::Resolved(key, item) => {
            out.push(kind::RESOLVED);
            put_key(out, key);
            put_item(out, item);
        }
    }
}

pub(super) fn read_ledger(kind: u8, bytes: &mut Bytes<'_>) -> Result<LedgerOp, CodecError> {
    Ok(match kind {
        kind::COUNTER => {
            let (key, generation) = (read_key(bytes)?, read_generation(bytes)?);
            let min = i64::from_le_bytes(bytes.fixed()?);
            let totals = Pair { a: read_totals(bytes)?, b: read_totals(bytes)? };
            LedgerOp::Counter(key, Counter::of(generation, min, totals))
        }
        kind::ESCROW => {
            let (key, generation) = (read_key(bytes)?, read_generation(bytes)?);
            let (side, totals) = (read_side(bytes)?, read_totals(bytes)?);
            LedgerOp::Escrow(key, Statement { generation, side, totals })
        }
        kind::SEQUENCE => {
            let (key, mode, first) = (read_key(bytes)?, read_mode(bytes)?, bytes.uint()?);
            let progress = Progress {
                side: read_side(bytes)?,
                burnt_end: bytes.uint()?,
                usable_end: bytes.uint()?,
                next_id: bytes.uint()?,
            };
            LedgerOp::Sequence { key, mode, first, progress }
        }
        kind::POLICY => {
            let (said, prefix) = (read_generation(bytes)?, bytes.bytes()?);
            let policy = read_policy(&bytes.bytes()?)?;
            LedgerOp::Policy { prefix, policy, said }
        }
        kind::ASK => {
            let key = read_key(bytes)?;
            let ask = Ask::of_rate(bytes.uint()?, bytes.uint()?, bytes.uint()?);
            LedgerOp::Ask(Asked { key, ask })
        }
        kind::EXCLUSIVE => LedgerOp::Exclusive(read_key(bytes)?),
        kind::RESOLVED => LedgerOp::Resolved(read_key(bytes)?, read_item(bytes)?),
        _ => return Err(CodecError::Value { what: "kind", value: kind.into() }),
    })
}

fn read_policy(text: &[u8]) -> Result<Option<Policy>, CodecError> {
    if text.is_empty() {
        return Ok(None);
    }
    let node = |name: &str| name.parse().ok().and_then(NodeId::from_byte);
    let policy = std::str::from_utf8(text).ok().and_then(|text| Policy::parse(text, node).ok());
    policy.map(Some).ok_or(CodecError::Value { what: "policy", value: 0 })
}

pub(super) fn put_key(out: &mut Vec<u8>, key: &Key) {
    out.push(key.db.get());
    put_bytes(out, &key.name);
}

pub(super) fn read_key(bytes: &mut Bytes<'_>) -> Result<Key, CodecError> {
    let db = bytes.byte()?;
    let db = DbIndex::new(db).ok_or(CodecError::Value { what: "database", value: db.into() })?;
    Ok(Key { db, name: bytes.bytes()? })
}

pub(super) fn read_side(bytes: &mut Bytes<'_>) -> Result<NodeId, CodecError> {
    let side = bytes.byte()?;
    NodeId::from_byte(side).ok_or(CodecError::Value { what: "side", value: side.into() })
}

fn put_generation(out: &mut Vec<u8>, generation: Generation) {
    put_uint(out, generation.stamp.get());
    out.push(generation.by.as_byte());
}

fn read_generation(bytes: &mut Bytes<'_>) -> Result<Generation, CodecError> {
    Ok(Generation { stamp: Stamp::new(bytes.uint()?), by: read_side(bytes)? })
}

fn put_totals(out: &mut Vec<u8>, totals: Totals) {
    for total in [totals.added, totals.taken, totals.given] {
        put_uint(out, total);
    }
}

fn read_totals(bytes: &mut Bytes<'_>) -> Result<Totals, CodecError> {
    Ok(Totals { added: bytes.uint()?, taken: bytes.uint()?, given: bytes.uint()? })
}

/// The lease, 0 for interleaved; then whether it is strict.
fn put_mode(out: &mut Vec<u8>, mode: Mode) {
    match mode {
        Mode::Interleaved => put_uint(out, 0),
        Mode::Leased { lease, when_dry } => {
            put_uint(out, lease);
            out.push(u8::from(when_dry == WhenDry::Strict));
        }
    }
}

fn read_mode(bytes: &mut Bytes<'_>) -> Result<Mode, CodecError> {
    let lease = bytes.uint()?;
    if lease == 0 {
        return Ok(Mode::Interleaved);
    }
    let when_dry = match bytes.byte()? {
        0 => WhenDry::Available,
        1 => WhenDry::Strict,
        mode => return Err(CodecError::Value { what: "mode", value: mode.into() }),
    };
    Ok(Mode::Leased { lease, when_dry })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::ops::{put_op, read_op};
    use crate::conflict::Item;
    use crate::op::Op;

    #[test]
    fn statements_come_back() {
        let key = || Key { db: DbIndex::ZERO, name: b"k".as_slice().into() };
        let generation = Generation { stamp: Stamp::new(7), by: NodeId::B };
        let mut counter = Counter::create(generation, 10, -5, 30).unwrap();
        let statement = counter.take(NodeId::A, 2).unwrap();
        let mode = Mode::Leased { lease: 7, when_dry: WhenDry::Strict };
        let progress = Progress { side: NodeId::B, burnt_end: 4, usable_end: 2, next_id: 110 };
        let policy =
            |policy| LedgerOp::Policy { prefix: b"p".as_slice().into(), policy, said: generation };
        let ops = [
            LedgerOp::Counter(key(), counter),
            LedgerOp::Escrow(key(), statement),
            LedgerOp::Sequence { key: key(), mode, first: 100, progress },
            LedgerOp::Sequence { key: key(), mode: Mode::Interleaved, first: 1, progress },
            policy(Some(Policy::Owner(NodeId::B))),
            policy(None),
            LedgerOp::Ask(Asked { key: key(), ask: Ask { have: 1, want: 3, per_second: 2.5 } }),
            LedgerOp::Exclusive(key()),
            LedgerOp::Resolved(key(), Item::Field(b"f".as_slice().into())),
            LedgerOp::Resolved(key(), Item::List),
        ];
        for op in ops.map(Op::Ledger) {
            let mut out = Vec::new();
            put_op(&mut out, &op);
            let mut bytes = Bytes(&out);
            assert_eq!(read_op(&mut bytes), Ok(op));
            assert!(bytes.0.is_empty());
        }
    }
}
