//! Takes one rule away at a time: the simulation must notice, and soon.
//!
//! `cargo xtask sim --planted`, or
//! `cargo test --profile e2e -p tandem-sim --features planted --test planted -- --nocapture`.

use std::time::Duration;

use tandem_node::NodeRule;
use tandem_sim::campaign;
use tandem_switch::Rule;

/// Rules whose absence costs nothing that a client or the record could see: something else protects the
/// same promise a second time, or they matter to worlds that are not simulated here.
const PROTECTED_TWICE: &[&str] = &[];

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn hunt(seeds: u64, most: Duration) -> Option<(u64, String)> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let outcome = campaign(1_000_000, seeds, Some(most), threads, 1);
    let line = |text: &str| text.lines().next().unwrap_or_default().chars().take(110).collect();
    outcome.failures.first().map(|(_, failure)| (outcome.tally.runs, line(&failure.what)))
}

#[test]
#[expect(clippy::print_stdout, reason = "the table is what people want to see")]
fn every_rule_that_is_taken_away_is_missed() {
    let seeds = number("TANDEM_SEEDS").unwrap_or(2_000);
    let most = Duration::from_secs(number("TANDEM_SECONDS").unwrap_or(30));
    // A panic is one way to notice; its text is in the table.
    std::panic::set_hook(Box::new(|_| {}));
    let mut unnoticed = Vec::new();
    let mut tell = |name: String, caught: Option<(u64, String)>| match caught {
        Some((after, how)) => println!("{name:<24} {after:>6} seeds  {how}"),
        None => {
            println!("{name:<24}    not within {seeds} seeds or {most:?}");
            if !PROTECTED_TWICE.contains(&name.as_str()) {
                unnoticed.push(name);
            }
        }
    };
    let only = std::env::var("TANDEM_RULE").ok();
    let wanted = |name: &str| only.as_ref().is_none_or(|only| only == name);
    for rule in NodeRule::ALL.into_iter().filter(|rule| wanted(&format!("{rule:?}"))) {
        tandem_node::remove_rule(Some(rule));
        tell(format!("{rule:?}"), hunt(seeds, most));
    }
    tandem_node::remove_rule(None);
    for rule in Rule::ALL.into_iter().filter(|rule| wanted(&format!("{rule:?}"))) {
        tandem_switch::remove(Some(rule));
        tell(format!("{rule:?}"), hunt(seeds, most));
    }
    tandem_switch::remove(None);
    let _hook = std::panic::take_hook();
    assert!(unnoticed.is_empty(), "nobody missed {unnoticed:?}");
}
