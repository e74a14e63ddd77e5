//! Two nodes that both accept writes: ids that are never given twice, stocks that are never oversold, and an
//! entry for everything that merging decided against.

use std::collections::BTreeSet;
use std::fs;
use std::thread;
use std::time::Duration;

use tandem_e2e::client::Client;
use tandem_e2e::node::Node;
use tandem_e2e::two_writers::{Machines, run, run_many};
use tandem_e2e::value::Value;
use tandem_e2e::wait;

const PATIENCE: Duration = Duration::from_secs(30);

/// Takes so many ids: none below 100, each greater than the one before, none given before.
#[track_caller]
fn take_ids(node: &Node, count: usize, given: &mut BTreeSet<i64>) {
    let mut last = 99;
    for reply in run_many(&mut node.client(), "INCR user:id", count) {
        let id = reply.int().unwrap_or_else(|| panic!("{}: {reply:?}", node.name()));
        assert!(id > last, "{}: {id} after {last}", node.name());
        assert!(given.insert(id), "{}: {id} twice", node.name());
        last = id;
    }
}

#[test]
fn ids_are_unique_through_a_cut_crashes_and_a_lost_disk() {
    let Some(mut pair) = Machines::start("ids_are_unique") else { return };
    let mut client = pair.a.client();
    assert!(run(&mut client, "SET user:id 99").is_ok());
    assert!(run(&mut client, "TANDEM PP POLICY SET user:id seq").is_ok());
    // Both have burnt a first block.
    pair.wait_equal();
    wait::until("both hold ids ahead", PATIENCE, || {
        let told = pair.ask_both("TANDEM SEQ INFO user:id");
        let left = |value: &Value| value.field("left").and_then(|left| left.int()).unwrap_or(0);
        if told.iter().all(|value| left(value) > 0) { Ok(()) } else { Err(format!("{told:?}")) }
    });
    let mut given = BTreeSet::new();
    pair.cut();
    for node in [&pair.a, &pair.b] {
        take_ids(node, 1_000, &mut given);
    }
    pair.kill_process(&pair.a);
    take_ids(&pair.a, 3_000, &mut given);
    pair.mend();
    for node in [&pair.a, &pair.b] {
        take_ids(node, 500, &mut given);
    }
    // A's disk is lost in a cut, with ids that B has not heard of.
    pair.wait_equal();
    pair.cut();
    take_ids(&pair.a, 1_000, &mut given);
    pair.a.kill();
    fs::remove_dir_all(pair.a.data()).unwrap();
    take_ids(&pair.b, 1_000, &mut given);
    pair.mend_line();
    pair.a.start();
    pair.wait_in_sync();
    let waited = |node: &Node| {
        wait::until("gives ids again", PATIENCE, || {
            let reply = run(&mut node.client(), "INCR user:id");
            reply.int().ok_or_else(|| format!("{reply:?}"))
        })
    };
    for node in [&pair.a, &pair.b] {
        assert!(given.insert(waited(node)));
        take_ids(node, 500, &mut given);
    }
    pair.wait_equal();
    let shown = pair.ask_both("GET user:id");
    assert_eq!(shown[0], shown[1]);
    assert_eq!(given.len(), 9_002);
}

#[test]
fn an_unpoliced_counter_that_gave_an_id_twice_is_reported_once() {
    let Some(pair) = Machines::start("an_unpoliced_counter") else { return };
    run(&mut pair.a.client(), "SET id 99");
    pair.wait_equal();
    pair.cut();
    for told in pair.ask_both("INCR id") {
        assert_eq!(told.int(), Some(100));
    }
    pair.mend();
    for node in [&pair.a, &pair.b] {
        let mut client = node.client();
        assert_eq!(run(&mut client, "GET id").text().as_deref(), Some("101"));
        let told = run(&mut client, "TANDEM PP CONFLICTS KEY id").items();
        let [entry] = told.as_slice() else { panic!("{told:?}") };
        assert_eq!(text(entry, "kind"), "dup-counter");
        let counted = client.info_field("tandem", "pp_conflicts_dup_counter");
        assert_eq!(counted.as_deref(), Some("1"));
    }
}

fn text(value: &Value, field: &str) -> String {
    value.field(field).and_then(|field| field.text()).unwrap_or_else(|| format!("no {field}"))
}

fn sold(replies: &[Value]) -> usize {
    replies.iter().filter(|reply| reply.int().is_some()).count()
}

#[test]
fn a_bounded_stock_is_sold_out_exactly() {
    let Some(mut pair) = Machines::start("a_bounded_stock") else { return };
    let mut client = pair.a.client();
    assert!(run(&mut client, "TANDEM PP POLICY SET stock: bounded").is_ok());
    for line in ["BC.CREATE stock:cut 100", "TANDEM BC CREATE stock:up 100 SPLIT 100"] {
        assert!(run(&mut client, line).is_ok());
    }
    assert!(run(&mut client, "BC.CREATE stock:kill 100").is_ok());
    pair.wait_equal();
    let refused = run(&mut client, "SET stock:cut 5");
    assert!(refused.error().unwrap().starts_with("PPBOUNDED "), "{refused:?}");

    pair.cut();
    for node in [&pair.a, &pair.b] {
        let replies = run_many(&mut node.client(), "DECR stock:cut", 150);
        assert_eq!(sold(&replies), 50, "{}", node.name());
        let none = "NORIGHTS have=0 elsewhere=50 link=down";
        assert!(replies[50..].iter().all(|reply| reply.error() == Some(none)), "{replies:?}");
    }
    pair.mend();
    for told in pair.ask_both("GET stock:cut") {
        assert_eq!(told.text().as_deref(), Some("0"));
    }

    // With the link up it is sold wherever it is asked for; B begins with nothing.
    let first = run(&mut pair.b.client(), "BC.DECRBY stock:up 1 WAIT 5000");
    assert!(first.int().is_some(), "rights went where they were wanted: {first:?}");
    let buyers: Vec<_> = (0..20)
        .map(|number| {
            let address = if number % 2 == 0 { pair.a.address() } else { pair.b.address() };
            let mut client = Client::connect(address).unwrap();
            thread::spawn(move || {
                let buy = |_| run(&mut client, "BC.DECRBY stock:up 1 WAIT 400");
                (number % 2, sold(&(0..15).map(buy).collect::<Vec<_>>()))
            })
        })
        .collect();
    let mut by_side = [0, 1];
    for buyer in buyers {
        let (side, count) = buyer.join().unwrap();
        by_side[side] += count;
    }
    assert_eq!(by_side[0] + by_side[1], 100, "{by_side:?}");
    pair.wait_equal();
    for told in pair.ask_both("GET stock:up") {
        assert_eq!(told.text().as_deref(), Some("0"));
    }

    // The other node is gone: only its own rights are sold.
    pair.b.kill();
    pair.a.wait_status("misses its peer", |status| !status.is("peer.connected"));
    let replies = run_many(&mut pair.a.client(), "DECR stock:kill", 150);
    assert_eq!(sold(&replies), 50);
    pair.b.start();
    pair.wait_in_sync();
    pair.wait_equal();
    assert_eq!(run(&mut pair.b.client(), "GET stock:kill").text().as_deref(), Some("50"));
}

/// What both have, what each does in a cut, what is read then, what it says, what is told.
type Row<'r> = (&'r [&'r str], &'r [&'r str], &'r [&'r str], &'r str, &'r str, &'r str);

#[test]
fn what_others_lose_converges_and_what_is_discarded_is_told() {
    let Some(pair) = Machines::start("what_others_lose_converges") else { return };
    let rows: &[Row<'_>] = &[
        (&[], &["SET 0:k a"], &["SET 0:k b"], "GET 0:k", "b", "lww"),
        (&["SET 1:k 100"], &["DECR 1:k"], &["DECRBY 1:k 2"], "GET 1:k", "97", ""),
        (&["SET 2:k v"], &["DEL 2:k"], &["SET 2:k w"], "GET 2:k", "w", "delete-update"),
        (&["SADD 3:s z"], &["SADD 3:s a"], &["SADD 3:s b"], "SCARD 3:s", "3", ""),
        (&["RPUSH 4:l 1 2 3"], &["LPOP 4:l"], &["LPOP 4:l"], "LLEN 4:l", "2", "double-pop"),
        (&["SET 5:k v PX 8000"], &["EXPIRE 5:k 1000"], &[], "GET 5:k", "v", "expire-refresh"),
        (&["SET 6:k x"], &["APPEND 6:k A"], &["APPEND 6:k B"], "GET 6:k", "xB", "lww"),
        (&[], &["ZADD 7:z 1 m"], &["ZADD 7:z 2 m"], "ZSCORE 7:z m", "2", "lww"),
        (&["RPUSH 8:l 0"], &["RPUSH 8:l a"], &["RPUSH 8:l b"], "LLEN 8:l", "3", ""),
        (&["SADD 9:s x"], &["SADD 9:s x"], &["SREM 9:s x"], "SCARD 9:s", "1", "delete-update"),
        (
            &["HSET 10:h f 1"],
            &["HINCRBY 10:h f 5"],
            &["HDEL 10:h f"],
            "HGET 10:h f",
            "5",
            "delete-update",
        ),
        (
            &["TANDEM PP POLICY SET 11: lww"],
            &["SET 11:k a NX"],
            &["SET 11:k b NX"],
            "GET 11:k",
            "b",
            "nx",
        ),
        (&[], &["SADD 12:m x"], &["SET 12:m x"], "TYPE 12:m", "set", "type"),
    ];
    let client = || (pair.a.client(), pair.b.client());
    let (mut a, mut b) = client();
    for (both, ..) in rows {
        both.iter().for_each(|line| drop(run(&mut a, line)));
    }
    pair.wait_equal();
    pair.cut();
    for (_, on_a, ..) in rows {
        for line in *on_a {
            let told = run(&mut a, line);
            assert_eq!(told.error(), None, "{line}");
        }
    }
    // Later than all of A's: B's stamps are the greater.
    for (_, _, on_b, ..) in rows {
        for line in *on_b {
            let told = run(&mut b, line);
            assert_eq!(told.error(), None, "{line}");
        }
    }
    wait::until("B's deadline passed", PATIENCE, || {
        let told = run(&mut b, "EXISTS 5:k").int();
        if told == Some(0) { Ok(()) } else { Err(told) }
    });
    // A write notices it, if the expiry cycle did not.
    run(&mut b, "PERSIST 5:k");
    pair.mend();
    for (number, (.., read, want, kind)) in rows.iter().enumerate() {
        let told = pair.ask_both(read);
        for value in &told {
            let shown = value.text().or(value.int().map(|int| int.to_string()));
            assert_eq!(shown.as_deref(), Some(*want), "{read}");
        }
        let entries: Vec<Value> = pair
            .ask_both(&format!("TANDEM PP CONFLICTS KEY {number}:*"))
            .iter()
            .flat_map(Value::items)
            .collect();
        let kinds: BTreeSet<String> = entries.iter().map(|entry| text(entry, "kind")).collect();
        let wanted: BTreeSet<String> =
            [*kind].into_iter().filter(|kind| !kind.is_empty()).map(str::to_owned).collect();
        assert_eq!(kinds, wanted, "{read}: {entries:?}");
    }
    // A person decides the first otherwise, and both nodes have it so.
    let entry = run(&mut a, "TANDEM PP CONFLICTS KEY 0:k").items();
    let id = text(&entry[0], "id");
    assert!(run(&mut a, &format!("TANDEM PP RESOLVE {id} USE LOSER")).is_ok());
    pair.wait_equal();
    for told in pair.ask_both("GET 0:k") {
        assert_eq!(told.text().as_deref(), Some("a"));
    }
    for told in pair.ask_both("TANDEM PP CONFLICTS KEY 0:k") {
        assert!(told.items().iter().all(|entry| text(entry, "resolved") == "yes"), "{told:?}");
    }
}
