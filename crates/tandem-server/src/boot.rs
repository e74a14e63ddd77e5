//! From a data directory to a node that can serve, and to the threads that serve it.

pub(crate) mod generation;
pub(crate) mod node;

use tandem_node::Fork;
use tandem_types::Lsn;

use crate::RunError;
use crate::brain::Brain;
use crate::inbox::Outbox;
use crate::workers::Workers;

/// What comes of a boot.
pub(crate) type Started = (Box<dyn Brain>, Workers);

/// A boot that is over.
pub(crate) struct Booted {
    /// Its number.
    pub life: u32,
    /// A node, or why there is none.
    pub outcome: Result<Started, RunError>,
}

/// What is done between the end of the old workers and reading the data back.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum AfterStop {
    /// Nothing.
    Nothing,
    /// Records past the fork are saved aside: the pair does not have them.
    SaveFork(Fork),
    /// They are cut off: a file holds them.
    CutFork {
        /// The common point.
        to: Lsn,
        /// The file.
        id: String,
    },
    /// The data on disk is damaged: it is kept aside, and begun anew from the peer.
    SetAside {
        /// What is damaged.
        reason: String,
        /// The peer has said that it holds every acknowledged record.
        peer_has_all: bool,
    },
}

/// Reads the data back; runs on a thread of its own and may block.
pub(crate) trait Boot: Send + Sync {
    /// Boot number `life`; the workers report to `outbox`.
    fn boot(&self, life: u32, then: AfterStop, outbox: &Outbox) -> Result<Started, RunError>;
}
