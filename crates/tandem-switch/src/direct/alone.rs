//! The primary: going on without its standby, and stopping when it sees nobody (R3, R9).

use tandem_types::Monotonic;

use super::Direct;
use crate::planted::{Rule, holds};
use crate::{Acknowledge, DemoteCause, InSyncSet, OnSilence, Output, ShrinkCause, Vitals};

impl Direct {
    /// When silence has lasted long enough for the primary to act on it.
    pub(super) fn alone_at(&self) -> Option<Monotonic> {
        let settings = self.core.settings();
        let patience = settings.automatic.solo_after.max(settings.failure_timeout);
        self.silent_since().map(|since| since.plus(patience))
    }

    /// By what right this primary may go on without its peer now.
    fn right_to_go_alone(&mut self, now: Monotonic, out: &mut Vec<Output>) -> Option<ShrinkCause> {
        let unaided = *self.unaided();
        if self.core.is_linked() || !unaided.goes_alone {
            return None;
        }
        // A later boot of that node promotes itself only after it has met this one again.
        if self.testimony().is_some() {
            return Some(ShrinkCause::Certified);
        }
        let cut_off = self.watch.is_cut_off(&unaided) || self.interface_is_down();
        if self.alone_at().is_none_or(|at| now < at) || cut_off {
            return None;
        }
        if !unaided.fence {
            return Some(ShrinkCause::Silence);
        }
        let certain = self.may_fence_by_itself() && self.fenced(now, "going on alone", out);
        certain.then_some(ShrinkCause::Fenced)
    }

    pub(super) fn tend_alone(&mut self, now: Monotonic, out: &mut Vec<Output>) {
        let local = self.core.acknowledge() == Acknowledge::Local;
        // Else it is alone already, or on its way there.
        let both = self.core.set().is_some_and(|set| set.is_both());
        if self.core.serves().is_none() || local || !both {
            return;
        }
        if let Some(cause) = self.right_to_go_alone(now, out) {
            self.core.go_alone(cause, out);
        }
    }

    /// A primary that hears neither its peer nor any ping target steps down: whoever it serves, somebody
    /// else may be primary soon.
    pub(super) fn tend_own_right(&mut self, now: Monotonic, out: &mut Vec<Output>) {
        let cut_off = self.watch.is_cut_off(self.unaided()) || self.interface_is_down();
        if cut_off && self.is_silent(now) {
            self.left_alone = self.core.serves();
            self.core.step_down(DemoteCause::Isolated, out);
        }
    }

    /// Stepped down because it saw nobody; sees something again, and nobody can have taken over.
    pub(super) fn tend_return(&mut self, now: Monotonic, out: &mut Vec<Output>) {
        let same = self.left_alone.is_some() && self.left_alone == self.core.reign();
        if !same || !self.core.was_last_primary() {
            return;
        }
        let waits = self.unaided().on_silence == OnSilence::Wait || self.unaided().fence;
        let network = !self.watch.lacks_network(self.unaided(), Monotonic::ZERO);
        // Alone in the set, the core returns by itself.
        let both = self.core.set().is_some_and(|set| set.is_both());
        if waits && network && both && self.right_to_go_alone(now, out).is_some() {
            self.left_alone = None;
            self.core.return_alone(out);
        }
    }

    /// The standby says on another channel that it has left the set, on its disk.
    pub(super) fn peer_resigned_elsewhere(&mut self, vitals: &Vitals, out: &mut Vec<Output>) {
        if self.core.serves().is_none() || self.core.is_linked() {
            return;
        }
        let Some(set) = self.core.set().filter(InSyncSet::is_both) else { return };
        let peer = self.core.settings().node.peer();
        let member = set.members[peer] == Some(vitals.boot.incarnation);
        // A revision is never used twice: an old word cannot speak of a membership that came later.
        let known = [Some(set.revision), self.core.offered_revision()];
        let this_one = known.contains(&vitals.resigned) || !holds(Rule::ResignByRevision);
        if vitals.resigned.is_some() && member && this_one {
            self.core.go_alone(ShrinkCause::Resigned, out);
        }
    }
}
