//! Records: what one command or one transaction did, so that it can be merged.
//!
//! Effects, never commands: a delta, an assignment, an observed removal, an edit by position.

use tandem_types::{DbIndex, Lsn, NodeId, Stamp, WallMillis};

use crate::Spans;
use crate::item::{Bytes, Content, Deadline, Key, Rank};
use crate::ledger::LedgerOp;
use crate::number::Number;

/// Whose record, and what its writer had seen.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Origin {
    /// Who wrote it.
    pub side: NodeId,
    /// Its position among the records of that side.
    pub lsn: Lsn,
    /// The end of the other side's records that its writer had applied.
    pub seen: Lsn,
    /// When, by the writer's clock. Never changed once written.
    pub stamp: Stamp,
}

impl Origin {
    /// How strongly it claims to be the last.
    pub const fn rank(&self) -> Rank {
        Rank { stamp: self.stamp, side: self.side }
    }
}

/// One record: applied as a whole, merged item by item.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Whose, and what it had seen.
    pub origin: Origin,
    /// What it does, in order.
    pub ops: Vec<Op>,
}

/// What is sent, merged and logged at the other side as one: usually one record.
///
/// After compaction it speaks for all positions from `from` to that of its last record. Within it, effects
/// may stand at a later position than they had; so a receiver that had only part of it could not say
/// what it has seen.
#[derive(Clone, Debug, PartialEq)]
pub struct Chunk {
    /// The first position it speaks for.
    pub from: Lsn,
    /// Its records, in order; at least one.
    pub records: Vec<Record>,
    /// Until the receiver is here, a key may be missing that its writer had when it wrote this: what made
    /// it came again later and is not repeated.
    pub whole_at: Lsn,
}

impl Chunk {
    /// A record as it was written.
    pub fn of(record: Record) -> Self {
        let from = record.origin.lsn;
        Self { from, records: vec![record], whole_at: from.next() }
    }

    /// The position after the last it speaks for.
    pub fn end(&self) -> Lsn {
        self.records.last().map_or(self.from, |record| record.origin.lsn.next())
    }
}

/// One thing a record does.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// To a key.
    Key(Key, KeyOp),
    /// To a database: its writer saw it become empty.
    Flush(DbIndex),
    /// To a counter, a sequence or a policy.
    Ledger(LedgerOp),
}

/// What is done to one key.
#[derive(Clone, Debug, PartialEq)]
pub enum KeyOp {
    /// The key holds this string and nothing else, with this deadline.
    Set {
        /// The string.
        value: Bytes,
        /// Its deadline.
        deadline: Option<WallMillis>,
    },
    /// The key holds this and nothing else, with this deadline.
    Restore {
        /// What it holds. Scores have no totals of their own.
        content: Box<Content>,
        /// Its deadline.
        deadline: Option<WallMillis>,
    },
    /// The key is gone.
    Del,
    /// The key is gone because its deadline has passed.
    Expired,
    /// The key has this deadline. [`Deadline::Wiped`] goes with every write that made the key come or go
    /// without being an assignment of the whole key.
    Deadline(Deadline),
    /// The string, all else as it was: what the winner of a race says again.
    Put(Bytes),
    /// The string as a number.
    Add(Added),
    /// Part of the string.
    Patch(Patch),
    /// A field of the hash.
    FieldSet(Bytes, Bytes),
    /// A field is gone.
    FieldDel(Bytes),
    /// A field as a number.
    FieldAdd(Bytes, Added),
    /// A member of the set is in, also if it was in before.
    MemberAdd(Bytes),
    /// A member of the set is out.
    MemberDel(Bytes),
    /// A member of the sorted set has this score.
    ScoreSet(Bytes, f64),
    /// A member of the sorted set has these more, one after the other.
    ScoreAdd(Bytes, Vec<f64>),
    /// A member of the sorted set is out.
    ScoreDel(Bytes),
    /// The list is edited.
    List(Spans),
}

impl KeyOp {
    /// Assigns or deletes the whole key.
    pub const fn is_whole(&self) -> bool {
        matches!(self, Self::Set { .. } | Self::Restore { .. } | Self::Del | Self::Expired)
    }
}

/// An addition to a number.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Added {
    /// What was added.
    pub delta: Number,
    /// What its client was told: two clients that were told the same may hold the same "unique" id.
    pub result: Number,
}

/// A change of part of a string.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Patch {
    /// Where it begins; [`Patch::AT_END`]: at the end.
    pub offset: u64,
    /// What stands there now.
    pub bytes: Bytes,
}

impl Patch {
    /// The offset of an `APPEND`.
    pub const AT_END: u64 = u64::MAX;
    /// Strings longer than 512 MiB are none.
    const LENGTH_MAX: u64 = 512 << 20;

    /// The string after it, zeros before the patch if it was shorter.
    pub fn applied_to(&self, string: Option<&[u8]>) -> Bytes {
        let mut string = string.unwrap_or_default().to_vec();
        if self.offset == Self::AT_END {
            string.extend_from_slice(&self.bytes);
        } else if self.offset <= Self::LENGTH_MAX {
            // At most 2^29, which fits.
            let from = usize::try_from(self.offset).unwrap_or_default();
            let end = from + self.bytes.len();
            if string.len() < end {
                string.resize(end, 0);
            }
            if let Some(place) = string.get_mut(from..end) {
                place.copy_from_slice(&self.bytes);
            }
        }
        string.into_boxed_slice()
    }
}
