//! Snapshot files as the node uses them: load the newest usable one.

use std::io;

use tandem_disk::Disk;
use tandem_replication::message::SlotPieces;
use tandem_snapshot::{Chunk, HeaderError, ReadError, list, read};
use tandem_store::{SlotLsns, Store};
use tandem_types::{Chain, Lsn, PairId, SlotId};

/// What was loaded.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    /// Replay the log from here.
    pub(crate) start: Lsn,
    /// The key space is consistent once the log was replayed up to here at least.
    pub(crate) end: Lsn,
    /// Running checksum of the log at `start`, as the snapshot knows it.
    pub(crate) chain: Chain,
    /// The file; `None`: none is usable, replay the log from its beginning.
    pub(crate) name: Option<String>,
    /// Why newer ones could not be used, in words.
    pub(crate) skipped: Vec<String>,
    /// Those of them that are damaged.
    pub(crate) bad: Vec<BadSnapshot>,
}

/// A snapshot file whose bytes are not what was written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct BadSnapshot {
    /// The file's name in its generation's directory.
    pub(crate) name: String,
    /// What is wrong with it, with the file and the byte.
    pub(crate) reason: String,
}

/// Loads the newest snapshot that is whole and needs no record from `end_max` on into an empty store, and
/// notes when each slot was taken.
///
/// # Errors
/// The directory cannot be listed. A snapshot that cannot be read is passed over.
pub(crate) fn load_newest<D: Disk>(
    disk: &D,
    dir: &str,
    pair: PairId,
    end_max: Lsn,
    new_store: impl Fn() -> Store,
) -> io::Result<(Store, SlotLsns, Loaded)> {
    let (mut skipped, mut bad) = (Vec::new(), Vec::new());
    for name in list(disk, dir)? {
        if name.end > end_max {
            skipped.push(format!("{name}: the log ends before it, at record {end_max}"));
            continue;
        }
        let (mut store, mut filter) = (new_store(), SlotLsns::new());
        // Chunks come in order and leave no slot out.
        let mut next = Some(SlotId::FIRST);
        let done = read(disk, dir, name, pair, &mut |chunk| {
            if next != Some(chunk.first) || chunk.last < chunk.first {
                return Err(format!("slots are missing before {:?}", chunk.first));
            }
            next = chunk.last.next();
            load(&mut store, &mut filter, &chunk)
        });
        match done {
            Ok(_) if next.is_some() => {
                skipped.push(format!("{name}: slots are missing at its end"));
            }
            Ok(finished) => {
                let loaded = Loaded {
                    start: finished.header.start,
                    end: finished.end,
                    chain: finished.header.chain,
                    name: Some(name.to_string()),
                    skipped,
                    bad,
                };
                return Ok((store, filter, loaded));
            }
            Err(ReadError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                let reason = error.to_string();
                if is_damage(&error) {
                    bad.push(BadSnapshot { name: name.to_string(), reason: reason.clone() });
                }
                skipped.push(reason);
            }
        }
    }
    Ok((new_store(), SlotLsns::new(), Loaded { skipped, bad, ..Loaded::default() }))
}

/// Whether the file's bytes are not what was written, rather than another pair's or a later program's.
pub(crate) const fn is_damage(error: &ReadError) -> bool {
    match error {
        ReadError::Header { source: HeaderError::Version(_), .. }
        | ReadError::Io { .. }
        | ReadError::ForeignPair { .. } => false,
        ReadError::Header { .. } | ReadError::Damaged { .. } | ReadError::Visit { .. } => true,
    }
}

/// Loads one chunk.
fn load(store: &mut Store, filter: &mut SlotLsns, chunk: &Chunk<'_>) -> Result<(), String> {
    note(filter, chunk.first, chunk.last, chunk.lsn);
    for piece in SlotPieces::new(chunk.bytes) {
        let (slot, content) = piece.map_err(|error| error.to_string())?;
        store.load_slot(slot, chunk.lsn, content).map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// Notes that all slots from `first` to `last` were taken at `lsn`.
pub(crate) fn note(filter: &mut SlotLsns, first: SlotId, last: SlotId, lsn: Lsn) {
    let mut slot = Some(first);
    while let Some(at) = slot {
        filter.set(at, lsn);
        slot = if at == last { None } else { at.next() };
    }
}
