//! A change of the record that is under way, until it is known what became of it (R5, D3 of the plan:
//! the same change is sent again until the revision has moved).

use tandem_types::{Epoch, Monotonic};

use super::mediator::Standing;
use super::persist::Then;
use super::{Mediated, Phase};
use crate::planted::{Rule, holds};
use crate::{
    Attempt, Change, Event, MediatorRequest, Outcome, Output, PromoteCause, Record, RecordState,
    Reign, Revision,
};

/// What a change is for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Purpose {
    /// This node begins a reign.
    Reign(PromoteCause),
    /// The peer leaves the set.
    Shrink,
    /// The peer enters it.
    Grow,
    /// The peer gets the role.
    Give,
    /// The record was lost, or is an old one.
    Rewrite,
    /// Nothing changes but the revision: what was sent before can no longer take effect.
    Touch,
}

impl Purpose {
    const fn words(self) -> &'static str {
        match self {
            Self::Reign(_) => "becoming primary",
            Self::Shrink => "leaving the peer out of the in-sync set",
            Self::Grow => "taking the peer into the in-sync set",
            Self::Give => "handing over",
            Self::Rewrite => "writing the lost record again",
            Self::Touch => "making sure that an earlier change cannot take effect",
        }
    }
}

/// The one change that is under way.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Bid {
    pub(super) purpose: Purpose,
    pub(super) change: Change,
    /// Nothing at or below this epoch is acknowledged while it lasts.
    pub(super) refuses: Epoch,
    /// What it relies on is on disk: it may be sent.
    pub(super) ready: bool,
    /// It serves without waiting for read leases: the old primary is known to be gone.
    pub(super) certified: bool,
    /// Copies that were sent and may still take effect.
    open: u32,
    /// The copy whose answer is awaited, and since when.
    asked: Option<(u64, Monotonic)>,
    /// Not again before this.
    again_at: Monotonic,
    /// The first number of all copies; those of earlier bids are smaller.
    first: Option<u64>,
    /// A person's patience is over: if the last copy is refused too, that is the answer.
    is_last: bool,
}

impl Bid {
    fn new(purpose: Purpose, change: Change) -> Self {
        Self {
            purpose,
            change,
            refuses: Epoch::ZERO,
            ready: true,
            certified: false,
            open: 0,
            asked: None,
            again_at: Monotonic::ZERO,
            first: None,
            is_last: false,
        }
    }

    /// An earlier boot may have sent it: nobody knows.
    pub(super) fn from_disk(attempt: Attempt) -> Self {
        let change =
            Change { expect: attempt.expect, record: attempt.record, unless_present: None };
        Self {
            refuses: attempt.refuses,
            open: 1,
            // Its boot is over: it is not wanted any more, only its end is.
            ready: true,
            ..Self::new(Purpose::Touch, change)
        }
    }

    /// A change that has taken effect already: somebody else made it, or none is needed.
    pub(super) fn for_begun(change: Change, refuses: Epoch, certified: bool) -> Self {
        let bid = Self::new(Purpose::Reign(PromoteCause::Handover), change);
        Self { refuses, certified, ..bid }
    }

    /// Whether a copy may still take effect.
    pub(super) const fn is_sent(&self) -> bool {
        self.open > 0
    }
}

impl Mediated {
    /// Begins a change that relies on nothing that is not on disk.
    pub(super) fn bid(&mut self, purpose: Purpose, expect: Option<Revision>, record: Record) {
        assert!(self.bid.is_none(), "two changes at a time");
        self.bid = Some(Bid::new(purpose, Change { expect, record, unless_present: None }));
    }

    /// Begins a change that makes this node primary. `refuses`: it gives up acknowledging that epoch
    /// first, durably.
    pub(super) fn bid_for_reign(
        &mut self,
        cause: PromoteCause,
        change: Change,
        refuses: Option<Epoch>,
        out: &mut Vec<Output>,
    ) {
        assert!(self.bid.is_none(), "two changes at a time");
        if let Phase::Following { .. } = self.phase
            && holds(Rule::RefuseFirst)
        {
            out.push(Output::Unfollow);
        }
        let mut bid = Bid::new(Purpose::Reign(cause), change);
        if let Some(epoch) = refuses
            && holds(Rule::RefuseFirst)
        {
            bid.refuses = epoch;
            bid.ready = !holds(Rule::RefuseDurably);
            if !bid.ready {
                let Change { expect, record, .. } = change;
                self.state.attempt = Some(Attempt { expect, record, refuses: epoch });
            }
        }
        if holds(Rule::RefuseFirst) || refuses.is_none() {
            self.phase = Phase::Bidding;
        }
        let ready = bid.ready;
        self.bid = Some(bid);
        if !ready {
            self.write(Then::SendBid, out);
        }
    }

    /// Sends it, first or again.
    pub(super) fn tend_bid(&mut self, now: Monotonic, out: &mut Vec<Output>) {
        let (connected, timeout) = (self.mediator.connected, self.settings.failure_timeout);
        let Some(bid) = &mut self.bid else { return };
        if let Some((_, since)) = bid.asked
            && now >= since.plus(timeout)
        {
            bid.asked = None;
        }
        let idle = bid.asked.is_none() && now >= bid.again_at;
        if !(connected && bid.ready && idle) {
            return;
        }
        // Settling needs to know what is there; a bid of an earlier boot does not know it yet.
        if bid.purpose == Purpose::Touch && self.mediator.viewed.is_none() {
            return;
        }
        self.numbers += 1;
        let number = self.numbers;
        let Some(bid) = &mut self.bid else { return };
        bid.first.get_or_insert(number);
        bid.asked = Some((number, now));
        bid.open += 1;
        self.tried = self.tried.max(bid.change.record.epoch);
        let change = bid.change;
        out.push(Output::Mediator(MediatorRequest::Change { number, change }));
    }

    /// The session broke: no answer will come.
    pub(super) fn bid_unanswered(&mut self, now: Monotonic) {
        if let Some(bid) = &mut self.bid
            && bid.asked.take().is_some()
        {
            bid.again_at = now;
        }
    }

    pub(super) fn outcome(
        &mut self,
        now: Monotonic,
        number: u64,
        outcome: Outcome,
        out: &mut Vec<Output>,
    ) {
        self.mediator.heard = now;
        let ours = self.bid.as_ref().is_some_and(|bid| bid.first.is_some_and(|it| number >= it));
        match outcome {
            Outcome::Won { revision } if ours => {
                self.mediator.refused = None;
                let Some(bid) = &self.bid else { return };
                let record = bid.change.record;
                self.mediator.record = Some(RecordState::Present { revision, record });
                self.trust_record_anyway();
                self.won(now, out);
            }
            Outcome::Lost(view) => {
                self.mediator.refused = None;
                if ours && let Some(bid) = &mut self.bid {
                    bid.open = bid.open.saturating_sub(1);
                    if bid.asked.is_some_and(|(asked, _)| asked == number) {
                        bid.asked = None;
                    }
                }
                self.saw(now, view, out);
                if ours {
                    self.refused_as_it_was(now, out);
                }
            }
            Outcome::Refused { reason } if ours => {
                if let Some(bid) = &mut self.bid {
                    bid.open = bid.open.saturating_sub(1);
                    if bid.is_last
                        && let Some(asked) = &mut self.asked
                    {
                        asked.deadline = now;
                    }
                }
                self.not_made(now, number, reason, out);
            }
            Outcome::Unknown { reason } if ours => {
                self.not_made(now, number, reason, out);
                if !holds(Rule::SettleByRevision) {
                    self.lost(out);
                }
            }
            // It was settled by what was seen.
            Outcome::Won { .. } | Outcome::Refused { .. } | Outcome::Unknown { .. } => {}
        }
    }

    /// It is asked for again several times a second, and that is said once.
    fn not_made(&mut self, now: Monotonic, number: u64, reason: String, out: &mut Vec<Output>) {
        let wait = self.settings.failure_timeout / 10;
        let Some(bid) = &mut self.bid else { return };
        if bid.asked.is_some_and(|(asked, _)| asked == number) {
            bid.asked = None;
            bid.again_at = now.plus(wait);
        }
        let what = bid.purpose.words();
        let said = Some(&reason) == self.mediator.refused.as_ref();
        if !reason.is_empty() {
            self.mediator.refused = Some(reason.clone());
        }
        if !said {
            out.push(Output::Event(Event::ChangeFailed { what, reason }));
        }
    }

    /// The mediator refused it although the record is as expected: the old primary is present.
    fn refused_as_it_was(&mut self, now: Monotonic, out: &mut Vec<Output>) {
        let Some(bid) = &mut self.bid else { return };
        if bid.open == 0 {
            let (what, reason) = (bid.purpose.words(), "refused by the mediator".to_owned());
            out.push(Output::Event(Event::ChangeFailed { what, reason }));
            return self.lost(out);
        }
        // Earlier copies may still be on their way, and the old primary may be gone when they arrive.
        let Some((revision, record)) = self.mediator.known() else { return };
        if Some(revision) == bid.change.expect {
            bid.purpose = Purpose::Touch;
            bid.change = Change { expect: Some(revision), record, unless_present: None };
            bid.asked = None;
            bid.again_at = now;
        }
    }

    /// What is seen may tell what became of it: nothing else does.
    pub(super) fn settle_bid(&mut self, now: Monotonic, out: &mut Vec<Output>) {
        let Some(bid) = &self.bid else { return };
        let (seen, record) = match &self.mediator.record {
            Some(RecordState::Present { revision, record }) => (Some(*revision), Some(*record)),
            // Whatever cannot be read, it is not what was to be replaced.
            Some(RecordState::Absent | RecordState::Unreadable { .. }) => (None, None),
            None => return,
        };
        if seen == bid.change.expect {
            if bid.purpose == Purpose::Touch
                && let Some((revision, record)) = self.mediator.known()
                && let Some(bid) = &mut self.bid
            {
                // From here on only the revision shall move.
                bid.change = Change { expect: Some(revision), record, unless_present: None };
            }
            return;
        }
        // A fork id names one change; a set of members comes again, and a copy of the record may name it.
        let renamed = matches!(bid.purpose, Purpose::Reign(_) | Purpose::Give);
        let life = |revision: Option<Revision>| revision.map(|it| it.life);
        let same_life = renamed
            || bid.change.expect.is_none()
            || life(seen) == life(bid.change.expect)
            || !holds(Rule::SameLife);
        if record == Some(bid.change.record) && same_life {
            self.won(now, out);
        } else {
            self.lost(out);
        }
    }

    /// It took effect; the record is known to be so.
    fn won(&mut self, now: Monotonic, out: &mut Vec<Output>) {
        let Some(bid) = self.bid.take() else { return };
        let had_attempt = self.state.attempt.take().is_some();
        match bid.purpose {
            Purpose::Reign(cause) => self.begin(now, cause, &bid, out),
            Purpose::Shrink => self.shrunk(out),
            Purpose::Grow => self.grown(now, out),
            Purpose::Give => self.given(bid.change.record, out),
            Purpose::Rewrite => self.rewritten(out),
            Purpose::Touch => {
                if had_attempt {
                    self.write(Then::Nothing, out);
                }
                self.give_up_bid();
            }
        }
    }

    /// The record is of another life from now on, and the follower must not take it for an old copy.
    fn rewritten(&mut self, out: &mut Vec<Output>) {
        out.push(Output::Event(Event::RecordWritten));
        self.write(Then::Nothing, out);
        if let Some(peer) = &mut self.peer {
            peer.told = None;
        }
    }

    /// It did not, and never will.
    fn lost(&mut self, out: &mut Vec<Output>) {
        let Some(bid) = self.drop_bid(out) else { return };
        if let Purpose::Reign(_) = bid.purpose {
            self.promotion_failed("the record changed meanwhile; see `tandem status`", out);
        }
    }

    fn drop_bid(&mut self, out: &mut Vec<Output>) -> Option<Bid> {
        let bid = self.bid.take()?;
        if self.state.attempt.take().is_some() {
            self.write(Then::Nothing, out);
        }
        self.give_up_bid();
        Some(bid)
    }

    fn give_up_bid(&mut self) {
        if matches!(self.phase, Phase::Bidding | Phase::Giving { .. }) {
            self.phase = Phase::Joining;
        }
    }

    /// Lets go of a bid of which no copy can take effect: it was never sent, or each was refused.
    pub(super) fn withdraw_bid(&mut self, out: &mut Vec<Output>) -> bool {
        if self.bid.as_ref().is_some_and(Bid::is_sent) {
            return false;
        }
        self.drop_bid(out);
        true
    }

    /// All copies but one were refused: when it is known at the latest whether that one was too.
    pub(super) fn last_answer_by(&mut self) -> Option<Monotonic> {
        let refused = self.mediator.refused.is_some() && self.mediator.connected;
        let bid = self.bid.as_mut().filter(|bid| refused && bid.open == 1 && !bid.is_last)?;
        let (_, since) = bid.asked?;
        bid.is_last = true;
        Some(since.plus(self.settings.failure_timeout))
    }

    /// What this node wants by itself and is refused stands in no person's way.
    pub(super) fn make_way(&mut self, out: &mut Vec<Output>) {
        let refused = self.mediator.refused.is_some() && self.asked.is_none();
        if self.phase == Phase::Bidding && refused {
            self.withdraw_bid(out);
        }
    }

    /// Why the mediator does not make the change, if no copy of it can take effect meanwhile.
    pub(super) fn refusal_of_bid(&self) -> Option<&str> {
        let bid = self.bid.as_ref().filter(|bid| bid.ready && !bid.is_sent())?;
        let settles = bid.purpose == Purpose::Touch;
        self.mediator.refused.as_deref().filter(|_| self.mediator.connected && !settles)
    }

    /// The reign that a bid would begin or give.
    pub(super) fn bid_reign(&self) -> Option<Reign> {
        self.bid.as_ref().map(|bid| bid.change.record.reign())
    }

    pub(super) fn bid_deadline(&self) -> Option<Monotonic> {
        let bid = self.bid.as_ref().filter(|bid| bid.ready && self.mediator.connected)?;
        Some(match bid.asked {
            Some((_, since)) => since.plus(self.settings.failure_timeout),
            None => bid.again_at,
        })
    }

    /// What a change replaces, whatever is there; `None`: it must not be replaced without a person.
    #[expect(clippy::option_option, reason = "a change may expect that there is no record")]
    pub(super) fn expected(&self) -> Option<Option<Revision>> {
        match self.standing() {
            Standing::Absent => Some(None),
            Standing::Old(revision) | Standing::Valid(revision, _) => Some(Some(revision)),
            Standing::Unknown | Standing::Foreign => None,
        }
    }
}
