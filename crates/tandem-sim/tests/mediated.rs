//! Automatic switching in the simulated world: thousands of seeds, each with its own faults, and every
//! promise looked at. A failing seed is replayed, told and shrunk with
//! `TANDEM_SEED=n cargo test --profile e2e -p tandem-sim --test mediated -- --nocapture`;
//! `TANDEM_SEEDS=n` runs more of them, `TANDEM_FROM=n` others, `TANDEM_PLOT=Name` those of one plot.

#[path = "support/search.rs"]
mod search;

use tandem_sim::{Kinds, Plot, SwitchBy, Tally, run_plot, run_seed};

/// A standby that had begun to take over no longer said what it knew to be acknowledged: a primary whose disk had gone
/// back returned before it, and it cut acknowledged writes.
const FOUND_IN_PLOTS: [(Plot, u64); 3] =
    [(Plot::Reverted, 82), (Plot::Reverted, 100), (Plot::Reverted, 150)];

/// The same, because its disk had not yet taken its refusal, and until then it said nothing at all.
const FOUND: [u64; 1] = [1_575];

#[test]
fn what_was_found_once_stays_right() {
    for (plot, seed) in FOUND_IN_PLOTS {
        let (result, ..) = run_plot(seed, plot, false);
        assert!(result.is_ok(), "{plot:?}, seed {seed}: {result:?}");
    }
    for seed in FOUND {
        let (result, ..) = run_seed(SwitchBy::Mediator, seed, Kinds::ALL, false);
        assert!(result.is_ok(), "seed {seed}: {result:?}");
    }
}

#[test]
fn whatever_happens_nothing_acknowledged_is_lost_and_one_node_serves() {
    search::run(SwitchBy::Mediator, Tally::missing);
}
