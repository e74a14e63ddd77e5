//! The two clocks, read together once per turn.
//!
//! Through the C library's symbol, as `std` and tokio read theirs: a test that lets one machine's clocks run
//! at another rate replaces that symbol, and must reach every clock of the process alike.

use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_gettime};
use tandem_types::{Monotonic, Now, WallMillis};

/// Reads both clocks; about 50 ns, no system call (vDSO).
///
/// `CLOCK_BOOTTIME` and not `CLOCK_MONOTONIC`: a lease must run out while the machine is suspended.
pub fn now() -> Now {
    Now { mono: monotonic(), wall: wall() }
}

/// Reads the clock that never goes back.
pub fn monotonic() -> Monotonic {
    let at = read(ClockId::CLOCK_BOOTTIME);
    Monotonic::from_nanos(unsigned(at.tv_sec()) * 1_000_000_000 + unsigned(at.tv_nsec()))
}

fn wall() -> WallMillis {
    let at = read(ClockId::CLOCK_REALTIME);
    WallMillis::new(unsigned(at.tv_sec()) * 1_000 + unsigned(at.tv_nsec()) / 1_000_000)
}

fn read(clock: ClockId) -> TimeSpec {
    // clock_gettime(2) fails only for a clock that the kernel does not know: both are in every Linux since 2.6.39.
    clock_gettime(clock).expect("the kernel has this clock")
}

/// A wall clock set before 1970 reads as 1970.
fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_monotonic_clock_does_not_go_back() {
        let first = now();
        let second = now();
        assert!(second.mono >= first.mono);
        assert!(first.wall > WallMillis::new(1_700_000_000_000));
    }
}
