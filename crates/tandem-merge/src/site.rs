//! One side of the pair: its clock, its own unacknowledged writes, and how far it has followed the peer.
//!
//! The rules that the surroundings keep (each has a test that takes it away):
//! - A record is sent only once it is on this node's disk: its position is never used for another.
//! - Records are applied strictly in order, once ([`Site::admit`]).
//! - What is said to be seen is on this node's disk.
//! - Acknowledgements take effect in stream order only ([`Site::heard`]).
//! - A record and what it makes this side write again are appended together ([`Site::again`]).

use tandem_types::{Lsn, NodeId, SlotId, Stamp, WallMillis};

use crate::clock::Clock;
use crate::codec::{Bytes, CodecError, put_uint};
use crate::compact::compact_before;
use crate::index::Index;
use crate::item::{Key, Space};
use crate::merge::{Merged, apply_own, merge};
use crate::op::{Chunk, KeyOp, Op, Origin, Record};
use crate::planted::{Rule, holds};

/// What to do with a record of the peer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Admission {
    /// It is the next: merge it.
    Next,
    /// It was applied before: drop it.
    Known,
    /// It does not begin where this side is: records before it are missing, or it is a compacted one that
    /// speaks for some that were applied. Ask for the stream anew, from here.
    Elsewhere {
        /// The first position that is missing.
        from: Lsn,
    },
}

/// One side.
#[derive(Clone, Debug)]
pub struct Site {
    side: NodeId,
    clock: Clock,
    index: Index,
    own_end: Lsn,
    seen_end: Lsn,
    stable_end: Lsn,
}

impl Site {
    /// A side that has written nothing and seen nothing.
    pub fn new(side: NodeId, skew_ms_max: u64) -> Self {
        Self::at(side, Lsn::ZERO, Lsn::ZERO, Clock::new(Stamp::ZERO, skew_ms_max))
    }

    /// A side whose own records before `own_end` the peer has, and that has applied the peer's before
    /// `seen_end`: where a snapshot was taken, or after a full copy.
    pub fn at(side: NodeId, own_end: Lsn, seen_end: Lsn, clock: Clock) -> Self {
        Self { side, clock, index: Index::new(), own_end, seen_end, stable_end: own_end }
    }

    /// Which side.
    pub const fn side(&self) -> NodeId {
        self.side
    }

    /// The end of the own records.
    pub const fn own_end(&self) -> Lsn {
        self.own_end
    }

    /// The end of the peer's records that were applied here.
    pub const fn seen_end(&self) -> Lsn {
        self.seen_end
    }

    /// The end of the own records that the peer's stream says it has.
    pub const fn stable_end(&self) -> Lsn {
        self.stable_end
    }

    /// The own unacknowledged writes.
    pub const fn index(&self) -> &Index {
        &self.index
    }

    /// The newest stamp.
    pub const fn last_stamp(&self) -> Stamp {
        self.clock.last()
    }

    /// Another incarnation of the peer takes the place of the one before, and begins with a copy of
    /// everything here: nothing that was written here until now is unknown to it, and its own records count
    /// from zero.
    pub fn meet(&mut self) {
        self.index = Index::new();
        self.stable_end = self.own_end;
        self.seen_end = Lsn::ZERO;
    }

    /// This side, as yet empty, when it begins to copy what the peer held at `start` of its own records.
    #[must_use]
    pub fn copying_from(&self, start: Lsn) -> Self {
        assert!(self.own_end == Lsn::ZERO, "{} own records before a copy", self.own_end);
        Self::at(self.side, Lsn::ZERO, start, self.clock)
    }

    /// The header of the next own record.
    pub fn begin(&mut self, wall: WallMillis) -> Origin {
        let stamp = self.clock.tick(wall);
        Origin { side: self.side, lsn: self.own_end, seen: self.seen_end, stamp }
    }

    /// An own record whose operations the key space has already done.
    pub fn note(&mut self, record: &Record) {
        self.note_where(record, &|_| false);
    }

    fn note_where(&mut self, record: &Record, ahead: &dyn Fn(&Key) -> bool) {
        let origin = &record.origin;
        assert!(origin.side == self.side, "a record of {:?} noted at {:?}", origin.side, self.side);
        assert!(origin.lsn == self.own_end, "record {} after {}", origin.lsn, self.own_end);
        for op in &record.ops {
            self.index.note_where(origin, op, ahead);
        }
        self.own_end = origin.lsn.next();
    }

    /// Replays an own record from the log.
    pub fn replay(&mut self, record: &Record, space: &mut dyn Space) {
        for op in &record.ops {
            match op {
                Op::Ledger(op) => space.enter(&record.origin, op),
                Op::Key(key, _) if space.is_ahead(key) && holds(Rule::DoneOnce) => {}
                op => apply_own(self.side, op, space),
            }
        }
        // The wall clock may be behind what was written before the restart.
        self.clock.observe(record.origin.stamp, record.origin.stamp.wall());
        self.note_where(record, &|key| space.is_ahead(key));
    }

    /// Shortens `records`, a stretch of the own ones from `from` on, into chunks of about `ops_max` operations:
    /// also of what own records after the stretch, but before `end`, made dead. Those must be on this disk.
    pub fn compact(&self, from: Lsn, records: Vec<Record>, ops_max: usize, end: Lsn) -> Vec<Chunk> {
        let killed = |key: &Key, op: &KeyOp, lsn| self.index.kills(key, op, lsn, end);
        compact_before(from, records, ops_max, end, &killed)
    }

    /// Whether what came from the peer is the next.
    pub fn admit(&self, chunk: &Chunk) -> Admission {
        if !holds(Rule::ApplyOnce) {
            Admission::Next
        } else if chunk.end() <= self.seen_end {
            Admission::Known
        } else if chunk.from != self.seen_end {
            Admission::Elsewhere { from: self.seen_end }
        } else {
            Admission::Next
        }
    }

    /// Merges what comes next from the peer.
    ///
    /// [`Self::again`] follows at once, unless a log is replayed that goes on: then that record is in it.
    pub fn merge(&mut self, chunk: &Chunk, wall: WallMillis, space: &mut dyn Space) -> Merged {
        let mut merged = Merged::default();
        self.index.begin_chunk(chunk.whole_at);
        for record in &chunk.records {
            for op in &record.ops {
                merge(&record.origin, op, &mut self.index, space, &mut merged);
            }
            self.clock.observe(record.origin.stamp, wall);
            self.acknowledged(record.origin.seen);
        }
        self.seen_end = self.seen_end.max(chunk.end());
        self.index.end_chunk(self.seen_end);
        space.told(&merged.conflicts);
        merged
    }

    /// Writes again what a merge asks for: does it to the key space and gives the record, which is appended
    /// directly behind the merged one. A log that ends between the two merges the last one anew, which asks
    /// for the same.
    pub fn again(
        &mut self,
        merged: &Merged,
        wall: WallMillis,
        space: &mut dyn Space,
    ) -> Option<Record> {
        let ops: Vec<Op> = merged.again.iter().filter_map(|again| again.op(space)).collect();
        if ops.is_empty() {
            return None;
        }
        let own = Record { origin: self.begin(wall), ops };
        for op in &own.ops {
            apply_own(self.side, op, space);
        }
        self.note(&own);
        Some(own)
    }

    /// Writes what no command makes: does it to the key space and gives the record.
    pub fn write(&mut self, ops: Vec<Op>, wall: WallMillis, space: &mut dyn Space) -> Record {
        let own = Record { origin: self.begin(wall), ops };
        for op in &own.ops {
            match op {
                Op::Ledger(op) => space.enter(&own.origin, op),
                op => apply_own(self.side, op, space),
            }
        }
        self.note(&own);
        own
    }

    /// The peer says, on whatever channel, that it has the own records before `seen`, and that its own
    /// ended at `said_at` then. Counts once those have been applied here: one of them may have been written
    /// before the peer saw what it says it has.
    pub fn heard(&mut self, seen: Lsn, said_at: Lsn) {
        if said_at <= self.seen_end || !holds(Rule::AckInOrder) {
            self.acknowledged(seen);
        }
    }

    /// Nobody is there, and whoever comes begins with a copy: nothing that was written here has to be noted.
    pub fn nobody_lacks(&mut self) {
        self.acknowledged(self.own_end);
    }

    /// Enters what a full copy says of counters, sequences and policies.
    pub fn copied(&mut self, record: &Record, space: &mut dyn Space) {
        self.clock.observe(record.origin.stamp, record.origin.stamp.wall());
        for op in &record.ops {
            if let Op::Ledger(op) = op {
                space.enter(&record.origin, op);
            }
        }
    }

    /// This side at rest, for a snapshot: all but what is noted of keys.
    pub fn encode(&self, out: &mut Vec<u8>) {
        for word in [
            self.own_end.get(),
            self.seen_end.get(),
            self.stable_end.get(),
            self.clock.last().get(),
        ] {
            put_uint(out, word);
        }
        self.index.encode(out);
    }

    /// The side of a snapshot. What is noted of keys comes with their slots ([`Self::load_slots`]).
    ///
    /// # Errors
    /// As [`CodecError`] says.
    pub fn decode(side: NodeId, skew_ms_max: u64, bytes: &[u8]) -> Result<Self, CodecError> {
        let mut bytes = Bytes(bytes);
        let [own_end, seen_end, stable_end] =
            [bytes.uint()?, bytes.uint()?, bytes.uint()?].map(Lsn::new);
        let clock = Clock::new(Stamp::new(bytes.uint()?), skew_ms_max);
        let mut index = Index::decode(side, &mut bytes)?;
        index.stable(stable_end);
        if !bytes.0.is_empty() || stable_end > own_end {
            return Err(CodecError::Length);
        }
        Ok(Self { side, clock, index, own_end, seen_end, stable_end })
    }

    /// What is noted of keys in the slots `first..=last`, for a snapshot.
    pub fn encode_slots(&self, first: SlotId, last: SlotId, out: &mut Vec<u8>) {
        self.index.encode_slots(first, last, out);
    }

    /// Takes over what a snapshot noted of keys in some slots.
    ///
    /// # Errors
    /// As [`CodecError`] says.
    pub fn load_slots(&mut self, bytes: &[u8]) -> Result<(), CodecError> {
        self.index.load_slots(self.side, bytes)
    }

    /// No key is ahead of the records any more: the snapshot and the log have met.
    pub fn loaded(&mut self) {
        self.index.loaded(self.stable_end);
    }

    fn acknowledged(&mut self, seen: Lsn) {
        self.stable_end = self.stable_end.max(seen);
        self.index.stable(self.stable_end);
    }

    /// Begins again by the wall clock alone: the known mistake, for tests.
    #[cfg(feature = "planted")]
    pub const fn forget_clock(&mut self) {
        self.clock = Clock::new(Stamp::ZERO, crate::SKEW_MS_MAX);
    }

    /// Forgets own writes because they were sent: the known mistake, for tests.
    #[cfg(feature = "planted")]
    pub fn forget_sent(&mut self, end: Lsn) {
        self.acknowledged(end);
    }
}
