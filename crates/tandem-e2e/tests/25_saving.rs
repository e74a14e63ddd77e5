//! `SAVE`, `BGSAVE` and `LASTSAVE` as tools for Redis use them: they make a snapshot that a start loads.

#![expect(clippy::unwrap_used, reason = "a test: it may panic")]

use std::process::Command;
use std::time::Duration;

use tandem_e2e::node::Node;
use tandem_e2e::pair::{Pair, PairOptions};
use tandem_e2e::rot;
use tandem_e2e::two_writers::in_sync;
use tandem_e2e::value::Value;
use tandem_e2e::wait;

const PATIENCE: Duration = Duration::from_secs(30);

/// What redis-cli prints; `None`: there is none on this machine.
fn redis_cli(node: &Node, words: &[&str]) -> Option<String> {
    let port = node.ports().client.to_string();
    let said = Command::new("redis-cli").args(["-p", &port]).args(words).output().ok()?;
    Some(String::from_utf8_lossy(&said.stdout).trim().to_owned())
}

fn persistence(node: &Node, field: &str) -> i64 {
    let told = node.client().info_field("persistence", field);
    told.and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("no {field}"))
}

fn snapshots(node: &Node) -> usize {
    rot::files(node.data(), ".snap").len()
}

fn lastsave(node: &Node) -> i64 {
    node.client().ok(&["LASTSAVE"]).int().unwrap()
}

/// Saves on one node, in each way.
#[track_caller]
fn saves(node: &Node) {
    let (files, last) = (snapshots(node), lastsave(node));
    let count = persistence(node, "rdb_saves");
    assert_eq!(node.client().ok(&["SAVE"]).text().as_deref(), Some("OK"));
    // It counts when the answer comes.
    assert!(snapshots(node) > files || persistence(node, "rdb_saves") > count, "{}", node.name());
    assert_eq!(persistence(node, "rdb_saves"), count + 1);
    assert_eq!(persistence(node, "rdb_bgsave_in_progress"), 0);
    assert!(lastsave(node) >= last);
    assert_eq!(lastsave(node), persistence(node, "rdb_last_save_time"));
    let status = node.client().info_field("persistence", "rdb_last_bgsave_status");
    assert_eq!(status.as_deref(), Some("ok"));
    // As a script does: ask, wait until the time of the last one moves.
    wait::until_true("a second has passed", PATIENCE, || {
        let now = node.client().ok(&["TIME"]).items().first().and_then(Value::text).unwrap();
        now.parse::<i64>().unwrap() > lastsave(node)
    });
    let before = lastsave(node);
    let said = redis_cli(node, &["BGSAVE"]);
    let said = said.or_else(|| node.client().ok(&["BGSAVE"]).text()).unwrap();
    assert_eq!(said, "Background saving started");
    wait::until_true("LASTSAVE moves", PATIENCE, || lastsave(node) > before);
    assert_eq!(persistence(node, "rdb_saves"), count + 2);
    if let Some(told) = redis_cli(node, &["LASTSAVE"]) {
        assert_eq!(told.rsplit(' ').next().unwrap(), lastsave(node).to_string());
    }
    // Two at once: the second is told that one runs, or asks for another behind it.
    let mut client = node.client();
    for words in [&["BGSAVE"][..], &["BGSAVE"], &["SAVE"], &["BGSAVE", "SCHEDULE"]] {
        client.send(words).unwrap();
    }
    assert_eq!(client.reply().unwrap().text().as_deref(), Some("Background saving started"));
    for _ in 0..2 {
        let said = client.reply().unwrap();
        assert_eq!(said.error(), Some("ERR Background save already in progress"));
    }
    assert_eq!(client.reply().unwrap().text().as_deref(), Some("Background saving scheduled"));
    wait::until_true("the scheduled one is there", PATIENCE, || {
        persistence(node, "rdb_saves") >= count + 4
            || persistence(node, "rdb_bgsave_in_progress") == 0
    });
}

#[test]
fn a_node_of_every_topology_saves_when_it_is_asked() {
    for topology in ["primary-standby", "primary-replica", "primary-primary"] {
        let mut pair = Pair::prepare(&PairOptions::new(topology));
        pair.a.start();
        pair.b.start();
        if topology == "primary-primary" {
            in_sync(&pair.a, &pair.b);
        } else {
            pair.wait_in_sync();
        }
        let mut client = pair.a.client();
        for number in 0..1_000 {
            client.ok(&["SET", &format!("k{number}"), "v"]);
        }
        assert!(persistence(&pair.a, "rdb_changes_since_last_save") >= 1_000);
        saves(&pair.a);
        assert!(persistence(&pair.a, "rdb_changes_since_last_save") < 1_000);
        saves(&pair.b);
        assert!(snapshots(&pair.a) > 0 && snapshots(&pair.b) > 0);
        // A start begins with it.
        pair.a.kill();
        pair.a.start();
        pair.a.wait_status("serves", |status| status.role() == "primary");
        assert_eq!(pair.a.client().ok(&["DBSIZE"]).int(), Some(1_000));
    }
}
