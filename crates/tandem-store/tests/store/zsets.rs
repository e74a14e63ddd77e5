//! Sorted set commands answer as Redis does.

use tandem_resp::Proto;

use crate::harness::Primary;

#[test]
fn scores_are_given_under_conditions() {
    let mut p = Primary::new();
    p.check(&[
        ("ZADD z 1 a 2 b", ":2|"),
        ("ZADD z CH 3 a 2 b", ":1|"),
        ("ZADD z NX 9 a 3 c", ":1|"),
        ("ZADD z XX CH 4 a 4 d", ":1|"),
        ("ZADD z GT CH 3 a 5 b", ":1|"),
        ("ZADD z LT INCR -1 a", "$1|3|"),
        ("ZADD z XX INCR 1 none", "$-1|"),
        ("ZADD z INCR 1 a 2 b", "-ERR INCR option supports a single increment-element pair|"),
        ("ZADD z NX XX 1 a", "-ERR XX and NX options at the same time are not compatible|"),
        ("ZADD z 1", "-ERR wrong number of arguments for 'zadd' command|"),
        ("ZADD z 1 a 2", "-ERR syntax error|"),
        ("ZADD z nan a", "-ERR value is not a valid float|"),
        ("ZINCRBY z 0.1 a", "$3|3.1|"),
        ("ZADD z inf a", ":0|"),
        ("ZINCRBY z -inf a", "-ERR resulting score is not a number (NaN)|"),
        ("ZSCORE z a", "$3|inf|"),
        ("ZMSCORE z b none", "*2|$1|5|$-1|"),
        ("ZCARD z", ":3|"),
        ("ZREM z a b c none", ":3|"),
        ("EXISTS z", ":0|"),
        ("ZADD z XX 1 a", ":0|"),
        ("EXISTS z", ":0|"),
    ]);
}

#[test]
fn ranges_go_by_rank_score_and_member() {
    let mut p = Primary::new();
    p.check(&[
        ("ZADD z 1 a 2 b 3 c", ":3|"),
        ("ZRANGE z 0 -1", "*3|$1|a|$1|b|$1|c|"),
        ("ZRANGE z 0 0 REV WITHSCORES", "*2|$1|c|$1|3|"),
        ("ZRANGE z (1 +inf BYSCORE LIMIT 1 5", "*1|$1|c|"),
        ("ZRANGE z +inf (1 BYSCORE REV", "*2|$1|c|$1|b|"),
        ("ZRANGE z - + BYLEX LIMIT 0 2", "*2|$1|a|$1|b|"),
        ("ZRANGE z 0 1 BYLEX", "-ERR min or max not valid string range item|"),
        ("ZRANGE z a 1 BYSCORE", "-ERR min or max is not a float|"),
        ("ZREVRANGEBYSCORE z 3 1 LIMIT 1 1", "*1|$1|b|"),
        ("ZREVRANGEBYLEX z [b -", "*2|$1|b|$1|a|"),
        ("ZRANGEBYSCORE z -inf 2 WITHSCORES", "*4|$1|a|$1|1|$1|b|$1|2|"),
        ("ZCOUNT z 2 3", ":2|"),
        ("ZLEXCOUNT z [b +", ":2|"),
        ("ZRANK z c", ":2|"),
        ("ZREVRANK z c WITHSCORE", "*2|:0|$1|3|"),
        ("ZRANK z none", "$-1|"),
        ("ZRANK z none WITHSCORE", "*-1|"),
        ("ZRANGESTORE d z 0 1", ":2|"),
        ("ZRANGE d 0 -1 WITHSCORES", "*4|$1|a|$1|1|$1|b|$1|2|"),
        ("ZREMRANGEBYRANK z 0 0", ":1|"),
        ("ZREMRANGEBYSCORE z 3 3", ":1|"),
        ("ZREMRANGEBYLEX z - +", ":1|"),
        ("EXISTS z", ":0|"),
        ("ZRANGE z 0 1 LIMIT 1 1", "-ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX|"),
    ]);
    p.proto = Proto::Resp3;
    p.check(&[("ZRANGE d 0 0 WITHSCORES", "*1|*2|$1|a|,1|"), ("ZSCORE d b", ",2|")]);
}

#[test]
fn the_lowest_and_highest_are_popped() {
    let mut p = Primary::new();
    p.check(&[
        ("ZADD z 1 a 2 b 3 c 4 d", ":4|"),
        ("ZPOPMIN z", "*2|$1|a|$1|1|"),
        ("ZPOPMAX z 1", "*2|$1|d|$1|4|"),
        ("ZMPOP 2 none z MIN COUNT 9", "*2|$1|z|*2|*2|$1|b|$1|2|*2|$1|c|$1|3|"),
        ("ZPOPMIN z", "*0|"),
        ("ZMPOP 1 z MAX", "*-1|"),
    ]);
    p.proto = Proto::Resp3;
    p.check(&[
        ("ZADD z 1 a 2 b", ":2|"),
        ("ZPOPMIN z 1", "*1|*2|$1|a|,1|"),
        ("ZPOPMIN z", "*2|$1|b|,2|"),
    ]);
}

#[test]
fn sorted_sets_are_joined_with_weights() {
    let mut p = Primary::new();
    p.check(&[
        ("ZADD a 1 x 2 y", ":2|"),
        ("ZADD b 10 y 20 z", ":2|"),
        ("SADD s x y", ":2|"),
        ("ZUNION 2 a b WITHSCORES", "*6|$1|x|$1|1|$1|y|$2|12|$1|z|$2|20|"),
        ("ZINTER 2 a b WEIGHTS 2 1 AGGREGATE MAX WITHSCORES", "*2|$1|y|$2|10|"),
        ("ZINTER 2 a s WITHSCORES", "*4|$1|x|$1|2|$1|y|$1|3|"),
        ("ZDIFF 2 a b WITHSCORES", "*2|$1|x|$1|1|"),
        ("ZINTERCARD 2 a b LIMIT 5", ":1|"),
        ("ZUNIONSTORE d 2 a b AGGREGATE MIN", ":3|"),
        ("ZSCORE d y", "$1|2|"),
        ("ZINTERSTORE d 2 a none", ":0|"),
        ("EXISTS d", ":0|"),
        ("ZDIFFSTORE d 1 a", ":2|"),
        ("ZUNION 0 a", "-ERR at least 1 input key is needed for 'zunion' command|"),
        ("ZUNION 2 a", "-ERR syntax error|"),
        ("ZUNIONSTORE d 1 a WITHSCORES", "-ERR syntax error|"),
        ("ZUNION 1 a WEIGHTS x", "-ERR weight value is not a float|"),
    ]);
}
