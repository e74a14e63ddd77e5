//! A table for people, every sample as JSON for programs.

use std::fmt::Write as _;
use std::time::Duration;

use super::figures::{Spread, millis};
use super::measure::{Sample, Scenario};

const COLUMNS: [(&str, usize); 11] = [
    ("what", 13),
    ("system", 20),
    ("n", 3),
    ("median", 8),
    ("p90", 8),
    ("worst", 8),
    ("errors", 7),
    ("lost", 7),
    ("acked", 9),
    ("usual", 7),
    ("load", 5),
];

/// One line per scenario and system; times in milliseconds.
pub(super) fn table(samples: &[Sample]) -> String {
    let mut out = String::new();
    line(&mut out, &COLUMNS.map(|(name, _)| name.to_owned()));
    let mut groups: Vec<(Scenario, &str)> = Vec::new();
    for sample in samples {
        let group = (sample.scenario, sample.system.as_str());
        if !groups.contains(&group) {
            groups.push(group);
        }
    }
    groups.sort_by_key(|&(scenario, _)| scenario);
    for (scenario, system) in groups {
        let group: Vec<&Sample> =
            samples.iter().filter(|it| it.scenario == scenario && it.system == system).collect();
        line(&mut out, &row(scenario, system, &group));
    }
    out.push_str(
        "times in ms. kill-*, vanish: from the fault to the next acknowledged write anywhere; switch: longest\n\
         pause of any of the clients; mediator: longest time without any acknowledged write. errors: error\n\
         replies and writes whose outcome the client does not know; usual: longest pause of a client in a\n\
         second in which nothing was done (median); load: load average (median) when a measurement began.\n",
    );
    out
}

fn row(scenario: Scenario, system: &str, group: &[&Sample]) -> [String; COLUMNS.len()] {
    let spread = Spread::of(group.iter().filter_map(|sample| headline(sample)));
    let shown = |pick: fn(&Spread) -> Duration| {
        spread.as_ref().map_or_else(|| "-".to_owned(), |it| format!("{:.1}", millis(pick(it))))
    };
    let sum = |pick: fn(&Sample) -> u64| group.iter().map(|it| pick(it)).sum::<u64>().to_string();
    let usual = Spread::of(group.iter().map(|sample| sample.usual_pause));
    let loads = group.iter().map(|sample| Duration::from_secs_f64(sample.load_average.max(0.0)));
    [
        scenario.word().to_owned(),
        system.to_owned(),
        group.len().to_string(),
        shown(|it| it.median),
        shown(|it| it.p90),
        shown(|it| it.worst),
        sum(|it| it.seen.errors()),
        sum(|it| it.lost),
        sum(|it| it.acknowledged),
        usual.map_or_else(String::new, |it| format!("{:.1}", millis(it.median))),
        Spread::of(loads).map_or_else(String::new, |it| format!("{:.1}", it.median.as_secs_f64())),
    ]
}

/// The figure that the scenario is about.
fn headline(sample: &Sample) -> Option<Duration> {
    match sample.scenario {
        Scenario::KillNode | Scenario::KillMachine | Scenario::Vanish => sample.seen.until_new,
        Scenario::Switch => Some(sample.seen.longest_pause),
        Scenario::Mediator => Some(sample.seen.longest_gap),
    }
}

fn line(out: &mut String, cells: &[String; COLUMNS.len()]) {
    for (index, (cell, (_, width))) in cells.iter().zip(COLUMNS).enumerate() {
        // Words to the left, numbers to the right. Writing into a String cannot fail.
        let written =
            if index < 2 { write!(out, "{cell:<width$} ") } else { write!(out, "{cell:>width$} ") };
        written.ok();
    }
    out.push('\n');
}

/// One line while it runs.
pub(super) fn progress(sample: &Sample) -> String {
    let headline =
        headline(sample).map_or_else(|| "-".to_owned(), |it| format!("{:.1}", millis(it)));
    format!(
        "{} {} #{}: {headline} ms, pause {:.1}, gap {:.1}, refused {:?}, unknown {}, lost {} of {}, whole after {:.1} s, load {:.1}",
        sample.system,
        sample.scenario.word(),
        sample.round,
        millis(sample.seen.longest_pause),
        millis(sample.seen.longest_gap),
        sample.seen.refused,
        sample.seen.unknown,
        sample.lost,
        sample.acknowledged,
        sample.whole_after.as_secs_f64(),
        sample.load_average,
    )
}

/// Every sample.
pub(super) fn to_json(samples: &[Sample]) -> serde_json::Value {
    let list = samples.iter().map(|sample| {
        serde_json::json!({
            "system": sample.system, "scenario": sample.scenario.word(), "round": sample.round,
            "load_average": sample.load_average,
            "usual_pause_ms": millis(sample.usual_pause),
            "writes_per_second": sample.writes_per_second,
            "until_new_ms": sample.seen.until_new.map(millis),
            "longest_pause_ms": millis(sample.seen.longest_pause),
            "longest_gap_ms": millis(sample.seen.longest_gap),
            "refused": sample.seen.refused, "unknown": sample.seen.unknown,
            "moved": sample.seen.moved,
            "acknowledged": sample.acknowledged, "lost": sample.lost,
            "whole_after_ms": millis(sample.whole_after),
        })
    });
    serde_json::Value::Array(list.collect())
}
