//! What goes with slots when they are copied or saved: hidden values, totals of scores, the ledger.

use tandem_merge::{Chunk, Ledger, Op, Origin, Record, apply_own};
use tandem_store::Store;
use tandem_types::{Lsn, NodeId, Pair, SlotId, Stamp};

use super::{CopyFault, Writer};

/// What stands beside the slots `first..=last`, of either side, as chunks; empty: nothing.
pub(crate) fn beside_bytes(store: &mut Store, first: SlotId, last: SlotId) -> Pair<Vec<u8>> {
    let beside = store.beside(first, last);
    let record = |side, ops: Vec<Op>| {
        let (lsn, seen, stamp) = (Lsn::ZERO, Lsn::ZERO, Stamp::ZERO);
        let origin = Origin { side, lsn, seen, stamp };
        if ops.is_empty() { Vec::new() } else { vec![Record { origin, ops }] }
    };
    Pair {
        a: chunk_bytes(record(NodeId::A, beside.a)),
        b: chunk_bytes(record(NodeId::B, beside.b)),
    }
}

/// Counters, sequences and policies, as chunks; empty: there are none.
pub(crate) fn ledger_bytes(store: &Store) -> Pair<Vec<u8>> {
    let said = store.ledger().map_or_else(Pair::default, Ledger::statements);
    Pair { a: chunk_bytes(said.a), b: chunk_bytes(said.b) }
}

fn chunk_bytes(records: Vec<Record>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if !records.is_empty() {
        Chunk { from: Lsn::ZERO, records, whole_at: Lsn::ZERO }.encode(&mut bytes);
    }
    bytes
}

impl Writer {
    /// Makes it so again.
    pub(super) fn load_beside(
        &mut self,
        bytes: Pair<&[u8]>,
        store: &mut Store,
        lsn_end: Lsn,
    ) -> Result<(), CopyFault> {
        for bytes in [bytes.a, bytes.b] {
            if bytes.is_empty() {
                continue;
            }
            let chunk = Chunk::decode(bytes).map_err(|error| CopyFault(error.to_string()))?;
            for record in &chunk.records {
                let side = record.origin.side;
                for op in &record.ops {
                    apply_own(side, op, &mut store.merge_space(lsn_end));
                }
                if record.ops.iter().any(|op| matches!(op, Op::Ledger(_))) {
                    self.site.copied(record, &mut store.merge_space(lsn_end));
                }
            }
        }
        Ok(())
    }
}
