//! What merging decided against is kept, shown, and can be decided otherwise.

use tandem_types::{NodeId, Pair};

use crate::writers::{Writer, cut, heal, pair};

const SIDES: [NodeId; 2] = [NodeId::A, NodeId::B];

/// Runs `both`, then `a` and `b` apart, and heals.
fn apart(both: &[&str], a: &[&str], b: &[&str]) -> Pair<Writer> {
    let mut pair = pair();
    pair.a.run_all(both);
    heal(&mut pair, false);
    cut(&mut pair);
    pair.a.run_all(a);
    pair.b.run_all(b);
    heal(&mut pair, false);
    pair
}

/// The id of the only conflict.
fn only_id(writer: &mut Writer) -> String {
    let conflicts = writer.store.conflicts();
    assert_eq!(conflicts.len(), 1, "{conflicts:?}");
    conflicts[0].id.to_string()
}

#[test]
fn an_entry_says_who_and_what() {
    let mut pair = apart(&[], &["set k mine"], &["set k yours"]);
    for side in SIDES {
        let id = only_id(&mut pair[side]);
        let shown = pair[side].run("pp.conflicts");
        assert!(shown.starts_with(&format!("*1|*22|$2|id|${}|{id}|", id.len())), "{shown}");
        for part in [
            "$4|kind|$3|lww|$2|db|:0|$3|key|$1|k|$4|item|$6|string|$4|part|$-1|",
            "$6|winner|*8|$4|node|$1|a|",
            "$5|value|$4|mine|$5|loser|*8|$4|node|$1|b|",
            "$5|value|$5|yours|$4|rule|",
            "$8|resolved|$2|no|",
        ] {
            assert!(shown.contains(part), "{part} in {shown}");
        }
        pair[side].crash();
        assert_eq!(pair[side].run("pp.conflicts"), shown, "after a restart too");
        assert_eq!(pair[side].run("pp.conflicts kind type"), "*0|");
        assert_eq!(pair[side].run("pp.conflicts kind lww key k* count 5"), shown);
        assert_eq!(pair[side].run("pp.conflicts key x*"), "*0|");
        assert_eq!(pair[side].run(&format!("pp.conflicts since {id}")), "*0|");
        assert!(pair[side].run("pp.conflicts kind what").starts_with("-ERR no such kind"));
    }
}

#[test]
fn a_snapshot_carries_it_over() {
    let mut pair = apart(&[], &["set k mine"], &["set k yours"]);
    let (shown, bytes) = (pair.a.run("pp.conflicts"), pair.a.store.conflict_bytes());
    pair.b.store.load_conflicts(&bytes).unwrap();
    assert_eq!(pair.b.run("pp.conflicts"), shown);
    assert!(pair.b.store.load_conflicts(&bytes[..bytes.len() - 1]).is_err());
}

/// What both have, what each does, how a person decides, what is read then, what it says.
type Case<'c> = (&'c [&'c str], &'c [&'c str], &'c [&'c str], &'c str, &'c str, &'c str);

#[test]
fn the_loser_or_another_value_can_take_the_place() {
    let cases: &[Case<'_>] = &[
        (&[], &["set k mine"], &["set k yours"], "use loser", "get k", "$5|yours|"),
        (&[], &["set k mine"], &["set k yours"], "value ours", "get k", "$4|ours|"),
        (&["set k v"], &["del k"], &["set k w"], "use loser", "get k", "$-1|"),
        (&["hset h f 1"], &["hset h f 2"], &["hset h f 3"], "use loser", "hget h f", "$1|3|"),
        (&["hset h f 1 g 1"], &["hset h f 2"], &["hdel h f"], "use loser", "hget h f", "$-1|"),
        (&["sadd s x y"], &["sadd s x"], &["srem s x"], "use loser", "smembers s", "*1|$1|y|"),
        (&["zadd z 1 m"], &["zadd z 2 m"], &["zadd z 3 m"], "value 9", "zscore z m", "$1|9|"),
        (&[], &["sadd m x"], &["set m x"], "use loser", "get m", "$1|x|"),
        (&[], &["incr id"], &["incr id"], "value 7", "get id", "$1|7|"),
    ];
    for (both, a, b, decision, read, want) in cases {
        let mut pair = apart(both, a, b);
        let id = only_id(&mut pair.b);
        let reply = pair.b.run(&format!("pp.resolve {id} {decision}"));
        assert_eq!(reply, "+OK|", "{a:?} {b:?} {decision}");
        heal(&mut pair, false);
        for side in SIDES {
            assert_eq!(pair[side].run(read), *want, "{side:?} {a:?} {b:?} {decision}");
            pair[side].crash();
            // Each node keeps what its own merge decided: some conflicts are seen by one only.
            let shown = pair[side].run("pp.conflicts");
            assert!(!shown.contains("$8|resolved|$2|no|"), "{side:?} {a:?} {b:?}: {shown}");
        }
        assert!(pair.b.run("pp.conflicts").contains("$8|resolved|$3|yes|"));
    }
}

#[test]
fn what_nobody_lost_cannot_be_used() {
    let mut pair = apart(&["rpush l 1 2"], &["lpop l"], &["lpop l"]);
    let id = only_id(&mut pair.a);
    assert!(pair.a.run(&format!("pp.resolve {id} use loser")).starts_with("-ERR nobody lost here"));
    assert!(pair.a.run("pp.resolve 9-9 use loser").starts_with("-ERR no such id"));
    assert!(pair.a.run("pp.resolve x value 1").starts_with("-ERR no such id"));
    assert!(pair.a.run(&format!("pp.resolve {id} use winner")).starts_with("-ERR syntax"));
}

/// Apart, with keys of which both may be told that only they have them.
fn apart_with_locks() -> Pair<Writer> {
    let mut pair = pair();
    pair.a.run_all(&["pp.policy set lock: lww"]);
    heal(&mut pair, false);
    cut(&mut pair);
    pair
}

#[test]
fn both_were_told_that_only_they_succeeded() {
    let mut pair = apart_with_locks();
    for side in SIDES {
        assert_eq!(pair[side].run(&format!("set lock:1 {side:?} nx")), "+OK|");
        assert_eq!(pair[side].run("set lock:1 again nx"), "$-1|");
    }
    heal(&mut pair, false);
    for side in SIDES {
        assert!(pair[side].run("pp.conflicts").contains("$4|kind|$2|nx|"));
        assert_eq!(pair[side].run("get lock:1"), "$1|A|");
    }
    // One after the other is no conflict.
    pair.a.run_all(&["set lock:2 v nx"]);
    heal(&mut pair, false);
    assert_eq!(pair.b.run("set lock:2 w nx"), "$-1|");
    assert_eq!(pair.b.store.conflicts().len(), 1);
}

#[test]
fn that_both_succeeded_is_told_although_both_were_restarted_before_they_met_again() {
    let mut pair = apart_with_locks();
    for side in SIDES {
        assert_eq!(pair[side].run(&format!("set lock:1 {side:?} nx")), "+OK|");
        pair[side].crash();
    }
    heal(&mut pair, false);
    for side in SIDES {
        let shown = pair[side].run("pp.conflicts");
        assert!(shown.contains("$4|kind|$2|nx|"), "{side:?}: {shown}");
    }
}

#[test]
fn an_id_by_an_unpoliced_counter_is_reported_once() {
    let mut pair = apart(&["set id 99"], &["incr id", "incr id"], &["incr id", "incr id"]);
    for side in SIDES {
        assert_eq!(pair[side].run("get id"), "$3|103|");
        let shown = pair[side].run("pp.conflicts kind dup-counter");
        assert!(shown.starts_with("*1|") && shown.contains("value|$3|100|"), "{shown}");
    }
}
