//! Records that are in the log and not yet in the key space: a follower applies what is committed.

use std::collections::VecDeque;

use tandem_log::{RecordKind, Records, Tip};
use tandem_store::{ApplyError, SlotLsns, Store};
use tandem_types::Lsn;

/// Why applying stopped. The node must not go on with this key space.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApplyFault {
    /// The effects do not fit the data.
    #[error("apply the log: {0}")]
    Effects(#[from] ApplyError),
    /// Bytes that were checked when they came are not records now.
    #[error("apply the log: bytes in memory at {at} are no longer records")]
    Memory {
        /// Where.
        at: Lsn,
    },
}

/// Raw records in order, from the end of the key space on.
#[derive(Debug)]
pub(crate) struct ApplyQueue {
    tip: Tip,
    pieces: VecDeque<Vec<u8>>,
    /// Bytes of the first piece that are applied already.
    offset: usize,
    bytes: usize,
}

impl ApplyQueue {
    /// Nothing waits; the key space is at `tip`.
    pub(crate) const fn new(tip: Tip) -> Self {
        Self { tip, pieces: VecDeque::new(), offset: 0, bytes: 0 }
    }

    /// The end of the key space.
    pub(crate) const fn tip(&self) -> Tip {
        self.tip
    }

    /// Bytes of records that wait.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds records that the log has just accepted.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.bytes += bytes.len();
            self.pieces.push_back(bytes.to_vec());
        }
    }

    /// Applies everything before `end` that has come.
    ///
    /// # Errors
    /// The data is not what the log says: boot anew from disk.
    pub(crate) fn apply_to(
        &mut self,
        end: Lsn,
        store: &mut Store,
        filter: Option<&SlotLsns>,
    ) -> Result<(), ApplyFault> {
        while self.tip.end < end {
            let Some(piece) = self.pieces.front() else { break };
            let mut records = Records::new(piece.get(self.offset..).unwrap_or_default(), self.tip);
            let mut reached = self.offset;
            while self.tip.end < end {
                let Some(record) = records.next() else { break };
                let record = record.map_err(|_| ApplyFault::Memory { at: self.tip.end })?;
                match record.kind {
                    RecordKind::Effects => store.apply(record.lsn, record.payload, filter)?,
                    // Two writers do not follow: a follower's log has none of these.
                    RecordKind::EpochStart
                    | RecordKind::Own
                    | RecordKind::Merged
                    | RecordKind::Peer => {}
                }
                self.tip = records.tip();
                reached = self.offset + records.offset();
            }
            if reached == piece.len() {
                self.bytes -= piece.len();
                self.pieces.pop_front();
                self.offset = 0;
            } else {
                self.offset = reached;
            }
        }
        Ok(())
    }
}
