//! What others may ask the brain between two steps.

use tandem_types::{Epoch, Monotonic, NodeId, Role};

use super::{ChannelState, Direct};
use crate::{Acknowledge, Gap, InSyncSet, Load, NodeState, Proposal, Reign, Vitals};

impl Direct {
    /// What people see. `Standby` is eligible, `Joining` is not yet.
    pub fn role(&self) -> Role {
        self.core.role()
    }

    /// The reign this node serves or follows; else the latest it knows.
    pub const fn reign(&self) -> Option<Reign> {
        self.core.reign()
    }

    /// The highest epoch this node has heard of.
    pub const fn epoch_seen(&self) -> Epoch {
        self.core.epoch_seen()
    }

    /// Who serves, as far as this node knows right now.
    pub fn primary(&self) -> Option<NodeId> {
        self.core.primary()
    }

    /// Whether clients may be served now.
    pub const fn is_serving(&self) -> bool {
        self.core.is_serving()
    }

    /// Its reign is certain, and is being begun.
    pub const fn is_starting(&self) -> bool {
        self.core.is_starting()
    }

    /// Whether the peer's word is needed before a write is acknowledged (R2). Ask it anew for every
    /// decision: it changes within a step.
    pub fn needs_peer(&self) -> bool {
        self.core.needs_peer()
    }

    /// When a write is answered while the peer is waited for.
    pub fn acknowledge(&self) -> Acknowledge {
        self.core.acknowledge()
    }

    /// The in-sync set as this node has it, or as its primary told it.
    pub fn in_sync_set(&self) -> Option<InSyncSet> {
        self.core.in_sync_set()
    }

    /// The set holds both nodes, and both have that on disk: either may be lost.
    pub fn is_in_sync(&self) -> bool {
        self.core.is_in_sync()
    }

    /// A primary that may acknowledge nothing, because the peer it needs is not there.
    pub fn is_stalled(&self) -> bool {
        self.core.is_stalled()
    }

    /// What is on disk once all writes are done.
    pub const fn state(&self) -> &NodeState {
        self.core.state()
    }

    /// Acknowledged writes that a promotion of this node could lose now.
    pub fn gap(&self, now: Monotonic) -> Gap {
        self.core.gap(now)
    }

    /// What waits for a person's word (R12).
    pub fn pending(&self) -> Option<Proposal> {
        self.decisions.pending().cloned()
    }

    /// Whether automatic decisions are suspended.
    pub const fn paused(&self) -> bool {
        self.core.paused()
    }

    /// The channels besides the link, in the order of the configuration.
    pub fn channels(&self) -> &[ChannelState] {
        self.watch.channels()
    }

    /// What the peer last said of itself on a channel besides the link.
    pub const fn peer_vitals(&self) -> Option<Vitals> {
        self.watch.vitals()
    }

    /// What this node says of itself on every channel.
    pub fn vitals(&self, load: Load) -> Vitals {
        let ends = self.core.ends();
        Vitals {
            boot: self.core.my_boot(),
            role: self.core.role(),
            epoch_seen: self.core.epoch_seen(),
            appended_end: ends.appended_end,
            durable_end: ends.durable_end,
            // Only what is on this node's disk.
            resigned: self.resigning.filter(|_| self.core.resigned()),
            unwell: self.trouble.is_some(),
            load,
        }
    }

    /// When a tick is due.
    pub fn deadline(&self) -> Option<Monotonic> {
        let settings = self.core.settings();
        let silent = self.silent_since().map(|since| since.plus(settings.failure_timeout));
        let fence = self.silent_since().map(|since| self.fence_at(since));
        let asked = self.asked_at.map(|at| at.plus(settings.hold + settings.failure_timeout));
        let patience = settings.automatic.solo_after.max(settings.failure_timeout);
        let cut = (!self.core.is_linked()).then(|| self.watch.link_last_heard().plus(patience));
        let soon = self.decisions.too_soon_until(&settings.automatic);
        [
            self.core.deadline(),
            silent,
            self.alone_at(),
            fence,
            asked,
            cut,
            soon,
            self.fence_again_at(),
            self.wish_at(),
            self.decisions.expires(),
            self.pausing.deadline(),
        ]
        .into_iter()
        .flatten()
        // What was due already has been looked at, and something else is missing.
        .filter(|&at| at > self.stepped)
        .min()
    }
}

/// For model checking: what does not change what happens next is made equal.
#[cfg(feature = "planted")]
impl Direct {
    /// Only with settings that bound no interval between changes and return to no preferred node.
    pub fn normalise(&mut self) {
        let automatic = &self.core.settings().automatic;
        assert!(automatic.min_interval.is_zero() && automatic.failback.is_none(), "times matter");
        self.stepped = Monotonic::ZERO;
        self.decisions.switched_at = None;
        self.decisions.in_sync_since = None;
        self.decisions.gone_since = None;
        self.core.normalise();
        self.watch.forget_round_trips();
    }
}
