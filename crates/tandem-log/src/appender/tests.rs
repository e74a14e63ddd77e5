//! Building, dropping and copying records.

use super::*;
use crate::testing::{append, meta, start_epoch};
use crate::{Decoded, decode};

#[test]
fn an_aborted_record_leaves_no_trace() {
    let mut plain = Appender::new(Tip::EMPTY);
    let mut other = Appender::new(Tip::EMPTY);
    for appender in [&mut plain, &mut other] {
        start_epoch(appender, 1);
        append(appender, b"one");
    }
    other.begin(RecordKind::Effects).extend_from_slice(b"never");
    assert_eq!(other.payload_len(), 5);
    other.abort();
    for appender in [&mut plain, &mut other] {
        append(appender, b"two");
    }
    assert_eq!(plain.tip(), other.tip());
    let (plain, other) = (plain.take_batch().unwrap(), other.take_batch().unwrap());
    assert_eq!(plain.records(), other.records());
}

#[test]
fn the_follower_appends_the_same_bytes_and_ends_at_the_same_tip() {
    let mut leader = Appender::new(Tip::EMPTY);
    start_epoch(&mut leader, 1);
    append(&mut leader, b"one");
    start_epoch(&mut leader, 4);
    append(&mut leader, b"two");
    let batch = leader.take_batch().unwrap();
    assert_eq!(batch.starts().len(), 2);
    let mut follower = Appender::new(Tip::EMPTY);
    assert_eq!(follower.append_raw(batch.records()), Ok(Lsn::new(4)));
    assert_eq!(follower.tip(), leader.tip());
    let copy = follower.take_batch().unwrap();
    assert_eq!(copy.records(), batch.records());
    assert_eq!(copy.starts(), batch.starts());
    // The same again does not continue the log.
    let again = follower.append_raw(batch.records()).unwrap_err();
    assert!(matches!(again.bad(), Some(BadRecord::Lsn { .. })));
    assert_eq!(follower.tip(), leader.tip());
}

#[test]
fn every_flipped_bit_and_every_cut_of_raw_records_is_refused() {
    let mut leader = Appender::new(Tip::EMPTY);
    start_epoch(&mut leader, 1);
    append(&mut leader, b"some effects");
    let batch = leader.take_batch().unwrap();
    let bytes = batch.records();
    let borders = [0, RECORD_HEADER_BYTES + 8];
    for at in 0..bytes.len() {
        let mut follower = Appender::new(Tip::EMPTY);
        for bit in 0..8 {
            let mut bad = bytes.to_vec();
            bad[at] ^= 1 << bit;
            follower.append_raw(&bad).unwrap_err();
        }
        assert_eq!(follower.append_raw(&bytes[..at]).is_ok(), borders.contains(&at), "cut at {at}");
    }
}

#[test]
fn every_field_reads_back() {
    let mut appender = Appender::new(Tip::EMPTY);
    start_epoch(&mut appender, 3);
    let record = RecordMeta { seen: 42, origin: NodeId::B, ..meta(3, 77) };
    let lsn = appender.append(RecordKind::Effects, b"payload", record).unwrap();
    let batch = appender.take_batch().unwrap();
    let Decoded::Record(start) = decode(batch.records()) else { panic!("no record") };
    assert_eq!(start.fork(), Some(ForkId::new(3000)));
    let Decoded::Record(read) = decode(&batch.records()[start.encoded_len()..]) else {
        panic!("no record")
    };
    assert_eq!((read.lsn, read.epoch, read.stamp), (lsn, record.epoch, record.stamp));
    assert_eq!((read.seen, read.origin, read.payload), (42, NodeId::B, &b"payload"[..]));
    assert_eq!(read.chain_before, start.chain_after());
    assert_eq!(read.chain_after(), batch.chain_end());
}

#[test]
fn large_batches_are_closed_and_buffers_are_reused() {
    let mut appender = Appender::new(Tip::EMPTY);
    start_epoch(&mut appender, 1);
    for _ in 0..10 {
        append(&mut appender, &vec![1; 1 << 20]);
    }
    let mut next = Lsn::ZERO;
    while let Some(batch) = appender.take_batch() {
        assert_eq!(batch.first(), next);
        next = batch.end();
        appender.recycle(batch);
    }
    assert_eq!(next, appender.appended_end());
    assert_eq!(appender.pending_bytes(), 0);
}
