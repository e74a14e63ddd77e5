//! What goes with slots when they are copied or saved: hidden values, totals of scores, the ledger.

use tandem_merge::{Chunk, CodecError, Ledger, Op, Origin, Record, apply_own};
use tandem_store::Store;
use tandem_types::{Lsn, NodeId, Pair, SlotId, Stamp};

use super::{CopyFault, Writer};

/// What stands beside the slots `first..=last`, of either side, as chunks; empty: nothing.
pub(crate) fn beside_bytes(store: &mut Store, first: SlotId, last: SlotId) -> Pair<Vec<u8>> {
    let beside = store.beside(first, last);
    Pair { a: ops_bytes(NodeId::A, beside.a), b: ops_bytes(NodeId::B, beside.b) }
}

/// Counters, sequences and policies, as chunks; empty: there are none.
pub(crate) fn ledger_bytes(store: &Store) -> Pair<Vec<u8>> {
    let said = store.ledger().map_or_else(Pair::default, Ledger::statements);
    Pair { a: chunk_bytes(said.a), b: chunk_bytes(said.b) }
}

/// The same for a snapshot of side `own`, with what it wrote as only one caller can and the peer does not know.
pub(super) fn saved_ledger(store: &Store, own: NodeId) -> Pair<Vec<u8>> {
    let mut said = store.ledger().map_or_else(Pair::default, Ledger::statements);
    let ops = store.exclusive_writes();
    if let Some(record) = said[own].last_mut() {
        record.ops.extend(ops);
    } else if !ops.is_empty() {
        let (lsn, seen, stamp) = (Lsn::ZERO, Lsn::ZERO, Stamp::ZERO);
        said[own].push(Record { origin: Origin { side: own, lsn, seen, stamp }, ops });
    }
    Pair { a: chunk_bytes(said.a), b: chunk_bytes(said.b) }
}

/// Operations of one side, as a chunk; empty: there are none.
pub(crate) fn ops_bytes(side: NodeId, ops: Vec<Op>) -> Vec<u8> {
    let (lsn, seen, stamp) = (Lsn::ZERO, Lsn::ZERO, Stamp::ZERO);
    let origin = Origin { side, lsn, seen, stamp };
    chunk_bytes(if ops.is_empty() { Vec::new() } else { vec![Record { origin, ops }] })
}

/// The operations of a chunk; none if it is empty.
pub(super) fn ops_of(bytes: &[u8]) -> Result<Vec<Op>, CodecError> {
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let records = Chunk::decode(bytes)?.records;
    Ok(records.into_iter().flat_map(|record| record.ops).collect())
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
