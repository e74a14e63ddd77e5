//! Two nodes that both accept writes, held against what a textbook promises of such a pair: every sale counts, every
//! id is new, what was discarded is told and stays told, and a node that cannot keep a promise says so.

#![expect(clippy::unwrap_used, reason = "a test: it may panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read as _;
use std::net::{Ipv4Addr, Shutdown};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use tandem_e2e::apart::ApartOptions;
use tandem_e2e::client::Client;
use tandem_e2e::node::Node;
use tandem_e2e::pair::{Pair, PairOptions};
use tandem_e2e::rng::Rng;
use tandem_e2e::two_writers::{Machines, in_sync, run, run_many, serves_alone};
use tandem_e2e::value::Value;
use tandem_e2e::wait;

const PATIENCE: Duration = Duration::from_secs(30);

fn both_nodes(pair: &Machines) -> [&Node; 2] {
    [&pair.a, &pair.b]
}

fn text(value: &Value, field: &str) -> String {
    value.field(field).and_then(|field| field.text()).unwrap_or_else(|| format!("no {field}"))
}

/// Sends all at once; the replies in order.
fn run_lines(client: &mut Client, lines: &[String]) -> Vec<Value> {
    for line in lines {
        client.send(&line.split(' ').collect::<Vec<_>>()).unwrap();
    }
    lines.iter().map(|_| client.reply().unwrap()).collect()
}

/// All conflicts that match, page by page.
fn conflicts(node: &Node, matching: &str) -> Vec<Value> {
    let mut client = node.client();
    let (mut found, mut since) = (Vec::new(), "0-0".to_owned());
    loop {
        let line = format!("TANDEM PP CONFLICTS KEY {matching} SINCE {since}");
        let page = run(&mut client, &line);
        assert_eq!(page.error(), None);
        let page = page.items();
        let Some(last) = page.last() else { return found };
        since = text(last, "id");
        found.extend(page);
    }
}

fn kinds(node: &Node, matching: &str) -> BTreeSet<String> {
    conflicts(node, matching).iter().map(|entry| text(entry, "kind")).collect()
}

#[track_caller]
fn both_read(pair: &Machines, line: &str, want: &str) {
    for (node, value) in both_nodes(pair).iter().zip(pair.ask_both(line)) {
        let shown = value.text().or_else(|| value.int().map(|int| int.to_string()));
        assert_eq!(shown.as_deref(), Some(want), "{} {line}", node.name());
    }
}

/// Load balancers, dashboards and people hear that a node refuses writes, and with which error; or that it does
/// not.
#[track_caller]
fn is_told(node: &Node, error: Option<&str>) {
    let health = node.http("GET", "/health/primary", "").unwrap();
    assert_eq!(health.status, if error.is_some() { 503 } else { 200 }, "{}", health.body);
    let refused = node.metric("tandem_writes_refused") > 0.5;
    assert_eq!(refused, error.is_some(), "the metric");
    let status = node.status();
    let told = status.at("writes_refused").as_str().unwrap_or_default();
    assert!(error.is_none_or(|error| told.starts_with(error)), "{told}");
    assert!(error.is_some() || told.is_empty(), "{told}");
    if let Some(error) = error {
        assert!(health.body.contains(error), "{}", health.body);
        let said = node.verb(&["status"]);
        assert_ne!(said.code, 0, "{said:?}");
        assert!(said.out.contains(error), "{said:?}");
        let why = node.verb(&["why"]);
        assert!(why.out.contains(error), "{why:?}");
    }
}

#[test]
fn every_sale_counts_in_every_variant() {
    let Some(mut pair) = Machines::start("every_sale_counts") else { return };
    let stocks = ["plain", "set", "del", "random"];
    for stock in stocks {
        run(&mut pair.a.client(), &format!("SET {stock} 100"));
    }
    pair.wait_equal();
    pair.cut();
    let (mut a, mut b) = (pair.a.client(), pair.b.client());
    for line in ["DECRBY plain 1", "SET set 50", "DEL del", "SET both 100", "DECRBY both 1"] {
        assert_eq!(run(&mut a, line).error(), None, "{line}");
    }
    let mut rng = Rng::new(0x22);
    let mut sum = 100;
    for client in [&mut a, &mut b] {
        let lines: Vec<String> = (0..10_000)
            .map(|_| {
                let delta = i64::try_from(rng.below(2_001)).unwrap() - 1_000;
                sum += delta;
                format!("INCRBY random {delta}")
            })
            .collect();
        run_lines(client, &lines);
    }
    for line in ["DECRBY plain 2", "DECRBY set 2", "DECRBY del 2", "SET both 100", "DECRBY both 2"]
    {
        assert_eq!(run(&mut b, line).error(), None, "{line}");
    }
    // What was answered is on that node's disk, whatever becomes of its process.
    pair.kill_process(&pair.a);
    pair.kill_process(&pair.b);
    pair.mend();
    for (line, want) in [
        ("GET plain", "97"),
        ("GET set", "48"),
        ("GET del", "-2"),
        ("GET both", "97"),
        ("GET random", &sum.to_string()),
    ] {
        both_read(&pair, line, want);
    }
    for node in both_nodes(&pair) {
        assert_eq!(kinds(node, "plain"), BTreeSet::new());
        assert_eq!(kinds(node, "del"), BTreeSet::from(["delete-update".to_owned()]));
    }
    // An empty machine takes B's place after A had acknowledged a sale.
    assert_eq!(run(&mut pair.a.client(), "DECRBY plain 1").int(), Some(96));
    pair.b.kill();
    fs::remove_dir_all(pair.b.data()).unwrap();
    serves_alone(&pair.a);
    assert_eq!(run(&mut pair.a.client(), "DECRBY plain 1").int(), Some(95));
    pair.b.start();
    pair.wait_in_sync();
    assert_eq!(run(&mut pair.b.client(), "DECRBY plain 2").int(), Some(93));
    pair.wait_equal();
    both_read(&pair, "GET plain", "93");
    both_read(&pair, "GET random", &sum.to_string());
}

#[test]
fn a_line_that_flaps_fifty_times_costs_no_sale() {
    // Short, so that both notice every fifth cut at least.
    let switch = vec!["failure_timeout = \"150ms\"".to_owned()];
    let options = ApartOptions { switch, ..ApartOptions::default() };
    let Some(pair) = Machines::start_with("a_line_that_flaps", options) else { return };
    run(&mut pair.a.client(), "SET stock 100000");
    pair.wait_equal();
    let (mut a, mut b) = (pair.a.client(), pair.b.client());
    for round in 0..50 {
        pair.net.cut_pair();
        a.send(&["DECRBY", "stock", "1"]).unwrap();
        b.send(&["DECRBY", "stock", "2"]).unwrap();
        if round % 5 == 0 {
            serves_alone(&pair.a);
            serves_alone(&pair.b);
        }
        pair.mend_line();
        if round % 5 == 2 {
            pair.wait_in_sync();
        }
    }
    for client in [&mut a, &mut b] {
        for _ in 0..50 {
            let reply = client.reply().unwrap();
            assert!(reply.int().is_some(), "{reply:?}");
        }
    }
    pair.mend();
    both_read(&pair, "GET stock", &(100_000 - 150).to_string());
    // Nothing was discarded; both may have told a client the same count.
    let told = kinds(&pair.a, "stock");
    assert!(told.iter().all(|kind| kind == "dup-counter"), "{told:?}");
}

#[test]
fn strict_ids_end_in_a_cut_and_go_on_after_it() {
    let Some(pair) = Machines::start("strict_ids") else { return };
    assert!(run(&mut pair.a.client(), "TANDEM PP POLICY SET order seq:strict,100").is_ok());
    let mut given = BTreeSet::new();
    for node in both_nodes(&pair) {
        let id = wait::until("gives the first id", PATIENCE, || {
            let reply = run(&mut node.client(), "INCR order");
            reply.int().ok_or_else(|| format!("{reply:?}"))
        });
        assert!(given.insert(id), "{}: {id} twice", node.name());
    }
    wait::until("both hold ids ahead", PATIENCE, || {
        let told = pair.ask_both("TANDEM SEQ INFO order");
        let left = |value: &Value| value.field("left").and_then(|left| left.int()).unwrap_or(0);
        if told.iter().all(|value| left(value) > 100) { Ok(()) } else { Err(format!("{told:?}")) }
    });
    pair.cut();
    for node in both_nodes(&pair) {
        let replies = run_many(&mut node.client(), "INCR order", 500);
        let ids: Vec<i64> = replies.iter().filter_map(Value::int).collect();
        // What was left of a block, and the two ahead.
        assert!((100..=300).contains(&ids.len()), "{}: {}", node.name(), ids.len());
        for reply in &replies[ids.len()..] {
            assert!(reply.error().is_some_and(|text| text.starts_with("SEQDRY ")), "{reply:?}");
        }
        for id in ids {
            assert!(given.insert(id), "{}: {id} twice", node.name());
        }
    }
    pair.mend();
    for node in both_nodes(&pair) {
        let id = wait::until("gives ids again", PATIENCE, || {
            let reply = run(&mut node.client(), "INCR order");
            reply.int().ok_or_else(|| format!("{reply:?}"))
        });
        assert!(given.insert(id), "{}: {id} twice", node.name());
    }
}

#[test]
fn the_same_keys_written_on_both_at_once_end_the_same_and_what_lost_is_told() {
    let Some(pair) = Machines::start("the_same_keys") else { return };
    let line = |key: usize, who: &str| format!("SET race:{key} {who}{key}");
    let writers = [("a", pair.a.address()), ("b", pair.b.address())].map(|(who, address)| {
        let mut client = Client::connect(address).unwrap();
        let lines: Vec<String> = (0..500).map(|key| line(key, who)).collect();
        thread::spawn(move || run_lines(&mut client, &lines))
    });
    for writer in writers {
        assert!(writer.join().unwrap().iter().all(Value::is_ok));
    }
    pair.wait_equal();
    let told = both_nodes(&pair).map(|node| {
        let mut of_key = BTreeMap::new();
        for entry in conflicts(node, "race:*") {
            assert_eq!(text(&entry, "kind"), "lww");
            let parties =
                ["winner", "loser"].map(|side| text(&entry.field(side).unwrap(), "value"));
            of_key.insert(text(&entry, "key"), parties);
        }
        of_key
    });
    for (key, [winner, loser]) in told.iter().flatten() {
        both_read(&pair, &format!("GET {key}"), winner);
        assert_ne!(winner, loser);
    }
    assert!(!told[0].is_empty() || !told[1].is_empty(), "some have met");
}

#[test]
fn what_is_undone_or_done_together_converges_and_is_told() {
    let Some(pair) = Machines::start("what_is_undone") else { return };
    let (mut a, mut b) = (pair.a.client(), pair.b.client());
    for line in ["SET flushed old", "SADD emptied x", "SET m1 0", "SET m2 0", "RPUSH queue 1 2 3"] {
        run(&mut a, line);
    }
    pair.wait_equal();
    pair.cut();
    for line in ["FLUSHALL", "MULTI", "SET m1 A", "SET m2 A", "EXEC", "RPUSH jobs a"] {
        assert_eq!(run(&mut a, line).error(), None, "{line}");
    }
    for line in ["SET flushed new", "SADD emptied y", "MULTI", "SET m1 B", "SET m2 B", "EXEC"] {
        assert_eq!(run(&mut b, line).error(), None, "{line}");
    }
    assert_eq!(run(&mut b, "LPOP queue").text().as_deref(), Some("1"));
    pair.mend();
    both_read(&pair, "GET flushed", "new");
    both_read(&pair, "SISMEMBER emptied y", "1");
    both_read(&pair, "SCARD emptied", "1");
    both_read(&pair, "GET m1", "B");
    both_read(&pair, "GET m2", "B");
    both_read(&pair, "EXISTS queue", "0");
    both_read(&pair, "LLEN jobs", "1");
    for node in both_nodes(&pair) {
        for (key, kind) in [("flushed", "delete-update"), ("m1", "lww"), ("m2", "lww")] {
            // For m1 and m2 also that B's update outlived A's flush, which had not seen it.
            let told = kinds(node, key);
            assert!(told.contains(kind), "{} {key}: {told:?}", node.name());
        }
        let counted: u64 = node
            .client()
            .info("tandem")
            .lines()
            .filter_map(|line| line.strip_prefix("pp_conflicts_"))
            .filter_map(|line| line.split_once(':'))
            .filter(|(kind, _)| !["kept", "undecided", "lost"].contains(kind))
            .map(|(_, count)| count.parse::<u64>().unwrap())
            .sum();
        let kept = node.client().info_field("tandem", "pp_conflicts_kept");
        assert_eq!(kept, Some(counted.to_string()), "{}", node.name());
        assert_eq!(conflicts(node, "*").len().to_string(), counted.to_string());
    }
}

#[test]
fn conflicts_are_kept_on_disk_beyond_those_in_memory_and_over_crashes() {
    const KEYS: usize = 10_500;
    let Some(pair) = Machines::start("conflicts_are_kept_on_disk") else { return };
    pair.cut();
    for node in both_nodes(&pair) {
        let lines: Vec<String> =
            (0..KEYS).map(|key| format!("SET k{key} {}{key}", node.name())).collect();
        assert!(run_lines(&mut node.client(), &lines).iter().all(Value::is_ok));
    }
    pair.mend();
    let ids = |node: &Node| {
        let found = conflicts(node, "k*");
        let keys: BTreeSet<String> = found.iter().map(|entry| text(entry, "key")).collect();
        assert_eq!(keys.len(), KEYS, "{}", node.name());
        found.iter().map(|entry| text(entry, "id")).collect::<Vec<_>>()
    };
    // Those that are not in memory any more are on disk, unless they left it too fast.
    for node in both_nodes(&pair) {
        let lost = node.client().info_field("tandem", "pp_conflicts_lost");
        assert_eq!(lost.as_deref(), Some("0"), "{}", node.name());
    }
    let before = both_nodes(&pair).map(ids);
    let page = run(&mut pair.a.client(), "TANDEM PP CONFLICTS COUNT 3").items();
    assert_eq!(page.len(), 3);
    assert_eq!(run(&mut pair.a.client(), "TANDEM PP CONFLICTS").items().len(), 1_000);
    let entry = page[0].field("loser").unwrap();
    assert!(text(&entry, "value").starts_with('a') || text(&entry, "value").starts_with('b'));
    // The oldest is on disk only, and can be decided all the same; what is sent behind it waits.
    assert_eq!(text(&page[0], "resolved"), "unknown");
    let (id, key, loser) = (text(&page[0], "id"), text(&page[0], "key"), text(&entry, "value"));
    let lines = [
        format!("TANDEM PP RESOLVE {id} USE LOSER"),
        format!("GET {key}"),
        "TANDEM PP RESOLVE 1-77 VALUE x".to_owned(),
        "PING".to_owned(),
    ];
    let told = run_lines(&mut pair.a.client(), &lines);
    assert!(told[0].is_ok(), "{told:?}");
    assert_eq!(told[1].text().as_deref(), Some(loser.as_str()));
    assert!(told[2].error().is_some_and(|text| text.contains("no such id")), "{told:?}");
    assert_eq!(told[3].text().as_deref(), Some("PONG"));
    pair.wait_equal();
    both_read(&pair, &format!("GET {key}"), &loser);
    pair.kill_process(&pair.a);
    pair.wait_in_sync();
    assert_eq!(both_nodes(&pair).map(ids), before);
    let dir = pair.a.data().join("merge-conflicts");
    // A file that is damaged is told, and stops nobody.
    let file = fs::read_dir(&dir).unwrap().next().unwrap().unwrap().path();
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x55;
    fs::write(&file, bytes).unwrap();
    pair.kill_process(&pair.a);
    pair.wait_in_sync();
    assert!(conflicts(&pair.a, "k*").len() >= 10_000);
    assert!(run(&mut pair.a.client(), "SET after 1").is_ok());
}

#[test]
fn writes_end_when_too_many_are_not_at_the_peer() {
    let replication = vec!["log_retention = \"1MiB\"".to_owned()];
    let options = ApartOptions { replication, ..ApartOptions::default() };
    let Some(pair) = Machines::start_with("writes_end", options) else { return };
    pair.cut();
    let mut client = pair.a.client();
    let value = "v".repeat(20_000);
    let mut written = 0;
    let refused = loop {
        let reply = run(&mut client, &format!("SET k{written} {value}"));
        match reply.error() {
            None => written += 1,
            Some(error) => break error.to_owned(),
        }
        assert!(written < 200, "it goes on for ever");
    };
    assert!(refused.starts_with("PPDIVERGED "), "{refused}");
    assert!(written >= 50, "{written}");
    is_told(&pair.a, Some("PPDIVERGED "));
    is_told(&pair.b, None);
    assert_eq!(run(&mut client, "GET k0").text().map(|text| text.len()), Some(20_000));
    assert_eq!(run(&mut pair.b.client(), "SET other 1").error(), None, "B has room");
    pair.mend();
    assert_eq!(run(&mut client, "SET more 1").error(), None);
    is_told(&pair.a, None);
    pair.wait_equal();
    both_read(&pair, "DBSIZE", &(written + 2).to_string());
}

#[test]
fn without_its_peer_a_node_that_shall_refuse_refuses() {
    let replication = vec!["without_peer = \"refuse\"".to_owned()];
    let options = ApartOptions { replication, ..ApartOptions::default() };
    let Some(pair) = Machines::start_with("without_its_peer", options) else { return };
    run(&mut pair.a.client(), "SET k 1");
    pair.wait_equal();
    pair.net.cut_pair();
    // What was written before the cut was noticed is answered once the peer has it, and not before.
    let mut waiting = pair.a.client();
    waiting.send(&["SET", "waiting", "1"]).unwrap();
    for node in both_nodes(&pair) {
        serves_alone(node);
        let reply = run(&mut node.client(), "SET k 2");
        assert!(reply.error().is_some_and(|text| text.starts_with("NOREPLICAS ")), "{reply:?}");
        is_told(node, Some("NOREPLICAS "));
        assert_eq!(run(&mut node.client(), "GET k").text().as_deref(), Some("1"));
    }
    pair.mend_line();
    pair.wait_in_sync();
    assert!(waiting.reply().unwrap().is_ok());
    assert_eq!(run(&mut pair.b.client(), "GET waiting").text().as_deref(), Some("1"));
    for node in both_nodes(&pair) {
        assert_eq!(run(&mut node.client(), "SET k 3").error(), None);
        is_told(node, None);
    }
    pair.wait_equal();
}

#[test]
fn a_comparison_ends_while_both_nodes_are_written_to_all_the_time() {
    let Some(pair) = Machines::start("a_comparison_ends") else { return };
    let over = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = both_nodes(&pair)
        .iter()
        .map(|node| {
            let (mut writes, over) = (node.client(), Arc::clone(&over));
            let mut replies = writes.stream().try_clone().unwrap();
            let mut rng = Rng::new(u64::from(node.ports().client));
            let answered = Arc::new(AtomicUsize::new(0));
            let counted = Arc::clone(&answered);
            let reader = thread::spawn(move || {
                let mut bytes = [0; 4096];
                while let Ok(length @ 1..) = replies.read(&mut bytes) {
                    let lines = bytes[..length].split(|byte| *byte == b'\n').count() - 1;
                    counted.fetch_add(lines, Ordering::Relaxed);
                }
            });
            // Nobody waits for a reply before the next write, so there is always something on its way.
            let writer = thread::spawn(move || {
                let mut count = 0;
                while !over.load(Ordering::Relaxed) {
                    if count - answered.load(Ordering::Relaxed) > 2_000 {
                        thread::yield_now();
                        continue;
                    }
                    let key = rng.below(20_000).to_string();
                    writes.send(&["INCR", &key]).unwrap();
                    count += 1;
                }
                writes.stream().shutdown(Shutdown::Both).unwrap();
                count
            });
            (writer, reader)
        })
        .collect();
    for node in both_nodes(&pair) {
        let mut client = node.client();
        client.set_reply_timeout(PATIENCE).unwrap();
        let told = run(&mut client, "TANDEM PP VERIFY");
        assert!(told.text().is_some_and(|text| text.starts_with("OK ")), "{told:?}");
    }
    over.store(true, Ordering::Relaxed);
    for (writer, reader) in writers {
        let count = writer.join().unwrap();
        assert!(count > 1_000, "{count}");
        reader.join().unwrap();
    }
    pair.wait_equal();
}

#[test]
fn people_and_tools_are_told_of_two_primaries() {
    let mut pair = Pair::prepare(&PairOptions::new("primary-primary"));
    pair.a.start();
    pair.b.start();
    in_sync(&pair.a, &pair.b);
    for node in [&pair.a, &pair.b] {
        // The role travels with the next heartbeat.
        node.wait_status("has heard that its peer serves", |status| {
            status.text("peer.role") == "primary"
        });
        let said = node.verb(&["status"]);
        assert_eq!((said.code, said.out.matches("PRIMARY").count()), (0, 2), "{said:?}");
        for (path, want) in [("/health/primary", 200), ("/health/replica", 503)] {
            assert_eq!(node.http("GET", path, "").unwrap().status, want, "{path}");
        }
        // Whoever asks a node's Sentinel port is sent to that node: it serves.
        let mut sentinel =
            Client::connect((Ipv4Addr::LOCALHOST, node.ports().sentinel).into()).unwrap();
        let told = run(&mut sentinel, "SENTINEL GET-MASTER-ADDR-BY-NAME main").items();
        let port = told[1].text().unwrap();
        assert_eq!(port, node.address().port().to_string(), "{}", node.name());
        let told = run(&mut sentinel, "SENTINEL FAILOVER main");
        assert!(told.error().unwrap().contains("both nodes are primary"), "{told:?}");
    }
    let said = pair.a.verb(&["drill", "switch"]);
    assert!(said.code == 1 && said.err.contains("there is nothing to switch"), "{said:?}");
    for words in [&["drill", "kill"][..], &["drill", "isolate", "--seconds", "2"]] {
        let said = pair.a.verb(words);
        assert_eq!(said.code, 0, "{said:?}");
        assert!(said.out.contains("writes lost             0"), "{said:?}");
        assert!(said.out.contains("a and b -> a and b"), "{said:?}");
        in_sync(&pair.a, &pair.b);
    }
}
