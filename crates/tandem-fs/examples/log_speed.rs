//! How fast the log is on a real disk: `cargo run --release -p tandem-fs --example log_speed -- DIR`.
//!
//! Appends 5 million records of 100 bytes, reads them back, recovers them, and times small synced batches.
#![expect(clippy::print_stdout, reason = "a measurement for people")]

use std::error::Error;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tandem_disk::Disk;
use tandem_fs::FsDisk;
use tandem_log::{
    Appender, LogOptions, RecordKind, RecordMeta, RecoverOptions, SegmentWriter, Tip, Verify,
    create_log, recover,
};
use tandem_types::{Epoch, EpochHistory, ForkId, Lsn, NodeId, PairId, Stamp};

const RECORDS: u64 = 5_000_000;
const SYNCED_BATCHES: u32 = 500;
const PAIR: PairId = PairId::new(1);
const META: RecordMeta =
    RecordMeta { epoch: Epoch::new(1), stamp: Stamp::ZERO, seen: 0, origin: NodeId::A };

fn main() -> Result<(), Box<dyn Error>> {
    let parent = std::env::args().nth(1).map_or_else(std::env::temp_dir, PathBuf::from);
    let root = parent.join(format!("tandem-log-speed-{}", std::process::id()));
    let disk = FsDisk::open(&root)?;
    let measured = measure(&disk);
    drop(disk);
    std::fs::remove_dir_all(&root)?;
    measured
}

fn measure(disk: &FsDisk) -> Result<(), Box<dyn Error>> {
    disk.create_dir("log")?;
    create_log(disk, "log", PAIR, Tip::EMPTY, &EpochHistory::new())?;
    let mut appender = Appender::new(Tip::EMPTY);
    appender.start_epoch(ForkId::new(1), META);
    let mut writer = open(disk, Lsn::MAX)?;

    let started = Instant::now();
    let mut writing = Duration::ZERO;
    for _ in 1..RECORDS {
        appender.append(RecordKind::Effects, &[7; 100], META)?;
        if appender.pending_bytes() > 4 << 20 {
            let before = Instant::now();
            write_all(&mut appender, &mut writer)?;
            writing += before.elapsed();
        }
    }
    write_all(&mut appender, &mut writer)?;
    writer.sync()?;
    let appending = started.elapsed().saturating_sub(writing);
    report("append in memory", appending, RECORDS, "record");
    report("write and sync", writing, RECORDS, "record");

    let mut reader = writer.reader();
    let (mut at, mut out, started) = (Lsn::ZERO, Vec::new(), Instant::now());
    while at < appender.appended_end() {
        out.clear();
        at = reader.read(at, appender.appended_end(), 1 << 20, &mut out)?;
    }
    report("read back", started.elapsed(), RECORDS, "record");
    drop(writer);

    let (started, cpu) = (Instant::now(), cpu_time());
    let mut writer = open(disk, Lsn::ZERO)?;
    report("recover", started.elapsed(), RECORDS, "record");
    let cpu = cpu_time().saturating_sub(cpu).as_secs_f64();
    println!("{:>18}: {:.2} s, of it {cpu:.2} s of processor", "", started.elapsed().as_secs_f64());

    writer.prepare()?;
    let mut times = Vec::new();
    for _ in 0..SYNCED_BATCHES {
        appender.append(RecordKind::Effects, &[7; 100], META)?;
        let started = Instant::now();
        write_all(&mut appender, &mut writer)?;
        writer.sync()?;
        times.push(started.elapsed());
    }
    times.sort();
    let at =
        |permille: usize| times.get(times.len() * permille / 1000).copied().unwrap_or_default();
    println!(
        "{:>18}: p50 {:?}, p99 {:?}, worst {:?}",
        "one record, synced",
        at(500),
        at(990),
        at(999)
    );
    Ok(())
}

fn open(disk: &FsDisk, from: Lsn) -> Result<SegmentWriter<FsDisk>, Box<dyn Error>> {
    let options = RecoverOptions { pair: PAIR, from, verify: Verify::Everything };
    let recovered = recover(disk, "log", &options, &mut |_| Ok(()))?;
    Ok(SegmentWriter::open(disk.clone(), &recovered, LogOptions::default()))
}

fn write_all(
    appender: &mut Appender,
    writer: &mut SegmentWriter<FsDisk>,
) -> Result<(), Box<dyn Error>> {
    while let Some(mut batch) = appender.take_batch() {
        writer.write(&mut batch)?;
        appender.recycle(batch);
    }
    Ok(())
}

/// Processor time of this thread: what counts on a machine that does other things too.
fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

fn report(what: &str, time: Duration, count: u64, unit: &str) {
    let nanos = time.as_nanos() / u128::from(count);
    println!("{what:>18}: {nanos} ns per {unit}");
}
