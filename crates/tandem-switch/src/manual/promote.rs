//! What a person asks for: promote, switch, solo, stop.

use std::time::Duration;

use tandem_types::{Monotonic, NodeId, PairId, Role};

use super::primary::Shrink;
use super::{Manual, Phase};
use crate::message::PeerMessage;
use crate::{Gap, Output, PromoteCause, Refusal, RefusalKind, Reign, ShrinkCause, Ticket};

/// A request that is not answered yet.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct Asked {
    ticket: Ticket,
    what: What,
    deadline: Monotonic,
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum What {
    /// The primary was asked to hand over.
    Handover(Accepted),
    /// Our reign is being written to disk.
    Reign,
    /// We are handing over.
    GiveAway,
    /// The same, to stop after it.
    StopPrimary,
    /// Our resignation is on its way.
    StopStandby,
}

/// What a person is ready to lose.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct Accepted {
    pub(super) accept_loss: u64,
    pub(super) force: bool,
}

impl Accepted {
    /// S2: nothing may be lost unless it is known to be nothing, or was named.
    const fn covers(self, gap: Gap) -> bool {
        match gap {
            Gap::Zero => true,
            Gap::AtLeast { records, .. } => {
                self.force || (self.accept_loss > 0 && self.accept_loss >= records)
            }
            Gap::Unknown => self.force,
        }
    }
}

impl Manual {
    pub(super) fn promote(
        &mut self,
        now: Monotonic,
        ticket: Ticket,
        accepted: Accepted,
        out: &mut Vec<Output>,
    ) {
        if let Err(refusal) = self.may_be_asked() {
            return Self::refuse(ticket, refusal, out);
        }
        let greeting = self.greeting().copied();
        let peer = self.settings.peer_name().to_owned();
        match greeting {
            Some(it) if it.role == Role::Primary => match self.phase {
                Phase::Following { reign } => {
                    self.ask_for_handover(now, ticket, accepted, reign, out);
                }
                _ if accepted.force => self.seize(now, ticket, accepted, out),
                _ => Self::refuse_with(
                    ticket,
                    RefusalKind::Busy,
                    format!(
                        "node {peer} is primary and this node does not follow it yet; ask again in a moment"
                    ),
                    out,
                ),
            },
            Some(it) if !accepted.force && self.peer_is_returning(&it) => Self::refuse_with(
                ticket,
                RefusalKind::Busy,
                format!(
                    "node {peer}, the former primary, is connected and is taking its role back; ask again when it serves"
                ),
                out,
            ),
            _ => self.seize(now, ticket, accepted, out),
        }
    }

    fn may_be_asked(&self) -> Result<(), Refusal> {
        let refuse = |kind, text: &str| Err(Refusal { kind, text: text.to_owned() });
        match self.phase {
            Phase::Primary { .. } => {
                return refuse(RefusalKind::AlreadyPrimary, "this node is already primary");
            }
            Phase::Starting { .. } | Phase::Giving { .. } | Phase::Failed => {
                return refuse(
                    RefusalKind::Busy,
                    "a change of role is under way; ask again in a moment",
                );
            }
            Phase::Joining | Phase::Claiming { .. } | Phase::Following { .. } => {}
        }
        if self.asked.is_some() || self.stopping {
            return refuse(
                RefusalKind::Busy,
                "another request is being carried out; wait for its answer",
            );
        }
        if self.copying {
            return refuse(
                RefusalKind::NoData,
                "this node is receiving a full copy and its data is not whole; wait for it to finish, or use the other node",
            );
        }
        if self.lacking {
            return refuse(
                RefusalKind::NoData,
                "this node's data was damaged and is set aside; it gets a full copy once its peer is primary (`tandem why`)",
            );
        }
        if self.state.is_empty() {
            return refuse(
                RefusalKind::NoData,
                "this node's data directory is empty; start the node that has the data, or begin a new pair here with `tandem solo`",
            );
        }
        Ok(())
    }

    /// The peer has the data of the latest reign, which was its own: it will ask for our consent at once.
    fn peer_is_returning(&self, greeting: &crate::Greeting) -> bool {
        greeting.pair_id != PairId::NONE
            && self.has_led(greeting)
            && self.latest_reign(greeting).is_some_and(|it| it.primary != self.settings.node)
    }

    fn ask_for_handover(
        &mut self,
        now: Monotonic,
        ticket: Ticket,
        accepted: Accepted,
        reign: Reign,
        out: &mut Vec<Output>,
    ) {
        let deadline = now.plus(self.settings.hold + self.settings.failure_timeout);
        self.asked = Some(Asked { ticket, what: What::Handover(accepted), deadline });
        Self::send(PeerMessage::HandoverRequest { epoch: reign.epoch }, out);
    }

    /// R5 by a person's word: refuse the old epoch, then begin the next. One write does both, since
    /// nothing has to happen between the two without a mediator.
    fn seize(&mut self, now: Monotonic, ticket: Ticket, accepted: Accepted, out: &mut Vec<Output>) {
        let gap = self.gap(now);
        if !accepted.covers(gap) {
            let text = self.refusal_for(gap);
            return Self::refuse_with(ticket, RefusalKind::Unsafe(gap), text, out);
        }
        if let Phase::Following { .. } = self.phase {
            out.push(Output::Unfollow);
        }
        let cause = if gap == Gap::Zero { PromoteCause::Promoted } else { PromoteCause::Forced };
        let deadline = now.plus(Duration::MAX);
        self.asked = Some(Asked { ticket, what: What::Reign, deadline });
        self.state.refused_epoch = self.state.epoch_seen;
        self.start_alone(cause, out);
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

    fn handover_failed(
        &mut self,
        now: Monotonic,
        ticket: Ticket,
        accepted: Accepted,
        refusal: (RefusalKind, String),
        out: &mut Vec<Output>,
    ) {
        self.asked = None;
        let free = matches!(self.phase, Phase::Following { .. } | Phase::Joining);
        if accepted.force && free {
            self.seize(now, ticket, accepted, out);
        } else {
            Self::refuse_with(ticket, refusal.0, refusal.1, out);
        }
    }

    pub(super) fn switch(
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
        if target == me && self.primary() == Some(me.peer()) && self.peer.is_some() {
            let accepted = Accepted { accept_loss: 0, force: false };
            return self.promote(now, ticket, accepted, out);
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

    pub(super) fn hold_was_called_off(&mut self, reason: &str, out: &mut Vec<Output>) {
        match self.asked {
            Some(Asked { ticket, what: What::GiveAway, .. }) => {
                self.asked = None;
                let text = format!("no switch: {reason}; nothing changed");
                Self::refuse_with(ticket, RefusalKind::TimedOut, text, out);
            }
            Some(Asked { what: What::StopPrimary, .. }) => {
                self.answer_stop(&format!("stops without a successor: {reason}"), out);
            }
            _ => {}
        }
    }

    /// Alone by a person's word.
    pub(super) fn solo(&mut self, ticket: Ticket, force: bool, out: &mut Vec<Output>) {
        let refuse = |kind, text: &str, out: &mut Vec<Output>| {
            Self::refuse_with(ticket, kind, text.to_owned(), out);
        };
        if self.copying || self.stopping || self.asked.is_some() {
            return refuse(RefusalKind::Busy, "another change is under way", out);
        }
        if self.lacking {
            return refuse(
                RefusalKind::NoData,
                "this node's data was damaged and is set aside; it gets a full copy once its peer is primary (`tandem why`)",
                out,
            );
        }
        let peer_serves = self.greeting().is_some_and(|greeting| greeting.role == Role::Primary);
        let there = self.greeting().and_then(|it| {
            it.refuses_solo(self.settings.peer_name(), self.state.is_empty(), force)
        });
        match self.phase {
            Phase::Primary { .. } => self.solo_as_primary(ticket, force, out),
            _ if peer_serves => {
                refuse(RefusalKind::WrongRole, "the peer is primary and connected", out);
            }
            Phase::Joining | Phase::Claiming { .. } if let Some(text) = there => {
                refuse(RefusalKind::WrongRole, &text, out);
            }
            Phase::Joining | Phase::Claiming { .. } => {
                let deadline = Monotonic::ZERO.plus(Duration::MAX);
                let asked = Asked { ticket, what: What::Reign, deadline };
                if self.state.is_empty() {
                    self.asked = Some(asked);
                    self.create_pair(PromoteCause::Solo, out);
                } else if self.was_primary() {
                    self.asked = Some(asked);
                    self.start_alone(PromoteCause::Solo, out);
                } else {
                    refuse(
                        RefusalKind::WrongRole,
                        "this node was not the last primary; `tandem promote` says what would be lost",
                        out,
                    );
                }
            }
            Phase::Following { .. } => {
                refuse(RefusalKind::WrongRole, "this node follows; use `tandem promote`", out);
            }
            Phase::Starting { .. } | Phase::Giving { .. } | Phase::Failed => {
                refuse(RefusalKind::Busy, "a change of role is under way", out);
            }
        }
    }

    fn solo_as_primary(&mut self, ticket: Ticket, force: bool, out: &mut Vec<Output>) {
        let answers = self.peer.as_ref().is_some_and(|it| it.follower.caught_up);
        if !self.needs_peer() {
            Self::answer_done(ticket, "this node is alone in the in-sync set already", out);
        } else if !force && self.is_in_sync() && answers {
            let text = "the peer is in sync and answers; there is nothing to wait for (`--force` goes on without it all the same)".to_owned();
            Self::refuse_with(ticket, RefusalKind::WrongRole, text, out);
        } else {
            self.call_off_hold("a person lets this node go on alone", out);
            let ticket = Some(ticket);
            self.shrink(Shrink { cause: ShrinkCause::Solo, ticket, resigned: None }, out);
        }
    }

    /// The node is about to stop: leave in good order, so that nobody waits for it.
    pub(super) fn stop(&mut self, now: Monotonic, ticket: Ticket, out: &mut Vec<Output>) {
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
            Phase::Following { reign } if self.peer.is_some() && self.is_member() => {
                self.decline_offers();
                self.resign(reign, out);
            }
            _ => self.answer_stop("nothing to hand over", out),
        }
        self.stopping = true;
    }

    pub(super) fn answer_stop(&mut self, text: &str, out: &mut Vec<Output>) {
        if let Some(Asked { ticket, what: What::StopPrimary | What::StopStandby, .. }) = self.asked
        {
            self.asked = None;
            Self::answer_done(ticket, text, out);
        }
    }

    /// A reign of ours has begun: whoever asked for it may know.
    pub(super) fn reign_answers(
        &mut self,
        reign: Reign,
        cause: PromoteCause,
        out: &mut Vec<Output>,
    ) {
        if let Some(Asked { ticket, what: What::Reign | What::Handover(_), .. }) = self.asked {
            self.asked = None;
            let how = match cause {
                PromoteCause::Forced => "; writes that were not here are lost if they existed",
                PromoteCause::Solo => {
                    ", alone by your word; writes that only the peer has are not here"
                }
                _ => "; no acknowledged write was lost",
            };
            // Two people may have decided differently on the two sides of a cut line.
            let unless = match (cause, self.greeting()) {
                (PromoteCause::Promoted, None) => format!(
                    ", unless somebody let {} go on alone (`tandem solo`): what it acknowledged since is saved when it returns",
                    self.settings.peer_name()
                ),
                _ => String::new(),
            };
            let text = format!("this node is primary of epoch {}{how}{unless}", reign.epoch);
            Self::answer_done(ticket, &text, out);
        }
    }

    /// Answers requests whose time is over or whose wish has come true.
    pub(super) fn tend_asked(&mut self, now: Monotonic, out: &mut Vec<Output>) {
        let Some(Asked { ticket, what, deadline }) = self.asked else { return };
        let peer = self.settings.peer_name().to_owned();
        let peer_serves = self.greeting().is_some_and(|greeting| greeting.role == Role::Primary);
        match what {
            What::GiveAway | What::StopPrimary if !self.is_serving() && peer_serves => {
                self.asked = None;
                Self::answer_done(
                    ticket,
                    &format!("node {peer} is primary; no write was lost"),
                    out,
                );
            }
            What::Reign if !matches!(self.phase, Phase::Starting { .. }) => {
                self.asked = None;
                let text = "a later epoch appeared meanwhile; see `tandem status`".to_owned();
                Self::refuse_with(ticket, RefusalKind::Busy, text, out);
            }
            What::Handover(accepted) if now >= deadline => {
                let text = format!(
                    "node {peer} did not hand over in time; see `tandem status` for who serves"
                );
                self.handover_failed(now, ticket, accepted, (RefusalKind::TimedOut, text), out);
            }
            What::GiveAway if now >= deadline => {
                self.asked = None;
                let text = format!(
                    "handed over, but node {peer} was not heard serving yet; see `tandem status`"
                );
                Self::refuse_with(ticket, RefusalKind::TimedOut, text, out);
            }
            What::StopPrimary | What::StopStandby if now >= deadline => {
                self.answer_stop("the peer did not answer in time", out);
            }
            _ => {}
        }
    }

    pub(super) fn asked_peer_down(&mut self, now: Monotonic, out: &mut Vec<Output>) {
        match self.asked {
            Some(Asked { ticket, what: What::Handover(accepted), .. }) => {
                let text =
                    "the connection to the primary broke during the change; ask again".to_owned();
                self.handover_failed(now, ticket, accepted, (RefusalKind::NoPeer, text), out);
            }
            Some(Asked { what: What::StopStandby, .. }) => {
                self.answer_stop("resigned; the primary hears of it when it connects", out);
            }
            _ => {}
        }
    }

    /// Proposals, pausing: there is nothing of the kind where a person decides anyway.
    pub(super) fn nothing_automatic(ticket: Ticket, out: &mut Vec<Output>) {
        let text = "`switch.by` is \"manual\": nothing is decided automatically here, so there is nothing to confirm, reject, pause or resume".to_owned();
        Self::refuse_with(ticket, RefusalKind::WrongRole, text, out);
    }

    pub(super) fn answer_done(ticket: Ticket, text: &str, out: &mut Vec<Output>) {
        out.push(Output::Answer { ticket, answer: Ok(text.to_owned()) });
    }

    fn refuse_with(ticket: Ticket, kind: RefusalKind, text: String, out: &mut Vec<Output>) {
        Self::refuse(ticket, Refusal { kind, text }, out);
    }

    fn refuse(ticket: Ticket, refusal: Refusal, out: &mut Vec<Output>) {
        out.push(Output::Answer { ticket, answer: Err(refusal) });
    }

    /// When a tick is due.
    pub fn deadline(&self) -> Option<Monotonic> {
        let timeout = self.alone_since.plus(self.settings.failure_timeout);
        let hold = match self.phase {
            Phase::Primary { hold: Some(hold), .. } => Some(hold.deadline),
            Phase::Joining if self.greeting().is_none() && self.may_start_alone() => Some(timeout),
            Phase::Primary { .. } if self.peer.is_none() && self.needs_peer() => Some(timeout),
            _ => None,
        };
        let never = Monotonic::ZERO.plus(Duration::MAX);
        let asked = self.asked.map(|asked| asked.deadline).filter(|&deadline| deadline < never);
        [hold, asked].into_iter().flatten().min()
    }
}
