//! Policies of two writers: replicated, looked up before a command runs.

use tandem_types::NodeId;

use crate::harness::Primary;
use crate::writers::{cut, heal, pair};

const SIDES: [NodeId; 2] = [NodeId::A, NodeId::B];

#[test]
fn a_policy_is_known_to_both_and_after_a_crash() {
    let mut pair = pair();
    assert_eq!(pair.a.run("pp.policy set user: lww"), "+OK|");
    pair.a.run_all(&["pp.policy set user:id seq", "pp.policy set lock: owner=b"]);
    heal(&mut pair, false);
    pair.a.crash();
    pair.b.crash();
    for side in SIDES {
        let writer = &mut pair[side];
        assert_eq!(writer.run("pp.policy get user:7"), "$3|lww|");
        assert_eq!(writer.run("pp.policy get user:id"), "$18|seq:available,1000|");
        assert_eq!(writer.run("pp.policy get lock:x"), "$7|owner=b|");
        assert_eq!(writer.run("pp.policy get other"), "$5|merge|");
        assert_eq!(
            writer.run("pp.policy list"),
            "*6|$5|lock:|$7|owner=b|$5|user:|$3|lww|$7|user:id|$18|seq:available,1000|"
        );
    }
}

#[test]
fn the_last_word_on_a_prefix_counts_on_both() {
    let mut pair = pair();
    pair.a.run_all(&["pp.policy set p: lww"]);
    pair.b.run_all(&["pp.policy set p: refuse"]);
    heal(&mut pair, true);
    assert_eq!(pair.a.run("pp.policy get p:1"), "$3|lww|", "equal stamps: side A's word");
    assert_eq!(pair.b.run("pp.policy get p:1"), "$3|lww|");
    pair.b.run_all(&["pp.policy set p: refuse"]);
    heal(&mut pair, true);
    assert_eq!(pair.a.run("pp.policy get p:1"), "$6|refuse|");
    assert_eq!(pair.a.run("pp.policy del p:"), ":1|");
    assert_eq!(pair.a.run("pp.policy del p:"), ":0|");
    heal(&mut pair, true);
    assert_eq!(pair.b.run("pp.policy get p:1"), "$5|merge|");
}

#[test]
fn refusals_say_why_and_what_to_do() {
    let mut pair = pair();
    let nx = "is not exclusive across two primaries; give the prefix an owner or policy lww|";
    assert_eq!(pair.a.run("setnx k v"), format!("-PPNX SETNX {nx}"));
    assert_eq!(pair.a.run("set k v nx"), format!("-PPNX SET {nx}"));
    assert_eq!(pair.a.run("set k v xx get"), format!("-PPNX SET {nx}"));
    pair.a.run_all(&["set k nx", "set k v ex 100"]);
    pair.a.run_all(&[
        "pp.policy set lock: owner=b",
        "pp.policy set old: refuse",
        "pp.policy set stock: bounded",
        "pp.policy set id: seq",
        "pp.policy set cache: lww",
    ]);
    heal(&mut pair, false);
    assert_eq!(pair.a.run("set lock:1 me nx"), "-PPOWNER 10.0.0.2:6379|");
    assert_eq!(pair.b.run("set lock:1 me nx"), "+OK|");
    assert_eq!(pair.b.run("set lock:1 me nx"), "$-1|", "its owner decides");
    assert_eq!(pair.a.run("get lock:1"), "$-1|", "reads are free");
    assert_eq!(pair.b.run("set cache:1 v nx"), "+OK|");
    assert!(pair.a.run("set old:1 v").starts_with("-PPREFUSED "));
    assert!(pair.a.run("set stock:1 5").starts_with("-PPBOUNDED "));
    assert!(pair.a.run("del stock:1").starts_with("-PPBOUNDED "));
    assert!(pair.a.run("set id:1 5").starts_with("-PPSEQ "));
    assert!(pair.a.run("decr id:1").starts_with("-PPSEQ "));
    assert!(pair.a.run("rename k id:1").starts_with("-PPSEQ "));
    assert!(pair.a.run("bc.create id:1 5").starts_with("-PPSEQ "));
    assert!(pair.a.run("pp.policy set x nonsense").starts_with("-ERR no such policy: say merge,"));
    cut(&mut pair);
    assert!(pair.a.run("pp.policy set x lww").starts_with("-PPLINK "), "both or none");
    let mut alone = Primary::new();
    alone.run_all(&["setnx k v"]);
    assert!(alone.run("pp.policy list").starts_with("-PPUNSUPPORTED "));
    assert!(alone.run("bc.create k 1").starts_with("-PPUNSUPPORTED "));
    assert!(alone.run("seq.next k").starts_with("-PPUNSUPPORTED "));
}

#[test]
fn a_watch_needs_an_owner_or_a_policy() {
    let mut pair = pair();
    pair.a.run_all(&["pp.policy set lock: owner=a", "pp.policy set c: lww"]);
    heal(&mut pair, false);
    let db = tandem_types::DbIndex::ZERO;
    let why = |key: &str| pair.a.store.refuses_watch([(db, key.as_bytes())]);
    assert!(why("k").unwrap().starts_with("PPNX EXEC after WATCH is not exclusive"));
    assert_eq!(why("lock:1"), None);
    assert_eq!(why("c:1"), None);
    assert!(pair.b.store.refuses_watch([(db, b"lock:1".as_slice())]).is_some());
}
