//! The node's own right to serve, and what ails it (R7, R9, R11).

use tandem_types::Monotonic;

use super::{Mediated, Phase};
use crate::planted::{Rule, holds};
use crate::{Acknowledge, DemoteCause, Output, Proposed, Trouble, WhenLost};

impl Mediated {
    /// Whether the right to serve rests on the mediator's session (D11, `when_lost = "step-down"`).
    fn needs_session(&self) -> bool {
        let steps_down = self.settings.automatic.when_lost == WhenLost::StepDown;
        let local = self.settings.acknowledge == Acknowledge::Local && self.counts_peer();
        (steps_down || local) && !self.by_force
    }

    pub(super) fn has_session_right(&self, now: Monotonic) -> bool {
        !self.needs_session() || self.session_right_until().is_some_and(|until| now < until)
    }

    /// When a primary that hears nobody gives up; `None`: not as things are.
    pub(super) fn isolated_at(&self) -> Option<Monotonic> {
        let alone = self.peer.is_none() && self.counts_peer() && !self.by_force;
        let serves = matches!(self.phase, Phase::Primary { .. });
        let applies = alone && serves && holds(Rule::Isolation);
        if !applies {
            return None;
        }
        let lost = if self.mediator.connected {
            self.mediator_silent_at()
        } else {
            self.mediator.heard.plus(self.settings.failure_timeout)
        };
        Some(lost.max(self.alone_since.plus(self.settings.failure_timeout)))
    }

    /// R9, before anything else is decided.
    pub(super) fn tend_own_right(&mut self, now: Monotonic, out: &mut Vec<Output>) {
        if !matches!(self.phase, Phase::Primary { .. }) {
            return;
        }
        if !self.has_session_right(now) {
            self.demote(DemoteCause::MediatorLost, out);
        } else if self.isolated_at().is_some_and(|at| now >= at) {
            self.demote(DemoteCause::Isolated, out);
        }
    }

    pub(super) fn restarts_too_often(&self, now: Monotonic) -> bool {
        self.settings.automatic.restarts_too_often(self.starts, self.started, now)
    }

    /// What ails this node, in words; `None`: nothing.
    pub(super) fn ailment(&self) -> Option<String> {
        self.trouble.map(Trouble::words)
    }

    /// A sign of life is given only while a write would get through (R11): a primary whose disk hangs and
    /// that cannot hand over lets its presence end, so that its standby takes over.
    pub(super) fn may_vouch(&self, _now: Monotonic) -> bool {
        let hung = matches!(self.trouble, Some(Trouble::SlowDisk { .. }));
        let giving =
            matches!(self.phase, Phase::Giving { .. } | Phase::Primary { hold: Some(_), .. });
        let replaceable = self.is_serving() && self.counts_peer();
        !(hung && replaceable && !giving)
    }

    /// Why this primary would rather hand over.
    fn wish(&self, now: Monotonic) -> Option<(String, Monotonic)> {
        let automatic = &self.settings.automatic;
        let name = self.settings.name();
        if let Some(ailment) = self.ailment() {
            return Some((format!("node {name}: {ailment}"), now));
        }
        if self.restarts_too_often(now) {
            let cause = format!("node {name} was started {} times lately", self.starts);
            return Some((cause, self.started));
        }
        let since = self.decisions.in_sync_since?;
        let due = now >= since.plus(automatic.failback_after);
        (automatic.failback == Some(self.peer_node()) && due).then(|| {
            let peer = self.settings.peer_name();
            (format!("node {peer} is preferred and has been in sync long enough"), since)
        })
    }

    /// R11: the primary's own trouble, and fail-back.
    pub(super) fn tend_wishes(&mut self, now: Monotonic, out: &mut Vec<Output>) {
        let unwell = self.greeting().is_none_or(|greeting| greeting.unwell);
        if unwell || self.stopping || now < self.decisions.retry_at || self.cannot_give().is_some()
        {
            return;
        }
        let Some((cause, since)) = self.wish(now) else { return };
        let what = Proposed::HandOver { to: self.peer_node() };
        if self.decide(now, what, cause, since, false, out) {
            self.decisions.retry_at = now.plus(self.settings.hold + self.settings.failure_timeout);
            if self.begin_hold(now, out).is_ok() {
                self.tend_hold(now, out);
            }
        }
    }

    pub(super) fn health_deadline(&self) -> Option<Monotonic> {
        let Phase::Primary { .. } = self.phase else { return None };
        let session = if self.needs_session() { self.session_right_until() } else { None };
        let preferred = self.settings.automatic.failback == Some(self.peer_node());
        let failback = self
            .decisions
            .in_sync_since
            .filter(|_| preferred)
            .map(|since| since.plus(self.settings.automatic.failback_after));
        let wish = failback.map(|at| at.max(self.decisions.retry_at));
        [session, self.isolated_at(), wish].into_iter().flatten().min()
    }
}
