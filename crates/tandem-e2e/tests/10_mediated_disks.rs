//! Automatic switching through the witness while disks fail, fill up, hang or are replaced.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tandem_e2e::load::Load;
use tandem_e2e::loop_disk::{FileSystem, LoopDisk};
use tandem_e2e::mediated::{MediatedOptions, MediatedPair, RECOVERY};
use tandem_e2e::mediator::MediatorKind;
use tandem_e2e::node::Node;
use tandem_e2e::skip::skipped;
use tandem_e2e::trouble::{FrozenDisk, Injection, SmallDisk};
use tandem_e2e::wait;

fn default(name: &'static str) -> Option<MediatedPair> {
    MediatedPair::start(name, &MediatedOptions::default())
}

#[track_caller]
fn goes_on(load: &Load) {
    load.wait_for_more(200, RECOVERY);
}

#[test]
fn a_failed_fsync_ends_the_primary_and_the_standby_takes_over() {
    let Some(mut pair) = default("fsync error") else { return };
    let load = pair.load();
    let pid = pair.a.pid();
    let injection = match Injection::start(pid, "fdatasync", "error=EIO:when=5+") {
        Ok(injection) => injection,
        Err(reason) => return skipped("fsync error", &reason),
    };
    pair.b.wait_role("primary");
    goes_on(&load);
    drop(injection);
    // Its supervisor starts it again: what the failed disk may not hold counts for nothing.
    pair.wait_in_sync();
    assert_ne!(pair.a.pid(), pid, "{}", pair.a.log());
    assert!(pair.a.log().contains("could not be written or synced"), "{}", pair.a.log());
    pair.judge(load, 1);
}

/// A pair whose node `which` has its data on `disk`.
fn on_disk(
    name: &'static str,
    which: usize,
    data: PathBuf,
    slow_after: &str,
) -> Option<MediatedPair> {
    let mut options = MediatedOptions::default()
        .switch(&format!("slow_after = \"{slow_after}\""))
        // Its own death is not what is looked at here.
        .switch("watchdog = \"0s\"");
    options.data[which] = Some(data);
    "[storage]\nsegment_size = \"1MiB\"\n".clone_into(&mut options.more);
    MediatedPair::start(name, &options)
}

#[test]
fn a_primary_with_a_full_disk_hands_over_and_returns_when_there_is_space() {
    let disk = match SmallDisk::mount("64m") {
        Ok(disk) => disk,
        Err(reason) => return skipped("full disk", &reason),
    };
    let Some(mut pair) = on_disk("full disk", 0, disk.path().join("data"), "3s") else { return };
    let load = pair.load_with(&pair.addresses(), |options| options.value_bytes = 2_000);
    let ballast = disk.fill(1 << 20);
    pair.b.wait_role("primary");
    goes_on(&load);
    fs::remove_file(ballast).expect("removed");
    pair.wait_in_sync();
    goes_on(&load);
    pair.judge(load, usize::MAX);
}

fn loop_disk(name: &str) -> Option<LoopDisk> {
    match LoopDisk::create(FileSystem::Ext4) {
        Ok(disk) => Some(disk),
        Err(reason) => {
            skipped(name, &reason);
            None
        }
    }
}

#[test]
fn a_primary_whose_disk_hangs_is_replaced() {
    let Some(disk) = loop_disk("primary's disk hangs") else { return };
    let data = disk.path().join("data");
    let Some(mut pair) = on_disk("primary's disk hangs", 0, data, "1s") else { return };
    let load = pair.load();
    let frozen = FrozenDisk::freeze(disk.path());
    pair.b.wait_role("primary");
    goes_on(&load);
    drop(frozen);
    pair.wait_in_sync();
    // It hands over: while `switch.linger` lasts, what it is asked is passed on and answered through it.
    pair.judge(load, usize::MAX);
}

#[test]
fn a_standby_whose_disk_hangs_is_left_out_and_comes_back() {
    let Some(disk) = loop_disk("standby's disk hangs") else { return };
    let data = disk.path().join("data");
    let Some(mut pair) = on_disk("standby's disk hangs", 1, data, "1s") else { return };
    let load = pair.load();
    let frozen = FrozenDisk::freeze(disk.path());
    pair.wait_alone(&pair.a);
    goes_on(&load);
    wait::stays_true("a stays primary", Duration::from_secs(1), || {
        pair.a.status().role() == "primary"
    });
    drop(frozen);
    pair.wait_in_sync();
    goes_on(&load);
    pair.judge(load, 0);
}

#[test]
fn a_slow_disk_is_no_failure() {
    let Some(mut pair) = default("slow disks") else { return };
    let load = pair.load();
    let mut injections = Vec::new();
    for node in [&pair.a, &pair.b] {
        match Injection::start(node.pid(), "fdatasync", "delay_enter=100000") {
            Ok(injection) => injections.push(injection),
            Err(reason) => return skipped("slow disks", &reason),
        }
    }
    wait::stays_true("nobody is switched", Duration::from_secs(3), || {
        pair.a.status().role() == "primary" && pair.a.status().is("in_sync")
    });
    load.wait_for_more(20, RECOVERY);
    drop(injections);
    pair.judge(load, 0);
}

fn replace_disk(node: &Node) {
    fs::remove_dir_all(node.data()).expect("removable");
}

#[test]
fn a_standby_with_a_new_disk_is_copied_anew() {
    let Some(mut pair) = default("standby's disk replaced") else { return };
    let load = pair.load();
    pair.b.kill();
    replace_disk(&pair.b);
    pair.b.start();
    pair.wait_in_sync();
    goes_on(&load);
    pair.judge(load, 0);
}

#[test]
fn a_primary_with_a_new_disk_is_nobody_however_soon_it_is_back() {
    let Some(mut pair) = default("primary's disk replaced") else { return };
    let load = pair.load();
    pair.a.kill();
    replace_disk(&pair.a);
    // Before its peer can have noticed anything: the record still names its machine as the primary.
    pair.a.start();
    pair.b.wait_role("primary");
    goes_on(&load);
    pair.wait_in_sync();
    pair.judge(load, 1);
}

#[test]
fn the_only_one_that_has_everything_is_never_replaced_by_an_empty_one() {
    let Some(mut pair) = default("lone primary's disk replaced") else { return };
    let load = pair.load();
    pair.b.kill();
    pair.wait_alone(&pair.a);
    goes_on(&load);
    let report = load.stop();
    pair.a.kill();
    let aside = pair.folder().join("aside");
    fs::rename(pair.a.data(), &aside).expect("renamed");
    pair.a.start();
    pair.b.start();
    wait::stays_true("nobody begins with less", Duration::from_secs(3), || {
        [&pair.a, &pair.b].iter().all(|node| node.status().role() != "primary")
    });
    // The disk is found again.
    pair.a.kill();
    replace_disk(&pair.a);
    fs::rename(&aside, pair.a.data()).expect("renamed");
    pair.a.start();
    pair.judge_report(&report, 0);
}

/// `cp -a`, as a backup does.
fn copy(from: &Path, to: &Path) {
    let done = Command::new("cp").arg("-aT").args([from, to]).status().expect("there is a cp");
    assert!(done.success(), "{done}");
}

#[test]
fn a_witness_brought_back_from_a_backup_makes_nobody_primary_who_lacks_writes() {
    if MediatorKind::from_environment() != MediatorKind::Witness {
        return;
    }
    let Some(mut pair) = default("an older witness") else { return };
    let load = pair.load();
    let folder = pair.folder().join("mediator");
    let backup = pair.folder().join("backup");
    // The record says that both are in sync, and that is the last that b hears of it.
    copy(&folder, &backup);
    pair.b.kill();
    pair.wait_alone(&pair.a);
    goes_on(&load);
    pair.a.kill();
    let report = load.stop();
    pair.mediator.kill();
    fs::remove_dir_all(&folder).expect("removable");
    copy(&backup, &folder);
    pair.mediator.start();
    pair.b.start();
    pair.b.wait_status("sees that it is a copy", |status| {
        status.at("mediator.trouble").as_str().is_some_and(|it| it.contains("a copy"))
    });
    wait::stays_true("b does not begin with less", Duration::from_secs(3), || {
        pair.b.status().role() != "primary"
    });
    pair.a.start();
    pair.a.wait_role("primary");
    pair.judge_report(&report, 0);
}

#[test]
fn a_witness_that_is_restarted_is_no_copy() {
    if MediatorKind::from_environment() != MediatorKind::Witness {
        return;
    }
    let Some(mut pair) = default("the same witness") else { return };
    let load = pair.load();
    pair.a.kill();
    pair.b.wait_role("primary");
    goes_on(&load);
    pair.a.start();
    pair.wait_in_sync();
    pair.b.kill();
    pair.a.kill();
    pair.mediator.kill();
    pair.mediator.start();
    // In sync, and the record is the one that it saw last: nobody else is needed.
    pair.a.start();
    pair.a.wait_role("primary");
    pair.b.start();
    pair.judge(load, usize::MAX);
}

#[test]
fn a_damaged_record_at_the_witness_is_said_with_what_to_do_and_that_heals_it() {
    if MediatorKind::from_environment() != MediatorKind::Witness {
        return;
    }
    let Some(mut pair) = default("a damaged record") else { return };
    let record = pair.folder().join("mediator").join("main.record");
    pair.mediator.kill();
    let mut bytes = fs::read(&record).expect("the witness keeps the pair's record");
    *bytes.last_mut().expect("it is not empty") ^= 1;
    fs::write(&record, bytes).expect("written");
    pair.mediator.start();
    let (primary, standby) = pair.by_role();
    for node in [primary, standby] {
        node.wait_status("the damage is seen", |status| {
            status.at("mediator.trouble").as_str().is_some_and(|it| it.contains("main.record"))
        });
    }
    let shown = primary.verb(&["status"]);
    assert_eq!(shown.code, 1, "{shown:?}");
    assert!(shown.out.contains("ANSWERS, BUT NOT OK"), "{shown:?}");
    for verb in ["why", "switch"] {
        let said = primary.verb(&[verb]);
        let text = format!("{}{}", said.out, said.err);
        assert!(text.contains("main.record") && text.contains("move it away"), "{verb}: {text}");
    }
    fs::rename(&record, record.with_extension("damaged")).expect("moved away");
    primary.wait_status("all is well again", |status| {
        status.at("mediator.trouble").is_null() && status.at("in_sync") == true
    });
    assert!(record.exists(), "the nodes had it written anew");
    assert_eq!(primary.verb(&["status"]).code, 0);
}
