//! How much is done in one turn, so that no turn is long.

use std::time::Duration;

use tandem_types::Monotonic;

/// Bytes of the first stretch, of the shortest and of the longest.
const FIRST: usize = 256 << 10;
const LEAST: usize = 32 << 10;
const MOST: usize = 1 << 20;

/// The size of stretches of work, one in each turn, by how long the turns before took.
///
/// A slow machine takes long for what a fast one does in passing, and during a turn nobody is served and no heartbeat
/// goes: a node that is silent for `failure_timeout` is taken for dead, loses its link, and would begin again where it
/// was.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    bytes: usize,
    /// When the turn before began, if the next one follows at once.
    begun: Option<Monotonic>,
}

impl Default for Pace {
    fn default() -> Self {
        Self { bytes: FIRST, begun: None }
    }
}

impl Pace {
    /// A turn begins: how many bytes it may take.
    pub(super) fn turn(&mut self, now: Monotonic, failure_timeout: Duration) -> usize {
        if let Some(begun) = self.begun.replace(now) {
            let took = now.since(begun);
            if took > failure_timeout / 8 {
                self.bytes = (self.bytes / 2).max(LEAST);
            } else if took < failure_timeout / 32 {
                self.bytes = (self.bytes * 2).min(MOST);
            }
        }
        self.bytes
    }

    /// The next turn waits for something else, however long that takes.
    pub(super) const fn pause(&mut self) {
        self.begun = None;
    }

    /// Bytes of one stretch.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_turns_make_short_stretches_and_waiting_does_not() {
        let timeout = Duration::from_secs(1);
        let mut pace = Pace::default();
        let mut now = Monotonic::from_millis(5_000);
        let mut turn = |pace: &mut Pace, took: u64| {
            now = now.plus(Duration::from_millis(took));
            pace.turn(now, timeout)
        };
        assert_eq!(turn(&mut pace, 900), FIRST, "nothing is known yet");
        assert_eq!(turn(&mut pace, 200), FIRST / 2);
        assert_eq!(turn(&mut pace, 60), FIRST / 2, "neither long nor short");
        for _ in 0..10 {
            turn(&mut pace, 500);
        }
        assert_eq!(pace.bytes(), LEAST);
        pace.pause();
        assert_eq!(turn(&mut pace, 5_000), LEAST, "it waited");
        for _ in 0..10 {
            turn(&mut pace, 1);
        }
        assert_eq!(pace.bytes(), MOST);
    }
}
