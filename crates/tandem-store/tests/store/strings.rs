//! String commands answer as Redis does.

use crate::harness::Primary;

const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value|";

#[test]
fn set_takes_all_its_options() {
    let mut p = Primary::new();
    p.check(&[
        ("SET k v", "+OK|"),
        ("GET k", "$1|v|"),
        ("GET none", "$-1|"),
        ("SET k w NX", "$-1|"),
        ("SET k w XX GET", "$1|v|"),
        ("SET n w XX", "$-1|"),
        ("SET n w XX GET", "$-1|"),
        ("EXISTS n", ":0|"),
        ("SET n w NX GET", "$-1|"),
        ("SET k v EX 10", "+OK|"),
        ("TTL k", ":10|"),
        ("SET k v2 KEEPTTL", "+OK|"),
        ("PTTL k", ":10000|"),
        ("SET k v PX 1500", "+OK|"),
        ("PTTL k", ":1500|"),
        ("SET k v EXAT 2000", "+OK|"),
        ("EXPIRETIME k", ":2000|"),
        ("SET k v PXAT 2000500", "+OK|"),
        ("PEXPIRETIME k", ":2000500|"),
        ("SET k v", "+OK|"),
        ("TTL k", ":-1|"),
    ]);
}

#[test]
fn set_refuses_what_redis_refuses() {
    let mut p = Primary::new();
    p.run_all(&["SET k v", "SET l v"]);
    for (line, want) in [
        ("SET k", "-ERR wrong number of arguments for 'set' command|"),
        ("SET k v EX", "-ERR syntax error|"),
        ("SET k v EX 0", "-ERR invalid expire time in 'set' command|"),
        ("SET k v EX -1", "-ERR invalid expire time in 'set' command|"),
        ("SET k v EX 9223372036854775807", "-ERR invalid expire time in 'set' command|"),
        ("SET k v PX 9223372036854775807", "-ERR invalid expire time in 'set' command|"),
        ("SET k v EX x", "-ERR value is not an integer or out of range|"),
        ("SET k v NX XX", "-ERR syntax error|"),
        ("SET k v EX 1 PX 1", "-ERR syntax error|"),
        ("SET k v EX 1 KEEPTTL", "-ERR syntax error|"),
        ("SET k v FOO", "-ERR syntax error|"),
        ("SETEX k 0 v", "-ERR invalid expire time in 'setex' command|"),
        ("PSETEX k -5 v", "-ERR invalid expire time in 'psetex' command|"),
        ("GETEX k EX 0", "-ERR invalid expire time in 'getex' command|"),
        ("GETEX k EX 1 PERSIST", "-ERR syntax error|"),
        ("MSET a", "-ERR wrong number of arguments for 'mset' command|"),
        ("MSET a b c", "-ERR wrong number of arguments for 'mset' command|"),
        ("MSETNX a b c", "-ERR wrong number of arguments for 'msetnx' command|"),
        ("INCR k", "-ERR value is not an integer or out of range|"),
        ("INCRBY n 1.5", "-ERR value is not an integer or out of range|"),
        ("DECRBY n -9223372036854775808", "-ERR decrement would overflow|"),
        ("INCRBYFLOAT k 1", "-ERR value is not a valid float|"),
        ("INCRBYFLOAT n x", "-ERR value is not a valid float|"),
        ("INCRBYFLOAT n inf", "-ERR increment would produce NaN or Infinity|"),
        ("SETRANGE k -1 x", "-ERR offset is out of range|"),
        (
            "SETRANGE k 536870912 x",
            "-ERR string exceeds maximum allowed size (proto-max-bulk-len)|",
        ),
        ("GETRANGE k a b", "-ERR value is not an integer or out of range|"),
    ] {
        let before = p.log.len();
        assert_eq!(p.run(line), want, "{line}");
        assert_eq!(p.log.len(), before, "{line} changed something");
    }
}

#[test]
fn counters_count() {
    let mut p = Primary::new();
    p.check(&[
        ("INCR n", ":1|"),
        ("INCRBY n 41", ":42|"),
        ("DECR n", ":41|"),
        ("DECRBY n 100", ":-59|"),
        ("GET n", "$3|-59|"),
        ("SET n 9223372036854775807", "+OK|"),
        ("INCR n", "-ERR increment or decrement would overflow|"),
        ("SET n 01", "+OK|"),
        ("INCR n", "-ERR value is not an integer or out of range|"),
        ("INCRBYFLOAT f 10.50", "$4|10.5|"),
        ("INCRBYFLOAT f 0.1", "$4|10.6|"),
        ("INCRBYFLOAT f -5", "$3|5.6|"),
        ("SET f 5.0e3", "+OK|"),
        ("INCRBYFLOAT f 2.0e2", "$4|5200|"),
        ("SET n 5 EX 100", "+OK|"),
        ("INCR n", ":6|"),
        ("TTL n", ":100|"),
    ]);
}

#[test]
fn parts_of_strings_can_be_read_and_written() {
    let mut p = Primary::new();
    p.check(&[
        ("APPEND k Hello", ":5|"),
        ("APPEND k World", ":10|"),
        ("STRLEN k", ":10|"),
        ("STRLEN none", ":0|"),
        ("GETRANGE k 0 4", "$5|Hello|"),
        ("GETRANGE k -5 -1", "$5|World|"),
        ("SUBSTR k 0 0", "$1|H|"),
        ("GETRANGE none 0 -1", "$0||"),
        ("SETRANGE k 5 Redis", ":10|"),
        ("GET k", "$10|HelloRedis|"),
        ("SETRANGE new 3 x", ":4|"),
        ("GET new", "$4|\\x00\\x00\\x00x|"),
        ("SETRANGE k 100000 x", ":100001|"),
        ("STRLEN k", ":100001|"),
    ]);
    assert_eq!(p.run_words(&[b"SETRANGE", b"missing", b"5", b""]), ":0|");
    assert_eq!(p.run("EXISTS missing"), ":0|");
}

#[test]
fn several_keys_are_set_and_got_together() {
    let mut p = Primary::new();
    p.check(&[
        ("MSET a 1 b 2", "+OK|"),
        ("MGET a none b", "*3|$1|1|$-1|$1|2|"),
        ("MSETNX b 3 c 4", ":0|"),
        ("EXISTS c", ":0|"),
        ("MSETNX c 4 d 5", ":1|"),
        ("GETSET a x", "$1|1|"),
        ("GETDEL a", "$1|x|"),
        ("GETDEL a", "$-1|"),
        ("SETNX a y", ":1|"),
        ("SETNX a z", ":0|"),
        ("GETEX a EX 100", "$1|y|"),
        ("TTL a", ":100|"),
        ("GETEX a PERSIST", "$1|y|"),
        ("TTL a", ":-1|"),
        ("GETEX a PXAT 1", "$1|y|"),
        ("EXISTS a", ":0|"),
    ]);
}

#[test]
fn replies_follow_the_protocol_version() {
    let mut p = Primary::new();
    p.proto = tandem_resp::Proto::Resp3;
    p.check(&[("GET none", "_|"), ("SET k v XX", "_|"), ("MGET none", "*1|_|")]);
}

#[test]
fn other_types_are_refused_or_overwritten() {
    let mut p = Primary::new();
    if tandem_store::command(b"RPUSH").is_none() {
        return;
    }
    p.run_all(&["RPUSH l a"]);
    for line in [
        "GET l",
        "INCR l",
        "APPEND l x",
        "STRLEN l",
        "SETRANGE l 0 x",
        "GETRANGE l 0 1",
        "GETDEL l",
        "SET l x GET",
    ] {
        assert_eq!(p.run(line), WRONG_TYPE, "{line}");
    }
    p.check(&[("MGET l", "*1|$-1|"), ("SET l x", "+OK|"), ("GET l", "$1|x|")]);
}
