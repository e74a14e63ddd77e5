//! A sorted set: members with scores, in order of score, then of bytes.
//!
//! Packed while it is small ([`Small`]); a table for lookup and an order-statistic tree for rank once
//! it is not ([`Large`]). All of both is reachable by rank, so every range command is two searches
//! and a walk.

mod large;
mod order;
mod small;

use std::cmp::Ordering;
use std::ops::Range;

use large::Large;
use small::Small;

use crate::settings::Limits;
use crate::value::packed::Room;

/// See the module's text.
#[derive(Debug)]
pub(crate) struct Zset(Repr);

#[derive(Debug)]
enum Repr {
    Small(Small),
    Large(Box<Large>),
}

/// What giving a member a score changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ZsetChange {
    /// The member is new.
    Added,
    /// It has another score now.
    Updated,
    /// It had that score already.
    Same,
}

impl Default for Zset {
    fn default() -> Self {
        Self(Repr::Small(Small::default()))
    }
}

impl Zset {
    pub(crate) fn len(&self) -> usize {
        match &self.0 {
            Repr::Small(small) => small.len(),
            Repr::Large(large) => large.len(),
        }
    }

    /// Heap bytes, estimated in constant time.
    pub(crate) fn memory(&self) -> usize {
        match &self.0 {
            Repr::Small(small) => small.memory(),
            Repr::Large(large) => size_of::<Large>() + large.memory(),
        }
    }

    /// What `OBJECT ENCODING` says.
    pub(crate) const fn encoding(&self) -> &'static str {
        match &self.0 {
            Repr::Small(_) => "listpack",
            Repr::Large(_) => "skiplist",
        }
    }

    pub(crate) fn score(&self, member: &[u8]) -> Option<f64> {
        match &self.0 {
            Repr::Small(small) => small.find(member).map(|(_, score)| score),
            Repr::Large(large) => large.score(member),
        }
    }

    /// Gives a member a score, which is not NaN.
    pub(crate) fn insert(&mut self, member: &[u8], score: f64, limits: &Limits) -> ZsetChange {
        assert!(!score.is_nan(), "a score is a number");
        let room = Room::new(limits.zset_max_listpack_entries, limits.zset_max_listpack_value);
        if let Repr::Small(small) = &mut self.0 {
            let known = small.find(member).is_some();
            if known || (room.takes(member) && room.holds(small.len() + 1)) {
                return small.insert(member, score);
            }
            let mut large = Large::default();
            for (member, score) in small.iter() {
                large.insert(member, score);
            }
            self.0 = Repr::Large(Box::new(large));
        }
        let Repr::Large(large) = &mut self.0 else { unreachable!("it was made large") };
        large.insert(member, score)
    }

    /// Removes a member; false if it is not in.
    pub(crate) fn remove(&mut self, member: &[u8]) -> bool {
        match &mut self.0 {
            Repr::Small(small) => small.remove(member),
            Repr::Large(large) => large.remove(member),
        }
    }

    /// How many members come before this one.
    pub(crate) fn rank(&self, member: &[u8]) -> Option<usize> {
        match &self.0 {
            Repr::Small(small) => small.find(member).map(|(rank, _)| rank),
            Repr::Large(large) => large.rank(member),
        }
    }

    /// The member with this rank.
    pub(crate) fn at(&self, rank: usize) -> Option<(&[u8], f64)> {
        match &self.0 {
            Repr::Small(small) => small.iter().nth(rank),
            Repr::Large(large) => large.at(rank),
        }
    }

    /// How many members from the first on are `before`: all of them must stand at the front.
    pub(crate) fn count_while(&self, before: impl Fn(&[u8], f64) -> bool) -> usize {
        match &self.0 {
            Repr::Small(small) => {
                small.iter().take_while(|(member, score)| before(member, *score)).count()
            }
            Repr::Large(large) => large.count_while(before),
        }
    }

    /// All members in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], f64)> {
        self.range(0..self.len())
    }

    /// Members of a range of ranks, which is within the set, in order.
    pub(crate) fn range(&self, ranks: Range<usize>) -> impl Iterator<Item = (&[u8], f64)> {
        let (mut from_small, mut from_large) = (None, None);
        match &self.0 {
            Repr::Small(small) => {
                from_small = Some(small.iter().skip(ranks.start).take(ranks.len()));
            }
            Repr::Large(large) => from_large = Some(large.range(ranks)),
        }
        from_small.into_iter().flatten().chain(from_large.into_iter().flatten())
    }

    /// Members of a range of ranks, which is within the set, last to first.
    pub(crate) fn range_back(&self, ranks: Range<usize>) -> impl Iterator<Item = (&[u8], f64)> {
        let (mut from_small, mut from_large) = (None, None);
        match &self.0 {
            Repr::Small(small) => from_small = Some(small.range_back(ranks)),
            Repr::Large(large) => from_large = Some(large.range_back(ranks)),
        }
        from_small.into_iter().flatten().chain(from_large.into_iter().flatten())
    }

    /// Member number `number` in no particular order: a random one if that is. Faster than by rank.
    pub(crate) fn nth(&self, number: usize) -> Option<(&[u8], f64)> {
        match &self.0 {
            Repr::Small(small) => small.iter().nth(number),
            Repr::Large(large) => large.nth(number),
        }
    }

    /// Visits about `count` members from `cursor` on; returns the next cursor, 0 at the end.
    pub(crate) fn scan<'z>(
        &'z self,
        cursor: u64,
        count: usize,
        mut visit: impl FnMut(&'z [u8], f64),
    ) -> u64 {
        match &self.0 {
            Repr::Small(small) => {
                small.iter().for_each(|(member, score)| visit(member, score));
                0
            }
            Repr::Large(large) => large.scan(cursor, count, visit),
        }
    }
}

/// The order of a sorted set. Scores are never NaN; `-0` and `0` are one score.
fn compare(a: (&[u8], f64), b: (&[u8], f64)) -> Ordering {
    a.1.partial_cmp(&b.1).unwrap_or(Ordering::Equal).then_with(|| a.0.cmp(b.0))
}

#[cfg(test)]
mod tests;
