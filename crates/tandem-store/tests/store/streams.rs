//! Stream commands answer as Redis does.

use tandem_resp::Proto;
use tandem_types::DbIndex;

use crate::harness::Primary;

const TOO_SMALL: &str =
    "-ERR The ID specified in XADD is equal or smaller than the target stream top item|";
const INVALID: &str = "-ERR Invalid stream ID specified as stream command argument|";

#[test]
fn ids_only_grow_whatever_the_clock_does() {
    let mut p = Primary::new();
    p.check(&[
        ("XADD s * f v", "$9|1000000-0|"),
        ("XADD s * f v", "$9|1000000-1|"),
        ("XADD s 1000000-* f v", "$9|1000000-2|"),
        ("XADD s 999-* f v", TOO_SMALL),
        ("XADD s 1000000-2 f v", TOO_SMALL),
        ("XADD s 2000000 f v", "$9|2000000-0|"),
        ("XADD s * f v", "$9|2000000-1|"),
        ("XADD s 0-0 f v", "-ERR The ID specified in XADD must be greater than 0-0|"),
        ("XADD s x f v", INVALID),
        ("XADD s * f", "-ERR wrong number of arguments for 'xadd' command|"),
        ("XADD none NOMKSTREAM * f v", "$-1|"),
        ("XADD t 0-* f v", "$3|0-1|"),
        ("XLEN s", ":5|"),
        (
            "XADD t 18446744073709551615-18446744073709551615 f v",
            "$41|18446744073709551615-18446744073709551615|",
        ),
        (
            "XADD t * f v",
            "-ERR The stream has exhausted the last possible ID, unable to add more items|",
        ),
        (
            "XADD t 18446744073709551615-* f v",
            "-ERR The stream has exhausted the last possible ID, unable to add more items|",
        ),
    ]);
}

#[test]
fn ranges_and_trims() {
    let mut p = Primary::new();
    for ms in 1..=5 {
        p.run(&format!("XADD s {ms} f v{ms}"));
    }
    p.check(&[
        ("XRANGE s 2 (4-0", "*2|*2|$3|2-0|*2|$1|f|$2|v2|*2|$3|3-0|*2|$1|f|$2|v3|"),
        ("XREVRANGE s + - COUNT 1", "*1|*2|$3|5-0|*2|$1|f|$2|v5|"),
        ("XRANGE s - + COUNT 0", "*-1|"),
        ("XRANGE none - +", "*0|"),
        ("XRANGE s - + foo 1", "-ERR syntax error|"),
        ("XDEL s 3 9", ":1|"),
        ("XTRIM s MAXLEN 3", ":1|"),
        ("XTRIM s MINID 4", ":1|"),
        ("XTRIM s MAXLEN ~ 0", ":2|"),
        ("EXISTS s", ":1|"),
        (
            "XTRIM s MAXLEN 1 LIMIT 5",
            "-ERR syntax error, LIMIT cannot be used without the special ~ option|",
        ),
        (
            "XTRIM s LIMIT 5",
            "-ERR syntax error, LIMIT cannot be used without specifying a trimming strategy|",
        ),
        (
            "XADD s MAXLEN 1 MINID 1 * f v",
            "-ERR syntax error, MAXLEN and MINID options at the same time are not compatible|",
        ),
        ("XADD s MAXLEN -1 * f v", "-ERR The MAXLEN argument must be >= 0.|"),
        ("TYPE s", "+stream|"),
        ("OBJECT ENCODING s", "$6|stream|"),
        ("LPUSH s x", "-WRONGTYPE Operation against a key holding the wrong kind of value|"),
    ]);
}

#[test]
fn rough_trims_take_whole_blocks_only() {
    let mut p = Primary::new();
    for ms in 1..=250 {
        p.run(&format!("XADD s {ms} f v"));
    }
    p.check(&[
        ("XTRIM s MAXLEN ~ 200", ":0|"),
        ("XTRIM s MAXLEN ~ 120 LIMIT 50", ":0|"),
        ("XTRIM s MAXLEN ~ 120", ":100|"),
        ("XTRIM s MINID ~ 201", ":100|"),
        ("XLEN s", ":50|"),
    ]);
}

#[test]
fn a_group_gives_each_entry_to_one_and_asks_for_it_until_it_is_acknowledged() {
    let mut p = Primary::new();
    p.run_all(&["XADD s 1 f a", "XADD s 2 f b", "XADD s 3 f c", "XGROUP CREATE s g 0"]);
    p.check(&[
        (
            "XREADGROUP GROUP g one COUNT 2 STREAMS s >",
            "*1|*2|$1|s|*2|*2|$3|1-0|*2|$1|f|$1|a|*2|$3|2-0|*2|$1|f|$1|b|",
        ),
        ("XREADGROUP GROUP g two STREAMS s >", "*1|*2|$1|s|*1|*2|$3|3-0|*2|$1|f|$1|c|"),
        ("XREADGROUP GROUP g two STREAMS s >", "*-1|"),
        ("XPENDING s g", "*4|:3|$3|1-0|$3|3-0|*2|*2|$3|one|$1|2|*2|$3|two|$1|1|"),
        ("XACK s g 1 9", ":1|"),
        ("XDEL s 2", ":1|"),
        ("XREADGROUP GROUP g one STREAMS s 0", "*1|*2|$1|s|*1|*2|$3|2-0|*-1|"),
        ("XCLAIM s g two 0 2", "*0|"),
        ("XPENDING s g - + 9 one", "*0|"),
    ]);
    p.pass(500);
    p.check(&[
        ("XPENDING s g IDLE 501 - + 9", "*0|"),
        ("XPENDING s g - + 9", "*1|*4|$3|3-0|$3|two|:500|:1|"),
        ("XCLAIM s g one 501 3", "*0|"),
        ("XCLAIM s g one 500 3 JUSTID", "*1|$3|3-0|"),
        ("XPENDING s g - + 9", "*1|*4|$3|3-0|$3|one|:0|:1|"),
        ("XAUTOCLAIM s g two 0 0", "*3|$3|0-0|*1|*2|$3|3-0|*2|$1|f|$1|c|*0|"),
        ("XGROUP DELCONSUMER s g two", ":1|"),
        ("XGROUP DESTROY s g", ":1|"),
        ("XGROUP DESTROY s g", ":0|"),
    ]);
}

#[test]
fn groups_that_are_not_there_are_named() {
    let mut p = Primary::new();
    p.run_all(&["XADD s 1 f a", "XGROUP CREATE s g $"]);
    p.check(&[
        ("XGROUP CREATE s g $", "-BUSYGROUP Consumer Group name already exists|"),
        ("XGROUP FOO s", "-ERR unknown subcommand 'FOO'. Try XGROUP HELP.|"),
        ("XGROUP CREATE s g", "-ERR wrong number of arguments for 'xgroup|create' command|"),
        ("XGROUP SETID s x 0", "-NOGROUP No such consumer group 'x' for key name 's'|"),
        ("XPENDING s x", "-NOGROUP No such key 's' or consumer group 'x'|"),
        ("XREADGROUP GROUP x c STREAMS s >", "-NOGROUP No such key 's' or consumer group 'x' in XREADGROUP with GROUP option|"),
        ("XREAD STREAMS s >", "-ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.|"),
        ("XREAD COUNT 1 STREAMS s", "-ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified.|"),
        ("XREAD BLOCK 1 s 0", "-ERR syntax error|"),
        ("XINFO CONSUMERS s x", "-NOGROUP No such consumer group 'x' for key name 's'|"),
        ("XINFO STREAM none", "-ERR no such key|"),
        ("COMMAND GETKEYS XREADGROUP GROUP g c COUNT 1 STREAMS a b 1 2", "*2|$1|a|$1|b|"),
        ("COMMAND GETKEYS XADD s * a b", "*1|$1|s|"),
    ]);
    assert!(
        p.run("XGROUP CREATE none g $").starts_with("-ERR The XGROUP subcommand requires the key")
    );
    assert!(p.log.len() == 2, "errors leave no record");
}

#[test]
fn who_waits_waits_from_the_entry_that_was_last_then() {
    let mut p = Primary::new();
    p.run("XADD s 1 f a");
    let said = p.run("XREAD BLOCK 50 STREAMS s t $ 0");
    let words = "[88, 82, 69, 65, 68]";
    assert!(said.starts_with("BLOCK") && said.contains(words), "{said}");
    // "1-0" in place of "$".
    assert!(said.contains("[49, 45, 48]") && !said.contains("[36]"), "{said}");
    p.run("XGROUP CREATE s g $");
    let said = p.run("XREADGROUP GROUP g c BLOCK 0 STREAMS s >");
    assert!(said.contains("timeout_ms: None") && said.contains("needs: [NewIn("), "{said}");
    p.woken = true;
    assert!(p.run("XREADGROUP GROUP g c BLOCK 0 STREAMS s >").starts_with("BLOCK"));
    p.run("XGROUP DESTROY s g");
    p.check(&[(
        "XREADGROUP GROUP g c BLOCK 0 STREAMS s >",
        "-NOGROUP the consumer group this client was blocked on no longer exists|",
    )]);
    p.run("DEL s");
    p.check(&[(
        "XREADGROUP GROUP g c BLOCK 0 STREAMS s >",
        "-UNBLOCKED the stream key no longer exists|",
    )]);
}

#[test]
fn a_stream_without_entries_is_one_everywhere() {
    let mut p = Primary::new();
    p.run_all(&["XGROUP CREATE e g $ MKSTREAM", "XGROUP DESTROY e g", "XADD d 1 f v", "XDEL d 1"]);
    p.check(&[("EXISTS e d", ":2|"), ("XADD d 1 f v", TOO_SMALL)]);
    let follower = p.follower();
    assert_eq!(follower.dbsize(DbIndex::ZERO), 2);
    assert_eq!(follower.digest_all(), p.store.digest_all());
}

#[test]
fn maps_are_maps_in_the_third_protocol() {
    let mut p = Primary::new();
    p.proto = Proto::Resp3;
    p.run("XADD s 1 f a");
    p.check(&[
        ("XREAD STREAMS s 0", "%1|$1|s|*1|*2|$3|1-0|*2|$1|f|$1|a|"),
        ("XREAD STREAMS s 1", "_|"),
    ]);
    assert!(p.run("XINFO STREAM s").starts_with("%10|$6|length|:1|"));
}
