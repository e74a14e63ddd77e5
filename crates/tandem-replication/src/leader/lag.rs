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
    /// The latest sample that is applied.
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

    pub(super) fn applied(&mut self, applied_end: Lsn) {
        while let Some(sample) = self.samples.front().copied() {
            if sample.end > applied_end {
                break;
            }
            self.base = Some(sample);
            self.samples.pop_front();
        }
    }

    pub(super) fn lag(&self, now: Monotonic, end: Lsn, applied_end: Lsn) -> Lag {
        let records = end.records_since(applied_end).unwrap_or(0);
        let (Some(oldest), Some(newest)) = (self.samples.front(), self.samples.back()) else {
            return Lag { records, ..Lag::default() };
        };
        let base = self.base.map_or(0, |sample| sample.log_bytes);
        let bytes = newest.log_bytes.saturating_sub(base);
        Lag { records, bytes, time: now.since(oldest.at) }
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
        meter.applied(Lsn::new(4));
        let lag = meter.lag(Monotonic::from_millis(200), Lsn::new(10), Lsn::new(4));
        assert_eq!(lag, Lag { records: 6, bytes: 600, time: Duration::from_millis(150) });
        meter.applied(Lsn::new(10));
        assert_eq!(
            meter.lag(Monotonic::from_millis(200), Lsn::new(10), Lsn::new(10)),
            Lag::default()
        );
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
