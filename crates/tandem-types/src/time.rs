//! Time as an argument: brains never read a clock.

use std::time::Duration;

/// Nanoseconds of a clock that never goes back and counts suspend (Linux `CLOCK_BOOTTIME`).
///
/// Only differences mean anything, and only on the machine that read it.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Monotonic(u64);

impl Monotonic {
    /// The clock's zero.
    pub const ZERO: Self = Self(0);

    /// A reading, in nanoseconds.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// A reading, in milliseconds (for tests and simulation).
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// The reading, in nanoseconds.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The instant `duration` later (saturating).
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// The reading `duration` earlier, zero at the earliest.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_sub(nanos))
    }

    /// Time from `earlier` to `self`; zero if `earlier` is in fact later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// Milliseconds since 1970 (UTC), as the machine's wall clock says. May jump; never decides a role.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct WallMillis(u64);

impl WallMillis {
    /// A reading.
    pub const fn new(millis: u64) -> Self {
        Self(millis)
    }

    /// The plain number of milliseconds.
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// The two clocks, read together once per turn of the event loop.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Now {
    /// For time-outs and leases.
    pub mono: Monotonic,
    /// For expiry, stamps and people.
    pub wall: WallMillis,
}

/// Hybrid logical clock reading: 48 bits of milliseconds, 16 bits of count.
///
/// Kulkarni et al., "Logical Physical Clocks", 2014. Every record carries one; along one log they rise
/// strictly, so the newest applied stamp tells how old a replica's data is.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Stamp(u64);

impl Stamp {
    /// Before every other stamp.
    pub const ZERO: Self = Self(0);

    /// A stamp read back.
    pub const fn new(value: u64) -> Self {
        Self(value)
    }

    /// The plain value.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Its wall-clock part.
    pub const fn wall(self) -> WallMillis {
        WallMillis(self.0 >> 16)
    }

    /// The next stamp at `wall`: later than `self` even if the wall clock stands still or goes back.
    #[must_use]
    pub const fn tick(self, wall: WallMillis) -> Self {
        let physical = wall.0 << 16;
        if physical > self.0 { Self(physical) } else { Self(self.0.saturating_add(1)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_rise_even_when_the_wall_clock_goes_back() {
        let first = Stamp::ZERO.tick(WallMillis::new(1_000));
        let second = first.tick(WallMillis::new(999));
        assert!(second > first);
        assert_eq!(second.wall(), WallMillis::new(1_000));
        assert_eq!(second.tick(WallMillis::new(1_001)).wall(), WallMillis::new(1_001));
    }
}
