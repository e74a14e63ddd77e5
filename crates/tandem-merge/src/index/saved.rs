//! The index as bytes: what a snapshot says of own writes that the peer may lack.
//!
//! What is noted of a key goes with the key's slot, as it is when the slot is taken; the rest stands at the
//! beginning. A log replayed from there leaves keys alone that are ahead of it, and what is noted of them.

use tandem_types::{Lsn, NodeId, SlotId, Stamp};

use super::chain::{Assigned, Chain, ScoreChain, What};
use super::notes::Bound;
use super::{Index, Pending};
use crate::codec::{
    Bytes, CodecError, put_added, put_bytes, put_deadline, put_spans, put_uint, read_added,
    read_deadline, read_f64, read_spans, wide,
};
use crate::item::Key;
use crate::op::Origin;

/// What an assignment left.
mod what {
    pub(super) const VALUE: u8 = 0;
    pub(super) const PATCHED: u8 = 1;
    pub(super) const GONE: u8 = 2;
}

impl Index {
    /// Everything but what is noted of keys.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put_uint(out, self.whole_at.get());
        put_uint(out, self.bound.applied.get());
        for (flushed, flushes) in self.flushed.iter().zip(&self.flushes) {
            put_option(out, flushed.as_ref(), put_origin);
            put_uint(out, wide(flushes.len()));
            for lsn in flushes {
                put_uint(out, lsn.get());
            }
        }
    }

    pub(crate) fn decode(side: NodeId, bytes: &mut Bytes<'_>) -> Result<Self, CodecError> {
        let whole_at = Lsn::new(bytes.uint()?);
        let applied = Lsn::new(bytes.uint()?);
        let bound = Bound { applied, ..Bound::default() };
        let mut index = Self { whole_at, bound, ..Self::default() };
        for (flushed, flushes) in index.flushed.iter_mut().zip(&mut index.flushes) {
            *flushed = read_option(bytes, |bytes| read_origin(side, bytes))?;
            for _ in 0..bytes.count()? {
                flushes.push(Lsn::new(bytes.uint()?));
            }
        }
        Ok(index)
    }

    /// What is noted of keys in the slots `first..=last`.
    pub(crate) fn encode_slots(&self, first: SlotId, last: SlotId, out: &mut Vec<u8>) {
        self.notes.each_within((first, last), &self.flushes, self.bound, |key, pending| {
            out.push(key.db.get());
            put_bytes(out, &key.name);
            pending.encode(out);
        });
    }

    /// Keys in the slots `first..=last` with unacknowledged own writes, about.
    pub fn count_within(&self, first: SlotId, last: SlotId) -> usize {
        self.notes.count_within(first, last)
    }

    /// Takes that over.
    pub(crate) fn load_slots(&mut self, side: NodeId, bytes: &[u8]) -> Result<(), CodecError> {
        let mut bytes = Bytes(bytes);
        while !bytes.0.is_empty() {
            let db = bytes.byte()?;
            let value = CodecError::Value { what: "database", value: db.into() };
            let db = tandem_types::DbIndex::new(db).ok_or(value)?;
            let key = Key { db, name: bytes.bytes()? };
            let pending = Pending::decode(side, &mut bytes)?;
            self.noted(pending.newest, 1 + pending.items());
            if pending.ghost.is_some() {
                self.missing.push_back((pending.ghost_until, key.clone()));
            }
            self.notes.put(side, &key, Box::new(pending));
        }
        Ok(())
    }

    /// What came with slots, and what was replayed meanwhile, is in one order again.
    pub(crate) fn loaded(&mut self, seen: Lsn) {
        self.counts.make_contiguous().sort_by_key(|(lsn, _)| *lsn);
        self.missing.make_contiguous().sort_by_key(|(lsn, _)| *lsn);
        self.stable(seen);
        self.end_chunk(self.bound.applied);
    }
}

impl Pending {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_uint(out, self.newest.get());
        put_option(out, self.whole.as_ref(), put_origin);
        put_chain(out, &self.string);
        put_uint(out, wide(self.fields.len()));
        for (field, chain) in &self.fields {
            put_bytes(out, field);
            put_chain(out, chain);
        }
        put_uint(out, wide(self.members.len()));
        for (member, (origin, present)) in &self.members {
            put_bytes(out, member);
            put_origin(out, origin);
            out.push(u8::from(*present));
        }
        put_uint(out, wide(self.scores.len()));
        for (member, chain) in &self.scores {
            put_bytes(out, member);
            put_scores(out, chain);
        }
        put_uint(out, wide(self.list.len()));
        for (lsn, spans) in &self.list {
            put_uint(out, lsn.get());
            put_spans(out, spans);
        }
        put_option(out, self.deadline.as_ref(), |out, (origin, deadline)| {
            put_origin(out, origin);
            put_deadline(out, *deadline);
        });
        put_option(out, self.ghost.as_ref(), |out, deadline| put_deadline(out, *deadline));
        put_uint(out, self.ghost_until.get());
    }

    pub(super) fn decode(side: NodeId, bytes: &mut Bytes<'_>) -> Result<Self, CodecError> {
        let mut pending = Self { newest: Lsn::new(bytes.uint()?), ..Self::default() };
        pending.whole = read_option(bytes, |bytes| read_origin(side, bytes))?;
        pending.string = read_chain(side, bytes)?;
        for _ in 0..bytes.count()? {
            let field = bytes.bytes()?;
            pending.fields.insert(field, read_chain(side, bytes)?);
        }
        for _ in 0..bytes.count()? {
            let member = bytes.bytes()?;
            let origin = read_origin(side, bytes)?;
            pending.members.insert(member, (origin, read_flag(bytes)?));
        }
        for _ in 0..bytes.count()? {
            let member = bytes.bytes()?;
            pending.scores.insert(member, read_scores(side, bytes)?);
        }
        for _ in 0..bytes.count()? {
            let lsn = Lsn::new(bytes.uint()?);
            pending.list.push((lsn, read_spans(bytes)?));
        }
        pending.deadline = read_option(bytes, |bytes| {
            let origin = read_origin(side, bytes)?;
            Ok((origin, read_deadline(bytes)?))
        })?;
        pending.ghost = read_option(bytes, read_deadline)?;
        pending.ghost_until = Lsn::new(bytes.uint()?);
        Ok(pending)
    }
}

fn put_chain(out: &mut Vec<u8>, chain: &Chain) {
    put_option(out, chain.assigned.as_ref(), |out, assigned| {
        put_origin(out, &assigned.origin);
        match &assigned.what {
            What::Value(value) => {
                out.push(what::VALUE);
                put_bytes(out, value);
            }
            What::Patched => out.push(what::PATCHED),
            What::Gone => out.push(what::GONE),
        }
    });
    put_uint(out, wide(chain.added.len()));
    for (origin, added) in &chain.added {
        put_origin(out, origin);
        put_added(out, added);
    }
    out.push(u8::from(chain.duplicate_told));
}

fn read_chain(side: NodeId, bytes: &mut Bytes<'_>) -> Result<Chain, CodecError> {
    let assigned = read_option(bytes, |bytes| {
        let origin = read_origin(side, bytes)?;
        let what = match bytes.byte()? {
            what::VALUE => What::Value(bytes.bytes()?),
            what::PATCHED => What::Patched,
            what::GONE => What::Gone,
            kind => return Err(CodecError::Value { what: "assignment", value: kind.into() }),
        };
        Ok(Assigned { origin, what })
    })?;
    let mut added = Vec::new();
    for _ in 0..bytes.count()? {
        let origin = read_origin(side, bytes)?;
        added.push((origin, read_added(bytes)?));
    }
    Ok(Chain { assigned, added, duplicate_told: read_flag(bytes)? })
}

fn put_scores(out: &mut Vec<u8>, chain: &ScoreChain) {
    put_option(out, chain.assigned.as_ref(), |out, (origin, score)| {
        put_origin(out, origin);
        put_option(out, score.as_ref(), |out, score| out.extend(score.to_le_bytes()));
    });
    put_uint(out, wide(chain.added.len()));
    for (lsn, delta) in &chain.added {
        put_uint(out, lsn.get());
        out.extend(delta.to_le_bytes());
    }
}

fn read_scores(side: NodeId, bytes: &mut Bytes<'_>) -> Result<ScoreChain, CodecError> {
    let assigned = read_option(bytes, |bytes| {
        let origin = read_origin(side, bytes)?;
        Ok((origin, read_option(bytes, read_f64)?))
    })?;
    let mut added = Vec::new();
    for _ in 0..bytes.count()? {
        let lsn = Lsn::new(bytes.uint()?);
        added.push((lsn, read_f64(bytes)?));
    }
    Ok(ScoreChain { assigned, added })
}

fn put_origin(out: &mut Vec<u8>, origin: &Origin) {
    put_uint(out, origin.lsn.get());
    put_uint(out, origin.seen.get());
    put_uint(out, origin.stamp.get());
}

fn read_origin(side: NodeId, bytes: &mut Bytes<'_>) -> Result<Origin, CodecError> {
    let (lsn, seen) = (Lsn::new(bytes.uint()?), Lsn::new(bytes.uint()?));
    Ok(Origin { side, lsn, seen, stamp: Stamp::new(bytes.uint()?) })
}

fn put_option<T>(out: &mut Vec<u8>, value: Option<&T>, put: impl FnOnce(&mut Vec<u8>, &T)) {
    out.push(u8::from(value.is_some()));
    if let Some(value) = value {
        put(out, value);
    }
}

fn read_option<T>(
    bytes: &mut Bytes<'_>,
    read: impl FnOnce(&mut Bytes<'_>) -> Result<T, CodecError>,
) -> Result<Option<T>, CodecError> {
    if read_flag(bytes)? { read(bytes).map(Some) } else { Ok(None) }
}

fn read_flag(bytes: &mut Bytes<'_>) -> Result<bool, CodecError> {
    match bytes.byte()? {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(CodecError::Value { what: "flag", value: other.into() }),
    }
}
