//! What a change of primary costs with each strength of acknowledgement: `received` loses nothing when one machine
//! dies, `local` what the standby had not got yet, and the old primary brings that back to be looked at. A standby
//! goes by what its primary really answers by, whatever its own file says.

use std::collections::BTreeSet;

use rustix::process::Signal;
use serde_json::Value;
use tandem_e2e::client::Client;
use tandem_e2e::mediated::{MediatedOptions, MediatedPair, RECOVERY};
use tandem_e2e::node::Node;
use tandem_e2e::pair::{Pair, PairOptions};
use tandem_e2e::skip::skipped;
use tandem_e2e::trouble::Injection;
use tandem_e2e::{family, wait};

fn acknowledge(strength: &str) -> MediatedOptions {
    MediatedOptions::default().replication(&format!("acknowledge = \"{strength}\""))
}

fn write_all(client: &mut Client, prefix: &str, count: usize, value: &str) {
    for number in 0..count {
        client.ok(&["SET", &format!("{prefix}{number}"), value]);
    }
}

fn count_of(client: &mut Client, prefix: &str, count: usize) -> usize {
    let has = |number| client.ok(&["EXISTS", &format!("{prefix}{number}")]).int() == Some(1);
    (0..count).map(has).filter(|&it| it).count()
}

/// Under load, the primary's process or its whole machine goes; the other one has all that was acknowledged.
fn nothing_is_lost_with_received(name: &'static str, machine: bool) {
    let Some(mut pair) = MediatedPair::start(name, &acknowledge("received")) else { return };
    let load = pair.load();
    if machine {
        pair.net.unplug(&pair.net.a);
        pair.a.kill();
    } else {
        family::signal(pair.a.pid(), Signal::KILL);
    }
    pair.b.wait_role("primary");
    load.wait_for_more(200, RECOVERY);
    if machine {
        pair.net.plug(&pair.net.a);
        pair.a.start();
    }
    pair.wait_in_sync();
    load.wait_for_more(100, RECOVERY);
    pair.judge(load, 1);
}

#[test]
fn received_loses_nothing_when_the_primarys_process_dies() {
    nothing_is_lost_with_received("received, process killed", false);
}

#[test]
fn received_loses_nothing_when_the_primarys_machine_dies() {
    nothing_is_lost_with_received("received, machine lost", true);
}

#[test]
fn received_loses_nothing_when_the_standbys_machine_dies_and_then_the_primarys_process() {
    let Some(mut pair) = MediatedPair::start("received, both", &acknowledge("received")) else {
        return;
    };
    let load = pair.load();
    pair.net.unplug(&pair.net.b);
    pair.b.kill();
    pair.wait_alone(&pair.a);
    load.wait_for_more(200, RECOVERY);
    // Alone it acknowledges only what is on its disk.
    family::signal(pair.a.pid(), Signal::KILL);
    load.wait_for_more(200, RECOVERY);
    pair.net.plug(&pair.net.b);
    pair.b.start();
    pair.wait_in_sync();
    pair.judge(load, 1);
}

/// Keys of the writes in the conflict files that `node` has. Whether they were acknowledged nobody knows any more
/// once the process has ended.
fn saved_keys(node: &Node) -> BTreeSet<String> {
    let Ok(folder) = std::fs::read_dir(node.data().join("conflicts")) else {
        return BTreeSet::new();
    };
    let files = folder.flatten().map(|entry| entry.path());
    let files = files.filter(|path| path.extension().is_some_and(|it| it == "jsonl"));
    let text: String = files.map(|path| std::fs::read_to_string(path).expect("readable")).collect();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let effects = lines.filter(|line| line["acknowledged"] == "unknown");
    effects.map(|line| line["key"].as_str().expect("a name").to_owned()).collect()
}

#[test]
fn local_loses_only_what_the_standby_had_not_got_and_the_old_primary_brings_it_back() {
    // Long: the primary must not have gone on alone when it dies, or nobody may take over from it.
    let options = acknowledge("local").switch("solo_after = \"60s\"");
    let Some(mut pair) = MediatedPair::start("local, machine lost", &options) else { return };
    let mut client = pair.a.client();
    write_all(&mut client, "both", 100, "v");
    assert_eq!(client.ok(&["WAIT", "1", "10000"]).int(), Some(1));
    pair.net.cut_pair();
    // Its session at the mediator lasts, so it acknowledges, and is alone to have them.
    write_all(&mut client, "late", 50, "v");
    pair.a.kill();
    pair.b.wait_role("primary");
    let mut client = pair.b.client();
    assert_eq!(count_of(&mut client, "both", 100), 100, "what the standby had is kept");
    assert_eq!(count_of(&mut client, "late", 50), 0);
    client.ok(&["SET", "late7", "by the new primary"]);
    pair.net.mend_pair();
    pair.a.start();
    pair.wait_in_sync();
    let late: BTreeSet<String> = (0..50).map(|number| format!("late{number}")).collect();
    for node in [&pair.a, &pair.b] {
        wait::until("what was lost is in a conflict file", RECOVERY, || {
            let saved = saved_keys(node);
            if saved == late { Ok(()) } else { Err(saved) }
        });
        assert_eq!(node.status().number("conflicts"), 1, "{}", node.status().json);
    }
    assert_eq!(count_of(&mut client, "both", 100), 100);
    assert_eq!(client.ok(&["GET", "late7"]).text().as_deref(), Some("by the new primary"));
}

#[test]
fn local_loses_nothing_that_the_standby_had_when_the_primarys_process_dies() {
    let Some(mut pair) = MediatedPair::start("local, process killed", &acknowledge("local")) else {
        return;
    };
    let mut client = pair.a.client();
    write_all(&mut client, "k", 200, "v");
    assert_eq!(client.ok(&["WAIT", "1", "10000"]).int(), Some(1));
    family::signal(pair.a.pid(), Signal::KILL);
    pair.b.wait_role("primary");
    assert_eq!(count_of(&mut pair.b.client(), "k", 200), 200);
    pair.wait_in_sync();
    assert_eq!(pair.by_role().0.name(), "b");
}

#[test]
fn local_takes_over_only_as_far_behind_as_max_lag_allows() {
    if let Err(reason) = Injection::possible() {
        return skipped("max_lag in bytes", &reason);
    }
    let options = acknowledge("local").switch("max_lag = \"16KiB\"");
    let Some(mut pair) = MediatedPair::start("local, max_lag", &options) else { return };
    let mut client = pair.a.client();
    client.ok(&["SET", "before", "v"]);
    assert_eq!(client.ok(&["WAIT", "1", "10000"]).int(), Some(1));
    // The standby gets what comes, and its disk does not.
    let slow = Injection::start(pair.b.pid(), "fdatasync", "delay_enter=15000000")
        .expect("strace attaches");
    write_all(&mut client, "large", 50, &"x".repeat(1_000));
    let behind = pair.a.wait_status("knows how far its standby is behind", |status| {
        status.number("last_lsn") >= status.number("peer.durable_lsn") + 50
    });
    // By a heartbeat, which says how much that is.
    pair.b.wait_status("has heard of it", |status| {
        status.number("peer.durable_lsn") >= behind.number("last_lsn")
    });
    pair.a.kill();
    wait::until("b says why it waits", RECOVERY, || {
        let why = pair.b.verb(&["why"]);
        if why.out.contains("than max_lag allows") { Ok(()) } else { Err(why) }
    });
    assert_ne!(pair.b.status().role(), "primary");
    // What it has received is on its disk before long, and then nothing is missing.
    drop(slow);
    pair.b.wait_role("primary");
    assert_eq!(count_of(&mut pair.b.client(), "large", 50), 50);
}

/// A start that finds `local` in its file, whatever the other node's says.
const LOCAL: &[&str] = &["env", "TANDEM_REPLICATION__ACKNOWLEDGE=local"];

#[test]
fn a_standby_whose_primary_came_back_with_local_promises_nothing() {
    let mut pair = Pair::start(&PairOptions::new("primary-standby"));
    pair.a.client().ok(&["SET", "k", "v"]);
    pair.a.kill();
    pair.a.set_wrapper(LOCAL);
    pair.a.start();
    pair.wait_in_sync();
    pair.a.wait_status("answers by its own disk", |status| status.text("acknowledge") == "local");
    pair.b.kill();
    write_all(&mut pair.a.client(), "late", 25, "v");
    pair.a.kill();
    pair.b.start();
    let said = pair.b.verb(&["promote"]);
    assert_eq!(said.code, 1, "acknowledged writes are only on a's disk: {said:?}");
    assert_ne!(pair.b.status().role(), "primary");
    pair.a.start();
    pair.wait_in_sync();
    assert_eq!(count_of(&mut pair.a.client(), "late", 25), 25);
}

#[test]
fn a_primary_that_comes_back_with_local_serves_nobody_while_its_standby_counts_on_durable() {
    let mut pair = Pair::start(&PairOptions::new("primary-standby"));
    pair.a.client().ok(&["SET", "k", "v"]);
    pair.b.kill();
    pair.a.kill();
    pair.a.set_wrapper(LOCAL);
    pair.a.start();
    wait::until("a waits for b or a person", RECOVERY, || {
        let why = pair.a.verb(&["why"]);
        if why.out.contains("it may have been promoted") { Ok(()) } else { Err(why) }
    });
    assert_ne!(pair.a.status().role(), "primary");
    // So b may be promoted.
    pair.a.kill();
    pair.b.start();
    pair.promote_b(&[]);
    assert_eq!(pair.b.client().ok(&["GET", "k"]).text().as_deref(), Some("v"));
}
