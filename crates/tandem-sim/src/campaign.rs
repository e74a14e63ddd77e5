//! Many seeds on all cores, and what is done about one that fails.

use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tandem_node::SwitchBy;

use crate::plan::{Kind, Kinds, Plan};
use crate::run::Run;
use crate::{Plot, Tally};

/// Why a run failed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Failure {
    /// What did not hold.
    pub what: String,
}

/// What a campaign came to.
#[derive(Debug)]
pub struct Outcome {
    /// All runs together.
    pub tally: Tally,
    /// The failing seeds that were found, lowest first, and why.
    pub failures: Vec<(u64, Failure)>,
    /// How long it took.
    pub took: Duration,
}

/// One run.
pub fn run_seed(
    by: SwitchBy,
    seed: u64,
    kinds: Kinds,
    told: bool,
) -> (Result<(), Failure>, Tally, Vec<String>) {
    play(plan(by, seed, kinds), told)
}

fn plan(by: SwitchBy, seed: u64, kinds: Kinds) -> Plan {
    match by {
        SwitchBy::Direct | SwitchBy::Probe => Plan::unaided(by, seed, kinds),
        // Nobody has anything to decide where both write.
        SwitchBy::Manual => Plan::two_writers(seed, kinds),
        SwitchBy::Mediator | SwitchBy::Keepalived => Plan::mediated(seed, kinds),
    }
}

/// One run that is all about one plot.
pub fn run_plot(seed: u64, plot: Plot, told: bool) -> (Result<(), Failure>, Tally, Vec<String>) {
    play(Plan::plotted(seed, plot), told)
}

fn play(plan: Plan, told: bool) -> (Result<(), Failure>, Tally, Vec<String>) {
    let run = || Run::judge(plan, told);
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(done) => done,
        Err(panic) => {
            let text = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("a panic");
            let what = format!("panic: {text}");
            (Err(Failure { what }), Tally::default(), Vec::new())
        }
    }
}

/// Many seeds.
#[derive(Clone, Copy, Debug)]
pub struct Campaign {
    /// Who decides on a change of primary; [`SwitchBy::Manual`]: both nodes write, so nobody.
    pub by: SwitchBy,
    /// The first seed.
    pub from: u64,
    /// So many of them.
    pub seeds: u64,
    /// It ends earlier then.
    pub most: Option<Duration>,
    /// It ends once so many have failed.
    pub failures_max: usize,
    /// Every run is about this plot, and about nothing else.
    pub plot: Option<Plot>,
}

impl Campaign {
    /// Runs the seeds, in order, on `threads` threads. Which failing seed is the lowest does not depend on
    /// how many there are: a seed that was begun is finished.
    pub fn run(&self, threads: usize) -> Outcome {
        let began = Instant::now();
        let next = AtomicU64::new(self.from);
        let stop = AtomicBool::new(false);
        let total = Mutex::new(Tally::default());
        let failures: Mutex<Vec<(u64, Failure)>> = Mutex::new(Vec::new());
        let late = || self.most.is_some_and(|most| began.elapsed() >= most);
        let work = || {
            let mut tally = Tally::default();
            while !stop.load(Ordering::Relaxed) && !late() {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= self.from + self.seeds {
                    break;
                }
                let (result, one) = self.run_one(seed);
                tally.add(&one);
                if let Err(why) = result {
                    let mut failures = lock(&failures);
                    failures.push((seed, why));
                    stop.fetch_or(failures.len() >= self.failures_max, Ordering::Relaxed);
                }
            }
            lock(&total).add(&tally);
        };
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(work);
            }
        });
        let tally = lock(&total).clone();
        let mut failures = lock(&failures).clone();
        failures.sort_by_key(|(seed, _)| *seed);
        Outcome { tally, failures, took: began.elapsed() }
    }

    fn run_one(&self, seed: u64) -> (Result<(), Failure>, Tally) {
        let run = || match self.plot {
            Some(plot) => run_plot(seed, plot, false),
            None => run_seed(self.by, seed, Kinds::ALL, false),
        };
        let (mut result, mut one, _) = run();
        one.runs = 1;
        // Now and then twice: the same seed must be the same run.
        if seed % 100 == 17 && result.is_ok() {
            let (_, again, _) = run();
            if again.hash != one.hash {
                result = Err(Failure { what: "the same seed gave another run".into() });
            }
        }
        (result, one)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Leaves out kinds of faults as long as the run still fails: what is left is enough.
pub fn smallest_kinds(by: SwitchBy, seed: u64) -> (Kinds, Vec<Kind>) {
    let mut kinds = Kinds::ALL;
    let plan = plan(by, seed, kinds);
    let mut left: Vec<Kind> = plan.faults.iter().map(|(_, kind, _)| *kind).collect();
    left.sort_unstable();
    left.dedup();
    if plan.ambush > 0 {
        left.push(Kind::Ambush);
    }
    if plan.plot.is_some() {
        left.push(Kind::Plot);
    }
    for kind in left.clone() {
        let fewer = kinds.without(kind);
        if run_seed(by, seed, fewer, false).0.is_err() {
            kinds = fewer;
            left.retain(|it| *it != kind);
        }
    }
    (kinds, left)
}

/// The test that plays such runs.
const fn name_of_test(by: SwitchBy) -> &'static str {
    match by {
        SwitchBy::Direct => "direct",
        SwitchBy::Probe => "probe",
        SwitchBy::Manual => "two_writers",
        SwitchBy::Mediator | SwitchBy::Keepalived => "mediated",
    }
}

/// Everything a person wants to know of a seed that failed.
pub fn report(by: SwitchBy, seed: u64, failure: &Failure) -> String {
    let (kinds, left) = smallest_kinds(by, seed);
    let (again, _, story) = run_seed(by, seed, kinds, true);
    let mut text = String::new();
    let what = again.err().unwrap_or_else(|| failure.clone());
    for line in &story {
        // Writing to a String cannot fail.
        let _ignored = writeln!(text, "{line}");
    }
    let plan = plan(by, seed, kinds);
    let test = name_of_test(by);
    let _ignored = write!(
        text,
        "\nseed {seed} failed: {}\nwith only these kinds of faults {left:?}: {}\n{plan:#?}\n\
         again: TANDEM_SEED={seed} cargo test --profile e2e -p tandem-sim --test {test} -- --nocapture",
        failure.what, what.what
    );
    text
}
