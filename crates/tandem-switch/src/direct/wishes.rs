//! Planned changes that nobody asks for: the primary's own trouble, too many restarts, fail-back (R11).

use tandem_types::Monotonic;

use super::Direct;
use crate::policy::{Ground, Wanted};
use crate::{Gap, Output, Proposed, Trouble};

impl Direct {
    /// Why this primary would rather hand over, and since when.
    fn wish(&self, now: Monotonic) -> Option<(String, Monotonic)> {
        let settings = self.core.settings();
        let automatic = &settings.automatic;
        let name = settings.name();
        if let Some(trouble) = self.trouble {
            return Some((format!("node {name}: {}", Trouble::words(trouble)), now));
        }
        if automatic.restarts_too_often(self.starts, self.started, now) {
            let cause = format!("node {name} was started {} times lately", self.starts);
            return Some((cause, self.started));
        }
        let since = self.decisions.in_sync_since?;
        let due = now >= since.plus(automatic.failback_after);
        (automatic.failback == Some(settings.node.peer()) && due).then(|| {
            let peer = settings.peer_name();
            (format!("node {peer} is preferred and has been in sync long enough"), since)
        })
    }

    pub(super) fn tend_wishes(&mut self, now: Monotonic, out: &mut Vec<Output>) {
        let unwell = self.core.peer_greeting().is_none_or(|greeting| greeting.unwell);
        let busy = self.core.is_stopping() || self.core.is_holding();
        if unwell || busy || now < self.decisions.retry_at || !self.core.peer_is_ready() {
            return;
        }
        let Some((cause, since)) = self.wish(now) else { return };
        let what = Proposed::HandOver { to: self.core.settings().node.peer() };
        let wanted = Wanted { what, cause, since, certified: false, lost: Gap::Zero };
        if self.decide(now, wanted, out) {
            let settings = self.core.settings();
            self.decisions.retry_at = now.plus(settings.hold + settings.failure_timeout);
            self.core.offer_role(now, out);
        }
    }

    /// Whether to do it now (R12).
    pub(super) fn decide(&mut self, now: Monotonic, wanted: Wanted, out: &mut Vec<Output>) -> bool {
        let ground = Ground {
            now,
            automatic: &self.core.settings().automatic,
            epoch: self.core.epoch_seen(),
            paused: self.core.paused(),
        };
        self.decisions.decide(ground, wanted, out)
    }

    /// When fail-back is due.
    pub(super) fn wish_at(&self) -> Option<Monotonic> {
        let settings = self.core.settings();
        let preferred = settings.automatic.failback == Some(settings.node.peer());
        let since = self.decisions.in_sync_since.filter(|_| preferred)?;
        Some(since.plus(settings.automatic.failback_after).max(self.decisions.retry_at))
    }
}
