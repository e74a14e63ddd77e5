//! Who decides what the rules allow: the node, a person, or nobody (R12).

use tandem_types::{Epoch, Monotonic};

use super::Mediated;
use crate::{Automation, Event, Output, Proposal, Proposed, Ticket};

/// What is decided, waits for a person, or must not be decided again yet.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub(super) struct Decisions {
    /// The last change of primary seen in this boot.
    pub(super) switched_at: Option<Monotonic>,
    /// Both hold everything, without a break, since.
    pub(super) in_sync_since: Option<Monotonic>,
    /// The primary's boot is gone since.
    pub(super) gone_since: Option<Monotonic>,
    /// A hand-over that failed is not tried again before.
    pub(super) retry_at: Monotonic,
    proposal: Option<Proposal>,
    /// What was wanted in this step: a proposal that nobody wants any more is dropped.
    wanted: Option<Proposed>,
    /// A person said yes.
    confirmed: Option<Proposed>,
    /// A person said no, or nobody answered: not again in this reign.
    dropped: Option<(Proposed, Epoch)>,
}

impl Mediated {
    /// Whether to do it now. `certified`: it rests on no suspicion, so it is no flapping.
    pub(super) fn decide(
        &mut self,
        now: Monotonic,
        what: Proposed,
        cause: String,
        since: Monotonic,
        certified: bool,
        out: &mut Vec<Output>,
    ) -> bool {
        self.decisions.wanted = Some(what);
        let epoch = self.state.epoch_seen;
        if self.paused() || self.decisions.dropped == Some((what, epoch)) {
            return false;
        }
        let automation = self.settings.automatic.automation;
        let confirmed = self.decisions.confirmed.take() == Some(what);
        let too_soon = self.too_soon_until().is_some_and(|until| now < until) && !certified;
        if automation == Automation::Auto && too_soon {
            return false;
        }
        if automation == Automation::Auto || confirmed {
            self.decisions.proposal = None;
            let after = now.since(since);
            out.push(Output::Event(Event::Decided { what, cause, after }));
            return true;
        }
        if self.decisions.proposal.as_ref().is_none_or(|it| it.what != what) {
            let timeout = self.settings.automatic.confirm_timeout;
            let expires = (automation == Automation::Confirm).then(|| now.plus(timeout));
            let lost = self.gap(now);
            out.push(Output::Event(Event::Proposed { what, cause: cause.clone() }));
            self.decisions.proposal = Some(Proposal { what, cause, since, expires, lost });
        }
        false
    }

    /// Anti-flapping: no second automatic change before this.
    pub(super) fn too_soon_until(&self) -> Option<Monotonic> {
        Some(self.decisions.switched_at?.plus(self.settings.automatic.min_interval))
    }

    /// Drops a proposal whose time or reason is over.
    pub(super) fn tend_decisions(&mut self, now: Monotonic, out: &mut Vec<Output>) {
        let wanted = self.decisions.wanted.take();
        self.decisions.confirmed = None;
        let Some(proposal) = &self.decisions.proposal else { return };
        let what = proposal.what;
        if proposal.expires.is_some_and(|at| now >= at) {
            self.drop_proposal("nobody confirmed it in time", true, out);
        } else if wanted != Some(what) {
            self.drop_proposal("its reason is gone", false, out);
        }
    }

    fn drop_proposal(&mut self, reason: &str, for_good: bool, out: &mut Vec<Output>) {
        let Some(proposal) = self.decisions.proposal.take() else { return };
        let what = proposal.what;
        if for_good {
            self.decisions.dropped = Some((what, self.state.epoch_seen));
        }
        let reason = reason.to_owned();
        out.push(Output::Event(Event::ProposalDropped { what, reason }));
    }

    /// What waits for a person's word (R12).
    pub fn pending(&self) -> Option<Proposal> {
        self.decisions.proposal.clone()
    }

    /// Whether automatic decisions are suspended.
    pub const fn paused(&self) -> bool {
        self.state.pauses % 2 == 1
    }

    pub(super) fn confirm(&mut self, ticket: Ticket, out: &mut Vec<Output>) {
        let Some(proposal) = &self.decisions.proposal else {
            return Self::nothing_pending(ticket, out);
        };
        self.decisions.confirmed = Some(proposal.what);
        Self::answer_done(ticket, "confirmed: it is carried out if its reason still holds", out);
    }

    pub(super) fn reject(&mut self, ticket: Ticket, out: &mut Vec<Output>) {
        if self.decisions.proposal.is_none() {
            return Self::nothing_pending(ticket, out);
        }
        self.drop_proposal("a person rejected it", true, out);
        Self::answer_done(ticket, "rejected: it is not proposed again in this epoch", out);
    }

    fn nothing_pending(ticket: Ticket, out: &mut Vec<Output>) {
        let text = "nothing is waiting for a decision on this node; the other node may have a proposal (`tandem status`)";
        Self::refuse_with(ticket, crate::RefusalKind::WrongRole, text.to_owned(), out);
    }

    pub(super) fn pause(&mut self, ticket: Ticket, on: bool, out: &mut Vec<Output>) {
        if self.paused() == on {
            let text = if on { "paused already" } else { "not paused" };
            return Self::answer_done(ticket, text, out);
        }
        self.adopt_pause(self.state.pauses.saturating_add(1), out);
        let text = if on {
            "paused: nothing is decided automatically on either node; what keeps data safe goes on"
        } else {
            "resumed: decisions are taken again"
        };
        Self::answer_done(ticket, text, out);
    }

    /// The later word counts, whichever node it was said on.
    pub(super) fn adopt_pause(&mut self, pauses: u64, out: &mut Vec<Output>) {
        if pauses > self.state.pauses {
            let before = self.paused();
            self.state.pauses = pauses;
            self.write(super::persist::Then::Nothing, out);
            if self.paused() != before {
                out.push(Output::Event(Event::Paused(self.paused())));
            }
        }
    }

    pub(super) fn decide_deadline(&self, now_serving: bool) -> Option<Monotonic> {
        let expires = self.decisions.proposal.as_ref().and_then(|it| it.expires);
        let gone = self
            .decisions
            .gone_since
            .filter(|_| !now_serving)
            .map(|since| since.plus(self.settings.failure_timeout));
        let soon = gone.or(self.decisions.in_sync_since).and(self.too_soon_until());
        [expires, gone, soon].into_iter().flatten().min()
    }
}
