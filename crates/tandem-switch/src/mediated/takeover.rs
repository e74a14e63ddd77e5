//! Taking the role from a primary that is gone (R5).

use tandem_types::Monotonic;

use super::persist::Then;
use super::{Mediated, Phase};
use crate::planted::{Rule, holds};
use crate::{Acknowledge, BootId, Change, Output, PromoteCause, Proposed, Record, Revision};

/// How it is known that the primary's boot is over, or may be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Gone {
    /// Its supervisor says so: it will never answer a read again.
    pub(super) certified: bool,
    /// Worth acting on from here on.
    pub(super) due: Monotonic,
}

impl Mediated {
    /// Why this node may not take over from the primary of `record` without losing writes.
    pub(super) fn unfit(&self, record: &Record) -> Option<&'static str> {
        let me = self.me();
        let mine = self.durable.in_sync.filter(|set| set.has(me));
        let still = self.state.in_sync.is_some_and(|set| set.has(me));
        let named = if holds(Rule::Incarnation) {
            record.has(me)
        } else {
            record.members[me.node].is_some()
        };
        if self.state.is_empty() {
            return Some("this node's data directory is empty");
        }
        if self.lacking {
            return Some("this node's data was damaged and is set aside");
        }
        if self.copying {
            return Some("a full copy is coming in: the data here is not whole");
        }
        if !holds(Rule::OnlyMembers) {
            return None;
        }
        if self.is_elsewhere() {
            return Some(
                "the mediator was restored or replaced, and the primary has not said since that this node is still in the set",
            );
        }
        if !named {
            return Some("the record does not name this node: it lacks acknowledged writes");
        }
        if holds(Rule::ResignedIsOut) && holds(Rule::Incarnation) {
            if self.durable.resigned || self.state.resigned {
                return Some("this node has left the in-sync set");
            }
            if mine.is_none() || !still {
                return Some("this node has not confirmed that it holds every acknowledged write");
            }
        }
        match record.strength {
            Acknowledge::Durable => None,
            Acknowledge::Received => {
                let kept = self.durable.member_boot == self.state.boot;
                (!kept && holds(Rule::ReceivedEndsWithBoot)).then_some(
                    "this node was restarted since it was in sync, and what it had only received is gone",
                )
            }
            Acknowledge::Local => (!self.lag_is_allowed())
                .then_some("more of the primary's log is missing here than max_lag allows"),
        }
    }

    /// `acknowledge = "local"`: as last heard. What has come since then only makes it less.
    fn lag_is_allowed(&self) -> bool {
        let max = self.settings.automatic.max_lag_bytes;
        self.heard.is_some_and(|heard| {
            let missing = heard.appended_end.records_since(self.own.durable_end).unwrap_or(0);
            missing == 0 || heard.lacks.is_some_and(|bytes| bytes <= max)
        })
    }

    /// Whether and since when the boot that the record names is gone.
    pub(super) fn gone(&mut self, now: Monotonic, record: &Record) -> Option<Gone> {
        let boot = record.primary_boot;
        let certified = self.died == Some(boot);
        let same = |it: BootId| it == boot;
        let greeted = self.peer.as_ref().is_some_and(|peer| peer.greeting.is_some());
        let linked = self.peer.is_some() && (!greeted || self.peer_boot().is_some_and(same));
        let linked = linked && holds(Rule::LiveLink);
        let present = self.mediator.present[record.primary].is_some_and(|it| same(it.boot))
            && holds(Rule::UnlessPresent);
        if !certified && (linked || present) {
            self.decisions.gone_since = None;
            return None;
        }
        let since = *self.decisions.gone_since.get_or_insert(now);
        // Followed until now, and the connection broke: nothing more will be learnt by waiting. Else it may
        // just be starting.
        let followed = self.followed == Some(record.reign()) && self.peer.is_none();
        let due =
            if certified || followed { since } else { since.plus(self.settings.failure_timeout) };
        Some(Gone { certified, due })
    }

    pub(super) fn tend_takeover(
        &mut self,
        now: Monotonic,
        revision: Revision,
        record: &Record,
        out: &mut Vec<Output>,
    ) {
        let Some(gone) = self.gone(now, record) else { return };
        if now < gone.due
            || self.unfit(record).is_some()
            || self.stopping
            || self.bid.is_some()
            || !self.writes.is_empty()
        {
            return;
        }
        let since = self.decisions.gone_since.unwrap_or(now);
        let cause = self.gone_words(gone.certified);
        let what = Proposed::TakeOver { from: record.primary };
        if self.decide(now, what, cause, since, gone.certified, out) {
            self.take_over(revision, record, gone.certified, PromoteCause::TookOver, out);
        }
    }

    pub(super) fn take_over(
        &mut self,
        revision: Revision,
        record: &Record,
        certified: bool,
        cause: PromoteCause,
        out: &mut Vec<Output>,
    ) {
        let members = self.only_me();
        let change = self.own_change(Some(revision), members);
        let guarded = !certified && holds(Rule::UnlessPresent);
        let unless_present = guarded.then_some((record.primary, record.primary_boot));
        let change = Change { unless_present, ..change };
        self.bid_for_reign(cause, change, Some(record.epoch), out);
        if let Some(bid) = &mut self.bid {
            bid.certified = certified;
        }
    }

    pub(super) fn gone_words(&self, certified: bool) -> String {
        let peer = self.peer_words();
        if certified {
            format!("the process of {peer} has ended, says its supervisor")
        } else {
            format!("{peer} is gone from the mediator and does not answer on the link")
        }
    }

    /// Following, or having followed: the record may have moved on.
    pub(super) fn tend_following(&mut self, now: Monotonic, out: &mut Vec<Output>) {
        self.take_offer(out);
        if self.is_vouched_for(now) {
            self.trust_record_anyway();
            self.write(Then::Nothing, out);
        }
        if self.bid.is_some() || !self.writes.is_empty() || self.stopping || self.copying {
            return;
        }
        let Phase::Following { reign } = self.phase else { return };
        let Some((revision, record)) = self.valid_record() else { return };
        if record.reign() == reign {
            self.tend_takeover(now, revision, &record, out);
        }
    }
}
