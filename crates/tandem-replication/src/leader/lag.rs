//! How far behind the follower is, in records, bytes and time.

use std::collections::VecDeque;
use std::time::Duration;

use tandem_types::{Lsn, Monotonic};

/// Samples kept; when there are more, every second one is forgotten (the answer gets coarser).
const SAMPLES_MAX: usize = 1024;

/// The follower's distance.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Lag {
    /// Records it has not applied.
    pub records: u64,
    /// Their bytes, about.
    pub bytes: u64,
    /// How long the oldest of them has been waiting.
    pub time: Duration,
}

/// When the log had which end.
#[derive(Clone, Debug, Default)]
pub(super) struct LagMeter {
    samples: VecDeque<Sample>,
    /// The latest sample that is passed.
    base: Option<Sample>,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    end: Lsn,
    log_bytes: u64,
    at: Monotonic,
}

impl LagMeter {
    pub(super) fn appended(&mut self, now: Monotonic, end: Lsn, log_bytes: u64) {
        if self.samples.len() >= SAMPLES_MAX {
            // Dropping a sample makes its records count from the next one: a little too young, never
            // too old, and the oldest sample stays.
            let mut index = 0usize;
            self.samples.retain(|_| {
                index += 1;
                index % 2 == 1
            });
        }
        self.samples.push_back(Sample { end, log_bytes, at: now });
    }

    /// The follower has applied everything before `end`, and it is on its disk.
    pub(super) fn passed(&mut self, end: Lsn) {
        while let Some(sample) = self.samples.front().copied() {
            if sample.end > end {
                break;
            }
            self.base = Some(sample);
            self.samples.pop_front();
        }
    }

    pub(super) fn lag(&self, now: Monotonic, end: Lsn, applied_end: Lsn) -> Lag {
        let records = end.records_since(applied_end).unwrap_or(0);
        let (base, oldest) = self.around(applied_end);
        let (Some(oldest), Some(newest)) = (oldest, self.samples.back()) else {
            return Lag { records, ..Lag::default() };
        };
        let base = base.map_or(0, |sample| sample.log_bytes);
        let bytes = newest.log_bytes.saturating_sub(base);
        Lag { records, bytes, time: now.since(oldest.at) }
    }

    /// Bytes of log from `end` on: that many, or a few more. `None` while the follower has not come as far as
    /// where the first sample was taken.
    pub(super) fn bytes_from(&self, end: Lsn) -> Option<u64> {
        let (base, _) = self.around(end);
        let base = base?;
        let newest = self.samples.back().map_or(base.log_bytes, |it| it.log_bytes);
        Some(newest.saturating_sub(base.log_bytes))
    }

    /// The latest sample not after `end`, and the one that follows it.
    fn around(&self, end: Lsn) -> (Option<Sample>, Option<Sample>) {
        let index = self.samples.partition_point(|sample| sample.end <= end);
        let before = index.checked_sub(1).and_then(|index| self.samples.get(index)).copied();
        (before.or(self.base), self.samples.get(index).copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lag_counts_from_the_oldest_unapplied_record() {
        let mut meter = LagMeter::default();
        for i in 1..=10 {
            meter.appended(Monotonic::from_millis(i * 10), Lsn::new(i), i * 100);
        }
        meter.passed(Lsn::new(2));
        let lag = meter.lag(Monotonic::from_millis(200), Lsn::new(10), Lsn::new(4));
        assert_eq!(lag, Lag { records: 6, bytes: 600, time: Duration::from_millis(150) });
        meter.passed(Lsn::new(10));
        assert_eq!(
            meter.lag(Monotonic::from_millis(200), Lsn::new(10), Lsn::new(10)),
            Lag::default()
        );
    }

    #[test]
    fn bytes_from_a_place_are_never_too_few() {
        let mut meter = LagMeter::default();
        for (end, log_bytes) in [(4, 1_000), (10, 1_700), (11, 5_000)] {
            meter.appended(Monotonic::ZERO, Lsn::new(end), log_bytes);
        }
        let cases =
            [(3, None), (4, Some(4_000)), (9, Some(4_000)), (10, Some(3_300)), (11, Some(0))];
        for (end, want) in cases {
            assert_eq!(meter.bytes_from(Lsn::new(end)), want, "from {end}");
        }
        meter.passed(Lsn::new(10));
        assert_eq!(meter.bytes_from(Lsn::new(10)), Some(3_300), "what is passed is the base");
        meter.passed(Lsn::new(11));
        assert_eq!(meter.bytes_from(Lsn::new(11)), Some(0));
    }

    #[test]
    fn memory_is_bounded_however_far_behind_the_follower_is() {
        let mut meter = LagMeter::default();
        for i in 1..=100_000 {
            meter.appended(Monotonic::from_millis(i), Lsn::new(i), i);
        }
        assert!(meter.samples.len() <= SAMPLES_MAX);
        let lag = meter.lag(Monotonic::from_millis(100_001), Lsn::new(100_000), Lsn::ZERO);
        assert_eq!(lag.time, Duration::from_secs(100));
    }
}
