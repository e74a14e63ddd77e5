//! Effects: what a command did, deterministic, one key each, as bytes in the log.
//!
//! docs/formats/effects.md draws the bytes. [`EffectBuf`] writes them, [`Effects`] reads them;
//! neither knows the key space. **Not here:** what an effect does (`apply.rs`).

mod decode;
mod describe;
mod encode;
pub(crate) mod varint;

use tandem_types::{DbIndex, WallMillis};

pub use decode::{DecodeError, Effects};
pub use describe::{Description, describe};
pub use encode::{EffectBuf, EffectMark, Operations};

/// First byte of a record's effects.
pub const EFFECTS_VERSION: u8 = 1;

/// Bit of the op byte: same database and key as the effect before.
const SAME_KEY: u8 = 0x80;

/// One effect and where it acts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Located<'e> {
    /// The database; meaningless for [`Effect::FlushAll`].
    pub db: DbIndex,
    /// The key; empty for the two flushes.
    pub key: &'e [u8],
    /// What happens.
    pub effect: Effect<'e>,
}

/// What happens to one key.
///
/// Counter effects carry the delta as well as the result, so that two histories can be merged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Effect<'e> {
    /// The key now holds this string and this deadline, whatever it held before.
    SetString {
        /// The string.
        value: &'e [u8],
        /// When it expires.
        deadline: Option<WallMillis>,
    },
    /// The key is gone: a client said so.
    Del,
    /// The key is gone: its deadline has passed.
    Expired,
    /// The key has this deadline.
    ExpireAt(WallMillis),
    /// The key has no deadline.
    Persist,
    /// The string is now this integer; its deadline stays.
    Incr {
        /// What was added.
        delta: i64,
        /// What it is now.
        result: i64,
    },
    /// The string is now this number as text; its deadline stays.
    IncrFloat {
        /// What was added, as the client wrote it.
        delta: &'e [u8],
        /// What it is now.
        result: &'e [u8],
    },
    /// Bytes at the end of a string (which is created if missing).
    Append(&'e [u8]),
    /// Bytes over a string from an offset on, zeros before if it was shorter.
    SetRange {
        /// Where.
        offset: u64,
        /// What.
        bytes: &'e [u8],
    },
    /// The key now holds this value (see `value/codec.rs`), whatever it held before.
    Restore {
        /// The value, serialised.
        value: &'e [u8],
        /// When it expires.
        deadline: Option<WallMillis>,
    },
    /// A new first element.
    ListPushFront(&'e [u8]),
    /// A new last element.
    ListPushBack(&'e [u8]),
    /// The first element is gone.
    ListPopFront,
    /// The last element is gone.
    ListPopBack,
    /// The element at an index is now this.
    ListSet {
        /// Where, from the front.
        index: u64,
        /// What.
        value: &'e [u8],
    },
    /// A new element that has this index.
    ListInsert {
        /// Where, from the front.
        index: u64,
        /// What.
        value: &'e [u8],
    },
    /// The element at an index is gone.
    ListRemove {
        /// Where, from the front.
        index: u64,
    },
    /// Only the elements from `start` on, up to `end` (exclusive), are left.
    ListTrim {
        /// First kept.
        start: u64,
        /// First not kept.
        end: u64,
    },
    /// A field has this value.
    HashSet {
        /// The field.
        field: &'e [u8],
        /// Its value.
        value: &'e [u8],
    },
    /// A field is gone.
    HashDel(&'e [u8]),
    /// A field is now this integer.
    HashIncr {
        /// The field.
        field: &'e [u8],
        /// What was added.
        delta: i64,
        /// What it is now.
        result: i64,
    },
    /// A field is now this number as text.
    HashIncrFloat {
        /// The field.
        field: &'e [u8],
        /// What was added, as the client wrote it.
        delta: &'e [u8],
        /// What it is now.
        result: &'e [u8],
    },
    /// A member is in.
    SetAdd(&'e [u8]),
    /// A member is out.
    SetRem(&'e [u8]),
    /// A member has this score.
    ZsetAdd {
        /// The member.
        member: &'e [u8],
        /// Its score.
        score: f64,
    },
    /// A member now has this score, by addition.
    ZsetIncr {
        /// The member.
        member: &'e [u8],
        /// What was added.
        delta: f64,
        /// What it is now.
        result: f64,
    },
    /// A member is out.
    ZsetRem(&'e [u8]),
    /// The database is empty.
    FlushDb,
    /// All databases are empty.
    FlushAll,
}

/// The op bytes. Numbers are never reused.
mod op {
    pub(super) const SET_STRING: u8 = 1;
    pub(super) const SET_STRING_EXPIRES: u8 = 2;
    pub(super) const DEL: u8 = 3;
    pub(super) const EXPIRED: u8 = 4;
    pub(super) const EXPIRE_AT: u8 = 5;
    pub(super) const PERSIST: u8 = 6;
    pub(super) const INCR: u8 = 7;
    pub(super) const INCR_FLOAT: u8 = 8;
    pub(super) const APPEND: u8 = 9;
    pub(super) const SET_RANGE: u8 = 10;
    pub(super) const RESTORE: u8 = 11;
    pub(super) const RESTORE_EXPIRES: u8 = 12;
    pub(super) const LIST_PUSH_FRONT: u8 = 16;
    pub(super) const LIST_PUSH_BACK: u8 = 17;
    pub(super) const LIST_POP_FRONT: u8 = 18;
    pub(super) const LIST_POP_BACK: u8 = 19;
    pub(super) const LIST_SET: u8 = 20;
    pub(super) const LIST_INSERT: u8 = 21;
    pub(super) const LIST_REMOVE: u8 = 22;
    pub(super) const LIST_TRIM: u8 = 23;
    pub(super) const HASH_SET: u8 = 32;
    pub(super) const HASH_DEL: u8 = 33;
    pub(super) const HASH_INCR: u8 = 34;
    pub(super) const HASH_INCR_FLOAT: u8 = 35;
    pub(super) const SET_ADD: u8 = 40;
    pub(super) const SET_REM: u8 = 41;
    pub(super) const ZSET_ADD: u8 = 48;
    pub(super) const ZSET_INCR: u8 = 49;
    pub(super) const ZSET_REM: u8 = 50;
    pub(super) const FLUSH_DB: u8 = 64;
    pub(super) const FLUSH_ALL: u8 = 65;
}

#[cfg(test)]
mod tests;
