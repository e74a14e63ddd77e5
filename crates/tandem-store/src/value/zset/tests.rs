//! A sorted set against a sorted vector.

use super::small::same;
use super::*;

/// A set and what it should be.
#[derive(Default)]
struct Pair {
    zset: Zset,
    model: Vec<(Vec<u8>, f64)>,
    limits: Limits,
}

impl Pair {
    fn insert(&mut self, member: &[u8], score: f64) {
        let old = self.model.iter().position(|(candidate, _)| candidate == member);
        let change = self.zset.insert(member, score, &self.limits);
        let wanted = match old {
            None => ZsetChange::Added,
            Some(at) if same(self.model[at].1, score) => ZsetChange::Same,
            Some(_) => ZsetChange::Updated,
        };
        assert_eq!(change, wanted);
        if change != ZsetChange::Same {
            old.map(|at| self.model.remove(at));
            let at = self.model.partition_point(|(m, s)| (*s, m.as_slice()) < (score, member));
            self.model.insert(at, (member.to_vec(), score));
        }
    }

    fn remove(&mut self, member: &[u8]) {
        let old = self.model.iter().position(|(candidate, _)| candidate == member);
        assert_eq!(self.zset.remove(member), old.is_some());
        old.map(|at| self.model.remove(at));
    }

    fn check(&self) {
        let owned = |(member, score): (&[u8], f64)| (member.to_vec(), score);
        assert_eq!(self.zset.len(), self.model.len());
        assert!(self.zset.iter().map(owned).eq(self.model.iter().cloned()));
        let ranks = self.model.len() / 3..self.model.len() * 2 / 3;
        let wanted = &self.model[ranks.clone()];
        assert!(self.zset.range(ranks.clone()).map(owned).eq(wanted.iter().cloned()));
        assert!(self.zset.range_back(ranks).map(owned).eq(wanted.iter().rev().cloned()));
        for (rank, (member, score)) in self.model.iter().enumerate() {
            assert_eq!(self.zset.rank(member), Some(rank));
            assert_eq!(self.zset.score(member), Some(*score));
            assert_eq!(self.zset.at(rank), Some((member.as_slice(), *score)));
        }
        for bound in [-10.0, 0.0, 3.5, 100.0] {
            let wanted = self.model.iter().filter(|(_, score)| *score < bound).count();
            assert_eq!(self.zset.count_while(|_, score| score < bound), wanted);
        }
        let (mut scanned, mut cursor) = (Vec::new(), 0);
        loop {
            cursor =
                self.zset.scan(cursor, 10, |member, score| scanned.push((member.to_vec(), score)));
            if cursor == 0 {
                break;
            }
        }
        scanned.sort_by(|a, b| a.1.total_cmp(&b.1).then_with(|| a.0.cmp(&b.0)));
        assert_eq!(scanned, self.model);
    }
}

fn play(members: u32, scores: u32, wanted_encoding: &str) {
    let mut pair = Pair::default();
    let mut dice = 1u32;
    for step in 0..6000u32 {
        dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let member = format!("member:{}", (dice >> 8) % members).into_bytes();
        if dice >> 30 == 0 {
            pair.remove(&member);
        } else {
            pair.insert(&member, f64::from((dice >> 12) % scores));
        }
        if step % 1000 == 999 {
            pair.check();
        }
    }
    assert_eq!(pair.zset.encoding(), wanted_encoding);
}

#[test]
fn a_sorted_set_does_what_a_sorted_vector_does_in_both_forms() {
    play(120, 10, "listpack");
    play(120, 1, "listpack");
    play(2000, 1_000_000, "skiplist");
    play(2000, 5, "skiplist");
    play(2000, 1, "skiplist");
}

#[test]
fn infinities_are_first_and_last_and_zeros_are_one_score() {
    for filler in [0, 500] {
        let mut pair = Pair::default();
        for i in 0..filler {
            pair.insert(format!("filler{i}").as_bytes(), f64::from(i));
        }
        pair.insert(b"last", f64::INFINITY);
        pair.insert(b"first", f64::NEG_INFINITY);
        assert_eq!(pair.zset.at(0), Some((&b"first"[..], f64::NEG_INFINITY)));
        assert_eq!(pair.zset.rank(b"last"), Some(pair.zset.len() - 1));
        pair.insert(b"zero", 0.0);
        assert_eq!(pair.zset.insert(b"zero", -0.0, &pair.limits), ZsetChange::Same);
    }
}

#[test]
fn a_long_member_makes_it_large_but_a_known_one_stays_packed() {
    let limits = Limits::default();
    let mut zset = Zset::default();
    zset.insert(&[b'x'; 64], 1.0, &limits);
    zset.insert(&[b'x'; 64], 2.0, &limits);
    assert_eq!(zset.encoding(), "listpack");
    zset.insert(&[b'x'; 65], 2.0, &limits);
    assert_eq!((zset.encoding(), zset.len()), ("skiplist", 2));
}
