//! Pairs without a third party, `by = "probe"`: the standby is a client of the primary, and every promise is
//! looked at. A failing seed is replayed, told and shrunk with
//! `TANDEM_SEED=n cargo test --profile e2e -p tandem-sim --test probe -- --nocapture`;
//! `TANDEM_SEEDS=n` runs more of them, `TANDEM_FROM=n` others.

#[path = "support/goals.rs"]
mod goals;
#[path = "support/search.rs"]
mod search;

use tandem_sim::SwitchBy;

#[test]
fn judged_by_a_client_nothing_acknowledged_is_lost_and_one_node_serves() {
    search::run(SwitchBy::Probe, |tally| {
        goals::missing(tally, &[("failed probes", |it| it.probes_failed)])
    });
}
