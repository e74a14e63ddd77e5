//! What the simulated disk promises, and what it takes away.

use super::*;

fn written(disk: &SimDisk, name: &str, bytes: &[u8]) -> SimFile {
    let file = disk.create(name).unwrap();
    file.write_at(0, bytes).unwrap();
    file
}

#[test]
fn synced_bytes_survive_only_if_the_name_was_synced_too() {
    for (sync_dir, survives) in [(false, false), (true, true)] {
        let disk = SimDisk::new(1);
        let file = written(&disk, "f", b"hello");
        file.sync_data().unwrap();
        if sync_dir {
            disk.sync_dir("").unwrap();
        }
        disk.crash(Keep::Nothing);
        assert_eq!(disk.contents("f").is_ok(), survives);
    }
}

#[test]
fn a_rename_of_an_unsynced_file_leaves_an_empty_one() {
    let disk = SimDisk::new(1);
    written(&disk, "f.tmp", b"hello");
    disk.rename("f.tmp", "f").unwrap();
    disk.sync_dir("").unwrap();
    disk.crash(Keep::Nothing);
    assert_eq!(disk.contents("f").unwrap(), b"");
}

#[test]
fn an_unsynced_removal_is_undone() {
    let disk = SimDisk::new(1);
    disk.put("f", b"old").unwrap();
    disk.remove("f").unwrap();
    disk.crash(Keep::Nothing);
    assert_eq!(disk.contents("f").unwrap(), b"old");
}

#[test]
fn any_subset_of_sectors_survives() {
    let disk = SimDisk::new(1);
    let file = written(&disk, "f", &[0; 1536]);
    file.sync_data().unwrap();
    disk.sync_dir("").unwrap();
    file.write_at(0, &[1; 1536]).unwrap();
    assert_eq!(disk.pending_units(), 3);
    for mask in 0..8u64 {
        let copy = disk.fork();
        copy.crash(Keep::Mask(mask));
        let bytes = copy.contents("f").unwrap();
        for sector in 0..3 {
            assert_eq!(u64::from(bytes[sector * 512]), mask >> sector & 1, "mask {mask:#b}");
        }
    }
}

#[test]
fn after_a_lost_sync_reads_show_what_the_medium_lacks_and_the_next_sync_lies() {
    let disk = SimDisk::new(1);
    let file = written(&disk, "f", b"old");
    file.sync_data().unwrap();
    disk.sync_dir("").unwrap();
    file.write_at(0, b"new").unwrap();
    disk.plan(disk.operations(), Fault::LostSync);
    file.sync_data().unwrap_err();
    file.sync_data().unwrap();
    assert_eq!(disk.contents("f").unwrap(), b"new");
    disk.crash(Keep::Everything);
    assert_eq!(disk.contents("f").unwrap(), b"old");
}

#[test]
fn a_full_disk_refuses_what_was_not_reserved() {
    let disk = SimDisk::new(1);
    disk.set_capacity(Some(8192));
    let file = disk.create("f").unwrap();
    file.preallocate(4096).unwrap();
    let other = disk.create("g").unwrap();
    other.write_at(0, &[1; 4096]).unwrap();
    assert_eq!(other.write_at(4096, &[1]).unwrap_err().kind(), io::ErrorKind::StorageFull);
    file.write_at(0, &[1; 4096]).unwrap();
    disk.remove("g").unwrap();
    file.write_at(4096, &[1]).unwrap();
}

#[test]
fn a_short_write_leaves_its_first_part() {
    let disk = SimDisk::new(1);
    let file = disk.create("f").unwrap();
    disk.plan(disk.operations(), Fault::ShortWrite { bytes: 2, kind: io::ErrorKind::Other });
    file.write_at(0, b"hello").unwrap_err();
    assert_eq!(disk.contents("f").unwrap(), b"he");
}

#[test]
fn without_power_nothing_works_until_the_crash_and_old_handles_stay_dead() {
    let disk = SimDisk::new(1);
    let file = written(&disk, "f", b"x");
    disk.power_off_after(Some(disk.operations()));
    file.sync_data().unwrap_err();
    disk.list("").unwrap_err();
    disk.crash(Keep::Everything);
    assert_eq!(disk.list("").unwrap().len(), 1);
    file.len().unwrap_err();
}

#[test]
fn subdirectories_come_and_go_like_files() {
    let disk = SimDisk::new(1);
    disk.create_dir("gen-1").unwrap();
    written(&disk, "gen-1/f", b"x").sync_data().unwrap();
    disk.sync_dir("gen-1").unwrap();
    let lost = disk.fork();
    lost.crash(Keep::Nothing);
    assert!(lost.list("").unwrap().is_empty());
    disk.sync_dir("").unwrap();
    disk.crash(Keep::Nothing);
    assert_eq!(disk.contents("gen-1/f").unwrap(), b"x");
    assert_eq!(disk.remove_dir("gen-1").unwrap_err().kind(), io::ErrorKind::DirectoryNotEmpty);
    disk.remove("gen-1/f").unwrap();
    disk.remove_dir("gen-1").unwrap();
}
