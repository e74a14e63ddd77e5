//! What the standby sees of the primary as its client (`by = "probe"`): failures in a row, and signs that
//! the primary goes on without this node.

use std::time::Duration;

use tandem_types::Monotonic;

use super::Direct;
use crate::planted::{Rule, holds};
use crate::{Acknowledge, Probed, Seen, Unaided};

/// What came of trying the primary, for people.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct ProbeState {
    /// How the last attempt ended, and when it was begun.
    pub last: Option<(Monotonic, Probed)>,
    /// How long the last answer took.
    pub round_trip: Option<Duration>,
    /// Failures in a row.
    pub failures: u32,
}

/// Attempts so far.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub(super) struct Attempts {
    state: ProbeState,
    /// When the first of the failures in a row was begun.
    failing_since: Option<Monotonic>,
}

impl Attempts {
    pub(super) fn ended(&mut self, asked: Monotonic, probed: Probed) {
        self.state.last = Some((asked, probed));
        match probed {
            Probed::Answered { round_trip, .. } => {
                self.state.round_trip = Some(round_trip);
                self.forget();
            }
            // Nothing is known of the primary: the row begins again.
            Probed::Unsure(_) => self.forget(),
            Probed::Refused | Probed::Error | Probed::Wrong | Probed::Slow | Probed::Silent => {
                self.state.failures = self.state.failures.saturating_add(1);
                self.failing_since.get_or_insert(asked);
            }
        }
    }

    pub(super) const fn state(&self) -> ProbeState {
        self.state
    }

    pub(super) const fn failing_since(&self) -> Option<Monotonic> {
        self.failing_since
    }

    /// Enough failures in a row: since when, and what failed last.
    pub(super) fn verdict(&self, unaided: &Unaided) -> Option<(Monotonic, Probed)> {
        let enough =
            unaided.seen == Seen::AsClient && self.state.failures >= unaided.probe_failures;
        let (_, last) = self.state.last?;
        self.failing_since.filter(|_| enough).map(|since| (since, last))
    }

    /// Whom there is to be tried has changed, or it answered.
    pub(super) const fn forget(&mut self) {
        self.state.failures = 0;
        self.failing_since = None;
    }
}

impl Direct {
    /// Whether this pair goes by what a client sees.
    pub fn is_probing(&self) -> bool {
        self.unaided().seen == Seen::AsClient
    }

    /// What came of trying the primary as a client.
    pub const fn probe(&self) -> ProbeState {
        self.watch.attempts().state()
    }

    /// One attempt, begun at `asked`, has ended.
    pub(super) fn probed(&mut self, asked: Monotonic, probed: Probed) {
        let unaided = *self.unaided();
        self.watch.attempted(&unaided, asked, probed);
        if let Probed::Answered { wrote, .. } = probed
            && self.goes_on_without_this_node(asked, wrote)
            && holds(Rule::LeftBehind)
        {
            self.proofs.left_behind = true;
        }
    }

    /// The primary answered a client while the link was down. A write that was begun after this node's end
    /// of the link was closed cannot have been acknowledged by this node: the primary has gone alone. One
    /// that only reads may have, once its patience is over.
    fn goes_on_without_this_node(&self, asked: Monotonic, wrote: bool) -> bool {
        if self.core.is_linked() || self.core.serves().is_some() {
            return false;
        }
        let settings = self.core.settings();
        let automatic = &settings.automatic;
        // `acknowledge = "local"` waits for nobody at any time; how much may be missing is configured.
        let local = self.core.set().is_some_and(|set| set.strength == Acknowledge::Local);
        if local {
            return wrote && automatic.max_lag_bytes == 0;
        }
        let patience = automatic.solo_after.max(settings.failure_timeout);
        let alone = self.watch.link_last_heard().plus(patience);
        (wrote && self.watch.link_down().is_some_and(|since| since <= asked))
            || (self.unaided().goes_alone && alone <= asked)
    }

    /// The failures that make the primary count as gone. One that is linked and does not claim to serve is
    /// on its way to its place, and its client port proves nothing.
    pub(super) fn probe_verdict(&self) -> Option<(Monotonic, Probed)> {
        let on_its_way = self.core.is_linked() && self.core.follows().is_none();
        self.watch.attempts().verdict(self.unaided()).filter(|_| !on_its_way)
    }
}
