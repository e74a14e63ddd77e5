//! Deadlines: reads hide, writes and the cycle remove, followers only do what they are told.

use crate::harness::Primary;

#[test]
fn expire_and_ttl_answer_as_in_redis() {
    let mut p = Primary::new();
    p.check(&[
        ("EXPIRE none 1", ":0|"),
        ("TTL none", ":-2|"),
        ("PERSIST none", ":0|"),
        ("SET k v", "+OK|"),
        ("PERSIST k", ":0|"),
        ("EXPIRE k 100 XX", ":0|"),
        ("EXPIRE k 100 GT", ":0|"),
        ("EXPIRE k 100 NX", ":1|"),
        ("EXPIRE k 50 NX", ":0|"),
        ("EXPIRE k 50 GT", ":0|"),
        ("EXPIRE k 200 LT", ":0|"),
        ("EXPIRE k 200 GT", ":1|"),
        ("EXPIRE k 50 LT", ":1|"),
        ("EXPIRE k 60 XX", ":1|"),
        ("TTL k", ":60|"),
        ("PEXPIRE k 1499", ":1|"),
        ("TTL k", ":1|"),
        ("PEXPIRE k 1500", ":1|"),
        ("TTL k", ":2|"),
        ("PERSIST k", ":1|"),
        ("EXPIRE k 1 LT", ":1|"),
        ("EXPIREAT k 2000", ":1|"),
        ("PEXPIRETIME k", ":2000000|"),
        ("PEXPIREAT k 2000001", ":1|"),
        ("EXPIRETIME k", ":2000|"),
        ("EXPIRE k a", "-ERR value is not an integer or out of range|"),
        ("EXPIRE k 9223372036854775807", "-ERR invalid expire time in 'expire' command|"),
        ("PEXPIRE k 9223372036854775807", "-ERR invalid expire time in 'pexpire' command|"),
        ("EXPIRE k 1 FOO", "-ERR Unsupported option FOO|"),
        (
            "EXPIRE k 1 NX XX",
            "-ERR NX and XX, GT or LT options at the same time are not compatible|",
        ),
        ("EXPIRE k 1 GT LT", "-ERR GT and LT options at the same time are not compatible|"),
        ("EXPIRE k -1", ":1|"),
        ("EXISTS k", ":0|"),
    ]);
}

#[test]
fn reads_hide_an_expired_key_and_leave_it_there() {
    let mut p = Primary::new();
    p.run_all(&["SET k v PX 100"]);
    p.pass(100);
    assert_eq!(p.run("GET k"), "$1|v|", "the deadline itself still counts");
    p.pass(1);
    p.check(&[("GET k", "$-1|"), ("EXISTS k", ":0|"), ("TTL k", ":-2|"), ("DBSIZE", ":1|")]);
    assert_eq!(p.log.len(), 1);
}

#[test]
fn a_write_to_an_expired_key_removes_it_first() {
    let mut p = Primary::new();
    p.run_all(&["SET k 41 PX 100"]);
    p.pass(200);
    p.check(&[("INCR k", ":1|"), ("TTL k", ":-1|"), ("SET x 1 PX 50", "+OK|")]);
    p.pass(60);
    p.check(&[("DEL x", ":0|"), ("DBSIZE", ":1|")]);
    assert_eq!(p.follower().digest_all(), p.store.digest_all());
    assert_eq!(p.store.stats().expired_keys, 2);
}

#[test]
fn the_cycle_removes_what_is_over_and_nothing_else() {
    let mut p = Primary::new();
    for i in 0..1000 {
        p.run(&format!("SET k{i} v PX {}", 100 + i));
    }
    p.run_all(&["PEXPIRE k0 100000", "PERSIST k1", "DEL k2", "SET k2 w", "SET k3 v PX 50"]);
    assert!(!p.expire(usize::MAX));
    assert_eq!(p.run("DBSIZE"), ":1000|");
    p.pass(5_000);
    while p.expire(10) {}
    assert_eq!(p.run("DBSIZE"), ":3|");
    p.check(&[("EXISTS k0 k1 k2", ":3|")]);
    p.pass(100_000);
    p.expire(usize::MAX);
    p.check(&[("EXISTS k0 k1 k2", ":2|")]);
    assert_eq!(p.follower().digest_all(), p.store.digest_all());
}

#[test]
fn a_deadline_that_moves_back_and_forth_is_kept() {
    let mut p = Primary::new();
    p.run_all(&["SET k v EX 10"]);
    for _ in 0..100 {
        p.pass(5_000);
        p.run_all(&["EXPIRE k 10"]);
        p.expire(100);
        assert_eq!(p.run("EXISTS k"), ":1|");
    }
    p.run_all(&["EXPIRE k 1"]);
    p.pass(2_000);
    p.expire(100);
    assert_eq!(p.run("DBSIZE"), ":0|");
}

#[test]
fn locks_taken_and_released_leave_no_pile_of_hints() {
    let mut p = Primary::new();
    for _ in 0..2_000 {
        p.run_all(&["SET lock me NX PX 1000", "DEL lock"]);
        p.pass(7);
        p.expire(1_000);
    }
    p.run_all(&["SET lock me NX PX 1000"]);
    p.pass(60_000);
    let mut looks = 0;
    while p.expire(1) {
        looks += 1;
    }
    assert!(looks < 40, "{looks} hints for one key");
}
