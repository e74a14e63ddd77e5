//! What is set aside stays, whatever breaks off in between; and who may not be repaired is not touched.

use tandem_disk::{Keep, SimDisk};
use tandem_log::{Appender, LogOptions, RecordKind, RecordMeta, SegmentWriter};
use tandem_switch::{InSyncSet, Reign};
use tandem_types::{Epoch, ForkId, NodeId, Stamp};

use super::*;
use crate::node::{boot, switch_state};
use crate::testing::settings;

const SEEDS: Seeds = Seeds { store: 1, switch: 2, stream: 3, incarnation: 4 };
const ANEW: Seeds = Seeds { incarnation: 44, ..SEEDS };
const BAD: Cause<'_> = Cause { reason: "bad", peer_has_all: false };
const PAIR: PairId = PairId::new(77);
const LOG: &str = "gen-0/00000000000000000000.log";

/// Node a with a log of which a record in the middle is damaged; its peer's place in the set.
fn damaged(primary: NodeId, both: bool, strength: Acknowledge) -> SimDisk {
    let disk = SimDisk::new(1);
    let settings = settings();
    let booted = boot(&disk, &settings, SEEDS).unwrap();
    let mut writer =
        SegmentWriter::open(disk.clone(), &booted.recovered, LogOptions { segment_bytes: 1 << 20 });
    writer.set_pair(PAIR);
    let mut appender = Appender::new(booted.recovered.tip());
    let meta = |stamp| RecordMeta {
        epoch: Epoch::new(1),
        stamp: Stamp::new(stamp),
        seen: 0,
        origin: NodeId::A,
    };
    appender.start_epoch(ForkId::new(9), meta(1));
    for number in 2..8 {
        appender.append(RecordKind::Effects, &[], meta(number)).unwrap();
        let mut batch = appender.take_batch().unwrap();
        writer.write(&mut batch).unwrap();
        writer.sync().unwrap();
    }
    writer.close().unwrap();
    let mut state = load_state(&disk).unwrap().unwrap();
    let mut switch = switch_state(&state).unwrap();
    state.pair = PAIR;
    switch.pair_id = PAIR;
    switch.epoch_seen = Epoch::new(1);
    switch.reign = Some(Reign { epoch: Epoch::new(1), fork: ForkId::new(9), primary });
    let mut members = Pair::default();
    members[primary] =
        Some(if primary == NodeId::A { switch.incarnation } else { Incarnation::new(8) });
    if both {
        members.a = Some(switch.incarnation);
        members.b = Some(Incarnation::new(8));
    }
    switch.in_sync = Some(InSyncSet { epoch: Epoch::new(1), revision: 3, members, strength });
    state.extra.clear();
    switch.encode(&mut state.extra);
    save_state(&disk, &state).unwrap();
    disk.flip(LOG, 1030, 1).unwrap();
    disk
}

#[test]
fn a_damaged_log_is_kept_and_the_directory_is_nobody_until_the_copy_is_whole() {
    for (primary, both) in [(NodeId::A, true), (NodeId::B, true), (NodeId::B, false)] {
        let disk = damaged(primary, both, Acknowledge::Durable);
        let bytes = disk.contents(LOG).unwrap();
        let error = boot(&disk, &settings(), SEEDS).unwrap_err();
        assert!(error.is_damage() && error.to_string().contains(LOG), "{error}");
        let note = set_aside(
            &disk,
            &settings(),
            ANEW,
            Cause { reason: &error.to_string(), peer_has_all: false },
        )
        .unwrap();
        assert_eq!(note.aside(), "damaged-0");
        // As often as it is started before the copy comes.
        for _ in 0..2 {
            disk.crash(Keep::Nothing);
            let booted = boot(&disk, &settings(), SEEDS).unwrap();
            assert_eq!(booted.repair.as_ref(), Some(&note));
            assert_eq!(booted.kept, ["damaged-0"]);
            assert_eq!(booted.recovered.tip(), Tip::EMPTY);
            let switch = switch_state(&booted.state).unwrap();
            assert_eq!(switch.incarnation, Incarnation::new(44));
            assert_eq!((switch.pair_id, switch.epoch_seen), (PAIR, Epoch::new(1)));
            assert_eq!((switch.reign, switch.in_sync), (None, None));
        }
        assert_eq!(disk.contents("damaged-0/00000000000000000000.log").unwrap(), bytes);
    }
}

#[test]
fn the_only_copy_of_acknowledged_writes_is_not_touched() {
    let alone = damaged(NodeId::A, false, Acknowledge::Durable);
    // Acknowledged on its own disk alone, whoever was in the set.
    let local = damaged(NodeId::A, true, Acknowledge::Local);
    for disk in [alone, local] {
        let error = boot(&disk, &settings(), SEEDS).unwrap_err();
        let before = disk.list("").unwrap();
        let refused = set_aside(
            &disk,
            &settings(),
            ANEW,
            Cause { reason: &error.to_string(), peer_has_all: false },
        )
        .unwrap_err();
        assert!(matches!(&refused, BootError::OnlyCopy { .. }), "{refused}");
        assert!(refused.to_string().contains("00000000000000000000.log at byte"), "{refused}");
        assert_eq!(disk.list("").unwrap(), before);
    }
}

#[test]
fn a_power_cut_anywhere_loses_no_damaged_file() {
    let whole = damaged(NodeId::B, true, Acknowledge::Durable);
    let bytes = whole.contents(LOG).unwrap();
    let start = whole.operations();
    let done = whole.fork();
    set_aside(&done, &settings(), ANEW, BAD).unwrap();
    let steps = done.operations() - start;
    for step in 0..=steps {
        for keep in [Keep::Nothing, Keep::Everything] {
            let disk = whole.fork();
            disk.power_off_after(Some(start + step));
            let ended = set_aside(&disk, &settings(), ANEW, BAD);
            disk.crash(keep);
            assert!(ended.is_ok() || step < steps, "step {step}: {ended:?}");
            // Either it is as before, or it is done: a start tells which.
            match boot(&disk, &settings(), SEEDS) {
                Ok(booted) => assert_eq!(booted.kept, ["damaged-0"], "step {step}"),
                Err(error) => {
                    assert!(error.is_damage(), "step {step}: {error}");
                    set_aside(&disk, &settings(), ANEW, BAD).unwrap();
                    assert!(boot(&disk, &settings(), SEEDS).unwrap().repair.is_some());
                }
            }
            let kept = disk.contents("damaged-0/00000000000000000000.log").unwrap();
            assert_eq!(kept, bytes, "step {step}");
        }
    }
}

#[test]
fn a_note_reads_back_and_nothing_else_is_one() {
    let note = RepairNote { generation: 3, reason: "x.log at byte 7\nbad".into() };
    let read = RepairNote::decode(&note.encode()).unwrap();
    assert_eq!((read.generation, read.reason.as_str()), (3, "x.log at byte 7 bad"));
    for bad in ["", "tandem repair 2\ngeneration 3\nreason x\n", "tandem repair 1\ngeneration x\n"]
    {
        assert_eq!(RepairNote::decode(bad), None, "{bad:?}");
    }
}

#[test]
fn a_replaced_generation_that_is_marked_is_set_aside_also_by_the_next_start() {
    for marked in [false, true] {
        let disk = SimDisk::new(1);
        let settings = settings();
        boot(&disk, &settings, SEEDS).unwrap();
        // A full copy was installed, and the power went before the old files were set aside.
        disk.create_dir("gen-1").unwrap();
        create_log(&disk, "gen-1", PairId::NONE, Tip::EMPTY, &EpochHistory::new()).unwrap();
        if marked {
            crate::keep_generation(&disk, 0).unwrap();
        }
        disk.sync_dir("").unwrap();
        let mut state = load_state(&disk).unwrap().unwrap();
        state.generation = 1;
        save_state(&disk, &state).unwrap();
        disk.crash(Keep::Nothing);
        let booted = boot(&disk, &settings, SEEDS).unwrap();
        assert_eq!(booted.kept == ["damaged-0"], marked, "{:?}", booted.kept);
        assert!(disk.list("gen-0").is_err(), "{marked}");
    }
}
