//! Tables for people, every sample as JSON for programs.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::json;

use super::Way;
use super::load::{Figures, Kind};
use crate::report::median;

/// One measurement.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    pub(super) way: Way,
    pub(super) kind: Kind,
    pub(super) clients: u32,
    pub(super) round: u32,
    pub(super) figures: Figures,
    /// Processor time of both nodes per write, in microseconds.
    pub(super) cpu_us: f64,
}

impl Way {
    const fn name(self) -> &'static str {
        match self {
            Self::OnePrimary => "one primary",
            Self::OneOfTwo => "two, load on one",
            Self::Both => "two, load on both",
        }
    }
}

/// Medians per load, with the medians of each round's ratio to the pair with one primary.
pub(super) fn speed(samples: &[Sample]) -> String {
    let mut out = format!(
        "{:<8} {:>7} {:<18} {:>9} {:>6} {:>9} {:>6} {:>8} {:>8}\n",
        "command", "clients", "pair", "writes/s", "ratio", "CPU us/op", "ratio", "p50 ms", "p99 ms"
    );
    let mut loads: Vec<(Kind, u32, Way)> =
        samples.iter().map(|sample| (sample.kind, sample.clients, sample.way)).collect();
    loads.sort_unstable();
    loads.dedup();
    for (kind, clients, way) in loads {
        let of = |wanted: Way| -> Vec<&Sample> {
            let fits = |sample: &&Sample| {
                sample.kind == kind && sample.clients == clients && sample.way == wanted
            };
            samples.iter().filter(fits).collect()
        };
        let (mine, base) = (of(way), of(Way::OnePrimary));
        let value = |field: fn(&Sample) -> f64| median(mine.iter().map(|s| field(s)).collect());
        let ratio = |field: fn(&Sample) -> f64| {
            let ratios = mine.iter().filter_map(|sample| {
                let other = base.iter().find(|other| other.round == sample.round)?;
                Some(field(sample) / field(other))
            });
            median(ratios.collect())
        };
        writeln!(
            out,
            "{:<8} {clients:>7} {:<18} {:>9.0} {:>6.2} {:>9.1} {:>6.2} {:>8.2} {:>8.2}",
            kind.name(),
            way.name(),
            value(|sample| sample.figures.per_second),
            ratio(|sample| sample.figures.per_second),
            value(|sample| sample.cpu_us),
            ratio(|sample| sample.cpu_us),
            value(|sample| sample.figures.p50_ms),
            value(|sample| sample.figures.p99_ms),
        )
        .ok();
    }
    out
}

/// Every sample.
pub(super) fn speed_json(samples: &[Sample]) -> serde_json::Value {
    let list = samples.iter().map(|sample| {
        json!({
            "pair": sample.way.name(), "command": sample.kind.name(), "clients": sample.clients,
            "round": sample.round, "operations": sample.figures.operations,
            "per_second": sample.figures.per_second, "p50_ms": sample.figures.p50_ms,
            "p99_ms": sample.figures.p99_ms, "cpu_us_per_op": sample.cpu_us,
        })
    });
    serde_json::Value::Array(list.collect())
}

/// In milliseconds, of sorted times; 0 if there are none.
pub(super) fn percentile(sorted: &[Duration], percent: usize) -> f64 {
    let at = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(at).map_or(0.0, |time| time.as_secs_f64() * 1e3)
}

/// Of one, five and fifteen minutes.
pub(super) fn load_average() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hundredth_percentile_is_the_worst() {
        let times: Vec<Duration> = (1..=200).map(Duration::from_millis).collect();
        let at = |percent| percentile(&times, percent);
        for (percent, want) in [(50, 101.0), (99, 199.0), (100, 200.0)] {
            assert!((at(percent) - want).abs() < 1e-9, "{percent}: {}", at(percent));
        }
        assert!(percentile(&[], 50).abs() < 1e-9);
    }
}
