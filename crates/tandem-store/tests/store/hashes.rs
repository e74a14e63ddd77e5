//! Hash commands answer as Redis does.

use tandem_resp::Proto;

use crate::harness::Primary;

#[test]
fn fields_are_set_read_and_deleted() {
    let mut p = Primary::new();
    p.check(&[
        ("HSET h a 1 b 2 a 3", ":2|"),
        ("HSET h a 1 b", "-ERR wrong number of arguments for 'hset' command|"),
        ("HMSET h c 3", "+OK|"),
        ("HSETNX h c 4", ":0|"),
        ("HSETNX h d 4", ":1|"),
        ("HGET h a", "$1|3|"),
        ("HGET h none", "$-1|"),
        ("HMGET h a none c", "*3|$1|3|$-1|$1|3|"),
        ("HLEN h", ":4|"),
        ("HSTRLEN h a", ":1|"),
        ("HEXISTS h d", ":1|"),
        ("HDEL h d d none", ":1|"),
        ("HGETALL h", "*6|$1|a|$1|3|$1|b|$1|2|$1|c|$1|3|"),
        ("HKEYS h", "*3|$1|a|$1|b|$1|c|"),
        ("HVALS h", "*3|$1|3|$1|2|$1|3|"),
        ("HDEL h a b c", ":3|"),
        ("EXISTS h", ":0|"),
        ("HGETALL h", "*0|"),
    ]);
    p.proto = Proto::Resp3;
    p.check(&[("HGETALL h", "%0|"), ("HSET h a 1", ":1|"), ("HGETALL h", "%1|$1|a|$1|1|")]);
}

#[test]
fn fields_count() {
    let mut p = Primary::new();
    p.check(&[
        ("HINCRBY h n 5", ":5|"),
        ("HINCRBY h n -7", ":-2|"),
        ("HINCRBYFLOAT h n 0.5", "$4|-1.5|"),
        ("HINCRBY h n 1", "-ERR hash value is not an integer|"),
        ("HINCRBY h n 1.5", "-ERR value is not an integer or out of range|"),
        ("HINCRBYFLOAT h n inf", "-ERR value is NaN or Infinity|"),
        ("HSET h s x", ":1|"),
        ("HINCRBYFLOAT h s 1", "-ERR hash value is not a float|"),
        ("HSET h m 9223372036854775807", ":1|"),
        ("HINCRBY h m 1", "-ERR increment or decrement would overflow|"),
        ("HINCRBY new f x", "-ERR value is not an integer or out of range|"),
        ("EXISTS new", ":0|"),
    ]);
}

#[test]
fn random_fields_are_distinct_unless_asked_otherwise() {
    let mut p = Primary::new();
    p.check(&[
        ("HRANDFIELD h", "$-1|"),
        ("HRANDFIELD h 5", "*0|"),
        ("HSET h a 1", ":1|"),
        ("HRANDFIELD h", "$1|a|"),
        ("HRANDFIELD h 5 WITHVALUES", "*2|$1|a|$1|1|"),
        ("HRANDFIELD h -2", "*2|$1|a|$1|a|"),
        ("HRANDFIELD h 1 WITH", "-ERR syntax error|"),
        ("HRANDFIELD h -9223372036854770000 WITHVALUES", "-ERR value is out of range|"),
    ]);
    p.proto = Proto::Resp3;
    p.check(&[("HRANDFIELD h 5 WITHVALUES", "*1|*2|$1|a|$1|1|")]);
}

#[test]
fn a_small_hash_is_scanned_in_one_go() {
    let mut p = Primary::new();
    p.check(&[
        ("HSCAN h 0", "*2|$1|0|*0|"),
        ("HSET h a 1 b 2", ":2|"),
        ("HSCAN h 0 MATCH b* COUNT 1", "*2|$1|0|*2|$1|b|$1|2|"),
        ("HSCAN h x", "-ERR invalid cursor|"),
        ("HSCAN h 0 COUNT 0", "-ERR syntax error|"),
    ]);
}
