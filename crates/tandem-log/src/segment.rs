//! Segment files: their names and their headers.
//!
//! ```text
//! | header, whole sectors | batch | batch | ... | zeros to the preallocated size |
//!
//!  0             8        12        14         16             20            24
//!  | "TANDEMLG"  | crc32c | version | reserved | header_bytes | epoch_count | pair id (16) |
//!  | first | chain | epoch | stamp | durable_end | epoch_count x (epoch, fork, first) | zeros
//!  40      48      56      64      72            80
//! ```
//! `crc32c` covers the header after it, up to `header_bytes`. The epoch table is the one *before* the
//! first record, so a log whose oldest segments are gone still knows every reign.

use tandem_disk::SECTOR_BYTES;
use tandem_types::{Chain, Epoch, EpochHistory, EpochStart, ForkId, Lsn, PairId, Stamp};

use crate::fields::Fields;
use crate::tip::Tip;

pub(crate) const SEGMENT_VERSION: u16 = 1;
const SEGMENT_MAGIC: &[u8; 8] = b"TANDEMLG";
const FIXED_BYTES: usize = 80;
const EPOCH_BYTES: usize = 24;

/// Longest header that is believed: some 700,000 reigns.
pub(crate) const HEADER_BYTES_MAX: usize = 16 << 20;

/// Name of a preallocated segment that has not begun.
pub(crate) const SPARE_NAME: &str = "spare";
/// Name of a segment that is being rewritten.
pub(crate) const TEMPORARY_NAME: &str = "segment.tmp";
const SUFFIX: &str = ".log";

/// Name of the segment whose first record is `first`.
pub(crate) fn segment_name(first: Lsn) -> String {
    format!("{first:020}{SUFFIX}", first = first.get())
}

/// First LSN of the segment with this name; `None` if the name is no segment's.
pub(crate) fn parse_segment_name(name: &str) -> Option<Lsn> {
    let digits = name.strip_suffix(SUFFIX)?;
    if digits.len() != 20 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok().map(Lsn::new)
}

/// `name` in the directory `dir`.
pub(crate) fn path(dir: &str, name: &str) -> String {
    if dir.is_empty() { name.to_owned() } else { format!("{dir}/{name}") }
}

/// What a segment says of itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct SegmentHeader {
    pub(crate) pair: PairId,
    /// The end of the log before its first record.
    pub(crate) before: Tip,
    /// Records of this segment before this were durable when the file got its name.
    pub(crate) durable_end: Lsn,
    /// Reigns that began before its first record.
    pub(crate) history: EpochHistory,
}

/// Why bytes are not a segment header.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum HeaderError {
    /// Too short, wrong magic, wrong checksum, or fields that contradict one another.
    Damaged,
    /// A format that this version does not know.
    Version(u16),
}

impl SegmentHeader {
    /// Bytes on disk: whole sectors.
    pub(crate) fn encoded_len(&self) -> usize {
        (FIXED_BYTES + self.history.starts().len() * EPOCH_BYTES).next_multiple_of(SECTOR_BYTES)
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let total = self.encoded_len();
        let mut bytes = Vec::with_capacity(total);
        bytes.extend_from_slice(SEGMENT_MAGIC);
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&SEGMENT_VERSION.to_le_bytes());
        bytes.extend_from_slice(&[0; 2]);
        // At most HEADER_BYTES_MAX, or the writer would have refused.
        bytes.extend_from_slice(&u32::try_from(total).unwrap_or(u32::MAX).to_le_bytes());
        let epochs = u32::try_from(self.history.starts().len()).unwrap_or(u32::MAX);
        bytes.extend_from_slice(&epochs.to_le_bytes());
        bytes.extend_from_slice(&self.pair.get().to_le_bytes());
        let Tip { end, chain, epoch, stamp } = self.before;
        for field in [end.get(), chain.get(), epoch.get(), stamp.get(), self.durable_end.get()] {
            bytes.extend_from_slice(&field.to_le_bytes());
        }
        for start in self.history.starts() {
            for field in [start.epoch.get(), start.fork.get(), start.first.get()] {
                bytes.extend_from_slice(&field.to_le_bytes());
            }
        }
        bytes.resize(total, 0);
        let crc = crc32c::crc32c(&bytes[12..]);
        bytes[8..12].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Total length that the header at the front of `sector` states.
    pub(crate) fn stated_len(sector: &[u8]) -> Result<usize, HeaderError> {
        let mut fields = Fields(sector);
        if fields.bytes(8) != Some(SEGMENT_MAGIC) {
            return Err(HeaderError::Damaged);
        }
        let (_crc, version) = (fields.u32(), fields.u16().ok_or(HeaderError::Damaged)?);
        if version != SEGMENT_VERSION {
            return Err(HeaderError::Version(version));
        }
        let _reserved = fields.u16();
        let stated = fields.u32().and_then(|len| usize::try_from(len).ok());
        let believable = |len: &usize| {
            (SECTOR_BYTES..=HEADER_BYTES_MAX).contains(len) && len.is_multiple_of(SECTOR_BYTES)
        };
        stated.filter(believable).ok_or(HeaderError::Damaged)
    }

    /// The header that `bytes` are, all of them.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, HeaderError> {
        if Self::stated_len(bytes)? != bytes.len() {
            return Err(HeaderError::Damaged);
        }
        Self::decode_fields(bytes).ok_or(HeaderError::Damaged)
    }

    fn decode_fields(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes.get(8..)?);
        if fields.u32()? != crc32c::crc32c(fields.0) {
            return None;
        }
        let (_version, _reserved, _len) = (fields.u16()?, fields.u16()?, fields.u32()?);
        let epochs = fields.u32()?;
        let pair = PairId::new(fields.u128()?);
        let before = Tip {
            end: Lsn::new(fields.u64()?),
            chain: Chain::new(fields.u64()?),
            epoch: Epoch::new(fields.u64()?),
            stamp: Stamp::new(fields.u64()?),
        };
        let durable_end = Lsn::new(fields.u64()?);
        let mut history = EpochHistory::new();
        for _ in 0..epochs {
            let epoch = Epoch::new(fields.u64()?);
            let fork = ForkId::new(fields.u64()?);
            let first = Lsn::new(fields.u64()?);
            history.push(EpochStart { epoch, fork, first }).ok()?;
        }
        (durable_end >= before.end).then_some(Self { pair, before, durable_end, history })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_reads_back_and_any_flipped_bit_is_noticed() {
        let mut history = EpochHistory::new();
        for number in 1..40 {
            let (epoch, fork) = (Epoch::new(number), ForkId::new(number * 7));
            history.push(EpochStart { epoch, fork, first: Lsn::new(number) }).unwrap();
        }
        let before = Tip {
            end: Lsn::new(90),
            chain: Chain::new(5),
            epoch: Epoch::new(39),
            stamp: Stamp::new(8),
        };
        let header =
            SegmentHeader { pair: PairId::new(77), before, durable_end: Lsn::new(90), history };
        let mut bytes = header.encode();
        assert_eq!(bytes.len(), 1024);
        assert_eq!(SegmentHeader::decode(&bytes), Ok(header));
        for at in 0..bytes.len() {
            bytes[at] ^= 0x10;
            SegmentHeader::decode(&bytes).unwrap_err();
            bytes[at] ^= 0x10;
        }
    }

    #[test]
    fn only_twenty_digits_are_a_segment_name() {
        let lsn = Lsn::new(1234);
        assert_eq!(parse_segment_name(&segment_name(lsn)), Some(lsn));
        for bad in ["1.log", "0000000000000000123x.log", "spare", "99999999999999999999.log"] {
            assert_eq!(parse_segment_name(bad), None, "{bad}");
        }
    }
}
