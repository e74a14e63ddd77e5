//! This node as one of two writers: its side of the merge, and how that follows from its log.
//!
//! ```text
//!  own command -> operations -> record kind 2 (own)     -.
//!  the peer's chunk -> merge  -> record kind 3 (merged)  }-> one log, in the order the key space saw them
//!  meeting, copying           -> record kind 4 (peer)   -'
//! ```
//! Replaying these in order, from the beginning or from a snapshot on, gives the key space and the index of
//! unacknowledged writes again, so there is nothing else to keep. What is done live and what is replayed goes through the same functions here.
//!
//! **Not here:** the rules (`tandem-merge`), what is said over the link (`node/both`).

mod beside;
mod core;
mod forgotten;
mod note;
mod places;
mod replay;
mod salvage;
mod saved;

use tandem_merge::{Chunk, Merged, SKEW_MS_MAX, Site};
use tandem_replication::message::SlotPieces;
use tandem_store::{SlotLsns, Store};
use tandem_types::{Incarnation, Lsn, NodeId, Pair, SlotId, WallMillis};

pub(crate) use self::beside::{beside_bytes, ledger_bytes, ops_bytes as note_bytes};
pub(crate) use self::core::writer_facts;
pub(crate) use self::forgotten::{Forgotten, NOBODY, RESTORED};
pub(crate) use self::note::{CopyPiece, PeerNote};
pub(crate) use self::places::{Ends, Places};
pub(crate) use self::replay::{ReplayError, Replayed, Unsaid};
pub use self::saved::{restored_note, side_of_snapshot};

/// Own records between two notes of how far the peer is: what a restart has to look at again.
const NOTE_EVERY: u64 = 10_000;

/// One of two writers.
#[derive(Debug)]
pub struct Writer {
    /// Its side.
    pub(crate) site: Site,
    /// Whose records [`Site::seen_end`] counts.
    pub(crate) met: Option<Incarnation>,
    /// A full copy that is coming in.
    pub(crate) copying: Option<Copying>,
    /// Where own records stand in the log.
    pub(crate) places: Places,
    /// How far the peer was when the log last said so.
    noted: Lsn,
    /// Segments that a snapshot covers may wait for the peer.
    pub(crate) waits: bool,
    /// The peer that was given up last.
    pub(crate) forgotten: Option<Forgotten>,
    /// The peer goes on without this node, and has its records before this.
    pub(crate) given_up: Option<Lsn>,
    /// Memory for the own record that is being made.
    payload: Vec<u8>,
}

/// A full copy that is coming in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Copying {
    /// The next slot; what is written to it and to later ones comes with them.
    next: Option<SlotId>,
}

/// Why something of the peer cannot be taken in. Memory may hold half of it: boot anew.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a piece of the full copy cannot be loaded: {0}")]
pub(crate) struct CopyFault(String);

impl Writer {
    /// Has written nothing and met nobody.
    pub(crate) fn new(side: NodeId) -> Self {
        Self {
            site: Site::new(side, SKEW_MS_MAX),
            met: None,
            copying: None,
            places: Places::default(),
            noted: Lsn::ZERO,
            waits: false,
            forgotten: None,
            given_up: None,
            payload: Vec::new(),
        }
    }

    /// The life of the peer whose records it counts.
    pub const fn met(&self) -> Option<Incarnation> {
        self.met
    }

    /// Merges what comes next from the peer. What it asks to be written again follows at once.
    pub(crate) fn merge(
        &mut self,
        chunk: Chunk,
        wall: WallMillis,
        store: &mut Store,
        lsn_end: Lsn,
    ) -> Merged {
        self.replay_merge(chunk, wall, store, (lsn_end, None))
    }

    /// The same while a log is replayed on a snapshot whose slots were taken at `ahead`.
    fn replay_merge(
        &mut self,
        mut chunk: Chunk,
        wall: WallMillis,
        store: &mut Store,
        (lsn_end, ahead): (Lsn, Option<&SlotLsns>),
    ) -> Merged {
        if let Some(copying) = self.copying {
            for record in &mut chunk.records {
                store.only_copied(&mut record.ops, copying.next);
            }
        }
        self.site.merge(&chunk, wall, &mut store.replay_space(lsn_end, ahead))
    }

    /// Does what the log says of the peer.
    ///
    /// # Errors
    /// A piece of a copy that fits nothing.
    pub(crate) fn heed(
        &mut self,
        note: &PeerNote<'_>,
        store: &mut Store,
        lsn_end: Lsn,
    ) -> Result<(), CopyFault> {
        match note {
            PeerNote::Met { incarnation } => {
                self.met = Some(*incarnation);
                self.site.meet();
            }
            PeerNote::CopyBegin { incarnation, start } => {
                self.met = Some(*incarnation);
                self.site = self.site.copying_from(*start);
                self.copying = Some(Copying { next: Some(SlotId::FIRST) });
                store.begin_copy();
            }
            PeerNote::CopyPiece(piece) => self.load(piece, store, lsn_end)?,
            PeerNote::CopyEnd => {
                self.copying = None;
                store.new_incarnation(lsn_end);
            }
            PeerNote::Has { seen, said_at } => {
                self.noted = *seen;
                self.site.heard(*seen, *said_at);
            }
            PeerNote::Forgotten { incarnation, rights } => {
                let has = self.site.seen_end();
                self.forgotten = Some(Forgotten::now(*incarnation, has, *rights, store));
                self.met = Some(NOBODY);
                self.site.meet();
                if let Some(how) = rights {
                    store.forget_rights(self.site.side().peer(), *how, lsn_end);
                }
            }
            PeerNote::Restored { ids_from } => {
                self.met = Some(RESTORED);
                (self.forgotten, self.given_up) = (None, None);
                self.site.meet();
                store.restored(*ids_from, lsn_end);
            }
            PeerNote::GivenUp { has } => self.given_up = Some(*has),
            PeerNote::Salvaged { upto, rest, .. } => self.salvaged(*upto, rest, store, lsn_end)?,
        }
        Ok(())
    }

    fn load(
        &mut self,
        piece: &CopyPiece<'_>,
        store: &mut Store,
        lsn_end: Lsn,
    ) -> Result<(), CopyFault> {
        let fault = |error: &dyn std::fmt::Display| CopyFault(error.to_string());
        let copying = self.copying.as_mut().ok_or_else(|| fault(&"no copy is under way"))?;
        copying.next = piece.next;
        for slot in SlotPieces::new(&piece.slots) {
            let (slot, content) = slot.map_err(|error| fault(&error))?;
            store.load_slot(slot, lsn_end, content).map_err(|error| fault(&error))?;
        }
        let beside = Pair { a: &*piece.beside_a, b: &*piece.beside_b };
        self.load_beside(beside, store, lsn_end)
    }

    /// What the log should say of the peer's progress by now, so that a restart need not begin before it.
    pub(crate) fn due_note(&mut self, said_at: Lsn) -> Option<PeerNote<'static>> {
        let seen = self.site.stable_end();
        let due = seen.records_since(self.noted).is_some_and(|records| records >= NOTE_EVERY);
        due.then(|| {
            self.noted = seen;
            PeerNote::Has { seen, said_at }
        })
    }

    /// The peer was given up, or left behind by a restore, and no other one has come: whoever does begins with a
    /// copy.
    pub(crate) fn has_no_partner(&self) -> bool {
        self.met == Some(NOBODY) || self.is_restored()
    }

    /// The data came from a backup, and nobody said that it is the data to go on with.
    pub(crate) fn is_restored(&self) -> bool {
        self.met == Some(RESTORED)
    }

    /// There is something here that a peer would have to have.
    pub(crate) fn has_data(&self, store: &Store) -> bool {
        self.site.own_end() > Lsn::ZERO || self.site.seen_end() > Lsn::ZERO || !store.is_empty()
    }
}

#[cfg(test)]
mod tests;
