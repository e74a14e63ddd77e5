//! Bounded counters: a stock that two sides sell from at once and never oversell.
//!
//! Balegas et al., "Extending Eventually Consistent Cloud Databases for Enforcing Numeric Invariants", 2015.
//! Each side owns *rights* to take away. Nobody but their owner lowers them, so no order of events sells
//! more than there is; rights move only by a transfer that the donor has written first. All is kept as
//! totals that only grow, each written by one side: merging takes the greater of each, so that loss,
//! repetition and order of messages do not matter.
//!
//! **Not here:** when a client may be answered (its total is on disk first), who asks whom.

mod demand;
mod rebalance;

use tandem_types::{NodeId, Pair, Stamp};

pub use self::demand::{Ask, Demand, GRANT_EVERY, grant};
pub use self::rebalance::{Asked, Input, Output, Rebalance};
use crate::planted::{Rule, holds};

/// What one side has done to a counter since it was created. Only grows.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Totals {
    /// Put in.
    pub added: u64,
    /// Taken away.
    pub taken: u64,
    /// Handed to the other side.
    pub given: u64,
}

impl Totals {
    fn max(self, other: Self) -> Self {
        Self {
            added: self.added.max(other.added),
            taken: self.taken.max(other.taken),
            given: self.given.max(other.given),
        }
    }
}

/// Which creation of a counter its totals belong to.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Generation {
    /// When it was created or reset.
    pub stamp: Stamp,
    /// By whom.
    pub by: NodeId,
}

impl Generation {
    /// A counter that nobody created: it began by an addition, perhaps on both sides at once.
    pub const ADDED_TO: Self = Self { stamp: Stamp::ZERO, by: NodeId::A };
}

/// What a record says of a counter: the totals of one side, absolute.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Statement {
    /// Which creation.
    pub generation: Generation,
    /// Whose totals.
    pub side: NodeId,
    /// They are at least this.
    pub totals: Totals,
}

/// Why nothing was taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum EscrowError {
    /// The own rights do not suffice: ask for some, or wait.
    #[error("have={have} elsewhere={elsewhere}")]
    NoRights {
        /// Own rights.
        have: u64,
        /// The other side's, as last known.
        elsewhere: u64,
    },
    /// Rights can only be given to the other side.
    #[error("rights cannot be transferred to the side that gives them: name the other node")]
    ToItself,
    /// The counter would leave the range of a 64-bit number.
    #[error("the counter would leave the range of a signed 64-bit number")]
    Overflow,
}

/// What becomes of the rights of a side that is given up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Forget {
    /// They are gone with it: never oversells, the stock shrinks.
    Destroy,
    /// The survivor takes them: may oversell by what the lost side sold without its being known here.
    Claim,
}

/// A bounded counter as one side knows it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Counter {
    generation: Generation,
    min: i64,
    totals: Pair<Totals>,
}

impl Counter {
    /// A counter that stands at `value` and never goes below `min`; side A gets `percent_a` of the rights.
    ///
    /// # Errors
    /// [`EscrowError::Overflow`]: `value` is below `min`.
    pub fn create(
        generation: Generation,
        value: i64,
        min: i64,
        percent_a: u8,
    ) -> Result<Self, EscrowError> {
        let rights = u64::try_from(i128::from(value) - i128::from(min));
        let rights = rights.map_err(|_| EscrowError::Overflow)?;
        let to_a = u128::from(rights) * u128::from(percent_a.min(100)) / 100;
        // At most `rights`.
        let to_a = u64::try_from(to_a).unwrap_or(rights);
        let part = |added| Totals { added, ..Totals::default() };
        Ok(Self { generation, min, totals: Pair { a: part(to_a), b: part(rights - to_a) } })
    }

    /// A counter as it was written down.
    pub const fn of(generation: Generation, min: i64, totals: Pair<Totals>) -> Self {
        Self { generation, min, totals }
    }

    /// Which creation this is.
    pub const fn generation(&self) -> Generation {
        self.generation
    }

    /// The bound.
    pub const fn min(&self) -> i64 {
        self.min
    }

    /// One side's totals.
    pub fn totals(&self, side: NodeId) -> Totals {
        self.totals[side]
    }

    /// What a side may take away. Its own are exact; the other's as last known.
    pub fn rights(&self, side: NodeId) -> u64 {
        u64::try_from(self.balance(side)).unwrap_or(0)
    }

    fn balance(&self, side: NodeId) -> i128 {
        let (own, other) = (self.totals[side], self.totals[side.peer()]);
        i128::from(own.added) + i128::from(other.given)
            - i128::from(own.given)
            - i128::from(own.taken)
    }

    /// What the counter stands at, as far as this side knows.
    pub fn value(&self) -> i128 {
        i128::from(self.min) + self.balance(NodeId::A) + self.balance(NodeId::B)
    }

    /// Takes `count` away at `side`, which is here.
    ///
    /// # Errors
    /// [`EscrowError::NoRights`]: nothing was taken.
    pub fn take(&mut self, side: NodeId, count: u64) -> Result<Statement, EscrowError> {
        let have = self.rights(side);
        let elsewhere = self.rights(side.peer());
        let limit = if holds(Rule::SpendOwnRights) { have } else { have.saturating_add(elsewhere) };
        if count > limit {
            return Err(EscrowError::NoRights { have, elsewhere });
        }
        let taken = self.totals[side].taken.checked_add(count).ok_or(EscrowError::Overflow)?;
        self.totals[side].taken = taken;
        Ok(self.statement(side))
    }

    /// Puts `count` in at `side`, which is here and gets the rights.
    ///
    /// # Errors
    /// [`EscrowError::Overflow`]: nothing was added.
    pub fn add(&mut self, side: NodeId, count: u64) -> Result<Statement, EscrowError> {
        let value = self.value() + i128::from(count);
        if value > i128::from(i64::MAX) {
            return Err(EscrowError::Overflow);
        }
        let added = self.totals[side].added.checked_add(count).ok_or(EscrowError::Overflow)?;
        self.totals[side].added = added;
        Ok(self.statement(side))
    }

    /// Gives `count` rights of `from`, which is here, to `to`, who can use them once this is applied there.
    ///
    /// # Errors
    /// [`EscrowError::ToItself`], [`EscrowError::NoRights`]: nothing moved.
    pub fn give(&mut self, from: NodeId, to: NodeId, count: u64) -> Result<Statement, EscrowError> {
        if from == to {
            if holds(Rule::NoSelfTransfer) {
                return Err(EscrowError::ToItself);
            }
            // As rights that come in without going out: the known mistake.
            self.totals[from].added = self.totals[from].added.saturating_add(count);
            return Ok(self.statement(from));
        }
        let have = self.rights(from);
        if count > have {
            return Err(EscrowError::NoRights { have, elsewhere: self.rights(to) });
        }
        let given = self.totals[from].given.checked_add(count).ok_or(EscrowError::Overflow)?;
        self.totals[from].given = given;
        Ok(self.statement(from))
    }

    /// What a record says of one side.
    pub fn statement(&self, side: NodeId) -> Statement {
        Statement { generation: self.generation, side, totals: self.totals[side] }
    }

    /// What the peer's record says. One about an earlier creation is old.
    pub fn merge(&mut self, statement: &Statement) {
        if statement.generation == self.generation {
            let totals = &mut self.totals[statement.side];
            *totals = totals.max(statement.totals);
        }
    }

    /// What the peer says of the same creation, as a whole. Two sides that began a counter by adding to it
    /// may have done so under different bounds: the higher one counts.
    pub fn agree(&mut self, other: &Self) {
        if other.generation == self.generation {
            self.min = self.min.max(other.min);
            for side in [NodeId::A, NodeId::B] {
                self.merge(&other.statement(side));
            }
        }
    }

    /// Gives up `lost`, which is fenced and will never write again; says how many rights were concerned:
    /// with [`Forget::Claim`] at most so many may have been sold twice.
    pub fn forget(&mut self, lost: NodeId, how: Forget) -> u64 {
        let rights = self.rights(lost);
        let totals = &mut self.totals[lost];
        match how {
            Forget::Destroy => totals.taken = totals.taken.saturating_add(rights),
            Forget::Claim => totals.given = totals.given.saturating_add(rights),
        }
        rights
    }

    /// Enters sales of a side that had been given up and came back; says by how much more was sold than
    /// there was.
    pub fn adjust(&mut self, here: NodeId, count: u64) -> u64 {
        let totals = &mut self.totals[here];
        totals.taken = totals.taken.saturating_add(count);
        u64::try_from(i128::from(self.min) - self.value()).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stock(value: i64) -> Counter {
        let generation = Generation { stamp: Stamp::ZERO, by: NodeId::A };
        Counter::create(generation, value, 0, 50).unwrap()
    }

    #[test]
    fn each_side_sells_its_half_and_no_more() {
        let (mut a, mut b) = (stock(100), stock(100));
        for (counter, side) in [(&mut a, NodeId::A), (&mut b, NodeId::B)] {
            let sold = (0..150).filter(|_| counter.take(side, 1).is_ok()).count();
            assert_eq!(sold, 50);
        }
        a.merge(&b.statement(NodeId::B));
        b.merge(&a.statement(NodeId::A));
        assert_eq!((a.value(), b.value()), (0, 0));
    }

    #[test]
    fn rights_to_oneself_are_refused() {
        let mut counter = stock(10);
        assert_eq!(counter.give(NodeId::A, NodeId::A, 1), Err(EscrowError::ToItself));
        assert_eq!(counter.rights(NodeId::A), 5);
    }

    #[test]
    fn a_lost_side_takes_its_rights_along_or_leaves_them() {
        let mut counter = stock(10);
        assert_eq!(counter.forget(NodeId::B, Forget::Destroy), 5);
        assert_eq!((counter.value(), counter.rights(NodeId::A)), (5, 5));

        let mut counter = stock(10);
        assert_eq!(counter.forget(NodeId::B, Forget::Claim), 5);
        assert_eq!((counter.value(), counter.rights(NodeId::A)), (10, 10));
        counter.take(NodeId::A, 10).unwrap();
        assert_eq!(counter.adjust(NodeId::A, 3), 3, "what B had sold unheard is oversold");
    }

    #[test]
    fn statements_of_an_earlier_creation_are_old() {
        let (mut old, generation) = (stock(10), Generation { stamp: Stamp::new(1), by: NodeId::B });
        old.take(NodeId::A, 2).unwrap();
        let mut new = Counter::create(generation, 10, 0, 50).unwrap();
        new.merge(&old.statement(NodeId::A));
        assert_eq!(new.value(), 10);
    }
}
