//! Every interleaving of two unaided brains, a link, channels, supervisors, a fence, a person and crashes.
//!
//! As the mediated pair's model, with one difference: each world is explored whole, or the test fails.

mod checked;
mod node;
mod plans;
mod world;

use std::time::Instant;

use stateright::{Checker, HasDiscoveries, Model};
use tandem_switch::{Rule, remove};

use self::checked::Checked;
use self::plans::Named;
use self::world::{Action, World};

/// States that a world may have here, as the checker counts them.
const STATES_MAX: usize = 2_000_000;
/// With `TANDEM_MODEL=deep`: what does not end within as many is cut off.
const STATES_MAX_DEEP: usize = 30_000_000;

/// What came of exploring a world.
struct Explored {
    states: usize,
    unique: usize,
    depth: usize,
    /// The property that fails, and on which way.
    failure: Option<(&'static str, Vec<Action>, World)>,
}

fn explore(checked: Checked, states: usize) -> Explored {
    let checker = checked
        .checker()
        .threads(2)
        .finish_when(HasDiscoveries::AnyFailures)
        .target_state_count(states)
        .spawn_bfs()
        .join();
    let failure = checker.discoveries().into_iter().next().map(|(property, path)| {
        let world = path.last_state().clone();
        (property, path.into_actions(), world)
    });
    Explored {
        states: checker.state_count(),
        unique: checker.unique_state_count(),
        depth: checker.max_depth(),
        failure,
    }
}

#[test]
fn an_unaided_pair_loses_nothing_in_any_interleaving() {
    let _guard = crate::alone();
    remove(None);
    let mut broken = Vec::new();
    for Named { name, plan } in plans::all() {
        if !crate::only(name) {
            continue;
        }
        let deep = crate::deep();
        let plan = if deep { plans::deeper(plan) } else { plan };
        let most = if deep { STATES_MAX_DEEP } else { STATES_MAX };
        let begun = Instant::now();
        let goals = Checked::new(plan);
        let explored = explore(goals.clone(), most);
        let Explored { states, unique, depth, failure } = explored;
        let seconds = begun.elapsed().as_secs_f64();
        let whole = if failure.is_none() && states < most { "all" } else { "cut off" };
        println!(
            "{name}: {states} states, {unique} unique, depth {depth}, {whole}, {seconds:.1} s"
        );
        if let Some((property, steps, world)) = failure {
            println!("  {property} ({:?}) after {} steps: {steps:?}", world.broken, steps.len());
            if std::env::var("TANDEM_MODEL_ONLY").is_ok() {
                println!("  {world:#?}");
            }
            broken.push((name, property));
        } else if states >= most && !deep {
            broken.push((name, "is not explored whole"));
        }
        for goal in plan.goals {
            if !goals.has_reached(*goal) {
                println!("  {goal:?}: never");
                broken.push((name, "comes to nothing"));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:?}");
}

/// Explores the rule's world until it is missed.
fn missed(rule: Rule) -> Option<String> {
    let Named { name, plan } = plans::home(rule)?;
    let explored = std::panic::catch_unwind(|| explore(Checked::new(plan), STATES_MAX));
    let Ok(Explored { states, failure, .. }) = explored else {
        return Some(format!("{name:<20} {:>8}  an assertion of the brain", "-"));
    };
    let Some((property, steps, world)) = failure else {
        println!("{rule:?} survives {states} states of {name}");
        return None;
    };
    if std::env::var("TANDEM_MODEL_ONLY").is_ok() {
        println!("{steps:?}");
    }
    let how = world.broken.unwrap_or(property);
    Some(format!("{name:<20} {states:>8}  {how}, {} steps", steps.len()))
}

#[test]
fn each_rule_of_the_unaided_pair_is_missed_by_some_interleaving() {
    let _guard = crate::alone();
    let mut survivors = Vec::new();
    println!("{:<22} {:<20} {:>8}  how", "rule", "world", "states");
    for rule in Rule::UNAIDED {
        let name = format!("{rule:?}");
        if !crate::only(&name) {
            continue;
        }
        remove(Some(rule));
        match missed(rule) {
            Some(how) => println!("{name:<22} {how}"),
            None => survivors.push(rule),
        }
    }
    remove(None);
    assert!(survivors.is_empty(), "nobody misses {survivors:?}");
}
