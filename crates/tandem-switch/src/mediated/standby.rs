//! Following the peer, and knowing whether one holds everything.

use tandem_types::{Epoch, Monotonic, PairId};

use super::link::{Heard, Offer};
use super::persist::Then;
use super::{Mediated, Phase};
use crate::message::{Greeting, PeerMessage};
use crate::planted::{Rule, holds};
use crate::{Acknowledge, Event, Output, Reign};

impl Mediated {
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
        let free = matches!(self.phase, Phase::Joining | Phase::Following { .. });
        let fenced = holds(Rule::FenceByEpoch);
        let old = (reign.epoch < self.state.epoch_seen && fenced) || reign.epoch <= self.refused();
        if !free || old || self.stopping || greeting.pair_id == PairId::NONE {
            return; // If it is old, our greeting tells it so, and it demotes itself.
        }
        self.phase = Phase::Following { reign };
        let appended_end = greeting.appended_end;
        let before = self.heard.filter(|heard| heard.appended_end == appended_end);
        self.heard = Some(Heard { at: now, appended_end, lacks: before.and_then(|it| it.lacks) });
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

    /// What must be on disk before this reign is followed.
    fn obey(&mut self, reign: Reign, greeting: &Greeting) {
        if self.state.is_empty() {
            self.state.pair_id = greeting.pair_id;
        }
        self.state.epoch_seen = self.state.epoch_seen.max(reign.epoch);
        self.state.reign = Some(reign);
        // Our set names us only while the primary's does. It never grows here: only the primary's InSync
        // message, after the log has reached the place, makes us a member.
        let me = self.me();
        if let (Some(ours), Some(theirs)) = (&mut self.state.in_sync, greeting.in_sync)
            && ours.has(me)
            && !theirs.has(me)
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
        self.followed = Some(reign);
        self.deposed = None;
        out.push(Output::Event(Event::Following(reign)));
        out.push(Output::Follow { reign, pair_id: self.state.pair_id });
    }

    /// The primary says that we are a member from some place on.
    pub(super) fn offered(&mut self, epoch: Epoch, offer: Offer) {
        let current = matches!(self.phase, Phase::Following { reign } if reign.epoch == epoch);
        let named = offer.set.has(self.me()) || !holds(Rule::Incarnation);
        if let Some(peer) = &mut self.peer
            && current
            && named
            && !self.stopping
        {
            peer.offered = Some(offer);
        }
    }

    /// Writes the membership down once the log has what it promises.
    pub(super) fn take_offer(&mut self, out: &mut Vec<Output>) {
        let Phase::Following { reign } = self.phase else { return };
        let Some(peer) = &mut self.peer else { return };
        let Some(Offer { set, lsn, recorded }) = peer.offered else { return };
        let held = match set.strength {
            Acknowledge::Durable => self.own.durable_end,
            Acknowledge::Received | Acknowledge::Local => self.own.appended_end,
        };
        if held < lsn || self.copying || self.lacking {
            return;
        }
        peer.offered = None;
        self.state.in_sync = Some(set);
        self.trust_as_told(recorded);
        self.state.resigned = false;
        self.state.member_boot = self.state.boot;
        let (epoch, revision) = (reign.epoch, set.revision);
        self.write(Then::ConfirmMembership { epoch, revision }, out);
    }

    /// Whether this node holds everything that was acknowledged, as its own disk and the record say.
    pub(super) fn is_member(&self) -> bool {
        let me = self.me();
        if self.durable.in_sync.is_none_or(|set| !set.has(me)) {
            return false;
        }
        let same = self.state.in_sync.is_some_and(|now| now.has(me));
        let kept = match self.worth() {
            Some(Acknowledge::Durable | Acknowledge::Local) | None => true,
            // What was only in memory is gone with the process.
            Some(Acknowledge::Received) => self.durable.member_boot == self.state.boot,
        };
        let recorded = match self.mediator.known() {
            Some((_, record)) if record.pair_id == self.state.pair_id => record.has(me),
            _ => true, // Nobody can say otherwise now.
        };
        same && kept && !self.durable.resigned && recorded
    }

    /// Leaves the set by our own word, on disk first (R3's resignation).
    pub(super) fn resign(&mut self, reign: Reign, out: &mut Vec<Output>) {
        let me = self.settings.node;
        let revision = self.state.in_sync.map_or(0, |set| set.revision);
        let epoch = reign.epoch;
        if !holds(Rule::ResignDurably) {
            return Self::send(PeerMessage::Resign { epoch, revision }, out);
        }
        if let Some(set) = &mut self.state.in_sync {
            set.members[me] = None;
        }
        self.state.resigned = true;
        self.write(Then::Resigned { epoch, revision }, out);
    }

    pub(super) fn decline_offers(&mut self) {
        if let Some(peer) = &mut self.peer {
            peer.offered = None;
        }
    }

    /// The primary has noted it: nobody waits for us.
    pub(super) fn resignation_noted(&mut self, out: &mut Vec<Output>) {
        if self.stopping {
            self.answer_stop("resigned; the primary goes on without this node", out);
        }
    }
}
