//! Following the peer, and knowing whether one holds everything.

use tandem_types::{Epoch, Lsn, Monotonic, PairId};

use super::persist::Then;
use super::{Manual, Phase};
use crate::message::{Greeting, PeerMessage};
use crate::{Acknowledge, Event, InSyncSet, Output, Reign};

impl Manual {
    /// The peer serves a reign: follow it, unless we know better.
    pub(super) fn peer_is_primary(
        &mut self,
        now: Monotonic,
        greeting: &Greeting,
        out: &mut Vec<Output>,
    ) {
        let Some(reign) = greeting.reign.filter(|it| it.primary != self.settings.node) else {
            return;
        };
        let free = match self.phase {
            Phase::Joining | Phase::Following { .. } | Phase::Claiming { .. } => true,
            Phase::Starting { .. }
            | Phase::Primary { .. }
            | Phase::Giving { .. }
            | Phase::Failed => false,
        };
        let old = reign.epoch < self.state.epoch_seen || reign.epoch <= self.state.refused_epoch;
        if !free || old || self.stopping || greeting.pair_id == PairId::NONE {
            return; // If it is old, our greeting tells it so, and it demotes itself.
        }
        self.phase = Phase::Following { reign };
        self.heard_log(now, greeting.appended_end);
        let before = self.state;
        self.obey(reign, greeting);
        let Some(peer) = &self.peer else { return };
        let known = peer.followed == Some(reign);
        if self.state != before || !self.writes.is_empty() {
            let then = if known { Then::Nothing } else { Then::Follow(reign) };
            self.write(then, out);
        } else if !known {
            self.follow_now(reign, out);
        }
    }

    fn heard_log(&mut self, now: Monotonic, appended_end: Lsn) {
        let before = self.heard.filter(|heard| heard.appended_end == appended_end);
        let lacks = before.and_then(|it| it.lacks);
        self.heard = Some(super::Heard { at: now, appended_end, lacks });
    }

    /// What must be on disk before this reign is followed.
    fn obey(&mut self, reign: Reign, greeting: &Greeting) {
        if self.state.is_empty() {
            self.state.pair_id = greeting.pair_id;
        }
        self.state.epoch_seen = self.state.epoch_seen.max(reign.epoch);
        self.state.reign = Some(reign);
        // Our record names us only while it is a copy of the primary's, or of what this primary is about to write
        // itself. It never grows here: only the primary's InSync message, after the log has reached the place,
        // makes us a member.
        let me = self.state.member(self.settings.node);
        if let (Some(ours), Some(theirs)) = (&mut self.state.in_sync, greeting.in_sync)
            && ours.has(me)
            && !ours.agrees_with(&theirs)
            && !(ours.epoch == reign.epoch && ours.was_told_ahead_of(&theirs))
        {
            ours.members[me.node] = None;
            ours.members[me.node.peer()] = Some(greeting.incarnation);
            ours.revision = ours.revision.max(theirs.revision);
            ours.epoch = reign.epoch;
        }
    }

    pub(super) fn follow_now(&mut self, reign: Reign, out: &mut Vec<Output>) {
        let Some(peer) = &mut self.peer else { return };
        if peer.followed == Some(reign) {
            return;
        }
        peer.followed = Some(reign);
        self.deposed = false;
        self.split = false;
        out.push(Output::Event(Event::Following(reign)));
        out.push(Output::Follow { reign, pair_id: self.state.pair_id });
    }

    /// The primary says that we are a member from `lsn` on.
    pub(super) fn offered(&mut self, epoch: Epoch, set: InSyncSet, lsn: Lsn) {
        let current = matches!(self.phase, Phase::Following { reign } if reign.epoch == epoch);
        let me = self.state.member(self.settings.node);
        if let Some(peer) = &mut self.peer
            && current
            && set.has(me)
            && !self.stopping
        {
            peer.offered = Some((set, lsn));
        }
    }

    /// Writes the membership down once the log has what it promises.
    pub(super) fn take_offer(&mut self, out: &mut Vec<Output>) {
        let Phase::Following { reign } = self.phase else { return };
        let Some(peer) = &mut self.peer else { return };
        let Some((set, lsn)) = peer.offered else { return };
        let held = match set.strength {
            Acknowledge::Durable => self.own.durable_end,
            Acknowledge::Received | Acknowledge::Local => self.own.appended_end,
        };
        if held < lsn || self.copying || self.lacking {
            return;
        }
        peer.offered = None;
        self.state.in_sync = Some(set);
        self.state.resigned = false;
        self.state.member_boot = self.state.boot;
        let (epoch, revision) = (reign.epoch, set.revision);
        self.write(Then::ConfirmMembership { epoch, revision }, out);
    }

    /// Whether this node's own disk proves that it holds everything that the primary waited for it to have: with
    /// `local` that is nothing ([`Self::holds_everything`]).
    pub(super) fn is_member(&self) -> bool {
        let me = self.state.member(self.settings.node);
        let Some(set) = self.durable.in_sync.filter(|set| set.has(me)) else { return false };
        let same = self.state.in_sync.is_some_and(|now| now.has(me));
        let kept = match set.strength {
            Acknowledge::Durable | Acknowledge::Local => true,
            // What was only in memory is gone with the process.
            Acknowledge::Received => self.durable.member_boot == self.state.boot,
        };
        same && kept && !self.durable.resigned
    }

    /// Whether this node's own disk proves that it holds everything that was acknowledged.
    pub(super) fn holds_everything(&self) -> bool {
        let waited = |set: InSyncSet| set.strength != Acknowledge::Local;
        self.is_member() && self.durable.in_sync.is_some_and(waited)
    }

    /// Leaves the set by our own word, on disk first (R3's resignation).
    pub(super) fn resign(&mut self, reign: Reign, out: &mut Vec<Output>) {
        let me = self.settings.node;
        let revision = self.state.in_sync.map_or(0, |set| set.revision);
        if let Some(set) = &mut self.state.in_sync {
            set.members[me] = None;
        }
        self.state.resigned = true;
        self.write(Then::Resigned { epoch: reign.epoch, revision }, out);
    }

    pub(super) fn decline_offers(&mut self) {
        if let Some(peer) = &mut self.peer {
            peer.offered = None;
        }
    }

    /// The primary has noted it: nobody waits for us.
    pub(super) fn resignation_noted(&mut self, out: &mut Vec<Output>) {
        if self.stopping && self.state.resigned {
            self.answer_stop("resigned; the primary goes on without this node", out);
        }
    }

    pub(super) fn send(message: PeerMessage, out: &mut Vec<Output>) {
        out.push(Output::Send(message));
    }
}
