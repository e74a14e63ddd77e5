//! What a full copy needs beside the slots: hidden values, totals of scores, and leaving out of a record
//! what the copy will hold anyway.

use tandem_merge::{Key, KeyOp, Op, Score, Space};
use tandem_types::{Lsn, NodeId, Pair, SlotId};

use crate::key::stable_hash;
use crate::store::Store;

impl Store {
    /// What stands beside the slots `first..=last`, as operations of either side that make it so once the
    /// slots are there.
    pub fn beside(&mut self, first: SlotId, last: SlotId) -> Pair<Vec<Op>> {
        let hidden = self.shadow.hidden.within(first, last);
        let hidden: Vec<Key> = hidden.map(|(key, _)| key.clone()).collect();
        let mut ops = Pair::<Vec<Op>>::default();
        for key in hidden {
            let space = self.merge_space(Lsn::ZERO);
            let content = Box::new(space.content(&key));
            let deadline = space.deadline(&key);
            // Scores of a sorted set that is not shown have their totals in its content alone.
            for (member, score) in &content.zset {
                push_score(&mut ops, &key, member, score);
            }
            ops.a.insert(0, Op::Key(key, KeyOp::Restore { content, deadline }));
        }
        for (key, scores) in self.shadow.scores.within(first, last) {
            if self.shadow.hidden.contains_key(key) {
                continue;
            }
            for (member, score) in scores {
                push_score(&mut ops, key, member, score);
            }
        }
        ops
    }

    /// Leaves of a record's operations those on slots before `next`, which a copy under way has brought;
    /// `next` itself and those after it will come with everything in them. `None`: all have come.
    pub fn only_copied(&self, ops: &mut Vec<Op>, next: Option<SlotId>) {
        let Some(next) = next else { return };
        let has_come = |key: &Key| key.slot() < next;
        for op in std::mem::take(ops) {
            match op {
                Op::Key(key, op) if has_come(&key) => ops.push(Op::Key(key, op)),
                Op::Key(..) => {}
                // What has not come yet is not here either.
                Op::Flush(_) | Op::Ledger(_) => ops.push(op),
            }
        }
    }

    /// Nothing stands beside the key space: its hash is that of nothing, whatever is on its way.
    pub fn has_nothing_beside(&self) -> bool {
        self.shadow.hidden.is_empty() && self.shadow.scores.is_empty()
    }

    /// A hash of what stands beside the key space, as [`Store::digest_all`] is one of the key space.
    pub fn digest_beside(&self) -> u64 {
        let mut sum = 0u64;
        let mut add = |key: &Key, bytes: &[u8]| {
            let seed = stable_hash(u64::from(key.db.get()) + 1, &key.name);
            sum = sum.wrapping_add(stable_hash(seed, bytes));
        };
        for (key, content) in self.shadow.hidden.iter() {
            add(key, format!("{content:?}").as_bytes());
        }
        for (key, scores) in self.shadow.scores.iter() {
            for (member, score) in scores {
                let totals = [score.base, score.by_a, score.by_b].map(f64::to_bits);
                let bytes: Vec<u8> = totals.iter().flat_map(|bits| bits.to_le_bytes()).collect();
                add(key, &[&**member, &bytes].concat());
            }
        }
        sum
    }
}

fn push_score(ops: &mut Pair<Vec<Op>>, key: &Key, member: &[u8], score: &Score) {
    let mut push = |side: NodeId, op| ops[side].push(Op::Key(key.clone(), op));
    if (score.by_a, score.by_b) == (0.0, 0.0) {
        return;
    }
    push(NodeId::A, KeyOp::ScoreSet(member.into(), score.base));
    for (side, total) in [(NodeId::A, score.by_a), (NodeId::B, score.by_b)] {
        push(side, KeyOp::ScoreAdd(member.into(), vec![total]));
    }
}
