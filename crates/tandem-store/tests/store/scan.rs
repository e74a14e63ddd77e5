//! `SCAN` returns every key that is there from start to end.

use std::collections::BTreeSet;

use crate::harness::Primary;

/// One `SCAN` call: the next cursor and the keys.
fn scan(p: &mut Primary, cursor: &str, options: &str) -> (String, Vec<String>) {
    let reply = p.run(&format!("SCAN {cursor} {options}"));
    let parts: Vec<&str> = reply.split('|').collect();
    assert_eq!(parts[0], "*2", "{reply}");
    let keys = parts[4..].iter().skip(1).step_by(2).map(|key| (*key).to_owned()).collect();
    (parts[2].to_owned(), keys)
}

fn scan_all(p: &mut Primary, options: &str, mut between: impl FnMut(&mut Primary)) -> Vec<String> {
    let mut all = Vec::new();
    let mut cursor = "0".to_owned();
    loop {
        let (next, keys) = scan(p, &cursor, options);
        all.extend(keys);
        if next == "0" {
            return all;
        }
        cursor = next;
        between(p);
    }
}

#[test]
fn a_full_scan_returns_each_key_once() {
    let mut p = Primary::new();
    assert_eq!(scan(&mut p, "0", ""), ("0".to_owned(), vec![]));
    for i in 0..3000 {
        p.run(&format!("SET key:{i} v"));
    }
    for options in ["", "COUNT 1", "COUNT 100", "COUNT 1000000"] {
        let all = scan_all(&mut p, options, |_| {});
        assert_eq!(all.len(), 3000, "{options}");
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 3000);
    }
}

#[test]
fn keys_that_stay_are_returned_while_others_come_and_go() {
    let mut p = Primary::new();
    for i in 0..1000 {
        p.run(&format!("SET stays:{i} v"));
    }
    let mut round = 0;
    let all = scan_all(&mut p, "COUNT 7", |p| {
        round += 1;
        for i in 0..20 {
            p.run(&format!("SET comes:{round}:{i} v"));
            p.run(&format!("DEL comes:{}:{i}", round - 5));
        }
    });
    let stayed: BTreeSet<_> = all.iter().filter(|key| key.starts_with("stays:")).collect();
    assert_eq!(stayed.len(), 1000);
}

#[test]
fn filters_apply_and_expired_keys_are_hidden() {
    let mut p = Primary::new();
    p.run_all(&["MSET user:1 a user:2 b other c", "PEXPIRE user:2 10"]);
    assert_eq!(scan_all(&mut p, "MATCH user:* COUNT 1000", |_| {}).len(), 2);
    assert_eq!(scan_all(&mut p, "TYPE string", |_| {}).len(), 3);
    assert_eq!(scan_all(&mut p, "TYPE zset", |_| {}).len(), 0);
    p.pass(11);
    assert_eq!(scan_all(&mut p, "MATCH user:*", |_| {}), ["user:1"]);
    p.check(&[
        ("KEYS user:*", "*1|$6|user:1|"),
        ("KEYS none*", "*0|"),
        ("SCAN x", "-ERR invalid cursor|"),
        ("SCAN 0 COUNT 0", "-ERR syntax error|"),
        ("SCAN 0 COUNT x", "-ERR value is not an integer or out of range|"),
        ("SCAN 0 MATCH", "-ERR syntax error|"),
        ("SCAN 0 FOO 1", "-ERR syntax error|"),
    ]);
    assert_eq!(p.run("SCAN 18446744073709551615"), "*2|$1|0|*0|");
}
