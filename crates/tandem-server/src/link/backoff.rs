//! When to try again: exponentially later, at a random moment.

use std::io;
use std::time::Duration;

use rustix::rand::{GetRandomFlags, getrandom};

/// Longest wait after the first failure.
const FIRST: Duration = Duration::from_millis(50);
/// Longest wait after many: the pair is without protection while the link is down.
const LAST: Duration = Duration::from_secs(1);
/// Shortest wait, so that a peer that refuses at once is not flooded.
const LEAST: Duration = Duration::from_millis(10);

/// Failures in a row.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The wait after one more failure ("full jitter": any moment up to the exponential bound, so that
    /// nodes that lost one another at once do not come back at once).
    pub(crate) fn failed(&mut self) -> Duration {
        let bound = FIRST.saturating_mul(1 << self.failures.min(16)).min(LAST);
        self.failures = self.failures.saturating_add(1);
        let random = random_bytes::<8>().map_or(u64::MAX / 2, u64::from_le_bytes);
        let nanos = u64::try_from(bound.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(random % nanos.max(1)).max(LEAST)
    }

    /// It worked.
    pub(crate) const fn succeeded(&mut self) {
        self.failures = 0;
    }
}

/// Random bytes from the system.
///
/// # Errors
/// The system has none (it always has, after boot).
pub(crate) fn random_bytes<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    let mut at = 0;
    while at < N {
        at += getrandom(&mut bytes[at..], GetRandomFlags::empty())?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_bound_and_begin_anew_after_success() {
        let mut backoff = Backoff::default();
        for failure in 0..40 {
            let wait = backoff.failed();
            assert!(wait >= LEAST && wait <= LAST, "{wait:?}");
            assert!(failure > 0 || wait <= FIRST);
        }
        backoff.succeeded();
        assert!(backoff.failed() <= FIRST);
    }
}
