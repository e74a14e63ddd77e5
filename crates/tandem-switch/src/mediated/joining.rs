//! Finding a place: by the record, by the peer, or at the beginning of a pair (R1).

use tandem_types::{Epoch, ForkId, Lsn, Monotonic, NodeId, Pair, PairId, Role};

use super::bid::{Bid, Purpose};
use super::mediator::Standing;
use super::persist::Then;
use super::{Mediated, Phase};
use crate::lost::Vouched;
use crate::message::PeerMessage;
use crate::planted::{Rule, holds};
use crate::{
    Change, Event, FollowerEnds, InSyncSet, Output, PromoteCause, Record, Reign, Revision,
};

impl Mediated {
    /// Takes a place if one is free to be taken.
    pub(super) fn settle(&mut self, now: Monotonic, out: &mut Vec<Output>) {
        if self.copying || self.stopping || !self.writes.is_empty() || self.bid.is_some() {
            return;
        }
        if let Some(greeting) = self.greeting().copied() {
            // Heard before, when a change was under way that an earlier boot had sent.
            if self.phase == Phase::Joining && self.has_lost_records(&greeting, out) {
                return;
            }
            if self.peer_serves() {
                self.peer_is_primary(now, &greeting, out);
                if self.phase != Phase::Joining {
                    return;
                }
            }
        }
        // A directory whose data is set aside takes nothing back, and begins no pair.
        if self.lacking || !self.mediator.is_fresh() {
            return;
        }
        match self.standing() {
            Standing::Valid(revision, record) if record.primary == self.settings.node => {
                self.settle_as_named(now, revision, &record, out);
            }
            Standing::Valid(revision, record) => self.tend_takeover(now, revision, &record, out),
            Standing::Absent if self.state.is_empty() => self.settle_new(out),
            Standing::Absent => self.settle_unrecorded(now, None, out),
            Standing::Old(revision) => self.settle_unrecorded(now, Some(revision), out),
            Standing::Unknown | Standing::Foreign => {}
        }
    }

    /// The record names this node.
    fn settle_as_named(
        &mut self,
        now: Monotonic,
        revision: Revision,
        record: &Record,
        out: &mut Vec<Output>,
    ) {
        if !record.has(self.me()) && holds(Rule::Incarnation) {
            return; // It means the directory that was here before: this one is nobody.
        }
        let same_boot = record.primary_boot == self.my_boot();
        let begun = self.state.reign == Some(record.reign());
        if (same_boot && !begun) || !holds(Rule::NewReignPerBoot) {
            return self.begin_named(now, record, out);
        }
        if self.listens_first(now, record) || self.yields_return(now, record) {
            return;
        }
        let members = self.members_of(record);
        let change = self.own_change(Some(revision), members);
        self.bid_for_reign(PromoteCause::Returned, change, None, out);
    }

    /// This disk leaves the peer out after the record, and takes it in before: if only the record names it, the
    /// record is a copy from before that, or has yet to hear of a person's word.
    fn members_of(&self, record: &Record) -> Pair<Option<tandem_types::Incarnation>> {
        let alone = self.state.in_sync.is_some_and(|set| set.has(self.me()) && !set.is_both());
        let same = self.state.reign == Some(record.reign());
        if alone && same && holds(Rule::SameLife) { self.only_me() } else { record.members }
    }

    /// The role was given to this boot, which is free to begin.
    pub(super) fn is_named_anew(&self, record: &Record) -> bool {
        let named = record.primary_boot == self.my_boot() && record.has(self.me());
        let free = matches!(self.phase, Phase::Following { .. } | Phase::Joining);
        let busy = self.copying || self.stopping || self.bid.is_some() || !self.writes.is_empty();
        named && free && !busy && record.epoch > self.state.epoch_seen && self.mediator.is_fresh()
    }

    /// Handed over; the message that says so is late or lost.
    pub(super) fn begin_named(&mut self, now: Monotonic, record: &Record, out: &mut Vec<Output>) {
        if let Phase::Following { .. } = self.phase {
            out.push(Output::Unfollow);
        }
        let change = Change { expect: None, record: *record, unless_present: None };
        let bid = Bid::for_begun(change, self.refused(), false);
        self.begin(now, PromoteCause::Handover, &bid, out);
    }

    /// The peer may have been made primary while the mediator could not be reached: a person forced it, and
    /// the record cannot tell. Whoever starts hears the peer first, if it can be heard at all (R1).
    /// So too if this disk says that the peer was taken in and the record does not: it may be a copy from
    /// before that.
    pub(super) fn listens_first(&self, now: Monotonic, record: &Record) -> bool {
        let both = record.is_both() || (self.counts_peer() && holds(Rule::SameLife));
        both && self.greeting().is_none() && now < self.listens_until()
    }

    pub(super) fn listens_until(&self) -> Monotonic {
        self.started.plus(self.settings.failure_timeout)
    }

    /// A primary that keeps restarting lets its standby go first (R11).
    fn yields_return(&self, now: Monotonic, record: &Record) -> bool {
        let peer = self.settings.node.peer();
        let may_be_replaced = record.members[peer].is_some() && self.is_present(peer);
        self.restarts_too_often(now) && may_be_replaced && now < self.return_at()
    }

    pub(super) fn return_at(&self) -> Monotonic {
        self.started.plus(self.settings.failure_timeout * 2)
    }

    /// G5: nothing here, and no record. Only together with an empty peer.
    fn settle_new(&mut self, out: &mut Vec<Output>) {
        let peer = self.settings.node.peer();
        let empty = self.greeting().is_some_and(|it| it.pair_id == PairId::NONE)
            || (self.greeting().is_none()
                && self.mediator.present[peer].is_some_and(|it| it.pair_id == PairId::NONE));
        if self.settings.initial_primary == self.settings.node && empty {
            self.create_pair(PromoteCause::Created, out);
        }
    }

    pub(super) fn create_pair(&mut self, cause: PromoteCause, out: &mut Vec<Output>) {
        assert!(self.state.is_empty(), "creates a pair over {}", self.state.pair_id);
        let pair_id = self.random.pair();
        out.push(Output::Event(Event::PairCreated(pair_id)));
        let members = self.only_me();
        let mut change = self.own_change(None, members);
        change.record.pair_id = pair_id;
        self.bid_for_reign(cause, change, None, out);
        if let Some(bid) = &mut self.bid {
            bid.certified = true;
        }
    }

    /// D7: the mediator has lost the record, or has an old one, and this node has data.
    fn settle_unrecorded(
        &mut self,
        now: Monotonic,
        expect: Option<Revision>,
        out: &mut Vec<Output>,
    ) {
        let Some(set) = self.state.in_sync.filter(|set| set.has(self.me())) else { return };
        if !self.was_primary() && holds(Rule::RewriteByPrimary) {
            return;
        }
        if set.is_both() && holds(Rule::RewriteByPrimary) {
            return self.claim(now, out);
        }
        if self.may_be_outranked(now) && holds(Rule::RewriteByPrimary) {
            return;
        }
        let change = self.own_change(expect, set.members);
        self.bid_for_reign(PromoteCause::Returned, change, None, out);
    }

    /// Nobody else was in the set, so nobody else can be primary, but by a person's word, of which only the
    /// lost record told. Who was promoted so says it on the link, or its presence does, if it can be heard.
    pub(super) fn may_be_outranked(&self, now: Monotonic) -> bool {
        let own = self.state.reign.map_or(Epoch::ZERO, |reign| reign.epoch);
        let later = |reign: Reign| reign.epoch > own;
        if let Some(theirs) = self.greeting() {
            return theirs.reign.is_some_and(later) || self.state.epoch_seen > own;
        }
        let there = self.mediator.present[self.peer_node()];
        there.is_some_and(|it| it.role == Role::Primary || it.epoch_seen > own)
            || self.rewrites_at().is_some_and(|at| now < at)
            || self.state.epoch_seen > own
    }

    /// An epoch later than its own that neither node knows more of than its number: it may have been this node's own
    /// try, or the peer served in it with a disk that is gone.
    pub(super) fn heard_of_an_unknown_reign(&self) -> bool {
        let own = self.state.reign.map_or(Epoch::ZERO, |reign| reign.epoch);
        let theirs = self.greeting().map(|it| it.reign.map_or(Epoch::ZERO, |reign| reign.epoch));
        theirs.is_some_and(|theirs| theirs <= own) && self.state.epoch_seen > own
    }

    /// By then whoever can be heard has been.
    pub(super) fn rewrites_at(&self) -> Option<Monotonic> {
        self.mediator.lost_at.map(|at| at.plus(self.settings.failure_timeout))
    }

    /// The record is lost and the peer may have been promoted before: only its own word tells.
    fn claim(&mut self, now: Monotonic, out: &mut Vec<Output>) {
        let ours = self.state.reign;
        let agrees = self.greeting().is_some_and(|theirs| {
            theirs.pair_id == self.state.pair_id
                && theirs
                    .reign
                    .is_none_or(|it| ours.is_some_and(|ours| it == ours || it.epoch < ours.epoch))
        });
        if !agrees || self.peer_serves() {
            return;
        }
        let (epoch, fork) = (self.next_epoch(), self.random.fork());
        let patience = self.settings.failure_timeout;
        let Some(peer) = self.peer.as_mut() else { return };
        if peer.claimed.is_some_and(|(_, _, at)| now < at.plus(patience)) {
            return;
        }
        peer.claimed = Some((epoch, fork, now));
        Self::send(PeerMessage::Claim { epoch, fork, reign: ours }, out);
    }

    /// The peer was primary and asks us to agree that it is again.
    pub(super) fn claimed(
        &mut self,
        epoch: Epoch,
        fork: ForkId,
        reign: Option<Reign>,
        out: &mut Vec<Output>,
    ) {
        let free = matches!(self.phase, Phase::Joining | Phase::Following { .. });
        let new = epoch > self.state.epoch_seen && epoch > self.refused();
        // It must know of every reign that we know of.
        let informed = match (reign, self.state.reign) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(theirs), Some(ours)) => theirs == ours || theirs.epoch > ours.epoch,
        };
        if !(free && new && informed) || self.bid.is_some() || self.copying {
            return Self::send(PeerMessage::Decline { epoch }, out);
        }
        if let Phase::Following { .. } = self.phase {
            out.push(Output::Unfollow);
        }
        self.phase = Phase::Joining;
        self.state.epoch_seen = epoch;
        self.write(Then::Grant { epoch, fork }, out);
    }

    /// The peer agrees, and obeys nothing older any more.
    pub(super) fn granted(&mut self, epoch: Epoch, fork: ForkId, out: &mut Vec<Output>) {
        let asked = self.peer.as_ref().and_then(|peer| peer.claimed);
        let asked = asked.is_some_and(|(e, f, _)| (e, f) == (epoch, fork));
        let set = self.state.in_sync.filter(|set| set.has(self.me()));
        let lost = matches!(self.standing(), Standing::Absent | Standing::Old(_));
        let free = self.phase == Phase::Joining && self.bid.is_none() && !self.stopping;
        if !(asked && lost && free && self.was_primary()) || epoch < self.state.epoch_seen {
            return;
        }
        let (Some(set), Some(expect)) = (set, self.expected()) else { return };
        let mut change = self.own_change(expect, set.members);
        change.record.epoch = epoch;
        change.record.fork = fork;
        self.bid_for_reign(PromoteCause::Returned, change, None, out);
    }

    /// Whether the latest reign this node knows was its own.
    pub(super) fn was_primary(&self) -> bool {
        self.state.reign.is_some_and(|reign| reign.primary == self.settings.node)
    }

    pub(super) fn only_me(&self) -> Pair<Option<tandem_types::Incarnation>> {
        let mut members = Pair::default();
        members[self.settings.node] = Some(self.state.incarnation);
        members
    }

    /// The record of a new reign of this node.
    pub(super) fn own_change(
        &mut self,
        expect: Option<Revision>,
        members: Pair<Option<tandem_types::Incarnation>>,
    ) -> Change {
        let pair_id = match self.valid_record() {
            Some((_, record)) if self.state.is_empty() => record.pair_id,
            _ => self.state.pair_id,
        };
        let record = Record {
            pair_id,
            epoch: self.next_epoch(),
            fork: self.random.fork(),
            primary: self.settings.node,
            primary_boot: self.my_boot(),
            members,
            strength: self.settings.acknowledge,
        };
        Change { expect, record, unless_present: None }
    }

    /// The record names this node and this boot: the reign goes to the disk, then it serves.
    pub(super) fn begin(
        &mut self,
        now: Monotonic,
        cause: PromoteCause,
        bid: &Bid,
        out: &mut Vec<Output>,
    ) {
        let record = bid.change.record;
        let reign = record.reign();
        let state = &mut self.state;
        state.refused_epoch = state.refused_epoch.max(bid.refuses);
        if reign.epoch < state.epoch_seen || self.stopping || self.copying {
            // A later one exists, or this node takes on nothing new: whose turn it is, the record says.
            self.write(Then::Nothing, out);
            self.phase = Phase::Joining;
            return self.promotion_failed("the node cannot begin it now", out);
        }
        let revision = self.next_revision();
        let (epoch, members, strength) = (reign.epoch, record.members, record.strength);
        let state = &mut self.state;
        state.pair_id = record.pair_id;
        state.epoch_seen = reign.epoch;
        state.reign = Some(reign);
        state.in_sync = Some(InSyncSet { epoch, revision, members, strength });
        state.resigned = false;
        state.member_boot = state.boot;
        self.by_force = false;
        self.lease.confirmed = None;
        self.vouched = Vouched::default();
        let serve_at = if bid.certified { now } else { self.leases_over_at() };
        self.phase = Phase::Starting { reign, cause, serve_at, begun: None };
        self.write(Then::Nothing, out);
        out.push(Output::BeginReign { reign, pair_id: record.pair_id });
    }

    pub(super) fn reign_begun(&mut self, epoch: Epoch, end: Lsn) {
        if let Phase::Starting { reign, begun, .. } = &mut self.phase
            && reign.epoch == epoch
        {
            let durable_end = self.own.durable_end;
            assert!(end <= durable_end, "begun at {end}, durable {durable_end}");
            *begun = Some(end);
        }
    }

    /// Serves once its reign is on its disk and nobody answers reads by an earlier right.
    pub(super) fn serve_when_due(&mut self, now: Monotonic, out: &mut Vec<Output>) {
        let Phase::Starting { reign, cause, serve_at, begun: Some(end) } = self.phase else {
            return;
        };
        let written = self.durable.reign == Some(reign);
        if !written || now < serve_at || !self.has_session_right(now) {
            return;
        }
        self.phase = Phase::Primary { reign, hold: None };
        self.reign_end = end;
        self.deposed = None;
        if let Some(peer) = &mut self.peer {
            // What it held, was told and confirmed in an earlier reign says nothing about this one.
            peer.follower = FollowerEnds::default();
            peer.told = None;
            peer.confirmed = None;
        }
        out.push(Output::Serve { epoch: reign.epoch });
        out.push(Output::Event(Event::Promoted { reign, cause }));
        if cause != PromoteCause::Returned && cause != PromoteCause::Created {
            self.decisions.switched_at = Some(now);
        }
        self.reign_answers(reign, cause, out);
        if let Some(greeting) = self.greeting().copied() {
            self.member_came_back(&greeting, out);
        }
    }

    /// Begins a reign that no mediator knows of: a person says so, and none can be reached.
    pub(super) fn begin_unrecorded(
        &mut self,
        now: Monotonic,
        cause: PromoteCause,
        out: &mut Vec<Output>,
    ) {
        if let Phase::Following { .. } = self.phase {
            out.push(Output::Unfollow);
        }
        let members = self.only_me();
        let mut change = self.own_change(None, members);
        if change.record.pair_id == PairId::NONE {
            change.record.pair_id = self.random.pair();
            out.push(Output::Event(Event::PairCreated(change.record.pair_id)));
        }
        let bid = Bid::for_begun(change, self.state.epoch_seen, false);
        self.begin(now, cause, &bid, out);
        self.by_force = true;
    }

    /// The own record is written again where it was lost, or where an old one came back (D7).
    pub(super) fn rewrite_record(&mut self, reign: Reign, expect: Option<Revision>) {
        // The peer still follows, although it could no longer know of the record: so it had not taken over
        // before the record was lost, and cannot since.
        let still = self.mediator.lost_at.is_some_and(|at| self.confirmed_since(at));
        let whole = self.greeting().is_some() && self.member_confirmed() && still;
        if self.bid.is_some() || (self.counts_peer() && !whole) {
            return;
        }
        let record = self.record_of(reign);
        self.bid(Purpose::Rewrite, expect, record);
    }

    pub(super) const fn peer_node(&self) -> NodeId {
        self.settings.node.peer()
    }
}
