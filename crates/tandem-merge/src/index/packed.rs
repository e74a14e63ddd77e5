//! What is noted of one key as a few bytes: while the peer is away there is one for every key that was written.
//!
//! ```text
//!  length of the name | name | newest own write (8) | side, form (1) | the first write on the key, or all that is noted
//! ```
//! The first write on a key is kept as the write it was, which says all there is. Ordered and found by name.

use std::borrow::Borrow;
use std::cmp::Ordering;

use tandem_types::{Lsn, NodeId, Stamp};

use super::Pending;
use crate::codec::{Bytes, CodecError, put_bytes, put_key_op, put_uint, read_key_op};
use crate::op::{KeyOp, Origin};

/// What follows the head, in the lowest bit.
const FORM_BIT: u8 = 1;
/// One write ([`Packed::one`]); else everything ([`Packed::all`]).
const ONE: u8 = 1;

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Packed(Box<[u8]>);

/// The parts of one.
struct Parts<'p> {
    newest: Lsn,
    side: NodeId,
    is_one: bool,
    rest: Bytes<'p>,
}

impl Packed {
    /// The first own write on a key.
    pub(super) fn one(origin: &Origin, name: &[u8], op: &KeyOp, memory: &mut Vec<u8>) -> Self {
        head(memory, name, origin.lsn, origin.side, ONE);
        put_uint(memory, origin.seen.get());
        memory.extend(origin.stamp.get().to_le_bytes());
        put_key_op(memory, op);
        Self(memory.as_slice().into())
    }

    /// Everything that is noted of a key.
    pub(super) fn all(side: NodeId, name: &[u8], pending: &Pending, memory: &mut Vec<u8>) -> Self {
        head(memory, name, pending.newest, side, 0);
        pending.encode(memory);
        Self(memory.as_slice().into())
    }

    /// The key's name.
    pub(super) fn name(&self) -> &[u8] {
        let mut bytes = Bytes(&self.0);
        // Written by `head`: both are there.
        let taken = bytes.count().and_then(|length| bytes.take(length));
        taken.unwrap_or_default()
    }

    /// The last own write on the key.
    pub(super) fn newest(&self) -> Lsn {
        self.parts().map_or(Lsn::MAX, |parts| parts.newest)
    }

    /// Bytes of memory.
    pub(super) const fn bytes(&self) -> usize {
        self.0.len()
    }

    /// What a list, or a whole key, is to the own flushes of its database: they come first among its edits.
    pub(super) fn holds_list(&self) -> bool {
        self.parts().is_ok_and(|mut parts| {
            !parts.is_one
                || read_one(&mut parts)
                    .is_ok_and(|(_, op)| op.is_whole() || matches!(op, KeyOp::List(_)))
        })
    }

    /// As it was noted, in a database with these own flushes.
    pub(super) fn open(&self, flushes: &[Lsn]) -> Box<Pending> {
        let opened = self.parts().and_then(|mut parts| {
            if !parts.is_one {
                return Pending::decode(parts.side, &mut parts.rest);
            }
            let (origin, op) = read_one(&mut parts)?;
            let before = flushes.partition_point(|lsn| *lsn < origin.lsn);
            let mut pending = Pending::default();
            pending.note(&origin, &op, flushes.get(..before).unwrap_or_default());
            Ok(pending)
        });
        // These bytes never left this module: what it wrote it can read.
        Box::new(opened.expect("what was packed in memory can be unpacked"))
    }

    fn parts(&self) -> Result<Parts<'_>, CodecError> {
        let mut rest = Bytes(&self.0);
        let length = rest.count()?;
        rest.take(length)?;
        let newest = Lsn::new(u64::from_le_bytes(rest.fixed()?));
        let form = rest.byte()?;
        let wrong = CodecError::Value { what: "side", value: form.into() };
        let side = NodeId::from_byte(form >> 1).ok_or(wrong)?;
        Ok(Parts { newest, side, is_one: form & FORM_BIT == ONE, rest })
    }
}

fn head(memory: &mut Vec<u8>, name: &[u8], newest: Lsn, side: NodeId, form: u8) {
    memory.clear();
    put_bytes(memory, name);
    memory.extend(newest.get().to_le_bytes());
    memory.push(side.as_byte() << 1 | form);
}

fn read_one(parts: &mut Parts<'_>) -> Result<(Origin, KeyOp), CodecError> {
    let seen = Lsn::new(parts.rest.uint()?);
    let stamp = Stamp::new(u64::from_le_bytes(parts.rest.fixed()?));
    let origin = Origin { side: parts.side, lsn: parts.newest, seen, stamp };
    Ok((origin, read_key_op(&mut parts.rest)?))
}

impl Borrow<[u8]> for Packed {
    fn borrow(&self) -> &[u8] {
        self.name()
    }
}

impl PartialEq for Packed {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Packed {}

impl PartialOrd for Packed {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Packed {
    fn cmp(&self, other: &Self) -> Ordering {
        self.name().cmp(other.name())
    }
}
