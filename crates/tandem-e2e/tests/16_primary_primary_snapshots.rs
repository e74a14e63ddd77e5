//! Snapshots of two writers: the log gets shorter, and whatever happens both come back as they were.

#![expect(clippy::unwrap_used, reason = "a test: it may panic")]

use std::collections::BTreeSet;
use std::fs;

use rustix::process::{Pid, Signal, kill_process};
use tandem_e2e::apart::ApartOptions;
use tandem_e2e::client::Client;
use tandem_e2e::node::{Node, START_DEADLINE, tandem};
use tandem_e2e::pair::{Pair, PairOptions};
use tandem_e2e::rng::Rng;
use tandem_e2e::rot;
use tandem_e2e::two_writers::{Machines, in_sync, run, serves_alone, wait_equal};
use tandem_e2e::wait;

const STORAGE: &str = "[storage]\nsegment_size = \"256KiB\"\nsnapshot_after = \"1MiB\"\n";
const FIRST: &str = "00000000000000000000.log";

fn start(retention: &str) -> Pair {
    let mut options = PairOptions::new("primary-primary")
        .replication(&format!("log_retention = \"{retention}\""));
    STORAGE.clone_into(&mut options.more);
    let mut pair = Pair::prepare(&options);
    pair.a.start();
    pair.b.start();
    in_sync(&pair.a, &pair.b);
    pair
}

/// So many values of 4 KiB each, under names of this node.
#[track_caller]
fn fill(node: &Node, name: &str, count: usize) {
    let mut client = node.client();
    let value = "v".repeat(4_096);
    for number in 0..count {
        let key = format!("{}:{name}:{}", node.name(), number % 500);
        client.send(&["SET", &key, &format!("{number}{value}")]).unwrap();
        if number % 64 == 63 {
            (0..64).for_each(|_| assert!(client.reply().unwrap().is_ok()));
        }
    }
    (0..count % 64).for_each(|_| assert!(client.reply().unwrap().is_ok()));
}

fn snapshots(node: &Node) -> usize {
    rot::files(node.data(), ".snap").len()
}

fn first_segment_is_gone(node: &Node) -> bool {
    rot::files(node.data(), ".log").first().is_some_and(|path| !path.ends_with(FIRST))
}

#[track_caller]
fn wait_trimmed(node: &Node) {
    wait::until_true("its log has become shorter", START_DEADLINE, || {
        snapshots(node) > 0 && first_segment_is_gone(node)
    });
}

/// Ends the node's process; its supervisor starts it again.
fn kill_node_process(node: &Node) {
    let pid = Pid::from_raw(i32::try_from(node.pid()).unwrap()).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
}

#[track_caller]
fn number(client: &mut Client, line: &str) -> i64 {
    let told = run(client, line);
    told.int().or_else(|| told.text()?.parse().ok()).unwrap_or_else(|| panic!("{line}: {told:?}"))
}

/// What `BC.GET` says of rights: value, own, the peer's.
fn rights(node: &Node) -> String {
    format!("{:?}", run(&mut node.client(), "BC.GET stock"))
}

#[test]
fn the_log_becomes_shorter_and_everything_is_there_after_a_restart_from_snapshots() {
    let mut pair = start("1MiB");
    let (mut a, mut b) = (pair.a.client(), pair.b.client());
    run(&mut a, "SET id 99");
    run(&mut a, "TANDEM PP POLICY SET id seq");
    run(&mut a, "BC.CREATE stock 100");
    wait_equal(&pair.a, &pair.b);
    let mut ids = BTreeSet::new();
    for (node, client) in [(&pair.a, &mut a), (&pair.b, &mut b)] {
        for line in [
            "INCRBY count 5",
            "BC.DECRBY stock 7",
            "ZINCRBY z 0.1 m",
            "ZINCRBY z 0.7 m",
            "RPUSH list x y",
            "HINCRBY hash f 3",
            "SADD set m",
            "SET ttl v EX 3000",
        ] {
            run(client, line);
        }
        for _ in 0..150 {
            assert!(ids.insert(number(client, "INCR id")), "given twice");
        }
        run(client, &format!("SADD set {}", node.name()));
    }
    for node in [&pair.a, &pair.b] {
        fill(node, "first", 1_500);
    }
    for node in [&pair.a, &pair.b] {
        wait_trimmed(node);
        let said = node.verb(&["status"]);
        assert_eq!(said.code, 0, "{said:?}");
    }
    wait_equal(&pair.a, &pair.b);
    let before = [rights(&pair.a), rights(&pair.b)];
    let size = number(&mut a, "DBSIZE");
    let score = run(&mut a, "ZSCORE z m").text();
    pair.a.kill();
    pair.b.kill();
    for node in [&pair.a, &pair.b] {
        let said = tandem(&["check", "--data-dir", node.data().to_str().unwrap()]);
        assert_eq!(said.code, 0, "{said:?}");
        assert!(said.out.contains("snapshot "), "{said:?}");
    }
    pair.a.start();
    pair.b.start();
    in_sync(&pair.a, &pair.b);
    wait_equal(&pair.a, &pair.b);
    assert_eq!([rights(&pair.a), rights(&pair.b)], before);
    for node in [&pair.a, &pair.b] {
        assert!(node.log().contains("snapshot-"), "it began with a snapshot: {}", node.log());
        let mut client = node.client();
        assert_eq!(number(&mut client, "GET count"), 10);
        assert_eq!(number(&mut client, "DBSIZE"), size);
        assert_eq!(number(&mut client, "HGET hash f"), 6);
        assert_eq!(number(&mut client, "LLEN list"), 4);
        assert_eq!(number(&mut client, "SCARD set"), 3);
        assert_eq!(number(&mut client, "BC.DECRBY stock 1"), 85 - i64::from(node.name() == "b"));
        assert!(number(&mut client, "TTL ttl") > 2_000);
        assert_eq!(run(&mut client, "ZSCORE z m").text(), score);
        for _ in 0..150 {
            assert!(ids.insert(number(&mut client, "INCR id")), "given twice");
        }
        wait_equal(&pair.a, &pair.b);
    }
    // A machine that is replaced gets everything, although the log is gone that it was written in.
    pair.b.kill();
    fs::remove_dir_all(pair.b.data()).unwrap();
    pair.b.start();
    in_sync(&pair.a, &pair.b);
    wait_equal(&pair.a, &pair.b);
    assert_eq!(number(&mut pair.b.client(), "DBSIZE"), size);
    for _ in 0..50 {
        assert!(ids.insert(number(&mut pair.b.client(), "INCR id")), "given twice");
    }
}

#[test]
fn processes_that_die_while_snapshots_are_taken_lose_nothing() {
    let pair = start("4MiB");
    let mut rng = Rng::new(0x5a9);
    let mut sold = 0;
    for round in 0..8 {
        let (victim, other) =
            if rng.below(2) == 0 { (&pair.a, &pair.b) } else { (&pair.b, &pair.a) };
        for node in [victim, other] {
            fill(node, "round", 250);
            let mut client = node.client();
            for _ in 0..20 {
                run(&mut client, "INCR sold");
                run(&mut client, &format!("SADD members {}{round}{sold}", node.name()));
                run(&mut client, &format!("RPUSH list {sold}"));
                sold += 1;
            }
        }
        // Snapshots follow one another: this one dies in the middle of some.
        kill_node_process(victim);
        if round % 3 == 2 {
            kill_node_process(other);
        }
        in_sync(&pair.a, &pair.b);
        let mut client = other.client();
        for _ in 0..20 {
            run(&mut client, "INCR sold");
            sold += 1;
        }
    }
    wait_equal(&pair.a, &pair.b);
    for node in [&pair.a, &pair.b] {
        wait_trimmed(node);
        let mut client = node.client();
        assert_eq!(number(&mut client, "GET sold"), sold);
        assert_eq!(number(&mut client, "SCARD members"), 320);
        assert_eq!(number(&mut client, "LLEN list"), 320);
    }
}

#[test]
fn what_the_peer_lacks_stays_in_the_log_until_it_has_it() {
    let name = "what_the_peer_lacks_stays_in_the_log_until_it_has_it";
    let replication = vec!["log_retention = \"8MiB\"".to_owned()];
    let options = ApartOptions { replication, more: STORAGE.to_owned(), ..ApartOptions::default() };
    let Some(mut pair) = Machines::start_with(name, options) else { return };
    let (mut a, mut b) = (pair.a.client(), pair.b.client());
    run(&mut a, "SET stock 100");
    run(&mut a, "RPUSH list 1 2 3");
    pair.wait_equal();
    pair.cut();
    for (client, sold) in [(&mut a, 1), (&mut b, 2)] {
        for line in [format!("DECRBY stock {sold}"), "LPOP list".into(), "SADD set x".into()] {
            run(client, &line);
        }
    }
    run(&mut b, "SREM set x");
    run(&mut a, "SET both a");
    run(&mut b, "SET both b");
    for node in [&pair.a, &pair.b] {
        fill(node, "apart", 1_500);
        wait::until_true("two snapshots", START_DEADLINE, || snapshots(node) == 2);
        assert!(!first_segment_is_gone(node), "its peer lacks what stands there");
    }
    // Both die, and have only the snapshot and the log to know what the other lacks.
    pair.a.kill();
    pair.b.kill();
    pair.a.start();
    pair.b.start();
    serves_alone(&pair.a);
    serves_alone(&pair.b);
    run(&mut pair.a.client(), "DECRBY stock 3");
    pair.mend();
    for node in [&pair.a, &pair.b] {
        let mut client = node.client();
        assert_eq!(number(&mut client, "GET stock"), 94);
        assert_eq!(number(&mut client, "LLEN list"), 2);
        assert_eq!(number(&mut client, "SCARD set"), 1, "an addition that no removal saw");
        assert_eq!(number(&mut client, "DBSIZE"), 1_004);
        assert!(node.log().contains("snapshot-"), "{}", node.log());
        let told = format!("{:?}", run(&mut client, "TANDEM PP CONFLICTS"));
        assert!(told.contains("double-pop") && told.contains("both"), "{told}");
    }
    // Nothing is lacking any more: what snapshots cover goes.
    for node in [&pair.a, &pair.b] {
        fill(node, "together", 1_500);
    }
    for node in [&pair.a, &pair.b] {
        wait_trimmed(node);
    }
    pair.wait_equal();
}

#[test]
fn a_damaged_snapshot_costs_nothing_and_two_of_them_are_told() {
    let mut pair = start("1MiB");
    for node in [&pair.a, &pair.b] {
        run(&mut node.client(), "INCRBY count 7");
        fill(node, "first", 1_500);
    }
    for node in [&pair.a, &pair.b] {
        wait_trimmed(node);
        wait::until_true("two snapshots", START_DEADLINE, || snapshots(node) == 2);
    }
    wait_equal(&pair.a, &pair.b);
    pair.b.terminate();
    let newest = rot::files(pair.b.data(), ".snap").pop().unwrap();
    damage(&newest);
    pair.b.start();
    in_sync(&pair.a, &pair.b);
    wait_equal(&pair.a, &pair.b);
    assert_eq!(number(&mut pair.b.client(), "GET count"), 14);
    assert!(pair.b.log().contains("a snapshot is damaged"), "{}", pair.b.log());
    // With none left it does not start, rather than lose what only it may have.
    pair.b.terminate();
    for path in rot::files(pair.b.data(), ".snap") {
        damage(&path);
    }
    pair.b.spawn();
    assert_eq!(pair.b.wait_exit(), Some(1), "{}", pair.b.log());
    let log = pair.b.log();
    assert!(log.contains("move this data directory away"), "{log}");
    let aside = pair.folder().unwrap().join("aside");
    fs::rename(pair.b.data(), &aside).unwrap();
    pair.b.start();
    in_sync(&pair.a, &pair.b);
    wait_equal(&pair.a, &pair.b);
    assert_eq!(number(&mut pair.b.client(), "GET count"), 14);
}

fn damage(path: &std::path::Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    fs::write(path, bytes).unwrap();
}
