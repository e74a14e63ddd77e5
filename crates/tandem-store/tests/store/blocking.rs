//! Commands that wait say for what, and do nothing until it is there.

use crate::harness::Primary;

#[test]
fn an_empty_list_is_waited_for() {
    let mut p = Primary::new();
    let reply = p.run("BLPOP a b 1.5");
    assert!(reply.starts_with("BLOCK") && reply.contains("timeout_ms: Some(1500)"), "{reply}");
    assert!(p.run("BRPOP a 0").contains("timeout_ms: None"));
    for line in ["BLMOVE a b LEFT LEFT 1", "BRPOPLPUSH a b 1", "BLMPOP 1 1 a LEFT"] {
        assert!(p.run(line).starts_with("BLOCK"), "{line}");
    }
    for line in ["BZPOPMIN a 1", "BZPOPMAX a 1", "BZMPOP 1 2 a b MIN"] {
        assert!(p.run(line).starts_with("BLOCK"), "{line}");
    }
    p.check(&[
        ("BLPOP a x", "-ERR timeout is not a float or out of range|"),
        ("BLPOP a -1", "-ERR timeout is negative|"),
        ("BLPOP a 1e300", "-ERR timeout is out of range|"),
    ]);
}

#[test]
fn what_is_there_is_taken_at_once() {
    let mut p = Primary::new();
    p.check(&[
        ("RPUSH b 1 2 3 4", ":4|"),
        ("BLPOP a b 0", "*2|$1|b|$1|1|"),
        ("BRPOP a b 0", "*2|$1|b|$1|4|"),
        ("BLMOVE b c LEFT RIGHT 0", "$1|2|"),
        ("BLMPOP 0 2 a b LEFT COUNT 2", "*2|$1|b|*1|$1|3|"),
        ("ZADD z 1 m 2 n", ":2|"),
        ("BZPOPMIN a z 0", "*3|$1|z|$1|m|$1|1|"),
        ("BZMPOP 0 1 z MAX", "*2|$1|z|*1|*2|$1|n|$1|2|"),
    ]);
}

#[test]
fn a_woken_command_goes_on_waiting_for_the_right_type() {
    const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value|";
    let mut p = Primary::new();
    p.run_all(&["SET a string", "RPUSH l x"]);
    p.check(&[("BLPOP a 0", WRONG_TYPE), ("BZPOPMIN a 0", WRONG_TYPE)]);
    p.woken = true;
    for line in ["BLPOP a 0", "BZPOPMIN a 0", "BLMOVE a l LEFT LEFT 0"] {
        assert!(p.run(line).starts_with("BLOCK"), "{line}");
    }
    // A destination of another type is an error all the same.
    p.check(&[("BLMOVE l a LEFT LEFT 0", WRONG_TYPE)]);
}
