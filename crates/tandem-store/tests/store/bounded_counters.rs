//! Bounded counters of two writers: never oversold, whatever happens to link and processes.

use tandem_types::{NodeId, Pair, WallMillis};

use crate::writers::{Rng, Writer, cut, heal, pair};

const SIDES: [NodeId; 2] = [NodeId::A, NodeId::B];

fn stock(value: u32) -> Pair<Writer> {
    let mut pair = pair();
    pair.a.run_all(&["pp.policy set stock: bounded", &format!("bc.create stock:1 {value}")]);
    heal(&mut pair, false);
    pair
}

fn pass(pair: &mut Pair<Writer>, millis: u64) {
    for side in SIDES {
        pair[side].now = WallMillis::new(pair[side].now.get() + millis);
    }
}

#[test]
fn each_side_of_a_cut_sells_its_half() {
    for compacted in [false, true] {
        let mut pair = stock(100);
        cut(&mut pair);
        for side in SIDES {
            let replies: Vec<String> = (0..150).map(|_| pair[side].run("decr stock:1")).collect();
            let sold = replies.iter().filter(|reply| reply.starts_with(':')).count();
            assert_eq!(sold, 50);
            assert_eq!(replies[0], ":99|", "as far as this side knows");
            assert_eq!(replies[50], "-NORIGHTS have=0 elsewhere=50 link=down|");
            pair[side].crash();
            assert!(pair[side].run("decr stock:1").starts_with("-NORIGHTS"), "after a crash too");
        }
        heal(&mut pair, compacted);
        for side in SIDES {
            assert_eq!(pair[side].run("get stock:1"), "$1|0|");
            assert!(pair[side].run("decr stock:1").starts_with("-NORIGHTS have=0 elsewhere=0"));
        }
    }
}

#[test]
fn what_it_comes_to_stands_under_its_key_whatever_is_done_to_that() {
    let mut pair = stock(10);
    pair.b.run_all(&["decrby stock:1 3", "flushall"]);
    assert_eq!(pair.b.run("get stock:1"), "$1|7|", "it outlives a flush");
    assert_eq!(pair.b.run("type stock:1"), "+string|");
    heal(&mut pair, false);
    for side in SIDES {
        assert_eq!(pair[side].run("mget stock:1"), "*1|$1|7|");
        pair[side].crash();
        assert_eq!(pair[side].run("get stock:1"), "$1|7|");
    }
    heal(&mut pair, false);
    pair.a.run_all(&["pp.policy del stock:"]);
    assert!(pair.a.run("set stock:1 5").starts_with("-PPBOUNDED"), "a counter stays one");
}

#[test]
fn rights_are_moved_drained_and_reset() {
    let mut pair = stock(10);
    assert_eq!(
        pair.a.run("bc.get stock:1"),
        "*12|$5|value|:10|$3|min|:0|$6|rights|:5|$11|peer_rights|:5|$9|in_flight|:0|$4|link|$2|up|"
    );
    assert!(pair.a.run("bc.transfer stock:1 2 a").starts_with("-ERR rights cannot be transferred"));
    assert!(pair.a.run("bc.transfer stock:1 6").starts_with("-NORIGHTS have=5 elsewhere=5"));
    assert_eq!(pair.a.run("bc.transfer stock:1 2 b"), ":3|");
    assert!(pair.a.run("bc.get stock:1").contains("in_flight|:2|"));
    assert!(pair.b.run("decrby stock:1 6").starts_with("-NORIGHTS"), "they have not come");
    heal(&mut pair, false);
    assert!(pair.a.run("bc.get stock:1").contains("in_flight|:0|"));
    assert_eq!(pair.b.run("decrby stock:1 6"), ":4|");
    heal(&mut pair, false);
    assert!(pair.b.run("bc.reset stock:1 20").starts_with("-PPBOUNDED elsewhere=3"));
    assert_eq!(pair.a.run("bc.drain"), ":1|");
    assert_eq!(pair.a.run("bc.drain"), ":0|");
    heal(&mut pair, false);
    assert_eq!(pair.b.run("bc.reset stock:1 20 min 4 split 25"), "+OK|");
    heal(&mut pair, false);
    assert!(pair.a.run("bc.get stock:1").contains("value|:20|$3|min|:4|$6|rights|:4|"));
    assert!(pair.a.run("bc.create stock:1 3").starts_with("-ERR the counter exists"));
    cut(&mut pair);
    assert!(pair.a.run("bc.transfer stock:1 1").starts_with("-PPLINK"));
}

#[test]
fn a_counter_that_nobody_created_begins_by_what_is_added() {
    let mut pair = pair();
    pair.a.run_all(&["pp.policy set stock: bounded"]);
    heal(&mut pair, false);
    cut(&mut pair);
    assert_eq!(pair.a.run("incrby stock:1 7"), ":7|");
    assert_eq!(pair.b.run("incrby stock:1 5"), ":5|");
    assert_eq!(pair.b.run("bc.decrby stock:1 5"), ":0|");
    assert!(pair.b.run("decr stock:2").starts_with("-NORIGHTS have=0 elsewhere=0 link=down"));
    heal(&mut pair, true);
    for side in SIDES {
        assert_eq!(pair[side].run("get stock:1"), "$1|7|");
    }
}

#[test]
fn a_plain_value_from_before_is_not_taken_for_a_stock() {
    let mut pair = pair();
    pair.a.run_all(&["set stock:1 5", "pp.policy set stock: bounded"]);
    heal(&mut pair, false);
    assert!(pair.b.run("decr stock:1").starts_with("-PPBOUNDED the key holds a plain value"));
    assert_eq!(pair.b.run("bc.create stock:1 8 split 100"), "+OK|");
    heal(&mut pair, false);
    assert_eq!(pair.a.run("decrby stock:1 8"), ":0|");
}

#[test]
fn with_the_link_up_the_last_unit_is_sold_anywhere() {
    let mut pair = stock(100);
    let mut sold = 0;
    for side in SIDES {
        pair[side].may_block = true;
    }
    for turn in 0..150 {
        for side in SIDES {
            let mut waited = 0;
            loop {
                let reply = pair[side].run("bc.decrby stock:1 1 wait 1000");
                if reply.starts_with(':') {
                    sold += 1;
                    break;
                }
                assert_eq!(reply, "BLOCK", "turn {turn}");
                waited += 1;
                if waited > 5 {
                    break;
                }
                heal(&mut pair, false);
                pass(&mut pair, 110);
            }
        }
    }
    assert_eq!(sold, 100);
    heal(&mut pair, false);
    assert_eq!(pair.a.run("get stock:1"), "$1|0|");
}

#[test]
fn random_sales_with_cuts_crashes_and_transfers_never_oversell() {
    let mut total_sold = 0;
    for seed in 0..300 {
        let mut rng = Rng(seed);
        let size = u32::try_from(rng.below(60)).unwrap();
        let mut pair = stock(size);
        let (mut sold, mut restocked, mut up) = (0, 0, true);
        for _ in 0..80 {
            let side = SIDES[rng.below(2)];
            match rng.below(12) {
                0..6 => {
                    let count = 1 + rng.below(4);
                    let reply = pair[side].run(&format!("decrby stock:1 {count}"));
                    sold += if reply.starts_with(':') { count } else { 0 };
                }
                6 => {
                    let count = rng.below(4);
                    pair[side].run_all(&[&format!("incrby stock:1 {count}")]);
                    restocked += count;
                }
                7 => drop(pair[side].run(&format!("bc.transfer stock:1 {}", rng.below(5)))),
                8 => {
                    up = !up;
                    if !up {
                        cut(&mut pair);
                    }
                }
                9 => {
                    pair[side].crash();
                    pair[side].store.set_link(up);
                }
                10 => drop(pair[side].run("bc.drain")),
                _ => pass(&mut pair, 60),
            }
            let there = usize::try_from(size).unwrap() + restocked;
            assert!(sold <= there, "seed {seed}: {sold} of {there} sold");
            if up && rng.below(3) == 0 {
                heal(&mut pair, rng.below(2) == 0);
            }
        }
        heal(&mut pair, true);
        let left = usize::try_from(size).unwrap() + restocked - sold;
        for side in SIDES {
            let left = left.to_string();
            assert_eq!(
                pair[side].run("get stock:1"),
                format!("${}|{left}|", left.len()),
                "seed {seed}"
            );
        }
        total_sold += sold;
    }
    assert!(total_sold > 5_000, "{total_sold}");
}
