//! Serving: whom a write waits for, and how that changes (R2, R3, R4).

use tandem_types::{Epoch, Lsn, Monotonic, Pair};

use super::asked::What;
use super::bid::Purpose;
use super::mediator::Standing;
use super::persist::Then;
use super::{Mediated, Phase};
use crate::message::{Greeting, PeerMessage};
use crate::planted::{Rule, holds};
use crate::{Acknowledge, Event, InSyncSet, Member, Output, Record, Reign, Revision, ShrinkCause};

impl Mediated {
    /// Whether the peer's word is needed before a write is acknowledged (R2). Ask it anew for every
    /// decision: it changes within a step.
    pub fn needs_peer(&self) -> bool {
        let growing = self.mediator.known().is_some_and(|(_, record)| !record.is_both());
        if growing && !holds(Rule::GrowWaits) {
            return false;
        }
        self.counts_peer()
    }

    /// The set on this disk, or on its way there, holds both.
    pub(super) fn counts_peer(&self) -> bool {
        self.state.in_sync.is_none_or(|set| set.is_both())
    }

    /// The peer has said in this connection that the current set is on its disk.
    pub(super) fn member_confirmed(&self) -> bool {
        let revision = self.state.in_sync.map(|set| set.revision);
        self.peer.as_ref().is_some_and(|peer| !peer.left && peer.confirmed == revision)
    }

    /// First word of the peer in this connection: does it still know that it is a member?
    pub(super) fn member_came_back(&mut self, greeting: &Greeting, out: &mut Vec<Output>) {
        if !self.counts_peer() || self.is_replaced(greeting) {
            return; // Another directory: the record must leave the old one out first.
        }
        let member = Member { node: self.peer_node(), incarnation: greeting.incarnation };
        if greeting.in_sync.is_none_or(|theirs| !theirs.has(member)) {
            // Its own disk says so, and an InSync of an earlier connection cannot reach it any more.
            self.go_alone(ShrinkCause::PeerNotMember, out);
        }
    }

    /// The member we wait for lived in another data directory.
    fn is_replaced(&self, greeting: &Greeting) -> bool {
        let member = self.state.in_sync.and_then(|set| set.members[self.peer_node()]);
        member.is_some_and(|member| member != greeting.incarnation) && holds(Rule::Incarnation)
    }

    /// It is connected, but its disk does not take what writes here wait for (R11); ours does.
    fn holds_up(&self, greeting: &Greeting) -> bool {
        greeting.unwell && self.ailment().is_none()
    }

    pub(super) fn tend_primary(&mut self, now: Monotonic, out: &mut Vec<Output>) {
        let Phase::Primary { reign, .. } = self.phase else { return };
        self.tell_member(reign, out);
        if !self.mediator.is_fresh() {
            return;
        }
        match self.standing() {
            Standing::Absent => self.rewrite_record(reign, None),
            Standing::Old(revision) => self.rewrite_record(reign, Some(revision)),
            Standing::Valid(revision, record) if record.reign() == reign => {
                self.tend_set(now, revision, &record, out);
                self.tend_wishes(now, out);
            }
            Standing::Valid(..) | Standing::Unknown | Standing::Foreign => {}
        }
    }

    /// Brings the set on this disk and the one in the record together.
    fn tend_set(
        &mut self,
        now: Monotonic,
        revision: Revision,
        record: &Record,
        out: &mut Vec<Output>,
    ) {
        if self.bid.is_some() {
            return;
        }
        // A record from an older copy may name a directory that the peer no longer has.
        let other = self.state.in_sync.is_some_and(|set| set.members != record.members)
            && holds(Rule::Incarnation);
        match (self.counts_peer(), record.is_both()) {
            (true, true) if other && self.greeting().is_some() => {
                self.tend_growth(revision, record, out);
            }
            (true, true) => {
                if self.solo_at().is_some_and(|at| now >= at) {
                    if !holds(Rule::ShrinkFirst) {
                        self.go_alone(ShrinkCause::Recorded, out);
                    }
                    self.bid_members(Purpose::Shrink, revision, record, None);
                }
            }
            (true, false) => self.tend_growth(revision, record, out),
            (false, true) => self.bid_members(Purpose::Shrink, revision, record, None),
            (false, false) => self.begin_growth(out),
        }
        let whole = record.is_both() && self.member_confirmed();
        self.decisions.in_sync_since = match self.decisions.in_sync_since {
            since @ Some(_) if whole => since,
            _ => whole.then_some(now),
        };
    }

    /// When the record is asked to leave the peer out; `None`: not as things are (R3).
    pub(super) fn solo_at(&self) -> Option<Monotonic> {
        if self.asked.is_some_and(|asked| asked.what == What::Solo) {
            return Some(Monotonic::ZERO);
        }
        if let Some(greeting) = self.greeting() {
            let out = self.is_replaced(greeting) || self.holds_up(greeting);
            return out.then_some(Monotonic::ZERO);
        }
        if self.met.is_some() && self.died == self.met {
            return Some(Monotonic::ZERO);
        }
        Some(self.alone_since.plus(self.settings.automatic.solo_after))
    }

    fn bid_members(
        &mut self,
        purpose: Purpose,
        revision: Revision,
        record: &Record,
        peer: Option<tandem_types::Incarnation>,
    ) {
        let mut members = Pair::default();
        members[self.settings.node] = Some(self.state.incarnation);
        members[self.peer_node()] = peer;
        // The role may have been given to this node with a record that says by what the peer answered.
        let strength = self.settings.acknowledge;
        self.bid(purpose, Some(revision), Record { members, strength, ..*record });
    }

    /// R4, first half: from here on every write waits for the peer, also while this is being written.
    fn begin_growth(&mut self, out: &mut Vec<Output>) {
        let Phase::Primary { reign, .. } = self.phase else { return };
        let Some(peer) = &self.peer else { return };
        let (caught_up, left) = (peer.follower.caught_up, peer.left);
        let Some(&Greeting { incarnation, unwell, .. }) = self.greeting() else { return };
        if unwell || !caught_up || left || self.stopping || !self.writes.is_empty() {
            return;
        }
        let revision = self.next_revision();
        let strength = self.settings.acknowledge;
        let mut set = InSyncSet::alone(self.me(), reign.epoch, revision, strength);
        set.members[self.peer_node()] = Some(incarnation);
        self.state.in_sync = Some(set);
        self.by_force = false;
        self.write(Then::Nothing, out);
    }

    /// The peer knows and has everything: the record may name it. It went away: nothing was promised.
    fn tend_growth(&mut self, revision: Revision, record: &Record, out: &mut Vec<Output>) {
        let Some(greeting) = self.greeting().copied() else {
            if self.peer.is_none() {
                self.forget_growth(out);
            }
            return;
        };
        if self.is_replaced(&greeting) || self.holds_up(&greeting) {
            return self.forget_growth(out);
        }
        let local = self.settings.acknowledge == Acknowledge::Local;
        let leases = local || self.obeys_leases() || !holds(Rule::LeaseForReads);
        if self.member_confirmed() && leases {
            self.bid_members(Purpose::Grow, revision, record, Some(greeting.incarnation));
        }
    }

    fn forget_growth(&mut self, out: &mut Vec<Output>) {
        let Phase::Primary { reign, .. } = self.phase else { return };
        self.state.in_sync = Some(self.alone_set(reign.epoch));
        self.write(Then::Nothing, out);
    }

    /// R4, second half: once the peer holds everything acknowledged so far, it may know.
    fn tell_member(&mut self, reign: Reign, out: &mut Vec<Output>) {
        let acknowledged = self.own.commit_end.max(self.reign_end);
        let recorded = self.recorded_last();
        let (Some(set), Some(peer)) = (self.durable.in_sync, &mut self.peer) else { return };
        if !set.is_both() || self.state.in_sync != Some(set) || peer.told == Some(set.revision) {
            return;
        }
        let replaced = peer.greeting.is_none_or(|it| {
            set.members[self.settings.node.peer()] != Some(it.incarnation)
                && holds(Rule::Incarnation)
        });
        if replaced || peer.left {
            return;
        }
        let ends = peer.follower;
        let (held, needed) = match set.strength {
            Acknowledge::Durable => (ends.durable_end, acknowledged),
            Acknowledge::Received => (ends.received_end, acknowledged),
            Acknowledge::Local => (ends.received_end, ends.received_end),
        };
        // A follower without a position has not begun to follow in this connection.
        let short = held == Lsn::ZERO || held < needed;
        if short && holds(Rule::GrowAfterAcks) {
            return;
        }
        peer.told = Some(set.revision);
        let lsn = if short { Lsn::ZERO } else { needed };
        Self::send(PeerMessage::InSync { epoch: reign.epoch, set, lsn, recorded }, out);
    }

    pub(super) fn confirmed(&mut self, epoch: Epoch, revision: u64) {
        let current = matches!(self.phase, Phase::Primary { reign, .. } if reign.epoch == epoch);
        let Some(peer) = &mut self.peer else { return };
        if current && peer.told == Some(revision) {
            peer.confirmed = Some(revision);
        }
    }

    /// The record names both.
    pub(super) fn grown(&mut self, now: Monotonic, out: &mut Vec<Output>) {
        let Some(set) = self.state.in_sync else { return };
        if set.is_both() {
            self.decisions.in_sync_since = Some(now);
            out.push(Output::Event(Event::Grown { revision: set.revision }));
        }
    }

    /// The record names this node only.
    pub(super) fn shrunk(&mut self, out: &mut Vec<Output>) {
        self.go_alone(ShrinkCause::Recorded, out);
    }

    /// R3: the peer is out of the set, by a right that does not rest on silence.
    pub(super) fn go_alone(&mut self, cause: ShrinkCause, out: &mut Vec<Output>) {
        let Phase::Primary { reign, .. } = self.phase else { return };
        if !self.counts_peer() {
            return;
        }
        let set = self.alone_set(reign.epoch);
        self.state.in_sync = Some(set);
        self.decisions.in_sync_since = None;
        if let Some(peer) = &mut self.peer {
            peer.told = None;
            peer.confirmed = None;
        }
        self.write(Then::Nothing, out);
        out.push(Output::Event(Event::Shrunk { revision: set.revision, cause }));
    }

    /// The peer has left the set on its own disk: nobody waits for it, and it is no candidate.
    pub(super) fn peer_resigned(&mut self, epoch: Epoch, revision: u64, out: &mut Vec<Output>) {
        let Phase::Primary { reign, .. } = self.phase else { return };
        if reign.epoch != epoch {
            return;
        }
        self.call_off_hold("the standby stops", out);
        if let Some(peer) = &mut self.peer {
            peer.left = true;
        }
        self.go_alone(ShrinkCause::Resigned, out);
        Self::send(PeerMessage::ResignAck { revision }, out);
    }
}
