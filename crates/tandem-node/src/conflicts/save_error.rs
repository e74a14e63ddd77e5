//! Why records past a fork were not saved, or not cut.

use std::io;

use tandem_types::{Chain, Lsn};

/// Why nothing was saved or cut.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// The disk failed or is full; nothing was cut. Free space, then start the node again.
    #[error("{op} {file}")]
    Io {
        /// What was being done.
        op: &'static str,
        /// To which file.
        file: String,
        /// How it failed.
        source: io::Error,
    },
    /// The undecided files leave no room for another one; nothing was cut.
    #[error(
        "the saved writes in conflicts/ would take more than `switch.conflicts_max` = {bytes_max} bytes: decide on them (tandem conflicts list), or raise it"
    )]
    Room {
        /// The bound.
        bytes_max: u64,
    },
    /// The log is damaged: a full copy is needed, the files stay.
    #[error("read the log: {0}")]
    Log(#[from] tandem_log::RecoverError),
    /// The log could not be cut.
    #[error(transparent)]
    Cut(#[from] tandem_log::CutError),
    /// The log's running checksum differs from the primary's at the common point: one of the two is
    /// damaged. Nothing was cut; a full copy replaces the data, these files are set aside.
    #[error("the log's running checksum at {at} is {ours}, the primary's is {theirs}")]
    Chain {
        /// The common point.
        at: Lsn,
        /// This node's.
        ours: Chain,
        /// The primary's.
        theirs: Chain,
    },
    /// No saved file covers what would be cut: nothing was cut.
    #[error("no whole file in conflicts/ holds the records from {0} on")]
    NotSaved(Lsn),
    /// Snapshots and log do not reach back to the fork, so the log cannot be cut there: a full copy
    /// replaces the data.
    #[error("no snapshot is as old as the fork at {0}")]
    NoState(Lsn),
}

impl SaveError {
    pub(super) fn io(op: &'static str, file: &str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { op, file: file.to_owned(), source }
    }
}
