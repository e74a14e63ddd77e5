//! Connections to the link's port that never proved to be the peer's: told of, but not one by one.

use std::time::Duration;

use tandem_types::Monotonic;

/// The least time between two lines about them.
const TELL_EVERY: Duration = Duration::from_mins(1);

/// What is known of them.
#[derive(Debug, Default)]
pub(super) struct Strangers {
    /// Since the last line.
    untold: u64,
    told_at: Option<Monotonic>,
}

impl Strangers {
    /// One has ended, for this `reason`.
    pub(super) fn ended(&mut self, now: Monotonic, reason: &str) {
        if let Some(count) = self.note(now) {
            let others = count - 1;
            tracing::warn!(
                others,
                "a connection to the link port did not prove to be the peer's: {reason}"
            );
        }
    }

    /// How many to tell of now.
    fn note(&mut self, now: Monotonic) -> Option<u64> {
        self.untold += 1;
        if self.told_at.is_some_and(|at| now < at.plus(TELL_EVERY)) {
            return None;
        }
        self.told_at = Some(now);
        Some(std::mem::take(&mut self.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storm_is_one_line_a_minute() {
        let mut strangers = Strangers::default();
        let told: Vec<_> = (0..120_000)
            .filter_map(|millis| strangers.note(Monotonic::from_millis(millis)))
            .collect();
        assert_eq!(told, [1, 60_000]);
    }
}
