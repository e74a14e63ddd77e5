//! A peer that was given up for good: what was known of it then, and what it turned out to have written.
//!
//! It never writes for the pair again. What it wrote and nobody else has may come back with it; then it is
//! held against what was known when it was given up.

use tandem_merge::escrow::{Counter, Forget};
use tandem_merge::{Key, LedgerOp, Op};
use tandem_store::Store;
use tandem_types::{Incarnation, Lsn, NodeId};

use super::beside::{ops_bytes, ops_of};
use super::note::{NoteError, Rest, put_bytes};

/// Whom this node exchanges records with after it gave its peer up, until another one comes.
pub(crate) const NOBODY: Incarnation = Incarnation::new(0);

/// Whom a node has met whose data came from a backup, until somebody takes part in it or a person says that
/// it is the data to go on with.
pub(crate) const RESTORED: Incarnation = Incarnation::new(u64::MAX);

/// A peer that was given up.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Forgotten {
    /// Who it was.
    pub(crate) incarnation: Incarnation,
    /// Its records before this are here, merged or salvaged.
    pub(crate) has: Lsn,
    /// What became of its rights; `None`: it had none.
    pub(crate) rights: Option<Forget>,
    /// The bounded counters as they were known then.
    pub(crate) counters: Vec<(Key, Counter)>,
}

impl Forgotten {
    /// The peer of this moment.
    pub(super) fn now(
        incarnation: Incarnation,
        has: Lsn,
        rights: Option<Forget>,
        store: &Store,
    ) -> Self {
        let counters = store.ledger().into_iter().flat_map(tandem_merge::Ledger::counters);
        let counters = counters.map(|(key, counter)| (key.clone(), *counter)).collect();
        Self { incarnation, has, rights, counters }
    }

    /// A counter as it was known.
    pub(crate) fn counter(&self, key: &Key) -> Option<&Counter> {
        self.counters.iter().find(|(known, _)| known == key).map(|(_, counter)| counter)
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.incarnation.get().to_le_bytes());
        out.extend(self.has.get().to_le_bytes());
        out.push(rights_byte(self.rights));
        let op =
            |(key, counter): &(Key, Counter)| Op::Ledger(LedgerOp::Counter(key.clone(), *counter));
        put_bytes(out, &ops_bytes(NodeId::A, self.counters.iter().map(op).collect()));
    }

    pub(super) fn read(rest: &mut Rest<'_>) -> Result<Self, NoteError> {
        let incarnation = Incarnation::new(rest.u64()?);
        let has = Lsn::new(rest.u64()?);
        let rights = rights_of(rest.byte()?)?;
        let mut counters = Vec::new();
        for op in ops_of(rest.bytes()?).map_err(|_| NoteError)? {
            let Op::Ledger(LedgerOp::Counter(key, counter)) = op else { return Err(NoteError) };
            counters.push((key, counter));
        }
        Ok(Self { incarnation, has, rights, counters })
    }
}

/// How the rights of a peer that is given up stand in the log.
pub(super) const fn rights_byte(rights: Option<Forget>) -> u8 {
    match rights {
        None => 0,
        Some(Forget::Destroy) => 1,
        Some(Forget::Claim) => 2,
    }
}

pub(super) const fn rights_of(byte: u8) -> Result<Option<Forget>, NoteError> {
    match byte {
        0 => Ok(None),
        1 => Ok(Some(Forget::Destroy)),
        2 => Ok(Some(Forget::Claim)),
        _ => Err(NoteError),
    }
}
