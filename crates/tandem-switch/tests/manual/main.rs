//! Two manual brains over a simulated network, disks and logs: thousands of seeds.
//!
//! `TANDEM_SEED=n` replays one seed with its trace; `TANDEM_SEEDS=n` runs that many.
//!
//! Checked at every step: an acknowledged write is in the log of whoever serves, and on whoever could be
//! promoted without loss; no epoch is served twice; nobody acknowledges after a later reign has begun.
//! Checked at the end, with everything healed and no person about: one serves, both are in sync, writes
//! are acknowledged.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test: it may panic, and a replayed seed prints its trace"
)]

mod link;
mod node;
mod outside;
mod rng;
mod world;

use tandem_switch::{Acknowledge, OnSilence, Unaided};

use crate::world::{Plan, World};

fn run_seeds(name: &str, count: u64, plan: Plan) {
    if let Ok(seed) = std::env::var("TANDEM_SEED") {
        let seed = seed.parse().expect("TANDEM_SEED is a number");
        World::new(seed, plan, true).run();
        return;
    }
    let count = std::env::var("TANDEM_SEEDS").ok().and_then(|it| it.parse().ok()).unwrap_or(count);
    let mut total = world::Totals::default();
    for seed in 0..count {
        let run = std::panic::catch_unwind(|| World::new(seed, plan, false).run());
        match run {
            Ok(totals) => total.add(&totals),
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
    println!("{name}: {total:?}");
    // A run that does nothing proves nothing.
    assert!(total.acked > count, "{name}: only {total:?} over {count} seeds");
    assert!(total.serves > count, "{name}: only {total:?} over {count} seeds");
    assert!(total.in_sync > 0, "{name}: only {total:?} over {count} seeds");
    if let Some(unaided) = plan.unaided {
        assert!(total.takeovers > 0, "{name}: only {total:?} over {count} seeds");
        assert!(total.alone > 0, "{name}: only {total:?} over {count} seeds");
        assert!(!unaided.fence || total.fences > 0, "{name}: only {total:?} over {count} seeds");
    }
}

#[test]
fn durable_pairs_lose_nothing_without_force() {
    run_seeds("durable", 500, Plan { acknowledge: Acknowledge::Durable, ..Plan::default() });
}

#[test]
fn received_pairs_lose_nothing_without_force() {
    run_seeds("received", 300, Plan { acknowledge: Acknowledge::Received, ..Plan::default() });
}

#[test]
fn local_pairs_never_serve_one_epoch_twice_and_come_together_again() {
    run_seeds("local", 200, Plan { acknowledge: Acknowledge::Local, ..Plan::default() });
}

const ANY: &[Acknowledge] = &[Acknowledge::Local, Acknowledge::Received, Acknowledge::Durable];

#[test]
fn pairs_whose_files_differ_lose_nothing_without_force() {
    run_seeds("files that differ", 700, Plan { files: ANY, ..Plan::default() });
    let shared = &[Acknowledge::Received, Acknowledge::Durable];
    let unaided = Plan { files: shared, unaided: Some(ALONE), ..Plan::default() };
    run_seeds("files that differ, unaided", 700, unaided);
}

#[test]
fn forced_changes_fork_and_come_together_again() {
    run_seeds("forced", 300, Plan { forces: true, ..Plan::default() });
}

#[test]
fn a_wiped_standby_never_takes_data_with_it() {
    run_seeds("wiped", 300, Plan { wipes: true, ..Plan::default() });
}

const ALONE: Unaided = Unaided {
    seen: tandem_switch::Seen::Directly,
    channels: 1,
    fence: false,
    on_silence: OnSilence::Wait,
    goes_alone: true,
    pings: false,
    probe_failures: 3,
    split_brain: tandem_switch::SplitBrain::Newest,
};

#[test]
fn unaided_pairs_lose_nothing_on_proof() {
    run_seeds("unaided", 1_000, Plan { unaided: Some(ALONE), ..Plan::default() });
}

#[test]
fn unaided_pairs_with_a_fence_lose_nothing() {
    let fenced = Unaided { fence: true, ..ALONE };
    run_seeds("fenced", 700, Plan { unaided: Some(fenced), ..Plan::default() });
    run_seeds("flapping", 700, Plan { unaided: Some(fenced), flaps: true, ..Plan::default() });
}

#[test]
fn unaided_pairs_that_received_only_lose_nothing_on_proof() {
    let acknowledge = Acknowledge::Received;
    run_seeds("received", 500, Plan { unaided: Some(ALONE), acknowledge, ..Plan::default() });
}

#[test]
fn unaided_pairs_that_take_over_on_silence_come_together_again() {
    let bold = Unaided { on_silence: OnSilence::TakeOver, ..ALONE };
    run_seeds("bold", 500, Plan { unaided: Some(bold), ..Plan::default() });
}
