//! Positions in the replication log.

use std::fmt;

use crate::Epoch;

/// Position of one record in the replication log: the number of records before it.
///
/// Starts at 0, rises by one per record; reused only after a cut, under a later [`Epoch`].
/// Names ending in `_end` are exclusive (the first LSN *not yet* ...), so an end is also a count.
/// What people see as `last_lsn` is such an end: the first record is number 1 to them.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Lsn(u64);

impl Lsn {
    /// The position of the first record.
    pub const ZERO: Self = Self(0);
    /// Later than every record.
    pub const MAX: Self = Self(u64::MAX);

    /// The position after `records` records.
    pub const fn new(records: u64) -> Self {
        Self(records)
    }

    /// The number of records before this position.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The position one record later.
    ///
    /// Saturates: 2^64 records cannot be written in the life of a machine.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The position `records` records later (saturating).
    #[must_use]
    pub const fn plus(self, records: u64) -> Self {
        Self(self.0.saturating_add(records))
    }

    /// Records from `earlier` up to `self`; `None` if `earlier` is in fact later.
    pub const fn records_since(self, earlier: Self) -> Option<u64> {
        self.0.checked_sub(earlier.0)
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Running checksum of the log: two logs that agree on it at one LSN agree on everything before.
///
/// `Chain` *at* an LSN covers all records before that LSN; [`Chain::EMPTY`] is the value at LSN 0.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Chain(u64);

impl Chain {
    /// The checksum of no records.
    pub const EMPTY: Self = Self(0);

    /// A checksum read from disk or from the peer.
    pub const fn new(value: u64) -> Self {
        Self(value)
    }

    /// The plain value, for writing to disk or to the peer.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The checksum after one more record, whose own CRC32C is `record_crc`.
    ///
    /// A multiply-xorshift step (the finaliser of `SplitMix64`): cheap, and a difference in any earlier
    /// record changes all later values.
    #[must_use]
    pub const fn after(self, record_crc: u32) -> Self {
        let mut x = self.0.rotate_left(17) ^ (record_crc as u64) ^ 0x9e37_79b9_7f4a_7c15;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Self(x ^ (x >> 31))
    }
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A place in a log that may have forked: the epoch of the last record before it, and the LSN.
///
/// Ordered by epoch first, then LSN.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct LogPosition {
    /// Epoch of the record before `lsn`; [`Epoch::ZERO`] in an empty log.
    pub epoch: Epoch,
    /// The first position not included.
    pub lsn: Lsn,
}

impl fmt::Display for LogPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.epoch, self.lsn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_since_counts_forward_only() {
        assert_eq!(Lsn::new(9).records_since(Lsn::new(4)), Some(5));
        assert_eq!(Lsn::new(4).records_since(Lsn::new(9)), None);
    }

    #[test]
    fn chain_depends_on_order_and_content() {
        let ab = Chain::EMPTY.after(1).after(2);
        assert_ne!(ab, Chain::EMPTY.after(2).after(1));
        assert_ne!(ab, Chain::EMPTY.after(1).after(3));
        assert_eq!(ab, Chain::EMPTY.after(1).after(2));
    }
}
