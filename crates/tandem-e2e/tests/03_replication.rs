//! A follower that was away: it gets what it missed and not more, or a full copy where the log no longer
//! reaches back, while the primary serves at full speed with bounded memory.
#![expect(clippy::print_stderr, reason = "the figures are worth seeing")]

use std::time::{Duration, Instant};

use tandem_e2e::audit;
use tandem_e2e::client::{Client, encode};
use tandem_e2e::load::{Load, LoadOptions};
use tandem_e2e::machine::resident_bytes;
use tandem_e2e::node::Node;
use tandem_e2e::pair::{Pair, PairOptions};

const MIB: u64 = 1 << 20;

/// Writes keys `first..first + count` of `bytes` each, in pipelines.
fn write_keys(client: &mut Client, first: u32, count: u32, bytes: usize) {
    let value = vec![b'v'; bytes];
    for start in (first..first + count).step_by(200) {
        let end = (start + 200).min(first + count);
        let batch: Vec<u8> = (start..end)
            .flat_map(|number| encode(&[b"SET", format!("k{number}").as_bytes(), &value]))
            .collect();
        client.send_raw(&batch).expect("sent");
        for _ in start..end {
            assert!(client.reply().expect("a reply").is_ok());
        }
    }
}

fn sent_bytes(node: &Node) -> f64 {
    node.metric("tandem_link_sent_bytes_total")
}

fn full_copies(node: &Node) -> f64 {
    node.metric("tandem_full_copies_total{direction=\"sent\"}")
}

fn wait_applied(pair: &Pair) {
    let end = pair.a.status().number("commit_lsn");
    pair.b.wait_status("has applied all", |status| status.number("applied_lsn") >= end);
}

fn local() -> PairOptions {
    PairOptions::default().replication("acknowledge = \"local\"")
}

/// A log that is cut back soon: small files, a snapshot every 16 MiB, 16 MiB kept for the peer.
fn short_log() -> PairOptions {
    let mut options = local().replication("log_retention = \"16MiB\"");
    options.more = String::from("[storage]\nsegment_size = \"4MiB\"\nsnapshot_after = \"16MiB\"\n");
    options
}

/// Waits until a snapshot has let the log be cut back.
fn wait_cut_back(node: &Node) {
    node.wait_status("has cut its log back", |status| {
        status.json["snapshot_lsn"].is_u64() && status.number("log_bytes") < 64 * MIB
    });
}

#[test]
fn a_follower_that_was_away_gets_what_it_missed_and_not_more() {
    let mut pair = Pair::start(&local());
    let mut client = pair.a.client();
    write_keys(&mut client, 0, 20_000, 100);
    wait_applied(&pair);
    let copies = full_copies(&pair.a);
    for away in [500_u32, 5_000] {
        pair.b.kill();
        let log_before = pair.a.metric("tandem_log_appended_bytes_total");
        write_keys(&mut client, 0, away, 1_000);
        let missed = pair.a.metric("tandem_log_appended_bytes_total") - log_before;
        let sent_before = sent_bytes(&pair.a);
        pair.b.start();
        pair.wait_in_sync();
        wait_applied(&pair);
        let sent = sent_bytes(&pair.a) - sent_before;
        eprintln!("missed {missed} bytes of log, {sent} bytes were sent");
        // Heartbeats and handshakes come on top.
        assert!(sent >= missed * 0.9, "{sent} sent for {missed} missed");
        assert!(sent <= missed * 1.1 + 100_000.0, "{sent} sent for {missed} missed");
    }
    assert!(full_copies(&pair.a) <= copies, "no full copy was needed");
    let mut replica = pair.b.client();
    assert_eq!(replica.ok(&["DBSIZE"]).int(), Some(20_000));
    assert_eq!(replica.ok(&["STRLEN", "k4999"]).int(), Some(1_000));
    assert_eq!(replica.ok(&["STRLEN", "k5000"]).int(), Some(100));
}

#[test]
fn a_follower_beyond_the_log_gets_a_full_copy_while_the_primary_serves() {
    let mut pair = Pair::start(&short_log());
    let mut client = pair.a.client();
    pair.b.kill();
    // 100 MiB of log for 50 MiB of data: far beyond what is kept.
    write_keys(&mut client, 0, 50_000, 1_000);
    write_keys(&mut client, 0, 50_000, 1_000);
    wait_cut_back(&pair.a);
    let data = resident_bytes(pair.a.pid());
    let copies = full_copies(&pair.a);
    let load = Load::start(
        &LoadOptions { clients: 20, value_bytes: 100, ..LoadOptions::default() },
        &[pair.a.address()],
    );
    load.wait_for_more(1_000, Duration::from_secs(20));
    let began = Instant::now();
    let acknowledged = load.acknowledged();
    pair.b.start();
    let mut peak = 0;
    while !pair.a.status().is("in_sync") {
        peak = peak.max(resident_bytes(pair.a.pid()));
        assert!(began.elapsed() < Duration::from_mins(1), "{}", pair.a.status().json);
    }
    let took = began.elapsed();
    let served = load.acknowledged() - acknowledged;
    load.wait_for_more(500, Duration::from_secs(10));
    let report = load.stop();
    eprintln!(
        "full copy of 50 MiB under load: {took:?}, {served} writes acknowledged meanwhile, \
         primary {} MiB before, {} MiB at most",
        data / MIB,
        peak / MIB
    );
    assert!(full_copies(&pair.a) > copies, "there was a full copy");
    assert!(served > 100, "the primary served meanwhile");
    assert!(peak < data + 96 * MIB, "{} MiB more than the data", peak.saturating_sub(data) / MIB);
    wait_applied(&pair);
    audit::assert_nothing_lost(&report, &mut pair.a.client());
    audit::assert_nothing_lost(&report, &mut pair.b.client());
    let count = pair.a.client().ok(&["DBSIZE"]);
    assert_eq!(pair.b.client().ok(&["DBSIZE"]), count);
    // And the copy is whole on disk too.
    pair.b.kill();
    pair.b.start();
    pair.wait_in_sync();
    wait_applied(&pair);
    assert_eq!(pair.b.client().ok(&["DBSIZE"]), count);
}

#[test]
fn a_copy_that_is_interrupted_again_and_again_is_made_in_the_end() {
    let mut pair = Pair::start(&short_log());
    let mut client = pair.a.client();
    pair.b.kill();
    write_keys(&mut client, 0, 50_000, 1_000);
    write_keys(&mut client, 0, 50_000, 1_000);
    wait_cut_back(&pair.a);
    for pause in [50, 150, 300] {
        pair.b.start();
        std::thread::sleep(Duration::from_millis(pause));
        pair.b.kill();
    }
    pair.b.start();
    pair.wait_in_sync();
    wait_applied(&pair);
    assert_eq!(pair.b.client().ok(&["DBSIZE"]).int(), Some(50_000));
    let values = pair.b.client().ok(&["MGET", "k0", "k49999"]).items();
    assert!(values.iter().all(|value| value.text().is_some_and(|text| text.len() == 1_000)));
}

#[test]
fn a_frozen_follower_holds_up_durable_writes_but_not_the_memory_of_the_primary() {
    let mut pair = Pair::start(&local());
    let mut client = pair.a.client();
    write_keys(&mut client, 0, 1_000, 1_000);
    wait_applied(&pair);
    let before = resident_bytes(pair.a.pid());
    pair.b.freeze();
    // 200 MiB into 1 MiB of keys, while the peer reads nothing.
    for _ in 0..200 {
        write_keys(&mut client, 0, 1_000, 1_000);
    }
    let grown = resident_bytes(pair.a.pid()).saturating_sub(before);
    assert!(grown < 96 * MIB, "grew by {} MiB", grown / MIB);
    pair.b.thaw();
    pair.wait_in_sync();
    wait_applied(&pair);
    assert_eq!(pair.b.client().ok(&["DBSIZE"]).int(), Some(1_000));
}
