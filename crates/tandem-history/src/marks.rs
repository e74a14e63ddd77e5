//! Random numbers with a fixed seed: marks of calls, and the inputs of tests.

/// `SplitMix64`.
#[derive(Clone, Debug)]
pub(crate) struct Marks(u64);

impl Marks {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    #[cfg(test)]
    pub(crate) const fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}
