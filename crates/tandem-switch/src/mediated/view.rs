//! What others may ask the brain between two steps.

use tandem_types::{Epoch, Monotonic, NodeId, Role};

use super::mediator::Standing;
use super::{Mediated, Phase};
use crate::{Acknowledge, Gap, InSyncSet, MediatorStatus, NodeState, Record, RecordState, Reign};

impl Mediated {
    /// What people see. `Standby` is eligible, `Joining` is not yet.
    pub fn role(&self) -> Role {
        match self.phase {
            Phase::Primary { .. } => Role::Primary,
            Phase::Following { .. } if !self.copying && self.is_member() => Role::Standby,
            Phase::Joining | Phase::Giving { .. } | Phase::Bidding if self.deposed.is_some() => {
                Role::Isolated
            }
            Phase::Failed => Role::Isolated,
            Phase::Joining
            | Phase::Giving { .. }
            | Phase::Bidding
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
            _ => self.peer_serves().then_some(self.settings.node.peer()),
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

    /// When a write is answered: the record of its reign says so before it serves, and nobody takes over but
    /// by that record.
    pub const fn acknowledge(&self) -> Acknowledge {
        self.settings.acknowledge
    }

    /// What the word of a member is worth: the record says by what the primary answers now, and this disk what
    /// it has confirmed.
    pub(super) fn worth(&self) -> Option<Acknowledge> {
        let confirmed = self.durable.in_sync?.strength;
        let recorded = self.mediator.known().map(|(_, record)| record);
        let recorded = recorded.filter(|record| record.pair_id == self.state.pair_id);
        Some(recorded.map_or(confirmed, |record| record.strength.min(confirmed)))
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

    /// The record names both, and the standby knows: either may be lost.
    pub fn is_in_sync(&self) -> bool {
        match self.phase {
            Phase::Primary { reign, .. } => {
                let recorded = match self.standing() {
                    Standing::Valid(_, record) => record.reign() == reign && record.is_both(),
                    _ => true, // The mediator is not there to say so; the set on disk is what counts.
                };
                let told = self.peer.is_none() || self.member_confirmed();
                self.counts_peer() && recorded && told
            }
            Phase::Following { .. } => self.is_member(),
            _ => false,
        }
    }

    /// A primary that may acknowledge nothing, because the peer it needs is not there.
    pub fn is_stalled(&self) -> bool {
        let waits = self.counts_peer() && self.settings.acknowledge != Acknowledge::Local;
        self.is_serving() && waits && self.peer.is_none()
    }

    /// What is on disk once all writes are done.
    pub const fn state(&self) -> &NodeState {
        &self.state
    }

    /// The record as last seen.
    pub fn record(&self) -> Option<Record> {
        self.mediator.known().map(|(_, record)| record)
    }

    /// How the mediator is, for people.
    pub fn mediator_status(&self) -> MediatorStatus {
        let it = &self.mediator;
        let present_until = it.renewed.map(|at| at.plus(self.settings.automatic.session));
        MediatorStatus {
            connected: it.connected,
            endpoint: it.endpoint.clone(),
            trouble: it.trouble.clone().or_else(|| self.mediator_ailment()),
            seen: it.viewed,
            present_until,
            unsettled: self.bid.as_ref().is_some_and(super::bid::Bid::is_sent),
        }
    }

    /// What is wrong with a mediator that answers: with its record, or with keeping another.
    pub(super) fn mediator_ailment(&self) -> Option<String> {
        let refused = self.mediator.refused.as_ref().filter(|_| self.bid.is_some());
        match (&self.mediator.record, self.standing()) {
            (Some(RecordState::Unreadable { reason }), _) => {
                Some(format!("what it holds is not a record of this version: {reason}"))
            }
            (_, Standing::Foreign) => Some(
                "its record is of another pair: check `switch.mediator` and `pair.name`".to_owned(),
            ),
            (_, Standing::Old(_)) => {
                let text =
                    "its record is older than what this node knows, or of another life: a copy";
                Some(text.to_owned())
            }
            (_, Standing::Absent) if !self.state.is_empty() => {
                Some("it has no record of this pair: it was emptied or replaced".to_owned())
            }
            _ => refused.map(|reason| format!("it does not change the record: {reason}")),
        }
    }

    /// A record that nobody but a person can put right.
    pub(super) fn record_ailment(&self) -> Option<String> {
        let stays = self.mediator.is_fresh() && self.standing() == Standing::Foreign;
        stays.then(|| self.mediator_ailment()).flatten()
    }

    /// Acknowledged writes that a promotion of this node could lose now.
    pub fn gap(&self, now: Monotonic) -> Gap {
        let weak = self.worth().is_none_or(|worth| worth == Acknowledge::Local);
        let known = self.valid_record().map(|(_, record)| record);
        if self.was_primary() {
            let named =
                known.is_some_and(|it| it.primary == self.settings.node && it.has(self.me()));
            let alone = self.state.in_sync.is_some_and(|set| !set.is_both());
            return if named || alone { Gap::Zero } else { Gap::Unknown };
        }
        // The peer may have gone on without this node, and only the lost record said so.
        let lost = self.mediator.is_fresh() && (known.is_none() || self.is_elsewhere());
        if self.is_member() && !weak && !lost && known.is_none_or(|record| record.has(self.me())) {
            return Gap::Zero;
        }
        match self.heard {
            Some(heard) => Gap::AtLeast {
                records: heard.appended_end.records_since(self.own.durable_end).unwrap_or(0),
                silent: Some(now.since(heard.at)),
            },
            None => Gap::Unknown,
        }
    }
}
