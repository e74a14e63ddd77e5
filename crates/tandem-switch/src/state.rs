//! What the switch keeps on disk, and its bytes.

use tandem_types::{Epoch, ForkId, Incarnation, NodeId, PairId};

use crate::wire::{Reader, WireError, Writer};
use crate::{InSyncSet, Member, Record, Revision};

/// First byte of the encoded state.
const VERSION: u8 = 3;
/// The one before it: without the state of the record. Still read.
const VERSION_2: u8 = 2;
/// The first: without an attempt and without pauses. Still read.
const VERSION_1: u8 = 1;

/// One primary's reign.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Reign {
    /// Its number.
    pub epoch: Epoch,
    /// Its random mark.
    pub fork: ForkId,
    /// Whose it is.
    pub primary: NodeId,
}

/// Everything a node must remember over a restart to keep its promises. Replaced as a whole,
/// atomically and durably, before anything is said or done that relies on it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct NodeState {
    /// The pair its data belongs to; [`PairId::NONE`] while empty.
    pub pair_id: PairId,
    /// This data directory's life, drawn when it was created.
    pub incarnation: Incarnation,
    /// Which start of it ([`crate::next_boot`]); written by the surroundings before the brain begins.
    pub boot: u64,
    /// The highest epoch it has heard of: everything older is refused.
    pub epoch_seen: Epoch,
    /// It acknowledges nothing at or below this epoch any more (it took over from it).
    pub refused_epoch: Epoch,
    /// It has left the in-sync set by its own word.
    pub resigned: bool,
    /// The latest reign it knows of.
    pub reign: Option<Reign>,
    /// The in-sync set as it knows it.
    pub in_sync: Option<InSyncSet>,
    /// The boot in which it last held its membership with nothing lost since: with
    /// `acknowledge = "received"` membership does not survive a restart.
    pub member_boot: u64,
    /// A take-over that was sent to the mediator, or was about to be, and is not settled (R5).
    pub attempt: Option<Attempt>,
    /// How often automatic decisions were suspended and resumed: while odd, they are suspended. The
    /// higher count wins, so the two nodes agree.
    pub pauses: u64,
    /// The state of the mediator's record against which the set was last held. One of another life, or an
    /// earlier one, may be a copy from before the set was left.
    pub recorded: Option<Revision>,
}

/// A change of the record that makes this node primary and may take effect later, whatever becomes of
/// this process: until the record's revision has moved, the epoch it replaces stays refused.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Attempt {
    /// The state of the record that it replaces.
    pub expect: Option<Revision>,
    /// The record it makes.
    pub record: Record,
    /// Nothing at or below this epoch is acknowledged meanwhile.
    pub refuses: Epoch,
}

impl NodeState {
    /// A data directory that was just created.
    pub const fn new(incarnation: Incarnation) -> Self {
        Self {
            pair_id: PairId::NONE,
            incarnation,
            boot: 0,
            epoch_seen: Epoch::ZERO,
            refused_epoch: Epoch::ZERO,
            resigned: false,
            reign: None,
            in_sync: None,
            member_boot: 0,
            attempt: None,
            pauses: 0,
            recorded: None,
        }
    }

    /// Whether it belongs to no pair yet.
    pub fn is_empty(&self) -> bool {
        self.pair_id == PairId::NONE
    }

    /// This directory as member of the set.
    pub const fn member(&self, node: NodeId) -> Member {
        Member { node, incarnation: self.incarnation }
    }

    /// Whether what a node says of itself to its peer is the same with both.
    pub(crate) fn greets_like(&self, other: &Self) -> bool {
        let said = |it: &Self| {
            (it.pair_id, it.incarnation, it.boot, it.epoch_seen, it.reign, it.in_sync, it.pauses)
        };
        said(self) == said(other)
    }

    /// Appends the bytes of the state (no checksum: the file around it has one).
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut w = Writer::new(out);
        w.u8(VERSION);
        w.u128(self.pair_id.get());
        w.u64(self.incarnation.get());
        w.u64(self.boot);
        w.u64(self.epoch_seen.get());
        w.u64(self.refused_epoch.get());
        w.flag(self.resigned);
        w.option(self.reign.as_ref(), Writer::reign);
        w.option(self.in_sync.as_ref(), Writer::in_sync);
        w.u64(self.member_boot);
        w.option(self.attempt.as_ref(), |w, attempt| {
            w.option(attempt.expect.as_ref(), Writer::record_revision);
            w.record(&attempt.record);
            w.u64(attempt.refuses.get());
        });
        w.u64(self.pauses);
        w.option(self.recorded.as_ref(), Writer::record_revision);
    }

    /// Reads a state and hands back the bytes after it.
    ///
    /// # Errors
    /// The bytes do not begin with a state of this version.
    pub fn decode(bytes: &[u8]) -> Result<(Self, &[u8]), WireError> {
        let mut r = Reader::new(bytes);
        let version = r.u8()?;
        if !(VERSION_1..=VERSION).contains(&version) {
            return Err(WireError::Version { found: version });
        }
        let mut state = Self {
            pair_id: PairId::new(r.u128()?),
            incarnation: Incarnation::new(r.u64()?),
            boot: r.u64()?,
            epoch_seen: r.epoch()?,
            refused_epoch: r.epoch()?,
            resigned: r.flag()?,
            reign: r.option(Reader::reign)?,
            in_sync: r.option(Reader::in_sync)?,
            member_boot: r.u64()?,
            attempt: None,
            pauses: 0,
            recorded: None,
        };
        if version >= VERSION_2 {
            state.attempt = r.option(read_attempt)?;
            state.pauses = r.u64()?;
        }
        if version >= VERSION {
            state.recorded = r.option(Reader::record_revision)?;
        }
        Ok((state, r.rest()))
    }
}

fn read_attempt(r: &mut Reader<'_>) -> Result<Attempt, WireError> {
    Ok(Attempt {
        expect: r.option(Reader::record_revision)?,
        record: r.record()?,
        refuses: r.epoch()?,
    })
}
