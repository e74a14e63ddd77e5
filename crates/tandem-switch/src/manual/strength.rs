//! By what the primary answers, and what its standby relies on: never on more.
//!
//! What a membership is worth stands in the set, on both disks. After a restart the primary's file may say
//! something else, and its standby, which believes the set, is not asked before it is promoted. So
//! - *more*: as when the set grows (R4). The primary answers by it at once, and the standby is told once it has
//!   everything;
//! - *less*: the standby writes it down first, then the primary, and then it answers by it. Until then it
//!   answers by what the set says.
//!
//! So the set on the primary's disk is never worth less than its copy, whatever was going on when either
//! process ended.

use super::persist::Then;
use super::{Manual, Phase};
use crate::message::PeerMessage;
use crate::{Acknowledge, InSyncSet, Output};

impl Manual {
    /// When a write is answered while the peer is waited for: as configured, or by more as long as the standby
    /// may rely on more. Ask it anew for every decision: it changes within a step.
    pub fn acknowledge(&self) -> Acknowledge {
        let relied_on =
            |set: Option<InSyncSet>| set.filter(InSyncSet::is_both).map(|it| it.strength);
        let sets = [relied_on(self.state.in_sync), relied_on(self.durable.in_sync)];
        sets.into_iter().flatten().fold(self.settings.acknowledge, Ord::max)
    }

    /// The file asks for less than what the standby relies on: it has to know first.
    pub(super) fn offer_weaker(&mut self, out: &mut Vec<Output>) {
        let Phase::Primary { reign, .. } = self.phase else { return };
        let (Some(set), Some(peer)) = (self.state.in_sync, &self.peer) else { return };
        let settled = self.durable.in_sync == Some(set) && peer.confirmed == Some(set.revision);
        let strength = self.settings.acknowledge;
        let busy = self.weaker.is_some() || peer.left || self.stopping;
        if !settled || strength >= set.strength || busy {
            return;
        }
        let set = InSyncSet { revision: self.next_revision(), strength, ..set };
        self.weaker = Some(set);
        // Whatever was acknowledged by more, it has.
        let lsn = self.own.commit_end.max(self.reign_end);
        let epoch = reign.epoch;
        Self::send(PeerMessage::InSync { epoch, set, lsn, recorded: None }, out);
    }

    /// The standby has written down that it relies on less.
    pub(super) fn weaker_is_known(&mut self, revision: u64, out: &mut Vec<Output>) {
        let Some(set) = self.weaker.filter(|it| it.revision == revision) else { return };
        let Some(peer) = &mut self.peer else { return };
        let before = self.state.in_sync;
        assert!(
            before.is_some_and(|it| it.members == set.members && it.strength > set.strength),
            "{set:?} was offered, and is no weaker form of {before:?}"
        );
        self.weaker = None;
        peer.told = Some(revision);
        peer.confirmed = Some(revision);
        self.state.in_sync = Some(set);
        self.write(Then::AnswersBy(set.strength), out);
    }

    /// The standby holds a later set than this disk, which ended before it was written here. A revision is
    /// never used twice.
    pub(super) fn tell_again(&mut self, out: &mut Vec<Output>) {
        let Some(set) = self.state.in_sync else { return };
        self.state.in_sync = Some(InSyncSet { revision: self.next_revision(), ..set });
        self.write(Then::Nothing, out);
    }

    /// The standby may hold, and may have left, this set instead of the one here.
    pub(crate) fn offered_revision(&self) -> Option<u64> {
        self.weaker.map(|set| set.revision)
    }
}
