//! Automatic switching in the simulated world: thousands of seeds, each with its own faults, and every
//! promise looked at. A failing seed is replayed, told and shrunk with
//! `TANDEM_SEED=n cargo test --profile e2e -p tandem-sim --test mediated -- --nocapture`;
//! `TANDEM_SEEDS=n` runs more of them, `TANDEM_FROM=n` others, `TANDEM_PLOT=Name` those of one plot.

#[path = "support/search.rs"]
mod search;

use tandem_sim::{SwitchBy, Tally};

#[test]
fn whatever_happens_nothing_acknowledged_is_lost_and_one_node_serves() {
    search::run(SwitchBy::Mediator, Tally::missing);
}
