//! Everything that can reach a node.

use std::net::SocketAddr;

use tandem_admin::AdminRequest;
use tandem_types::{Chain, Lsn};

/// One client connection for as long as it lives; never reused within a process.
///
/// The low 32 bits are a place in a table (small, reused), the high 32 bits count its reuses.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ConnId(u64);

impl ConnId {
    /// The connection at place `index` of the table, for the `reuse`-th time.
    pub const fn new(index: u32, reuse: u32) -> Self {
        Self(((reuse as u64) << 32) | index as u64)
    }

    /// The place in the table.
    pub const fn index(self) -> usize {
        (self.0 & 0xffff_ffff) as usize
    }

    /// The whole number.
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// One operator request that waits for its answer.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct AdminId(pub u64);

/// The listener a client came in by.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Port {
    /// The client port: as the node's role allows.
    Client,
    /// The read port: always says "slave", serves reads whatever the role.
    Read,
}

/// What is known of a client when it connects.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ConnInfo {
    /// Where it connected from.
    pub peer: SocketAddr,
    /// The address it reached.
    pub local: SocketAddr,
    /// The listener.
    pub port: Port,
    /// Whether the connection is encrypted.
    pub tls: bool,
}

/// Why the log cannot go on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum LogFault {
    /// No space left; nothing of the batch was written. Reads go on, writes get `-MISCONF`; the log
    /// thread keeps the batch, tries again when space is back and then reports progress.
    Full {
        /// What the system said.
        message: String,
    },
    /// A write or fsync failed. What is on disk is unknown: acknowledge nothing more and exit.
    Failed {
        /// What the system said.
        message: String,
    },
}

/// One thing that happened. Times are the arguments of [`crate::Node::step`].
#[derive(Debug)]
pub enum Input<'a> {
    /// A client connected.
    Accepted {
        /// Its connection.
        conn: ConnId,
        /// Where from.
        info: ConnInfo,
    },
    /// Bytes came from a client; an incomplete request at the end is kept by the node.
    Received {
        /// Its connection.
        conn: ConnId,
        /// At least one byte.
        bytes: &'a [u8],
    },
    /// A client's connection ended, by either side; nothing more can be sent on it.
    Closed {
        /// Its connection.
        conn: ConnId,
    },
    /// The log thread got on: all records before `written_end` were handed to the system, all before
    /// `durable_end` are as durable as the fsync policy promises (with `always`: survive a power cut).
    LogProgress {
        /// Handed to the system.
        written_end: Lsn,
        /// Durable.
        durable_end: Lsn,
        /// There is room for more: what [`LogFault::Full`] said is over.
        room: bool,
    },
    /// The log thread is in trouble.
    LogFault(LogFault),
    /// The state of [`crate::LogCommand::SaveState`] number `seq` is durable.
    StateSaved {
        /// Which one.
        seq: u64,
    },
    /// The answer to [`crate::Output::ReadLog`]: whole records from `from` on, at least one.
    LogRead {
        /// The first record's position.
        from: Lsn,
        /// Raw records.
        bytes: Vec<u8>,
    },
    /// The answer to [`crate::Output::ReadLog`] when the log no longer reaches back that far.
    LogGone {
        /// What was asked for.
        from: Lsn,
    },
    /// The answer to [`crate::Output::LookUpChain`].
    ChainRead {
        /// What was asked for.
        lsn: Lsn,
        /// The running checksum there; `None`: the log no longer reaches back that far.
        chain: Option<Chain>,
    },
    /// The answer to [`crate::Output::Scrub`].
    Scrubbed(crate::ScrubReport),
    /// A damaged snapshot has another name now and is kept.
    SnapshotSetAside {
        /// Where, below the data directory.
        kept: String,
    },
    /// The answer to [`crate::Output::ReadSince`].
    SinceRead {
        /// What was asked for.
        from: Lsn,
        /// Raw records; `None`: the log no longer reaches back that far.
        bytes: Option<Vec<u8>>,
    },
    /// Something was done about saved writes.
    Conflicts(crate::ConflictNews),
    /// What came of work on the files of what merging decided.
    MergeLog(crate::MergeLogNews),
    /// Segments were removed: the log on disk begins here now.
    LogTrimmed {
        /// First record kept.
        oldest: Lsn,
        /// Bytes of all segments.
        bytes: u64,
    },
    /// The snapshot thread wrote that many bytes of chunks.
    ChunksWritten {
        /// Bytes of [`crate::SnapshotCommand::Chunk`] that no longer wait.
        bytes: usize,
    },
    /// The snapshot asked for by [`crate::SnapshotCommand::Finish`] is on disk and counts.
    SnapshotFinished {
        /// The log before this is no longer needed for recovery with it. (Log older than the *oldest
        /// kept* snapshot may go.)
        start: Lsn,
        /// Start of the oldest snapshot that is kept.
        oldest_start: Lsn,
        /// Its file's name.
        name: String,
    },
    /// The snapshot could not be written; the one before still counts.
    SnapshotFailed {
        /// What the system said.
        message: String,
    },
    /// The link to the peer is up and authenticated.
    LinkUp {
        /// The peer's address.
        address: SocketAddr,
        /// Rises with every connection of this process.
        session: u64,
    },
    /// One message from the peer.
    LinkMessage {
        /// As `tandem_replication` encodes it.
        bytes: &'a [u8],
    },
    /// The link is down.
    LinkDown {
        /// Why, for people.
        reason: String,
    },
    /// There is no link, and this is why the last attempt to make one came to nothing.
    LinkTrouble {
        /// Why, for people.
        reason: String,
    },
    /// That many bytes of [`crate::Output::LinkSend`] wait to be written to the link.
    LinkBacklog {
        /// Bytes that wait.
        bytes: usize,
    },
    /// An operator asks (HTTP, command line).
    Admin {
        /// Names the request in [`crate::Output::AdminReply`].
        id: AdminId,
        /// What is asked.
        request: AdminRequest,
    },
    /// The mediator answers or tells something.
    Mediator(tandem_switch::MediatorEvent),
    /// The peer's supervisor says, with the pair's secret, that this boot of the peer has ended.
    PeerDied(tandem_switch::BootId),
    /// The same, with what was on its disk then.
    PeerTestified(tandem_switch::Testimony),
    /// What only a pair without a third party goes by, as the switch takes it: channels besides the link,
    /// the end of the fence command, ping targets, attempts as a client.
    Unaided(tandem_switch::Input),
    /// Whether this machine holds the virtual address now, and what is wrong with it.
    VirtualAddress {
        /// It is bound here.
        held: bool,
        /// What the system said, if it could not be taken or given up.
        trouble: Option<String>,
    },
    /// The process was asked to end (SIGTERM).
    Shutdown,
    /// Nothing happened but time. Also due at [`crate::Node::deadline`].
    Tick,
    /// Every input of this turn of the event loop was given: hand over the batch, flush, do a slice of
    /// background work.
    EndOfTurn,
}
