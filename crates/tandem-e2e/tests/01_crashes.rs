//! A hundred clients write with `acknowledge = "durable"` while nodes are killed: every acknowledged
//! write is there afterwards, nothing that was refused is, and what clients read was linearizable.
#![expect(clippy::print_stderr, reason = "the seed and the counts must be seen")]

use std::time::Duration;

use tandem_e2e::audit;
use tandem_e2e::load::{Load, LoadOptions, Report};
use tandem_e2e::node::Node;
use tandem_e2e::pair::{Pair, PairOptions};
use tandem_e2e::rng::Rng;
use tandem_e2e::skip::budget;

/// Rounds of each test in CI; `cargo xtask soak` multiplies it.
const ROUNDS: u32 = 2;
/// Until a load makes progress again after a crash, on a loaded machine.
const RECOVERY: Duration = Duration::from_secs(20);

fn durable(topology: &'static str) -> PairOptions {
    PairOptions::new(topology).replication("acknowledge = \"durable\"")
}

fn seed() -> u64 {
    let seed = Rng::seed_from_environment();
    eprintln!("TANDEM_E2E_SEED={seed}");
    seed
}

fn load(pair: &Pair, seed: u64) -> Load {
    let options = LoadOptions { seed, registers: 16, ..LoadOptions::default() };
    Load::start(&options, &pair.addresses())
}

/// Lets the load run for a random short time after it has begun.
fn run_a_while(load: &Load, rng: &mut Rng) {
    load.wait_for_more(200, RECOVERY);
    std::thread::sleep(Duration::from_millis(rng.below(400)));
}

/// The nodes as (primary, follower).
fn split(pair: &mut Pair, primary_is_a: bool) -> (&mut Node, &mut Node) {
    if primary_is_a { (&mut pair.a, &mut pair.b) } else { (&mut pair.b, &mut pair.a) }
}

fn judge(name: &str, round: u32, report: &Report, node: &Node) {
    let audited = audit::assert_nothing_lost(report, &mut node.client());
    eprintln!(
        "{name}, round {round}: {audited:?}, longest silence {:?}, errors {:?}",
        report.longest_silence, report.errors
    );
}

#[test]
fn the_primary_is_killed_and_the_standby_promoted() {
    let mut rng = Rng::new(seed());
    let mut pair = Pair::start(&durable("primary-standby"));
    let mut primary_is_a = true;
    for round in 1..=ROUNDS * budget() {
        let load = load(&pair, rng.next_u64());
        run_a_while(&load, &mut rng);
        let (old, new) = split(&mut pair, primary_is_a);
        old.kill();
        let said = new.verb(&["promote"]);
        assert_eq!(said.code, 0, "{said:?}");
        new.wait_role("primary");
        // The other machine is down: until it is back, writes need somebody's word to go on alone.
        let said = new.verb(&["solo"]);
        assert_eq!(said.code, 0, "{said:?}");
        load.wait_for_more(200, RECOVERY);
        let report = load.stop();
        judge("kill and promote", round, &report, new);
        old.start();
        pair.wait_in_sync();
        primary_is_a = !primary_is_a;
        let (new, _) = split(&mut pair, primary_is_a);
        judge("after the old one is back", round, &report, new);
        new.client().ok(&["FLUSHALL"]);
    }
}

#[test]
fn both_are_killed_and_started_again() {
    let mut rng = Rng::new(seed());
    let mut pair = Pair::start(&durable("primary-standby"));
    for round in 1..=ROUNDS * budget() {
        let load = load(&pair, rng.next_u64());
        run_a_while(&load, &mut rng);
        if rng.chance(1, 2) {
            pair.a.kill();
            pair.b.kill();
        } else {
            pair.b.kill();
            pair.a.kill();
        }
        let report = load.stop();
        if rng.chance(1, 2) {
            pair.a.start();
            pair.b.start();
        } else {
            pair.b.start();
            pair.a.start();
        }
        pair.wait_in_sync();
        pair.a.wait_role("primary");
        judge("both killed", round, &report, &pair.a);
        pair.a.client().ok(&["FLUSHALL"]);
    }
}

#[test]
fn the_standby_is_killed_and_the_primary_goes_on_by_a_persons_word() {
    let mut rng = Rng::new(seed());
    let mut pair = Pair::start(&durable("primary-replica"));
    for round in 1..=ROUNDS * budget() {
        let load = load(&pair, rng.next_u64());
        run_a_while(&load, &mut rng);
        pair.b.kill();
        let status = pair.a.wait_status("is stalled", |status| status.is("stalled"));
        assert_eq!(status.role(), "primary");
        let before = load.acknowledged();
        std::thread::sleep(Duration::from_millis(300));
        // Replies that were on their way may still have been counted after the first look.
        assert!(load.acknowledged() <= before + 100, "acknowledged on one disk without a word");
        let said = pair.a.verb(&["solo"]);
        assert_eq!(said.code, 0, "{said:?}");
        load.wait_for_more(500, RECOVERY);
        pair.b.start();
        pair.wait_in_sync();
        load.wait_for_more(500, RECOVERY);
        let report = load.stop();
        judge("standby killed", round, &report, &pair.a);
        // The replica has it all too, once it has applied what is committed.
        let position = pair.a.status().number("commit_lsn");
        pair.b.wait_status("has applied it", |status| status.number("applied_lsn") >= position);
        judge("on the replica", round, &report, &pair.b);
        pair.a.client().ok(&["FLUSHALL"]);
    }
}

/// Makes b the primary that goes on alone, while a is frozen.
#[track_caller]
fn replace_frozen(pair: &Pair) {
    pair.b.wait_status("misses its peer", |status| !status.is("peer.connected"));
    let said = pair.b.verb(&["promote"]);
    assert_eq!(said.code, 0, "{said:?}");
    pair.b.wait_role("primary");
    let said = pair.b.verb(&["solo"]);
    assert_eq!(said.code, 0, "{said:?}");
}

#[test]
fn a_frozen_primary_that_wakes_after_the_promotion_acknowledges_nothing_more() {
    let mut rng = Rng::new(seed());
    let mut pair = Pair::start(&durable("primary-standby"));
    let load = load(&pair, rng.next_u64());
    run_a_while(&load, &mut rng);
    pair.a.freeze();
    replace_frozen(&pair);
    load.wait_for_more(100, RECOVERY);
    pair.a.thaw();
    pair.a.wait_role("standby");
    pair.wait_in_sync();
    load.wait_for_more(100, RECOVERY);
    let report = load.stop();
    judge("frozen", 1, &report, &pair.b);
}

#[test]
fn a_primary_that_wakes_tells_nobody_what_was_before_its_pause() {
    for topology in ["primary-standby", "primary-replica"] {
        let mut pair = Pair::start(&durable(topology));
        pair.a.client().ok(&["SET", "key", "before"]);
        let mut asking = pair.a.client();
        asking.ok(&["PING"]);
        pair.a.freeze();
        replace_frozen(&pair);
        pair.b.client().ok(&["SET", "key", "after"]);
        // The frozen node finds the request beside the end of its link.
        asking.send(&["GET", "key"]).expect("the kernel takes it");
        pair.a.thaw();
        let told = asking.reply();
        let stale = told.as_ref().is_ok_and(|told| format!("{told:?}").contains("before"));
        assert!(!stale, "{topology}: {told:?}");
        pair.wait_in_sync();
    }
}

#[test]
fn a_primary_that_wakes_beside_its_standby_answers_at_once() {
    let mut pair = Pair::start(&durable("primary-standby"));
    let mut asking = pair.a.client();
    asking.ok(&["SET", "key", "value"]);
    pair.a.freeze();
    pair.b.wait_status("misses its peer", |status| !status.is("peer.connected"));
    asking.send(&["GET", "key"]).expect("the kernel takes it");
    pair.a.thaw();
    let told = asking.reply().expect("it is still the primary");
    assert!(format!("{told:?}").contains("value"), "{told:?}");
    pair.wait_in_sync();
    // Without its standby it goes on, too, after one time-out.
    pair.b.kill();
    pair.a.wait_status("misses its peer", |status| !status.is("peer.connected"));
    assert!(format!("{:?}", asking.ok(&["GET", "key"])).contains("value"));
}
