//! Pauses between full copies, so that a copy that cannot succeed does not eat the machine.

use std::time::Duration;

use tandem_types::Monotonic;

/// Doubles with each failure, with jitter, until a copy succeeds.
#[derive(Clone, Debug)]
pub(super) struct CopyPause {
    first: Duration,
    longest: Duration,
    failures: u32,
    not_before: Monotonic,
    random: u64,
}

impl CopyPause {
    pub(super) const fn new(first: Duration, longest: Duration, seed: u64) -> Self {
        Self { first, longest, failures: 0, not_before: Monotonic::ZERO, random: seed }
    }

    /// When the next copy may begin.
    pub(super) const fn not_before(&self) -> Monotonic {
        self.not_before
    }

    pub(super) fn failed(&mut self, now: Monotonic) {
        let doubled = self.first.saturating_mul(1 << self.failures.min(16));
        let pause = doubled.min(self.longest);
        self.failures = self.failures.saturating_add(1);
        // Half of it is certain, half is drawn: two nodes that failed together do not return together.
        let half = pause / 2;
        let permille = u32::try_from(self.draw() % 1000).unwrap_or(0);
        self.not_before = now.plus(half + half * permille / 1000);
    }

    pub(super) const fn succeeded(&mut self) {
        self.failures = 0;
        self.not_before = Monotonic::ZERO;
    }

    /// `SplitMix64`: one number is enough, and it must not come from a clock.
    const fn draw(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.random;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_doubles_the_pause_up_to_the_longest() {
        let mut pause = CopyPause::new(Duration::from_secs(1), Duration::from_secs(10), 7);
        let now = Monotonic::from_millis(1_000);
        let mut longest = Duration::ZERO;
        for (failure, whole) in [1u64, 2, 4, 8, 10, 10, 10].into_iter().enumerate() {
            pause.failed(now);
            let waits = pause.not_before().since(now);
            assert!(waits >= Duration::from_millis(whole * 500), "failure {failure}: {waits:?}");
            assert!(waits <= Duration::from_secs(whole), "failure {failure}: {waits:?}");
            longest = longest.max(waits);
        }
        pause.succeeded();
        assert!(pause.not_before() <= now);
    }
}
