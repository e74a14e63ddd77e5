//! Where the nodes of a pair are, and what the witness has seen of them: for those who tell clients.

use tandem_types::{Epoch, NodeId, Pair, Role};

/// Where one node is reached.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Place {
    /// Address or name.
    pub host: String,
    /// Redis protocol.
    pub client_port: u16,
    /// Redis protocol, always as a replica.
    pub read_port: Option<u16>,
    /// Sentinel protocol.
    pub sentinel_port: Option<u16>,
}

/// Where a pair is reached, as its configuration says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Places {
    /// The nodes.
    pub nodes: Pair<Place>,
    /// A follower serves reads on its client port.
    pub replicas_serve: bool,
}

/// What the witness knows of a pair now.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PairSeen {
    /// As the nodes told it last.
    pub places: Places,
    /// Whom the record names; it may not serve yet, or no more.
    pub primary: Option<NodeId>,
    /// Says itself, in its present session and as the boot the record names, that it serves as primary.
    pub serves: bool,
    /// What each node that is present says it is.
    pub roles: Pair<Option<Role>>,
    /// The reign of the record.
    pub epoch: Epoch,
}
