//! Serving: whom a write waits for, and how that changes (R2, R3, R4).

use tandem_types::{Epoch, Incarnation, Lsn, Monotonic};

use super::persist::Then;
use super::{Manual, Phase};
use crate::message::{Greeting, PeerMessage};
use crate::{Acknowledge, Event, FollowerEnds, InSyncSet, Member, Output, ShrinkCause, Ticket};

/// By what right the set shrinks, and who is told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shrink {
    pub(super) cause: ShrinkCause,
    pub(super) ticket: Option<Ticket>,
    pub(super) resigned: Option<u64>,
}

impl Shrink {
    const fn because(cause: ShrinkCause) -> Self {
        Self { cause, ticket: None, resigned: None }
    }
}

impl Manual {
    pub(super) fn reign_begun(&mut self, epoch: Epoch, end: Lsn, out: &mut Vec<Output>) {
        let Phase::Starting { reign, cause } = self.phase else { return };
        if reign.epoch != epoch {
            return;
        }
        assert!(end <= self.own.durable_end, "begun at {end}, durable {}", self.own.durable_end);
        self.phase = Phase::Primary { reign, hold: None };
        self.reign_end = end;
        self.deposed = false;
        if let Some(peer) = &mut self.peer {
            // What it held, was told and confirmed in an earlier reign says nothing about this one.
            peer.follower = FollowerEnds::default();
            peer.told = None;
            peer.confirmed = None;
        }
        out.push(Output::Serve { epoch });
        out.push(Output::Event(Event::Promoted { reign, cause }));
        self.reign_answers(reign, cause, out);
        if let Some(greeting) = self.greeting().copied() {
            // It may have said that it serves this very epoch while ours was being written. What it said of an
            // earlier one is old: it hears of ours.
            if greeting.reign.is_some_and(|it| it.epoch == reign.epoch) {
                self.settle_split(&greeting, out);
            }
            self.member_came_back(&greeting, out);
        }
    }

    /// First word of the peer in this connection: is it still the member we wait for?
    pub(super) fn member_came_back(&mut self, greeting: &Greeting, out: &mut Vec<Output>) {
        let Some(set) = self.state.in_sync.filter(InSyncSet::is_both) else { return };
        let node = self.settings.node.peer();
        let member = Member { node, incarnation: greeting.incarnation };
        if !set.has(member) {
            self.shrink(Shrink::because(ShrinkCause::PeerReplaced), out);
        } else if greeting.in_sync.is_none_or(|theirs| !theirs.has(member)) {
            // Its own disk says so, and an InSync of an earlier connection cannot reach it any more.
            self.shrink(Shrink::because(ShrinkCause::PeerNotMember), out);
        } else if greeting.in_sync.is_some_and(|theirs| theirs.revision > set.revision) {
            self.tell_again(out);
        }
    }

    /// Grows the set when the follower holds everything; tells a member where it stands.
    pub(super) fn tend_set(&mut self, now: Monotonic, out: &mut Vec<Output>) {
        let Some(set) = self.state.in_sync else { return };
        let Some(peer) = &self.peer else {
            let silent = now.since(self.alone_since) >= self.settings.failure_timeout;
            if self.acknowledge() == Acknowledge::Local && set.is_both() && silent {
                self.shrink(Shrink::because(ShrinkCause::Local), out);
            }
            return;
        };
        let Some(greeting) = peer.greeting else { return };
        let joins =
            peer.follower.caught_up && !peer.left && self.writes.is_empty() && !self.stopping;
        if joins && (!set.is_both() || set.strength < self.settings.acknowledge) {
            self.grow(greeting.incarnation, out);
        } else if set.is_both() {
            self.tell_member(out);
            self.offer_weaker(out);
        }
    }

    /// R4, first half: from here on every write waits for the peer, also while this is being written. So too
    /// for a member that shall rely on more than before.
    fn grow(&mut self, incarnation: Incarnation, out: &mut Vec<Output>) {
        let Phase::Primary { reign, .. } = self.phase else { return };
        let me = self.state.member(self.settings.node);
        let revision = self.next_revision();
        let strength = self.settings.acknowledge;
        let mut set = InSyncSet::alone(me, reign.epoch, revision, strength);
        set.members[self.settings.node.peer()] = Some(incarnation);
        self.state.in_sync = Some(set);
        self.write(Then::Nothing, out);
    }

    /// R4, second half: once the peer holds everything acknowledged so far, it may know.
    fn tell_member(&mut self, out: &mut Vec<Output>) {
        let Phase::Primary { reign, .. } = self.phase else { return };
        let (Some(set), Some(peer)) = (self.durable.in_sync, &mut self.peer) else { return };
        if !set.is_both() || self.state.in_sync != Some(set) || peer.told == Some(set.revision) {
            return;
        }
        let ends = peer.follower;
        // What earlier reigns acknowledged is before the first record of this one; `commit_end` alone
        // says nothing of it right after a restart.
        let acknowledged = self.own.commit_end.max(self.reign_end);
        let (held, needed) = match set.strength {
            Acknowledge::Durable => (ends.durable_end, acknowledged),
            Acknowledge::Received => (ends.received_end, acknowledged),
            Acknowledge::Local => (ends.received_end, ends.received_end),
        };
        // A follower without a position has not begun to follow in this connection.
        if held == Lsn::ZERO || held < needed {
            return;
        }
        peer.told = Some(set.revision);
        // No mediator, no record.
        let (epoch, lsn, recorded) = (reign.epoch, needed, None);
        Self::send(PeerMessage::InSync { epoch, set, lsn, recorded }, out);
    }

    pub(super) fn confirmed(&mut self, epoch: Epoch, revision: u64, out: &mut Vec<Output>) {
        let current = matches!(self.phase, Phase::Primary { reign, .. } if reign.epoch == epoch);
        let Some(peer) = &mut self.peer else { return };
        if current && peer.told == Some(revision) && peer.confirmed != Some(revision) {
            peer.confirmed = Some(revision);
            out.push(Output::Event(Event::Grown { revision }));
        } else if current {
            self.weaker_is_known(revision, out);
        }
    }

    /// R3: the peer is out of the set, by a right that does not rest on silence.
    pub(super) fn shrink(&mut self, shrink: Shrink, out: &mut Vec<Output>) {
        let Phase::Primary { reign, .. } = self.phase else { return };
        let set = self.alone_set(reign.epoch);
        self.state.in_sync = Some(set);
        self.weaker = None;
        if let Some(peer) = &mut self.peer {
            peer.told = None;
            peer.confirmed = None;
        }
        let Shrink { cause, ticket, resigned } = shrink;
        let revision = set.revision;
        self.write(Then::Shrunk { revision, cause, ticket, resigned }, out);
    }

    /// The peer has left the set on its own disk.
    pub(super) fn peer_resigned(&mut self, epoch: Epoch, revision: u64, out: &mut Vec<Output>) {
        let Phase::Primary { reign, .. } = self.phase else { return };
        if reign.epoch != epoch {
            return;
        }
        self.call_off_hold("the standby stops", out);
        if let Some(peer) = &mut self.peer {
            peer.left = true;
        }
        let cause = ShrinkCause::Resigned;
        self.shrink(Shrink { cause, ticket: None, resigned: Some(revision) }, out);
    }
}
