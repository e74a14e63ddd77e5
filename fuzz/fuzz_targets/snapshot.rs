//! Hostile bytes as a snapshot file: refused or read, never a panic, never a bomb.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tandem_disk::SimDisk;
use tandem_snapshot::{SnapshotName, read};
use tandem_types::{Lsn, PairId};

const FIXED_BYTES: usize = 72;
const CHUNK_HEADER_BYTES: usize = 40;
/// What is unpacked in one piece is at most this long (see `COMPRESS_BYTES_MAX` there).
const UNPACKED_BYTES_MAX: usize = 16 << 20;

fuzz_target!(|data: &[u8]| {
    try_read(data);
    let mut mended = data.to_vec();
    mend(&mut mended);
    try_read(&mended);
});

fn try_read(data: &[u8]) {
    let disk = SimDisk::new(1);
    let field = |at: usize| {
        data.get(at..at + 8).map_or(0, |bytes| u64::from_le_bytes(bytes.try_into().expect("eight bytes")))
    };
    let end = data.len().saturating_sub(CHUNK_HEADER_BYTES) + 8;
    let name = SnapshotName { start: Lsn::new(field(32)), end: Lsn::new(field(end)) };
    disk.put(&name.to_string(), data).expect("an empty directory");
    let pair = data.get(16..32).map_or(0, |bytes| u128::from_le_bytes(bytes.try_into().expect("sixteen")));
    let read = read(&disk, "", name, PairId::new(pair), &mut |chunk| {
        assert!(chunk.bytes.len() <= UNPACKED_BYTES_MAX.max(data.len()));
        Ok(())
    });
    if let Ok(finished) = read {
        assert_eq!(finished.end, name.end);
    }
}

/// Puts magic numbers, lengths and checksums right, so that the rest is reached.
fn mend(data: &mut [u8]) {
    if data.len() < FIXED_BYTES + CHUNK_HEADER_BYTES {
        return;
    }
    data[..8].copy_from_slice(b"TANDEMSN");
    data[12..16].copy_from_slice(&[1, 0, 0, 0]);
    data[64..72].fill(0);
    let crc = crc32c::crc32c(&data[12..FIXED_BYTES]);
    data[8..12].copy_from_slice(&crc.to_le_bytes());
    let footer = data.len() - CHUNK_HEADER_BYTES;
    let (mut at, mut chunks, mut digest) = (FIXED_BYTES, 0u64, 0u64);
    while at + CHUNK_HEADER_BYTES <= footer {
        let room = footer - at - CHUNK_HEADER_BYTES;
        let stored = usize::from(data[at + 24]).min(room);
        data[at] = 1;
        data[at + 1] &= 1;
        data[at + 24..at + 32].copy_from_slice(&(stored as u64).to_le_bytes());
        let crc = crc32c::crc32c(&data[at..at + 32]);
        let content = at + CHUNK_HEADER_BYTES;
        let crc = crc32c::crc32c_append(crc, &data[content..content + stored]);
        data[at + 32..at + 36].copy_from_slice(&crc.to_le_bytes());
        digest = (digest.rotate_left(9) ^ u64::from(crc)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        chunks += 1;
        at = content + stored;
    }
    data[footer] = 2;
    data[footer + 16..footer + 24].copy_from_slice(&chunks.to_le_bytes());
    data[footer + 24..footer + 32].copy_from_slice(&digest.to_le_bytes());
    let crc = crc32c::crc32c(&data[footer..footer + 32]);
    data[footer + 32..footer + 36].copy_from_slice(&crc.to_le_bytes());
}
