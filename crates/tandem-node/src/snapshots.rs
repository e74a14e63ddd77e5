//! Snapshot files as the node uses them: load the newest usable one.

use std::io;

use tandem_disk::Disk;
use tandem_replication::message::SlotPieces;
use tandem_snapshot::{
    Chunk, Finished, Header, HeaderError, ReadError, SnapshotName, list, read, read_header,
};
use tandem_store::{SlotLsns, Store};
use tandem_types::{Chain, Lsn, NodeId, PairId, SlotId};

use crate::writer::Writer;

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
    /// One was written with another number of writers: nothing is to be done with this directory.
    pub(crate) other_topology: bool,
}

/// A snapshot file whose bytes are not what was written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct BadSnapshot {
    /// The file's name in its generation's directory.
    pub(crate) name: String,
    /// What is wrong with it, with the file and the byte.
    pub(crate) reason: String,
}

/// What a snapshot is loaded into.
#[derive(Debug)]
pub(crate) struct Vessel {
    /// The key space.
    pub(crate) store: Store,
    /// When each slot was taken.
    pub(crate) filter: SlotLsns,
    /// With two writers: this node's side.
    pub(crate) writer: Option<Writer>,
}

impl Vessel {
    fn empty(new: &New<'_>) -> Self {
        let writer = new.side.map(Writer::new);
        Self { store: (new.store)(), filter: SlotLsns::new(), writer }
    }

    /// What stands at the beginning of a snapshot.
    fn begin(new: &New<'_>, header: &Header) -> Result<Self, String> {
        let mut vessel = Self::empty(new);
        if let Some(side) = new.side {
            let store = &mut vessel.store;
            let writer = Writer::load_head(side, &header.beside, store, header.start);
            vessel.writer = Some(writer.map_err(|error| error.to_string())?);
        }
        Ok(vessel)
    }

    /// Loads one chunk.
    fn load(&mut self, chunk: &Chunk<'_>) -> Result<(), String> {
        note(&mut self.filter, chunk.first, chunk.last, chunk.lsn);
        if let Some(writer) = &mut self.writer {
            let loaded = writer.load_slots(chunk.bytes, &mut self.store, chunk.lsn);
            return loaded.map_err(|error| error.to_string());
        }
        for piece in SlotPieces::new(chunk.bytes) {
            let (slot, content) = piece.map_err(|error| error.to_string())?;
            self.store.load_slot(slot, chunk.lsn, content).map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}

/// How a vessel is made.
pub(crate) struct New<'n> {
    /// An empty key space, of two writers if there are two.
    pub(crate) store: &'n dyn Fn() -> Store,
    /// With two writers: which of them this is.
    pub(crate) side: Option<NodeId>,
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
    let new = New { store: &new_store, side: None };
    let (vessel, loaded) = load_newest_into(disk, dir, pair, end_max, &new)?;
    Ok((vessel.store, vessel.filter, loaded))
}

/// The same, also for one of two writers.
///
/// # Errors
/// As with [`load_newest`].
pub(crate) fn load_newest_into<D: Disk>(
    disk: &D,
    dir: &str,
    pair: PairId,
    end_max: Lsn,
    new: &New<'_>,
) -> io::Result<(Vessel, Loaded)> {
    let mut told = Loaded::default();
    for name in list(disk, dir)? {
        if name.end > end_max {
            let text = format!("{name}: the log ends before it, at record {end_max}");
            told.skipped.push(text);
            continue;
        }
        match load_one(disk, dir, pair, name, new) {
            Ok((mut vessel, finished)) => {
                vessel.store.end_load();
                let loaded = Loaded {
                    start: finished.header.start,
                    end: finished.end,
                    chain: finished.header.chain,
                    name: Some(name.to_string()),
                    ..told
                };
                return Ok((vessel, loaded));
            }
            Err(Unusable::OtherTopology) => {
                told.other_topology = true;
                break;
            }
            Err(Unusable::Incomplete) => {
                told.skipped.push(format!("{name}: slots are missing at its end"));
            }
            Err(Unusable::Read(ReadError::Io { source, .. }))
                if source.kind() == io::ErrorKind::NotFound => {}
            Err(Unusable::Read(error)) => {
                let reason = error.to_string();
                if is_damage(&error) {
                    let name = name.to_string();
                    told.bad.push(BadSnapshot { name, reason: reason.clone() });
                }
                told.skipped.push(reason);
            }
        }
    }
    Ok((Vessel::empty(new), told))
}

/// Why a snapshot cannot be loaded.
enum Unusable {
    Read(ReadError),
    Incomplete,
    OtherTopology,
}

fn load_one<D: Disk>(
    disk: &D,
    dir: &str,
    pair: PairId,
    name: SnapshotName,
    new: &New<'_>,
) -> Result<(Vessel, Finished), Unusable> {
    let header = read_header(disk, dir, name, pair).map_err(Unusable::Read)?;
    if new.side.is_some() == header.beside.is_empty() {
        return Err(Unusable::OtherTopology);
    }
    let mut vessel = Vessel::begin(new, &header).map_err(|reason| {
        Unusable::Read(ReadError::Visit { file: format!("{dir}/{name}"), reason })
    })?;
    // Chunks come in order and leave no slot out.
    let mut next = Some(SlotId::FIRST);
    let finished = read(disk, dir, name, pair, &mut |chunk| {
        if next != Some(chunk.first) || chunk.last < chunk.first {
            return Err(format!("slots are missing before {:?}", chunk.first));
        }
        next = chunk.last.next();
        vessel.load(&chunk)
    });
    let finished = finished.map_err(Unusable::Read)?;
    if next.is_some() { Err(Unusable::Incomplete) } else { Ok((vessel, finished)) }
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

/// Notes that all slots from `first` to `last` were taken at `lsn`.
pub(crate) fn note(filter: &mut SlotLsns, first: SlotId, last: SlotId, lsn: Lsn) {
    let mut slot = Some(first);
    while let Some(at) = slot {
        filter.set(at, lsn);
        slot = if at == last { None } else { at.next() };
    }
}
