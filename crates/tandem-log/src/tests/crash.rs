//! Cuts the power after every disk operation of many short workloads, keeps every subset of what was
//! pending (or samples of them), and compares what is recovered with a model.
//!
//! Promise: the recovered log is a prefix of what was appended, holds everything that was reported
//! durable, and what recovery counted stays.

use tandem_disk::{Fault, Keep, SimDisk};
use tandem_types::Lsn;

use crate::testing::{SMALL, append, recover_all, start_epoch};
use crate::{Appender, RecoverError, SegmentWriter, Tip, create_log, cut};

/// Subsets of at most this many pending units are all tried.
const ALL_SUBSETS_MAX: usize = 10;
/// The same where every operation is made to fail in several ways besides.
const ALL_SUBSETS_MAX_WITH_FAULTS: usize = 5;
/// Otherwise this many samples.
const SAMPLES: u64 = 16;

/// How many workloads each test tries: a few, or what `TANDEM_CRASH_WORKLOADS` says. 200 take a minute in
/// an optimised build (`--profile e2e`).
fn workload_count() -> u64 {
    std::env::var("TANDEM_CRASH_WORKLOADS").ok().and_then(|text| text.parse().ok()).unwrap_or(3)
}

/// A small deterministic source of choices (`SplitMix64`).
struct Draw(u64);

impl Draw {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (x ^ (x >> 31)) % limit
    }
}

#[derive(Clone, Debug)]
enum Step {
    /// One batch of records with these payload sizes.
    Write(Vec<usize>),
    Sync,
    Mark,
    Prepare,
    /// Drops segments more than so many records behind the end.
    Retain(u64),
    /// Stops cleanly and starts again.
    Close,
    /// Dies and starts again, the machine stays up.
    Kill,
    /// Cuts so many records off and goes on under a new epoch.
    Cut(u64),
}

fn workload(seed: u64) -> Vec<Step> {
    let mut draw = Draw(seed);
    let steps = 4 + draw.below(7);
    let step = |draw: &mut Draw| match draw.below(16) {
        0..=5 => {
            let records = 1 + draw.below(3);
            let size = |draw: &mut Draw| match draw.below(5) {
                0 => 0,
                1..=2 => draw.below(300),
                3 => draw.below(1500),
                _ => draw.below(6000),
            };
            Step::Write((0..records).map(|_| usize::try_from(size(draw)).unwrap()).collect())
        }
        6..=9 => Step::Sync,
        10 => Step::Mark,
        11 => Step::Prepare,
        12 => Step::Retain(draw.below(6)),
        13 => Step::Close,
        14 => Step::Kill,
        _ => Step::Cut(draw.below(4)),
    };
    (0..steps).map(|_| step(&mut draw)).collect()
}

/// What must be true of the log whatever happens.
#[derive(Clone, Debug, Default)]
struct Model {
    /// Payloads of all records ever appended to this history, by LSN.
    records: Vec<Vec<u8>>,
    /// Before a cut: the history that was there, of which any prefix from `durable` on may be found.
    durable: u64,
    /// Records before this may have been dropped.
    oldest_max: u64,
}

struct Run {
    disk: SimDisk,
    model: Model,
    epoch: u64,
    count: u64,
}

/// The power went.
struct Off;

impl Run {
    fn new() -> Self {
        let disk = SimDisk::new(7);
        create_log(&disk, "", crate::testing::PAIR, Tip::EMPTY, &tandem_types::EpochHistory::new())
            .unwrap();
        Self { disk, model: Model::default(), epoch: 0, count: 0 }
    }

    fn start(&mut self) -> Result<(Appender, SegmentWriter<SimDisk>), Off> {
        let (recovered, seen) = match recover_all(&self.disk) {
            Ok(found) => found,
            Err(RecoverError::Io { .. }) => return Err(Off),
            Err(other) => panic!("{other}"),
        };
        // The process saw them, so it may report them.
        self.model.records.truncate(usize::try_from(recovered.tip().end.get()).unwrap());
        assert!(
            seen.iter().all(
                |(lsn, payload)| self.model.records[usize::try_from(*lsn).unwrap()] == *payload
            )
        );
        self.model.durable = recovered.tip().end.get();
        let mut appender = Appender::new(recovered.tip());
        let writer = SegmentWriter::open(self.disk.clone(), &recovered, SMALL);
        self.epoch += 1;
        start_epoch(&mut appender, self.epoch);
        self.model.records.push((self.epoch * 1000).to_le_bytes().to_vec());
        Ok((appender, writer))
    }

    fn run(&mut self, steps: &[Step]) -> Result<(), Off> {
        let (mut appender, mut writer) = self.start()?;
        for step in steps {
            match step {
                Step::Write(sizes) => {
                    for size in sizes {
                        self.count += 1;
                        let payload = vec![u8::try_from(self.count % 255 + 1).unwrap(); *size];
                        append(&mut appender, &payload);
                        self.model.records.push(payload);
                    }
                    while let Some(mut batch) = appender.take_batch() {
                        writer.write(&mut batch).map_err(|_| Off)?;
                        // Rotation syncs, and says so.
                        self.model.durable = self.model.durable.max(writer.durable_end().get());
                    }
                }
                Step::Sync => self.model.durable = writer.sync().map_err(|_| Off)?.get(),
                Step::Mark => writer.mark().map_err(|_| Off)?,
                Step::Prepare => drop(writer.prepare().map_err(|_| Off)?),
                Step::Retain(behind) => {
                    let below = self.model.durable.saturating_sub(*behind);
                    self.model.oldest_max = self.model.oldest_max.max(below);
                    writer.retain(Lsn::new(below)).map_err(|_| Off)?;
                }
                Step::Close => {
                    writer.close().map_err(|_| Off)?;
                    self.model.durable = writer.durable_end().get();
                    (appender, writer) = self.start()?;
                }
                Step::Kill => {
                    self.disk.restart();
                    (appender, writer) = self.start()?;
                }
                Step::Cut(records) => {
                    let end = writer.tip().end.get();
                    let to = end.saturating_sub(*records).max(writer.oldest().get());
                    self.model.durable = self.model.durable.min(to);
                    cut(&self.disk, "", Lsn::new(to)).map_err(|_| Off)?;
                    self.model.records.truncate(usize::try_from(to).unwrap());
                    self.model.durable = to;
                    (appender, writer) = self.start()?;
                }
            }
        }
        Ok(())
    }
}

/// Recovers a copy of a crashed disk, and once more after another power cut.
fn check(disk: &SimDisk, model: &Model, about: &str) -> Tip {
    let (recovered, seen) = match recover_all(disk) {
        Ok(found) => found,
        Err(error) => panic!("{about}: {error}"),
    };
    let (oldest, end) = (recovered.oldest().get(), recovered.tip().end.get());
    assert!(end >= model.durable, "{about}: ends at {end}, {} were durable", model.durable);
    assert!(oldest <= model.oldest_max, "{about}: begins at {oldest}");
    let range = usize::try_from(oldest).unwrap()..usize::try_from(end).unwrap();
    let expected = model.records.get(range).unwrap_or_else(|| panic!("{about}: ends at {end}"));
    assert!(seen.iter().map(|(_, payload)| payload).eq(expected), "{about}: other records");
    disk.crash(Keep::Nothing);
    let again = recover_all(disk).unwrap_or_else(|error| panic!("{about}, again: {error}")).0;
    assert_eq!(again.tip(), recovered.tip(), "{about}: what was counted did not stay");
    recovered.tip()
}

/// Every way in which the pending units of `disk` may survive, or samples.
fn crashes(disk: &SimDisk, all_max: usize, mut visit: impl FnMut(SimDisk, String)) {
    let pending = disk.pending_units();
    let crashed = |keep| {
        let copy = disk.fork();
        copy.crash(keep);
        copy
    };
    if pending <= all_max {
        for mask in 0..1u64 << pending {
            visit(crashed(Keep::Mask(mask)), format!("mask {mask:#b}"));
        }
        return;
    }
    visit(crashed(Keep::Nothing), "nothing kept".to_owned());
    visit(crashed(Keep::Everything), "everything kept".to_owned());
    for sample in 0..SAMPLES {
        disk.reseed(sample);
        let chance = [32, 128, 224, 250][usize::try_from(sample % 4).unwrap()];
        visit(crashed(Keep::Random { chance }), format!("sample {sample}"));
    }
}

#[test]
fn after_a_power_cut_anywhere_the_log_is_a_prefix_with_everything_durable() {
    let mut states = 0u64;
    for seed in 0..workload_count() {
        let steps = workload(seed);
        for after in 0.. {
            let mut run = Run::new();
            let limit = run.disk.operations() + after;
            run.disk.power_off_after(Some(limit));
            let finished = run.run(&steps).is_ok();
            let Run { disk, model, .. } = run;
            crashes(&disk, ALL_SUBSETS_MAX, |copy, how| {
                states += 1;
                let about = format!("workload {seed} {steps:?}, power off after {after}, {how}");
                check(&copy, &model, &about);
            });
            if finished {
                break;
            }
        }
    }
    assert!(states > 100 * workload_count(), "{states}");
}

#[test]
fn a_power_cut_during_recovery_loses_nothing_either() {
    for seed in 1000..1000 + workload_count() {
        let steps = workload(seed);
        let mut run = Run::new();
        // The end of the workload is as good a moment as any.
        drop(run.run(&steps));
        let Run { disk, model, .. } = run;
        disk.reseed(seed);
        for chance in [0, 128, 240, 255] {
            let crashed = disk.fork();
            crashed.crash(Keep::Random { chance });
            for after in 0.. {
                let copy = crashed.fork();
                copy.power_off_after(Some(copy.operations() + after));
                let finished = recover_all(&copy).is_ok();
                crashes(&copy, ALL_SUBSETS_MAX, |copy, how| {
                    let about = format!("workload {seed}, recovery off after {after}, {how}");
                    check(&copy, &model, &about);
                });
                if finished {
                    break;
                }
            }
        }
    }
}

#[test]
fn after_a_failed_operation_anywhere_nothing_durable_is_lost_and_what_is_recovered_stays() {
    let faults = [
        Fault::LostSync,
        Fault::Error(std::io::ErrorKind::Other),
        Fault::ShortWrite { bytes: 100, kind: std::io::ErrorKind::StorageFull },
        Fault::Error(std::io::ErrorKind::StorageFull),
    ];
    for seed in 2000..2000 + workload_count() {
        let steps = workload(seed);
        for fault in faults {
            for number in 0.. {
                let mut run = Run::new();
                run.disk.plan(run.disk.operations() + number, fault);
                if run.run(&steps).is_ok() {
                    break;
                }
                let Run { disk, model, .. } = run;
                let about = format!("workload {seed}, {fault:?} at {number}");
                // The process dies, the machine may or may not.
                let restarted = disk.fork();
                restarted.restart();
                check(&restarted, &model, &about);
                crashes(&disk, ALL_SUBSETS_MAX_WITH_FAULTS, |copy, how| {
                    check(&copy, &model, &format!("{about}, {how}"));
                });
            }
        }
    }
}

#[test]
fn a_cut_or_a_flipped_byte_gives_a_correct_prefix_or_a_refusal_that_names_the_place() {
    let mut run = Run::new();
    let sizes = |size: usize| Step::Write(vec![size]);
    let steps = [
        sizes(700),
        Step::Sync,
        sizes(3000),
        Step::Sync,
        sizes(20),
        Step::Sync,
        Step::Mark,
        sizes(5),
    ];
    assert!(run.run(&steps).is_ok());
    let Run { disk, model, .. } = run;
    disk.crash(Keep::Everything);
    let names = [0, 2, 3].map(|first| format!("{first:020}.log"));
    let (mut refused, mut cut_off) = (0, 0);
    for name in &names {
        let bytes = disk.contents(name).unwrap();
        let used = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
        for at in 0..used {
            // Clearing bytes that are zero already damages only what comes after them.
            let changed = (at..used).find(|at| bytes[*at] != 0).unwrap();
            for damage in 0..3u8 {
                let copy = disk.fork();
                match damage {
                    0 => copy.flip(name, at as u64, 0x04).unwrap(),
                    1 => copy.put(name, &bytes[..at]).unwrap(),
                    _ => {
                        let mut cleared = bytes.clone();
                        cleared[at..].fill(0);
                        copy.put(name, &cleared).unwrap();
                    }
                }
                match recover_all(&copy) {
                    Err(RecoverError::Damaged(found)) => {
                        refused += 1;
                        assert_eq!(found.file, *name);
                        assert!(found.offset <= changed as u64, "{found} for byte {at}");
                    }
                    Err(other) => panic!("{name} byte {at}: {other}"),
                    Ok((recovered, seen)) => {
                        cut_off += usize::from(recovered.torn().is_some());
                        let end = usize::try_from(recovered.tip().end.get()).unwrap();
                        // All marks say that the first four are durable; only what follows may be cut.
                        assert!(end >= 4 || damage > 0, "{name} byte {at}: ends at {end}");
                        assert!(seen.iter().map(|(_, payload)| payload).eq(&model.records[..end]));
                    }
                }
            }
        }
    }
    assert!(refused > 1000 && cut_off > 50, "{refused} refused, {cut_off} cut off");
}
