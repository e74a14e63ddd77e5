//! Which keys to look at when: an index of deadlines that may be late, never early.
//!
//! Invariant: a key with a deadline has a hint in some bucket at or before that deadline. A hint says
//! only "look here": the key may be gone, or have a later deadline by now (then it is filed again).
//! So moving a deadline back costs nothing at the time, and removing a key leaves its hint behind.

mod cycle;

use std::collections::BTreeMap;

use tandem_types::WallMillis;

use crate::key::{pack_hash, unpack_hash};

/// Milliseconds of one bucket, as a power of two: how late a key may be found (128 ms).
const BUCKET_SHIFT: u32 = 7;
/// Bits of a hint that hold the hash.
const HASH_BITS: u32 = 48;
/// Hints that are looked at together for doubles: sorting these takes some 100 us, however many more
/// keys are due at the same moment.
const CHUNK_HINTS: usize = 4096;

/// Where a key with a deadline may be: slot and table hash in eight bytes.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Hint(u64);

impl Hint {
    pub(crate) const fn new(slot: u16, hash: u64) -> Self {
        Self(((slot as u64) << HASH_BITS) | pack_hash(hash))
    }

    pub(crate) fn slot(self) -> u16 {
        // 64 - 48 bits are left, so it always fits.
        u16::try_from(self.0 >> HASH_BITS).unwrap_or(0)
    }

    pub(crate) const fn hash(self) -> u64 {
        unpack_hash(self.0 & ((1 << HASH_BITS) - 1))
    }
}

/// Deadlines of one database.
#[derive(Debug, Default)]
pub(crate) struct ExpiryIndex {
    buckets: BTreeMap<u64, Vec<Hint>>,
}

impl ExpiryIndex {
    /// A key got a deadline. `before` is the one it had: a later new one needs no new hint.
    #[inline]
    pub(crate) fn note(
        &mut self,
        slot: u16,
        hash: u64,
        before: Option<WallMillis>,
        deadline: WallMillis,
    ) {
        if before.is_none_or(|before| bucket(deadline) < bucket(before)) {
            self.file(Hint::new(slot, hash), deadline);
        }
    }

    /// Puts a hint where it will be looked at once the deadline has passed.
    pub(crate) fn file(&mut self, hint: Hint, deadline: WallMillis) {
        self.buckets.entry(bucket(deadline)).or_default().push(hint);
    }

    /// Takes up to `count` hints whose bucket ended before `now`, mostly without doubles.
    pub(crate) fn take_due(&mut self, now: WallMillis, count: usize, out: &mut Vec<Hint>) {
        while out.len() < count {
            let Some(mut first) = self.buckets.first_entry() else { return };
            if *first.key() >= bucket(now) {
                return;
            }
            let hints = first.get_mut();
            let mut chunk = hints.split_off(hints.len().saturating_sub(CHUNK_HINTS));
            // Keys deleted and set again leave hints behind: one of each is enough.
            chunk.sort_unstable();
            chunk.dedup();
            let keep = chunk.len().saturating_sub(count - out.len());
            out.extend(chunk.drain(keep..));
            hints.append(&mut chunk);
            if hints.is_empty() {
                first.remove();
            }
        }
    }
}

const fn bucket(deadline: WallMillis) -> u64 {
    deadline.get() >> BUCKET_SHIFT
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> WallMillis {
        WallMillis::new(millis)
    }

    fn due(index: &mut ExpiryIndex, now: u64, count: usize) -> Vec<u16> {
        let mut out = Vec::new();
        index.take_due(at(now), count, &mut out);
        out.into_iter().map(Hint::slot).collect()
    }

    #[test]
    fn hints_come_out_once_their_time_is_past() {
        let mut index = ExpiryIndex::default();
        index.note(1, 99, None, at(1000));
        index.note(2, 99, None, at(5000));
        assert_eq!(due(&mut index, 900, 10), []);
        assert_eq!(due(&mut index, 1200, 10), [1]);
        assert_eq!(due(&mut index, 9000, 10), [2]);
        assert_eq!(due(&mut index, u64::MAX, 10), []);
    }

    #[test]
    fn a_later_deadline_adds_no_hint_and_an_earlier_one_does() {
        let mut index = ExpiryIndex::default();
        index.note(1, 7, None, at(1000));
        index.note(1, 7, Some(at(1000)), at(90_000));
        index.note(1, 7, Some(at(90_000)), at(500));
        assert_eq!(due(&mut index, 800, 10), [1]);
        assert_eq!(due(&mut index, 2000, 10), [1]);
        assert_eq!(due(&mut index, 200_000, 10), []);
    }

    #[test]
    fn the_budget_is_kept_and_doubles_collapse() {
        let mut index = ExpiryIndex::default();
        for slot in [3, 3, 3, 4, 5] {
            index.note(slot, 7, None, at(100));
        }
        assert_eq!(due(&mut index, 1000, 2).len(), 2);
        assert_eq!(due(&mut index, 1000, 2).len(), 1);
        assert_eq!(due(&mut index, 1000, 2).len(), 0);
    }

    #[test]
    fn a_hint_keeps_slot_and_hash() {
        let hash = unpack_hash(0x1234_5678_9abc);
        let hint = Hint::new(4095, hash);
        assert_eq!((hint.slot(), hint.hash()), (4095, hash));
    }
}
