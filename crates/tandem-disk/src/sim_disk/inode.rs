//! The content of one simulated file: as seen, on the medium, and what is pending between the two.

use std::io;

use crate::SECTOR_BYTES;

pub(super) const BLOCK_BYTES: u64 = 4096;

/// One thing that a crash may keep or lose by itself.
#[derive(Clone, Debug)]
pub(super) enum Unit {
    /// Bytes that lie within one sector.
    Sector { offset: usize, bytes: Vec<u8> },
    /// The length becomes this.
    Len(usize),
}

#[derive(Clone, Debug, Default)]
pub(super) struct Inode {
    pub(super) cache: Vec<u8>,
    pub(super) medium: Vec<u8>,
    pub(super) pending: Vec<Unit>,
    /// Space is taken for the bytes before this.
    pub(super) reserved: u64,
}

impl Inode {
    pub(super) fn write(&mut self, offset: usize, bytes: &[u8]) {
        let end = offset + bytes.len();
        if end > self.cache.len() {
            self.cache.resize(end, 0);
            self.pending.push(Unit::Len(end));
        }
        let mut at = offset;
        while at < end {
            let sector_end = (at / SECTOR_BYTES + 1) * SECTOR_BYTES;
            let stop = sector_end.min(end);
            let part = bytes[at - offset..stop - offset].to_vec();
            self.cache[at..stop].copy_from_slice(&part);
            self.pending.push(Unit::Sector { offset: at, bytes: part });
            at = stop;
        }
        self.reserved = self.reserved.max(blocks(end));
    }

    pub(super) fn set_len(&mut self, len: usize) {
        if len == self.cache.len() {
            return;
        }
        self.cache.resize(len, 0);
        self.pending.push(Unit::Len(len));
        self.reserved = self.reserved.min(blocks(len));
    }

    pub(super) fn sync(&mut self) {
        // Not a copy of the cache: after a lost sync the two differ, and stay so.
        for unit in std::mem::take(&mut self.pending) {
            apply(&mut self.medium, &unit);
        }
    }

    pub(super) fn crash(&mut self, mut keep: impl FnMut() -> bool) {
        for unit in std::mem::take(&mut self.pending) {
            if keep() {
                apply(&mut self.medium, &unit);
            }
        }
        self.cache.clone_from(&self.medium);
        self.reserved = blocks(self.cache.len());
    }

    pub(super) fn flip(&mut self, offset: u64, mask: u8) -> io::Result<()> {
        let at = usize::try_from(offset).map_err(|_| io::ErrorKind::UnexpectedEof)?;
        *self.cache.get_mut(at).ok_or(io::ErrorKind::UnexpectedEof)? ^= mask;
        if let Some(byte) = self.medium.get_mut(at) {
            *byte ^= mask;
        }
        Ok(())
    }
}

/// The bytes of whole blocks that hold `len` bytes.
pub(super) fn blocks(len: usize) -> u64 {
    (len as u64).div_ceil(BLOCK_BYTES) * BLOCK_BYTES
}

/// Bytes beyond the length are lost: the file system never got to know that they belong to the file.
fn apply(medium: &mut Vec<u8>, unit: &Unit) {
    match unit {
        Unit::Len(len) => medium.resize(*len, 0),
        Unit::Sector { offset, bytes } => {
            let end = (offset + bytes.len()).min(medium.len());
            if let Some(place) = medium.get_mut(*offset..end) {
                let kept = place.len();
                place.copy_from_slice(&bytes[..kept]);
            }
        }
    }
}
