//! Pairs without a third party, `by = "direct"`: several channels, supervisors, a fence, and every promise
//! looked at. A failing seed is replayed, told and shrunk with
//! `TANDEM_SEED=n cargo test --profile e2e -p tandem-sim --test direct -- --nocapture`;
//! `TANDEM_SEEDS=n` runs more of them, `TANDEM_FROM=n` others.

#[path = "support/goals.rs"]
mod goals;
#[path = "support/search.rs"]
mod search;

use tandem_sim::{Kinds, SwitchBy, run_seed};

/// Each found a mistake: a primary that was overtaken told the node that took over of what it had acknowledged itself, so
/// that this one set its data aside (1000733); a machine that went back was promoted before it had met its peer (1000292:
/// a mistake of the simulated person).
const FOUND: [u64; 4] = [2_084, 8_972, 1_000_292, 1_000_733];

#[test]
fn what_was_found_once_stays_right() {
    for seed in FOUND {
        let (result, ..) = run_seed(SwitchBy::Direct, seed, Kinds::ALL, false);
        assert!(result.is_ok(), "seed {seed}: {result:?}");
    }
}

#[test]
fn without_a_third_party_nothing_acknowledged_is_lost_and_one_node_serves() {
    search::run(SwitchBy::Direct, |tally| goals::missing(tally, &[]));
}
