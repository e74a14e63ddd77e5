//! Bounds, names, and what a snapshot holds.

use tandem_merge::conflict::Party;
use tandem_types::{DbIndex, NodeId, Stamp};

use super::*;

fn conflict(name: &str, bytes: usize) -> Conflict {
    let party = |side| Party {
        side,
        lsn: Lsn::new(3),
        stamp: Stamp::new(9),
        value: Some(vec![b'v'; bytes].into()),
    };
    Conflict {
        kind: Kind::Lww,
        key: Key { db: DbIndex::ZERO, name: name.as_bytes().into() },
        item: Item::String,
        winner: party(NodeId::A),
        loser: party(NodeId::B),
    }
}

#[test]
fn it_is_bounded_by_number_and_by_bytes() {
    let newest = Some(ConflictId::new(Lsn::new(50_000), 0));
    let files = Numbering { newest, ..Numbering::default() };
    let mut log = ConflictLog { files, ..ConflictLog::default() };
    for lsn in 1..=12_000 {
        log.push(Lsn::new(lsn), conflict("k", 10), false);
    }
    assert_eq!(log.entries.len(), ENTRIES_MAX);
    assert_eq!(log.entries[0].id.to_string(), "2001-0");
    for lsn in 20_000..22_000 {
        log.push(Lsn::new(lsn), conflict("k", 60_000), false);
    }
    assert!(log.bytes <= BYTES_MAX && log.entries.len() < 1_000, "{}", log.entries.len());
    assert_eq!(log.counts().find(|(kind, _)| *kind == Kind::Lww).unwrap().1, 14_000);
}

#[test]
fn names_rise_beyond_what_is_on_disk_and_what_leaves_unwritten_is_counted() {
    let files = Numbering { base: 1_000, ..Numbering::default() };
    let mut log = ConflictLog { files, ..ConflictLog::default() };
    for lsn in 1..=10_002 {
        log.push(Lsn::new(lsn), conflict("k", 1), false);
    }
    assert_eq!(log.entries[0].id.to_string(), "1001-0", "they are not on disk yet");
    log.files.newest = Some(log.entries[0].id);
    log.push(Lsn::new(10_003), conflict("k", 1), false);
    assert_eq!((log.entries[0].id.to_string().as_str(), log.lost), ("1002-0", 0));
    for lsn in 20_000..22_000 {
        log.push(Lsn::new(lsn), conflict("k", 60_000), false);
    }
    assert_eq!(log.lost, 12_002 - u64::try_from(log.entries.len()).unwrap());
}

#[test]
fn what_a_snapshot_holds_is_not_told_twice() {
    let mut log = ConflictLog::default();
    log.push(Lsn::new(7), conflict("a", 1), false);
    log.push(Lsn::new(7), conflict("b", 1), true);
    log.resolve(&conflict("a", 1).key, &Item::Key);
    let mut back = ConflictLog::decode(&log.encode()).unwrap();
    assert_eq!(back.entries, log.entries);
    assert_eq!(back.entries[1].conflict.kind, Kind::Nx);
    back.push(Lsn::new(6), conflict("c", 1), false);
    back.push(Lsn::new(8), conflict("d", 1), false);
    let ids: Vec<_> = back.entries.iter().map(|entry| entry.id.to_string()).collect();
    assert_eq!(ids, ["7-0", "7-1", "8-0"]);
    assert_eq!(ConflictId::parse(b"7-1"), Some(log.entries[1].id));
    assert_eq!(ConflictId::parse(b"x"), None);
}
