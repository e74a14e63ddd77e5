//! The power is cut after every disk operation of saving, sending and cutting: nothing is lost, nothing is
//! saved twice, and nothing is cut before both disks hold it.

use std::sync::Arc;

use tandem_disk::{Keep, SimDisk};
use tandem_log::{
    Appender, LogOptions, RecordKind, RecordMeta, RecoverOptions, SegmentWriter, Tip, Verify,
    check_log, create_log, recover,
};
use tandem_store::{Effect, EffectBuf};
use tandem_types::{
    Chain, DbIndex, Epoch, EpochHistory, ForkId, Lsn, NodeId, PairId, Stamp, WallMillis,
};

use super::*;
use crate::Settings;
use crate::testing::settings;

const PAIR: PairId = PairId::new(7);
const DIR_OF_LOG: &str = "gen-0";
const NOW: WallMillis = WallMillis::new(1_000);
/// Records past the fork.
const EXTRA: u64 = 5;

fn meta() -> RecordMeta {
    RecordMeta { epoch: Epoch::new(1), stamp: Stamp::ZERO, seen: 0, origin: NodeId::A }
}

/// A log with a few records before the fork and some after it; where the fork is.
fn log(disk: &SimDisk) -> (Lsn, Chain) {
    log_with(disk, 0, EXTRA)
}

/// The same with `probes` records that change nothing, and `writes` after them, past the fork.
fn log_with(disk: &SimDisk, probes: u64, writes: u64) -> (Lsn, Chain) {
    use tandem_disk::Disk;
    disk.create_dir(DIR_OF_LOG).unwrap();
    create_log(disk, DIR_OF_LOG, PAIR, Tip::EMPTY, &EpochHistory::new()).unwrap();
    let options = RecoverOptions { pair: PAIR, from: Lsn::ZERO, verify: Verify::Everything };
    let recovered = recover(disk, DIR_OF_LOG, &options, &mut |_| Ok(())).unwrap();
    let options = LogOptions { segment_bytes: 4096 };
    let mut writer = SegmentWriter::open(disk.clone(), &recovered, options);
    let mut appender = Appender::new(Tip::EMPTY);
    appender.start_epoch(ForkId::new(1), meta());
    let mut append = |value: &str| {
        let mut effects = EffectBuf::new();
        let effect = Effect::SetString { value: value.as_bytes(), deadline: None };
        effects.push(DbIndex::ZERO, b"k", effect);
        appender.append(RecordKind::Effects, effects.effects(), meta()).unwrap();
    };
    append("before");
    let mut batch = {
        append("at the fork");
        appender.take_batch().unwrap()
    };
    writer.prepare().unwrap();
    writer.write(&mut batch).unwrap();
    let tip = appender.tip();
    for _ in 0..probes {
        appender.append(RecordKind::Effects, EffectBuf::new().effects(), meta()).unwrap();
    }
    for number in 0..writes {
        let mut effects = EffectBuf::new();
        let value = format!("lost {number}");
        let effect = Effect::SetString { value: value.as_bytes(), deadline: None };
        effects.push(DbIndex::ZERO, b"k", effect);
        appender.append(RecordKind::Effects, effects.effects(), meta()).unwrap();
    }
    let mut batch = appender.take_batch().unwrap();
    writer.prepare().unwrap();
    writer.write(&mut batch).unwrap();
    writer.sync().unwrap();
    writer.close().unwrap();
    disk.sync_dir("").unwrap();
    (tip.end, tip.chain)
}

fn end_of_log(disk: &SimDisk) -> Lsn {
    check_log(disk, DIR_OF_LOG, PAIR, &mut |_| Ok(())).tip.end
}

/// The whole files of a disk, read and checked.
fn files(disk: &SimDisk, settings: &Settings) -> Vec<SavedFile> {
    let desk = Desk::new(disk.clone(), settings.conflicts_bytes_max);
    let whole = catalogue(disk).unwrap_or_default().into_iter().filter(|entry| entry.whole);
    whole
        .map(|entry| match desk.carry_out(ConflictOrder::Load { id: entry.id }) {
            ConflictNews::Loaded { file, .. } => *file.unwrap(),
            other => panic!("{other:?}"),
        })
        .collect()
}

/// What the two nodes do, from wherever a crash has left them; `None`: the power went.
fn go_on(loser: &SimDisk, peer: &SimDisk, fork: &Fork, settings: &Settings) -> Option<()> {
    discard_temporary(loser).ok()?;
    let end = end_of_log(loser);
    if end == fork.to {
        return Some(());
    }
    let entries = catalogue(loser).ok()?;
    let known = entries.into_iter().find(|it| it.whole && it.from == fork.to && it.end == end);
    let entry = if let Some(entry) = known {
        entry
    } else {
        let place = LogPlace { dir: DIR_OF_LOG, pair: PAIR };
        *save_fork(loser, place, settings, fork.clone(), NOW).ok()?.entry.unwrap()
    };
    let (here, there) = (
        Desk::new(loser.clone(), settings.conflicts_bytes_max),
        Desk::new(peer.clone(), settings.conflicts_bytes_max),
    );
    let (id, total) = (entry.id.clone(), entry.bytes);
    let mut news = there.carry_out(ConflictOrder::Look { id: id.clone(), bytes: total });
    loop {
        let offset = match news {
            ConflictNews::Held { held: Held::Whole(_), .. } => break,
            ConflictNews::Held { held: Held::Part(offset), .. } => offset,
            _ => return None,
        };
        let part = here.carry_out(ConflictOrder::Read { id: id.clone(), offset });
        let ConflictNews::Part { bytes: Ok(bytes), .. } = part else { return None };
        // In small pieces, so that there is something to resume.
        let bytes = bytes.into_iter().take(400).collect();
        let id = id.clone();
        news = there.carry_out(ConflictOrder::Append { id, total, offset, bytes });
    }
    cut_fork(loser, DIR_OF_LOG, fork.to, &id).ok()
}

#[test]
fn nothing_is_lost_wherever_the_power_is_cut() {
    let settings = settings();
    let (base, empty) = (SimDisk::new(1), SimDisk::new(2));
    let (to, chain) = log(&base);
    let fork = Fork { to, chain, acked: Acked::Before(to), clients: Arc::default() };
    let whole_run = [base.fork(), empty.fork()];
    go_on(&whole_run[0], &whole_run[1], &fork, &settings).unwrap();
    let counts = [&base, &empty].map(SimDisk::operations);
    let done = [0, 1].map(|at| whole_run[at].operations() - counts[at]);
    for (side, operations) in done.into_iter().enumerate() {
        for stop in 0..operations {
            for keep in [Keep::Nothing, Keep::Everything, Keep::Random { chance: 128 }] {
                let disks = [base.fork(), empty.fork()];
                disks[side].power_off_after(Some(counts[side] + stop));
                let cut_off = go_on(&disks[0], &disks[1], &fork, &settings);
                disks[side].power_off_after(None);
                disks[side].crash(keep);
                let what = format!("side {side}, operation {stop}, {keep:?}, {cut_off:?}");
                check(&disks, &fork, &settings, &what);
                // A start repairs a tail that a cut left half done.
                let options =
                    RecoverOptions { pair: PAIR, from: Lsn::ZERO, verify: Verify::Everything };
                recover(&disks[0], DIR_OF_LOG, &options, &mut |_| Ok(())).expect(&what);
                go_on(&disks[0], &disks[1], &fork, &settings).expect(&what);
                assert_eq!(end_of_log(&disks[0]), to, "{what}");
                check(&disks, &fork, &settings, &what);
                let counts = [0, 1].map(|at| catalogue(&disks[at]).unwrap().len());
                assert_eq!(counts, [1, 1], "saved once: {what}");
            }
        }
    }
}

/// Either the records are still in the log, or both disks hold all of them.
fn check(disks: &[SimDisk; 2], fork: &Fork, settings: &Settings, what: &str) {
    if end_of_log(&disks[0]) > Lsn::new(fork.to.get() + EXTRA - 1) {
        return;
    }
    for disk in disks {
        let files = files(disk, settings);
        let [file] = &files[..] else { panic!("{what}: {} files", files.len()) };
        assert_eq!(file.records.len(), usize::try_from(EXTRA).unwrap(), "{what}");
        let images = file.images.values().next().expect("one key");
        assert_eq!(images.fork.as_ref().unwrap().text, "at the fork", "{what}");
        assert_eq!(images.lost.as_ref().unwrap().text, "lost 4", "{what}");
    }
}

#[test]
fn an_undecided_file_is_never_removed_to_make_room() {
    let (base, peer) = (SimDisk::new(1), SimDisk::new(2));
    let (to, chain) = log(&base);
    let fork = Fork { to, chain, acked: Acked::Unknown, clients: Arc::default() };
    let roomy = settings();
    go_on(&base.fork(), &peer, &fork, &roomy).unwrap();
    let held = catalogue(&peer).unwrap().remove(0);
    let tight = Desk::new(peer.clone(), held.bytes + 10);
    let look =
        |id: &str| tight.carry_out(ConflictOrder::Look { id: id.to_owned(), bytes: held.bytes });
    let refused = look("9-9-9");
    let is_refused = matches!(&refused, ConflictNews::Held { held: Held::Refused(_), .. });
    assert!(is_refused, "{refused:?}");
    let decide = ConflictOrder::Decide {
        id: held.id.clone(),
        decision: Decision::Discarded,
        note: "a person".to_owned(),
        now: NOW,
    };
    tight.carry_out(decide);
    assert_eq!(catalogue(&peer).unwrap()[0].decision, Some(Decision::Discarded));
    match look("9-9-9") {
        ConflictNews::Held { held: Held::Part(0), freed, .. } => assert_eq!(freed, [held.id]),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_file_holds_the_fork_although_probes_come_first() {
    let (disk, peer) = (SimDisk::new(1), SimDisk::new(2));
    let (to, chain) = log_with(&disk, 2, 1);
    let fork = Fork { to, chain, acked: Acked::Unknown, clients: Arc::default() };
    go_on(&disk, &peer, &fork, &settings()).unwrap();
    assert_eq!(end_of_log(&disk), to);
    let entries = catalogue(&peer).unwrap();
    let [entry] = &entries[..] else { panic!("{entries:?}") };
    assert_eq!((entry.from, entry.chain_from, entry.records), (to, chain, 1));
}

#[test]
fn where_nothing_was_written_past_the_fork_the_log_is_cut_without_a_file() {
    let disk = SimDisk::new(1);
    let (to, chain) = log_with(&disk, 3, 0);
    let place = LogPlace { dir: DIR_OF_LOG, pair: PAIR };
    let fork = Fork { to, chain, acked: Acked::Unknown, clients: Arc::default() };
    let saved = save_fork(&disk, place, &settings(), fork, NOW).unwrap();
    assert_eq!((saved.file, saved.records), (None, 0));
    assert_eq!(end_of_log(&disk), to);
    assert_eq!(catalogue(&disk).unwrap(), []);
}
