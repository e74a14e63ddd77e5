//! Takes one rule of the unaided pair away at a time: the random worlds must miss it.
//!
//! A program of its own: a rule is taken away from every brain of the process.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test: it may panic, and says what missed each rule"
)]

#[path = "../manual/link.rs"]
mod link;
#[path = "../manual/node.rs"]
mod node;
#[path = "../manual/outside.rs"]
mod outside;
#[path = "../manual/rng.rs"]
mod rng;
#[path = "../manual/world.rs"]
mod world;

use tandem_switch::{OnSilence, Rule, Seen, SplitBrain, Unaided, remove};

use crate::world::{Plan, Totals, World};

/// Seeds tried per rule and plan before it counts as not missed.
const SEEDS: u64 = 600;

/// What the worlds were not seen to miss: each is held by a test of its own.
fn held_elsewhere(rule: Rule) -> Option<&'static str> {
    match rule {
        Rule::ResignByRevision => Some(
            "one_channel_that_speaks_is_enough_and_the_standby_lets_the_primary_go (an older word)",
        ),
        // These worlds take over on proof only, and acknowledge on both disks.
        Rule::OneReturns => Some(
            "of_two_primaries_without_a_link_the_one_that_hears_of_a_later_reign_waits_for_the_link",
        ),
        Rule::ReturnsAlone => {
            Some("a_restarted_primary_that_sees_nobody_waits_also_when_it_acknowledges_alone")
        }
        // The link heals too soon here for both to act on a fence that failed.
        Rule::FenceCertain => {
            Some("the table of `direct/tests.rs`, and the simulation (plot Misfire)")
        }
        Rule::OwnNetwork | Rule::LeftBehind => {
            Some("tests of `direct/tests/probe.rs`, and the simulation (nobody probes here)")
        }
        _ => None,
    }
}

fn plans() -> [(&'static str, Plan); 3] {
    let alone = Unaided {
        seen: Seen::Directly,
        channels: 1,
        fence: false,
        on_silence: OnSilence::Wait,
        goes_alone: true,
        pings: false,
        probe_failures: 3,
        split_brain: SplitBrain::Newest,
    };
    let fenced = Unaided { fence: true, ..alone };
    [
        ("on proof", Plan { unaided: Some(alone), ..Plan::default() }),
        ("fenced", Plan { unaided: Some(fenced), ..Plan::default() }),
        ("flapping", Plan { unaided: Some(fenced), flaps: true, ..Plan::default() }),
    ]
}

fn missed(rule: Rule) -> Option<String> {
    remove(Some(rule));
    let mut total = Totals::default();
    for seed in 0..SEEDS {
        for (name, plan) in plans() {
            match std::panic::catch_unwind(|| World::new(seed, plan, false).run()) {
                Ok(totals) => total.add(&totals),
                Err(panic) => {
                    let words = panic.downcast_ref::<String>().cloned().unwrap_or_default();
                    let words: String = words.chars().take(100).collect();
                    return Some(format!("{name}, seed {seed}: {words}"));
                }
            }
        }
    }
    println!("{rule:?} survives {total:?}");
    None
}

#[test]
fn every_rule_of_the_unaided_pair_is_missed() {
    let only = std::env::var("TANDEM_RULE").ok();
    let mut survivors = Vec::new();
    for rule in Rule::UNAIDED {
        let name = format!("{rule:?}");
        if only.as_ref().is_some_and(|only| *only != name) {
            continue;
        }
        match missed(rule) {
            Some(how) => println!("{name}: {how}"),
            None => match held_elsewhere(rule) {
                Some(test) => println!("{name}: not missed here; held by {test}"),
                None => survivors.push(rule),
            },
        }
    }
    remove(None);
    assert!(survivors.is_empty(), "nobody misses {survivors:?}");
}
