//! Two stores that both run commands, and what they come to.

use tandem_resp::OwnedArgs;
use tandem_store::command;
use tandem_types::{DbIndex, NodeId, WallMillis};

use crate::writers::{Rng, heal, pair};

/// Runs `both`, lets it arrive, runs `a` and `b` apart, heals; then both answer `read` with `want`.
fn case(both: &[&str], a: &[&str], b: &[&str], read: &str, want: &str) -> Vec<&'static str> {
    let mut told = Vec::new();
    for compacted in [false, true] {
        let mut pair = pair();
        pair.a.run_all(both);
        heal(&mut pair, false);
        pair.a.run_all(a);
        pair.b.run_all(b);
        heal(&mut pair, compacted);
        assert_eq!(pair.a.run(read), want, "A, {read}, compacted: {compacted}");
        assert_eq!(pair.b.run(read), want, "B, {read}, compacted: {compacted}");
        told = pair.a.conflicts();
        told.extend(pair.b.conflicts());
        told.sort_unstable();
        told.dedup();
    }
    told
}

#[test]
fn stock_is_97_however_it_was_sold() {
    let stock = &["set stock 100"][..];
    assert!(
        case(stock, &["decrby stock 1"], &["decrby stock 2"], "get stock", "$2|97|").is_empty()
    );
    case(
        &[],
        &["set stock 100", "decr stock"],
        &["set stock 100", "decrby stock 2"],
        "get stock",
        "$2|97|",
    );
    case(stock, &["set stock 50"], &["decrby stock 2"], "get stock", "$2|48|");
    let told = case(stock, &["del stock"], &["decrby stock 2"], "get stock", "$2|-2|");
    assert_eq!(told, ["delete-update"]);
}

/// What both have, what each does, what is read then, what it says, what is told.
type Row<'r> = (&'r [&'r str], &'r [&'r str], &'r [&'r str], &'r str, &'r str, &'r [&'r str]);

#[test]
fn each_row_of_what_others_lose_converges() {
    let cases: &[Row<'_>] = &[
        (&[], &["set k a"], &["set k b"], "get k", "$1|a|", &["lww"]),
        (&["set k v"], &["del k"], &["set k w"], "get k", "$1|w|", &["delete-update"]),
        (&["sadd s x"], &["sadd s x"], &["srem s x"], "smembers s", "*1|$1|x|", &["delete-update"]),
        (&["sadd s a"], &["sadd s b"], &["sadd s c"], "scard s", ":3|", &[]),
        (
            &["rpush l 1 2 3"],
            &["lpop l"],
            &["lpop l"],
            "lrange l 0 -1",
            "*2|$1|2|$1|3|",
            &["double-pop"],
        ),
        (
            &["rpush l 0"],
            &["rpush l a"],
            &["rpush l b"],
            "lrange l 0 -1",
            "*3|$1|0|$1|a|$1|b|",
            &[],
        ),
        (
            &["hset h f 1"],
            &["hincrby h f 5"],
            &["hdel h f"],
            "hget h f",
            "$1|5|",
            &["delete-update"],
        ),
        (&["zadd z 1 m"], &["zincrby z 2 m"], &["zincrby z 3 m"], "zscore z m", "$1|6|", &[]),
        (
            &["zadd z 6.1 m"],
            &["zrem z m"],
            &["zincrby z 2 m"],
            "zscore z m",
            "$1|2|",
            &["delete-update"],
        ),
        (&["set k x"], &["append k A"], &["append k B"], "get k", "$2|xA|", &["lww"]),
        (
            &["set k v", "sadd s m"],
            &["flushall"],
            &["set k w"],
            "get k",
            "$1|w|",
            &["delete-update"],
        ),
        (&[], &["incr id"], &["incr id"], "get id", "$1|2|", &["dup-counter"]),
        (&["set f 1"], &["incrbyfloat f 0.1"], &["incrbyfloat f 0.2"], "get f", "$3|1.3|", &[]),
        (&["set k v"], &["rename k n"], &["set o 1"], "get n", "$1|v|", &[]),
        (&["set k v"], &["sadd m x"], &["set m x"], "type m", "+set|", &["type"]),
    ];
    for (both, a, b, read, want, conflicts) in cases {
        let told = case(both, a, b, read, want);
        assert_eq!(&told, conflicts, "{a:?} {b:?}");
    }
}

#[test]
fn a_refreshed_key_outlives_its_expiry_at_the_peer() {
    let mut pair = pair();
    pair.a.run_all(&["hset h f 1 g 2", "pexpire h 1000"]);
    heal(&mut pair, false);
    pair.b.run_all(&["pexpire h 600000"]);
    pair.a.now = WallMillis::new(1_002_000);
    assert_eq!(pair.a.run("hdel h f"), ":0|", "it has expired here, which a write notices");
    heal(&mut pair, false);
    for side in [NodeId::A, NodeId::B] {
        assert_eq!(pair[side].run("hget h g"), "$1|2|");
        assert_eq!(pair[side].content("h").1, Some(WallMillis::new(1_600_000)));
    }
    assert_eq!(pair.b.conflicts(), ["expire-refresh"]);
}

#[test]
fn what_only_one_may_do_needs_a_policy() {
    use tandem_merge::escrow::Generation;
    use tandem_merge::policy::Policy;
    use tandem_merge::{Ledger, LedgerOp};
    use tandem_store::{Course, MergeRefusal, Rules, course};
    let mut ledger = Ledger::new();
    for (prefix, policy) in [
        ("cache:", "lww"),
        ("lock:", "owner=a"),
        ("stock:", "bounded"),
        ("id:", "seq"),
        ("old:", "refuse"),
    ] {
        let node = |name: &str| (name == "a").then_some(NodeId::A);
        let policy = Some(Policy::parse(policy, node).unwrap());
        let prefix = prefix.as_bytes().into();
        ledger.enter(NodeId::B, &LedgerOp::Policy { prefix, policy, said: Generation::ADDED_TO });
    }
    let rules = |side| Rules { ledger: &ledger, side, db: DbIndex::ZERO };
    let exclusive = |name: &str| Err(MergeRefusal::Exclusive(name.into()));
    let cases = [
        ("get k", Ok(Course::Merge)),
        ("set k v", Ok(Course::Merge)),
        ("set k nx", Ok(Course::Merge)),
        ("set k v nx", exclusive("SET")),
        ("set k v ex 10 XX", exclusive("SET")),
        ("setnx k v", exclusive("SETNX")),
        ("msetnx k v k2 v", exclusive("MSETNX")),
        ("copy k k2", exclusive("COPY")),
        ("copy k k2 replace", Ok(Course::Merge)),
        ("setnx cache:k v", Ok(Course::Exclusive)),
        ("setnx lock:k v", Err(MergeRefusal::Owner(NodeId::A))),
        ("set old:k v", Err(MergeRefusal::Refused)),
        ("decrby stock:k 2", Ok(Course::Bounded)),
        ("set stock:k 2", Err(MergeRefusal::Bounded)),
        ("incr id:k", Ok(Course::Sequence)),
        ("decr id:k", Err(MergeRefusal::Sequence)),
        ("rename k id:k", Err(MergeRefusal::Sequence)),
    ];
    for (line, want) in cases {
        let words: OwnedArgs = line.split_whitespace().map(str::as_bytes).collect();
        let args = words.args();
        let command = command(args.get(0)).unwrap();
        assert_eq!(course(command, &args, rules(NodeId::B)), want, "{line}");
    }
    let words: OwnedArgs = ["setnx", "lock:k", "v"].map(str::as_bytes).into_iter().collect();
    let args = words.args();
    let setnx = command(b"setnx").unwrap();
    assert_eq!(course(setnx, &args, rules(NodeId::A)), Ok(Course::Merge), "the owner may");
    let text = MergeRefusal::Exclusive("SETNX".into()).to_string();
    assert!(text.starts_with("PPNX SETNX is not exclusive across two primaries; give the prefix"));
}

const COMMANDS: &[&str] = &[
    "set k1 V",
    "set k1 5",
    "incrby k1 3",
    "decr k1",
    "incrbyfloat k1 0.25",
    "append k1 V",
    "setrange k1 2 V",
    "del k1",
    "getdel k1",
    "pexpire k1 90000",
    "pexpire k1 50000",
    "persist k1",
    "setex k1 60 V",
    "rpush l1 V W",
    "lpush l1 V",
    "lpop l1",
    "rpop l1 2",
    "lset l1 0 V",
    "linsert l1 before W V",
    "lrem l1 0 W",
    "ltrim l1 1 2",
    "lmove l1 l2 left right",
    "del l1",
    "pexpire l1 70000",
    "rename l1 l2",
    "sort l2 alpha store l1",
    "hset h1 f V g 1",
    "hincrby h1 g 2",
    "hincrbyfloat h1 g 0.5",
    "hdel h1 f g",
    "hdel h1 f",
    "del h1",
    "pexpire h1 80000",
    "sadd s1 a b",
    "sadd s1 c",
    "srem s1 a",
    "srem s1 b c",
    "spop s1",
    "smove s1 s2 a",
    "sunionstore s1 s2",
    "del s1",
    "zadd z1 1.5 a 2 b",
    "zincrby z1 0.1 a",
    "zincrby z1 0.7 b",
    "zrem z1 a",
    "zpopmin z1",
    "zrangestore z2 z1 0 -1",
    "zremrangebyscore z1 2 9",
    "del z1",
    "set z1 V",
    "sadd k1 m",
    "hset l1 f V",
    "flushall",
    "copy k1 k2 replace",
    "bitop or k2 k1 k1",
    "setbit k1 7 1",
];

const KEYS: &[&str] = &["k1", "k2", "l1", "l2", "h1", "s1", "s2", "z1", "z2"];

#[test]
fn random_commands_on_both_sides_come_to_the_same() {
    let mut conflicts = 0;
    for seed in 0..1_500 {
        let mut rng = Rng(seed);
        let mut pair = pair();
        let mut log = Vec::new();
        for number in 0..rng.below(5) + 2 {
            for side in [NodeId::A, NodeId::B] {
                for _ in 0..rng.below(8) {
                    let line = COMMANDS[rng.below(COMMANDS.len())];
                    let line = line.replace('V', &format!("v{}", rng.below(1_000)));
                    let skew = u64::try_from(rng.below(50)).unwrap();
                    pair[side].now = WallMillis::new(pair[side].now.get() + skew);
                    let reply = pair[side].run(&line);
                    log.push(format!("{side:?} {line}: {reply}"));
                }
            }
            heal(&mut pair, number % 2 == 0);
            log.push("heal".into());
            for key in KEYS {
                let (a, b) = (pair.a.content(key), pair.b.content(key));
                assert_eq!(a, b, "seed {seed}, {key}:\n{}", log.join("\n"));
            }
        }
        conflicts += pair.a.conflicts.len() + pair.b.conflicts.len();
    }
    assert!(conflicts > 1_000, "they have met: {conflicts}");
}
