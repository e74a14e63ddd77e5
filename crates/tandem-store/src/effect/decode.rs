//! Reading effects back: never panics, whatever the bytes.

use tandem_types::{DbIndex, WallMillis};

use super::varint::Reader;
use super::{EFFECTS_VERSION, Effect, Located, SAME_KEY, StreamIds, op};
use crate::value::stream::codec::{read_id, read_option};

/// Bytes that are no effects. The log's checksum was right, so a writer had a bug or was newer.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DecodeError {
    /// Written by a later version: upgrade this node.
    #[error("effects of version {0}, this program knows up to {EFFECTS_VERSION}")]
    Version(u8),
    /// The bytes end inside an effect.
    #[error("effects end early")]
    Truncated,
    /// An integer of more than 64 bits.
    #[error("a number in the effects is too long")]
    Number,
    /// An effect this version does not know.
    #[error("unknown effect {0}")]
    UnknownOp(u8),
    /// A database that does not exist.
    #[error("no database {0}")]
    NoSuchDatabase(u8),
    /// "Same key as before" at the start.
    #[error("an effect refers to the key before it, but there is none")]
    NoKeyBefore,
    /// A serialised value that is none.
    #[error("a serialised value is damaged")]
    Value,
}

/// Iterates over the effects of one record.
#[derive(Clone, Debug)]
pub struct Effects<'e> {
    reader: Reader<'e>,
    last: Option<(DbIndex, &'e [u8])>,
}

impl<'e> Effects<'e> {
    /// Starts reading; empty bytes are no effects.
    pub fn new(bytes: &'e [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        if !reader.is_empty() {
            let version = reader.u8()?;
            if version != EFFECTS_VERSION {
                return Err(DecodeError::Version(version));
            }
        }
        Ok(Self { reader, last: None })
    }

    /// The next effect; `None` at the end.
    pub fn read(&mut self) -> Result<Option<Located<'e>>, DecodeError> {
        if self.reader.is_empty() {
            return Ok(None);
        }
        let first = self.reader.u8()?;
        let code = first & !SAME_KEY;
        let (db, key) = match code {
            op::FLUSH_ALL => (DbIndex::ZERO, &[][..]),
            op::FLUSH_DB => (self.db()?, &[][..]),
            _ => self.db_and_key(first & SAME_KEY != 0)?,
        };
        Ok(Some(Located { db, key, effect: self.effect(code)? }))
    }

    fn db(&mut self) -> Result<DbIndex, DecodeError> {
        let number = self.reader.u8()?;
        DbIndex::new(number).ok_or(DecodeError::NoSuchDatabase(number))
    }

    fn db_and_key(&mut self, same: bool) -> Result<(DbIndex, &'e [u8]), DecodeError> {
        if same {
            return self.last.ok_or(DecodeError::NoKeyBefore);
        }
        let located = (self.db()?, self.reader.bytes()?);
        self.last = Some(located);
        Ok(located)
    }

    fn deadline(&mut self) -> Result<WallMillis, DecodeError> {
        Ok(WallMillis::new(self.reader.u64()?))
    }

    fn effect(&mut self, code: u8) -> Result<Effect<'e>, DecodeError> {
        let r = &mut self.reader;
        Ok(match code {
            op::SET_STRING => Effect::SetString { value: r.bytes()?, deadline: None },
            op::SET_STRING_EXPIRES => {
                let deadline = Some(self.deadline()?);
                Effect::SetString { value: self.reader.bytes()?, deadline }
            }
            op::DEL => Effect::Del,
            op::EXPIRED => Effect::Expired,
            op::EXPIRE_AT => Effect::ExpireAt(self.deadline()?),
            op::PERSIST => Effect::Persist,
            op::INCR => Effect::Incr { delta: r.i64()?, result: r.i64()? },
            op::INCR_FLOAT => Effect::IncrFloat { delta: r.bytes()?, result: r.bytes()? },
            op::APPEND => Effect::Append(r.bytes()?),
            op::SET_RANGE => Effect::SetRange { offset: r.u64()?, bytes: r.bytes()? },
            op::RESTORE => Effect::Restore { value: r.bytes()?, deadline: None },
            op::RESTORE_EXPIRES => {
                let deadline = Some(self.deadline()?);
                Effect::Restore { value: self.reader.bytes()?, deadline }
            }
            op::LIST_PUSH_FRONT => Effect::ListPushFront(r.bytes()?),
            op::LIST_PUSH_BACK => Effect::ListPushBack(r.bytes()?),
            op::LIST_POP_FRONT => Effect::ListPopFront,
            op::LIST_POP_BACK => Effect::ListPopBack,
            op::LIST_SET => Effect::ListSet { index: r.u64()?, value: r.bytes()? },
            op::LIST_INSERT => Effect::ListInsert { index: r.u64()?, value: r.bytes()? },
            op::LIST_REMOVE => Effect::ListRemove { index: r.u64()? },
            op::LIST_TRIM => Effect::ListTrim { start: r.u64()?, end: r.u64()? },
            op::HASH_SET => Effect::HashSet { field: r.bytes()?, value: r.bytes()? },
            op::HASH_DEL => Effect::HashDel(r.bytes()?),
            op::HASH_INCR => {
                Effect::HashIncr { field: r.bytes()?, delta: r.i64()?, result: r.i64()? }
            }
            op::HASH_INCR_FLOAT => {
                Effect::HashIncrFloat { field: r.bytes()?, delta: r.bytes()?, result: r.bytes()? }
            }
            op::SET_ADD => Effect::SetAdd(r.bytes()?),
            op::SET_REM => Effect::SetRem(r.bytes()?),
            op::ZSET_ADD => Effect::ZsetAdd { member: r.bytes()?, score: r.f64()? },
            op::ZSET_INCR => {
                Effect::ZsetIncr { member: r.bytes()?, delta: r.f64()?, result: r.f64()? }
            }
            op::ZSET_REM => Effect::ZsetRem(r.bytes()?),
            op::STREAM_ADD..=op::STREAM_CONSUMER_DEL | op::STREAM_GIVE | op::STREAM_ACK => {
                stream_effect(code, r)?
            }
            op::FLUSH_DB => Effect::FlushDb,
            op::FLUSH_ALL => Effect::FlushAll,
            other => return Err(DecodeError::UnknownOp(other)),
        })
    }
}

fn stream_effect<'e>(code: u8, r: &mut Reader<'e>) -> Result<Effect<'e>, DecodeError> {
    Ok(match code {
        op::STREAM_ADD => Effect::StreamAdd { id: read_id(r)?, fields: r.bytes()? },
        op::STREAM_DEL => Effect::StreamDel(read_id(r)?),
        op::STREAM_TRIM => Effect::StreamTrim { count: r.u64()? },
        op::STREAM_HEAD => Effect::StreamHead {
            last_id: read_id(r)?,
            max_deleted: read_id(r)?,
            entries_added: r.u64()?,
        },
        op::STREAM_GROUP => Effect::StreamGroup {
            group: r.bytes()?,
            last_id: read_id(r)?,
            entries_read: read_option(r)?,
        },
        op::STREAM_GROUP_DEL => Effect::StreamGroupDel(r.bytes()?),
        op::STREAM_SEEN => Effect::StreamSeen {
            group: r.bytes()?,
            consumer: r.bytes()?,
            at: WallMillis::new(r.u64()?),
        },
        op::STREAM_CONSUMER_DEL => {
            Effect::StreamConsumerDel { group: r.bytes()?, consumer: r.bytes()? }
        }
        op::STREAM_GIVE => Effect::StreamGive {
            group: r.bytes()?,
            consumer: r.bytes()?,
            at: WallMillis::new(r.u64()?),
            deliveries: r.u64()?,
            ids: StreamIds::parse(r.bytes()?)?,
        },
        op::STREAM_ACK => {
            Effect::StreamAck { group: r.bytes()?, ids: StreamIds::parse(r.bytes()?)? }
        }
        other => return Err(DecodeError::UnknownOp(other)),
    })
}
