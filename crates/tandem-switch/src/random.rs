//! Marks for reigns and pairs, drawn from a seed that the surroundings take from the system.

use tandem_types::{ForkId, PairId};

/// `SplitMix64`. Marks must differ between boots and nodes, not resist an attacker.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    pub(crate) const fn fork(&mut self) -> ForkId {
        ForkId::new(self.next())
    }

    /// Never [`PairId::NONE`].
    pub(crate) fn pair(&mut self) -> PairId {
        let id = (u128::from(self.next()) << 64) | u128::from(self.next());
        PairId::new(id.max(1))
    }
}
