//! Which answers are which life, and what a view is made of.

use tandem_types::{Epoch, NodeId};

use super::*;
use crate::value::tests::{boot, presence, record};

const NOW: Monotonic = Monotonic::from_millis(5);

fn known() -> Known {
    Known::new(Keys::new("main"))
}

/// The record's key, created and last written at these revisions.
#[derive(Clone, Copy)]
struct At {
    cluster: u64,
    store: u64,
    created: u64,
    written: u64,
    mark: u64,
}

const FIRST: At = At { cluster: 1, store: 9, created: 4, written: 8, mark: 77 };

fn key_value(key: &str, value: Vec<u8>, created: u64, written: u64) -> KeyValue {
    KeyValue { key: key.into(), value, create_revision: created, mod_revision: written, lease: 0 }
}

fn answer(cluster: u64, store: u64, record: Vec<KeyValue>, presences: Vec<KeyValue>) -> TxnAnswer {
    let part = |kvs| gateway::Part { response_range: Some(RangePart { kvs }) };
    TxnAnswer {
        header: Header { cluster_id: cluster, revision: store, raft_term: 2 },
        succeeded: false,
        responses: vec![part(record), part(presences)],
    }
}

fn holding(at: At) -> TxnAnswer {
    let kept = Kept { mark: at.mark, record: record(7, NodeId::A) };
    let value = value::encode_record(&kept);
    let found = key_value("/tandem/main/record", value, at.created, at.written);
    answer(at.cluster, at.store, vec![found], vec![])
}

fn see(known: &mut Known, at: At) -> Revision {
    match known.learn(&holding(at), 0, NOW).unwrap().record {
        RecordState::Present { revision, .. } => revision,
        other => panic!("{other:?}"),
    }
}

#[test]
fn one_history_is_one_life_whatever_is_written() {
    let mut known = known();
    let first = see(&mut known, FIRST);
    assert_eq!(first.version, 8);
    let later = see(&mut known, At { store: 12, written: 11, ..FIRST });
    assert_eq!(later, Revision { version: 11, ..first });
    assert_eq!(see(&mut self::known(), FIRST), first, "another client gives it the same name");
}

#[test]
fn whatever_was_lost_wiped_restored_or_replaced_is_another_life() {
    for (name, then) in [
        ("deleted and written anew", At { store: 20, created: 15, written: 15, ..FIRST }),
        ("wiped, with the same ids and revisions", At { mark: 78, ..FIRST }),
        ("another cluster", At { cluster: 2, ..FIRST }),
        ("restored", At { store: 7, written: 5, ..FIRST }),
        ("restored to after the record was written", At { store: 8, ..FIRST }),
        ("restored, and much has happened since", At { store: 90, written: 5, ..FIRST }),
    ] {
        let mut known = known();
        let before = see(&mut known, FIRST);
        let after = see(&mut known, then);
        assert_ne!(before.life, after.life, "{name}");
        assert!(!known.is_expected(Some(before)) && known.is_expected(Some(after)), "{name}");
        assert_eq!(see(&mut known, then), after, "{name}: from then on it is the same");
    }
}

#[test]
fn the_first_change_after_a_return_tells_everybody_that_it_is_another_life() {
    let mut known = known();
    see(&mut known, FIRST);
    let expect = Some(see(&mut known, At { store: 7, written: 5, ..FIRST }));
    let change = Change { expect, record: record(8, NodeId::B), unless_present: None };
    let kept = value::decode_record(&known.value_of(&change, 1234)).unwrap();
    assert_eq!(kept.mark, 1234);
}

#[test]
fn a_change_compares_revision_and_bytes_and_that_very_boot() {
    let mut known = known();
    let expect = Some(see(&mut known, FIRST));
    let unless_present = Some((NodeId::A, boot(3)));
    let change = Change { expect, record: record(8, NodeId::B), unless_present };
    let txn = known.change(&change, 1234);
    let targets: Vec<&str> =
        txn["compare"].as_array().unwrap().iter().filter_map(|it| it["target"].as_str()).collect();
    assert_eq!(targets, ["MOD", "CREATE", "VALUE", "VERSION"]);
    let kept = value::decode_record(&known.value_of(&change, 1234)).unwrap();
    assert_eq!(kept, Kept { mark: 77, record: change.record });
    let first = Change { expect: None, ..change };
    let targets = known.change(&first, 1234)["compare"].as_array().unwrap().len();
    assert_eq!(targets, 2, "the record is absent, and so is the boot");
}

#[test]
fn a_view_has_the_latest_boot_of_each_node_and_nothing_that_cannot_be_read() {
    let mut known = known();
    let keys = Keys::new("main");
    let of = |node, number: u64| {
        key_value(
            &keys.presence(node, boot(number)),
            value::encode_presence(&presence(number)),
            5,
            5,
        )
    };
    let lying =
        key_value(&keys.presence(NodeId::A, boot(9)), value::encode_presence(&presence(1)), 5, 5);
    let garbage = key_value(&keys.presence(NodeId::A, boot(8)), b"\xff{".to_vec(), 5, 5);
    let odd = key_value("/tandem/main/presence/x", vec![], 5, 5);
    let presences = vec![lying, garbage, odd, of(NodeId::A, 6), of(NodeId::A, 3)];
    let view = known.learn(&answer(1, 9, vec![], presences), 0, NOW).unwrap();
    assert_eq!(view.record, RecordState::Absent);
    assert_eq!(view.present, Pair { a: Some(presence(6)), b: None });
    assert_eq!(view.asked, Some(NOW));
}

#[test]
fn what_is_no_record_is_said_to_be_unreadable_and_is_never_expected() {
    let mut known = known();
    let before = see(&mut known, FIRST);
    let huge = key_value("/tandem/main/record", vec![b'x'; 100_000], 4, 10);
    let view = known.learn(&answer(1, 11, vec![huge], vec![]), 0, NOW).unwrap();
    let RecordState::Unreadable { reason } = view.record else { panic!("{view:?}") };
    assert!(reason.contains("100000 bytes") && reason.contains("/tandem/main/record"), "{reason}");
    assert!(!known.is_expected(Some(before)));
    assert_eq!(record(7, NodeId::A).epoch, Epoch::new(7));
    let short = TxnAnswer { responses: vec![], ..answer(1, 11, vec![], vec![]) };
    assert!(known.learn(&short, 0, NOW).is_err());
}
