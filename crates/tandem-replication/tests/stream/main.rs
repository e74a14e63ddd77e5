//! A leader and a follower over a simulated network, with toy logs and key spaces: thousands of seeds.
//!
//! `TANDEM_SEED=n` replays one seed with its trace; `TANDEM_SEEDS=n` runs that many.
//!
//! Checked: the follower's log is always a part of the leader's, its key space always what the leader's
//! log gives at the same place, memory stays inside the window, a full copy gets done under full write
//! load, and after the last write everything is everywhere.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test: it may panic, and a replayed seed prints its trace"
)]

mod log;
mod rng;
mod world;

use crate::world::{Begin, Plan, Totals, World};

fn run_seeds(name: &str, count: u64, plan: Plan) -> Totals {
    if let Ok(seed) = std::env::var("TANDEM_SEED") {
        let seed = seed.parse().expect("TANDEM_SEED is a number");
        return World::new(seed, plan, true).run();
    }
    let count = std::env::var("TANDEM_SEEDS").ok().and_then(|it| it.parse().ok()).unwrap_or(count);
    let mut totals = Totals::default();
    for seed in 0..count {
        match std::panic::catch_unwind(|| World::new(seed, plan, false).run()) {
            Ok(run) => totals.add(run),
            Err(panic) => {
                let words = panic
                    .downcast_ref::<String>()
                    .map(String::as_str)
                    .or_else(|| panic.downcast_ref::<&str>().copied())
                    .unwrap_or("?");
                panic!("{name}: TANDEM_SEED={seed}: {words}");
            }
        }
    }
    totals
}

#[test]
fn a_follower_that_is_behind_catches_up() {
    let totals = run_seeds("behind", 100, Plan { begin: Begin::Behind, trims: false });
    assert!(totals.resumed > 0 && totals.cut == 0, "{totals:?}");
}

#[test]
fn a_follower_that_diverged_is_cut_and_catches_up() {
    let totals = run_seeds("diverged", 150, Plan { begin: Begin::Diverged, trims: false });
    assert!(totals.cut > 0 && totals.resumed > 0, "{totals:?}");
}

#[test]
fn a_damaged_follower_is_copied_anew_and_never_trusted() {
    let totals = run_seeds("damaged", 100, Plan { begin: Begin::Damaged, trims: false });
    assert!(totals.copies_done > 0, "{totals:?}");
}

#[test]
fn a_full_copy_gets_done_under_full_write_load() {
    let totals = run_seeds("copy", 150, Plan { begin: Begin::Empty, trims: true });
    assert!(totals.copies_done > 15, "{totals:?}");
}

#[test]
fn whatever_the_follower_has_it_ends_as_a_copy_of_the_leader() {
    let totals = run_seeds("any", 300, Plan { begin: Begin::Any, trims: true });
    assert!(totals.copies_done > 0 && totals.cut > 0 && totals.resumed > 0, "{totals:?}");
}

#[test]
fn data_of_another_pair_is_refused_and_left_alone() {
    let totals = run_seeds("foreign", 30, Plan { begin: Begin::Foreign, trims: true });
    assert!(totals.refused > 0 && totals.appended == 0 && totals.cut == 0, "{totals:?}");
    assert!(totals.copies_done == 0, "{totals:?}");
}
