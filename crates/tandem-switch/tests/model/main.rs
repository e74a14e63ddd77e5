//! Every interleaving of two mediated brains, a mediator, a link and crashes, within bounds.
//!
//! The brains are the real ones; the log is a list, the disk is fast, the clock has few ticks. Run with
//! `cargo test -p tandem-switch --features planted --test model --profile e2e`; `TANDEM_MODEL=deep` lifts
//! the bounds, `TANDEM_MODEL_ONLY=name` runs one configuration or one rule.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::too_many_lines,
    unreachable_pub,
    missing_docs,
    reason = "a test: it may panic, prints what it found, and nobody imports it"
)]

mod node;
mod plans;
mod unaided;
mod walk;
mod world;

use std::sync::Mutex;
use std::time::Instant;

use stateright::{Checker, HasDiscoveries, Model};
use tandem_switch::{Rule, remove};

use crate::plans::Named;
use crate::world::Checked;

/// Removed rules are process-wide.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn alone() -> std::sync::MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn only(name: &str) -> bool {
    std::env::var("TANDEM_MODEL_ONLY").map_or(true, |only| name.contains(&only))
}

fn deep() -> bool {
    std::env::var("TANDEM_MODEL").is_ok_and(|it| it == "deep")
}

#[test]
fn with_every_rule_nothing_is_lost() {
    let _guard = alone();
    remove(None);
    let mut broken = Vec::new();
    for Named { name, plan, states } in plans::sound() {
        if !only(name) {
            continue;
        }
        let states = if deep() { states * 20 } else { states };
        let begun = Instant::now();
        let checked = Checked { plan, goals: true }
            .checker()
            .threads(2)
            .finish_when(HasDiscoveries::AnyFailures)
            .target_state_count(states)
            .spawn_bfs()
            .join();
        let whole =
            if checked.is_done() && checked.state_count() < states { "all" } else { "cut off" };
        println!(
            "{name}: {} states, {} unique, depth {}, {whole}, {:.1} s",
            checked.state_count(),
            checked.unique_state_count(),
            checked.max_depth(),
            begun.elapsed().as_secs_f64()
        );
        for (property, path) in checked.discoveries() {
            let classification = checked.discovery_classification(property);
            println!(
                "  {property}: {classification} after {} steps",
                path.clone().into_actions().len()
            );
            if classification.to_string() == "counterexample" {
                println!("  {:?}", path.into_actions());
                broken.push((name, property));
            }
        }
        for property in checked.model().properties() {
            if property.expectation == stateright::Expectation::Sometimes
                && checked.discovery(property.name).is_none()
            {
                println!("  {}: never", property.name);
                broken.push((name, property.name));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:?}");
}

fn walks(default: u64) -> u64 {
    let default = if deep() { 2_000_000 } else { default };
    std::env::var("TANDEM_MODEL_WALKS").ok().and_then(|it| it.parse().ok()).unwrap_or(default)
}

#[test]
fn deep_walks_lose_nothing_and_come_to_something() {
    let _guard = alone();
    remove(None);
    let mut broken = Vec::new();
    for named in plans::deep() {
        if !only(named.name) {
            continue;
        }
        let begun = Instant::now();
        let (mut moved, mut shrunk, mut grown, mut rewritten, mut alive) = (0, 0, 0, 0, 0);
        let found = walk::walk(&named, walks(2_000), &mut |world| {
            moved += u32::from(world.took_over);
            shrunk += u32::from(world.shrunk);
            grown += u32::from(world.grown);
            rewritten += u32::from(world.rewritten);
            alive += u32::from(world.is_served());
        });
        let seconds = begun.elapsed().as_secs_f64();
        println!(
            "{}: {} walks, moved {moved}, shrunk {shrunk}, grown {grown}, written again {rewritten}, served at the end {alive}, {seconds:.1} s",
            named.name,
            walks(2_000)
        );
        if let Some(found) = found {
            println!("  {}: walk {}\n  {:?}", found.property, found.walks, found.steps);
            broken.push((named.name, found.property));
        } else if moved == 0 || grown == 0 || alive == 0 {
            broken.push((named.name, "comes to nothing"));
        }
    }
    assert!(broken.is_empty(), "{broken:?}");
}

#[test]
fn each_rule_that_is_taken_away_is_missed() {
    let _guard = alone();
    let mut survivors = Vec::new();
    println!("{:<22} {:<14} {:>6}  how", "rule", "world", "walks");
    for rule in Rule::ALL {
        let name = format!("{rule:?}");
        if !only(&name) {
            continue;
        }
        remove(Some(rule));
        let mut caught = None;
        for named in plans::deep() {
            let name = named.name;
            // What is known to be protected twice is only watched for becoming the sole protection.
            let most = walks(if plans::redundant(rule).is_some() { 100 } else { 10_000 });
            match std::panic::catch_unwind(|| walk::walk(&named, most, &mut |_| {})) {
                Ok(Some(found)) => {
                    let how = format!("{}, {} steps", found.property, found.steps.len());
                    caught = Some(format!("{name:<14} {:>6}  {how}", found.walks));
                    if std::env::var("TANDEM_MODEL_ONLY").is_ok() {
                        println!("{:?}", found.steps);
                    }
                    break;
                }
                Ok(None) => {}
                Err(panic) => {
                    let said =
                        panic.downcast_ref::<String>().map_or("an assertion", String::as_str);
                    let said = said.split(':').next().unwrap_or(said);
                    caught = Some(format!("{name:<14} {:>6}  {said}", "-"));
                    break;
                }
            }
        }
        let survives = || {
            let why = plans::redundant(rule)
                .map_or("SURVIVES".into(), |it| format!("not a matter of these worlds: {it}"));
            format!("{:<14} {:>6}  {why}", "-", "-")
        };
        println!("{name:<22} {}", caught.clone().unwrap_or_else(survives));
        if caught.is_none() && plans::redundant(rule).is_none() {
            survivors.push(rule);
        }
    }
    remove(None);
    assert!(survivors.is_empty(), "nobody misses {survivors:?}");
}
