//! Writing effects into the log's record buffer.

use tandem_merge::{KeyOp, LedgerOp, Op};
use tandem_types::{DbIndex, WallMillis};

use super::varint::{put_bytes, put_f64, put_i64, put_u64};
use super::{EFFECTS_VERSION, Effect, Located, SAME_KEY, op};
use crate::value::stream::codec::{put_id, put_option};

/// The effects of one record, written at the end of a buffer that belongs to the log.
///
/// The buffer is moved in and out ([`Self::over`], [`Self::into_bytes`]), which costs nothing; what
/// was in it before stays untouched. A command that changed nothing leaves nothing behind.
#[derive(Debug, Default)]
pub struct EffectBuf {
    bytes: Vec<u8>,
    /// Where this record's effects start.
    start: usize,
    /// Database and key of the last effect that named one.
    last: Option<(DbIndex, usize, usize)>,
    count: u64,
    /// With two writers, what is logged in place of effects.
    ops: Option<Operations>,
}

/// What a command did, for a merge.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Operations {
    /// The operations, in order.
    pub ops: Vec<Op>,
    /// For each addition to a score, what was there before.
    pub(crate) bases: Vec<f64>,
}

/// A state of the buffer to return to.
#[derive(Clone, Copy, Debug)]
pub struct EffectMark {
    end: usize,
    last: Option<(DbIndex, usize, usize)>,
    count: u64,
    ops: (usize, usize),
}

impl EffectBuf {
    /// An empty buffer of its own.
    pub fn new() -> Self {
        Self::default()
    }

    /// Collects what a merge needs in place of effects: for a pair whose nodes both write.
    pub fn merging() -> Self {
        Self { ops: Some(Operations::default()), ..Self::default() }
    }

    /// What was done, if made by [`Self::merging`].
    pub fn into_operations(self) -> Operations {
        self.ops.unwrap_or_default()
    }

    /// Whether operations are wanted, not effects.
    pub(crate) const fn is_merging(&self) -> bool {
        self.ops.is_some()
    }

    /// Appends an operation that no effect says: only when merging.
    pub(crate) fn push_op(&mut self, db: DbIndex, key: &[u8], op: KeyOp) {
        if let Some(ops) = &mut self.ops {
            self.count += 1;
            ops.ops.push(Op::Key(tandem_merge::Key { db, name: key.into() }, op));
        }
    }

    /// Appends a statement about a counter, a sequence or a policy: only when merging.
    pub(crate) fn push_statement(&mut self, op: LedgerOp) {
        if let Some(ops) = &mut self.ops {
            self.count += 1;
            ops.ops.push(Op::Ledger(op));
        }
    }

    /// An addition to a score that was `base`: only when merging.
    pub(crate) fn push_base(&mut self, base: f64) {
        if let Some(ops) = &mut self.ops {
            ops.bases.push(base);
        }
    }

    /// Writes after what is in `bytes`.
    pub fn over(bytes: Vec<u8>) -> Self {
        Self { start: bytes.len(), bytes, last: None, count: 0, ops: None }
    }

    /// The whole buffer, with the effects at its end.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// This record's effects, as [`crate::Store::apply`] takes them; empty if nothing happened.
    pub fn effects(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    /// True if nothing happened: no record is needed.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Number of effects.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Bytes of effects so far.
    pub const fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    /// Forgets this record's effects; the next ones start a record at the same place.
    pub fn clear(&mut self) {
        self.bytes.truncate(self.start);
        self.last = None;
        self.count = 0;
        if let Some(ops) = &mut self.ops {
            *ops = Operations::default();
        }
    }

    /// The state now, for [`Self::rollback`].
    pub fn mark(&self) -> EffectMark {
        EffectMark {
            end: self.bytes.len(),
            last: self.last,
            count: self.count,
            ops: self.ops.as_ref().map_or((0, 0), |ops| (ops.ops.len(), ops.bases.len())),
        }
    }

    /// Forgets what was written since `mark`.
    pub fn rollback(&mut self, mark: EffectMark) {
        self.bytes.truncate(mark.end);
        self.last = mark.last;
        self.count = mark.count;
        if let Some(ops) = &mut self.ops {
            ops.ops.truncate(mark.ops.0);
            ops.bases.truncate(mark.ops.1);
        }
    }

    /// Appends one effect.
    pub fn push(&mut self, db: DbIndex, key: &[u8], effect: Effect<'_>) {
        if let Some(ops) = &mut self.ops {
            let before = ops.ops.len();
            crate::merge::push_ops(&mut ops.ops, db, key, effect);
            self.count += u64::from(ops.ops.len() > before);
            return;
        }
        match effect {
            Effect::SetString { value, deadline } => {
                let code = if deadline.is_some() { op::SET_STRING_EXPIRES } else { op::SET_STRING };
                self.head(code, db, key);
                self.deadline(deadline);
                put_bytes(&mut self.bytes, value);
            }
            Effect::Del => self.head(op::DEL, db, key),
            Effect::Expired => self.head(op::EXPIRED, db, key),
            Effect::ExpireAt(deadline) => {
                self.head(op::EXPIRE_AT, db, key);
                self.deadline(Some(deadline));
            }
            Effect::Persist => self.head(op::PERSIST, db, key),
            Effect::Incr { delta, result } => {
                self.head(op::INCR, db, key);
                put_i64(&mut self.bytes, delta);
                put_i64(&mut self.bytes, result);
            }
            Effect::IncrFloat { delta, result } => {
                self.head(op::INCR_FLOAT, db, key);
                put_bytes(&mut self.bytes, delta);
                put_bytes(&mut self.bytes, result);
            }
            Effect::Append(bytes) => self.with_bytes(op::APPEND, db, key, bytes),
            Effect::SetRange { offset, bytes } => {
                self.with_index(op::SET_RANGE, db, key, offset);
                put_bytes(&mut self.bytes, bytes);
            }
            Effect::Restore { value, deadline } => {
                let code = if deadline.is_some() { op::RESTORE_EXPIRES } else { op::RESTORE };
                self.head(code, db, key);
                self.deadline(deadline);
                put_bytes(&mut self.bytes, value);
            }
            Effect::FlushDb => self.flush(op::FLUSH_DB, Some(db)),
            Effect::FlushAll => self.flush(op::FLUSH_ALL, None),
            Effect::ListPushFront(_)
            | Effect::ListPushBack(_)
            | Effect::ListPopFront
            | Effect::ListPopBack
            | Effect::ListSet { .. }
            | Effect::ListInsert { .. }
            | Effect::ListRemove { .. }
            | Effect::ListTrim { .. } => self.push_list(db, key, effect),
            Effect::HashSet { .. }
            | Effect::HashDel(_)
            | Effect::HashIncr { .. }
            | Effect::HashIncrFloat { .. } => self.push_hash(db, key, effect),
            Effect::SetAdd(member) => self.with_bytes(op::SET_ADD, db, key, member),
            Effect::SetRem(member) => self.with_bytes(op::SET_REM, db, key, member),
            Effect::ZsetAdd { member, score } => {
                self.with_bytes(op::ZSET_ADD, db, key, member);
                put_f64(&mut self.bytes, score);
            }
            Effect::ZsetIncr { member, delta, result } => {
                self.with_bytes(op::ZSET_INCR, db, key, member);
                put_f64(&mut self.bytes, delta);
                put_f64(&mut self.bytes, result);
            }
            Effect::ZsetRem(member) => self.with_bytes(op::ZSET_REM, db, key, member),
            Effect::StreamAdd { .. }
            | Effect::StreamDel(_)
            | Effect::StreamTrim { .. }
            | Effect::StreamHead { .. }
            | Effect::StreamGroup { .. }
            | Effect::StreamGroupDel(_)
            | Effect::StreamSeen { .. }
            | Effect::StreamConsumerDel { .. }
            | Effect::StreamGive { .. }
            | Effect::StreamAck { .. } => self.push_stream(db, key, effect),
        }
    }

    /// Appends an effect that was decoded elsewhere.
    pub fn push_located(&mut self, located: Located<'_>) {
        self.push(located.db, located.key, located.effect);
    }

    fn push_list(&mut self, db: DbIndex, key: &[u8], effect: Effect<'_>) {
        match effect {
            Effect::ListPushFront(value) => self.with_bytes(op::LIST_PUSH_FRONT, db, key, value),
            Effect::ListPushBack(value) => self.with_bytes(op::LIST_PUSH_BACK, db, key, value),
            Effect::ListPopFront => self.head(op::LIST_POP_FRONT, db, key),
            Effect::ListPopBack => self.head(op::LIST_POP_BACK, db, key),
            Effect::ListSet { index, value } => {
                self.with_index(op::LIST_SET, db, key, index);
                put_bytes(&mut self.bytes, value);
            }
            Effect::ListInsert { index, value } => {
                self.with_index(op::LIST_INSERT, db, key, index);
                put_bytes(&mut self.bytes, value);
            }
            Effect::ListRemove { index } => self.with_index(op::LIST_REMOVE, db, key, index),
            Effect::ListTrim { start, end } => {
                self.with_index(op::LIST_TRIM, db, key, start);
                put_u64(&mut self.bytes, end);
            }
            _ => unreachable!("push sends only list effects here: {effect:?}"),
        }
    }

    fn push_hash(&mut self, db: DbIndex, key: &[u8], effect: Effect<'_>) {
        match effect {
            Effect::HashSet { field, value } => {
                self.with_bytes(op::HASH_SET, db, key, field);
                put_bytes(&mut self.bytes, value);
            }
            Effect::HashDel(field) => self.with_bytes(op::HASH_DEL, db, key, field),
            Effect::HashIncr { field, delta, result } => {
                self.with_bytes(op::HASH_INCR, db, key, field);
                put_i64(&mut self.bytes, delta);
                put_i64(&mut self.bytes, result);
            }
            Effect::HashIncrFloat { field, delta, result } => {
                self.with_bytes(op::HASH_INCR_FLOAT, db, key, field);
                put_bytes(&mut self.bytes, delta);
                put_bytes(&mut self.bytes, result);
            }
            _ => unreachable!("push sends only hash effects here: {effect:?}"),
        }
    }

    fn push_stream(&mut self, db: DbIndex, key: &[u8], effect: Effect<'_>) {
        match effect {
            Effect::StreamAdd { id, fields } => {
                self.head(op::STREAM_ADD, db, key);
                put_id(&mut self.bytes, id);
                put_bytes(&mut self.bytes, fields);
            }
            Effect::StreamDel(id) => {
                self.head(op::STREAM_DEL, db, key);
                put_id(&mut self.bytes, id);
            }
            Effect::StreamTrim { count } => self.with_index(op::STREAM_TRIM, db, key, count),
            Effect::StreamHead { last_id, max_deleted, entries_added } => {
                self.head(op::STREAM_HEAD, db, key);
                put_id(&mut self.bytes, last_id);
                put_id(&mut self.bytes, max_deleted);
                put_u64(&mut self.bytes, entries_added);
            }
            Effect::StreamGroup { group, last_id, entries_read } => {
                self.with_bytes(op::STREAM_GROUP, db, key, group);
                put_id(&mut self.bytes, last_id);
                put_option(&mut self.bytes, entries_read);
            }
            Effect::StreamGroupDel(group) => {
                self.with_bytes(op::STREAM_GROUP_DEL, db, key, group);
            }
            Effect::StreamSeen { group, consumer, at } => {
                self.with_bytes(op::STREAM_SEEN, db, key, group);
                put_bytes(&mut self.bytes, consumer);
                put_u64(&mut self.bytes, at.get());
            }
            Effect::StreamConsumerDel { group, consumer } => {
                self.with_bytes(op::STREAM_CONSUMER_DEL, db, key, group);
                put_bytes(&mut self.bytes, consumer);
            }
            Effect::StreamGive { group, consumer, at, deliveries, ids } => {
                self.with_bytes(op::STREAM_GIVE, db, key, group);
                put_bytes(&mut self.bytes, consumer);
                put_u64(&mut self.bytes, at.get());
                put_u64(&mut self.bytes, deliveries);
                put_bytes(&mut self.bytes, ids.packed());
            }
            Effect::StreamAck { group, ids } => {
                self.with_bytes(op::STREAM_ACK, db, key, group);
                put_bytes(&mut self.bytes, ids.packed());
            }
            _ => unreachable!("push sends only stream effects here: {effect:?}"),
        }
    }

    /// Op byte, database and key; the latter two only if they differ from the effect before.
    #[inline]
    fn head(&mut self, code: u8, db: DbIndex, key: &[u8]) {
        if self.count == 0 {
            self.bytes.push(EFFECTS_VERSION);
        }
        self.count += 1;
        if let Some((last_db, from, to)) = self.last
            && last_db == db
            && self.bytes[from..to] == *key
        {
            self.bytes.push(code | SAME_KEY);
            return;
        }
        self.bytes.push(code);
        self.bytes.push(db.get());
        put_bytes(&mut self.bytes, key);
        let end = self.bytes.len();
        self.last = Some((db, end - key.len(), end));
    }

    fn flush(&mut self, code: u8, db: Option<DbIndex>) {
        if self.count == 0 {
            self.bytes.push(EFFECTS_VERSION);
        }
        self.count += 1;
        self.bytes.push(code);
        if let Some(db) = db {
            self.bytes.push(db.get());
        }
        self.last = None;
    }

    fn deadline(&mut self, deadline: Option<WallMillis>) {
        if let Some(deadline) = deadline {
            put_u64(&mut self.bytes, deadline.get());
        }
    }

    fn with_bytes(&mut self, code: u8, db: DbIndex, key: &[u8], bytes: &[u8]) {
        self.head(code, db, key);
        put_bytes(&mut self.bytes, bytes);
    }

    fn with_index(&mut self, code: u8, db: DbIndex, key: &[u8], index: u64) {
        self.head(code, db, key);
        put_u64(&mut self.bytes, index);
    }
}
