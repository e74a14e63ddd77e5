//! Every rule of the merge taken away once: something must notice.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::pedantic,
    clippy::manual_is_multiple_of,
    clippy::disallowed_methods,
    unreachable_pub,
    dead_code,
    missing_docs,
    reason = "a test: it may panic, prints what it found, and nobody imports it"
)]

#[path = "../merge/escrow.rs"]
mod escrow;
#[path = "../merge/exhaustive.rs"]
mod exhaustive;
#[path = "../merge/generate.rs"]
mod generate;
#[path = "../merge/histories.rs"]
mod histories;
#[path = "../merge/keyspace.rs"]
mod keyspace;
#[path = "../merge/oracle.rs"]
mod oracle;
#[path = "../merge/rng.rs"]
mod rng;
#[path = "../merge/sequences.rs"]
mod sequences;
#[path = "../merge/snapshot.rs"]
mod snapshot;
#[path = "../merge/world.rs"]
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

use tandem_merge::sequence::WhenDry;
use tandem_merge::{Rule, remove};

use crate::world::{CARELESS, Plan};

/// Histories tried before a mutant counts as unnoticed.
const TRIES: u64 = 20_000;

/// How many of so many histories notice, stopping at 20.
fn noticed(tries: u64, mut history: impl FnMut(u64) -> Result<(), String>) -> (u64, u64) {
    let mut count = 0;
    for seed in 0..tries {
        let outcome = catch_unwind(AssertUnwindSafe(|| history(seed)));
        count += u64::from(!matches!(outcome, Ok(Ok(()))));
        if count == 20 {
            return (count, seed + 1);
        }
    }
    (count, tries)
}

fn merges(seed: u64, careless: Option<world::Careless>) -> Result<(), String> {
    let plan = histories::plan(seed);
    let hard = plan.hard || careless.is_some() && seed % 2 == 0;
    let plan = Plan { careless, hard, ..plan };
    world::run(seed, plan, false).map(drop)
}

fn of_rule(rule: Rule) -> (u64, u64) {
    match rule {
        Rule::SpendOwnRights | Rule::NoSelfTransfer => {
            noticed(TRIES, |seed| escrow::run(seed, false).map(drop))
        }
        Rule::BurnFirst | Rule::JumpAfterLoss | Rule::OwnParity => noticed(TRIES, |seed| {
            let when_dry = if seed % 2 == 0 { WhenDry::Strict } else { WhenDry::Available };
            sequences::run(seed, when_dry).map(drop)
        }),
        Rule::DoneOnce => noticed(TRIES, |seed| {
            let plan = Plan { snapshots: true, steps: 80 + seed % 160, ..histories::plan(seed) };
            world::run(seed, plan, false).map(drop)
        }),
        _ => noticed(TRIES, |seed| merges(seed, None)),
    }
}

/// In one test: which rule is taken away is a matter of the whole process.
#[test]
fn every_rule_is_missed() {
    std::panic::set_hook(Box::new(|_| {}));
    let mut unnoticed = Vec::new();
    for rule in Rule::ALL {
        remove(Some(rule));
        let (count, tries) = of_rule(rule);
        remove(None);
        println!("without {rule:?}: {count} of {tries} histories fail");
        if count == 0 {
            unnoticed.push(format!("{rule:?}"));
        }
    }
    for careless in CARELESS {
        let (count, tries) = noticed(TRIES, |seed| merges(seed, Some(careless)));
        println!("{careless:?}: {count} of {tries} histories fail");
        if count == 0 {
            unnoticed.push(format!("{careless:?}"));
        }
    }
    let (count, tries) = noticed(TRIES, |seed| escrow::run(seed, true).map(drop));
    println!("rights sent before they are on disk: {count} of {tries} histories fail");
    if count == 0 {
        unnoticed.push("rights sent unsynced".into());
    }
    assert!(unnoticed.is_empty(), "nothing notices: {unnoticed:?}");
}
