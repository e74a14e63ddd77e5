//! A whole ledger as statements: what a full copy says of counters, sequences and policies.

use tandem_types::{Lsn, NodeId, Pair, Stamp};

use super::{Ledger, LedgerOp};
use crate::op::{Op, Origin, Record};

impl Ledger {
    /// Everything it holds, as a record: entering it into an empty ledger gives this one.
    pub fn statements(&self) -> Pair<Vec<Record>> {
        let mut ops = Vec::new();
        for (prefix, said) in &self.said {
            let (prefix, policy) = (prefix.clone(), self.policies.get(prefix));
            ops.push(LedgerOp::Policy { prefix, policy, said: *said });
        }
        for (key, counter) in &self.counters {
            ops.push(LedgerOp::Counter(key.clone(), *counter));
        }
        for (key, sequence) in &self.sequences {
            for progress in sequence.all_progress() {
                let (mode, first) = (sequence.mode(), sequence.first());
                ops.push(LedgerOp::Sequence { key: key.clone(), mode, first, progress });
            }
        }
        let mut said = Pair { a: Vec::new(), b: Vec::new() };
        if !ops.is_empty() {
            let (lsn, seen, stamp) = (Lsn::ZERO, Lsn::ZERO, Stamp::ZERO);
            let origin = Origin { side: NodeId::A, lsn, seen, stamp };
            let ops = ops.into_iter().map(Op::Ledger).collect();
            said.a.push(Record { origin, ops });
        }
        said
    }

    /// This side begins anew with what it copied: ids that it gave before, and that nobody kept, are not
    /// given again.
    pub fn new_incarnation(&mut self) {
        for sequence in self.sequences.values_mut() {
            sequence.new_incarnation();
        }
    }

    /// This is what a backup holds: no id that was given since is given again; `from` as
    /// [`crate::sequence::Sequence::restored`] takes it. Rights of bounded counters are as they were: what was
    /// sold since is lost with everything else of that time.
    pub fn restored(&mut self, from: u64) {
        for sequence in self.sequences.values_mut() {
            sequence.restored(from);
        }
    }
}

#[cfg(test)]
mod tests {
    use tandem_types::DbIndex;

    use super::*;
    use crate::escrow::{Counter, Generation};
    use crate::item::Key;
    use crate::policy::Policy;
    use crate::sequence::{Mode, Sequence, WhenDry};

    #[test]
    fn a_ledger_comes_back_from_its_statements() {
        let key = |name: &[u8]| Key { db: DbIndex::ZERO, name: name.into() };
        let mut ledger = Ledger::new();
        let generation = |stamp, by| Generation { stamp: Stamp::new(stamp), by };
        let mut counter = Counter::create(generation(1, NodeId::A), 10, 0, 50).unwrap();
        counter.take(NodeId::B, 2).unwrap();
        ledger.enter(NodeId::A, &LedgerOp::Counter(key(b"stock"), counter));
        let mode = Mode::Leased { lease: 10, when_dry: WhenDry::Strict };
        for side in [NodeId::A, NodeId::B] {
            let mut sequence = Sequence::new(side, mode, 100);
            sequence.burn();
            let progress = sequence.progress();
            let op = LedgerOp::Sequence { key: key(b"id"), mode, first: 100, progress };
            ledger.enter(NodeId::A, &op);
            let prefix = if side == NodeId::A { b"a:" } else { b"b:" };
            let (prefix, policy) = (prefix.as_slice().into(), Some(Policy::Lww));
            ledger
                .enter(NodeId::A, &LedgerOp::Policy { prefix, policy, said: generation(3, side) });
        }
        let prefix = b"b:".as_slice().into();
        let gone = LedgerOp::Policy { prefix, policy: None, said: generation(9, NodeId::A) };
        ledger.enter(NodeId::A, &gone);
        let mut back = Ledger::new();
        let said = ledger.statements();
        for record in said.a.iter().chain(&said.b) {
            for op in &record.ops {
                let Op::Ledger(op) = op else { panic!("{op:?}") };
                back.enter(NodeId::A, op);
            }
        }
        assert_eq!(back, ledger);
    }
}
