//! Takes a snapshot of the key space while serving: begin, pieces, finish.
//!
//! ```text
//!  Idle --start--> Walking --last piece taken--> Settling --log durable up to the end--> Finishing --> Idle
//! ```
//! **Not here:** the file (`tandem-snapshot`, written by the snapshot thread).

use tandem_replication::message::push_slot;
use tandem_types::{Lsn, SlotId};

use crate::walk::{EMPTY_SLOTS_PER_STEP, SlotWalk};
use crate::{Core, Output, SnapshotCommand};

/// Bytes of pieces that may wait for the snapshot thread.
const IN_FLIGHT_BYTES_MAX: usize = 8 << 20;
/// Bytes taken in one turn of the event loop: about a millisecond's work.
const TURN_BYTES_MAX: usize = 1 << 20;

/// Bytes of slots in one chunk, about, with two writers: what stands beside them is gathered once for each.
const WRITER_CHUNK_BYTES: usize = 64 << 10;

/// Keys in one chunk, about, of which own writes are noted that the peer may lack.
const NOTED_MAX: usize = 4_096;
/// While there are many of them: slots passed over in one step although they are empty.
const FEW_SLOTS: usize = 16;

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
    /// Bytes taken in one turn.
    turn_bytes: usize,
}

impl SnapshotJob {
    pub(crate) const fn new() -> Self {
        Self { phase: Phase::Idle, in_flight_bytes: 0, turn_bytes: TURN_BYTES_MAX }
    }

    /// Takes one chunk in each turn, of one slot.
    #[cfg(test)]
    pub(crate) const fn slowly(&mut self) {
        self.turn_bytes = 1;
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

    /// Whether slots are still to be taken.
    pub(crate) const fn is_walking(&self) -> bool {
        matches!(self.phase, Phase::Walking { .. })
    }

    /// Does a slice of the work.
    pub(crate) fn advance(&mut self, core: &mut Core) {
        if let Phase::Walking { walk, start } = &mut self.phase {
            // Between two turns the key space of a writer is where its log ends.
            let writer = core.writer.is_some();
            let at = &core.positions;
            let lsn = if writer { at.appended_end } else { at.applied_end };
            let mut taken = 0;
            while self.in_flight_bytes < IN_FLIGHT_BYTES_MAX && taken < self.turn_bytes {
                let Some((first, last, bytes)) = take(walk, core, self.turn_bytes) else { break };
                taken += bytes.len() + 64;
                self.in_flight_bytes += bytes.len();
                core.out.push(Output::Snapshot(SnapshotCommand::Chunk { lsn, first, last, bytes }));
            }
            if walk.is_done() {
                self.phase = Phase::Settling { start: *start, end: lsn };
            }
        }
        if let Phase::Settling { start, end } = self.phase
            && core.positions.durable_end >= end
        {
            self.phase = Phase::Finishing { start };
            core.out.push(Output::Snapshot(SnapshotCommand::Finish { end }));
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

/// The content of the next chunk, and the slots that it speaks for.
fn take(
    walk: &mut SlotWalk,
    core: &mut Core,
    turn_bytes: usize,
) -> Option<(SlotId, SlotId, Vec<u8>)> {
    let chunk_bytes = if core.writer.is_some() { WRITER_CHUNK_BYTES.min(turn_bytes) } else { 1 };
    let mut slots = Vec::new();
    let mut span: Option<(SlotId, SlotId)> = None;
    let mut noted = 0;
    let many = core.writer.as_ref().is_some_and(|it| it.site.index().len() > NOTED_MAX);
    let slots_max = if many { FEW_SLOTS } else { usize::MAX };
    while slots.len() < chunk_bytes
        && noted < NOTED_MAX
        && let Some(piece) = walk.take_among(&core.store, slots_max.min(EMPTY_SLOTS_PER_STEP))
    {
        if many && let Some(writer) = &core.writer {
            noted += writer.site.index().count_within(piece.first, piece.last);
        }
        span = Some((span.map_or(piece.first, |(first, _)| first), piece.last));
        if !piece.bytes.is_empty() {
            slots.reserve(piece.bytes.len() + 16);
            push_slot(&mut slots, piece.last, &piece.bytes);
        } else if core.writer.is_none() {
            break;
        }
    }
    let (first, last) = span?;
    let bytes = match &core.writer {
        Some(writer) => writer.save_slots(&mut core.store, (first, last), &slots),
        None => slots,
    };
    Some((first, last, bytes))
}
