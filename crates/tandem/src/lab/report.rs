//! What the lab prints: tables for people, one object for scripts.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

use crate::lab::advice;
use crate::lab::architecture::{ARCHITECTURES, Architecture, NotRun, not_run, word};
use crate::lab::cell::{Measured, PERSON_AFTER, Return};
use crate::lab::load::{ANSWER_TIME_MAX, REST_MS, WRITERS};
use crate::lab::{Ran, fault};

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Report<'a> {
    passed: bool,
    seconds: u64,
    seconds_per_fault: u64,
    /// Of the last minute, before and after; absent if the system does not tell.
    load_average: Option<&'a [String; 2]>,
    runs: &'a [Measured],
    not_run: Vec<NotRun>,
}

/// For scripts.
pub(crate) fn json(ran: &Ran, took: Duration) -> serde_json::Result<String> {
    serde_json::to_string(&Report {
        passed: ran.passed(),
        seconds: took.as_secs(),
        seconds_per_fault: ran.lasts.as_secs(),
        load_average: ran.load_average.as_ref(),
        runs: &ran.runs,
        not_run: not_run(&ran.mediators),
    })
}

/// For people.
pub(crate) fn text(ran: &Ran, took: Duration) -> String {
    let mut text = introduction(ran, took);
    text.push_str(&overview(ran));
    text.push_str(
        "\nFault by fault. No writes, no reads: the longest that one client got none. Unknown: no answer came. Errors: failed\n\
         requests, as an application sees them. Whole after: from the end of the fault until both nodes held everything again.\n\
         Equal: both nodes' data compared (tandem verify), and every write read back from both.\n",
    );
    for &fault in &ran.faults {
        let runs: Vec<&Measured> =
            ran.runs.iter().filter(|run| run.fault == word(&fault)).collect();
        if !runs.is_empty() {
            let _written =
                write!(text, "\n{}: {}\n{}", word(&fault), fault::says(fault), details(&runs));
        }
    }
    text.push_str(&broken(&ran.runs));
    text.push_str("\nNot run\n");
    for row in not_run(&ran.mediators) {
        let _written =
            writeln!(text, "  {:<18} needs {}; measure with {}", row.name, row.needs, row.measure);
    }
    text.push_str(&advice::text(ran));
    text
}

fn introduction(ran: &Ran, took: Duration) -> String {
    let [shortest, longest] = REST_MS;
    let mut text = format!(
        "Every architecture under the same faults: {} pairs on this machine in {} s, {} at a time.\n\
         {WRITERS} clients write and one reads, each every {shortest} to {longest} ms; no answer within {} ms and they try the \
         other node. What has\nan end lasts {} s. All else is as by default: a write is answered once it is on both disks. {}\n\n",
        ran.runs.len(),
        took.as_secs(),
        ran.at_once,
        ANSWER_TIME_MAX.as_millis(),
        ran.lasts.as_secs(),
        busy(ran)
    );
    for row in rows(ran) {
        let _written = writeln!(text, "  {:<18} {}", row.word(), row.says);
    }
    text
}

/// How busy the machine was: figures of a busy one tell of it rather than of the pairs.
fn busy(ran: &Ran) -> String {
    match &ran.load_average {
        Some([before, after]) => format!("Load average {before} before, {after} after."),
        None => String::new(),
    }
}

/// The rows of which something was run.
pub(crate) fn rows(ran: &Ran) -> impl Iterator<Item = &'static Architecture> {
    ARCHITECTURES.iter().filter(|row| ran.runs.iter().any(|run| run.architecture == row.word()))
}

/// One line per architecture, one column per fault.
fn overview(ran: &Ran) -> String {
    let mut lines =
        vec![std::iter::once(String::new()).chain(ran.faults.iter().map(word)).collect()];
    for row in rows(ran) {
        let mut cells = vec![row.word()];
        for &fault in &ran.faults {
            let run = ran
                .runs
                .iter()
                .find(|run| run.architecture == row.word() && run.fault == word(&fault));
            cells.push(run.map_or("-".to_owned(), summary));
        }
        lines.push(cells);
    }
    format!(
        "\nSeconds without writes, of the client that waited longest\n{}\
         \x20 p: a person's word brought writes back (the lab's person acts after {} s; yours may be asleep)\n\
         \x20 *: some client got no write done until the fault ended, after {} s here\n\
         \x20 !: acknowledged writes were lost, as this architecture accepts; !!: a promise was broken\n",
        table(&lines),
        PERSON_AFTER.as_secs(),
        ran.lasts.as_secs()
    )
}

fn summary(run: &Measured) -> String {
    let mark = match run.writes_back_by {
        Return::Itself => "",
        Return::Person => " p",
        Return::EndOfFault => " *",
        Return::NotMeasured => return "!!".to_owned(),
    };
    let lost = match (run.broken.is_empty(), run.writes_lost) {
        (false, _) => " !!",
        (true, 0) => "",
        (true, _) => " !",
    };
    format!("{:.2}{mark}{lost}", run.seconds_without_writes)
}

/// All figures of one fault.
fn details(runs: &[&Measured]) -> String {
    let heads = [
        "",
        "no writes",
        "no reads",
        "acknowledged",
        "lost",
        "unknown",
        "errors",
        "primary",
        "whole after",
        "equal",
    ];
    let mut lines = vec![heads.map(str::to_owned).to_vec()];
    for run in runs {
        let lost = match run.writes_lost {
            0 => "0".to_owned(),
            lost => format!("{lost} ({} saved)", run.writes_lost_saved),
        };
        let whole = run.seconds_until_whole.map_or("never".to_owned(), |it| format!("{it:.2} s"));
        lines.push(vec![
            run.architecture.clone(),
            format!("{:.2} s", run.seconds_without_writes),
            format!("{:.2} s", run.seconds_without_reads),
            run.writes_acknowledged.to_string(),
            lost,
            run.writes_unknown.to_string(),
            run.errors.to_string(),
            if run.primary_after == run.primary_before {
                run.primary_after.clone()
            } else {
                format!("{} -> {}", run.primary_before, run.primary_after)
            },
            whole,
            if run.equal { "yes" } else { "NO" }.to_owned(),
        ]);
    }
    let mut text = table(&lines);
    for run in runs {
        for act in &run.person {
            let _written = writeln!(text, "  {}: the person: {act}", run.architecture);
        }
        if let (1.., Some(why)) = (run.writes_lost, run.may_lose) {
            let _written = writeln!(text, "  {}: lost because {why}", run.architecture);
        }
    }
    text
}

fn broken(runs: &[Measured]) -> String {
    let mut text = String::new();
    for run in runs.iter().filter(|run| !run.broken.is_empty()) {
        let _written = writeln!(text, "\nBROKEN PROMISE: {}, {}", run.architecture, run.fault);
        for line in &run.broken {
            let _written = writeln!(text, "  {line}");
        }
        if let Some(folder) = &run.directory {
            let _written = writeln!(
                text,
                "  configuration, logs and data of the pair are left in {}",
                folder.display()
            );
        }
    }
    text
}

/// Columns as wide as they need; the first to the left, the others to the right.
pub(crate) fn table(lines: &[Vec<String>]) -> String {
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for line in lines {
        let cells = line.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| {
            if column == 0 { format!("  {cell:<width$}") } else { format!("{cell:>width$}") }
        });
        text.push_str(cells.collect::<Vec<String>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}
