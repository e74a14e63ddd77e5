//! Reads old records from disk, so that the data thread never waits for a read.

use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};

use tandem_disk::Disk;
use tandem_log::{Decoded, LogReader, ReadError, decode};
use tandem_node::Input;
use tandem_types::{Chain, Lsn, error_chain};

use super::Reporter;

/// What to read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ReadOrder {
    /// Whole records.
    Records {
        /// First record.
        from: Lsn,
        /// Not this one nor later ones.
        until: Lsn,
        /// Stop after this many bytes, but read at least one record.
        bytes_max: u32,
    },
    /// Whole records since a fork, for deciding on saved writes.
    Since {
        /// First record.
        from: Lsn,
        /// Not this one nor later ones.
        until: Lsn,
        /// Stop after this many bytes, but read at least one record.
        bytes_max: u32,
    },
    /// The running checksum at a position.
    Chain {
        /// Where.
        lsn: Lsn,
    },
}

/// The reader in use; the log thread puts another one here when it begins a generation.
pub(crate) type Shared<D> = Arc<Mutex<LogReader<D>>>;

/// Reads until nobody is left to ask.
pub(crate) fn run<D: Disk>(orders: &Receiver<ReadOrder>, reader: &Shared<D>, reporter: &Reporter) {
    for order in orders {
        let mut reader = reader.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = match order {
            ReadOrder::Records { from, until, bytes_max } => {
                match records(&mut reader, from, until, bytes_max) {
                    Some(bytes) => Input::LogRead { from, bytes },
                    None => Input::LogGone { from },
                }
            }
            ReadOrder::Since { from, until, bytes_max } => {
                let bytes = records(&mut reader, from, until, bytes_max);
                Input::SinceRead { from, bytes }
            }
            ReadOrder::Chain { lsn } => {
                let chain = chain_at(&mut reader, lsn).map_err(|error| complain(&error));
                Input::ChainRead { lsn, chain: chain.ok().flatten() }
            }
        };
        reporter.tell(answer);
    }
}

fn records<D: Disk>(
    reader: &mut LogReader<D>,
    from: Lsn,
    until: Lsn,
    bytes_max: u32,
) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let bytes_max = usize::try_from(bytes_max).unwrap_or(usize::MAX);
    let read = reader.read(from, until, bytes_max, &mut bytes);
    read.map_err(|error| complain(&error)).ok().map(|_| bytes)
}

/// The running checksum before the record at `lsn`: what the record before it leads to.
fn chain_at<D: Disk>(reader: &mut LogReader<D>, lsn: Lsn) -> Result<Option<Chain>, ReadError> {
    let Some(before) = lsn.get().checked_sub(1) else { return Ok(Some(Chain::EMPTY)) };
    let mut bytes = Vec::new();
    reader.read(Lsn::new(before), lsn, 1, &mut bytes)?;
    // The reader has verified the record, so it decodes.
    Ok(match decode(&bytes) {
        Decoded::Record(record) => Some(record.chain_after()),
        _ => None,
    })
}

/// What is damaged on disk counts as gone: the peer gets a full copy of what is in memory instead.
fn complain(error: &ReadError) {
    if !matches!(error, ReadError::Gone { .. }) {
        tracing::error!("read the log for the peer: {}", error_chain(error));
    }
}
