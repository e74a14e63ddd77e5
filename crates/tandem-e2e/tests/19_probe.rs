//! `by = "probe"`: the standby is a client of the primary. What its failures move, what they do not, and that
//! no client notices its probes.

#![expect(clippy::print_stdout, reason = "a test: it may panic, and tells the times it measured")]

use std::time::{Duration, Instant};

use tandem_e2e::apart::{Apart, ApartOptions};
use tandem_e2e::audit::assert_nothing_lost;
use tandem_e2e::client::Client;
use tandem_e2e::load::{Load, LoadOptions};
use tandem_e2e::node::{Node, START_DEADLINE};
use tandem_e2e::pair::{Pair, PairOptions};
use tandem_e2e::proxy::{Manner, Proxy};
use tandem_e2e::skip::skipped;
use tandem_e2e::trouble::Injection;
use tandem_e2e::value::Value;
use tandem_e2e::wait;

const PATIENCE: Duration = Duration::from_secs(20);
/// Twice what silence takes to be decided: 1 s, and three probes.
const LONG: Duration = Duration::from_secs(3);

fn probing() -> PairOptions {
    PairOptions { by: "probe", ..PairOptions::new("primary-standby") }
}

/// Writes until one is acknowledged; how long that took.
fn first_write(node: &Node) -> Duration {
    let begun = Instant::now();
    wait::until("a write is acknowledged", PATIENCE, || {
        let mut client = Client::connect(node.address()).map_err(|error| error.to_string())?;
        client.set_reply_timeout(Duration::from_millis(500)).map_err(|error| error.to_string())?;
        let reply = client.command(&["SET", "first", "v"]).map_err(|error| error.to_string())?;
        if matches!(reply, Value::Error(_)) { Err(format!("{reply:?}")) } else { Ok(()) }
    });
    begun.elapsed()
}

#[track_caller]
fn wait_probe(node: &Node, words: &str) {
    node.wait_status(&format!("sees that its primary {words}"), |status| {
        status.json["probe"]["last"] == words
    });
}

#[test]
fn probes_are_seen_by_nobody_but_in_the_status() {
    let pair = Pair::start(&probing().switch("[switch.probe]\nevery = \"20ms\""));
    let mut monitor = pair.a.client();
    monitor.ok(&["MONITOR"]);
    let before = pair.a.status().number("last_lsn");
    let status = pair.b.wait_status("is answered", |status| status.json["probe"]["up"] == true);
    println!("a probe takes {} us", status.number("probe.rtt_us"));
    assert_eq!(status.number("probe.failures"), 0, "{}", status.json);
    assert!(pair.a.status().json["probe"].is_null(), "a primary tries nobody");
    pair.a.wait_status("has taken 50 probes", |status| status.number("last_lsn") > before + 50);

    let mut client = pair.a.client();
    assert_eq!(client.ok(&["DBSIZE"]).int(), Some(0));
    assert_eq!(client.ok(&["KEYS", "*"]).items().len(), 0);
    assert_eq!(client.ok(&["RANDOMKEY"]), Value::Null);
    assert_eq!(client.info("keyspace").lines().filter(|line| line.starts_with("db")).count(), 0);
    client.ok(&["SET", "k", "v"]);
    monitor.set_reply_timeout(Duration::from_secs(2)).unwrap();
    let seen = std::iter::from_fn(|| monitor.reply().ok().and_then(|line| line.text()))
        .take_while(|line| !line.contains("\"SET\""));
    assert_eq!(seen.filter(|line| line.to_lowercase().contains("probe")).count(), 0);
    let said = pair.b.verb(&["status"]);
    assert!(said.out.contains("probe: ") && said.out.contains("answers in"), "{said:?}");
    // What no client may do is no failure either.
    client.ok(&["CLIENT", "PAUSE", "1500", "ALL"]);
    wait::stays_true("a pause of the clients counts for nothing", Duration::from_secs(2), || {
        pair.b.status().number("probe.failures") == 0
    });
}

#[test]
fn a_machine_that_is_gone_is_replaced_if_so_configured_and_else_waited_for() {
    let mut pair = Pair::start(&probing().switch("on_silence = \"take-over\""));
    pair.a.client().ok(&["SET", "k", "v"]);
    pair.a.kill();
    let took = first_write(&pair.b);
    println!("refused: writes again after {} ms", took.as_millis());
    assert!(pair.b.log().contains("takes no connections (3 times in a row)"), "{}", pair.b.log());
    let status = pair.b.status();
    assert!(status.json.to_string().contains("tookoverunproven"), "{}", status.json);
    assert_eq!(pair.b.client().ok(&["GET", "k"]).text().as_deref(), Some("v"));
    // The roles are the other way round now, and so is who tries whom.
    pair.a.start();
    pair.wait_in_sync();
    wait_probe(&pair.a, "answers");
}

#[test]
fn a_primary_that_hangs_is_replaced_once_the_fence_is_certain() {
    let mut pair =
        Pair::start(&probing().switch("fence = \"exit 0\"").switch("solo_after = \"1s\""));
    pair.a.client().ok(&["SET", "k", "v"]);
    pair.a.freeze();
    let took = first_write(&pair.b);
    println!("hanging: writes again after {} ms", took.as_millis());
    assert!(pair.b.log().contains("does not answer (3 times in a row)"), "{}", pair.b.log());
    assert!(pair.b.log().contains("off for certain"), "{}", pair.b.log());
    pair.a.thaw();
    pair.wait_in_sync();
    assert_eq!(pair.b.status().role(), "primary");
}

#[test]
fn without_a_fence_silence_proves_nothing_and_the_primary_goes_on() {
    let mut pair = Pair::start(&probing());
    pair.a.freeze();
    wait_probe(&pair.b, "does not answer");
    pair.b.wait_status("has had enough", |status| status.number("probe.failures") > 3);
    let said = pair.b.verb(&["why"]);
    assert!(said.out.contains("silence proves nothing"), "{said:?}");
    assert!(said.out.contains("failures in a row, 3 decide"), "{said:?}");
    assert_ne!(pair.b.status().role(), "primary");
    pair.a.thaw();
    pair.wait_in_sync();
    assert_eq!(pair.a.status().role(), "primary");
}

/// A pair whose b reaches the client port of a by way of a proxy.
fn with_proxy(options: &PairOptions) -> (Pair, Proxy) {
    let (pair, proxy) = Pair::start_with_proxy(options);
    wait_probe(&pair.b, "answers");
    (pair, proxy)
}

#[test]
fn a_primary_that_lives_but_fails_its_clients_hands_over_without_a_loss() {
    for (manner, words) in [
        (Manner::Errors, "answers with errors"),
        (Manner::Lies, "does not give back what was written"),
        (Manner::Slow, "answers too slowly"),
    ] {
        let (pair, proxy) = with_proxy(&probing().switch("slow_after = \"600ms\""));
        let mut client = pair.a.client();
        for number in 0..100 {
            client.ok(&["SET", &format!("k{number}"), "v"]);
        }
        let begun = Instant::now();
        proxy.set(manner);
        pair.b.wait_role("primary");
        println!("{words}: handed over after {} ms", begun.elapsed().as_millis());
        assert!(pair.b.log().contains(&format!("{words} (3 times in a row)")), "{}", pair.b.log());
        assert!(pair.b.log().contains("(Handover)"), "{}", pair.b.log());
        assert_eq!(pair.b.client().ok(&["DBSIZE"]).int(), Some(100));
        pair.wait_in_sync();
    }
}

#[test]
fn slowness_of_the_standbys_own_disk_moves_nothing() {
    let mut pair = Pair::start(&probing().switch("on_silence = \"take-over\""));
    // Its own writes are what the primary waits for, so its probes are slow: that is not the primary's fault.
    let slow = Injection::start(pair.b.pid(), "fdatasync", "delay_enter=4000000");
    let slow = match slow {
        Ok(slow) => slow,
        Err(reason) => return skipped("slow disk of the standby", &reason),
    };
    pair.a.freeze();
    wait_probe(&pair.b, "cannot be judged: this node's own disk takes no writes");
    assert_ne!(pair.b.status().role(), "primary");
    pair.a.thaw();
    drop(slow);
    pair.wait_in_sync();
    assert_eq!(pair.a.status().role(), "primary", "{}", pair.b.log());
}

#[test]
fn a_standby_whose_own_cable_is_pulled_does_not_take_over() {
    let mut options = ApartOptions::new(&["by = \"probe\"", "on_silence = \"take-over\""]);
    options.more = "[switch.direct]\nping_targets = [\"10.88.0.9\"]\n".to_owned();
    let Some(pair) = Apart::start("standby unplugged", &options) else { return };
    let mut client = pair.a.client();
    client.ok(&["SET", "k", "v"]);
    wait_probe(&pair.b, "answers");
    pair.net.unplug(&pair.net.b);
    pair.a.wait_status("goes on alone", |status| !status.is("in_sync") && !status.is("stalled"));
    wait::stays_true("b does not take over", LONG, || pair.b.status().role() != "primary");
    pair.net.plug(&pair.net.b);
    pair.wait_in_sync();
    assert_eq!(pair.a.status().role(), "primary");
}

#[test]
fn whoever_was_left_behind_does_not_take_over_later() {
    let options = ApartOptions::new(&["by = \"probe\"", "on_silence = \"take-over\""]);
    let Some(mut pair) = Apart::prepare("only the link is cut", &options) else { return };
    pair.a.spawn();
    pair.b.spawn();
    pair.wait_in_sync();
    // Only the link is cut: clients, and so the prober, reach the primary as before.
    for host in [&pair.net.a, &pair.net.b] {
        let rules = "add table inet tandem_test\n\
             add chain inet tandem_test o { type filter hook output priority 0; policy accept; }\n\
             add rule inet tandem_test o tcp dport 7379 drop\n\
             add rule inet tandem_test o tcp sport 7379 drop\n";
        host.must("nft", &[rules]);
    }
    pair.a.wait_status("goes on alone", |status| !status.is("in_sync") && !status.is("stalled"));
    assert_ne!(pair.b.status().role(), "primary", "{}", pair.b.log());
    pair.a.client().ok(&["SET", "alone", "v"]);
    let said = wait::until("b knows that it was left behind", START_DEADLINE, || {
        let said = pair.b.verb(&["why"]);
        if said.out.contains("gone on alone") { Ok(said) } else { Err(said.out) }
    });
    println!("{}", said.out);
    pair.a.kill();
    wait_probe(&pair.b, "takes no connections");
    wait::stays_true("b does not take over", LONG, || pair.b.status().role() != "primary");
    pair.net.mend_drops();
    pair.a.start();
    pair.wait_in_sync();
    assert_eq!(pair.a.client().ok(&["GET", "alone"]).text().as_deref(), Some("v"));
}

#[test]
fn a_primary_whose_clients_wait_too_long_hands_over_also_without_probes() {
    let options = PairOptions { by: "direct", ..PairOptions::new("primary-standby") };
    let pair = Pair::start(&options.switch("slow_after = \"2s\""));
    let load = LoadOptions { clients: 160, pause: Duration::ZERO, ..LoadOptions::default() };
    let load = Load::start(&load, &pair.addresses());
    load.wait_for_more(1_000, PATIENCE);
    // Every read of a socket takes 20 ms: whoever waits behind 150 others waits for three seconds.
    let slow = match Injection::start(pair.a.pid(), "recvfrom", "delay_enter=20000") {
        Ok(slow) => slow,
        Err(reason) => return skipped("slow requests", &reason),
    };
    pair.b.wait_role("primary");
    drop(slow);
    assert!(pair.a.log().contains("commands wait"), "{}", pair.a.log());
    pair.wait_in_sync();
    let report = load.stop();
    assert_nothing_lost(&report, &mut pair.b.client());
    println!("{:?}: silence {:?}", report.errors, report.longest_silence);
}
