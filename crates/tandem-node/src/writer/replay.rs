//! From the log to the key space and the side of one of two writers.

use tandem_log::{RecordKind, RecordView};
use tandem_merge::{Chunk, CodecError, Merged};
use tandem_store::Store;
use tandem_types::Lsn;

use super::note::NoteError;
use super::{CopyFault, Ends, PeerNote, Writer};

/// What a replayed log came to.
#[derive(Debug)]
pub(crate) struct Replayed {
    /// The side.
    pub(crate) writer: Writer,
    /// What the last record asks to be written again, if the log ends before that.
    unsaid: Option<Merged>,
}

/// A log that this node cannot have written as one of two writers.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReplayError {
    /// A chunk that is none.
    #[error("record {lsn}: {source}")]
    Chunk {
        /// The record.
        lsn: Lsn,
        /// Why.
        source: CodecError,
    },
    /// A note that is none.
    #[error("record {lsn}: {source}")]
    Note {
        /// The record.
        lsn: Lsn,
        /// Why.
        source: NoteError,
    },
    /// A copy that fits nothing.
    #[error("record {lsn}: {source}")]
    Copy {
        /// The record.
        lsn: Lsn,
        /// Why.
        source: CopyFault,
    },
    /// Own records are missing before it.
    #[error("record {lsn} holds the own record {found}, where {expected} belongs")]
    Own {
        /// The record.
        lsn: Lsn,
        /// Its own position.
        found: Lsn,
        /// The next one.
        expected: Lsn,
    },
    /// The directory was written with another topology.
    #[error(
        "this data directory was written with one primary: primary-primary begins with two empty ones; start the pair with its topology from before, or empty this directory"
    )]
    OneWriter,
}

impl Replayed {
    /// Nothing yet.
    pub(crate) const fn new(writer: Writer) -> Self {
        Self { writer, unsaid: None }
    }

    /// The side, and what is still to be written again.
    pub(crate) fn into_parts(self) -> (Writer, Option<Merged>) {
        (self.writer, self.unsaid)
    }

    /// Does what the next record says.
    ///
    /// # Errors
    /// See [`ReplayError`].
    pub(crate) fn record(
        &mut self,
        record: &RecordView<'_>,
        store: &mut Store,
    ) -> Result<(), ReplayError> {
        let (lsn, end) = (record.lsn, record.lsn.next());
        match record.kind {
            RecordKind::EpochStart => {}
            RecordKind::Effects => return Err(ReplayError::OneWriter),
            RecordKind::Own => {
                let chunk = Chunk::decode(record.payload)
                    .map_err(|source| ReplayError::Chunk { lsn, source })?;
                self.own(record, &chunk, store)?;
            }
            RecordKind::Merged => {
                let chunk = Chunk::decode(record.payload)
                    .map_err(|source| ReplayError::Chunk { lsn, source })?;
                let wall = record.stamp.wall();
                let merged = self.writer.merge(chunk, wall, store, end);
                self.unsaid = (!merged.again.is_empty()).then_some(merged);
            }
            RecordKind::Peer => {
                let note = PeerNote::decode(record.payload)
                    .map_err(|source| ReplayError::Note { lsn, source })?;
                self.writer
                    .heed(&note, store, end)
                    .map_err(|source| ReplayError::Copy { lsn, source })?;
            }
        }
        let site = &self.writer.site;
        let (ends, stable) =
            (Ends { own: site.own_end(), seen: site.seen_end() }, site.stable_end());
        self.writer.places.appended(end, ends);
        self.writer.places.durable(end);
        self.writer.places.confirmed(stable);
        Ok(())
    }

    fn own(
        &mut self,
        record: &RecordView<'_>,
        chunk: &Chunk,
        store: &mut Store,
    ) -> Result<(), ReplayError> {
        let lsn = record.lsn;
        // What was to be written again stands directly behind what asked for it: this is it.
        self.unsaid = None;
        let writer = &mut self.writer;
        for own in &chunk.records {
            let (found, expected) = (own.origin.lsn, writer.site.own_end());
            if found != expected || own.origin.side != writer.site.side() {
                return Err(ReplayError::Own { lsn, found, expected });
            }
            let (bytes, written) = (record.payload.len(), own.origin.stamp.wall());
            writer.places.own_appended(found, lsn, bytes, written);
            writer.site.replay(own, &mut store.merge_space(lsn.next()));
        }
        Ok(())
    }
}
