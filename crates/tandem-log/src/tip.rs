//! The end of a log: all that the next record must continue.

use tandem_types::{Chain, Epoch, LogPosition, Lsn, Stamp};

use crate::record::{BadRecord, Decoded, RecordKind, RecordView, decode};

/// The end of a log, and what a record that continues it must say.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tip {
    /// LSN of the next record.
    pub end: Lsn,
    /// Running checksum of everything before it.
    pub chain: Chain,
    /// Epoch of the record before it.
    pub epoch: Epoch,
    /// Stamp of the record before it.
    pub stamp: Stamp,
}

impl Tip {
    /// The end of a log without records.
    pub const EMPTY: Self =
        Self { end: Lsn::ZERO, chain: Chain::EMPTY, epoch: Epoch::ZERO, stamp: Stamp::ZERO };

    /// Epoch and LSN.
    pub const fn position(&self) -> LogPosition {
        LogPosition { epoch: self.epoch, lsn: self.end }
    }

    /// Whether `record` is the next one: LSN, running checksum, and an epoch that is the current one, or
    /// a later one if the record begins it.
    ///
    /// # Errors
    /// What does not fit.
    #[inline]
    pub fn check(&self, record: &RecordView<'_>) -> Result<(), BadRecord> {
        if record.lsn != self.end {
            return Err(BadRecord::Lsn { found: record.lsn, expected: self.end });
        }
        if record.chain_before != self.chain {
            return Err(BadRecord::Chain { found: record.chain_before, expected: self.chain });
        }
        if self.allows(record.kind, record.epoch) {
            Ok(())
        } else {
            Err(BadRecord::Epoch { found: record.epoch, current: self.epoch })
        }
    }

    /// Whether a record of this kind and epoch may come next.
    pub(crate) fn allows(&self, kind: RecordKind, epoch: Epoch) -> bool {
        match kind {
            RecordKind::Effects | RecordKind::Own | RecordKind::Merged | RecordKind::Peer => {
                epoch == self.epoch
            }
            RecordKind::EpochStart => epoch > self.epoch,
        }
    }

    /// The end after `record`, which [`Self::check`] found to be the next one.
    #[inline]
    #[must_use]
    pub fn after(&self, record: &RecordView<'_>) -> Self {
        Self {
            end: record.lsn.next(),
            chain: record.chain_after(),
            epoch: record.epoch,
            stamp: record.stamp,
        }
    }
}

/// Why a walk over records stopped before the end of the bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stop {
    /// The last record is cut off; with this many bytes from its start it is whole.
    Incomplete {
        /// Bytes needed from the start of that record.
        need: usize,
    },
    /// The bytes are not the record that belongs here.
    Bad(BadRecord),
}

/// Walks over the records in a byte slice, checking that each continues the one before.
///
/// Ends after the last whole record; [`Self::offset`] is then where the rest begins. After an error it
/// stays where it is.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    bytes: &'a [u8],
    offset: usize,
    tip: Tip,
    stopped: bool,
}

impl<'a> Records<'a> {
    /// A walk over `bytes`, whose first record must continue `tip`.
    pub const fn new(bytes: &'a [u8], tip: Tip) -> Self {
        Self { bytes, offset: 0, tip, stopped: false }
    }

    /// Bytes walked over.
    pub const fn offset(&self) -> usize {
        self.offset
    }

    /// The end of the log as of here.
    pub const fn tip(&self) -> Tip {
        self.tip
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<RecordView<'a>, Stop>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.bytes.get(self.offset..)?;
        if rest.is_empty() || self.stopped {
            return None;
        }
        let step = match decode(rest) {
            Decoded::Record(record) => match self.tip.check(&record) {
                Ok(()) => {
                    self.tip = self.tip.after(&record);
                    self.offset += record.encoded_len();
                    return Some(Ok(record));
                }
                Err(bad) => Stop::Bad(bad),
            },
            Decoded::Incomplete { need } => Stop::Incomplete { need },
            Decoded::Bad(bad) => Stop::Bad(bad),
        };
        self.stopped = true;
        Some(Err(step))
    }
}
