//! Values as bytes: in snapshots, and in the effects that store a whole value.
//!
//! docs/formats/effects.md draws them. Reading checks every length before it allocates.

use crate::effect::DecodeError;
use crate::effect::varint::{Reader, put_bytes, put_f64, put_len};
use crate::key::stable_hash;
use crate::settings::Limits;
use crate::value::hash::Hash;
use crate::value::list::List;
use crate::value::set::Set;
use crate::value::stream;
use crate::value::zset::Zset;
use crate::value::{Value, ValueRef};

const STRING: u8 = 0;
const RAW_STRING: u8 = 1;
const LIST: u8 = 2;
const HASH: u8 = 3;
const SET: u8 = 4;
const ZSET: u8 = 5;
const STREAM: u8 = 6;

/// A value as bytes.
pub(crate) fn serialised(value: ValueRef<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    serialise(value, &mut out);
    out
}

/// Appends a value.
pub(crate) fn serialise(value: ValueRef<'_>, out: &mut Vec<u8>) {
    match value {
        ValueRef::String { bytes, raw } => {
            out.push(if raw { RAW_STRING } else { STRING });
            put_bytes(out, bytes);
        }
        ValueRef::List(list) => {
            out.push(LIST);
            put_len(out, list.len());
            for element in list.iter() {
                put_bytes(out, element);
            }
        }
        ValueRef::Hash(hash) => {
            out.push(HASH);
            put_len(out, hash.len());
            for (field, value) in hash.iter() {
                put_bytes(out, field);
                put_bytes(out, value);
            }
        }
        ValueRef::Set(set) => {
            out.push(SET);
            put_len(out, set.len());
            for member in set.iter() {
                put_bytes(out, member.as_ref());
            }
        }
        ValueRef::Zset(zset) => {
            out.push(ZSET);
            put_len(out, zset.len());
            for (member, score) in zset.iter() {
                put_bytes(out, member);
                put_f64(out, score);
            }
        }
        ValueRef::Stream(stream) => {
            out.push(STREAM);
            stream::codec::serialise(stream, out);
        }
    }
}

/// Reads a value that is all of `bytes`.
pub(crate) fn parse(bytes: &[u8], limits: &Limits) -> Result<Value, DecodeError> {
    let mut reader = Reader::new(bytes);
    let value = read(&mut reader, limits)?;
    if reader.is_empty() { Ok(value) } else { Err(DecodeError::Value) }
}

/// Reads a value from the front of what `reader` has.
pub(crate) fn read(reader: &mut Reader<'_>, limits: &Limits) -> Result<Value, DecodeError> {
    let kind = reader.u8()?;
    if matches!(kind, STRING | RAW_STRING) {
        return Ok(Value::String { bytes: reader.bytes()?.to_vec(), raw: kind == RAW_STRING });
    }
    if kind == STREAM {
        return Ok(Value::Stream(stream::codec::read(reader, limits)?));
    }
    // Each element has at least one byte, so a count beyond the bytes left is a lie.
    let count = reader.len()?;
    if count == 0 {
        return Err(DecodeError::Value);
    }
    Ok(match kind {
        LIST => {
            let mut list = List::default();
            for _ in 0..count {
                list.push_back(reader.bytes()?, limits);
            }
            Value::List(list)
        }
        HASH => {
            let mut hash = Hash::default();
            for _ in 0..count {
                distinct(hash.insert(reader.bytes()?, reader.bytes()?, limits))?;
            }
            Value::Hash(hash)
        }
        SET => {
            let mut set = Set::default();
            for _ in 0..count {
                distinct(set.insert(reader.bytes()?, limits))?;
            }
            Value::Set(set)
        }
        ZSET => {
            let mut zset = Zset::default();
            for _ in 0..count {
                let (member, score) = (reader.bytes()?, reader.f64()?);
                if score.is_nan() {
                    return Err(DecodeError::Value);
                }
                zset.insert(member, score, limits);
            }
            distinct(zset.len() == count)?;
            Value::Zset(zset)
        }
        _ => return Err(DecodeError::Value),
    })
}

const fn distinct(new: bool) -> Result<(), DecodeError> {
    if new { Ok(()) } else { Err(DecodeError::Value) }
}

/// A hash of what a value is, the same on every node; the order of unordered things does not matter.
pub(crate) fn digest(value: ValueRef<'_>) -> u64 {
    match value {
        ValueRef::String { bytes, .. } => stable_hash(1, bytes),
        ValueRef::List(list) => {
            list.iter().fold(2, |state, element| stable_hash(state, element).rotate_left(1))
        }
        ValueRef::Hash(hash) => hash.iter().fold(3, |state: u64, (field, value)| {
            state.wrapping_add(stable_hash(stable_hash(3, field), value))
        }),
        ValueRef::Set(set) => set
            .iter()
            .fold(4, |state: u64, member| state.wrapping_add(stable_hash(4, member.as_ref()))),
        ValueRef::Zset(zset) => zset.iter().fold(5, |state: u64, (member, score)| {
            state.wrapping_add(stable_hash(stable_hash(5, member), &score.to_bits().to_le_bytes()))
        }),
        ValueRef::Stream(_) => stable_hash(6, &serialised(value)),
    }
}
