//! How far two writers are apart while both are loaded as fast as they go.
//!
//! Two figures, because neither alone says it. *Seen after*: a client writes on one node and asks the other to
//! say when it shows that (`TANDEM PP VECTOR` and `WAITVECTOR`), from the sending of the write on, so its own
//! acknowledgement is part of it. *Records*: what a node has that it does not know to be on its peer's disk.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use serde_json::json;
use tandem_resp::Value;

use super::load::{self, Figures, Kind, Plan};
use super::pair::{Pair, records_ahead};
use super::report::percentile;
use crate::failover::ask::Asker;

/// Longest time until an answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two looks.
const REST: Duration = Duration::from_millis(5);

/// What was found.
#[derive(Debug)]
pub(super) struct Lag {
    clients: u32,
    figures: Figures,
    /// From sending a write to the one node until it was acknowledged, sorted.
    answered: Vec<Duration>,
    /// From sending it until the other node showed it, sorted.
    seen: Vec<Duration>,
    /// Records that were not known to be on the other disk, sorted.
    records: Vec<i64>,
}

/// Loads both nodes for `time` and looks at them meanwhile.
pub(super) fn measure(pair: &Pair, clients: u32, time: Duration) -> anyhow::Result<Lag> {
    let addresses = pair.addresses();
    let [a, b] = *addresses.as_slice() else { bail!("a pair has two nodes") };
    let over = AtomicBool::new(false);
    let plan = Plan { kind: Kind::Set, clients, pipeline: 1, time };
    thread::scope(|scope| {
        let over = &over;
        let watchers =
            [(a, b), (b, a)].map(|(from, to)| scope.spawn(move || watch(from, to, over)));
        let figures = load::run(&addresses, &plan);
        over.store(true, Ordering::Relaxed);
        let mut lag = Lag {
            clients,
            figures: figures?,
            answered: Vec::new(),
            seen: Vec::new(),
            records: Vec::new(),
        };
        for watcher in watchers {
            let Ok(found) = watcher.join() else { bail!("a watcher panicked") };
            let found = found?;
            lag.answered.extend(found.answered);
            lag.seen.extend(found.seen);
            lag.records.extend(found.records);
        }
        lag.answered.sort_unstable();
        lag.seen.sort_unstable();
        lag.records.sort_unstable();
        ensure!(!lag.seen.is_empty(), "nothing was seen");
        Ok(lag)
    })
}

#[derive(Default)]
struct Looks {
    answered: Vec<Duration>,
    seen: Vec<Duration>,
    records: Vec<i64>,
}

fn watch(from: SocketAddr, to: SocketAddr, over: &AtomicBool) -> anyhow::Result<Looks> {
    let (mut writer, mut reader) = (Asker::connect(from, PATIENCE)?, Asker::connect(to, PATIENCE)?);
    let mut found = Looks::default();
    let mut number = 0_u64;
    while !over.load(Ordering::Relaxed) {
        number += 1;
        let begun = Instant::now();
        let key = format!("seen-from:{}", from.port());
        let told = writer.ask(&["SET", &key, &number.to_string()])?;
        ensure!(told.is_ok(), "SET: {told:?}");
        found.answered.push(begun.elapsed());
        let vector = writer.ask(&["TANDEM", "PP", "VECTOR"])?;
        let ends: Vec<String> = vector
            .as_list()
            .context("a vector is a list")?
            .iter()
            .filter_map(Value::as_int)
            .map(|end| end.to_string())
            .collect();
        let [a, b] = ends.as_slice() else { bail!("VECTOR: {vector:?}") };
        let told = reader.ask(&["TANDEM", "PP", "WAITVECTOR", a, b, "10000"])?;
        ensure!(told.is_ok(), "WAITVECTOR: {told:?}");
        found.seen.push(begun.elapsed());
        found.records.push(records_ahead(from)?);
        thread::sleep(REST);
    }
    Ok(found)
}

impl Lag {
    /// For people.
    pub(super) fn table(&self) -> String {
        let times = |name: &str, times: &[Duration]| {
            let at = |percent| percentile(times, percent);
            format!("{name:<52} {:>9.1} {:>9.1} {:>9.1}\n", at(50), at(99), at(100))
        };
        let record = |percent| self.record(percent);
        let (p50, p99, worst) = (record(50), record(99), record(100));
        let mut out = format!(
            "primary-primary, SET from {} clients spread over both nodes: {:.0} in a second, {} looks\n",
            self.clients,
            self.figures.per_second,
            self.seen.len()
        );
        // Writing into a String cannot fail.
        writeln!(out, "{:<52} {:>9} {:>9} {:>9}", "", "median", "p99", "worst").ok();
        out += &times("acknowledged after, ms (both disks have it)", &self.answered);
        out += &times("seen on the other node after, ms", &self.seen);
        writeln!(
            out,
            "{:<52} {p50:>9} {p99:>9} {worst:>9}",
            "records not known to be on the other disk"
        )
        .ok();
        out
    }

    fn record(&self, percent: usize) -> i64 {
        let last = self.records.len().saturating_sub(1);
        let at = (self.records.len() * percent / 100).min(last);
        self.records.get(at).copied().unwrap_or_default()
    }

    /// For programs.
    pub(super) fn to_json(&self) -> serde_json::Value {
        let times = |times: &[Duration]| {
            let at = |percent| percentile(times, percent);
            json!({ "p50_ms": at(50), "p99_ms": at(99), "worst_ms": at(100) })
        };
        json!({
            "clients": self.clients, "per_second": self.figures.per_second,
            "looks": self.seen.len(), "acknowledged": times(&self.answered),
            "seen": times(&self.seen),
            "records": { "p50": self.record(50), "p99": self.record(99), "worst": self.record(100) },
        })
    }
}
