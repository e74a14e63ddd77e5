//! `by = "mediator"`: the record at a mediator decides who may be primary.

use tandem_types::{Epoch, Monotonic, NodeId, Role};

use crate::{
    BootFacts, Gap, Grant, InSyncSet, Input, MediatorStatus, NodeState, Output, OwnEnds, Proposal,
    ReadRight, Record, Reign, Settings, Why,
};

/// The brain of one boot of one node.
#[derive(Clone, Debug)]
pub struct Mediated {
    settings: Settings,
    state: NodeState,
}

#[expect(clippy::unused_self, clippy::missing_const_for_fn, reason = "being written")]
impl Mediated {
    /// The brain of a boot that found `state` on disk.
    pub fn new(settings: Settings, state: NodeState, _: BootFacts, _: u64, _: Monotonic) -> Self {
        Self { settings, state }
    }

    /// Advances by one input.
    pub fn step(&mut self, _: Monotonic, _: OwnEnds, _: Input, _: &mut Vec<Output>) {}

    /// When a tick is due.
    pub fn deadline(&self) -> Option<Monotonic> {
        None
    }

    /// What people see.
    pub fn role(&self) -> Role {
        Role::Joining
    }

    /// The latest reign.
    pub fn reign(&self) -> Option<Reign> {
        self.state.reign
    }

    /// The highest epoch.
    pub fn epoch_seen(&self) -> Epoch {
        self.state.epoch_seen
    }

    /// Who serves.
    pub fn primary(&self) -> Option<NodeId> {
        None
    }

    /// Whether clients may be served now.
    pub fn is_serving(&self) -> bool {
        false
    }

    /// Whether the peer's word is needed.
    pub fn needs_peer(&self) -> bool {
        true
    }

    /// The in-sync set.
    pub fn in_sync_set(&self) -> Option<InSyncSet> {
        self.state.in_sync
    }

    /// Either node may be lost.
    pub fn is_in_sync(&self) -> bool {
        false
    }

    /// May acknowledge nothing.
    pub fn is_stalled(&self) -> bool {
        false
    }

    /// What is on disk once all writes are done.
    pub fn state(&self) -> &NodeState {
        &self.state
    }

    /// Writes that a promotion could lose.
    pub fn gap(&self, _: Monotonic) -> Gap {
        Gap::Unknown
    }

    /// What this node waits for.
    pub fn why(&self, _: Monotonic) -> Why {
        Why { now: format!("{} is starting", self.settings.name()), ..Why::default() }
    }

    /// One line.
    pub fn waiting_for(&self, now: Monotonic) -> Option<String> {
        self.why(now).waiting_for
    }

    /// Which reads may be answered.
    pub fn read_right(&self, _: Monotonic) -> ReadRight {
        ReadRight::None
    }

    /// The read lease to give.
    pub fn grant_lease(&mut self, _: Monotonic) -> Option<Grant> {
        None
    }

    /// What waits for a person.
    pub fn pending(&self) -> Option<Proposal> {
        None
    }

    /// Suspended.
    pub fn paused(&self) -> bool {
        false
    }

    /// How the mediator is.
    pub fn mediator_status(&self) -> MediatorStatus {
        MediatorStatus::default()
    }

    /// The record as last seen.
    pub fn record(&self) -> Option<Record> {
        None
    }
}
