//! Finding a role: who was primary, who agrees, who must wait (R1).

use tandem_types::{Epoch, ForkId, Monotonic, Role};

use super::persist::Then;
use super::{Manual, Phase};
use crate::lost::Vouched;
use crate::message::{Greeting, PeerMessage};
use crate::planted::{Rule, holds};
use crate::{Acknowledge, Event, InSyncSet, Member, Output, PromoteCause, Reign};

/// How a reign begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start {
    pub(super) reign: Reign,
    pub(super) set: InSyncSet,
    pub(super) cause: PromoteCause,
}

impl Manual {
    /// Takes a role if one is free to be taken.
    pub(super) fn settle(&mut self, now: Monotonic, out: &mut Vec<Output>) {
        if self.copying || self.stopping || !self.writes.is_empty() {
            return;
        }
        match self.greeting().copied() {
            Some(greeting) if greeting.role == Role::Primary => {
                self.peer_is_primary(now, &greeting, out);
            }
            // The directory is not a new one: it began no pair, and takes nothing back.
            _ if self.split || self.piloted.held_back || self.lacking => {}
            Some(greeting) => self.settle_with(&greeting, out),
            None => self.settle_alone(now, out),
        }
    }

    /// The peer is here and is not primary either.
    fn settle_with(&mut self, greeting: &Greeting, out: &mut Vec<Output>) {
        let peer_is_empty = greeting.pair_id == tandem_types::PairId::NONE;
        match (self.state.is_empty(), peer_is_empty) {
            (true, true) => {
                if self.settings.initial_primary == self.settings.node {
                    self.create_pair(PromoteCause::Created, out);
                }
            }
            (true, false) => {} // G5: an empty directory waits for the data.
            (false, true) => {
                // The peer's directory is a new one: whoever was a member there is gone with its disk.
                if self.was_primary() {
                    self.start_alone(PromoteCause::Returned, out);
                }
            }
            (false, false) => {
                let latest = self.latest_reign(greeting);
                let declined = self.peer.as_ref().is_some_and(|peer| peer.declined);
                let mine = latest.is_some_and(|it| it.primary == self.settings.node);
                if mine && !declined && self.may_have_led(greeting) {
                    self.claim(latest, out);
                }
            }
        }
    }

    /// A directory that came from a backup knows the reigns in it and was in none of them: with a peer that
    /// has the pair's data it takes nothing back.
    pub(super) fn may_have_led(&self, greeting: &Greeting) -> bool {
        let me = self.state.member(self.settings.node);
        let set = self.state.in_sync.or(greeting.in_sync);
        set.is_none_or(|set| !set.names_another(me)) || !holds(Rule::Incarnation)
    }

    /// Whether the peer's directory may be the one that was primary: the set here does not name another one.
    pub(super) fn has_led(&self, greeting: &Greeting) -> bool {
        let node = self.settings.node.peer();
        let peer = Member { node, incarnation: greeting.incarnation };
        self.state.in_sync.is_none_or(|set| !set.names_another(peer))
    }

    /// Nobody is there: only a node that was alone before may be alone again.
    fn settle_alone(&mut self, now: Monotonic, out: &mut Vec<Output>) {
        let waited = now.since(self.alone_since) >= self.settings.failure_timeout;
        if !self.state.is_empty() && self.was_primary() && waited && self.may_start_alone() {
            self.start_alone(PromoteCause::Returned, out);
        }
    }

    pub(super) fn may_start_alone(&self) -> bool {
        let me = self.state.member(self.settings.node);
        let alone = self.state.in_sync.is_some_and(|set| set.has(me) && !set.is_both());
        if !self.piloted.decides || !holds(Rule::ReturnsAlone) {
            // Neither would this node wait, nor does the peer believe that it does.
            return alone || self.acknowledge() == Acknowledge::Local;
        }
        // Where nodes decide, the peer may have been given the role while this one was down. Not if this one
        // was alone in the set.
        alone && !self.may_have_been_fenced()
    }

    /// Whether the peer may have taken over although this node was alone in the set: one that never waited for
    /// its peer is alone there after any silence, and may have been fenced since. The peer itself knows.
    pub(super) fn may_have_been_fenced(&self) -> bool {
        let local = self.state.in_sync.is_some_and(|set| set.strength == Acknowledge::Local);
        local && self.piloted.fences
    }

    /// Whether the latest reign this node knows was its own.
    pub(super) fn was_primary(&self) -> bool {
        self.state.reign.is_some_and(|reign| reign.primary == self.settings.node)
    }

    /// The later of the two nodes' latest reigns, the same seen from both.
    pub(super) fn latest_reign(&self, greeting: &Greeting) -> Option<Reign> {
        self.later(self.state.reign, greeting.reign)
    }

    fn later(&self, ours: Option<Reign>, theirs: Option<Reign>) -> Option<Reign> {
        let (Some(mine), Some(other)) = (ours, theirs) else { return ours.or(theirs) };
        if mine.epoch != other.epoch {
            return Some(if mine.epoch > other.epoch { mine } else { other });
        }
        let preferred = self.settings.initial_primary;
        Some(if mine.primary == preferred { mine } else { other })
    }

    pub(super) fn create_pair(&mut self, cause: PromoteCause, out: &mut Vec<Output>) {
        assert!(self.state.is_empty(), "creates a pair over {}", self.state.pair_id);
        self.state.pair_id = self.random.pair();
        out.push(Output::Event(Event::PairCreated(self.state.pair_id)));
        self.start_alone(cause, out);
    }

    /// A new reign with nobody else in the set.
    pub(super) fn start_alone(&mut self, cause: PromoteCause, out: &mut Vec<Output>) {
        let epoch = self.next_epoch();
        let reign = Reign { epoch, fork: self.random.fork(), primary: self.settings.node };
        self.start(Start { reign, set: self.alone_set(epoch), cause }, out);
    }

    pub(super) fn alone_set(&self, epoch: Epoch) -> InSyncSet {
        let me = self.state.member(self.settings.node);
        InSyncSet::alone(me, epoch, self.next_revision(), self.settings.acknowledge)
    }

    /// Writes the reign down; the log follows, then it serves.
    pub(super) fn start(&mut self, start: Start, out: &mut Vec<Output>) {
        let Start { reign, set, cause } = start;
        assert!(reign.epoch > self.state.epoch_seen, "begins {} again", reign.epoch);
        assert!(!self.copying, "begins a reign on data that is not whole");
        self.state.epoch_seen = reign.epoch;
        self.state.reign = Some(reign);
        self.state.in_sync = Some(set);
        self.state.resigned = false;
        self.state.member_boot = self.state.boot;
        self.split = false;
        self.vouched = Vouched::default();
        self.weaker = None;
        self.phase = Phase::Starting { reign, cause };
        self.write(Then::BeginReign(reign), out);
    }

    fn claim(&mut self, latest: Option<Reign>, out: &mut Vec<Output>) {
        let (epoch, fork) = (self.next_epoch(), self.random.fork());
        self.phase = Phase::Claiming { epoch, fork };
        out.push(Output::Send(PeerMessage::Claim { epoch, fork, reign: latest }));
    }

    /// The peer was primary and asks us to agree that it is again.
    pub(super) fn claimed(
        &mut self,
        epoch: Epoch,
        fork: ForkId,
        reign: Option<Reign>,
        out: &mut Vec<Output>,
    ) {
        if self.agrees_to(epoch, reign) {
            if let Phase::Following { .. } = self.phase {
                out.push(Output::Unfollow);
            }
            self.phase = Phase::Joining;
            self.state.epoch_seen = epoch;
            self.write(Then::Grant { epoch, fork }, out);
        } else {
            out.push(Output::Send(PeerMessage::Decline { epoch }));
            if let Some(peer) = &mut self.peer {
                peer.said = None; // Say again how we stand: that is the reason.
            }
        }
    }

    fn agrees_to(&self, epoch: Epoch, claimed: Option<Reign>) -> bool {
        let free = match self.phase {
            Phase::Joining | Phase::Following { .. } => true,
            Phase::Claiming { .. } => self.settings.initial_primary != self.settings.node,
            Phase::Starting { .. }
            | Phase::Primary { .. }
            | Phase::Giving { .. }
            | Phase::Failed => false,
        };
        let new = epoch > self.state.epoch_seen && epoch > self.state.refused_epoch;
        // It must know of every reign that we know of.
        let informed = self.later(claimed, self.state.reign) == claimed;
        // And be the directory that led, not a copy, a backup or a new disk in its place.
        let known = self.greeting().is_none_or(|greeting| self.has_led(greeting));
        let informed = informed && (known || !holds(Rule::Incarnation));
        free && new && informed && !self.copying
    }

    pub(super) fn granted(&mut self, epoch: Epoch, fork: ForkId, out: &mut Vec<Output>) {
        if self.phase != (Phase::Claiming { epoch, fork }) {
            return;
        }
        let reign = Reign { epoch, fork, primary: self.settings.node };
        // A person may have asked for `solo` meanwhile, or another epoch come by: then it is void.
        if epoch > self.state.epoch_seen {
            let set = self.set_for_return(epoch);
            self.start(Start { reign, set, cause: PromoteCause::Returned }, out);
        } else {
            self.phase = Phase::Joining;
        }
    }

    pub(super) fn declined(&mut self, epoch: Epoch) {
        if matches!(self.phase, Phase::Claiming { epoch: mine, .. } if mine == epoch) {
            self.phase = Phase::Joining;
            if let Some(peer) = &mut self.peer {
                peer.declined = true;
            }
        }
    }

    /// The peer stays a member if both its own record and ours say that it is one, and for as much as it was:
    /// what the file says now, it does not know yet.
    fn set_for_return(&self, epoch: Epoch) -> InSyncSet {
        let peer = self.greeting().map(|greeting| (greeting.incarnation, greeting.in_sync));
        if let (Some(ours), Some((incarnation, Some(theirs)))) = (self.state.in_sync, peer) {
            let member = Member { node: self.settings.node.peer(), incarnation };
            let me = self.state.member(self.settings.node);
            if ours.has(member) && ours.has(me) && theirs.has(member) {
                return InSyncSet { epoch, ..ours };
            }
        }
        self.alone_set(epoch)
    }
}
