//! Watched keys: touched by every change, and by nothing else.

use crate::harness::Primary;
use tandem_types::DbIndex;

fn touched(p: &mut Primary) -> Vec<String> {
    let mut out = Vec::new();
    p.store.drain_touched(&mut out);
    out.into_iter().map(|it| String::from_utf8(it.key.into()).unwrap()).collect()
}

#[test]
fn writes_touch_and_reads_do_not() {
    let mut p = Primary::new();
    p.store.interest_add(DbIndex::ZERO, b"k");
    p.run_all(&["SET other v", "GET k", "EXISTS k", "DEL k", "SETNX other w"]);
    assert!(touched(&mut p).is_empty());
    for line in [
        "SET k 1",
        "INCR k",
        "APPEND k 0",
        "EXPIRE k 100",
        "PERSIST k",
        "RENAME k other",
        "SET k 1",
        "DEL k",
    ] {
        p.run(line);
        assert_eq!(touched(&mut p), ["k"], "{line}");
    }
    p.store.interest_remove(DbIndex::ZERO, b"k");
    p.run("SET k 1");
    assert!(touched(&mut p).is_empty());
}

#[test]
fn a_flush_touches_only_keys_that_were_there() {
    let mut p = Primary::new();
    p.store.interest_add(DbIndex::ZERO, b"here");
    p.store.interest_add(DbIndex::ZERO, b"gone");
    p.run("SET here 1");
    touched(&mut p);
    p.run("FLUSHDB");
    assert_eq!(touched(&mut p), ["here"]);
}

#[test]
fn an_expiry_touches_and_can_be_told_from_a_key_that_was_over_before() {
    let mut p = Primary::new();
    p.run_all(&["SET k 1 PX 10"]);
    p.store.interest_add(DbIndex::ZERO, b"k");
    assert!(!p.store.is_expired(DbIndex::ZERO, b"k", p.now));
    p.pass(1000);
    assert!(p.store.is_expired(DbIndex::ZERO, b"k", p.now));
    p.expire(100);
    assert_eq!(touched(&mut p), ["k"]);
    assert!(!p.store.is_expired(DbIndex::ZERO, b"k", p.now));
}
