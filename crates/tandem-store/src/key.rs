//! A key with its place: hashed once per command, passed by value from then on.

use foldhash::fast::FixedState;
use std::hash::{BuildHasher, Hasher};

pub use tandem_types::slot_of;
pub(crate) use tandem_types::stable_hash;

/// A key, the slot it lives in, and its hash within that slot's table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key<'k> {
    /// The key itself.
    pub(crate) bytes: &'k [u8],
    /// Its slot; the same on every node, for ever: snapshots and filters rely on it.
    pub(crate) slot: u16,
    /// Its hash in the slot's table; differs from process to process.
    pub(crate) hash: u64,
}

/// Where a key stands among those of its slot in the order that `SCAN` walks: 16 bits that no table
/// knows, so they mean the same after a resize, a restart and on the other node.
pub(crate) fn scan_position(key: &[u8]) -> u16 {
    #[expect(clippy::cast_possible_truncation, reason = "16 of the 64 bits are wanted")]
    {
        (stable_hash(0, key) >> 8) as u16
    }
}

/// Hashes keys for the tables of one process.
#[derive(Clone, Debug)]
pub(crate) struct TableHasher(FixedState);

impl TableHasher {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(FixedState::with_seed(seed))
    }

    #[inline]
    pub(crate) fn hash(&self, key: &[u8]) -> u64 {
        let mut hasher = self.0.build_hasher();
        hasher.write(key);
        squeeze(hasher.finish())
    }

    #[inline]
    pub(crate) fn key<'k>(&self, bytes: &'k [u8]) -> Key<'k> {
        Key { bytes, slot: slot_of(bytes), hash: self.hash(bytes) }
    }
}

/// Bits of a table hash that carry information: the top 7 (hashbrown's tag) and the low 41.
///
/// So a table hash packs into the 48 bits that the expiry index keeps of it.
const HASH_BITS_LOW: u32 = 41;
const HASH_BITS_TAG: u32 = 7;

#[inline]
const fn squeeze(hash: u64) -> u64 {
    hash & !(((1 << (64 - HASH_BITS_TAG - HASH_BITS_LOW)) - 1) << HASH_BITS_LOW)
}

/// The 48 bits of a table hash that matter.
pub(crate) const fn pack_hash(hash: u64) -> u64 {
    ((hash >> (64 - HASH_BITS_TAG)) << HASH_BITS_LOW) | (hash & ((1 << HASH_BITS_LOW) - 1))
}

/// The table hash that [`pack_hash`] packed.
pub(crate) const fn unpack_hash(packed: u64) -> u64 {
    ((packed >> HASH_BITS_LOW) << (64 - HASH_BITS_TAG)) | (packed & ((1 << HASH_BITS_LOW) - 1))
}

#[cfg(test)]
mod tests {
    use tandem_types::SLOT_COUNT;

    use super::*;

    #[test]
    fn slots_never_move() {
        // These values are on disks: if this test fails, the snapshot format has changed.
        assert_eq!(
            [
                slot_of(b""),
                slot_of(b"a"),
                slot_of(b"key:1"),
                slot_of(b"a much longer key, 32 bytes long")
            ],
            [249, 106, 6, 3486]
        );
    }

    #[test]
    fn slots_are_spread_evenly() {
        let mut counts = vec![0u32; usize::from(SLOT_COUNT)];
        for i in 0..409_600u32 {
            counts[usize::from(slot_of(format!("key:{i:012}").as_bytes()))] += 1;
        }
        let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
        assert!(*least > 50 && *most < 160, "100 expected, found {least} to {most}");
    }

    #[test]
    fn a_packed_hash_unpacks_to_itself() {
        let hasher = TableHasher::new(7);
        for i in 0..1000u32 {
            let hash = hasher.hash(&i.to_le_bytes());
            assert_eq!(unpack_hash(pack_hash(hash)), hash);
            assert!(pack_hash(hash) < 1 << 48);
        }
    }
}
