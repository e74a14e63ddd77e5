//! One seed, told, or many: what the environment asks for.

use std::time::Duration;

use tandem_sim::{Campaign, Kinds, Plot, SwitchBy, Tally, report, run_plot, run_seed};

/// Seeds run when nothing else is said: `cargo xtask test` asks for more.
const SEEDS: u64 = 200;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Runs what is asked for. `missing` says what should have happened in many runs and never did.
#[expect(clippy::print_stdout, reason = "people want to read what happened")]
pub(crate) fn run(by: SwitchBy, missing: impl FnOnce(&Tally) -> Vec<&'static str>) {
    let plot = std::env::var("TANDEM_PLOT").ok();
    let plot = plot.map(|name| Plot::named(&name).unwrap_or_else(|| panic!("no plot {name}")));
    if let Some(seed) = number("TANDEM_SEED") {
        let (result, tally, story) = match plot {
            Some(plot) => run_plot(seed, plot, true),
            None => run_seed(by, seed, Kinds::ALL, true),
        };
        println!("{}\n{tally}", story.join("\n"));
        if let Err(failure) = result {
            assert!(plot.is_none(), "{}", failure.what);
            panic!("{}", report(by, seed, &failure));
        }
        return;
    }
    let seeds = number("TANDEM_SEEDS").unwrap_or(SEEDS);
    let most = number("TANDEM_MINUTES").map(Duration::from_mins);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let from = number("TANDEM_FROM").unwrap_or(0);
    let failures_max = number("TANDEM_FAILURES").map_or(1, |it| usize::try_from(it).unwrap_or(1));
    let all = Campaign { by, from, seeds, most, failures_max, plot };
    let outcome = all.run(threads);
    let rate = u128::from(outcome.tally.runs) * 1_000 / outcome.took.as_millis().max(1);
    println!("{}\n{rate} seeds/s on {threads} threads", outcome.tally);
    for (seed, failure) in outcome.failures.iter().skip(1) {
        println!("also: seed {seed}: {}", failure.what.lines().next().unwrap_or_default());
    }
    if let Some((seed, failure)) = outcome.failures.first() {
        assert!(plot.is_none(), "seed {seed}: {}", failure.what);
        panic!("{}", report(by, *seed, failure));
    }
    // A run of two writers is many times as long as one of another pair.
    let enough = if by == SwitchBy::Manual { 400 } else { 2_000 };
    if seeds >= enough && plot.is_none() {
        let missing = missing(&outcome.tally);
        assert!(missing.is_empty(), "this never happened: {missing:?}");
    }
}
