//! What reaches the leader, and what it asks for.

use tandem_types::{Chain, Epoch, EpochHistory, Lsn, NodeId, PairId, SlotId, Stamp};

use crate::fault::LinkFault;
use crate::message::{Ack, Follow, Message};

/// The leader's own log when its reign begins, and later whenever a follower asks.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reign {
    /// Its number: all messages carry it.
    pub epoch: Epoch,
    /// Which node leads.
    pub node: NodeId,
    /// The pair.
    pub pair_id: PairId,
    /// The table, this reign included.
    pub history: EpochHistory,
    /// First record that can still be read.
    pub oldest: Lsn,
    /// End of the log in memory.
    pub end: Lsn,
    /// Running checksum at `end`.
    pub chain: Chain,
    /// Stamp of the record before `end`.
    pub stamp: Stamp,
    /// What may be acknowledged.
    pub commit_end: Lsn,
}

/// Something the leader must know.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Input {
    /// The peer asks for the stream: a session begins (and ends the one before).
    Follow(Follow),
    /// The peer's positions.
    Ack(Ack),
    /// The connection is gone.
    LinkDown,
    /// The local log grew.
    Appended {
        /// Its end now.
        end: Lsn,
        /// Running checksum at `end`.
        chain: Chain,
        /// Stamp of the record before `end`.
        stamp: Stamp,
        /// Bytes ever appended by this process: only differences mean anything (lag in bytes).
        log_bytes: u64,
    },
    /// More may be acknowledged.
    Committed {
        /// Exclusive.
        end: Lsn,
    },
    /// Log before `oldest` was removed.
    Trimmed {
        /// First record that can still be read.
        oldest: Lsn,
    },
    /// Answers [`Output::LookUpChain`].
    ChainAt {
        /// As asked.
        lsn: Lsn,
        /// `None`: the log no longer reaches back to there.
        chain: Option<Chain>,
    },
    /// Answers [`Output::ReadRecords`].
    RecordsRead {
        /// As asked.
        from: Lsn,
        /// After the last record read: at most `until`, later than `from`.
        end: Lsn,
        /// Running checksum at `end`.
        chain: Chain,
        /// Whole records, raw.
        bytes: Vec<u8>,
    },
    /// Answers [`Output::ReadRecords`]: the log no longer holds them.
    RecordsGone {
        /// As asked.
        from: Lsn,
    },
    /// Answers [`Output::TakeChunk`].
    ChunkTaken {
        /// The end of the local log when it was taken.
        lsn: Lsn,
        /// The first slot, as asked.
        first: SlotId,
        /// The last slot it speaks for; the walk goes on after it.
        last: SlotId,
        /// The slots that are not empty, written by [`crate::message::push_slot`].
        bytes: Vec<u8>,
    },
    /// Time passed; at least as often as [`super::Leader::deadline`] asks.
    Tick,
}

/// Something the surroundings must do, in order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Output {
    /// Send to the peer.
    Send(Message<'static>),
    /// Answer with [`Input::ChainAt`], at once or later.
    LookUpChain {
        /// Where.
        lsn: Lsn,
    },
    /// Answer with [`Input::RecordsRead`] or [`Input::RecordsGone`], at once or later. One at a time.
    ReadRecords {
        /// First record.
        from: Lsn,
        /// Not this one nor later ones.
        until: Lsn,
        /// Stop after this many bytes, but read at least one record.
        bytes_max: u32,
    },
    /// Serialise slots from `first` on until `bytes_max` are reached or the key space ends, and answer
    /// with [`Input::ChunkTaken`] within the same turn. One at a time.
    TakeChunk {
        /// Where to begin.
        first: SlotId,
        /// Stop after this many bytes, but take at least one slot.
        bytes_max: u32,
    },
    /// Close the link.
    Close(LinkFault),
    /// The peer obeys a later epoch: this reign is over (tell the switch, which demotes first).
    HigherEpoch(Epoch),
    /// For people, metrics and traces.
    Event(Event),
}

/// What happened to the stream.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Event {
    /// The follower's log ends in ours: it continues.
    Resumed {
        /// Where.
        from: Lsn,
    },
    /// The follower left our history.
    Diverged {
        /// Up to where the logs agree.
        to: Lsn,
        /// Records it has past that.
        extra: u64,
    },
    /// A full copy begins.
    CopyBegun {
        /// Where.
        start: Lsn,
        /// Why not less.
        why: CopyReason,
    },
    /// All slots were sent.
    CopySent {
        /// The copy is whole once the follower has everything before.
        end: Lsn,
    },
    /// The follower made the copy whole.
    CopyDone,
    /// The full copy broke off.
    CopyFailed,
}

/// Why a follower gets everything anew.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CopyReason {
    /// It has no data.
    Empty,
    /// Our log no longer reaches back to where its log ends or forked.
    LogTrimmed,
    /// It would have to cut below the beginning of its own log.
    ForkTooOld,
    /// Same positions, other bytes.
    ChainDiffers,
    /// It says its log is damaged.
    Damaged,
}
