//! A line between two writers that is cut for long: what it costs meanwhile, and what is sent when it is mended.

#![expect(clippy::unwrap_used, reason = "a test: it may panic")]

use std::fs;
use std::time::Duration;

use tandem_e2e::apart::ApartOptions;
use tandem_e2e::node::Node;
use tandem_e2e::two_writers::{Machines, run};
use tandem_e2e::wait;

/// Keys that are written.
const KEYS: u64 = 200_000;
/// Bytes of each value.
const VALUE: usize = 200;
/// Requests under way at once.
const BATCH: u64 = 1_000;

/// Writes every key once.
#[track_caller]
fn write_all(node: &Node, round: u64) {
    let mut client = node.client();
    let value = format!("{round}{}", "v".repeat(VALUE - 1));
    for first in (0..KEYS).step_by(1_000) {
        for number in first..first + BATCH {
            client.send(&["SET", &format!("key:{number:012}"), &value]).unwrap();
        }
        (0..BATCH).for_each(|_| assert!(client.reply().unwrap().is_ok()));
    }
}

/// Bytes of memory that are really there.
fn resident(node: &Node) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", node.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1_024
}

#[test]
fn a_long_cut_costs_little_memory_and_only_the_newest_values_are_sent() {
    let replication = vec!["log_retention = \"1GiB\"".to_owned()];
    let options = ApartOptions { replication, ..ApartOptions::default() };
    let Some(pair) = Machines::start_with("a_long_cut", options) else { return };
    // So that what is measured is not the keys themselves.
    write_all(&pair.a, 0);
    pair.wait_equal();
    pair.cut();
    let before = resident(&pair.a);
    write_all(&pair.a, 1);
    let each = resident(&pair.a).saturating_sub(before) / KEYS;
    assert!(each < 200 + 200, "{each} bytes of memory a key");
    write_all(&pair.a, 2);
    let twice = resident(&pair.a).saturating_sub(before) / KEYS;
    assert!(twice < 200 + 300, "{twice} bytes of memory a key that was written twice");
    // The other side writes, too.
    for (node, name) in [(&pair.a, "a"), (&pair.b, "b")] {
        assert!(run(&mut node.client(), &format!("SET both {name}")).is_ok());
        assert!(run(&mut node.client(), "INCRBY sum 20").int().is_some());
    }
    let sent_before = pair.a.metric("tandem_link_sent_bytes_total");
    pair.mend_line();
    // Some hundred megabytes of log are read, and as much is merged.
    wait::until("the tail has arrived", Duration::from_mins(2), || {
        let status = pair.a.try_status().map_err(|error| error.to_string())?;
        if status.is("in_sync") { Ok(()) } else { Err(status.at("peer.lag_records").to_string()) }
    });
    pair.mend();
    let sent = pair.a.metric("tandem_link_sent_bytes_total") - sent_before;
    let values = f64::from(u32::try_from(KEYS).unwrap() * u32::try_from(VALUE).unwrap());
    assert!(sent < 1.8 * values, "{sent} bytes sent for newest values of {values}");
    let last = format!("2{}", "v".repeat(VALUE - 1));
    for node in [&pair.a, &pair.b] {
        for number in [0, KEYS / 2, KEYS - 1] {
            let told = run(&mut node.client(), &format!("GET key:{number:012}"));
            assert_eq!(told.text().as_deref(), Some(last.as_str()), "{} {number}", node.name());
        }
        assert_eq!(run(&mut node.client(), "GET sum").text().as_deref(), Some("40"));
    }
}
