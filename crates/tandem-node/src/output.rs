//! Everything a node can want done.

use tandem_admin::AdminReply;
use tandem_log::{Batch, NodeState, Tip};
use tandem_types::{EpochHistory, Lsn, PairId, SlotId};

use crate::{AdminId, ConflictOrder, ConnId, Fork};

/// Work for the log thread, done strictly in order.
#[derive(Debug)]
pub enum LogCommand {
    /// Write these records; sync as the fsync policy says; report progress.
    Write(Batch),
    /// Sync now, whatever the policy, and report progress.
    Sync,
    /// The log is still empty and belongs to this pair from now on.
    SetPair {
        /// The pair.
        pair_id: PairId,
    },
    /// Make this state durable (atomic replace), then report [`crate::Input::StateSaved`].
    SaveState {
        /// Number of the request.
        seq: u64,
        /// The whole state.
        state: Box<NodeState>,
    },
    /// Open a new generation with an empty log that begins at `tip`; later writes go there.
    StartGeneration {
        /// The generation's number.
        generation: u64,
        /// Where its log begins.
        tip: Tip,
        /// Every reign up to there.
        history: EpochHistory,
        /// The pair its data belongs to.
        pair_id: PairId,
    },
    /// Mark this generation ([`crate::keep_generation`]), before the state names another one: whatever breaks
    /// off in between, its files are set aside and not removed.
    KeepGeneration {
        /// The one that is replaced.
        generation: u64,
    },
    /// Remove every generation but this one, whose state is durable.
    RemoveOtherGenerations {
        /// The one to keep.
        generation: u64,
        /// Keep the others' files aside for people instead (they were damaged).
        set_aside: bool,
    },
    /// Remove whole segments that end at or before `needed_from`, as far as `log_retention` allows.
    Retain {
        /// The first position still needed for recovery.
        needed_from: Lsn,
    },
}

/// Work for the snapshot thread, done strictly in order.
#[derive(Debug)]
pub enum SnapshotCommand {
    /// Start a new file.
    Begin {
        /// The generation it belongs to.
        generation: u64,
        /// What it says of itself.
        header: Box<tandem_snapshot::Header>,
    },
    /// Slots `first..=last` as they were at `lsn`.
    Chunk {
        /// State of all effects before this position.
        lsn: Lsn,
        /// The first slot it speaks for.
        first: SlotId,
        /// The last one.
        last: SlotId,
        /// The slots that are not empty, as `tandem_replication::message::push_slot` writes them.
        bytes: Vec<u8>,
    },
    /// All chunks were given and the log is durable up to `end`: make the file count.
    Finish {
        /// Positions before this may be reflected in a chunk.
        end: Lsn,
    },
    /// Give up the file being written.
    Abort,
    /// A finished file was found damaged: keep it for people under another name, then report
    /// [`crate::Input::SnapshotSetAside`].
    SetAside {
        /// The generation it belongs to.
        generation: u64,
        /// The file's name.
        name: String,
    },
}

/// One thing to do, in the order given.
#[derive(Debug)]
pub enum Output {
    /// Close a client's connection once everything writable was written.
    Close {
        /// Its connection.
        conn: ConnId,
    },
    /// Stop (or go on) reading from a client: it is far ahead of what may be answered.
    PauseReading {
        /// Its connection.
        conn: ConnId,
        /// `true`: stop reading; `false`: go on.
        paused: bool,
    },
    /// Work for the log thread.
    Log(LogCommand),
    /// Work for the snapshot thread.
    Snapshot(SnapshotCommand),
    /// Read raw records from disk, beside the data thread; the answer is `LogRead` or `LogGone`.
    ReadLog {
        /// First record.
        from: Lsn,
        /// Not this one nor later ones.
        until: Lsn,
        /// Stop after this many bytes, but read at least one record.
        bytes_max: u32,
    },
    /// Look up the running checksum at a position in the log on disk; the answer is `ChainRead`.
    LookUpChain {
        /// Where.
        lsn: Lsn,
    },
    /// Read the closed segments and the snapshots of this generation, slowly, beside the data thread; the answer
    /// is [`crate::Input::Scrubbed`].
    Scrub {
        /// The generation in use.
        generation: u64,
        /// The pair it belongs to.
        pair: PairId,
    },
    /// Send one message to the peer.
    LinkSend(Vec<u8>),
    /// Drop the link; it will be dialled again.
    LinkDrop {
        /// Why, for people.
        reason: String,
    },
    /// Take (`true`) or give up the virtual address.
    VirtualAddress(bool),
    /// Add this line to the history on disk, beside the data thread; it need not be durable at once.
    History(Box<tandem_admin::HistoryEntry>),
    /// Something for the mediator, in order.
    Mediator(tandem_switch::MediatorRequest),
    /// Run the command that makes sure that the peer is off; the answer is an [`crate::Input::Unaided`].
    Fence,
    /// Free this elsewhere: it is large.
    Garbage(tandem_store::Garbage),
    /// Free a whole key space elsewhere.
    DropStore(Box<tandem_store::Store>),
    /// The answer to an operator.
    AdminReply {
        /// Whose.
        id: AdminId,
        /// The answer.
        reply: AdminReply,
    },
    /// Something happened that people want to know; the server makes log lines and counters of it.
    Event(Event),
    /// Save the records past the fork to a conflict file ([`crate::save_fork`]), then boot again from disk
    /// with the log as it is. If the log has another running checksum at the fork it is damaged: boot with
    /// [`crate::Boot::damaged`]. If there is no room, boot with [`crate::Boot::save_trouble`].
    SaveFork(Fork),
    /// The records from `to` on are in conflict file `id`: cut the log there ([`crate::cut_fork`]), then boot
    /// again from disk.
    CutFork {
        /// The common point.
        to: Lsn,
        /// The file.
        id: String,
    },
    /// Work on saved writes, beside the data thread ([`crate::Desk`]), in order.
    Conflicts(ConflictOrder),
    /// Work on the files of what merging decided, beside the data thread ([`crate::MergeLog`]), in order.
    MergeLog(crate::MergeLogOrder),
    /// Read raw records from disk, beside the data thread; the answer is `SinceRead`.
    ReadSince {
        /// First record.
        from: Lsn,
        /// Not this one nor later ones.
        until: Lsn,
        /// Stop after this many bytes, but read at least one record.
        bytes_max: u32,
    },
    /// Save the records from `from` on to a conflict file; a full copy is about to replace them.
    SaveRecords {
        /// The first one that the pair's history lacks.
        from: Lsn,
    },
    /// Boot again from disk: memory no longer is what the log says.
    Reboot {
        /// Why, for people.
        reason: String,
    },
    /// The data on disk is damaged, or is to be replaced: keep it aside, begin anew with nothing, as a directory
    /// that waits for a full copy ([`crate::set_aside`]).
    SetAside {
        /// What is damaged, or who wants it.
        reason: String,
        /// The peer has said that it holds every acknowledged record.
        peer_has_all: bool,
    },
    /// End the process with this status.
    Exit {
        /// 0: asked for; 1: failure.
        status: u8,
        /// Why, for people.
        reason: String,
    },
}

/// How much an event matters.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Severity {
    /// Ordinary news.
    Note,
    /// Something a person should look at.
    Warn,
    /// Something is wrong.
    Error,
}

/// One piece of news: a sentence for people.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Event {
    /// How much it matters.
    pub severity: Severity,
    /// A sentence.
    pub text: String,
}
