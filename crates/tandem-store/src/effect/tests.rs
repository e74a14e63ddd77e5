//! Effects survive the trip through bytes, and damaged bytes are refused.

use proptest::prelude::*;
use tandem_types::{DbIndex, WallMillis};

use super::*;

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..40)
}

/// Owned parts from which every kind of effect can be built.
#[derive(Clone, Debug)]
struct Seed {
    kind: u8,
    db: u8,
    key: Vec<u8>,
    a: Vec<u8>,
    b: Vec<u8>,
    n: u64,
    m: u64,
    x: f64,
    deadline: Option<u64>,
}

fn seed() -> impl Strategy<Value = Seed> {
    let key = proptest::collection::vec(97u8..100, 0..3);
    (
        0u8..29,
        0u8..16,
        key,
        bytes(),
        bytes(),
        any::<u64>(),
        any::<u64>(),
        -1e9f64..1e9,
        any::<Option<u64>>(),
    )
        .prop_map(|(kind, db, key, a, b, n, m, x, deadline)| Seed {
            kind,
            db,
            key,
            a,
            b,
            n,
            m,
            x,
            deadline,
        })
}

impl Seed {
    fn located(&self) -> Located<'_> {
        let deadline = self.deadline.map(WallMillis::new);
        let (delta, result) = (self.n.cast_signed(), self.m.cast_signed());
        let effect = match self.kind {
            0 => Effect::SetString { value: &self.a, deadline },
            1 => Effect::Del,
            2 => Effect::Expired,
            3 => Effect::ExpireAt(WallMillis::new(self.n)),
            4 => Effect::Persist,
            5 => Effect::Incr { delta, result },
            6 => Effect::IncrFloat { delta: &self.a, result: &self.b },
            7 => Effect::Append(&self.a),
            8 => Effect::SetRange { offset: self.n, bytes: &self.a },
            9 => Effect::Restore { value: &self.a, deadline },
            10 => Effect::ListPushFront(&self.a),
            11 => Effect::ListPushBack(&self.a),
            12 => Effect::ListPopFront,
            13 => Effect::ListPopBack,
            14 => Effect::ListSet { index: self.n, value: &self.a },
            15 => Effect::ListInsert { index: self.n, value: &self.a },
            16 => Effect::ListRemove { index: self.n },
            17 => Effect::ListTrim { start: self.n, end: self.m },
            18 => Effect::HashSet { field: &self.a, value: &self.b },
            19 => Effect::HashDel(&self.a),
            20 => Effect::HashIncr { field: &self.a, delta, result },
            21 => Effect::HashIncrFloat { field: &self.a, delta: &self.a, result: &self.b },
            22 => Effect::SetAdd(&self.a),
            23 => Effect::SetRem(&self.a),
            24 => Effect::ZsetAdd { member: &self.a, score: self.x },
            25 => Effect::ZsetIncr { member: &self.a, delta: self.x, result: -self.x },
            26 => Effect::ZsetRem(&self.a),
            27 => Effect::FlushDb,
            _ => Effect::FlushAll,
        };
        let flush = matches!(effect, Effect::FlushDb | Effect::FlushAll);
        let db = if effect == Effect::FlushAll { 0 } else { self.db };
        let key = if flush { &[][..] } else { &self.key };
        Located { db: DbIndex::new(db).unwrap(), key, effect }
    }
}

fn decode(bytes: &[u8]) -> Result<Vec<Located<'_>>, DecodeError> {
    let mut effects = Effects::new(bytes)?;
    let mut all = Vec::new();
    while let Some(located) = effects.read()? {
        all.push(located);
    }
    Ok(all)
}

proptest! {
    #[test]
    fn effects_survive_the_trip_through_bytes(seeds in proptest::collection::vec(seed(), 0..12)) {
        let mut buf = EffectBuf::over(b"the log's own header".to_vec());
        let want: Vec<_> = seeds.iter().map(Seed::located).collect();
        for located in &want {
            buf.push_located(*located);
        }
        prop_assert_eq!(decode(buf.effects()).unwrap(), want);
        prop_assert_eq!(buf.is_empty(), buf.effects().is_empty());
    }

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Err(error) = decode(&bytes) {
            prop_assert!(!error.to_string().is_empty());
        }
        let mut versioned = vec![EFFECTS_VERSION];
        versioned.extend_from_slice(&bytes);
        if let Ok(all) = decode(&versioned) {
            for located in all {
                prop_assert!(!describe(&located).to_string().is_empty());
            }
        }
    }

    #[test]
    fn cut_effects_are_refused_or_shorter(seeds in proptest::collection::vec(seed(), 1..5), cut in any::<prop::sample::Index>()) {
        let mut buf = EffectBuf::new();
        for seed in &seeds {
            buf.push_located(seed.located());
        }
        let bytes = buf.effects();
        let cut = &bytes[..cut.index(bytes.len())];
        if let Ok(all) = decode(cut) {
            prop_assert!(all.len() < seeds.len());
        }
    }
}

#[test]
fn a_rolled_back_command_leaves_nothing() {
    let mut buf = EffectBuf::over(vec![1, 2, 3]);
    let empty = buf.mark();
    buf.push(DbIndex::ZERO, b"k", Effect::Del);
    let one = buf.mark();
    let length = buf.len();
    buf.push(DbIndex::ZERO, b"other", Effect::Persist);
    buf.rollback(one);
    assert_eq!((buf.len(), buf.count()), (length, 1));
    buf.rollback(empty);
    assert!(buf.is_empty());
    assert_eq!(buf.into_bytes(), [1, 2, 3]);
}

#[test]
fn an_effect_on_the_same_key_costs_one_byte_and_its_arguments() {
    let mut buf = EffectBuf::new();
    buf.push(DbIndex::ZERO, b"key", Effect::ListPushBack(b"a"));
    let first = buf.len();
    buf.push(DbIndex::ZERO, b"key", Effect::ListPushBack(b"b"));
    assert_eq!(buf.len() - first, 1 + 2);
}

#[test]
fn a_later_version_is_named() {
    assert_eq!(decode(&[2, 3]), Err(DecodeError::Version(2)));
}

#[test]
fn descriptions_read_like_commands() {
    let located = Located {
        db: DbIndex::ZERO,
        key: b"k\n",
        effect: Effect::HashSet { field: b"f", value: b"\xff" },
    };
    assert_eq!(describe(&located).to_string(), r#"db0 HSET "k\n" "f" "\xff""#);
}
