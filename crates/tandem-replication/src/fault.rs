//! What ends a link.

use tandem_types::{Lsn, NodeId, PairId};

use crate::message::{Notice, NoticeCode};

/// Why the link must be closed. None of it ever damages data: the stream begins anew.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum LinkFault {
    /// The peer's data belongs to another pair. Wire the right machines, or wipe one by hand.
    #[error("the peer's data belongs to pair {theirs}, ours to {ours}; neither is touched")]
    ForeignPair {
        /// This node's pair.
        ours: PairId,
        /// The peer's.
        theirs: PairId,
    },
    /// Both ends say they are this node.
    #[error("the peer says it is node {0:?}, as this one does")]
    SameNode(NodeId),
    /// The same pair, and not one reign in common: no program of ours writes that.
    #[error("the peer's log (end {theirs_end}) shares no reign with ours (end {ours_end})")]
    NoCommonHistory {
        /// End of this node's log.
        ours_end: Lsn,
        /// End of the peer's.
        theirs_end: Lsn,
    },
    /// An acknowledgement of what was never sent.
    #[error("the peer acknowledged {acked}, but only {sent} was sent")]
    AckBeyondSent {
        /// What it said.
        acked: Lsn,
        /// What it can have.
        sent: Lsn,
    },
    /// Positions of one acknowledgement contradict each other or the one before.
    #[error("the peer's positions contradict themselves: {field} {now} after {before}")]
    AckContradiction {
        /// Which.
        field: &'static str,
        /// As it stood.
        before: Lsn,
        /// As it says now.
        now: Lsn,
    },
    /// An acknowledgement under another incarnation than the one that asked to follow.
    #[error("the peer's incarnation changed within one connection")]
    IncarnationChanged,
    /// The logs differ although all positions agree: damage on one side.
    #[error("running checksums differ at {at}: one of the two logs is damaged")]
    ChainDiffers {
        /// Where.
        at: Lsn,
    },
    /// Records that do not begin where the log ends.
    #[error("records from {got}, but the log ends at {expected}")]
    Gap {
        /// Where they should begin.
        expected: Lsn,
        /// Where they do.
        got: Lsn,
    },
    /// Records that the log refused (checksum, chain, order).
    #[error("records from {from} were refused: {reason}")]
    BadRecords {
        /// The first of them.
        from: Lsn,
        /// The log's words.
        reason: String,
    },
    /// Chunks out of order, of another LSN than the stream is at, or too many bytes.
    #[error("a chunk of the full copy is out of order: {reason}")]
    BadChunk {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A message that has no place now.
    #[error("{message} has no place here")]
    Unexpected {
        /// Its name.
        message: &'static str,
    },
    /// The log was trimmed under the stream (the peer was too slow for `log_retention`): it must come
    /// back and get a full copy.
    #[error("records from {from} were removed before the peer could get them")]
    TooFarBehind {
        /// The first of them.
        from: Lsn,
    },
}

impl LinkFault {
    /// What is said to the peer before the link is closed.
    pub fn notice(&self) -> Notice {
        let code = match self {
            Self::ForeignPair { .. } => NoticeCode::ForeignPair,
            Self::SameNode(_) => NoticeCode::SameNode,
            Self::NoCommonHistory { .. } => NoticeCode::NoCommonHistory,
            Self::TooFarBehind { .. } => NoticeCode::Busy,
            Self::AckBeyondSent { .. }
            | Self::AckContradiction { .. }
            | Self::IncarnationChanged
            | Self::ChainDiffers { .. }
            | Self::Gap { .. }
            | Self::BadRecords { .. }
            | Self::BadChunk { .. }
            | Self::Unexpected { .. } => NoticeCode::Violation,
        };
        Notice::new(code, self.to_string())
    }
}
