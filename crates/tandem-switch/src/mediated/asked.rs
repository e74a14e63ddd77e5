//! What a person asked for and is not answered yet.

use std::time::Duration;

use tandem_types::{Monotonic, Role};

use super::{Mediated, Phase};
use crate::{Gap, MediatorRequest, Output, PromoteCause, Refusal, RefusalKind, Reign, Ticket};

/// A request that is not answered yet.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct Asked {
    pub(super) ticket: Ticket,
    pub(super) what: What,
    pub(super) deadline: Monotonic,
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum What {
    /// The primary was asked to hand over.
    Handover(Accepted),
    /// The record is asked for our reign, and it goes to disk.
    Reign(Accepted),
    /// We are handing over.
    GiveAway,
    /// The same, to stop after it.
    StopPrimary,
    /// Our resignation is on its way.
    StopStandby,
    /// The record is asked to leave the peer out.
    Solo,
}

/// What a person is ready to lose.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub(super) struct Accepted {
    pub(super) accept_loss: u64,
    pub(super) force: bool,
}

impl Accepted {
    /// S2: nothing may be lost unless it is known to be nothing, or was named.
    pub(super) const fn covers(self, gap: Gap) -> bool {
        match gap {
            Gap::Zero => true,
            Gap::AtLeast { records, .. } => {
                self.force || (self.accept_loss > 0 && self.accept_loss >= records)
            }
            Gap::Unknown => self.force,
        }
    }
}

impl Mediated {
    /// A reign of ours has begun: whoever asked for it may know.
    pub(super) fn reign_answers(
        &mut self,
        reign: Reign,
        cause: PromoteCause,
        out: &mut Vec<Output>,
    ) {
        if let Some(Asked { ticket, what: What::Reign(_) | What::Handover(_), .. }) = self.asked {
            self.asked = None;
            let how = match cause {
                PromoteCause::Forced => "; writes that were not here are lost if they existed",
                PromoteCause::Solo => {
                    ", alone by your word; writes that only the peer has are not here"
                }
                _ => "; no acknowledged write was lost",
            };
            let text = format!("this node is primary of epoch {}{how}", reign.epoch);
            Self::answer_done(ticket, &text, out);
        }
    }

    /// The record did not become ours.
    pub(super) fn promotion_failed(&mut self, reason: &str, out: &mut Vec<Output>) {
        if let Some(Asked { ticket, what: What::Reign(_), .. }) = self.asked {
            self.asked = None;
            let text = format!("not promoted: {reason}");
            Self::refuse_with(ticket, RefusalKind::Busy, text, out);
        }
    }

    /// Answers requests whose time is over or whose wish has come true.
    pub(super) fn tend_asked(&mut self, now: Monotonic, out: &mut Vec<Output>) {
        let Some(Asked { ticket, what, deadline }) = self.asked else { return };
        let peer = self.settings.peer_name().to_owned();
        let peer_serves = self.greeting().is_some_and(|greeting| greeting.role == Role::Primary);
        let late = now >= deadline;
        match what {
            What::GiveAway if !self.is_serving() && peer_serves => {
                self.asked = None;
                let text = format!("node {peer} is primary; no write was lost");
                Self::answer_done(ticket, &text, out);
            }
            What::StopPrimary if !self.is_serving() && peer_serves => {
                self.answer_stop(&format!("node {peer} is primary; no write was lost"), out);
            }
            What::Solo if self.is_serving() && !self.counts_peer() => {
                self.asked = None;
                Self::answer_done(ticket, "this node goes on alone", out);
            }
            What::Handover(accepted) if late => {
                let text = format!(
                    "node {peer} did not hand over in time; see `tandem status` for who serves"
                );
                self.handover_failed(now, ticket, accepted, (RefusalKind::TimedOut, text), out);
            }
            What::Reign(accepted) if late => self.reign_is_late(now, ticket, accepted, out),
            What::GiveAway if late => {
                self.asked = None;
                let text = format!(
                    "handed over, but node {peer} was not heard serving yet; see `tandem status`"
                );
                Self::refuse_with(ticket, RefusalKind::TimedOut, text, out);
            }
            What::Solo if late => {
                self.asked = None;
                let text = "the mediator did not answer in time; the record is still asked for it (`tandem why`)".to_owned();
                Self::refuse_with(ticket, RefusalKind::TimedOut, text, out);
            }
            What::StopPrimary | What::StopStandby if late => {
                self.answer_stop("the peer did not answer in time", out);
            }
            _ => {}
        }
    }

    fn reign_is_late(
        &mut self,
        now: Monotonic,
        ticket: Ticket,
        accepted: Accepted,
        out: &mut Vec<Output>,
    ) {
        if !matches!(self.phase, Phase::Bidding) {
            if let Some(asked) = &mut self.asked {
                // It has the record; leases and disk take their time.
                asked.deadline = now.plus(self.settings.failure_timeout);
            }
            return;
        }
        if let Some(at) = self.last_answer_by()
            && let Some(asked) = &mut self.asked
        {
            asked.deadline = at;
            return;
        }
        let refused = self.refusal_of_bid().map(str::to_owned);
        if self.withdraw_bid(out) {
            if accepted.force {
                self.asked = Some(Asked {
                    ticket,
                    what: What::Reign(accepted),
                    deadline: now.plus(Duration::from_hours(1)),
                });
                return self.begin_unrecorded(now, PromoteCause::Forced, out);
            }
            self.asked = None;
            let reason = refused.unwrap_or_else(|| "the mediator cannot be reached".to_owned());
            let peer = self.peer_words();
            let text = format!(
                "not promoted, and nothing changed: {reason}. `--force` begins a reign that the mediator does not know of; if {peer} serves, the two histories fork"
            );
            return Self::refuse_with(ticket, RefusalKind::TimedOut, text, out);
        }
        if self.asked.take().is_some() {
            let text = "the mediator did not answer in time, and it is not known whether the record has changed: this node refuses the old epoch until it is (`tandem why`)".to_owned();
            Self::refuse_with(ticket, RefusalKind::TimedOut, text, out);
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

    pub(super) fn handover_failed(
        &mut self,
        now: Monotonic,
        ticket: Ticket,
        accepted: Accepted,
        refusal: (RefusalKind, String),
        out: &mut Vec<Output>,
    ) {
        self.asked = None;
        let free = matches!(self.phase, Phase::Following { .. } | Phase::Joining);
        if accepted.force && free && self.bid.is_none() {
            self.seize(now, ticket, accepted, out);
        } else {
            Self::refuse_with(ticket, refusal.0, refusal.1, out);
        }
    }

    pub(super) fn answer_stop(&mut self, text: &str, out: &mut Vec<Output>) {
        if let Some(Asked { ticket, what: What::StopPrimary | What::StopStandby, .. }) = self.asked
        {
            self.asked = None;
            // Whoever waits for this node's presence to end need not wait.
            out.push(Output::Mediator(MediatorRequest::Leave));
            Self::answer_done(ticket, text, out);
        }
    }

    pub(super) fn answer_done(ticket: Ticket, text: &str, out: &mut Vec<Output>) {
        out.push(Output::Answer { ticket, answer: Ok(text.to_owned()) });
    }

    pub(super) fn refuse_with(
        ticket: Ticket,
        kind: RefusalKind,
        text: String,
        out: &mut Vec<Output>,
    ) {
        out.push(Output::Answer { ticket, answer: Err(Refusal { kind, text }) });
    }
}
