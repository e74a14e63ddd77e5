//! What a client's session needs to know of the node's role.

use tandem_types::{Epoch, Monotonic, Role};

/// Why a data command is refused; each is a definite error: the command was not applied.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// This node serves nobody: `-STANDBY this node does not serve clients; the primary is HOST:PORT`.
    Standby,
    /// A write on a replica: `-READONLY You can't write against a read only replica.`
    ReadOnly,
    /// A read on a replica that is older than `max_staleness`: `-STALE ...`.
    Stale,
    /// No data yet: `-LOADING ...`.
    Loading,
    /// A primary that may not answer (its right is not proven yet): `-NOTPRIMARY ...`.
    NotPrimary,
    /// Alone, and told not to serve alone: `-NOREPLICAS ...`.
    NoReplicas,
    /// Disk trouble: `-MISCONF ...`.
    Disk,
}

/// The role, and what follows for reads and writes right now.
#[derive(Clone, Debug, Default)]
pub struct RoleView {
    /// The role.
    pub role: Role,
    /// The reign this node knows of.
    pub epoch: Epoch,
    /// `host:port` of the primary's client port, if one is known.
    pub primary_address: Option<String>,
    /// `None`: reads are served.
    pub reads: Option<Refusal>,
    /// `None`: writes are served.
    pub writes: Option<Refusal>,
    /// The same for the read port, which serves reads in every role that has data.
    pub read_port_reads: Option<Refusal>,
    /// A replica with `forward_writes`: writes are passed on to the primary over the link.
    pub forward_writes: bool,
    /// The peer is in the in-sync set.
    pub peer_in_sync: bool,
    /// The link is up.
    pub peer_connected: bool,
    /// New writes are held back for a planned change of primary.
    pub hold_writes: bool,
    /// This node is about to serve: what only the primary answers waits until it does, or until then.
    pub starting_until: Option<Monotonic>,
    /// What the node waits for, for people and `-NOTPRIMARY`.
    pub waiting_for: Option<String>,
}
