//! A snapshot comes back as it was written, or not at all.

use tandem_disk::{Access, Disk, DiskFile, Fault, Keep, SimDisk};
use tandem_types::{
    Chain, DbIndex, Epoch, EpochHistory, EpochStart, ForkId, Lsn, PairId, SlotId, Stamp,
};

use super::*;

const PAIR: PairId = PairId::new(7);

fn header() -> Header {
    let start = EpochStart { epoch: Epoch::new(1), fork: ForkId::new(5), first: Lsn::ZERO };
    Header {
        pair_id: PAIR,
        start: Lsn::new(10),
        chain: Chain::new(99),
        epoch: Epoch::new(1),
        stamp: Stamp::new(1234),
        history: EpochHistory::from_starts(vec![start]).unwrap(),
        beside: Vec::new(),
    }
}

/// With and without something beside the slots.
fn headers() -> [Header; 2] {
    [header(), Header { beside: b"what stands beside".to_vec(), ..header() }]
}

fn slot(number: u16) -> SlotId {
    SlotId { db: DbIndex::ZERO, slot: number }
}

type Owned = (Lsn, SlotId, SlotId, Vec<u8>);

fn chunks() -> Vec<Owned> {
    vec![
        (Lsn::new(10), slot(0), slot(3), b"abc".to_vec()),
        (Lsn::new(12), slot(4), slot(9), vec![b'x'; 3000]),
        (Lsn::new(12), slot(10), slot(4095), Vec::new()),
    ]
}

fn write(disk: &SimDisk, end: u64) -> SnapshotName {
    write_with(disk, &header(), end)
}

fn write_with(disk: &SimDisk, header: &Header, end: u64) -> SnapshotName {
    let mut writer = SnapshotWriter::begin(disk.clone(), "gen-0", header).unwrap();
    for (lsn, first, last, bytes) in chunks() {
        writer.chunk(&Chunk { lsn, first, last, bytes: &bytes }).unwrap();
    }
    writer.finish(Lsn::new(end)).unwrap()
}

fn disk() -> SimDisk {
    let disk = SimDisk::new(1);
    disk.create_dir("gen-0").unwrap();
    disk
}

fn read_all(disk: &SimDisk, name: SnapshotName) -> Result<(Finished, Vec<Owned>), ReadError> {
    let mut seen = Vec::new();
    let finished = read(disk, "gen-0", name, PAIR, &mut |chunk| {
        seen.push((chunk.lsn, chunk.first, chunk.last, chunk.bytes.to_vec()));
        Ok(())
    })?;
    Ok((finished, seen))
}

#[test]
fn what_was_written_comes_back() {
    for header in headers() {
        let disk = disk();
        let name = write_with(&disk, &header, 15);
        let (finished, seen) = read_all(&disk, name).unwrap();
        assert_eq!(read_header(&disk, "gen-0", name, PAIR).unwrap(), header);
        assert_eq!(finished, Finished { header, end: Lsn::new(15), chunks: 3 });
        assert_eq!(seen, chunks());
        assert_eq!(list(&disk, "gen-0").unwrap(), [name]);
    }
}

#[test]
fn every_flipped_bit_and_every_cut_is_noticed() {
    headers().iter().for_each(every_damage_is_noticed);
}

fn every_damage_is_noticed(header: &Header) {
    let disk = disk();
    let name = write_with(&disk, header, 15);
    let path = format!("gen-0/{name}");
    let file = disk.open(&path, Access::Write).unwrap();
    let good = file.read_all(1 << 20).unwrap();
    for at in 0..good.len() {
        for bit in [0x01, 0x80] {
            file.write_at(at as u64, &[good[at] ^ bit]).unwrap();
            assert!(
                read_all(&disk, name).is_err() || is_padding(&good, header.encode().len(), at),
                "bit {bit:#x} of byte {at}"
            );
        }
        file.write_at(at as u64, &good[at..=at]).unwrap();
    }
    for len in 0..good.len() {
        file.set_len(len as u64).unwrap();
        assert!(read_all(&disk, name).is_err(), "cut to {len}");
        file.write_at(0, &good).unwrap();
    }
    read_all(&disk, name).unwrap();
    file.write_at(good.len() as u64, b"x").unwrap();
    assert!(read_all(&disk, name).is_err(), "a byte too many");
}

/// Bytes that mean nothing: the four after each chunk's checksum.
fn is_padding(good: &[u8], header_len: usize, at: usize) -> bool {
    let mut offset = header_len;
    while offset < good.len() {
        if (offset + 36..offset + 40).contains(&at) {
            return true;
        }
        let stored = u64::from_le_bytes(good[offset + 24..offset + 32].try_into().unwrap());
        offset += 40 + if good[offset] == 1 { usize::try_from(stored).unwrap() } else { 0 };
    }
    false
}

#[test]
fn another_pairs_snapshot_is_refused() {
    let disk = disk();
    let name = write(&disk, 15);
    let other = read(&disk, "gen-0", name, PairId::new(8), &mut |_| Ok(()));
    assert!(matches!(other, Err(ReadError::ForeignPair { .. })));
}

#[test]
fn a_crash_at_any_operation_leaves_no_snapshot_or_a_whole_one() {
    for operations in 0.. {
        let disk = disk();
        disk.sync_dir("").unwrap();
        disk.sync_dir("gen-0").unwrap();
        disk.power_off_after(Some(disk.operations() + operations));
        let done = try_write(&disk);
        assert!(disk.pending_units() <= 10, "{} units", disk.pending_units());
        for mask in 0..1u64 << disk.pending_units() {
            let copy = disk.fork();
            copy.crash(Keep::Mask(mask));
            whole_or_none(&copy);
            if let Ok(name) = &done {
                assert_eq!(list(&copy, "gen-0").unwrap(), [*name], "mask {mask:b}");
            }
        }
        if done.is_ok() {
            break;
        }
    }
}

#[test]
fn a_failed_operation_leaves_no_snapshot_or_a_whole_one_in_the_cache_and_on_the_disk() {
    let kind = std::io::ErrorKind::StorageFull;
    for fault in [Fault::LostSync, Fault::Error(kind), Fault::ShortWrite { bytes: 70, kind }] {
        for number in 0.. {
            let disk = disk();
            disk.sync_dir("").unwrap();
            disk.plan(disk.operations() + number, fault);
            if try_write(&disk).is_ok() {
                break;
            }
            whole_or_none(&disk.fork());
            for mask in 0..1u64 << disk.pending_units() {
                let copy = disk.fork();
                copy.crash(Keep::Mask(mask));
                whole_or_none(&copy);
            }
        }
    }
}

fn try_write(disk: &SimDisk) -> std::io::Result<SnapshotName> {
    let mut writer = SnapshotWriter::begin(disk.clone(), "gen-0", &header())?;
    for (lsn, first, last, bytes) in chunks() {
        writer.chunk(&Chunk { lsn, first, last, bytes: &bytes })?;
    }
    writer.finish(Lsn::new(15))
}

fn whole_or_none(disk: &SimDisk) {
    discard_temporary(disk, "gen-0").unwrap();
    for name in list(disk, "gen-0").unwrap() {
        assert_eq!(read_all(disk, name).unwrap().1, chunks());
    }
}

#[test]
fn old_ones_and_those_past_a_cut_are_removed() {
    let disk = disk();
    for end in [15, 20, 30] {
        write(&disk, end);
    }
    assert_eq!(prune(&disk, "gen-0", 2).unwrap().len(), 2);
    remove_beyond(&disk, "gen-0", Lsn::new(25)).unwrap();
    let left = list(&disk, "gen-0").unwrap();
    assert_eq!(left, [SnapshotName { start: Lsn::new(10), end: Lsn::new(20) }]);
}

#[test]
fn only_a_snapshots_own_name_is_read_as_one() {
    let name = SnapshotName { start: Lsn::new(3), end: Lsn::new(44) };
    assert_eq!(SnapshotName::parse(&name.to_string()), Some(name));
    for other in ["snapshot-3-44.snap", "snapshot.tmp", "snapshot-x-y.snap", ""] {
        assert_eq!(SnapshotName::parse(other), None, "{other}");
    }
}
