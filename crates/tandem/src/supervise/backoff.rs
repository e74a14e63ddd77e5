//! How long the supervisor waits before it starts the node again.

use std::time::Duration;

/// The first restart is almost at once: most crashes do not come back.
const FIRST: Duration = Duration::from_millis(100);
/// A node that cannot run is tried this often.
const LONGEST: Duration = Duration::from_secs(10);
/// A node that ran for so long was well: count anew.
const WELL: Duration = Duration::from_secs(30);

/// Doubles with every early end.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next: FIRST }
    }
}

impl Backoff {
    /// The pause after a run of this length.
    pub(super) fn after(&mut self, ran: Duration) -> Duration {
        if ran >= WELL {
            self.next = FIRST;
        }
        let pause = self.next;
        self.next = (pause * 2).min(LONGEST);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_bound_and_begin_anew_after_a_good_run() {
        let mut backoff = Backoff::default();
        let short = Duration::from_secs(1);
        let pauses: Vec<u128> = (0..9).map(|_| backoff.after(short).as_millis()).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000]);
        assert_eq!(backoff.after(WELL), FIRST);
        assert_eq!(backoff.after(short), FIRST * 2);
    }
}
