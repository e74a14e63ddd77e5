//! Automatic switching through the witness while cables are cut and the witness itself fails: the record
//! decides, and a pair that is whole needs nobody.

use std::time::Duration;

use tandem_e2e::client::Client;
use tandem_e2e::load::{Load, Report};
use tandem_e2e::mediated::{MediatedOptions, MediatedPair, RECOVERY};
use tandem_e2e::wait;

/// Longer than `failure_timeout`, `session`, `solo_after` and a read lease together.
const LONG: Duration = Duration::from_secs(4);

fn default(name: &'static str) -> Option<MediatedPair> {
    MediatedPair::start(name, &MediatedOptions::default())
}

/// Nobody is switched, and no client is refused anything, for `LONG`.
#[track_caller]
fn goes_on_as_if_nothing_happened(pair: &MediatedPair, load: &Load) {
    wait::stays_true("a stays primary, in sync", LONG, || {
        pair.a.status().role() == "primary" && pair.a.status().is("in_sync")
    });
    load.wait_for_more(100, RECOVERY);
}

#[track_caller]
fn assert_undisturbed(report: &Report) {
    assert!(report.errors.is_empty(), "clients were refused: {:?}", report.errors);
    let silence = report.longest_silence;
    assert!(silence < Duration::from_secs(1), "writes waited for {silence:?}");
}

#[track_caller]
fn error_of(client: &mut Client, words: &[&str]) -> String {
    let reply = client.command(words).expect("an answer");
    reply.error().unwrap_or_else(|| panic!("{words:?} was answered: {reply:?}")).to_owned()
}

/// The link is cut in some way, both reach the mediator: the primary leaves its standby out and goes on.
fn the_primary_goes_on(name: &'static str, cut: fn(&MediatedPair), mend: fn(&MediatedPair)) {
    let Some(mut pair) = default(name) else { return };
    let load = pair.load();
    cut(&pair);
    pair.wait_alone(&pair.a);
    load.wait_for_more(200, RECOVERY);
    assert_ne!(pair.b.status().role(), "primary");
    mend(&pair);
    pair.wait_in_sync();
    load.wait_for_more(100, RECOVERY);
    assert_eq!(pair.a.status().role(), "primary");
    let report = pair.judge(load, 0);
    assert!(report.longest_silence < LONG, "{:?}", report.longest_silence);
}

#[test]
fn the_link_alone_is_cut() {
    the_primary_goes_on("pair cut", |pair| pair.net.cut_pair(), |pair| pair.net.mend_pair());
}

#[test]
fn what_the_primary_sends_its_standby_is_lost() {
    the_primary_goes_on(
        "a to b lost",
        |pair| pair.net.drop_one_way(&pair.net.a, &pair.net.b),
        |pair| pair.net.mend_drops(),
    );
}

#[test]
fn what_the_standby_sends_its_primary_is_lost() {
    the_primary_goes_on(
        "b to a lost",
        |pair| pair.net.drop_one_way(&pair.net.b, &pair.net.a),
        |pair| pair.net.mend_drops(),
    );
}

#[test]
fn a_pair_whose_link_holds_does_not_need_what_is_lost_to_or_from_the_mediator() {
    let Some(mut pair) = default("one node's way to the mediator lost") else { return };
    let load = pair.load();
    let net = &pair.net;
    for (from, to) in [(&net.a, &net.m), (&net.m, &net.a), (&net.b, &net.m), (&net.m, &net.b)] {
        net.drop_one_way(from, to);
        wait::stays_true("a stays primary, in sync", Duration::from_millis(2_500), || {
            pair.a.status().role() == "primary" && pair.a.status().is("in_sync")
        });
        net.mend_drops();
        for node in [&pair.a, &pair.b] {
            node.wait_status("reaches the mediator", |status| status.is("mediator.connected"));
        }
    }
    let report = pair.judge(load, 0);
    assert_undisturbed(&report);
}

#[test]
fn a_primary_that_hears_but_is_not_heard_stops_and_is_replaced() {
    let Some(mut pair) = default("a hears but is not heard") else { return };
    let load = pair.load();
    pair.net.drop_one_way(&pair.net.a, &pair.net.b);
    pair.net.drop_one_way(&pair.net.a, &pair.net.m);
    pair.b.wait_role("primary");
    // Clients still reach it both ways: it must know by itself that it is nobody.
    for words in [&["GET", "counter:0"][..], &["SET", "k", "v"]] {
        let mut client = Client::connect(pair.a.address()).expect("connected");
        // It may be about to end the connections of its reign, which is no answer either.
        if let Ok(reply) = client.command(words) {
            assert!(reply.error().is_some(), "{words:?} was answered: {reply:?}");
        }
    }
    load.wait_for_more(200, RECOVERY);
    pair.net.mend_drops();
    pair.wait_in_sync();
    pair.judge(load, 1);
}

#[test]
fn a_standby_that_sees_nobody_does_nothing() {
    let Some(mut pair) = default("standby sees nobody") else { return };
    let load = pair.load();
    pair.net.unplug(&pair.net.b);
    pair.wait_alone(&pair.a);
    load.wait_for_more(200, RECOVERY);
    let why = pair.b.verb(&["why"]);
    assert!(why.out.contains("mediator"), "{why:?}");
    assert_ne!(pair.b.status().role(), "primary");
    pair.net.plug(&pair.net.b);
    pair.wait_in_sync();
    pair.judge(load, 0);
}

#[test]
fn a_frozen_mediator_stops_nothing() {
    let Some(mut pair) = default("mediator frozen") else { return };
    let load = pair.load();
    pair.mediator.freeze();
    goes_on_as_if_nothing_happened(&pair, &load);
    pair.mediator.thaw();
    pair.a.wait_status("reaches the mediator", |status| status.is("mediator.connected"));
    goes_on_as_if_nothing_happened(&pair, &load);
    assert_undisturbed(&pair.judge(load, 0));
}

#[test]
fn a_mediator_that_comes_back_knows_the_record_and_switches() {
    let Some(mut pair) = default("mediator killed and restarted") else { return };
    let load = pair.load();
    pair.mediator.kill();
    goes_on_as_if_nothing_happened(&pair, &load);
    pair.mediator.start();
    for node in [&pair.a, &pair.b] {
        node.wait_status("reaches the mediator", |status| status.is("mediator.connected"));
    }
    pair.a.kill();
    pair.b.wait_role("primary");
    load.wait_for_more(100, RECOVERY);
    pair.a.start();
    pair.wait_in_sync();
    pair.judge(load, 1);
}

#[test]
fn a_mediator_that_lost_everything_is_told_by_the_primary_and_switches() {
    let Some(mut pair) = default("mediator wiped") else { return };
    let load = pair.load();
    let record = pair.a.status().text("mediator.record").to_owned();
    pair.mediator.kill();
    pair.mediator.wipe();
    pair.mediator.start();
    pair.a.wait_status("has written the record again", |status| {
        status.at("mediator.record").as_str().is_some_and(|it| it == record)
    });
    goes_on_as_if_nothing_happened(&pair, &load);
    pair.a.kill();
    pair.b.wait_role("primary");
    load.wait_for_more(100, RECOVERY);
    pair.a.start();
    pair.wait_in_sync();
    pair.judge(load, 1);
}

#[test]
fn an_emptied_mediator_gives_the_role_to_nobody_who_may_lack_writes() {
    let Some(mut pair) = default("everything down, mediator wiped") else { return };
    let load = pair.load();
    pair.a.kill();
    let report = load.stop();
    pair.b.wait_role("primary");
    pair.b.client().ok(&["SET", "only-b", "v"]);
    pair.b.kill();
    pair.mediator.kill();
    pair.mediator.wipe();
    pair.mediator.start();
    // a does not know that b was primary after it.
    pair.a.start();
    wait::stays_true("a does not serve", LONG, || {
        pair.a.try_status().is_ok_and(|status| status.role() != "primary")
    });
    let why = pair.a.verb(&["why"]);
    assert!(why.out.contains("lost the record"), "{why:?}");
    pair.b.start();
    pair.judge_report(&report, 1);
    let (primary, _) = pair.by_role();
    assert_eq!(primary.client().ok(&["GET", "only-b"]).text().as_deref(), Some("v"));
}

#[test]
fn a_node_that_was_alone_returns_by_itself_to_an_emptied_mediator() {
    let Some(mut pair) = default("alone, mediator wiped") else { return };
    let load = pair.load();
    pair.b.kill();
    pair.wait_alone(&pair.a);
    load.wait_for_more(100, RECOVERY);
    pair.a.kill();
    let report = load.stop();
    pair.mediator.kill();
    pair.mediator.wipe();
    pair.mediator.start();
    pair.a.start();
    pair.a.wait_role("primary");
    pair.b.start();
    pair.judge_report(&report, 0);
}

#[test]
fn a_standby_that_is_left_with_an_emptied_mediator_is_promoted_by_force() {
    let Some(mut pair) = default("standby left, mediator wiped") else { return };
    let load = pair.load();
    pair.b.kill();
    pair.a.kill();
    let report = load.stop();
    pair.mediator.kill();
    pair.mediator.wipe();
    pair.mediator.start();
    pair.b.start();
    pair.b.wait_status("sees that the record is lost", |status| {
        status.at("mediator.trouble").as_str().is_some_and(|it| it.contains("no record"))
    });
    let said = pair.b.verb(&["promote"]);
    assert_eq!(said.code, 1, "{said:?}");
    pair.must(&pair.b, &["promote", "--force"]);
    pair.b.wait_role("primary");
    pair.b.client().ok(&["SET", "by-force", "v"]);
    pair.b.wait_status("it is in the record", |status| {
        status.at("mediator.record").as_str().is_some_and(|it| !it.is_empty())
    });
    // Nobody had written to the other one alone, so its machine returns as the standby.
    pair.a.start();
    pair.judge_report(&report, 1);
    let (primary, _) = pair.by_role();
    assert_eq!(primary.client().ok(&["GET", "by-force"]).text().as_deref(), Some("v"));
}

#[test]
fn without_mediator_and_link_nobody_writes_and_both_say_why() {
    let Some(mut pair) = default("mediator and link gone") else { return };
    let load = pair.load();
    pair.net.unplug(&pair.net.m);
    pair.net.cut_pair();
    pair.a.wait_status("serves no more", |status| status.role() != "primary");
    let mut client = Client::connect(pair.a.address()).expect("connected");
    error_of(&mut client, &["SET", "k", "v"]);
    error_of(&mut client, &["GET", "k"]);
    let before = load.acknowledged();
    wait::stays_true("nobody serves", LONG, || {
        [&pair.a, &pair.b].iter().all(|node| node.status().role() != "primary")
    });
    assert_eq!(load.acknowledged(), before, "acknowledged by nobody");
    for node in [&pair.a, &pair.b] {
        let why = node.verb(&["why"]);
        assert!(why.out.contains("the mediator cannot be reached"), "{why:?}");
    }
    pair.net.mend_pair();
    pair.net.plug(&pair.net.m);
    load.wait_for_more(200, RECOVERY);
    pair.wait_in_sync();
    pair.judge(load, 1);
}

#[test]
fn a_pair_told_to_step_down_without_its_mediator_does_and_recovers_by_itself() {
    let options = MediatedOptions::default().mediator("when_lost = \"step-down\"");
    let Some(mut pair) = MediatedPair::start("step down", &options) else { return };
    let load = pair.load();
    pair.mediator.kill();
    pair.a.wait_status("serves no more", |status| status.role() != "primary");
    let mut client = Client::connect(pair.a.address()).expect("connected");
    error_of(&mut client, &["SET", "k", "v"]);
    error_of(&mut client, &["GET", "k"]);
    wait::stays_true("both stand by", Duration::from_secs(2), || {
        [&pair.a, &pair.b].iter().all(|node| node.status().role() != "primary")
    });
    pair.mediator.start();
    load.wait_for_more(200, RECOVERY);
    pair.wait_in_sync();
    pair.judge(load, 1);
}
