//! A node that is given up for good: what it held, what becomes of that, and what happens when it comes back.

#![expect(clippy::unwrap_used, reason = "a test: it may panic")]

use std::fs;

use tandem_e2e::client::Client;
use tandem_e2e::node::{Node, START_DEADLINE};
use tandem_e2e::pair::{Pair, PairOptions};
use tandem_e2e::rot;
use tandem_e2e::two_writers::{in_sync, run, serves_alone, wait_equal};
use tandem_e2e::value::Value;
use tandem_e2e::wait;

fn start() -> Pair {
    let mut pair = Pair::prepare(&PairOptions::new("primary-primary"));
    pair.a.start();
    pair.b.start();
    in_sync(&pair.a, &pair.b);
    run(&mut pair.a.client(), "BC.CREATE stock 100");
    run(&mut pair.a.client(), "SET id 99");
    run(&mut pair.a.client(), "TANDEM PP POLICY SET id seq:available,10");
    run(&mut pair.a.client(), "SET both before");
    wait_equal(&pair.a, &pair.b);
    pair
}

/// `node` does this alone, and nobody hears of it: then it is down, and the other one serves.
#[track_caller]
fn alone(pair: &mut Pair, lines: &[&str]) {
    pair.a.kill();
    serves_alone(&pair.b);
    let mut client = pair.b.client();
    for line in lines {
        run(&mut client, line);
    }
    pair.b.kill();
    pair.a.start();
    serves_alone(&pair.a);
}

#[track_caller]
fn error(client: &mut Client, line: &str) -> String {
    let told = client.command(&line.split(' ').collect::<Vec<_>>()).unwrap();
    told.error().unwrap_or_else(|| panic!("{line}: {told:?}")).to_string()
}

/// The peer's incarnation, as the refusal of a wrong one says it.
#[track_caller]
fn incarnation(node: &Node) -> String {
    let told = error(&mut node.client(), "TANDEM PP FORGET 0");
    let (_, rest) = told.split_once("is incarnation ").unwrap_or_else(|| panic!("{told}"));
    rest.split(':').next().unwrap().to_owned()
}

/// What `SALVAGE` says once all was handed over.
#[track_caller]
fn salvage(node: &Node, word: &str) -> Vec<String> {
    wait::until("all was handed over", START_DEADLINE, || {
        let told = run(&mut node.client(), &format!("TANDEM PP SALVAGE {word}"));
        match told.error() {
            None => Ok(told.items().iter().filter_map(Value::text).collect()),
            Some(text) => Err(text.to_string()),
        }
    })
}

#[track_caller]
fn get(node: &Node, line: &str) -> Option<String> {
    let told = run(&mut node.client(), line);
    told.text().or_else(|| told.int().map(|number| number.to_string()))
}

const SOLD_ALONE: &[&str] = &[
    "BC.DECRBY stock 5",
    "INCRBY count 7",
    "SADD set b",
    "HINCRBY hash f 3",
    "RPUSH list b1 b2",
    "SET both lost",
    "INCR id",
];

#[test]
fn a_node_that_was_given_up_is_fenced_and_what_it_sold_is_told() {
    let mut pair = start();
    alone(&mut pair, SOLD_ALONE);
    let mut a = pair.a.client();
    // A sells its own rights and no more.
    let mut sold = 0;
    for _ in 0..150 {
        let told = a.command(&["DECRBY", "stock", "1"]).unwrap();
        match told.error() {
            None => sold += 1,
            Some(text) => assert!(text.starts_with("NORIGHTS have=0 elsewhere=50"), "{text}"),
        }
    }
    assert_eq!(sold, 50);
    run(&mut a, "BC.INCRBY stock 8");
    run(&mut a, "INCRBY count 2");
    run(&mut a, "RPUSH list a1");
    let gone = incarnation(&pair.a);
    let told = error(&mut a, &format!("TANDEM PP FORGET {gone}"));
    assert!(told.contains("50 rights of 1 bounded counters"), "{told}");
    let told = run(&mut a, &format!("TANDEM PP FORGET {gone} RIGHTS destroy")).text().unwrap();
    assert!(told.contains("50 rights of 1 counters are destroyed"), "{told}");
    assert_eq!(get(&pair.a, "GET stock").as_deref(), Some("8"), "what A has rights to");
    assert!(error(&mut a, "TANDEM PP SALVAGE LIST").contains("is not back"));
    // It is so after a restart, too.
    pair.a.kill();
    pair.a.start();
    serves_alone(&pair.a);
    assert_eq!(get(&pair.a, "GET stock").as_deref(), Some("8"));
    // It comes back: nobody is served there, and what it did alone is told.
    pair.b.spawn();
    pair.b.wait_role("isolated");
    let told = error(&mut pair.b.client(), "DECRBY stock 1");
    assert!(told.starts_with("NOTPRIMARY ") && told.contains("not the pair's any more"), "{told}");
    let listed = salvage(&pair.a, "LIST");
    for wanted in [
        "stock: 5 sold, 0 added: its rights were destroyed, nothing to do",
        "count: 7 added: written again",
        "set: member b added: written again",
        "hash: 3 added to field f: written again",
        "list: b1 pushed: written again",
        "list: b2 pushed: written again",
        "both: set to lost: told",
    ] {
        assert!(listed.iter().any(|line| line == wanted), "{wanted} in {listed:#?}");
    }
    assert_eq!(get(&pair.a, "GET count").as_deref(), Some("2"), "a list changes nothing");
    assert_eq!(salvage(&pair.a, "APPLY"), listed);
    assert_eq!(salvage(&pair.a, "LIST"), Vec::<String>::new());
    // Neither forgets it: not the one that was given up, alone, nor the other one.
    pair.a.kill();
    pair.b.kill();
    pair.b.spawn();
    pair.b.wait_role("isolated");
    pair.a.start();
    pair.a.wait_role("primary");
    for (line, value) in [
        ("GET stock", "8"),
        ("GET count", "9"),
        ("SCARD set", "1"),
        ("HGET hash f", "3"),
        ("LLEN list", "3"),
        ("LINDEX list 2", "b2"),
        ("GET both", "before"),
    ] {
        assert_eq!(get(&pair.a, line).as_deref(), Some(value), "{line}");
    }
    let conflicts = format!("{:?}", run(&mut pair.a.client(), "TANDEM PP CONFLICTS KIND salvage"));
    assert!(conflicts.contains("both") && conflicts.contains("lost"), "{conflicts}");
    // An empty machine takes its place.
    pair.b.kill();
    fs::remove_dir_all(pair.b.data()).unwrap();
    pair.b.start();
    in_sync(&pair.a, &pair.b);
    wait_equal(&pair.a, &pair.b);
    let [id_a, id_b] = [&pair.a, &pair.b].map(|node| get(node, "INCR id").unwrap());
    assert!(id_a != id_b && id_b != "100" && id_b != "110", "{id_a} {id_b}");
    assert!(error(&mut pair.b.client(), "DECRBY stock 9").starts_with("NORIGHTS "));
    run(&mut pair.b.client(), "SET after 1");
    wait_equal(&pair.a, &pair.b);
}

#[test]
fn what_is_kept_for_a_node_that_is_gone_is_freed() {
    let mut options = PairOptions::new("primary-primary").replication("log_retention = \"1MiB\"");
    "[storage]\nsegment_size = \"256KiB\"\nsnapshot_after = \"1MiB\"\n"
        .clone_into(&mut options.more);
    let mut pair = Pair::prepare(&options);
    pair.a.start();
    pair.b.start();
    in_sync(&pair.a, &pair.b);
    pair.b.kill();
    serves_alone(&pair.a);
    let mut a = pair.a.client();
    let value = "v".repeat(4_096);
    let write = |client: &mut Client, count: usize| {
        (0..count).find_map(|number| {
            let told = client.command(&["SET", &format!("k{}", number % 100), &value]).unwrap();
            told.error().map(ToString::to_string)
        })
    };
    let told = write(&mut a, 1_000).unwrap();
    assert!(told.starts_with("PPDIVERGED ") && told.contains("PP FORGET"), "{told}");
    let gone = incarnation(&pair.a);
    let told = run(&mut a, &format!("TANDEM PP FORGET {gone}")).text().unwrap();
    assert!(told.contains("it held no rights"), "{told}");
    // Nothing is kept for nobody, before and after a restart.
    assert_eq!(write(&mut a, 1_000), None);
    pair.a.kill();
    pair.a.start();
    serves_alone(&pair.a);
    assert_eq!(write(&mut pair.a.client(), 1_000), None);
    wait::until_true("its log has become shorter", START_DEADLINE, || {
        let first = rot::files(pair.a.data(), ".log").into_iter().next();
        first.is_some_and(|path| !path.ends_with("00000000000000000000.log"))
    });
    fs::remove_dir_all(pair.b.data()).unwrap();
    pair.b.start();
    in_sync(&pair.a, &pair.b);
    assert_eq!(write(&mut pair.b.client(), 500), None);
    wait_equal(&pair.a, &pair.b);
}

#[test]
fn claimed_rights_may_be_oversold_and_that_is_told() {
    let mut pair = start();
    alone(&mut pair, &["BC.DECRBY stock 5", "SET k v"]);
    let gone = incarnation(&pair.a);
    let mut a = pair.a.client();
    let told = run(&mut a, &format!("TANDEM PP FORGET {gone} RIGHTS claim")).text().unwrap();
    assert!(told.contains("at most 50 may be oversold"), "{told}");
    assert_eq!(get(&pair.a, "DECRBY stock 98").as_deref(), Some("2"));
    pair.b.spawn();
    pair.b.wait_role("isolated");
    let listed = salvage(&pair.a, "APPLY");
    let wanted = "stock: 5 sold, 0 added: entered; oversold 3";
    assert!(listed.iter().any(|line| line == wanted), "{listed:#?}");
    assert_eq!(get(&pair.a, "GET stock").as_deref(), Some("-3"));
    let conflicts = format!("{:?}", run(&mut a, "TANDEM PP CONFLICTS KIND oversold"));
    assert!(conflicts.contains("stock"), "{conflicts}");
    assert!(error(&mut a, "DECRBY stock 1").starts_with("NORIGHTS "));
}
