//! How much is used where, and how many rights go there.
//!
//! A side that is short asks, saying how much it lacks and how fast it uses; the other gives in proportion
//! to the two rates, and keeps its own share. So with the link up the last unit can be taken anywhere, and
//! a pair of which only one node is used has all rights there after a while.

use std::time::Duration;

use tandem_types::Monotonic;

/// Between two grants of one counter, so that one unit does not travel to and fro.
pub const GRANT_EVERY: Duration = Duration::from_millis(100);

/// Use older than this counts for little.
const WINDOW_SECONDS: f64 = 10.0;

/// How fast a side takes from a counter: a moving average over ten seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Demand {
    per_second: f64,
    at: Monotonic,
}

impl Demand {
    /// Nothing was taken yet.
    pub const fn new(now: Monotonic) -> Self {
        Self { per_second: 0.0, at: now }
    }

    /// `count` were taken, or asked for.
    pub fn note(&mut self, now: Monotonic, count: u64) {
        #[expect(clippy::cast_precision_loss, reason = "an average needs no more")]
        let more = count as f64 / WINDOW_SECONDS;
        self.per_second = self.per_second(now) + more;
        // Never back: what a clock that was set back says is as of before.
        self.at = self.at.max(now);
    }

    /// The average as of now.
    pub fn per_second(&self, now: Monotonic) -> f64 {
        self.per_second * (-now.since(self.at).as_secs_f64() / WINDOW_SECONDS).exp()
    }
}

/// A request for rights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ask {
    /// What the asking side has.
    pub have: u64,
    /// What it needs at once.
    pub want: u64,
    /// How fast it uses them.
    pub per_second: f64,
}

/// Parts of a unit a second in which a rate is written.
const RATE_PARTS: f64 = 1000.0;

impl Ask {
    /// The rate in thousandths of a unit a second, as it is written.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rate is not negative, and one beyond 2^64 saturates"
    )]
    pub fn rate(&self) -> u64 {
        (self.per_second * RATE_PARTS) as u64
    }

    /// An ask that was read.
    #[expect(clippy::cast_precision_loss, reason = "an average needs no more")]
    pub fn of_rate(have: u64, want: u64, rate: u64) -> Self {
        Self { have, want, per_second: rate as f64 / RATE_PARTS }
    }

    /// Whether a side with these rights should ask: less than two seconds' use, or clients wait for more.
    pub fn is_due(&self) -> bool {
        #[expect(clippy::cast_precision_loss, reason = "a mark, not an account")]
        let have = self.have as f64;
        self.want > self.have || have < self.per_second * 2.0
    }
}

/// How many of its `rights` the asked side gives, using `per_second` itself.
pub fn grant(rights: u64, per_second: f64, ask: &Ask) -> u64 {
    let total = u128::from(rights) + u128::from(ask.have);
    let share = if ask.per_second <= 0.0 {
        0.0
    } else {
        ask.per_second / (ask.per_second + per_second.max(0.0))
    };
    // In thousandths, so that no account is kept in floating point.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and 1000"
    )]
    let thousandths = (share * 1000.0) as u128;
    let by_rate = (total * thousandths / 1000).saturating_sub(u128::from(ask.have));
    // Someone waits there: up to half goes, the last one too.
    let lacking = ask.want.saturating_sub(ask.have).min(rights.div_ceil(2));
    u64::try_from(by_rate).unwrap_or(u64::MAX).max(lacking).min(rights)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(have: u64, want: u64, per_second: f64) -> Ask {
        Ask { have, want, per_second }
    }

    #[test]
    fn rights_go_where_they_are_used() {
        assert_eq!(grant(100, 0.0, &ask(0, 1, 50.0)), 100, "nobody else uses them");
        assert_eq!(grant(100, 50.0, &ask(0, 1, 50.0)), 50, "equal use");
        assert_eq!(grant(100, 50.0, &ask(100, 1, 50.0)), 0, "it has its share");
        assert_eq!(grant(1, 50.0, &ask(0, 1, 1.0)), 1, "the last one, for a client that waits");
        assert_eq!(grant(0, 0.0, &ask(0, 5, 1.0)), 0);
    }

    #[test]
    fn old_use_fades() {
        let mut demand = Demand::new(Monotonic::ZERO);
        demand.note(Monotonic::ZERO, 100);
        let now = demand.per_second(Monotonic::ZERO);
        let later = demand.per_second(Monotonic::from_millis(10_000));
        assert!(later < now / 2.0 && later > now / 4.0, "{now} {later}");
    }
}
