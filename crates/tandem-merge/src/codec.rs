//! Chunks and records as bytes (drawn in docs/formats/merge.md).
//!
//! They stand in the payload of a log record, which checks them; so nothing here is protected against
//! accidents. But they come from a peer: lengths are checked before memory is taken, and what makes no
//! sense is an error.

mod conflict;
mod ledger;
mod ops;

use tandem_types::{Lsn, NodeId, Stamp};

pub(crate) use self::ops::{
    put_added, put_deadline, put_key_op, put_spans, read_added, read_deadline, read_f64,
    read_key_op, read_spans,
};
use self::ops::{put_op, read_op};
use crate::op::{Chunk, Origin, Record};

/// First byte of a payload.
pub const MERGE_VERSION: u8 = 1;

/// Why bytes are no chunk.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CodecError {
    /// Written by a later release.
    #[error("version {0} of merge records is not known here: run the same release on both nodes")]
    Version(u8),
    /// They end in the middle of something, or go on behind the end.
    #[error("merge record of a wrong length")]
    Length,
    /// A number or kind that means nothing.
    #[error("merge record holds {what} {value}, which means nothing")]
    Value {
        /// What of.
        what: &'static str,
        /// Which.
        value: u64,
    },
}

impl Chunk {
    /// Appends the bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(MERGE_VERSION);
        let side = self.records.first().map_or(NodeId::A, |record| record.origin.side);
        out.push(side.as_byte());
        put_uint(out, self.from.get());
        put_uint(out, self.whole_at.get());
        put_uint(out, wide(self.records.len()));
        for record in &self.records {
            put_uint(out, record.origin.lsn.get());
            put_uint(out, record.origin.seen.get());
            put_uint(out, record.origin.stamp.get());
            put_uint(out, wide(record.ops.len()));
            for op in &record.ops {
                put_op(out, op);
            }
        }
    }

    /// Reads all of `bytes`.
    ///
    /// # Errors
    /// As [`CodecError`] says.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        let mut bytes = Bytes(bytes);
        let version = bytes.byte()?;
        if version != MERGE_VERSION {
            return Err(CodecError::Version(version));
        }
        let side = bytes.byte()?;
        let wrong_side = CodecError::Value { what: "side", value: side.into() };
        let side = NodeId::from_byte(side).ok_or(wrong_side)?;
        let (from, whole_at) = (Lsn::new(bytes.uint()?), Lsn::new(bytes.uint()?));
        let mut records: Vec<Record> = Vec::new();
        for _ in 0..bytes.count()? {
            let origin = Origin {
                side,
                lsn: Lsn::new(bytes.uint()?),
                seen: Lsn::new(bytes.uint()?),
                stamp: Stamp::new(bytes.uint()?),
            };
            let after = records.last().map_or(from, |record| record.origin.lsn.next());
            if origin.lsn < after {
                return Err(CodecError::Value { what: "position", value: origin.lsn.get() });
            }
            let count = bytes.count()?;
            let ops = (0..count).map(|_| read_op(&mut bytes)).collect::<Result<_, _>>()?;
            records.push(Record { origin, ops });
        }
        if !bytes.0.is_empty() || records.is_empty() {
            return Err(CodecError::Length);
        }
        Ok(Self { from, records, whole_at })
    }
}

pub(crate) fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// Seven bits a byte, lowest first.
pub(crate) fn put_uint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        // Masked to seven bits.
        out.push(u8::try_from(value & 0x7f).unwrap_or(0) | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).unwrap_or(0));
}

pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_uint(out, wide(bytes.len()));
    out.extend_from_slice(bytes);
}

/// What is still to be read.
pub(crate) struct Bytes<'b>(pub(crate) &'b [u8]);

impl<'b> Bytes<'b> {
    pub(crate) fn take(&mut self, count: usize) -> Result<&'b [u8], CodecError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(CodecError::Length)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(crate) fn byte(&mut self) -> Result<u8, CodecError> {
        self.take(1)?.first().copied().ok_or(CodecError::Length)
    }

    pub(crate) fn uint(&mut self) -> Result<u64, CodecError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let part = u64::from(byte & 0x7f);
            if shift == 63 && part > 1 {
                break;
            }
            value |= part << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(CodecError::Value { what: "number", value })
    }

    /// A number of things that follow: each takes a byte at least.
    pub(crate) fn count(&mut self) -> Result<usize, CodecError> {
        let count = usize::try_from(self.uint()?).map_err(|_| CodecError::Length)?;
        if count > self.0.len() { Err(CodecError::Length) } else { Ok(count) }
    }

    pub(crate) fn bytes(&mut self) -> Result<crate::item::Bytes, CodecError> {
        let length = self.count()?;
        Ok(self.take(length)?.into())
    }

    pub(crate) fn fixed<const N: usize>(&mut self) -> Result<[u8; N], CodecError> {
        self.take(N)?.first_chunk().copied().ok_or(CodecError::Length)
    }
}
