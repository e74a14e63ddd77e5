//! Automatic switching in the simulated world: thousands of seeds, each with its own faults, and every
//! promise looked at. A failing seed is replayed, told and shrunk with
//! `TANDEM_SEED=n cargo test --profile e2e -p tandem-sim --test mediated -- --nocapture`;
//! `TANDEM_SEEDS=n` runs more of them, `TANDEM_FROM=n` others, `TANDEM_PLOT=Name` those of one plot.

use tandem_sim::{Campaign, Kinds, Plot, SwitchBy, report, run_plot, run_seed};

/// Seeds run when nothing else is said: `cargo xtask test` asks for more.
const SEEDS: u64 = 200;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
#[expect(clippy::print_stdout, reason = "people want to read what happened")]
fn whatever_happens_nothing_acknowledged_is_lost_and_one_node_serves() {
    let plot = std::env::var("TANDEM_PLOT").ok();
    let plot = plot.map(|name| Plot::named(&name).unwrap_or_else(|| panic!("no plot {name}")));
    if let Some(seed) = number("TANDEM_SEED") {
        let (result, tally, story) = match plot {
            Some(plot) => run_plot(seed, plot, true),
            None => run_seed(SwitchBy::Mediator, seed, Kinds::ALL, true),
        };
        println!("{}\n{tally}", story.join("\n"));
        if let Err(failure) = result {
            assert!(plot.is_none(), "{}", failure.what);
            panic!("{}", report(SwitchBy::Mediator, seed, &failure));
        }
        return;
    }
    let seeds = number("TANDEM_SEEDS").unwrap_or(SEEDS);
    let minutes = number("TANDEM_MINUTES").map(std::time::Duration::from_mins);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let from = number("TANDEM_FROM").unwrap_or(0);
    let most = number("TANDEM_FAILURES").map_or(1, |most| usize::try_from(most).unwrap_or(1));
    let all =
        Campaign { by: SwitchBy::Mediator, from, seeds, most: minutes, failures_max: most, plot };
    let outcome = all.run(threads);
    let rate = u128::from(outcome.tally.runs) * 1_000 / outcome.took.as_millis().max(1);
    println!("{}\n{rate} seeds/s on {threads} threads", outcome.tally);
    for (seed, failure) in outcome.failures.iter().skip(1) {
        println!("also: seed {seed}: {}", failure.what.lines().next().unwrap_or_default());
    }
    if let Some((seed, failure)) = outcome.failures.first() {
        assert!(plot.is_none(), "seed {seed}: {}", failure.what);
        panic!("{}", report(SwitchBy::Mediator, *seed, failure));
    }
    if seeds >= 2_000 && plot.is_none() {
        let missing = outcome.tally.missing();
        assert!(missing.is_empty(), "this never happened: {missing:?}");
    }
}
