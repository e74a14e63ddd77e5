//! Set commands answer as Redis does.

use tandem_resp::Proto;

use crate::harness::Primary;

#[test]
fn members_go_in_and_out() {
    let mut p = Primary::new();
    p.check(&[
        ("SADD s 1 2 3 2", ":3|"),
        ("SADD s 3", ":0|"),
        ("SISMEMBER s 2", ":1|"),
        ("SMISMEMBER s 2 9", "*2|:1|:0|"),
        ("SMEMBERS s", "*3|$1|1|$1|2|$1|3|"),
        ("SREM s 2 9", ":1|"),
        ("SCARD s", ":2|"),
        ("SMOVE s t 1", ":1|"),
        ("SMOVE s t 9", ":0|"),
        ("SMOVE s s 3", ":1|"),
        ("SPOP s", "$1|3|"),
        ("EXISTS s", ":0|"),
        ("SPOP s", "$-1|"),
        ("SPOP s 1", "*0|"),
        ("SPOP t -1", "-ERR value is out of range, must be positive|"),
        ("SRANDMEMBER t -3", "*3|$1|1|$1|1|$1|1|"),
        ("SRANDMEMBER t 3", "*1|$1|1|"),
        ("SSCAN t 0", "*2|$1|0|*1|$1|1|"),
    ]);
    p.proto = Proto::Resp3;
    p.check(&[("SMEMBERS t", "~1|$1|1|"), ("SPOP t 5", "~1|$1|1|"), ("SMEMBERS t", "~0|")]);
}

#[test]
fn sets_are_joined_and_compared() {
    let mut p = Primary::new();
    p.check(&[
        ("SADD a 1 2 3 4", ":4|"),
        ("SADD b 3 4 5", ":3|"),
        ("SINTER a b", "*2|$1|3|$1|4|"),
        ("SINTER a b none", "*0|"),
        ("SUNION a b", "*5|$1|1|$1|2|$1|3|$1|4|$1|5|"),
        ("SDIFF a b none", "*2|$1|1|$1|2|"),
        ("SINTERCARD 2 a b", ":2|"),
        ("SINTERCARD 2 a b LIMIT 1", ":1|"),
        ("SINTERCARD 3 a b", "-ERR Number of keys can't be greater than number of args|"),
        ("SINTERSTORE d a b", ":2|"),
        ("SDIFFSTORE a a b", ":2|"),
        ("SMEMBERS a", "*2|$1|1|$1|2|"),
        ("SUNIONSTORE d none", ":0|"),
        ("EXISTS d", ":0|"),
        ("SET x v", "+OK|"),
        ("SINTER none x", "-WRONGTYPE Operation against a key holding the wrong kind of value|"),
        ("SUNIONSTORE x a", ":2|"),
        ("TYPE x", "+set|"),
    ]);
}

#[test]
fn a_random_member_is_any_member() {
    for size in [3, 100, 600] {
        let mut p = Primary::new();
        for i in 0..size {
            p.run(&format!("SADD s m{i}"));
        }
        let mut drawn: Vec<String> = (0..size * 20).map(|_| p.run("SRANDMEMBER s")).collect();
        drawn.sort_unstable();
        drawn.dedup();
        assert_eq!(drawn.len(), size, "each of {size} members in {} draws", size * 20);
        let popped = p.run("SPOP s 2");
        assert!(popped.starts_with("*2|"));
        assert_eq!(p.run("SCARD s"), format!(":{}|", size - 2));
    }
}
