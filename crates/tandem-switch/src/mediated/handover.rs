//! Planned change of primary: hold, drain, give, take (R10). Nothing is lost; called off in time.
//!
//! Nothing here waits for the old primary's disk: a node whose disk hangs must be able to hand over.

use tandem_types::{Epoch, Lsn, Monotonic, Pair};

use super::bid::{Bid, Purpose};
use super::persist::Then;
use super::{Mediated, Phase};
use crate::message::PeerMessage;
use crate::planted::{Rule, holds};
use crate::{
    Change, DemoteCause, Event, InSyncSet, Member, Output, PromoteCause, Record, Reign, Revision,
};

/// New writes are held back until the peer has everything.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct Hold {
    pub(super) begun: Monotonic,
    /// Called off then.
    pub(super) deadline: Monotonic,
}

impl Mediated {
    /// The standby asks for the role.
    pub(super) fn handover_asked(&mut self, now: Monotonic, epoch: Epoch, out: &mut Vec<Output>) {
        let current = matches!(self.phase, Phase::Primary { reign, .. } if reign.epoch == epoch);
        let refusal = if current {
            self.begin_hold(now, out).err()
        } else {
            Some("this node is not primary of that epoch".to_owned())
        };
        if let Some(reason) = refusal {
            Self::send(PeerMessage::HandoverRefused { epoch, reason }, out);
        }
    }

    /// Why the role cannot be handed over now.
    pub(super) fn cannot_give(&self) -> Option<String> {
        let Some(peer) = self.peer.as_ref().filter(|peer| peer.greeting.is_some()) else {
            return Some("the peer is not connected".to_owned());
        };
        if !peer.follower.caught_up || peer.left {
            return Some("the standby has not caught up yet".to_owned());
        }
        let recorded = self.valid_record().is_some_and(|(_, record)| {
            record.is_both() && self.own_reign() == Some(record.reign())
        });
        if !self.mediator.is_fresh() {
            return Some("the mediator cannot be reached, and the record must change".to_owned());
        }
        if let Some(ailment) = self.record_ailment() {
            return Some(format!("the record must change, and the mediator cannot: {ailment}"));
        }
        if !recorded || !self.member_confirmed() || self.bid.is_some() {
            return Some("the standby is not in sync yet".to_owned());
        }
        None
    }

    /// Begins to hold writes back, if the peer can be expected to follow soon.
    pub(super) fn begin_hold(
        &mut self,
        now: Monotonic,
        out: &mut Vec<Output>,
    ) -> Result<(), String> {
        let Phase::Primary { reign, hold } = self.phase else {
            return Err("this node is not primary".to_owned());
        };
        if hold.is_some() {
            return Ok(()); // Two people ask for the same thing.
        }
        if let Some(reason) = self.cannot_give() {
            return Err(reason);
        }
        let deadline = now.plus(self.settings.hold);
        self.phase = Phase::Primary { reign, hold: Some(Hold { begun: now, deadline }) };
        out.push(Output::Event(Event::HandoverBegun));
        out.push(Output::HoldWrites);
        Ok(())
    }

    pub(super) fn tend_hold(&mut self, now: Monotonic, out: &mut Vec<Output>) {
        let Phase::Primary { reign, hold: Some(hold) } = self.phase else { return };
        let Some(peer) = &self.peer else { return };
        let end = self.own.appended_end;
        let there = peer.follower;
        // With a disk that hangs here, nothing more is committed, so nothing more is applied there: it
        // is enough that the peer has it; it applies all of its log when it begins.
        let hung = self.own.durable_end < end && self.ailment().is_some();
        let applied = hung || (self.own.commit_end >= end && there.applied_end >= end);
        let drained = there.durable_end >= end && applied;
        let drained = drained || !holds(Rule::HandoverWaits);
        // What it has, it may have told long ago. A peer that died since would leave nobody to serve, and
        // with its disk gone nobody who may.
        let lives = self.has_answered(hold.begun) || !holds(Rule::HeirAnswers);
        if drained && lives {
            self.give(reign, end, out);
        } else if now >= hold.deadline {
            let missing = if drained { "answer" } else { "reach the end of the log" };
            self.call_off_hold(&format!("the standby did not {missing} in time"), out);
        }
    }

    /// The point of no return: this node stops, then the record says whose turn it is.
    fn give(&mut self, old: Reign, end: Lsn, out: &mut Vec<Output>) {
        let (Some((revision, record)), Some(boot)) = (self.valid_record(), self.peer_boot()) else {
            return self.call_off_hold("the mediator cannot be reached", out);
        };
        if self.bid.is_some() {
            return;
        }
        if holds(Rule::StopBeforeGiving) {
            self.demote(DemoteCause::HandedOver, out);
            self.phase = Phase::Giving { old, end };
        } else {
            self.phase = Phase::Primary { reign: old, hold: None };
        }
        let mut members = Pair::default();
        members[self.peer_node()] = Some(boot.incarnation);
        let record = Record {
            epoch: self.next_epoch(),
            fork: self.random.fork(),
            primary: self.peer_node(),
            primary_boot: boot,
            members,
            ..record
        };
        self.bid_gift(revision, record, old);
    }

    fn bid_gift(&mut self, revision: Revision, record: Record, old: Reign) {
        self.bid(Purpose::Give, Some(revision), record);
        if let Some(bid) = &mut self.bid
            && holds(Rule::StopBeforeGiving)
        {
            bid.refuses = old.epoch;
        }
    }

    /// The record names the peer.
    pub(super) fn given(&mut self, record: Record, out: &mut Vec<Output>) {
        let end = match self.phase {
            Phase::Giving { end, .. } => end,
            _ => self.own.appended_end,
        };
        self.demote(DemoteCause::HandedOver, out);
        let reign = record.reign();
        let revision = self.next_revision();
        let peer = self.peer_node();
        let same_boot = self.peer_boot() == Some(record.primary_boot);
        if same_boot {
            Self::send(PeerMessage::Handover { reign, end, revision }, out);
        }
        let member = Member { node: peer, incarnation: record.primary_boot.incarnation };
        let set = InSyncSet::alone(member, reign.epoch, revision, record.strength);
        self.state.in_sync = Some(set);
        self.state.epoch_seen = self.state.epoch_seen.max(reign.epoch);
        self.state.reign = Some(reign);
        self.phase = Phase::Joining;
        self.write(Then::Nothing, out);
    }

    /// Lets the held writes go on; everything is as before.
    pub(super) fn call_off_hold(&mut self, reason: &str, out: &mut Vec<Output>) {
        let Phase::Primary { reign, hold: Some(_) } = self.phase else { return };
        self.phase = Phase::Primary { reign, hold: None };
        out.push(Output::ReleaseWrites);
        out.push(Output::Event(Event::HandoverFailed { reason: reason.to_owned() }));
        if self.peer.is_some() {
            let (epoch, reason) = (reign.epoch, reason.to_owned());
            Self::send(PeerMessage::HandoverRefused { epoch, reason }, out);
        }
        self.hold_was_called_off(reason, out);
    }

    /// The primary gave its role to this node, and serves no more.
    pub(super) fn handed_to_me(
        &mut self,
        now: Monotonic,
        given: Reign,
        end: Lsn,
        out: &mut Vec<Output>,
    ) {
        if let Phase::Starting { reign, serve_at, .. } = &mut self.phase {
            if *reign == given {
                *serve_at = now; // The record was faster: this is why nobody answers reads any more.
            }
            return;
        }
        let followed = self.followed.is_some_and(|it| it.epoch < given.epoch);
        let free = matches!(self.phase, Phase::Following { .. } | Phase::Joining);
        let mine = given.primary == self.settings.node && given.epoch >= self.state.epoch_seen;
        let new = self.state.reign != Some(given);
        let held = self.own.durable_end >= end;
        let busy = self.stopping || self.copying || self.lacking || self.bid.is_some();
        if !(free && followed && mine && new && held) || busy {
            return; // The record says whose turn it is: that will be settled by it.
        }
        if let Phase::Following { .. } = self.phase {
            out.push(Output::Unfollow);
        }
        let record = Record {
            pair_id: self.state.pair_id,
            epoch: given.epoch,
            fork: given.fork,
            primary: given.primary,
            primary_boot: self.my_boot(),
            members: self.only_me(),
            strength: self.settings.acknowledge,
        };
        let change = Change { expect: None, record, unless_present: None };
        let refuses = self.followed.map_or(Epoch::ZERO, |it| it.epoch);
        let bid = Bid::for_begun(change, refuses, true);
        // What was seen of the record is from before; it is asked for at once.
        self.mediator.forget_record();
        self.begin(now, PromoteCause::Handover, &bid, out);
    }
}
