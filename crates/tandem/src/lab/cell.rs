//! One run: one architecture meets one fault, under load, on a pair of its own.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde::Serialize;
use serde_json::json;
use tandem_admin::RoleName;
use tokio::runtime::Handle;

use crate::cli::LabFault;
use crate::lab::architecture::{Architecture, word};
use crate::lab::audit::{Findings, Sums};
use crate::lab::fault;
use crate::lab::load::{Journal, Load};
use crate::lab::pair::{PAUSE, Pair};
use crate::lab::place::{NAMES, Place};

/// Writes go this often, by every client, before anything is broken.
const WARM_UP_ANSWERS: u64 = 30;
const START_TIME_MAX: Duration = Duration::from_secs(40);
/// A pair that is not whole again after this is a broken promise.
const WHOLE_TIME_MAX: Duration = Duration::from_secs(40);
const EQUAL_TIME_MAX: Duration = Duration::from_secs(20);
/// The lab's person acts when nothing has been acknowledged for so long.
pub(crate) const PERSON_AFTER: Duration = Duration::from_secs(2);
/// ... and looks again after this.
const PERSON_EVERY: Duration = Duration::from_secs(1);
/// What still happens after the pair is whole counts too.
const SETTLE: Duration = Duration::from_millis(700);
/// A client that was acknowledged something within this goes on.
const GOING_ON: Duration = Duration::from_secs(1);

/// What brought writes back.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Return {
    /// The pair itself.
    Itself,
    /// A person's word.
    Person,
    /// The end of the fault, for one client at least.
    EndOfFault,
    /// It did not come so far.
    NotMeasured,
}

/// What was seen.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Measured {
    pub(crate) architecture: String,
    pub(crate) fault: String,
    pub(crate) seconds_without_writes: f64,
    pub(crate) seconds_without_reads: f64,
    pub(crate) writes_back_by: Return,
    pub(crate) writes_acknowledged: u64,
    pub(crate) writes_unknown: u64,
    pub(crate) writes_lost: u64,
    /// Of these, found in the files of saved writes (`tandem conflicts`).
    pub(crate) writes_lost_saved: u64,
    /// Why writes may be lost here; absent: they must not.
    pub(crate) may_lose: Option<&'static str>,
    pub(crate) errors: u64,
    pub(crate) counter: Counter,
    pub(crate) primary_before: String,
    pub(crate) primary_after: String,
    /// From the end of the fault until both held everything again; absent: they did not.
    pub(crate) seconds_until_whole: Option<f64>,
    /// Both nodes' data compared: the same.
    pub(crate) equal: bool,
    /// What the lab's person did.
    pub(crate) person: Vec<String>,
    /// Promises that were not kept.
    pub(crate) broken: Vec<String>,
    /// Configuration, logs and data, where they were left.
    pub(crate) directory: Option<PathBuf>,
}

/// A shared counter: exact means `acknowledged <= found <= acknowledged + unknown` on both nodes.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Counter {
    pub(crate) acknowledged: u64,
    pub(crate) unknown: u64,
    pub(crate) found: Vec<u64>,
}

/// What is run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cell {
    pub(crate) row: &'static Architecture,
    pub(crate) fault: LabFault,
    /// How long a fault lasts that has an end.
    pub(crate) lasts: Duration,
}

impl Cell {
    /// Runs it; an error only if it could not be run, or was stopped.
    pub(crate) fn run(
        self,
        place: Place,
        runtime: &Handle,
        stop: &AtomicBool,
    ) -> anyhow::Result<Measured> {
        let folder = place.folder.clone();
        let mut pair = Pair::start(self.row, place, runtime)?;
        let started =
            pair.wait("the start of the pair", START_TIME_MAX, stop, |pair| match pair.ended() {
                Some(ended) => Some(Err(anyhow::Error::msg(ended))),
                None => pair.whole().map(Ok),
            })??;
        // With two of them it is the first.
        let victim = started.iter().position(|status| status.role == RoleName::Primary);
        let victim = victim.context("a pair that is whole has no primary")?;
        let load = Load::start(&pair.place.clients(), victim, self.row.two_writers());
        let watched = self.watch(&mut pair, &load, victim, stop);
        // Also if it was stopped: the clients end first.
        let mut seen = Seen {
            without_writes: load.longest_without_writes(),
            without_reads: load.longest_without_reads(),
            ..watched.unwrap_or_else(|error| Seen::failed(&error))
        };
        let journals = load.stop();
        if stop.load(Ordering::Relaxed) {
            bail!("stopped");
        }
        let mut findings = Findings::default();
        if seen.whole.is_some() {
            match judge(&mut pair, &journals, &mut findings, stop) {
                Ok(()) => seen.equal = true,
                Err(error) => seen.broken.push(tandem_types::error_chain(&*error)),
            }
        }
        Ok(self.measured(&seen, &findings, Sums::of(&journals), &folder))
    }

    /// Warms up, strikes, waits, mends, and waits until all is well.
    fn watch(
        &self,
        pair: &mut Pair,
        load: &Load,
        victim: usize,
        stop: &AtomicBool,
    ) -> anyhow::Result<Seen> {
        pair.wait("the first writes", START_TIME_MAX, stop, |_| {
            load.flows(WARM_UP_ANSWERS).then_some(())
        })?;
        // The processes' ids are needed for what comes.
        let before = pair.wait("the pair to be whole", START_TIME_MAX, stop, Pair::whole)?;
        let mut seen = Seen { before: primaries(&before), ..Seen::default() };
        let mut person = Person { fault: self.fault, victim, acts: Vec::new(), last: None };
        load.forget_gaps();
        let begun = Instant::now();
        fault::strike(self.fault, pair, load, victim)?;
        let mut mended = begun;
        if fault::lasts(self.fault) {
            while begun.elapsed() < self.lasts && !stop.load(Ordering::Relaxed) {
                person.look(pair, load);
                thread::sleep(PAUSE);
            }
            seen.stood_still = load.longest_silence() > GOING_ON.min(self.lasts / 2);
            mended = Instant::now();
            fault::mend(self.fault, pair, load, victim)?;
        }
        let whole = pair.wait("becoming whole again", WHOLE_TIME_MAX, stop, |pair| {
            person.look(pair, load);
            let whole = pair.whole()?;
            let restarted = |(was, is): (&tandem_admin::StatusView, &tandem_admin::StatusView)| {
                was.pid != is.pid
            };
            // A process that has just been killed may have been asked a moment before.
            if self.fault == LabFault::Kill && !before.iter().zip(&whole).any(restarted) {
                return None;
            }
            Some(whole)
        });
        seen.person = person.acts;
        match whole {
            Ok(statuses) => {
                seen.whole = Some(mended.elapsed());
                seen.after = primaries(&statuses);
                let flows =
                    pair.wait("writes and reads of every client", WHOLE_TIME_MAX, stop, |_| {
                        load.flows(0).then_some(())
                    });
                if let Err(error) = flows {
                    seen.broken.push(tandem_types::error_chain(&*error));
                }
                thread::sleep(SETTLE);
            }
            Err(error) => seen.broken.push(tandem_types::error_chain(&*error)),
        }
        Ok(seen)
    }

    /// What is told of a pair that did not come so far: that is a broken promise too.
    pub(crate) fn not_measured(&self, error: &anyhow::Error) -> Measured {
        let broken =
            vec![format!("it could not be measured: {}", tandem_types::error_chain(&**error))];
        let seen = Seen { broken, ..Seen::default() };
        self.measured(&seen, &Findings::default(), Sums::default(), Path::new(""))
    }

    fn measured(&self, seen: &Seen, findings: &Findings, sums: Sums, folder: &Path) -> Measured {
        let mut broken = seen.broken.clone();
        let may_lose = self.row.may_lose(self.fault);
        let lost = findings.lost(sums);
        if lost > 0 && may_lose.is_none() {
            broken.push(format!("{lost} acknowledged writes are lost"));
        }
        let data = NAMES.map(|name| folder.join(name));
        let saved = findings.saved(sums, &data.each_ref().map(PathBuf::as_path));
        if saved < lost && may_lose.is_some() {
            broken
                .push(format!("{} of the lost writes are not among the saved ones", lost - saved));
        }
        if let Some(first) = findings.refused_but_there.first() {
            let count = findings.refused_but_there.len();
            broken.push(format!("{count} refused writes are there, {first} for one"));
        }
        let too_often = findings.counted_too_often(sums);
        if too_often > 0 {
            broken.push(format!("the counter is {too_often} higher than clients can have made it"));
        }
        Measured {
            architecture: self.row.word(),
            fault: word(&self.fault),
            seconds_without_writes: seconds(seen.without_writes),
            seconds_without_reads: seconds(seen.without_reads),
            writes_back_by: match (seen.person.is_empty(), seen.stood_still) {
                _ if seen.before.is_empty() => Return::NotMeasured,
                (_, true) => Return::EndOfFault,
                (false, false) => Return::Person,
                (true, false) => Return::Itself,
            },
            writes_acknowledged: sums.acknowledged,
            writes_unknown: sums.unknown,
            writes_lost: lost,
            writes_lost_saved: saved,
            may_lose,
            errors: sums.errors,
            counter: Counter {
                acknowledged: sums.counted,
                unknown: sums.perhaps_counted,
                found: findings.counters.clone(),
            },
            primary_before: seen.before.clone(),
            primary_after: seen.after.clone(),
            seconds_until_whole: seen.whole.map(seconds),
            equal: seen.equal,
            person: seen.person.clone(),
            broken,
            directory: None,
        }
    }
}

/// What was seen while it ran.
#[derive(Debug, Default)]
struct Seen {
    before: String,
    after: String,
    without_writes: Duration,
    without_reads: Duration,
    /// Some client was acknowledged nothing when the fault ended.
    stood_still: bool,
    whole: Option<Duration>,
    equal: bool,
    person: Vec<String>,
    broken: Vec<String>,
}

impl Seen {
    fn failed(error: &anyhow::Error) -> Self {
        Self { broken: vec![tandem_types::error_chain(&**error)], ..Self::default() }
    }
}

/// Who moves the role where nobody else does.
struct Person {
    fault: LabFault,
    victim: usize,
    acts: Vec<String>,
    last: Option<Instant>,
}

impl Person {
    /// Does what the handbook says, if writes stand still: with the line cut and both machines up, `solo` lets
    /// the primary go on; else `promote` on the node that is left. Never by force.
    fn look(&mut self, pair: &mut Pair, load: &Load) {
        let rested = self.last.is_none_or(|last| last.elapsed() > PERSON_EVERY);
        if !pair.row.by_hand() || !rested || load.silent_for() < PERSON_AFTER {
            return;
        }
        self.last = Some(Instant::now());
        let (verb, node, body) = if matches!(self.fault, LabFault::Link | LabFault::Sites) {
            ("solo", self.victim, json!({ "force": false }))
        } else {
            ("promote", 1 - self.victim, json!({ "force": false }))
        };
        let name = NAMES.get(node).copied().unwrap_or_default();
        self.acts.push(match pair.ask(node, &format!("/api/v1/{verb}"), &body) {
            Ok(_) => format!("tandem {verb} on {name}"),
            Err(why) => format!("tandem {verb} on {name} was refused: {why}"),
        });
    }
}

/// Compares both nodes' data as they can, and reads everything back from both.
fn judge(
    pair: &mut Pair,
    journals: &[Journal],
    findings: &mut Findings,
    stop: &AtomicBool,
) -> anyhow::Result<()> {
    let equal = pair.verify(stop, EQUAL_TIME_MAX);
    let addresses = pair.place.clients();
    if pair.row.serves_on_both() {
        for address in &addresses {
            findings.look(address, journals)?;
        }
        return equal;
    }
    let primary = pair.wait_primary(stop, EQUAL_TIME_MAX)?;
    let other = 1 - primary;
    let address = |node: usize| addresses.get(node).map_or("", String::as_str);
    findings.look(address(primary), journals)?;
    // A standby answers nobody: what it holds is seen once it is primary.
    pair.switch(primary)?;
    pair.wait("the other node's turn", EQUAL_TIME_MAX, stop, |pair| {
        (pair.status(other)?.role == RoleName::Primary).then_some(())
    })?;
    findings.look(address(other), journals)?;
    equal
}

/// The names of those that serve writes.
fn primaries(statuses: &[tandem_admin::StatusView; 2]) -> String {
    let names: Vec<&str> = statuses
        .iter()
        .filter(|status| status.role == RoleName::Primary)
        .map(|status| status.node.as_str())
        .collect();
    names.join("+")
}

/// To the millisecond: more would pretend to know.
fn seconds(time: Duration) -> f64 {
    f64::from(u32::try_from(time.as_millis()).unwrap_or(u32::MAX)) / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::architecture::ARCHITECTURES;

    fn cell(row: &str, fault: LabFault) -> Cell {
        let row = ARCHITECTURES.iter().find(|it| it.word() == row).unwrap();
        Cell { row, fault, lasts: Duration::from_secs(4) }
    }

    /// What is said to be broken if of three counted writes one is gone, and nothing is saved.
    fn broken(cell: Cell) -> Vec<String> {
        let findings = Findings { counters: vec![3, 2], ..Findings::default() };
        let sums = Sums { acknowledged: 3, counted: 3, ..Sums::default() };
        let seen = Seen { whole: Some(Duration::ZERO), equal: true, ..Seen::default() };
        let measured = cell.measured(&seen, &findings, sums, Path::new("/nowhere"));
        assert_eq!((measured.writes_lost, measured.writes_lost_saved), (1, 0));
        measured.broken
    }

    #[test]
    fn a_lost_write_is_a_broken_promise_unless_a_split_was_accepted_and_it_is_saved() {
        let said = broken(cell("mediator-witness", LabFault::Sites));
        assert_eq!(said, ["1 acknowledged writes are lost"]);
        // Nobody accepted that a planned change loses anything.
        let said = broken(cell("direct-take-over", LabFault::Switch));
        assert_eq!(said, ["1 acknowledged writes are lost"]);
        let said = broken(cell("direct-take-over", LabFault::Sites));
        assert_eq!(said, ["1 of the lost writes are not among the saved ones"]);
    }

    #[test]
    fn a_pair_that_could_not_be_measured_kept_no_promise() {
        let error = anyhow::Error::msg("no room").context("start the pair");
        let measured = cell("direct", LabFault::Kill).not_measured(&error);
        assert_eq!(measured.broken, ["it could not be measured: start the pair: no room"]);
        assert_eq!((measured.writes_back_by, measured.equal), (Return::NotMeasured, false));
    }
}
