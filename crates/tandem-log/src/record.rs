//! One log record as bytes: encode, decode, and every reason to refuse one.
//!
//! ```text
//!  0        4        8                16               24               32
//!  | crc32c | length | lsn            | epoch          | stamp          |
//!  | chain_before    | seen           | kind orig flags| payload ...
//!  32                40               48   49   50     52
//! ```
//! Little-endian. `crc32c` covers everything after it, the payload included; `length` counts the payload.

use std::fmt;

use tandem_types::{Chain, Epoch, ForkId, Lsn, NodeId, Stamp};

use crate::fields::Fields;

/// Bytes before the payload.
pub const RECORD_HEADER_BYTES: usize = 52;

const _: () = assert!(RECORD_HEADER_BYTES == 4 + 4 + 5 * 8 + 1 + 1 + 2);

/// Longest payload: 1 GiB, so that a command with one 512 MiB value (the longest bulk string of the
/// protocol) fits with its key and its framing.
pub const PAYLOAD_BYTES_MAX: usize = 1 << 30;

/// What a record's payload is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RecordKind {
    /// Effects of one command or one transaction, in the store's encoding. Byte 0.
    Effects,
    /// A primary's reign begins; the payload is its [`ForkId`]. Byte 1.
    EpochStart,
    /// Two writers: what this node wrote, as the peer will merge it. Byte 2.
    Own,
    /// Two writers: what was merged from the peer, as it came. Byte 3.
    Merged,
    /// Two writers: whom this node met, and what it copied from it. Byte 4.
    Peer,
}

impl RecordKind {
    const fn as_byte(self) -> u8 {
        match self {
            Self::Effects => 0,
            Self::EpochStart => 1,
            Self::Own => 2,
            Self::Merged => 3,
            Self::Peer => 4,
        }
    }

    const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Effects),
            1 => Some(Self::EpochStart),
            2 => Some(Self::Own),
            3 => Some(Self::Merged),
            4 => Some(Self::Peer),
            _ => None,
        }
    }
}

/// Why bytes are not the record that should stand there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BadRecord {
    /// The header says a payload longer than [`PAYLOAD_BYTES_MAX`], or than the batch that holds it.
    Length(u32),
    /// The checksum does not match.
    Checksum {
        /// The one in the header.
        found: u32,
        /// The one of the bytes.
        expected: u32,
    },
    /// A kind that this version does not know.
    Kind(u8),
    /// An origin that is neither node.
    Origin(u8),
    /// Flags that this version does not know.
    Flags(u16),
    /// An epoch start whose payload is not a fork id.
    EpochStart,
    /// Not the next record.
    Lsn {
        /// Its LSN.
        found: Lsn,
        /// The next one.
        expected: Lsn,
    },
    /// The next LSN, but of another history.
    Chain {
        /// The running checksum that it continues.
        found: Chain,
        /// The one of this log.
        expected: Chain,
    },
    /// An epoch that is neither the current one nor a new one with its start.
    Epoch {
        /// The record's.
        found: Epoch,
        /// The one of the record before.
        current: Epoch,
    },
}

impl fmt::Display for BadRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length(length) => write!(f, "payload of {length} bytes is too long"),
            Self::Checksum { found, expected } => {
                write!(f, "checksum is {found:#010x}, the bytes have {expected:#010x}")
            }
            Self::Kind(kind) => write!(f, "unknown record kind {kind}"),
            Self::Origin(origin) => write!(f, "unknown origin node {origin}"),
            Self::Flags(flags) => write!(f, "unknown flags {flags:#06x}"),
            Self::EpochStart => f.write_str("epoch start without a fork id"),
            Self::Lsn { found, expected } => write!(f, "record {found} where {expected} belongs"),
            Self::Chain { found, expected } => {
                write!(f, "continues another history ({found}, this one is {expected})")
            }
            Self::Epoch { found, current } => write!(f, "epoch {found} cannot follow {current}"),
        }
    }
}

impl std::error::Error for BadRecord {}

/// One record, its payload still in the buffer it was read into.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RecordView<'a> {
    /// Its position.
    pub lsn: Lsn,
    /// The reign it was written in.
    pub epoch: Epoch,
    /// When (hybrid logical clock).
    pub stamp: Stamp,
    /// Running checksum of everything before it.
    pub chain_before: Chain,
    /// Primary-primary: end of the peer's stream that its writer had seen. Otherwise 0.
    pub seen: u64,
    /// What the payload is.
    pub kind: RecordKind,
    /// The node that wrote it.
    pub origin: NodeId,
    /// Its own checksum.
    pub crc: u32,
    /// The content.
    pub payload: &'a [u8],
    /// All its bytes: what the link carries and the peer appends.
    pub raw: &'a [u8],
}

impl RecordView<'_> {
    /// Running checksum with this record included.
    pub const fn chain_after(&self) -> Chain {
        self.chain_before.after(self.crc)
    }

    /// Bytes of the whole record, header included.
    pub const fn encoded_len(&self) -> usize {
        self.raw.len()
    }

    /// The fork id, if this record begins a reign.
    pub fn fork(&self) -> Option<ForkId> {
        match self.kind {
            RecordKind::EpochStart => Fields(self.payload).u64().map(ForkId::new),
            RecordKind::Effects | RecordKind::Own | RecordKind::Merged | RecordKind::Peer => None,
        }
    }
}

/// What stands at the front of a byte slice.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Decoded<'a> {
    /// A whole record with a good checksum. Whether it belongs here is [`crate::Tip::check`]'s to say.
    Record(RecordView<'a>),
    /// The bytes end too early: a whole record needs this many (a lower bound while the header is cut).
    Incomplete {
        /// Bytes needed from the front.
        need: usize,
    },
    /// Not a record.
    Bad(BadRecord),
}

/// Decodes the record at the front of `bytes`. Never panics, never allocates.
#[inline]
pub fn decode(bytes: &[u8]) -> Decoded<'_> {
    let need = match encoded_len(bytes) {
        Ok(Some(need)) if need <= bytes.len() => need,
        Ok(need) => return Decoded::Incomplete { need: need.unwrap_or(RECORD_HEADER_BYTES) },
        Err(bad) => return Decoded::Bad(bad),
    };
    match bytes.get(..need).map(decode_whole) {
        Some(Ok(record)) => Decoded::Record(record),
        Some(Err(bad)) => Decoded::Bad(bad),
        None => Decoded::Incomplete { need },
    }
}

/// Length of the record at the front of `bytes`, header included; `None` while its header is cut.
///
/// For walking over records that were verified before: nothing but the length is looked at.
///
/// # Errors
/// A length that no record has.
#[inline]
pub fn encoded_len(bytes: &[u8]) -> Result<Option<usize>, BadRecord> {
    let mut fields = Fields(bytes);
    let (Some(_crc), Some(length)) = (fields.u32(), fields.u32()) else { return Ok(None) };
    let payload = usize::try_from(length).map_err(|_| BadRecord::Length(length))?;
    if payload > PAYLOAD_BYTES_MAX {
        return Err(BadRecord::Length(length));
    }
    Ok(Some(RECORD_HEADER_BYTES + payload))
}

/// `bytes` is exactly as long as its header says.
#[inline]
fn decode_whole(bytes: &[u8]) -> Result<RecordView<'_>, BadRecord> {
    let mut fields = Fields(bytes);
    let crc = fields.u32().ok_or(BadRecord::Length(0))?;
    let expected = crc32c::crc32c(fields.0);
    if crc != expected {
        return Err(BadRecord::Checksum { found: crc, expected });
    }
    decode_fields(bytes, crc, fields).ok_or(BadRecord::Length(0))?
}

#[inline]
fn decode_fields<'a>(
    raw: &'a [u8],
    crc: u32,
    mut fields: Fields<'a>,
) -> Option<Result<RecordView<'a>, BadRecord>> {
    let _length = fields.u32()?;
    let lsn = Lsn::new(fields.u64()?);
    let epoch = Epoch::new(fields.u64()?);
    let stamp = Stamp::new(fields.u64()?);
    let chain_before = Chain::new(fields.u64()?);
    let seen = fields.u64()?;
    let (kind_byte, origin_byte, flags) = (fields.u8()?, fields.u8()?, fields.u16()?);
    let payload = fields.0;
    let Some(kind) = RecordKind::from_byte(kind_byte) else {
        return Some(Err(BadRecord::Kind(kind_byte)));
    };
    let Some(origin) = NodeId::from_byte(origin_byte) else {
        return Some(Err(BadRecord::Origin(origin_byte)));
    };
    if flags != 0 {
        return Some(Err(BadRecord::Flags(flags)));
    }
    if kind == RecordKind::EpochStart && payload.len() != 8 {
        return Some(Err(BadRecord::EpochStart));
    }
    Some(Ok(RecordView { lsn, epoch, stamp, chain_before, seen, kind, origin, crc, payload, raw }))
}

/// What the header says besides lengths and checksums.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    pub(crate) lsn: Lsn,
    pub(crate) epoch: Epoch,
    pub(crate) stamp: Stamp,
    pub(crate) chain_before: Chain,
    pub(crate) seen: u64,
    pub(crate) kind: RecordKind,
    pub(crate) origin: NodeId,
}

impl Header {
    /// Fills the header in front of a payload that is already in place, and returns the checksum.
    ///
    /// `record` is the whole record; its length was checked by the caller.
    pub(crate) fn fill(&self, record: &mut [u8]) -> u32 {
        let payload = record.len().saturating_sub(RECORD_HEADER_BYTES);
        let length = u32::try_from(payload).unwrap_or(u32::MAX);
        let mut header = [0; RECORD_HEADER_BYTES];
        header[4..8].copy_from_slice(&length.to_le_bytes());
        header[8..16].copy_from_slice(&self.lsn.get().to_le_bytes());
        header[16..24].copy_from_slice(&self.epoch.get().to_le_bytes());
        header[24..32].copy_from_slice(&self.stamp.get().to_le_bytes());
        header[32..40].copy_from_slice(&self.chain_before.get().to_le_bytes());
        header[40..48].copy_from_slice(&self.seen.to_le_bytes());
        header[48] = self.kind.as_byte();
        header[49] = self.origin.as_byte();
        record[..RECORD_HEADER_BYTES].copy_from_slice(&header);
        let crc = crc32c::crc32c(&record[4..]);
        record[..4].copy_from_slice(&crc.to_le_bytes());
        crc
    }
}
