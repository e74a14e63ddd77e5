//! Starts, torn ends, damage, full disks, and what goes by age.

use tandem_disk::SimDisk;
use tandem_merge::Conflict;
use tandem_merge::conflict::{Item, Kind, Party};
use tandem_types::{DbIndex, Lsn, NodeId, Stamp};

use super::*;

const BOUNDS: MergeLogBounds =
    MergeLogBounds { bytes_max: 1 << 30, age_max: Duration::from_hours(7 * 24) };
const DAY: u64 = 24 * 3_600_000;

fn entry(position: u64, time: u64, bytes: usize) -> ConflictEntry {
    let party = |side| Party {
        side,
        lsn: Lsn::new(position),
        stamp: Stamp::ZERO.tick(WallMillis::new(time)),
        value: Some(vec![b'v'; bytes].into()),
    };
    let conflict = Conflict {
        kind: Kind::Lww,
        key: tandem_merge::Key { db: DbIndex::ZERO, name: b"k"[..].into() },
        item: Item::String,
        winner: party(NodeId::A),
        loser: party(NodeId::B),
    };
    ConflictEntry { id: ConflictId::new(Lsn::new(position), 0), conflict, resolved: Some(false) }
}

fn append(
    log: &mut MergeLog<SimDisk>,
    positions: std::ops::Range<u64>,
    now: u64,
    bytes: usize,
) -> MergeLogNews {
    let mut entries = Vec::new();
    for position in positions {
        entry(position, now, bytes).encode(&mut entries);
    }
    log.carry_out(MergeLogOrder::Append { entries, now: WallMillis::new(now) })
}

fn positions(log: &mut MergeLog<SimDisk>, now: u64) -> (Vec<u64>, Vec<String>) {
    let filter = Box::default();
    let order = MergeLogOrder::Read { token: 1, filter, before: None, now: WallMillis::new(now) };
    let MergeLogNews::Read { entries, damaged, .. } = log.carry_out(order) else { panic!("read") };
    (entries.iter().map(|entry| entry.id.lsn_end().get()).collect(), damaged)
}

fn open(disk: &SimDisk, incarnation: u64) -> (MergeLog<SimDisk>, Numbering) {
    let life = Life { incarnation: Incarnation::new(incarnation), generation: 1 };
    let numbering = number_conflicts(disk, life).unwrap();
    (MergeLog::new(disk.clone(), life, BOUNDS), numbering)
}

#[test]
fn what_was_written_is_there_after_a_start_and_names_go_on() {
    let disk = SimDisk::new(1);
    let (mut log, numbering) = open(&disk, 7);
    assert_eq!(numbering, Numbering::default());
    append(&mut log, 3..6, DAY, 10);
    append(&mut log, 6..8, DAY, 10);
    let (mut log, numbering) = open(&disk, 7);
    assert_eq!(numbering.base, 0);
    assert_eq!(numbering.newest.unwrap().to_string(), "7-0");
    append(&mut log, 8..9, DAY, 10);
    assert_eq!(positions(&mut log, DAY), ((3..9).collect(), vec![]));
    // The directory begins anew, with records from zero.
    let (_, numbering) = open(&disk, 8);
    assert_eq!(numbering.base, 9);
}

#[test]
fn a_torn_end_is_the_end_and_damage_is_told() {
    let disk = SimDisk::new(1);
    let (mut log, _) = open(&disk, 7);
    append(&mut log, 1..4, DAY, 10);
    let (mut log, _) = open(&disk, 7);
    append(&mut log, 4..6, DAY, 10);
    let names: Vec<String> = list(&disk).unwrap().into_iter().map(|it| it.name).collect();
    let file = disk.open(&path(&names[1]), Access::Write).unwrap();
    file.set_len(file.len().unwrap() - 3).unwrap();
    let (mut log, numbering) = open(&disk, 7);
    assert_eq!(numbering.newest.unwrap().to_string(), "4-0");
    assert_eq!(positions(&mut log, DAY), (vec![1, 2, 3, 4], vec![]));
    let file = disk.open(&path(&names[0]), Access::Write).unwrap();
    file.write_at(60, b"damage").unwrap();
    let (found, damaged) = positions(&mut log, DAY);
    assert_eq!(found, [4]);
    assert_eq!(damaged, [format!("{}: its end cannot be read", names[0])]);
    // Even a file that is no segment at all stops nobody.
    file.set_len(0).unwrap();
    disk.open(&path(&names[1]), Access::Write).unwrap().set_len(5).unwrap();
    let (mut log, numbering) = open(&disk, 7);
    assert_eq!(numbering.newest, None);
    append(&mut log, 9..10, DAY, 10);
    assert_eq!(positions(&mut log, DAY).0, [9]);
}

#[test]
fn old_segments_go_by_age_and_by_bytes() {
    let disk = SimDisk::new(1);
    let life = Life { incarnation: Incarnation::new(7), generation: 1 };
    let bounds = MergeLogBounds { bytes_max: 20 << 20, ..BOUNDS };
    let mut log = MergeLog::new(disk.clone(), life, bounds);
    for number in 0..12 {
        append(&mut log, number * 40..number * 40 + 40, DAY, 32 << 10);
    }
    let total: u64 = list(&disk).unwrap().iter().map(|segment| segment.bytes).sum();
    assert!(total <= 20 << 20, "{total}");
    for day in 2..12 {
        append(&mut log, day * 1_000..day * 1_000 + 1, day * DAY, 10);
    }
    let (found, _) = positions(&mut log, 11 * DAY + DAY / 2);
    assert_eq!(found, (5..12).map(|day| day * 1_000).collect::<Vec<_>>());
    // Also those that nothing was written after.
    assert_eq!(positions(&mut log, 30 * DAY).0, Vec::<u64>::new());
}

#[test]
fn a_full_disk_is_told_and_what_follows_is_written_to_another_file() {
    let disk = SimDisk::new(1);
    let (mut log, _) = open(&disk, 7);
    append(&mut log, 1..2, DAY, 10);
    disk.set_capacity(Some(disk.used_bytes()));
    let news = append(&mut log, 2..3, DAY, 10_000);
    assert!(matches!(news, MergeLogNews::Failed(_)), "{news:?}");
    disk.set_capacity(None);
    let news = append(&mut log, 2..4, DAY, 10);
    assert!(matches!(news, MergeLogNews::Written { .. }), "{news:?}");
    assert_eq!(positions(&mut log, DAY), (vec![1, 2, 3], vec![]));
}
