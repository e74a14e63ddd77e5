//! Unique ids on two sides at once.
//!
//! *Leased blocks*: ids come in blocks (block n begins at n times the lease, whatever the first id is, so that
//! two sides that disagree about the first still never meet); side A uses those of even number, side B of odd. A block is
//! *burnt*, which means written and on the peer's disk too, before its first id is given. So a side that lost its
//! disk, and learns from its peer what was burnt, never gives an id twice.
//!
//! When no burnt block is left because the peer is away, a strict sequence stops; an available one goes on
//! in blocks that are not burnt, and in exchange every new incarnation begins above the next multiple of
//! 2^40, where none before it can have come. Without that jump 92 % of random histories with cuts and lost
//! disks gave an id twice.
//!
//! *Interleaved*: A gives odd numbers, B even ones. Needs no peer, but forgets with its disk.
//!
//! **Not here:** that what was given is on disk before a client hears of it.

use tandem_types::{NodeId, Pair};

use crate::planted::{Rule, holds};

/// Blocks held ahead of use.
const AHEAD: u64 = 2;
/// Where a new incarnation goes on: ids of one incarnation do not reach the next multiple.
const JUMP: u64 = 1 << 40;

/// How a sequence is kept unique.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mode {
    /// Blocks of `lease` ids.
    Leased {
        /// Ids in a block.
        lease: u64,
        /// What happens without a burnt block.
        when_dry: WhenDry,
    },
    /// By parity of the number.
    Interleaved,
}

/// What a leased sequence does without a burnt block.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum WhenDry {
    /// Gives none.
    Strict,
    /// Goes on in blocks that are not burnt.
    Available,
}

/// Ids that were given: `first` and those after it, `step` apart.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ids {
    /// The first.
    pub first: u64,
    /// How many.
    pub count: u64,
    /// From one to the next.
    pub step: u64,
}

impl Ids {
    /// The last.
    pub const fn last(&self) -> u64 {
        self.first + (self.count - 1) * self.step
    }
}

/// Why no id was given.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SequenceError {
    /// No burnt block is left and the peer is away.
    #[error("no ids are left that the other node knows of; restore the link or use mode available")]
    Dry,
    /// More than a block at once.
    #[error("at most {lease} ids at once: that is the lease of this sequence")]
    TooMany {
        /// Ids in a block.
        lease: u64,
    },
    /// None at all, or beyond 2^63.
    #[error("the sequence has no such number of ids left")]
    Exhausted,
}

/// What a record says of a sequence: how far one side is. Only grows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Progress {
    /// Which side.
    pub side: NodeId,
    /// Its blocks before this number are burnt.
    pub burnt_end: u64,
    /// Its blocks before this number were on the peer's disk when it said this.
    pub usable_end: u64,
    /// Its ids before this one were given or passed over.
    pub next_id: u64,
}

/// A sequence as one side knows it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sequence {
    side: NodeId,
    mode: Mode,
    first: u64,
    burnt_end: Pair<u64>,
    next_id: Pair<u64>,
    /// Own blocks before this are burnt and known on the peer's disk.
    usable_end: u64,
}

impl Sequence {
    /// A sequence whose first id on either side is `first` or later. Both sides say the same.
    pub fn new(side: NodeId, mode: Mode, first: u64) -> Self {
        let begin = match mode {
            Mode::Leased { lease, .. } => first / lease.max(1),
            Mode::Interleaved => 0,
        };
        Self {
            side,
            mode,
            first,
            burnt_end: Pair { a: begin, b: begin },
            next_id: Pair { a: first, b: first },
            usable_end: 0,
        }
    }

    /// How ids are kept unique.
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// The first id of either side.
    pub const fn first(&self) -> u64 {
        self.first
    }

    /// The greatest id that either side is known to have given (or passed over); before the first, the number
    /// before it. The same on both sides once all has arrived.
    pub fn shown(&self) -> u64 {
        let step = if self.mode == Mode::Interleaved { 2 } else { 1 };
        let of = |side: NodeId| {
            let next = self.next_id[side];
            if next > self.first { next.saturating_sub(step) } else { self.first.saturating_sub(1) }
        };
        of(NodeId::A).max(of(NodeId::B))
    }

    /// Ids that this side can give before it needs another block: those of burnt blocks that the peer knows of.
    pub fn left(&self) -> u64 {
        let Mode::Leased { lease, .. } = self.mode else { return u64::MAX };
        let next = self.next_id[self.side];
        let mut block = self.own_block_from(self.block_of(next, lease));
        let mut left = 0u64;
        while block < self.usable_end {
            let from = self.id_of(block, lease).max(next);
            let end = self.id_of(block.saturating_add(1), lease);
            left = left.saturating_add(end.saturating_sub(from));
            block = block.saturating_add(2);
        }
        left
    }

    /// Whether a block is burnt that the peer is not known to have.
    pub fn is_burning(&self) -> bool {
        self.usable_end < self.burnt_end[self.side]
    }

    /// What this side's record says.
    pub fn progress(&self) -> Progress {
        let side = self.side;
        Progress {
            side,
            burnt_end: self.burnt_end[side],
            usable_end: self.usable_end,
            next_id: self.next_id[side],
        }
    }

    /// What is known of both sides: what a full copy says of the sequence.
    pub fn all_progress(&self) -> [Progress; 2] {
        let of = |side| Progress {
            side,
            burnt_end: self.burnt_end[side],
            usable_end: if side == self.side { self.usable_end } else { 0 },
            next_id: self.next_id[side],
        };
        [of(NodeId::A), of(NodeId::B)]
    }

    /// What the peer's record, or an own one being replayed, says.
    pub fn merge(&mut self, progress: &Progress) {
        let (side, burnt) = (progress.side, &mut self.burnt_end[progress.side]);
        *burnt = (*burnt).max(progress.burnt_end);
        self.next_id[side] = self.next_id[side].max(progress.next_id);
        if side == self.side {
            self.usable_end = self.usable_end.max(progress.usable_end);
        }
    }

    /// Burns the next own block if too few are ahead: then its [`Self::progress`] is to be written and
    /// sent, and [`Self::peer_has`] called when the peer has it on disk.
    pub fn burn(&mut self) -> bool {
        let Mode::Leased { lease, .. } = self.mode else { return false };
        let end = self.burnt_end[self.side];
        let ahead_id = self.next_id[self.side].saturating_add(lease / 2);
        let due = end < self.block_of(ahead_id, lease).saturating_add(2 * AHEAD);
        if due {
            self.burnt_end[self.side] = self.own_block_from(end).saturating_add(1);
        }
        due
    }

    /// The peer has this progress of ours on its disk.
    pub fn peer_has(&mut self, progress: &Progress) {
        if progress.side == self.side {
            self.usable_end = self.usable_end.max(progress.burnt_end);
        }
    }

    /// Gives `count` ids that follow one another. What it says has to be on disk before a client hears it.
    ///
    /// # Errors
    /// As [`SequenceError`] says; nothing is given.
    pub fn take(&mut self, count: u64) -> Result<Ids, SequenceError> {
        let next = self.next_id[self.side];
        let ids = match self.mode {
            _ if count == 0 => return Err(SequenceError::Exhausted),
            Mode::Interleaved => {
                let odd = u64::from(self.side == NodeId::A);
                let first = if next % 2 == odd { next } else { next.saturating_add(1) };
                Ids { first, count, step: 2 }
            }
            Mode::Leased { lease, .. } if count > lease => {
                return Err(SequenceError::TooMany { lease });
            }
            Mode::Leased { lease, when_dry } => self.leased(next, count, lease, when_dry)?,
        };
        let end = count.checked_mul(ids.step).and_then(|length| ids.first.checked_add(length));
        let end = end.filter(|end| *end < 1 << 63).ok_or(SequenceError::Exhausted)?;
        self.next_id[self.side] = end;
        Ok(ids)
    }

    fn leased(
        &self,
        next: u64,
        count: u64,
        lease: u64,
        when_dry: WhenDry,
    ) -> Result<Ids, SequenceError> {
        let here = self.block_of(next, lease);
        let mut block = self.own_block_from(here);
        let mut first = if block == here { next } else { self.id_of(block, lease) };
        if first.saturating_add(count) > self.id_of(block.saturating_add(1), lease) {
            // The rest of the block is too small: a gap.
            block = self.own_block_from(block.saturating_add(1));
            first = self.id_of(block, lease);
        }
        let usable = block < self.usable_end || !holds(Rule::BurnFirst);
        if !usable && (when_dry == WhenDry::Strict || !self.is_announced(first, lease)) {
            return Err(SequenceError::Dry);
        }
        Ok(Ids { first, count, step: 1 })
    }

    /// An incarnation that begins above a jump gives none before the peer has a block of it: it may be lost
    /// again, and the next one jumps over what the peer knows.
    fn is_announced(&self, id: u64, lease: u64) -> bool {
        let range = id / JUMP;
        let begin = self.own_block_from(self.block_of(range.saturating_mul(JUMP), lease));
        range == self.first / JUMP || self.usable_end > begin
    }

    /// A node that lost its disk takes over what its peer knows of the sequence.
    pub fn new_incarnation(&mut self) {
        let Mode::Leased { lease, when_dry } = self.mode else { return };
        let burnt = self.burnt_end[self.side];
        self.usable_end = burnt;
        let mut next = self.id_of(self.own_block_from(burnt), lease).max(self.next_id[self.side]);
        if when_dry == WhenDry::Available && holds(Rule::JumpAfterLoss) {
            next = (next / JUMP + 1) * JUMP;
        }
        let block = self.own_block_from(self.block_of(next, lease));
        if when_dry == WhenDry::Strict && !holds(Rule::JumpAfterLoss) {
            // The mistake: going on at what is known to be given, not at what was burnt.
            return;
        }
        self.next_id[self.side] = self.id_of(block, lease).max(next);
        self.burnt_end[self.side] = burnt.max(block);
        self.usable_end = self.burnt_end[self.side];
    }

    /// The pair goes on from a backup: what either side gave since it was taken, nobody here knows. Both begin
    /// above every multiple of 2^40 that is known, and not below `from`.
    pub fn restored(&mut self, from: u64) {
        let known = self.next_id.a.max(self.next_id.b);
        let lease = match self.mode {
            Mode::Leased { lease, .. } => lease,
            Mode::Interleaved => 1,
        };
        let burnt = self.id_of(self.burnt_end.a.max(self.burnt_end.b), lease);
        let above = (known.max(burnt) / JUMP).saturating_add(1).saturating_mul(JUMP);
        let next = above.max(from.div_ceil(JUMP).saturating_mul(JUMP));
        for side in [NodeId::A, NodeId::B] {
            self.next_id[side] = next;
            if let Mode::Leased { .. } = self.mode {
                let block = self.block_of(next, lease);
                self.burnt_end[side] = block + (block + u64::from(side.as_byte())) % 2;
            }
        }
        self.usable_end = self.burnt_end[self.side];
    }

    #[expect(clippy::unused_self, reason = "reads as what it belongs to")]
    const fn block_of(&self, id: u64, lease: u64) -> u64 {
        id / lease
    }

    #[expect(clippy::unused_self, reason = "reads as what it belongs to")]
    const fn id_of(&self, block: u64, lease: u64) -> u64 {
        block.saturating_mul(lease)
    }

    /// The first block of the own parity, from this one on.
    fn own_block_from(&self, block: u64) -> u64 {
        let parity = u64::from(self.side == NodeId::B);
        if block % 2 == parity || !holds(Rule::OwnParity) { block } else { block.saturating_add(1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRICT: Mode = Mode::Leased { lease: 10, when_dry: WhenDry::Strict };

    fn refill(sequence: &mut Sequence) {
        while sequence.burn() {
            let progress = sequence.progress();
            sequence.peer_has(&progress);
        }
    }

    #[test]
    fn nothing_is_given_before_the_peer_knows_of_the_block() {
        let mut sequence = Sequence::new(NodeId::A, STRICT, 100);
        assert_eq!(sequence.take(1), Err(SequenceError::Dry));
        assert!(sequence.burn());
        assert_eq!(sequence.take(1), Err(SequenceError::Dry), "burnt here only");
        let progress = sequence.progress();
        sequence.peer_has(&progress);
        assert_eq!(sequence.take(1).unwrap().first, 100);
    }

    #[test]
    fn a_reservation_stays_in_one_block() {
        let mut sequence = Sequence::new(NodeId::B, STRICT, 100);
        refill(&mut sequence);
        assert_eq!(sequence.take(1).unwrap().first, 110, "B has the odd blocks");
        let ids = sequence.take(10).unwrap();
        assert_eq!((ids.first, ids.last()), (130, 139));
        assert_eq!(sequence.take(11), Err(SequenceError::TooMany { lease: 10 }));
    }

    #[test]
    fn interleaved_sides_never_meet() {
        let mut a = Sequence::new(NodeId::A, Mode::Interleaved, 100);
        let mut b = Sequence::new(NodeId::B, Mode::Interleaved, 100);
        assert_eq!((a.take(2).unwrap().last(), a.take(1).unwrap().first), (103, 105));
        assert_eq!((b.take(2).unwrap().last(), b.take(1).unwrap().first), (102, 104));
    }

    #[test]
    fn a_restored_pair_gives_no_id_that_was_given_since_the_backup() {
        let leased = |when_dry| Mode::Leased { lease: 100, when_dry };
        for mode in [leased(WhenDry::Strict), leased(WhenDry::Available), Mode::Interleaved] {
            let mut given = std::collections::BTreeSet::new();
            let mut backup = Sequence::new(NodeId::A, mode, 1);
            let mut take = |sequence: &mut Sequence| {
                for _ in 0..1_000 {
                    refill(sequence);
                    let ids = sequence.take(1).unwrap();
                    assert!(given.insert(ids.first), "{mode:?}: {} twice", ids.first);
                }
            };
            take(&mut backup);
            // Both sides go on after the backup.
            take(&mut backup.clone());
            let mut b = Sequence::new(NodeId::B, mode, 1);
            take(&mut b);
            backup.restored(0);
            let mut other = Sequence::new(NodeId::B, mode, 1);
            for progress in backup.all_progress() {
                other.merge(&progress);
            }
            other.new_incarnation();
            take(&mut backup);
            take(&mut other);
            // The same backup, restored on another day.
            backup.restored(64 << 40);
            take(&mut backup);
        }
    }
}
