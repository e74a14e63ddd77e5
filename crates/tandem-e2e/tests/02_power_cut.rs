//! The power of a real file system is cut under load: what was acknowledged is there when it is back.
//!
//! Needs root, loop devices and xfsprogs (proof: unsynced data is gone after `xfs_io -x -c shutdown`).
#![expect(clippy::print_stderr, reason = "the seed and the counts must be seen")]

use std::time::Duration;

use tandem_e2e::audit;
use tandem_e2e::load::{Load, LoadOptions};
use tandem_e2e::loop_disk::{FileSystem, LoopDisk};
use tandem_e2e::pair::{Pair, PairOptions};
use tandem_e2e::rng::Rng;
use tandem_e2e::skip::{budget, skipped};

fn disk(test: &str, kind: FileSystem) -> Option<LoopDisk> {
    LoopDisk::create(kind).map_err(|reason| skipped(test, &reason)).ok()
}

/// A node whose only copy is its own disk.
fn one_disk(test: &str, kind: FileSystem) {
    let seed = Rng::seed_from_environment();
    eprintln!("TANDEM_E2E_SEED={seed}");
    let mut rng = Rng::new(seed);
    let Some(mut disk) = disk(test, kind) else { return };
    let mut options = PairOptions::default().replication("acknowledge = \"local\"");
    options.data[0] = Some(disk.path().join("data"));
    let mut pair = Pair::start_alone(&options);
    for round in 0..2 * budget() {
        let load = Load::start(
            &LoadOptions { seed: rng.next_u64(), value_bytes: 100, ..LoadOptions::default() },
            &[pair.a.address()],
        );
        load.wait_for_more(300, Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(rng.below(300)));
        load.doubt_replies();
        disk.cut_power().expect("the power can be cut");
        // It notices by itself: the next fsync fails. Killed in any case, as by the power cut.
        pair.a.kill();
        let report = load.stop();
        disk.unmount().expect("nobody uses the disk");
        disk.mount().expect("the file system comes back");
        pair.a.start();
        pair.a.wait_role("primary");
        let audited = audit::assert_nothing_lost(&report, &mut pair.a.client());
        eprintln!("{test}, round {round}: {audited:?}, errors {:?}", report.errors);
        pair.a.client().ok(&["FLUSHALL"]);
    }
}

#[test]
fn what_one_node_acknowledged_survives_a_power_cut_on_ext4() {
    one_disk("power cut, ext4", FileSystem::Ext4);
}

#[test]
fn what_one_node_acknowledged_survives_a_power_cut_on_xfs() {
    one_disk("power cut, xfs", FileSystem::Xfs);
}

#[test]
fn what_a_pair_acknowledged_survives_a_power_cut_of_both() {
    let seed = Rng::seed_from_environment();
    eprintln!("TANDEM_E2E_SEED={seed}");
    let mut rng = Rng::new(seed);
    let test = "power cut of both";
    let Some(mut first) = disk(test, FileSystem::Ext4) else { return };
    let Some(mut second) = disk(test, FileSystem::Xfs) else { return };
    let mut options = PairOptions::new("primary-standby").replication("acknowledge = \"durable\"");
    options.data = [Some(first.path().join("data")), Some(second.path().join("data"))];
    let mut pair = Pair::start(&options);
    for round in 0..budget() {
        let load = Load::start(
            &LoadOptions { seed: rng.next_u64(), ..LoadOptions::default() },
            &pair.addresses(),
        );
        load.wait_for_more(300, Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(rng.below(300)));
        load.doubt_replies();
        first.cut_power().expect("the power can be cut");
        second.cut_power().expect("the power can be cut");
        pair.a.kill();
        pair.b.kill();
        let report = load.stop();
        for disk in [&mut first, &mut second] {
            disk.unmount().expect("nobody uses the disk");
            disk.mount().expect("the file system comes back");
        }
        pair.b.start();
        pair.a.start();
        pair.wait_in_sync();
        let audited = audit::assert_nothing_lost(&report, &mut pair.a.client());
        eprintln!("{test}, round {round}: {audited:?}");
        pair.a.client().ok(&["FLUSHALL"]);
    }
}
