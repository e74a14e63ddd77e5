//! What a person may ask for: promote, switch, solo, stop, confirm, reject, pause, resume.

use std::time::Duration;

use tandem_types::{Monotonic, NodeId};

use super::asked::{Accepted, Asked, What};
use super::mediator::Standing;
use super::{Mediated, Phase};
use crate::message::PeerMessage;
use crate::{Change, Gap, Output, PromoteCause, RefusalKind, Request, ShrinkCause, Ticket};

impl Mediated {
    pub(super) fn ask(
        &mut self,
        now: Monotonic,
        ticket: Ticket,
        request: Request,
        out: &mut Vec<Output>,
    ) {
        match request {
            Request::Promote { accept_loss, force } => {
                self.promote(now, ticket, Accepted { accept_loss, force }, out);
            }
            Request::Switch { to } => self.switch(now, ticket, to, out),
            Request::Solo { force } => self.solo(now, (ticket, force), out),
            Request::Stop => self.stop(now, ticket, out),
            Request::Confirm => self.confirm(ticket, out),
            Request::Reject => self.reject(ticket, out),
            Request::Pause => self.pause(now, ticket, true, out),
            Request::Resume => self.pause(now, ticket, false, out),
        }
    }

    fn promote(
        &mut self,
        now: Monotonic,
        ticket: Ticket,
        accepted: Accepted,
        out: &mut Vec<Output>,
    ) {
        self.make_way(out);
        if let Err((kind, text)) = self.may_be_asked() {
            return Self::refuse_with(ticket, kind, text.to_owned(), out);
        }
        match self.phase {
            Phase::Following { reign } if self.peer_serves() => {
                let deadline = now.plus(self.settings.hold + self.settings.failure_timeout);
                self.asked = Some(Asked { ticket, what: What::Handover(accepted), deadline });
                Self::send(PeerMessage::HandoverRequest { epoch: reign.epoch }, out);
            }
            _ if self.peer_serves() && !accepted.force => {
                let peer = self.peer_words();
                let text = format!(
                    "{peer} is primary and this node does not follow it yet; ask again in a moment"
                );
                Self::refuse_with(ticket, RefusalKind::Busy, text, out);
            }
            _ => self.seize(now, ticket, accepted, out),
        }
    }

    fn may_be_asked(&self) -> Result<(), (RefusalKind, &'static str)> {
        match self.phase {
            Phase::Primary { .. } => {
                return Err((RefusalKind::AlreadyPrimary, "this node is already primary"));
            }
            Phase::Starting { .. } | Phase::Bidding | Phase::Giving { .. } | Phase::Failed => {
                let text = "a change of role is under way; ask again in a moment (`tandem why`)";
                return Err((RefusalKind::Busy, text));
            }
            Phase::Joining | Phase::Following { .. } => {}
        }
        if self.asked.is_some() || self.stopping || self.bid.is_some() {
            let text = "another request is being carried out; wait for its answer";
            return Err((RefusalKind::Busy, text));
        }
        if self.copying {
            let text = "this node is receiving a full copy and its data is not whole; wait for it to finish, or use the other node";
            return Err((RefusalKind::NoData, text));
        }
        if self.lacking {
            let text = "this node's data was damaged and is set aside; it gets a full copy once its peer is primary (`tandem why`)";
            return Err((RefusalKind::NoData, text));
        }
        if self.state.is_empty() {
            let text = "this node's data directory is empty; start the node that has the data, or begin a new pair here with `tandem solo`";
            return Err((RefusalKind::NoData, text));
        }
        Ok(())
    }

    /// A person makes this node primary: through the record if the mediator can be reached.
    pub(super) fn seize(
        &mut self,
        now: Monotonic,
        ticket: Ticket,
        accepted: Accepted,
        out: &mut Vec<Output>,
    ) {
        let gap = self.gap(now);
        let refuse = |kind, text: String, out: &mut Vec<Output>| {
            Self::refuse_with(ticket, kind, text, out);
        };
        if !accepted.covers(gap) {
            return refuse(RefusalKind::Unsafe(gap), self.refusal_for(gap), out);
        }
        let peer = self.peer_words();
        if !self.mediator.is_fresh() {
            if !accepted.force {
                let text = format!(
                    "refused: the mediator cannot be reached, so nobody knows whether {peer} is or becomes primary. Bring the mediator or {peer} back; `--force` begins a reign without it, and if {peer} serves, the two histories fork"
                );
                return refuse(RefusalKind::NoPeer, text, out);
            }
            self.wait_for_reign(now, ticket, accepted);
            return self.begin_unrecorded(now, PromoteCause::Forced, out);
        }
        let Some(expect) = self.expected().or_else(|| self.expected_by_force(accepted)) else {
            let ailment = self.mediator_ailment().unwrap_or_default();
            let text = format!(
                "refused: what the mediator holds is not this pair's record, and `--force` cannot replace what cannot be read: {ailment}"
            );
            return refuse(RefusalKind::Unsafe(gap), text, out);
        };
        let record = self.valid_record().map(|(_, record)| record);
        let gone = record.and_then(|record| self.gone(now, &record));
        if record.is_some_and(|it| it.primary != self.settings.node)
            && gone.is_none()
            && !accepted.force
        {
            let text = format!(
                "refused: {peer} is alive, says the mediator, but cannot be reached from here. It may be serving; `--force` takes the role anyway"
            );
            return refuse(RefusalKind::Unsafe(gap), text, out);
        }
        let clean = gap == Gap::Zero && record.is_none_or(|it| self.unfit(&it).is_none());
        let cause = if clean { PromoteCause::Promoted } else { PromoteCause::Forced };
        self.wait_for_reign(now, ticket, accepted);
        let members = self.only_me();
        let mut change = self.own_change(expect, members);
        if !accepted.force
            && let Some(record) = record
        {
            let guarded = gone.is_none_or(|gone| !gone.certified);
            change = Change {
                unless_present: guarded.then_some((record.primary, record.primary_boot)),
                ..change
            };
        }
        let refuses = self.state.epoch_seen;
        self.bid_for_reign(cause, change, Some(refuses), out);
    }

    /// Another pair's record, or one from elsewhere: only a person may put ours in its place.
    #[expect(clippy::option_option, reason = "a change may expect that there is no record")]
    fn expected_by_force(&self, accepted: Accepted) -> Option<Option<crate::Revision>> {
        let known = self.mediator.known().map(|(revision, _)| Some(revision));
        known.filter(|_| accepted.force && self.standing() == Standing::Foreign)
    }

    fn wait_for_reign(&mut self, now: Monotonic, ticket: Ticket, accepted: Accepted) {
        let patience = self.settings.failure_timeout * 2 + self.settings.automatic.read_lease * 2;
        let deadline = now.plus(patience);
        self.asked = Some(Asked { ticket, what: What::Reign(accepted), deadline });
    }

    pub(super) fn handover_refused(
        &mut self,
        now: Monotonic,
        epoch: tandem_types::Epoch,
        reason: &str,
        out: &mut Vec<Output>,
    ) {
        let current = matches!(self.phase, Phase::Following { reign } if reign.epoch == epoch);
        if current && let Some(Asked { ticket, what: What::Handover(accepted), .. }) = self.asked {
            let peer = self.settings.peer_name();
            let text = format!(
                "node {peer} is primary and did not hand over: {reason}; nothing changed. `--force` takes the role anyway and may lose writes"
            );
            self.handover_failed(now, ticket, accepted, (RefusalKind::PeerRefused, text), out);
        }
    }

    fn switch(
        &mut self,
        now: Monotonic,
        ticket: Ticket,
        to: Option<NodeId>,
        out: &mut Vec<Output>,
    ) {
        let me = self.settings.node;
        let serving = self.is_serving();
        let target = to.unwrap_or(if serving { me.peer() } else { me });
        let name = self.settings.names[target].clone();
        if (target == me) == serving && (serving || self.primary() == Some(target)) {
            let text = format!("node {name} is already primary");
            return Self::refuse_with(ticket, RefusalKind::AlreadyPrimary, text, out);
        }
        if serving {
            return self.give_away(now, ticket, out);
        }
        if target == me && self.peer_serves() {
            return self.promote(now, ticket, Accepted::default(), out);
        }
        let text = "a planned switch needs a primary that is connected; `tandem promote` makes this node primary without it".to_owned();
        Self::refuse_with(ticket, RefusalKind::NoPeer, text, out);
    }

    fn give_away(&mut self, now: Monotonic, ticket: Ticket, out: &mut Vec<Output>) {
        if self.asked.is_some() || self.stopping {
            let text = "another request is being carried out; wait for its answer".to_owned();
            return Self::refuse_with(ticket, RefusalKind::Busy, text, out);
        }
        match self.begin_hold(now, out) {
            Ok(()) => self.wait_for_successor(now, ticket, What::GiveAway),
            Err(reason) => {
                let text = format!("no switch: {reason}; nothing changed");
                Self::refuse_with(ticket, RefusalKind::PeerRefused, text, out);
            }
        }
    }

    fn wait_for_successor(&mut self, now: Monotonic, ticket: Ticket, what: What) {
        let deadline = now.plus(self.settings.hold + self.settings.failure_timeout * 2);
        self.asked = Some(Asked { ticket, what, deadline });
    }

    /// Alone by a person's word.
    fn solo(&mut self, now: Monotonic, (ticket, force): (Ticket, bool), out: &mut Vec<Output>) {
        let refuse = |kind, text: &str, out: &mut Vec<Output>| {
            Self::refuse_with(ticket, kind, text.to_owned(), out);
        };
        self.make_way(out);
        if self.copying || self.stopping || self.asked.is_some() || self.bid.is_some() {
            return refuse(RefusalKind::Busy, "another change is under way (`tandem why`)", out);
        }
        if self.lacking {
            return refuse(
                RefusalKind::NoData,
                "this node's data was damaged and is set aside; it gets a full copy once its peer is primary (`tandem why`)",
                out,
            );
        }
        let forced = Accepted { accept_loss: 0, force: true };
        match self.phase {
            Phase::Primary { .. } => self.solo_as_primary(now, (ticket, force), out),
            Phase::Joining if self.peer_serves() => {
                refuse(RefusalKind::WrongRole, "the peer is primary and connected", out);
            }
            Phase::Joining if let Some(text) = self.refuses_solo(force) => {
                refuse(RefusalKind::WrongRole, &text, out);
            }
            Phase::Joining if self.state.is_empty() => match self.standing() {
                Standing::Absent if self.mediator.is_fresh() => {
                    self.wait_for_reign(now, ticket, forced);
                    self.create_pair(PromoteCause::Solo, out);
                }
                Standing::Unknown => {
                    self.wait_for_reign(now, ticket, forced);
                    self.begin_unrecorded(now, PromoteCause::Solo, out);
                }
                _ => refuse(
                    RefusalKind::NoData,
                    "the mediator has a record of this pair, and this directory is empty: start the node that has the data",
                    out,
                ),
            },
            Phase::Joining if self.was_primary() => self.seize(now, ticket, forced, out),
            Phase::Joining => refuse(
                RefusalKind::WrongRole,
                "this node was not the last primary; `tandem promote` says what would be lost",
                out,
            ),
            Phase::Following { .. } => {
                refuse(RefusalKind::WrongRole, "this node follows; use `tandem promote`", out);
            }
            Phase::Bidding | Phase::Starting { .. } | Phase::Giving { .. } | Phase::Failed => {
                refuse(RefusalKind::Busy, "a change of role is under way", out);
            }
        }
    }

    /// Why nobody may begin without a peer that is there.
    fn refuses_solo(&self, force: bool) -> Option<String> {
        let greeting = self.greeting()?;
        greeting.refuses_solo(self.settings.peer_name(), self.state.is_empty(), force)
    }

    fn solo_as_primary(
        &mut self,
        now: Monotonic,
        (ticket, force): (Ticket, bool),
        out: &mut Vec<Output>,
    ) {
        let answers = self.peer.as_ref().is_some_and(|it| it.follower.caught_up);
        if !self.counts_peer() {
            return Self::answer_done(ticket, "this node is alone in the in-sync set already", out);
        }
        if !force && self.member_confirmed() && answers {
            let text = "the peer is in sync and answers; there is nothing to wait for (`--force` goes on without it all the same)".to_owned();
            return Self::refuse_with(ticket, RefusalKind::WrongRole, text, out);
        }
        self.call_off_hold("a person lets this node go on alone", out);
        if self.valid_record().is_some() {
            // The record can be asked at once: a person need not vouch for anything.
            let deadline = now.plus(self.settings.failure_timeout * 2);
            self.asked = Some(Asked { ticket, what: What::Solo, deadline });
            return;
        }
        self.by_force = true;
        self.go_alone(ShrinkCause::Solo, out);
        Self::answer_done(ticket, "this node goes on alone", out);
    }

    /// The node is about to stop: leave in good order, so that nobody waits for it.
    fn stop(&mut self, now: Monotonic, ticket: Ticket, out: &mut Vec<Output>) {
        if let Some(asked) = self.asked.take() {
            let text = "the node is being stopped".to_owned();
            Self::refuse_with(asked.ticket, RefusalKind::Busy, text, out);
        }
        let deadline = now.plus(self.settings.failure_timeout);
        self.asked = Some(Asked { ticket, what: What::StopStandby, deadline });
        match self.phase {
            Phase::Primary { .. } => match self.begin_hold(now, out) {
                Ok(()) => self.wait_for_successor(now, ticket, What::StopPrimary),
                Err(reason) => {
                    self.answer_stop(&format!("stops without a successor: {reason}"), out);
                }
            },
            Phase::Following { reign } if self.heard_lately(now) && self.is_member() => {
                self.decline_offers();
                self.resign(reign, out);
            }
            _ => self.answer_stop("nothing to hand over", out),
        }
        self.stopping = true;
    }

    /// A resignation that the primary never hears of only takes a candidate away.
    fn heard_lately(&self, now: Monotonic) -> bool {
        let patience = self.settings.failure_timeout / 2;
        self.peer.is_some() && self.heard.is_some_and(|heard| now < heard.at.plus(patience))
    }

    /// The text of a refused promotion: what could be lost, and what to do.
    fn refusal_for(&self, gap: Gap) -> String {
        let peer = self.settings.peer_name();
        let covers = match gap {
            Gap::Zero | Gap::Unknown => String::new(),
            Gap::AtLeast { records, .. } => {
                format!(" `--accept-loss {}` accepts that,", records.max(1))
            }
        };
        format!(
            "refused: {gap}. Bring node {peer} back (nothing is lost then);{covers} `--force` accepts any loss"
        )
    }

    /// When a tick is due.
    pub fn deadline(&self) -> Option<Monotonic> {
        let serving = self.is_serving();
        let phase = match self.phase {
            Phase::Primary { hold: Some(hold), .. } => Some(hold.deadline),
            Phase::Primary { .. } if self.counts_peer() => self.solo_at(),
            Phase::Starting { serve_at, begun: Some(_), .. } => Some(serve_at),
            Phase::Joining => {
                let own = [self.listens_until(), self.return_at()].map(Some);
                let due = own.into_iter().chain([self.rewrites_at()]).flatten();
                due.filter(|&at| at > self.stepped).min()
            }
            _ => None,
        };
        let never = Monotonic::ZERO.plus(Duration::MAX);
        let asked = self.asked.map(|asked| asked.deadline).filter(|&deadline| deadline < never);
        [
            phase,
            asked,
            self.mediator_deadline(),
            self.bid_deadline(),
            self.health_deadline(),
            self.decide_deadline(serving),
            self.pausing.deadline(),
        ]
        .into_iter()
        .flatten()
        // What was due already has been looked at, and something else is missing.
        .filter(|&at| at > self.stepped)
        .min()
    }
}
