//! List commands answer as Redis does.

use crate::harness::Primary;

#[test]
fn elements_go_in_and_out_at_both_ends() {
    let mut p = Primary::new();
    p.check(&[
        ("RPUSH l a b c", ":3|"),
        ("LPUSH l z y", ":5|"),
        ("LRANGE l 0 -1", "*5|$1|y|$1|z|$1|a|$1|b|$1|c|"),
        ("LPUSHX none x", ":0|"),
        ("RPUSHX l d", ":6|"),
        ("LPOP l", "$1|y|"),
        ("RPOP l 2", "*2|$1|d|$1|c|"),
        ("LPOP l 0", "*0|"),
        ("LPOP none", "$-1|"),
        ("LPOP none 1", "*-1|"),
        ("LPOP l -1", "-ERR value is out of range, must be positive|"),
        ("LLEN l", ":3|"),
        ("LPOP l 9", "*3|$1|z|$1|a|$1|b|"),
        ("EXISTS l", ":0|"),
    ]);
}

#[test]
fn elements_are_found_changed_and_removed_inside() {
    let mut p = Primary::new();
    p.check(&[
        ("RPUSH l a b c a b", ":5|"),
        ("LINDEX l -2", "$1|a|"),
        ("LINDEX l 9", "$-1|"),
        ("LSET l 9 x", "-ERR index out of range|"),
        ("LSET none 0 x", "-ERR no such key|"),
        ("LSET l -1 e", "+OK|"),
        ("LINSERT l BEFORE c x", ":6|"),
        ("LINSERT l AFTER none x", ":-1|"),
        ("LINSERT none AFTER c x", ":0|"),
        ("LINSERT l BESIDE c x", "-ERR syntax error|"),
        ("LPOS l a", ":0|"),
        ("LPOS l a RANK -1", ":4|"),
        ("LPOS l a COUNT 0", "*2|:0|:4|"),
        ("LPOS l a COUNT 0 MAXLEN 2", "*1|:0|"),
        ("LPOS l none", "$-1|"),
        ("LPOS l none COUNT 1", "*0|"),
        ("LREM l -1 a", ":1|"),
        ("LRANGE l 0 -1", "*5|$1|a|$1|b|$1|x|$1|c|$1|e|"),
        ("LTRIM l 1 -2", "+OK|"),
        ("LRANGE l 0 -1", "*3|$1|b|$1|x|$1|c|"),
        ("LTRIM l 5 9", "+OK|"),
        ("EXISTS l", ":0|"),
    ]);
}

#[test]
fn elements_move_between_lists() {
    let mut p = Primary::new();
    p.check(&[
        ("RPUSH s a b c", ":3|"),
        ("LMOVE s d LEFT RIGHT", "$1|a|"),
        ("RPOPLPUSH s d", "$1|c|"),
        ("LRANGE d 0 -1", "*2|$1|c|$1|a|"),
        ("LMOVE s s LEFT RIGHT", "$1|b|"),
        ("LMOVE none d LEFT RIGHT", "$-1|"),
        ("SET x v", "+OK|"),
        ("RPOPLPUSH s x", "-WRONGTYPE Operation against a key holding the wrong kind of value|"),
        ("LLEN s", ":1|"),
        ("RPOPLPUSH d d", "$1|a|"),
        ("LRANGE d 0 -1", "*2|$1|a|$1|c|"),
        ("LMPOP 2 none d LEFT COUNT 5", "*2|$1|d|*2|$1|a|$1|c|"),
        ("LMPOP 1 none RIGHT", "*-1|"),
        ("LMPOP 0 d LEFT", "-ERR numkeys should be greater than 0|"),
        ("LMPOP 1 d LEFT COUNT 0", "-ERR count should be greater than 0|"),
    ]);
}
