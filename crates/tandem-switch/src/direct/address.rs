//! keepalived beside the pair: where it has the virtual address is a hint, and never a right.
//!
//! It keeps no record, so nothing can be asked of it. While this node's keepalived hears the other one's,
//! which holds the address for a primary that passes its check, that machine lives. When the address comes
//! here, it does not hear it any more, and this node looks for a right to follow the address: the primary's
//! own consent, a certificate, the fence, or `on_silence`. If there is none, the check of this node fails,
//! and the address goes back.

use tandem_types::Monotonic;

use super::Direct;
use super::proof::{Fence, Will};
use crate::{AddressHint, Automation, OnSilence, Seen};

impl Direct {
    /// Whether this pair goes by keepalived's hints.
    pub fn is_hinted(&self) -> bool {
        self.unaided().seen == Seen::ByAddress
    }

    /// What keepalived on this machine last said.
    pub fn address(&self) -> Option<AddressHint> {
        self.watch.address().map(|(_, hint)| hint)
    }

    /// Of a primary, and of one that stepped down for it. Its check does not fail, so `FAULT` means that its
    /// interface is down.
    pub(super) fn interface_is_down(&self) -> bool {
        let fault = self.address() == Some(AddressHint::Fault) && self.is_hinted();
        fault && (self.core.serves().is_some() || self.left_alone.is_some())
    }

    /// The address is here since.
    pub(super) fn address_here(&self) -> Option<Monotonic> {
        let (since, hint) = self.watch.address()?;
        (hint == AddressHint::Here).then_some(since)
    }

    /// Whether the virtual address may be on this machine now: it serves, or may soon.
    pub fn may_hold_address(&self, now: Monotonic) -> bool {
        if self.core.serves().is_some() || self.core.is_claiming() {
            return true;
        }
        if self.left_alone.is_some() && self.core.was_last_primary() {
            // It stepped down because it saw nobody, and returns when its network does.
            return true;
        }
        if !self.core.is_free() || self.core.was_last_primary() || self.unfit().is_some() {
            return false;
        }
        !self.was_refused(now)
            && self.address_here().is_none_or(|since| self.may_yet_follow(now, since))
    }

    /// keepalived has moved the address.
    pub(super) fn address_moved(&mut self, now: Monotonic, hint: AddressHint) {
        let refused = self.core.is_free()
            && self.address_here().is_some_and(|since| !self.may_yet_follow(now, since));
        if refused {
            self.watch.refuse_address(now, self.core.is_linked());
        }
        self.watch.moved(now, hint);
    }

    /// The address was here, the role did not follow, and nothing has changed since: it would come and go
    /// again and again.
    fn was_refused(&self, now: Monotonic) -> bool {
        let again = self.core.settings().automatic.min_interval;
        self.watch
            .refused()
            .is_some_and(|(at, linked)| linked == self.core.is_linked() && now < at.plus(again))
    }

    /// The address is here since then, and the role may come yet.
    fn may_yet_follow(&self, now: Monotonic, since: Monotonic) -> bool {
        let settings = self.core.settings();
        let silence = settings.failure_timeout;
        if self.core.is_linked() {
            return now < since.plus(settings.hold + silence);
        }
        let auto = settings.automatic.automation == Automation::Auto && !self.core.paused();
        let silent = self.watch.last_heard().max(since);
        if self.will() == Will::Heir || !self.is_silent(now) {
            return true;
        }
        if self.unaided().fence {
            let fenced = match self.proofs.fence {
                Fence::Running | Fence::Certain => true,
                Fence::Idle => now < self.fence_at(silent).plus(silence),
                Fence::Failed { .. } => false,
            };
            return auto && fenced;
        }
        let takes = self.unaided().on_silence == OnSilence::TakeOver;
        auto && takes && now < silent.plus(silence * 2)
    }
}
