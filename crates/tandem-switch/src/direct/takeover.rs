//! The standby: taking over from a primary that is gone, and leaving the set of one that cannot be reached.

use tandem_types::Monotonic;

use super::Direct;
use super::proof::{Fence, Will};
use crate::{Acknowledge, OnSilence, Output, PromoteCause, Proposed, Seen};

/// How it is known, or believed, that the primary is gone.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Gone {
    pub(super) since: Monotonic,
    pub(super) certified: bool,
    pub(super) cause: String,
}

impl Direct {
    /// Why this node may not take over without losing writes, or should not.
    pub(super) fn unfit(&self) -> Option<&'static str> {
        let core = &self.core;
        if core.state().is_empty() {
            return Some("this node's data directory is empty");
        }
        if core.is_copying() {
            return Some("a full copy is coming in: the data here is not whole");
        }
        if core.was_last_primary() {
            return Some("this node was the last primary itself");
        }
        if core.resigned() {
            return Some("this node has left the in-sync set");
        }
        if !core.has_everything() {
            return Some("this node is not in the in-sync set: it lacks acknowledged writes");
        }
        if !self.proofs.is_unbroken() {
            return Some(
                "this node was restarted since it last heard the primary, which may have gone on alone",
            );
        }
        if self.proofs.is_barred() || self.will() == Will::Disinherits {
            return Some(
                "the primary's disk shows that it had gone on alone: this node lacks its writes",
            );
        }
        if self.proofs.left_behind {
            return Some(
                "the primary was seen to answer clients without this node: it has gone on alone, and its writes are not here",
            );
        }
        if self.trouble.is_some() {
            return Some("this node is not well itself");
        }
        if self.watch.lacks_network(self.unaided(), self.looked_since()) {
            return Some(
                "this node reaches none of the ping targets (since the primary fails): its own network may be cut off",
            );
        }
        let local = core.set().is_some_and(|set| set.strength == Acknowledge::Local);
        (local && !self.lag_is_allowed())
            .then_some("more of the primary's log is missing here than max_lag allows")
    }

    /// A look at the ping targets counts if it was begun after the trouble with the primary. Who brought a
    /// certificate came over the network.
    fn looked_since(&self) -> Monotonic {
        match self.unaided().seen {
            _ if self.will() != Will::None => Monotonic::ZERO,
            Seen::AsClient => self.watch.attempts().failing_since().unwrap_or(Monotonic::ZERO),
            Seen::Directly | Seen::ByAddress => self.watch.last_heard(),
        }
    }

    /// `acknowledge = "local"`: as last heard. What has come since then only makes it less.
    fn lag_is_allowed(&self) -> bool {
        let max = self.core.settings().automatic.max_lag_bytes;
        self.core.missing_records() == Some(0)
            || self.core.missing_bytes().is_some_and(|bytes| bytes <= max)
    }

    /// Whether the primary is gone, and what says so.
    pub(super) fn gone(&self, now: Monotonic) -> Option<Gone> {
        let peer = self.peer_words();
        if self.will() != Will::None {
            let since = self.watch.last_heard();
            let cause = format!("the process of {peer} has ended, says its supervisor");
            return Some(Gone { since, certified: true, cause });
        }
        if self.unaided().seen == Seen::AsClient {
            let (since, failure) = self.probe_verdict()?;
            let times = self.unaided().probe_failures;
            let cause = format!("{peer} {} ({times} times in a row)", failure.words());
            return Some(Gone { since, certified: false, cause });
        }
        if self.is_hinted() && self.core.is_linked() {
            let since = self.address_here().filter(|_| self.core.follows().is_some())?;
            let cause = format!("keepalived has moved the address here, away from {peer}");
            return Some(Gone { since, certified: false, cause });
        }
        let since = self.silent_since().filter(|_| self.is_silent(now))?;
        if self.is_hinted() {
            self.address_here()?;
            let cause = format!("{peer} is silent, and keepalived has moved the address here");
            return Some(Gone { since, certified: false, cause });
        }
        Some(Gone { since, certified: false, cause: format!("{peer} is silent on every channel") })
    }

    /// When a silent primary is fenced: it has the first shot, so that the two do not switch one another off.
    pub(super) fn fence_at(&self, since: Monotonic) -> Monotonic {
        let settings = self.core.settings();
        let first = settings.automatic.solo_after.max(settings.failure_timeout);
        since.plus(first + settings.failure_timeout)
    }

    pub(super) fn tend_takeover(&mut self, now: Monotonic, out: &mut Vec<Output>) {
        let candidate = !self.core.was_last_primary() && self.core.has_everything();
        let gone = self.gone(now).filter(|_| candidate);
        self.decisions.gone_since = gone.as_ref().map(|gone| gone.since);
        let Some(gone) = gone else {
            self.asked_at = None;
            return;
        };
        if self.unfit().is_some() {
            return;
        }
        let unaided = *self.unaided();
        if gone.certified {
            if self.wants(now, &gone, out) {
                self.core.take_over(PromoteCause::TookOver, out);
            }
        } else if self.core.is_linked() && self.is_asked_first(now, &gone, out) {
            // It may hand over yet: that loses nothing.
        } else if self.core.is_linked() && self.is_hinted() {
            // It lives and keeps the role: the address goes back to it.
        } else if unaided.fence {
            self.fence_and_take_over(now, &gone, out);
        } else if unaided.on_silence == OnSilence::TakeOver && self.wants(now, &gone, out) {
            self.core.take_over(PromoteCause::TookOverUnproven, out);
        }
    }

    /// A primary that fails its clients but still speaks on the link is asked to hand over.
    fn is_asked_first(&mut self, now: Monotonic, gone: &Gone, out: &mut Vec<Output>) -> bool {
        let settings = self.core.settings();
        let patience = settings.hold + settings.failure_timeout;
        if let Some(at) = self.asked_at {
            return now < at.plus(patience);
        }
        if self.wants(now, gone, out) {
            self.asked_at = Some(now);
            self.core.ask_for_role(out);
        }
        true
    }

    fn fence_and_take_over(&mut self, now: Monotonic, gone: &Gone, out: &mut Vec<Output>) {
        match &self.proofs.fence {
            Fence::Running => return,
            Fence::Failed { again, .. } if now < *again => return,
            Fence::Idle | Fence::Failed { .. } => {
                if now < self.fence_at(gone.since) || !self.wants(now, gone, out) {
                    return;
                }
            }
            // It was decided when the command was begun.
            Fence::Certain if self.core.paused() => return,
            Fence::Certain => {}
        }
        if self.fenced(now, "taking over", out) {
            self.core.take_over(PromoteCause::TookOver, out);
        }
    }

    fn wants(&mut self, now: Monotonic, gone: &Gone, out: &mut Vec<Output>) -> bool {
        let what = Proposed::TakeOver { from: self.core.settings().node.peer() };
        let (cause, since, certified) = (gone.cause.clone(), gone.since, gone.certified);
        let lost = self.core.gap(now);
        self.decide(now, crate::policy::Wanted { what, cause, since, certified, lost }, out)
    }

    /// The link is cut, but the primary lives and serves, says another channel: it would wait for this node
    /// for ever. So this node leaves the set, on its own disk first, and says so there.
    pub(super) fn tend_resignation(&mut self, now: Monotonic, out: &mut Vec<Output>) {
        let Some(reign) = self.core.follows() else { return };
        if self.core.is_linked() || !self.core.has_everything() || self.core.paused() {
            return;
        }
        let settings = self.core.settings();
        let patience = settings.automatic.solo_after.max(settings.failure_timeout);
        let lives = self.watch.serves_elsewhere(now, settings.failure_timeout);
        let cut = now >= self.watch.link_last_heard().plus(patience);
        if cut && lives && self.unaided().goes_alone && self.resigning.is_none() {
            self.resigning = self.core.set().map(|set| set.revision);
            self.core.leave_set(reign, out);
        }
    }
}
