//! How long clients wait for their turn: the time in which everybody who waits is served once.
//!
//! One slow command makes one long round, and the next one is short; a server that has too much to do, or
//! is given too little time, has long rounds only. So the *shortest* of a while is what counts.

use std::time::Duration;

use tandem_types::Monotonic;

/// Measures rounds of a first-come queue.
#[derive(Debug, Default)]
pub(crate) struct Rounds {
    begun: Monotonic,
    /// Served so many more, the round is over.
    left: usize,
    shortest: Option<Duration>,
}

impl Rounds {
    /// A turn begins with so many in the queue.
    pub(crate) fn turn(&mut self, now: Monotonic, waiting: usize) {
        if self.left == 0 {
            (self.begun, self.left) = (now, waiting);
        }
    }

    /// The first of the queue is taken.
    pub(crate) const fn taken(&mut self) {
        self.left = self.left.saturating_sub(1);
    }

    /// What was taken in this turn has been carried out by `now`.
    pub(crate) fn carried_out(&mut self, now: Monotonic) {
        if self.left == 0 {
            let took = now.since(self.begun);
            self.shortest = Some(self.shortest.map_or(took, |shortest| shortest.min(took)));
        }
    }

    /// The shortest round since the last call; if none has ended, how long this one has taken so far.
    pub(crate) fn shortest(&mut self, now: Monotonic) -> Duration {
        let running = if self.left > 0 { now.since(self.begun) } else { Duration::ZERO };
        self.shortest.take().unwrap_or(running)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(ms: u64) -> Monotonic {
        Monotonic::from_millis(ms)
    }

    fn round(rounds: &mut Rounds, from: u64, to: u64) {
        rounds.turn(at(from), 2);
        rounds.taken();
        rounds.carried_out(at(from));
        rounds.turn(at(to), 9);
        rounds.taken();
        rounds.carried_out(at(to));
    }

    #[test]
    fn one_long_round_among_short_ones_is_no_wait_and_only_long_ones_are() {
        let mut rounds = Rounds::default();
        assert_eq!(rounds.shortest(at(0)), Duration::ZERO);
        round(&mut rounds, 0, 500);
        round(&mut rounds, 500, 501);
        assert_eq!(rounds.shortest(at(501)), Duration::from_millis(1));
        round(&mut rounds, 600, 1_100);
        round(&mut rounds, 1_100, 1_700);
        assert_eq!(rounds.shortest(at(1_700)), Duration::from_millis(500));
        rounds.turn(at(1_700), 3);
        rounds.taken();
        rounds.carried_out(at(1_700));
        assert_eq!(rounds.shortest(at(2_900)), Duration::from_millis(1_200), "it is not over");
        assert_eq!(rounds.shortest(at(3_000)), Duration::from_millis(1_300));
    }
}
