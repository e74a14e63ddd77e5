//! What people do with a pair that switches by itself: planned changes, a decision they keep for
//! themselves, force; and clients that know only the virtual address.

use std::time::Duration;

use tandem_e2e::client::Client;
use tandem_e2e::load::Load;
use tandem_e2e::mediated::{MediatedOptions, MediatedPair, RECOVERY};
use tandem_e2e::net::{INTERFACE, VIRTUAL_ADDRESS};
use tandem_e2e::node::Node;
use tandem_e2e::wait;

fn start(name: &'static str, line: &str) -> Option<MediatedPair> {
    MediatedPair::start(name, &MediatedOptions::default().switch(line))
}

/// `tandem switch` to the other node, under load.
#[track_caller]
fn change(pair: &MediatedPair, load: &Load) {
    let (primary, other) = pair.by_role();
    pair.must(primary, &["switch", "--to", other.name()]);
    other.wait_role("primary");
    load.wait_for_more(100, RECOVERY);
}

/// Writes on one connection until it is closed; the error replies it got.
fn write_until_closed(mut client: Client) -> Vec<String> {
    let mut errors = Vec::new();
    while let Ok(reply) = client.command(&["INCR", "steady"]) {
        errors.extend(reply.error().map(str::to_owned));
    }
    errors
}

#[test]
fn planned_changes_lose_nothing_and_who_is_connected_sees_no_error() {
    let Some(mut pair) = start("planned changes", "") else { return };
    let load = pair.load();
    for _ in 0..3 {
        pair.wait_in_sync();
        let old = pair.by_role().0;
        let connected = old.client();
        let errors = std::thread::scope(|scope| {
            let writing = scope.spawn(|| write_until_closed(connected));
            change(&pair, &load);
            writing.join().expect("the connection is closed after `linger`")
        });
        assert!(errors.is_empty(), "{errors:?}");
        old.wait_status("nobody is connected", |status| status.number("clients") == 0);
    }
    let report = pair.judge(load, usize::MAX);
    assert!(report.longest_silence < Duration::from_secs(1), "{:?}", report.longest_silence);
    // Whoever is in a transaction must begin anew, and may come to a node that does not serve yet.
    let told = ["STANDBY", "EXECABORT"];
    let errors = &report.errors;
    assert!(errors.keys().all(|error| told.contains(&error.as_str())), "{errors:?}");
}

#[test]
fn changes_one_upon_the_other_lose_nothing() {
    let Some(mut pair) = start("changes one upon the other", "") else { return };
    let load = pair.load();
    for _ in 0..6 {
        pair.wait_in_sync();
        change(&pair, &load);
    }
    pair.judge(load, usize::MAX);
}

/// Ends the primary so that only a decision is missing, and waits until it is asked for.
#[track_caller]
fn propose(pair: &mut MediatedPair) {
    pair.a.kill();
    let status =
        pair.b.wait_status("proposes to take over", |status| status.at("pending").is_object());
    assert_eq!(status.text("pending.to"), "b", "{}", status.json);
    assert_eq!(status.number("pending.records_lost"), 0, "{}", status.json);
    wait::stays_true("b waits for a person", Duration::from_secs(2), || {
        pair.b.status().role() == "standby"
    });
}

#[test]
fn a_confirmed_proposal_is_carried_out() {
    let Some(mut pair) = start("confirm", "automation = \"confirm\"") else { return };
    let load = pair.load();
    propose(&mut pair);
    pair.must(&pair.b, &["confirm"]);
    pair.b.wait_role("primary");
    load.wait_for_more(100, RECOVERY);
    pair.a.start();
    pair.wait_in_sync();
    pair.judge(load, 1);
}

#[test]
fn a_rejected_proposal_is_dropped_and_the_old_primary_serves_again() {
    let Some(mut pair) = start("reject", "automation = \"confirm\"") else { return };
    let load = pair.load();
    propose(&mut pair);
    pair.must(&pair.b, &["reject"]);
    wait::stays_true("b stands by", Duration::from_secs(2), || {
        let status = pair.b.status();
        status.role() == "standby" && status.at("pending").is_null()
    });
    pair.a.start();
    pair.a.wait_role("primary");
    load.wait_for_more(100, RECOVERY);
    pair.judge(load, 0);
}

#[test]
fn an_observer_says_what_it_would_do_and_does_nothing() {
    let Some(mut pair) = start("observe", "automation = \"observe\"") else { return };
    let load = pair.load();
    propose(&mut pair);
    let log = pair.b.log();
    assert!(log.contains("taking over"), "{log}");
    pair.a.start();
    pair.a.wait_role("primary");
    load.wait_for_more(100, RECOVERY);
    pair.judge(load, 0);
}

#[test]
fn a_pause_stops_decisions_until_it_is_lifted() {
    let Some(mut pair) = start("pause", "") else { return };
    let load = pair.load();
    pair.must(&pair.a, &["pause"]);
    pair.b.wait_status("is paused too", |status| status.is("paused"));
    pair.a.kill();
    wait::stays_true("b stands by", Duration::from_secs(3), || pair.b.status().role() == "standby");
    pair.must(&pair.b, &["resume"]);
    pair.b.wait_role("primary");
    load.wait_for_more(100, RECOVERY);
    pair.a.start();
    pair.wait_in_sync();
    assert!(!pair.a.status().is("paused"), "{}", pair.a.status().json);
    pair.judge(load, 1);
}

#[test]
fn a_pause_holds_on_both_nodes_from_the_moment_it_is_answered() {
    let Some(mut pair) = start("pause is answered", "") else { return };
    let load = pair.load();
    pair.must(&pair.a, &["pause"]);
    pair.a.kill();
    wait::stays_true("b stands by", Duration::from_secs(3), || {
        let status = pair.b.status();
        status.role() == "standby" && status.is("paused")
    });
    let said = pair.b.verb(&["resume"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.contains("node a is not connected"), "{said:?}");
    pair.b.wait_role("primary");
    pair.a.start();
    pair.wait_in_sync();
    pair.judge(load, 1);
}

#[test]
fn force_begins_a_reign_without_the_mediator_and_the_other_one_follows_later() {
    let Some(mut pair) = start("promote --force", "") else { return };
    let load = pair.load();
    pair.mediator.kill();
    pair.net.unplug(&pair.net.a);
    pair.a.kill();
    pair.b.wait_status("misses its peer", |status| !status.is("peer.connected"));
    let said = pair.b.verb(&["promote"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("--force"), "{said:?}");
    assert_ne!(pair.b.status().role(), "primary");
    pair.must(&pair.b, &["promote", "--force"]);
    pair.b.wait_role("primary");
    load.wait_for_more(100, RECOVERY);
    pair.mediator.start();
    pair.net.plug(&pair.net.a);
    pair.a.start();
    pair.wait_in_sync();
    assert_eq!(pair.b.status().role(), "primary");
    let history = pair.b.http("GET", "/api/v1/history", "").expect("an answer").body;
    assert!(history.to_lowercase().contains("forced"), "{history}");
    pair.judge(load, 1);
}

#[test]
fn a_graceful_promotion_while_both_are_up_is_a_planned_change() {
    let Some(mut pair) = start("promote with both up", "") else { return };
    let load = pair.load();
    pair.must(&pair.b, &["promote"]);
    pair.b.wait_role("primary");
    load.wait_for_more(100, RECOVERY);
    let report = pair.judge(load, usize::MAX);
    assert!(report.longest_silence < Duration::from_secs(1), "{:?}", report.longest_silence);
}

fn has_address(node: &Node) -> bool {
    let [a, b, c, d] = VIRTUAL_ADDRESS;
    let words = ["-o", "addr", "show", "dev", INTERFACE];
    node.host().output("ip", &words).contains(&format!(" {a}.{b}.{c}.{d}/"))
}

#[test]
fn clients_that_know_only_the_virtual_address_go_on() {
    let options = MediatedOptions { virtual_address: true, ..MediatedOptions::default() };
    let Some(mut pair) = MediatedPair::start("virtual address", &options) else { return };
    let address = pair.virtual_address();
    let load = pair.load_with(&[address], |_| {});
    assert!(has_address(&pair.a) && !has_address(&pair.b));
    // The machine goes, with the address still on its interface.
    pair.net.unplug(&pair.net.a);
    pair.a.kill();
    pair.b.wait_role("primary");
    load.wait_for_more(200, RECOVERY);
    assert!(has_address(&pair.b));
    pair.a.start();
    wait::until_true("a gives up what a killed process left", RECOVERY, || !has_address(&pair.a));
    pair.net.plug(&pair.net.a);
    pair.wait_in_sync();
    load.wait_for_more(200, RECOVERY);
    // Process and supervisor die: nobody is left to take the address off, and the machine runs on.
    pair.must(&pair.b, &["switch"]);
    pair.a.wait_role("primary");
    load.wait_for_more(200, RECOVERY);
    wait::until_true("it moved", RECOVERY, || has_address(&pair.a) && !has_address(&pair.b));
    let mut client = Client::connect(address).expect("connected");
    assert!(client.info("replication").contains("role:master"));
    pair.judge(load, usize::MAX);
}

#[test]
fn a_killed_primary_on_a_running_machine_leaves_an_address_that_moves_all_the_same() {
    let options = MediatedOptions { virtual_address: true, ..MediatedOptions::default() };
    let Some(mut pair) = MediatedPair::start("address left behind", &options) else { return };
    let load = pair.load_with(&[pair.virtual_address()], |_| {});
    pair.a.kill();
    assert!(has_address(&pair.a), "nobody was left to remove it");
    pair.b.wait_role("primary");
    load.wait_for_more(200, RECOVERY);
    pair.a.start();
    wait::until_true("it is on one machine", RECOVERY, || {
        has_address(&pair.b) && !has_address(&pair.a)
    });
    load.wait_for_more(200, RECOVERY);
    pair.wait_in_sync();
    pair.judge(load, usize::MAX);
}
