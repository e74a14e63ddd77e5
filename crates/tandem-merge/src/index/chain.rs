//! Own writes on one item: its last assignment, and the additions after it.

use tandem_types::{Lsn, NodeId};

use crate::item::Bytes;
use crate::number::Number;
use crate::op::{Added, Origin};
use crate::score::Score;

/// What an assignment left.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum What {
    /// This.
    Value(Bytes),
    /// What was there, changed in part: the whole is in the key space only.
    Patched,
    /// Nothing.
    Gone,
}

/// An assignment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Assigned {
    pub(crate) origin: Origin,
    pub(crate) what: What,
}

/// Own writes on a string or on a field.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chain {
    pub(super) assigned: Option<Assigned>,
    /// After the assignment, oldest first.
    pub(super) added: Vec<(Origin, Added)>,
    /// A result that both sides gave was reported: once is enough.
    pub(crate) duplicate_told: bool,
}

impl Chain {
    pub(crate) fn is_empty(&self) -> bool {
        self.assigned.is_none() && self.added.is_empty()
    }

    pub(crate) fn assign(&mut self, origin: &Origin, what: What) {
        self.assigned = Some(Assigned { origin: *origin, what });
        self.added.clear();
    }

    pub(crate) fn add(&mut self, origin: &Origin, added: Added) {
        self.added.push((*origin, added));
    }

    pub(crate) fn prune(&mut self, seen: Lsn) {
        if self.assigned.as_ref().is_some_and(|it| it.origin.lsn < seen) {
            self.assigned = None;
        }
        let seen_count = self.added.partition_point(|(origin, _)| origin.lsn < seen);
        self.added.drain(..seen_count);
    }

    /// The last assignment that a record with this `seen` did not see.
    pub(crate) fn assigned_since(&self, seen: Lsn) -> Option<&Assigned> {
        self.assigned.as_ref().filter(|it| it.origin.lsn >= seen)
    }

    /// The additions that it did not see.
    pub(crate) fn added_since(&self, seen: Lsn) -> &[(Origin, Added)] {
        let from = self.added.partition_point(|(origin, _)| origin.lsn < seen);
        self.added.get(from..).unwrap_or_default()
    }

    /// Their sum; `None` if there are none.
    pub(crate) fn sum_since(&self, seen: Lsn) -> Option<Number> {
        let added = self.added_since(seen);
        let sum = added.iter().fold(Number::ZERO, |sum, (_, added)| sum + added.delta);
        (!added.is_empty()).then_some(sum)
    }
}

/// Own writes on a score.
#[derive(Clone, Debug, Default)]
pub(crate) struct ScoreChain {
    pub(super) assigned: Option<(Origin, Option<f64>)>,
    pub(super) added: Vec<(Lsn, f64)>,
}

impl ScoreChain {
    pub(crate) fn is_empty(&self) -> bool {
        self.assigned.is_none() && self.added.is_empty()
    }

    pub(crate) fn assign(&mut self, origin: &Origin, score: Option<f64>) {
        self.assigned = Some((*origin, score));
        self.added.clear();
    }

    pub(crate) fn add(&mut self, origin: &Origin, deltas: &[f64]) {
        self.added.extend(deltas.iter().map(|delta| (origin.lsn, *delta)));
    }

    pub(super) fn prune(&mut self, seen: Lsn) {
        self.assigned = self.assigned.filter(|(origin, _)| origin.lsn >= seen);
        let seen_count = self.added.partition_point(|(lsn, _)| *lsn < seen);
        self.added.drain(..seen_count);
    }

    /// The last assignment that a record with this `seen` did not see.
    pub(crate) fn assigned_since(&self, seen: Lsn) -> Option<(Origin, Option<f64>)> {
        self.assigned.filter(|(origin, _)| origin.lsn >= seen)
    }

    /// This base with the own additions that were not seen, in their order; and whether there were any.
    pub(crate) fn on_top_of(&self, base: f64, side: NodeId, seen: Lsn) -> (Score, bool) {
        let from = self.added.partition_point(|(lsn, _)| *lsn < seen);
        let added = self.added.get(from..).unwrap_or_default();
        let score =
            added.iter().fold(Score::new(base), |score, (_, delta)| score.plus(side, *delta));
        (score, !added.is_empty())
    }
}
