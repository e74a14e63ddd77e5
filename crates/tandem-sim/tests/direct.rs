//! Pairs without a third party, `by = "direct"`: several channels, supervisors, a fence, and every promise
//! looked at. A failing seed is replayed, told and shrunk with
//! `TANDEM_SEED=n cargo test --profile e2e -p tandem-sim --test direct -- --nocapture`;
//! `TANDEM_SEEDS=n` runs more of them, `TANDEM_FROM=n` others.

#[path = "support/goals.rs"]
mod goals;
#[path = "support/search.rs"]
mod search;

use tandem_sim::SwitchBy;

#[test]
fn without_a_third_party_nothing_acknowledged_is_lost_and_one_node_serves() {
    search::run(SwitchBy::Direct, |tally| goals::missing(tally, &[]));
}
