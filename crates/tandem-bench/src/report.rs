//! Tables of medians and ratios for people, every sample as JSON for programs.

use std::fmt::Write as _;

use crate::measure::{Load, Sample};
use crate::scenario::Scenario;

/// Medians per load and server, with the median of the per-round ratios to `redis`.
pub(crate) fn table(scenario: Scenario, samples: &[Sample]) -> String {
    let mut out = format!("{}\n", scenario.title());
    line(
        &mut out,
        &["load", "server", "ops/s", "ratio", "CPU us/op", "ratio", "p50 ms", "p99 ms", "RSS MiB"]
            .map(str::to_owned),
    );
    let mut loads: Vec<Load> = Vec::new();
    for sample in samples {
        if !loads.contains(&sample.load) {
            loads.push(sample.load);
        }
    }
    for load in loads {
        let mut servers: Vec<&str> = Vec::new();
        for sample in samples {
            if !servers.contains(&sample.server) {
                servers.push(sample.server);
            }
        }
        servers.sort_unstable();
        for server in servers {
            line(&mut out, &row(samples, load, server));
        }
    }
    out
}

fn row(samples: &[Sample], load: Load, server: &str) -> [String; 9] {
    let of = |name: &str| -> Vec<&Sample> {
        samples.iter().filter(|sample| sample.load == load && sample.server == name).collect()
    };
    let mine = of(server);
    let base = of("redis");
    let median_of = |field: fn(&Sample) -> f64| median(mine.iter().map(|s| field(s)).collect());
    let ratio_of = |field: fn(&Sample) -> f64| {
        let ratios = mine.iter().filter_map(|sample| {
            let other = base.iter().find(|other| other.round == sample.round)?;
            Some(field(sample) / field(other))
        });
        median(ratios.collect())
    };
    [
        format!("{} c={} P={}", load.command, load.clients, load.pipeline),
        server.to_owned(),
        format!("{:.0}", median_of(|sample| sample.figures.per_second)),
        format!("{:.2}", ratio_of(|sample| sample.figures.per_second)),
        format!("{:.2}", median_of(|sample| sample.cpu_us)),
        format!("{:.2}", ratio_of(|sample| sample.cpu_us)),
        format!("{:.3}", median_of(|sample| sample.figures.p50_ms)),
        format!("{:.3}", median_of(|sample| sample.figures.p99_ms)),
        format!("{:.0}", median_of(resident_mib)),
    ]
}

fn resident_mib(sample: &Sample) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "memory sizes are far below 2^52 KiB")]
    let kib = sample.resident_kib as f64;
    kib / 1024.0
}

fn line(out: &mut String, columns: &[String; 9]) {
    const WIDTHS: [usize; 9] = [16, 8, 10, 6, 10, 6, 9, 9, 8];
    for (column, width) in columns.iter().zip(WIDTHS) {
        // Writing into a String cannot fail.
        write!(out, "{column:>width$} ").ok();
    }
    out.push('\n');
}

/// Not a number if there are none.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match (values.len() % 2, values.get(middle)) {
        (_, None) => f64::NAN,
        (1, Some(&value)) => value,
        (_, Some(&value)) => {
            values.get(middle - 1).map_or(value, |before| f64::midpoint(*before, value))
        }
    }
}

/// Every sample.
pub(crate) fn to_json(samples: &[Sample]) -> serde_json::Value {
    let list = samples.iter().map(|sample| {
        serde_json::json!({
            "command": sample.load.command, "clients": sample.load.clients,
            "pipeline": sample.load.pipeline, "replicated": sample.load.replicated,
            "server": sample.server, "round": sample.round,
            "per_second": sample.figures.per_second, "p50_ms": sample.figures.p50_ms,
            "p99_ms": sample.figures.p99_ms, "cpu_us_per_op": sample.cpu_us,
            "resident_kib": sample.resident_kib,
        })
    });
    serde_json::Value::Array(list.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        let cases = [(vec![3.0, 1.0, 2.0], 2.0), (vec![4.0, 1.0, 2.0, 3.0], 2.5), (vec![7.0], 7.0)];
        for (values, want) in cases {
            assert!((median(values) - want).abs() < 1e-9);
        }
        assert!(median(Vec::new()).is_nan());
    }
}
