//! Whatever happens to collections, a follower and a loaded snapshot hold the same.

use tandem_store::Store;
use tandem_types::{DbIndex, Lsn, SLOT_COUNT, SlotId};

use crate::harness::Primary;

struct Dice(u64);

impl Dice {
    fn roll(&mut self, bound: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    fn word(&mut self) -> String {
        match self.roll(8) {
            0 => "x".repeat(self.roll(300)) + "y",
            1..4 => self.roll(40).to_string(),
            _ => format!("w{}", self.roll(400)),
        }
    }
}

/// Templates: `K` is a key, `W` a word, `I` an index, `S` a score.
const TEMPLATES: &[&str] = &[
    "HSET hK W W W W",
    "HSET hK W W",
    "HDEL hK W W",
    "HINCRBY hK nW I",
    "HINCRBYFLOAT hK nW S",
    "LPUSH lK W W",
    "RPUSH lK W W W",
    "LPOP lK 2",
    "RPOP lK",
    "LSET lK I W",
    "LINSERT lK BEFORE W W",
    "LREM lK I W",
    "LTRIM lK 1 -1",
    "LMOVE lK lK LEFT RIGHT",
    "LMPOP 2 lK lK RIGHT COUNT 2",
    "BLPOP lK lK 0",
    "SADD sK W W W",
    "SADD sK I I",
    "SREM sK W I",
    "SPOP sK 2",
    "SMOVE sK sK W",
    "SUNIONSTORE sK sK sK",
    "SINTERSTORE sK sK sK",
    "SDIFFSTORE sK sK sK",
    "ZADD zK S W S W",
    "ZADD zK GT S W",
    "ZINCRBY zK S W",
    "ZREM zK W W",
    "ZPOPMIN zK 2",
    "ZREMRANGEBYRANK zK 0 1",
    "ZREMRANGEBYSCORE zK S S",
    "ZUNIONSTORE zK 2 zK sK WEIGHTS 1 2",
    "ZRANGESTORE zK zK 0 200",
    "RENAME lK lK",
    "XADD xK * W W",
    "XADD xK * W W W W",
    "XADD xK MAXLEN 30 * W W",
    "XADD xK MINID ~ 2 * W W",
    "XDEL xK 1000000-I 1000000-I",
    "XTRIM xK MAXLEN I",
    "XGROUP CREATE xK gK 0 MKSTREAM",
    "XGROUP CREATE xK g0 $ MKSTREAM",
    "XGROUP SETID xK g0 1000000-I",
    "XGROUP DELCONSUMER xK gK cK",
    "XGROUP CREATECONSUMER xK gK cK",
    "XGROUP DESTROY xK gK",
    "XREADGROUP GROUP gK cK COUNT 3 STREAMS xK >",
    "XREADGROUP GROUP g0 cK COUNT 9 NOACK STREAMS xK xK > >",
    "XREADGROUP GROUP gK cK COUNT 3 STREAMS xK 0",
    "XACK xK gK 1000000-I 1000000-I 1000000-I",
    "XCLAIM xK gK cK 0 1000000-I 1000000-I FORCE",
    "XAUTOCLAIM xK gK cK 0 0 COUNT 4",
    "XSETID xK 1000000-900000 ENTRIESADDED 999",
    "COPY xK xK REPLACE",
    "RENAME xK xK",
    "COPY zK zK REPLACE",
    "DEL hK",
];

fn command(dice: &mut Dice) -> String {
    let template = TEMPLATES[dice.roll(TEMPLATES.len())];
    let mut words = Vec::new();
    for (nth, word) in template.split(' ').enumerate() {
        words.push(match word {
            name if nth == 0 => name.to_owned(),
            "W" => dice.word(),
            "nW" => format!("n{}", dice.roll(20)),
            "I" => (dice.roll(60).to_string()).replace("59", "-3"),
            "S" => format!("{}.{}", dice.roll(50), dice.roll(4) * 25),
            key if key.ends_with('K') => key.replace('K', &dice.roll(3).to_string()),
            other => other.to_owned(),
        });
    }
    words.join(" ")
}

fn digests(store: &Store) -> Vec<u64> {
    (0..SLOT_COUNT).map(|slot| store.digest(SlotId { db: DbIndex::ZERO, slot })).collect()
}

#[test]
fn a_follower_and_a_snapshot_equal_the_primary() {
    for seed in 1..6 {
        let (mut p, mut dice) = (Primary::new(), Dice(seed));
        for _ in 0..6000 {
            p.run(&command(&mut dice));
        }
        let wanted = digests(&p.store);
        assert_eq!(digests(&p.follower()), wanted, "follower, seed {seed}");
        let mut loaded = Store::new(5);
        for slot in 0..SLOT_COUNT {
            let (slot, mut bytes) = (SlotId { db: DbIndex::ZERO, slot }, Vec::new());
            p.store.serialize_slot(slot, &mut bytes);
            loaded.load_slot(slot, Lsn::ZERO, &bytes).unwrap();
        }
        assert_eq!(digests(&loaded), wanted, "snapshot, seed {seed}");
    }
}

#[test]
fn used_memory_returns_to_nothing_when_collections_are_emptied() {
    let (mut p, mut dice) = (Primary::new(), Dice(9));
    for _ in 0..4000 {
        p.run(&command(&mut dice));
    }
    assert!(p.store.used_memory() > 0);
    for kind in ["h", "l", "s", "x", "z"] {
        for key in 0..3 {
            p.run(&format!("DEL {kind}{key}"));
        }
    }
    assert_eq!((p.store.used_memory(), p.store.dbsize(DbIndex::ZERO)), (0, 0));
}
