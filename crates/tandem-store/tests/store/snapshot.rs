//! Slots survive the trip through bytes, also when they are taken one by one while writes go on.

use proptest::prelude::*;
use tandem_store::{LoadSlotError, SlotLsns, Store, slot_of};
use tandem_types::{DbIndex, Lsn, SlotId};

use crate::harness::Primary;
use crate::replay::{Step, assert_equal, perform, step};

/// The slots that the tests' keys live in.
fn slots() -> Vec<SlotId> {
    let mut slots = Vec::new();
    for db in [0, 1].map(|db| DbIndex::new(db).unwrap()) {
        for key in ["a", "b", "c", "d", "e", "f"] {
            slots.push(SlotId { db, slot: slot_of(key.as_bytes()) });
        }
    }
    slots
}

/// A snapshot: each slot as bytes, and the log's end when it was taken.
fn take(p: &Primary, slot: SlotId) -> (SlotId, Lsn, Vec<u8>) {
    let mut bytes = Vec::new();
    p.store.serialize_slot(slot, &mut bytes);
    (slot, p.end(), bytes)
}

fn load(chunks: &[(SlotId, Lsn, Vec<u8>)]) -> (Store, SlotLsns) {
    let (mut store, mut lsns) = (Store::new(77), SlotLsns::new());
    for (slot, lsn, bytes) in chunks {
        store.load_slot(*slot, *lsn, bytes).unwrap();
        lsns.set(*slot, *lsn);
    }
    (store, lsns)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_loaded_snapshot_is_equal(steps in prop::collection::vec(step(), 1..100)) {
        let mut p = Primary::new();
        for step in &steps {
            perform(&mut p, step);
        }
        let chunks: Vec<_> = slots().into_iter().map(|slot| take(&p, slot)).collect();
        assert_equal(&p.store, &load(&chunks).0);
    }

    #[test]
    fn a_fuzzy_snapshot_and_the_log_after_its_start_make_the_store(
        before in prop::collection::vec(step(), 0..40),
        during in prop::collection::vec(prop::collection::vec(step(), 0..8), 12),
    ) {
        let mut p = Primary::new();
        for step in &before {
            perform(&mut p, step);
        }
        let start = p.log.len();
        let mut chunks = Vec::new();
        for (slot, steps) in slots().into_iter().zip(&during) {
            for step in steps {
                perform(&mut p, step);
            }
            chunks.push(take(&p, slot));
        }
        let (mut store, mut lsns) = load(&chunks);
        // The slots without our keys were walked too; where and when does not matter.
        let mut at = Some(SlotId::FIRST);
        while let Some(slot) = at {
            if lsns.get(slot) == Lsn::ZERO {
                lsns.set(slot, Lsn::new(u64::try_from(start).unwrap()));
            }
            at = slot.next();
        }
        for (index, effects) in p.log.iter().enumerate().skip(start) {
            store.apply(Lsn::new(u64::try_from(index).unwrap()), effects, Some(&lsns)).unwrap();
        }
        assert_equal(&p.store, &store);
    }

    #[test]
    fn random_bytes_are_refused_and_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        let mut versioned = vec![1, 3];
        versioned.extend_from_slice(&bytes);
        for bytes in [bytes, versioned] {
            if let Err(error) = Store::new(1).load_slot(SlotId::FIRST, Lsn::ZERO, &bytes) {
                prop_assert!(!error.to_string().is_empty());
            }
        }
    }
}

#[test]
fn an_expired_key_is_part_of_a_snapshot() {
    let mut p = Primary::new();
    perform(&mut p, &Step::Run("SET a v PX 10".to_owned()));
    p.pass(1000);
    let slot = SlotId { db: DbIndex::ZERO, slot: slot_of(b"a") };
    let (store, _) = load(&[take(&p, slot)]);
    assert_eq!(store.dbsize(DbIndex::ZERO), 1);
    assert_eq!(store.digest(slot), p.store.digest(slot));
}

#[test]
fn a_key_in_the_wrong_slot_is_refused() {
    let mut p = Primary::new();
    p.run("SET a v");
    let right = SlotId { db: DbIndex::ZERO, slot: slot_of(b"a") };
    let wrong = SlotId { db: DbIndex::ZERO, slot: right.slot + 1 };
    let (_, lsn, bytes) = take(&p, right);
    assert_eq!(Store::new(1).load_slot(wrong, lsn, &bytes), Err(LoadSlotError::ForeignKey));
    let mut store = Store::new(1);
    store.load_slot(right, lsn, &bytes).unwrap();
    assert_eq!(store.load_slot(right, lsn, &bytes), Err(LoadSlotError::NotEmpty));
}

#[test]
fn replies_of_a_loaded_store_depend_on_the_whole_log_it_had() {
    let mut p = Primary::new();
    p.store.raise_seen_floor(Lsn::new(40));
    p.run("GET anything");
    assert_eq!(p.seen, Lsn::new(40));
}
