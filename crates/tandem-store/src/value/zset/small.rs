//! A small sorted set: members in order, in one flat buffer.

use std::cmp::Ordering;
use std::ops::Range;

use super::{ZsetChange, compare};
use crate::value::packed::{Packed, Place};

/// Member, score (8 bytes, little-endian), member, score, ...
#[derive(Debug, Default)]
pub(super) struct Small {
    pairs: Packed,
    len: usize,
}

impl Small {
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) fn memory(&self) -> usize {
        self.pairs.memory()
    }

    /// Rank and score of a member.
    pub(super) fn find(&self, member: &[u8]) -> Option<(usize, f64)> {
        let (rank, (_, score)) =
            self.iter().enumerate().find(|(_, (candidate, _))| *candidate == member)?;
        Some((rank, score))
    }

    pub(super) fn insert(&mut self, member: &[u8], score: f64) -> ZsetChange {
        let old = self.place_where(|candidate, _| candidate == member);
        if let Some((place, old_score)) = old {
            if same(old_score, score) {
                return ZsetChange::Same;
            }
            self.pairs.remove(place, 2);
        }
        let behind = |candidate: &[u8], its: f64| {
            compare((candidate, its), (member, score)) == Ordering::Greater
        };
        let place = self.place_where(behind).map_or(self.pairs.end(), |(place, _)| place);
        // The score first: what is inserted second stands before it.
        self.pairs.insert(place, &score.to_le_bytes());
        self.pairs.insert(place, member);
        self.len += usize::from(old.is_none());
        if old.is_none() { ZsetChange::Added } else { ZsetChange::Updated }
    }

    pub(super) fn remove(&mut self, member: &[u8]) -> bool {
        let Some((place, _)) = self.place_where(|candidate, _| candidate == member) else {
            return false;
        };
        self.pairs.remove(place, 2);
        self.len -= 1;
        true
    }

    /// Members in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], f64)> {
        self.places().map(|(_, member, score)| (member, score))
    }

    /// Members of a range of ranks, last to first.
    pub(super) fn range_back(&self, ranks: Range<usize>) -> impl Iterator<Item = (&[u8], f64)> {
        let members: Vec<_> = self.iter().skip(ranks.start).take(ranks.len()).collect();
        members.into_iter().rev()
    }

    fn places(&self) -> impl Iterator<Item = (Place, &[u8], f64)> {
        let mut strings = self.pairs.iter();
        std::iter::from_fn(move || {
            let (place, member) = strings.next()?;
            let (_, score) = strings.next()?;
            let score = <[u8; 8]>::try_from(score).ok()?;
            Some((place, member, f64::from_le_bytes(score)))
        })
    }

    fn place_where(&self, is_it: impl Fn(&[u8], f64) -> bool) -> Option<(Place, f64)> {
        self.places()
            .find(|(_, member, score)| is_it(member, *score))
            .map(|(place, _, score)| (place, score))
    }
}

/// Equal as numbers: `-0` and `0` are one score, as in Redis.
#[expect(clippy::float_cmp, reason = "the exact value is meant")]
pub(super) fn same(a: f64, b: f64) -> bool {
    a == b
}
