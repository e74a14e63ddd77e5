//! What each library saw of each change, as one table.

use std::fmt::Write as _;
use std::time::Duration;

use crate::program::{Line, Program, Wrote};

/// One change of primary.
pub(crate) struct Change {
    pub(crate) title: &'static str,
    /// It was asked for, or the primary was killed.
    pub(crate) began: Duration,
    /// The new primary was first seen to serve.
    pub(crate) opened: Duration,
    /// The next change had not begun.
    pub(crate) ended: Duration,
}

/// What one library saw of one change.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) errors: Vec<String>,
    /// From the opening of the new primary to the first write acknowledged after it.
    pub(crate) first: Option<Duration>,
    /// Longest time between two acknowledged writes.
    pub(crate) pause: Option<Duration>,
}

impl Seen {
    pub(crate) fn of(change: &Change, lines: &[Line]) -> Self {
        let within = |line: &&Line| line.ended >= change.began && line.ended < change.ended;
        let errors = lines.iter().filter(within).filter_map(|line| match &line.wrote {
            Wrote::Failed(text) => Some(text.clone()),
            Wrote::Counted(_) | Wrote::Set(_) => None,
        });
        let acknowledged: Vec<Duration> =
            lines.iter().filter(|line| line.is_acknowledged()).map(|line| line.ended).collect();
        let first = acknowledged.iter().find(|&&ended| ended >= change.opened);
        let first = first.filter(|&&ended| ended < change.ended);
        let pauses = acknowledged.windows(2).filter_map(|two| match two {
            [one, next] if *next >= change.began && *one < change.ended => next.checked_sub(*one),
            _ => None,
        });
        Self {
            errors: errors.collect(),
            first: first.and_then(|ended| ended.checked_sub(change.opened)),
            pause: first.and(pauses.max()),
        }
    }

    fn cell(&self) -> String {
        let errors = match self.errors.len() {
            0 => "ok".to_owned(),
            1 => "1 error".to_owned(),
            many => format!("{many} errors"),
        };
        match (self.first, self.pause) {
            (Some(first), Some(pause)) => {
                format!("{errors}, {:.2}, {:.2}", first.as_secs_f64(), pause.as_secs_f64())
            }
            _ => format!("{errors}, **did not go on**"),
        }
    }
}

/// One library's row.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// `None`: it did not take part in that change.
    pub(crate) seen: Vec<Option<Seen>>,
    pub(crate) acknowledged: usize,
    pub(crate) lost: usize,
}

/// In Markdown, as docs/clients.md has it.
pub(crate) fn table(changes: &[Change], rows: &[Row]) -> String {
    let mut text = String::from("| library |");
    for change in changes {
        let open = change.opened.saturating_sub(change.began);
        write!(text, " {} ({:.2} s) |", change.title, open.as_secs_f64()).expect("a String");
    }
    text.push_str(" acknowledged | lost |\n|---|");
    text.push_str(&"---|".repeat(changes.len()));
    text.push_str("---:|---:|\n");
    for row in rows {
        write!(text, "| {} |", row.name).expect("a String");
        for seen in &row.seen {
            let cell = seen.as_ref().map_or_else(|| "-".to_owned(), Seen::cell);
            write!(text, " {cell} |").expect("a String");
        }
        writeln!(text, " {} | {} |", row.acknowledged, row.lost).expect("a String");
    }
    text
}

/// Every error that a program saw, for whoever reads the output.
pub(crate) fn errors(changes: &[Change], program: &Program) -> String {
    let mut text = String::new();
    for line in program.lines() {
        let Wrote::Failed(error) = &line.wrote else { continue };
        let change = changes.iter().rev().find(|change| line.ended >= change.began);
        let (title, after) = change.map_or(("before", Duration::ZERO), |change| {
            (change.title, line.ended.saturating_sub(change.began))
        });
        writeln!(text, "{}: {title} +{:.3} s: {error}", program.name, after.as_secs_f64())
            .expect("a String");
    }
    text
}
