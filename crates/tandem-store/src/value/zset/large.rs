//! A large sorted set: a table by member, and positions in it by rank.

use std::cmp::Ordering;
use std::ops::Range;

use super::order::Order;
use super::small::same;
use super::{ZsetChange, compare};
use crate::value::dense::{Dense, Keyed, Position};
use crate::value::small_bytes::SmallBytes;

/// Each member stands once, in the table; the order knows only its score and its position there.
#[derive(Debug, Default)]
pub(super) struct Large {
    table: Dense<Scored>,
    order: Order<Ranked>,
}

#[derive(Debug)]
struct Scored {
    member: SmallBytes,
    score: f64,
}

/// What the order keeps of a member. Most comparisons are decided by the score alone.
#[derive(Clone, Copy, Debug)]
struct Ranked {
    score: f64,
    position: Position,
}

impl Keyed for Scored {
    fn key(&self) -> &[u8] {
        &self.member
    }

    fn heap_bytes(&self) -> usize {
        self.member.heap_bytes()
    }
}

impl Scored {
    fn parts(&self) -> (&[u8], f64) {
        (&self.member, self.score)
    }
}

impl Large {
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    pub(super) fn memory(&self) -> usize {
        self.table.memory() + self.order.memory()
    }

    pub(super) fn score(&self, member: &[u8]) -> Option<f64> {
        self.table.get(member).map(|scored| scored.score)
    }

    pub(super) fn rank(&self, member: &[u8]) -> Option<usize> {
        self.table.get(member).map(|scored| self.rank_of(scored.parts()))
    }

    pub(super) fn at(&self, rank: usize) -> Option<(&[u8], f64)> {
        (rank < self.len()).then(|| self.table.at(self.order.at(rank).position).parts())
    }

    pub(super) fn insert(&mut self, member: &[u8], score: f64) -> ZsetChange {
        let Some(position) = self.table.find(member) else {
            let rank = self.rank_of((member, score));
            let position = self.table.insert_new(Scored { member: SmallBytes::new(member), score });
            self.order.insert(rank, Ranked { score, position });
            return ZsetChange::Added;
        };
        let old = self.table.at(position).score;
        if same(old, score) {
            return ZsetChange::Same;
        }
        let old_rank = self.rank_of((member, old));
        self.order.remove(old_rank);
        let rank = self.rank_of((member, score));
        self.table.update(position, |scored| scored.score = score);
        self.order.insert(rank, Ranked { score, position });
        ZsetChange::Updated
    }

    pub(super) fn remove(&mut self, member: &[u8]) -> bool {
        let Some(scored) = self.table.get(member) else { return false };
        let rank = self.rank_of(scored.parts());
        self.order.remove(rank);
        // The last entry of the table moves into the gap; the order must learn its new position.
        let last = self.table.nth(self.len() - 1);
        let moved_score = last.score;
        let moved_rank = (&*last.member != member).then(|| self.rank_of(last.parts()));
        if let Some(removed) = self.table.remove(member)
            && let Some(moved_rank) = moved_rank
        {
            let ranked = Ranked { score: moved_score, position: removed.position };
            self.order.replace(moved_rank, ranked);
        }
        true
    }

    pub(super) fn count_while(&self, before: impl Fn(&[u8], f64) -> bool) -> usize {
        self.order.count_while(|ranked| {
            let (member, score) = self.table.at(ranked.position).parts();
            before(member, score)
        })
    }

    pub(super) fn range(&self, ranks: Range<usize>) -> impl Iterator<Item = (&[u8], f64)> {
        self.order.range(ranks).map(|ranked| self.table.at(ranked.position).parts())
    }

    pub(super) fn range_back(&self, ranks: Range<usize>) -> impl Iterator<Item = (&[u8], f64)> {
        self.order.range_back(ranks).map(|ranked| self.table.at(ranked.position).parts())
    }

    pub(super) fn nth(&self, number: usize) -> Option<(&[u8], f64)> {
        (number < self.len()).then(|| self.table.nth(number).parts())
    }

    pub(super) fn scan<'z>(
        &'z self,
        cursor: u64,
        count: usize,
        mut visit: impl FnMut(&'z [u8], f64),
    ) -> u64 {
        self.table.scan(cursor, count, |scored| visit(&scored.member, scored.score))
    }

    /// How many members come before one with this name and score, be it in or not.
    fn rank_of(&self, wanted: (&[u8], f64)) -> usize {
        self.order.count_while(|ranked| {
            let order = ranked.score.partial_cmp(&wanted.1).unwrap_or(Ordering::Equal);
            order == Ordering::Less
                || order == Ordering::Equal
                    && compare(self.table.at(ranked.position).parts(), wanted) == Ordering::Less
        })
    }
}
