//! Who decides what the rules allow: the node, a person, or nobody (R12). The same for every brain.

use tandem_types::{Epoch, Monotonic};

use crate::{
    Automatic, Automation, Event, Gap, Output, Proposal, Proposed, Refusal, RefusalKind, Ticket,
};

/// What is decided, waits for a person, or must not be decided again yet.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) struct Decisions {
    /// The last change of primary seen in this boot.
    pub(crate) switched_at: Option<Monotonic>,
    /// Both hold everything, without a break, since.
    pub(crate) in_sync_since: Option<Monotonic>,
    /// The primary's boot is gone since.
    pub(crate) gone_since: Option<Monotonic>,
    /// A hand-over that failed is not tried again before.
    pub(crate) retry_at: Monotonic,
    proposal: Option<Proposal>,
    /// What was wanted in this step: a proposal that nobody wants any more is dropped.
    wanted: Option<Proposed>,
    /// A person said yes.
    confirmed: Option<Proposed>,
    /// A person said no, or nobody answered: not again in this reign.
    dropped: Option<(Proposed, Epoch)>,
}

/// A change that a brain wants, and the facts it rests on.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// What.
    pub(crate) what: Proposed,
    /// What failed, in one sentence.
    pub(crate) cause: String,
    /// Since when.
    pub(crate) since: Monotonic,
    /// It rests on no suspicion, so it is no flapping.
    pub(crate) certified: bool,
    /// Acknowledged writes that it could lose.
    pub(crate) lost: Gap,
}

/// How things stand when something is wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ground<'a> {
    pub(crate) now: Monotonic,
    pub(crate) automatic: &'a Automatic,
    /// The highest epoch seen.
    pub(crate) epoch: Epoch,
    /// A person has suspended decisions.
    pub(crate) paused: bool,
}

impl Decisions {
    /// Whether to do it now.
    pub(crate) fn decide(
        &mut self,
        ground: Ground<'_>,
        wanted: Wanted,
        out: &mut Vec<Output>,
    ) -> bool {
        let Ground { now, automatic, epoch, paused } = ground;
        let Wanted { what, cause, since, certified, lost } = wanted;
        self.wanted = Some(what);
        if paused || self.dropped == Some((what, epoch)) {
            return false;
        }
        let automation = automatic.automation;
        let confirmed = self.confirmed.take() == Some(what);
        let too_soon = self.too_soon_until(automatic).is_some_and(|until| now < until);
        if automation == Automation::Auto && too_soon && !certified {
            return false;
        }
        if automation == Automation::Auto || confirmed {
            self.proposal = None;
            let after = now.since(since);
            out.push(Output::Event(Event::Decided { what, cause, after }));
            return true;
        }
        if self.proposal.as_ref().is_none_or(|it| it.what != what) {
            let timeout = automatic.confirm_timeout;
            let expires = (automation == Automation::Confirm).then(|| now.plus(timeout));
            out.push(Output::Event(Event::Proposed { what, cause: cause.clone() }));
            self.proposal = Some(Proposal { what, cause, since, expires, lost });
        }
        false
    }

    /// Anti-flapping: no second automatic change before this.
    pub(crate) fn too_soon_until(&self, automatic: &Automatic) -> Option<Monotonic> {
        Some(self.switched_at?.plus(automatic.min_interval))
    }

    /// Drops a proposal whose time or reason is over.
    pub(crate) fn tend(&mut self, now: Monotonic, epoch: Epoch, out: &mut Vec<Output>) {
        let wanted = self.wanted.take();
        self.confirmed = None;
        let Some(proposal) = &self.proposal else { return };
        let what = proposal.what;
        if proposal.expires.is_some_and(|at| now >= at) {
            self.drop_proposal("nobody confirmed it in time", Some(epoch), out);
        } else if wanted != Some(what) {
            self.drop_proposal("its reason is gone", None, out);
        }
    }

    /// `for_good`: it is not proposed again in this epoch.
    fn drop_proposal(&mut self, reason: &str, for_good: Option<Epoch>, out: &mut Vec<Output>) {
        let Some(proposal) = self.proposal.take() else { return };
        let what = proposal.what;
        if let Some(epoch) = for_good {
            self.dropped = Some((what, epoch));
        }
        let reason = reason.to_owned();
        out.push(Output::Event(Event::ProposalDropped { what, reason }));
    }

    /// What waits for a person's word.
    pub(crate) fn pending(&self) -> Option<&Proposal> {
        self.proposal.as_ref()
    }

    pub(crate) fn confirm(&mut self, ticket: Ticket, out: &mut Vec<Output>) {
        let Some(proposal) = &self.proposal else { return nothing_pending(ticket, out) };
        self.confirmed = Some(proposal.what);
        let text = "confirmed: it is carried out if its reason still holds".to_owned();
        out.push(Output::Answer { ticket, answer: Ok(text) });
    }

    pub(crate) fn reject(&mut self, ticket: Ticket, epoch: Epoch, out: &mut Vec<Output>) {
        if self.proposal.is_none() {
            return nothing_pending(ticket, out);
        }
        self.drop_proposal("a person rejected it", Some(epoch), out);
        let text = "rejected: it is not proposed again in this epoch".to_owned();
        out.push(Output::Answer { ticket, answer: Ok(text) });
    }

    /// When a proposal is dropped.
    pub(crate) fn expires(&self) -> Option<Monotonic> {
        self.proposal.as_ref()?.expires
    }
}

fn nothing_pending(ticket: Ticket, out: &mut Vec<Output>) {
    let text = "nothing is waiting for a decision on this node; the other node may have a proposal (`tandem status`)".to_owned();
    let refusal = Refusal { kind: RefusalKind::WrongRole, text };
    out.push(Output::Answer { ticket, answer: Err(refusal) });
}
