//! `used_memory` follows every change, and `maxmemory` refuses before anything happens.

use crate::harness::Primary;

#[test]
fn memory_returns_to_zero_when_all_is_deleted() {
    let mut p = Primary::new();
    assert_eq!(p.store.used_memory(), 0);
    p.run_all(&[
        "SET a 1",
        "SET b 2 EX 100",
        "APPEND a xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "SETRANGE c 5000 x",
    ]);
    p.run_all(&["APPEND c y", "INCR b", "PERSIST b", "EXPIRE a 5", "RENAME a d", "COPY d e"]);
    assert!(p.store.used_memory() > 5000);
    p.run_all(&["DEL b c d e"]);
    assert_eq!(p.store.used_memory(), 0);
    assert_eq!(p.store.counts(p.db), tandem_store::DatabaseCounts::default());
}

#[test]
fn beyond_maxmemory_only_what_frees_is_allowed() {
    let mut p = Primary::new();
    p.run_all(&["SET a 1"]);
    p.store.settings_mut().maxmemory_bytes = 1;
    let records = p.log.len();
    let oom = "-OOM command not allowed when used memory > 'maxmemory'.|";
    p.check(&[("SET b 1", oom), ("INCR a", oom), ("APPEND a x", oom), ("GET a", "$1|1|")]);
    assert_eq!(p.log.len(), records);
    p.check(&[("DEL a", ":1|"), ("SET b 1", "+OK|")]);
}
