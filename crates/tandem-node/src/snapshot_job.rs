//! Takes a snapshot of the key space while serving: begin, pieces, finish.
//!
//! ```text
//!  Idle --start--> Walking --last piece taken--> Settling --log durable up to the end--> Finishing --> Idle
//! ```
//! **Not here:** the file (`tandem-snapshot`, written by the snapshot thread).

use tandem_replication::message::push_slot;
use tandem_store::Store;
use tandem_types::Lsn;

use crate::walk::SlotWalk;
use crate::{Output, Positions, SnapshotCommand};

/// Bytes of pieces that may wait for the snapshot thread.
const IN_FLIGHT_BYTES_MAX: usize = 8 << 20;
/// Bytes taken in one turn of the event loop: about a millisecond's work.
const TURN_BYTES_MAX: usize = 1 << 20;

#[derive(Debug)]
enum Phase {
    Idle,
    Walking { walk: SlotWalk, start: Lsn },
    Settling { start: Lsn, end: Lsn },
    Finishing { start: Lsn },
}

/// The snapshot being taken, if any.
#[derive(Debug)]
pub(crate) struct SnapshotJob {
    phase: Phase,
    in_flight_bytes: usize,
}

impl SnapshotJob {
    pub(crate) const fn new() -> Self {
        Self { phase: Phase::Idle, in_flight_bytes: 0 }
    }

    pub(crate) const fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Idle)
    }

    /// Whether [`Self::advance`] has work that waits for nobody.
    pub(crate) const fn wants_turn(&self) -> bool {
        matches!(self.phase, Phase::Walking { .. }) && self.in_flight_bytes < IN_FLIGHT_BYTES_MAX
    }

    /// Begins, unless one is being taken already. `header` says where the log stands now.
    pub(crate) fn start(
        &mut self,
        generation: u64,
        header: tandem_snapshot::Header,
        out: &mut Vec<Output>,
    ) {
        assert!(self.is_idle(), "one snapshot at a time");
        self.phase = Phase::Walking { walk: SlotWalk::new(), start: header.start };
        out.push(Output::Snapshot(SnapshotCommand::Begin { generation, header: Box::new(header) }));
    }

    /// Does a slice of the work.
    pub(crate) fn advance(&mut self, store: &Store, at: &Positions, out: &mut Vec<Output>) {
        if let Phase::Walking { walk, start } = &mut self.phase {
            let mut taken = 0;
            while self.in_flight_bytes < IN_FLIGHT_BYTES_MAX && taken < TURN_BYTES_MAX {
                let Some(piece) = walk.take(store) else { break };
                taken += piece.bytes.len() + 64;
                let (lsn, first, last) = (at.applied_end, piece.first, piece.last);
                let mut bytes = Vec::with_capacity(piece.bytes.len() + 16);
                if !piece.bytes.is_empty() {
                    push_slot(&mut bytes, last, &piece.bytes);
                }
                self.in_flight_bytes += bytes.len();
                out.push(Output::Snapshot(SnapshotCommand::Chunk { lsn, first, last, bytes }));
            }
            if walk.is_done() {
                self.phase = Phase::Settling { start: *start, end: at.applied_end };
            }
        }
        if let Phase::Settling { start, end } = self.phase
            && at.durable_end >= end
        {
            self.phase = Phase::Finishing { start };
            out.push(Output::Snapshot(SnapshotCommand::Finish { end }));
        }
    }

    /// The thread wrote pieces.
    pub(crate) fn written(&mut self, bytes: usize) {
        self.in_flight_bytes = self.in_flight_bytes.saturating_sub(bytes);
    }

    /// The file counts, or could not be written: either way the next one may begin. Returns the
    /// position the log must reach back to for the finished one.
    pub(crate) fn ended(&mut self) -> Option<Lsn> {
        let was = std::mem::replace(&mut self.phase, Phase::Idle);
        self.in_flight_bytes = 0;
        match was {
            Phase::Finishing { start } => Some(start),
            Phase::Idle | Phase::Walking { .. } | Phase::Settling { .. } => None,
        }
    }

    /// Gives up the snapshot being taken, because the key space is about to be replaced.
    pub(crate) fn abort(&mut self, out: &mut Vec<Output>) {
        if !self.is_idle() {
            out.push(Output::Snapshot(SnapshotCommand::Abort));
            self.phase = Phase::Idle;
            self.in_flight_bytes = 0;
        }
    }
}
