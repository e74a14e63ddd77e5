//! Epochs: the reigns of primaries, and the table of where each began.

use std::fmt;

use crate::Lsn;

/// Number of one primary's reign; raised by every acquisition, also by the same node.
///
/// Stamped on every record; a node that has seen a later one refuses all messages of an older one.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Epoch(u64);

impl Epoch {
    /// Before the first reign.
    pub const ZERO: Self = Self(0);

    /// An epoch read from disk, the peer or the mediator.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The plain number.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The next reign (saturating).
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Random mark of one reign, so that two reigns that took the same number can be told apart.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ForkId(u64);

impl ForkId {
    /// A fork id read from disk or a message, or drawn at random by the caller.
    pub const fn new(value: u64) -> Self {
        Self(value)
    }

    /// The plain value.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for ForkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Where one reign began.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct EpochStart {
    /// The reign.
    pub epoch: Epoch,
    /// Its random mark.
    pub fork: ForkId,
    /// Its first record.
    pub first: Lsn,
}

/// Why an entry cannot follow the ones before it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HistoryError {
    /// The new epoch is not later than the last one.
    EpochNotLater {
        /// The last epoch of the table.
        last: Epoch,
        /// The one that should have followed it.
        new: Epoch,
    },
    /// The new reign would begin before the last one.
    StartsEarlier {
        /// Where the last reign began.
        last: Lsn,
        /// Where the new one would.
        new: Lsn,
    },
}

impl fmt::Display for HistoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EpochNotLater { last, new } => write!(f, "epoch {new} is not later than {last}"),
            Self::StartsEarlier { last, new } => {
                write!(f, "an epoch that starts at {new} cannot follow one that starts at {last}")
            }
        }
    }
}

impl std::error::Error for HistoryError {}

/// Each reign with its first LSN (Kafka's leader-epoch file, `PostgreSQL`'s timeline history).
///
/// Invariant: epochs rise strictly, first LSNs never fall.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct EpochHistory {
    starts: Vec<EpochStart>,
}

impl EpochHistory {
    /// The history of an empty log.
    pub const fn new() -> Self {
        Self { starts: Vec::new() }
    }

    /// A table read from disk or the peer.
    ///
    /// # Errors
    /// The first pair of neighbours that breaks the invariant.
    pub fn from_starts(starts: Vec<EpochStart>) -> Result<Self, HistoryError> {
        let mut history = Self::new();
        for start in starts {
            history.push(start)?;
        }
        Ok(history)
    }

    /// Adds the reign that begins now.
    ///
    /// # Errors
    /// The epoch is not later than the last one, or begins before it.
    pub fn push(&mut self, start: EpochStart) -> Result<(), HistoryError> {
        if let Some(last) = self.starts.last() {
            if start.epoch <= last.epoch {
                return Err(HistoryError::EpochNotLater { last: last.epoch, new: start.epoch });
            }
            if start.first < last.first {
                return Err(HistoryError::StartsEarlier { last: last.first, new: start.first });
            }
        }
        self.starts.push(start);
        Ok(())
    }

    /// All reigns, oldest first.
    pub fn starts(&self) -> &[EpochStart] {
        &self.starts
    }

    /// The latest reign; `None` in an empty log.
    pub fn last(&self) -> Option<EpochStart> {
        self.starts.last().copied()
    }

    /// The latest epoch, [`Epoch::ZERO`] in an empty log.
    pub fn last_epoch(&self) -> Epoch {
        self.last().map_or(Epoch::ZERO, |start| start.epoch)
    }

    /// The reign that wrote the record at `lsn`, were the log that long.
    pub fn at(&self, lsn: Lsn) -> Option<EpochStart> {
        self.starts.iter().rev().find(|start| start.first <= lsn).copied()
    }

    /// Forgets every reign that began at `end` or later: the log was cut to `end`.
    pub fn cut(&mut self, end: Lsn) {
        self.starts.retain(|start| start.first < end);
    }

    /// Up to where two logs agree: `self` ends at `self_end`, `other` at `other_end`.
    ///
    /// The two share every reign with the same epoch *and* fork id; the last shared reign was left by
    /// whichever log ended it first. The result is exclusive: records before it are in both logs.
    pub fn common_end(&self, self_end: Lsn, other: &Self, other_end: Lsn) -> Lsn {
        let shared = self
            .starts
            .iter()
            .zip(&other.starts)
            .take_while(|(mine, theirs)| mine == theirs)
            .count();
        if shared == 0 {
            return Lsn::ZERO;
        }
        let left_by = |history: &Self, end: Lsn| {
            history.starts.get(shared).map_or(end, |next| next.first).min(end)
        };
        left_by(self, self_end).min(left_by(other, other_end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(starts: &[(u64, u64, u64)]) -> EpochHistory {
        EpochHistory::from_starts(
            starts
                .iter()
                .map(|&(epoch, fork, first)| EpochStart {
                    epoch: Epoch::new(epoch),
                    fork: ForkId::new(fork),
                    first: Lsn::new(first),
                })
                .collect(),
        )
        .unwrap()
    }

    #[test]
    fn common_end_is_where_the_first_of_the_two_left_the_last_shared_reign() {
        let cases = [
            ("same log, one shorter", &[(1, 1, 0)][..], 10, &[(1, 1, 0)][..], 7, 7),
            ("peer began a reign earlier", &[(1, 1, 0)], 10, &[(1, 1, 0), (2, 5, 8)], 12, 8),
            (
                "both began the same number, two marks",
                &[(1, 1, 0), (2, 6, 9)],
                20,
                &[(1, 1, 0), (2, 5, 8)],
                20,
                8,
            ),
            ("behind, peer went on", &[(1, 1, 0)], 4, &[(1, 1, 0), (2, 5, 8)], 12, 4),
            ("nothing shared", &[(1, 2, 0)], 4, &[(1, 1, 0)], 12, 0),
            ("empty", &[], 0, &[(1, 1, 0)], 12, 0),
        ];
        for (name, mine, mine_end, theirs, theirs_end, want) in cases {
            let (a, b) = (history(mine), history(theirs));
            let got = a.common_end(Lsn::new(mine_end), &b, Lsn::new(theirs_end));
            assert_eq!(got, Lsn::new(want), "{name}");
            let mirrored = b.common_end(Lsn::new(theirs_end), &a, Lsn::new(mine_end));
            assert_eq!(mirrored, Lsn::new(want), "{name}, mirrored");
        }
    }

    #[test]
    fn reigns_must_rise() {
        let mut table = history(&[(1, 1, 0), (3, 1, 5)]);
        let start = |epoch, first| EpochStart {
            epoch: Epoch::new(epoch),
            fork: ForkId::new(9),
            first: Lsn::new(first),
        };
        assert!(matches!(table.push(start(3, 9)), Err(HistoryError::EpochNotLater { .. })));
        assert!(matches!(table.push(start(4, 4)), Err(HistoryError::StartsEarlier { .. })));
        table.push(start(4, 5)).unwrap();
        assert_eq!(table.at(Lsn::new(4)).unwrap().epoch, Epoch::new(1));
        assert_eq!(table.at(Lsn::new(5)).unwrap().epoch, Epoch::new(4));
        table.cut(Lsn::new(5));
        assert_eq!(table.last_epoch(), Epoch::new(1));
    }
}
