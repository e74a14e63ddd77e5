//! What reaches the follower, and what it asks for.

use std::borrow::Cow;

use tandem_types::{Chain, Epoch, EpochHistory, Lsn, Monotonic, SlotId};

use crate::fault::LinkFault;
use crate::message::{CopyStart, Follow, Message, Status};

/// Something the follower must know.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Input<'a> {
    /// The link is up and the switch obeys this epoch durably: ask for the stream. `end` is the end of
    /// the log. Not while a copy is being installed: say it after [`Input::CopyInstalled`] if the link
    /// was lost meanwhile ([`super::Follower::is_live`] is false then).
    Begin(Follow),
    /// A message of the stream (`Resume` to `Commit`).
    Message(Message<'a>),
    /// Answers [`Output::AppendRecords`] within the same turn: they passed every check.
    Appended {
        /// End of the log now.
        end: Lsn,
        /// Running checksum there.
        chain: Chain,
    },
    /// Answers [`Output::AppendRecords`] within the same turn: they did not; nothing was appended.
    Refused {
        /// The log's words.
        reason: String,
    },
    /// The log is on disk up to here. After [`Output::StartGeneration`] only of the new log.
    Durable {
        /// Exclusive.
        end: Lsn,
    },
    /// The key space has applied up to here.
    Applied {
        /// Exclusive.
        end: Lsn,
    },
    /// Answers [`Output::CopyComplete`]: the new generation is the one that a restart will load.
    CopyInstalled,
    /// The peer answered our heartbeat: what was acknowledged before `asked` is before its `commit_end`.
    Answered {
        /// When we asked.
        asked: Monotonic,
        /// The status that came with the answer.
        status: Status,
    },
    /// The connection is gone.
    LinkDown,
    /// Time passed; at least as often as [`super::Follower::deadline`] asks.
    Tick,
}

/// Something the surroundings must do, in order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Output<'a> {
    /// Send to the peer.
    Send(Message<'static>),
    /// Check (checksum, chain, LSN, length) and append; answer `Appended` or `Refused` in this turn.
    AppendRecords {
        /// First record: the end of the log.
        from: Lsn,
        /// After the last record.
        end: Lsn,
        /// The raw records.
        bytes: Cow<'a, [u8]>,
    },
    /// Apply the log up to here (at most the end of the log): it is committed.
    ApplyTo {
        /// Exclusive.
        end: Lsn,
    },
    /// This log left the common history: save the records from `to` on as conflicts, cut the log there,
    /// then boot anew from disk and come back. The brain is finished; make a new one.
    SaveAndCut {
        /// Where.
        to: Lsn,
        /// The leader's checksum there. If the own log has another, the log is damaged: do not cut, come
        /// back with `damaged: true`.
        chain: Chain,
        /// The leader's table, for the record of what happened.
        history: EpochHistory,
    },
    /// Begin a new generation with an empty key space and an empty log at `start`; what `keep` names is
    /// saved first. Records, chunks and `ApplyTo` that follow belong to it.
    StartGeneration(CopyStart),
    /// Load these slots into the new generation: they are as of `lsn`. Effects of earlier records on them
    /// must be skipped.
    LoadChunk {
        /// When they were taken.
        lsn: Lsn,
        /// The first slot it speaks for; those without bytes are empty.
        first: SlotId,
        /// The last slot it speaks for.
        last: SlotId,
        /// Read by [`crate::message::SlotPieces`].
        bytes: Cow<'a, [u8]>,
    },
    /// Everything before `end` is in the key space and on disk: make the new generation the one that a
    /// restart loads, then say [`Input::CopyInstalled`].
    CopyComplete {
        /// Exclusive.
        end: Lsn,
    },
    /// The full copy broke off: drop the new generation and boot anew from the old one. The brain is
    /// finished; make a new one.
    DropGeneration,
    /// Close the link.
    Close(LinkFault),
    /// The leader speaks of a later epoch than we were told to follow: ask the switch.
    HigherEpoch(Epoch),
    /// For people, metrics and traces.
    Event(Event),
}

/// What happened to the stream.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Event {
    /// The stream continues where our log ends.
    Resumed {
        /// Where.
        from: Lsn,
    },
    /// Our log left the common history.
    Diverged {
        /// Up to where the logs agree.
        to: Lsn,
        /// Records we have past that.
        extra: u64,
    },
    /// A full copy begins.
    CopyBegun {
        /// Where.
        start: Lsn,
    },
    /// The full copy is whole and installed.
    CopyDone,
    /// A message of an older reign was refused.
    OldEpochRefused {
        /// Its epoch.
        epoch: Epoch,
    },
}
