//! Records on their way to the disk, and the frame they are written in.
//!
//! Every batch begins at a sector border with a frame header, so that writing it never touches a sector
//! that holds durable records, and so that recovery finds later batches although an earlier one is torn:
//!
//! ```text
//!  0       4        8       12         16      24            32      40       48
//!  | magic | crc32c | bytes | reserved | first | durable_end | chain | offset | records ... | zeros
//! ```
//! `crc32c` covers the header after it. `durable_end` is what the writer knew to be durable when it
//! wrote the batch: the proof by which recovery tells a torn tail from corruption.

use tandem_disk::SECTOR_BYTES;
use tandem_types::{Chain, EpochStart, Lsn};

use crate::fields::Fields;
use crate::tip::Tip;

/// Bytes of the frame header.
pub(crate) const BATCH_HEADER_BYTES: usize = 48;

const BATCH_MAGIC: u32 = u32::from_le_bytes(*b"TBAT");

/// Records that are written and synced together; also what goes to the peer.
#[derive(Debug)]
pub struct Batch {
    before: Tip,
    after: Tip,
    starts: Vec<EpochStart>,
    /// Room for the frame header, then the records.
    buffer: Vec<u8>,
}

impl Batch {
    pub(crate) const fn new(
        before: Tip,
        after: Tip,
        starts: Vec<EpochStart>,
        buffer: Vec<u8>,
    ) -> Self {
        Self { before, after, starts, buffer }
    }

    /// The end of the log before it.
    pub const fn before(&self) -> Tip {
        self.before
    }

    /// The end of the log after it.
    pub const fn after(&self) -> Tip {
        self.after
    }

    /// LSN of its first record.
    pub const fn first(&self) -> Lsn {
        self.before.end
    }

    /// First LSN after it.
    pub const fn end(&self) -> Lsn {
        self.after.end
    }

    /// Running checksum after it.
    pub const fn chain_end(&self) -> Chain {
        self.after.chain
    }

    /// Reigns that begin in it.
    pub fn starts(&self) -> &[EpochStart] {
        &self.starts
    }

    /// Its records, as they go over the link.
    pub fn records(&self) -> &[u8] {
        self.buffer.get(BATCH_HEADER_BYTES..).unwrap_or_default()
    }

    /// Takes in the records of the batch that follows; what is left of `next` is its buffer, emptied.
    ///
    /// Many small batches cost a write and a padded sector each.
    ///
    /// # Panics
    /// If `next` does not continue this batch.
    pub fn join(&mut self, next: &mut Self) {
        assert_eq!(self.after, next.before, "a batch that does not continue the one before it");
        self.buffer.extend_from_slice(next.records());
        self.starts.append(&mut next.starts);
        self.after = next.after;
        next.before = next.after;
        next.buffer.truncate(BATCH_HEADER_BYTES);
    }

    pub(crate) fn into_buffer(self) -> Vec<u8> {
        self.buffer
    }

    /// The whole frame for `offset`: header filled in, padded with zeros to a sector.
    pub(crate) fn frame(&mut self, durable_end: Lsn, offset: u64) -> &[u8] {
        let bytes = self.records().len();
        self.buffer.resize(framed_len(bytes), 0);
        let header = BatchHeader {
            bytes,
            first: self.first(),
            durable_end,
            chain: self.before.chain,
            offset,
        };
        self.buffer[..BATCH_HEADER_BYTES].copy_from_slice(&header.encode());
        &self.buffer
    }

    /// Takes the padding of [`Self::frame`] off again.
    pub(crate) fn unframe(&mut self, bytes: usize) {
        self.buffer.truncate(BATCH_HEADER_BYTES + bytes);
    }
}

/// Bytes that `bytes` of records take in a segment.
pub(crate) const fn framed_len(bytes: usize) -> usize {
    (BATCH_HEADER_BYTES + bytes).next_multiple_of(SECTOR_BYTES)
}

/// The frame header of one batch in a segment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct BatchHeader {
    /// Length of the records.
    pub(crate) bytes: usize,
    pub(crate) first: Lsn,
    /// Records before this were durable when the batch was written.
    pub(crate) durable_end: Lsn,
    /// Running checksum before the first record.
    pub(crate) chain: Chain,
    /// Where in the file the frame begins.
    pub(crate) offset: u64,
}

impl BatchHeader {
    pub(crate) fn encode(&self) -> [u8; BATCH_HEADER_BYTES] {
        let mut header = [0; BATCH_HEADER_BYTES];
        // A batch holds at most the target plus one record, far below 4 GiB.
        let bytes = u32::try_from(self.bytes).unwrap_or(u32::MAX);
        header[..4].copy_from_slice(&BATCH_MAGIC.to_le_bytes());
        header[8..12].copy_from_slice(&bytes.to_le_bytes());
        header[16..24].copy_from_slice(&self.first.get().to_le_bytes());
        header[24..32].copy_from_slice(&self.durable_end.get().to_le_bytes());
        header[32..40].copy_from_slice(&self.chain.get().to_le_bytes());
        header[40..48].copy_from_slice(&self.offset.to_le_bytes());
        let crc = crc32c::crc32c(&header[8..]);
        header[4..8].copy_from_slice(&crc.to_le_bytes());
        header
    }

    /// The frame header at the front of `bytes`, if it is one and belongs to `offset`.
    pub(crate) fn decode(bytes: &[u8], offset: u64) -> Option<Self> {
        let mut fields = Fields(bytes.get(..BATCH_HEADER_BYTES)?);
        if fields.u32()? != BATCH_MAGIC
            || fields.u32()? != crc32c::crc32c(&bytes[8..BATCH_HEADER_BYTES])
        {
            return None;
        }
        let bytes = usize::try_from(fields.u32()?).ok()?;
        let _reserved = fields.u32()?;
        let header = Self {
            bytes,
            first: Lsn::new(fields.u64()?),
            durable_end: Lsn::new(fields.u64()?),
            chain: Chain::new(fields.u64()?),
            offset: fields.u64()?,
        };
        (header.offset == offset && header.durable_end <= header.first).then_some(header)
    }
}
