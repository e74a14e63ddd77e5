//! Two nodes that both accept writes: they come to the same, whatever happens between them.

#![expect(clippy::unwrap_used, reason = "a test: it may panic")]

use std::fs;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tandem_e2e::client::Client;
use tandem_e2e::node::Node;
use tandem_e2e::pair::{Pair, PairOptions};
use tandem_e2e::rng::Rng;
use tandem_e2e::two_writers::{Machines, in_sync, serves_alone};
use tandem_e2e::value::Value;
use tandem_e2e::wait;

const PATIENCE: Duration = Duration::from_secs(30);

fn options() -> PairOptions {
    PairOptions::new("primary-primary")
}

/// Both serve and are in sync.
fn start(options: &PairOptions) -> Pair {
    let mut pair = Pair::prepare(options);
    pair.a.start();
    pair.b.start();
    in_sync(&pair.a, &pair.b);
    pair
}

/// Nothing is on its way any more, and every slot is the same on both.
#[track_caller]
fn equal(a: &Node, b: &Node) {
    wait::until("both hold the same", PATIENCE, || {
        let told: Vec<Value> = [a, b]
            .iter()
            .map(|node| node.client().command(&["TANDEM", "PP", "VECTOR"]).unwrap())
            .collect();
        if told[0] == told[1] { Ok(()) } else { Err(format!("{told:?}")) }
    });
    for node in [a, b] {
        let told = node.client().command(&["TANDEM", "PP", "VERIFY"]).unwrap();
        assert!(told.text().is_some_and(|text| text.starts_with("OK")), "{told:?}");
    }
}

#[track_caller]
fn get(node: &Node, key: &str) -> String {
    node.client().ok(&["GET", key]).text().unwrap_or_else(|| "none".to_owned())
}

#[track_caller]
fn both_have(a: &Node, b: &Node, key: &str, value: &str) {
    equal(a, b);
    assert_eq!([get(a, key), get(b, key)], [value, value]);
}

fn run(client: &mut Client, line: &str) -> Value {
    client.ok(&line.split(' ').collect::<Vec<_>>())
}

/// Ends the node's process; its supervisor starts it again.
fn kill_node_process(node: &Node) {
    let pid = Pid::from_raw(i32::try_from(node.pid()).unwrap()).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
}

/// The directory of a machine that was replaced.
fn empty(node: &Node) {
    fs::remove_dir_all(node.data()).unwrap();
}

#[test]
fn what_is_written_on_either_is_on_both() {
    let pair = start(&options());
    let (mut a, mut b) = (pair.a.client(), pair.b.client());
    for (on_a, on_b) in [
        ("SET greeting hello", "SET other there"),
        ("INCRBY count 3", "INCRBY count 4"),
        ("SADD set a1 a2", "SADD set b1"),
        ("HSET hash f 1 g 2", "HSET hash g 3 h 4"),
        ("ZADD zset 1 m 2 n", "ZINCRBY zset 5 m"),
        ("RPUSH list x y", "RPUSH list z"),
        ("SET gone 1", "SET stays 1 EX 1000"),
        ("DEL gone", "EXPIRE greeting 1000"),
        ("MSET m1 1 m2 2", "RENAME other renamed"),
    ] {
        run(&mut a, on_a);
        run(&mut b, on_b);
        // Acknowledged means that both disks have it, not that the other has seen it before it writes.
        equal(&pair.a, &pair.b);
    }
    for client in [&mut a, &mut b] {
        run(client, "MULTI");
        run(client, "INCR count");
        run(client, "SADD set multi");
        assert_eq!(run(client, "EXEC").items().len(), 2);
    }
    equal(&pair.a, &pair.b);
    for node in [&pair.a, &pair.b] {
        let mut client = node.client();
        assert_eq!(run(&mut client, "GET count").text().as_deref(), Some("9"));
        assert_eq!(run(&mut client, "SCARD set").int(), Some(4));
        assert_eq!(run(&mut client, "ZSCORE zset m").text().as_deref(), Some("6"));
        assert_eq!(run(&mut client, "LRANGE list 0 -1").items().len(), 3);
        assert_eq!(run(&mut client, "GET renamed").text().as_deref(), Some("there"));
        assert_eq!(run(&mut client, "EXISTS gone").int(), Some(0));
        assert!(run(&mut client, "TTL greeting").int().unwrap() > 900);
        let role = run(&mut client, "ROLE").items();
        assert_eq!(role[0].text().as_deref(), Some("master"));
    }
    run(&mut a, "FLUSHALL");
    equal(&pair.a, &pair.b);
    assert_eq!(run(&mut b, "DBSIZE").int(), Some(0));
}

#[test]
fn what_only_one_may_do_is_refused_and_a_client_that_moves_reads_its_writes() {
    let pair = start(&options());
    let mut client = pair.a.client();
    for line in ["SETNX lock me", "SET lock me NX", "HSETNX h f v", "RENAMENX x y"] {
        let told = client.command(&line.split(' ').collect::<Vec<_>>()).unwrap();
        assert!(told.error().is_some_and(|text| text.starts_with("PPNX ")), "{line}: {told:?}");
    }
    run(&mut client, "WATCH k");
    run(&mut client, "MULTI");
    run(&mut client, "SET k v");
    let told = client.command(&["EXEC"]).unwrap();
    assert!(told.error().is_some_and(|text| text.starts_with("PPNX ")), "{told:?}");
    for number in 0..200 {
        run(&mut client, &format!("SET moving {number}"));
        let vector = run(&mut client, "TANDEM PP VECTOR").items();
        let (a, b) = (vector[0].int().unwrap(), vector[1].int().unwrap());
        let mut other = pair.b.client();
        assert!(run(&mut other, &format!("TANDEM PP WAITVECTOR {a} {b} 5000")).is_ok());
        assert_eq!(run(&mut other, "GET moving").text(), Some(number.to_string()));
    }
    let told = client.command(&["TANDEM", "PP", "WAITVECTOR", "0", "999999", "50"]).unwrap();
    assert!(told.error().is_some_and(|text| text.starts_with("TIMEOUT ")), "{told:?}");
    assert_eq!(run(&mut client, "WAIT 1 5000").int(), Some(1));
}

#[test]
fn stock_is_97_on_both_although_each_sold_while_the_other_was_down() {
    let mut pair = start(&options());
    run(&mut pair.a.client(), "SET stock 100");
    equal(&pair.a, &pair.b);
    // Each sells alone and is killed after its reply; then both come back.
    pair.b.kill();
    serves_alone(&pair.a);
    assert_eq!(run(&mut pair.a.client(), "DECRBY stock 1").int(), Some(99));
    pair.a.kill();
    pair.b.start();
    serves_alone(&pair.b);
    assert_eq!(run(&mut pair.b.client(), "DECRBY stock 2").int(), Some(98));
    pair.b.kill();
    pair.a.start();
    pair.b.start();
    in_sync(&pair.a, &pair.b);
    both_have(&pair.a, &pair.b, "stock", "97");
    // Two sets of the same stock, and then sales: the later set and both sales.
    pair.b.kill();
    serves_alone(&pair.a);
    for line in ["SET more 100", "DECRBY more 1", "DEL stock"] {
        run(&mut pair.a.client(), line);
    }
    pair.a.kill();
    pair.b.start();
    serves_alone(&pair.b);
    for line in ["SET more 100", "DECRBY more 2", "DECRBY stock 2"] {
        run(&mut pair.b.client(), line);
    }
    pair.a.start();
    in_sync(&pair.a, &pair.b);
    both_have(&pair.a, &pair.b, "more", "97");
    assert_eq!(get(&pair.a, "stock"), "-2", "only the sale that the deletion did not see");
}

#[test]
fn a_replaced_machine_copies_everything_and_goes_on() {
    let mut pair = start(&options());
    let mut client = pair.a.client();
    for number in 0..3_000 {
        client.send(&["SET", &format!("k{number}"), "some value that takes a few bytes"]).unwrap();
    }
    for _ in 0..3_000 {
        client.reply().unwrap();
    }
    for line in
        ["SET stock 100", "ZADD z 1.5 m", "ZINCRBY z 0.1 m", "RPUSH l 1 2", "SET t v EX 900"]
    {
        run(&mut client, line);
    }
    run(&mut pair.b.client(), "ZINCRBY z 0.2 m");
    run(&mut pair.b.client(), "DECRBY stock 1");
    equal(&pair.a, &pair.b);
    // A sale that B acknowledged after A had it survives B's machine.
    run(&mut pair.b.client(), "DECRBY stock 1");
    pair.b.kill();
    empty(&pair.b);
    serves_alone(&pair.a);
    run(&mut client, "DECRBY stock 1");
    pair.b.start();
    // Both write while the copy is on its way.
    for _ in 0..200 {
        run(&mut client, "INCR during");
    }
    in_sync(&pair.a, &pair.b);
    both_have(&pair.a, &pair.b, "stock", "97");
    assert_eq!(get(&pair.b, "during"), "200");
    run(&mut pair.b.client(), "DECRBY stock 7");
    run(&mut pair.b.client(), "ZINCRBY z 0.3 m");
    both_have(&pair.a, &pair.b, "stock", "90");
    // And the other one, too.
    pair.a.kill();
    empty(&pair.a);
    pair.a.start();
    in_sync(&pair.a, &pair.b);
    run(&mut pair.a.client(), "DECRBY stock 1");
    both_have(&pair.a, &pair.b, "stock", "89");
    assert_eq!(
        run(&mut pair.a.client(), "DBSIZE").int(),
        run(&mut pair.b.client(), "DBSIZE").int()
    );
}

#[test]
fn an_empty_node_serves_nobody_before_it_has_met_its_peer() {
    let mut pair = Pair::prepare(&options());
    pair.a.start();
    let told = pair.a.client().command(&["SET", "k", "v"]).unwrap();
    assert!(told.error().is_some_and(|text| text.starts_with("NOTPRIMARY ")), "{told:?}");
    let said = pair.a.verb(&["promote"]);
    assert_eq!(said.code, 1, "{said:?}");
    let said = pair.a.verb(&["promote", "--force"]);
    assert_eq!(said.code, 0, "{said:?}");
    pair.a.wait_role("primary");
    run(&mut pair.a.client(), "SET k v");
    pair.b.start();
    in_sync(&pair.a, &pair.b);
    both_have(&pair.a, &pair.b, "k", "v");
    // The role travels with the next heartbeat.
    pair.a.wait_status("has heard that its peer serves", |status| {
        status.text("peer.role") == "primary"
    });
    let said = pair.a.verb(&["status"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(said.out.matches("PRIMARY").count(), 2, "{said:?}");
}

#[test]
fn a_disk_that_went_back_in_time_is_not_trusted() {
    let mut pair = start(&options());
    run(&mut pair.b.client(), "SET k 1");
    equal(&pair.a, &pair.b);
    pair.b.terminate();
    let old = pair.folder().unwrap().join("old");
    let copy = std::process::Command::new("cp").arg("-a").arg(pair.b.data()).arg(&old).status();
    assert!(copy.unwrap().success());
    pair.b.start();
    in_sync(&pair.a, &pair.b);
    run(&mut pair.b.client(), "SET k 2");
    equal(&pair.a, &pair.b);
    pair.b.terminate();
    empty(&pair.b);
    fs::rename(&old, pair.b.data()).unwrap();
    pair.b.start();
    in_sync(&pair.a, &pair.b);
    both_have(&pair.a, &pair.b, "k", "2");
    assert!(pair.b.log().contains("it went back to an older copy"), "{}", pair.b.log());
}

#[test]
fn processes_that_die_at_any_time_lose_nothing_and_repeat_nothing() {
    let pair = start(&options());
    let mut rng = Rng::new(0x16);
    let mut sold = 0;
    for round in 0..6 {
        let (victim, other) =
            if rng.below(2) == 0 { (&pair.a, &pair.b) } else { (&pair.b, &pair.a) };
        for node in [victim, other] {
            let mut client = node.client();
            for _ in 0..50 {
                run(&mut client, "INCR sold");
                run(&mut client, &format!("SADD members {}{round}{sold}", node.name()));
                sold += 1;
            }
        }
        kill_node_process(victim);
        let mut client = other.client();
        client.set_reply_timeout(Duration::from_secs(10)).unwrap();
        for _ in 0..50 {
            run(&mut client, "INCR sold");
            sold += 1;
        }
        in_sync(&pair.a, &pair.b);
    }
    both_have(&pair.a, &pair.b, "sold", &sold.to_string());
    assert_eq!(run(&mut pair.a.client(), "SCARD members").int(), Some(600));
}

#[test]
fn a_line_that_comes_and_goes_costs_nothing() {
    let Some(pair) = Machines::start("a_line_that_comes_and_goes_costs_nothing") else { return };
    let (mut a, mut b) = (pair.a.client(), pair.b.client());
    run(&mut a, "SET stock 100");
    equal(&pair.a, &pair.b);
    pair.net.cut_pair();
    assert_eq!(run(&mut a, "DECRBY stock 1").int(), Some(99));
    assert_eq!(run(&mut b, "DECRBY stock 2").int(), Some(98));
    for number in 0..2_000 {
        run(&mut a, &format!("SET same {number}"));
        run(&mut b, &format!("SADD members {}", number % 10));
    }
    for (on_a, on_b) in [
        ("SET both a", "SET both b"),
        ("RPUSH list a1 a2", "RPUSH list b1"),
        ("APPEND text A", "APPEND text B"),
        ("FLUSHDB", "SET after 1"),
    ] {
        run(&mut a, on_a);
        run(&mut b, on_b);
    }
    run(&mut a, "DECRBY stock 3");
    pair.net.mend_pair();
    in_sync(&pair.a, &pair.b);
    equal(&pair.a, &pair.b);
    // The flush saw the first sale here and the stock; what B did meanwhile, and the last sale, stay.
    both_have(&pair.a, &pair.b, "stock", "-5");
    both_have(&pair.a, &pair.b, "after", "1");
    both_have(&pair.a, &pair.b, "both", "b");
    assert_eq!(run(&mut a, "SCARD members").int(), Some(10));
    let mut sum = 0;
    for round in 0..3 {
        pair.net.cut_pair();
        for step in 1..=100 {
            run(&mut a, &format!("INCRBY exact {step}"));
            run(&mut b, &format!("DECRBY exact {round}"));
            sum += step - round;
        }
        pair.net.mend_pair();
        in_sync(&pair.a, &pair.b);
    }
    both_have(&pair.a, &pair.b, "exact", &sum.to_string());
}
