//! Effects for people: conflict files, `tandem check`, logs.

use std::borrow::Cow;
use std::fmt;

use tandem_types::DbIndex;

use super::{Effect, Located};
use crate::value::stream::fields::Fields;

/// An effect in words: a name, a key, arguments in order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Description<'e> {
    /// Name of the effect, like `HSET`; the names are stable.
    pub op: &'static str,
    /// The database.
    pub db: DbIndex,
    /// The key; `None` for the flushes.
    pub key: Option<&'e [u8]>,
    /// Arguments, in the order of [`Effect`]'s fields; deadlines in milliseconds since 1970.
    pub args: Vec<Cow<'e, [u8]>>,
}

/// Puts an effect in words.
pub fn describe<'e>(located: &Located<'e>) -> Description<'e> {
    let (op, args) = match located.effect {
        Effect::SetString { value, deadline: None } => ("SET", vec![bytes(value)]),
        Effect::SetString { value, deadline: Some(at) } => {
            ("SET", vec![bytes(value), bytes(b"PXAT"), text(at.get())])
        }
        Effect::Del => ("DEL", vec![]),
        Effect::Expired => ("EXPIRED", vec![]),
        Effect::ExpireAt(at) => ("PEXPIREAT", vec![text(at.get())]),
        Effect::Persist => ("PERSIST", vec![]),
        Effect::Incr { delta, result } => ("INCR", vec![text(delta), text(result)]),
        Effect::IncrFloat { delta, result } => ("INCRFLOAT", vec![bytes(delta), bytes(result)]),
        Effect::Append(value) => ("APPEND", vec![bytes(value)]),
        Effect::SetRange { offset, bytes: value } => ("SETRANGE", vec![text(offset), bytes(value)]),
        Effect::Restore { value, deadline: None } => ("RESTORE", vec![bytes(value)]),
        Effect::Restore { value, deadline: Some(at) } => {
            ("RESTORE", vec![bytes(value), bytes(b"PXAT"), text(at.get())])
        }
        Effect::ListPushFront(value) => ("LPUSH", vec![bytes(value)]),
        Effect::ListPushBack(value) => ("RPUSH", vec![bytes(value)]),
        Effect::ListPopFront => ("LPOP", vec![]),
        Effect::ListPopBack => ("RPOP", vec![]),
        Effect::ListSet { index, value } => ("LSET", vec![text(index), bytes(value)]),
        Effect::ListInsert { index, value } => ("LINSERTAT", vec![text(index), bytes(value)]),
        Effect::ListRemove { index } => ("LREMAT", vec![text(index)]),
        Effect::ListTrim { start, end } => ("LKEEP", vec![text(start), text(end)]),
        Effect::HashSet { field, value } => ("HSET", vec![bytes(field), bytes(value)]),
        Effect::HashDel(field) => ("HDEL", vec![bytes(field)]),
        Effect::HashIncr { field, delta, result } => {
            ("HINCR", vec![bytes(field), text(delta), text(result)])
        }
        Effect::HashIncrFloat { field, delta, result } => {
            ("HINCRFLOAT", vec![bytes(field), bytes(delta), bytes(result)])
        }
        Effect::SetAdd(member) => ("SADD", vec![bytes(member)]),
        Effect::SetRem(member) => ("SREM", vec![bytes(member)]),
        Effect::ZsetAdd { member, score } => ("ZADD", vec![bytes(member), text(score)]),
        Effect::ZsetIncr { member, delta, result } => {
            ("ZINCR", vec![bytes(member), text(delta), text(result)])
        }
        Effect::ZsetRem(member) => ("ZREM", vec![bytes(member)]),
        Effect::StreamAdd { id, fields } => {
            let words = Fields::parse(fields).map(|fields| fields.iter().map(bytes).collect());
            let words: Vec<_> = words.unwrap_or_default();
            ("XADD", [vec![text(id)], words].concat())
        }
        Effect::StreamDel(id) => ("XDEL", vec![text(id)]),
        Effect::StreamTrim { count } => ("XDROP", vec![text(count)]),
        Effect::StreamHead { last_id, max_deleted, entries_added } => {
            ("XSETID", vec![text(last_id), text(max_deleted), text(entries_added)])
        }
        Effect::StreamGroup { group, last_id, entries_read } => {
            let read = entries_read.map_or_else(|| bytes(b"-1"), text);
            ("XGROUP", vec![bytes(group), text(last_id), read])
        }
        Effect::StreamGroupDel(group) => ("XGROUPDEL", vec![bytes(group)]),
        Effect::StreamSeen { group, consumer, at } => {
            ("XSEEN", vec![bytes(group), bytes(consumer), text(at.get())])
        }
        Effect::StreamConsumerDel { group, consumer } => {
            ("XCONSUMERDEL", vec![bytes(group), bytes(consumer)])
        }
        Effect::StreamGive { group, consumer, at, deliveries, ids } => {
            let head = vec![bytes(group), bytes(consumer), text(at.get()), text(deliveries)];
            ("XGIVE", [head, ids.iter().map(text).collect()].concat())
        }
        Effect::StreamAck { group, ids } => {
            ("XACK", [vec![bytes(group)], ids.iter().map(text).collect()].concat())
        }
        Effect::FlushDb => ("FLUSHDB", vec![]),
        Effect::FlushAll => ("FLUSHALL", vec![]),
    };
    let key = match located.effect {
        Effect::FlushDb | Effect::FlushAll => None,
        _ => Some(located.key),
    };
    Description { op, db: located.db, key, args }
}

fn bytes(bytes: &[u8]) -> Cow<'_, [u8]> {
    Cow::Borrowed(bytes)
}

fn text(value: impl fmt::Display) -> Cow<'static, [u8]> {
    Cow::Owned(value.to_string().into_bytes())
}

impl fmt::Display for Description<'_> {
    /// `db0 HSET "key" "field" "value"`, bytes beyond ASCII escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "db{} {}", self.db.get(), self.op)?;
        if let Some(key) = self.key {
            write!(f, " \"{}\"", key.escape_ascii())?;
        }
        for arg in &self.args {
            write!(f, " \"{}\"", arg.escape_ascii())?;
        }
        Ok(())
    }
}
