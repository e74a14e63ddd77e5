//! Staging the run's plot: waiting for its moment, then letting its faults happen.

use tandem_switch::Change;

use super::{NODES, Run, What};
use crate::plan::{Kind, MS};
use crate::plot::{Moment, Plot, Roles};

impl Run {
    /// The plot begins once the pair is whole and reaches the mediator.
    pub(super) fn stage(&mut self) {
        let Some(plot) = self.plan.plot else { return };
        if self.healed {
            return;
        }
        let ready = self.whole().filter(|_| self.reaches(0) && self.reaches(1));
        let Some(primary) = ready else { return self.after(50 * MS, What::Stage) };
        self.trace.note(self.now, format_args!("---- the plot begins: {plot:?}"));
        let roles = Roles { primary, standby: 1 - primary };
        let faults = plot.opening(&self.plan, roles, &mut self.ambush_random);
        self.awaits = plot.awaits();
        for (wait, fault) in faults {
            self.after(wait, What::Plotted(fault));
        }
    }

    /// A node asks for a change of the record: for how long the plot holds it back.
    pub(super) fn held_back(&mut self, host: usize, change: &Change) -> u64 {
        let Some(before) = self.mediator.record() else { return 0 };
        let own = change.record.primary == NODES[host] && before.reign() == change.record.reign();
        let moment = match (before.is_both(), change.record.is_both()) {
            (false, true) => Moment::Growth,
            (true, false) => Moment::Shrink,
            _ => return 0,
        };
        if self.healed || !own || self.awaits != Some(moment) {
            return 0;
        }
        self.awaits = None;
        let roles = Roles { primary: host, standby: 1 - host };
        let (held, faults) = Plot::climax(moment, roles, &mut self.ambush_random);
        for (wait, fault) in faults {
            self.after(wait, What::Plotted(fault));
        }
        held
    }

    pub(super) fn strike_plotted(&mut self, fault: crate::plan::Fault) {
        self.strike_with(Kind::Plot, fault);
    }
}
