//! Read leases, both ends (R6), and which reads may be answered.

use std::time::Duration;

use tandem_types::{Epoch, Monotonic};

use super::mediator::Standing;
use super::{Mediated, Phase};
use crate::planted::{Rule, holds};
use crate::{Acknowledge, Grant, ReadRight};

/// Leases given and had.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub(super) struct Lease {
    /// This node gave leases that last until then, by its own clock and with its whole drift.
    pub(super) granted_until: Monotonic,
    /// What the peer confirmed of the own reign: when it was asked, and how long that lasts here.
    pub(super) confirmed: Option<Confirmed>,
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct Confirmed {
    asked: Monotonic,
    pub(super) until: Monotonic,
}

/// The primary takes this part less of a lease than it was given.
const USED_LESS: u32 = 50;
/// The standby waits this part longer than it gave. Together: whose clock is a quarter slower than the other's
/// reads no longer than that waits (A1). The waiting side has the larger part, because it costs nothing there:
/// a take-over by silence begins after two leases.
const WAITED_MORE: u32 = 3;
const _: () = assert!(
    4 * (USED_LESS - 1) * WAITED_MORE <= 3 * USED_LESS * (WAITED_MORE + 1),
    "a lease used at three quarters of the speed ends before who gave it has waited"
);

impl Mediated {
    /// Which reads may be answered at this moment.
    pub fn read_right(&self, now: Monotonic) -> ReadRight {
        let Phase::Primary { .. } = self.phase else { return ReadRight::None };
        if !self.needs_peer() || self.is_alone_in_record() || !holds(Rule::LeaseForReads) {
            return ReadRight::Free;
        }
        let until = if self.settings.acknowledge == Acknowledge::Local {
            self.session_right_until()
        } else if self.settings.automatic.barrier_reads {
            return self
                .lease
                .confirmed
                .map_or(ReadRight::None, |it| ReadRight::ExecutedBy(it.asked));
        } else {
            self.lease.confirmed.map(|it| it.until)
        };
        until.filter(|&until| until > now).map_or(ReadRight::None, ReadRight::Until)
    }

    /// Nobody else may be promoted: the record names this node alone, and no change of it is under way.
    /// So it is while the set grows, until the record is asked to name both (R4): the first lease of a
    /// new reign is a heartbeat away, and every reply would wait for it.
    fn is_alone_in_record(&self) -> bool {
        let Standing::Valid(_, record) = self.standing() else { return false };
        self.bid.is_none()
            && self.own_reign() == Some(record.reign())
            && record.has(self.me())
            && !record.is_both()
    }

    /// The lease that an answer to the primary's heartbeat carries. Asking for it gives it.
    pub fn grant_lease(&mut self, now: Monotonic) -> Option<Grant> {
        let Phase::Following { reign } = self.phase else { return None };
        if self.peer.as_ref()?.followed != Some(reign) || reign.epoch <= self.refused() {
            return None;
        }
        let lease = self.settings.automatic.read_lease;
        self.lease.granted_until = self.lease.granted_until.max(now.plus(longest(lease)));
        Some(Grant { epoch: reign.epoch, lease })
    }

    pub(super) fn lease_confirmed(&mut self, epoch: Epoch, asked: Monotonic, lease: Duration) {
        if self.own_reign().is_none_or(|reign| reign.epoch != epoch) {
            return;
        }
        let until = asked.plus(lease.saturating_sub(lease / USED_LESS));
        match &mut self.lease.confirmed {
            Some(it) => {
                it.asked = it.asked.max(asked);
                it.until = it.until.max(until);
            }
            none => *none = Some(Confirmed { asked, until }),
        }
    }

    /// Whether the peer is known to give leases: what a growing set needs (R4).
    pub(super) const fn obeys_leases(&self) -> bool {
        self.lease.confirmed.is_some()
    }

    /// The peer has confirmed the own reign when it was asked after `at`.
    pub(super) fn confirmed_since(&self, at: Monotonic) -> bool {
        self.lease.confirmed.is_some_and(|it| it.asked > at)
    }

    /// The peer has answered a question that was asked at `at` or later, and follows the own reign.
    pub(super) fn has_answered(&self, at: Monotonic) -> bool {
        self.lease.confirmed.is_some_and(|it| it.asked >= at)
    }

    /// When no lease that this data directory may have given still runs, earlier boots counted.
    pub(super) fn leases_over_at(&self) -> Monotonic {
        if !holds(Rule::LeaseWait) {
            return Monotonic::ZERO;
        }
        let by_earlier_boot = self.started.plus(longest(self.settings.automatic.read_lease));
        self.lease.granted_until.max(by_earlier_boot)
    }
}

fn longest(lease: Duration) -> Duration {
    lease + lease / WAITED_MORE
}
