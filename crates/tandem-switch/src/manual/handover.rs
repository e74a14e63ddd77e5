//! Planned change of primary: hold, drain, give, take (R10). Nothing is lost; called off in time.

use tandem_types::{Epoch, Lsn, Monotonic};

use super::joining::Start;
use super::persist::Then;
use super::{Manual, Phase};
use crate::message::PeerMessage;
use crate::planted::{Rule, holds};
use crate::{DemoteCause, Event, InSyncSet, Member, Output, PromoteCause, Reign};

/// New writes are held back until the peer has everything.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct Hold {
    begun: Monotonic,
    /// Called off then.
    pub(super) deadline: Monotonic,
}

impl Manual {
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
        let Some(peer) = self.peer.as_ref().filter(|peer| peer.greeting.is_some()) else {
            return Err("the peer is not connected".to_owned());
        };
        if !peer.follower.caught_up || peer.left {
            return Err("the standby has not caught up yet".to_owned());
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
        let drained = self.own.durable_end.min(self.own.commit_end) >= end
            && peer.follower.durable_end.min(peer.follower.applied_end) >= end;
        // What it has, it may have told long ago. A peer that died since would leave nobody to serve, and
        // with its disk gone nobody who may.
        let answered = peer.answered.is_some_and(|asked| asked >= hold.begun);
        let lives = answered || !holds(Rule::HeirAnswers);
        if drained && lives && self.writes.is_empty() {
            self.give(reign, end, out);
        } else if now >= hold.deadline {
            let missing = if drained { "answer" } else { "reach the end of the log" };
            self.call_off_hold(&format!("the standby did not {missing} in time"), out);
        }
    }

    /// The point of no return: this node stops, then writes down whose turn it is, then says so.
    fn give(&mut self, old: Reign, end: Lsn, out: &mut Vec<Output>) {
        let Some(incarnation) = self.greeting().map(|greeting| greeting.incarnation) else {
            return;
        };
        let node = self.settings.node.peer();
        self.demote(DemoteCause::HandedOver, out);
        let reign = Reign { epoch: self.next_epoch(), fork: self.random.fork(), primary: node };
        let revision = self.next_revision();
        let member = Member { node, incarnation };
        let strength = self.settings.acknowledge;
        self.state.in_sync = Some(InSyncSet::alone(member, reign.epoch, revision, strength));
        self.state.epoch_seen = reign.epoch;
        self.state.refused_epoch = old.epoch;
        self.state.reign = Some(reign);
        self.phase = Phase::Giving { reign, end };
        self.write(Then::HandOver { reign, end, revision }, out);
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

    /// The primary gave its role to this node.
    pub(super) fn handed_to_me(
        &mut self,
        reign: Reign,
        end: Lsn,
        revision: u64,
        out: &mut Vec<Output>,
    ) {
        let Phase::Following { .. } = self.phase else { return };
        let mine = reign.primary == self.settings.node && reign.epoch > self.state.epoch_seen;
        let held = self.own.durable_end.min(self.own.applied_end) >= end;
        if !mine || !held || self.stopping || self.copying || self.lacking {
            return; // Its greeting says whose turn it is: that will be settled by a claim.
        }
        out.push(Output::Unfollow);
        let me = self.state.member(self.settings.node);
        let strength = self.settings.acknowledge;
        self.state.refused_epoch = self.state.epoch_seen;
        let set = InSyncSet::alone(me, reign.epoch, revision.max(self.next_revision()), strength);
        self.start(Start { reign, set, cause: PromoteCause::Handover }, out);
    }
}
