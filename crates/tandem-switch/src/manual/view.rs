//! What others may ask the brain between two steps.

use tandem_types::{Epoch, NodeId, Role};

use super::{Manual, Phase};
use crate::planted::{Rule, holds};
use crate::{Acknowledge, InSyncSet, NodeState, Reign};

impl Manual {
    /// What people see. `Standby` is eligible, `Joining` is not yet.
    pub fn role(&self) -> Role {
        match self.phase {
            Phase::Primary { .. } => Role::Primary,
            Phase::Following { .. } if !self.copying && self.is_member() => Role::Standby,
            Phase::Joining | Phase::Giving { .. } if self.deposed => Role::Isolated,
            Phase::Failed => Role::Isolated,
            Phase::Joining
            | Phase::Giving { .. }
            | Phase::Claiming { .. }
            | Phase::Starting { .. }
            | Phase::Following { .. } => Role::Joining,
        }
    }

    /// The reign this node serves or follows; else the latest it knows.
    pub const fn reign(&self) -> Option<Reign> {
        self.state.reign
    }

    /// The highest epoch this node has heard of.
    pub const fn epoch_seen(&self) -> Epoch {
        self.state.epoch_seen
    }

    /// Who serves, as far as this node knows right now.
    pub fn primary(&self) -> Option<NodeId> {
        match self.phase {
            Phase::Primary { reign, .. } | Phase::Following { reign } => Some(reign.primary),
            _ => self
                .greeting()
                .filter(|greeting| greeting.role == Role::Primary)
                .map(|_| self.settings.node.peer()),
        }
    }

    /// Whether clients may be served now.
    pub const fn is_serving(&self) -> bool {
        matches!(self.phase, Phase::Primary { .. })
    }

    /// Its reign is certain, and is being begun.
    pub const fn is_starting(&self) -> bool {
        matches!(self.phase, Phase::Starting { .. })
    }

    /// Whether the peer's word is needed before a write is acknowledged (R2). Ask it anew for every
    /// decision: it changes within a step.
    pub fn needs_peer(&self) -> bool {
        let both = |set: Option<InSyncSet>| set.is_some_and(|set| set.is_both());
        both(self.state.in_sync) || (both(self.durable.in_sync) && holds(Rule::AloneOnDisk))
    }

    /// The in-sync set as this node has it, or as its primary told it.
    pub fn in_sync_set(&self) -> Option<InSyncSet> {
        match self.phase {
            Phase::Following { .. } => {
                self.greeting().and_then(|greeting| greeting.in_sync).or(self.state.in_sync)
            }
            _ => self.state.in_sync,
        }
    }

    /// The set holds both nodes, and both have that on disk: either may be lost.
    pub fn is_in_sync(&self) -> bool {
        match self.phase {
            Phase::Primary { .. } => {
                let Some(set) = self.durable.in_sync.filter(InSyncSet::is_both) else {
                    return false;
                };
                self.peer.as_ref().is_some_and(|peer| peer.confirmed == Some(set.revision))
            }
            Phase::Following { .. } => self.is_member(),
            _ => false,
        }
    }

    /// A primary that may acknowledge nothing, because the peer it needs is not there.
    pub fn is_stalled(&self) -> bool {
        let waits = self.needs_peer() && self.acknowledge() != Acknowledge::Local;
        self.is_serving() && waits && self.peer.is_none()
    }

    /// What is on disk once all writes are done.
    pub const fn state(&self) -> &NodeState {
        &self.state
    }
}
