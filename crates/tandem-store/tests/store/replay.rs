//! Two stores that applied the same effects are equal.

use proptest::prelude::*;
use tandem_store::{Store, command};
use tandem_types::{DbIndex, Lsn, SlotId, WallMillis};

use crate::harness::Primary;

/// Command lines over few keys, so that they meet; `K` becomes a key, `N` a number, `V` a value.
const TEMPLATES: &[&str] = &[
    "SET K V",
    "SET K N",
    "SET K V EX N",
    "SET K V PX N",
    "SET K V NX",
    "SET K V XX KEEPTTL",
    "SETEX K N V",
    "GETDEL K",
    "GETEX K EX N",
    "GETEX K PERSIST",
    "GETSET K V",
    "MSET K V K N",
    "MSETNX K V K V",
    "INCR K",
    "DECRBY K N",
    "INCRBYFLOAT K N.5",
    "APPEND K V",
    "SETRANGE K N V",
    "GET K",
    "DEL K",
    "UNLINK K K",
    "RENAME K K",
    "RENAMENX K K",
    "COPY K K",
    "COPY K K REPLACE",
    "MOVE K 1",
    "EXPIRE K N",
    "PEXPIRE K N",
    "EXPIRE K -1",
    "PERSIST K",
    "FLUSHDB",
    "SETBIT K N 1",
    "BITOP AND K K K",
    "BITOP NOT K K",
    "BITFIELD K SET u9 N N INCRBY i5 N N",
    "SORT K ALPHA STORE K",
    "SORT K BY nosort STORE K",
    "LPUSH K V N V",
    "RPUSH K V V",
    "LPOP K",
    "RPOP K 2",
    "LSET K 1 V",
    "LINSERT K BEFORE V V",
    "LREM K 0 V",
    "LTRIM K 1 -2",
    "LMOVE K K LEFT RIGHT",
    "RPOPLPUSH K K",
    "LPUSHX K V",
    "LMPOP 1 K LEFT COUNT 2",
    "HSET K V V",
    "HSET K V N f V",
    "HDEL K V",
    "HINCRBY K V N",
    "HINCRBYFLOAT K V N.25",
    "HSETNX K V V",
    "SADD K V N V",
    "SREM K V",
    "SPOP K",
    "SMOVE K K V",
    "SUNIONSTORE K K K",
    "SINTERSTORE K K K",
    "SDIFFSTORE K K K",
    "ZADD K N V",
    "ZADD K GT CH N V",
    "ZADD K INCR N V",
    "ZINCRBY K N V",
    "ZREM K V",
    "ZPOPMIN K",
    "ZPOPMAX K 2",
    "ZREMRANGEBYRANK K 0 1",
    "ZREMRANGEBYSCORE K 1 N",
    "ZUNIONSTORE K 2 K K",
    "ZINTERSTORE K 2 K K",
    "ZRANGESTORE K K 0 -1",
];

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Run(String),
    Pass(u64),
    Expire,
}

fn line() -> impl Strategy<Value = String> {
    let key = prop::sample::select(vec!["a", "b", "c", "d", "e", "f"]);
    let value =
        prop::sample::select(vec!["x", "y", "long-value-that-is-not-packed-into-a-word", "7"]);
    (
        prop::sample::select(TEMPLATES),
        prop::collection::vec(key, 4),
        prop::collection::vec(value, 4),
        prop::collection::vec(0u32..60, 4),
    )
        .prop_map(|(template, keys, values, numbers)| {
            let (mut k, mut v, mut n) = (keys.iter(), values.iter(), numbers.iter());
            let mut word = |word: &str| match word {
                "K" => (*k.next().unwrap()).to_owned(),
                "V" => (*v.next().unwrap()).to_owned(),
                "N" => n.next().unwrap().to_string(),
                _ if word.starts_with("N.") => format!("{}{}", n.next().unwrap(), &word[1..]),
                word => word.to_owned(),
            };
            template.split(' ').map(&mut word).collect::<Vec<_>>().join(" ")
        })
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        20 => line().prop_map(Step::Run),
        2 => (1u64..20_000).prop_map(Step::Pass),
        1 => Just(Step::Expire),
    ]
}

pub(crate) fn perform(p: &mut Primary, step: &Step) {
    match step {
        Step::Run(line) => {
            let name = line.split(' ').next().unwrap();
            // Groups of commands that are not built yet are passed over.
            if command(name.as_bytes()).is_some() {
                p.run(line);
            }
        }
        Step::Pass(millis) => p.pass(*millis),
        Step::Expire => drop(p.expire(3)),
    }
}

/// Both stores hold the same, counts and memory included.
pub(crate) fn assert_equal(left: &Store, right: &Store) {
    let mut at = Some(SlotId::FIRST);
    while let Some(slot) = at {
        assert_eq!(left.digest(slot), right.digest(slot), "{slot:?}");
        at = slot.next();
    }
    for db in DbIndex::all() {
        assert_eq!(left.counts(db), right.counts(db), "database {db:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_follower_of_the_effects_is_equal(steps in prop::collection::vec(step(), 1..120)) {
        let mut p = Primary::new();
        for step in &steps {
            perform(&mut p, step);
        }
        assert_equal(&p.store, &p.follower());
    }

    #[test]
    fn all_memory_is_given_back(steps in prop::collection::vec(step(), 1..120)) {
        let mut p = Primary::new();
        for step in &steps {
            perform(&mut p, step);
        }
        for db in DbIndex::all() {
            p.db = db;
            for key in ["a", "b", "c", "d", "e", "f"] {
                p.run(&format!("DEL {key}"));
            }
        }
        prop_assert_eq!(p.store.used_memory(), 0);
        prop_assert!(p.store.is_empty());
    }

    #[test]
    fn damaged_effects_never_panic(steps in prop::collection::vec(step(), 1..30), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut p = Primary::new();
        for step in &steps {
            perform(&mut p, step);
        }
        let mut store = Store::new(5);
        for (lsn, effects) in p.log.iter().enumerate() {
            let mut effects = effects.clone();
            let at = at.index(effects.len());
            effects[at] = byte;
            let lsn = Lsn::new(u64::try_from(lsn).unwrap());
            if let Err(error) = store.apply(lsn, &effects, None) {
                prop_assert!(!error.to_string().is_empty());
            }
        }
    }
}

#[test]
fn slots_remember_the_record_that_wrote_last_and_reads_report_it() {
    let mut p = Primary::new();
    p.run_all(&["SET a 1", "SET b 1"]);
    assert_eq!(p.run("GET a"), "$1|1|");
    assert_eq!(p.seen, Lsn::new(1));
    p.run("GET b");
    assert_eq!(p.seen, Lsn::new(2));
    p.run("MGET a b");
    assert_eq!(p.seen, Lsn::new(2));
    p.run("DEL a");
    p.run("GET a");
    assert_eq!(p.seen, Lsn::new(3), "an absence is seen too");
    p.run("FLUSHALL");
    p.run("EXISTS never");
    assert_eq!(p.seen, Lsn::new(4));
    assert_eq!(p.follower().last_write_end_of(DbIndex::ZERO, b"a"), Lsn::new(4));
}

#[test]
fn effects_that_do_not_fit_are_refused() {
    let mut p = Primary::new();
    p.run_all(&["SET k v", "PEXPIREAT k 2000000"]);
    let mut store = Store::new(3);
    let error = store.apply(Lsn::ZERO, &p.log[1], None).unwrap_err();
    assert_eq!(error.to_string(), r#"record 0 does not fit the data: db0 PEXPIREAT "k" "2000000""#);
}

#[test]
fn a_follower_does_not_expire_by_itself() {
    let mut p = Primary::new();
    p.run_all(&["SET k v PX 10"]);
    let follower = p.follower();
    assert!(!follower.exists(DbIndex::ZERO, b"k", WallMillis::new(u64::MAX)));
    assert_eq!(follower.dbsize(DbIndex::ZERO), 1);
}
