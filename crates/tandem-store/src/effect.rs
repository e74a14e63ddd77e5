//! Effects: what a command did, deterministic, one key each, as bytes in the log.
//!
//! docs/formats/effects.md draws the bytes. [`EffectBuf`] writes them, [`Effects`] reads them;
//! neither knows the key space. **Not here:** what an effect does (`apply.rs`).

mod decode;
mod describe;
mod encode;
mod stream_ids;
pub(crate) mod varint;

use tandem_types::{DbIndex, WallMillis};

use crate::value::stream::id::StreamId;

pub use decode::{DecodeError, Effects};
pub use describe::{Description, describe};
pub use encode::{EffectBuf, EffectMark, Operations};
pub use stream_ids::StreamIds;
pub(crate) use stream_ids::pack_ids;

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
    /// A new last entry.
    StreamAdd {
        /// Its id.
        id: StreamId,
        /// Its fields and values, packed (see `value/stream/fields.rs`).
        fields: &'e [u8],
    },
    /// An entry was deleted by its id.
    StreamDel(StreamId),
    /// The first entries are gone.
    StreamTrim {
        /// How many.
        count: u64,
    },
    /// What the stream knows beside its entries; it is made if it is not there.
    StreamHead {
        /// The greatest id that was given.
        last_id: StreamId,
        /// The greatest id that was deleted.
        max_deleted: StreamId,
        /// How many entries were ever added.
        entries_added: u64,
    },
    /// How far a group has read; it is made if it is not there.
    StreamGroup {
        /// The group.
        group: &'e [u8],
        /// The last entry that was given to anybody.
        last_id: StreamId,
        /// How many entries were read; `None`: not known.
        entries_read: Option<u64>,
    },
    /// A group is gone.
    StreamGroupDel(&'e [u8]),
    /// A consumer asked; it is made if it is not there.
    StreamSeen {
        /// The group.
        group: &'e [u8],
        /// The consumer.
        consumer: &'e [u8],
        /// When.
        at: WallMillis,
    },
    /// A consumer is gone, with what it had to acknowledge.
    StreamConsumerDel {
        /// The group.
        group: &'e [u8],
        /// The consumer.
        consumer: &'e [u8],
    },
    /// A consumer has to acknowledge these entries, whoever had to before.
    StreamGive {
        /// The group.
        group: &'e [u8],
        /// The consumer.
        consumer: &'e [u8],
        /// Since when.
        at: WallMillis,
        /// How often each was given to somebody.
        deliveries: u64,
        /// The entries.
        ids: StreamIds<'e>,
    },
    /// These entries have not to be acknowledged any more.
    StreamAck {
        /// The group.
        group: &'e [u8],
        /// The entries.
        ids: StreamIds<'e>,
    },
    /// The database is empty.
    FlushDb,
    /// All databases are empty.
    FlushAll,
}

impl Effect<'_> {
    /// Whether it ends a `WATCH` of the key: what groups of a stream have read does not, as in Redis.
    pub(crate) const fn breaks_watches(&self) -> bool {
        !matches!(
            self,
            Self::StreamGroup { .. }
                | Self::StreamGroupDel(_)
                | Self::StreamSeen { .. }
                | Self::StreamConsumerDel { .. }
                | Self::StreamGive { .. }
                | Self::StreamAck { .. }
        )
    }
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
    pub(super) const STREAM_ADD: u8 = 56;
    pub(super) const STREAM_DEL: u8 = 57;
    pub(super) const STREAM_TRIM: u8 = 58;
    pub(super) const STREAM_HEAD: u8 = 59;
    pub(super) const STREAM_GROUP: u8 = 60;
    pub(super) const STREAM_GROUP_DEL: u8 = 61;
    pub(super) const STREAM_SEEN: u8 = 62;
    pub(super) const STREAM_CONSUMER_DEL: u8 = 63;
    pub(super) const FLUSH_DB: u8 = 64;
    pub(super) const FLUSH_ALL: u8 = 65;
    pub(super) const STREAM_GIVE: u8 = 66;
    pub(super) const STREAM_ACK: u8 = 67;
}

#[cfg(test)]
mod tests;
