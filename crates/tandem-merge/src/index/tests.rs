//! What the index holds, how small, and how it goes.

use tandem_types::{DbIndex, Lsn, NodeId, SlotId, Stamp};

use super::{Index, Pending};
use crate::item::{Deadline, Key};
use crate::op::{KeyOp, Op, Origin};
use crate::spans::Spans;

fn key(number: u64) -> Key {
    Key { db: DbIndex::ZERO, name: format!("key:{number:012}").into_bytes().into() }
}

fn origin(lsn: u64) -> Origin {
    let stamp = Stamp::new((1_790_000_000_000 << 16) + lsn);
    Origin { side: NodeId::A, lsn: Lsn::new(lsn), seen: Lsn::new(70_000), stamp }
}

fn set(number: u64, value: &[u8]) -> Op {
    Op::Key(key(number), KeyOp::Set { value: value.into(), deadline: None })
}

/// A key of 16 bytes, a value of 12.
fn noted(count: u64) -> Index {
    let mut index = Index::new();
    for number in 0..count {
        index.note(&origin(number), &set(number, b"value of 12."));
    }
    index
}

#[test]
fn a_key_costs_few_bytes_while_the_peer_is_away() {
    const KEYS: u64 = 100_000;
    // Without the key and the value; with what a tree takes when two of three places are full.
    let each = |index: &Index| index.bytes() / 100_000 - 28 + 24;
    let index = noted(KEYS);
    assert_eq!(index.len(), 100_000);
    assert!(each(&index) < 64, "{} bytes a key", each(&index));
    // Written again, and the database emptied.
    let mut index = index;
    for number in 0..KEYS {
        index.note(&origin(KEYS + number), &set(number, b"value of 12."));
    }
    assert!(each(&index) < 128, "{} bytes a key that was written twice", each(&index));
    index.note(&origin(2 * KEYS), &Op::Flush(DbIndex::ZERO));
    assert!(each(&index) < 128, "{} bytes a key that was flushed", each(&index));
}

#[test]
fn what_the_peer_has_is_swept_out_in_small_steps() {
    let mut index = noted(100_000);
    index.stable(Lsn::new(60_000));
    assert_eq!(index.keys_of(DbIndex::ZERO).len(), 40_000);
    let before = index.count_within(SlotId::FIRST, SlotId::LAST);
    assert!(before > 80_000, "{before} left after one step");
    for _ in 0..20 {
        index.stable(Lsn::new(60_000));
    }
    let left = index.count_within(SlotId::FIRST, SlotId::LAST);
    assert_eq!((left, index.len()), (40_000, 40_096), "what is counted together goes together");
    assert!(index.take(&key(59_999)).is_none() && index.take(&key(60_000)).is_some());
    index.stable(Lsn::new(100_000));
    assert!(index.is_empty());
    for _ in 0..20 {
        index.stable(Lsn::new(100_000));
    }
    assert_eq!((index.count_within(SlotId::FIRST, SlotId::LAST), index.bytes()), (0, 0));
}

#[test]
fn one_after_the_other_nothing_gathers() {
    let mut index = Index::new();
    for number in 0..10_000 {
        index.note(&origin(number), &set(number, b"v"));
        index.stable(Lsn::new(number.saturating_sub(300)));
        let held = index.count_within(SlotId::FIRST, SlotId::LAST);
        assert!(held < 1_500, "{held} after {number}");
    }
}

#[test]
fn packed_is_what_was_noted() {
    let ops = [
        KeyOp::Set { value: b"v"[..].into(), deadline: None },
        KeyOp::Del,
        KeyOp::Deadline(Deadline::Never),
        KeyOp::Put(b"p"[..].into()),
        KeyOp::FieldSet(b"f"[..].into(), b"v"[..].into()),
        KeyOp::MemberDel(b"m"[..].into()),
        KeyOp::ScoreAdd(b"m"[..].into(), vec![0.5, 0.25]),
        KeyOp::List(Spans::clear()),
    ];
    for op in &ops {
        let flushes = [Lsn::new(2), Lsn::new(4)];
        let mut want = Pending::default();
        want.note(&origin(5), op, &flushes);
        let mut index = Index::new();
        for lsn in flushes {
            index.note(&origin(lsn.get()), &Op::Flush(DbIndex::ZERO));
        }
        index.note(&origin(5), &Op::Key(key(1), op.clone()));
        // A later flush is not before it.
        index.note(&origin(6), &Op::Flush(DbIndex::new(1).unwrap()));
        let found = index.take(&key(1)).unwrap();
        assert_eq!(format!("{found:?}"), format!("{want:?}"), "{op:?}");
    }
}
