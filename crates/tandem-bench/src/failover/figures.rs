//! Median, 90th percentile and worst of what was measured.

use std::time::Duration;

/// A list of times, summed up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spread {
    pub(super) median: Duration,
    /// Nine in ten are not longer.
    pub(super) p90: Duration,
    pub(super) worst: Duration,
}

impl Spread {
    /// `None`: nothing was measured.
    pub(super) fn of(times: impl IntoIterator<Item = Duration>) -> Option<Self> {
        let mut times: Vec<Duration> = times.into_iter().collect();
        times.sort_unstable();
        // Nearest rank: the smallest value that so many percent do not exceed.
        let rank = |percent: usize| {
            let rank = (times.len() * percent).div_ceil(100);
            times.get(rank.saturating_sub(1)).copied()
        };
        Some(Self { median: rank(50)?, p90: rank(90)?, worst: rank(100)? })
    }
}

/// In milliseconds, for people.
pub(super) fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(millis: &[u64]) -> Option<[u128; 3]> {
        let spread = Spread::of(millis.iter().map(|&it| Duration::from_millis(it)))?;
        Some([spread.median, spread.p90, spread.worst].map(|time| time.as_millis()))
    }

    #[test]
    fn the_spread_is_by_nearest_rank() {
        assert_eq!(spread(&[]), None);
        assert_eq!(spread(&[7]), Some([7, 7, 7]));
        assert_eq!(spread(&[3, 1, 2]), Some([2, 3, 3]));
        assert_eq!(spread(&[10, 9, 8, 7, 6, 5, 4, 3, 2, 1]), Some([5, 9, 10]));
    }
}
