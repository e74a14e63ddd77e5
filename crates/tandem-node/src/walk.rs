//! Walks the key space slot by slot, at the pace of whoever takes the pieces.
//!
//! Nothing is frozen while the walk goes on: each piece carries the position at which it was taken, and
//! whoever uses the pieces replays the log from the walk's start, applying to each slot only what came
//! after its piece (ADR 2026-11-22 "fuzzy snapshots").

use tandem_store::Store;
use tandem_types::SlotId;

/// Empty slots passed over in one step: keeps a step under a few dozen microseconds.
pub(crate) const EMPTY_SLOTS_PER_STEP: usize = 8192;

/// One piece: the content of `last`. The slots from `first` up to it were empty at the same position.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Piece {
    /// The first slot that this piece speaks for.
    pub(crate) first: SlotId,
    /// The last one, and the only one that may have content.
    pub(crate) last: SlotId,
    /// Its serialised entries; empty for an empty slot.
    pub(crate) bytes: Vec<u8>,
}

/// Where a walk is.
#[derive(Clone, Debug)]
pub(crate) struct SlotWalk {
    next: Option<SlotId>,
}

impl SlotWalk {
    /// At the first slot.
    pub(crate) const fn new() -> Self {
        Self { next: Some(SlotId::FIRST) }
    }

    /// At `first`.
    pub(crate) const fn from(first: SlotId) -> Self {
        Self { next: Some(first) }
    }

    /// Whether every slot was taken.
    pub(crate) const fn is_done(&self) -> bool {
        self.next.is_none()
    }

    /// Takes the next piece: the next slot with content, or a stretch of empty ones.
    pub(crate) fn take(&mut self, store: &Store) -> Option<Piece> {
        self.take_among(store, EMPTY_SLOTS_PER_STEP)
    }

    /// The same, passing over fewer empty slots.
    pub(crate) fn take_among(&mut self, store: &Store, slots_max: usize) -> Option<Piece> {
        let first = self.next?;
        let mut slot = first;
        for _ in 1..slots_max {
            if !store.slot_is_empty(slot) {
                break;
            }
            match slot.next() {
                Some(next) => slot = next,
                None => break,
            }
        }
        let mut bytes = Vec::new();
        store.serialize_slot(slot, &mut bytes);
        self.next = slot.next();
        Some(Piece { first, last: slot, bytes })
    }
}
