//! The start of the file: whose data, and where the log must be replayed from.

use tandem_types::{
    Chain, Epoch, EpochHistory, EpochStart, ForkId, HistoryError, Lsn, PairId, Stamp,
};

use crate::{FORMAT_VERSION, SLOTS_ONLY_VERSION};

const MAGIC: &[u8; 8] = b"TANDEMSN";
/// Bytes before the epoch table.
pub(crate) const FIXED_BYTES: usize = 72;
const ENTRY_BYTES: usize = 24;
/// Bytes before what stands beside the slots: its length and checksum.
pub(crate) const BESIDE_HEADER_BYTES: usize = 16;
/// Entries of an epoch table that are believed.
const ENTRIES_MAX: usize = 1 << 20;

/// What a snapshot says of itself.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Header {
    /// The pair that the data belongs to.
    pub pair_id: PairId,
    /// Every chunk reflects all records before this; replay the log from here.
    pub start: Lsn,
    /// Running checksum of the log at `start`.
    pub chain: Chain,
    /// Epoch of the record before `start`.
    pub epoch: Epoch,
    /// Stamp of that record.
    pub stamp: Stamp,
    /// Every reign that began before `start`.
    pub history: EpochHistory,
    /// What stood beside the slots at `start`, in the owner's encoding. Empty: nothing, and each chunk holds
    /// slots alone.
    pub beside: Vec<u8>,
}

/// Why bytes are not the header of a snapshot.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum HeaderError {
    /// Too short, or another kind of file.
    #[error("this is no snapshot file")]
    NoSnapshot,
    /// The checksum does not match.
    #[error("its header is damaged")]
    Damaged,
    /// Written by a later program.
    #[error("it has format version {0}, this program knows {FORMAT_VERSION}")]
    Version(u16),
    /// The epoch table is none.
    #[error("its epoch table is none: {0}")]
    History(#[from] HistoryError),
}

impl Header {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let starts = self.history.starts();
        let mut out = Vec::with_capacity(FIXED_BYTES + starts.len() * ENTRY_BYTES);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&[0; 4]);
        let version = if self.beside.is_empty() { SLOTS_ONLY_VERSION } else { FORMAT_VERSION };
        out.extend_from_slice(&version.to_le_bytes());
        out.extend_from_slice(&[0; 2]);
        out.extend_from_slice(&self.pair_id.get().to_le_bytes());
        let fixed = [self.start.get(), self.chain.get(), self.epoch.get(), self.stamp.get()];
        for value in fixed {
            out.extend_from_slice(&value.to_le_bytes());
        }
        let entries = u64::try_from(starts.len()).unwrap_or(u64::MAX);
        out.extend_from_slice(&entries.to_le_bytes());
        for start in starts {
            for value in [start.epoch.get(), start.fork.get(), start.first.get()] {
                out.extend_from_slice(&value.to_le_bytes());
            }
        }
        let crc = crc32c::crc32c(out.get(12..).unwrap_or_default());
        if let Some(place) = out.get_mut(8..12) {
            place.copy_from_slice(&crc.to_le_bytes());
        }
        if !self.beside.is_empty() {
            let len = u64::try_from(self.beside.len()).unwrap_or(u64::MAX);
            let crc = u64::from(crc32c::crc32c(&self.beside));
            out.extend_from_slice(&len.to_le_bytes());
            out.extend_from_slice(&crc.to_le_bytes());
            out.extend_from_slice(&self.beside);
        }
        out
    }

    /// Whether something stands beside the slots, as the fixed part says.
    pub(crate) fn has_beside(fixed: &[u8]) -> bool {
        let version = fixed.get(12..14).and_then(|bytes| bytes.try_into().ok());
        version.map(u16::from_le_bytes) == Some(FORMAT_VERSION)
    }

    /// Length and checksum of what stands beside the slots.
    pub(crate) fn beside_of(bytes: &[u8]) -> (usize, u64) {
        (usize::try_from(u64_at(bytes, 0)).unwrap_or(usize::MAX), u64_at(bytes, 8))
    }

    /// Bytes of the whole header, as its fixed part says.
    pub(crate) fn len_of(fixed: &[u8]) -> Result<usize, HeaderError> {
        if fixed.len() < FIXED_BYTES || !fixed.starts_with(MAGIC) {
            return Err(HeaderError::NoSnapshot);
        }
        let version = fixed.get(12..14).and_then(|bytes| bytes.try_into().ok());
        match version.map(u16::from_le_bytes) {
            Some(SLOTS_ONLY_VERSION | FORMAT_VERSION) => {}
            version => return Err(HeaderError::Version(version.unwrap_or(0))),
        }
        let entries = usize::try_from(u64_at(fixed, 64)).unwrap_or(usize::MAX);
        if entries > ENTRIES_MAX {
            return Err(HeaderError::Damaged);
        }
        Ok(FIXED_BYTES + entries * ENTRY_BYTES)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, HeaderError> {
        if bytes.len() != Self::len_of(bytes)? {
            return Err(HeaderError::NoSnapshot);
        }
        let crc = bytes.get(8..12).and_then(|crc| crc.try_into().ok()).map(u32::from_le_bytes);
        if crc != bytes.get(12..).map(crc32c::crc32c) {
            return Err(HeaderError::Damaged);
        }
        let pair = bytes.get(16..32).and_then(|pair| pair.try_into().ok());
        let mut starts = Vec::new();
        for at in (FIXED_BYTES..bytes.len()).step_by(ENTRY_BYTES) {
            starts.push(EpochStart {
                epoch: Epoch::new(u64_at(bytes, at)),
                fork: ForkId::new(u64_at(bytes, at + 8)),
                first: Lsn::new(u64_at(bytes, at + 16)),
            });
        }
        Ok(Self {
            pair_id: PairId::new(u128::from_le_bytes(pair.unwrap_or_default())),
            start: Lsn::new(u64_at(bytes, 32)),
            chain: Chain::new(u64_at(bytes, 40)),
            epoch: Epoch::new(u64_at(bytes, 48)),
            stamp: Stamp::new(u64_at(bytes, 56)),
            history: EpochHistory::from_starts(starts)?,
            beside: Vec::new(),
        })
    }
}

/// The integer at `at`; 0 past the end.
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).copied().map_or(0, u64::from_le_bytes)
}
