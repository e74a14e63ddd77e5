//! From the log to the key space and the side of one of two writers.

use tandem_log::{RecordKind, RecordView};
use tandem_merge::{Chunk, CodecError, LedgerOp, Merged, Op};
use tandem_store::{SlotLsns, Store};
use tandem_types::Lsn;

use super::beside::ops_of;
use super::note::NoteError;
use super::{CopyFault, Ends, PeerNote, Writer};

/// What a replayed log came to.
#[derive(Debug)]
pub(crate) struct Replayed {
    /// The side.
    pub(crate) writer: Writer,
    /// What the last record asks to be written again, if the log ends before that.
    unsaid: Option<Merged>,
    /// What the last record says is written again behind it, if the log ends before that.
    unsalvaged: Vec<Op>,
    /// When the slots of the snapshot were taken that this began with, until the log has come there.
    ahead: Option<SlotLsns>,
    /// The end of that snapshot.
    exact_at: Lsn,
}

/// What a log ends before that its last record asks for.
#[derive(Debug, Default)]
pub(crate) struct Unsaid {
    /// To be written again.
    pub(crate) merged: Option<Merged>,
    /// Of a forgotten peer's writes, to be written.
    pub(crate) salvaged: Vec<Op>,
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
        Self { writer, unsaid: None, unsalvaged: Vec::new(), ahead: None, exact_at: Lsn::ZERO }
    }

    /// From a snapshot on: its slots were taken at `ahead`, the last one at `exact_at`.
    pub(crate) const fn on_snapshot(writer: Writer, ahead: SlotLsns, exact_at: Lsn) -> Self {
        Self { writer, unsaid: None, unsalvaged: Vec::new(), ahead: Some(ahead), exact_at }
    }

    /// The side, and what is still to be written again.
    pub(crate) fn into_parts(mut self) -> (Writer, Unsaid) {
        self.met();
        (self.writer, Unsaid { merged: self.unsaid, salvaged: self.unsalvaged })
    }

    /// No slot is ahead of the log any more.
    fn met(&mut self) {
        if self.ahead.take().is_some() {
            self.writer.site.loaded();
        }
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
        if lsn >= self.exact_at {
            self.met();
        }
        match record.kind {
            RecordKind::EpochStart => {}
            RecordKind::Effects => return Err(ReplayError::OneWriter),
            RecordKind::Own => {
                let mut chunk = Chunk::decode(record.payload)
                    .map_err(|source| ReplayError::Chunk { lsn, source })?;
                self.leave_decided(&mut chunk);
                self.own(record, &chunk, store)?;
            }
            RecordKind::Merged => {
                let mut chunk = Chunk::decode(record.payload)
                    .map_err(|source| ReplayError::Chunk { lsn, source })?;
                let wall = record.stamp.wall();
                self.leave_decided(&mut chunk);
                let at = (end, self.ahead.as_ref());
                let merged = self.writer.replay_merge(chunk, wall, store, at);
                self.unsaid = (!merged.again.is_empty()).then_some(merged);
            }
            RecordKind::Peer => {
                let note = PeerNote::decode(record.payload)
                    .map_err(|source| ReplayError::Note { lsn, source })?;
                let keeps_peer = matches!(note, PeerNote::Has { .. } | PeerNote::GivenUp { .. });
                if self.ahead.is_some() && !keeps_peer {
                    // None is taken over such a change.
                    let source = CopyFault("the snapshot does not fit the log".into());
                    return Err(ReplayError::Copy { lsn, source });
                }
                self.writer
                    .heed(&note, store, end)
                    .map_err(|source| ReplayError::Copy { lsn, source })?;
                if let PeerNote::Salvaged { again, .. } = &note {
                    let ops = ops_of(again);
                    self.unsalvaged = ops.map_err(|source| ReplayError::Chunk { lsn, source })?;
                }
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
        self.unsalvaged.clear();
        let writer = &mut self.writer;
        for own in &chunk.records {
            let (found, expected) = (own.origin.lsn, writer.site.own_end());
            if found != expected || own.origin.side != writer.site.side() {
                return Err(ReplayError::Own { lsn, found, expected });
            }
            let (bytes, written) = (record.payload.len(), own.origin.stamp.wall());
            writer.places.own_appended(found, lsn, bytes, written);
            let ahead = self.ahead.as_ref();
            writer.site.replay(own, &mut store.replay_space(lsn.next(), ahead));
            if writer.has_no_partner() {
                writer.site.nobody_lacks();
            }
        }
        Ok(())
    }

    /// The conflicts came with the snapshot, as people had decided them at its end.
    fn leave_decided(&self, chunk: &mut Chunk) {
        if self.ahead.is_some() {
            for record in &mut chunk.records {
                let decided = |op: &Op| matches!(op, Op::Ledger(LedgerOp::Resolved(..)));
                record.ops.retain(|op| !decided(op));
            }
        }
    }
}
