//! The hybrid logical clock that stamps own writes.
//!
//! Kulkarni et al., "Logical Physical Clocks", 2014. A stamp only chooses which of two writes wins that
//! did not see each other; convergence does not depend on it. So a peer whose wall clock is far ahead is
//! followed for [`Clock::skew_max_ms`] at most: its fairness is limited, not its safety.

use tandem_types::{Stamp, WallMillis};

/// How far the clock is pulled past the own wall clock by a peer, unless configured otherwise.
pub const SKEW_MS_MAX: u64 = 500;

/// A clock that never gives the same stamp twice.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    last: Stamp,
    skew_ms_max: u64,
}

impl Clock {
    /// A clock whose next stamp is later than `last`, the newest own stamp in the log.
    pub const fn new(last: Stamp, skew_ms_max: u64) -> Self {
        Self { last, skew_ms_max }
    }

    /// How far a peer may pull it.
    pub const fn skew_max_ms(&self) -> u64 {
        self.skew_ms_max
    }

    /// The newest stamp given or heard of.
    pub const fn last(&self) -> Stamp {
        self.last
    }

    /// The stamp of an own write.
    pub fn tick(&mut self, wall: WallMillis) -> Stamp {
        self.last = self.last.tick(wall);
        self.last
    }

    /// A stamp of the peer was seen: own later ones rank above it, unless it is too far ahead.
    pub fn observe(&mut self, theirs: Stamp, wall: WallMillis) {
        let limit = wall.get().saturating_add(self.skew_ms_max);
        if theirs.wall().get() <= limit {
            self.last = self.last.max(theirs);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_pulls_the_clock_only_so_far() {
        let stamp = |ms: u64| Stamp::ZERO.tick(WallMillis::new(ms));
        let mut clock = Clock::new(Stamp::ZERO, SKEW_MS_MAX);
        clock.observe(stamp(1_400), WallMillis::new(1_000));
        assert!(clock.tick(WallMillis::new(1_000)) > stamp(1_400));
        let before = clock.last();
        clock.observe(stamp(9_000), WallMillis::new(1_000));
        assert_eq!(clock.last(), before);
        assert!(clock.tick(WallMillis::new(5)) > before, "it never goes back");
    }
}
