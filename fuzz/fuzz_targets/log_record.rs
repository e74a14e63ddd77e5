//! Hostile bytes as log records, as a segment file, and as the node state file.
//!
//! Nothing may panic, and what is accepted must be the same however the bytes are split. Checksums are
//! also put right before a second try, so that the fuzzer gets behind them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tandem_disk::SimDisk;
use tandem_log::{
    Appender, Decoded, RecoverOptions, Records, Stop, Tip, Verify, decode, load_state, recover,
};
use tandem_types::{Lsn, PairId};

const PAIR: PairId = PairId::new(7);
const SEGMENT: &str = "00000000000000000000.log";
const SEGMENT_HEADER_BYTES: usize = 512;

fuzz_target!(|data: &[u8]| {
    records(data);
    let mut mended = data.to_vec();
    mend_records(&mut mended);
    records(&mended);
    segment(data);
    let mut mended = data.to_vec();
    mend_segment(&mut mended);
    segment(&mended);
    state(data);
});

fn records(data: &[u8]) {
    let mut whole = Records::new(data, Tip::EMPTY);
    let mut accepted = Vec::new();
    for step in whole.by_ref() {
        match step {
            Ok(record) => accepted.push(record.lsn),
            Err(Stop::Incomplete { need }) => assert!(need > data.len() - accepted_bytes(data, &accepted)),
            Err(Stop::Bad(_)) => {}
        }
    }
    let end = whole.offset();
    let (head, _) = data.split_at(end);
    let mut appender = Appender::new(Tip::EMPTY);
    assert_eq!(appender.append_raw(head), Ok(whole.tip().end));
    assert_eq!(appender.tip(), whole.tip());
    if let Some(batch) = appender.take_batch() {
        assert_eq!(batch.records(), head);
    }
    // One record at a time gives the same.
    let mut one_by_one = Appender::new(Tip::EMPTY);
    let mut at = 0;
    while at < end {
        let Decoded::Record(record) = decode(&data[at..]) else { panic!("accepted before") };
        one_by_one.append_raw(record.raw).expect("accepted before");
        at += record.encoded_len();
    }
    assert_eq!(one_by_one.tip(), whole.tip());
}

fn accepted_bytes(data: &[u8], accepted: &[Lsn]) -> usize {
    let mut at = 0;
    for _ in accepted {
        let Decoded::Record(record) = decode(&data[at..]) else { panic!("accepted before") };
        at += record.encoded_len();
    }
    at
}

fn mend_records(data: &mut [u8]) {
    let mut at = 0;
    while let Some(length) = data.get(at + 4..at + 8) {
        let length = u32::from_le_bytes(length.try_into().expect("four bytes"));
        let end = at + 52 + length as usize;
        let Some(record) = data.get_mut(at..end) else { return };
        let crc = crc32c::crc32c(&record[4..]);
        record[..4].copy_from_slice(&crc.to_le_bytes());
        at = end;
    }
}

fn segment(data: &[u8]) {
    let disk = SimDisk::new(1);
    disk.put(SEGMENT, data).expect("an empty directory");
    let options = RecoverOptions { pair: PAIR, from: Lsn::ZERO, verify: Verify::Everything };
    let mut next = None;
    let found = recover(&disk, "", &options, &mut |record| {
        assert!(next.is_none_or(|next| next == record.lsn));
        next = Some(record.lsn.next());
        Ok(())
    });
    if let Ok(first) = found {
        // What was repaired is whole.
        let again = recover(&disk, "", &options, &mut |_| Ok(())).expect("repaired");
        assert_eq!(again.tip(), first.tip());
        assert!(again.torn().is_none());
    }
}

/// Puts the segment header's checksum right, and those of every frame at a sector border and its records.
fn mend_segment(data: &mut [u8]) {
    let Some(header) = data.get_mut(..SEGMENT_HEADER_BYTES) else { return };
    header[..8].copy_from_slice(b"TANDEMLG");
    header[12..20].copy_from_slice(&[1, 0, 0, 0, 0, 2, 0, 0]);
    header[40..48].fill(0);
    let crc = crc32c::crc32c(&header[12..]);
    header[8..12].copy_from_slice(&crc.to_le_bytes());
    let mut at = SEGMENT_HEADER_BYTES;
    while let Some(frame) = data.get_mut(at..at + 48) {
        frame[..4].copy_from_slice(b"TBAT");
        frame[40..48].copy_from_slice(&(at as u64).to_le_bytes());
        let crc = crc32c::crc32c(&frame[8..]);
        frame[4..8].copy_from_slice(&crc.to_le_bytes());
        let end = (at + 512).min(data.len());
        mend_records(&mut data[at + 48..end]);
        at += 512;
    }
}

fn state(data: &[u8]) {
    let disk = SimDisk::new(1);
    for mend in [false, true] {
        let mut bytes = data.to_vec();
        if mend && bytes.len() >= 20 {
            bytes[..8].copy_from_slice(b"TANDEMST");
            bytes[12..14].copy_from_slice(&[1, 0]);
            let length = u32::try_from(bytes.len()).expect("short").to_le_bytes();
            bytes[16..20].copy_from_slice(&length);
            let crc = crc32c::crc32c(&bytes[12..]);
            bytes[8..12].copy_from_slice(&crc.to_le_bytes());
        }
        disk.put("state", &bytes).expect("an empty directory");
        if let Ok(Some(state)) = load_state(&disk) {
            tandem_log::save_state(&disk, &state).expect("a disk without faults");
            assert_eq!(load_state(&disk).expect("just saved"), Some(state));
        }
    }
}
