//! A backup of one of two primaries: taken under load, restored as a fresh pair, or beside a peer that lives.

#![expect(clippy::unwrap_used, reason = "a test: it may panic")]

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use tandem_e2e::client::Client;
use tandem_e2e::node::{Node, tandem};
use tandem_e2e::pair::{Pair, PairOptions};
use tandem_e2e::two_writers::{in_sync, run, wait_equal};
use tandem_e2e::value::Value;
use tandem_e2e::wait;

const PATIENCE: Duration = Duration::from_secs(30);

fn start() -> Pair {
    let mut pair = Pair::prepare(&PairOptions::new("primary-primary"));
    pair.a.start();
    pair.b.start();
    in_sync(&pair.a, &pair.b);
    pair
}

#[track_caller]
fn backup(pair: &Pair, node: &Node, name: &str) -> PathBuf {
    let file = pair.folder().unwrap().join(name);
    let said = node.verb(&["backup", &file.display().to_string()]);
    assert_eq!(said.code, 0, "{said:?}");
    file
}

#[track_caller]
fn restore(node: &Node, file: &std::path::Path) {
    let data = node.data().display().to_string();
    let said = tandem(&["restore", &file.display().to_string(), "--data-dir", &data]);
    assert_eq!(said.code, 0, "{said:?}");
    let said = tandem(&["check", "--data-dir", &data]);
    assert_eq!(said.code, 0, "{said:?}");
}

#[track_caller]
fn id(client: &mut Client, key: &str) -> i64 {
    wait::until("gives an id", PATIENCE, || {
        let reply = run(client, &format!("INCR {key}"));
        reply.int().ok_or_else(|| format!("{reply:?}"))
    })
}

fn number(node: &Node, key: &str) -> i64 {
    let told = run(&mut node.client(), &format!("GET {key}"));
    told.text().map_or(0, |text| text.parse().unwrap())
}

/// Takes single units until there are none; says how many. Rights move to whoever asks.
#[track_caller]
fn sell_out(nodes: [&Node; 2]) -> i64 {
    let mut sold = 0;
    wait::until("all is sold", PATIENCE, || {
        let mut refused = 0;
        for node in nodes {
            let reply = run(&mut node.client(), "DECRBY stock 1");
            sold += i64::from(reply.int().is_some());
            refused += i64::from(reply.error().is_some_and(|text| text.starts_with("NORIGHTS ")));
        }
        let left = number(nodes[0], "stock");
        if refused == 2 && left == 0 { Ok(()) } else { Err(format!("{left} left")) }
    });
    sold
}

/// The ids of each sequence that a load was given.
type Ids = Vec<BTreeSet<i64>>;

/// Load on a node until it is `over`: everything is asserted to be acknowledged.
fn load(node: &Node, over: &Arc<AtomicBool>) -> thread::JoinHandle<Ids> {
    let (mut client, over, name) = (node.client(), Arc::clone(over), node.name());
    thread::spawn(move || {
        let mut ids = vec![BTreeSet::new(); 3];
        let mut count = 0u64;
        while !over.load(Ordering::Relaxed) {
            assert!(run(&mut client, "INCR sum").int().is_some());
            assert!(run(&mut client, &format!("SET {name}:{count} v")).is_ok());
            assert!(run(&mut client, &format!("HINCRBY hash {name} 1")).int().is_some());
            for (number, given) in ids.iter_mut().enumerate() {
                given.extend(run(&mut client, &format!("INCR id{number}")).int());
            }
            run(&mut client, "DECRBY stock 1");
            count += 1;
        }
        assert!(count > 100, "{name} did little: {count}");
        ids
    })
}

/// All of both.
fn ids_of(workers: [thread::JoinHandle<Ids>; 2]) -> Ids {
    let mut given = vec![BTreeSet::new(); 3];
    for worker in workers {
        for (all, some) in given.iter_mut().zip(worker.join().unwrap()) {
            let length = all.len() + some.len();
            all.extend(some);
            assert_eq!(all.len(), length, "an id twice before the backup");
        }
    }
    given
}

/// None of before, whenever it was given, and none twice.
#[track_caller]
fn ids_are_new(pair: &Pair, given: &mut Ids) {
    for (number, given) in given.iter_mut().enumerate() {
        for _ in 0..50 {
            for node in [&pair.a, &pair.b] {
                let id = id(&mut node.client(), &format!("id{number}"));
                assert!(given.insert(id), "{} gives id {id} of {number} again", node.name());
            }
        }
    }
}

#[test]
fn a_backup_under_load_becomes_a_fresh_pair_in_which_nothing_is_doubled() {
    let mut pair = start();
    let mut a = pair.a.client();
    let modes = ["seq", "seq:strict,100", "seq:interleaved"];
    for (number, mode) in modes.iter().enumerate() {
        assert!(run(&mut a, &format!("TANDEM PP POLICY SET id{number} {mode}")).is_ok());
    }
    assert!(run(&mut a, "TANDEM PP POLICY SET stock bounded").is_ok());
    assert!(run(&mut a, "TANDEM BC CREATE stock 1000").is_ok());
    wait_equal(&pair.a, &pair.b);
    let over = Arc::new(AtomicBool::new(false));
    let workers = [&pair.a, &pair.b].map(|node| load(node, &over));
    wait::until_true("there was some load", PATIENCE, || number(&pair.a, "sum") > 300);
    let before = number(&pair.a, "sum");
    let file = backup(&pair, &pair.a, "backup");
    let during = number(&pair.a, "sum");
    wait::until_true("more was written", PATIENCE, || number(&pair.a, "sum") > during + 300);
    over.store(true, Ordering::Relaxed);
    let mut given = ids_of(workers);
    // Both machines are lost.
    for node in [&mut pair.a, &mut pair.b] {
        node.kill();
        fs::remove_dir_all(node.data()).unwrap();
    }
    restore(&pair.a, &file);
    // Alone it does not serve: somebody might have newer data.
    pair.a.spawn();
    pair.a.wait_status("waits", |status| status.role() == "joining");
    let why = pair.a.verb(&["why"]);
    assert!(why.out.contains("restored from a backup"), "{why:?}");
    pair.b.start();
    in_sync(&pair.a, &pair.b);
    wait_equal(&pair.a, &pair.b);
    let sum = number(&pair.a, "sum");
    assert!((before..=during).contains(&sum), "{sum}, not {before} to {during}");
    let parts: i64 = run(&mut pair.b.client(), "HVALS hash")
        .items()
        .iter()
        .map(|part| part.text().unwrap().parse::<i64>().unwrap())
        .sum();
    assert!((parts - sum).abs() <= 2, "{parts} and {sum} were written one after the other");
    ids_are_new(&pair, &mut given);
    // Rights: as many as the stock of then, on both together.
    let stock = number(&pair.b, "stock");
    assert!(stock > 0, "{stock}");
    assert_eq!(sell_out([&pair.a, &pair.b]), stock);
    // It is a pair as any other: a crash and a cut later both are the same.
    assert_eq!(run(&mut pair.b.client(), "INCR sum").int(), Some(sum + 1));
    pair.a.kill();
    pair.a.start();
    in_sync(&pair.a, &pair.b);
    wait_equal(&pair.a, &pair.b);
    assert_eq!(number(&pair.a, "sum"), sum + 1);
    // And can be backed up again.
    backup(&pair, &pair.b, "again");
}

#[test]
fn a_backup_restored_beside_a_peer_that_lives_brings_nothing_back() {
    let mut pair = start();
    let mut a = pair.a.client();
    assert!(run(&mut a, "TANDEM PP POLICY SET stock bounded").is_ok());
    assert!(run(&mut a, "TANDEM BC CREATE stock 100").is_ok());
    for line in ["SET gone 1", "SET kept old", "SADD set x", "INCRBY sum 5"] {
        assert_eq!(run(&mut a, line).error(), None, "{line}");
    }
    wait_equal(&pair.a, &pair.b);
    let file = backup(&pair, &pair.a, "backup");
    // Since then things were deleted, changed and sold.
    for line in ["DEL gone", "SET kept new", "SREM set x", "INCRBY sum 7", "DECRBY stock 30"] {
        assert_eq!(run(&mut a, line).error(), None, "{line}");
    }
    wait_equal(&pair.a, &pair.b);
    pair.a.kill();
    fs::remove_dir_all(pair.a.data()).unwrap();
    assert_eq!(run(&mut pair.b.client(), "INCRBY sum 1").int(), Some(13));
    restore(&pair.a, &file);
    pair.a.start();
    in_sync(&pair.a, &pair.b);
    wait_equal(&pair.a, &pair.b);
    for node in [&pair.a, &pair.b] {
        let mut client = node.client();
        assert_eq!(run(&mut client, "EXISTS gone set").int(), Some(0), "{}", node.name());
        assert_eq!(run(&mut client, "GET kept").text().as_deref(), Some("new"));
        assert_eq!((number(node, "sum"), number(node, "stock")), (13, 70));
    }
    assert_eq!(sell_out([&pair.a, &pair.b]), 70);
    // What was restored is kept for people.
    let kept = pair.a.status();
    let kept = kept.at("kept_files").as_array().map_or(0, Vec::len);
    assert!(kept > 0, "nothing was set aside");
}

#[test]
fn one_backup_is_the_data_of_a_pair_and_a_person_may_begin_without_a_peer() {
    let mut pair = start();
    assert!(run(&mut pair.a.client(), "SET k v").is_ok());
    wait_equal(&pair.a, &pair.b);
    let files = [backup(&pair, &pair.a, "of-a"), backup(&pair, &pair.b, "of-b")];
    for (node, file) in [&mut pair.a, &mut pair.b].into_iter().zip(&files) {
        node.kill();
        fs::remove_dir_all(node.data()).unwrap();
        restore(node, file);
        node.spawn();
    }
    let apart = |value: &Value| value.text().is_some();
    for node in [&pair.a, &pair.b] {
        node.wait_status("stays apart", |status| {
            status.role() == "joining" && status.json["warnings"].to_string().contains("backups")
        });
        let told = run(&mut node.client(), "GET k");
        assert!(!apart(&told), "{} serves: {told:?}", node.name());
    }
    pair.b.kill();
    fs::remove_dir_all(pair.b.data()).unwrap();
    let said = pair.a.verb(&["promote", "--force"]);
    assert_eq!(said.code, 0, "{said:?}");
    pair.a.wait_role("primary");
    assert!(run(&mut pair.a.client(), "SET more v").is_ok());
    // It keeps that over a crash: nobody sets it aside any more.
    pair.a.kill();
    pair.a.start();
    pair.a.wait_role("primary");
    pair.b.start();
    in_sync(&pair.a, &pair.b);
    wait_equal(&pair.a, &pair.b);
    assert_eq!(run(&mut pair.b.client(), "MGET k more").items().len(), 2);
    assert_eq!(run(&mut pair.b.client(), "GET more").text().as_deref(), Some("v"));
}
