//! Helpers shared by this crate's tests.

use tandem_disk::SimDisk;
use tandem_types::{Epoch, ForkId, Lsn, NodeId, PairId, Stamp};

use crate::{
    Appender, LogOptions, RecordKind, RecordMeta, RecoverError, RecoverOptions, Recovered,
    SegmentWriter, Verify, create_log, recover,
};

pub(crate) const PAIR: PairId = PairId::new(0xfeed);
pub(crate) const SMALL: LogOptions = LogOptions { segment_bytes: 4096 };

pub(crate) fn meta(epoch: u64, stamp: u64) -> RecordMeta {
    RecordMeta { epoch: Epoch::new(epoch), stamp: Stamp::new(stamp), seen: 0, origin: NodeId::A }
}

/// What a test remembers of a record: LSN and payload.
pub(crate) type Seen = (u64, Vec<u8>);

pub(crate) fn recover_all(disk: &SimDisk) -> Result<(Recovered, Vec<Seen>), RecoverError> {
    let mut seen = Vec::new();
    let options = RecoverOptions { pair: PAIR, from: Lsn::ZERO, verify: Verify::Everything };
    let recovered = recover(disk, "", &options, &mut |record| {
        seen.push((record.lsn.get(), record.payload.to_vec()));
        Ok(())
    })?;
    Ok((recovered, seen))
}

/// A new log and its two writing ends.
pub(crate) fn fresh(disk: &SimDisk) -> (Appender, SegmentWriter<SimDisk>) {
    create_log(disk, "", PAIR, crate::Tip::EMPTY, &tandem_types::EpochHistory::new()).unwrap();
    open(disk)
}

/// The two writing ends of the log that is there.
pub(crate) fn open(disk: &SimDisk) -> (Appender, SegmentWriter<SimDisk>) {
    let (recovered, _) = recover_all(disk).unwrap();
    let appender = Appender::new(recovered.tip());
    (appender, SegmentWriter::open(disk.clone(), &recovered, SMALL))
}

/// Begins epoch `epoch`.
pub(crate) fn start_epoch(appender: &mut Appender, epoch: u64) {
    appender.start_epoch(ForkId::new(epoch * 1000), meta(epoch, epoch));
}

/// Appends one record in the current epoch.
pub(crate) fn append(appender: &mut Appender, payload: &[u8]) {
    let tip = appender.tip();
    let meta = meta(tip.epoch.get(), tip.stamp.get() + 1);
    appender.append(RecordKind::Effects, payload, meta).unwrap();
}

/// A log of several small segments; its pair and its directory.
pub(crate) fn filled_log(disk: &SimDisk) -> (PairId, &'static str) {
    let (mut appender, mut writer) = fresh(disk);
    start_epoch(&mut appender, 1);
    for number in 0..40u8 {
        append(&mut appender, &[number; 300]);
        while let Some(mut batch) = appender.take_batch() {
            writer.write(&mut batch).unwrap();
        }
        writer.sync().unwrap();
        writer.prepare().unwrap();
    }
    (PAIR, "")
}
