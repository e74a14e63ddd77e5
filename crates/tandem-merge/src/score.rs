//! Scores of sorted sets: a base and one running total per side.
//!
//! Adding f64 in two orders gives two results. So each side's additions since the last assignment are
//! summed in that side's own order, which both nodes know, and the score shown is `(base + A) + B`.

use tandem_types::NodeId;

use crate::planted::{Rule, holds};

/// A score that both sides may have added to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Score {
    /// What was assigned last.
    pub base: f64,
    /// What side A has added since.
    pub by_a: f64,
    /// What side B has added since.
    pub by_b: f64,
}

impl Score {
    /// A score that was assigned.
    pub const fn new(base: f64) -> Self {
        Self { base, by_a: 0.0, by_b: 0.0 }
    }

    /// After an addition.
    #[must_use]
    pub fn plus(mut self, side: NodeId, delta: f64) -> Self {
        if !holds(Rule::TotalsPerSide) {
            self.base += delta;
            return self;
        }
        match side {
            NodeId::A => self.by_a += delta,
            NodeId::B => self.by_b += delta,
        }
        self
    }

    /// What clients see. Opposite infinities, which no single node lets happen, make 0.
    pub fn shown(self) -> f64 {
        let sum = (self.base + self.by_a) + self.by_b;
        if sum.is_nan() { 0.0 } else { sum }
    }
}
