//! Commands on keys of any type answer as Redis does.

use crate::harness::Primary;
use tandem_types::DbIndex;

#[test]
fn keys_are_counted_renamed_copied_moved_and_deleted() {
    let mut p = Primary::new();
    p.check(&[
        ("MSET a 1 b 2 c 3", "+OK|"),
        ("DBSIZE", ":3|"),
        ("EXISTS a a none", ":2|"),
        ("TOUCH a none", ":1|"),
        ("TYPE a", "+string|"),
        ("TYPE none", "+none|"),
        ("DEL a none b", ":2|"),
        ("UNLINK c", ":1|"),
        ("DBSIZE", ":0|"),
        ("RENAME none x", "-ERR no such key|"),
        ("SET a 1 EX 100", "+OK|"),
        ("RENAME a b", "+OK|"),
        ("TTL b", ":100|"),
        ("EXISTS a", ":0|"),
        ("RENAME b b", "+OK|"),
        ("SET c 3", "+OK|"),
        ("RENAMENX b c", ":0|"),
        ("RENAMENX b d", ":1|"),
        ("RENAMENX d d", ":0|"),
        ("COPY d e", ":1|"),
        ("TTL e", ":100|"),
        ("COPY d c", ":0|"),
        ("COPY d c REPLACE", ":1|"),
        ("GET c", "$1|1|"),
        ("COPY d d", "-ERR source and destination objects are the same|"),
        ("COPY none x", ":0|"),
        ("COPY d d DB 3", ":1|"),
        ("COPY d d DB 99", "-ERR DB index is out of range|"),
        ("MOVE d 3", ":0|"),
        ("MOVE c 3", ":1|"),
        ("MOVE none 3", ":0|"),
        ("MOVE e 0", "-ERR source and destination objects are the same|"),
        ("MOVE e 16", "-ERR DB index is out of range|"),
        ("DBSIZE", ":2|"),
    ]);
    p.db = DbIndex::new(3).unwrap();
    p.check(&[("DBSIZE", ":2|"), ("GET c", "$1|1|"), ("TTL c", ":100|")]);
}

#[test]
fn flushing_empties_and_reports_the_garbage() {
    let mut p = Primary::new();
    p.run_all(&["MSET a 1 b 2", "FLUSHDB", "FLUSHDB"]);
    assert_eq!(p.run("DBSIZE"), ":0|");
    assert!(p.store.take_garbage().is_some());
    assert!(p.store.take_garbage().is_none());
    assert_eq!(p.log.len(), 2, "flushing nothing is no record");
    p.run_all(&["SET a 1", "FLUSHALL ASYNC"]);
    assert_eq!(p.run("FLUSHALL FOO"), "-ERR syntax error|");
    assert_eq!(p.store.used_memory(), 0);
    assert!(p.follower().is_empty());
}

#[test]
fn a_random_key_is_any_key() {
    let mut p = Primary::new();
    assert_eq!(p.run("RANDOMKEY"), "$-1|");
    p.run_all(&["MSET aa 1 bb 2 cc 3"]);
    let mut found = std::collections::BTreeSet::new();
    for _ in 0..200 {
        found.insert(p.run("RANDOMKEY"));
    }
    assert_eq!(found.len(), 3, "{found:?}");
    p.run_all(&["DEL aa bb", "PEXPIRE cc 10"]);
    p.pass(11);
    assert_eq!(p.run("RANDOMKEY"), "$-1|");
}
