//! Random numbers that a seed replays.

use std::time::{SystemTime, UNIX_EPOCH};

/// `SplitMix64`: small, good enough for choosing test inputs, the same on every machine.
#[derive(Clone, Debug)]
pub struct Rng {
    state: u64,
}

impl Rng {
    /// The sequence of `seed`.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// `TANDEM_E2E_SEED` if set (decimal or `0x` hex), else the clock: callers print what they use.
    pub fn seed_from_environment() -> u64 {
        if let Ok(text) = std::env::var("TANDEM_E2E_SEED") {
            let parsed = text
                .strip_prefix("0x")
                .map_or_else(|| text.parse(), |hex| u64::from_str_radix(hex, 16));
            return parsed.expect("TANDEM_E2E_SEED is a number");
        }
        let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("clock is after 1970");
        u64::from(since.subsec_nanos()) ^ (since.as_secs() << 20)
    }

    /// `TANDEM_E2E_SEED` if set, else `usual`; a search (`TANDEM_E2E_BUDGET` above 1) begins by the clock.
    ///
    /// For what a seed decides alone: the same tests always say the same of the same program.
    pub fn seed_of_test(usual: u64) -> u64 {
        let is_given = std::env::var_os("TANDEM_E2E_SEED").is_some();
        if is_given || crate::skip::budget() > 1 { Self::seed_from_environment() } else { usual }
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.state;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    /// A number below `end`; `end` is at least 1.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next_u64() % end
    }

    /// A place in something of `len` elements; `len` is at least 1.
    pub fn index(&mut self, len: usize) -> usize {
        let below = self.below(u64::try_from(len).expect("lengths fit"));
        usize::try_from(below).expect("below a length")
    }

    /// A number in `low..=high`.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        let span = high.abs_diff(low).saturating_add(1);
        low.wrapping_add_unsigned(self.below(span))
    }

    /// True `part` times out of `of`.
    pub fn chance(&mut self, part: u64, of: u64) -> bool {
        self.below(of) < part
    }

    /// One of `choices`.
    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        let index = self.index(choices.len());
        choices.get(index).expect("index is below the length")
    }
}
