//! Append, sync, rotate, read back, recover, cut, retain: without faults.

use std::io;

use tandem_disk::{Fault, Keep, SimDisk};
use tandem_types::Lsn;

use crate::testing::{SMALL, append, fresh, open, recover_all, start_epoch};
use crate::{
    Appender, CutError, Decoded, ReadError, Records, RecoverOptions, Room, SegmentWriter, Tip,
    Verify, WriteError, cut, decode, recover,
};

/// Appends, writes and syncs one record for each payload size.
fn write_all(appender: &mut Appender, writer: &mut SegmentWriter<SimDisk>, sizes: &[usize]) {
    for size in sizes {
        append(appender, &vec![u8::try_from(size % 251).unwrap(); *size]);
        let mut batch = appender.take_batch().unwrap();
        writer.write(&mut batch).unwrap();
        appender.recycle(batch);
        writer.sync().unwrap();
    }
}

fn filled(disk: &SimDisk, sizes: &[usize]) -> (Appender, SegmentWriter<SimDisk>) {
    let (mut appender, mut writer) = fresh(disk);
    start_epoch(&mut appender, 1);
    write_all(&mut appender, &mut writer, sizes);
    (appender, writer)
}

const SIZES: [usize; 12] = [100, 2000, 0, 700, 3000, 50, 9000, 1, 2, 3, 1800, 600];

#[test]
fn what_was_synced_is_recovered_after_a_power_cut() {
    let disk = SimDisk::new(1);
    let (appender, writer) = filled(&disk, &SIZES);
    assert!(writer.total_bytes() > 20_000);
    disk.crash(Keep::Nothing);
    let (recovered, seen) = recover_all(&disk).unwrap();
    assert_eq!(recovered.tip(), appender.tip());
    assert_eq!(recovered.history().starts().len(), 1);
    let sizes: Vec<usize> = seen.iter().skip(1).map(|(_, payload)| payload.len()).collect();
    assert_eq!(sizes, SIZES);
    assert!(seen.iter().map(|(lsn, _)| *lsn).eq(0..13));
    assert!(recovered.torn().is_none());
    assert!(recovered.rewritten().is_some());
    // Once rewritten, proven.
    assert!(recover_all(&disk).unwrap().0.rewritten().is_none());
}

#[test]
fn a_log_that_was_closed_needs_no_rewriting() {
    let disk = SimDisk::new(1);
    let (appender, mut writer) = filled(&disk, &SIZES);
    writer.close().unwrap();
    disk.crash(Keep::Nothing);
    let (recovered, _) = recover_all(&disk).unwrap();
    assert_eq!((recovered.tip(), recovered.rewritten()), (appender.tip(), None));
}

#[test]
fn a_log_goes_on_after_every_restart() {
    let disk = SimDisk::new(1);
    drop(filled(&disk, &[10]));
    for round in 1..6u64 {
        disk.crash(Keep::Nothing);
        let (mut appender, mut writer) = open(&disk);
        assert_eq!(appender.appended_end(), Lsn::new(1 + round));
        if round % 2 == 0 {
            // Nothing written: the empty segment is replaced by the next start.
            writer.prepare().unwrap();
            let (again, _) = recover_all(&disk).unwrap();
            writer = SegmentWriter::open(disk.clone(), &again, SMALL);
        }
        write_all(&mut appender, &mut writer, &[10]);
    }
}

#[test]
fn readers_give_the_same_bytes_as_the_appender_from_everywhere() {
    let disk = SimDisk::new(1);
    let (mut appender, mut writer) = fresh(&disk);
    start_epoch(&mut appender, 1);
    let mut all = Vec::new();
    let mut ends = Vec::new();
    for size in SIZES {
        append(&mut appender, &vec![9; size]);
        append(&mut appender, b"small");
        let mut batch = appender.take_batch().unwrap();
        writer.write(&mut batch).unwrap();
        let mut records = Records::new(batch.records(), batch.before());
        while records.next().is_some() {
            ends.push(all.len() + records.offset());
        }
        all.extend_from_slice(batch.records());
    }
    let end = appender.appended_end();
    for bytes_max in [1, 300, 5000, 1 << 20] {
        let mut reader = writer.reader();
        for from in 0..end.get() {
            let start = from.checked_sub(1).map_or(0, |at| ends[usize::try_from(at).unwrap()]);
            let mut out = Vec::new();
            let next = reader.read(Lsn::new(from), end, bytes_max, &mut out).unwrap();
            let stop = ends[usize::try_from(next.get()).unwrap() - 1];
            assert!(out == all[start..stop], "from {from}, {bytes_max}");
            assert!(out.len() <= bytes_max || next == Lsn::new(from + 1));
        }
        let (mut at, mut out) = (Lsn::ZERO, Vec::new());
        while at < end {
            at = reader.read(at, end, bytes_max, &mut out).unwrap();
        }
        assert!(out == all);
    }
}

#[test]
fn a_reader_follows_the_writer() {
    let disk = SimDisk::new(1);
    let (mut appender, mut writer) = filled(&disk, &[10]);
    let mut reader = writer.reader();
    let (mut at, mut tip) = (Lsn::ZERO, Tip::EMPTY);
    for size in SIZES {
        let mut out = Vec::new();
        at = reader.read(at, appender.appended_end(), 1 << 20, &mut out).unwrap();
        assert_eq!(at, appender.appended_end());
        let mut records = Records::new(&out, tip);
        assert!(records.by_ref().all(|record| record.is_ok()));
        tip = records.tip();
        write_all(&mut appender, &mut writer, &[size]);
    }
}

#[test]
fn retained_away_segments_are_gone_and_the_rest_is_whole() {
    let disk = SimDisk::new(1);
    let (mut appender, mut writer) = filled(&disk, &SIZES);
    let mut reader = writer.reader();
    let removed = writer.retain(Lsn::new(8)).unwrap();
    assert!(removed > 1);
    let oldest = writer.oldest();
    assert!(oldest <= Lsn::new(8) && oldest > Lsn::ZERO);
    let gone = reader.read(Lsn::ZERO, appender.appended_end(), 1, &mut Vec::new());
    assert!(matches!(gone, Err(ReadError::Gone { .. })));
    write_all(&mut appender, &mut writer, &SIZES);
    disk.crash(Keep::Nothing);
    let (recovered, seen) = recover_all(&disk).unwrap();
    assert_eq!((recovered.tip(), recovered.oldest()), (appender.tip(), oldest));
    assert_eq!(recovered.history().starts().len(), 1);
    assert_eq!(seen.first().unwrap().0, oldest.get());
    // Everything may go but the segment in use.
    let (_, mut writer) = open(&disk);
    writer.prepare().unwrap();
    writer.retain(Lsn::MAX).unwrap();
    assert_eq!(writer.oldest(), appender.appended_end());
}

#[test]
fn a_cut_log_ends_there_and_goes_on_under_a_later_epoch() {
    for to in 1..13 {
        let disk = SimDisk::new(1);
        drop(filled(&disk, &SIZES));
        let report = cut(&disk, "", Lsn::new(to)).unwrap();
        assert_eq!(report.end, Lsn::new(to));
        disk.crash(Keep::Nothing);
        let (mut appender, mut writer) = open(&disk);
        assert_eq!(appender.appended_end(), Lsn::new(to));
        start_epoch(&mut appender, 2);
        write_all(&mut appender, &mut writer, &SIZES);
        let (recovered, _) = recover_all(&disk).unwrap();
        assert_eq!(recovered.tip(), appender.tip());
        assert_eq!(recovered.history().starts().len(), 2);
    }
}

#[test]
fn a_cut_beyond_the_end_changes_nothing_and_one_before_the_start_is_refused() {
    let disk = SimDisk::new(1);
    let (appender, mut writer) = filled(&disk, &SIZES);
    assert_eq!(cut(&disk, "", Lsn::new(1000)).unwrap().end, appender.appended_end());
    writer.retain(Lsn::new(8)).unwrap();
    assert!(matches!(cut(&disk, "", Lsn::new(1)), Err(CutError::BeforeOldest { .. })));
}

#[test]
fn old_segments_are_not_read_when_they_are_not_needed() {
    let disk = SimDisk::new(1);
    let (appender, _) = filled(&disk, &SIZES);
    // Damage to a record that nobody needs.
    disk.flip("00000000000000000000.log", 600, 1).unwrap();
    let from = Lsn::new(9);
    let options = RecoverOptions { pair: crate::testing::PAIR, from, verify: Verify::Needed };
    let mut first = None;
    let recovered = recover(&disk, "", &options, &mut |record| {
        first.get_or_insert(record.lsn);
        Ok(())
    })
    .unwrap();
    assert_eq!((recovered.tip(), first), (appender.tip(), Some(from)));
    let mut records = Vec::new();
    let mut reader = SegmentWriter::open(disk.clone(), &recovered, SMALL).reader();
    reader.read(from, from.next(), 1, &mut records).unwrap();
    let Decoded::Record(record) = decode(&records) else { panic!("no record") };
    assert_eq!(recovered.chain_from(), Some(record.chain_before));
    recover_all(&disk).unwrap_err();
}

#[test]
fn after_the_first_failure_the_log_stays_stopped() {
    let disk = SimDisk::new(1);
    let (mut appender, mut writer) = filled(&disk, &[10]);
    append(&mut appender, b"x");
    let mut batch = appender.take_batch().unwrap();
    writer.write(&mut batch).unwrap();
    let durable = writer.durable_end();
    disk.plan(disk.operations(), Fault::LostSync);
    assert!(matches!(writer.sync(), Err(WriteError::Failed { op: "sync", .. })));
    let operations = disk.operations();
    writer.sync().unwrap_err();
    writer.write(&mut batch).unwrap_err();
    writer.prepare().unwrap_err();
    writer.retain(Lsn::MAX).unwrap_err();
    writer.close().unwrap_err();
    assert_eq!((disk.operations(), writer.durable_end()), (operations, durable));
}

#[test]
fn what_only_the_page_cache_held_is_durable_once_it_is_recovered() {
    let disk = SimDisk::new(1);
    let (mut appender, mut writer) = filled(&disk, &[10]);
    append(&mut appender, b"in the page cache only");
    let mut batch = appender.take_batch().unwrap();
    writer.write(&mut batch).unwrap();
    disk.plan(disk.operations(), Fault::LostSync);
    writer.sync().unwrap_err();
    disk.restart();
    let (recovered, _) = recover_all(&disk).unwrap();
    assert_eq!(recovered.tip(), appender.tip());
    disk.crash(Keep::Nothing);
    assert_eq!(recover_all(&disk).unwrap().0.tip(), appender.tip());
}

#[test]
fn a_full_disk_stops_writes_before_anything_is_written_and_goes_on_when_there_is_space() {
    let disk = SimDisk::new(1);
    let (mut appender, mut writer) = filled(&disk, &[10]);
    assert_eq!(writer.room(), Room::Ample);
    // Room for the segment in use and its spare, and no more.
    disk.set_capacity(Some(disk.used_bytes()));
    let mut refused = None;
    for _ in 0..100 {
        append(&mut appender, &[5; 400]);
        let mut batch = appender.take_batch().unwrap();
        match writer.write(&mut batch) {
            Ok(()) => writer.sync().unwrap(),
            Err(WriteError::Full) => {
                refused = Some(batch);
                break;
            }
            Err(error) => panic!("{error}"),
        };
    }
    let mut batch = refused.expect("the disk was too small to hold everything");
    assert_eq!(writer.room(), Room::Low);
    assert_eq!(writer.prepare().unwrap(), Room::Low);
    assert!(matches!(writer.write(&mut batch), Err(WriteError::Full)));
    // Reads go on, and a restart works without any space.
    let mut out = Vec::new();
    writer.reader().read(Lsn::ZERO, writer.tip().end, 1 << 20, &mut out).unwrap();
    let copy = disk.fork();
    copy.restart();
    assert_eq!(recover_all(&copy).unwrap().0.tip(), writer.tip());
    copy.crash(Keep::Nothing);
    assert_eq!(recover_all(&copy).unwrap().0.tip(), writer.tip());
    // Space comes back.
    disk.set_capacity(None);
    assert_eq!(writer.prepare().unwrap(), Room::Ample);
    writer.write(&mut batch).unwrap();
    writer.sync().unwrap();
    disk.crash(Keep::Nothing);
    assert_eq!(recover_all(&disk).unwrap().0.tip(), appender.tip());
}

#[test]
fn no_space_in_the_middle_of_a_write_is_a_failure_for_good() {
    let disk = SimDisk::new(1);
    let (mut appender, mut writer) = filled(&disk, &[10]);
    append(&mut appender, b"x");
    let mut batch = appender.take_batch().unwrap();
    let kind = io::ErrorKind::StorageFull;
    disk.plan(disk.operations(), Fault::ShortWrite { bytes: 20, kind });
    assert!(matches!(writer.write(&mut batch), Err(WriteError::Failed { .. })));
    assert!(matches!(writer.write(&mut batch), Err(WriteError::Failed { .. })));
    disk.restart();
    let (recovered, _) = recover_all(&disk).unwrap();
    assert_eq!(recovered.tip(), writer.tip());
    assert!(recovered.torn().is_some());
}
