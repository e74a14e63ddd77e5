//! What needs no merge rule: bounded counters, sequences, policies.
//!
//! Their records are statements that hold whenever they are heard, in whatever order and how often: totals
//! that only grow, and for policies the latest word. So own and foreign ones are entered the same way, and
//! of many about one thing the last is enough.
//!
//! Three kinds of statement concern no entry here and are for whoever keeps the ledger: [`LedgerOp::Ask`],
//! [`LedgerOp::Exclusive`], [`LedgerOp::Resolved`].

mod copy;

use std::collections::BTreeMap;

use tandem_types::{NodeId, Stamp};

use crate::conflict::Item;
use crate::escrow::{Asked, Counter, Generation, Statement};
use crate::item::{Bytes, Key};
use crate::policy::{Policies, Policy};
use crate::sequence::{Mode, Progress, Sequence};

/// One statement.
#[derive(Clone, Debug, PartialEq)]
pub enum LedgerOp {
    /// A bounded counter was created or reset, as this.
    Counter(Key, Counter),
    /// What one side has done to it since.
    Escrow(Key, Statement),
    /// How far one side is in a sequence, which begins at `first` if it is new here.
    Sequence {
        /// The key.
        key: Key,
        /// How it is kept unique.
        mode: Mode,
        /// The first id of either side.
        first: u64,
        /// How far the side is.
        progress: Progress,
    },
    /// Keys with this prefix are treated so; `None`: as if it had never been said.
    Policy {
        /// The prefix.
        prefix: Bytes,
        /// The policy.
        policy: Option<Policy>,
        /// When it was said, and by whom: the latest word counts.
        said: Generation,
    },
    /// A side that is short of rights asks for some.
    Ask(Asked),
    /// The record this stands in wrote the key because its writer found it as only one caller can.
    Exclusive(Key),
    /// A person has decided what this part of a key is, so all conflicts about it that were known.
    Resolved(Key, Item),
}

/// All counters, sequences and policies, as one side knows them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ledger {
    counters: BTreeMap<Key, Counter>,
    sequences: BTreeMap<Key, Sequence>,
    policies: Policies,
    /// When each prefix was last spoken of, and by whom.
    said: BTreeMap<Bytes, Generation>,
}

impl Ledger {
    /// Nothing is there.
    pub fn new() -> Self {
        Self::default()
    }

    /// Enters a statement of either side, at `here`.
    pub fn enter(&mut self, here: NodeId, op: &LedgerOp) {
        match op {
            LedgerOp::Counter(key, new) => {
                let known = self.counters.entry(key.clone()).or_insert(*new);
                if new.generation() > known.generation() {
                    *known = *new;
                } else {
                    known.agree(new);
                }
            }
            LedgerOp::Escrow(key, statement) => {
                if let Some(counter) = self.counters.get_mut(key) {
                    counter.merge(statement);
                }
            }
            LedgerOp::Sequence { key, mode, first, progress } => {
                let sequence = self.sequences.entry(key.clone());
                let new = || Sequence::new(here, *mode, *first);
                sequence.or_insert_with(new).merge(progress);
            }
            LedgerOp::Policy { prefix, policy, said } => {
                // On equal stamps A's word counts, as everywhere: `peer` ranks it above B's.
                let rank = |said: &Generation| (said.stamp, said.by.peer());
                if self.said.get(prefix).is_none_or(|before| rank(said) >= rank(before)) {
                    self.said.insert(prefix.clone(), *said);
                    self.policies.set(prefix, *policy);
                }
            }
            LedgerOp::Ask(_) | LedgerOp::Exclusive(_) | LedgerOp::Resolved(..) => {}
        }
    }

    /// The stamp of the newest creation or policy: later ones rank above it.
    pub fn newest(&self) -> Stamp {
        let created = self.counters.values().map(|counter| counter.generation().stamp);
        created.chain(self.said.values().map(|said| said.stamp)).max().unwrap_or_default()
    }

    /// No policy, counter or sequence: no key is anything but plain.
    pub fn is_plain(&self) -> bool {
        self.policies.is_empty() && self.counters.is_empty() && self.sequences.is_empty()
    }

    /// A counter that was created or reset here.
    pub fn put_counter(&mut self, key: Key, counter: Counter) {
        self.counters.insert(key, counter);
    }

    /// A sequence that begins here.
    pub fn put_sequence(&mut self, key: Key, sequence: Sequence) {
        self.sequences.insert(key, sequence);
    }

    /// All counters, in order.
    pub fn counters(&self) -> impl Iterator<Item = (&Key, &Counter)> {
        self.counters.iter()
    }

    /// All sequences, in order.
    pub fn sequences(&self) -> impl Iterator<Item = (&Key, &Sequence)> {
        self.sequences.iter()
    }

    /// A bounded counter.
    pub fn counter(&self, key: &Key) -> Option<&Counter> {
        self.counters.get(key)
    }

    /// A bounded counter, to be changed; what it says of that is to be written.
    pub fn counter_mut(&mut self, key: &Key) -> Option<&mut Counter> {
        self.counters.get_mut(key)
    }

    /// A sequence.
    pub fn sequence(&self, key: &Key) -> Option<&Sequence> {
        self.sequences.get(key)
    }

    /// A sequence, to be changed; its progress is to be written.
    pub fn sequence_mut(&mut self, key: &Key) -> Option<&mut Sequence> {
        self.sequences.get_mut(key)
    }

    /// The policies.
    pub const fn policies(&self) -> &Policies {
        &self.policies
    }
}

#[cfg(test)]
mod tests {
    use tandem_types::DbIndex;

    use super::*;
    use crate::sequence::WhenDry;

    fn key(name: &[u8]) -> Key {
        Key { db: DbIndex::ZERO, name: name.into() }
    }

    /// Statements about one counter, one sequence, one policy.
    fn statements() -> Vec<LedgerOp> {
        let generation = Generation { stamp: Stamp::new(1), by: NodeId::A };
        let mut counter = Counter::create(generation, 10, 0, 50).unwrap();
        let created = LedgerOp::Counter(key(b"stock"), counter);
        let mut said = vec![created];
        for side in [NodeId::A, NodeId::B] {
            for _ in 0..3 {
                let statement = counter.take(side, 1).unwrap();
                said.push(LedgerOp::Escrow(key(b"stock"), statement));
            }
            let mode = Mode::Leased { lease: 10, when_dry: WhenDry::Strict };
            let mut sequence = Sequence::new(side, mode, 100);
            sequence.burn();
            let progress = sequence.progress();
            said.push(LedgerOp::Sequence { key: key(b"id"), mode, first: 100, progress });
            let policy = if side == NodeId::A { Policy::Lww } else { Policy::Refuse };
            said.push(LedgerOp::Policy {
                prefix: b"p".as_slice().into(),
                policy: Some(policy),
                said: Generation { stamp: Stamp::new(4), by: side },
            });
        }
        said
    }

    #[test]
    fn order_and_repetition_do_not_matter_once_it_exists() {
        let said = statements();
        let entered = |order: &[usize]| {
            let mut ledger = Ledger::new();
            ledger.enter(NodeId::A, &said[0]);
            for number in order {
                ledger.enter(NodeId::A, &said[*number]);
            }
            ledger
        };
        let forth: Vec<usize> = (0..said.len()).collect();
        let back: Vec<usize> = forth.iter().rev().copied().collect();
        let twice: Vec<usize> = forth.iter().chain(&back).copied().collect();
        let ledger = entered(&forth);
        assert_eq!(ledger, entered(&back));
        assert_eq!(ledger, entered(&twice));
        assert_eq!(ledger.counter(&key(b"stock")).unwrap().value(), 4);
        assert_eq!(ledger.policies().of(b"p1"), Policy::Lww, "side A's word on equal stamps");
    }
}
